//! `/api/v1/certificates`

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};

use crate::http::caller::Caller;
use crate::http::extract::{Asked, Raw};
use crate::http::paging::{List, Page};
use crate::http::reply::{Otherwise, Reply};
use crate::issuing::certificates::{Certificate, IssuedCertificate, NewCertificate};
use crate::pki::Authority;
use crate::problem::{Code, Problem, Problems};
use crate::roles::Right;
use crate::v1::{Change, page};

fn authority(caller: &Caller) -> Result<&Authority, Problem> {
    caller.app.authority().ok_or_else(|| {
        Problem::new(Code::Conflict, "this control plane has no local certificate authority")
            .remedy("start it with a folder for one, or use your own CA")
    })
}

/// Client certificates that were issued, by serial number.
#[utoipa::path(get, path = "/api/v1/certificates", tag = "certificates", params(Page), responses((status = 200, body = List<Certificate>), Problems), security(("token" = [])))]
pub(crate) async fn list(caller: Caller, Asked(asked): Asked<Page>) -> Result<Reply<List<Certificate>>, Otherwise> {
    caller.require(Right::ReadInstallation)?;
    let size = asked.size()?;
    let items = caller.app.issuer().certificates(&page(asked.after, size)).await?;
    Ok(Reply::plain(List::cut(items, size, |certificate| certificate.serial.clone())))
}

/// Issue a client certificate, for a signing request or with a new key that is shown once.
#[utoipa::path(post, path = "/api/v1/certificates", tag = "certificates", params(Change), request_body = NewCertificate,
    responses((status = 201, body = IssuedCertificate), Problems), security(("token" = [])))]
pub(crate) async fn create(caller: Caller, body: Raw) -> Result<Reply<IssuedCertificate>, Otherwise> {
    caller.require(Right::ChangeAccounts)?;
    let act = caller.act(&body, 201)?;
    let new: NewCertificate = body.json()?;
    Ok(Reply::created(caller.app.issuer().create_certificate(&act, authority(&caller)?, new).await?))
}

/// The certificate of the local authority, as PEM: what clients must trust.
#[utoipa::path(get, path = "/api/v1/certificates/ca", tag = "certificates",
    responses((status = 200, body = String, content_type = "application/x-pem-file"), Problems), security(("token" = [])))]
pub(crate) async fn ca(caller: Caller) -> Result<Response, Otherwise> {
    caller.require(Right::AnyToken)?;
    let pem = authority(&caller)?.certificate_pem().to_owned();
    let mut response = pem.into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-pem-file"));
    Ok(response)
}
