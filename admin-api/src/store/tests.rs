//! The store's rules, each shown on both databases.
//!
//! SQLite always, in a folder of its own; PostgreSQL when `CORDON_TEST_POSTGRES` names an empty
//! server (`tests/postgres.sh` starts one), in a database of its own for each test.

use std::sync::atomic::{AtomicU32, Ordering};

use cordon_accounts::key::{AccountKey, OperatorKey, PublicKey, Role, Seed, UserKey};
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::*;
use crate::ledger::{Actor, Entry};
use crate::vault::Sealed;

static DATABASES: AtomicU32 = AtomicU32::new(0);

/// Runs a test on each database.
pub(crate) async fn on_each_database(test: impl AsyncFn(Store)) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path().join("cordon.db").to_str().unwrap()).await.unwrap();
    test(store.clone()).await;
    store.close().await;

    let Ok(server) = std::env::var("CORDON_TEST_POSTGRES") else { return };
    let name = format!("cordon_test_{}_{}", std::process::id(), DATABASES.fetch_add(1, Ordering::Relaxed));
    let mut connection = PgConnection::connect(&server).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(format!("create database {name}"))).execute(&mut connection).await.unwrap();
    let (base, _) = server.rsplit_once('/').unwrap();
    let store = Store::open(&format!("{base}/{name}")).await.unwrap();
    test(store.clone()).await;
    store.close().await;
    sqlx::raw_sql(AssertSqlSafe(format!("drop database {name}"))).execute(&mut connection).await.unwrap();
}

pub(crate) fn key(role: Role, number: u8) -> PublicKey {
    Seed::from_raw(role, [number; 32]).public()
}

fn operator_key(number: u8) -> OperatorKey {
    key(Role::Operator, number).try_into().unwrap()
}

pub(crate) fn account_key(number: u8) -> AccountKey {
    key(Role::Account, number).try_into().unwrap()
}

fn user_key(number: u8) -> UserKey {
    key(Role::User, number).try_into().unwrap()
}

pub(crate) fn entry(kind: &str) -> Entry {
    Entry::done(kind, Actor::system(), 1000)
}

fn operator(number: u8, name: &str) -> OperatorRow {
    OperatorRow {
        key: operator_key(number),
        name: name.to_owned(),
        claims: json!({ "type": "operator", "z": 1, "a": [2] }),
        claims_jwt: "e30".to_owned(),
        system_account: Some(account_key(9)),
        state: OperatorState::Active,
        seed_sealed: Some(Sealed::from_bytes(vec![1, 0, 255])),
        created_at: 5,
        updated_at: 6,
        version: 0,
    }
}

fn account(number: u8, name: &str) -> AccountRow {
    AccountRow {
        key: account_key(number),
        operator: operator_key(1),
        name: name.to_owned(),
        state: AccountState::Active,
        claims: json!({ "limits": { "subs": -1 } }),
        claims_jwt: "e30".to_owned(),
        jti: "J1".to_owned(),
        pushed_jti: None,
        seed_sealed: None,
        created_at: 5,
        updated_at: 6,
        version: 0,
    }
}

fn user(account: u8, number: u8, name: &str) -> UserRow {
    UserRow {
        account: account_key(account),
        key: user_key(number),
        name: name.to_owned(),
        state: UserState::Active,
        claims_jwt: "e30".to_owned(),
        jti: "J2".to_owned(),
        signing_key: key(Role::Account, 7),
        seed_sealed: None,
        issued_at: 5,
        expires: Some(i64::MAX),
        created_at: 5,
        updated_at: 6,
        version: 0,
    }
}

/// A store with operator 1 and accounts 1 and 2.
async fn populate(store: &Store) {
    let mut unit = store.begin("populate").await.unwrap();
    unit.operators().insert(&mut operator(1, "home")).await.unwrap();
    unit.accounts().insert(&mut account(1, "one")).await.unwrap();
    unit.accounts().insert(&mut account(2, "two")).await.unwrap();
    unit.save(vec![entry("test.populate")]).await.unwrap();
}

