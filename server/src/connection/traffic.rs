//! The protocol in the log: what each client sends and gets, when tracing is asked for.
//!
//! No line holds a password, a token, a JWT or a signature; of payloads no more than is asked for. Everything here is
//! behind [`is_on`], which costs one comparison while nothing is traced.

use std::borrow::Cow;
use std::fmt::Write as _;

use memchr::memmem;
use serde_json::Value;
use tracing::Level;

use crate::connection::{Connection, Transport};
use crate::options::TrafficOptions;
use crate::protocol::{Frame, Publish};

/// Target of the events; a log that filters by it turns tracing on and off.
pub const TARGET: &str = "cordon_server::traffic";

/// Instead of what must not be shown.
const HIDDEN: &str = "[REDACTED]";
/// Fields of CONNECT that are shown as they are; of any other nobody knows what a client puts there.
const SHOWN_FIELDS: [&str; 14] = [
    "echo",
    "headers",
    "lang",
    "name",
    "no_responders",
    "nkey",
    "pedantic",
    "protocol",
    "ssl_required",
    "tls_required",
    "user",
    "verbose",
    "version",
    "account",
];
/// Where passwords of others travel as payload.
const SECRET_SUBJECTS: [&[u8]; 2] = [b"$SYS.REQ.USER.AUTH", b"$SYS.REQ.CLAIMS."];
/// How every JWT begins.
const JWT: &[u8] = b"eyJ";

/// Whether anything is to be traced.
#[inline]
pub(crate) fn is_on() -> bool {
    tracing::enabled!(target: TARGET, Level::TRACE)
}

/// What a client sent.
#[cold]
pub(crate) fn received(connection: &Connection, frame: &Frame<'_>) {
    let Some(options) = wanted(connection) else { return };
    let text = match frame {
        Frame::Connect(json) => format!("<<- [CONNECT {}]", connect(json)),
        Frame::Info(_) => "<<- [INFO]".to_owned(),
        Frame::Ok => "<<- [+OK]".to_owned(),
        Frame::PeerError(text) => format!("<<- [-ERR {}]", shown(text)),
        Frame::Ping => "<<- [PING]".to_owned(),
        Frame::Pong => "<<- [PONG]".to_owned(),
        Frame::Publish(publish) => return published(connection, &options, publish),
        Frame::Subscribe(subscribe) => {
            let words = [Some(subscribe.subject), subscribe.queue, Some(subscribe.sid)];
            format!("<<- [SUB {}]", words.into_iter().flatten().map(shown).collect::<Vec<_>>().join(" "))
        }
        Frame::Unsubscribe(unsubscribe) if unsubscribe.max == 0 => format!("<<- [UNSUB {}]", shown(unsubscribe.sid)),
        Frame::Unsubscribe(unsubscribe) => format!("<<- [UNSUB {} {}]", shown(unsubscribe.sid), unsubscribe.max),
    };
    write(connection, &text);
}

fn published(connection: &Connection, options: &TrafficOptions, publish: &Publish<'_>) {
    let name = if publish.header_len > 0 { "HPUB" } else { "PUB" };
    let mut line = format!("<<- [{name} {}", shown(publish.subject));
    finish_line(&mut line, publish.reply, publish.header_len, publish.body.len());
    write(connection, &line);
    payload(connection, options, "<<-", (publish.subject, publish.reply), publish.header_len, publish.body);
}

/// A message that is queued for a client.
#[cold]
pub(crate) fn delivered(
    connection: &Connection,
    (subject, sid, reply): (&[u8], &[u8], &[u8]),
    header_len: usize,
    body: &[u8],
) {
    let Some(options) = wanted(connection) else { return };
    let name = if header_len > 0 { "HMSG" } else { "MSG" };
    let mut line = format!("->> [{name} {} {}", shown(subject), shown(sid));
    finish_line(&mut line, reply, header_len, body.len());
    write(connection, &line);
    payload(connection, &options, "->>", (subject, reply), header_len, body);
}

/// A protocol line that is queued for a client.
#[cold]
pub(crate) fn said(connection: &Connection, line: &[u8]) {
    if wanted(connection).is_some() {
        let line = line.strip_suffix(b"\r\n").unwrap_or(line);
        // Of INFO, the name: it is long, and always the same.
        let line = line.split(|byte| *byte == b'{').next().unwrap_or_default();
        write(connection, &format!("->> [{}]", shown(line).trim_end().replace('\'', "")));
    }
}

/// The options, unless the client is one of the system account's and those are not to be traced.
fn wanted(connection: &Connection) -> Option<TrafficOptions> {
    let options = connection.broker.options.load().traffic;
    (options.verbose || !connection.tenant().is_system()).then_some(options)
}

fn finish_line(line: &mut String, reply: &[u8], header_len: usize, length: usize) {
    if !reply.is_empty() {
        let _written = write!(line, " {}", shown(reply));
    }
    if header_len > 0 {
        let _written = write!(line, " {header_len}");
    }
    let _written = write!(line, " {length}]");
}

