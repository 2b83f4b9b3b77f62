//! What an account asks of the node that it runs on.

use std::sync::Arc;

use cordon_accounts::subject::Pattern;

use crate::stream::Stream;

/// Takes messages that arrive for a subject of the node's own. Called on publishers' threads: copies, and never waits.
pub trait Ear: Send + Sync {
    /// A message arrived; false if nobody is there for it.
    fn hear(&self, subject: &[u8], reply: &[u8], payload: &[u8]) -> bool;
}

/// Something is heard until this is dropped.
pub struct Hearing(Option<Box<dyn FnOnce() + Send>>);

impl Hearing {
    /// One that `end` ends.
    pub fn new(end: impl FnOnce() + Send + 'static) -> Self {
        Self(Some(Box::new(end)))
    }
}

impl Drop for Hearing {
    fn drop(&mut self) {
        if let Some(end) = self.0.take() {
            end();
        }
    }
}

/// Work that takes its time.
pub type Work = Box<dyn FnOnce() + Send>;

/// The node, as one account's streams see it. Nothing here waits or calls back before it returns.
pub trait Host: Send + Sync {
    /// A worker is to call [`Stream::run`] soon. Called at most once until `run` was called.
    fn schedule(&self, stream: &Arc<Stream>);

    /// [`Stream::wake`] is to be called at `at` (Unix nanoseconds); takes the place of an earlier wish of this stream.
    /// `i64::MAX` is never.
    fn wake_at(&self, stream: &Arc<Stream>, at: i64);

    /// Work on a stream ended by a defect of the broker, and its state cannot be trusted: soon, and from another thread,
    /// [`Account::set_apart`](super::Account::set_apart) is to be called.
    fn broken(&self, _stream: &Arc<Stream>) {}

    /// From now on messages for exactly these subjects go to [`Stream::take`]; none ends it. Takes the place of what was
    /// said before. Called under the account's lock, so in order.
    fn listen(&self, stream: &Arc<Stream>, subjects: &[Pattern]);

    /// Messages of the account for `subject`, which may have wildcards, go to `ear`.
    fn hear(&self, subject: &str, ear: Arc<dyn Ear>) -> Hearing;

    /// Has `work` done on a thread of its own, which may wait; false if there are too many.
    #[must_use]
    fn begin(&self, work: Work) -> bool;
}
