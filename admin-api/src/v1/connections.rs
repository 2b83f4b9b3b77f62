//! `/api/v1/connections` and `/api/v1/accounts/{account}/connections`: who is connected, and ending it.

use std::sync::Arc;

use cordon_accounts::key::{AccountKey, UserKey};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::broker::{self, Broker, ConnectionFilter};
use crate::http::caller::Caller;
use crate::http::extract::{Asked, Id};
use crate::http::paging::{List, Page, size};
use crate::http::reply::{Done, Otherwise, Reply};
use crate::issuing::IssueError;
use crate::ledger::Reference;
use crate::model::Disconnect;
use crate::model::Effect;
use crate::problem::{Code, Problem, Problems};
use crate::roles::Right;
use crate::v1::Change;

/// One connection of one broker.
#[derive(Debug, Serialize, ToSchema)]
pub struct Connection {
    /// The broker's id.
    pub server: String,
    /// The broker's name.
    pub server_name: String,
    /// Its number on that broker.
    pub cid: u64,
    /// Its account.
    pub account: String,
    /// The account's name.
    pub account_name: String,
    /// Its user key.
    pub user: String,
    /// The user's name, when it was issued here.
    pub user_name: String,
    /// `Client` or `Leafnode`.
    pub kind: String,
    /// Peer address.
    pub ip: String,
    /// Peer port.
    pub port: u32,
    /// What the client calls itself.
    pub client_name: String,
    /// The client's language.
    pub lang: String,
    /// The client library's version.
    pub version: String,
    /// TLS version; empty without TLS.
    pub tls_version: String,
    /// When it began.
    pub start: String,
    /// How long it has been open.
    pub uptime: String,
    /// How long it has been silent.
    pub idle: String,
    /// Round trip time.
    pub rtt: String,
    /// Number of subscriptions.
    pub subscriptions: u32,
    /// Bytes waiting to be sent to it.
    pub pending_bytes: i64,
    /// Messages received from it.
    pub in_msgs: i64,
    /// Messages sent to it.
    pub out_msgs: i64,
    /// Bytes received from it.
    pub in_bytes: i64,
    /// Bytes sent to it.
    pub out_bytes: i64,
}

/// Which connections are asked for.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct ConnectionsAsked {
    /// Most items wanted, 1 to 250; 100 when left out.
    pub limit: Option<u32>,
    /// `next` of the page before.
    pub after: Option<String>,
    /// Only of this account.
    pub account: Option<String>,
    /// Only of this user key.
    pub user: Option<String>,
}

/// Which broker's connection is meant.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct KickAsked {
    /// The broker's id; may be left out when there is one broker only.
    pub server: Option<String>,
}

fn broker(caller: &Caller) -> Result<Arc<dyn Broker>, Problem> {
    caller
        .app
        .issuer()
        .broker()
        .ok_or_else(|| Problem::new(Code::BrokerUnavailable, "this control plane was started without a broker"))
}

/// Connections of all accounts, by broker and number.
#[utoipa::path(get, path = "/api/v1/connections", tag = "connections", params(ConnectionsAsked), responses((status = 200, body = List<Connection>), Problems), security(("token" = [])))]
pub(crate) async fn list(
    caller: Caller,
    Asked(asked): Asked<ConnectionsAsked>,
) -> Result<Reply<List<Connection>>, Otherwise> {
    caller.require(Right::ReadInstallation)?;
    let account = match &asked.account {
        Some(text) => Some(AccountKey::parse(text).map_err(|error| Problem::invalid("?account", error.to_string()))?),
        None => None,
    };
    found(&caller, account, asked.user.as_deref(), asked.after.as_deref(), size(asked.limit)?).await
}

/// Connections of one account, by broker and number.
#[utoipa::path(get, path = "/api/v1/accounts/{account}/connections", tag = "connections", params(("account" = String, Path, description = "Account key"), Page),
    responses((status = 200, body = List<Connection>), Problems), security(("token" = [])))]
pub(crate) async fn list_of_account(
    caller: Caller,
    Id((account,)): Id<(AccountKey,)>,
    Asked(asked): Asked<Page>,
) -> Result<Reply<List<Connection>>, Otherwise> {
    caller.require(Right::ReadAccount(&account))?;
    caller.app.issuer().account(&account).await?;
    found(&caller, Some(account), None, asked.after.as_deref(), asked.size()?).await
}

