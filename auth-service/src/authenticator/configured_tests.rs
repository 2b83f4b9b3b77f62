//! Configured mode: users, nkeys, tokens, certificates and the `no_auth_user`.

use cordon_accounts::key::{Role, Seed, UserKey};
use rcgen::{CertificateParams, DnType, KeyPair, SanType};
use rustls_pki_types::CertificateDer;
use secrecy::{ExposeSecret, SecretString};

use super::*;
use crate::configured::{ConfiguredUser, ConfiguredUsersBuilder, ConfiguredUsersError, Credential};
use crate::principal::Method;
use crate::proof::ConnectCredentials;
use crate::testing::{House, NONCE, NOW, authenticate, proof, seed, sign};

const TCP: ConnectionType = ConnectionType::Standard;

fn password_user(name: &str, password: &str) -> ConfiguredUser {
    ConfiguredUser::new(name, Credential::Password(SecretString::from(password)), AccountName::global())
}

fn certificate_user(name: &str) -> ConfiguredUser {
    ConfiguredUser::new(name, Credential::Certificate, AccountName::global())
}

fn nkey_user(seed: &Seed) -> ConfiguredUser {
    let key = UserKey::try_from(seed.public()).unwrap();
    ConfiguredUser::new("", Credential::Nkey(key), AccountName::from("TEAM"))
}

fn authenticator(users: ConfiguredUsersBuilder) -> Authenticator {
    Authenticator::new(Mode::Configured(users.build().unwrap()), Clock::manual(NOW))
}

fn named(user: &str, pass: &str) -> ConnectCredentials {
    ConnectCredentials {
        user: Some(user.to_owned()),
        pass: Some(SecretString::from(pass)),
        ..ConnectCredentials::default()
    }
}

async fn outcome(authenticator: &Authenticator, connect: &ConnectCredentials) -> Result<String, Reason> {
    let outcome = authenticate(authenticator, connect).await;
    outcome.map(|principal| principal.user).map_err(|refusal| refusal.reason)
}

fn certificate(subject: &[(DnType, &str)], names: Vec<SanType>) -> CertificateDer<'static> {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    for (kind, value) in subject {
        params.distinguished_name.push(kind.clone(), *value);
    }
    params.subject_alt_names = names;
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2031, 5, 6);
    params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
}

async fn by_certificate(
    authenticator: &Authenticator,
    certificate: &CertificateDer<'static>,
    connect: &ConnectCredentials,
) -> Result<String, Reason> {
    let chain = [certificate.clone()];
    let proof = Proof { certificates: &chain, map_certificates: true, ..proof(connect) };
    let outcome = authenticator.authenticate(proof, NOW).await;
    outcome.map(|principal| principal.user).map_err(|refusal| refusal.reason)
}

#[tokio::test]
async fn without_configuration_everybody_is_in_the_global_account() {
    let open = authenticator(ConfiguredUsers::builder());
    let principal = authenticate(&open, &named("whoever", "x")).await.unwrap();
    assert_eq!((principal.account, principal.method), (AccountName::global(), Method::Anonymous));
    assert!(!open.needs_nonce() && !open.announces_authentication(TCP) && !open.requires_authentication(TCP));
}

#[tokio::test]
async fn an_empty_list_of_users_lets_nobody_in() {
    let closed = authenticator(ConfiguredUsers::builder().required());
    assert_eq!(outcome(&closed, &ConnectCredentials::default()).await, Err(Reason::MissingCredentials));
    assert_eq!(outcome(&closed, &named("a", "b")).await, Err(Reason::MissingCredentials));
    assert!(closed.announces_authentication(TCP));
}

#[tokio::test]
async fn names_and_passwords_are_checked_in_every_stored_form() {
    let bcrypt = |version| bcrypt::hash_with_salt("pw", 4, [3; 16]).unwrap().format_for_version(version);
    let argon = crate::password::hash_argon2id(&SecretString::from("pw")).unwrap();
    let stored = [
        ("plain", "pw".to_owned()),
        ("argon", argon),
        ("2a", bcrypt(bcrypt::Version::TwoA)),
        ("2b", bcrypt(bcrypt::Version::TwoB)),
        ("2y", bcrypt(bcrypt::Version::TwoY)),
    ];
    let mut users = ConfiguredUsers::builder();
    for (name, password) in &stored {
        users = users.user(password_user(name, password));
    }
    let authenticator = authenticator(users);
    for (name, password) in &stored {
        assert_eq!(outcome(&authenticator, &named(name, "pw")).await.as_deref(), Ok(*name));
        for wrong in ["", "pW", "pw "] {
            assert_eq!(outcome(&authenticator, &named(name, wrong)).await, Err(Reason::WrongPassword), "{name}");
        }
        if *name != "plain" {
            assert_eq!(outcome(&authenticator, &named(name, password)).await, Err(Reason::WrongPassword), "{name}");
        }
    }
    assert_eq!(outcome(&authenticator, &named("nobody", "pw")).await, Err(Reason::UnknownUser));
    let without_password = ConnectCredentials { user: Some("plain".into()), ..ConnectCredentials::default() };
    assert_eq!(outcome(&authenticator, &without_password).await, Err(Reason::WrongPassword));
}

