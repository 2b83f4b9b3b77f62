//! The search for damage: what it finds, and what comes in between.

use std::sync::Arc;

use super::super::super::{Filter, NewMessage, Store};
use super::super::disk::Disk as _;
use super::super::scrub::Looked;
use super::damage::named;
use super::sim::Sim;
use super::{AccountKey, FileStore, create, options, reopen, sync};

fn written(key: Option<&AccountKey>) -> (Arc<Sim>, FileStore) {
    let sim = Sim::new(41);
    let mut store = create(&sim, &options(2000, key));
    for number in 0..60_u64 {
        let new = NewMessage { subject: b"a", payload: &[number as u8; 60], ..NewMessage::default() };
        store.append(&new).unwrap();
    }
    sync(&mut store);
    (sim, store)
}

/// Goes through all files; gives how many there were, and how many messages are lost by what was found.
fn scrub(store: &mut FileStore) -> (u64, u64) {
    let (mut from, mut files, mut lost) = (0, 0, 0);
    while let Some(sealed) = store.sealed(from) {
        from = sealed.number() + 1;
        files += 1;
        match sealed.look(&mut |_| true) {
            Looked::Whole => {}
            Looked::Ill(ill) => lost += store.found_ill(&ill),
            other => panic!("{other:?}"),
        }
    }
    sync(store);
    (files, lost)
}

fn there(store: &dyn Store) -> Vec<u64> {
    let (mut all, mut at) = (Vec::new(), 0);
    while let Some(seq) = store.next(&Filter::All, at) {
        all.push(seq);
        at = seq + 1;
    }
    all
}

/// Writes over some bytes of a file, as a disk would that forgets.
fn flip(sim: &Sim, path: &std::path::Path, at: u64) {
    let file = sim.open(path, false).unwrap();
    let mut byte = [0];
    file.read_at(&mut byte, at).unwrap();
    file.write_at(&[byte[0] ^ 8], at).unwrap();
}

#[test]
fn a_flipped_bit_in_any_sealed_file_is_found_and_costs_its_message() {
    for key in [None, Some(AccountKey::generate("A"))] {
        let (_, mut store) = written(key.as_ref());
        let (files, lost) = scrub(&mut store);
        assert!(files >= 3 && lost == 0, "{files} files");
        let sealed = store.segments.len();
        for number in 0..sealed {
            for at in (64..1900).step_by(171) {
                let (sim, mut store) = written(key.as_ref());
                let files = sim.files();
                let (path, bytes) = named(&files, ".seg").nth(number).unwrap();
                flip(&sim, path, at);
                let (_, lost) = scrub(&mut store);
                // The first record of a file but the first says only how far sequences are used.
                let is_mark = number > 0 && at < 64 + 36 + 8 + if key.is_some() { 16 } else { 0 };
                assert_eq!(lost, u64::from(!is_mark), "byte {at} of file {number}, {} bytes", bytes.len());
                let (told, _) = store.lost();
                let left: Vec<u64> = (1..=60).filter(|seq| !told.contains(seq)).collect();
                assert!(told.len() as u64 == lost && there(&store) == left, "{told:?}");
                assert_eq!(scrub(&mut store).1, 0, "it is told once");
                assert!(left.iter().all(|seq| store.get(*seq).unwrap().is_some()), "byte {at}");
            }
        }
    }
}

#[test]
fn a_file_that_is_gone_or_cut_off_is_found() {
    for cut in [Some(0), Some(900), None] {
        let (sim, mut store) = written(None);
        let files = sim.files();
        let (path, bytes) = named(&files, ".seg").nth(1).unwrap();
        sim.put(path, cut.map(|len| bytes[..len].to_vec()));
        let (_, lost) = scrub(&mut store);
        assert!(lost > 5 && store.lost().0.len() as u64 == lost, "{cut:?}: {lost}");
        assert_eq!(there(&store).len() as u64 + lost, 60);
    }
}

#[test]
fn what_is_removed_erased_or_written_anew_meanwhile_is_no_damage() {
    let (sim, mut store) = written(None);
    let damage = |sim: &Sim| {
        let files = sim.files();
        flip(sim, &named(&files, ".seg").next().unwrap().0, 300);
    };
    // Found in a file, and gone before that is taken in.
    for how in 0..3 {
        let (sim, mut store) = written(None);
        damage(&sim);
        let Looked::Ill(ill) = store.sealed(0).unwrap().look(&mut |_| true) else { panic!("it is not found") };
        match how {
            0 => (1..=20).for_each(|seq| drop(store.remove(seq, true))),
            1 => store.remove_below(21, &mut |_| {}).unwrap(),
            _ => store.remove_below(61, &mut |_| {}).unwrap(),
        }
        // What cannot be read when it is removed is listed by that.
        (0..5).for_each(|_| sync(&mut store));
        let before = store.lost();
        assert_eq!(store.found_ill(&ill), 0, "{how}");
        sync(&mut store);
        assert_eq!(store.lost(), before, "{how}");
    }
    // A file that is gone in between.
    let sealed = store.sealed(0).unwrap();
    store.remove_below(30, &mut |_| {}).unwrap();
    (0..5).for_each(|_| sync(&mut store));
    let Looked::Ill(ill) = sealed.look(&mut |_| true) else { panic!("it is there") };
    assert_eq!(store.found_ill(&ill), 0);
    // One that is written anew in between, and one in which something is overwritten.
    let sealed = store.sealed(0).unwrap();
    for seq in (30..60).filter(|seq| seq % 3 > 0) {
        store.remove(seq, seq % 2 == 0).unwrap();
        sync(&mut store);
        if let Looked::Ill(ill) = sealed.look(&mut |_| true) {
            assert_eq!(store.found_ill(&ill), 0, "{seq}");
        }
        assert_eq!(scrub(&mut store).1, 0, "{seq}");
    }
    assert_eq!(store.lost().0, Vec::<u64>::new());
    assert!(sim.files().iter().any(|(path, _)| path.to_str().unwrap().contains("-0001-")), "none was written anew");
    drop(store);
    assert_eq!(reopen(&sim, &options(2000, None)).store.lost().0, Vec::<u64>::new());
}

#[test]
fn a_look_waits_for_its_turn_and_ends_when_it_is_told() {
    let (_, store) = written(None);
    let (mut asked, mut turns) = (0, 0);
    let sealed = store.sealed(0).unwrap();
    let looked = sealed.look(&mut |bytes| {
        asked += bytes;
        turns += 1;
        true
    });
    assert!(matches!(looked, Looked::Whole) && turns == 1 && (1000..=2000).contains(&asked), "{asked}");
    assert!(matches!(sealed.look(&mut |_| false), Looked::Stopped));
}
