//! The service that says who those are who come by auth callout: one account has it, and users of all accounts go through it.

use std::pin::pin;

use cordon_accounts::claims::{self, AuthorizationRequest, AuthorizationResponseClaims, UserClaims, Verified};
use cordon_accounts::key::{Role, Seed, ServerKey, UserKey};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::scene::{Person, Place, seed};
use super::site::options;
use crate::peer::{Peer, connect_with};
use crate::wait::now;

/// Where questions come.
const QUESTIONS: &str = "$SYS.REQ.USER.AUTH";

/// The account whose service is asked.
#[derive(Debug)]
pub struct Hall {
    /// The account.
    pub place: Place,
    service: Seed,
    peer: Option<Mutex<Peer>>,
}

struct Question {
    reply: String,
    request: Verified<AuthorizationRequest>,
}

impl Hall {
    /// An account with a service that may put users into any account, before either is there.
    pub fn new() -> Self {
        let (mut place, service) = (Place::new("hall"), seed(Role::User));
        let authorization = &mut place.claims.nats.authorization;
        authorization.auth_users = vec![UserKey::try_from(service.public()).unwrap()];
        authorization.allowed_accounts = vec!["*".to_owned()];
        Self { place, service, peer: None }
    }

    /// Has the service begin: its account is in force.
    pub async fn begin(&mut self, mut peer: Peer) {
        let claims = UserClaims::new(UserKey::try_from(self.service.public()).unwrap());
        let jwt = claims.encode(&self.place.seed, now()).unwrap();
        let nonce = peer.info["nonce"].as_str().unwrap_or_default().as_bytes();
        let sig = data_encoding::BASE64URL_NOPAD.encode(&self.service.sign(nonce).unwrap());
        peer.send(connect_with(json!({"jwt": jwt, "sig": sig}))).await;
        peer.send(format!("SUB {QUESTIONS} 1\r\n")).await;
        assert_eq!(peer.fence().await, "");
        self.peer = Some(Mutex::new(peer));
    }

    /// The CONNECT of somebody about whom the service is asked.
    fn connect_line(&self, person: &Person) -> String {
        let mut sentinel = UserClaims::new(UserKey::try_from(seed(Role::User).public()).unwrap());
        sentinel.nats.template.bearer_token = true;
        sentinel.nats.template.permissions.publish.deny = vec![">".to_owned()];
        sentinel.nats.template.permissions.subscribe.deny = vec![">".to_owned()];
        let mut fields: Value = options(person);
        fields["jwt"] = json!(sentinel.encode(&self.place.seed, now()).unwrap());
        fields["user"] = json!(person.seed.public().to_string());
        format!("CONNECT {fields}\r\n")
    }

    /// Sends CONNECT for a person, and answers what is asked about it, until it is let in or not: what it was told, and
    /// whether its connection ended. One at a time, so that every question is of the one who is waited for.
    pub async fn admit(&self, peer: &mut Peer, person: &Person, place: &Place) -> (String, bool) {
        let mut service = self.peer.as_ref().expect("the service of this site runs").lock().await;
        peer.try_send(self.connect_line(person)).await;
        let mut decided = pin!(peer.fence_or_end());
        tokio::select! {
            question = question(&mut service, person) => {
                let answer = self.answer(&question.request, person, place);
                service.send(format!("PUB {} {}\r\n{answer}\r\n", question.reply, answer.len())).await;
                decided.await
            }
            // Refused before anybody was asked.
            outcome = &mut decided => outcome,
        }
    }

    fn answer(&self, request: &Verified<AuthorizationRequest>, person: &Person, place: &Place) -> String {
        let key = request.nats.user_nkey;
        let mut user = UserClaims::new(key);
        user.nats.template = person.template.clone();
        user.nats.issuer_account = Some(place.key());
        user.expires = person.expires;
        user.not_before = person.not_before;
        let stranger = seed(Role::Account);
        let signer = if person.forged { &stranger } else { &place.seed };
        let mut response = AuthorizationResponseClaims::new(key, ServerKey::try_from(request.issuer).unwrap());
        response.nats.jwt = user.encode(signer, person.issued).unwrap();
        response.encode(&self.place.seed, now()).unwrap()
    }
}

impl Default for Hall {
    fn default() -> Self {
        Self::new()
    }
}

/// The question about this person. What was asked about others, who have left, is passed over.
async fn question(service: &mut Peer, person: &Person) -> Question {
    loop {
        service.through(&format!("MSG {QUESTIONS} 1 ")).await;
        let line = service.through("\r\n").await;
        let reply = line.split(' ').next().unwrap_or_default().to_owned();
        let token = service.through("\r\n").await;
        let request: Verified<AuthorizationRequest> = claims::decode(token.trim_end()).unwrap();
        if request.nats.connect_opts.user == person.seed.public().to_string() {
            return Question { reply, request };
        }
    }
}
