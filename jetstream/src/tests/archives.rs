//! Snapshot and restore on a bench: checklist H 102-104, and what hostile archives meet.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cordon_auth::clock::Clock;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::account::{AccountLimits, Limits, Settings};
use crate::archive::entry::{self, Entries, Entry};
use crate::archive::{Packer, Patience, Unpacker};
use crate::testing::{Bench, Sent, error_of};

const INBOX: &str = "dlv.x";

fn bench(dir: &Path, limits: AccountLimits) -> Bench {
    let patience =
        Patience { interest: Duration::ZERO, flow: Duration::from_millis(50), silence: Duration::from_secs(20) };
    let settings = Settings { store_dir: Some(dir.to_owned()), archives: patience, ..Settings::default() };
    Bench::at(settings, limits, Clock::manual(1_800_000_000))
}

/// Waits for what another thread sends to `to`.
fn wait_for(bench: &Bench, to: &str) -> Sent {
    loop {
        if let Some(sent) = bench.take(to).into_iter().next() {
            return sent;
        }
        std::thread::yield_now();
    }
}

fn json_of(sent: &Sent) -> Value {
    serde_json::from_str(&sent.payload).unwrap()
}

/// What a snapshot of the stream sends, acknowledged: the answer, the bytes, and the header of the last message.
fn snapshot(bench: &Bench, name: &str, request: Value) -> (Value, Vec<u8>, String) {
    bench.listen(INBOX);
    let mut request = request;
    request["deliver_subject"] = INBOX.into();
    assert_eq!(bench.api(&format!("STREAM.SNAPSHOT.{name}"), &request), Value::Null, "the answer is sent before it");
    let answer = json_of(&wait_for(bench, "r"));
    let mut bytes = Vec::new();
    loop {
        let chunk = wait_for_bytes(bench, INBOX);
        if chunk.payload.is_empty() {
            return (answer, bytes, chunk.header);
        }
        bytes.extend_from_slice(&chunk.payload);
        if !chunk.reply.is_empty() {
            let ears = bench.host.ears.lock().clone();
            // It may have been the last one: then nobody waits for its acknowledgement.
            if let Some((_, ear)) = ears.iter().find(|(pattern, _)| pattern.matches(chunk.reply.as_bytes())) {
                ear.hear(chunk.reply.as_bytes(), b"", b"");
            }
        }
    }
}

struct Chunk {
    reply: String,
    header: String,
    payload: Vec<u8>,
}

fn wait_for_bytes(bench: &Bench, to: &str) -> Chunk {
    loop {
        let mut raw = bench.port.raw.lock();
        if let Some(at) = raw.iter().position(|(sent, _)| sent.to == to) {
            let (sent, payload) = raw.remove(at);
            return Chunk { reply: sent.reply, header: sent.header, payload };
        }
        drop(raw);
        std::thread::yield_now();
    }
}

/// Uploads an archive in chunks; gives the first answer that is not empty.
fn restore(bench: &Bench, request: &Value, bytes: &[u8]) -> Value {
    restore_by(bench, request, bytes, 1000)
}

fn restore_by(bench: &Bench, request: &Value, bytes: &[u8], size: usize) -> Value {
    let name = request["config"]["name"].as_str().unwrap();
    let answer = bench.api(&format!("STREAM.RESTORE.{name}"), request);
    if answer != Value::Null {
        return answer;
    }
    let subject = json_of(&wait_for(bench, "r"))["deliver_subject"].as_str().unwrap().to_owned();
    let ears = bench.host.ears.lock().clone();
    let ear = ears.iter().find(|(pattern, _)| pattern.matches(subject.as_bytes())).unwrap().1.clone();
    for (number, chunk) in bytes.chunks(size).chain([&b""[..]]).enumerate() {
        let reply = format!("up.{number}");
        if !ear.hear(subject.as_bytes(), reply.as_bytes(), chunk) {
            break;
        }
        let answer = wait_for(bench, &reply);
        if !answer.payload.is_empty() {
            bench.run();
            return json_of(&answer);
        }
    }
    panic!("no answer ended the upload")
}

