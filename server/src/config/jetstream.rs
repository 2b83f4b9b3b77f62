//! The block `jetstream`: whether the broker keeps streams, where, and how many.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;

use super::accounts::jetstream::storage;
use super::value::{Node, Problem, Value};

/// What streams are started with.
#[derive(Clone, Debug, Default)]
pub struct JetStreamOptions {
    /// The folder that `jetstream/` is made in; the one for temporary files if not given.
    pub store_dir: Option<PathBuf>,
    /// Bytes that streams may take in memory; three quarters of the machine's if not given.
    pub max_memory: Option<u64>,
    /// Bytes that streams may take on disk; three quarters of what is free if not given.
    pub max_file: Option<u64>,
    /// The name of the domain.
    pub domain: Option<Arc<str>>,
    /// Requests with unknown fields are accepted.
    pub lenient: bool,
    /// Deliveries name domain and account in their reply subjects (`feature_flags`).
    pub long_acks: bool,
    /// In every account, nobody reads of a stream what it may not subscribe to.
    pub reads_need_permission: bool,
    /// When what was written is synced, if not before every acknowledgement.
    pub sync: SyncPolicy,
    /// What files are encrypted with.
    pub key: Option<SecretString>,
    /// What they were encrypted with before.
    pub prev_key: Option<SecretString>,
    /// Shown in monitoring.
    pub unique_tag: String,
    /// Bounds on what clients may ask for.
    pub limits: JetStreamBounds,
    /// Messages that wait for one stream; 100 000 if not given.
    pub max_buffered_msgs: Option<usize>,
    /// Bytes of them; 128 MiB if not given.
    pub max_buffered_size: Option<usize>,
    /// Bytes of those for all streams of one account.
    pub max_buffered_account: Option<usize>,
    /// Bytes of those for all streams.
    pub max_buffered_total: Option<usize>,
    /// Bytes of a second that the search for damage reads; 4 MiB if not given, 0 for no search.
    pub scrub_rate: Option<u64>,
    /// A round of that begins so long after the one before began; a day if not given.
    pub scrub_interval: Option<Duration>,
    /// Requests that wait for one account; 10 000 if not given.
    pub request_queue_limit: Option<usize>,
    /// The same of requests that change nothing.
    pub info_queue_limit: Option<usize>,
}

/// When what was written is synced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SyncPolicy {
    /// Before anything is acknowledged: what was acknowledged survives a power loss.
    #[default]
    Always,
    /// From time to time, as nats-server does it: what was acknowledged since is lost with the power.
    Every(Duration),
}

/// Bounds on what clients may ask for; without bound where nothing is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JetStreamBounds {
    /// Messages that a consumer may have delivered and not acknowledged.
    pub max_ack_pending: Option<i64>,
    /// Messages of one pull request.
    pub max_request_batch: Option<i64>,
    /// The longest time that ids of messages are remembered.
    pub duplicate_window: Option<Duration>,
    /// Atomic batches that are open in one stream.
    pub max_batch_inflight_per_stream: Option<i64>,
    /// Atomic batches that are open in all.
    pub max_batch_inflight_total: Option<i64>,
    /// Messages of one atomic batch.
    pub max_batch_size: Option<i64>,
    /// How long an atomic batch may be idle.
    pub max_batch_timeout: Option<Duration>,
}

/// Reads the option: a switch, a word or a map. `None` if there are to be no streams.
///
/// # Errors
///
/// A [`Problem`] if it is nothing of that kind; those inside are added to `problems`.
pub(super) fn read(node: &Node, problems: &mut Vec<Problem>) -> Result<Option<JetStreamOptions>, Problem> {
    match &node.value {
        Value::Bool(on) => return Ok(on.then(JetStreamOptions::default)),
        Value::Text(text) if text.eq_ignore_ascii_case("enabled") => return Ok(Some(JetStreamOptions::default())),
        Value::Text(text) if text.eq_ignore_ascii_case("disabled") => return Ok(None),
        Value::Map(_) => {}
        _ => return Err(node.problem("expected true or false, or one of enabled, disabled, or a map in braces")),
    }
    let (mut options, mut enabled, mut nested) = (JetStreamOptions::default(), true, Vec::new());
    node.read(problems, |option, value| {
        if matches!(option, "enabled" | "enable") {
            enabled = value.switch()?;
            return Ok(true);
        }
        set(&mut options, option, value, &mut nested)
    });
    problems.append(&mut nested);
    Ok(enabled.then_some(options))
}

