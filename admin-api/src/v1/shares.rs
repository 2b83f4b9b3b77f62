//! `/api/v1/accounts/{account}/shares`

use cordon_accounts::key::AccountKey;

use crate::http::caller::Caller;
use crate::http::extract::{Asked, Id, Raw};
use crate::http::paging::{List, Page};
use crate::http::reply::{Done, Otherwise, Reply};
use crate::issuing::IssueError;
use crate::model::{Acceptance, NewShare, Share};
use crate::problem::Problems;
use crate::roles::Right;
use crate::v1::Change;

/// Streams, buckets and object stores that an account shares with others, and that others offer to it.
#[utoipa::path(get, path = "/api/v1/accounts/{account}/shares", tag = "sharing", params(("account" = String, Path, description = "Account key"), Page),
    responses((status = 200, body = List<Share>), Problems), security(("token" = [])))]
pub(crate) async fn list(
    caller: Caller,
    Id((account,)): Id<(AccountKey,)>,
    Asked(asked): Asked<Page>,
) -> Result<Reply<List<Share>>, Otherwise> {
    caller.require(Right::ReadAccount(&account))?;
    let size = asked.size()?;
    let mut shares = caller.app.issuer().shares(&account).await?;
    shares.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(Reply::plain(List::of_sorted(shares, asked.after.as_deref(), size, |share| share.id.clone())))
}

/// Offer a stream, a bucket or an object store to another account; with `accept`, it is taken up at once.
#[utoipa::path(post, path = "/api/v1/accounts/{account}/shares", tag = "sharing", params(("account" = String, Path, description = "Account key"), Change),
    request_body = NewShare, responses((status = 201, body = Share), Problems), security(("token" = [])))]
pub(crate) async fn create(
    caller: Caller,
    Id((account,)): Id<(AccountKey,)>,
    body: Raw,
) -> Result<Reply<Share>, Otherwise> {
    caller.require(Right::ChangeAccount(&account))?;
    let act = caller.act(&body, 201)?;
    let new: NewShare = body.json()?;
    if new.accept.is_some() {
        caller.require(Right::ChangeAccount(&new.importer))?;
    }
    Ok(Reply::created(caller.app.issuer().offer_share(&act, &account, &new).await?))
}

/// One share.
#[utoipa::path(get, path = "/api/v1/accounts/{account}/shares/{share}", tag = "sharing",
    params(("account" = String, Path, description = "Account key"), ("share" = String, Path, description = "Share id")),
    responses((status = 200, body = Share), Problems), security(("token" = [])))]
pub(crate) async fn get(
    caller: Caller,
    Id((account, share)): Id<(AccountKey, String)>,
) -> Result<Reply<Share>, Otherwise> {
    caller.require(Right::ReadAccount(&account))?;
    let found = caller.app.issuer().shares(&account).await?.into_iter().find(|listed| listed.id == share);
    Ok(Reply::object(found.ok_or_else(|| IssueError::not_found("share", share))?))
}

/// Take up what another account offers to this one.
#[utoipa::path(post, path = "/api/v1/accounts/{account}/shares/{share}/acceptance", tag = "sharing",
    params(("account" = String, Path, description = "Account key"), ("share" = String, Path, description = "Share id"), Change),
    request_body = Acceptance, responses((status = 201, body = Share), Problems), security(("token" = [])))]
pub(crate) async fn accept(
    caller: Caller,
    Id((account, share)): Id<(AccountKey, String)>,
    body: Raw,
) -> Result<Reply<Share>, Otherwise> {
    caller.require(Right::ChangeAccount(&account))?;
    let act = caller.act(&body, 201)?;
    Ok(Reply::created(caller.app.issuer().accept_share(&act, &account, &share, &body.json()?).await?))
}

/// Take a share back, or give up one that was taken: consumers of it are deleted.
#[utoipa::path(delete, path = "/api/v1/accounts/{account}/shares/{share}", tag = "sharing",
    params(("account" = String, Path, description = "Account key"), ("share" = String, Path, description = "Share id"), Change),
    responses((status = 204), Problems), security(("token" = [])))]
pub(crate) async fn delete(caller: Caller, Id((account, share)): Id<(AccountKey, String)>) -> Result<Done, Otherwise> {
    caller.require(Right::ChangeAccount(&account))?;
    caller.app.issuer().end_share(&caller.changing()?, &account, &share).await?;
    Ok(Done)
}
