//! Operator mode: the account of the JWT presented is asked, and may put users into others.

use super::*;

/// Operator mode with a callout account and another one, and the service of the first.
struct Tower {
    callout: House,
    other: House,
    service: Seed,
}

impl Tower {
    fn new(change: impl FnOnce(&mut House, &mut House)) -> Self {
        let (mut callout, mut other) = (House::new(), House::new());
        let service = seed(Role::User);
        callout.account_claims.nats.authorization.auth_users = vec![UserKey::try_from(service.public()).unwrap()];
        change(&mut callout, &mut other);
        Self { callout, other, service }
    }

    fn desk(&self, answer: impl Fn(&Question) -> Option<Vec<u8>> + Send + Sync + 'static) -> Desk {
        let trust = Arc::new(self.callout.trust());
        let resolver = MemoryResolver::default();
        for house in [&self.callout, &self.other] {
            let token = house.account_claims.encode(&self.callout.operator_signer, NOW - 500).unwrap();
            let record = trust.admit_account(&token, None, NOW).unwrap();
            resolver.store(&record, StorePolicy::Push, NOW).unwrap();
        }
        let accounts = Arc::new(CachedAccounts::new(trust.clone(), Arc::new(resolver)));
        Desk::new(Mode::Operator(OperatorMode::new(trust, accounts)), answer)
    }
}

#[tokio::test]
async fn a_sentinel_only_says_whom_to_ask() {
    // With a signature, without one, as a bearer token, and as one that the account forbids.
    for (signed, bearer, forbidden) in
        [(true, false, false), (false, false, false), (false, true, false), (false, true, true)]
    {
        let tower = Tower::new(|callout, _| callout.account_claims.nats.limits.disallow_bearer = forbidden);
        let signer = tower.callout.account.duplicate();
        let desk = tower.desk(move |question| {
            assert_eq!(read(question).nats.connect_opts.jwt.split('.').count(), 3);
            Some(respond(question, &signer, |key| user(key, &signer, |user| user.expires = NOW + 9), |_| {}))
        });
        let sentinel = tower.callout.user(&tower.callout.account, |user| user.nats.template.bearer_token = bearer);
        let mut connect = sentinel.connect();
        if !signed {
            connect.sig = None;
        }
        let principal = desk.connect(&connect).await.unwrap_or_else(|refusal| panic!("{signed} {bearer}: {refusal}"));
        assert_eq!((principal.method, principal.expires), (Method::Callout, Some(NOW + 9)));
        assert_ne!(principal.user_key.unwrap().public(), sentinel.seed.public(), "the sentinel is forgotten");
        assert_eq!(desk.asked(), 1);
    }
}

#[tokio::test]
async fn a_sentinel_that_does_not_hold_costs_the_service_nothing() {
    let tower = Tower::new(|callout, _| {
        callout.account_claims.nats.revocations.revoke(cordon_accounts::claims::revocation::Revoked::All, NOW - 150);
    });
    let stranger = seed(Role::Account);
    let callout = account_key(&tower.callout.account);
    let cases = [
        (
            "a stranger's",
            tower.callout.user(&stranger, |user| user.nats.issuer_account = Some(callout)),
            Reason::SignerUnknown,
        ),
        ("expired", tower.callout.user(&tower.callout.account, |user| user.expires = NOW - 1), Reason::Expired),
        (
            "of another network",
            tower.callout.user(&tower.callout.account, |user| user.nats.template.src = vec!["10.0.0.0/8".to_owned()]),
            Reason::AddressNotAllowed,
        ),
        (
            "of another way",
            tower.callout.user(&tower.callout.account, |user| {
                user.nats.template.allowed_connection_types = vec!["MQTT".to_owned()];
            }),
            Reason::ConnectionTypeNotAllowed,
        ),
        (
            "for a proxy",
            tower.callout.user(&tower.callout.account, |user| user.nats.template.proxy_required = true),
            Reason::ProxyRequired,
        ),
    ];
    for (what, sentinel, reason) in cases {
        let desk = tower.desk(|_| Some(Vec::new()));
        assert_eq!(desk.reason(&sentinel.connect()).await, reason, "{what}");
        assert_eq!(desk.asked(), 0, "{what}");
    }
    let desk = tower.desk(|_| Some(Vec::new()));
    let other = tower.other.user(&tower.other.account, |_| {});
    desk.connect(&other.connect()).await.expect("an account without a service decides by itself");
    assert_eq!(desk.asked(), 0);
}

#[tokio::test]
async fn a_revoked_sentinel_is_refused_without_a_question() {
    let tower = Tower::new(|callout, _| {
        callout.account_claims.nats.revocations.revoke(cordon_accounts::claims::revocation::Revoked::All, NOW);
    });
    let desk = tower.desk(|_| Some(Vec::new()));
    let sentinel = tower.callout.user(&tower.callout.account, |_| {});
    assert_eq!(desk.reason(&sentinel.connect()).await, Reason::Revoked);
    assert_eq!(desk.asked(), 0);
}

