//! Properties: what is written reads back, and nothing that arrives makes reading panic.

use data_encoding::BASE64URL_NOPAD;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::limits::Limit;

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(member_name(), inner, 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

const KNOWN: &[&str] = &[
    "type",
    "version",
    "pub",
    "sub",
    "allow",
    "deny",
    "resp",
    "src",
    "times",
    "limits",
    "subs",
    "imports",
    "exports",
    "subject",
    "account",
    "signing_keys",
    "kind",
    "key",
    "template",
    "revocations",
    "mappings",
    "authorization",
    "auth_users",
    "trace",
    "dest",
    "sampling",
    "service_latency",
    "tags",
    "issuer_account",
    "tiered_limits",
    "nats",
    "iat",
    "exp",
    "aud",
];

/// Names that claims know are more likely to hit something than others.
fn member_name() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => prop::sample::select(KNOWN).prop_map(str::to_owned),
        1 => "[a-z<&\u{2028}]{0,4}",
    ]
}

fn unknown_members() -> impl Strategy<Value = UnknownFields> {
    prop::collection::btree_map("x_[a-z]{1,5}", json_value(), 0..3).prop_map(|members| {
        let mut members = Value::Object(members.into_iter().collect());
        envelope::without_nulls(&mut members);
        match members {
            Value::Object(members) => members,
            _ => UnknownFields::new(),
        }
    })
}

fn subjects() -> impl Strategy<Value = SubjectsClaim> {
    let list = || prop::collection::vec("[a-z.*> <&]{0,9}", 0..4);
    (list(), list()).prop_map(|(allow, deny)| SubjectsClaim { allow, deny })
}

fn template() -> impl Strategy<Value = UserTemplate> {
    (
        (subjects(), subjects(), any::<Option<(i64, i64)>>()),
        prop::collection::vec("[0-9a-f:./]{1,12}", 0..3),
        prop::collection::vec(("[0-9:]{0,8}", "[0-9:]{0,8}"), 0..3),
        ".{0,9}",
        any::<[i64; 3]>(),
        any::<[bool; 2]>(),
        prop::collection::vec(".{0,9}", 0..3),
    )
        .prop_map(|(permissions, src, times, times_location, numbers, flags, types)| UserTemplate {
            permissions: PermissionsClaim {
                publish: permissions.0,
                subscribe: permissions.1,
                response: permissions.2.map(|(max, ttl)| ResponseClaim { max, ttl }),
            },
            src,
            times: times.into_iter().map(|(start, end)| TimeRange { start, end }).collect(),
            times_location,
            limits: UserLimits { subs: Limit(numbers[0]), data: Limit(numbers[1]), payload: Limit(numbers[2]) },
            bearer_token: flags[0],
            proxy_required: flags[1],
            allowed_connection_types: types,
        })
}

fn user_claims() -> impl Strategy<Value = UserClaims> {
    (
        template(),
        any::<bool>(),
        (".{0,12}", ".{0,12}", any::<i64>(), any::<i64>()),
        prop::collection::vec(".{0,9}", 0..3),
        unknown_members(),
        unknown_members(),
    )
        .prop_map(|(template, by_signing_key, envelope, tags, inner, outer)| {
            let issuer_account = by_signing_key.then(|| account_key(9));
            let mut claims = UserClaims::new(user_key(3));
            claims.nats = User { template, issuer_account, tags, unknown: inner };
            (claims.name, claims.audience, claims.expires, claims.not_before) = envelope;
            claims.unknown = outer;
            claims
        })
}

