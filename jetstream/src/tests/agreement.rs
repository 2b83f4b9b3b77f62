//! What is seen while things change, and whether all figures agree: checklist 69, 72, 86, 177.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use cordon_auth::clock::Clock;
use serde_json::{Value, json};

use crate::account::{AccountLimits, Settings};
use crate::config::Storage;
use crate::testing::Bench;

fn bench(dir: &Path, clock: &Clock) -> Bench {
    let settings = Settings { store_dir: Some(dir.to_owned()), ..Settings::default() };
    Bench::at(settings, AccountLimits::default(), clock.clone())
}

/// Commits a batch of two that takes the place of the two before.
fn write_pair(bench: &Bench, number: u32) {
    let (id, payload) = (number.to_string(), number.to_string());
    let member =
        |seq: &'static str| vec![("Nats-Batch-Id", id.as_str()), ("Nats-Batch-Sequence", seq), ("Nats-Rollup", "sub")];
    assert_eq!(bench.publish_raw("s.a", &member("1"), &payload).as_deref(), Some(""));
    let commit = [member("2"), vec![("Nats-Batch-Commit", "1")]].concat();
    let answer = bench.publish("s.b", &commit, &payload);
    assert_eq!(answer["count"], 2, "{answer}");
}

/// Says that it is enough when it is dropped.
struct Enough<'a>(&'a AtomicBool);

impl Drop for Enough<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

#[test]
fn a_reader_sees_all_of_a_batch_or_nothing_and_not_what_it_replaced() {
    for storage in ["memory", "file"] {
        let dir = tempfile::tempdir().unwrap();
        let bench = bench(dir.path(), &Clock::manual(1_800_000_000));
        bench.stream(json!({
            "name": "S", "subjects": ["s.>"], "storage": storage, "allow_direct": true, "allow_atomic": true,
            "allow_rollup_hdrs": true
        }));
        write_pair(&bench, 1);
        let (enough, mut seen) = (AtomicBool::new(false), std::collections::BTreeSet::new());
        std::thread::scope(|scope| {
            // Also when an assertion fails here, the other thread comes to its end.
            let end = Enough(&enough);
            scope.spawn(|| {
                let mut numbers = 2..;
                while !enough.load(Ordering::Acquire)
                    && let Some(number) = numbers.next()
                {
                    write_pair(&bench, number);
                }
            });
            while seen.len() < 20 {
                for request in [r#"{"multi_last":["s.>"]}"#, r#"{"seq":1,"batch":10}"#] {
                    let got = bench.direct("S", None, request).unwrap();
                    let (end, pair) = got.split_last().unwrap();
                    assert!(end.header.contains("204 EOB"), "{storage} {request}: {got:?}");
                    let payloads: Vec<_> = pair.iter().map(|sent| sent.payload.as_str()).collect();
                    assert!(payloads.len() == 2 && payloads[0] == payloads[1], "{storage} {request}: {payloads:?}");
                    seen.insert(payloads[0].to_owned());
                }
                let (a, b) = (json!({"last_by_subj": "s.a"}), json!({"next_by_subj": "s.a", "seq": 1}));
                for body in [a, b] {
                    let body = body.to_string().into_bytes();
                    let (answer, _) = bench.ask_only("STREAM.MSG.GET.S", &body);
                    assert!(answer.contains("\"subject\":\"s.a\""), "{storage}: {answer}");
                }
            }
            drop(end);
        });
        assert_eq!(bench.state("S")["messages"], 2);
    }
}

#[test]
fn an_acknowledgement_of_all_removes_all_below_where_interest_keeps_messages() {
    let bench = Bench::new();
    bench.stream(json!({"name": "S", "subjects": ["s"], "retention": "interest"}));
    let config = json!({"name": "c", "durable_name": "c", "ack_policy": "all"});
    bench.api("CONSUMER.CREATE.S.c", &json!({"stream_name": "S", "config": config}));
    for n in 1..=5 {
        bench.store("s", &[], &n.to_string());
    }
    let got = bench.pull("S", "c", "5");
    bench.ack(&got[2], "+ACK");
    assert_eq!(bench.messages("S").iter().map(|(seq, ..)| *seq).collect::<Vec<_>>(), [4, 5]);
}

