//! What brokers report without being asked.

use serde_json::Value;

use super::reply::bounded;

/// One report of a broker.
#[derive(Clone, Debug, PartialEq)]
pub enum BrokerEvent {
    /// A numbered security event of a Cordon broker (`$SYS.SERVER.<id>.CORDON.SECURITY`).
    Security {
        /// The broker's present server id.
        server: String,
        /// The event as it came.
        event: Value,
    },
    /// A user was let in, a connection ended, or was refused by a broker without numbered events.
    Connection(ConnectionEvent),
    /// A broker answered that was not known before.
    Appeared {
        /// Its server id.
        server: String,
    },
    /// A broker said that it stops.
    Stopped {
        /// Its server id.
        server: String,
    },
    /// Reports were dropped before they were read; numbered ones will be replayed.
    Missed,
}

/// What happened to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionChange {
    /// Let in.
    Connected,
    /// Ended.
    Disconnected,
    /// Refused at the door.
    Refused,
}

/// A connection's beginning, end or refusal, without its JWT.
#[derive(Clone, Debug, PartialEq)]
pub struct ConnectionEvent {
    /// What happened.
    pub change: ConnectionChange,
    /// The broker's id.
    pub server: String,
    /// The broker's name.
    pub server_name: String,
    /// The connection's number on that broker.
    pub cid: u64,
    /// Account key or name, as the broker says it.
    pub account: String,
    /// User key or name, as the broker says it.
    pub user: String,
    /// Peer address.
    pub host: String,
    /// The client's own name.
    pub client_name: String,
    /// The `jti` of the user JWT that was presented, when there was one.
    pub jti: Option<String>,
    /// Why it ended or was refused.
    pub reason: String,
    /// The broker's time, RFC 3339.
    pub time: String,
}

/// The subjects that events arrive on.
pub const SUBJECTS: [&str; 5] = [
    "$SYS.SERVER.*.CORDON.SECURITY",
    "$SYS.ACCOUNT.*.CONNECT",
    "$SYS.ACCOUNT.*.DISCONNECT",
    "$SYS.SERVER.*.CLIENT.AUTH.ERR",
    "$SYS.SERVER.*.SHUTDOWN",
];

impl BrokerEvent {
    /// Reads a message of one of [`SUBJECTS`]; `None` when it is none of ours.
    pub fn parse(subject: &str, payload: &[u8]) -> Option<Self> {
        let tokens: Vec<&str> = subject.split('.').collect();
        let value = || serde_json::from_slice::<Value>(payload).ok();
        match tokens.as_slice() {
            ["$SYS", "SERVER", server, "CORDON", "SECURITY"] => {
                Some(Self::Security { server: (*server).to_owned(), event: value()? })
            }
            ["$SYS", "ACCOUNT", _, "CONNECT"] => {
                Some(Self::Connection(connection(ConnectionChange::Connected, &value()?)))
            }
            ["$SYS", "ACCOUNT", _, "DISCONNECT"] => {
                Some(Self::Connection(connection(ConnectionChange::Disconnected, &value()?)))
            }
            ["$SYS", "SERVER", _, "CLIENT", "AUTH", "ERR"] => {
                Some(Self::Connection(connection(ConnectionChange::Refused, &value()?)))
            }
            ["$SYS", "SERVER", server, "SHUTDOWN"] => Some(Self::Stopped { server: (*server).to_owned() }),
            _ => None,
        }
    }
}

fn connection(change: ConnectionChange, value: &Value) -> ConnectionEvent {
    let text = |path: &str| bounded(value.pointer(path).and_then(Value::as_str).unwrap_or_default());
    ConnectionEvent {
        change,
        server: text("/server/id"),
        server_name: text("/server/name"),
        cid: value.pointer("/client/id").and_then(Value::as_u64).unwrap_or_default(),
        account: text("/client/acc"),
        user: text("/client/user"),
        host: text("/client/host"),
        client_name: text("/client/name"),
        jti: token_id(value),
        reason: text("/reason"),
        time: text("/timestamp"),
    }
}

/// The `jti` of the presented JWT: Cordon sends it alone, a stock server sends the whole JWT.
fn token_id(value: &Value) -> Option<String> {
    if let Some(jti) = value.pointer("/client/jti").and_then(Value::as_str) {
        return Some(bounded(jti));
    }
    let jwt = value.pointer("/client/jwt").and_then(Value::as_str)?;
    let claims = jwt.split('.').nth(1)?;
    let claims = data_encoding::BASE64URL_NOPAD.decode(claims.as_bytes()).ok()?;
    let claims: Value = serde_json::from_slice(&claims).ok()?;
    claims.get("jti").and_then(Value::as_str).map(bounded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connect_event_keeps_the_jti_and_drops_the_jwt() {
        let claims = data_encoding::BASE64URL_NOPAD.encode(br#"{"jti":"J1","sub":"UX"}"#);
        let body = format!(
            r#"{{"server":{{"id":"N1","name":"b"}},"client":{{"id":7,"acc":"AX","user":"UX","host":"127.0.0.1","jwt":"h.{claims}.secret"}},"timestamp":"2026-01-01T00:00:00Z"}}"#
        );
        let event = BrokerEvent::parse("$SYS.ACCOUNT.AX.CONNECT", body.as_bytes()).unwrap();
        let BrokerEvent::Connection(connection) = &event else { panic!("{event:?}") };
        assert_eq!(
            (connection.cid, connection.jti.as_deref(), connection.change),
            (7, Some("J1"), ConnectionChange::Connected)
        );
        assert!(!format!("{event:?}").contains("secret"));
    }

    #[test]
    fn each_subject_is_recognised_and_others_are_not() {
        for (subject, known) in [
            ("$SYS.SERVER.N1.CORDON.SECURITY", true),
            ("$SYS.ACCOUNT.A.DISCONNECT", true),
            ("$SYS.SERVER.N1.CLIENT.AUTH.ERR", true),
            ("$SYS.SERVER.N1.SHUTDOWN", true),
            ("$SYS.SERVER.N1.STATSZ", false),
            ("$SYS.ACCOUNT.CLIENT.AUTH.ERR", false),
            ("orders.new", false),
        ] {
            assert_eq!(BrokerEvent::parse(subject, b"{}").is_some(), known, "{subject}");
        }
    }

    #[test]
    fn a_body_that_is_not_json_is_dropped() {
        assert_eq!(BrokerEvent::parse("$SYS.ACCOUNT.A.CONNECT", b"{"), None);
        assert_eq!(BrokerEvent::parse("$SYS.SERVER.N.CORDON.SECURITY", b""), None);
    }
}
