//! Exports: whatever single thing is done to one, the verifier names it.

use std::sync::OnceLock;

use data_encoding::BASE64;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::ledger;
use crate::ledger::export::{CheckpointLine, Header, render_checkpoint, render_entry};
use crate::ledger::tree::leaf_hash;
use crate::ledger::verify::{Fault, FaultKind, Part, VerifyError, verify_export};
use crate::ledger::{Checkpoint, Digest, Edge, Leaf, Ledger, NoteError, NoteKey, Reference, SignedCheckpoint};
use crate::store::Store;
use crate::store::tests::{account_key, entry, on_each_database};

/// Sizes at which checkpoints are signed.
const CHECKPOINTS: [u64; 3] = [0, 5, 9];
const ENTRIES: u64 = 13;

struct Sample {
    text: String,
    key: NoteKey,
    notes: Vec<SignedCheckpoint>,
}

/// Writes 13 entries with checkpoints, and exports them.
async fn write(store: &Store, ledger: &Ledger) -> Sample {
    let mut notes = Vec::new();
    for index in 0..ENTRIES {
        if CHECKPOINTS.contains(&index) {
            notes.push(ledger.checkpoint(store, 1).await.unwrap());
        }
        let mut entry = entry("user.create").on_account(account_key(1)).referring_to(Reference::Entry(index));
        if index % 3 == 0 {
            entry = entry.with_detail(json!({ "index": index, "name": "Zoë \"quoted\"" }));
        }
        if index % 4 == 0 {
            entry = entry.from_address(Some([192, 0, 2, 1].into()));
        }
        store.begin("write").await.unwrap().save(vec![entry]).await.unwrap();
    }
    Sample { text: export(store, ledger).await, key: ledger.note_key(), notes }
}

async fn export(store: &Store, ledger: &Ledger) -> String {
    let mut reader = store.read().await.unwrap();
    let mut export = ledger.export(&mut reader, 2).await.unwrap();
    let mut text = String::new();
    while let Some(lines) = export.next(&mut reader).await.unwrap() {
        text.push_str(&lines);
    }
    text
}

/// One export for all tests that change it.
fn sample() -> &'static Sample {
    static SAMPLE: OnceLock<Sample> = OnceLock::new();
    SAMPLE.get_or_init(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        std::thread::spawn(move || {
            runtime.block_on(async {
                let folder = tempfile::tempdir().unwrap();
                let store = Store::open(folder.path().join("cordon.db").to_str().unwrap()).await.unwrap();
                let ledger = ledger(&store, None).await;
                write(&store, &ledger).await
            })
        })
        .join()
        .unwrap()
    })
}

/// What stands in a line of the sample.
fn part_of(line: usize) -> (Part, u64) {
    match line as u64 {
        0 => (Part::Header, 0),
        line if line <= ENTRIES => (Part::Entry, line - 1),
        line => (Part::Checkpoint, line - 1 - ENTRIES),
    }
}

fn fault(text: &[u8]) -> Fault {
    match verify_export(text, None, Some(&sample().key)) {
        Err(VerifyError::Fault(fault)) => fault,
        other => panic!("not found faulty: {other:?}"),
    }
}

fn assert_named(text: &[u8], line: usize, kind: FaultKind) {
    let fault = fault(text);
    let (part, index) = part_of(line);
    assert_eq!((fault.part, fault.index, fault.kind), (part, index, kind), "{fault}");
}

fn lines() -> Vec<&'static str> {
    sample().text.split_inclusive('\n').collect()
}

/// Which line a byte is in.
fn line_at(at: usize) -> usize {
    sample().text.as_bytes()[..at].split(|byte| *byte == b'\n').count() - 1
}

