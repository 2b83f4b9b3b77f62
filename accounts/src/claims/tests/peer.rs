//! Tokens made by nats-io/jwt 2.8.2 (and its `v1compat`), with every field in use: they are read,
//! and written again byte for byte.

use data_encoding::BASE64URL_NOPAD;
use secrecy::ExposeSecret;

use super::*;

fn peer(name: &str) -> &'static str {
    include_str!("../testdata/peer_tokens.txt")
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))
        .unwrap()
}

fn text(token: &str) -> String {
    let claims = token.split('.').nth(1).unwrap();
    String::from_utf8(BASE64URL_NOPAD.decode(claims.as_bytes()).unwrap()).unwrap()
}

/// Signing is deterministic, so the same claims by the same key make the same token.
fn read_and_write<T: Kind>(name: &str, signer: &Seed) -> Claims<T> {
    let token = peer(name);
    let claims = decode::<T>(token).unwrap_or_else(|error| panic!("{name}: {error}"));
    let again = claims.sign(signer, claims.issued_at).unwrap();
    assert_eq!(text(again.token()), text(token), "{name}");
    assert_eq!(again.token(), token, "{name}");
    assert_eq!(again.id, claims.id, "{name}");
    claims.into_claims()
}

#[test]
fn an_operator_is_read_and_written_as_the_peer_does() {
    let claims = read_and_write::<Operator>("operator", &operator());
    assert_eq!(claims.name, "op <&> \u{2028} é");
    assert_eq!(claims.nats.signing_keys, [operator_key(11)]);
    assert_eq!(claims.nats.system_account, Some(account_key(2)));
    assert_eq!(claims.nats.required_version(), Some([2, 10, 0]));
    assert_eq!(claims.nats.tags, ["env:prod"]);
    assert_eq!(claims.account_signers().collect::<Vec<_>>(), [operator_key(11)]);
    claims.validate(NOW).require_clean().unwrap();
}

#[test]
fn a_new_account_has_the_peers_defaults() {
    let read = read_and_write::<Account>("account_new", &operator());
    assert_eq!(read.nats, AccountClaims::new(account_key(2)).nats);
}

#[test]
fn an_account_with_everything_is_read_and_written_as_the_peer_does() {
    let claims = read_and_write::<Account>("account_full", &seed(Role::Operator, 11));
    claims.validate(NOW).require_clean().unwrap();
    let account = &claims.nats;
    assert!(account.unknown.is_empty(), "{:?}", account.unknown);
    assert_eq!((account.imports.len(), account.exports.len()), (2, 2));
    assert_eq!(account.exports[1].response_type, ResponseType::Stream);
    assert_eq!(account.limits.conn.bound(), Some(10));
    assert!(account.limits.jetstream_enabled());
    let scope = claims.scope(&account_key(13).public()).unwrap();
    assert_eq!(scope.template.limits.payload.bound(), Some(7));
    assert!(account.authorization.allows(&account_key(9)));
}

#[test]
fn users_are_read_and_written_as_the_peer_does() {
    let claims = read_and_write::<User>("user_full", &seed(Role::Account, 12));
    assert_eq!(claims.account(), Some(account_key(2)));
    assert_eq!(claims.nats.template.limits.payload.bound(), Some(100));
    assert!(claims.nats.unknown.is_empty());
    claims.validate(NOW).require_clean().unwrap();
    let scoped = read_and_write::<User>("user_scoped", &seed(Role::Account, 13));
    assert!(scoped.nats.template.is_empty());
    assert_eq!(scoped.nats.template, UserClaims::scoped(user_key(3)).nats.template);
}

#[test]
fn an_activation_is_read_and_written_as_the_peer_does() {
    let claims = read_and_write::<Activation>("activation", &seed(Role::Account, 13));
    assert_eq!(claims.exporter(), account_key(4).public());
    assert_eq!((claims.nats.kind, claims.nats.subject.as_str()), (ExportKind::Stream, "priv.>"));
}

#[test]
fn a_delete_request_is_read_and_written_as_the_peer_does() {
    let claims = read_and_write::<Generic>("generic", &operator());
    assert!(claims.is_self_signed());
    assert_eq!(claims.nats.members["accounts"][0], account_key(2).to_string());
}

#[test]
fn callout_questions_and_answers_are_read_and_written_as_the_peer_does() {
    let request = read_and_write::<AuthorizationRequest>("request", &seed(Role::Server, 5));
    assert_eq!(request.audience, REQUEST_AUDIENCE);
    assert_eq!(request.nats.user_nkey, user_key(3));
    assert_eq!(request.nats.connect_opts.pass.as_ref().unwrap().expose_secret(), "canary");
    assert!(!format!("{request:?}").contains("canary"));
    let response = read_and_write::<AuthorizationResponse>("response", &seed(Role::Account, 12));
    assert_eq!(response.nats.error, "no");
    response.validate(NOW).require_clean().unwrap();
}

#[test]
fn version_1_tokens_are_read_into_the_shape_of_version_2() {
    let operator = decode::<Operator>(peer("v1_operator")).unwrap();
    assert_eq!(operator.nats.signing_keys, [operator_key(11)]);
    let account = decode::<Account>(peer("v1_account")).unwrap();
    assert_eq!(account.nats.signing_keys, [SigningKey::Plain(account_key(12))]);
    assert_eq!(account.nats.limits.conn.bound(), Some(5));
    assert_eq!(account.nats.imports[0].remote(), "yy");
    assert!(!account.nats.limits.jetstream_enabled());
    let user = decode::<User>(peer("v1_user")).unwrap();
    assert_eq!(user.nats.template.limits, UserLimits::UNLIMITED);
    assert_eq!(user.nats.template.src, ["10.0.0.0/8", "192.168.0.0/16"]);
    assert_eq!(user.account(), Some(account_key(2)));
    let activation = decode::<Activation>(peer("v1_activation")).unwrap();
    assert_eq!(activation.nats.kind, ExportKind::Service);
    assert_eq!(activation.exporter(), account_key(4).public());
    for (tags, unknown) in [
        (&operator.nats.tags, (&operator.unknown, &operator.nats.unknown)),
        (&account.nats.tags, (&account.unknown, &account.nats.unknown)),
        (&user.nats.tags, (&user.unknown, &user.nats.unknown)),
    ] {
        assert_eq!(tags, &["t"]);
        assert!(unknown.0.is_empty() && unknown.1.is_empty(), "{unknown:?}");
    }
}

#[test]
fn any_single_changed_character_of_a_token_is_noticed() {
    let token = peer("user_full");
    for at in 0..token.len() {
        let old = token.as_bytes()[at];
        for new in [b'A', b'_', b'.', b'='] {
            if new != old {
                let mut changed = token.to_owned();
                changed.replace_range(at..=at, std::str::from_utf8(&[new]).unwrap());
                assert!(decode::<User>(&changed).is_err(), "`{}` at {at}", char::from(new));
            }
        }
    }
}
