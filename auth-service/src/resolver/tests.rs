//! Both resolvers: what replaces what, what is on disk afterwards, and what a peer may not do.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use cordon_accounts::key::{AccountKey, Role};
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::testing::{House, NOW, account_key, seed};
use crate::trust::{AccountError, Trust};

fn directory(options: DirectoryOptions) -> (TempDir, DirectoryResolver) {
    let folder = TempDir::new().unwrap();
    let resolver = DirectoryResolver::open(folder.path(), options, NOW).unwrap();
    (folder, resolver)
}

fn reopen(folder: &TempDir, options: DirectoryOptions) -> DirectoryResolver {
    DirectoryResolver::open(folder.path(), options, NOW).unwrap()
}

/// A further account of the same operator, issued at `at`.
fn record_of(house: &House, account: &cordon_accounts::key::Seed, at: i64) -> Arc<AccountRecord> {
    let mut claims = house.account_claims.clone();
    claims.subject = account.public();
    let token = claims.encode(&house.operator, at).unwrap();
    house.trust().admit_account(&token, None, NOW).unwrap()
}

fn record_at(house: &House, at: i64) -> Arc<AccountRecord> {
    record_of(house, &house.account, at)
}

#[test]
fn stored_accounts_survive_a_restart() {
    let house = House::new();
    let (folder, resolver) = directory(DirectoryOptions::default());
    let record = house.record();
    assert_eq!(resolver.store(&record, StorePolicy::Push, NOW).unwrap(), StoreOutcome::Stored);
    assert_eq!(resolver.store(&record, StorePolicy::Push, NOW).unwrap(), StoreOutcome::Unchanged);
    let file = folder.path().join(format!("{}.jwt", record.key));
    assert_eq!(fs::read_to_string(&file).unwrap(), record.token());
    let again = reopen(&folder, DirectoryOptions::default());
    assert_eq!(again.lookup(&record.key).unwrap().as_deref(), Some(record.token()));
    assert_eq!((again.list(NOW), again.hash(NOW)), (vec![record.key], resolver.hash(NOW)));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing temporary stays");
}

#[test]
fn leftovers_and_foreign_files_are_not_served() {
    let house = House::new();
    let folder = TempDir::new().unwrap();
    let record = house.record();
    let other = account_key(&seed(Role::Account));
    let write = |name: String, content: &str| fs::write(folder.path().join(name), content).unwrap();
    write(format!("{}.jwt.tmp", record.key), "half a tok");
    write(format!("{other}.jwt"), record.token());
    write("README.jwt".to_owned(), record.token());
    write(format!("{}.jwt", record.key), "not a token");
    let resolver = reopen(&folder, DirectoryOptions::default());
    assert!(resolver.is_empty());
    assert_eq!(resolver.ignored().len(), 3);
    assert!(!folder.path().join(format!("{}.jwt.tmp", record.key)).exists());
    assert_eq!(resolver.lookup(&record.key).unwrap(), None);
    resolver.store(&record, StorePolicy::Push, NOW).unwrap();
    assert_eq!(resolver.lookup(&record.key).unwrap().as_deref(), Some(record.token()));
}

#[test]
fn a_push_never_goes_back_in_time_and_a_merge_keeps_the_newer() {
    let house = House::new();
    let (old, new) = (record_at(&house, NOW - 20), record_at(&house, NOW - 10));
    let (_folder, on_disk) = directory(DirectoryOptions::default());
    let in_memory = MemoryResolver::default();
    for resolver in [&on_disk as &dyn Resolver, &in_memory] {
        resolver.store(&old, StorePolicy::Push, NOW).unwrap();
        assert_eq!(resolver.store(&new, StorePolicy::Merge, NOW).unwrap(), StoreOutcome::Stored);
        assert_eq!(resolver.store(&old, StorePolicy::Merge, NOW).unwrap(), StoreOutcome::Kept);
        assert!(matches!(resolver.store(&old, StorePolicy::Push, NOW), Err(ResolverError::Stale { .. })));
        assert_eq!(resolver.lookup(&new.key).unwrap().as_deref(), Some(new.token()));
    }
}

#[test]
fn deleting_follows_the_mode() {
    let house = House::new();
    let record = house.record();
    let name = format!("{}.jwt", record.key);
    for (delete, left) in [(DeleteMode::Rename, vec![format!("{name}.deleted")]), (DeleteMode::Remove, vec![])] {
        let (folder, resolver) = directory(DirectoryOptions { delete, ..DirectoryOptions::default() });
        resolver.store(&record, StorePolicy::Push, NOW).unwrap();
        assert!(resolver.remove(&record.key).unwrap());
        assert!(!resolver.remove(&record.key).unwrap(), "unknown accounts are no error");
        assert_eq!(resolver.lookup(&record.key).unwrap(), None);
        let names = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        assert_eq!(names.collect::<Vec<_>>(), left);
        assert!(reopen(&folder, DirectoryOptions::default()).is_empty());
    }
    let (_folder, resolver) = directory(DirectoryOptions::default());
    resolver.store(&record, StorePolicy::Push, NOW).unwrap();
    assert!(!resolver.allows_delete());
    assert!(matches!(resolver.remove(&record.key), Err(ResolverError::DeleteNotAllowed)));
    assert!(resolver.lookup(&record.key).unwrap().is_some());
}

