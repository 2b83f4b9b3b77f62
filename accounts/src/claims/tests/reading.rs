//! What is read, and above all what is refused.

use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};

use super::*;
use crate::limits::{JSON_DEPTH_MAX, TOKEN_BYTES_MAX};

const VECTOR: &str = "eyJ0eXAiOiJKV1QiLCJhbGciOiJlZDI1NTE5LW5rZXkifQ.eyJqdGkiOiJNN0tJTUdCNjdXTjdHRVEyTTU0WFNZNkxPUlhIVEFPSFFKSldDUFNRUkpIWklHUEZKSFVRIiwiaWF0IjoxNzAwMDAwMDAwLCJpc3MiOiJBQ0FUUzVZT1ZCNlJPWDJXVU5LR05RMk1QM0dNWERNS1NHMk80TjVDTFgzQTZXNFBaR1paSUwyUiIsIm5hbWUiOiJhbGljZSIsInN1YiI6IlVEV1VTS0dHRkRJNEZSWEs1RUJUUkVDWlNWUVNTV0pISEpPR0g2SldHM0FVTUZGTVE0MzVDMlU0IiwibmF0cyI6eyJwdWIiOnt9LCJzdWIiOnt9LCJzdWJzIjotMSwiZGF0YSI6LTEsInBheWxvYWQiOi0xLCJ0eXBlIjoidXNlciIsInZlcnNpb24iOjJ9fQ.B1ZcjT87Qy7SePmAzF34PrOfUqLC0QPEIdUPJCGT_5IhaYpJgKyuaY53ahnKM-cnSaDhUoVcKxjtBuL4zs92BA";

const HEADER_V2: &str = r#"{"typ":"JWT","alg":"ed25519-nkey"}"#;
const HEADER_V1: &str = r#"{"typ":"jwt","alg":"ed25519"}"#;

fn base64(text: &str) -> String {
    BASE64URL_NOPAD.encode(text.as_bytes())
}

/// Makes a token of any text; `both` says whether the header is signed too.
fn forge(header: &str, claims: &str, signer: &Seed, both: bool) -> String {
    let (header, claims) = (base64(header), base64(claims));
    let signed = if both { format!("{header}.{claims}") } else { claims.clone() };
    let signature = BASE64URL_NOPAD.encode(&signer.sign(signed.as_bytes()).unwrap());
    format!("{header}.{claims}.{signature}")
}

fn claims(issuer: &Seed, subject: &Seed, nats: Value) -> Value {
    json!({"iat": NOW, "iss": issuer.public(), "sub": subject.public(), "nats": nats})
}

fn user_token(nats: Value) -> String {
    let claims = claims(&account(), &user(), nats);
    forge(HEADER_V2, &claims.to_string(), &account(), true)
}

fn account_token(nats: Value) -> String {
    let claims = claims(&operator(), &account(), nats);
    forge(HEADER_V2, &claims.to_string(), &operator(), true)
}

#[test]
fn the_vector_verifies_and_its_id_and_text_are_made_again() {
    let claims = decode::<User>(VECTOR).unwrap();
    assert_eq!((claims.name.as_str(), claims.issued_at), ("alice", NOW));
    assert_eq!(claims.id, "M7KIMGB67WN7GEQ2M54XSY6LORXHTAOHQJJWCPSQRJHZIGPFJHUQ");
    assert_eq!(claims.encode(&account(), NOW).unwrap(), VECTOR);
    let mut fresh = UserClaims::new(user_key(3));
    fresh.name = "alice".to_owned();
    assert_eq!(fresh.encode(&account(), NOW).unwrap(), VECTOR);
}

#[test]
fn a_version_2_token_signed_over_the_claims_alone_is_refused() {
    let text = claims(&account(), &user(), json!({"type": "user", "version": 2})).to_string();
    for header in [HEADER_V2, HEADER_V1] {
        assert!(decode::<User>(&forge(header, &text, &account(), true)).is_ok());
        let refused = decode::<User>(&forge(header, &text, &account(), false));
        assert!(matches!(refused, Err(ClaimsError::Signature(_))));
    }
}

