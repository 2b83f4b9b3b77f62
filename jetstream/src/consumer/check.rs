//! Checks of a consumer's configuration, and the values that it gets for what it does not say (jetstream.md 3.2).
//!
//! What passes [`complete`] is what a consumer may hold; a refusal leaves everything as it was.

use cordon_accounts::subject::{Pattern, matching};

use crate::api::ApiError;
use crate::config::{
    AckPolicy, ConsumerConfig, DESCRIPTION_MAX, DeliverPolicy, METADATA_MAX, Moment, NAME_MAX, PriorityPolicy,
    ReplayPolicy, Retention, StreamConfig, has_path_separator, is_name,
};

/// How long a message waits for its acknowledgement.
const ACK_WAIT: i64 = 30 * SECOND;
/// How long an ephemeral consumer stays that nobody uses.
const EPHEMERAL_STAYS: i64 = 5 * SECOND;
/// Messages that wait for acknowledgement.
const ACK_PENDING: i64 = 1000;
/// Pull requests that wait.
const WAITING: i64 = 512;
/// Most pull requests that may be allowed to wait: each takes memory for as long as it waits.
const WAITING_MAX: i64 = 1 << 16;
/// Shortest heartbeat.
const HEARTBEAT_MIN: i64 = SECOND / 10;
/// How long a pinned client stays.
const PIN_STAYS: i64 = 120 * SECOND;
/// Most filters of one consumer; each message is compared with all of them.
const FILTERS_MAX: usize = 1024;
/// Longest list of waits.
const BACKOFF_MAX: usize = 1024;
const SECOND: i64 = 1_000_000_000;

/// What bounds a consumer from outside its stream; 0 and less is no bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// Messages that may wait for acknowledgement, by the account's limits.
    pub max_ack_pending: i64,
    /// Messages that a pull request may ask for, by the server's limits.
    pub max_request_batch: i64,
}

impl Bounds {
    /// Those of an account on this server.
    pub(crate) fn of(settings: &crate::account::Settings, limits: &crate::account::Limits) -> Self {
        let (one, other) = (limits.max_ack_pending, settings.max_ack_pending);
        let max_ack_pending = match (one > 0, other > 0) {
            (true, true) => one.min(other),
            (true, false) => one,
            _ => other,
        };
        Self { max_ack_pending, max_request_batch: settings.max_request_batch }
    }
}

/// Completes a configuration and checks it. With `pedantic` it is refused where it would be changed otherwise.
///
/// # Errors
///
/// The refusal as the API says it.
pub fn complete(
    config: &mut ConsumerConfig,
    stream: &StreamConfig,
    bounds: &Bounds,
    pedantic: bool,
) -> Result<(), ApiError> {
    check_names(config)?;
    check_replicas(config, stream)?;
    check_numbers(config)?;
    set_plain(config, pedantic)?;
    set_defaults(config, stream, bounds, pedantic)?;
    check_limits(config, stream, bounds)?;
    if config.deliver_subject.is_empty() {
        check_pull(config, bounds)?;
    } else {
        check_push(config, stream)?;
    }
    check_flow_control_acks(config)?;
    check_start(config)?;
    check_filters(config)?;
    check_priority(config)?;
    check_internal(config)?;
    if config.flow_control && config.idle_heartbeat == 0 {
        return Err(ApiError::consumer_with_flow_control_needs_heartbeats());
    }
    if stream.retention == Retention::WorkQueue {
        check_work_queue(config)?;
    }
    Ok(())
}

fn check_names(config: &mut ConsumerConfig) -> Result<(), ApiError> {
    if !config.durable_name.is_empty() {
        if config.name.is_empty() {
            config.name.clone_from(&config.durable_name);
        } else if config.name != config.durable_name {
            return Err(ApiError::consumer_create_durable_and_name_mismatch());
        }
    }
    if config.name.len() > NAME_MAX {
        return Err(ApiError::consumer_name_too_long(NAME_MAX));
    }
    if has_path_separator(&config.name) {
        return Err(ApiError::consumer_name_contains_path_separators());
    }
    if !config.durable_name.is_empty() && config.durable_name.contains(['.', '*', '>']) {
        return Err(ApiError::consumer_bad_durable_name());
    }
    if !is_name(&config.name) {
        return Err(ApiError::consumer_create("invalid consumer name"));
    }
    if config.description.len() > DESCRIPTION_MAX {
        return Err(ApiError::consumer_description_too_long(DESCRIPTION_MAX));
    }
    let metadata: usize = config.metadata.iter().map(|(key, value)| key.len() + value.len()).sum();
    if metadata > METADATA_MAX {
        return Err(ApiError::consumer_metadata_length(format_args!("{}KiB", METADATA_MAX / 1024)));
    }
    Ok(())
}

