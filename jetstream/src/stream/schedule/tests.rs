//! Schedules of a stream: what is refused, what is made, what ends them, and what a restart and a crash leave of them.
//! Checklist G 92, 93.

use std::fs;
use std::path::Path;
use std::time::Duration;

use cordon_auth::clock::Clock;
use serde_json::json;

use crate::account::{AccountLimits, Settings};
use crate::testing::{Bench, error_of};

/// The clock of a bench: 2027-01-15T08:00:00Z.
const START: i64 = 1_800_000_000;

fn bench() -> Bench {
    let bench = Bench::new();
    bench.stream(json!({"name": "S", "subjects": ["s.>"], "allow_msg_schedules": true, "allow_msg_ttl": true}));
    bench
}

fn at(seconds: i64) -> String {
    format!("@at {}", crate::config::Moment((START + seconds) * 1_000_000_000))
}

fn schedule<'a>(when: &'a str, target: &'a str) -> Vec<(&'static str, &'a str)> {
    vec![("Nats-Schedule", when), ("Nats-Schedule-Target", target)]
}

/// Stores a schedule; gives its sequence.
fn plan(bench: &Bench, subject: &str, when: &str, target: &str) -> u64 {
    bench.store(subject, &schedule(when, target), subject)
}

/// The sequences, subjects and payloads of what is stored under a subject.
fn on(bench: &Bench, subject: &str) -> Vec<(u64, String)> {
    let all = bench.messages("S").into_iter();
    all.filter(|(_, one, _)| one == subject).map(|(seq, _, payload)| (seq, payload)).collect()
}

fn pass(bench: &Bench, seconds: u64) {
    bench.pass(Duration::from_secs(seconds));
}

fn tracked(bench: &Bench) -> usize {
    bench.account.stream("S").unwrap().look(|core| core.schedules.len())
}

#[test]
fn what_is_refused() {
    let bench = bench();
    bench.stream(json!({"name": "OFF", "subjects": ["off.>"]}));
    bench.stream(json!({"name": "NOTTL", "subjects": ["nottl.>"], "allow_msg_schedules": true}));
    let once = "@at 2030-01-01T00:00:00Z";
    for (subject, headers, code) in [
        ("off.s", schedule(once, "off.t"), 10188),
        ("off.s", vec![("Nats-Schedule-Next", "purge"), ("Nats-Scheduler", "off.x")], 10188),
        ("off.s", vec![("Nats-Scheduler", "off.x")], 10212),
        ("s.s", schedule("@at tomorrow", "s.t"), 10189),
        ("s.s", schedule("* * * * *", "s.t"), 10189),
        ("s.s", schedule("@every 999ms", "s.t"), 10189),
        ("s.s", vec![("Nats-Schedule", once)], 10190),
        ("s.s", schedule(once, ""), 10190),
        ("s.s", schedule(once, "s.s"), 10190),
        ("s.s", schedule(once, "s.*"), 10190),
        ("s.s", schedule(once, "s..t"), 10190),
        ("s.s", schedule(once, "other"), 10190),
        ("s.s", schedule(once, "off.t"), 10190),
        ("s.s", [schedule(once, "s.t"), vec![("Nats-Schedule-TTL", "0")]].concat(), 10191),
        ("s.s", [schedule(once, "s.t"), vec![("Nats-Schedule-TTL", "x")]].concat(), 10191),
        ("nottl.s", [schedule(once, "nottl.t"), vec![("Nats-Schedule-TTL", "1m")]].concat(), 10166),
        ("s.s", [schedule(once, "s.t"), vec![("Nats-Schedule-Rollup", "all")]].concat(), 10192),
        ("s.s", [schedule(once, "s.t"), vec![("Nats-Rollup", "all")]].concat(), 10192),
        ("s.s", [schedule(once, "s.t"), vec![("Nats-Schedule-Source", "s.t")]].concat(), 10203),
        ("s.s", [schedule(once, "s.t"), vec![("Nats-Schedule-Source", "s.s")]].concat(), 10203),
        ("s.s", [schedule(once, "s.t"), vec![("Nats-Schedule-Source", "s.>")]].concat(), 10203),
        ("s.s", [schedule(once, "s.t"), vec![("Nats-Schedule-Source", "off.t")]].concat(), 10203),
        ("s.s", [schedule("@daily", "s.t"), vec![("Nats-Schedule-Time-Zone", "Mars")]].concat(), 10223),
        ("s.s", [schedule(once, "s.t"), vec![("Nats-Schedule-Time-Zone", "UTC")]].concat(), 10189),
        ("s.s", vec![("Nats-Schedule-Next", "purge")], 10212),
        ("s.s", vec![("Nats-Scheduler", "s.x")], 10212),
        ("s.s", vec![("Nats-Schedule-Next", "2030-01-01T00:00:00Z"), ("Nats-Scheduler", "s.x")], 10212),
        ("s.s", vec![("Nats-Schedule-Next", "purge"), ("Nats-Scheduler", "s.s")], 10212),
        ("s.s", vec![("Nats-Schedule-Next", "purge"), ("Nats-Scheduler", "s.*")], 10212),
        ("s.s", vec![("Nats-Schedule-Next", "purge"), ("Nats-Scheduler", "")], 10212),
    ] {
        assert_eq!(error_of(&bench.publish(subject, &headers, "")), code, "{subject} {headers:?}");
    }
    assert_eq!(bench.state("S")["last_seq"], 0);
    for fine in [vec![("Nats-Schedule", "")], vec![("Nats-Schedule-Target", "x")], vec![("Nats-Scheduler", "")]] {
        bench.store("s.s", &fine, "no schedule");
    }
    assert_eq!((tracked(&bench), bench.state("S")["messages"].as_u64()), (0, Some(3)));
}