#[test]
fn a_version_1_token_is_signed_over_the_claims_alone() {
    let mut value = claims(&account(), &user(), json!({}));
    value["type"] = json!("user");
    let text = value.to_string();
    let read = decode::<User>(&forge(HEADER_V1, &text, &account(), false)).unwrap();
    assert_eq!(read.nats.template.limits, UserLimits::UNLIMITED);
    let refused = decode::<User>(&forge(HEADER_V1, &text, &account(), true));
    assert!(matches!(refused, Err(ClaimsError::Signature(_))));
}

#[test]
fn absent_limits_of_version_2_are_zero() {
    let user = decode::<User>(&user_token(json!({"type": "user", "version": 2}))).unwrap();
    assert_eq!(user.nats.template.limits.connection().subscriptions, Some(0));
    let nats = json!({"type": "account", "version": 2, "limits": {"subs": 1_i64 << 40}});
    let account = decode::<Account>(&account_token(nats)).unwrap();
    assert_eq!(account.nats.limits.conn.bound(), Some(0));
    assert_eq!(account.nats.limits.subs.bound(), Some(0x7FFF_FFFF));
}

#[test]
fn absent_limits_of_a_scope_are_unlimited_and_zero_is_kept() {
    let nats = json!({"type": "account", "version": 2, "signing_keys": [
        {"kind": "user_scope", "key": account_key(5), "role": "r", "template": {"subs": 0}},
        {"kind": "user_scope", "key": account_key(6)},
    ]});
    let read = decode::<Account>(&account_token(nats)).unwrap();
    let again = decode::<Account>(&read.encode(&operator(), NOW).unwrap()).unwrap();
    for claims in [read, again] {
        let limits = |byte| claims.scope(&account_key(byte).public()).unwrap().template.limits;
        assert_eq!(limits(5).subs.bound(), Some(0));
        assert_eq!(limits(5).payload.bound(), None);
        assert_eq!(limits(6), UserLimits::UNLIMITED);
    }
}

#[test]
fn headers_are_compared_without_case_and_nothing_else_is_let_through() {
    let text = claims(&account(), &user(), json!({"type": "user", "version": 2})).to_string();
    let read = |header: &str| decode::<User>(&forge(header, &text, &account(), true));
    for header in [
        r#"{"typ":"JWT","alg":"ed25519-nkey"}"#,
        r#"{"typ":"jwt","alg":"ED25519-NKEY"}"#,
        r#"{"alg":"Ed25519","typ":"Jwt","extra":1}"#,
    ] {
        assert!(read(header).is_ok(), "{header}");
    }
    for header in [
        r#"{"typ":"JWT","alg":"none"}"#,
        r#"{"typ":"JWT","alg":"HS256"}"#,
        r#"{"typ":"JWT","alg":"EdDSA"}"#,
        r#"{"typ":"JWT","alg":""}"#,
        r#"{"typ":"JWT","alg":null}"#,
        r#"{"typ":"JWT","alg":["ed25519"]}"#,
        r#"{"typ":"JWT"}"#,
        r#"{"typ":"JWS","alg":"ed25519-nkey"}"#,
        r#"{"alg":"ed25519-nkey"}"#,
        "{}",
        "[]",
        "null",
        "",
        "{",
    ] {
        assert!(read(header).is_err(), "{header}");
    }
}

type Expected = fn(&ClaimsError) -> bool;

#[test]
fn versions_and_kinds_that_are_not_known_are_refused() {
    let table: [(Value, Expected); 10] = [
        (json!({"type": "user", "version": 3}), |e| matches!(e, ClaimsError::NewerVersion { found: 3 })),
        (json!({"type": "user", "version": 0}), |e| matches!(e, ClaimsError::Version { found: 0 })),
        (json!({"type": "user", "version": -1}), |e| matches!(e, ClaimsError::Version { found: -1 })),
        (json!({"type": "user"}), |e| matches!(e, ClaimsError::Version { found: 0 })),
        (json!({"type": "user", "version": "2"}), |e| matches!(e, ClaimsError::Content { place: "nats.version", .. })),
        (json!({"type": "user", "version": 2.5}), |e| matches!(e, ClaimsError::Content { place: "nats.version", .. })),
        (json!({"type": 7, "version": 2}), |e| matches!(e, ClaimsError::Content { place: "nats.type", .. })),
        (json!({"type": "account", "version": 2}), |e| matches!(e, ClaimsError::WrongKind { expected: "user", .. })),
        (json!({"type": "server", "version": 2}), |e| matches!(e, ClaimsError::RetiredKind { .. })),
        (json!({"type": "cluster", "version": 2}), |e| matches!(e, ClaimsError::RetiredKind { .. })),
    ];
    for (nats, expected) in table {
        let error = decode::<User>(&user_token(nats.clone())).unwrap_err();
        assert!(expected(&error), "{nats}: {error:?}");
    }
}

