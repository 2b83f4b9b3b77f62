//! Who takes what is fed: the only thing that the forwarder knows.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use super::PONG;
use super::stream::Stream;

/// What a connection asked for in its greeting.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Role {
    /// The channel that it feeds.
    pub(super) feeds: Option<String>,
    /// The channel that it takes from.
    pub(super) takes: Option<Taking>,
}

/// How a connection takes from a channel.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Taking {
    /// The channel's name.
    pub(super) channel: String,
    /// Whether each feeder feeds only one of the takers: a queue group, as far as bytes can be shared.
    pub(super) shared: bool,
}

/// One taking connection.
#[derive(Clone)]
pub(super) struct Taker(Arc<Mutex<Stream>>);

impl Taker {
    /// Sends all of `bytes`.
    ///
    /// # Errors
    ///
    /// When the taker is gone.
    pub(super) fn write_all(&self, bytes: &[u8]) -> io::Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write_all(bytes)
    }
}

/// All connections that do not feed.
#[derive(Clone, Default)]
pub(super) struct Channels(Arc<Mutex<Everyone>>);

#[derive(Default)]
struct Everyone {
    channels: HashMap<String, Channel>,
    idle: Vec<Stream>,
}

#[derive(Default)]
struct Channel {
    takers: Vec<Taker>,
    shared: bool,
    feeders: usize,
}

impl Channels {
    /// Ends the greeting of a connection and keeps it open, as a taker if it takes: nobody who begins to feed after
    /// that PONG misses it, and nothing is sent to it before.
    pub(super) fn keep(&self, mut stream: Stream, takes: Option<Taking>) {
        let mut everyone = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if stream.write_all(PONG).is_err() {
            return;
        }
        let Some(Taking { channel, shared }) = takes else {
            return everyone.idle.push(stream.without_input());
        };
        let channel = everyone.channels.entry(channel).or_default();
        channel.shared |= shared;
        channel.takers.push(Taker(Arc::new(Mutex::new(stream.without_input()))));
    }

    /// Who gets what the next feeder of `channel` sends: all takers, or one where they share.
    pub(super) fn takers(&self, channel: &str) -> Vec<Taker> {
        let mut everyone = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(channel) = everyone.channels.get_mut(channel) else {
            return Vec::new();
        };
        if !channel.shared {
            return channel.takers.clone();
        }
        channel.feeders += 1;
        channel.takers.get((channel.feeders - 1) % channel.takers.len()).cloned().into_iter().collect()
    }
}
