//! Explanations name the rule that decides, and agree with what enforces.

use time::UtcOffset;

use super::*;
use crate::claims::revocation::Revoked;
use crate::claims::{AccountClaims, PermissionsClaim, Scope, SigningKey, SubjectsClaim, UserClaims, UserTemplate};
use crate::key::{AccountKey, Role, Seed, UserKey};
use crate::sharing::{Export, ExportKind, Import, Local};
use crate::subject::{Destination, Pattern};

const NOW: i64 = 1_700_000_000;

fn permissions(allow: &[&str], deny: &[&str]) -> Permissions {
    let list = |entries: &[&str]| entries.iter().map(|entry| (*entry).to_owned()).collect();
    let lists = SubjectsClaim { allow: list(allow), deny: list(deny) };
    let claim = PermissionsClaim { publish: lists.clone(), subscribe: lists, ..PermissionsClaim::default() };
    Permissions::compile(&claim).unwrap()
}

fn mappings(from: &str, to: &str, percent: u8) -> Mappings {
    let destination = Destination { subject: to.to_owned(), percent, cluster: None };
    Mappings::from_destinations([(from.to_owned(), vec![destination])], None).0
}

#[test]
fn publish_names_the_entry_that_decides() {
    let none = Mappings::default();
    let permissions = permissions(&["foo.*"], &["foo.x"]);
    for (subject, allowed, decided_by) in [
        ("foo.a", true, "entry `foo.*` of the publish allow list"),
        ("foo.x", false, "entry `foo.x` of the publish deny list"),
        ("bar", false, "none of the 1 entries of the publish allow list covers it"),
        ("_GR_.x", false, "`_GR_.x` belongs to the broker"),
    ] {
        let explanation = explain_publish(&permissions, &none, subject.as_bytes(), None, false);
        assert_eq!((explanation.allowed, explanation.decided_by.as_str()), (allowed, decided_by), "{subject}");
        assert_eq!(explanation.reason.is_none(), allowed);
    }
    let explanation = explain_publish(&permissions, &none, b"foo.a", Some(b"_R_.x"), false);
    assert_eq!((explanation.allowed, explanation.reason), (false, Some(Reason::ReplyReserved)));
}

#[test]
fn publish_is_explained_on_the_mapped_subject() {
    let permissions = permissions(&["bar.*"], &[]);
    let explanation = explain_publish(&permissions, &mappings("foo.*", "bar.$1", 100), b"foo.a", None, false);
    assert!(explanation.allowed, "{explanation:?}");
    assert!(explanation.steps.iter().any(|step| step.why == "mapping of `foo.*`: `foo.a` becomes `bar.a`"));
    // A part stays on the subject that may not be published to.
    let explanation = explain_publish(&permissions, &mappings("foo.*", "bar.$1", 50), b"foo.a", None, false);
    assert_eq!((explanation.allowed, explanation.reason), (false, Some(Reason::PublishNotAllowed)));
}

#[test]
fn every_destination_of_a_split_mapping_is_explained() {
    let destination = |subject: &str, percent| Destination { subject: subject.to_owned(), percent, cluster: None };
    let halves = vec![destination("one", 50), destination("two", 50)];
    let (mappings, _) = Mappings::from_destinations([("foo".to_owned(), halves)], None);
    for (allow, allowed) in [(vec!["one", "two"], true), (vec!["one"], false), (vec!["two"], false)] {
        let explanation = explain_publish(&permissions(&allow, &[]), &mappings, b"foo", None, false);
        assert_eq!(explanation.allowed, allowed, "{allow:?} {explanation:?}");
        let mapped = |step: &&Step| step.what == "mapping" && step.why.contains("becomes");
        assert_eq!(explanation.steps.iter().filter(mapped).count(), 2);
    }
}