#[test]
fn what_a_stream_with_schedules_must_be() {
    let bench = bench();
    let config = bench.info("S")["config"].clone();
    assert_eq!((&config["allow_rollup_hdrs"], &config["metadata"]["_nats.req.level"]), (&json!(true), &json!("2")));
    let make = |fields: serde_json::Value| {
        let mut config = json!({"name": "N", "subjects": ["n"], "storage": "memory", "allow_msg_schedules": true});
        config.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        bench.api("STREAM.CREATE.N", &config)
    };
    assert_eq!(make(json!({"discard": "new"}))["error"]["description"], "message scheduling cannot use discard new");
    assert_eq!(error_of(&make(json!({"allow_msg_counter": true}))), 10052);
    assert_eq!(make(json!({"deny_purge": true}))["config"]["deny_purge"], false);
    let off = bench.update("S", &json!({"allow_msg_schedules": false}));
    assert_eq!(off["error"]["description"], "message schedules can not be disabled");
    for (fields, text) in [
        (json!({"pedantic": true}), "message scheduling cannot be set if roll-ups are disabled"),
        (
            json!({"pedantic": true, "allow_rollup_hdrs": true, "deny_purge": true}),
            "roll-ups require the purge permission",
        ),
    ] {
        assert_eq!(make(fields)["error"]["description"], text);
    }
}

#[test]
fn one_that_fires_once_goes_with_its_firing() {
    let bench = bench();
    let when = at(60);
    let headers = [
        schedule(&when, "s.t"),
        vec![
            ("Nats-Schedule-TTL", "5m"),
            ("Nats-Schedule-Rollup", "sub"),
            ("Nats-Msg-Id", "i"),
            ("Nats-TTL", "10m"),
            ("Nats-Expected-Stream", "S"),
            ("nats-schedule-foo", "1"),
            ("X", "y"),
        ],
    ]
    .concat();
    bench.store("s.t", &[], "before");
    let seq = bench.store("s.at", &headers, "body");
    assert!(bench.header("S", seq).ends_with("X: y\r\nNats-Rollup: sub\r\n\r\n"));
    pass(&bench, 59);
    assert_eq!(on(&bench, "s.t"), [(1, "before".to_owned())]);
    pass(&bench, 1);
    assert_eq!(bench.messages("S"), [(3, "s.t".to_owned(), "body".to_owned())]);
    let said = "X: y\r\nNats-Scheduler: s.at\r\nNats-Schedule-Next: purge\r\nNats-TTL: 5m\r\nNats-Rollup: sub\r\n\r\n";
    assert_eq!(bench.header("S", 3), format!("NATS/1.0\r\n{said}"));
    assert_eq!(tracked(&bench), 0);
    pass(&bench, 299);
    assert_eq!(on(&bench, "s.t").len(), 1);
    pass(&bench, 2);
    assert_eq!(bench.messages("S"), [], "it lived as long as the schedule said");
}

