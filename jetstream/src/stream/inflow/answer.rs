//! What a far origin says. All of it is the word of a stranger: lengths, numbers and names are looked at before they
//! are used, and nothing of it is shown longer than a line.

use cordon_accounts::subject::matching;
use serde::Deserialize;

use super::super::Arrival;
use super::super::head::value;
use crate::config::AckPolicy;
use crate::consumer::parse_ack;

/// No sequence is as large: what comes behind it must have one, too.
const SEQUENCE_END: u64 = 1 << 62;
/// No message was stored later: the year 2200, Unix nanoseconds.
const TIME_END: i64 = 7_258_118_400_000_000_000;
/// Bytes of an origin's text that are shown.
const TEXT_MAX: usize = 200;
/// Where flow control is answered; nothing else is published because an origin says so.
const FLOW: &[u8] = b"$JS.FC.";

/// What an origin answers to a request for a consumer.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Agreed {
    error: Option<Said>,
    /// What the consumer is called.
    pub(super) name: String,
    /// How it was made.
    pub(super) config: Made,
    /// Messages that it will deliver.
    pub(super) num_pending: u64,
}

/// What matters of a consumer's configuration.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Made {
    /// It outlives us.
    pub(super) durable_name: String,
    /// Where it delivers.
    pub(super) deliver_subject: String,
    /// How it is acknowledged.
    pub(super) ack_policy: AckPolicy,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Said {
    err_code: u32,
    description: String,
}

/// Why there is no consumer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// The origin is another one than we know.
    Recreated,
    /// It does not understand what it was asked.
    Older,
    /// It says no.
    No(String),
}

/// Reads the answer to a request for a consumer.
pub(super) fn agreed(payload: &[u8]) -> Result<Agreed, Refused> {
    let answer: Agreed =
        serde_json::from_slice(payload).map_err(|_| Refused::No("the origin's answer is malformed".to_owned()))?;
    match &answer.error {
        None => {}
        Some(said) => {
            return Err(match said.err_code {
                10225 => Refused::Recreated,
                10185 | 10025 | 10204 => Refused::Older,
                _ => Refused::No(line(&said.description)),
            });
        }
    }
    let is_name = !answer.name.is_empty() && answer.name.len() <= 255;
    if !is_name || !matching::is_literal(answer.name.as_bytes()) || answer.name.contains('.') {
        return Err(Refused::No("the origin's answer names no consumer".to_owned()));
    }
    Ok(answer)
}

/// What an origin calls itself; empty if it does not.
pub(super) fn stamp(header: &[u8]) -> &str {
    let stamp = value(header, "Nats-Stream-Identity").and_then(|stamp| std::str::from_utf8(stamp).ok());
    stamp
        .filter(|stamp| stamp.len() <= 32 && stamp.bytes().all(|byte| byte.is_ascii_alphanumeric()))
        .unwrap_or_default()
}

/// What arrives from a consumer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Delivery<'a> {
    /// A message.
    Message { consumer: &'a [u8], stream_seq: u64, consumer_seq: u64, ts: i64, pending: u64 },
    /// The consumer wants to hear on this subject that all of this has come.
    Ask(&'a [u8]),
    /// It is there; so many has it delivered, and it still waits for an answer there.
    Beat { delivered: Option<u64>, waits_on: Option<&'a [u8]> },
    /// It ends.
    End,
    /// Nothing that a consumer sends.
    Malformed,
}

/// Reads what came on the deliver subject.
pub(super) fn delivery<'a>(arrival: &Arrival<'a>) -> Delivery<'a> {
    if arrival.payload.is_empty()
        && let Some(status) = arrival.header.strip_prefix(b"NATS/1.0 ")
    {
        return control(status, arrival);
    }
    let Some(ack) = parse_ack(arrival.reply) else { return Delivery::Malformed };
    let tokens = ack.tokens;
    let sane = (1..SEQUENCE_END).contains(&tokens.stream_seq) && (0..TIME_END).contains(&tokens.ts);
    if !sane || !is_subject(arrival.subject) {
        return Delivery::Malformed;
    }
    Delivery::Message {
        consumer: ack.consumer,
        stream_seq: tokens.stream_seq,
        consumer_seq: tokens.consumer_seq,
        ts: tokens.ts,
        pending: tokens.pending,
    }
}

fn control<'a>(status: &[u8], arrival: &Arrival<'a>) -> Delivery<'a> {
    if !status.starts_with(b"100") {
        return Delivery::End;
    }
    if !arrival.reply.is_empty() {
        return if is_flow(arrival.reply) { Delivery::Ask(arrival.reply) } else { Delivery::Malformed };
    }
    let delivered = value(arrival.header, "Nats-Last-Consumer");
    let delivered = delivered.and_then(|number| std::str::from_utf8(number).ok()?.parse().ok());
    let waits_on = value(arrival.header, "Nats-Consumer-Stalled").filter(|reply| is_flow(reply));
    Delivery::Beat { delivered, waits_on }
}

fn is_flow(reply: &[u8]) -> bool {
    reply.starts_with(FLOW) && is_subject(reply)
}