#[test]
fn generic_claims_stand_for_no_other_kind_and_follow_the_headers_rule() {
    for kind in ["custom", "generic", ""] {
        let text = claims(&operator(), &operator(), json!({"type": kind, "x": 1})).to_string();
        for (header, both) in [(HEADER_V2, true), (HEADER_V1, false)] {
            let read = decode::<Generic>(&forge(header, &text, &operator(), both)).unwrap();
            assert_eq!(read.nats.members["x"], 1);
            assert!(decode::<Generic>(&forge(header, &text, &operator(), !both)).is_err());
        }
    }
    let refused = decode::<Generic>(VECTOR);
    assert!(matches!(refused, Err(ClaimsError::WrongKind { expected: "generic", .. })));
}

#[test]
fn issuer_and_subject_must_have_the_roles_of_the_kind() {
    let nats = json!({"type": "user", "version": 2});
    for role in [Role::User, Role::Operator, Role::Server, Role::Cluster] {
        let issuer = seed(role, 2);
        let text = claims(&issuer, &user(), nats.clone()).to_string();
        let refused = decode::<User>(&forge(HEADER_V2, &text, &issuer, true));
        assert!(matches!(refused, Err(ClaimsError::Role(RoleError { place: "iss", .. }))), "{role}");
        let text = claims(&account(), &issuer, nats.clone()).to_string();
        let read = decode::<User>(&forge(HEADER_V2, &text, &account(), true));
        assert_eq!(read.is_ok(), role == Role::User, "{role}");
    }
    let claims = UserClaims::new(user_key(3));
    assert!(matches!(claims.encode(&user(), NOW), Err(EncodeError::Role(_))));
    let seed = seed(Role::Curve, 1);
    assert!(claims.encode(&seed, NOW).is_err());
}

#[test]
fn keys_that_are_none_are_refused_wherever_a_token_names_one() {
    let short = BASE64URL_NOPAD.encode(&[0; 8]);
    let good = user_key(3).to_string();
    for bad in ["", "A", &short, &good.to_lowercase(), good.split_at(55).0] {
        for place in ["iss", "sub"] {
            let mut value = claims(&account(), &user(), json!({"type": "user", "version": 2}));
            value[place] = json!(bad);
            let token = forge(HEADER_V2, &value.to_string(), &account(), true);
            assert!(decode::<User>(&token).is_err(), "{place} {bad}");
        }
        if !bad.is_empty() {
            let nats = json!({"type": "user", "version": 2, "issuer_account": bad});
            assert!(decode::<User>(&user_token(nats)).is_err(), "{bad}");
        }
        let nats = json!({"type": "account", "version": 2, "signing_keys": [bad]});
        assert!(decode::<Account>(&account_token(nats)).is_err(), "{bad}");
    }
}

#[test]
fn empty_text_is_no_key_where_a_key_may_be_absent() {
    let nats = json!({"type": "account", "version": 2, "authorization": {"xkey": ""}});
    let read = decode::<Account>(&account_token(nats)).unwrap();
    assert_eq!(read.nats.authorization.xkey, None);
    let nats = json!({"type": "operator", "version": 2, "system_account": ""});
    let text = claims(&operator(), &operator(), nats).to_string();
    let read = decode::<Operator>(&forge(HEADER_V2, &text, &operator(), true)).unwrap();
    assert_eq!(read.nats.system_account, None);
    let nats = json!({"type": "account", "version": 2, "imports": [
        {"subject": "a", "account": "", "type": "stream"},
    ]});
    assert!(decode::<Account>(&account_token(nats)).is_err());
    let nats = json!({"type": "user", "version": 2, "issuer_account": ""});
    assert_eq!(decode::<User>(&user_token(nats)).unwrap().nats.issuer_account, None);
}