#[test]
fn what_is_over_already_fires_at_once() {
    let bench = bench();
    plan(&bench, "s.past", "@at 2020-01-01T00:00:00Z", "s.t");
    assert_eq!(bench.messages("S"), [(2, "s.t".to_owned(), "s.past".to_owned())]);
}

#[test]
fn an_interval_repeats_and_what_was_missed_fires_once() {
    let bench = bench();
    plan(&bench, "s.every", "@every 10s", "s.t");
    for runs in 1..4 {
        pass(&bench, 10);
        assert_eq!(on(&bench, "s.t").len(), runs);
    }
    let last = |bench: &Bench| bench.header("S", on(bench, "s.t").last().unwrap().0);
    assert!(last(&bench).contains("Nats-Scheduler: s.every\r\nNats-Schedule-Next: 2027-01-15T08:00:40Z\r\n"));
    pass(&bench, 95);
    assert_eq!(on(&bench, "s.t").len(), 4);
    assert!(last(&bench).contains("Nats-Schedule-Next: 2027-01-15T08:02:10Z\r\n"), "{}", last(&bench));
    pass(&bench, 5);
    assert_eq!(on(&bench, "s.t").len(), 5);
    assert_eq!(on(&bench, "s.every"), [(1, "s.every".to_owned())], "the schedule stays as it was");
}

#[test]
fn a_calendar_goes_by_its_zone() {
    let bench = bench();
    let zone = [schedule("0 0 10 * * *", "s.t"), vec![("Nats-Schedule-Time-Zone", "Europe/Berlin")]].concat();
    bench.store("s.ten", &zone, "");
    pass(&bench, 3599);
    assert_eq!(on(&bench, "s.t").len(), 0);
    pass(&bench, 1);
    let made = on(&bench, "s.t");
    assert!(bench.header("S", made[0].0).contains("Nats-Schedule-Next: 2027-01-16T10:00:00+01:00\r\n"));
}

#[test]
fn the_last_message_of_another_subject_is_made_anew() {
    let bench = bench();
    for payload in ["old", "new"] {
        bench.store("s.src", &[("K", "v"), ("Nats-Msg-Id", payload), ("Nats-TTL", "1h")], payload);
    }
    for (subject, source) in [("s.a", "s.src"), ("s.b", "s.nothing")] {
        let headers = [schedule("@every 10s", "s.t"), vec![("Nats-Schedule-Source", source), ("Own", "1")]].concat();
        bench.store(subject, &headers, "own");
    }
    pass(&bench, 10);
    let made = on(&bench, "s.t");
    let next = "Nats-Schedule-Next: 2027-01-15T08:00:20Z\r\n\r\n";
    assert_eq!([made[0].1.as_str(), made[1].1.as_str()], ["new", "own"]);
    assert_eq!(bench.header("S", made[0].0), format!("NATS/1.0\r\nK: v\r\nNats-Scheduler: s.a\r\n{next}"));
    assert_eq!(bench.header("S", made[1].0), format!("NATS/1.0\r\nOwn: 1\r\nNats-Scheduler: s.b\r\n{next}"));
}

