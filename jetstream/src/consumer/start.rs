//! Where a new consumer begins (jetstream.md 3.3).

use super::progress::Progress;
use super::{starts_with_last_of_each, tracking_of, waits_of};
use crate::config::{ConsumerConfig, DeliverPolicy};
use crate::store::{Filter, Store};

/// The progress of a consumer that has delivered nothing yet.
pub(crate) fn begin(config: &ConsumerConfig, filter: &Filter, store: &dyn Store) -> Progress {
    let next = first_sequence(config, filter, store);
    let mut progress = Progress::new(tracking_of(config), &waits_of(config), next);
    if starts_with_last_of_each(config) {
        let mut list = Vec::new();
        store.subjects(filter, None, &mut |_, of| {
            list.push(of.last);
            true
        });
        list.sort_unstable();
        progress.start_with_list(list, store.state().last_seq + 1);
    }
    progress
}

/// The sequence that a start option means; `None` for policies without one.
pub(crate) fn floor_of_start(config: &ConsumerConfig, store: &dyn Store) -> Option<u64> {
    match config.deliver_policy {
        DeliverPolicy::ByStartSequence => Some(config.opt_start_seq),
        DeliverPolicy::ByStartTime => Some(store.at_time(config.opt_start_time.unwrap_or_default().0)),
        _ => None,
    }
}

fn first_sequence(config: &ConsumerConfig, filter: &Filter, store: &dyn Store) -> u64 {
    let state = store.state();
    match config.deliver_policy {
        DeliverPolicy::All | DeliverPolicy::LastPerSubject => state.first_seq,
        DeliverPolicy::Last => store.last(filter, state.last_seq).unwrap_or(state.last_seq + 1),
        DeliverPolicy::New => state.last_seq + 1,
        // A sequence that is not there yet is kept: it is waited for.
        DeliverPolicy::ByStartSequence => config.opt_start_seq.max(state.first_seq),
        DeliverPolicy::ByStartTime => store.at_time(config.opt_start_time.unwrap_or_default().0).max(state.first_seq),
    }
}
