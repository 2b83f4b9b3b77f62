//! `GET /api/v1/whoami`: what a token may do.

use serde::Serialize;
use utoipa::ToSchema;

use crate::http::caller::Caller;
use crate::http::reply::{Otherwise, Reply};
use crate::model::Time;
use crate::problem::Problems;
use crate::roles::{Right, RoleName};

/// The caller, as the API sees it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Whoami {
    /// The token's id.
    pub id: String,
    /// The token's name.
    pub name: String,
    /// What it may do.
    pub role: RoleName,
    /// For which accounts; account admins only.
    pub accounts: Vec<String>,
    /// When it expires; null for never.
    pub expires_at: Option<Time>,
}

/// What your token may do.
#[utoipa::path(get, path = "/api/v1/whoami", tag = "tokens", responses((status = 200, body = Whoami), Problems), security(("token" = [])))]
pub(crate) async fn whoami(caller: Caller) -> Result<Reply<Whoami>, Otherwise> {
    caller.require(Right::AnyToken)?;
    let token = &caller.token;
    Ok(Reply::plain(Whoami {
        id: token.id.clone(),
        name: token.name.clone(),
        role: token.role.name,
        accounts: token.role.accounts.iter().map(ToString::to_string).collect(),
        expires_at: token.expires.map(Time),
    }))
}
