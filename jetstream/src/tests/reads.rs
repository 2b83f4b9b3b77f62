//! Reads: checklist F.

use serde_json::json;

use crate::stream::{DirectRequest, Stream};
use crate::testing::{Bench, error_of};

fn filled() -> Bench {
    let bench = Bench::new();
    bench.stream(json!({"name": "S", "subjects": ["s.>"], "allow_direct": true}));
    for (subject, payload) in [("s.a", "1"), ("s.b", "2"), ("s.a", "3"), ("s.c", "4"), ("s.b", "5")] {
        bench.store(subject, &[("A", "b")], payload);
        bench.pass(std::time::Duration::from_secs(1));
    }
    bench
}

#[test]
fn single_messages_are_found_by_what_a_request_says() {
    let bench = filled();
    for (body, found) in [
        (json!({"seq": 3}), 3),
        (json!({"last_by_subj": "s.a"}), 3),
        (json!({"last_by_subj": "s.*"}), 5),
        (json!({"next_by_subj": "s.b"}), 2),
        (json!({"next_by_subj": "s.b", "seq": 3}), 5),
        (json!({"next_by_subj": "s.>", "start_time": "2027-01-15T08:00:02.5Z"}), 4),
        (json!({"start_time": "2027-01-15T08:00:01Z"}), 2),
    ] {
        let answer = bench.api("STREAM.MSG.GET.S", &body);
        assert_eq!(answer["message"]["seq"], found, "{body} {answer}");
    }
    for (body, code) in [
        (json!({"seq": 9}), 10037),
        (json!({"last_by_subj": "s.x"}), 10037),
        (json!({"next_by_subj": "s.a", "seq": 4}), 10037),
        (json!({"start_time": "2030-01-01T00:00:00Z"}), 10037),
        (json!({}), 10003),
        (json!(null), 10003),
        (json!({"seq": 1, "last_by_subj": "s.a"}), 10003),
        (json!({"last_by_subj": "s.a", "next_by_subj": "s.a"}), 10003),
        (json!({"seq": 1, "start_time": "2027-01-15T08:00:01Z"}), 10003),
        (json!({"seq": 1, "batch": 2}), 10003),
        (json!({"seq": 1, "x": 2}), 10025),
    ] {
        assert_eq!(bench.refused("STREAM.MSG.GET.S", &body), code, "{body}");
    }
    assert_eq!(bench.refused("STREAM.MSG.GET.X", &json!({"seq": 1})), 10059);
}

#[test]
fn a_message_is_shown_in_base64() {
    let bench = filled();
    let message = bench.api("STREAM.MSG.GET.S", &json!({"seq": 1}))["message"].clone();
    let expected = json!({
        "subject": "s.a", "seq": 1, "hdrs": "TkFUUy8xLjANCkE6IGINCg0K", "data": "MQ==", "time": "2027-01-15T08:00:00Z"
    });
    assert_eq!(message, expected);
    let bare = bench.api("STREAM.MSG.GET.S", &json!({"seq": 1, "no_hdr": true}))["message"].clone();
    assert_eq!(bare.get("hdrs"), None);
}

