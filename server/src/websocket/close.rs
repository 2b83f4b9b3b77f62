//! How a connection ends, as WebSocket says it: a status and a reason.

use crate::websocket::frame::{CloseFrame, FrameError};

/// Bytes of a reason; a control frame has no room for more.
const REASON_MAX: usize = 123;

/// The status for a connection that ended because of `reason`, as monitoring names it.
///
/// Source: nats-server `websocket.go` (`wsEnqueueCloseMessage`); what it has no status of its own for is 1011.
pub fn status_of(reason: &str) -> u16 {
    match reason {
        "Client Closed" => 1000,
        "Read Error" | "Server Shutdown" | "Stale Connection" | "Write Error" => 1001,
        "Bad Client Protocol Version" | "Parse Error" | "Protocol Violation" => 1002,
        "Authentication Expired"
        | "Authentication Failure"
        | "Authentication Timeout"
        | "Credentials Revoked"
        | "Maximum Account Connections Exceeded"
        | "Maximum Connections Exceeded"
        | "Maximum Control Line Exceeded"
        | "Maximum Subscriptions Exceeded"
        | "Missing Account"
        | "Slow Consumer (Pending Bytes)"
        | "Slow Consumer (Write Deadline)" => 1008,
        "Maximum Message Payload Exceeded" => 1009,
        "TLS Handshake Failure" => 1015,
        _ => 1011,
    }
}

/// The close frame for a connection that ended because of `reason`.
pub fn frame_of(reason: &str) -> CloseFrame {
    let reason_text = if reason.len() > REASON_MAX {
        let cut: String = reason.chars().scan(0, within).collect();
        cut + "..."
    } else {
        reason.to_owned()
    };
    CloseFrame { status: status_of(reason), reason: reason_text }
}

/// The character, as long as there is room for it and for the dots behind it.
fn within(len: &mut usize, c: char) -> Option<char> {
    *len += c.len_utf8();
    (*len <= REASON_MAX - 3).then_some(c)
}

/// The close frame for a breach of the framing.
pub fn frame_of_breach(error: FrameError) -> CloseFrame {
    let status = match error {
        FrameError::CloseReason => 1007,
        FrameError::TooLarge => 1009,
        _ => 1002,
    };
    CloseFrame { status, reason: error.to_string() }
}

/// What monitoring says of a connection that ended because of a breach of the framing.
pub const fn reason_of_breach(error: FrameError) -> &'static str {
    match error {
        // It was about to close anyway.
        FrameError::CloseReason => "Client Closed",
        FrameError::TooLarge => "Maximum Message Payload Exceeded",
        _ => "Protocol Violation",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_reasons_are_cut_between_characters() {
        assert_eq!(frame_of("Stale Connection").reason, "Stale Connection");
        for (reason, len) in
            [("x".repeat(123), 123), ("x".repeat(124), 123), ("ä".repeat(80), 123), ("€".repeat(80), 123)]
        {
            let cut = frame_of(&reason).reason;
            assert_eq!(cut.len(), len, "{reason}");
            assert!(reason == cut || cut.ends_with("..."));
        }
    }

    #[test]
    fn what_is_not_known_is_our_own_fault() {
        for (reason, status) in
            [("Client Closed", 1000), ("Server Shutdown", 1001), ("Kicked", 1011), ("Duplicate Client ID", 1011)]
        {
            assert_eq!(status_of(reason), status, "{reason}");
        }
    }

    #[test]
    fn every_reason_of_a_breach_fits_a_control_frame() {
        for error in [FrameError::CloseReason, FrameError::Compressed, FrameError::CloseStatus(9999), FrameError::Order]
        {
            assert!(frame_of_breach(error).reason.len() <= REASON_MAX, "{error}");
        }
    }
}