#[tokio::test]
async fn export_is_found_sound_on_each_database() {
    on_each_database(async |store| {
        let ledger = ledger(&store, None).await;
        let Sample { text, key, notes } = write(&store, &ledger).await;
        let trusted: String = notes.iter().map(|signed| signed.note.clone() + "\n").collect();
        let verified = verify_export(text.as_bytes(), Some(&trusted), Some(&key)).unwrap();
        let root = store.read().await.unwrap().ledger().head().await.unwrap().root;
        assert_eq!((verified.size, verified.root, verified.key_given, verified.erased_blobs), (ENTRIES, root, true, 0));
        assert_eq!((verified.checkpoints, verified.trusted), (vec![0, 5, 9, 13], vec![0, 5, 9]));

        // Erasing blobs breaks nothing, and is counted.
        let first = store.read().await.unwrap().ledger().entry(0).await.unwrap().unwrap().leaf;
        let mut unit = store.begin("erase").await.unwrap();
        for digest in [first.source.unwrap(), first.detail.unwrap()] {
            assert!(unit.ledger().erase_blob(&digest).await.unwrap());
        }
        unit.save(Vec::new()).await.unwrap();
        let verified = verify_export(export(&store, &ledger).await.as_bytes(), Some(&trusted), Some(&key)).unwrap();
        assert_eq!(verified.erased_blobs, 2);
    })
    .await;
}

#[tokio::test]
async fn empty_and_long_logs_are_exported_whole() {
    on_each_database(async |store| {
        let ledger = ledger(&store, None).await;
        let text = export(&store, &ledger).await;
        assert_eq!(verify_export(text.as_bytes(), None, None).unwrap().size, 0);
        for _ in 0..3 {
            let entries = (0..400).map(|_| entry("many")).collect();
            store.begin("many").await.unwrap().save(entries).await.unwrap();
        }
        let text = export(&store, &ledger).await;
        assert_eq!(verify_export(text.as_bytes(), None, None).unwrap().size, 1200);
    })
    .await;
}

