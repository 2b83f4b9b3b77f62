//! Activations with every mismatch, and claims become sharing.

use super::*;
use crate::claims::{self, AccountClaims, ActivationClaims, SigningKey};
use crate::key::{AccountKey, Role, Seed};

fn seed(number: u8) -> Seed {
    Seed::from_raw(Role::Account, [number; 32])
}

fn key(number: u8) -> AccountKey {
    seed(number).public().try_into().unwrap()
}

/// Exporter 1 with signing key 11 and a private stream `s.*` and service `q`; importer 2.
struct Private {
    exporter: AccountClaims,
    activation: ActivationClaims,
    signer: Seed,
    kind: ExportKind,
    subject: &'static str,
    strict: bool,
    issued_at: i64,
    now: i64,
}

impl Private {
    fn new() -> Self {
        let mut exporter = AccountClaims::new(key(1));
        for (kind, subject) in [(STREAM, "s.*"), (SERVICE, "q"), (STREAM, "s2.*")] {
            let mut export = claims::Export::new(kind, subject);
            export.token_req = true;
            exporter.nats.exports.push(export);
        }
        exporter.nats.signing_keys.push(SigningKey::Plain(key(11)));
        let activation = ActivationClaims::new(key(2), STREAM, "s.*");
        Self {
            exporter,
            activation,
            signer: seed(1),
            kind: STREAM,
            subject: "s.x",
            strict: false,
            issued_at: NOW - 10,
            now: NOW,
        }
    }

    fn resolve(&self) -> Resolution {
        let mut importer = AccountClaims::new(key(2));
        let mut import = claims::Import::new(self.kind, key(1), self.subject);
        import.token = self.activation.encode(&self.signer, self.issued_at).unwrap();
        importer.nats.imports.push(import);
        let exporter = AccountSharing::from_claims(&self.exporter, self.strict);
        let importer = AccountSharing::from_claims(&importer, false);
        let name = importer.name.clone();
        resolved(&world([exporter, importer]), &name, self.now)
    }

    fn verdict(&self) -> Verdict {
        let resolution = self.resolve();
        match resolution.crossings.first() {
            Some(crossing) => Ok(crossing.expires),
            None => Err(resolution.refused[0].reason),
        }
    }
}

/// Expiry of the crossing, or why there is none.
type Verdict = Result<Option<i64>, Reason>;

const INVALID: Verdict = Err(Reason::ImportActivationInvalid);

type Change = fn(&mut Private);
/// A change to an activation that holds, and what then becomes of the import.
const CASES: &[(&str, Change, Verdict)] = &[
    ("as it should be", |_| {}, Ok(None)),
    ("all of it", |p| p.subject = "s.*", Ok(None)),
    ("wider token", |p| p.activation.nats.subject = "s.>".into(), Ok(None)),
    ("expires later", |p| p.activation.expires = NOW + 1, Ok(Some(NOW + 1))),
    ("expires now", |p| p.activation.expires = NOW, INVALID),
    ("expired", |p| p.activation.expires = NOW - 1, INVALID),
    ("not yet valid", |p| p.activation.not_before = NOW + 1, INVALID),
    ("foreign importer", |p| p.activation.subject = key(3).public(), INVALID),
    ("narrower token", |p| p.activation.nats.subject = "s.y".into(), INVALID),
    ("token of another export", |p| p.activation.nats.subject = "s2.*".into(), INVALID),
    ("malformed subject", |p| p.activation.nats.subject = "s..x".into(), INVALID),
    ("other kind", |p| p.activation.nats.kind = SERVICE, INVALID),
    ("signed by a stranger", |p| p.signer = seed(9), INVALID),
    ("signed by the importer", |p| p.signer = seed(2), INVALID),
    (
        "stranger in the exporter's name",
        |p| {
            p.signer = seed(9);
            p.activation.nats.issuer_account = Some(key(1));
        },
        INVALID,
    ),
    ("signing key without the exporter's name", |p| p.signer = seed(11), INVALID),
    (
        "signing key",
        |p| {
            p.signer = seed(11);
            p.activation.nats.issuer_account = Some(key(1));
        },
        Ok(None),
    ),
    (
        "removed signing key",
        |p| {
            p.signer = seed(11);
            p.activation.nats.issuer_account = Some(key(1));
            p.exporter.nats.signing_keys.clear();
        },
        INVALID,
    ),
    ("own key under a strict operator", |p| p.strict = true, INVALID),
    (
        "signing key under a strict operator",
        |p| {
            p.strict = true;
            p.signer = seed(11);
            p.activation.nats.issuer_account = Some(key(1));
        },
        Ok(None),
    ),
    ("issuer account of another", |p| p.activation.nats.issuer_account = Some(key(3)), INVALID),
];

#[test]
fn an_activation_binds_importer_exporter_kind_and_subject() {
    for &(what, change, wanted) in CASES {
        let mut private = Private::new();
        change(&mut private);
        assert_eq!(private.verdict(), wanted, "{what}: {:?}", private.resolve().refused);
    }
}

#[test]
fn a_crossing_ends_in_the_second_its_activation_expires() {
    let mut private = Private::new();
    private.activation.expires = NOW + 1;
    let crossing = private.resolve().crossings.remove(0);
    assert!(!crossing.has_ended(NOW) && crossing.has_ended(NOW + 1) && crossing.has_ended(NOW + 2));
}

