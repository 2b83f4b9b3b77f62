//! Streams whose disk is full or broken, or whose work panics: each costs itself alone. Checklist D 65, M 161, N 175.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use cordon_auth::clock::Clock;
use serde_json::json;

use crate::account::{AccountLimits, Settings};
use crate::store::{Filter, NewMessage, OfSubject, Removed, State, Store, StoreError, Stored, Sync};
use crate::stream::Stream;
use crate::testing::{Bench, error_of};

const FINE: u8 = 0;
const FULL: u8 = 1;
const BROKEN: u8 = 2;
const PANICS: u8 = 3;
/// Only what follows a write.
const FULL_AT_THE_END: u8 = 4;

/// A store with troubles that the test chooses.
struct Troubled {
    inner: Box<dyn Store>,
    trouble: Arc<AtomicU8>,
    /// Entries that did not come.
    tries: Arc<AtomicU8>,
    /// How often somebody looked whether a message outlives the age limit.
    kept_looks: Arc<AtomicU64>,
}

impl Troubled {
    fn error(kind: io::ErrorKind) -> StoreError {
        StoreError::Io { what: "write", path: "x".into(), source: kind.into() }
    }

    fn writes(&self) -> Result<(), StoreError> {
        match self.trouble.load(Ordering::SeqCst) {
            FULL => Err(Self::error(io::ErrorKind::StorageFull)),
            BROKEN => Err(Self::error(io::ErrorKind::Other)),
            PANICS => panic!("a defect"),
            _ => Ok(()),
        }
    }
}

macro_rules! reads {
    ($($name:ident($($arg:ident: $of:ty),*) $(-> $result:ty)?;)*) => {
        $(fn $name(&self $(, $arg: $of)*) $(-> $result)? { self.inner.$name($($arg),*) })*
    };
}

macro_rules! writes {
    ($($name:ident($($arg:ident: $of:ty),*) -> $result:ty;)*) => {
        $(fn $name(&mut self $(, $arg: $of)*) -> $result { self.writes()?; self.inner.$name($($arg),*) })*
    };
}

impl Store for Troubled {
    reads! {
        state() -> State;
        size_of(subject: usize, header: usize, payload: usize) -> u64;
        get(seq: u64) -> Result<Option<Stored>, StoreError>;
        peek(seq: u64) -> Option<Removed>;
        of_subject(subject: &[u8]) -> Option<OfSubject>;
        subjects(filter: &Filter, after: Option<&[u8]>, each: &mut dyn FnMut(&[u8], OfSubject) -> bool);
        subjects_part(filter: &Filter, after: Option<&[u8]>, most: usize, each: &mut dyn FnMut(&[u8], OfSubject)) -> Option<Arc<[u8]>>;
        next(filter: &Filter, from: u64) -> Option<u64>;
        last(filter: &Filter, to: u64) -> Option<u64>;
        count(filter: &Filter, from: u64) -> u64;
        count_subjects(filter: &Filter, from: u64) -> u64;
        at_time(ts: i64) -> u64;
        gaps(most: usize) -> Vec<u64>;
        lost() -> (Vec<u64>, u64);
        next_expiry() -> Option<(i64, u64)>;
        wants_snapshots() -> bool;
    }