#[tokio::test]
async fn auth_users_prove_themselves_and_nobody_passes_for_one_by_name() {
    let tower = Tower::new(|_, _| {});
    let service = tower.service.public();
    let mut claims = UserClaims::new(UserKey::try_from(service).unwrap());
    claims.nats.issuer_account = None;
    let jwt = claims.encode(&tower.callout.account, NOW - 10).unwrap();
    let own = crate::testing::TestUser { seed: tower.service.duplicate(), jwt };
    let desk = tower.desk(|_| Some(Vec::new()));
    let principal = desk.connect(&own.connect()).await.expect("the service");
    let record = tower.callout.record();
    assert!(desk.authenticator.answers_callouts(&principal, Some(&record)));
    assert_eq!(desk.asked(), 0);
    let unsigned = ConnectCredentials { sig: None, ..own.connect() };
    assert_eq!(desk.reason(&unsigned).await, Reason::WrongNonceSignature);
    assert_eq!(desk.asked(), 0, "an auth user that proves nothing is refused at once");
    let sentinel = tower.callout.user(&tower.callout.account, |_| {});
    let text = Some(service.to_string());
    for claims_it in [
        ConnectCredentials { user: text.clone(), ..sentinel.connect() },
        ConnectCredentials { nkey: text, ..sentinel.connect() },
    ] {
        assert_eq!(desk.reason(&claims_it).await, Reason::CalloutRefused, "the service was asked");
    }
}

/// Which account a user is put into, by whom, and whether that account is allowed.
#[tokio::test]
async fn users_are_put_into_allowed_accounts_only_and_by_their_own_keys() {
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Allowed {
        None,
        Other,
        All,
    }
    for allowed in [Allowed::None, Allowed::Other, Allowed::All] {
        for own_key in [true, false] {
            let tower = Tower::new(|callout, other| {
                let list = &mut callout.account_claims.nats.authorization.allowed_accounts;
                match allowed {
                    Allowed::None => {}
                    Allowed::Other => list.push(account_key(&other.account).to_string()),
                    Allowed::All => list.push("*".to_owned()),
                }
            });
            let answers = tower.callout.account.duplicate();
            let target = account_key(&tower.other.account);
            let signs = if own_key { tower.other.signer.duplicate() } else { tower.callout.account.duplicate() };
            let desk = tower.desk(move |question| {
                let claims = |key| user(key, &signs, |user| user.nats.issuer_account = Some(target));
                Some(respond(question, &answers, claims, |_| {}))
            });
            let sentinel = tower.callout.user(&tower.callout.account, |_| {});
            let decided = desk.connect(&sentinel.connect()).await;
            let expected = match (allowed, own_key) {
                (Allowed::None, _) => Err(Reason::CalloutInvalid),
                (_, true) => Ok(AccountName::from(target)),
                (_, false) => Err(Reason::SignerUnknown),
            };
            let decided = decided.map(|principal| principal.account).map_err(|refusal| refusal.reason);
            assert_eq!(decided, expected, "{allowed:?} {own_key}");
        }
    }
}