#[test]
fn tokens_of_the_wrong_shape_are_refused() {
    let long = format!("{}.{}.", VECTOR, "A".repeat(TOKEN_BYTES_MAX));
    assert_eq!(decode::<User>(&long).unwrap_err(), ClaimsError::TooLong { found: long.len() });
    let (two, _) = VECTOR.rsplit_once('.').unwrap();
    for token in
        ["", ".", "..", "...", "a.b.c", two, &format!("{VECTOR}.e30"), &format!("{VECTOR}="), &format!(" {VECTOR}")]
    {
        assert!(decode::<User>(token).is_err(), "{token}");
    }
    for text in ["", "null", "[]", "{}", "7", "\"x\"", "{\"iss\":", "{\"nats\":null}", "{\"nats\":[]}"] {
        assert!(decode::<User>(&forge(HEADER_V2, text, &account(), true)).is_err(), "{text}");
    }
}

#[test]
fn nesting_is_bounded_before_anything_recurses_over_it() {
    let nested = |depth: usize| {
        let text = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        user_token(json!({"type": "user", "version": 2, "x": serde_json::from_str::<Value>(&text).unwrap()}))
    };
    // Two levels are the envelope and `nats`.
    assert!(decode::<User>(&nested(JSON_DEPTH_MAX - 2)).is_ok());
    assert_eq!(decode::<User>(&nested(JSON_DEPTH_MAX - 1)).unwrap_err(), ClaimsError::TooDeep);
    let bomb = forge(HEADER_V2, &"[".repeat(500_000), &account(), true);
    assert_eq!(decode::<User>(&bomb).unwrap_err(), ClaimsError::TooDeep);
    let bomb = forge(&"{\"a\":".repeat(100_000), "{}", &account(), true);
    assert_eq!(decode::<User>(&bomb).unwrap_err(), ClaimsError::TooDeep);
    // Brackets inside of text are text.
    let text = user_token(json!({"type": "user", "version": 2, "x": "[\"\\{".repeat(99)}));
    assert!(decode::<User>(&text).is_ok());
}

/// A value of an account with every member in use, to put wrong things into.
fn full_account() -> Value {
    json!({
        "type": "account", "version": 2,
        "imports": [{"subject": "a", "account": account_key(4), "type": "stream"}],
        "exports": [{"subject": "b", "type": "service", "revocations": {"*": 1},
            "service_latency": {"sampling": 5, "results": "r"}}],
        "limits": {"subs": -1, "wildcards": true, "tiered_limits": {"R1": {"streams": 1}}},
        "signing_keys": [account_key(5), {"kind": "user_scope", "key": account_key(6),
            "role": "r", "description": "d", "template": {"pub": {"allow": ["x"]}, "resp": {"max": 1, "ttl": 1}}}],
        "revocations": {"*": 1},
        "default_permissions": {"pub": {"allow": ["x"], "deny": ["y"]}, "resp": {"max": 1}},
        "mappings": {"m": [{"subject": "n", "weight": 1, "cluster": "c"}]},
        "authorization": {"auth_users": [user_key(3)], "allowed_accounts": ["*"]},
        "trace": {"dest": "t", "sampling": 1},
        "cluster_traffic": "owner", "description": "d", "info_url": "https://h", "tags": ["t"],
    })
}

fn full_user() -> Value {
    json!({
        "type": "user", "version": 2,
        "pub": {"allow": ["a"], "deny": ["b"]}, "sub": {"allow": ["a q"]}, "resp": {"max": 1, "ttl": 2},
        "src": ["10.0.0.0/8"], "times": [{"start": "01:00:00", "end": "02:00:00"}],
        "times_location": "UTC", "subs": 1, "data": 1, "payload": 1, "bearer_token": true,
        "proxy_required": true, "allowed_connection_types": ["STANDARD"],
        "issuer_account": account_key(2), "tags": ["t"],
    })
}

/// Every value inside, as JSON pointers.
fn pointers(value: &Value, at: &str, into: &mut Vec<String>) {
    let children: Vec<(String, &Value)> = match value {
        Value::Object(members) => members.iter().map(|(name, v)| (name.clone(), v)).collect(),
        Value::Array(elements) => elements.iter().enumerate().map(|(index, v)| (index.to_string(), v)).collect(),
        _ => Vec::new(),
    };
    for (name, child) in children {
        let at = format!("{at}/{name}");
        into.push(at.clone());
        pointers(child, &at, into);
    }
}