#[test]
fn a_missing_or_unreadable_token_gives_nothing() {
    for (token, wanted) in [
        ("", Reason::ImportNotAuthorized),
        ("a.b.c", Reason::ImportActivationInvalid),
        ("x", Reason::ImportActivationInvalid),
    ] {
        let exporter = AccountSharing::from_claims(&Private::new().exporter, false);
        let mut importer = AccountSharing::new(key(2).into());
        let mut import = Import::new(STREAM, key(1).into(), "s.x", &Local::Same);
        import.token = (!token.is_empty()).then(|| token.to_owned());
        importer.imports.push(import);
        let resolution = resolved(&world([exporter, importer]), &key(2).into(), NOW);
        assert_eq!(reasons(&resolution), [wanted], "{token}");
    }
}

#[test]
fn revocations_are_per_export_and_by_time_of_issue() {
    let revoked = |export: usize, entry: &str, at: i64, issued_at: i64| {
        let mut private = Private::new();
        let revocations = format!("{{\"{entry}\":{at}}}");
        private.exporter.nats.exports[export].revocations = serde_json::from_str(&revocations).unwrap();
        private.issued_at = issued_at;
        private.verdict()
    };
    let importer = key(2).to_string();
    for entry in [importer.as_str(), "*"] {
        assert_eq!(revoked(0, entry, NOW - 5, NOW - 10), Err(Reason::ImportActivationInvalid), "{entry}");
        assert_eq!(revoked(0, entry, NOW - 5, NOW - 5), Err(Reason::ImportActivationInvalid), "{entry}");
        assert_eq!(revoked(0, entry, NOW - 5, NOW - 4), Ok(None), "{entry}");
        assert_eq!(revoked(2, entry, NOW - 5, NOW - 10), Ok(None), "{entry}");
    }
    assert_eq!(revoked(0, &key(3).to_string(), NOW, NOW - 10), Ok(None));
}

#[test]
fn each_part_of_a_claim_counts_in_its_own_direction_alone() {
    let mut import = claims::Import::new(STREAM, key(1), "s");
    (import.share, import.allow_trace) = (true, true);
    let stream = Import::from_claim(&import);
    assert_eq!((stream.remote(), stream.share, stream.allow_trace), ("s", false, true));
    import.kind = SERVICE;
    let service = Import::from_claim(&import);
    assert_eq!((service.remote(), service.share, service.allow_trace), ("s", true, false));
    let mut export = claims::Export::new(STREAM, "s.*");
    export.account_token_position = 2;
    assert_eq!(Export::from_claim(&export).unwrap().access, Access::Position(2));
    export.account_token_position = 1;
    assert!(Export::from_claim(&export).is_err());
}

#[test]
fn claims_become_sharing_with_the_fields_of_their_direction() {
    let mut exporter = AccountClaims::new(key(1));
    let mut service = claims::Export::new(SERVICE, "q.*.*");
    service.response_type = ResponseType::Stream;
    service.response_threshold = 5;
    service.allow_trace = true;
    exporter.nats.exports.push(service);
    exporter.nats.exports.push(claims::Export::new(SERVICE, "legacy.*"));
    exporter.nats.exports.push(claims::Export::new(STREAM, "news.>"));
    let mut broken = claims::Export::new(STREAM, "b.x.*");
    broken.account_token_position = 2;
    exporter.nats.exports.push(broken);

    let mut importer = AccountClaims::new(key(2));
    let mut swapped = claims::Import::new(SERVICE, key(1), "q.*.*");
    swapped.local_subject = "my.$2.$1".into();
    swapped.share = true;
    let mut legacy = claims::Import::new(SERVICE, key(1), "ask.*");
    legacy.to = "legacy.*".into();
    let mut prefixed = claims::Import::new(STREAM, key(1), "news.>");
    prefixed.to = "from.x.".into();
    prefixed.allow_trace = true;
    importer.nats.imports.extend([swapped, legacy, prefixed]);

    let exporter = AccountSharing::from_claims(&exporter, false);
    assert_eq!(exporter.problems.len(), 1, "{:?}", exporter.problems);
    let importer = AccountSharing::from_claims(&importer, false);
    let resolution = resolved(&world([exporter, importer]), &key(2).into(), NOW);
    let [swapped, legacy, prefixed] = resolution.crossings.as_slice() else { panic!("{:?}", resolution.refused) };
    assert_eq!(swapped.requested_as(b"my.one.two"), Some(b"q.two.one".to_vec()));
    assert_eq!((swapped.local.as_str(), swapped.remote.as_str()), ("my.*.*", "q.*.*"));
    assert!(swapped.share && swapped.allow_trace && swapped.threshold_ns == 5);
    assert_eq!(swapped.response, ResponseType::Stream);
    assert_eq!(legacy.requested_as(b"ask.x"), Some(b"legacy.x".to_vec()));
    assert_eq!(legacy.threshold_ns, RESPONSE_THRESHOLD_DEFAULT_NS);
    assert_eq!(prefixed.delivered_as(b"news.a.b"), Some(b"from.x.news.a.b".to_vec()));
    assert_eq!(prefixed.delivered_as(b"other"), None);
    assert!(prefixed.allow_trace && prefixed.expires.is_none() && !prefixed.has_ended(i64::MAX));
}