/// A way to spoil an answer of operator mode.
type SpoilOperator =
    (&'static str, fn(&mut House), fn(&Tower, &mut AuthorizationResponseClaims, &mut UserClaims), Reason);

#[tokio::test]
async fn every_wrong_answer_is_refused_in_operator_mode() {
    let cases: &[SpoilOperator] = &[
        ("nothing", |_| {}, |_, _, _| {}, Reason::InternalError),
        (
            "another account",
            |_| {},
            |t, r, _| r.nats.issuer_account = Some(account_key(&t.other.account)),
            Reason::CalloutInvalid,
        ),
        ("an expired user", |_| {}, |_, _, u| u.expires = NOW - 1, Reason::CalloutInvalid),
        (
            "an unknown account",
            |_| {},
            |_, _, u| u.nats.issuer_account = Some(account_key(&seed(Role::Account))),
            Reason::CalloutInvalid,
        ),
        (
            "an unknown account, all allowed",
            |h| h.account_claims.nats.authorization.allowed_accounts = vec!["*".to_owned()],
            |_, _, u| u.nats.issuer_account = Some(account_key(&seed(Role::Account))),
            Reason::AccountUnknown,
        ),
        (
            "a bearer token that the account forbids",
            |h| h.account_claims.nats.limits.disallow_bearer = true,
            |_, _, u| u.nats.template.bearer_token = true,
            Reason::BearerNotAllowed,
        ),
        ("a network", |_| {}, |_, _, u| u.nats.template.src = vec!["10.0.0.0/8".to_owned()], Reason::AddressNotAllowed),
        (
            "a way",
            |_| {},
            |_, _, u| u.nats.template.allowed_connection_types = vec!["MQTT".to_owned()],
            Reason::ConnectionTypeNotAllowed,
        ),
        ("a proxy", |_| {}, |_, _, u| u.nats.template.proxy_required = true, Reason::ProxyRequired),
    ];
    for (what, change, spoil, reason) in cases {
        let tower = Arc::new(Tower::new(|callout, _| change(callout)));
        let (answering, spoil) = (tower.clone(), *spoil);
        let desk = tower.desk(move |question| {
            let request = read(question);
            let signer = &answering.callout.account;
            let mut response =
                AuthorizationResponseClaims::new(request.nats.user_nkey, ServerKey::try_from(request.issuer).unwrap());
            let mut user = UserClaims::new(request.nats.user_nkey);
            spoil(&answering, &mut response, &mut user);
            response.nats.jwt = user.encode(signer, NOW).unwrap();
            Some(response.encode(signer, NOW).unwrap().into_bytes())
        });
        let sentinel = tower.callout.user(&tower.callout.account, |_| {});
        match desk.connect(&sentinel.connect()).await {
            Ok(principal) => {
                assert_eq!((*what, principal.account), ("nothing", account_key(&tower.callout.account).into()));
            }
            Err(refusal) => assert_eq!(refusal.reason, *reason, "{what}: {refusal}"),
        }
    }
}

#[tokio::test]
async fn a_key_of_another_account_signs_no_answer() {
    let tower = Tower::new(|callout, _| {
        callout.account_claims.nats.authorization.allowed_accounts = vec!["*".to_owned()];
    });
    for (own, names) in [(true, true), (true, false), (false, true), (false, false)] {
        let target = account_key(&tower.other.account);
        let asked = account_key(&tower.callout.account);
        let (signs, answers) = (
            tower.other.account.duplicate(),
            if own { tower.callout.signer.duplicate() } else { tower.other.account.duplicate() },
        );
        let desk = tower.desk(move |question| {
            let claims = |key| user(key, &signs, |user| user.nats.issuer_account = Some(target));
            Some(respond(question, &answers, claims, |response| {
                response.nats.issuer_account = names.then_some(asked);
            }))
        });
        let sentinel = tower.callout.user(&tower.callout.account, |_| {});
        assert_eq!(desk.connect(&sentinel.connect()).await.is_ok(), own, "{own} {names}");
    }
}

#[tokio::test]
async fn scoped_keys_expand_in_the_account_that_the_user_is_put_into() {
    for carries_permissions in [false, true] {
        let tower = Tower::new(|callout, other| {
            callout.account_claims.nats.authorization.allowed_accounts = vec!["*".to_owned()];
            let template = &mut other.scope_mut().template;
            template.permissions.publish.allow = vec!["at.{{account-name()}}.{{name()}}".to_owned()];
            other.account_claims.name = "other".to_owned();
        });
        let target: AccountKey = account_key(&tower.other.account);
        let (signs, answers) = (tower.other.scoped.duplicate(), tower.callout.account.duplicate());
        let desk = tower.desk(move |question| {
            let claims = |key| {
                let mut user = UserClaims::scoped(key);
                "alice".clone_into(&mut user.name);
                user.nats.issuer_account = Some(target);
                if carries_permissions {
                    user.nats.template.permissions.publish.allow = vec![">".to_owned()];
                }
                user.encode(&signs, NOW).unwrap()
            };
            Some(respond(question, &answers, claims, |_| {}))
        });
        let sentinel = tower.callout.user(&tower.callout.account, |_| {});
        let decided = desk.connect(&sentinel.connect()).await;
        if carries_permissions {
            assert_eq!(decided.unwrap_err().reason, Reason::ScopedUserHasPermissions);
        } else {
            let principal = decided.unwrap();
            assert!(principal.permissions.may_publish(b"at.other.alice").is_ok());
            assert!(principal.permissions.may_publish(b"at.tenant.alice").is_err());
            assert!(principal.scope.is_some());
        }
    }
}

#[tokio::test]
async fn revocations_reach_users_of_a_service_by_key_and_time_of_issue() {
    let tower = Tower::new(|_, _| {});
    let signer = tower.callout.account.duplicate();
    let desk = tower.desk(move |question| Some(respond(question, &signer, |key| user(key, &signer, |_| {}), |_| {})));
    let sentinel = tower.callout.user(&tower.callout.account, |_| {});
    let principal = desk.connect(&sentinel.connect()).await.unwrap();
    let record = |revoked: Option<i64>| {
        let mut claims = tower.callout.account_claims.clone();
        if let Some(at) = revoked {
            claims.nats.revocations.revoke(principal.user_key.unwrap(), at);
        }
        let token = claims.encode(&tower.callout.operator_signer, NOW - 400).unwrap();
        tower.callout.trust().admit_account(&token, None, NOW).unwrap()
    };
    assert!(crate::still_valid(&principal, &record(None), NOW).is_ok());
    assert!(crate::still_valid(&principal, &record(Some(NOW - 1)), NOW).is_ok(), "issued later");
    let (reason, _) = crate::still_valid(&principal, &record(Some(NOW)), NOW).unwrap_err();
    assert_eq!(reason, Reason::Revoked);
}
