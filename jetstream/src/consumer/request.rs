//! What a pull request asks for: the body of a message to `CONSUMER.MSG.NEXT`, or what follows `+NXT` (jetstream.md 3.5).

use serde::Deserialize;

use super::number::parse_i64;

/// A pull request as it was sent. Durations are nanoseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct PullRequest {
    /// Most messages; 0 for one.
    pub(crate) batch: i64,
    /// How long it waits; 0 for as long as somebody listens.
    pub(crate) expires: i64,
    /// It takes what is there, and waits only if it has `expires` and nothing is there.
    pub(crate) no_wait: bool,
    /// Most bytes; 0 for no limit.
    pub(crate) max_bytes: i64,
    /// It is told that the consumer is there when nothing was sent for so long.
    pub(crate) idle_heartbeat: i64,
    /// Its priority group.
    pub(crate) group: String,
    /// Policy overflow: it is served while at least so many messages are to be delivered.
    pub(crate) min_pending: i64,
    /// Policy overflow: it is served while at least so many messages wait for acknowledgement.
    pub(crate) min_ack_pending: i64,
    /// Policy pinned client: the id that the client got.
    pub(crate) id: String,
    /// Policy prioritized: 0 is served first, 9 last.
    pub(crate) priority: i64,
}

/// Longest body of a request. What clients send has about 200 bytes.
const BODY_MAX: usize = 16 * 1024;

/// Reads the body of a request.
///
/// # Errors
///
/// What is wrong with it, as it stands behind `400 Bad Request - `.
pub(crate) fn parse(body: &[u8]) -> Result<PullRequest, String> {
    let body = body.trim_ascii();
    if body.len() > BODY_MAX {
        return Err("request too large".into());
    }
    let mut request = match body.first() {
        None => PullRequest::default(),
        Some(b'{') => read(body).map_err(|error| one_line(&error.to_string()))?,
        Some(_) => {
            let batch = parse_i64(body).ok_or("batch is not a number")?;
            PullRequest { batch, ..PullRequest::default() }
        }
    };
    if request.batch < 0 || request.expires < 0 || request.max_bytes < 0 || request.idle_heartbeat < 0 {
        return Err("values can not be negative".into());
    }
    if request.idle_heartbeat > 0 && request.idle_heartbeat.saturating_mul(2) > request.expires {
        return Err("heartbeat value too large".into());
    }
    request.batch = request.batch.max(1);
    Ok(request)
}

/// What is null is not given.
fn read(body: &[u8]) -> Result<PullRequest, serde_json::Error> {
    let mut fields: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(body)?;
    fields.retain(|_, value| !value.is_null());
    serde_json::from_value(serde_json::Value::Object(fields))
}

/// A status line is one line of printable ASCII.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c == ' ' || c.is_ascii_graphic() { c } else { '?' }).take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_of_all_kinds_say_how_many() {
        for (body, batch) in [
            ("", 1),
            ("5", 5),
            (" 7 \r\n", 7),
            ("0", 1),
            ("{}", 1),
            (r#"{"batch":3,"max_bytes":null,"group":null}"#, 3),
            ("{\"batch\":0}", 1),
            ("{\"batch\":10,\"x\":1}", 10),
        ] {
            assert_eq!(parse(body.as_bytes()).map(|request| request.batch), Ok(batch), "{body}");
        }
    }

    #[test]
    fn all_fields_are_read() {
        let body = br#"{"batch":2,"expires":10,"no_wait":true,"max_bytes":3,"idle_heartbeat":5,"group":"A","min_pending":4,"min_ack_pending":6,"id":"i","priority":7}"#;
        let expected = PullRequest {
            batch: 2,
            expires: 10,
            no_wait: true,
            max_bytes: 3,
            idle_heartbeat: 5,
            group: "A".into(),
            min_pending: 4,
            min_ack_pending: 6,
            id: "i".into(),
            priority: 7,
        };
        assert_eq!(parse(body), Ok(expected));
    }

    #[test]
    fn what_is_wrong_is_said_in_one_line() {
        for (body, text) in [
            ("x", "batch is not a number"),
            ("[1]", "batch is not a number"),
            ("-1", "values can not be negative"),
            ("{\"expires\":-5}", "values can not be negative"),
            ("{\"batch\":-1}", "values can not be negative"),
            ("{\"expires\":10,\"idle_heartbeat\":6}", "heartbeat value too large"),
            ("{\"idle_heartbeat\":6}", "heartbeat value too large"),
            ("{\"idle_heartbeat\":9223372036854775807,\"expires\":1}", "heartbeat value too large"),
        ] {
            assert_eq!(parse(body.as_bytes()), Err(text.into()), "{body}");
        }
        for body in ["{", "{\"batch\":\"a\r\nb\"}", "{\"batch\":1.5}", "{\"batch\":99999999999999999999}", "{} {}"] {
            let error = parse(body.as_bytes()).unwrap_err();
            assert!(error.bytes().all(|byte| (32..127).contains(&byte)), "{error}");
        }
        assert!(parse(&vec![b' '; BODY_MAX * 2]).is_ok(), "blanks are nothing");
        assert!(parse(&vec![b'1'; BODY_MAX + 1]).is_err());
    }
}
