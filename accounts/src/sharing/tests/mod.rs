//! Access rules one by one and the subjects of imports; activations, cycles and models have files of their own.

mod activations;
mod cycles;
mod model;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::*;
use crate::claims::Revocations;
use crate::reason::Reason;
use crate::subject::Pattern;

const NOW: i64 = 1_700_000_000;

type Accounts = BTreeMap<AccountName, Arc<AccountSharing>>;

fn pattern(text: &str) -> Pattern {
    Pattern::parse(text).unwrap()
}

fn world(accounts: impl IntoIterator<Item = AccountSharing>) -> Accounts {
    accounts.into_iter().map(|account| (account.name.clone(), Arc::new(account))).collect()
}

fn resolved(accounts: &Accounts, name: &AccountName, now: i64) -> Resolution {
    let lookup = |wanted: &AccountName| {
        assert_ne!(wanted, name, "the importer is never looked up");
        accounts.get(wanted).cloned()
    };
    let resolution = resolve(&accounts[name], &lookup, now);
    assert_eq!(resolution.crossings.len() + resolution.refused.len(), accounts[name].imports.len());
    resolution
}

fn reasons(resolution: &Resolution) -> Vec<Reason> {
    resolution.refused.iter().map(|refusal| refusal.reason).collect()
}

/// A configured account: exports with their access, imports with exporter, remote and local subject.
fn account(
    name: &str,
    exports: &[(ExportKind, &str, Access)],
    imports: &[(ExportKind, &str, &str, &str)],
) -> AccountSharing {
    let mut sharing = AccountSharing::new(name.into());
    for (kind, subject, access) in exports {
        sharing.exports.push(Export { access: access.clone(), ..Export::new(*kind, pattern(subject)) });
    }
    for (kind, exporter, remote, local) in imports {
        let local = if local.is_empty() { Local::Same } else { Local::Subject((*local).to_owned()) };
        sharing.imports.push(Import::new(*kind, (*exporter).into(), *remote, &local));
    }
    sharing
}

const SERVICE: ExportKind = ExportKind::Service;
const STREAM: ExportKind = ExportKind::Stream;

fn approved(names: &[&str]) -> Access {
    Access::Approved(names.iter().map(|name| AccountName::from(*name)).collect())
}

#[test]
fn the_access_rules_decide_in_their_order() {
    let exports = [
        (SERVICE, "open.>", Access::Public),
        (SERVICE, "open.closed", approved(&["B"])),
        (SERVICE, "mine.*.>", Access::Position(2)),
        (STREAM, "list.*", approved(&["B"])),
        (SERVICE, "both.*", Access::ApprovedPosition(["B".into(), "C".into()].into(), 2)),
        (SERVICE, "token", Access::Token(Revocations::default())),
    ];
    for (importer, kind, subject, wanted) in [
        ("A", SERVICE, "open.x", None),
        ("A", SERVICE, "open.>", None),
        ("A", SERVICE, "open.x.*", None),
        ("A", SERVICE, "open", Some(Reason::ImportNoExport)),
        ("A", SERVICE, ">", Some(Reason::ImportNoExport)),
        ("A", STREAM, "open.x", Some(Reason::ImportNoExport)),
        // The most specific export decides, though a wider one is public.
        ("A", SERVICE, "open.closed", Some(Reason::ImportNotAuthorized)),
        ("B", SERVICE, "open.closed", None),
        ("A", SERVICE, "mine.A.x", None),
        ("A", SERVICE, "mine.A.>", None),
        ("A", SERVICE, "mine.B.x", Some(Reason::ImportNotAuthorized)),
        ("A", SERVICE, "mine.*.>", Some(Reason::ImportNotAuthorized)),
        ("A", SERVICE, "mine.*.x", Some(Reason::ImportNotAuthorized)),
        ("*", SERVICE, "mine.*.x", Some(Reason::ImportNotAuthorized)),
        ("A", SERVICE, "mine.>", Some(Reason::ImportNoExport)),
        ("B", STREAM, "list.x", None),
        ("B", STREAM, "list.*", None),
        ("A", STREAM, "list.x", Some(Reason::ImportNotAuthorized)),
        ("B", SERVICE, "both.B", None),
        ("B", SERVICE, "both.C", Some(Reason::ImportNotAuthorized)),
        ("B", SERVICE, "both.*", Some(Reason::ImportNotAuthorized)),
        ("A", SERVICE, "both.A", Some(Reason::ImportNotAuthorized)),
        ("A", SERVICE, "token", Some(Reason::ImportNotAuthorized)),
        ("A", SERVICE, "a..b", Some(Reason::ImportInvalid)),
    ] {
        let accounts = world([account("X", &exports, &[]), account(importer, &[], &[(kind, "X", subject, "")])]);
        let resolution = resolved(&accounts, &importer.into(), NOW);
        assert_eq!(reasons(&resolution), Vec::from_iter(wanted), "{importer} {subject}: {:?}", resolution.refused);
        assert!(!resolution.incomplete);
    }
}

