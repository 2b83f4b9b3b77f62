//! Subjects that belong to the broker, whatever a connection's permissions say.
//!
//! Source: core protocol reference, section 17 (nats-server `client.go`).

use crate::reason::Reason;
use crate::subject::matching;

/// Reply space of gateways.
pub const GATEWAY_REPLIES: &[u8] = b"_GR_.";
/// Reply space of service imports.
pub const SERVICE_REPLIES: &[u8] = b"_R_.";
/// Acknowledgements of JetStream messages, as replies.
pub const ACKNOWLEDGEMENTS: &[u8] = b"$JS.ACK.";
/// Replication traffic.
pub const REPLICATION: &[u8] = b"$NRG.";

/// Decides whether a client may publish to `subject` at all; only the system account may touch replication.
///
/// # Errors
/// [`Reason::SubjectReserved`].
pub fn check_publish(subject: &[u8], in_system_account: bool) -> Result<(), Reason> {
    let reserved = subject.starts_with(GATEWAY_REPLIES) || (subject.starts_with(REPLICATION) && !in_system_account);
    if reserved { Err(Reason::SubjectReserved) } else { Ok(()) }
}

/// Decides whether a client may name `reply` as where answers go: never in the broker's own reply spaces.
///
/// # Errors
/// [`Reason::ReplyReserved`].
pub fn check_reply(reply: &[u8]) -> Result<(), Reason> {
    let spaces = [SERVICE_REPLIES, ACKNOWLEDGEMENTS, GATEWAY_REPLIES];
    if spaces.iter().any(|space| reply.starts_with(space)) { Err(Reason::ReplyReserved) } else { Ok(()) }
}

/// True if an answer can be sent to `reply`: a literal subject without empty tokens.
///
/// A reply with wildcards once sent the broker round in circles until its stack ended; the border ignores it.
pub fn is_answerable(reply: &[u8]) -> bool {
    matching::is_publishable(reply) && matching::is_literal(reply)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_brokers_own_spaces_are_closed_to_clients() {
        assert_eq!(check_publish(b"_GR_.a.b", true), Err(Reason::SubjectReserved));
        assert_eq!(check_publish(b"$NRG.x", false), Err(Reason::SubjectReserved));
        assert_eq!(check_publish(b"$NRG.x", true), Ok(()));
        for subject in [&b"_GR_"[..], b"$NRGx", b"foo", b"_R_.x", b"$JS.ACK.x"] {
            assert_eq!(check_publish(subject, false), Ok(()));
        }
        for reply in [&b"_R_.x"[..], b"$JS.ACK.a", b"_GR_.x"] {
            assert_eq!(check_reply(reply), Err(Reason::ReplyReserved));
        }
        assert_eq!(check_reply(b"_INBOX.x"), Ok(()));
        assert!(is_answerable(b"_INBOX.x.y"));
        for hostile in [&b"_INBOX.*"[..], b">", b"a.>", b"", b"a..b"] {
            assert!(!is_answerable(hostile));
        }
    }
}