#[test]
fn direct_reads_answer_with_the_message_itself() {
    let bench = filled();
    let sent = bench.direct("S", Some("s.a"), "").unwrap();
    assert_eq!(sent[0].payload, "3");
    assert_eq!(
        sent[0].header,
        "NATS/1.0\r\nA: b\r\nNats-Stream: S\r\nNats-Subject: s.a\r\nNats-Sequence: 3\r\n\
         Nats-Time-Stamp: 2027-01-15T08:00:02Z\r\n\r\n"
    );
    assert_eq!(bench.direct("S", None, r#"{"seq":2}"#).unwrap()[0].payload, "2");
    let bare = bench.direct("S", None, r#"{"seq":2,"no_hdr":true}"#).unwrap();
    assert_eq!((bare[0].header.as_str(), bare[0].payload.as_str()), ("", "2"));
}

#[test]
fn direct_reads_refuse_with_a_status() {
    let bench = filled();
    for (subject, body, status) in [
        (None, "", "408 Empty Request"),
        (None, "{", "408 Malformed Request"),
        (None, "{}", "408 Bad Request"),
        (None, r#"{"seq":1,"last_by_subj":"s.a"}"#, "408 Bad Request"),
        (None, r#"{"seq":1,"up_to_seq":2}"#, "408 Bad Request"),
        (None, r#"{"last_by_subj":"s.a","batch":2}"#, "408 Bad Request"),
        (Some("s.a"), r#"{"seq":1}"#, "408 Bad Request"),
        (Some("s.x"), "", "404 Message Not Found"),
        (None, r#"{"seq":99}"#, "404 Message Not Found"),
        (None, r#"{"multi_last":["s.x"]}"#, "404 No Results"),
        (None, r#"{"multi_last":["s.>"],"up_to_seq":2,"up_to_time":"2027-01-15T08:00:02Z"}"#, "408 Bad Request"),
    ] {
        let sent = bench.direct("S", subject, body).unwrap();
        assert_eq!(sent[0].header, format!("NATS/1.0 {status}\r\n\r\n"), "{body}");
        assert_eq!(sent.len(), 1);
    }
    let stream = bench.account.direct("S").unwrap();
    let header = b"NATS/1.0\r\nNats-Required-Api-Level: 999\r\n\r\n";
    let (subject, reply) = (Some("s.a"), b"_INBOX.direct");
    stream.direct_get(&DirectRequest { subject, header, payload: b"", reply, reader: None });
    assert!(bench.take("_INBOX.direct")[0].header.starts_with("NATS/1.0 412 "));
}

#[test]
fn direct_reads_are_there_only_where_they_are_allowed() {
    let bench = filled();
    assert!(bench.direct("X", None, r#"{"seq":1}"#).is_none());
    bench.update("S", &json!({"allow_direct": false}));
    assert!(bench.direct("S", None, r#"{"seq":1}"#).is_none());
    bench.update("S", &json!({"allow_direct": true}));
    assert!(bench.direct("S", None, r#"{"seq":1}"#).is_some());
}

#[test]
fn a_batch_counts_down_and_ends() {
    let bench = filled();
    let sent = bench.direct("S", None, r#"{"seq":2,"batch":3}"#).unwrap();
    let marks: Vec<(&str, bool, bool)> = sent
        .iter()
        .zip([("3", "0"), ("2", "2"), ("1", "3"), ("1", "4")])
        .map(|(sent, (pending, last))| {
            (
                sent.payload.as_str(),
                sent.header.contains(&format!("Nats-Num-Pending: {pending}\r\n")),
                sent.header.contains(&format!("Nats-Last-Sequence: {last}\r\n")),
            )
        })
        .collect();
    assert_eq!(marks, [("2", true, true), ("3", true, true), ("4", true, true), ("", true, true)]);
    assert!(sent[3].header.starts_with("NATS/1.0 204 EOB\r\n"));
    let few = bench.direct("S", None, r#"{"seq":1,"batch":9,"max_bytes":1}"#).unwrap();
    assert_eq!(few.len(), 2, "it ends behind the message that goes over");
}

#[test]
fn the_last_messages_of_many_subjects_come_in_their_order() {
    let bench = filled();
    let sent = bench.direct("S", None, r#"{"multi_last":["s.>"]}"#).unwrap();
    let payloads: Vec<&str> = sent.iter().map(|sent| sent.payload.as_str()).collect();
    assert_eq!(payloads, ["3", "4", "5", ""]);
    assert!(sent[3].header.contains("Nats-UpTo-Sequence: 5\r\n"), "{}", sent[3].header);
    let sent = bench.direct("S", None, r#"{"multi_last":["s.a","s.b"],"up_to_seq":4}"#).unwrap();
    let payloads: Vec<&str> = sent.iter().map(|sent| sent.payload.as_str()).collect();
    assert_eq!(payloads, ["2", "3", ""]);
    for n in 0..1025 {
        bench.store(&format!("s.many.{n}"), &[], "");
    }
    let sent = bench.direct("S", None, r#"{"multi_last":["s.many.*"]}"#).unwrap();
    assert!(sent[0].header.starts_with("NATS/1.0 413 Too Many Results"));
}

#[test]
fn an_unknown_consumer_and_stream_are_told_apart() {
    let bench = filled();
    assert_eq!(error_of(&bench.api("CONSUMER.INFO.S.none", &json!(null))), 10014);
    assert_eq!(error_of(&bench.api("CONSUMER.INFO.X.none", &json!(null))), 10059);
    assert!(
        !bench.account.request(("S", "none"), b"r", b"", b"", &mut Stream::begin),
        "a puller hears of no responders"
    );
}