#[test]
fn a_full_store_refuses_new_accounts_and_a_cache_evicts_the_least_used() {
    let house = House::new();
    let records: Vec<_> = (0..3).map(|_| record_of(&house, &seed(Role::Account), NOW - 5)).collect();
    let limit = Some(2);
    let (_folder, full) = directory(DirectoryOptions { limit, ..DirectoryOptions::default() });
    for record in &records[..2] {
        full.store(record, StorePolicy::Push, NOW).unwrap();
    }
    let error = full.store(&records[2], StorePolicy::Push, NOW).unwrap_err();
    assert_eq!(error.to_string(), "jwt store is full");
    let newer = record_at(&house, NOW);
    assert!(full.store(&newer, StorePolicy::Push, NOW).is_err());

    let (folder, cache) = directory(DirectoryOptions { limit, cache: true, ..DirectoryOptions::default() });
    for record in &records[..2] {
        cache.store(record, StorePolicy::Merge, NOW).unwrap();
    }
    cache.lookup(&records[0].key).unwrap();
    cache.store(&records[2], StorePolicy::Merge, NOW).unwrap();
    assert_eq!(cache.lookup(&records[1].key).unwrap(), None, "the least used made room");
    assert!(cache.lookup(&records[0].key).unwrap().is_some());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    cache.store(&records[1], StorePolicy::Merge, NOW).unwrap();
    assert!(cache.lookup(&records[1].key).unwrap().is_some(), "fetched again");
}

#[test]
fn a_known_account_can_be_updated_in_a_full_store() {
    let house = House::new();
    let (_folder, full) = directory(DirectoryOptions { limit: Some(1), ..DirectoryOptions::default() });
    full.store(&record_at(&house, NOW - 5), StorePolicy::Push, NOW).unwrap();
    assert_eq!(full.store(&record_at(&house, NOW), StorePolicy::Push, NOW).unwrap(), StoreOutcome::Stored);
}

