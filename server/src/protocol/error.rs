//! Breaches of the protocol, and what the peer is told of each.

use cordon_accounts::reason::Reason;

/// A breach of the protocol: each ends the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// Operation known, arguments wrong.
    #[error("malformed arguments of {0}")]
    Arguments(&'static str),
    /// The arguments of a control line exceed the limit.
    #[error("control line longer than {limit} bytes")]
    ControlLine {
        /// The limit in force.
        limit: usize,
    },
    /// JSON of CONNECT or INFO that does not parse.
    #[error("malformed json of {0}")]
    Json(&'static str),
    /// A message over the payload limit.
    #[error("message of {size} bytes exceeds the limit of {limit}")]
    Payload {
        /// Size announced.
        size: usize,
        /// The limit in force.
        limit: usize,
    },
    /// The peer sent `-ERR`.
    #[error("the peer reported an error")]
    PeerError,
    /// No operation of a client, or a payload without its CRLF.
    #[error("unknown protocol operation")]
    UnknownOperation,
}

impl ProtocolError {
    /// What the peer is told before the connection ends; some breaches end it silently, as
    /// clients of nats-server expect.
    pub const fn wire_text(self) -> Option<&'static str> {
        match self {
            Self::ControlLine { .. } => Some("maximum control line exceeded"),
            Self::Payload { .. } => Some("Maximum Payload Violation"),
            Self::UnknownOperation => Some("Unknown Protocol Operation"),
            Self::Arguments(_) | Self::Json(_) | Self::PeerError => None,
        }
    }

    /// The reason that logs, events and the ledger carry.
    pub const fn reason(self) -> Reason {
        match self {
            Self::ControlLine { .. } => Reason::ControlLineLimit,
            Self::Payload { .. } => Reason::PayloadLimit,
            Self::Arguments(_) | Self::Json(_) | Self::PeerError | Self::UnknownOperation => Reason::ProtocolViolation,
        }
    }
}
