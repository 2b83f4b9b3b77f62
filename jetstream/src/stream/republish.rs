//! Messages stored are published again (jetstream.md 2.9.6).
//!
//! As with everything that others see, this happens once the message is on disk, and before its publisher is answered.

use super::Core;
use super::head::{Builder, OURS, is_ours};
use super::publish::Publication;
use crate::config::Moment;

impl Core {
    /// Publishes a stored message again, if the stream is to; `before` is the last sequence of its subject before it.
    pub(super) fn republish(&mut self, message: &Publication<'_>, seq: u64, before: u64) {
        let Some(transform) = &self.rules.republish else { return };
        let Some(to) = transform.apply(&message.subject, |below| u32::from(below > 1)) else { return };
        let headers_only = self.config.republish.as_ref().is_some_and(|republish| republish.headers_only);
        let mut block = Builder::from(&message.header, is_ours)
            .add(OURS.stream, &self.config.name)
            .add(OURS.subject, &message.subject)
            .number(OURS.sequence, seq)
            .add(OURS.time, Moment(self.now).to_string())
            .number(OURS.last_sequence, before);
        let mut payload: &[u8] = &message.payload;
        if headers_only {
            block = block.number(OURS.size, payload.len());
            payload = b"";
        }
        self.answers.publish(&to, &block.done(), payload);
    }
}
