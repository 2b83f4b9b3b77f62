//! An account with a stream of every kind and consumers of every kind; what it sends is a list.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use cordon_accounts::name::AccountName;
use cordon_accounts::subject::Pattern;
use cordon_auth::clock::Clock;
use cordon_jetstream::account::{Account, AccountLimits, Ear, Hearing, Host, Limits, Settings, Setup, Totals, Work};
use cordon_jetstream::api::{self, Request};
use cordon_jetstream::port::{Outgoing, Port};
use cordon_jetstream::stream::Stream;
use serde_json::{Value, json};

/// Bytes that the account may store.
pub(super) const MEMORY_MAX: i64 = 1 << 20;
/// Streams run at most as often before the next command: those that feed each other have no end of their own.
const ROUNDS_MAX: usize = 500;
/// Deliveries that can be acknowledged.
const DELIVERIES_MAX: usize = 64;

/// A message that went out.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) to: Vec<u8>,
    pub(super) reply: Vec<u8>,
    pub(super) header: Vec<u8>,
    pub(super) payload: Vec<u8>,
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Default)]
struct Way(Mutex<Vec<Sent>>);

impl Port for Way {
    fn send(&self, message: &Outgoing<'_>) -> bool {
        let Outgoing { to, reply, header, payload, .. } = *message;
        let [to, reply, header, payload] = [to, reply, header, payload].map(<[u8]>::to_vec);
        locked(&self.0).push(Sent { to, reply, header, payload });
        true
    }

    fn has_interest(&self, subject: &[u8], _group: Option<&[u8]>) -> bool {
        subject.starts_with(b"d.") || subject.starts_with(b"_R.")
    }

    fn watch(&self, _stream: &str, _subject: &[u8], _watching: bool) {}

    fn hear(&self, _stream: &str, _subject: &[u8], _number: u32) {}

    fn deafen(&self, _number: u32) {}

    fn forget(&self, _stream: &str) {}

    fn flush(&self) {}
}

#[derive(Default)]
struct Desk {
    queue: Mutex<VecDeque<Arc<Stream>>>,
    wakes: Mutex<BTreeMap<usize, (i64, Arc<Stream>)>>,
    listening: Mutex<Vec<(Pattern, Arc<Stream>)>>,
}

impl Host for Desk {
    fn schedule(&self, stream: &Arc<Stream>) {
        let mut queue = locked(&self.queue);
        assert!(!queue.iter().any(|other| Arc::ptr_eq(other, stream)), "a stream is scheduled twice");
        queue.push_back(stream.clone());
    }

    fn wake_at(&self, stream: &Arc<Stream>, at: i64) {
        let mut wakes = locked(&self.wakes);
        if at == i64::MAX {
            wakes.remove(&Arc::as_ptr(stream).addr());
        } else {
            wakes.insert(Arc::as_ptr(stream).addr(), (at, stream.clone()));
        }
    }

    fn listen(&self, stream: &Arc<Stream>, subjects: &[Pattern]) {
        let mut listening = locked(&self.listening);
        listening.retain(|(_, other)| !Arc::ptr_eq(other, stream));
        listening.extend(subjects.iter().map(|subject| (subject.clone(), stream.clone())));
    }

    fn hear(&self, _subject: &str, _ear: Arc<dyn Ear>) -> Hearing {
        Hearing::new(|| {})
    }

    fn begin(&self, _work: Work) -> bool {
        false
    }
}

/// The account and what is around it.
pub(super) struct Ground {
    pub(super) account: Arc<Account>,
    pub(super) clock: Clock,
    desk: Arc<Desk>,
    way: Arc<Way>,
    deliveries: VecDeque<Sent>,
}

impl Ground {
    pub(super) fn new() -> Self {
        let (desk, way) = (Arc::new(Desk::default()), Arc::new(Way::default()));
        let clock = Clock::manual(1_800_000_000);
        let account = Account::new(Setup {
            name: AccountName::global(),
            settings: Arc::new(Settings::default()),
            totals: Arc::new(Totals::default()),
            host: desk.clone(),
            port: way.clone(),
            system: None,
            clock: clock.clone(),
            limits: AccountLimits::Flat(Limits { max_memory: MEMORY_MAX, ..Limits::NONE }),
        });
        let mut ground = Self { account, clock, desk, way, deliveries: VecDeque::new() };
        for config in streams() {
            ground.must("STREAM.CREATE", &config["name"], &config);
        }
        for (stream, config) in consumers() {
            let target = json!(format!("{stream}.{}", config["name"].as_str().unwrap()));
            ground.must("CONSUMER.CREATE", &target, &json!({"stream_name": stream, "config": config}));
        }
        ground.settle();
        ground
    }

    fn must(&mut self, what: &str, target: &Value, body: &Value) {
        let subject = format!("$JS.API.{what}.{}", target.as_str().unwrap());
        let answer = self.api(&subject, b"", body.to_string().as_bytes(), b"").unwrap();
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        assert_eq!(answer.get("error"), None, "{body}");
    }

    /// A request to the API.
    pub(super) fn api(&self, subject: &str, header: &[u8], payload: &[u8], reply: &[u8]) -> Option<Vec<u8>> {
        let client = Value::Null;
        let request = Request { subject, header, payload, reply, reader: None, share: None, client };
        let answer = api::serve(&self.account, &request);
        let _header = api::answer_header(&self.account, &request);
        answer
    }