#[test]
fn a_schedule_ends_with_being_its_subjects_last_message() {
    let bench = bench();
    for (number, subject) in ["s.plain", "s.deleted", "s.purged", "s.ended", "s.replaced", "s.life"].iter().enumerate()
    {
        let life = if *subject == "s.life" { vec![("Nats-TTL", "5s")] } else { Vec::new() };
        let seq = bench.store(subject, &[schedule(&at(20), "s.t"), life].concat(), subject);
        assert_eq!(seq, number as u64 + 1);
    }
    bench.store("s.plain", &[], "another");
    assert_eq!(error_of(&bench.api("STREAM.MSG.DELETE.S", &json!({"seq": 2}))), 0);
    assert_eq!(error_of(&bench.api("STREAM.PURGE.S", &json!({"filter": "s.purged"}))), 0);
    let stop = [("Nats-Schedule-Next", "purge"), ("Nats-Scheduler", "s.ended")];
    assert_eq!(error_of(&bench.publish("s.stop", &[stop[0], ("Nats-Scheduler", "s.plain")], "")), 10212);
    bench.store("s.stop", &stop, "");
    bench.store("s.stop", &stop, "none is there any more");
    plan(&bench, "s.replaced", &at(40), "s.t");
    assert_eq!(tracked(&bench), 3, "what was replaced or removed takes no memory");
    pass(&bench, 20);
    assert_eq!((on(&bench, "s.t"), tracked(&bench)), (Vec::new(), 1));
    pass(&bench, 20);
    assert_eq!(on(&bench, "s.t").len(), 1);
    assert_eq!(on(&bench, "s.plain").len(), 2);
}

#[test]
fn what_is_made_is_a_message_like_others() {
    let bench = Bench::new();
    bench.stream(json!({
        "name": "S", "subjects": ["s.>"], "allow_msg_schedules": true, "max_msgs_per_subject": 2,
        "subject_transform": {"src": "s.in.>", "dest": "s.out.>"}, "republish": {"src": "s.out.>", "dest": "seen.>"},
    }));
    bench.listen("seen.>");
    let consumer = json!({"stream_name": "S", "config": {"durable_name": "d", "filter_subject": "s.out.>"}});
    assert_eq!(error_of(&bench.api("CONSUMER.DURABLE.CREATE.S.d", &consumer)), 0);
    let circle = schedule("@every 1s", "s.in.x");
    assert_eq!(error_of(&bench.publish("s.out.x", &circle, "")), 10190, "it would be stored on its own subject");
    plan(&bench, "s.every", "@every 1s", "s.in.t");
    pass(&bench, 1);
    assert_eq!(bench.take("seen.t").len(), 1);
    assert_eq!(bench.pull("S", "d", "1")[0].payload, "s.every");
    pass(&bench, 1);
    pass(&bench, 1);
    assert_eq!(on(&bench, "s.out.t").iter().map(|(seq, _)| *seq).collect::<Vec<_>>(), [3, 4]);
}

#[test]
fn a_batch_may_hold_schedules() {
    let bench = Bench::new();
    bench.stream(json!({"name": "S", "subjects": ["s.>"], "allow_msg_schedules": true, "allow_atomic": true}));
    let when = at(5);
    let member = |seq| vec![("Nats-Batch-Id", "b"), ("Nats-Batch-Sequence", seq)];
    bench.publish_raw("s.a", &[member("1"), schedule(&when, "s.t")].concat(), "");
    let commit = [member("2"), vec![("Nats-Batch-Commit", "1")], schedule("@reboot", "s.t")].concat();
    assert_eq!(error_of(&bench.publish("s.b", &commit, "")), 10189);
    assert_eq!(tracked(&bench), 0);
    bench.publish_raw("s.a", &[member("1"), schedule(&when, "s.t")].concat(), "");
    let commit = [member("2"), vec![("Nats-Batch-Commit", "1")], schedule(&when, "s.t")].concat();
    bench.store("s.b", &commit, "");
    pass(&bench, 5);
    let made = on(&bench, "s.t");
    assert_eq!(made.len(), 2);
    assert!(!bench.header("S", made[1].0).contains("Nats-Batch"), "what is made belongs to no batch");
}