#[tokio::test]
async fn tokens_work_plain_and_hashed() {
    let hashed = bcrypt::hash_with_salt("t0ken", 4, [9; 16]).unwrap().to_string();
    for stored in ["t0ken", hashed.as_str()] {
        let authenticator = authenticator(ConfiguredUsers::builder().token(SecretString::from(stored)));
        let with = |token: &str| ConnectCredentials {
            auth_token: Some(SecretString::from(token)),
            ..ConnectCredentials::default()
        };
        assert_eq!(outcome(&authenticator, &with("t0ken")).await.as_deref(), Ok("[REDACTED]"));
        assert_eq!(outcome(&authenticator, &with("other")).await, Err(Reason::WrongToken));
        assert_eq!(outcome(&authenticator, &with("")).await, Err(Reason::MissingCredentials));
        assert_eq!(outcome(&authenticator, &named("t0ken", "t0ken")).await, Err(Reason::MissingCredentials));
    }
}

#[tokio::test]
async fn nkey_users_sign_the_nonce() {
    let (known, unknown) = (seed(Role::User), seed(Role::User));
    let authenticator = authenticator(ConfiguredUsers::builder().user(nkey_user(&known)));
    assert!(authenticator.needs_nonce());
    let with = |key: &Seed, signer: &Seed| ConnectCredentials {
        nkey: Some(key.public().to_string()),
        sig: Some(sign(signer, NONCE.as_bytes())),
        ..ConnectCredentials::default()
    };
    let principal = authenticate(&authenticator, &with(&known, &known)).await.unwrap();
    assert_eq!((principal.account.as_str(), principal.method), ("TEAM", Method::Nkey));
    assert_eq!(principal.user, known.public().to_string());
    assert_eq!(outcome(&authenticator, &with(&unknown, &unknown)).await, Err(Reason::UnknownUser));
    assert_eq!(outcome(&authenticator, &with(&known, &unknown)).await, Err(Reason::WrongNonceSignature));
    for bad in ["U", "not a key", &known.public().to_string().to_lowercase(), &seed(Role::Account).public().to_string()]
    {
        let connect = ConnectCredentials { nkey: Some(bad.to_owned()), ..with(&known, &known) };
        assert_eq!(outcome(&authenticator, &connect).await, Err(Reason::MalformedCredentials), "{bad}");
    }
    let by_name = named(&known.public().to_string(), "");
    assert!(outcome(&authenticator, &by_name).await.is_err(), "an nkey is no name");
}

#[tokio::test]
async fn the_no_auth_user_stands_in_for_nothing_only() {
    let users = || ConfiguredUsers::builder().user(password_user("guest", "pw")).user(password_user("alice", "pw"));
    let authenticator = authenticator(users().no_auth_user("guest"));
    assert!(!authenticator.announces_authentication(TCP) && authenticator.requires_authentication(TCP));
    let principal = authenticate(&authenticator, &ConnectCredentials::default()).await.unwrap();
    assert_eq!((principal.user.as_str(), principal.method), ("guest", Method::NoAuthUser));
    assert!(authenticator.admits_without_connect(ConnectionType::Standard));
    assert_eq!(outcome(&authenticator, &named("alice", "wrong")).await, Err(Reason::WrongPassword));
    assert_eq!(outcome(&authenticator, &named("nobody", "pw")).await, Err(Reason::UnknownUser));
    assert_eq!(outcome(&authenticator, &named("guest", "wrong")).await, Err(Reason::WrongPassword));
    let only_password = ConnectCredentials { pass: Some(SecretString::from("x")), ..ConnectCredentials::default() };
    assert_eq!(outcome(&authenticator, &only_password).await, Err(Reason::MissingCredentials));
}