/// All figures about what is stored say the same.
fn agree(bench: &Bench, when: &str) {
    let info = bench.api("INFO", &Value::Null);
    let (mut memory, mut files, mut consumers) = (0, 0, 0);
    let names = bench.api("STREAM.NAMES", &Value::Null)["streams"].clone();
    let names: Vec<String> = serde_json::from_value(names).unwrap_or_default();
    for name in &names {
        let shown = bench.info(name);
        let messages = bench.messages(name);
        assert_eq!(shown["state"]["messages"], messages.len(), "{when} {name}");
        let bytes = shown["state"]["bytes"].as_u64().unwrap();
        *(if shown["config"]["storage"] == "file" { &mut files } else { &mut memory }) += bytes;
        consumers += shown["state"]["consumer_count"].as_u64().unwrap();
        let listed = bench.api(&format!("CONSUMER.NAMES.{name}"), &Value::Null);
        assert_eq!(shown["state"]["consumer_count"], listed["total"], "{when} {name}");
    }
    let (ledger, totals) = (bench.account.ledger(), &bench.account.setup.totals);
    for (storage, sum, field) in [(Storage::Memory, memory, "memory"), (Storage::File, files, "storage")] {
        assert_eq!(ledger.used(storage), sum, "{when} {field}");
        assert_eq!(totals.used(storage), sum, "{when} {field} of the node");
        assert_eq!(info[field], sum, "{when} {field} as it is told");
        assert_eq!(ledger.reserved(storage), totals.reserved(storage), "{when} {field}");
    }
    assert_eq!((&info["streams"], &info["consumers"]), (&json!(names.len()), &json!(consumers)), "{when}");
}

/// Numbers that look as if they were drawn.
fn draw(state: &mut u64, below: u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) % below
}

fn make(bench: &Bench) {
    let common = json!({"allow_rollup_hdrs": true, "allow_atomic": true});
    for (name, more) in [
        ("F", json!({"storage": "file", "max_bytes": 20_000})),
        ("M", json!({"storage": "memory", "max_msgs_per_subject": 3})),
        ("W", json!({"storage": "file", "retention": "workqueue"})),
        ("I", json!({"storage": "file", "retention": "interest"})),
    ] {
        let mut config = common.clone();
        config["name"] = name.into();
        config["subjects"] = json!([format!("{}.*", name.to_lowercase())]);
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        // One that is there stays as it is.
        bench.api(&format!("STREAM.CREATE.{name}"), &config);
        let consumer = json!({"name": "c", "durable_name": "c", "ack_policy": "explicit"});
        bench.api(&format!("CONSUMER.CREATE.{name}.c"), &json!({"stream_name": name, "config": consumer}));
    }
}

fn act(bench: &Bench, state: &mut u64) {
    let name = ["F", "M", "W", "I"][draw(state, 4) as usize];
    let subject = format!("{}.{}", name.to_lowercase(), draw(state, 4));
    let payload = "x".repeat(draw(state, 300) as usize);
    match draw(state, 14) {
        0..=6 => drop(bench.publish(&subject, &[], &payload)),
        7 => drop(bench.publish(&subject, &[("Nats-Rollup", "sub")], &payload)),
        8 => {
            for (seq, more) in [("1", None), ("2", Some(("Nats-Batch-Commit", "1")))] {
                let headers = [("Nats-Batch-Id", "b"), ("Nats-Batch-Sequence", seq)];
                bench.publish_raw(&subject, &headers.into_iter().chain(more).collect::<Vec<_>>(), &payload);
            }
        }
        9 => drop(bench.api(&format!("STREAM.PURGE.{name}"), &json!({"filter": subject, "keep": draw(state, 3)}))),
        10 => {
            let last = bench.state(name)["last_seq"].as_u64().unwrap();
            let seq = last.saturating_sub(draw(state, 5));
            bench.api(&format!("STREAM.MSG.DELETE.{name}"), &json!({"seq": seq}));
        }
        11 => {
            for sent in
                bench.pull(name, "c", r#"{"batch":2,"no_wait":true}"#).iter().filter(|sent| !sent.reply.is_empty())
            {
                bench.ack(sent, "+ACK");
            }
        }
        12 => drop(bench.update(name, &json!({"max_msgs": 5 + draw(state, 30)}))),
        _ if draw(state, 3) == 0 => {
            bench.api(&format!("STREAM.DELETE.{name}"), &Value::Null);
            make(bench);
        }
        _ => {
            bench.api(&format!("CONSUMER.DELETE.{name}.c"), &Value::Null);
            make(bench);
        }
    }
}

#[test]
fn all_figures_agree_whatever_happened_and_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::manual(1_800_000_000);
    for life in 0..6u64 {
        let bench = bench(dir.path(), &clock);
        agree(&bench, &format!("at the start of life {life}"));
        make(&bench);
        let mut state = life.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        for step in 0..150 {
            act(&bench, &mut state);
            if step % 10 == 0 {
                agree(&bench, &format!("life {life}, step {step}"));
            }
        }
        bench.pass(std::time::Duration::from_mins(3));
        agree(&bench, &format!("at the end of life {life}"));
        bench.account.stop();
    }
}
