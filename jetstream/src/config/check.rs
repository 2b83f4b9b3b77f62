//! A stream's configuration, completed and checked by itself (jetstream.md 2.1 to 2.3).
//!
//! What depends on other streams than the origins of a mirror or of sources (subjects that overlap, limits of the
//! account) is the account's to check.

use std::sync::Arc;

use cordon_accounts::subject::{Pattern, Transform};

use super::{
    DESCRIPTION_MAX, Discard, METADATA_MAX, PersistMode, Retention, Storage, StreamConfig, is_name, level, origin,
};
use crate::account::Settings;
use crate::api::ApiError;

const MILLISECOND: i64 = 1_000_000;
/// Shortest age and duplicate window.
const SHORTEST: i64 = 100 * MILLISECOND;
const SECOND: i64 = 1000 * MILLISECOND;
/// The duplicate window of streams that say none.
const DUPLICATE_WINDOW: i64 = 120 * SECOND;
/// Most copies that clients may ask for.
const REPLICAS_MAX: i64 = 5;

/// What a check needs to know.
pub struct Surroundings<'a> {
    /// The node's settings.
    pub settings: &'a Settings,
    /// The caller wants to be refused where something would be changed silently.
    pub pedantic: bool,
    /// The configuration of another stream of the account.
    pub stream: &'a dyn Fn(&str) -> Option<Arc<StreamConfig>>,
}

impl Surroundings<'_> {
    /// Something is changed silently; refused if the caller is pedantic.
    fn adjust(&self, what: &str) -> Result<(), ApiError> {
        if self.pedantic { Err(ApiError::pedantic(what)) } else { Ok(()) }
    }
}

fn invalid(what: impl std::fmt::Display) -> ApiError {
    ApiError::stream_invalid_config(what)
}

/// Completes and checks a configuration.
///
/// # Errors
///
/// The refusal that the client gets.
pub fn complete(mut config: StreamConfig, around: &Surroundings<'_>) -> Result<StreamConfig, ApiError> {
    name_and_texts(&config)?;
    numbers(&mut config, around)?;
    replicas(&mut config)?;
    ages(&mut config, around)?;
    if config.subjects.is_empty() && config.mirror.is_none() && config.sources.is_empty() {
        config.subjects = vec![config.name.clone()];
    }
    features(&config)?;
    schedules(&mut config, around)?;
    subjects(&config)?;
    origin::check(&mut config, around)?;
    transforms(&mut config, around)?;
    duplicate_window(&mut config, around)?;
    placement(&mut config)?;
    let level = level::of_stream(&config);
    level::stamp(&mut config.metadata, level);
    Ok(config)
}

fn name_and_texts(config: &StreamConfig) -> Result<(), ApiError> {
    if config.name.is_empty() {
        return Err(invalid("stream name is required"));
    }
    if config.name.len() > super::NAME_MAX {
        return Err(invalid(format_args!("stream name is too long, maximum allowed is {}", super::NAME_MAX)));
    }
    if !is_name(&config.name) {
        return Err(invalid("stream name can not contain white space, '.', '*', '>' or path separators"));
    }
    if config.description.len() > DESCRIPTION_MAX {
        return Err(invalid(format_args!("stream description is too long, maximum allowed is {DESCRIPTION_MAX}")));
    }
    let metadata: usize = config.metadata.iter().map(|(key, value)| key.len() + value.len()).sum();
    if metadata > METADATA_MAX {
        return Err(invalid(format_args!("stream metadata exceeds maximum size of {METADATA_MAX} bytes")));
    }
    Ok(())
}

fn numbers(config: &mut StreamConfig, around: &Surroundings<'_>) -> Result<(), ApiError> {
    for (number, name) in [
        (&mut config.max_msgs, "max_msgs"),
        (&mut config.max_msgs_per_subject, "max_msgs_per_subject"),
        (&mut config.max_bytes, "max_bytes"),
        (&mut config.max_consumers, "max_consumers"),
    ] {
        if *number < -1 {
            around.adjust(&format!("{name} must be set to -1"))?;
        }
        if *number <= 0 {
            *number = -1;
        }
    }
    if config.max_msg_size < -1 {
        around.adjust("max_msg_size must be set to -1")?;
    }
    if config.max_msg_size <= 0 {
        config.max_msg_size = -1;
    }
    let limits = &mut config.consumer_limits;
    if limits.inactive_threshold < 0 || limits.max_ack_pending < -1 {
        return Err(invalid("consumer limits can not be negative"));
    }
    Ok(())
}