fn check_replicas(config: &ConsumerConfig, stream: &StreamConfig) -> Result<(), ApiError> {
    match config.num_replicas {
        0 | 1 => Ok(()),
        ..0 => Err(ApiError::replicas_count_cannot_be_negative()),
        asked if asked > stream.num_replicas.max(1) => Err(ApiError::replicas_not_supported()),
        _ => Ok(()),
    }
}

fn check_numbers(config: &ConsumerConfig) -> Result<(), ApiError> {
    if config.ack_wait < 0 {
        return Err(ApiError::consumer_ack_wait_negative());
    }
    if config.backoff.len() > BACKOFF_MAX || config.backoff.iter().any(|wait| *wait < 0) {
        return Err(ApiError::consumer_backoff_negative());
    }
    if sample_percent(&config.sample_freq).is_none() {
        let text = config.sample_freq.trim_end_matches('%');
        return Err(ApiError::consumer_invalid_sampling(format_args!("`{}` is no percentage", text.escape_debug())));
    }
    Ok(())
}

/// The share of acknowledgements that `sample_freq` means, at most 100; `None` if it is no percentage.
pub(crate) fn sample_percent(text: &str) -> Option<u32> {
    let text = text.strip_suffix('%').unwrap_or(text);
    if text.is_empty() {
        return Some(0);
    }
    text.parse::<u32>().ok().map(|percent| percent.min(100))
}

fn pedantic_unless(silent: bool, pedantic: bool, text: &str) -> Result<(), ApiError> {
    if pedantic && !silent { Err(ApiError::pedantic(text)) } else { Ok(()) }
}

/// Numbers below zero mean nothing; acknowledgement by flow control brings flow control with it.
fn set_plain(config: &mut ConsumerConfig, pedantic: bool) -> Result<(), ApiError> {
    let counts = [
        (&mut config.max_waiting, "max_waiting"),
        (&mut config.max_batch, "max_batch"),
        (&mut config.max_expires, "max_expires"),
        (&mut config.max_bytes, "max_bytes"),
        (&mut config.idle_heartbeat, "idle_heartbeat"),
        (&mut config.inactive_threshold, "inactive_threshold"),
        (&mut config.priority_timeout, "priority_timeout"),
    ];
    for (number, name) in counts {
        if *number < 0 {
            pedantic_unless(false, pedantic, &format!("{name} must not be negative"))?;
            *number = 0;
        }
    }
    if config.ack_policy == AckPolicy::FlowControl && !config.deliver_subject.is_empty() {
        pedantic_unless(config.flow_control, pedantic, "flow_control must be set")?;
        pedantic_unless(config.idle_heartbeat == SECOND, pedantic, "idle_heartbeat must be 1s")?;
        config.flow_control = true;
        config.idle_heartbeat = SECOND;
    }
    Ok(())
}