fn set(
    options: &mut JetStreamOptions,
    option: &str,
    value: &Node,
    problems: &mut Vec<Problem>,
) -> Result<bool, Problem> {
    match option {
        "store_dir" | "store" | "storedir" => options.store_dir = folder(value)?,
        "max_memory_store" | "max_mem_store" | "max_mem" => options.max_memory = bytes(value)?,
        "max_file_store" | "max_file" => options.max_file = bytes(value)?,
        "domain" => options.domain = Some(domain(value)?).filter(|name| !name.is_empty()),
        "strict" => options.lenient = !value.switch()?,
        "reads_need_permission" => options.reads_need_permission = value.switch()?,
        "sync_interval" | "sync" => options.sync = sync(value)?,
        "key" | "ek" | "encryption_key" => options.key = secret(value)?,
        "prev_key" | "prev_ek" | "prev_encryption_key" => options.prev_key = secret(value)?,
        "unique_tag" => value.text()?.clone_into(&mut options.unique_tag),
        "max_buffered_size" => options.max_buffered_size = bytes(value)?.map(|bytes| bytes as usize),
        "max_buffered_account" => options.max_buffered_account = bytes(value)?.map(|bytes| bytes as usize),
        "max_buffered_total" => options.max_buffered_total = bytes(value)?.map(|bytes| bytes as usize),
        "max_buffered_msgs" => options.max_buffered_msgs = count(value)?,
        "scrub_rate" => options.scrub_rate = bytes(value)?,
        "scrub_interval" => options.scrub_interval = Some(scrub_interval(value)?),
        "request_queue_limit" => options.request_queue_limit = count(value)?,
        "info_queue_limit" => options.info_queue_limit = count(value)?,
        "limits" => limits(&mut options.limits, value, problems)?,
        "tpm" => {
            return Err(value.problem("keys in a TPM are not supported here: give the key with `key`, from a file"));
        }
        // What is known and not acted on, `known` excuses.
        _ => return Ok(false),
    }
    Ok(true)
}

fn limits(bounds: &mut JetStreamBounds, node: &Node, problems: &mut Vec<Problem>) -> Result<(), Problem> {
    node.entries()?;
    let mut nested = Vec::new();
    node.read(problems, |option, value| {
        match option {
            "max_ack_pending" => bounds.max_ack_pending = positive(value)?,
            "max_request_batch" => bounds.max_request_batch = positive(value)?,
            "duplicate_window" => bounds.duplicate_window = Some(value.duration_text()?).filter(|time| !time.is_zero()),
            "batch" => {
                value.entries()?;
                value.read(&mut nested, |option, value| {
                    match option {
                        "max_inflight_per_stream" => bounds.max_batch_inflight_per_stream = positive(value)?,
                        "max_inflight_total" => bounds.max_batch_inflight_total = positive(value)?,
                        "max_msgs" => bounds.max_batch_size = positive(value)?,
                        "timeout" => bounds.max_batch_timeout = Some(value.duration_text()?),
                        _ => return Ok(false),
                    }
                    Ok(true)
                });
            }
            _ => return Ok(false),
        }
        Ok(true)
    });
    problems.append(&mut nested);
    Ok(())
}

/// The folder that streams are kept in, as flags and the file name it at the top.
pub(super) fn folder(node: &Node) -> Result<Option<PathBuf>, Problem> {
    Ok(Some(node.text()?).filter(|text| !text.is_empty()).map(PathBuf::from))
}

fn bytes(node: &Node) -> Result<Option<u64>, Problem> {
    if node.text().is_ok_and(str::is_empty) {
        return Ok(None);
    }
    Ok(u64::try_from(storage(node)?).ok())
}

fn count(node: &Node) -> Result<Option<usize>, Problem> {
    Ok(usize::try_from(node.integer()?).ok().filter(|count| *count > 0))
}

fn positive(node: &Node) -> Result<Option<i64>, Problem> {
    Ok(Some(node.integer()?).filter(|count| *count > 0))
}

pub(super) fn domain(node: &Node) -> Result<Arc<str>, Problem> {
    let name = node.text()?;
    if name.contains(['.', '*', '>', ' ', '\t']) || name.starts_with('$') {
        return Err(node.problem(format!("`{name}` is no name of a domain: one token without wildcards")));
    }
    Ok(name.into())
}

fn sync(node: &Node) -> Result<SyncPolicy, Problem> {
    if node.text().is_ok_and(|text| text.eq_ignore_ascii_case("always")) {
        return Ok(SyncPolicy::Always);
    }
    let every = node.duration()?;
    if every.is_zero() {
        return Err(node.problem("`sync_interval` must be longer than nothing: `always` syncs before every answer"));
    }
    Ok(SyncPolicy::Every(every))
}