#[tokio::test]
async fn a_user_jwt_means_nothing_in_configured_mode() {
    let house = House::new();
    let with_creds = house.user(&house.account, |_| {}).connect();
    let users = || ConfiguredUsers::builder().user(password_user("guest", "pw"));
    let open = authenticator(users().no_auth_user("guest"));
    assert_eq!(outcome(&open, &with_creds).await.as_deref(), Ok("guest"));
    assert_eq!(outcome(&authenticator(users()), &with_creds).await, Err(Reason::MissingCredentials));
}

#[tokio::test]
async fn the_websocket_listener_may_have_users_of_its_own() {
    let token = || ConfiguredUsers::builder().token(SecretString::from("web"));
    let authenticator = authenticator(ConfiguredUsers::builder().user(password_user("alice", "pw")).websocket(token()));
    let web = ConnectCredentials { auth_token: Some(SecretString::from("web")), ..ConnectCredentials::default() };
    let alice = named("alice", "pw");
    for (connect, kind, admitted) in [
        (&web, ConnectionType::Websocket, true),
        (&alice, ConnectionType::Websocket, false),
        (&web, TCP, false),
        (&alice, TCP, true),
        (&web, ConnectionType::LeafnodeWs, false),
    ] {
        let proof = Proof { connection_type: kind, ..proof(connect) };
        assert_eq!(authenticator.authenticate(proof, NOW).await.is_ok(), admitted, "{connect:?} over {kind}");
    }
    let only_web = super::configured_tests::authenticator(ConfiguredUsers::builder().websocket(token()));
    for (kind, asked) in [(TCP, false), (ConnectionType::Websocket, true)] {
        assert_eq!(only_web.requires_authentication(kind), asked, "{kind}");
        assert_eq!(only_web.announces_authentication(kind), asked, "{kind}");
        assert_eq!(only_web.admits_without_connect(kind), !asked, "{kind}");
    }
    let unknown = ConfiguredUsers::builder().websocket(ConfiguredUsers::builder().no_auth_user("nobody")).build();
    assert!(unknown.is_err(), "its no_auth_user must be a user, too");
}

#[tokio::test]
async fn the_no_auth_user_does_not_admit_leaf_nodes() {
    let authenticator =
        authenticator(ConfiguredUsers::builder().user(password_user("guest", "pw")).no_auth_user("guest"));
    let nothing = ConnectCredentials::default();
    for kind in [ConnectionType::Leafnode, ConnectionType::LeafnodeWs] {
        let proof = Proof { connection_type: kind, ..proof(&nothing) };
        assert!(authenticator.authenticate(proof, NOW).await.is_err(), "{kind}");
        assert!(!authenticator.admits_without_connect(kind), "{kind}");
    }
}

#[tokio::test]
async fn a_restricted_no_auth_user_is_not_usable_without_connect() {
    let mut websocket_only = password_user("guest", "pw");
    websocket_only.connection_types = vec!["WEBSOCKET".to_owned()];
    let mut proxied = password_user("guest", "pw");
    proxied.proxy_required = true;
    for (user, reason) in [(websocket_only, Reason::ConnectionTypeNotAllowed), (proxied, Reason::ProxyRequired)] {
        let authenticator = authenticator(ConfiguredUsers::builder().user(user).no_auth_user("guest"));
        assert!(!authenticator.admits_without_connect(ConnectionType::Standard));
        assert_eq!(outcome(&authenticator, &ConnectCredentials::default()).await, Err(reason));
    }
    let key = seed(Role::User);
    let nkey = authenticator(ConfiguredUsers::builder().user(nkey_user(&key)).no_auth_user(key.public().to_string()));
    assert!(!nkey.admits_without_connect(ConnectionType::Standard), "an nkey is no user by name");
    assert!(authenticate(&nkey, &ConnectCredentials::default()).await.is_ok(), "with an empty CONNECT it is");
}

#[test]
fn contradictions_are_configuration_errors() {
    use ConfiguredUsersError as E;
    let builder = ConfiguredUsers::builder;
    let key = seed(Role::User);
    let text = key.public().to_string();
    let cases = [
        (builder().user(password_user("a", "x")).user(password_user("a", "y")), E::Duplicate("a".into())),
        (builder().user(nkey_user(&key)).user(nkey_user(&key)), E::Duplicate(text.clone())),
        (builder().user(nkey_user(&key)).user(password_user(&text, "x")), E::Duplicate(text.clone())),
        (builder().user(password_user(&text, "x")).user(nkey_user(&key)), E::Duplicate(text.clone())),
        (builder().user(password_user("a", "x")).token(SecretString::from("t")), E::TokenWithUsers),
        (builder().token(SecretString::from("")), E::Empty("token".into())),
        (builder().user(password_user("a", "")), E::Empty("password of the user `a`".into())),
        (builder().user(password_user("", "x")), E::Empty("user name".into())),
        (builder().user(password_user("a", "x")).no_auth_user("b"), E::NoAuthUserUnknown("b".into())),
    ];
    for (builder, expected) in cases {
        assert_eq!(builder.build().map(|_| ()), Err(expected));
    }
}