fn replicas(config: &mut StreamConfig) -> Result<(), ApiError> {
    match config.num_replicas {
        i64::MIN..0 => Err(ApiError::replicas_count_cannot_be_negative()),
        0 | 1 => {
            config.num_replicas = 1;
            Ok(())
        }
        2..=REPLICAS_MAX => Err(ApiError::replicas_not_supported()),
        _ => Err(invalid(format_args!("maximum replicas is {REPLICAS_MAX}"))),
    }
}

fn ages(config: &mut StreamConfig, around: &Surroundings<'_>) -> Result<(), ApiError> {
    if config.max_age < 0 {
        return Err(invalid("max age can not be negative"));
    }
    if config.max_age != 0 && config.max_age < SHORTEST {
        return Err(invalid("max age needs to be >= 100ms"));
    }
    let marker = config.subject_delete_marker_ttl;
    if marker < 0 {
        return Err(invalid("subject delete marker TTL must not be negative"));
    }
    if marker > 0 {
        if config.mirror.is_some() {
            return Err(invalid("subject delete markers forbidden on mirrors"));
        }
        if marker < SECOND {
            return Err(invalid("subject delete marker TTL must be at least 1 second"));
        }
        if !config.allow_msg_ttl {
            around.adjust("subject marker cannot be set if message TTLs are disabled")?;
            config.allow_msg_ttl = true;
        }
        if !config.allow_rollup_hdrs {
            around.adjust("subject marker cannot be set if roll-ups are disabled")?;
            config.allow_rollup_hdrs = true;
        }
        if config.deny_purge {
            around.adjust("subject marker cannot be set if purge is denied")?;
            config.deny_purge = false;
        }
    }
    Ok(())
}

fn duplicate_window(config: &mut StreamConfig, around: &Surroundings<'_>) -> Result<(), ApiError> {
    let window = config.duplicate_window;
    let most = around.settings.max_duplicate_window;
    if window == 0 {
        if config.mirror.is_none() && config.sources.is_empty() {
            let mut window = DUPLICATE_WINDOW;
            for bound in [config.max_age, most] {
                if bound > 0 && bound < window {
                    around.adjust(&format!("duplicate window limits are not respected: {bound}ns"))?;
                    window = bound;
                }
            }
            config.duplicate_window = window;
        }
        return Ok(());
    }
    if window < 0 {
        return Err(invalid("duplicates window can not be negative"));
    }
    if window < SHORTEST {
        return Err(invalid("duplicates window needs to be >= 100ms"));
    }
    if config.max_age != 0 && window > config.max_age {
        return Err(invalid("duplicates window can not be larger then max age"));
    }
    if most > 0 && window > most {
        return Err(invalid("duplicates window can not be larger then server limit"));
    }
    Ok(())
}

fn features(config: &StreamConfig) -> Result<(), ApiError> {
    if config.discard_new_per_subject {
        if config.discard != Discard::New {
            return Err(invalid("discard new per subject requires discard new policy to be set"));
        }
        if config.max_msgs_per_subject <= 0 {
            return Err(invalid("discard new per subject requires max msgs per subject > 0"));
        }
    }
    if config.mirror_direct && config.mirror.is_none() {
        return Err(invalid("stream has no mirror but does have mirror direct"));
    }
    if config.deny_purge && config.allow_rollup_hdrs && !config.allow_msg_schedules {
        return Err(invalid("roll-ups require the purge permission"));
    }
    counters(config)?;
    if config.persist_mode == PersistMode::Async {
        if config.storage != Storage::File {
            return Err(invalid("async persist mode is only supported on file storage"));
        }
        if config.allow_atomic {
            return Err(invalid("async persist mode is not supported with atomic batch publish"));
        }
    }
    Ok(())
}

/// Schedules take the place of each other, which needs rollups.
fn schedules(config: &mut StreamConfig, around: &Surroundings<'_>) -> Result<(), ApiError> {
    if !config.allow_msg_schedules {
        return Ok(());
    }
    if config.mirror.is_some() {
        return Err(ApiError::mirror_with_msg_schedules());
    }
    if !config.sources.is_empty() {
        return Err(ApiError::source_with_msg_schedules());
    }
    if config.sealed {
        return Ok(());
    }
    if config.discard == Discard::New {
        return Err(invalid("message scheduling cannot use discard new"));
    }
    if around.pedantic && !config.allow_rollup_hdrs {
        return Err(invalid("message scheduling cannot be set if roll-ups are disabled"));
    }
    if around.pedantic && config.deny_purge {
        return Err(invalid("roll-ups require the purge permission"));
    }
    config.allow_rollup_hdrs = true;
    config.deny_purge = false;
    Ok(())
}