fn each_place_with<T: Kind>(nats: &Value, wrong: &Value, token: fn(Value) -> String) -> Vec<(String, bool)> {
    let mut places = Vec::new();
    pointers(nats, "", &mut places);
    places
        .into_iter()
        .map(|place| {
            let mut changed = nats.clone();
            *changed.pointer_mut(&place).unwrap() = wrong.clone();
            let read = decode::<T>(&token(changed));
            // Whatever is read can also be judged and written.
            if let Ok(claims) = &read {
                let _ = claims.validate(NOW);
                claims.to_json().unwrap();
            }
            (place, read.is_ok())
        })
        .collect()
}

#[test]
fn null_anywhere_is_absent_or_refused_and_never_a_panic() {
    let outcomes = each_place_with::<Account>(&full_account(), &Value::Null, account_token)
        .into_iter()
        .chain(each_place_with::<User>(&full_user(), &Value::Null, user_token));
    for (place, read) in outcomes {
        let in_array = place.rsplit('/').next().unwrap().parse::<usize>().is_ok();
        if in_array {
            assert!(!read, "a null element is no element: {place}");
        }
    }
}

#[test]
fn a_null_member_is_as_if_it_were_absent() {
    let mut value = claims(&account(), &user(), json!({"type": "user", "version": 2, "subs": null, "src": null}));
    for name in ["exp", "nbf", "jti", "name", "aud", "other"] {
        value[name] = Value::Null;
    }
    let read = decode::<User>(&forge(HEADER_V2, &value.to_string(), &account(), true)).unwrap();
    assert_eq!((read.expires, read.not_before, read.name.as_str()), (0, 0, ""));
    assert!(read.unknown.is_empty() && read.nats.unknown.is_empty());
    let nats = json!({"type": "account", "version": 2, "tags": null, "exports": [{"subject": "a", "type": "service",
        "response_type": null, "revocations": null}], "default_permissions": {"pub": {"allow": null}}});
    let read = decode::<Account>(&account_token(nats)).unwrap();
    assert_eq!((read.nats.exports.len(), read.nats.tags.len()), (1, 0));
}

#[test]
fn version_1_knows_no_member_that_came_later() {
    let read = |nats: Value| {
        let mut value = claims(&operator(), &account(), nats);
        value["type"] = json!("account");
        decode::<Account>(&forge(HEADER_V1, &value.to_string(), &operator(), false)).unwrap()
    };
    let later = json!({"subs": 3, "mem_storage": 5, "tiered_limits": {"R1": {"streams": 1}}});
    let read = read(json!({"limits": later, "mappings": {"a": [{"subject": "b"}]}, "description": "d",
        "authorization": {"auth_users": [user_key(3)]}, "tags": ["t"]}));
    assert_eq!((read.nats.limits.subs.bound(), read.nats.tags.as_slice()), (Some(3), &["t".to_owned()][..]));
    assert!(!read.nats.limits.jetstream_enabled() && read.nats.mappings.is_empty());
    assert!(read.nats.authorization.auth_users.is_empty() && read.nats.unknown.is_empty());
    let mut value = claims(&operator(), &operator(), json!({"type": "x"}));
    value["type"] = json!("operator");
    let read = decode::<Operator>(&forge(HEADER_V1, &value.to_string(), &operator(), false)).unwrap();
    assert!(read.nats.unknown.is_empty(), "{:?}", read.nats.unknown);
}

#[test]
fn brackets_in_text_do_not_make_room_for_depth() {
    let text = "]".repeat(JSON_DEPTH_MAX);
    let bomb = format!("{{\"a\":\"{text}\",\"b\":{}", "[".repeat(JSON_DEPTH_MAX));
    assert_eq!(decode::<User>(&forge(HEADER_V2, &bomb, &account(), true)).unwrap_err(), ClaimsError::TooDeep);
}

#[test]
fn what_an_error_shows_of_the_token_is_short() {
    for (typ, shown) in [("x".repeat(160), "x".repeat(160)), ("é".repeat(161), format!("{}…", "é".repeat(160)))] {
        let header = json!({"typ": typ, "alg": "ed25519-nkey"}).to_string();
        let error = decode::<User>(&forge(&header, "{}", &account(), true)).unwrap_err();
        assert_eq!(error, ClaimsError::Type { found: shown });
    }
}

