//! How a connection ends, for its peer, the monitoring and the log.

use cordon_accounts::reason::Reason;
use cordon_auth::refusal::ClosePolicy;

use crate::protocol::ProtocolError;
use crate::websocket::close;
use crate::websocket::frame::FrameError;

/// The end of a connection.
#[derive(Clone, Debug)]
pub struct Closing {
    /// What the peer is told; nothing when `None`.
    pub wire_text: Option<String>,
    /// What monitoring and the disconnect event say (nats-server `monitor.go`, `ClosedState`).
    pub close_reason: &'static str,
    /// The reason as a value; `None` when the peer simply left.
    pub reason: Option<Reason>,
    /// Cause, for the log and security events.
    pub detail: String,
    /// Whether output that is still pending is written first.
    pub keep_output: bool,
}

impl Closing {
    /// A silent end.
    pub fn silent(close_reason: &'static str, reason: Option<Reason>) -> Self {
        Self { wire_text: None, close_reason, reason, detail: String::new(), keep_output: true }
    }

    /// An end that the peer is told of.
    pub fn told(text: impl Into<String>, close_reason: &'static str, reason: Reason) -> Self {
        Self {
            wire_text: Some(text.into()),
            close_reason,
            reason: Some(reason),
            detail: String::new(),
            keep_output: true,
        }
    }

    /// An end as authentication decided it.
    pub fn by_policy(policy: ClosePolicy, reason: Reason, detail: impl Into<String>) -> Self {
        Self {
            wire_text: policy.wire_text.map(str::to_owned),
            close_reason: policy.close_reason,
            reason: Some(reason),
            detail: detail.into(),
            keep_output: true,
        }
    }

    /// The peer closed its side.
    pub fn by_peer() -> Self {
        Self { keep_output: false, ..Self::silent("Client Closed", None) }
    }

    /// Reading or writing failed.
    pub fn broken(close_reason: &'static str) -> Self {
        Self { keep_output: false, ..Self::silent(close_reason, None) }
    }

    /// A receiver that does not keep up.
    pub fn slow(close_reason: &'static str, reason: Reason) -> Self {
        Self { keep_output: false, ..Self::silent(close_reason, Some(reason)) }
    }

    /// A breach of the protocol.
    pub fn breach(error: ProtocolError) -> Self {
        let close_reason = match error {
            ProtocolError::ControlLine { .. } => "Maximum Control Line Exceeded",
            ProtocolError::Payload { .. } => "Maximum Message Payload Exceeded",
            ProtocolError::PeerError => "Parse Error",
            ProtocolError::Arguments(_) | ProtocolError::Json(_) | ProtocolError::UnknownOperation => {
                "Protocol Violation"
            }
        };
        Self {
            wire_text: error.wire_text().map(str::to_owned),
            close_reason,
            reason: Some(error.reason()),
            detail: error.to_string(),
            keep_output: true,
        }
    }

    /// A breach of the framing of a WebSocket.
    pub fn framing(error: FrameError) -> Self {
        let close_reason = close::reason_of_breach(error);
        let wire_text = (error == FrameError::TooLarge).then(|| "Maximum Payload Violation".to_owned());
        Self { wire_text, detail: error.to_string(), ..Self::silent(close_reason, Some(Reason::ProtocolViolation)) }
    }

    /// With the cause, for the log.
    pub fn because(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }
}
