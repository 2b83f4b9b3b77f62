//! Account JWTs over NATS: update, look-up, list, delete, pack (auth.md 8.2 to 8.5).
//!
//! An update is verified, then stored, then put in force, then answered: what was answered with
//! success is on disk, and what is not believed replaces nothing.

use std::sync::Arc;

use cordon_accounts::key::AccountKey;
use cordon_auth::account_record::AccountRecord;
use cordon_auth::claims_request::{self, RequestRefusal, UPDATE_SKIPPED, UPDATED};
use cordon_auth::lookup::CachedAccounts;
use cordon_auth::resolver::StoreHash;
use serde_json::{Value, json};

use crate::broker::Broker;
use crate::system::ask::{Ask, ClaimsAsk};
use crate::system::desk::Request;
use crate::system::envelope::server_info;
use crate::system::security::SecurityEvent;

/// Whether this broker's resolver answers such a request at all.
pub fn answers(broker: &Broker, ask: &Ask) -> bool {
    let Some(accounts) = broker.tenants.accounts() else { return false };
    accounts.resolver().is_durable() || matches!(ask, Ask::Claims(ClaimsAsk::Update(Some(_))))
}

/// Answers a request about claims.
pub async fn answer(broker: &Arc<Broker>, request: Request, ask: ClaimsAsk) {
    let Some(accounts) = broker.tenants.accounts().cloned() else { return };
    match ask {
        ClaimsAsk::Delete => delete(broker, &accounts, request).await,
        ClaimsAsk::List => {
            let keys: Vec<String> =
                accounts.resolver().list(broker.clock.unix_seconds()).iter().map(ToString::to_string).collect();
            request.answer(broker, &json!({"server": server_info(broker), "data": keys}));
        }
        ClaimsAsk::LookUp(account) => look_up(broker, &accounts, &request, &account).await,
        ClaimsAsk::Pack => pack(broker, &accounts, request).await,
        ClaimsAsk::Update(account) => update_all(broker, vec![(request, account)]).await,
    }
}

/// Answers updates that came one after the other: stored together, then put in force in their order.
pub async fn update_all(broker: &Arc<Broker>, requests: Vec<(Request, Option<String>)>) {
    let Some(accounts) = broker.tenants.accounts().cloned() else { return };
    let now = broker.clock.unix_seconds();
    let mut waiting = Vec::with_capacity(requests.len());
    let mut updates = Vec::with_capacity(requests.len());
    for (mut request, named) in requests {
        match what_to_store(broker, &accounts, named) {
            Ok(named) => {
                updates.push((std::mem::take(&mut request.body), named));
                waiting.push(request);
            }
            Err(answer) => request.answer(broker, &answer),
        }
    }
    let store = accounts.clone();
    let stored = blocking(move || claims_request::update_all(&**store.resolver(), &updates, &store.trust(), now)).await;
    let mut stored = stored.unwrap_or_default().into_iter();
    for request in waiting {
        match stored.next() {
            Some(Ok(record)) => {
                let account = record.key.to_string();
                put_in_force(broker, &accounts, record, now).await;
                tracing::info!(account.key = account, "account JWT updated");
                request.answer(broker, &success(broker, Some(&account), UPDATED));
            }
            Some(Err(refused)) => refuse(broker, &request, &refused),
            None => {
                let text = "jwt update resulted in error - it was broken off";
                request.answer(broker, &refusal(broker, Some("n/a"), text));
            }
        }
    }
}

/// The account that an update names, if it names one; `Err` is the answer where nothing is stored.
fn what_to_store(
    broker: &Broker,
    accounts: &CachedAccounts,
    named: Option<String>,
) -> Result<Option<AccountKey>, Value> {
    let named = named.map(|text| AccountKey::parse(&text)).transpose().map_err(|error| {
        let text = format!("jwt update resulted in error - {error}");
        refusal(broker, Some("n/a"), &text)
    })?;
    if is_skipped(accounts, named.as_ref()) {
        let account = named.map(|key| key.to_string()).unwrap_or_default();
        return Err(success(broker, Some(&account), UPDATE_SKIPPED));
    }
    Ok(named)
}