#[test]
fn an_empty_token_is_pointed_out() {
    let noted = |subject: &[u8]| {
        let explanation = explain_publish(&Permissions::everything(), &Mappings::default(), subject, None, false);
        explanation.steps.iter().any(|step| step.why.contains("empty token"))
    };
    assert!(noted(b"a..b") && !noted(b"a.b"));
}

#[test]
fn subscribe_tells_what_is_withheld() {
    let permissions = permissions(&["foo.>"], &["*.secret"]);
    let explanation = explain_subscribe(&permissions, b"foo.*", None);
    assert!(explanation.allowed);
    assert!(explanation.steps.iter().any(|step| step.verdict == Verdict::Note && step.why.contains("`*.secret`")));
    let explanation = explain_subscribe(&permissions, b"foo.secret", Some(b"q"));
    assert_eq!(explanation.decided_by, "entry `*.secret` of the subscribe deny list");
    assert_eq!(explain_subscribe(&permissions, b"foo..a", None).reason, Some(Reason::InvalidSubject));
}

fn account_key(number: u8) -> AccountKey {
    Seed::from_raw(Role::Account, [number; 32]).public().try_into().unwrap()
}

fn user_of(signer: AccountKey, account: AccountKey) -> UserClaims {
    let key: UserKey = Seed::from_raw(Role::User, [7; 32]).public().try_into().unwrap();
    let mut user = UserClaims::new(key);
    user.issuer = signer.public();
    user.issued_at = NOW - 10;
    user.name = "bob".into();
    user.nats.issuer_account = Some(account);
    user
}

fn here<'a>() -> Circumstances<'a> {
    Circumstances { now: NOW, here: UtcOffset::UTC, peer: None, connection_type: None, strict: false }
}