fn is_subject(subject: &[u8]) -> bool {
    matching::is_publishable(subject)
        && matching::is_literal(subject)
        && subject.iter().all(|byte| *byte > b' ' && *byte != 0x7f)
}

/// The beginning of a text, without what would break a line.
fn line(text: &str) -> String {
    text.chars().filter(|one| !one.is_control()).take(TEXT_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::super::super::Kind;
    use super::*;

    fn arrival<'a>(subject: &'a str, reply: &'a str, header: &'a str, payload: &'a str) -> Arrival<'a> {
        Arrival {
            kind: Kind::Origin(1),
            subject: subject.as_bytes(),
            reply: reply.as_bytes(),
            header: header.as_bytes(),
            payload: payload.as_bytes(),
        }
    }

    #[test]
    fn messages_tell_where_they_stood() {
        for (reply, told) in [
            ("$JS.ACK.O.c.1.7.3.1795440634160316658.2", Some((7, 3, 2))),
            ("$JS.ACK._.hash.O.c.1.7.3.5.2.more", Some((7, 3, 2))),
            ("$JS.ACK.O.c.1.0.3.5.2", None),
            ("$JS.ACK.O.c.1.4611686018427387904.3.5.2", None),
            ("$JS.ACK.O.c.1.18446744073709551616.3.5.2", None),
            ("$JS.ACK.O.c.1.7.3.-5.2", None),
            ("$JS.ACK.O.c.1.7.3.9223372036854775807.2", None),
            ("$JS.ACK.O.c.1.7.3.5", None),
            ("$JS.ACK.O.c.1.7.x.5.2", None),
            ("", None),
            ("_INBOX.x", None),
        ] {
            let read = match delivery(&arrival("a.b", reply, "", "x")) {
                Delivery::Message { stream_seq, consumer_seq, pending, .. } => {
                    Some((stream_seq, consumer_seq, pending))
                }
                Delivery::Malformed => None,
                other => panic!("{reply}: {other:?}"),
            };
            assert_eq!(read, told, "{reply}");
        }
        for subject in ["", "a..b", "a.*", ">", "a b", "a\r\nPUB x 0"] {
            let read = delivery(&arrival(subject, "$JS.ACK.O.c.1.7.3.5.2", "", ""));
            assert_eq!(read, Delivery::Malformed, "{subject}");
        }
    }

    #[test]
    fn an_origin_makes_us_publish_nothing_but_answers_to_flow_control() {
        let ask = |reply| delivery(&arrival("d", reply, "NATS/1.0 100 FlowControl Request\r\n\r\n", ""));
        let reply = "$JS.FC.O.c.abcd";
        for (bad, header) in
            [("orders.new", "x"), ("$JS.FC.>", "x"), ("$JS.API.STREAM.DELETE.S", "x"), ("$JS.FC. x", "x")]
        {
            assert_eq!(ask(bad), Delivery::Malformed, "{bad}");
            let _ = header;
            let header =
                format!("NATS/1.0 100 Idle Heartbeat\r\nNats-Last-Consumer: 3\r\nNats-Consumer-Stalled: {bad}\r\n\r\n");
            let read = delivery(&arrival("d", "", &header, ""));
            assert_eq!(read, Delivery::Beat { delivered: Some(3), waits_on: None }, "{bad}");
        }
        assert_eq!(ask(reply), Delivery::Ask(reply.as_bytes()));
        assert_eq!(delivery(&arrival("d", "", "NATS/1.0 409 Consumer Deleted\r\n\r\n", "")), Delivery::End);
    }

    #[test]
    fn answers_are_read_with_care() {
        let no = |text: &str| Err(Refused::No(text.to_owned()));
        for (answer, read) in [
            (r#"{"name":"c"}"#, Ok("c".to_owned())),
            (r#"{"error":{"code":404,"err_code":10059,"description":"stream not found"}}"#, no("stream not found")),
            (r#"{"error":{"err_code":10225}}"#, Err(Refused::Recreated)),
            (r#"{"error":{"err_code":10185}}"#, Err(Refused::Older)),
            (r#"{"error":{"err_code":1,"description":"a\nb"}}"#, no("ab")),
            (r#"{"name":"a.b"}"#, no("the origin's answer names no consumer")),
            (r#"{"name":""}"#, no("the origin's answer names no consumer")),
            ("{}", no("the origin's answer names no consumer")),
            ("[]x", no("the origin's answer is malformed")),
            ("", no("the origin's answer is malformed")),
            (r#"{"name":"c","num_pending":-1}"#, no("the origin's answer is malformed")),
        ] {
            assert_eq!(agreed(answer.as_bytes()).map(|agreed| agreed.name), read, "{answer}");
        }
        let long = format!(r#"{{"error":{{"err_code":1,"description":"{}"}}}}"#, "x".repeat(5000));
        let Err(Refused::No(text)) = agreed(long.as_bytes()) else { panic!("refused") };
        assert_eq!(text.len(), TEXT_MAX);
        assert_eq!(stamp(b"NATS/1.0\r\nNats-Stream-Identity: EbBk7CY9\r\n\r\n"), "EbBk7CY9");
        assert_eq!(stamp(b"NATS/1.0\r\nNats-Stream-Identity: a b\r\n\r\n"), "");
    }
}
