//! Bodies, queries and headers of the admin API, read by the extractors that its handlers use.
//!
//! The first byte chooses what is read; the rest is the body, the query, the header or the event.

use std::fmt::Debug;

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts};
use axum::http::{HeaderMap, HeaderValue, Request, header};
use axum::response::IntoResponse;
use cordon_accounts::claims::{AccountClaims, AccountLimits, UserTemplate};
use cordon_accounts::key::AccountKey;
use cordon_admin::broker::event::BrokerEvent;
use cordon_admin::broker::reply::Envelope;
use cordon_admin::http::etag::Precondition;
use cordon_admin::http::extract::{Asked, Raw};
use cordon_admin::http::paging::{self, Page};
use cordon_admin::issuing::certificates::NewCertificate;
use cordon_admin::model::{
    AccountPatch, Limits, NewAccount, NewActivation, NewExport, NewImport, NewOperator, NewRevocation, NewSigningKey,
    NewToken, NewUser, OperatorPatch, Renewal, Scope, SigningKeyPatch, Template, UserPatch, expiry, export_id,
    import_id,
};
use cordon_admin::problem::Problem;
use cordon_admin::v1;
use futures_util::FutureExt;
use serde::de::DeserializeOwned;

use crate::input::Input;
use crate::jwt;

/// When it is.
const NOW: i64 = 1_700_000_000;

/// Panics when a body is neither taken nor refused as the caller's fault, or does not survive its claim.
pub fn check(data: &[u8]) {
    let mut input = Input::new(data);
    let kind = input.byte();
    let bytes = input.rest();
    match kind {
        b'q' | b'Q' => queries(bytes),
        b'h' => if_match(bytes),
        b'e' => broker(bytes),
        _ => bodies(kind, bytes),
    }
}

fn bodies(kind: u8, bytes: &[u8]) {
    let request = Request::builder().header(header::CONTENT_TYPE, "application/json");
    let request = request.body(Body::from(bytes.to_vec())).unwrap();
    let raw = Raw::from_request(request, &()).now_or_never().expect("the body is here");
    let raw = raw.unwrap_or_else(|problem| panic!("a body in memory is read: {problem:?}"));
    assert_eq!(raw.bytes(), bytes);
    match kind % 16 {
        0 => account(&raw),
        1 => drop(body::<AccountPatch>(&raw)),
        2 => user(&raw),
        3 => drop(body::<UserPatch>(&raw)),
        4 => drop((body::<Renewal>(&raw), body::<NewRevocation>(&raw))),
        5 => signing_key(&raw),
        6 => drop(body::<SigningKeyPatch>(&raw)),
        7 => drop(body::<NewOperator>(&raw)),
        8 => drop(body::<OperatorPatch>(&raw)),
        9 => drop(body::<NewToken>(&raw)),
        10 => export(&raw),
        11 => import(&raw),
        12 => drop(body::<NewActivation>(&raw)),
        13 => drop(body::<NewCertificate>(&raw)),
        14 => drop(body::<v1::explain::Question>(&raw)),
        _ => drop(body::<v1::operators::signing_keys::NewOperatorKey>(&raw)),
    }
}

fn body<T: DeserializeOwned + Debug>(raw: &Raw) -> Option<T> {
    match raw.json::<T>() {
        Ok(value) => Some(value),
        Err(problem) => {
            refused(problem);
            None
        }
    }
}

/// A refusal says what is wrong, and that the caller is.
fn refused(problem: Problem) {
    assert!(!problem.detail.is_empty(), "a refusal has a reason");
    assert!(problem.field.as_ref().is_none_or(|field| !field.is_empty()), "a field has a name");
    let status = problem.into_response().status();
    assert!(status.is_client_error(), "it is the caller's fault: {status}");
}

/// A field and a sentence.
fn named<T>(outcome: Result<T, (String, String)>) -> Option<T> {
    outcome.map_err(|(field, text)| assert!(!field.is_empty() && !text.is_empty(), "a refusal has a place")).ok()
}

fn limits(limits: &Limits) {
    let Some(claim) = named(limits.to_claim()) else { return };
    let view = Limits::from(&claim);
    let again: AccountLimits = named(view.to_claim()).expect("a claim's limits can be set");
    assert_eq!(Limits::from(&again), view, "limits survive the way into a claim and back");
}

fn account(raw: &Raw) {
    let Some(new) = body::<NewAccount>(raw) else { return };
    if let Some(given) = &new.limits {
        limits(given);
    }
    if let Ok(Some(at)) = expiry(new.expires_at, None, NOW) {
        assert!(at > NOW, "an expiry is ahead");
    }
}