/// Sets what is not said, and numbers below those that mean "no limit".
fn set_defaults(
    config: &mut ConsumerConfig,
    stream: &StreamConfig,
    bounds: &Bounds,
    pedantic: bool,
) -> Result<(), ApiError> {
    let flow = config.ack_policy == AckPolicy::FlowControl;
    let push = !config.deliver_subject.is_empty();
    if config.max_deliver < -1 {
        pedantic_unless(false, pedantic, "max_deliver must be set to -1")?;
    }
    if config.max_deliver == 0 || config.max_deliver < -1 {
        config.max_deliver = -1;
    }
    if let Some(first) = config.backoff.first() {
        pedantic_unless(
            config.ack_wait == 0 || config.ack_wait == *first,
            pedantic,
            "first backoff value has to equal batch AckWait",
        )?;
        if !flow {
            config.ack_wait = *first;
        }
    } else if config.ack_wait == 0 && matches!(config.ack_policy, AckPolicy::Explicit | AckPolicy::All) {
        config.ack_wait = ACK_WAIT;
    }
    if config.max_ack_pending < -1 {
        pedantic_unless(false, pedantic, "max_ack_pending must be set to -1")?;
        config.max_ack_pending = -1;
    }
    if config.max_ack_pending == 0 && config.ack_policy != AckPolicy::None {
        let limit = stream.consumer_limits.max_ack_pending;
        pedantic_unless(limit <= 0, pedantic, "max_ack_pending must be set if it's configured in stream limits")?;
        config.max_ack_pending = if limit > 0 {
            limit
        } else if bounds.max_ack_pending > 0 {
            ACK_PENDING.min(bounds.max_ack_pending)
        } else {
            ACK_PENDING
        };
    }
    if config.inactive_threshold == 0 {
        let limit = stream.consumer_limits.inactive_threshold;
        pedantic_unless(limit <= 0, pedantic, "inactive_threshold must be set if it's configured in stream limits")?;
        if limit > 0 {
            config.inactive_threshold = limit;
        } else if config.durable_name.is_empty() {
            config.inactive_threshold = EPHEMERAL_STAYS;
        }
    }
    if !push && config.max_waiting == 0 {
        config.max_waiting = WAITING;
    }
    // Clients read from it how much they may ask for.
    if !push && config.max_batch == 0 && bounds.max_request_batch > 0 {
        pedantic_unless(false, pedantic, "max_request_batch must be set if it's JetStream limits are set")?;
        config.max_batch = bounds.max_request_batch;
    }
    if config.priority_policy == PriorityPolicy::PinnedClient && config.priority_timeout == 0 {
        config.priority_timeout = PIN_STAYS;
    }
    config.pause_until = config.pause_until.filter(|until| *until != Moment::NONE);
    Ok(())
}

fn check_limits(config: &ConsumerConfig, stream: &StreamConfig, bounds: &Bounds) -> Result<(), ApiError> {
    if config.max_deliver != -1 && config.backoff.len() as u64 > config.max_deliver.max(0).cast_unsigned() {
        return Err(ApiError::consumer_max_deliver_backoff());
    }
    let limits = &stream.consumer_limits;
    for limit in [limits.max_ack_pending, bounds.max_ack_pending] {
        let over = config.max_ack_pending > limit || config.max_ack_pending == -1;
        if limit > 0 && over && config.ack_policy != AckPolicy::None {
            return Err(ApiError::consumer_max_pending_ack_exceeded(limit));
        }
    }
    if limits.inactive_threshold > 0 && config.inactive_threshold > limits.inactive_threshold {
        return Err(ApiError::consumer_inactive_threshold_excess(super::status::GoDuration(limits.inactive_threshold)));
    }
    Ok(())
}

fn check_push(config: &ConsumerConfig, stream: &StreamConfig) -> Result<(), ApiError> {
    let subject = config.deliver_subject.as_bytes();
    if Pattern::parse(&config.deliver_subject).is_err() {
        return Err(ApiError::consumer_invalid_deliver_subject());
    }
    if !matching::is_literal(subject) {
        return Err(ApiError::consumer_deliver_to_wildcards());
    }
    if stream.subjects.iter().any(|pattern| matching::matches(pattern.as_bytes(), subject)) {
        return Err(ApiError::consumer_deliver_cycle());
    }
    if config.max_waiting != 0 {
        return Err(ApiError::consumer_push_max_waiting());
    }
    if config.max_ack_pending > 0 && config.ack_policy == AckPolicy::None {
        return Err(ApiError::consumer_max_pending_ack_policy_required());
    }
    if config.idle_heartbeat != 0 && config.idle_heartbeat < HEARTBEAT_MIN {
        return Err(ApiError::consumer_small_heartbeat());
    }
    Ok(())
}

