//! What carries the traffic of a run: a server, or the forwarder that stands for the physical limit. The same
//! client code drives both; only the lines of the greeting and the verbs of the frames differ.

use crate::shape::SID;

/// Server or forwarder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Via {
    /// Bytes are copied as they are: publishers send frames that already look delivered, nobody answers PING.
    Forwarder,
    /// The NATS protocol.
    Server,
}

impl Via {
    /// Whether the forwarder carries it.
    pub(crate) fn is_forwarder(self) -> bool {
        self == Self::Forwarder
    }

    /// Greeting line of a connection that gets what is published to `subject`, which is `channel` to the forwarder.
    pub(crate) fn subscribe(self, channel: &str, subject: &str) -> String {
        match self {
            Self::Forwarder => format!("TAKE {channel}\r\n"),
            Self::Server => format!("SUB {subject} {SID}\r\n"),
        }
    }

    /// Greeting line of a member of a queue group on `subject`.
    pub(crate) fn join(self, channel: &str, subject: &str, group: &str) -> String {
        match self {
            Self::Forwarder => format!("SHARE {channel}\r\n"),
            Self::Server => format!("SUB {subject} {group} {SID}\r\n"),
        }
    }

    /// Greeting line of a connection that publishes.
    pub(crate) fn publish(self, channel: &str) -> String {
        match self {
            Self::Forwarder => format!("FEED {channel}\r\n"),
            Self::Server => String::new(),
        }
    }
}
