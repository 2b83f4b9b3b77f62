//! One account: what it may use, who is in it, what it offers and takes up.

use askama::Template;
use axum::response::Response;
use cordon_accounts::key::AccountKey;

use super::confirm::{Question, ask};
use super::fields::{Fields, Wanted};
use super::outcome;
use super::page::{Frame, PAGE_ITEMS, go, ok};
use crate::http::caller::Caller;
use crate::http::extract::{Asked, Id, Raw};
use crate::http::reply::Otherwise;
use crate::model::{Account, Effect, User};
use crate::roles::Right;
use crate::v1;
use crate::v1::users::list::UsersAsked;

#[derive(Template)]
#[template(path = "console/account.html")]
struct AccountPage {
    frame: Frame,
    account: Account,
    users: Vec<User>,
    next: Option<String>,
    limits: Vec<(&'static str, String)>,
    /// May change what is inside.
    changes: bool,
    /// May suspend and resume.
    governs: bool,
}

/// The account of a path, as the API shows it.
pub(super) async fn read(caller: &Caller, account: AccountKey) -> Result<Account, Otherwise> {
    Ok(v1::accounts::get::get(caller.clone(), Id((account,))).await?.into_body())
}

/// `GET /console/accounts/{account}`
pub(super) async fn page(
    caller: Caller,
    Id((key,)): Id<(AccountKey,)>,
    Wanted(asked): Wanted,
) -> Result<Response, Otherwise> {
    let account = read(&caller, key).await?;
    let query = UsersAsked { limit: Some(PAGE_ITEMS), after: asked.owned("after"), name: None, state: None };
    let users = v1::users::list::list(caller.clone(), Id((key,)), Asked(query)).await?.into_body();
    Ok(ok(&AccountPage {
        frame: Frame::of(&caller, format!("Account {}", account.name)).noting(asked.text("done")),
        limits: limits(&account),
        changes: caller.token.role.covers(Right::ChangeAccount(&key)),
        governs: caller.token.role.covers(Right::ChangeAccounts) && !account.is_system,
        users: users.items,
        next: users.next,
        account,
    }))
}

/// The page that asks before an account's state changes: what is done, as its title says it and as its path does.
async fn ask_about(
    caller: &Caller,
    key: AccountKey,
    (verb, path): (&str, &str),
    text: &str,
    button: &'static str,
    effect: Effect,
) -> Result<Response, Otherwise> {
    let account = read(caller, key).await?;
    let question = Question {
        title: format!("{verb} {}", account.name),
        text: text.to_owned(),
        button,
        action: format!("/console/accounts/{key}/{path}"),
        back: format!("/console/accounts/{key}"),
        version: account.version,
    };
    Ok(ask(caller, question, effect))
}

/// `GET /console/accounts/{account}/suspend`
pub(super) async fn ask_suspend(caller: Caller, Id((key,)): Id<(AccountKey,)>) -> Result<Response, Otherwise> {
    let looked = v1::accounts::state::suspend(caller.clone().looking(), Id((key,)), Raw::of(&nothing())).await;
    let effect = outcome::effect(looked)?;
    let text = "Its connections end and nobody gets in until it is resumed. Nothing of it is lost.";
    ask_about(&caller, key, ("Suspend", "suspend"), text, "Suspend the account", effect).await
}

/// `POST /console/accounts/{account}/suspend`
pub(super) async fn suspend(
    caller: Caller,
    Id((key,)): Id<(AccountKey,)>,
    fields: Fields,
) -> Result<Response, Otherwise> {
    caller.require(Right::ChangeAccounts)?;
    let caller = caller.once(fields.text("once")).of_version(fields.version()?);
    outcome::done(v1::accounts::state::suspend(caller, Id((key,)), Raw::of(&nothing())).await)?;
    Ok(go(&format!("/console/accounts/{key}?done=suspended")))
}

/// `GET /console/accounts/{account}/resume`
pub(super) async fn ask_resume(caller: Caller, Id((key,)): Id<(AccountKey,)>) -> Result<Response, Otherwise> {
    let looked = v1::accounts::state::resume(caller.clone().looking(), Id((key,)), Raw::of(&nothing())).await;
    let effect = outcome::effect(looked)?;
    let text = "Its users get in again, with the credentials that they have.";
    ask_about(&caller, key, ("Resume", "resume"), text, "Resume the account", effect).await
}

/// `POST /console/accounts/{account}/resume`
pub(super) async fn resume(
    caller: Caller,
    Id((key,)): Id<(AccountKey,)>,
    fields: Fields,
) -> Result<Response, Otherwise> {
    caller.require(Right::ChangeAccounts)?;
    let caller = caller.once(fields.text("once")).of_version(fields.version()?);
    outcome::done(v1::accounts::state::resume(caller, Id((key,)), Raw::of(&nothing())).await)?;
    Ok(go(&format!("/console/accounts/{key}?done=resumed")))
}

fn nothing() -> serde_json::Value {
    serde_json::json!({})
}

fn limits(account: &Account) -> Vec<(&'static str, String)> {
    let number = |number: Option<i64>| number.map_or_else(|| "unlimited".to_owned(), |number| number.to_string());
    let limits = &account.limits;
    let mut rows = vec![
        ("Connections", number(limits.connections)),
        ("Leaf node connections", number(limits.leaf_nodes)),
        ("Subscriptions of a connection", number(limits.subscriptions)),
        ("Bytes of a message", number(limits.payload_bytes)),
        ("Imports", number(limits.imports)),
        ("Exports", number(limits.exports)),
        ("Bearer users", if limits.disallow_bearer { "refused" } else { "allowed" }.to_owned()),
    ];
    match &limits.jetstream {
        Some(streams) => rows.extend([
            ("Streams", number(streams.streams)),
            ("Consumers", number(streams.consumers)),
            ("Bytes of streams on disk", number(streams.disk_bytes)),
            ("Bytes of streams in memory", number(streams.memory_bytes)),
        ]),
        None if limits.jetstream_tiers.is_empty() => rows.push(("Streams", "off".to_owned())),
        None => rows.push(("Streams", format!("by tier: {}", tiers(account)))),
    }
    rows
}

fn tiers(account: &Account) -> String {
    account.limits.jetstream_tiers.keys().cloned().collect::<Vec<_>>().join(", ")
}
