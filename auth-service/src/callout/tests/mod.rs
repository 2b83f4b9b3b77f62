//! Every wrong answer, and whose decisions are delegated, with a service that is a function.

mod configured;
mod operator;

use std::sync::Mutex;

use cordon_accounts::claims::{
    self, AuthorizationRequest, AuthorizationResponseClaims, ResponseClaim, SubjectsClaim, TimeRange, UserClaims,
};
use cordon_accounts::key::AccountKey;
use secrecy::{ExposeSecret as _, SecretString};

use super::*;
use crate::authenticator::{Authenticator, Mode};
use crate::clock::Clock;
use crate::configured::{ConfiguredAccount, ConfiguredUser, Credential};
use crate::lookup::CachedAccounts;
use crate::proof::{ConnectCredentials, Proof};
use crate::resolver::{MemoryResolver, Resolver as _, StorePolicy};
use crate::testing::{House, NOW, account_key, proof, seed};

/// What a service answers to a question.
type Answer = dyn Fn(&Question) -> Option<Vec<u8>> + Send + Sync;

/// Carries questions to a function.
struct FakeService {
    answer: Box<Answer>,
    asked: Mutex<Vec<AccountName>>,
    patience: Duration,
}

impl fmt::Debug for FakeService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FakeService")
    }
}

impl Callout for FakeService {
    fn ask(&self, question: Question) -> AnswerFuture<'_> {
        self.asked.lock().unwrap().push(question.account.clone());
        let answer = (self.answer)(&question);
        Box::pin(async move {
            match answer {
                Some(bytes) => Some(Zeroizing::new(bytes)),
                None => std::future::pending().await,
            }
        })
    }

    fn patience(&self) -> Duration {
        self.patience
    }
}

/// The request in a question that was not sealed.
fn read(question: &Question) -> claims::Verified<AuthorizationRequest> {
    claims::decode(std::str::from_utf8(&question.body).unwrap()).unwrap()
}

/// A service with the keys of one account, and the broker in front of it.
struct Desk {
    authenticator: Authenticator,
    service: Arc<FakeService>,
    server: Seed,
}

impl Desk {
    fn new(mode: Mode, answer: impl Fn(&Question) -> Option<Vec<u8>> + Send + Sync + 'static) -> Self {
        let server = seed(Role::Server);
        let service = Arc::new(FakeService {
            answer: Box::new(answer),
            asked: Mutex::default(),
            patience: Duration::from_millis(500),
        });
        let authenticator = Authenticator::new(mode, Clock::manual(NOW));
        let id = ServerId { name: "srv".to_owned(), ..ServerId::default() };
        authenticator.call_out_by(Caller::new(service.clone(), server.duplicate(), id).unwrap());
        Self { authenticator, service, server }
    }

    fn asked(&self) -> usize {
        self.service.asked.lock().unwrap().len()
    }

    async fn connect(&self, connect: &ConnectCredentials) -> Result<Principal, Refusal> {
        self.authenticator.authenticate(proof(connect), NOW).await
    }

    async fn reason(&self, connect: &ConnectCredentials) -> Reason {
        self.connect(connect).await.expect_err("refused").reason
    }
}

/// A response about the request's key, for the server that asked, as `change` makes it.
fn respond(
    question: &Question,
    signer: &Seed,
    jwt: impl FnOnce(UserKey) -> String,
    change: impl FnOnce(&mut AuthorizationResponseClaims),
) -> Vec<u8> {
    let request = read(question);
    let mut response =
        AuthorizationResponseClaims::new(request.nats.user_nkey, ServerKey::try_from(request.issuer).unwrap());
    response.nats.jwt = jwt(request.nats.user_nkey);
    change(&mut response);
    response.encode(signer, NOW).unwrap().into_bytes()
}

fn user(key: UserKey, signer: &Seed, change: impl FnOnce(&mut UserClaims)) -> String {
    let mut user = UserClaims::new(key);
    "APP".clone_into(&mut user.audience);
    change(&mut user);
    user.encode(signer, NOW).unwrap()
}

fn named(name: &str, password: &str) -> ConnectCredentials {
    ConnectCredentials {
        user: Some(name.to_owned()),
        pass: Some(SecretString::from(password)),
        ..ConnectCredentials::default()
    }
}