fn is_clean(dir: &Path) -> bool {
    let streams = dir.join("jetstream/$G/streams");
    std::fs::read_dir(streams).map_or(true, |mut entries| entries.next().is_none())
}

fn entries(bytes: &[u8]) -> Vec<Entry> {
    let mut entries = Entries::begin(Unpacker::new(bytes)).unwrap();
    let mut all = Vec::new();
    loop {
        let entry = entries.next_entry().unwrap();
        if entry.is_end() {
            return all;
        }
        all.push(entry);
    }
}

fn packed(entries: &[Entry]) -> Vec<u8> {
    let mut packer = Packer::new(Vec::new());
    entry::begin(&mut packer).unwrap();
    for one in entries {
        entry::write(&mut packer, &one.name, one.ts, one.seq, &one.header, &one.payload).unwrap();
    }
    packer.finish().unwrap()
}

/// Without what is of a moment.
fn lasting(info: &Value) -> Value {
    let mut info = info.clone();
    for field in ["ts", "created", "type"] {
        info.as_object_mut().unwrap().remove(field);
    }
    info
}

fn lasting_consumer(info: &Value) -> Value {
    let mut info = lasting(info);
    for field in ["delivered", "ack_floor"] {
        info[field].as_object_mut().unwrap().remove("last_active");
    }
    info.as_object_mut().unwrap().remove("num_waiting");
    info
}

#[derive(Clone, Debug)]
enum Step {
    Store(u8, usize),
    Remove(u64),
    Purge(u64),
    Pull(usize, bool),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0u8..4, 0usize..3000).prop_map(|(subject, size)| Step::Store(subject, size)),
        1 => (1u64..20).prop_map(Step::Remove),
        1 => (1u64..12).prop_map(Step::Purge),
        2 => (1usize..4, any::<bool>()).prop_map(|(count, ack)| Step::Pull(count, ack)),
    ]
}

