//! Mirrors and sources of another account or domain, two benches with a wire between them: checklist G 98 to 101.

use serde_json::{Value, json};

use crate::account::{AccountLimits, Settings};
use crate::stream::Stream;
use crate::testing::{Bench, Sent, error_of};

/// Two accounts: what `near` asks at `X.API` reaches `far`, and what `far` delivers below `d` reaches `near`.
struct Wire {
    near: Bench,
    far: Bench,
    /// Deliveries that get lost: by their number from 1.
    lost: Vec<usize>,
    delivered: usize,
}

impl Wire {
    fn new() -> Self {
        Self::of(Bench::new(), Bench::new())
    }

    fn of(near: Bench, far: Bench) -> Self {
        Self { near, far, lost: Vec::new(), delivered: 0 }
    }

    /// Carries what was sent until nothing is.
    fn carry(&mut self) {
        for _ in 0..10_000 {
            self.listen();
            if !self.carry_one_way() & !self.carry_back() {
                return;
            }
        }
        panic!("it does not come to rest");
    }

    fn listen(&self) {
        let heard = self.near.port.heard.lock();
        let patterns = heard.iter().map(|(_, subject, _)| subject.parse().unwrap()).collect::<Vec<_>>();
        drop(heard);
        let mut interest = self.far.port.interest.lock();
        if *interest != patterns {
            *interest = patterns;
            drop(interest);
            for stream in self.far.account.streams() {
                stream.wake();
            }
            self.far.run();
        }
    }

    fn carry_one_way(&self) -> bool {
        let sent = std::mem::take(&mut *self.near.port.sent.lock());
        let any = !sent.is_empty();
        for sent in sent {
            if let Some(tail) = sent.to.strip_prefix("X.API.") {
                let (answer, header) = self.far.ask(tail, sent.header.as_bytes(), sent.payload.as_bytes());
                if !sent.reply.is_empty() {
                    self.give(&Sent { to: sent.reply, header, payload: answer, ..Sent::default() });
                }
            } else if sent.to.starts_with("$JS.FC.") {
                let header = sent.header.as_bytes();
                assert!(self.far.account.flow(sent.to.as_bytes(), b"", header, b"", &mut Stream::begin), "{}", sent.to);
                self.far.run();
            }
        }
        any
    }

    fn carry_back(&mut self) -> bool {
        let sent = std::mem::take(&mut *self.far.port.sent.lock());
        let any = sent.iter().any(|sent| sent.to.starts_with("d."));
        for sent in sent.iter().filter(|sent| sent.to.starts_with("d.")) {
            self.delivered += usize::from(!sent.payload.is_empty());
            if sent.payload.is_empty() || !self.lost.contains(&self.delivered) {
                self.give(sent);
            }
        }
        any
    }

    fn give(&self, sent: &Sent) {
        self.near.hear(sent);
        self.near.run();
    }

    fn pass(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.near.pass(std::time::Duration::from_secs(1));
            self.far.pass(std::time::Duration::from_secs(1));
            self.carry();
        }
    }

    fn publish(&self, subject: &str, count: usize) {
        for n in 1..=count {
            self.far.store(subject, &[], &n.to_string());
        }
    }
}

fn external() -> Value {
    json!({"api": "X.API", "deliver": "d"})
}

fn sequences(bench: &Bench, name: &str) -> Vec<u64> {
    bench.messages(name).into_iter().map(|(seq, ..)| seq).collect()
}

fn error_in(bench: &Bench, name: &str) -> u64 {
    let info = bench.info(name);
    let of = if info["mirror"].is_null() { &info["sources"][0] } else { &info["mirror"] };
    error_of(of)
}

#[test]
fn a_far_mirror_has_the_sequences_and_times_of_its_origin() {
    let mut wire = Wire::new();
    wire.far.stream(json!({"name": "O", "subjects": ["o.>"]}));
    wire.publish("o.a", 4);
    wire.far.api("STREAM.MSG.DELETE.O", &json!({"seq": 2}));
    wire.near.stream(json!({"name": "M", "mirror": {"name": "O", "external": external()}}));
    wire.carry();
    assert_eq!(sequences(&wire.near, "M"), [1, 3, 4]);
    let (state, origin) = (wire.near.state("M"), wire.far.state("O"));
    for field in ["messages", "bytes", "first_ts", "last_ts", "num_deleted", "last_seq"] {
        assert_eq!(state[field], origin[field], "{field}");
    }
    wire.publish("o.b", 1);
    wire.carry();
    assert_eq!(sequences(&wire.near, "M"), [1, 3, 4, 5]);
    let info = wire.near.info("M");
    assert_eq!((&info["mirror"]["lag"], &info["mirror"]["external"]), (&json!(0), &external()));
    assert!(info["mirror"]["active"].as_i64().unwrap() >= 0);
    assert_eq!(wire.far.api("CONSUMER.NAMES.O", &json!(null))["consumers"], json!([]), "its consumer is in no list");
}

