//! Claims of every kind: arbitrary tokens, and arbitrary claims under a good signature.
//!
//! An input that begins with `e` is a token as it stands. Any other is a letter for the issuer's role, a letter for
//! the subject's, `1` for a header of version 1, and the claims behind `{"iss":..,"sub":..,`; `@A@` and the like
//! stand for keys. So what is behind the signature check is reached by every input.

use std::sync::LazyLock;

use cordon_accounts::claims::{
    self, Account, Activation, AuthorizationRequest, AuthorizationResponse, Claims, Generic, Hours, Kind, Network,
    Operator, Unverified, User, UserClaims, Verified,
};
use cordon_accounts::key::{PublicKey, Role, Seed};
use cordon_accounts::permissions::Permissions;
use cordon_accounts::subject::{MappingProblem, Mappings};
use data_encoding::BASE64URL_NOPAD;

use crate::input::Input;

/// When it is: any time that claims may name will do.
const NOW: i64 = 1_700_000_000;

struct Key {
    letter: char,
    seed: Seed,
    public: PublicKey,
    text: String,
}

static KEYS: LazyLock<Vec<Key>> = LazyLock::new(|| {
    let roles = [('O', Role::Operator), ('A', Role::Account), ('U', Role::User), ('N', Role::Server)];
    let key = |(letter, role): (char, Role)| {
        let seed = Seed::from_raw(role, [letter as u8; 32]);
        let public = seed.public();
        Key { letter, seed, public, text: public.to_string() }
    };
    roles.into_iter().map(key).collect()
});

/// The seed of a role's key, and the text of its public half: for other checks, too.
pub(crate) fn key(letter: char) -> (&'static Seed, &'static str) {
    let keys: &'static Vec<Key> = &KEYS;
    let key = keys.iter().find(|key| key.letter == letter).unwrap_or(&keys[0]);
    (&key.seed, &key.text)
}

/// Panics when a token is believed wrongly, or is not the same after signing anew.
pub fn check(data: &[u8]) {
    if data.first() == Some(&b'e') {
        if let Ok(token) = std::str::from_utf8(data) {
            read(token);
        }
        return;
    }
    let mut input = Input::new(data);
    let (issuer, subject, version) = (input.byte(), input.byte(), input.byte());
    let Ok(text) = std::str::from_utf8(input.rest()) else { return };
    read(&signed(issuer as char, subject as char, version, text));
}

/// A token with these claims and a good signature.
pub(crate) fn signed(issuer: char, subject: char, version: u8, text: &str) -> String {
    let (seed, issuer) = key(issuer);
    let mut json = format!("{{\"iss\":\"{issuer}\",\"sub\":\"{}\",{text}", key(subject).1);
    if json.contains('@') {
        for key in KEYS.iter() {
            json = json.replace(&format!("@{}@", key.letter), &key.text);
        }
    }
    let algorithm = if version == b'1' { "ed25519" } else { "ed25519-nkey" };
    let header = BASE64URL_NOPAD.encode(format!(r#"{{"typ":"JWT","alg":"{algorithm}"}}"#).as_bytes());
    let claims = BASE64URL_NOPAD.encode(json.as_bytes());
    let both = format!("{header}.{claims}");
    let covered = if version == b'1' { claims.as_bytes() } else { both.as_bytes() };
    let signature = seed.sign(covered).expect("these roles sign");
    format!("{both}.{}", BASE64URL_NOPAD.encode(&signature))
}

fn read(token: &str) {
    let Ok(unverified) = Unverified::parse(token) else { return };
    match unverified.kind() {
        "operator" => drop(one::<Operator>(token)),
        "account" => account(token),
        "user" => user(token),
        "activation" => drop(one::<Activation>(token)),
        "authorization_request" => drop(one::<AuthorizationRequest>(token)),
        "authorization_response" => drop(one::<AuthorizationResponse>(token)),
        _ => drop(one::<Generic>(token)),
    }
    // No kind passes for another.
    if unverified.kind() != "user" {
        assert!(claims::decode::<User>(token).is_err(), "another kind passes for a user");
    }
}

/// Verified claims that are what they were after signing them anew.
fn one<T: Kind>(token: &str) -> Option<Verified<T>> {
    let verified = claims::decode::<T>(token).ok()?;
    assert!(T::ISSUER.contains(&verified.issuer.role()) && T::SUBJECT.contains(&verified.subject.role()));
    let found = verified.validate(NOW);
    assert!(found.issues.len() <= 300, "what is wrong is told in bounds");
    drop(found.require_valid().map_err(|error| error.to_string()));
    let Some(signer) = KEYS.iter().find(|key| key.public == verified.issuer) else { return Some(verified) };
    let claims: Claims<T> = verified.clone().into_claims();
    let Ok(again) = claims.sign(&signer.seed, claims.issued_at) else {
        assert!(token.len() > 256 * 1024, "what was read can be signed");
        return Some(verified);
    };
    let reread = claims::decode::<T>(again.token()).expect("what was signed can be read").into_claims();
    let wanted = Claims { id: reread.id.clone(), ..claims };
    // Not every kind can be compared; secrets are in the JSON, what would not be written in the other.
    assert_eq!(format!("{reread:?}"), format!("{wanted:?}"), "claims signed anew say the same");
    assert_eq!(reread.to_json().ok(), wanted.to_json().ok(), "claims signed anew say the same");
    assert_eq!(reread.validate(NOW), found, "and are as valid");
    Some(verified)
}

fn account(token: &str) {
    let Some(account) = one::<Account>(token) else { return };
    let (mappings, problems) = Mappings::compile(&account.nats.mappings, None);
    // A valid account may have a mapping that is none: it is left out and told, and the others hold.
    let left_out = |problem: &MappingProblem| account.nats.mappings.contains_key(&problem.from);
    assert!(problems.iter().all(left_out), "a problem has a source");
    assert_eq!(mappings.is_empty(), problems.len() == account.nats.mappings.len());
}

fn user(token: &str) {
    let Some(user) = one::<User>(token) else { return };
    let claims: &UserClaims = &user;
    let template = &claims.nats.template;
    if claims.validate(NOW).require_valid().is_err() {
        return;
    }
    let compiled = Permissions::compile(&template.permissions);
    assert!(compiled.is_ok(), "valid permissions compile: {compiled:?}");
    assert!(Hours::new(&template.times, &template.times_location).is_ok(), "valid hours are read");
    for network in &template.src {
        assert!(Network::parse(network).is_ok(), "valid networks are read: `{network}`");
    }
}