fn scrub_interval(node: &Node) -> Result<Duration, Problem> {
    let every = node.duration()?;
    if every.is_zero() {
        return Err(node.problem("`scrub_interval` must be longer than nothing: `scrub_rate: 0` turns the search off"));
    }
    Ok(every)
}

fn secret(node: &Node) -> Result<Option<SecretString>, Problem> {
    Ok(Some(node.text()?).filter(|text| !text.is_empty()).map(|text| SecretString::from(text.to_owned())))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;
    use crate::config::load_text;

    fn read(text: &str) -> Option<JetStreamOptions> {
        load_text(&format!("listen: \"127.0.0.1:-1\"\n{text}"), "t.conf").unwrap().jetstream
    }

    #[test]
    fn each_way_to_turn_streams_on_or_off() {
        for (text, on) in [
            ("", false),
            ("jetstream: true", true),
            ("jetstream: enabled", true),
            ("JetStream: Enabled", true),
            ("jetstream {}", true),
            ("jetstream { enabled: true }", true),
            ("jetstream { store_dir: x, enabled: false }", false),
            ("jetstream: false", false),
            ("jetstream: disabled", false),
            ("store_dir: x", false),
        ] {
            assert_eq!(read(text).is_some(), on, "{text}");
        }
    }

    #[test]
    fn what_is_given_is_read_and_the_rest_is_left_open() {
        let options = read(
            "jetstream { store_dir: \"/a/b\", max_mem: \"1G\", max_file: 2GB, domain: hub, strict: false, sync: \"2m\", \
             ek: s3cret, unique_tag: \"az:\", max_buffered_msgs: 5, max_buffered_account: 6MB, \
             max_buffered_total: 7MB, scrub_rate: 1MB, scrub_interval: \"7h\", limits { max_ack_pending: 7, duplicate_window: \"1m\", \
             batch { max_msgs: 9, timeout: \"3s\" } } }",
        )
        .unwrap();
        assert_eq!(options.store_dir.as_deref(), Some(std::path::Path::new("/a/b")));
        assert_eq!((options.max_memory, options.max_file), (Some(1 << 30), Some(2 << 30)));
        assert_eq!((options.domain.as_deref(), options.lenient), (Some("hub"), true));
        assert_eq!(options.sync, SyncPolicy::Every(Duration::from_mins(2)));
        assert_eq!(options.key.unwrap().expose_secret(), "s3cret");
        assert_eq!((options.max_buffered_msgs, options.limits.max_ack_pending), (Some(5), Some(7)));
        assert_eq!((options.max_buffered_account, options.max_buffered_total), (Some(6 << 20), Some(7 << 20)));
        assert_eq!((options.limits.max_batch_size, options.limits.max_request_batch), (Some(9), None));
        assert_eq!((options.scrub_rate, options.scrub_interval), (Some(1 << 20), Some(Duration::from_hours(7))));
        assert_eq!(read("jetstream { scrub_rate: 0 }").unwrap().scrub_rate, Some(0));
        let open = read("jetstream: true").unwrap();
        assert_eq!((open.store_dir, open.max_memory, open.max_file, open.sync), (None, None, None, SyncPolicy::Always));
        assert_eq!(read("jetstream { sync_interval: always }").unwrap().sync, SyncPolicy::Always);
        // What stands in the block says more.
        assert_eq!(
            read("store_dir: a\njetstream: true").unwrap().store_dir.as_deref(),
            Some(std::path::Path::new("a"))
        );
        let both = read("jetstream { store_dir: b }\nstore_dir: a").unwrap();
        assert_eq!(both.store_dir.as_deref(), Some(std::path::Path::new("b")));
    }

    #[test]
    fn what_cannot_be_is_told_with_its_place() {
        for (text, part) in [
            ("jetstream { domain: \"a.b\" }", "no name of a domain"),
            ("jetstream { sync_interval: 0 }", "longer than nothing"),
            ("jetstream { scrub_interval: 0 }", "`scrub_rate: 0` turns the search off"),
            ("jetstream { max_mem: \"1X\" }", "is no size"),
            ("jetstream: 5", "or a map in braces"),
            ("jetstream { limits { batch { max_msgs: x } } }", "whole number"),
            ("jetstream { tpm { keys_file: x } }", "not supported"),
            ("jetstream { domian: x }", "unknown option"),
        ] {
            let error = load_text(text, "t.conf").unwrap_err().to_string();
            assert!(error.contains(part) && error.contains("t.conf:1:"), "{text}: {error}");
        }
    }
}
