//! A service that is asked who connections are, over a raw socket.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    unreachable_pub,
    reason = "test helpers, shared by several test programs"
)]

use cordon_accounts::claims::{self, AuthorizationRequest, AuthorizationResponseClaims, UserClaims, Verified};
use cordon_accounts::key::{CurveKey, Seed, ServerKey, UserKey};
use cordon_auth::clock::Clock;

use crate::support::Peer;

/// Where questions come.
pub const SUBJECT: &str = "$SYS.REQ.USER.AUTH";

/// A service: one of the account's auth users, and the key that signs its answers.
pub struct Service {
    /// Its connection, subscribed to the questions.
    pub peer: Peer,
    /// Signs answers.
    pub signer: Seed,
    /// Opens questions and seals answers, where that is asked for.
    pub curve: Option<Seed>,
}

/// A question.
pub struct Asked {
    /// Where the answer goes.
    pub reply: String,
    /// The broker's curve key, of a sealed question.
    pub xkey: Option<CurveKey>,
    /// What was asked.
    pub request: Verified<AuthorizationRequest>,
}

impl Service {
    /// Subscribes to the questions.
    pub fn new(mut peer: Peer, signer: &Seed, curve: Option<&Seed>) -> Self {
        peer.exchange(format!("SUB {SUBJECT} 1\r\nPING\r\n"), "PONG\r\n");
        Self { peer, signer: signer.duplicate(), curve: curve.map(Seed::duplicate) }
    }

    /// The next question, which must come.
    pub fn next(&mut self) -> Asked {
        let mut line = self.peer.line();
        while line == "PING" || line == "PONG" || line.starts_with("INFO") {
            line = self.peer.line();
        }
        let parts: Vec<&str> = line.split(' ').collect();
        assert_eq!(parts[1], SUBJECT, "{line}");
        let total: usize = parts.last().unwrap().parse().unwrap();
        let head: usize = if parts[0] == "HMSG" { parts[parts.len() - 2].parse().unwrap() } else { 0 };
        let bytes = self.peer.take(total);
        self.peer.expect("\r\n");
        let header = String::from_utf8_lossy(&bytes[..head]).into_owned();
        let xkey = header.lines().find_map(|line| line.strip_prefix("Nats-Server-Xkey: "));
        let xkey = xkey.map(|text| CurveKey::parse(text).unwrap());
        assert_eq!(xkey.is_some(), self.curve.is_some());
        let token = match (&self.curve, &xkey) {
            (Some(curve), Some(server)) => curve.open(&bytes[head..], server).unwrap(),
            _ => bytes[head..].to_vec(),
        };
        let request = claims::decode(std::str::from_utf8(&token).unwrap()).unwrap();
        Asked { reply: parts[3].to_owned(), xkey, request }
    }

    /// Answers with a user as `change` makes it.
    pub fn accept(&mut self, asked: &Asked, change: impl FnOnce(&mut UserClaims)) {
        let jwt = user(asked.key(), &self.signer, change);
        self.answer(asked, |response| response.nats.jwt = jwt);
    }

    /// Answers that it is nobody known.
    pub fn refuse(&mut self, asked: &Asked, why: &str) {
        self.answer(asked, |response| why.clone_into(&mut response.nats.error));
    }

    /// Answers with a response as `change` makes it.
    pub fn answer(&mut self, asked: &Asked, change: impl FnOnce(&mut AuthorizationResponseClaims)) {
        let body = self.response(asked, change);
        self.send(&asked.reply, &body);
    }

    /// The bytes of an answer.
    pub fn response(&self, asked: &Asked, change: impl FnOnce(&mut AuthorizationResponseClaims)) -> Vec<u8> {
        let server = ServerKey::try_from(asked.request.issuer).unwrap();
        let mut response = AuthorizationResponseClaims::new(asked.key(), server);
        change(&mut response);
        let token = response.encode(&self.signer, Clock::system().unix_seconds()).unwrap();
        match (&self.curve, &asked.xkey) {
            (Some(curve), Some(server)) => curve.seal(token.as_bytes(), server, &mut rand::rngs::OsRng).unwrap(),
            _ => token.into_bytes(),
        }
    }

    /// Publishes, and sees that the broker has it.
    pub fn send(&mut self, subject: &str, body: &[u8]) {
        self.peer.send([format!("PUB {subject} {}\r\n", body.len()).as_bytes(), body, b"\r\n"].concat());
        let said = self.peer.fenced();
        assert_eq!(String::from_utf8_lossy(&said).replace("PING\r\n", ""), "");
    }
}

impl Asked {
    /// The key that the answer must be about.
    pub fn key(&self) -> UserKey {
        self.request.nats.user_nkey
    }
}

/// A user JWT about `key`, as `change` makes it.
pub fn user(key: UserKey, signer: &Seed, change: impl FnOnce(&mut UserClaims)) -> String {
    let mut user = UserClaims::new(key);
    change(&mut user);
    user.encode(signer, Clock::system().unix_seconds()).unwrap()
}
