//! The JSON of the system account's answers, read leniently: stock servers and Cordon both send it.

use serde::Deserialize;
use serde_json::Value;

use super::{Answer, BrokerError, BrokerInfo, Connection};

/// `{"server", "data" | "error"}`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Envelope {
    /// Who answers.
    pub server: BrokerInfo,
    /// The answer.
    pub data: Value,
    /// The refusal; its presence counts.
    pub error: Option<ReplyError>,
}

/// The `error` member of an answer.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ReplyError {
    /// 500 for most.
    pub code: i64,
    /// What is wrong.
    pub description: String,
}

impl Envelope {
    /// Reads one answer; `None` when it is not one.
    pub fn parse(payload: &[u8]) -> Option<Self> {
        serde_json::from_slice(payload).ok()
    }

    /// The answer to a push or a delete.
    pub fn into_answer(self) -> Answer {
        let (accepted, message) = if let Some(error) = &self.error {
            (false, error.description.clone())
        } else {
            let code = self.data.get("code").and_then(Value::as_i64).unwrap_or(200);
            let message = self.data.get("message").and_then(Value::as_str).unwrap_or_default();
            (code == 200, message.to_owned())
        };
        Answer { broker: self.server.id, name: self.server.name, accepted, message: bounded(&message) }
    }

    /// The answer's data.
    ///
    /// # Errors
    ///
    /// The broker's refusal.
    pub fn into_data(self) -> Result<(BrokerInfo, Value), BrokerError> {
        match self.error {
            Some(error) => Err(BrokerError::Refused(bounded(&error.description))),
            None => Ok((self.server, self.data)),
        }
    }

    /// The connections of a `CONNZ` answer, each with its broker.
    pub fn into_connections(self) -> Vec<Connection> {
        let rows = self.data.get("connections").and_then(Value::as_array).cloned().unwrap_or_default();
        rows.into_iter()
            .filter_map(|row| serde_json::from_value::<Connection>(row).ok())
            .map(|mut connection| {
                connection.server.clone_from(&self.server.id);
                connection.server_name.clone_from(&self.server.name);
                connection
            })
            .collect()
    }
}

/// Text of a broker, short enough for the ledger.
pub fn bounded(text: &str) -> String {
    text.chars().take(400).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envelope(text: &str) -> Envelope {
        Envelope::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn an_update_answer_is_read_as_accepted_or_not() {
        let good = envelope(
            r#"{"server":{"name":"a","id":"N1","ver":"2.15.0"},"data":{"account":"A","code":200,"message":"jwt updated"}}"#,
        );
        assert_eq!(
            good.into_answer(),
            Answer { broker: "N1".into(), name: "a".into(), accepted: true, message: "jwt updated".into() }
        );
        let bad = envelope(
            r#"{"server":{"name":"a","id":"N1"},"error":{"account":"A","code":500,"description":"jwt validation failed - x"}}"#,
        );
        let answer = bad.into_answer();
        assert!(!answer.accepted);
        assert_eq!(answer.message, "jwt validation failed - x");
    }

    #[test]
    fn connections_carry_their_broker() {
        let answer = envelope(
            r#"{"server":{"name":"a","id":"N1"},"data":{"server_id":"N1","total":2,"connections":[
                {"cid":5,"kind":"Client","ip":"127.0.0.1","port":1,"account":"AX","authorized_user":"UX","jwt":"secret","subscriptions":3},
                {"cid":"five"}]}}"#,
        );
        let connections = answer.into_connections();
        assert_eq!(connections.len(), 1);
        assert_eq!((connections[0].server.as_str(), connections[0].cid), ("N1", 5));
        assert!(!serde_json::to_string(&connections[0]).unwrap().contains("secret"));
    }

    #[test]
    fn noise_is_not_an_answer() {
        for noise in ["", "x", "[]", "7", "null"] {
            assert!(Envelope::parse(noise.as_bytes()).is_none_or(|read| read.server.id.is_empty()), "{noise}");
        }
        let unknown_account = envelope(r#"{"server":{"id":"N1"},"data":{"server_id":"","connections":null}}"#);
        assert!(unknown_account.into_connections().is_empty());
    }

    #[test]
    fn a_refusal_is_an_error() {
        let refused =
            envelope(r#"{"server":{"id":"N1"},"error":{"code":500,"description":"no such client or leafnode id"}}"#);
        assert_eq!(refused.into_data().unwrap_err(), BrokerError::Refused("no such client or leafnode id".into()));
    }
}
