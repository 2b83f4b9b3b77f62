//! Numbers without gaps, in memory and over restarts.

use super::*;

fn event(cid: u64) -> SecurityEvent {
    SecurityEvent {
        reason: Reason::PublishDenied.code(),
        account: Some("A".to_owned()),
        user: None,
        cid,
        ip: "192.0.2.1".to_owned(),
        subject: "a.b".to_owned(),
        rule: String::new(),
        detail: String::new(),
        count: 0,
        source: Source::user(&cid.to_string(), "u"),
    }
}

fn numbers(range: &Range) -> Vec<u64> {
    range.events.iter().map(|event| event["seq"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn events_are_given_out_only_when_written_and_numbers_go_on_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let open = || Security::open(Some(folder.path()), Clock::manual(1_700_000_000)).unwrap();
    let security = open();
    for cid in 1..=3 {
        security.note(event(cid));
    }
    assert!(security.after(0, 10, 1000).events.is_empty(), "not on disk yet");
    assert_eq!(security.write().await.len(), 3);
    assert_eq!(numbers(&security.after(1, 10, 10_000)), [2, 3]);
    // Noted, but never written nor seen: a crash may give its number again.
    security.note(event(4));
    let id = security.broker_id().to_owned();
    drop(security);
    let security = open();
    assert_eq!(security.broker_id(), id);
    security.note(event(5));
    security.write().await;
    let range = security.after(0, 10, 10_000);
    assert_eq!((range.first, range.last, numbers(&range)), (1, 4, vec![1, 2, 3, 4]));
}

#[tokio::test]
async fn a_flood_is_one_event_with_a_count_and_the_sum_is_complete() {
    let clock = Clock::manual(1_700_000_000);
    let security = Security::open(None, clock.clone()).unwrap();
    for _ in 0..10_000 {
        security.note(event(7));
    }
    clock.advance(Duration::from_secs(1));
    security.unfold();
    let written = security.write().await;
    let count = |kept: &Arc<Kept>| serde_json::from_str::<Value>(&kept.json).unwrap()["count"].as_u64().unwrap_or(1);
    assert!(written.len() < 30, "{}", written.len());
    assert_eq!(written.iter().map(count).sum::<u64>(), 10_000);
}

#[tokio::test]
async fn an_unwritable_journal_keeps_events_back_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let security = Security::open(Some(folder.path()), Clock::manual(1_700_000_000)).unwrap();
    security.note(event(1));
    std::fs::remove_dir_all(folder.path()).unwrap();
    // A new file is needed, and there is no folder for it.
    if let Some(journal) = &security.journal {
        journal.lock().fill_up();
    }
    assert!(security.write().await.is_empty());
    assert!(security.trouble().is_some());
    std::fs::create_dir_all(folder.path()).unwrap();
    assert_eq!(security.write().await.len(), 1);
    assert!(security.trouble().is_none());
}

#[test]
fn a_flood_while_nothing_can_be_written_takes_bounded_memory() {
    let clock = Clock::manual(1_700_000_000);
    let security = Security::open(None, clock.clone()).unwrap();
    for _ in 0..60 {
        for cid in 0..300 * 25 {
            security.note(event(cid % 300));
        }
        clock.advance(Duration::from_secs(1));
        security.unfold();
    }
    let (.., unwritten) = security.figures();
    assert!(unwritten <= UNWRITTEN as u64 + 300, "{unwritten}");
}

#[tokio::test]
async fn replay_is_bounded_by_number_and_by_bytes() {
    let security = Security::open(None, Clock::manual(1_700_000_000)).unwrap();
    for cid in 0..100 {
        security.note(event(cid));
    }
    security.write().await;
    assert_eq!(security.after(0, 5, usize::MAX).events.len(), 5);
    assert_eq!(security.after(0, 100, 1).events.len(), 1);
    assert!(security.after(100, 100, usize::MAX).events.is_empty());
    assert!(security.after(u64::MAX, 100, usize::MAX).events.is_empty());
}

#[test]
fn texts_of_peers_are_cut() {
    assert_eq!(clip(&"ä".repeat(5000)).chars().count(), TEXT_MAX);
}