#[test]
fn expired_tokens_are_left_out_and_swept() {
    let mut house = House::new();
    house.account_claims.expires = NOW + 10;
    let record = house.record();
    let (folder, resolver) = directory(DirectoryOptions::default());
    resolver.store(&record, StorePolicy::Push, NOW).unwrap();
    assert_eq!(resolver.list(NOW + 10), [record.key]);
    assert!(resolver.list(NOW + 11).is_empty());
    assert_eq!(resolver.hash(NOW + 11), StoreHash::default());
    let mut lines = Vec::new();
    resolver.pack(None, NOW + 11, &mut |line| lines.push(line)).unwrap();
    assert!(lines.is_empty());
    assert!(resolver.sweep(NOW + 10).unwrap().is_empty());
    assert_eq!(resolver.sweep(NOW + 11).unwrap(), [record.key]);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_cache_forgets_after_its_ttl() {
    let house = House::new();
    let options = DirectoryOptions { cache: true, ttl: Some(Duration::from_mins(1)), ..DirectoryOptions::default() };
    let (_folder, cache) = directory(options);
    let record = house.record();
    cache.store(&record, StorePolicy::Merge, NOW).unwrap();
    assert!(cache.sweep(NOW + 60).unwrap().is_empty());
    assert_eq!(cache.sweep(NOW + 61).unwrap(), [record.key]);
}

#[test]
fn the_hash_is_the_xor_of_the_tokens_digests() {
    let house = House::new();
    let (a, b) = (record_of(&house, &seed(Role::Account), NOW), record_of(&house, &seed(Role::Account), NOW));
    let (left, right) = (MemoryResolver::default(), MemoryResolver::default());
    for (resolver, order) in [(&left, [&a, &b]), (&right, [&b, &a])] {
        for record in order {
            resolver.store(record, StorePolicy::Push, NOW).unwrap();
        }
    }
    assert_eq!(left.hash(NOW), right.hash(NOW));
    let expected: Vec<u8> =
        StoreHash::of_token(a.token()).0.iter().zip(StoreHash::of_token(b.token()).0).map(|(x, y)| x ^ y).collect();
    assert_eq!(left.hash(NOW).0.as_slice(), expected);
    assert_eq!(StoreHash::from_request(&left.hash(NOW).0), Some(left.hash(NOW)));
    for no_hash in [&b""[..], &[0; 31], &[0; 33]] {
        assert_eq!(StoreHash::from_request(no_hash), None);
    }
}

fn pack_of(resolver: &dyn Resolver, asker: Option<StoreHash>) -> String {
    let mut lines = Vec::new();
    resolver.pack(asker, NOW, &mut |line| lines.push(line.to_string())).unwrap();
    lines.join("\n")
}

#[test]
fn equal_stores_have_nothing_to_tell_each_other() {
    let house = House::new();
    let resolver = MemoryResolver::default();
    let record = house.record();
    resolver.store(&record, StorePolicy::Push, NOW).unwrap();
    assert_eq!(pack_of(&resolver, Some(resolver.hash(NOW))), "");
    let expected = format!("{}|{}", record.key, record.token());
    assert_eq!(pack_of(&resolver, None), expected);
    assert_eq!(pack_of(&resolver, Some(StoreHash::default())), expected);
}

#[test]
fn a_peer_is_believed_no_more_than_a_stranger() {
    let (house, foreign) = (House::new(), House::new());
    let (_folder, resolver) = directory(DirectoryOptions::default());
    let good = house.record();
    let other = account_key(&seed(Role::Account));
    let body = format!(
        "{}|{}\n\nno pipe\n../../x|{}\n{other}|{}\n{other}|any text\n{}|{}\n",
        good.key,
        good.token(),
        good.token(),
        good.token(),
        account_key(&foreign.account),
        foreign.account_token(),
    );
    let report = merge_pack(&resolver, &house.trust(), body.as_bytes(), NOW);
    assert_eq!(report.stored.len(), 1);
    assert_eq!(resolver.list(NOW), [good.key]);
    let refused: Vec<bool> = report
        .refused
        .iter()
        .zip([
            |error: &PackError| matches!(error, PackError::Malformed),
            |error: &PackError| matches!(error, PackError::Key(_)),
            |error: &PackError| matches!(error, PackError::Account(AccountError::SubjectMismatch)),
            |error: &PackError| matches!(error, PackError::Account(AccountError::Malformed(_))),
            |error: &PackError| matches!(error, PackError::Account(AccountError::Untrusted { .. })),
        ])
        .map(|(error, expected)| expected(error))
        .collect();
    assert_eq!(refused, [true; 5], "{:?}", report.refused);
    let again = merge_pack(&resolver, &house.trust(), body.as_bytes(), NOW);
    assert_eq!((again.stored.len(), again.kept), (0, 1));
    let noise = merge_pack(&resolver, &house.trust(), b"\xff\xff|\xff\n|||", NOW);
    assert_eq!(noise.refused.len(), 2);
}

#[test]
fn writers_at_the_same_time_leave_the_newest_whole() {
    let house = House::new();
    let (folder, resolver) = directory(DirectoryOptions::default());
    let records: Vec<_> = (0..8).map(|age| record_at(&house, NOW - age)).collect();
    std::thread::scope(|scope| {
        for record in &records {
            scope.spawn(|| resolver.store(record, StorePolicy::Merge, NOW).unwrap());
        }
    });
    let key = records[0].key;
    assert_eq!(resolver.lookup(&key).unwrap().as_deref(), Some(records[0].token()));
    let again = reopen(&folder, DirectoryOptions::default());
    assert_eq!(again.lookup(&key).unwrap().as_deref(), Some(records[0].token()));
    assert_eq!(again.hash(NOW), resolver.hash(NOW));
}

#[test]
fn a_store_that_fails_leaves_what_was_there() {
    let house = House::new();
    let (folder, resolver) = directory(DirectoryOptions::default());
    let (old, new) = (record_at(&house, NOW - 5), record_at(&house, NOW));
    resolver.store(&old, StorePolicy::Push, NOW).unwrap();
    // A directory in the place of the temporary file makes the write fail, also for root.
    let obstacle = folder.path().join(format!("{}.jwt.tmp", old.key));
    fs::create_dir(&obstacle).unwrap();
    let error = resolver.store(&new, StorePolicy::Push, NOW).unwrap_err();
    assert!(matches!(error, ResolverError::Io { action: "written", .. }), "{error}");
    assert_eq!(resolver.lookup(&old.key).unwrap().as_deref(), Some(old.token()));
    fs::remove_dir(&obstacle).unwrap();
    assert_eq!(resolver.store(&new, StorePolicy::Push, NOW).unwrap(), StoreOutcome::Stored);
}

#[test]
fn what_is_stored_together_fails_one_by_one() {
    let house = House::new();
    let (folder, resolver) = directory(DirectoryOptions::default());
    let keys: Vec<_> = (0..40).map(|_| seed(Role::Account)).collect();
    let records = |at| keys.iter().map(|key| record_of(&house, key, at)).collect::<Vec<_>>();
    let (old, new) = (records(NOW - 10), records(NOW));
    resolver.store(&new[7], StorePolicy::Push, NOW).unwrap();
    resolver.store(&old[8], StorePolicy::Push, NOW).unwrap();
    let obstacle = folder.path().join(format!("{}.jwt.tmp", old[20].key));
    fs::create_dir(&obstacle).unwrap();
    let outcomes = resolver.store_all(&old, StorePolicy::Push, NOW);
    for (number, outcome) in outcomes.iter().enumerate() {
        match number {
            7 => assert!(matches!(outcome, Err(ResolverError::Stale { .. })), "{outcome:?}"),
            8 => assert!(matches!(outcome, Ok(StoreOutcome::Unchanged)), "{outcome:?}"),
            20 => assert!(matches!(outcome, Err(ResolverError::Io { action: "written", .. })), "{outcome:?}"),
            _ => assert!(matches!(outcome, Ok(StoreOutcome::Stored)), "{number}: {outcome:?}"),
        }
    }
    fs::remove_dir(&obstacle).unwrap();
    let again = reopen(&folder, DirectoryOptions::default());
    assert_eq!((again.len(), again.ignored().len()), (39, 0));
    assert_eq!(again.hash(NOW), resolver.hash(NOW));
    for (number, record) in old.iter().enumerate().filter(|(number, _)| *number != 20) {
        let kept = if number == 7 { &new[7] } else { record };
        assert_eq!(again.lookup(&kept.key).unwrap().as_deref(), Some(kept.token()), "{number}");
    }
}

#[test]
fn what_is_stored_together_is_never_more_than_the_limit() {
    let house = House::new();
    let records: Vec<_> = (0..5).map(|_| record_of(&house, &seed(Role::Account), NOW)).collect();
    for (limit, cache, stored, kept) in [(5, false, 5, 5), (3, false, 3, 3), (3, true, 5, 3)] {
        let (folder, resolver) =
            directory(DirectoryOptions { limit: Some(limit), cache, ..DirectoryOptions::default() });
        let outcomes = resolver.store_all(&records, StorePolicy::Push, NOW);
        let (first, rest) = outcomes.split_at(stored);
        assert!(first.iter().all(|outcome| matches!(outcome, Ok(StoreOutcome::Stored))), "{limit}: {outcomes:?}");
        assert!(rest.iter().all(|outcome| matches!(outcome, Err(ResolverError::Full))), "{limit}: {outcomes:?}");
        assert_eq!((resolver.len(), reopen(&folder, DirectoryOptions::default()).len()), (kept, kept), "{limit}");
    }
}

#[test]
fn a_directory_that_is_a_file_cannot_be_opened() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let error = DirectoryResolver::open(&file, DirectoryOptions::default(), NOW).unwrap_err();
    assert!(error.to_string().contains("cannot be used"), "{error}");
}