    writes! {
        append(message: &NewMessage<'_>) -> Result<u64, StoreError>;
        append_together(messages: &[NewMessage<'_>]) -> Result<u64, StoreError>;
        skip_to(last: u64, ts: i64) -> Result<(), StoreError>;
        remove(seq: u64, erase: bool) -> Result<Option<Removed>, StoreError>;
        remove_below(seq: u64, gone: &mut dyn FnMut(Removed)) -> Result<(), StoreError>;
        journal(owner: &str, entry: &[u8]) -> Result<(), StoreError>;
        snapshot(owner: &str, snapshot: &[u8]) -> Result<(), StoreError>;
        describe(description: &[u8]) -> Result<(), StoreError>;
        describe_consumer(name: &str, description: Option<&[u8]>) -> Result<(), StoreError>;
        destroy() -> Result<(), StoreError>;
    }

    fn is_kept(&self, seq: u64) -> bool {
        self.kept_looks.fetch_add(1, Ordering::SeqCst);
        self.inner.is_kept(seq)
    }

    fn flush(&mut self) -> Result<Option<Box<dyn Sync>>, StoreError> {
        self.tries.fetch_add(1, Ordering::SeqCst);
        if self.trouble.load(Ordering::SeqCst) == FULL_AT_THE_END {
            return Err(Self::error(io::ErrorKind::StorageFull));
        }
        self.writes()?;
        self.inner.flush()
    }

    fn abandon(&mut self) {
        self.inner.abandon();
    }
}

struct Scene {
    bench: Bench,
    trouble: Arc<AtomicU8>,
    tries: Arc<AtomicU8>,
    clock: Clock,
    dir: tempfile::TempDir,
}

impl Scene {
    /// S, a work queue with a message and a consumer that pulled it, has troubles; T has none.
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Clock::manual(1_800_000_000);
        let bench = Self::bench(dir.path(), &clock);
        bench.stream(json!({"name": "S", "subjects": ["s"], "storage": "file", "retention": "workqueue"}));
        bench.stream(json!({"name": "T", "subjects": ["t"], "storage": "file"}));
        let config = json!({"durable_name": "d", "ack_policy": "explicit"});
        assert_eq!(
            error_of(&bench.api("CONSUMER.DURABLE.CREATE.S.d", &json!({"stream_name": "S", "config": config}))),
            0
        );
        bench.store("s", &[("Nats-Msg-Id", "a")], "one");
        let scene = Self { bench, trouble: Arc::default(), tries: Arc::default(), clock, dir };
        let (trouble, tries) = (scene.trouble.clone(), scene.tries.clone());
        scene.bench.account.stream("S").unwrap().change(|core, _| {
            core.wrap_store(|inner| Box::new(Troubled { inner, trouble, tries, kept_looks: Arc::default() }));
        });
        scene
    }

    fn bench(dir: &std::path::Path, clock: &Clock) -> Bench {
        let settings = Settings { store_dir: Some(dir.to_owned()), ..Settings::default() };
        Bench::at(settings, AccountLimits::default(), clock.clone())
    }

    fn set(&self, trouble: u8) {
        self.trouble.store(trouble, Ordering::SeqCst);
    }

    fn trouble(&self) -> Option<String> {
        self.bench.account.stream("S").unwrap().look(|core| core.trouble().map(str::to_owned))
    }

    /// Everything that is stored and journalled is what it was said to be, after a restart too.
    fn restarted(self) -> (Bench, tempfile::TempDir) {
        self.bench.account.stop();
        drop(self.bench);
        (Self::bench(self.dir.path(), &self.clock), self.dir)
    }
}

#[test]
fn a_full_disk_costs_its_stream_writes_until_there_is_room_again() {
    for full in [FULL, FULL_AT_THE_END] {
        let scene = Scene::new();
        let pulled = scene.bench.pull("S", "d", "1").remove(0);
        scene.set(full);
        assert_eq!(error_of(&scene.bench.publish("s", &[("Nats-Msg-Id", "b")], "two")), 10023, "{full}");
        assert_eq!(error_of(&scene.bench.publish("s", &[], "three")), 10023, "{full}");
        assert!(scene.bench.account.acknowledge(pulled.reply.as_bytes(), b"_INBOX.ack", b"+ACK", &mut Stream::begin));
        scene.bench.run();
        assert_eq!(scene.bench.take("_INBOX.ack"), [], "no answer to an acknowledgement that is not written");
        assert_eq!(scene.trouble().as_deref(), Some("there is no room on the disk"));
        assert_eq!(error_of(&scene.bench.info("S")), 0, "it is read");
        assert_eq!(scene.bench.store("t", &[], ""), 1, "others store");
        // It tries once a second, and not more often.
        let before = scene.tries.load(Ordering::SeqCst);
        for _ in 0..3 {
            scene.bench.pass(Duration::from_millis(1100));
        }
        let tried = scene.tries.load(Ordering::SeqCst) - before;
        assert!((1..=9).contains(&tried), "{tried} times");
        scene.set(FINE);
        scene.bench.pass(Duration::from_millis(1100));
        assert_eq!(scene.trouble(), None, "nobody had to publish for that");
        let seq = scene.bench.store("s", &[], "four");
        assert!(seq >= 2);
        let (after, _dir) = scene.restarted();
        let left = after.messages("S");
        assert!(left.iter().all(|(_, _, payload)| payload != "one"), "acknowledged: {left:?}");
        assert_eq!(left.last().unwrap().2, "four");
        let again = after.publish("s", &[("Nats-Msg-Id", "a")], "");
        assert_eq!((&again["seq"], &again["duplicate"]), (&json!(1), &json!(true)), "{full}");
    }
}

#[test]
fn a_failed_write_ends_writing_for_good_and_reading_goes_on() {
    let scene = Scene::new();
    scene.set(BROKEN);
    assert_eq!(error_of(&scene.bench.publish("s", &[], "two")), 10077);
    scene.set(FINE);
    assert_eq!(error_of(&scene.bench.publish("s", &[], "three")), 10077, "what is on disk is not known any more");
    assert!(scene.trouble().unwrap().contains("cannot write `x`"));
    assert_eq!(scene.bench.state("S")["messages"].as_u64().map(|count| count >= 1), Some(true));
    assert_eq!(scene.bench.store("t", &[], ""), 1);
}

#[test]
fn a_panic_sets_its_stream_apart_and_it_is_opened_anew() {
    let scene = Scene::new();
    let bench = &scene.bench;
    scene.set(PANICS);
    assert!(bench.publish_to("s", "_INBOX.x", &[], "two"));
    assert!(catch_unwind(AssertUnwindSafe(|| bench.run())).is_err());
    let broken = bench.host.broken.lock().pop().unwrap();
    scene.set(FINE);
    assert!(!bench.publish_to("s", "", &[], "three"), "it takes nothing");
    let used = bench.account.ledger().used(crate::config::Storage::File);
    assert_eq!(bench.account.set_apart(&broken, "a defect"), Some(Duration::from_secs(1)));
    assert_eq!(bench.account.set_apart(&broken, "a defect"), None, "once");
    assert!(bench.account.ledger().used(crate::config::Storage::File) < used);
    assert_eq!(bench.take("_INBOX.x"), [], "nothing is said of what was not stored");
    let info = bench.info("S");
    assert_eq!((error_of(&info), &info["error"]["description"]), (10194, &json!("stream is offline: a defect")));
    assert_eq!(bench.store("t", &[], ""), 1, "others go on");

    bench.account.open_again("S").unwrap();
    bench.run();
    assert!(bench.account.ledger().used(crate::config::Storage::File) > 0);
    assert_eq!(bench.messages("S"), [(1, "s".to_owned(), "one".to_owned())], "what was answered is there");
    assert_eq!(bench.store("s", &[], "four"), 2);
    assert_eq!(bench.pull("S", "d", "1")[0].payload, "one");
    // The one that was set apart has no say any more.
    drop(broken);
    let (after, _dir) = scene.restarted();
    assert_eq!(after.messages("S").len(), 2);
}

#[test]
fn a_stream_that_is_set_apart_hears_nothing_from_far_and_asks_anew_when_it_is_back() {
    let scene = Scene::new();
    let bench = &scene.bench;
    let mirror = json!({"name": "O", "external": {"api": "X.API", "deliver": "d"}});
    bench.stream(json!({"name": "M", "mirror": mirror, "storage": "file"}));
    bench.stream(json!({"name": "N", "mirror": mirror}));
    let heard_by = |name: &str| bench.port.heard.lock().iter().filter(|(.., of)| of == name).count();
    bench.run();
    assert_eq!((heard_by("M"), heard_by("N")), (1, 1), "both have asked");
    let stream = bench.account.stream("M").unwrap();
    bench.account.set_apart(&stream, "a defect");
    assert_eq!((heard_by("M"), heard_by("N")), (0, 1));
    bench.account.open_again("M").unwrap();
    bench.run();
    assert_eq!((heard_by("M"), heard_by("N")), (1, 1));
}

#[test]
fn a_stream_is_opened_anew_so_many_times_and_then_stays_offline() {
    let scene = Scene::new();
    let waits: Vec<Option<u64>> = (0..4)
        .map(|_| {
            let stream = scene.bench.account.stream("S").unwrap();
            let wait = scene.bench.account.set_apart(&stream, "again");
            scene.bench.account.open_again("S").unwrap();
            wait.map(|wait| wait.as_secs())
        })
        .collect();
    assert_eq!(waits, [Some(1), Some(10), Some(100), None]);
    scene.bench.stream(json!({"name": "M", "subjects": ["m"], "storage": "memory"}));
    let stream = scene.bench.account.stream("M").unwrap();
    assert_eq!(scene.bench.account.set_apart(&stream, "x"), None, "memory is gone");
    assert_eq!(scene.bench.api("STREAM.DELETE.M", &json!(null))["success"], true);
    scene.bench.stream(json!({"name": "M", "subjects": ["m"], "storage": "memory"}));
}

#[test]
fn messages_that_outlive_the_age_limit_are_looked_at_once() {
    let bench = Bench::new();
    let second = 1_000_000_000_i64;
    bench.stream(json!({"name": "T", "subjects": ["t.>"], "allow_msg_ttl": true, "max_age": 10 * second}));
    let kept_looks: Arc<AtomicU64> = Arc::default();
    let looks = kept_looks.clone();
    bench.account.stream("T").unwrap().change(|core, _| {
        core.wrap_store(|inner| {
            Box::new(Troubled { inner, trouble: Arc::default(), tries: Arc::default(), kept_looks })
        });
    });
    for n in 0..100 {
        bench.store(&format!("t.{n}"), &[("Nats-TTL", "never")], "");
    }
    for round in 0..5 {
        bench.store("t.ends", &[], "");
        bench.pass(Duration::from_secs(11));
        assert_eq!(bench.state("T")["messages"], 100, "round {round}");
    }
    let looks = looks.load(Ordering::SeqCst);
    assert!((100..150).contains(&looks), "{looks} looks");
    assert_eq!(bench.update("T", &json!({"max_age": 20 * second})).get("error"), None);
    assert_eq!(bench.state("T")["messages"], 100);
}
