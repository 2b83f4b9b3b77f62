//! Who is connected, and ending it.

use askama::Template;
use axum::response::Response;
use cordon_accounts::key::AccountKey;

use super::confirm::{Question, ask};
use super::fields::{Fields, Wanted};
use super::page::{Frame, PAGE_ITEMS, go, ok};
use super::{account, outcome};
use crate::http::caller::Caller;
use crate::http::extract::{Asked, Id};
use crate::http::paging::Page;
use crate::http::reply::Otherwise;
use crate::model::{Account, Effect};
use crate::roles::Right;
use crate::v1;
use crate::v1::connections::{Connection, KickAsked};

#[derive(Template)]
#[template(path = "console/connections.html")]
struct Connections {
    frame: Frame,
    account: Account,
    items: Vec<Connection>,
    next: Option<String>,
    changes: bool,
}

/// `GET /console/accounts/{account}/connections`
pub(super) async fn list(
    caller: Caller,
    Id((key,)): Id<(AccountKey,)>,
    Wanted(asked): Wanted,
) -> Result<Response, Otherwise> {
    let account = account::read(&caller, key).await?;
    let query = Page { limit: Some(PAGE_ITEMS), after: asked.owned("after") };
    let found = v1::connections::list_of_account(caller.clone(), Id((key,)), Asked(query)).await?.into_body();
    Ok(ok(&Connections {
        frame: Frame::of(&caller, format!("Connections of {}", account.name)).noting(asked.text("done")),
        items: found.items,
        next: found.next,
        changes: caller.token.role.covers(Right::ChangeAccount(&key)),
        account,
    }))
}

/// The account whose connection it is, as the effect names it.
fn list_of(effect: &Effect) -> String {
    match effect.disconnects.first().and_then(|end| AccountKey::parse(&end.account).ok()) {
        Some(account) => format!("/console/accounts/{account}/connections"),
        None => "/console/accounts".to_owned(),
    }
}

async fn look(caller: &Caller, server: &str, cid: u64) -> Result<Effect, Otherwise> {
    let asked = KickAsked { server: Some(server.to_owned()) };
    outcome::effect(v1::connections::kick(caller.clone().looking(), Id((cid,)), Asked(asked)).await)
}

/// `GET /console/connections/{server}/{cid}/kick`
pub(super) async fn ask_kick(caller: Caller, Id((server, cid)): Id<(String, u64)>) -> Result<Response, Otherwise> {
    let effect = look(&caller, &server, cid).await?;
    let question = Question {
        title: format!("End connection {cid}"),
        text: "Its client may connect again. To keep it out, revoke its user.".to_owned(),
        button: "End the connection",
        action: format!("/console/connections/{}/{cid}/kick", segment(&server)),
        back: list_of(&effect),
        version: 0,
    };
    Ok(ask(&caller, question, effect))
}

/// `POST /console/connections/{server}/{cid}/kick`
pub(super) async fn kick(
    caller: Caller,
    Id((server, cid)): Id<(String, u64)>,
    _fields: Fields,
) -> Result<Response, Otherwise> {
    let effect = look(&caller, &server, cid).await?;
    v1::connections::kick(caller, Id((cid,)), Asked(KickAsked { server: Some(server) })).await?;
    Ok(go(&format!("{}?done=kicked", list_of(&effect))))
}

/// A name as a segment of a path: a broker chooses its own.
fn segment(name: &str) -> String {
    form_urlencoded::byte_serialize(name.as_bytes()).collect::<String>().replace('+', "%20")
}