#[test]
fn an_unknown_exporter_leaves_the_account_incomplete() {
    let accounts = world([account("A", &[], &[(STREAM, "X", "a", ""), (STREAM, "A", "b", "c")])]);
    let resolution = resolved(&accounts, &"A".into(), NOW);
    assert!(resolution.incomplete);
    assert_eq!(reasons(&resolution), [Reason::AccountUnknown, Reason::ImportNoExport]);
    assert_eq!(resolution.refused[0].index, 0);
}

#[test]
fn duplicates_are_refused_and_other_exporters_may_share_a_name() {
    let exports = [(SERVICE, ">", Access::Public), (STREAM, ">", Access::Public)];
    let importer = account(
        "A",
        &[],
        &[
            (STREAM, "X", "s", "one"),
            (STREAM, "X", "s", "two"),
            (STREAM, "Y", "s", "one"),
            (SERVICE, "X", "q", "ask"),
            (SERVICE, "X", "r", "ask"),
            (SERVICE, "Y", "q", "ask"),
        ],
    );
    let accounts = world([account("X", &exports, &[]), account("Y", &exports, &[]), importer]);
    let resolution = resolved(&accounts, &"A".into(), NOW);
    let refused: Vec<usize> = resolution.refused.iter().map(|refusal| refusal.index).collect();
    assert_eq!((refused, reasons(&resolution)), (vec![1, 4], vec![Reason::ImportInvalid; 2]));
}

#[test]
fn subjects_that_do_not_go_together_are_refused() {
    let exports = [(STREAM, ">", Access::Public)];
    for (remote, local) in [
        ("a.*", Local::Subject("b".into())),
        ("a.*", Local::Subject("b.$2".into())),
        ("a.*.*", Local::Subject("b.$1.$1".into())),
        ("a.>", Local::Subject("b".into())),
        ("a", Local::Subject("b.>".into())),
        ("a", Local::Prefix("b.*".into())),
        ("a", Local::Prefix(String::new())),
        ("a", Local::Prefix("b..".into())),
        ("a.*", Local::Prefix("$1".into())),
        ("a.$1.*", Local::Prefix("b".into())),
        ("a.>.b", Local::Same),
        ("a b", Local::Same),
    ] {
        let mut importer = AccountSharing::new("A".into());
        importer.imports.push(Import::new(STREAM, "X".into(), remote, &local));
        let resolution = resolved(&world([account("X", &exports, &[]), importer]), &"A".into(), NOW);
        assert_eq!(reasons(&resolution), [Reason::ImportInvalid], "{remote} {local:?}");
    }
}

#[test]
fn a_subscription_shadows_its_part_of_the_stream_and_no_more() {
    let exports = [(STREAM, ">", Access::Public)];
    let accounts = world([
        account("X", &exports, &[]),
        account("A", &[], &[(STREAM, "X", "s.*.*.>", "in.$2.$1.>"), (STREAM, "X", "plain.*", "")]),
    ]);
    let crossings = resolved(&accounts, &"A".into(), NOW).crossings;
    for (subscription, wanted) in [
        (">", Some("s.*.*.>")),
        ("in.>", Some("s.*.*.>")),
        ("in.*.*.>", Some("s.*.*.>")),
        ("in.b.>", Some("s.*.b.>")),
        ("in.b.a.x", Some("s.a.b.x")),
        ("*.b.*.x.*", Some("s.*.b.x.*")),
        ("*.*.a.>", Some("s.a.*.>")),
        ("in.b.a", None),
        ("s.>", None),
        ("other", None),
    ] {
        let shadow = crossings[0].shadow(subscription.as_bytes());
        assert_eq!(shadow.as_deref(), wanted.map(str::as_bytes), "{subscription}");
    }
    assert_eq!(crossings[1].shadow(b"plain.>"), Some(b"plain.*".to_vec()));
    assert_eq!(crossings[1].shadow(b"plain.x"), Some(b"plain.x".to_vec()));
    assert_eq!(crossings[1].shadow(b"plain.x.y"), None);
}
