//! Configured mode: one issuer, and accounts by name.

use super::*;

/// Configured mode: `auth` is the service in AUTH, `app` and `far` are users of their accounts.
fn configured(issuer: &Seed, change: impl FnOnce(&mut CalloutSettings)) -> Mode {
    let of = |name: &str, account: &str| {
        ConfiguredUser::new(name, Credential::Password(SecretString::from("pwd")), AccountName::new(account))
    };
    let mut settings = CalloutSettings {
        issuer: account_key(issuer),
        account: AccountName::new("AUTH"),
        users: ["auth".to_owned(), "ghost".to_owned()].into(),
        xkey: None,
        allowed_accounts: Vec::new(),
    };
    change(&mut settings);
    let users = ConfiguredUsers::builder()
        .user(of("auth", "AUTH"))
        .user(of("app", "APP"))
        .user(of("far", "FAR"))
        .account(AccountName::new("EMPTY"), ConfiguredAccount::default())
        .callout(settings);
    Mode::Configured(users.build().unwrap())
}

/// A way to spoil an answer of configured mode.
type Spoil = (&'static str, fn(&mut AuthorizationResponseClaims, &mut UserClaims), Reason);

#[tokio::test]
async fn every_wrong_answer_is_refused_in_configured_mode() {
    use Reason::{
        AddressNotAllowed, CalloutInvalid, CalloutRefused, ConnectionTypeNotAllowed, ProxyRequired, TimeNotAllowed,
    };
    let cases: &[Spoil] = &[
        ("another key", |r, _| r.subject = seed(Role::User).public(), CalloutInvalid),
        ("another server", |r, _| r.audience = seed(Role::Server).public().to_string(), CalloutInvalid),
        ("no audience", |r, _| r.audience.clear(), CalloutInvalid),
        ("expired", |r, _| r.expires = NOW - 1, CalloutInvalid),
        ("not yet", |r, _| r.not_before = NOW + 1, CalloutInvalid),
        ("an error", |r, _| ("no".clone_into(&mut r.nats.error), r.nats.jwt.clear()).0, CalloutRefused),
        ("an error and a JWT", |r, _| "no".clone_into(&mut r.nats.error), CalloutInvalid),
        ("neither", |r, _| r.nats.jwt.clear(), CalloutInvalid),
        ("no JWT", |r, _| "x".clone_into(&mut r.nats.jwt), CalloutInvalid),
        ("an account", |r, _| r.nats.issuer_account = Some(account_key(&seed(Role::Account))), CalloutInvalid),
        ("a user of another key", |_, u| u.subject = seed(Role::User).public(), CalloutInvalid),
        ("an expired user", |_, u| u.expires = NOW - 1, CalloutInvalid),
        ("an early user", |_, u| u.not_before = NOW + 1, CalloutInvalid),
        (
            "a user with an account",
            |_, u| u.nats.issuer_account = Some(account_key(&seed(Role::Account))),
            CalloutInvalid,
        ),
        ("a user of no account", |_, u| u.audience.clear(), CalloutInvalid),
        ("a user of an unknown account", |_, u| "NONE".clone_into(&mut u.audience), CalloutInvalid),
        ("a bad network", |_, u| u.nats.template.src = vec!["x".to_owned()], CalloutInvalid),
        ("another network", |_, u| u.nats.template.src = vec!["10.0.0.0/8".to_owned()], AddressNotAllowed),
        (
            "another way",
            |_, u| u.nats.template.allowed_connection_types = vec!["WEBSOCKET".to_owned()],
            ConnectionTypeNotAllowed,
        ),
        (
            "no way",
            |_, u| u.nats.template.allowed_connection_types = vec!["FUTURE".to_owned()],
            ConnectionTypeNotAllowed,
        ),
        ("a proxy", |_, u| u.nats.template.proxy_required = true, ProxyRequired),
        ("bad permissions", |_, u| u.nats.template.permissions.publish.deny = vec!["a..b".to_owned()], CalloutInvalid),
        (
            "another time of day",
            |_, u| {
                let (start, end) = ("01:00:00".to_owned(), "02:00:00".to_owned());
                u.nats.template.times = vec![TimeRange { start, end }];
                "UTC".clone_into(&mut u.nats.template.times_location);
            },
            TimeNotAllowed,
        ),
    ];
    for (what, spoil, reason) in cases {
        let issuer = seed(Role::Account);
        let signer = issuer.duplicate();
        let spoil = *spoil;
        let desk = Desk::new(configured(&issuer, |_| {}), move |question| {
            let request = read(question);
            let mut response =
                AuthorizationResponseClaims::new(request.nats.user_nkey, ServerKey::try_from(request.issuer).unwrap());
            let mut user = UserClaims::new(request.nats.user_nkey);
            "APP".clone_into(&mut user.audience);
            response.nats.jwt = "later".to_owned();
            spoil(&mut response, &mut user);
            if response.nats.jwt == "later" {
                response.nats.jwt = user.encode(&signer, NOW).unwrap();
            }
            Some(response.encode(&signer, NOW).unwrap().into_bytes())
        });
        let refusal = desk.connect(&named("dlc", "zzz")).await.expect_err(what);
        assert_eq!(refusal.reason, *reason, "{what}: {refusal}");
        assert_eq!(refusal.account, Some(AccountName::new("AUTH")), "{what}");
        assert_eq!(desk.asked(), 1, "{what}");
    }
}

#[tokio::test]
async fn only_the_issuer_signs_answers_and_their_users() {
    for (answer_by_issuer, user_by_issuer) in [(true, true), (false, true), (true, false), (false, false)] {
        let (issuer, stranger) = (seed(Role::Account), seed(Role::Account));
        let pick = |own: bool| if own { issuer.duplicate() } else { stranger.duplicate() };
        let (of_answer, of_user) = (pick(answer_by_issuer), pick(user_by_issuer));
        let desk = Desk::new(configured(&issuer, |_| {}), move |question| {
            Some(respond(question, &of_answer, |key| user(key, &of_user, |_| {}), |_| {}))
        });
        let decided = desk.connect(&named("dlc", "zzz")).await;
        assert_eq!(decided.is_ok(), answer_by_issuer && user_by_issuer, "{answer_by_issuer} {user_by_issuer}");
        if let Err(refusal) = decided {
            assert_eq!(refusal.reason, Reason::CalloutInvalid);
        }
    }
}

#[tokio::test]
async fn answers_that_are_none_are_refused() {
    for (answer, reason) in [
        (Some(Vec::new()), Reason::CalloutRefused),
        (Some(b"no".to_vec()), Reason::CalloutInvalid),
        (Some(b"eyJ.eyJ.eyJ".to_vec()), Reason::CalloutInvalid),
        (Some(b"xkv1 and more bytes than its head, but no box".to_vec()), Reason::CalloutInvalid),
        (Some(vec![0xff; 40]), Reason::CalloutInvalid),
        (None, Reason::CalloutUnavailable),
    ] {
        let issuer = seed(Role::Account);
        let given = answer.clone();
        let desk = Desk::new(configured(&issuer, |_| {}), move |_| given.clone());
        assert_eq!(desk.reason(&named("dlc", "zzz")).await, reason, "{answer:?}");
    }
}

#[tokio::test]
async fn an_answer_to_an_earlier_question_is_refused() {
    let issuer = seed(Role::Account);
    let signer = issuer.duplicate();
    let first: Mutex<Option<Vec<u8>>> = Mutex::new(None);
    let desk = Desk::new(configured(&issuer, |_| {}), move |question| {
        let mut first = first.lock().unwrap();
        let fresh = respond(question, &signer, |key| user(key, &signer, |_| {}), |_| {});
        Some(first.get_or_insert(fresh).clone())
    });
    desk.connect(&named("dlc", "zzz")).await.expect("the first");
    assert_eq!(desk.reason(&named("dlc", "zzz")).await, Reason::CalloutInvalid);
}

#[tokio::test]
async fn an_answer_decides_account_permissions_limits_and_end() {
    let issuer = seed(Role::Account);
    let signer = issuer.duplicate();
    let desk = Desk::new(configured(&issuer, |_| {}), move |question| {
        let claims = |key| {
            user(key, &signer, |user| {
                "alice".clone_into(&mut user.name);
                "EMPTY".clone_into(&mut user.audience);
                user.expires = NOW + 60;
                user.nats.tags = vec!["team:a".to_owned()];
                let permissions = &mut user.nats.template.permissions;
                permissions.publish = SubjectsClaim { allow: vec!["a.>".to_owned()], deny: Vec::new() };
                permissions.response = Some(ResponseClaim::default());
                user.nats.template.limits.subs = 3.into();
                user.nats.template.limits.payload = 10.into();
            })
        };
        Some(respond(question, &signer, claims, |_| {}))
    });
    let principal = desk.connect(&named("dlc", "zzz")).await.unwrap();
    assert_eq!((principal.account.as_str(), principal.user.as_str()), ("EMPTY", "alice"));
    assert_eq!((principal.method, principal.expires), (Method::Callout, Some(NOW + 60)));
    assert_eq!((principal.limits.subscriptions, principal.limits.payload), (Some(3), Some(10)));
    assert!(principal.permissions.may_publish(b"a.b").is_ok() && principal.permissions.may_publish(b"b").is_err());
    assert!(principal.permissions.response().is_some());
    assert_eq!(principal.tags, ["team:a"]);
}

#[tokio::test]
async fn a_user_without_a_name_is_the_key_made_for_it_and_never_what_connect_says() {
    let issuer = seed(Role::Account);
    let signer = issuer.duplicate();
    let desk = Desk::new(configured(&issuer, |_| {}), move |question| {
        Some(respond(question, &signer, |key| user(key, &signer, |_| {}), |_| {}))
    });
    let principal = desk.connect(&named("auth2", "zzz")).await.unwrap();
    assert_eq!(principal.user, principal.user_key.unwrap().to_string());
}

#[tokio::test]
async fn the_question_holds_what_was_sent_and_is_signed_by_the_server() {
    let issuer = seed(Role::Account);
    let held: Arc<Mutex<Vec<String>>> = Arc::default();
    let keep = held.clone();
    let desk = Desk::new(configured(&issuer, |_| {}), move |question| {
        assert!(question.sealed_by.is_none());
        assert!(!format!("{question:?}").contains("eyJ"));
        keep.lock().unwrap().push(String::from_utf8(question.body.to_vec()).unwrap());
        Some(Vec::new())
    });
    let connect = ConnectCredentials {
        auth_token: Some(SecretString::from("tok")),
        sig: Some("AAAA".to_owned()),
        jwt: Some("eyJ0".to_owned()),
        ..named("dlc", "zzz")
    };
    for _ in 0..2 {
        let client = crate::proof::ClientDetails {
            id: 7,
            name: "nm",
            lang: "py",
            version: "1",
            protocol: 1,
            tls: Some(("1.3", "TLS_AES_128_GCM_SHA256")),
        };
        let proof = Proof { client, ..proof(&connect) };
        desk.authenticator.authenticate(proof, NOW).await.expect_err("an empty answer");
    }
    let held = held.lock().unwrap();
    let requests: Vec<claims::Verified<AuthorizationRequest>> =
        held.iter().map(|token| claims::decode(token).unwrap()).collect();
    assert_ne!(requests[0].nats.user_nkey, requests[1].nats.user_nkey, "a key for each attempt");
    let request = &requests[0];
    assert_eq!((request.issuer, request.subject), (desk.server.public(), issuer.public()));
    assert_eq!((request.audience.as_str(), request.issued_at), ("nats-authorization-request", NOW));
    assert_eq!(request.expires, NOW + 1, "the time to answer, in whole seconds");
    let nats = &request.nats;
    assert_eq!((nats.server_id.id.clone(), nats.server_id.name.as_str()), (desk.server.public().to_string(), "srv"));
    assert!(nats.server_id.xkey.is_none());
    let info = &nats.client_info;
    assert_eq!((info.host.as_str(), info.id, info.user.as_str(), info.name.as_str()), ("192.0.2.10", 7, "dlc", "nm"));
    assert_eq!(
        (info.kind.as_str(), info.client_type.as_str(), info.nonce.as_str()),
        ("Client", "nats", crate::testing::NONCE)
    );
    let sent = &nats.connect_opts;
    assert_eq!((sent.user.as_str(), sent.lang.as_str(), sent.protocol, sent.jwt.as_str()), ("dlc", "py", 1, ""));
    assert_eq!(sent.pass.as_ref().unwrap().expose_secret(), "zzz");
    assert_eq!(sent.auth_token.as_ref().unwrap().expose_secret(), "tok");
    let tls = nats.client_tls.as_ref().unwrap();
    assert_eq!((tls.version.as_str(), tls.cipher.as_str()), ("1.3", "TLS_AES_128_GCM_SHA256"));
}

#[tokio::test]
async fn sealed_questions_are_opened_by_the_service_alone_and_answers_may_be_plain() {
    for answer_sealed in [true, false] {
        let (issuer, xkey) = (seed(Role::Account), seed(Role::Curve));
        let (signer, curve) = (issuer.duplicate(), xkey.duplicate());
        let public = CurveKey::try_from(xkey.public()).unwrap();
        let desk = Desk::new(configured(&issuer, |settings| settings.xkey = Some(public)), move |question| {
            let server = question.sealed_by.expect("the broker's curve key");
            assert!(!question.body.windows(3).any(|bytes| bytes == b"eyJ"), "nothing is readable");
            let opened = Zeroizing::new(curve.open(&question.body, &server).unwrap());
            let plain = Question { account: question.account.clone(), sealed_by: None, body: opened };
            assert_eq!(read(&plain).nats.server_id.xkey, Some(server));
            let answer = respond(&plain, &signer, |key| user(key, &signer, |_| {}), |_| {});
            if answer_sealed {
                Some(curve.seal(&answer, &server, &mut rand::rngs::OsRng).unwrap())
            } else {
                Some(answer)
            }
        });
        desk.connect(&named("dlc", "zzz")).await.unwrap_or_else(|refusal| panic!("{answer_sealed}: {refusal}"));
    }
}

#[tokio::test]
async fn a_box_of_another_sender_or_with_a_changed_byte_is_refused() {
    for own_key in [true, false] {
        let (issuer, xkey, other) = (seed(Role::Account), seed(Role::Curve), seed(Role::Curve));
        let (signer, curve) = (issuer.duplicate(), xkey.duplicate());
        let public = CurveKey::try_from(xkey.public()).unwrap();
        let desk = Desk::new(configured(&issuer, |settings| settings.xkey = Some(public)), move |question| {
            let server = question.sealed_by.unwrap();
            let opened = Zeroizing::new(curve.open(&question.body, &server).unwrap());
            let plain = Question { account: question.account.clone(), sealed_by: None, body: opened };
            let answer = respond(&plain, &signer, |key| user(key, &signer, |_| {}), |_| {});
            let sender = if own_key { &curve } else { &other };
            let mut sealed = sender.seal(&answer, &server, &mut rand::rngs::OsRng).unwrap();
            if own_key {
                *sealed.last_mut().unwrap() ^= 1;
            }
            Some(sealed)
        });
        assert_eq!(desk.reason(&named("dlc", "zzz")).await, Reason::CalloutInvalid, "{own_key}");
    }
}

#[tokio::test]
async fn whom_the_configuration_lets_the_service_decide_about() {
    // name, password, accounts allowed, asked?, outcome: account or reason
    type Case = (&'static str, &'static str, &'static [&'static str], bool, Result<&'static str, Reason>);
    let cases: &[Case] = &[
        ("auth", "pwd", &[], false, Ok("AUTH")),
        ("auth", "bad", &[], false, Err(Reason::WrongPassword)),
        ("app", "pwd", &[], true, Ok("APP")),
        ("app", "bad", &[], true, Ok("APP")),
        ("nobody", "bad", &[], true, Ok("APP")),
        ("nobody", "bad", &["APP"], true, Ok("APP")),
        ("far", "pwd", &["APP"], false, Ok("FAR")),
        ("far", "bad", &["APP"], false, Err(Reason::WrongPassword)),
        ("app", "bad", &["APP"], true, Ok("APP")),
        ("nobody", "bad", &["FAR"], true, Err(Reason::CalloutInvalid)),
        ("ghost", "bad", &[], true, Ok("APP")),
    ];
    for (name, password, allowed, asked, outcome) in cases {
        let issuer = seed(Role::Account);
        let signer = issuer.duplicate();
        let allowed_accounts = allowed.iter().map(|name| AccountName::new(*name)).collect();
        let mode = configured(&issuer, |settings| settings.allowed_accounts = allowed_accounts);
        let desk =
            Desk::new(mode, move |question| Some(respond(question, &signer, |key| user(key, &signer, |_| {}), |_| {})));
        let decided = desk.connect(&named(name, password)).await;
        assert_eq!(desk.asked() == 1, *asked, "{name} {password} {allowed:?}");
        let decided = decided.map(|principal| principal.account.to_string()).map_err(|refusal| refusal.reason);
        assert_eq!(decided, outcome.map(str::to_owned), "{name} {password} {allowed:?}");
    }
}

#[tokio::test]
async fn who_presents_nothing_is_asked_about_too() {
    let issuer = seed(Role::Account);
    let desk = Desk::new(configured(&issuer, |_| {}), |_| Some(Vec::new()));
    assert_eq!(desk.reason(&ConnectCredentials::default()).await, Reason::CalloutRefused);
    assert_eq!(desk.asked(), 1);
}

#[tokio::test]
async fn a_refusal_by_the_service_counts_against_the_address_and_its_silence_does_not() {
    for (reason, counts) in
        [(Reason::CalloutRefused, true), (Reason::CalloutUnavailable, false), (Reason::CalloutInvalid, false)]
    {
        assert_eq!(Refusal::new(reason, "").counts_as_failure(), counts, "{reason}");
    }
}

#[tokio::test]
async fn without_anybody_to_ask_by_nobody_comes_in() {
    let issuer = seed(Role::Account);
    let authenticator = Authenticator::new(configured(&issuer, |_| {}), Clock::manual(NOW));
    let connect = named("dlc", "zzz");
    let refusal = authenticator.authenticate(proof(&connect), NOW).await.unwrap_err();
    assert_eq!(refusal.reason, Reason::CalloutUnavailable);
}

#[tokio::test]
async fn questions_under_way_for_one_address_are_bounded() {
    let issuer = seed(Role::Account);
    let desk = Desk::new(configured(&issuer, |_| {}), |_| None);
    let connect = named("dlc", "zzz");
    let mut attempts: Vec<_> = (0..OF_ONE_ADDRESS + 10).map(|_| Box::pin(desk.connect(&connect))).collect();
    // All of them in one turn, however much that is.
    tokio::task::unconstrained(std::future::poll_fn(|context| {
        assert!(attempts.iter_mut().all(|attempt| attempt.as_mut().poll(context).is_pending()));
        std::task::Poll::Ready(())
    }))
    .await;
    assert_eq!(desk.asked(), OF_ONE_ADDRESS);
    drop(attempts);
    assert!(desk.connect(&connect).await.is_err());
    assert_eq!(desk.asked(), OF_ONE_ADDRESS + 1, "places are given back");
}

#[tokio::test]
async fn a_principal_of_a_service_is_no_service_whatever_its_name() {
    let issuer = seed(Role::Account);
    let signer = issuer.duplicate();
    let desk = Desk::new(configured(&issuer, |_| {}), move |question| {
        let claims = |key| {
            user(key, &signer, |user| {
                "auth".clone_into(&mut user.name);
                "AUTH".clone_into(&mut user.audience);
            })
        };
        Some(respond(question, &signer, claims, |_| {}))
    });
    let passed = desk.connect(&named("dlc", "zzz")).await.unwrap();
    assert_eq!((passed.user.as_str(), passed.account.as_str()), ("auth", "AUTH"));
    assert!(!desk.authenticator.answers_callouts(&passed, None));
    let service = desk.connect(&named("auth", "pwd")).await.unwrap();
    assert!(desk.authenticator.answers_callouts(&service, None));
    let elsewhere = Principal::bare(AccountName::new("APP"), "auth".to_owned(), Method::Password);
    assert!(!desk.authenticator.answers_callouts(&elsewhere, None), "of another account");
}

/// Any bytes as an answer: an error at most.
#[test]
fn arbitrary_answers_never_panic() {
    use proptest::prelude::*;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    proptest!(ProptestConfig::with_cases(64), |(bytes in proptest::collection::vec(any::<u8>(), 1..200), token in any::<bool>())| {
        let issuer = seed(Role::Account);
        let bytes = if token { [b"eyJ".as_slice(), &bytes].concat() } else { bytes };
        let desk = Desk::new(configured(&issuer, |_| {}), move |_| Some(bytes.clone()));
        let refusal = runtime.block_on(desk.connect(&named("dlc", "zzz"))).expect_err("no answer of the issuer");
        prop_assert_eq!(refusal.reason, Reason::CalloutInvalid);
    });
}