type Change = fn(&mut UserClaims, &mut AccountClaims, &mut Circumstances<'_>);
/// A change to what would connect, and the reason it is refused for.
const CONNECT_CASES: &[(&str, Change, Option<Reason>)] = &[
    ("as it should be", |_, _, _| {}, None),
    ("expired", |user, _, _| user.expires = NOW - 1, Some(Reason::Expired)),
    ("not yet", |user, _, _| user.not_before = NOW + 1, Some(Reason::NotYetValid)),
    ("stranger", |user, _, _| user.issuer = account_key(9).public(), Some(Reason::SignerUnknown)),
    ("other account", |user, _, _| user.nats.issuer_account = Some(account_key(9)), Some(Reason::AccountUnknown)),
    ("strict", |_, _, at| at.strict = true, Some(Reason::SignerUnknown)),
    ("revoked", |_, account, _| account.nats.revocations.revoke(Revoked::All, NOW), Some(Reason::Revoked)),
    (
        "bearer",
        |user, account, _| {
            user.nats.template.bearer_token = true;
            account.nats.limits.disallow_bearer = true;
        },
        Some(Reason::BearerNotAllowed),
    ),
    (
        "address",
        |user, _, at| {
            user.nats.template.src = vec!["10.0.0.0/8".into()];
            at.peer = Some([192, 168, 0, 1].into());
        },
        Some(Reason::AddressNotAllowed),
    ),
    (
        "connection type",
        |user, _, at| {
            user.nats.template.allowed_connection_types = vec!["WEBSOCKET".into()];
            at.connection_type = Some("STANDARD");
        },
        Some(Reason::ConnectionTypeNotAllowed),
    ),
];

#[test]
fn connect_names_the_check_that_refuses() {
    let account = AccountClaims::new(account_key(1));
    for &(what, change, wanted) in CONNECT_CASES {
        let (mut user, mut account, mut at) = (user_of(account_key(1), account_key(1)), account.clone(), here());
        change(&mut user, &mut account, &mut at);
        let explanation = explain_connect(&user, &account, &at);
        assert_eq!(explanation.reason, wanted, "{what}: {explanation:?}");
        assert_eq!(explanation.steps.last().unwrap().verdict == Verdict::Refuse, wanted.is_some(), "{what}");
    }
}

#[test]
fn a_scope_gives_its_users_the_expanded_template() {
    let mut account = AccountClaims::new(account_key(1));
    let mut scope = Scope::new(account_key(2), "reader");
    scope.template.permissions.subscribe.allow = vec!["in.{{name()}}.>".into()];
    account.nats.signing_keys.push(SigningKey::Scoped(Box::new(scope)));
    let mut user = user_of(account_key(2), account_key(1));
    user.nats.template = UserTemplate::default();
    let template = effective_template(&user, &account, true).unwrap();
    assert_eq!(template.permissions.subscribe.allow, ["in.bob.>"]);
    let explanation = explain_connect(&user, &account, &here());
    assert!(
        explanation.allowed && explanation.steps.iter().any(|step| step.why.contains("scope `reader`")),
        "{explanation:?}"
    );
    user.nats.template.bearer_token = true;
    assert_eq!(explain_connect(&user, &account, &here()).reason, Some(Reason::ScopedUserHasPermissions));
}

#[test]
fn an_import_of_the_accounts_own_export_is_explained_by_its_own_claims() {
    let mut account = AccountSharing::new("A".into());
    account.exports.push(Export::new(ExportKind::Service, Pattern::parse("q.>").unwrap()));
    let local = Local::Subject("own".to_owned());
    account.imports.push(Import::new(ExportKind::Service, "A".into(), "q.a", &local));
    let explanation = explain_import(&account, 0, &|_| None, NOW);
    assert!(explanation.allowed, "{explanation:?}");
    assert!(explanation.steps.iter().any(|step| step.why == "export `q.>` is public"), "{explanation:?}");
}

#[test]
fn a_connect_explanation_says_what_was_found() {
    let account = AccountClaims::new(account_key(1));
    let why = |change: fn(&mut UserClaims, &mut Circumstances<'_>)| {
        let (mut user, mut at) = (user_of(account_key(1), account_key(1)), here());
        change(&mut user, &mut at);
        let explanation = explain_connect(&user, &account, &at);
        (explanation.allowed, explanation.steps.into_iter().map(|step| step.why).collect::<Vec<_>>())
    };
    let (allowed, steps) = why(|user, at| {
        user.nats.template.allowed_connection_types = vec!["STANDARD".into(), "WEBSOCKET".into()];
        at.connection_type = Some("websocket");
    });
    assert!(allowed && steps.iter().any(|step| step == "any time"), "{steps:?}");
    let (allowed, steps) = why(|user, _| user.expires = NOW - 1);
    assert!(!allowed && steps.iter().any(|step| step.contains("have expired")), "{steps:?}");
}

#[test]
fn import_names_the_export_that_decides() {
    let mut exporter = AccountSharing::new("X".into());
    exporter.exports.push(Export::new(ExportKind::Service, Pattern::parse("q.>").unwrap()));
    let mut importer = AccountSharing::new("A".into());
    for subject in ["q.a", "other"] {
        importer.imports.push(Import::new(ExportKind::Service, "X".into(), subject, &Local::Same));
    }
    let exporter = Arc::new(exporter);
    let lookup = |name: &AccountName| (name.as_str() == "X").then(|| Arc::clone(&exporter));
    let explanation = explain_import(&importer, 0, &lookup, NOW);
    assert_eq!((explanation.allowed, explanation.decided_by.as_str()), (true, "export `q.>` of `X`"));
    assert!(explanation.steps.iter().any(|step| step.why == "export `q.>` is public"), "{explanation:?}");
    let explanation = explain_import(&importer, 1, &lookup, NOW);
    assert_eq!(explanation.reason, Some(Reason::ImportNoExport));
    assert_eq!(explain_import(&importer, 2, &lookup, NOW).reason, Some(Reason::ImportInvalid));
    assert_eq!(explain_import(&importer, 0, &|_| None, NOW).reason, Some(Reason::AccountUnknown));
}