fn play(bench: &Bench, steps: &[Step]) {
    for one in steps {
        match one {
            Step::Store(subject, size) => {
                let id = format!("{subject}-{size}");
                let text = "abc ".repeat(size / 4);
                bench.publish(&format!("s.{subject}"), &[("Nats-Msg-Id", &id)], &text);
            }
            Step::Remove(seq) => {
                bench.api("STREAM.MSG.DELETE.S", &json!({"seq": seq, "no_erase": true}));
            }
            Step::Purge(seq) => {
                bench.api("STREAM.PURGE.S", &json!({"seq": seq}));
            }
            Step::Pull(count, ack) => {
                let got = bench.pull("S", "d", &json!({"batch": count, "no_wait": true}).to_string());
                for message in got.iter().filter(|message| *ack && !message.reply.is_empty()) {
                    bench.ack(message, "");
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn a_stream_comes_back_as_it_was(
        steps in prop::collection::vec(step(), 0..40), memory in any::<bool>(), retention in 0usize..3,
    ) {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (before, after) = (bench(one.path(), AccountLimits::default()), bench(other.path(), AccountLimits::default()));
        let storage = if memory { "memory" } else { "file" };
        let retention = ["limits", "workqueue", "interest"][retention];
        before.stream(json!({"name": "S", "subjects": ["s.>"], "storage": storage, "retention": retention}));
        let consumer = json!({"stream_name": "S", "config": {"durable_name": "d", "ack_policy": "explicit"}});
        prop_assert_eq!(error_of(&before.api("CONSUMER.DURABLE.CREATE.S.d", &consumer)), 0);
        play(&before, &steps);
        let (answer, bytes, header) = snapshot(&before, "S", json!({"chunk_size": 1024, "window_size": 2048}));
        prop_assert_eq!(header, "");
        let request = json!({"config": answer["config"], "state": answer["state"]});
        let answer = restore(&after, &request, &bytes);
        prop_assert_eq!(error_of(&answer), 0, "{}", answer);
        let (info, again) = (lasting(&before.info("S")), lasting(&after.info("S")));
        prop_assert_eq!(&again["config"], &info["config"]);
        if memory {
            // Both count alike.
            prop_assert_eq!(&again["state"], &info["state"]);
        }
        prop_assert_eq!(&again, &info);
        prop_assert_eq!(after.messages("S"), before.messages("S"));
        let of = |bench: &Bench| lasting_consumer(&bench.api("CONSUMER.INFO.S.d", &Value::Null));
        prop_assert_eq!(of(&after), of(&before));
        // What was published within the window is known.
        let last = steps.iter().rev().find_map(|step| match step { Step::Store(s, size) => Some((*s, *size)), _ => None });
        if let Some((subject, size)) = last {
            let id = format!("{subject}-{size}");
            let (theirs, ours) = (
                before.publish(&format!("s.{subject}"), &[("Nats-Msg-Id", &id)], ""),
                after.publish(&format!("s.{subject}"), &[("Nats-Msg-Id", &id)], ""),
            );
            // Of a message that is gone, the archive does not tell.
            if before.messages("S").iter().any(|(seq, ..)| Some(*seq) == theirs["seq"].as_u64()) {
                prop_assert_eq!(ours, theirs);
            }
        }
        // And it is all on disk.
        let (usage, kept) = (after.api("INFO", &Value::Null), after.messages("S"));
        after.account.stop();
        drop(after);
        let again = bench(other.path(), AccountLimits::default());
        if !memory {
            prop_assert_eq!(again.messages("S"), kept);
            prop_assert_eq!(error_of(&again.api("CONSUMER.INFO.S.d", &Value::Null)), 0);
            prop_assert_eq!(&again.api("INFO", &Value::Null)["storage"], &usage["storage"]);
        }
    }

    #[test]
    fn a_damaged_or_cut_archive_is_refused_and_leaves_nothing(at in any::<prop::sample::Index>(), bit in 0u8..9) {
        let dir = tempfile::tempdir().unwrap();
        let bench = bench(dir.path(), AccountLimits::default());
        let (request, whole) = small();
        let mut bytes = whole;
        let at = at.index(bytes.len());
        if bit == 8 {
            bytes.truncate(at);
        } else {
            bytes[at] ^= 1 << bit;
        }
        let answer = restore(&bench, &request, &bytes);
        prop_assert_eq!(error_of(&answer), 10062, "{}", answer);
        prop_assert!(is_clean(dir.path()));
        prop_assert_eq!(error_of(&bench.info("S")), 10059);
        prop_assert_eq!(&bench.api("INFO", &Value::Null)["storage"], &json!(0));
    }
}

/// A small archive, and the request that restores it.
fn small() -> (Value, Vec<u8>) {
    let dir = tempfile::tempdir().unwrap();
    let bench = bench(dir.path(), AccountLimits::default());
    bench.stream(json!({"name": "S", "subjects": ["s.>"], "storage": "file", "allow_msg_ttl": true}));
    let consumer = json!({"stream_name": "S", "config": {"durable_name": "d", "ack_policy": "explicit"}});
    bench.api("CONSUMER.DURABLE.CREATE.S.d", &consumer);
    for text in ["one", "two", "three"] {
        bench.store("s.a", &[("A", "b")], text);
    }
    let got = bench.pull("S", "d", "2");
    bench.ack(&got[0], "");
    let (answer, bytes, _) = snapshot(&bench, "S", json!({}));
    (json!({"config": answer["config"], "state": answer["state"]}), bytes)
}

/// The archive is refused with this problem, and leaves nothing: its name is free.
fn is_refused(what: &str, request: &Value, made: &[Entry], problem: &str) {
    let dir = tempfile::tempdir().unwrap();
    let bench = bench(dir.path(), AccountLimits::default());
    let answer = restore(&bench, request, &packed(made));
    assert_eq!(error_of(&answer), 10062, "{what}: {answer}");
    let told = answer["error"]["description"].as_str().unwrap();
    assert!(told.starts_with("restore failed: ") && told.contains(problem), "{what}: {told}");
    assert!(is_clean(dir.path()), "{what}");
    assert_eq!(bench.api("INFO", &Value::Null)["storage"], 0, "{what}");
    bench.stream(json!({"name": "S", "subjects": ["s.>"], "storage": "file"}));
}

#[test]
fn entries_that_are_not_in_order_are_refused_and_leave_nothing() {
    let (request, bytes) = small();
    let all = entries(&bytes);
    let names: Vec<_> = all.iter().map(|entry| String::from_utf8_lossy(&entry.name).into_owned()).collect();
    assert_eq!(names, ["state.json", "consumers/d", "s.a", "s.a", "s.a"]);
    // 9 stands for the end.
    let cases: [(&[usize], &str); 8] = [
        (&[0, 1, 2, 3, 4], "cut off"),
        (&[1, 2, 3, 4, 9], "not the state"),
        (&[9], "not the state"),
        (&[0, 0, 9], "neither a consumer nor"),
        (&[0, 2, 1, 9], "follows messages"),
        (&[0, 1, 1, 2, 3, 4, 9], "consumer `d`"),
        (&[0, 1, 2, 4, 3, 9], "message 2"),
        (&[0, 1, 2, 3, 4, 9, 4], "follows the last"),
    ];
    for (order, problem) in cases {
        let made: Vec<Entry> = order.iter().map(|at| all.get(*at).cloned().unwrap_or_default()).collect();
        is_refused(&format!("{order:?}"), &request, &made, problem);
    }
}

#[test]
fn what_a_stream_or_consumer_cannot_be_is_refused_and_leaves_nothing() {
    let (request, bytes) = small();
    let (state, consumer) = (0, 1);
    for (at, from, to, problem) in [
        (state, "{", "[{", "state in the archive"),
        (state, "\"last_seq\":3", "\"last_seq\":9223372036854775807", "sequences cannot be"),
        (state, "\"first_seq\":1", "\"first_seq\":9", "sequences cannot be"),
        (state, "\"first_seq\":1", "\"first_seq\":2", "message 1"),
        (state, "\"messages\":3", "\"messages\":2", "more messages than"),
        (consumer, "{", "x", "no object"),
        (consumer, "\"config\"", "\"other\"", "no JSON of its kind"),
        (consumer, "\"name\":\"d\"", "\"name\":\"e\"", "of another one"),
        (consumer, "\"explicit\"", "\"explicit\",\"deliver_subject\":\"a.*\"", "consumer `d`"),
        (consumer, "\"_nats.req.level\":\"0\"", "\"_nats.req.level\":\"99\"", "newer server"),
        (consumer, "\"ack_floor\":{\"consumer_seq\":1", "\"ack_floor\":{\"consumer_seq\":3", "more is acknowledged"),
    ] {
        let mut made = entries(&bytes);
        let text = String::from_utf8(made[at].payload.clone()).unwrap();
        made[at].payload = text.replacen(from, to, 1).into_bytes();
        assert_ne!(made[at].payload, text.as_bytes(), "{from}");
        made.push(Entry::default());
        is_refused(to, &request, &made, problem);
    }
}

#[test]
fn names_paths_and_messages_that_are_none_are_refused_and_leave_nothing() {
    let (request, bytes) = small();
    let all = entries(&bytes);
    let named = |at: usize, name: &[u8]| (at, Entry { name: name.to_vec(), ..all[at].clone() });
    let (message, header) = (all[2].clone(), |text: &[u8]| Entry { header: text.to_vec(), ..all[2].clone() });
    for ((at, entry), problem) in [
        (named(1, b"consumers/../../x"), "neither a consumer nor"),
        (named(1, b"consumers/"), "neither a consumer nor"),
        (named(1, b"consumers/a.b"), "neither a consumer nor"),
        (named(1, b"/etc/passwd"), "neither a consumer nor"),
        (named(1, b"msgs/1.blk"), "neither a consumer nor"),
        (named(1, b"consumers/e"), "of another one"),
        (named(2, b"s.>"), "its subject is none"),
        (named(2, b""), "its subject is none"),
        (named(2, b"s. \r\n"), "its subject is none"),
        (named(2, b"s..a"), "its subject is none"),
        ((2, header(b"x")), "its headers are none"),
        ((2, header(b"NATS/1.0\r\nA: b")), "its headers are none"),
        ((3, Entry { seq: 1, ..message.clone() }), "message 1"),
        ((4, Entry { seq: 4, ..message.clone() }), "message 4"),
        ((4, Entry { seq: u64::MAX, ..message.clone() }), "cannot follow"),
    ] {
        let mut made = all.clone();
        let what = format!("{:?}", entry.name.escape_ascii().to_string());
        made[at] = entry;
        made.push(Entry::default());
        is_refused(&what, &request, &made, if problem == "cannot follow" { "can follow" } else { problem });
    }
}

#[test]
fn what_is_no_archive_is_refused() {
    let (request, whole) = small();
    let mut tar = Packer::new(Vec::new());
    tar.write_all(&[b"meta.inf".as_slice(), &[0; 600]].concat()).unwrap();
    let mut bomb = Packer::new(Vec::new());
    entry::begin(&mut bomb).unwrap();
    bomb.write_all(&vec![0x80; 40 << 20]).unwrap();
    for (bytes, problem) in [
        (b"".to_vec(), "cut off"),
        (b"plain text".to_vec(), "does not begin with its identifier"),
        (tar.finish().unwrap(), "no archive of nats-server 2.15"),
        (bomb.finish().unwrap(), "a number of an entry"),
        (whole[..whole.len() - 1].to_vec(), "cut off"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let bench = bench(dir.path(), AccountLimits::default());
        let answer = restore(&bench, &request, &bytes);
        assert_eq!(error_of(&answer), 10062, "{answer}");
        assert!(answer["error"]["description"].as_str().unwrap().contains(problem), "{answer}");
        assert!(is_clean(dir.path()));
    }
}

#[test]
fn requests_are_checked() {
    let (request, bytes) = small();
    let dir = tempfile::tempdir().unwrap();
    let one = bench(dir.path(), AccountLimits::default());
    one.stream(json!({"name": "S", "subjects": ["s.>"], "storage": "file"}));
    assert_eq!(error_of(&restore(&one, &request, &bytes)), 10130);
    let mut other = request.clone();
    other["config"]["name"] = "T".into();
    assert_eq!(error_of(&one.api("STREAM.RESTORE.T", &other)), 10065, "its subjects are taken");
    assert_eq!(error_of(&one.api("STREAM.RESTORE.U", &other)), 10056);
    assert_eq!(error_of(&one.api("STREAM.RESTORE.T", &json!({}))), 10003);
    assert_eq!(error_of(&one.api("STREAM.RESTORE.T", &json!({"config": {"name": "T"}, "foo": 1}))), 10025);
    for (body, error) in [
        (json!({}), 10003),
        (json!({"chunk_size": 1}), 10015),
        (json!({"deliver_subject": "a b"}), 10015),
        (json!({"deliver_subject": "a.*"}), 10015),
        (json!({"deliver_subject": "s.x"}), 10015),
        (json!({"deliver_subject": "$JS.API.STREAM.DELETE.S"}), 10015),
        (json!({"deliver_subject": "$SYS.REQ.X"}), 10015),
        (json!({"deliver_subject": "a", "foo": 1}), 10025),
    ] {
        assert_eq!(error_of(&one.api("STREAM.SNAPSHOT.S", &body)), error, "{body}");
    }
    assert_eq!(error_of(&one.api("STREAM.SNAPSHOT.NONE", &json!({"deliver_subject": "a"}))), 10059);
}

#[test]
fn an_account_gets_no_more_by_a_restore_than_it_may_have() {
    let (request, bytes) = small();
    let with = |change: &dyn Fn(&mut Limits)| {
        let mut limits = Limits::NONE;
        change(&mut limits);
        AccountLimits::Flat(limits)
    };
    for (limits, expected) in [
        (with(&|limits| limits.max_storage = 10), 10002),
        (with(&|limits| limits.max_bytes_required = true), 10113),
        (with(&|limits| limits.max_streams = 1), 10027),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let bench = bench(dir.path(), limits);
        if expected == 10027 {
            bench.stream(json!({"name": "O", "subjects": ["o"], "storage": "file"}));
        }
        assert_eq!(error_of(&restore(&bench, &request, &bytes)), expected);
    }
    // Whoever says that less comes than does is stopped on the way.
    let dir = tempfile::tempdir().unwrap();
    let bench = bench(dir.path(), with(&|limits| limits.max_storage = 100));
    let mut request = request;
    request["state"] = json!({});
    let answer = restore(&bench, &request, &bytes);
    assert_eq!(error_of(&answer), 10062, "{answer}");
    assert_eq!(bench.api("INFO", &Value::Null)["storage"], 0);
    assert!(is_clean(dir.path()));
}

#[test]
fn a_receiver_that_stops_ends_a_snapshot() {
    let dir = tempfile::tempdir().unwrap();
    let bench = bench(dir.path(), AccountLimits::default());
    bench.stream(json!({"name": "S", "subjects": ["s"], "storage": "file"}));
    for number in 0..50u8 {
        let byte = |at: u16| number.wrapping_mul(31) ^ at.to_le_bytes()[0] ^ (at / 7).to_le_bytes()[0];
        let noise: String = (0..400).map(|at| char::from(b'!' + byte(at) % 90)).collect();
        bench.store("s", &[], &noise);
    }
    bench.listen(INBOX);
    bench.api("STREAM.SNAPSHOT.S", &json!({"deliver_subject": INBOX, "chunk_size": 1024, "window_size": 1024}));
    let first = wait_for_bytes(&bench, INBOX);
    assert!(first.reply.starts_with("$JS.SNAPSHOT.ACK.S.") && first.reply.ends_with(".1024.1"), "{}", first.reply);
    let last = wait_for_bytes(&bench, INBOX);
    assert_eq!((last.header.as_str(), last.payload.len()), ("NATS/1.0 408 No Flow Response\r\n\r\n", 0));
    // Nobody listens.
    bench.port.interest.lock().clear();
    bench.api("STREAM.SNAPSHOT.S", &json!({"deliver_subject": INBOX}));
    assert_eq!(wait_for_bytes(&bench, INBOX).header, "NATS/1.0 408 No Interest\r\n\r\n");
}

#[test]
fn what_ended_in_the_meantime_is_a_gap() {
    let (request, bytes) = small();
    let mut all = entries(&bytes);
    all[3].header = b"NATS/1.0\r\nNats-TTL: 1s\r\n\r\n".to_vec();
    all[3].ts = 1_000_000_000;
    all[2].ts = 1_000_000_000;
    all.push(Entry::default());
    let dir = tempfile::tempdir().unwrap();
    let bench = bench(dir.path(), AccountLimits::default());
    assert_eq!(error_of(&restore(&bench, &request, &packed(&all))), 0);
    let seqs: Vec<u64> = bench.messages("S").iter().map(|(seq, ..)| *seq).collect();
    assert_eq!(seqs, [1, 3]);
    assert_eq!((&bench.state("S")["num_deleted"], &bench.state("S")["last_seq"]), (&json!(1), &json!(3)));
}

#[test]
fn an_upload_that_cannot_be_answered_is_dropped() {
    let (request, bytes) = small();
    let dir = tempfile::tempdir().unwrap();
    let bench = Arc::new(bench(dir.path(), AccountLimits::default()));
    bench.api("STREAM.RESTORE.S", &request);
    let subject = json_of(&wait_for(&bench, "r"))["deliver_subject"].as_str().unwrap().to_owned();
    let ear = bench.host.ears.lock()[0].1.clone();
    assert!(ear.hear(subject.as_bytes(), b"", &bytes));
    while !bench.host.ears.lock().is_empty() {
        std::thread::yield_now();
    }
    assert!(is_clean(dir.path()) && !ear.hear(subject.as_bytes(), b"r", b"x"));
    let mut back = Vec::new();
    Unpacker::new(bytes.as_slice()).read_to_end(&mut back).unwrap();
    assert!(back.starts_with(b"NATSARC1"));
}

#[test]
fn a_large_stream_is_snapshotted_and_restored_as_a_whole() {
    let mib = std::env::var("CORDON_SNAPSHOT_MIB").ok().and_then(|text| text.parse().ok()).unwrap_or(100);
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let from = bench(here.path(), AccountLimits::default());
    from.stream(json!({"name": "S", "subjects": ["s.*"], "storage": "file"}));
    // What does not compress, so that all of it is on the way.
    let mut noise = 1u64;
    let mut block = || -> String {
        let step = |_| {
            noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            char::from(b' ' + u8::try_from((noise >> 40) % 95).unwrap())
        };
        (0..128 * 1024).map(step).collect()
    };
    for n in 0..mib * 8 {
        from.store(&format!("s.{}", n % 7), &[("N", &n.to_string())], &block());
    }
    from.api("STREAM.MSG.DELETE.S", &json!({"seq": 3}));
    let (answer, bytes, end) = snapshot(&from, "S", json!({"chunk_size": 65536, "window_size": 1 << 20}));
    assert_eq!(end, "", "all of it was sent");
    assert!(bytes.len() > mib * 700_000, "{}", bytes.len());
    let to = bench(there.path(), AccountLimits::default());
    let request = json!({"config": answer["config"], "state": answer["state"]});
    let restored = restore_by(&to, &request, &bytes, 128 * 1024);
    assert_eq!(error_of(&restored), 0, "{restored}");
    assert_eq!(to.state("S"), from.state("S"));
    let differs = from.messages("S").into_iter().zip(to.messages("S")).find(|(one, other)| one != other);
    assert!(differs.is_none());
}

#[test]
fn the_account_is_told_when_a_snapshot_or_a_restore_begins_and_ends() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let from = bench(here.path(), AccountLimits::default());
    from.listen("$JS.EVENT.>");
    from.stream(json!({"name": "S", "subjects": ["s"], "storage": "file"}));
    from.store("s", &[], "one");
    let (answer, bytes, _) = snapshot(&from, "S", json!({}));
    let to = bench(there.path(), AccountLimits::default());
    to.listen("$JS.EVENT.>");
    assert_eq!(error_of(&restore(&to, &json!({"config": answer["config"], "state": answer["state"]}), &bytes)), 0);
    let expected: [(&Bench, &str, &str, &[&str]); 4] = [
        (&from, "SNAPSHOT_CREATE", "snapshot_create", &["stream", "state", "client"]),
        (&from, "SNAPSHOT_COMPLETE", "snapshot_complete", &["stream", "start", "end", "client"]),
        (&to, "RESTORE_CREATE", "restore_create", &["stream", "client"]),
        (&to, "RESTORE_COMPLETE", "restore_complete", &["stream", "start", "end", "bytes", "client"]),
    ];
    for (bench, event, kind, fields) in expected {
        let told = json_of(&wait_for(bench, &format!("$JS.EVENT.ADVISORY.STREAM.{event}.S")));
        assert_eq!(told["type"], format!("io.nats.jetstream.advisory.v1.{kind}"));
        for field in fields.iter().chain(&["id", "timestamp"]) {
            assert!(told.get(field).is_some(), "{event} without `{field}`: {told}");
        }
    }
}
