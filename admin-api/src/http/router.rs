//! Every route of the API, in one table.

use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderValue, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse as _, Response};
use axum::{Router, routing};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::app::App;
use super::{entrance, first_page, openapi};
use crate::limits::BODY_BYTES_MAX;
use crate::problem::{Code, Problem};
use crate::v1::{
    accounts, activations, brokers, certificates, connections, explain, exports, health, imports, ledger, limits,
    operators, revocations, shares, signing_keys, tokens, users, whoami,
};

/// The routes, and the document about them.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(openapi::frame())
        .routes(routes!(health::health))
        .routes(routes!(whoami::whoami))
        .routes(routes!(operators::list::list, operators::create::create))
        .routes(routes!(operators::get::get, operators::change::change, operators::delete::delete))
        .routes(routes!(operators::signing_keys::list, operators::signing_keys::create))
        .routes(routes!(operators::signing_keys::delete))
        .routes(routes!(accounts::list::list, accounts::create::create))
        .routes(routes!(accounts::get::get, accounts::change::change, accounts::delete::delete))
        .routes(routes!(accounts::state::suspend))
        .routes(routes!(accounts::state::resume))
        .routes(routes!(limits::get, limits::put))
        .routes(routes!(users::list::list, users::create::create))
        .routes(routes!(users::get::get, users::change::change, users::delete::delete))
        .routes(routes!(users::creds::renew))
        .routes(routes!(signing_keys::list, signing_keys::create))
        .routes(routes!(signing_keys::get, signing_keys::put, signing_keys::delete))
        .routes(routes!(exports::list, exports::create))
        .routes(routes!(exports::get, exports::put, exports::delete))
        .routes(routes!(imports::list, imports::create))
        .routes(routes!(imports::get, imports::delete))
        .routes(routes!(activations::list, activations::create))
        .routes(routes!(activations::get, activations::delete))
        .routes(routes!(shares::list, shares::create))
        .routes(routes!(shares::get, shares::delete))
        .routes(routes!(shares::accept))
        .routes(routes!(revocations::list, revocations::create))
        .routes(routes!(revocations::delete))
        .routes(routes!(connections::list_of_account))
        .routes(routes!(connections::list))
        .routes(routes!(connections::kick))
        .routes(routes!(certificates::list, certificates::create))
        .routes(routes!(certificates::ca))
        .routes(routes!(tokens::list, tokens::create))
        .routes(routes!(tokens::get, tokens::delete))
        .routes(routes!(ledger::entries::list))
        .routes(routes!(ledger::export::export))
        .routes(routes!(ledger::checkpoint::get))
        .routes(routes!(ledger::proof::get))
        .routes(routes!(brokers::list))
        .routes(routes!(explain::explain))
}

/// The whole service: pages, document, API, and what surrounds every request.
pub fn router(app: App) -> Router {
    let (api, _) = routes().split_for_parts();
    api.merge(crate::console::router())
        .route("/", routing::get(first_page::page))
        .route("/openapi.json", routing::get(document))
        .fallback(nothing)
        .method_not_allowed_fallback(other_method)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(from_fn_with_state(app.clone(), entrance::enter))
        .with_state(app)
}

async fn document(State(app): State<App>) -> Response {
    let mut response = app.openapi().to_owned().into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

async fn nothing() -> Problem {
    Problem::new(Code::NotFound, "there is nothing at this path").remedy("see /openapi.json for every path")
}

async fn other_method() -> Problem {
    Problem::new(Code::MethodNotAllowed, "the path exists, but not for this method")
}