#[test]
fn line_says_what_the_entry_says() {
    let line: Value = serde_json::from_str(lines()[1]).unwrap();
    assert_eq!(line["index"], 0);
    assert_eq!(line["entry"]["kind"], "user.create");
    assert_eq!(line["entry"]["actor"], json!({ "kind": "system", "id": "cordon", "role": null }));
    assert_eq!(line["source"]["content"], r#"{"ip":"192.0.2.1"}"#);
    let bytes = BASE64.decode(line["bytes"].as_str().unwrap().as_bytes()).unwrap();
    assert_eq!(line["leaf_hash"], leaf_hash(&bytes).to_string());
}

#[test]
fn each_dropped_line_is_named() {
    let count = lines().len();
    for dropped in 0..count {
        let mut lines = lines();
        lines.remove(dropped);
        let kind = if dropped == count - 1 { FaultKind::Cut } else { FaultKind::Missing };
        assert_named(lines.concat().as_bytes(), dropped, kind);
    }
}

#[test]
fn each_swap_is_named() {
    let count = lines().len();
    for first in 0..count {
        for second in first + 1..count {
            let mut lines = lines();
            lines.swap(first, second);
            assert_named(lines.concat().as_bytes(), first, FaultKind::Reordered);
        }
    }
}

#[test]
fn each_cut_is_named() {
    let text = sample().text.as_bytes();
    for length in 0..text.len() {
        assert_named(&text[..length], line_at(length), FaultKind::Cut);
    }
}

#[test]
fn each_doubled_line_is_named() {
    let count = lines().len();
    for doubled in 0..count {
        let mut lines = lines();
        lines.insert(doubled, lines[doubled]);
        let kind = if doubled + 1 == count { FaultKind::Changed } else { FaultKind::Reordered };
        assert_named(lines.concat().as_bytes(), doubled + 1, kind);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn each_changed_byte_is_named(at in any::<prop::sample::Index>(), change in 1_u8..=255) {
        let mut text = sample().text.clone().into_bytes();
        let at = at.index(text.len());
        text[at] ^= change;
        assert_named(&text, line_at(at), FaultKind::Changed);
    }

    #[test]
    fn each_newline_put_in_is_named(at in any::<prop::sample::Index>()) {
        let mut text = sample().text.clone().into_bytes();
        let at = at.index(text.len());
        if text[at] != b'\n' {
            text[at] = b'\n';
            assert_named(&text, line_at(at), FaultKind::Changed);
        }
    }

    #[test]
    fn noise_is_refused_without_panic(text in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(verify_export(text.as_slice(), None, None).is_err());
    }
}

/// The sample's leaves.
fn leaves() -> Vec<Leaf> {
    let parse = |line: &&str| {
        let line: Value = serde_json::from_str(line).unwrap();
        Leaf::from_bytes(&BASE64.decode(line["bytes"].as_str().unwrap().as_bytes()).unwrap()).unwrap()
    };
    lines()[1..=ENTRIES as usize].iter().map(parse).collect()
}

/// The sample with these leaves instead, without blobs; each line is right in itself.
fn forged(leaves: &[Leaf]) -> String {
    let all = lines();
    let entries = leaves.iter().map(|leaf| {
        let bytes = leaf.to_bytes();
        render_entry(leaf, &bytes, leaf_hash(&bytes), None, None) + "\n"
    });
    let end = all[1 + ENTRIES as usize..].iter().map(|line| (*line).to_owned());
    std::iter::once(all[0].to_owned()).chain(entries).chain(end).collect()
}

#[test]
fn entry_replaced_by_a_well_made_one_is_named() {
    assert!(verify_export(forged(&leaves()).as_bytes(), None, None).is_ok());
    for index in 0..ENTRIES as usize {
        let mut leaves = leaves();
        leaves[index].time += 1;
        let fault = fault(forged(&leaves).as_bytes());
        // Nothing follows the last one, so only the range after the checkpoint before it is known.
        let expected = if index as u64 == ENTRIES - 1 { 9 } else { index as u64 };
        assert_eq!((fault.part, fault.index, fault.kind), (Part::Entry, expected, FaultKind::Changed), "{fault}");
    }
}

#[test]
fn entry_with_another_past_is_named() {
    for index in 0..ENTRIES as usize {
        let mut leaves = leaves();
        leaves[index].previous = Digest([7; 32]);
        let fault = fault(forged(&leaves).as_bytes());
        assert_eq!((fault.part, fault.index, fault.kind), (Part::Entry, index as u64, FaultKind::Changed), "{fault}");
    }
}

/// Everything from `start` written anew, chain and all.
fn rewritten(start: usize) -> Vec<Leaf> {
    let mut leaves = leaves();
    leaves[start].time += 1;
    for index in start + 1..leaves.len() {
        leaves[index].previous = leaf_hash(&leaves[index - 1].to_bytes());
    }
    leaves
}

#[test]
fn rewritten_end_is_named_from_the_last_checkpoint_that_fits() {
    for start in 0..ENTRIES as usize {
        let fault = fault(forged(&rewritten(start)).as_bytes());
        let vouched = CHECKPOINTS.iter().copied().filter(|size| *size <= start as u64).max().unwrap();
        assert_eq!((fault.part, fault.index, fault.kind), (Part::Entry, vouched, FaultKind::Changed), "{fault}");
    }
}

/// A whole export by another key that claims these leaves.
fn resigned(leaves: &[Leaf]) -> (String, NoteKey) {
    let signing = ed25519_dalek::SigningKey::from_bytes(&[5; 32]);
    let key = NoteKey::new(sample().key.name(), signing.verifying_key());
    let mut edge = Edge::default();
    for leaf in leaves {
        edge.append(leaf_hash(&leaf.to_bytes()), |_, _, _| {});
    }
    let origin = sample().key.name().to_owned();
    let note = Checkpoint { origin: origin.clone(), size: edge.size(), root: edge.root() }.sign(&signing);
    let header: Header = serde_json::from_str(lines()[0]).unwrap();
    let header = Header { key: key.to_string(), checkpoints: vec![edge.size()], size: edge.size(), ..header }.sealed();
    let body = forged(leaves);
    let entries: String = body.split_inclusive('\n').skip(1).take(leaves.len()).collect();
    (format!("{}\n{entries}{}\n", header.render(), render_checkpoint(&note)), key)
}

#[test]
fn log_signed_by_another_is_found_out_by_key_or_checkpoint() {
    let (text, key) = resigned(&rewritten(3));
    assert!(!verify_export(text.as_bytes(), None, None).unwrap().key_given, "whole in itself");
    assert!(verify_export(text.as_bytes(), None, Some(&key)).is_ok());
    let fault = fault(text.as_bytes());
    assert_eq!((fault.part, fault.kind), (Part::Header, FaultKind::Changed), "{fault}");
    let kept = &sample().notes[1].note;
    let refused = verify_export(text.as_bytes(), Some(kept), None);
    assert!(matches!(refused, Err(VerifyError::Trusted(NoteError::Unsigned))), "{refused:?}");
}

#[test]
fn tail_that_was_cut_and_signed_anew_is_found_out_by_a_kept_checkpoint() {
    // The log's own key, in the wrong hands: a shorter log, properly signed.
    let (text, key) = resigned(&leaves()[..7]);
    let signing = ed25519_dalek::SigningKey::from_bytes(&[5; 32]);
    let note = |size: u64, root| Checkpoint { origin: key.name().to_owned(), size, root }.sign(&signing);
    let mut edge = Edge::default();
    let mut roots = vec![edge.root()];
    for leaf in leaves() {
        edge.append(leaf_hash(&leaf.to_bytes()), |_, _, _| {});
        roots.push(edge.root());
    }
    let verify = |trusted: &str| verify_export(text.as_bytes(), Some(trusted), Some(&key));
    let kept = note(5, roots[5]) + &note(7, roots[7]);
    assert_eq!(verify(&kept).unwrap().trusted, [5, 7]);
    let cut = verify(&note(9, roots[9])).unwrap_err().to_string();
    assert_eq!(cut, "entry 7 was cut off: a trusted checkpoint knows 9 entries, the export ends here");
    let other = verify(&(note(5, roots[5]) + &note(6, Digest::ZERO))).unwrap_err().to_string();
    assert!(other.starts_with("entry 5 was changed: "), "{other}");
}

#[test]
fn notes_are_believed_only_as_they_were_signed() {
    let (key, signed) = (&sample().key, &sample().notes[1]);
    let note = &signed.note;
    assert_eq!(key.open(note), Ok(signed.checkpoint.clone()));
    assert_eq!(key.to_string().parse::<NoteKey>().as_ref(), Ok(key));
    for at in 0..note.len() {
        let mut changed = note.clone().into_bytes();
        changed[at] ^= 1;
        if let Ok(changed) = String::from_utf8(changed) {
            assert!(key.open(&changed).is_err(), "byte {at}: {changed}");
        }
        if let Some(cut) = note.get(..at) {
            assert!(key.open(cut).is_err(), "cut at {at}");
        }
    }
    // Another's signature beside ours is passed over: witnesses sign so.
    let witness = format!("\u{2014} witness {}\n", BASE64.encode(&[9; 68]));
    assert!(key.open(&format!("{note}{witness}")).is_ok());
    let text = key.to_string();
    for at in 0..text.len() {
        let mut changed = text.clone().into_bytes();
        changed[at] ^= 1;
        assert!(String::from_utf8(changed).is_ok_and(|changed| changed.parse::<NoteKey>().is_err()), "byte {at}");
    }
    let line = CheckpointLine { checkpoint: format!("{note}{witness}") };
    let mut lines = lines();
    let replaced = render_checkpoint(&line.checkpoint) + "\n";
    let at = 1 + ENTRIES as usize + 1;
    lines[at] = &replaced;
    assert_named(lines.concat().as_bytes(), at, FaultKind::Changed);
}