fn check_pull(config: &ConsumerConfig, bounds: &Bounds) -> Result<(), ApiError> {
    if config.rate_limit_bps > 0 {
        return Err(ApiError::consumer_pull_with_rate_limit());
    }
    if config.max_waiting > WAITING_MAX {
        return Err(ApiError::consumer_create(format_args!("max waiting exceeds the limit of {WAITING_MAX}")));
    }
    if config.idle_heartbeat != 0 {
        return Err(ApiError::consumer_heartbeat_requires_push());
    }
    if config.flow_control {
        return Err(ApiError::consumer_flow_control_requires_push());
    }
    if config.max_expires != 0 && config.max_expires < SECOND / 1000 {
        return Err(ApiError::consumer_max_request_expires_too_small());
    }
    if bounds.max_request_batch > 0 && config.max_batch > bounds.max_request_batch {
        return Err(ApiError::consumer_max_request_batch_exceeded(bounds.max_request_batch));
    }
    Ok(())
}

fn check_flow_control_acks(config: &ConsumerConfig) -> Result<(), ApiError> {
    if config.ack_policy != AckPolicy::FlowControl {
        return Ok(());
    }
    if config.deliver_subject.is_empty() {
        return Err(ApiError::consumer_ack_fc_requires_push());
    }
    if !config.flow_control {
        return Err(ApiError::consumer_ack_fc_requires_flow_control());
    }
    if config.max_ack_pending <= 0 {
        return Err(ApiError::consumer_ack_fc_requires_max_ack_pending());
    }
    if config.ack_wait != 0 || !config.backoff.is_empty() {
        return Err(ApiError::consumer_ack_fc_requires_no_ack_wait());
    }
    if config.max_deliver > 0 {
        return Err(ApiError::consumer_ack_fc_requires_no_max_deliver());
    }
    Ok(())
}

fn check_start(config: &ConsumerConfig) -> Result<(), ApiError> {
    let name = match config.deliver_policy {
        DeliverPolicy::All => "all",
        DeliverPolicy::Last => "last",
        DeliverPolicy::New => "new",
        DeliverPolicy::LastPerSubject => "last per subject",
        DeliverPolicy::ByStartSequence => "by start sequence",
        DeliverPolicy::ByStartTime => "by start time",
    };
    let refuse = |what: &str| {
        Err(ApiError::consumer_invalid_policy(format_args!("consumer delivery policy is deliver {name}, but {what}")))
    };
    let (by_sequence, by_time) =
        (config.deliver_policy == DeliverPolicy::ByStartSequence, config.deliver_policy == DeliverPolicy::ByStartTime);
    if by_sequence && config.opt_start_seq == 0 {
        return refuse("optional start sequence is not set");
    }
    if by_time && config.opt_start_time.is_none() {
        return refuse("optional start time is not set");
    }
    if by_time && config.opt_start_seq > 0 {
        // Clients know it with the word twice.
        return refuse("optional start start sequence is also set");
    }
    if !by_sequence && config.opt_start_seq > 0 {
        return refuse("optional start sequence is also set");
    }
    if !by_time && config.opt_start_time.is_some() {
        return refuse("optional start time is also set");
    }
    if config.deliver_policy == DeliverPolicy::LastPerSubject
        && config.filter_subject.is_empty()
        && config.filter_subjects.is_empty()
    {
        return refuse("optional filter subject is not set");
    }
    Ok(())
}

fn check_filters(config: &ConsumerConfig) -> Result<(), ApiError> {
    if !config.filter_subject.is_empty() && !config.filter_subjects.is_empty() {
        return Err(ApiError::consumer_duplicate_filter_subjects());
    }
    if config.filter_subjects.iter().any(String::is_empty) {
        return Err(ApiError::consumer_empty_filter());
    }
    if config.filter_subjects.len() > FILTERS_MAX {
        return Err(ApiError::consumer_create(format_args!("more than {FILTERS_MAX} filter subjects")));
    }
    let mut patterns = Vec::new();
    for text in filters(config) {
        let Ok(pattern) = Pattern::parse(text) else {
            return Err(ApiError::stream_invalid_config("invalid subject"));
        };
        if patterns.iter().any(|other: &Pattern| other.overlaps(&pattern)) {
            return Err(ApiError::consumer_overlapping_subject_filters());
        }
        patterns.push(pattern);
    }
    Ok(())
}

fn filters(config: &ConsumerConfig) -> impl Iterator<Item = &str> {
    let one = (!config.filter_subject.is_empty()).then_some(config.filter_subject.as_str());
    one.into_iter().chain(config.filter_subjects.iter().map(String::as_str))
}

