//! The console: pages for people, made on the server, over the same functions as the API.
//!
//! ```text
//! entrance -> identify (cookie -> session -> token) -> guard (where a form comes from, its token) -> page -> v1 -> issuing
//! ```
//!
//! A page never reads the store and never decides what a caller may do: it calls the handler of `v1` that the API has for
//! it, with the caller's own [`Caller`](crate::http::caller::Caller), and shows what that answers. A form becomes the body
//! that the API takes. What would end connections or imports is first asked for with `dry_run`, and confirmed.
//!
//! To add a page: a handler, its template under `templates/console/`, and its line in [`table`]. The tests go over that
//! table; what answers without a session, or takes a form without its token, fails them.

mod account;
mod accounts;
mod assets;
mod confirm;
mod connections;
mod fields;
mod guard;
mod ledger;
mod outcome;
mod page;
mod session;
mod share;
mod shares;
mod sign_in;
mod tokens;
mod users;
mod words;

use axum::Router;
use axum::middleware::from_fn;
use axum::routing::{MethodRouter, get, post};

pub(crate) use page::shown;
pub(crate) use session::{OpenSession, identify};

use crate::http::app::App;

/// Where the console begins.
const ROOT: &str = "/console";

/// Where somebody signs in.
const SIGN_IN: &str = "/console/sign-in";

/// One route of the console.
pub(crate) struct Route {
    #[cfg_attr(not(test), expect(dead_code, reason = "tests go over the table by it"))]
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    /// Whether it answers without a session.
    #[cfg_attr(not(test), expect(dead_code, reason = "tests go over the table by it"))]
    pub(crate) open: bool,
    handler: MethodRouter<App>,
}

fn shows(path: &'static str, handler: MethodRouter<App>) -> Route {
    Route { method: "GET", path, open: false, handler }
}

fn takes(path: &'static str, handler: MethodRouter<App>) -> Route {
    Route { method: "POST", path, open: false, handler }
}

fn open(method: &'static str, path: &'static str, handler: MethodRouter<App>) -> Route {
    Route { method, path, open: true, handler }
}

/// Every route of the console. Nothing else is one.
pub(crate) fn table() -> Vec<Route> {
    vec![
        open("GET", "/console/style.css", get(assets::style)),
        open("GET", "/console/script.js", get(assets::script)),
        open("GET", SIGN_IN, get(sign_in::page)),
        open("POST", SIGN_IN, post(sign_in::enter)),
        takes("/console/sign-out", post(sign_in::leave)),
        shows(ROOT, get(accounts::first)),
        shows("/console/accounts", get(accounts::list)),
        shows("/console/accounts/{account}", get(account::page)),
        shows("/console/accounts/{account}/suspend", get(account::ask_suspend)),
        takes("/console/accounts/{account}/suspend", post(account::suspend)),
        shows("/console/accounts/{account}/resume", get(account::ask_resume)),
        takes("/console/accounts/{account}/resume", post(account::resume)),
        shows("/console/accounts/{account}/users/new", get(users::form)),
        takes("/console/accounts/{account}/users/new", post(users::issue)),
        shows("/console/accounts/{account}/users/{user}", get(users::page)),
        shows("/console/accounts/{account}/users/{user}/revoke", get(users::ask_revoke)),
        takes("/console/accounts/{account}/users/{user}/revoke", post(users::revoke)),
        shows("/console/accounts/{account}/shares", get(shares::list)),
        shows("/console/accounts/{account}/shares/new", get(shares::form)),
        takes("/console/accounts/{account}/shares/new", post(shares::offer)),
        shows("/console/accounts/{account}/shares/{share}", get(share::page)),
        takes("/console/accounts/{account}/shares/{share}/accept", post(share::accept)),
        shows("/console/accounts/{account}/shares/{share}/end", get(share::ask_end)),
        takes("/console/accounts/{account}/shares/{share}/end", post(share::end)),
        shows("/console/accounts/{account}/connections", get(connections::list)),
        shows("/console/connections/{server}/{cid}/kick", get(connections::ask_kick)),
        takes("/console/connections/{server}/{cid}/kick", post(connections::kick)),
        shows("/console/ledger", get(ledger::entries)),
        shows("/console/ledger/checkpoint", get(ledger::checkpoint)),
        shows("/console/ledger/export", get(ledger::export)),
        shows("/console/tokens", get(tokens::list)),
    ]
}

/// The routes of the console, behind its guard.
pub(crate) fn router() -> Router<App> {
    let routes = table().into_iter();
    routes.fold(Router::new(), |router, route| router.route(route.path, route.handler)).layer(from_fn(guard::guard))
}

/// Whether a path is the console's.
pub(crate) fn covers(path: &str) -> bool {
    path.strip_prefix(ROOT).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_console_is_one_folder_of_paths() {
        for (path, inside) in [
            ("/console", true),
            ("/console/", true),
            ("/console/x", true),
            ("/consoles", false),
            ("/api/console", false),
        ] {
            assert_eq!(covers(path), inside, "{path}");
        }
        assert!(table().iter().all(|route| covers(route.path)));
    }
}