#[test]
fn a_far_mirror_of_an_origin_that_was_made_anew_goes_on_behind_its_last_sequence() {
    let mut wire = Wire::new();
    wire.far.stream(json!({"name": "O", "subjects": ["o.>"]}));
    wire.publish("o.old", 5);
    wire.near.stream(json!({"name": "M", "mirror": {"name": "O", "external": external()}}));
    wire.carry();
    assert_eq!(sequences(&wire.near, "M"), [1, 2, 3, 4, 5]);
    assert_eq!(wire.far.api("STREAM.DELETE.O", &json!(null))["success"], true);
    wire.far.stream(json!({"name": "O", "subjects": ["o.>"]}));
    wire.publish("o.new", 3);
    wire.pass(30);
    assert_eq!(sequences(&wire.near, "M"), [1, 2, 3, 4, 5], "the new one has not come so far");
    let info = wire.near.info("M");
    assert_eq!((&info["mirror"]["lag"], &info["mirror"]["error"]), (&json!(0), &json!(null)), "as with nats-server");
    wire.publish("o.new", 4);
    wire.pass(5);
    let all = wire.near.messages("M");
    let subjects: Vec<_> = all.iter().map(|(seq, subject, _)| (*seq, subject.as_str())).collect();
    assert_eq!(subjects[4..], [(5, "o.old"), (6, "o.new"), (7, "o.new")]);
}

#[test]
fn what_gets_lost_on_the_way_comes_again_and_nothing_twice() {
    let mut wire = Wire::new();
    wire.far.stream(json!({"name": "O", "subjects": ["o.>"]}));
    wire.near.stream(json!({"name": "M", "mirror": {"name": "O", "external": external()}}));
    wire.near.stream(json!({"name": "S", "sources": [{"name": "O", "external": external(), "filter_subject": "o.a"}]}));
    wire.carry();
    wire.lost = vec![3, 4, 11, 12, 17];
    for subject in ["o.a", "o.b", "o.a"] {
        wire.publish(subject, 4);
        wire.pass(4);
    }
    wire.pass(10);
    assert_eq!(sequences(&wire.near, "M"), (1..=12).collect::<Vec<_>>());
    assert_eq!(wire.near.state("S")["messages"], 8);
    assert!(wire.near.header("S", 5).contains("Nats-Stream-Source: O:"), "{}", wire.near.header("S", 5));
    let expected = |n: u64, seq: u64| {
        let header = wire.near.header("S", n);
        assert!(header.contains(&format!(" {seq} o.a > o.a ")), "{header}");
    };
    expected(1, 1);
    expected(5, 9);
}

#[test]
fn what_cannot_be_reached_is_told_and_tried_again() {
    let mut wire = Wire::new();
    wire.near.stream(json!({"name": "M", "mirror": {"name": "O", "external": external()}}));
    wire.carry();
    let info = wire.near.info("M");
    assert_eq!(info["mirror"]["error"]["description"], "stream not found");
    assert_eq!(error_in(&wire.near, "M"), 10029);
    wire.far.stream(json!({"name": "O", "subjects": ["o.>"]}));
    wire.publish("o.a", 2);
    wire.pass(5);
    assert_eq!(sequences(&wire.near, "M"), [1, 2]);
    assert_eq!(error_in(&wire.near, "M"), 0);
    // A question is not asked more often than every two seconds, whatever is answered.
    wire.far.api("STREAM.DELETE.O", &json!(null));
    wire.near.pass(std::time::Duration::from_secs(11));
    let mut asked = 0;
    for _ in 0..60 {
        let sent = std::mem::take(&mut *wire.near.port.sent.lock());
        for sent in sent.iter().filter(|sent| sent.to.starts_with("X.API.CONSUMER.CREATE")) {
            asked += 1;
            let payload = r#"{"error":{"code":404,"err_code":10059,"description":"stream not found"}}"#.to_owned();
            wire.give(&Sent { to: sent.reply.clone(), payload, ..Sent::default() });
        }
        wire.near.pass(std::time::Duration::from_secs(1));
    }
    assert!((3..=8).contains(&asked), "{asked}");
}

