//! What the streams of one account may take: `jetstream` of an account.

use cordon_accounts::claims::JetStreamLimits;
use cordon_accounts::limits::Limit;

use crate::config::value::{Node, Problem, Value};
use crate::tenant::JetStreamTerms;

/// Reads the option: a switch, a word or a map of limits. `None` if the account has no streams.
///
/// # Errors
///
/// A [`Problem`] if it is nothing of that kind; those of single limits are added to `problems`.
pub(super) fn read(node: &Node, problems: &mut Vec<Problem>) -> Result<Option<JetStreamTerms>, Problem> {
    match &node.value {
        Value::Bool(on) => return Ok(on.then(JetStreamTerms::unlimited)),
        Value::Text(text) => {
            return match text.to_ascii_lowercase().as_str() {
                "enabled" | "enable" => Ok(Some(JetStreamTerms::unlimited())),
                "disabled" | "disable" => Ok(None),
                _ => Err(node.problem("expected true, false, `enabled`, `disabled` or a map of limits")),
            };
        }
        _ => {}
    }
    node.entries()?;
    let mut limits = JetStreamTerms::unlimited().flat.unwrap_or_default();
    let mut reads_need_permission = false;
    node.read(problems, |option, value| {
        if option == "reads_need_permission" {
            reads_need_permission = value.switch()?;
            return Ok(true);
        }
        set(&mut limits, option, value)
    });
    Ok(Some(JetStreamTerms { flat: Some(limits), reads_need_permission, ..JetStreamTerms::default() }))
}

fn set(limits: &mut JetStreamLimits, option: &str, value: &Node) -> Result<bool, Problem> {
    match option {
        "max_bytes_required" | "max_stream_bytes" | "max_bytes" => limits.max_bytes_required = value.switch()?,
        "max_memory" | "max_mem" | "mem" | "memory" => limits.mem_storage = limit(storage(value)?, value)?,
        "max_store" | "max_file" | "max_disk" | "store" | "disk" => {
            limits.disk_storage = limit(storage(value)?, value)?;
        }
        "mem_max_stream_bytes" | "memory_max_stream_bytes" => {
            limits.mem_max_stream_bytes = limit(storage(value)?, value)?;
        }
        "disk_max_stream_bytes" | "store_max_stream_bytes" => {
            limits.disk_max_stream_bytes = limit(storage(value)?, value)?;
        }
        "max_streams" | "streams" => limits.streams = limit(value.integer()?, value)?,
        "max_consumers" | "consumers" => limits.consumer = limit(value.integer()?, value)?,
        "max_ack_pending" => limits.max_ack_pending = limit(value.integer()?, value)?,
        "cluster_traffic" => match value.text()? {
            "system" | "owner" => {}
            other => return Err(value.problem(format!("`{other}` is neither `system` nor `owner`"))),
        },
        _ => return Ok(false),
    }
    Ok(true)
}

fn limit(number: i64, node: &Node) -> Result<Limit, Problem> {
    let limit = Limit(number);
    if limit.is_meaningful() {
        return Ok(limit);
    }
    Err(node.problem(format!("`{number}` is out of range: a limit is 0 or more, or -1 for none")))
}

/// A size: a number, or a number with K, M, G or T as text.
///
/// # Errors
///
/// A [`Problem`] if it is neither.
pub(in crate::config) fn storage(node: &Node) -> Result<i64, Problem> {
    let Value::Text(text) = &node.value else { return node.integer() };
    let (digits, unit) = match text.strip_suffix(['K', 'M', 'G', 'T']) {
        None => (text.as_str(), 0),
        Some(digits) => (
            digits,
            match text.as_bytes().last() {
                Some(b'K') => 10,
                Some(b'M') => 20,
                Some(b'G') => 30,
                _ => 40,
            },
        ),
    };
    let wrong = || node.problem(format!("`{text}` is no size: write one like \"1G\", or 1GB without quotes"));
    let number: i64 = digits.parse().map_err(|_| wrong())?;
    number.checked_mul(1 << unit).ok_or_else(wrong)
}