#[test]
fn a_token_has_a_greatest_length_for_reader_and_writer() {
    let sized = |bytes: usize| {
        let mut claims = UserClaims::new(user_key(3));
        let bare = claims.encode(&account(), NOW).unwrap().len();
        // Base64 makes four characters of three bytes; the name's member needs ten more.
        claims.name = "n".repeat((bytes - bare) / 4 * 3 - 30);
        while claims.encode(&account(), NOW).is_ok_and(|token| token.len() < bytes) {
            claims.name.push('n');
        }
        claims.encode(&account(), NOW)
    };
    let longest = sized(TOKEN_BYTES_MAX).unwrap();
    assert_eq!(longest.len(), TOKEN_BYTES_MAX);
    assert!(decode::<User>(&longest).is_ok());
    assert!(matches!(sized(TOKEN_BYTES_MAX + 1), Err(EncodeError::TooLong { .. })));
    let longer = format!("{longest}A");
    assert_eq!(decode::<User>(&longer).unwrap_err(), ClaimsError::TooLong { found: TOKEN_BYTES_MAX + 1 });
}

#[test]
fn sampling_is_a_percentage_or_headers() {
    let read = |sampling: Value| {
        let exports =
            json!([{"subject": "a", "type": "service", "service_latency": {"sampling": sampling, "results": "r"}}]);
        decode::<Account>(&account_token(json!({"type": "account", "version": 2, "exports": exports})))
            .map(|account| account.nats.exports[0].latency.as_ref().unwrap().sampling)
    };
    for (value, wanted) in [
        (json!(0), Sampling::Headers),
        (json!(1), Sampling::Percent(1)),
        (json!(-5), Sampling::Percent(-5)),
        (json!("Headers"), Sampling::Headers),
    ] {
        assert_eq!(read(value.clone()).unwrap(), wanted, "{value}");
    }
    for value in [json!(""), json!("header"), json!(1_i64 << 40), json!(-(1_i64 << 40)), json!(1.5), json!(true)] {
        assert!(read(value.clone()).is_err(), "{value}");
    }
}

#[test]
fn a_wrong_type_anywhere_is_a_clean_error() {
    let allowed = |place: &str, wrong: &Value| {
        // An object of members that nobody knows, where every member may be left out.
        wrong.is_object() || place == "/src" && wrong.is_string() || place.ends_with("/sampling") && wrong == "headers"
    };
    for wrong in [json!(7.5), json!({"": []}), json!([[]]), json!(u64::MAX), json!({"*": -1})] {
        let accounts = each_place_with::<Account>(&full_account(), &wrong, account_token);
        let users = each_place_with::<User>(&full_user(), &wrong, user_token);
        for (place, read) in accounts.into_iter().chain(users) {
            assert!(!read || allowed(&place, &wrong), "{wrong} at {place}");
        }
    }
}

#[test]
fn networks_are_an_array_or_one_text() {
    let read = |src: Value| {
        let nats = json!({"type": "user", "version": 2, "src": src});
        decode::<User>(&user_token(nats)).map(|user| user.into_claims().nats.template)
    };
    let list = read(json!(["10.0.0.0/8", "FE80::/10"])).unwrap();
    let text = read(json!("10.0.0.0/8, FE80::/10 ,")).unwrap();
    assert_eq!(list.networks(), text.networks());
    assert_eq!(text.src, ["10.0.0.0/8", "fe80::/10"]);
    let written: Vec<String> = text.networks().unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(written, text.src);
    assert!(read(json!(7)).is_err());
    assert!(read(json!([["10.0.0.0/8"]])).is_err());
}

#[test]
fn unverified_reading_tells_kind_and_issuer_and_no_more() {
    let forged = VECTOR.replace("B1ZcjT87", "AAAAAAAA");
    let read = Unverified::parse(&forged).unwrap();
    assert_eq!((read.kind(), read.issuer()), ("user", account_key(2).public()));
    assert_eq!(read.subject(), Some(user_key(3).public()));
    assert!(matches!(read.verify::<User>(), Err(ClaimsError::Signature(_))));
}