#[test]
fn what_cannot_be_made_is_tried_again() {
    let bench = bench();
    plan(&bench, "s.at", &at(5), "s.t");
    assert_eq!(error_of(&bench.update("S", &json!({"max_msg_size": 10}))), 0);
    pass(&bench, 5);
    assert_eq!((on(&bench, "s.t").len(), tracked(&bench)), (0, 1));
    assert_eq!(error_of(&bench.update("S", &json!({"max_msg_size": -1}))), 0);
    pass(&bench, 9);
    assert_eq!(on(&bench, "s.t").len(), 0);
    pass(&bench, 1);
    assert_eq!(on(&bench, "s.t").len(), 1);
}

#[test]
fn a_sealed_stream_fires_nothing() {
    let bench = bench();
    plan(&bench, "s.every", "@every 1s", "s.t");
    assert_eq!(error_of(&bench.update("S", &json!({"sealed": true}))), 0);
    pass(&bench, 10);
    assert_eq!(bench.messages("S").len(), 1);
}

#[test]
fn schedules_are_bounded() {
    let mut settings = Settings::default();
    settings.caps.schedules = 2;
    let bench = Bench::with(settings, AccountLimits::default());
    bench.stream(json!({"name": "S", "subjects": ["s.>"], "allow_msg_schedules": true}));
    for subject in ["s.a", "s.b", "s.b"] {
        plan(&bench, subject, &at(60), "s.t");
    }
    let refused = bench.publish("s.c", &schedule(&at(60), "s.t"), "");
    assert_eq!(refused["error"]["description"], "maximum schedules exceeded");
    pass(&bench, 60);
    plan(&bench, "s.c", &at(90), "s.t");
}

// ---- restarts and crashes

fn open(dir: &Path, clock: &Clock) -> Bench {
    let settings = Settings { store_dir: Some(dir.to_owned()), ..Settings::default() };
    Bench::at(settings, AccountLimits::default(), clock.clone())
}

fn in_files(dir: &Path, clock: &Clock) -> Bench {
    let bench = open(dir, clock);
    bench.stream(json!({"name": "S", "subjects": ["s.>"], "allow_msg_schedules": true, "storage": "file"}));
    bench
}

#[test]
fn schedules_outlive_a_restart_and_what_was_missed_fires_once() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::manual(START);
    let before = in_files(dir.path(), &clock);
    plan(&before, "s.every", "@every 10s", "s.t");
    plan(&before, "s.early", &at(15), "s.early.t");
    plan(&before, "s.missed", &at(30), "s.missed.t");
    plan(&before, "s.late", &at(100), "s.late.t");
    before.store("s.other", &[], "");
    pass(&before, 20);
    assert_eq!(on(&before, "s.t").len(), 1, "both are one run, since nobody looked at ten seconds");
    before.account.stop();
    drop(before);
    clock.advance(Duration::from_secs(35));
    let after = open(dir.path(), &clock);
    let counts = |bench: &Bench| ["s.t", "s.early.t", "s.missed.t", "s.late.t"].map(|subject| on(bench, subject).len());
    assert_eq!(counts(&after), [2, 1, 1, 0]);
    pass(&after, 4);
    assert_eq!(counts(&after), [2, 1, 1, 0]);
    pass(&after, 1);
    assert_eq!(counts(&after), [3, 1, 1, 0]);
    pass(&after, 40);
    assert_eq!(counts(&after), [4, 1, 1, 1]);
    assert_eq!((tracked(&after), on(&after, "s.every").len()), (1, 1));
}

#[test]
fn without_a_journal_schedules_are_found_in_the_messages() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::manual(START);
    let before = in_files(dir.path(), &clock);
    plan(&before, "s.a", &at(10), "s.t");
    plan(&before, "s.b", &at(10), "s.t");
    before.store("s.b", &[], "no schedule any more");
    before.account.stop();
    drop(before);
    for file in files(dir.path()).filter(|file| file.ends_with(".journal")) {
        fs::remove_file(folder(dir.path()).join(file)).unwrap();
    }
    let after = open(dir.path(), &clock);
    assert_eq!(tracked(&after), 1);
    pass(&after, 10);
    assert_eq!(on(&after, "s.t").len(), 1);
}

