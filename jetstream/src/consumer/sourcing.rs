//! Consumers that other servers' mirrors and sources ask for (jetstream.md 2.11): named by who asks, so that the asker
//! finds its own again, and made into what the stream needs.
//!
//! A stream that keeps by limits loses nothing by a consumer that forgets: each question gets a new one, by a name of
//! its own. One that keeps by interest would throw away what is still on its way: there it is a durable consumer, whose
//! receiver confirms what is on disk on its side.

use crate::config::{AckPolicy, ConsumerConfig, DeliverPolicy, Retention};

/// Messages that may be on their way, unconfirmed.
const UNCONFIRMED: i64 = 1000;

/// Makes what was asked for into what a stream that keeps by `retention` gives.
pub(crate) fn adapt(config: &mut ConsumerConfig, retention: Retention) {
    if !(config.sourcing && config.direct) || config.name.is_empty() {
        return;
    }
    if retention == Retention::Limits {
        let nuid = nuid::next();
        let text = nuid.as_str();
        let unique = text.get(text.len().saturating_sub(8)..).unwrap_or(text);
        config.name = format!("{}-{unique}", config.name);
        return;
    }
    config.direct = false;
    config.durable_name.clone_from(&config.name);
    config.ack_policy = AckPolicy::FlowControl;
    config.deliver_policy = DeliverPolicy::All;
    (config.opt_start_seq, config.opt_start_time) = (0, None);
    (config.ack_wait, config.max_deliver, config.max_ack_pending) = (0, -1, UNCONFIRMED);
    config.inactive_threshold = 0;
}

/// It is one that [`adapt`] made durable.
pub(crate) fn is_kept_for_another(config: &ConsumerConfig) -> bool {
    config.sourcing && !config.direct
}