fn counters(config: &StreamConfig) -> Result<(), ApiError> {
    if !config.allow_msg_counter {
        return Ok(());
    }
    if config.mirror.is_some() {
        return Err(ApiError::mirror_with_counters());
    }
    let refused = [
        (config.retention != Retention::Limits, "counter stream can only use limits retention"),
        (config.discard == Discard::New, "counter stream cannot use discard new"),
        (config.allow_msg_ttl, "counter stream cannot use message TTLs"),
        (config.allow_msg_schedules, "counter stream cannot use message schedules"),
    ];
    refused.iter().find(|(holds, _)| *holds).map_or(Ok(()), |(_, text)| Err(invalid(text)))
}

/// Subjects that only a stream may store that does not acknowledge, and what is excepted.
const RESERVED: [(&str, &str); 4] =
    [("$JS.>", "$JS.EVENT.>"), ("$JSC.>", ""), ("$NRG.>", ""), ("$SYS.>", "$SYS.ACCOUNT.>")];

fn subjects(config: &StreamConfig) -> Result<(), ApiError> {
    let mut seen: Vec<Pattern> = Vec::with_capacity(config.subjects.len());
    for text in &config.subjects {
        let subject = Pattern::parse(text).map_err(|error| invalid(format_args!("invalid subject: {error}")))?;
        if subject.as_str() == ">" && !config.no_ack {
            return Err(invalid("capturing all subjects requires no-ack to be true"));
        }
        if !config.no_ack {
            reserved(&subject)?;
        }
        for other in &seen {
            if *other == subject {
                return Err(invalid("duplicate subjects detected"));
            }
            if other.overlaps(&subject) {
                return Err(invalid(format_args!("subject `{subject}` overlaps with `{other}`")));
            }
        }
        seen.push(subject);
    }
    Ok(())
}

fn reserved(subject: &Pattern) -> Result<(), ApiError> {
    let pattern = |text: &str| Pattern::parse(text).ok();
    for (space, excepted) in RESERVED {
        if subject.as_str() != ">"
            && pattern(space).is_some_and(|space| space.overlaps(subject))
            && !pattern(excepted).is_some_and(|excepted| excepted.contains(subject))
        {
            return Err(invalid(if space == "$SYS.>" {
                "subjects that overlap with system api require no-ack to be true"
            } else {
                "subjects that overlap with jetstream api require no-ack to be true"
            }));
        }
    }
    Ok(())
}

fn transforms(config: &mut StreamConfig, around: &Surroundings<'_>) -> Result<(), ApiError> {
    if let Some(transform) = &config.subject_transform {
        if config.mirror.is_some() {
            return Err(invalid("stream subject transform is not supported on mirrors"));
        }
        let source = if transform.src.is_empty() { ">" } else { &transform.src };
        Pattern::parse(source).map_err(ApiError::stream_transform_invalid_source)?;
        Transform::new(source, &transform.dest).map_err(ApiError::stream_transform_invalid_destination)?;
    }
    let Some(republish) = &mut config.republish else { return Ok(()) };
    if republish.src.is_empty() {
        around.adjust("republish source can not be empty")?;
        ">".clone_into(&mut republish.src);
    }
    if republish.src == ">"
        && republish.dest == ">"
        && let (Some(transform), [_]) = (&config.subject_transform, config.subjects.as_slice())
    {
        around.adjust("republish of the transformed subject")?;
        republish.src.clone_from(&transform.dest);
        republish.dest.clone_from(&transform.dest);
    }
    let transform = Transform::new(&republish.src, &republish.dest).map_err(|error| {
        invalid(format_args!(
            "stream configuration for republish with transform from '{}' to '{}' not valid: {error}",
            republish.src, republish.dest
        ))
    })?;
    let target = transform.target();
    for subject in config.subjects.iter().filter_map(|subject| Pattern::parse(subject).ok()) {
        let overlaps = match &target {
            Some(target) => target.overlaps(&subject),
            None => Pattern::parse(&starred(&republish.dest)).is_ok_and(|dest| dest.overlaps(&subject)),
        };
        if overlaps {
            return Err(invalid("stream configuration for republish destination forms a cycle"));
        }
    }
    Ok(())
}

/// A destination with `*` for each token that is computed.
fn starred(destination: &str) -> String {
    let computed = |token: &str| token.contains("{{") || token.starts_with('$');
    destination.split('.').map(|token| if computed(token) { "*" } else { token }).collect::<Vec<_>>().join(".")
}

fn placement(config: &mut StreamConfig) -> Result<(), ApiError> {
    if config.placement.as_ref().is_some_and(|placement| !placement.preferred.is_empty()) {
        return Err(invalid("preferred server not permitted in placement"));
    }
    if config.placement.as_ref().is_some_and(|placement| *placement == super::Placement::default()) {
        config.placement = None;
    }
    Ok(())
}