fn payload(
    connection: &Connection,
    options: &TrafficOptions,
    arrow: &str,
    (subject, reply): (&[u8], &[u8]),
    header_len: usize,
    body: &[u8],
) {
    let body = if options.headers_only { body.get(..header_len).unwrap_or_default() } else { body };
    if body.is_empty() {
        return;
    }
    let is_secret = [subject, reply].iter().any(|subject| SECRET_SUBJECTS.iter().any(|of| subject.starts_with(of)))
        || memmem::find(body, JWT).is_some();
    if is_secret {
        return write(connection, &format!("{arrow} MSG_PAYLOAD: [\"{HIDDEN}\"]"));
    }
    let cut = if options.max_payload == 0 {
        None
    } else {
        body.get(..options.max_payload).filter(|cut| cut.len() < body.len())
    };
    let (text, more) = cut.map_or((body, ""), |cut| (cut, "..."));
    write(connection, &format!("{arrow} MSG_PAYLOAD: [\"{}{more}\"]", shown(text)));
}

/// The JSON of a CONNECT with what is nobody's business hidden.
fn connect(json: &[u8]) -> String {
    let Ok(Value::Object(mut fields)) = serde_json::from_slice::<Value>(json) else { return HIDDEN.to_owned() };
    // Whoever sends a token as the name of a user has no other credential.
    let named = fields.keys().any(|name| ["pass", "jwt", "sig"].contains(&name.to_ascii_lowercase().as_str()));
    for (name, value) in &mut fields {
        let name = name.to_ascii_lowercase();
        let plain = SHOWN_FIELDS.contains(&name.as_str()) && (name != "user" || named);
        if !plain || value.is_object() || value.is_array() {
            *value = HIDDEN.into();
        }
    }
    Value::Object(fields).to_string()
}

/// Bytes of a client as text; what would end the line, or steer a terminal, the log escapes.
fn shown(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

fn write(connection: &Connection, text: &str) {
    tracing::trace!(target: TARGET, "{} - {text}", label(connection));
}

/// Who a connection is, at the beginning of lines about it: `ip:port - cid:N - "vVERSION:LANG:NAME" - "ACCOUNT/USER"`.
pub(crate) fn label(connection: &Connection) -> String {
    let kind = match connection.transport {
        Transport::Tcp => "cid",
        Transport::Websocket => "wid",
    };
    let mut label = format!("{} - {kind}:{}", connection.peer(), connection.cid);
    let identity = connection.identity();
    let client = &identity.client;
    if !(client.version.is_empty() && client.lang.is_empty() && client.name.is_empty()) {
        let _written = write!(label, " - \"v{}:{}:{}\"", client.version, client.lang, client.name);
    }
    if let Some(principal) = &identity.principal {
        let _written = match principal.method {
            cordon_auth::principal::Method::Token => write!(label, " - \"{}/token\"", principal.account),
            cordon_auth::principal::Method::Anonymous => Ok(()),
            method => write!(label, " - \"{}/{}:{}\"", principal.account, method.name(), principal.user),
        };
    }
    label
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_credential_of_a_connect_is_shown() {
        for (json, expected) in [
            (r#"{"verbose":false,"name":"x"}"#, r#"{"verbose":false,"name":"x"}"#),
            (r#"{"user":"a","pass":"hunter2"}"#, r#"{"user":"a","pass":"[REDACTED]"}"#),
            (r#"{"USER":"a","PASS":"hunter2"}"#, r#"{"USER":"a","PASS":"[REDACTED]"}"#),
            (r#"{"user":"a token"}"#, r#"{"user":"[REDACTED]"}"#),
            (
                r#"{"auth_token":"t","jwt":"eyJ","sig":"s"}"#,
                r#"{"auth_token":"[REDACTED]","jwt":"[REDACTED]","sig":"[REDACTED]"}"#,
            ),
            (r#"{"nkey":"UABC","sig":"s"}"#, r#"{"nkey":"UABC","sig":"[REDACTED]"}"#),
            (r#"{"proxy_sig":"s","password":"p"}"#, r#"{"proxy_sig":"[REDACTED]","password":"[REDACTED]"}"#),
            (r#"{"name":{"pass":"hunter2"}}"#, r#"{"name":"[REDACTED]"}"#),
            (r#"{"pass":"hunter2""#, "[REDACTED]"),
            ("[1]", "[REDACTED]"),
            ("", "[REDACTED]"),
        ] {
            assert_eq!(connect(json.as_bytes()), expected, "{json}");
        }
    }

    #[test]
    fn lines_of_messages_are_those_of_the_protocol() {
        let line = |reply: &[u8], header_len, length| {
            let mut line = "[PUB a".to_owned();
            finish_line(&mut line, reply, header_len, length);
            line
        };
        assert_eq!(line(b"", 0, 5), "[PUB a 5]");
        assert_eq!(line(b"r", 0, 5), "[PUB a r 5]");
        assert_eq!(line(b"r", 12, 14), "[PUB a r 12 14]");
        assert_eq!(shown(b"a\xff"), "a\u{fffd}");
    }
}