#[tokio::test]
async fn what_was_written_is_read_back() {
    on_each_database(async |store| {
        populate(&store).await;
        let mut unit = store.begin("write").await.unwrap();
        let mut users = user(1, 1, "Zoë \u{1f980}");
        unit.users().insert(&mut users).await.unwrap();
        let mut signing = SigningKeyRow {
            key: key(Role::Account, 7),
            owner: key(Role::Account, 1),
            state: SigningKeyState::Active,
            role: Some("reader".to_owned()),
            description: String::new(),
            template: Some(json!({ "sub": { "allow": ["a.>"] } })),
            seed_sealed: Some(Sealed::from_bytes(Vec::new())),
            created_at: -1,
            updated_at: 0,
            version: 0,
        };
        unit.signing_keys().insert(&mut signing).await.unwrap();
        let mut certificate = CertificateRow {
            id: "0a".to_owned(),
            kind: CertificateKind::Client,
            account: Some(account_key(1)),
            user: Some(user_key(1)),
            subject: "CN=zoe".to_owned(),
            names: vec!["zoe@example.org".to_owned()],
            pem: "-----".to_owned(),
            fingerprint: "ff".to_owned(),
            not_before: 1,
            not_after: 2,
            revoked_at: None,
            created_at: 3,
            version: 0,
        };
        unit.certificates().insert(&mut certificate).await.unwrap();
        let mut token = token("t1", 1);
        unit.tokens().insert(&mut token).await.unwrap();
        unit.save(vec![entry("test.write")]).await.unwrap();

        let mut reader = store.read().await.unwrap();
        let operator = reader.operators().lookup(&operator_key(1)).await.unwrap().unwrap();
        assert_eq!(operator, OperatorRow { version: 1, ..self::operator(1, "home") });
        assert_eq!(operator.claims.to_string(), r#"{"type":"operator","z":1,"a":[2]}"#, "the order of fields is kept");
        assert_eq!(reader.users().lookup(&users.account, &users.key).await.unwrap(), Some(users.clone()));
        assert_eq!(reader.users().lookup_by_name(&users.account, &users.name).await.unwrap(), Some(users));
        assert_eq!(reader.signing_keys().lookup(&signing.key).await.unwrap(), Some(signing.clone()));
        let of_owner = reader.signing_keys().list_of_owner(&signing.owner, &Page::first()).await.unwrap();
        assert_eq!(of_owner, [signing]);
        assert_eq!(reader.certificates().lookup_by_fingerprint("ff").await.unwrap(), Some(certificate));
        assert_eq!(reader.tokens().lookup_by_hash(&token.hash).await.unwrap(), Some(token));
        assert_eq!(reader.tokens().lookup_by_hash(b"other").await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn unit_that_is_not_saved_leaves_nothing() {
    on_each_database(async |store| {
        let mut unit = store.begin("forgotten").await.unwrap();
        unit.operators().insert(&mut operator(1, "home")).await.unwrap();
        drop(unit);
        let mut reader = store.read().await.unwrap();
        assert_eq!(reader.operators().lookup(&operator_key(1)).await.unwrap(), None);
        assert_eq!(reader.ledger().head().await.unwrap().size, 0);
    })
    .await;
}

#[tokio::test]
async fn state_and_entry_hold_together() {
    on_each_database(async |store| {
        let mut unit = store.begin("bad entry").await.unwrap();
        unit.operators().insert(&mut operator(1, "home")).await.unwrap();
        let refused = unit.save(vec![entry("good.kind"), entry("Bad Kind")]).await;
        assert!(matches!(refused, Err(StoreError::Ledger(_))), "{refused:?}");
        let mut reader = store.read().await.unwrap();
        assert_eq!(reader.operators().lookup(&operator_key(1)).await.unwrap(), None);
        assert_eq!(reader.ledger().head().await.unwrap().size, 0);
    })
    .await;
}

#[tokio::test]
async fn second_change_of_the_same_version_is_refused() {
    on_each_database(async |store| {
        populate(&store).await;
        let mut mine = store.read().await.unwrap().accounts().lookup(&account_key(1)).await.unwrap().unwrap();
        let mut theirs = mine.clone();

        let mut unit = store.begin("mine").await.unwrap();
        mine.name = "mine".to_owned();
        unit.accounts().update(&mut mine).await.unwrap();
        unit.save(vec![]).await.unwrap();
        assert_eq!(mine.version, 2);

        let mut unit = store.begin("theirs").await.unwrap();
        theirs.name = "theirs".to_owned();
        let refused = unit.accounts().update(&mut theirs).await;
        assert!(matches!(refused, Err(StoreError::VersionConflict { .. })), "{refused:?}");
        assert_eq!(theirs.version, 1, "a row that was not written keeps its version");
        drop(unit);

        let stored = store.read().await.unwrap().accounts().lookup(&account_key(1)).await.unwrap().unwrap();
        assert_eq!(stored, mine);
    })
    .await;
}

#[tokio::test]
async fn live_names_are_unique_and_deleted_ones_free() {
    on_each_database(async |store| {
        populate(&store).await;
        let mut unit = store.begin("same name").await.unwrap();
        let refused = unit.accounts().insert(&mut account(3, "one")).await;
        assert!(matches!(refused, Err(StoreError::AlreadyExists { .. })), "{refused:?}");
        let refused = unit.accounts().insert(&mut account(1, "other")).await;
        assert!(matches!(refused, Err(StoreError::AlreadyExists { .. })), "{refused:?}");

        let mut first = unit.accounts().lookup(&account_key(1)).await.unwrap().unwrap();
        first.state = AccountState::Deleted;
        unit.accounts().update(&mut first).await.unwrap();
        unit.accounts().insert(&mut account(3, "one")).await.unwrap();
        let live = unit.accounts().lookup_by_name(&operator_key(1), "one").await.unwrap().unwrap();
        assert_eq!(live.key, account_key(3));
        assert_eq!(unit.accounts().count_of_operator(&operator_key(1)).await.unwrap(), 2);
        unit.save(vec![]).await.unwrap();

        // A change of name that collides is refused too; its unit can only be dropped.
        let mut unit = store.begin("rename").await.unwrap();
        let mut second = unit.accounts().lookup(&account_key(2)).await.unwrap().unwrap();
        second.name = "one".to_owned();
        let refused = unit.accounts().update(&mut second).await;
        assert!(matches!(refused, Err(StoreError::AlreadyExists { .. })), "{refused:?}");
        let spoiled = unit.save(vec![]).await;
        assert!(matches!(spoiled, Err(StoreError::Spoiled { .. })), "{spoiled:?}");
    })
    .await;
}

#[tokio::test]
async fn unknown_owner_is_refused_and_spoils_the_unit() {
    on_each_database(async |store| {
        let mut unit = store.begin("orphan").await.unwrap();
        let refused = unit.accounts().insert(&mut account(1, "orphan")).await;
        // SQLite checks at the statement, as PostgreSQL does.
        assert!(matches!(refused, Err(StoreError::Database { .. })), "{refused:?}");
        let spoiled = unit.save(vec![entry("test.orphan")]).await;
        assert!(spoiled.is_err());
        assert_eq!(store.read().await.unwrap().ledger().head().await.unwrap().size, 0);
    })
    .await;
}

#[tokio::test]
async fn pages_follow_each_other_without_gaps() {
    on_each_database(async |store| {
        let mut unit = store.begin("many").await.unwrap();
        unit.operators().insert(&mut operator(1, "home")).await.unwrap();
        for number in 0..11 {
            unit.accounts().insert(&mut account(number, &format!("a{number}"))).await.unwrap();
        }
        unit.save(vec![]).await.unwrap();

        let mut expected: Vec<String> = (0..11).map(|number| account_key(number).to_string()).collect();
        expected.sort_unstable();
        let mut reader = store.read().await.unwrap();
        let mut seen = Vec::new();
        let mut after = None;
        loop {
            let page = reader.accounts().list_of_operator(&operator_key(1), &Page::new(after, 4)).await.unwrap();
            assert!(page.len() <= 4);
            let Some(last) = page.last() else { break };
            after = Some(last.key.to_string());
            seen.extend(page.iter().map(|row| row.key.to_string()));
        }
        assert_eq!(seen, expected);
        assert_eq!(reader.accounts().list(&Page::first()).await.unwrap().len(), 11);
    })
    .await;
    assert_eq!((Page::new(None, 0).limit(), Page::new(None, 9999).limit()), (1, PAGE_MAX));
}

#[tokio::test]
async fn reader_sees_one_moment_and_cannot_write() {
    on_each_database(async |store| {
        populate(&store).await;
        let mut reader = store.read().await.unwrap();
        assert_eq!(reader.accounts().list(&Page::first()).await.unwrap().len(), 2);
        let mut unit = store.begin("meanwhile").await.unwrap();
        unit.accounts().insert(&mut account(3, "three")).await.unwrap();
        unit.save(vec![entry("test.meanwhile")]).await.unwrap();
        assert_eq!(reader.accounts().list(&Page::first()).await.unwrap().len(), 2);
        assert_eq!(reader.ledger().head().await.unwrap().size, 1);

        let refused = reader.accounts().insert(&mut account(4, "four")).await;
        assert!(matches!(refused, Err(StoreError::Database { .. })), "{refused:?}");
    })
    .await;
}

#[tokio::test]
async fn damaged_row_says_where() {
    on_each_database(async |store| {
        populate(&store).await;
        let mut unit = store.begin("damage").await.unwrap();
        unit.damage("update accounts set claims = '{' where name = 'one'").await;
        unit.damage("update accounts set state = 'asleep' where name = 'two'").await;
        let text = unit.accounts().lookup(&account_key(1)).await.unwrap_err().to_string();
        assert!(text.starts_with(&format!("accounts.claims of `{}` is damaged: ", account_key(1))), "{text}");
        let text = unit.accounts().lookup(&account_key(2)).await.unwrap_err().to_string();
        assert!(text.ends_with("`asleep` is not a word for it"), "{text}");
    })
    .await;
}

fn token(id: &str, number: u8) -> TokenRow {
    TokenRow {
        id: id.to_owned(),
        name: "ci".to_owned(),
        role: "account-admin".to_owned(),
        accounts: vec![account_key(1), account_key(2)],
        hash: vec![number; 32],
        created_by: "t0".to_owned(),
        expires: Some(100),
        revoked_at: None,
        last_used_at: None,
        created_at: 5,
        version: 0,
    }
}

#[tokio::test]
async fn sessions_of_the_console_end_with_their_time_and_their_number() {
    on_each_database(async |store| {
        let mut unit = store.begin("console").await.unwrap();
        let mut owner = token("t1", 1);
        unit.tokens().insert(&mut owner).await.unwrap();
        let row = |number: u8| ConsoleSessionRow {
            id: format!("s{number}"),
            hash: [number; 32],
            token: "t1".to_owned(),
            created_at: 10,
            last_used_at: 10 + i64::from(number),
            expires: 100 + i64::from(number),
        };
        for number in 0..4 {
            unit.console_sessions().insert(&row(number)).await.unwrap();
        }
        assert!(unit.console_sessions().insert(&row(3)).await.is_err(), "a hash is taken once");
        assert_eq!(unit.console_sessions().lookup_by_hash(&[2; 32]).await.unwrap(), Some(row(2)));
        unit.console_sessions().touch("s0", 90).await.unwrap();
        unit.console_sessions().touch("s0", 80).await.unwrap();
        assert_eq!(unit.console_sessions().lookup_by_hash(&[0; 32]).await.unwrap().unwrap().last_used_at, 90);
        assert_eq!(unit.console_sessions().keep_newest("t1", 2).await.unwrap(), 2);
        assert_eq!(unit.console_sessions().lookup_by_hash(&[1; 32]).await.unwrap(), None);
        assert_eq!(unit.console_sessions().prune(100).await.unwrap(), 1);
        assert_eq!(unit.console_sessions().lookup_by_hash(&[0; 32]).await.unwrap(), None);
        assert!(unit.console_sessions().delete("s3").await.unwrap());
        assert!(!unit.console_sessions().delete("s3").await.unwrap());
        unit.save(Vec::new()).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn tokens_are_counted_while_they_can_be_used() {
    on_each_database(async |store| {
        let mut unit = store.begin("tokens").await.unwrap();
        let mut first = token("t1", 1);
        unit.tokens().insert(&mut first).await.unwrap();
        unit.tokens().insert(&mut token("t2", 2)).await.unwrap();
        let refused = unit.tokens().insert(&mut token("t3", 2)).await;
        assert!(matches!(refused, Err(StoreError::AlreadyExists { .. })), "the same hash twice: {refused:?}");
        assert_eq!(unit.tokens().count_usable("account-admin", 99).await.unwrap(), 2);
        assert_eq!(unit.tokens().count_usable("account-admin", 100).await.unwrap(), 0);
        assert_eq!(unit.tokens().count_usable("owner", 99).await.unwrap(), 0);

        unit.tokens().touch("t1", 50).await.unwrap();
        unit.tokens().touch("t1", 40).await.unwrap();
        let used = unit.tokens().lookup("t1").await.unwrap().unwrap();
        assert_eq!((used.last_used_at, used.version), (Some(50), 1));
        first.revoked_at = Some(60);
        unit.tokens().update(&mut first).await.unwrap();
        assert_eq!(unit.tokens().count_usable("account-admin", 99).await.unwrap(), 1);
        assert_eq!(unit.tokens().lookup("t1").await.unwrap().unwrap().last_used_at, Some(50));
    })
    .await;
}

#[tokio::test]
async fn repeated_request_finds_its_answer_for_a_while() {
    on_each_database(async |store| {
        let row = IdempotencyRow {
            caller: "t1".to_owned(),
            key: "K".to_owned(),
            request_digest: [7; 32],
            status: 201,
            content_type: "application/json".to_owned(),
            etag: Some("\"1\"".to_owned()),
            location: None,
            body: vec![0, 1, 2],
            created_at: 100,
        };
        let mut unit = store.begin("answer").await.unwrap();
        unit.idempotency().insert(&row).await.unwrap();
        let twice = unit.idempotency().insert(&row).await;
        assert!(matches!(twice, Err(StoreError::AlreadyExists { .. })), "{twice:?}");
        assert_eq!(unit.idempotency().lookup("t1", "K", 100).await.unwrap(), Some(row));
        for (caller, key, not_before) in [("t2", "K", 100), ("t1", "k", 100), ("t1", "K", 101)] {
            assert_eq!(
                unit.idempotency().lookup(caller, key, not_before).await.unwrap(),
                None,
                "{caller} {key} {not_before}"
            );
        }
        assert_eq!(unit.idempotency().prune(100).await.unwrap(), 0);
        assert_eq!(unit.idempotency().prune(101).await.unwrap(), 1);
    })
    .await;
}

#[tokio::test]
async fn newer_push_supersedes_an_older_one() {
    on_each_database(async |store| {
        let mut unit = store.begin("pushes").await.unwrap();
        let (one, two) = (account_key(1), account_key(2));
        unit.pushes().enqueue(&one, "J1", PushKind::Update, "jwt1", 10).await.unwrap();
        unit.pushes().enqueue(&two, "J9", PushKind::Delete, "jwt9", 11).await.unwrap();
        let running = unit.pushes().due(10, 5).await.unwrap();
        assert_eq!(running.len(), 1, "what is due later is not told");
        unit.pushes().enqueue(&one, "J2", PushKind::Update, "jwt2", 12).await.unwrap();

        let due: Vec<String> = unit.pushes().due(20, 5).await.unwrap().into_iter().map(|push| push.jti).collect();
        assert_eq!(due, ["J9", "J2"]);
        // The answer to the older one comes late and changes nothing.
        unit.pushes().settle(&running[0], PushState::Confirmed, "{}", 0, 13).await.unwrap();
        assert_eq!(unit.pushes().lookup(&one, "J1").await.unwrap().unwrap().state, PushState::Superseded);

        let push = unit.pushes().lookup(&one, "J2").await.unwrap().unwrap();
        unit.pushes().settle(&push, PushState::Pending, "no responders", 30, 14).await.unwrap();
        assert_eq!(unit.pushes().due(29, 5).await.unwrap().len(), 1);
        assert_eq!(unit.pushes().next_due().await.unwrap(), Some(11));
        let push = unit.pushes().latest(&one).await.unwrap().unwrap();
        assert_eq!((push.jti.as_str(), push.attempts, push.answer.as_deref()), ("J2", 1, Some("no responders")));
        unit.pushes().settle(&push, PushState::Confirmed, "ok", 0, 15).await.unwrap();
        assert_eq!(unit.pushes().count(PushState::Pending).await.unwrap(), 1);
        assert_eq!(unit.pushes().prune(16).await.unwrap(), 2);
    })
    .await;
}

#[tokio::test]
async fn confirmed_push_leaves_the_version() {
    on_each_database(async |store| {
        populate(&store).await;
        let mut unit = store.begin("confirm").await.unwrap();
        unit.accounts().confirm_push(&account_key(1), "J1").await.unwrap();
        let refused = unit.accounts().confirm_push(&account_key(5), "J1").await;
        assert!(matches!(refused, Err(StoreError::NotFound { .. })), "{refused:?}");
        let row = unit.accounts().lookup(&account_key(1)).await.unwrap().unwrap();
        assert_eq!((row.pushed_jti.as_deref(), row.version), (Some("J1"), 1));
    })
    .await;
}

#[tokio::test]
async fn sqlite_file_is_private_durable_and_reopened() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cordon.db");
    std::fs::write(&path, b"").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let url = format!("sqlite://{}", path.display());
    let store = Store::open(&url).await.unwrap();
    populate(&store).await;
    let mut unit = store.begin("settings").await.unwrap();
    for (pragma, expected) in [("synchronous", "2"), ("foreign_keys", "1"), ("journal_mode", "wal")] {
        assert_eq!(unit.pragma(pragma).await, expected, "{pragma}");
    }
    drop(unit);
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", entry.path());
    }
    store.close().await;
    let store = Store::open(&url).await.unwrap();
    assert_eq!(store.read().await.unwrap().accounts().list(&Page::first()).await.unwrap().len(), 2);
}

#[tokio::test]
async fn place_that_cannot_be_opened_is_explained_without_the_password() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("no/such/folder/cordon.db");
    let cases = [
        (missing.to_str().unwrap(), "the folder must exist and be writable"),
        ("mysql://root:hunter2@localhost/x", "give the path of a SQLite file, or a `postgres://` URL"),
        ("postgres://cordon:hunter2@127.0.0.1:1/x?password=hunter2", "could not be opened"),
        ("", "give the path"),
    ];
    for (url, expected) in cases {
        let text = Store::open(url).await.unwrap_err().to_string();
        assert!(text.contains(expected), "{url}: {text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
    let not_a_database = folder.path().join("text.db");
    std::fs::write(&not_a_database, "this is no database at all, but some text that is long enough").unwrap();
    assert!(Store::open(not_a_database.to_str().unwrap()).await.is_err());
}

/// What a kill -9 at any point of a write leaves on disk: the file, and a write-ahead log of any length.
#[tokio::test]
async fn torn_write_leaves_whole_units_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cordon.db");
    let store = Store::open(path.to_str().unwrap()).await.unwrap();
    let wal = folder.path().join("cordon.db-wal");
    let mut synced = Vec::new();
    for number in 1..=4 {
        let mut unit = store.begin("unit").await.unwrap();
        unit.operators().insert(&mut operator(number, &format!("o{number}"))).await.unwrap();
        unit.save(vec![entry("operator.create"), entry("operator.push")]).await.unwrap();
        synced.push(wal.metadata().unwrap().len());
    }
    let (main, log) = (std::fs::read(&path).unwrap(), std::fs::read(&wal).unwrap());
    let first = usize::try_from(synced[0]).unwrap();
    for length in (first..=log.len()).step_by(997).chain([log.len()]) {
        let copy = tempfile::tempdir().unwrap();
        let path = copy.path().join("cordon.db");
        std::fs::write(&path, &main).unwrap();
        std::fs::write(copy.path().join("cordon.db-wal"), &log[..length]).unwrap();
        let store = Store::open(path.to_str().unwrap()).await.unwrap();
        let mut reader = store.read().await.unwrap();
        let units = reader.operators().list(&Page::first()).await.unwrap().len();
        let answered = synced.iter().filter(|size| **size <= length as u64).count();
        assert_eq!(units, answered, "{length} bytes: what was answered is there, what was not is not");
        let head = reader.ledger().head().await.unwrap();
        assert_eq!(head.size, 2 * units as u64, "{length} bytes");
        assert_eq!(reader.ledger().root_at(head.size).await.unwrap(), head.root, "{length} bytes");
    }
}

/// What account `number` offers to others, in the shape that claims are kept in.
fn offering(number: u8, to: &[(&str, u8)]) -> AccountRow {
    let given = |(id, importer): &(&str, u8)| json!({ "id": id, "importer": account_key(*importer), "name": "S" });
    let given: Vec<_> = to.iter().map(given).collect();
    AccountRow { claims: json!({ "nats": {}, "given": given }), ..account(number, &format!("n{number}")) }
}

/// Who offers something to account `number`.
async fn offering_to(store: &Store, number: u8) -> Vec<AccountKey> {
    let mut reader = store.read().await.unwrap();
    let mut found = Vec::new();
    loop {
        // Small pages: there is always a next one.
        let after = found.last().map(AccountKey::to_string);
        let rows = reader.accounts().list_offering_to(&account_key(number), &Page::new(after, 1)).await.unwrap();
        if rows.is_empty() {
            return found;
        }
        found.extend(rows.into_iter().map(|row| row.key));
    }
}

fn sorted(numbers: &[u8]) -> Vec<AccountKey> {
    let mut keys: Vec<_> = numbers.iter().map(|number| account_key(*number)).collect();
    keys.sort_by_key(AccountKey::to_string);
    keys
}

#[tokio::test]
async fn who_offers_to_an_account_is_found_whatever_becomes_of_the_offers() {
    on_each_database(async |store| {
        populate(&store).await;
        let mut unit = store.begin("offer").await.unwrap();
        let mut first = offering(3, &[("a", 2), ("b", 2), ("c", 1)]);
        let mut second = offering(4, &[("d", 2)]);
        let mut third = offering(5, &[]);
        for row in [&mut first, &mut second, &mut third] {
            unit.accounts().insert(row).await.unwrap();
        }
        unit.save(vec![entry("test.offer")]).await.unwrap();
        assert_eq!(offering_to(&store, 2).await, sorted(&[3, 4]), "each once");
        assert_eq!(offering_to(&store, 1).await, sorted(&[3]));
        assert!(offering_to(&store, 3).await.is_empty());

        let mut unit = store.begin("change").await.unwrap();
        first.claims = offering(3, &[("c", 1)]).claims;
        third.claims = offering(5, &[("e", 2)]).claims;
        second.state = AccountState::Deleted;
        for row in [&mut first, &mut second, &mut third] {
            unit.accounts().update(row).await.unwrap();
        }
        drop(unit);
        assert_eq!(offering_to(&store, 2).await, sorted(&[3, 4]), "nothing was saved");

        let mut unit = store.begin("change").await.unwrap();
        for row in [&mut first, &mut second, &mut third] {
            row.version = 1;
            unit.accounts().update(row).await.unwrap();
        }
        unit.save(vec![entry("test.change")]).await.unwrap();
        assert_eq!(offering_to(&store, 2).await, sorted(&[5]));
        assert_eq!(offering_to(&store, 1).await, sorted(&[3]));
    })
    .await;
}

#[tokio::test]
async fn offers_that_were_made_before_there_was_an_index_are_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cordon.db");
    let store = Store::open(path.to_str().unwrap()).await.unwrap();
    populate(&store).await;
    let mut unit = store.begin("offer").await.unwrap();
    unit.accounts().insert(&mut offering(3, &[("a", 2), ("b", 1)])).await.unwrap();
    unit.save(vec![entry("test.offer")]).await.unwrap();
    store.close().await;
    let mut connection = sqlx::SqliteConnection::connect(path.to_str().unwrap()).await.unwrap();
    let before = "drop trigger share_offers_inserted; drop trigger share_offers_changed; drop table share_offers; \
                  delete from _sqlx_migrations where version = 5";
    sqlx::raw_sql(before).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    let store = Store::open(path.to_str().unwrap()).await.unwrap();
    assert_eq!(offering_to(&store, 2).await, sorted(&[3]));
    assert_eq!(offering_to(&store, 1).await, sorted(&[3]));
    store.close().await;
}