    /// The stream that stores messages of this subject.
    pub(super) fn storing(&self, subject: &[u8]) -> Option<Arc<Stream>> {
        let listening = locked(&self.desk.listening);
        let mut found = listening.iter().filter(|(pattern, _)| pattern.matches(subject)).map(|(_, stream)| stream);
        let first = found.next()?.clone();
        assert!(found.all(|other| Arc::ptr_eq(other, &first)), "two streams store one subject");
        Some(first)
    }

    /// Runs what is scheduled and wakes what is due, until nothing is; gives what went out.
    pub(super) fn settle(&mut self) -> Vec<Sent> {
        for _ in 0..ROUNDS_MAX {
            let next = locked(&self.desk.queue).pop_front();
            if let Some(stream) = next {
                stream.run();
                continue;
            }
            let now = self.clock.unix_nanos();
            let mut wakes = locked(&self.desk.wakes);
            let Some(due) = wakes.iter().find(|(_, (at, _))| *at <= now).map(|(address, _)| *address) else { break };
            let woken = wakes.remove(&due);
            drop(wakes);
            woken.unwrap().1.wake();
        }
        let sent = std::mem::take(&mut *locked(&self.way.0));
        let is_delivery = |sent: &&Sent| sent.reply.starts_with(b"$JS.ACK.") || sent.reply.starts_with(b"$JS.FC.");
        self.deliveries.extend(sent.iter().filter(is_delivery).cloned());
        self.deliveries.drain(..self.deliveries.len().saturating_sub(DELIVERIES_MAX));
        sent
    }

    /// A delivery, counted from the last.
    pub(super) fn delivery(&self, back: usize) -> Option<Sent> {
        self.deliveries.iter().rev().nth(back).cloned()
    }
}

fn streams() -> Vec<Value> {
    let memory = |mut config: Value| {
        config["storage"] = json!("memory");
        config
    };
    [
        json!({"name": "L", "subjects": ["l.>"], "max_msgs": 20, "max_msgs_per_subject": 5, "max_bytes": 20_000,
            "max_age": 60_000_000_000u64, "allow_direct": true, "allow_rollup_hdrs": true, "allow_msg_ttl": true,
            "allow_atomic": true, "allow_batched": true, "allow_msg_schedules": true,
            "subject_delete_marker_ttl": 5_000_000_000u64}),
        json!({"name": "K", "subjects": ["$KV.k.>"], "max_msgs_per_subject": 1, "discard": "new", "allow_direct": true,
            "allow_rollup_hdrs": true, "deny_delete": true, "max_msgs": 10, "discard_new_per_subject": false}),
        json!({"name": "W", "subjects": ["w.>"], "retention": "workqueue", "allow_direct": true}),
        json!({"name": "I", "subjects": ["i.>"], "retention": "interest", "republish": {"src": ">", "dest": "d.r.>"}}),
        json!({"name": "C", "subjects": ["c.>"], "allow_msg_counter": true, "allow_direct": true}),
        json!({"name": "T", "subjects": ["t.*"], "subject_transform": {"src": "t.*", "dest": "u.{{wildcard(1)}}"}}),
        json!({"name": "M", "mirror": {"name": "L"}, "mirror_direct": true}),
        json!({"name": "S", "sources": [{"name": "W", "filter_subject": "w.s"}, {"name": "C"}]}),
    ]
    .map(memory)
    .into()
}

fn consumers() -> Vec<(&'static str, Value)> {
    vec![
        (
            "L",
            json!({"name": "pull", "durable_name": "pull", "ack_policy": "explicit", "ack_wait": 2_000_000_000u64,
            "max_deliver": 3, "max_ack_pending": 5, "backoff": [1_000_000_000u64, 2_000_000_000u64]}),
        ),
        ("L", json!({"name": "all", "durable_name": "all", "ack_policy": "all", "filter_subjects": ["l.a", "l.b.>"]})),
        (
            "L",
            json!({"name": "ordered", "deliver_subject": "d.o", "ack_policy": "none", "flow_control": true,
            "idle_heartbeat": 1_000_000_000u64, "mem_storage": true, "max_deliver": 1,
            "inactive_threshold": 30_000_000_000u64}),
        ),
        (
            "L",
            json!({"name": "last", "durable_name": "last", "ack_policy": "explicit", "filter_subject": "l.>",
            "deliver_policy": "last_per_subject"}),
        ),
        (
            "L",
            json!({"name": "pin", "durable_name": "pin", "ack_policy": "explicit", "priority_groups": ["g"],
            "priority_policy": "pinned_client", "priority_timeout": 3_000_000_000u64}),
        ),
        (
            "L",
            json!({"name": "over", "durable_name": "over", "ack_policy": "explicit", "priority_groups": ["g"],
            "priority_policy": "overflow"}),
        ),
        ("W", json!({"name": "work", "durable_name": "work", "ack_policy": "explicit"})),
        ("I", json!({"name": "one", "durable_name": "one", "ack_policy": "explicit", "filter_subject": "i.a"})),
        (
            "I",
            json!({"name": "push", "durable_name": "push", "ack_policy": "explicit", "deliver_subject": "d.p",
            "max_ack_pending": 3, "headers_only": true, "ack_wait": 1_000_000_000u64}),
        ),
        (
            "K",
            json!({"name": "watch", "deliver_subject": "d.k", "ack_policy": "none",
            "deliver_policy": "last_per_subject", "filter_subject": "$KV.k.>"}),
        ),
    ]
}