#[test]
fn a_far_origin_made_anew_is_read_from_its_start_by_who_sources_it() {
    let mut wire = Wire::new();
    wire.far.stream(json!({"name": "O", "subjects": ["o.>"]}));
    wire.near.stream(json!({"name": "S", "sources": [{"name": "O", "external": external()}]}));
    wire.publish("o.a", 3);
    wire.pass(3);
    assert_eq!(wire.near.state("S")["messages"], 3);
    wire.far.api("STREAM.DELETE.O", &json!(null));
    wire.pass(2);
    wire.far.stream(json!({"name": "O", "subjects": ["o.>"]}));
    wire.publish("o.a", 2);
    wire.pass(40);
    assert_eq!(wire.near.state("S")["messages"], 5);
}

#[test]
fn a_far_work_queue_is_emptied_once_its_messages_are_here() {
    let mut wire = Wire::new();
    wire.far.stream(json!({"name": "W", "subjects": ["w"], "retention": "workqueue"}));
    wire.far.stream(json!({"name": "I", "subjects": ["i"], "retention": "interest"}));
    wire.near.stream(json!({"name": "T", "sources": [
        {"name": "W", "external": external()}, {"name": "I", "external": external()}]}));
    wire.carry();
    let names = wire.far.api("CONSUMER.NAMES.W", &json!(null))["consumers"].clone();
    assert_eq!(names.as_array().map(Vec::len), Some(1), "{names}");
    wire.publish("w", 3);
    wire.publish("i", 2);
    wire.carry();
    assert_eq!(wire.near.state("T")["messages"], 5);
    assert_eq!(wire.far.state("W")["messages"], 3, "not confirmed yet");
    wire.pass(2);
    assert_eq!(wire.far.state("W")["messages"], 0);
    assert_eq!(wire.far.state("I")["messages"], 0);
    wire.near.api("STREAM.DELETE.T", &json!(null));
    wire.carry();
    assert_eq!(wire.far.api("CONSUMER.NAMES.W", &json!(null))["consumers"], json!([]), "its consumer ends with it");
}

#[test]
fn restarts_on_either_side_lose_nothing_and_repeat_nothing() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let open = |dir: &tempfile::TempDir, clock: &cordon_auth::clock::Clock| {
        let settings = Settings { store_dir: Some(dir.path().to_owned()), ..Settings::default() };
        Bench::at(settings, AccountLimits::default(), clock.clone())
    };
    let clock = cordon_auth::clock::Clock::manual(1_800_000_000);
    let mut wire = Wire::of(open(&here, &clock), open(&there, &clock));
    for (name, retention) in [("L", "limits"), ("W", "workqueue")] {
        let config = json!({"name": name, "subjects": [name], "retention": retention, "storage": "file"});
        wire.far.stream(config);
    }
    let of = |name: &str| json!({"name": name, "external": external()});
    wire.near.stream(json!({"name": "S", "sources": [of("L"), of("W")], "storage": "file"}));
    wire.near.stream(json!({"name": "M", "mirror": of("L"), "storage": "file"}));
    for round in 1..=6u64 {
        wire.publish("L", 2);
        wire.publish("W", 2);
        wire.pass(if round % 3 == 0 { 4 } else { 1 });
        let Wire { near, far, .. } = wire;
        let (near, far) = if round % 2 == 0 {
            near.account.stop();
            drop(near);
            (open(&here, &clock), far)
        } else {
            far.account.stop();
            drop(far);
            (near, open(&there, &clock))
        };
        wire = Wire::of(near, far);
        wire.pass(15);
        assert_eq!(sequences(&wire.near, "M"), (1..=round * 2).collect::<Vec<_>>(), "round {round}");
        assert_eq!(wire.near.state("S")["messages"], round * 4, "round {round}");
    }
    wire.pass(3);
    assert_eq!(wire.far.state("W")["messages"], 0);
}