fn account_claims() -> impl Strategy<Value = AccountClaims> {
    let share = (any::<bool>(), ".{0,9}", ".{0,9}", any::<[bool; 3]>(), any::<i64>());
    (
        prop::collection::vec(share, 0..4),
        prop::collection::vec(template(), 0..3),
        prop::collection::btree_map("[a-z*.>]{1,5}", any::<i64>(), 0..3),
        prop::collection::btree_map(".{0,5}", prop::collection::vec((".{0,5}", any::<u8>(), ".{0,3}"), 0..3), 0..3),
        any::<[i64; 9]>(),
        unknown_members(),
    )
        .prop_map(|(shares, templates, revocations, mappings, numbers, unknown)| {
            let mut claims = AccountClaims::new(account_key(2));
            let account = &mut claims.nats;
            for (service, subject, other, flags, number) in shares {
                let kind = if service { ExportKind::Service } else { ExportKind::Stream };
                let mut export = Export::new(kind, &subject);
                export.response_threshold = number;
                export.token_req = flags[0];
                export.name.clone_from(&other);
                export.revocations.revoke(account_key(4), number);
                account.exports.push(export);
                let mut import = Import::new(kind, account_key(4), subject);
                (import.local_subject, import.share, import.allow_trace) = (other, flags[1], flags[2]);
                account.imports.push(import);
            }
            for (index, template) in templates.into_iter().enumerate() {
                let mut scope = Scope::new(account_key(10 + u8::try_from(index).unwrap()), "r");
                scope.template = template;
                account.signing_keys.push(SigningKey::Scoped(Box::new(scope)));
                account.signing_keys.push(SigningKey::Plain(account_key(20)));
            }
            account.revocations = serde_json::from_value(json!(revocations)).unwrap();
            account.mappings = mappings
                .into_iter()
                .map(|(source, list)| {
                    let list = list.into_iter().map(|(subject, weight, cluster)| Mapping { subject, weight, cluster });
                    (source, list.collect())
                })
                .collect();
            account.limits.conn = Limit(numbers[0]);
            account.limits.jetstream.streams = Limit(numbers[1]);
            account.limits.subs = Limit(numbers[2]);
            account.unknown = unknown;
            claims
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_user_reads_back(claims in user_claims(), issued_at: i64) {
        let signed = claims.sign(&account(), issued_at).unwrap();
        let read = decode::<User>(signed.token()).unwrap();
        prop_assert_eq!(&*read, &*signed);
        prop_assert_eq!(&read.nats, &claims.nats);
        prop_assert_eq!(&read.unknown, &claims.unknown);
        prop_assert_eq!((read.issued_at, read.issuer), (issued_at, account().public()));
        let _ = read.validate(NOW);
    }

    #[test]
    fn any_account_reads_back(claims in account_claims()) {
        let signed = claims.sign(&operator(), NOW).unwrap();
        let read = decode::<Account>(signed.token()).unwrap();
        prop_assert_eq!(&read.nats, &claims.nats);
        let _ = read.validate(NOW);
    }

    #[test]
    fn any_changed_character_of_a_token_is_noticed(
        claims in user_claims(), at: prop::sample::Index, with in "[A-Za-z0-9_.=-]",
    ) {
        let token = claims.encode(&account(), NOW).unwrap();
        let at = at.index(token.len());
        let mut changed = token.clone();
        changed.replace_range(at..=at, &with);
        prop_assert!(changed == token || decode::<User>(&changed).is_err());
    }

    #[test]
    fn no_text_makes_reading_panic(text: String, bytes: Vec<u8>) {
        let segment = BASE64URL_NOPAD.encode(&bytes);
        for token in [text, segment.clone(), format!("{segment}.{segment}.{segment}")] {
            let _ = decode::<User>(&token);
            let _ = decode::<Generic>(&token);
        }
    }

    #[test]
    fn no_signed_json_makes_reading_or_validating_panic(nats in json_value(), top in json_value()) {
        for (kind, signer, subject) in [
            ("user", account(), user()),
            ("account", operator(), account()),
            ("activation", account(), account()),
            ("operator", operator(), operator()),
            ("authorization_response", account(), user()),
            ("generic", account(), user()),
        ] {
            for version in [1, 2] {
                let mut claims = json!({"iat": 1});
                if let Value::Object(members) = &top {
                    claims = Value::Object(members.clone());
                }
                claims["iss"] = json!(signer.public());
                claims["sub"] = json!(subject.public());
                claims["nats"] = nats.clone();
                if version == 1 {
                    claims["type"] = json!(kind);
                } else if let Value::Object(members) = &mut claims["nats"] {
                    members.insert("type".to_owned(), json!(kind));
                    members.insert("version".to_owned(), json!(2));
                }
                let token = sign_raw(&claims.to_string(), &signer, version);
                exercise::<User>(&token);
                exercise::<Account>(&token);
                exercise::<Activation>(&token);
                exercise::<Operator>(&token);
                exercise::<AuthorizationResponse>(&token);
                exercise::<Generic>(&token);
            }
        }
    }
}

fn sign_raw(claims: &str, signer: &Seed, version: u8) -> String {
    let header = BASE64URL_NOPAD.encode(br#"{"typ":"JWT","alg":"ed25519-nkey"}"#);
    let claims = BASE64URL_NOPAD.encode(claims.as_bytes());
    let both = format!("{header}.{claims}");
    let signed = if version == 1 { &claims } else { &both };
    let signature = BASE64URL_NOPAD.encode(&signer.sign(signed.as_bytes()).unwrap());
    format!("{both}.{signature}")
}

fn exercise<T: Kind>(token: &str) {
    if let Ok(claims) = decode::<T>(token) {
        let _ = claims.validate(NOW);
        claims.to_json().unwrap();
    }
}