#[tokio::test]
async fn certificates_are_mapped_email_then_dns_then_uri_then_subject() {
    let all = ["a@example.org", "host.example", "spiffe://example.org/app", "CN=worker,O=Acme"];
    let der = certificate(
        &[(DnType::OrganizationName, "Acme"), (DnType::CommonName, "worker")],
        vec![
            SanType::URI("spiffe://example.org/app".try_into().unwrap()),
            SanType::DnsName("host.example".try_into().unwrap()),
            SanType::Rfc822Name("a@example.org".try_into().unwrap()),
        ],
    );
    for first in 0..all.len() {
        let mut users = ConfiguredUsers::builder();
        for name in &all[first..] {
            users = users.user(certificate_user(name));
        }
        let found = by_certificate(&authenticator(users), &der, &ConnectCredentials::default()).await;
        assert_eq!(found.as_deref(), Ok(all[first]));
    }
    let nobody = authenticator(ConfiguredUsers::builder().user(certificate_user("else@example.org")));
    let found = by_certificate(&nobody, &der, &named("else@example.org", "")).await;
    assert_eq!(found, Err(Reason::CertificateUnmapped), "the name in CONNECT does not count");
}

#[tokio::test]
async fn subjects_match_in_any_order_but_each_part_once() {
    let der = certificate(
        &[(DnType::OrganizationalUnitName, "b"), (DnType::OrganizationName, "Acme"), (DnType::CommonName, "worker")],
        vec![],
    );
    for (name, matches) in [
        ("CN=worker,O=Acme,OU=b", true),
        ("cn=worker, ou=b, o=Acme", true),
        ("O=Acme,CN=worker,OU=b", true),
        ("CN=worker,OU=b,OU=b,O=Acme", false),
        ("CN=worker,CN=worker,OU=b", false),
        ("CN=worker,OU=b", false),
        ("CN=Worker,OU=b,O=Acme", false),
        ("CN=worker+OU=b,O=Acme", false),
    ] {
        let authenticator = authenticator(ConfiguredUsers::builder().user(certificate_user(name)));
        let found = by_certificate(&authenticator, &der, &ConnectCredentials::default()).await;
        assert_eq!(found.is_ok(), matches, "{name}");
    }
}

#[tokio::test]
async fn a_mapped_user_with_a_password_must_send_it_too() {
    let der = certificate(&[(DnType::CommonName, "worker")], vec![]);
    let authenticator = authenticator(ConfiguredUsers::builder().user(password_user("CN=worker", "pw")));
    assert_eq!(by_certificate(&authenticator, &der, &named("", "pw")).await.as_deref(), Ok("CN=worker"));
    assert_eq!(by_certificate(&authenticator, &der, &named("", "no")).await, Err(Reason::WrongPassword));
    let nothing = ConnectCredentials::default();
    assert_eq!(by_certificate(&authenticator, &der, &nothing).await, Err(Reason::WrongPassword));
}

#[tokio::test]
async fn a_certificate_user_cannot_log_in_by_name() {
    let authenticator = authenticator(ConfiguredUsers::builder().user(certificate_user("CN=worker")));
    for connect in [
        named("CN=worker", ""),
        named("CN=worker", "x"),
        ConnectCredentials { user: Some("CN=worker".into()), ..ConnectCredentials::default() },
    ] {
        assert_eq!(outcome(&authenticator, &connect).await, Err(Reason::WrongPassword));
    }
}

#[tokio::test]
async fn a_listener_that_maps_wants_a_certificate() {
    let authenticator =
        authenticator(ConfiguredUsers::builder().user(password_user("alice", "pw")).no_auth_user("alice"));
    for connect in [named("alice", "pw"), ConnectCredentials::default()] {
        let proof = Proof { map_certificates: true, ..proof(&connect) };
        let refusal = authenticator.authenticate(proof, NOW).await.expect_err("refused");
        assert_eq!(refusal.reason, Reason::CertificateMissing);
    }
}

#[tokio::test]
async fn a_certificate_that_names_nobody_is_refused() {
    let der = certificate(&[], vec![]);
    let authenticator = authenticator(ConfiguredUsers::builder().user(certificate_user("CN=worker")));
    assert_eq!(
        by_certificate(&authenticator, &der, &ConnectCredentials::default()).await,
        Err(Reason::CertificateUnmapped)
    );
}