#[test]
fn a_consumer_made_beforehand_is_used_if_it_is_one_for_that() {
    let mut wire = Wire::new();
    wire.far.stream(json!({"name": "O", "subjects": ["o"], "retention": "workqueue"}));
    let pre = |name: &str| {
        json!({"stream_name": "O", "config": {"durable_name": name, "ack_policy": "flow_control", "flow_control": true,
            "idle_heartbeat": 1_000_000_000, "max_ack_pending": 100, "deliver_subject": format!("d.{name}")}})
    };
    wire.far.api("CONSUMER.CREATE.O.pre", &pre("pre"));
    wire.publish("o", 2);
    let source = |consumer: &str, deliver: &str| json!({"name": "O", "external": external(), "consumer": {"name": consumer, "deliver_subject": deliver}});
    wire.near.stream(json!({"name": "S", "sources": [source("pre", "d.pre")]}));
    wire.pass(3);
    assert_eq!(wire.near.state("S")["messages"], 2);
    assert_eq!(wire.far.state("O")["messages"], 0);
    wire.near.stream(json!({"name": "T", "sources": [source("none", "d.none")]}));
    wire.near.stream(json!({"name": "U", "sources": [source("pre", "d.other")]}));
    wire.carry();
    assert_eq!(wire.near.info("T")["sources"][0]["error"]["description"], "consumer not found");
    let told = wire.near.info("U")["sources"][0]["error"]["description"].clone();
    assert_eq!(told, "the origin's consumer delivers to another subject");
    wire.near.api("STREAM.DELETE.S", &json!(null));
    wire.carry();
    assert_eq!(wire.far.api("CONSUMER.NAMES.O", &json!(null))["consumers"], json!(["pre"]), "it is not ours to delete");
}

#[test]
fn a_full_stream_takes_the_rest_as_room_comes() {
    let mut wire = Wire::new();
    wire.far.stream(json!({"name": "O", "subjects": ["o"]}));
    let source = json!({"name": "O", "external": external()});
    wire.near
        .stream(json!({"name": "Q", "sources": [source], "retention": "workqueue", "discard": "new", "max_msgs": 2}));
    wire.publish("o", 4);
    wire.pass(3);
    assert_eq!(wire.near.state("Q")["messages"], 2);
    wire.near.api("STREAM.MSG.DELETE.Q", &json!({"seq": 1}));
    wire.pass(4);
    let payloads: Vec<_> = wire.near.messages("Q").into_iter().map(|(.., payload)| payload).collect();
    assert_eq!(payloads, ["2", "3"]);
}

#[test]
fn a_hostile_origin_costs_only_the_stream_that_wants_it() {
    let ack = |seq: &str, n: u64| format!("$JS.ACK.O.c.1.{seq}.{n}.1800000000000000000.0");
    let long = "x".repeat(5000);
    for (reply, header, payload, stored) in [
        (ack("1", 1), "", "x", 1),
        (ack("4611686018427387903", 1), "", "x", 1),
        (ack("4611686018427387904", 1), "", "x", 0),
        (ack("0", 1), "", "x", 0),
        (ack("1", 2), "", "x", 0),
        ("_INBOX.x".to_owned(), "", "x", 0),
        (String::new(), "", "", 0),
        (ack("1", 1), "", &*long, 0),
        (ack("1", 1), "NATS/1.0\r\nNats-Request-Info: {}\r\nNats-Msg-Id: a\r\n\r\n", "x", 1),
        ("orders.new".to_owned(), "NATS/1.0 100 FlowControl Request\r\n\r\n", "", 0),
        (String::new(), "NATS/1.0 100 Idle Heartbeat\r\nNats-Last-Consumer: 99\r\n\r\n", "", 0),
        (String::new(), "NATS/1.0 500 broken\r\n\r\n", "", 0),
    ] {
        let bench = Bench::new();
        bench.stream(json!({"name": "own", "subjects": ["own"]}));
        bench.stream(json!({"name": "M", "max_msg_size": 1000, "mirror": {"name": "O", "external": external()}}));
        let asked = std::mem::take(&mut *bench.port.sent.lock());
        let asked = asked.iter().find(|sent| sent.to.starts_with("X.API")).unwrap();
        let body: Value = serde_json::from_str(&asked.payload).unwrap();
        let deliver = body["config"]["deliver_subject"].as_str().unwrap().to_owned();
        let agreed = json!({"name": "c", "config": {"deliver_subject": deliver}}).to_string();
        bench.hear(&Sent { to: asked.reply.clone(), payload: agreed, ..Sent::default() });
        bench.run();
        let sent = Sent {
            to: deliver,
            shown: "o.a".to_owned(),
            reply: reply.clone(),
            header: header.to_owned(),
            payload: payload.to_owned(),
        };
        bench.hear(&sent);
        bench.hear(&sent);
        bench.run();
        assert_eq!(bench.state("M")["messages"], stored, "{reply} {header}");
        let sent = std::mem::take(&mut *bench.port.sent.lock());
        assert!(sent.iter().all(|sent| !sent.to.starts_with("orders")), "{reply}: {sent:?}");
        bench.pass(std::time::Duration::from_secs(30));
        assert_eq!(bench.store("own", &[], ""), 1);
    }
}