fn check_priority(config: &ConsumerConfig) -> Result<(), ApiError> {
    if config.priority_policy == PriorityPolicy::None {
        if !config.priority_groups.is_empty() {
            return Err(ApiError::consumer_priority_group_with_policy_none());
        }
        if config.priority_timeout != 0 {
            return Err(ApiError::consumer_pinned_ttl_without_policy());
        }
        return Ok(());
    }
    if !config.deliver_subject.is_empty() {
        return Err(ApiError::consumer_push_with_priority_group());
    }
    if config.priority_groups.is_empty() {
        return Err(ApiError::consumer_priority_policy_without_group());
    }
    config.priority_groups.iter().try_for_each(|name| check_group(name))
}

/// Checks the name of a priority group.
///
/// # Errors
///
/// 10161 for an empty one, 10162 for one with other characters or more than 16.
pub fn check_group(name: &str) -> Result<(), ApiError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'_' | b'=' | b'-');
    if name.is_empty() {
        Err(ApiError::consumer_empty_group_name())
    } else if name.len() > 16 || !name.bytes().all(allowed) {
        Err(ApiError::consumer_invalid_group_name())
    } else {
        Ok(())
    }
}

fn check_internal(config: &ConsumerConfig) -> Result<(), ApiError> {
    if !config.direct {
        return Ok(());
    }
    if config.deliver_subject.is_empty() {
        return Err(ApiError::consumer_direct_requires_push());
    }
    if !config.durable_name.is_empty() {
        return Err(ApiError::consumer_direct_requires_ephemeral());
    }
    Ok(())
}

fn check_work_queue(config: &ConsumerConfig) -> Result<(), ApiError> {
    if config.direct {
        return Ok(());
    }
    if !matches!(config.ack_policy, AckPolicy::Explicit | AckPolicy::FlowControl) {
        let pull_without = config.deliver_subject.is_empty() && config.ack_policy == AckPolicy::None;
        return Err(if pull_without {
            ApiError::consumer_pull_requires_ack()
        } else {
            ApiError::consumer_work_queue_requires_explicit_ack()
        });
    }
    if config.deliver_policy != DeliverPolicy::All {
        return Err(ApiError::consumer_work_queue_not_deliver_all());
    }
    Ok(())
}

/// Each message of a work queue has at most one consumer: checks a completed configuration against `others`.
///
/// # Errors
///
/// 10099 if this one or another one has no filter, 10100 if filters have a subject in common.
pub fn check_unique<'a>(
    config: &ConsumerConfig,
    others: impl IntoIterator<Item = &'a ConsumerConfig>,
) -> Result<(), ApiError> {
    if config.direct || config.sourcing {
        return Ok(());
    }
    for other in others.into_iter().filter(|other| !other.direct && !other.sourcing) {
        let (mut ours, mut theirs) = (filters(config).peekable(), filters(other).peekable());
        if ours.peek().is_none() || theirs.peek().is_none() {
            return Err(ApiError::consumer_work_queue_multiple_unfiltered());
        }
        let theirs: Vec<&str> = theirs.collect();
        if ours.any(|one| theirs.iter().any(|two| matching::overlaps(one.as_bytes(), two.as_bytes()))) {
            return Err(ApiError::consumer_work_queue_not_unique());
        }
    }
    Ok(())
}

/// A stream that has `count` consumers may have one more.
///
/// # Errors
///
/// 10026 if the stream's or the account's `max_consumers` (0 and less for none) is reached.
pub fn check_room(count: usize, stream: i64, account: i64) -> Result<(), ApiError> {
    let full = [stream, account].into_iter().any(|most| most > 0 && count as u64 >= most.cast_unsigned());
    if full { Err(ApiError::maximum_consumers()) } else { Ok(()) }
}

/// The level of the API that a configuration needs (jetstream.md 2.1).
pub fn required_level(config: &ConsumerConfig) -> u64 {
    if config.ack_policy == AckPolicy::FlowControl {
        4
    } else {
        u64::from(config.pause_until.is_some() || config.priority_policy != PriorityPolicy::None)
    }
}

const _: () = assert!(ReplayPolicy::Instant as u8 == 0, "what a missing field means");