fn exchange(from: &dyn Resolver, to: &dyn Resolver, trust: &Trust) {
    merge_pack(to, trust, pack_of(from, Some(to.hash(NOW))).as_bytes(), NOW);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Whatever two stores hold, one exchange each way makes them equal, and the newest of each account stays.
    #[test]
    fn two_stores_converge(
        left in proptest::collection::vec((0usize..3, 0i64..4, any::<bool>()), 0..6),
        right in proptest::collection::vec((0usize..3, 0i64..4, any::<bool>()), 0..6),
    ) {
        let house = House::new();
        let accounts = [seed(Role::Account), seed(Role::Account), seed(Role::Account)];
        let trust = house.trust();
        let newest = |account: usize| left.iter().chain(&right).filter(|entry| entry.0 == account).map(|entry| entry.1).max();
        let stores = [MemoryResolver::default(), MemoryResolver::default()];
        for (store, entries) in stores.iter().zip([&left, &right]) {
            for (account, at, renamed) in entries {
                let mut claims = house.account_claims.clone();
                claims.subject = accounts[*account].public();
                claims.name = if *renamed { "renamed" } else { "name" }.to_owned();
                let token = claims.encode(&house.operator, NOW - 10 + at).unwrap();
                store.store(&trust.admit_account(&token, None, NOW).unwrap(), StorePolicy::Merge, NOW).unwrap();
            }
        }
        exchange(&stores[0], &stores[1], &trust);
        exchange(&stores[1], &stores[0], &trust);
        prop_assert_eq!(stores[0].hash(NOW), stores[1].hash(NOW));
        for (number, account) in accounts.iter().enumerate() {
            let key: AccountKey = account_key(account);
            let stored = stores[0].lookup(&key).unwrap().map(|token| trust.admit_account(&token, None, NOW).unwrap());
            prop_assert_eq!(stored.map(|record| record.claims.issued_at), newest(number).map(|at| NOW - 10 + at));
        }
    }
}