#[tokio::test]
async fn users_of_other_connection_types_count_as_not_found() {
    let der =
        certificate(&[(DnType::CommonName, "worker")], vec![SanType::Rfc822Name("a@example.org".try_into().unwrap())]);
    let mut mail = certificate_user("a@example.org");
    mail.connection_types = vec!["MQTT".to_owned()];
    let authenticator = authenticator(ConfiguredUsers::builder().user(mail).user(certificate_user("CN=worker")));
    let found = by_certificate(&authenticator, &der, &ConnectCredentials::default()).await;
    assert_eq!(found.as_deref(), Ok("CN=worker"));
}

#[tokio::test]
async fn a_connection_ends_with_its_certificate_and_a_dead_one_is_refused() {
    const NOT_AFTER: i64 = 1_935_792_000;
    let chain = [certificate(&[(DnType::CommonName, "worker")], vec![])];
    let authenticator = authenticator(ConfiguredUsers::builder().user(certificate_user("CN=worker")));
    let connect = ConnectCredentials::default();
    let proof = Proof { certificates: &chain, map_certificates: true, ..proof(&connect) };
    let principal = authenticator.authenticate(proof, NOW).await.unwrap();
    assert_eq!((principal.expires, principal.method), (Some(NOT_AFTER), Method::Certificate));
    assert_eq!(principal.expires_because, Reason::CertificateExpired);
    let refusal = authenticator.authenticate(proof, NOT_AFTER + 1).await.expect_err("expired");
    assert_eq!(refusal.reason, Reason::CertificateExpired);
}

#[tokio::test]
async fn in_operator_mode_a_certificate_stands_for_a_user_jwt_with_all_its_checks() {
    let mut house = House::new();
    let user = house.user(&house.account, |_| {});
    let chain = [certificate(&[], vec![SanType::URI("spiffe://example.org/app".try_into().unwrap())])];
    let nothing = ConnectCredentials::default();
    let mapped = Proof { certificates: &chain, map_certificates: true, ..proof(&nothing) };
    let with_map = |house: &House| {
        house.authenticator_with(|mode| {
            mode.certificate_users.insert("spiffe://example.org/app", &user.jwt);
        })
    };
    let principal = with_map(&house).authenticate(mapped, NOW).await.unwrap();
    assert_eq!((principal.method, principal.user), (Method::Certificate, user.seed.public().to_string()));
    let unmapped = Proof { map_certificates: false, ..mapped };
    let refusal = with_map(&house).authenticate(unmapped, NOW).await.expect_err("not a mapping listener");
    assert_eq!(refusal.reason, Reason::MissingCredentials);
    let own_jwt = ConnectCredentials { jwt: Some(user.jwt.clone()), ..ConnectCredentials::default() };
    let presented = Proof { connect: &own_jwt, ..mapped };
    let refusal =
        with_map(&house).authenticate(presented, NOW).await.expect_err("a JWT in CONNECT needs its signature");
    assert_eq!(refusal.reason, Reason::WrongNonceSignature);
    house.account_claims.nats.revocations.revoke(user.seed.public(), NOW);
    let refusal = with_map(&house).authenticate(mapped, NOW).await.expect_err("revoked");
    assert_eq!(refusal.reason, Reason::Revoked);
}

#[tokio::test]
async fn failures_found_elsewhere_count_as_its_own() {
    let authenticator = authenticator(ConfiguredUsers::builder().user(password_user("a", "s3cret")));
    let ip = std::net::IpAddr::from([192, 0, 2, 1]);
    for _ in 0..1000 {
        authenticator.throttle().failed(ip, 0);
    }
    assert!(authenticator.throttle().check(ip, 0).is_err());
}

#[test]
fn plain_and_hashed_passwords_are_told_apart() {
    let hash = "$2a$04$n2LmhqyRPJJZW9/ySmyRpuLVwbKxpvtJR5cpcB0ktWBvCy0E3/MVq";
    let build = |users: &[(&str, &str)]| {
        let all = users.iter().map(|(name, password)| password_user(name, password));
        all.fold(ConfiguredUsers::builder(), ConfiguredUsersBuilder::user).build().unwrap()
    };
    let users = build(&[("plain", "s3cret"), ("also", "other"), ("hashed", hash)]);
    assert_eq!(users.plain_passwords(), ["also", "plain"]);
    assert_eq!(users.any_hashed_password().map(ExposeSecret::expose_secret), Some(hash));
    assert!(build(&[("plain", "s3cret")]).any_hashed_password().is_none());
}