fn user(raw: &Raw) {
    let Some(new) = body::<NewUser>(raw) else { return };
    let template = Template {
        permissions: new.permissions.unwrap_or_default(),
        limits: new.limits.unwrap_or_default(),
        connection_types: new.connection_types.unwrap_or_default(),
        times: new.times.unwrap_or_default(),
        ..Template::default()
    };
    self::template(&template);
    if let Ok(Some(at)) = expiry(new.expires_at, new.expires_in_seconds, NOW) {
        assert!(at > NOW, "an expiry is ahead");
    }
}

fn template(template: &Template) {
    let Some(claim) = named(template.to_claim()) else { return };
    let claim: UserTemplate = claim;
    let view = Template::from(&claim);
    let again = named(view.to_claim()).expect("a claim's template can be set");
    assert_eq!(Template::from(&again), view, "a template survives the way into a claim and back");
}

fn signing_key(raw: &Raw) {
    let Some(new) = body::<NewSigningKey>(raw) else { return };
    let Some(scope) = new.scope else { return };
    template(&scope.template);
    let key = AccountKey::parse(jwt::key('A').1).expect("an account's key");
    if let Some(claim) = named(scope.to_claim(key)) {
        assert_eq!(Scope::from(&claim).role, scope.role);
    }
}

/// A claim of an account that shares, checked as a whole.
fn valid(change: impl FnOnce(&mut AccountClaims)) {
    let key = AccountKey::parse(jwt::key('A').1).expect("an account's key");
    let mut claims = AccountClaims::new(key);
    change(&mut claims);
    drop(claims.validate(NOW).require_valid().map_err(|error| error.to_string()));
}

fn export(raw: &Raw) {
    let Some(new) = body::<NewExport>(raw) else { return };
    let Some(claim) = named(new.to_claim()) else { return };
    assert_eq!(export_id(claim.kind, &claim.subject), export_id(claim.kind, &new.subject), "an id is of its subject");
    valid(|claims| claims.nats.exports.push(claim));
}

fn import(raw: &Raw) {
    let Some(new) = body::<NewImport>(raw) else { return };
    let claim = new.to_claim();
    assert!(!import_id(&claim).is_empty());
    valid(|claims| claims.nats.imports.push(claim));
}

fn queries(bytes: &[u8]) {
    let Ok(query) = std::str::from_utf8(bytes) else { return };
    let Ok(request) = Request::builder().uri(format!("/api/v1/x?{query}")).body(()) else { return };
    let (parts, ()) = request.into_parts();
    if let Some(page) = asked::<Page>(&parts) {
        match page.size() {
            Ok(size) => assert!((1..=250).contains(&size), "a page has bounds"),
            Err(problem) => refused(problem),
        }
        drop(paging::size(page.limit));
    }
    asked::<v1::ledger::entries::EntriesAsked>(&parts);
    asked::<v1::ledger::proof::ProofAsked>(&parts);
    asked::<v1::connections::ConnectionsAsked>(&parts);
    asked::<v1::connections::KickAsked>(&parts);
    asked::<v1::accounts::list::AccountsAsked>(&parts);
    asked::<v1::users::list::UsersAsked>(&parts);
}

fn asked<T: DeserializeOwned + Send>(parts: &axum::http::request::Parts) -> Option<T> {
    let mut parts = parts.clone();
    let read = Asked::<T>::from_request_parts(&mut parts, &()).now_or_never().expect("the query is here");
    read.map(|Asked(value)| value).map_err(refused).ok()
}

fn if_match(bytes: &[u8]) {
    let mut headers = HeaderMap::new();
    for line in bytes.split(|byte| *byte == b'\n') {
        let Ok(value) = HeaderValue::from_bytes(line) else { return };
        headers.append(header::IF_MATCH, value);
    }
    match Precondition::parse(&headers) {
        Ok(Some(Precondition::OneOf(versions))) => assert!(!versions.is_empty(), "a list has a version"),
        Ok(Some(Precondition::Any)) => {}
        Ok(None) => panic!("a header that is there is seen"),
        Err(problem) => refused(problem),
    }
}

/// What brokers send: an event behind its subject, or an answer.
fn broker(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    if let Ok(subject) = std::str::from_utf8(input.line()) {
        drop(format!("{:?}", BrokerEvent::parse(subject, input.rest())));
    }
    if let Some(envelope) = Envelope::parse(input.rest()) {
        drop(envelope.into_data().map_err(|error| error.to_string()));
    }
    if let Some(envelope) = Envelope::parse(input.rest()) {
        assert!(envelope.into_answer().message.len() <= 4096, "a broker's text is bounded");
    }
}
