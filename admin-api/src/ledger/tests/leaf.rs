//! Leaves: one way to write them, and nothing else is read.

use cordon_accounts::key::Role;
use data_encoding::HEXLOWER;
use proptest::prelude::*;
use serde_json::json;

use crate::ledger::tree::leaf_hash;
use crate::ledger::{Actor, ActorKind, BrokerEvent, Digest, Entry, KeyedHash, Leaf, LedgerError, Outcome, Reference};
use crate::store::tests::{account_key, key};

fn full_entry() -> Entry {
    let reference = |number: u64| match number % 7 {
        0 => Reference::Issued("J".to_owned()),
        1 => Reference::Claims("J2".to_owned()),
        2 => Reference::Connection { broker: "b/1".to_owned(), cid: number },
        3 => Reference::Event { broker: "b".to_owned(), seq: u64::MAX },
        4 => Reference::Entry(number),
        5 => Reference::Certificate("0a".to_owned()),
        _ => Reference::Request("r".to_owned()),
    };
    let mut entry =
        Entry::refused("user.create", "not_allowed", Actor::new(ActorKind::Token, "t1").in_role("auditor"), -7)
            .on_account(account_key(1))
            .on_object(key(Role::User, 3).to_string())
            .changing(Some(b"before"), Some(b"after"))
            .with_secret("token", KeyedHash::compute(&[1; 32], b"secret"));
    entry.references = (0..7).map(reference).collect();
    entry.broker_event = Some(BrokerEvent { broker: "b".to_owned(), seq: 9 });
    entry
}

fn leaf(entry: Entry) -> Leaf {
    Leaf::new(entry, 3, Digest([2; 32]), Some(Digest([3; 32])), Some(Digest([4; 32]))).unwrap()
}

#[test]
fn canonical_bytes_are_those_of_the_document() {
    // docs/ledger-format.md has this example; if the bytes change, the format's version must.
    let leaf = Leaf::new(Entry::done("test", Actor::system(), 1000), 0, Digest::ZERO, None, None).unwrap();
    let expected = [
        "01",                                                               // version
        "0000000000000000",                                                 // index
        "0000000000000000000000000000000000000000000000000000000000000000", // leaf before
        "00000000000003e8",                                                 // time
        "05",
        "00000006",
        "636f72646f6e",
        "00", // actor: kind, id, role
        "00000004",
        "74657374", // kind
        "00",
        "00",
        "00",
        "00",       // account, object, digests
        "00",       // outcome
        "00",       // reason
        "00000000", // references
        "00",       // broker event
        "00000000", // secrets
        "00",
        "00", // blobs
    ];
    assert_eq!(HEXLOWER.encode(&leaf.to_bytes()), expected.concat());
    assert_eq!(
        leaf_hash(&leaf.to_bytes()).to_string(),
        "f690e75248f20e0e15e82d90d39a95ab4c61caf04d3d72296ae976f69cb6a79a"
    );
}

#[test]
fn leaf_is_read_as_it_was_written() {
    let leaf = leaf(full_entry());
    assert_eq!(Leaf::from_bytes(&leaf.to_bytes()), Ok(leaf));
}

#[test]
fn cut_or_longer_bytes_are_refused() {
    let bytes = leaf(full_entry()).to_bytes();
    for length in 0..bytes.len() {
        assert!(Leaf::from_bytes(&bytes[..length]).is_err(), "{length} bytes");
    }
    let mut longer = bytes;
    longer.push(0);
    assert_eq!(
        Leaf::from_bytes(&longer).unwrap_err().to_string(),
        format!("what follows the entry at byte {} is not canonical", longer.len() - 1)
    );
}

proptest! {
    #[test]
    fn whatever_is_read_is_written_the_same(at in 0_usize..400, byte: u8) {
        let mut bytes = leaf(full_entry()).to_bytes();
        let at = at % bytes.len();
        bytes[at] = byte;
        if let Ok(leaf) = Leaf::from_bytes(&bytes) {
            prop_assert_eq!(leaf.to_bytes(), bytes);
        }
    }

    #[test]
    fn noise_is_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(leaf) = Leaf::from_bytes(&bytes) {
            prop_assert_eq!(leaf.to_bytes(), bytes);
        }
    }

    #[test]
    fn texts_of_callers_are_cut_and_readable(object in ".*", reason in "\\PC{0,400}", id in any::<String>()) {
        let entry = Entry::refused("k", reason, Actor::new(ActorKind::Anonymous, id), 0).on_object(object);
        let leaf = leaf(entry);
        prop_assert!(leaf.object.as_ref().is_some_and(|object| object.len() <= 512 && !object.chars().any(char::is_control)));
        prop_assert!(leaf.actor.id.len() <= 256);
        prop_assert_eq!(Leaf::from_bytes(&leaf.to_bytes()), Ok(leaf));
    }
}

#[test]
fn control_characters_forge_no_lines() {
    let leaf = leaf(Entry::done("k", Actor::system(), 0).on_object("a\n\u{0}b\u{7f}"));
    assert_eq!(leaf.object.as_deref(), Some("a\u{fffd}\u{fffd}b\u{fffd}"));
}

#[test]
fn our_own_mistakes_are_refused() {
    let new = |entry| Leaf::new(entry, 0, Digest::ZERO, None, None);
    for kind in ["", "Account", "a b", "a\n", "ä", &"x".repeat(65)] {
        let refused = new(Entry::done(kind, Actor::system(), 0));
        assert!(matches!(refused, Err(LedgerError::Kind { .. })), "{kind}");
    }
    let mut many = Entry::done("k", Actor::system(), 0);
    many.references = vec![Reference::Entry(1); 65];
    assert!(matches!(new(many), Err(LedgerError::TooMany { what: "references", .. })));
    let mut many = full_entry();
    many.secrets = vec![many.secrets[0].clone(); 17];
    assert!(matches!(new(many), Err(LedgerError::TooMany { what: "secrets", .. })));
}

#[test]
fn references_have_one_text_each() {
    for (kind, value) in [
        ("connection", "b"),
        ("connection", "b/07"),
        ("event", "b/"),
        ("event", "b/+1"),
        ("entry", "01"),
        ("entry", ""),
        ("other", "x"),
    ] {
        assert_eq!(Reference::parse(kind, value), None, "{kind} {value}");
    }
    let reference = Reference::Connection { broker: "a/b".to_owned(), cid: 7 };
    assert_eq!(Reference::parse(reference.kind(), &reference.value()), Some(reference.clone()));
    assert_eq!(serde_json::to_value(&reference).unwrap(), json!({ "kind": "connection", "value": "a/b/7" }));
    assert_eq!(serde_json::to_value(Outcome::Refused).unwrap(), json!("refused"));
}