#[test]
fn what_was_stored_before_schedules_were_allowed_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::manual(START);
    let origin = open(dir.path(), &clock);
    origin.stream(json!({"name": "O", "subjects": ["s.>"], "allow_msg_schedules": true, "storage": "file"}));
    origin.store("s.a", &schedule(&at(10), "s.t"), "");
    origin.stream(json!({"name": "S", "mirror": {"name": "O"}, "storage": "file"}));
    origin.run();
    origin.api("STREAM.DELETE.O", &json!(null));
    let ours = json!({"mirror": null, "subjects": ["s.>"], "allow_msg_schedules": true});
    assert_eq!(error_of(&origin.update("S", &ours)), 0);
    assert_eq!(on(&origin, "s.a").len(), 1);
    origin.account.stop();
    drop(origin);
    let after = open(dir.path(), &clock);
    pass(&after, 60);
    assert_eq!((on(&after, "s.t").len(), tracked(&after)), (0, 0));
}

fn folder(dir: &Path) -> std::path::PathBuf {
    dir.join("jetstream/$G/streams/S")
}

fn files(dir: &Path) -> impl Iterator<Item = String> {
    fs::read_dir(folder(dir)).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap())
}

/// A copy of a store as a crash leaves it: the journal of one moment, everything else of another.
fn crashed(log: &Path, journal: &Path) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder(dir.path())).unwrap();
    for (from, is_journal) in [(log, false), (journal, true)] {
        for file in files(from).filter(|file| file.ends_with(".journal") == is_journal) {
            fs::copy(folder(from).join(&file), folder(dir.path()).join(&file)).unwrap();
        }
    }
    dir
}

/// A stream with two schedules, as it is on disk before and after they fired, ten seconds from the start.
fn fired() -> (tempfile::TempDir, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::manual(START);
    let bench = in_files(dir.path(), &clock);
    plan(&bench, "s.every", "@every 10s", "s.t.every");
    plan(&bench, "s.once", &at(10), "s.t.once");
    let before = crashed(dir.path(), dir.path());
    pass(&bench, 10);
    (before, crashed(dir.path(), dir.path()))
}

#[test]
fn a_crash_between_message_and_note_loses_no_run_and_makes_none_twice() {
    let (before, after) = fired();
    for log in [&before, &after] {
        for journal in [&before, &after] {
            let dir = crashed(log.path(), journal.path());
            let clock = Clock::manual(START);
            clock.advance(Duration::from_secs(10));
            let bench = open(dir.path(), &clock);
            let counts = || ["s.t.every", "s.t.once", "s.once", "s.every"].map(|subject| on(&bench, subject).len());
            assert_eq!(counts(), [1, 1, 0, 1]);
            pass(&bench, 9);
            assert_eq!(counts(), [1, 1, 0, 1]);
            pass(&bench, 1);
            assert_eq!(counts(), [2, 1, 0, 1]);
        }
    }
}

#[test]
fn a_sequence_that_a_note_told_of_is_given_again_only_when_the_note_is_mended() {
    let (before, after) = fired();
    let dir = crashed(before.path(), after.path());
    // Nothing is due yet, and another message takes the sequence of the one that was lost.
    let clock = Clock::manual(START);
    let bench = open(dir.path(), &clock);
    assert_eq!(bench.store("s.other", &[], ""), 3);
    assert_eq!(bench.store("s.other", &[], ""), 4);
    let dir = crashed(dir.path(), dir.path());
    clock.advance(Duration::from_secs(10));
    let again = open(dir.path(), &clock);
    assert_eq!(["s.t.every", "s.t.once"].map(|subject| on(&again, subject).len()), [1, 1]);
}