/// A resolver that keeps nothing takes updates only of accounts that it knows.
fn is_skipped(accounts: &CachedAccounts, named: Option<&AccountKey>) -> bool {
    let known =
        |key: &AccountKey| accounts.loaded(key).is_some() || matches!(accounts.resolver().lookup(key), Ok(Some(_)));
    !accounts.resolver().is_durable() && !named.is_some_and(known)
}

async fn put_in_force(broker: &Arc<Broker>, accounts: &CachedAccounts, record: Arc<AccountRecord>, now: i64) {
    match accounts.put(record, now) {
        Ok(in_force) => broker.tenants.install(broker, in_force).await,
        Err(error) => tracing::warn!("an account JWT was stored, and its operator is no longer trusted: {error}"),
    }
}

fn refuse(broker: &Broker, request: &Request, refused: &RequestRefusal) {
    note(broker, request, refused);
    request.answer(broker, &refusal(broker, refused.account.as_deref(), &refused.to_string()));
}

async fn delete(broker: &Arc<Broker>, accounts: &Arc<CachedAccounts>, request: Request) {
    let now = broker.clock.unix_seconds();
    let allowed = accounts.resolver().allows_delete();
    let keys = match claims_request::decide_delete(&request.body, allowed, &accounts.trust(), now) {
        Ok(keys) => keys,
        Err(refused) => return refuse(broker, &request, &refused),
    };
    let store = accounts.clone();
    let Some(deletion) = blocking(move || claims_request::delete(&**store.resolver(), &keys)).await else { return };
    for key in &deletion.deleted {
        broker.tenants.remove(broker, *key).await;
        tracing::info!(account.key = %key, "account deleted");
    }
    let message = deletion.message();
    if deletion.failed.is_empty() {
        request.answer(broker, &success(broker, None, &message));
    } else {
        let causes: Vec<String> = deletion.failed.iter().map(|(key, error)| format!("{key}: {error}")).collect();
        request.answer(broker, &refusal(broker, None, &format!("{message} - {}", causes.join("\n"))));
    }
}

async fn look_up(broker: &Arc<Broker>, accounts: &Arc<CachedAccounts>, request: &Request, account: &str) {
    let token = match AccountKey::parse(account) {
        Err(_) => None,
        Ok(key) => {
            let store = accounts.clone();
            blocking(move || store.resolver().lookup(&key)).await.and_then(Result::ok).flatten()
        }
    };
    request.answer_raw(broker, token.unwrap_or_default().as_bytes());
}

/// Every stored JWT, one a message, then an empty message; only the latter if the asker has the same.
async fn pack(broker: &Arc<Broker>, accounts: &Arc<CachedAccounts>, request: Request) {
    let now = broker.clock.unix_seconds();
    let asker = StoreHash::from_request(&request.body);
    let (store, sender) = (accounts.clone(), broker.clone());
    let sent = blocking(move || {
        let outcome =
            store.resolver().pack(asker, now, &mut |line| request.answer_raw(&sender, line.to_string().as_bytes()));
        request.answer_raw(&sender, b"");
        outcome
    });
    if let Some(Err(error)) = sent.await {
        tracing::error!("stored account JWTs cannot be read: {error}");
    }
}

/// Runs what touches the disk off the async threads; `None` if it was broken off.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    tokio::task::spawn_blocking(work).await.ok()
}

fn success(broker: &Broker, account: Option<&str>, message: &str) -> Value {
    json!({"server": server_info(broker), "data": about(account, 200, "message", message)})
}

fn refusal(broker: &Broker, account: Option<&str>, description: &str) -> Value {
    json!({"server": server_info(broker), "error": about(account, 500, "description", description)})
}

fn about(account: Option<&str>, code: u16, name: &str, text: &str) -> Value {
    let mut about = json!({"code": code, name: text});
    if let (Some(account), Value::Object(fields)) = (account, &mut about) {
        fields.insert("account".to_owned(), json!(account));
    }
    about
}

/// Claims that are turned down are a security event: somebody with system rights tried.
fn note(broker: &Broker, request: &Request, refused: &RequestRefusal) {
    tracing::warn!(reason = refused.reason.code(), "claims request refused: {refused}");
    let asker = request.asker.and_then(|cid| broker.connections.find(cid));
    if let Some(connection) = asker {
        let event = SecurityEvent::of(&connection, refused.reason).about(b"", "", &refused.to_string());
        broker.security.note(event);
    }
}
