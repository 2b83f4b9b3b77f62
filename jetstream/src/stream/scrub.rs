//! The search for damage in what a stream keeps in files, while it works.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::json;

use super::Stream;
use super::advisory::{About, publish};
use crate::store::file::Looked;

/// What a look through a stream's files came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scrubbed {
    /// Files that were read.
    pub(crate) files: u64,
    /// Files of which something is damaged.
    pub(crate) ill: u64,
    /// Messages that are lost by that, and were not known to be.
    pub(crate) messages: u64,
}

impl Stream {
    /// Reads through all of its files that are not written any more, and makes known what is damaged as if somebody had
    /// asked for it: the messages are listed as lost from then on. `pace` is told how many bytes are read next; it may
    /// wait, and ends it by `false`. `None` then, or if the stream ends.
    pub(crate) fn scrub(self: &Arc<Self>, pace: &mut dyn FnMut(u64) -> bool) -> Option<Scrubbed> {
        let (mut done, mut from) = (Scrubbed::default(), 0);
        while let Some(sealed) = self.look(|core| core.store().sealed(from)) {
            if self.gone.load(Ordering::Relaxed) {
                return None;
            }
            from = sealed.number() + 1;
            done.files += 1;
            match sealed.look(pace) {
                Looked::Whole => {}
                Looked::Stopped => return None,
                Looked::Failed(error) => {
                    tracing::error!(stream = %self.name, file = sealed.number(), %error, "a file of a stream cannot be read through");
                }
                Looked::Ill(ill) => {
                    if self.gone.load(Ordering::Relaxed) {
                        return None;
                    }
                    let messages = self.change(|core, _| core.store.found_ill(&ill));
                    done.ill += 1;
                    done.messages += messages;
                    if messages > 0 {
                        self.tell_damage(messages);
                    }
                }
            }
        }
        Some(done)
    }

    fn tell_damage(&self, messages: u64) {
        let about = || json!({"stream": &*self.name, "lost": messages});
        let place = About { domain: self.domain(), now: self.clock.unix_nanos() };
        publish(&place, &*self.port, &format!("ADVISORY.STREAM.DAMAGE.{}", self.name), "stream_damage", about);
        self.port.flush();
    }
}