async fn found(
    caller: &Caller,
    account: Option<AccountKey>,
    user: Option<&str>,
    after: Option<&str>,
    size: u32,
) -> Result<Reply<List<Connection>>, Otherwise> {
    let filter = ConnectionFilter { account, one: None };
    let mut all = broker(caller)?.connections(&filter).await.map_err(IssueError::from)?;
    // The broker's filter is not relied upon: a tenant must never see a foreign connection.
    let text = account.map(|account| account.to_string());
    all.retain(|connection| text.as_ref().is_none_or(|account| connection.account == *account));
    all.retain(|connection| user.is_none_or(|user| connection.authorized_user == user));
    all.sort_by_cached_key(cursor);
    let page = List::of_sorted(all, after, size, cursor);
    let mut items = Vec::with_capacity(page.items.len());
    let mut reader = caller.app.issuer().store().read().await?;
    for connection in page.items {
        let keys = AccountKey::parse(&connection.account).ok().zip(UserKey::parse(&connection.authorized_user).ok());
        let row = match keys {
            Some((account, user)) => reader.users().lookup(&account, &user).await?,
            None => None,
        };
        items.push(view(connection, row.map(|row| row.name).unwrap_or_default()));
    }
    Ok(Reply::plain(List { items, next: page.next }))
}

/// Sorts as text in the order of broker and number.
fn cursor(connection: &broker::Connection) -> String {
    format!("{}:{:020}", connection.server, connection.cid)
}

fn view(connection: broker::Connection, user_name: String) -> Connection {
    Connection {
        server: connection.server,
        server_name: connection.server_name,
        cid: connection.cid,
        account: connection.account,
        account_name: connection.name_tag,
        user: connection.authorized_user,
        user_name,
        kind: connection.kind,
        ip: connection.ip,
        port: connection.port,
        client_name: connection.name,
        lang: connection.lang,
        version: connection.version,
        tls_version: connection.tls_version,
        start: connection.start,
        uptime: connection.uptime,
        idle: connection.idle,
        rtt: connection.rtt,
        subscriptions: connection.subscriptions,
        pending_bytes: connection.pending_bytes,
        in_msgs: connection.in_msgs,
        out_msgs: connection.out_msgs,
        in_bytes: connection.in_bytes,
        out_bytes: connection.out_bytes,
    }
}

/// End a connection. Its client may connect again; revoke its user to keep it out.
#[utoipa::path(delete, path = "/api/v1/connections/{cid}", tag = "connections", params(("cid" = u64, Path, description = "Connection number"), KickAsked, Change),
    responses((status = 204), Problems), security(("token" = [])))]
pub(crate) async fn kick(
    caller: Caller,
    Id((cid,)): Id<(u64,)>,
    Asked(asked): Asked<KickAsked>,
) -> Result<Done, Otherwise> {
    if caller.token.role.narrowed_to().is_none() {
        caller.require(Right::ChangeAccounts)?;
    }
    let broker = broker(&caller)?;
    let server = chosen_server(broker.as_ref(), asked.server)?;
    let filter = ConnectionFilter { account: None, one: Some((server.clone(), cid)) };
    let found = broker.connections(&filter).await.map_err(IssueError::from)?;
    let connection = found.into_iter().find(|connection| connection.cid == cid);
    let account = connection.as_ref().and_then(|connection| AccountKey::parse(&connection.account).ok());
    match (&account, caller.token.role.narrowed_to()) {
        (Some(account), _) => caller.require(Right::ChangeAccount(account))?,
        // An account admin learns nothing about numbers that are not its own.
        (None, Some(_)) => caller.require(Right::ChangeAccounts)?,
        (None, None) => {}
    }
    let Some(connection) = connection else { return Err(Problem::not_found("connection", cid).into()) };
    let act = caller.changing()?;
    if act.dry_run {
        return Err(IssueError::DryRun(Box::new(effect(&connection))).into());
    }
    broker.kick(&server, cid).await.map_err(IssueError::from)?;
    let mut entry = act
        .entry("connection.kick", caller.app.issuer().now())
        .on_object(connection.authorized_user.clone())
        .referring_to(Reference::Connection { broker: server, cid });
    entry.account = account;
    caller.app.issuer().store().begin("connection.kick").await?.save(vec![entry]).await?;
    Ok(Done)
}

fn chosen_server(broker: &dyn Broker, wanted: Option<String>) -> Result<String, Problem> {
    if let Some(server) = wanted {
        return Ok(server);
    }
    let mut known = broker.known();
    match (known.pop(), known.pop()) {
        (Some(only), None) => Ok(only.info.id),
        (Some(_), Some(_)) => Err(Problem::invalid("?server", "there are several brokers; name the connection's")),
        (None, _) => Err(Problem::new(Code::BrokerUnavailable, "no broker has answered yet")),
    }
}

fn effect(connection: &broker::Connection) -> Effect {
    let end = Disconnect {
        server: connection.server.clone(),
        cid: connection.cid,
        account: connection.account.clone(),
        user: connection.authorized_user.clone(),
        user_name: String::new(),
        ip: connection.ip.clone(),
        reason: "kicked_by_operator".to_owned(),
    };
    Effect { dry_run: true, disconnects: vec![end], disconnects_known: true, ..Effect::default() }
}
