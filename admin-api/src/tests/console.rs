//! Sessions of the console, and what stands before every page and form: gone over by the table of routes.

use std::time::Duration;

use cordon_accounts::key::{AccountKey, Role, Seed};
use serde_json::json;

use super::{Ask, Got, Rig};
use crate::console::table;
use crate::ledger::Outcome;
use crate::limits::{CONSOLE_IDLE_SECONDS, CONSOLE_SESSION_SECONDS};
use crate::roles::RoleName;

/// A browser that is signed in.
pub(super) struct Browser<'r> {
    pub(super) rig: &'r Rig,
    pub(super) cookie: String,
}

/// What a sign-in answers.
pub(super) async fn sign_in(rig: &Rig, token: &str) -> Got {
    rig.send(Ask::new("POST", "/console/sign-in").form(&[("token", token)])).await
}

fn cookie_of(got: &Got) -> String {
    got.headers["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned()
}

impl<'r> Browser<'r> {
    pub(super) async fn open(rig: &'r Rig, token: &str) -> Self {
        let got = sign_in(rig, token).await;
        assert_eq!((got.status.as_u16(), got.headers["location"].to_str().unwrap()), (303, "/console"), "{}", got.text);
        Self { rig, cookie: cookie_of(&got) }
    }

    pub(super) async fn get(&self, path: &str) -> Got {
        self.rig.send(Ask::new("GET", path).header("cookie", &*self.cookie)).await
    }

    /// A page that must be shown.
    pub(super) async fn page(&self, path: &str) -> String {
        let got = self.get(path).await;
        assert_eq!(got.status.as_u16(), 200, "{path}: {}", got.text);
        got.text
    }

    pub(super) async fn form_token(&self) -> String {
        hidden(&self.page("/console/accounts").await, "form_token")
    }

    /// Sends a form of this session.
    pub(super) async fn send(&self, path: &str, fields: &[(&str, &str)]) -> Got {
        let form_token = self.form_token().await;
        let mut fields = fields.to_vec();
        fields.push(("form_token", &form_token));
        self.rig.send(Ask::new("POST", path).header("cookie", &*self.cookie).form(&fields)).await
    }

    /// Opens a page that asks, and says yes.
    pub(super) async fn confirm(&self, path: &str) -> Got {
        let page = self.page(path).await;
        let (once, version) = (hidden(&page, "once"), hidden(&page, "version"));
        self.send(path, &[("once", &once), ("version", &version)]).await
    }
}

/// The value of a hidden field.
pub(super) fn hidden(page: &str, name: &str) -> String {
    let lead = format!("name=\"{name}\" value=\"");
    let (_, rest) = page.split_once(&lead).unwrap_or_else(|| panic!("no {name} in {page}"));
    rest.split('"').next().unwrap().to_owned()
}

async fn last(rig: &Rig) -> crate::ledger::StoredEntry {
    rig.entries().await.pop().unwrap()
}

/// A world in which every path of the table leads somewhere.
async fn paths(rig: &Rig) -> (String, Vec<(&'static str, String, bool)>) {
    let (maker, buyer) = (rig.account("maker").await, rig.account("buyer").await);
    let user = rig.post(&format!("accounts/{maker}/users"), json!({ "name": "ann" })).await.expect(201);
    let offer = json!({ "importer": buyer, "kind": "bucket", "name": "CONFIG" });
    let share = rig.post(&format!("accounts/{maker}/shares"), offer).await.expect(201);
    rig.broker.connect(&maker, user["user"]["key"].as_str().unwrap(), "", 7);
    let paths = table()
        .into_iter()
        .map(|route| {
            let path = route
                .path
                .replace("{account}", &maker)
                .replace("{user}", user["user"]["key"].as_str().unwrap())
                .replace("{share}", share["id"].as_str().unwrap())
                .replace("{server}", "N1")
                .replace("{cid}", "7");
            assert!(!path.contains('{'), "{path}: fill the parameter in");
            (route.method, path, route.open)
        })
        .collect();
    (maker, paths)
}

/// What may be open without a session: whoever adds to it, says so here.
const OPEN: [(&str, &str); 4] = [
    ("GET", "/console/style.css"),
    ("GET", "/console/script.js"),
    ("GET", "/console/sign-in"),
    ("POST", "/console/sign-in"),
];

#[tokio::test]
async fn no_page_and_no_form_answers_without_a_session() {
    let rig = Rig::with_operator().await;
    let (_, paths) = paths(&rig).await;
    let wrong = format!("__Host-cordon={}", "A".repeat(43));
    for (method, path, open) in paths {
        assert_eq!(open, OPEN.contains(&(method, path.as_str())), "{method} {path}");
        if open {
            continue;
        }
        for (cookie, place) in [(None, "/console/sign-in"), (Some(&wrong), "/console/sign-in?why=ended")] {
            let mut ask = Ask::new(method, path.as_str());
            if let Some(cookie) = cookie {
                ask = ask.header("cookie", cookie);
            }
            let before = rig.entries().await.len();
            let ask = if method == "POST" { ask.form(&[("form_token", "x")]) } else { ask };
            let got = rig.send(ask).await;
            assert_eq!(got.status.as_u16(), 303, "{method} {path}: {}", got.text);
            assert_eq!(got.headers["location"], place);
            assert!(got.text.is_empty());
            let written = rig.entries().await.len() - before;
            let silent = cookie.is_none() && method == "GET";
            assert_eq!(written, usize::from(!silent), "{method} {path}");
            rig.clock.advance(Duration::from_secs(10));
        }
        let bearer = rig.send(Ask::new(method, path.as_str()).token(rig.owner())).await;
        assert_eq!(bearer.status.as_u16(), 303, "{method} {path}: a token in a header is for the API");
        rig.clock.advance(Duration::from_secs(10));
    }
}

#[tokio::test]
async fn a_form_without_its_token_or_from_elsewhere_is_refused_and_written_down() {
    let rig = Rig::with_operator().await;
    let (_, paths) = paths(&rig).await;
    let browser = Browser::open(&rig, rig.owner()).await;
    let other = Browser::open(&rig, rig.owner()).await.form_token().await;
    let good = browser.form_token().await;
    let mut seen = 0;
    for (_, path, _) in paths.into_iter().filter(|(method, _, open)| *method == "POST" && !open) {
        let ask = || Ask::new("POST", path.as_str()).header("cookie", &*browser.cookie);
        for (sent, reason) in [
            (ask().form(&[]), "form_token"),
            (ask().form(&[("form_token", "")]), "form_token"),
            (ask().form(&[("form_token", &other)]), "form_token"),
            (ask().form(&[("form_token", &good)]).header("origin", "https://evil.example"), "cross_site"),
            (ask().form(&[("form_token", &good)]).header("sec-fetch-site", "cross-site"), "cross_site"),
            (ask().header("content-type", "application/x-www-form-urlencoded"), "cross_site"),
        ] {
            let before = rig.entries().await.len();
            let got = rig.send(sent).await;
            assert_eq!(got.status.as_u16(), 403, "{path} {reason}: {}", got.text);
            let entries = rig.entries().await;
            let leaf = &entries.last().unwrap().leaf;
            assert_eq!((entries.len(), leaf.outcome), (before + 1, Outcome::Refused), "{path}");
            assert_eq!((leaf.kind.as_str(), leaf.reason.as_deref()), ("api.refused", Some(reason)), "{path}");
            assert_eq!(leaf.object.as_deref(), Some(format!("POST {path}").as_str()));
            seen += 1;
        }
        rig.clock.advance(Duration::from_secs(10));
    }
    assert!(seen >= 54, "{seen}");
    assert!(browser.get("/console/accounts").await.status == 200, "the session is still there");
}

#[tokio::test]
async fn an_auditor_sees_every_page_without_a_form_and_changes_nothing() {
    let rig = Rig::with_operator().await;
    let (_, paths) = paths(&rig).await;
    let token = rig.token(RoleName::Auditor, vec![]).await;
    let browser = Browser::open(&rig, &token).await;
    let accounts = rig.get("accounts").await.text;
    for (method, path, open) in paths {
        if open || path == "/console/sign-out" {
            continue;
        }
        let before = rig.entries().await.len();
        let got = match method {
            "GET" => browser.get(&path).await,
            _ => browser.send(&path, &[("version", "1"), ("once", "x")]).await,
        };
        let asks = ["/suspend", "/resume", "/new", "/revoke", "/end", "/kick"].iter().any(|end| path.ends_with(end));
        if method == "GET" && !asks {
            assert!(matches!(got.status.as_u16(), 200 | 303), "{path}: {}", got.text);
            let forms = got.text.matches("method=\"post\"").count();
            assert!(forms <= 1 && !got.text.contains("hellip"), "{path} offers a change: {}", got.text);
            continue;
        }
        assert_eq!(got.status.as_u16(), 403, "{method} {path}: {}", got.text);
        let entries = rig.entries().await;
        let leaf = &entries.last().unwrap().leaf;
        assert_eq!(entries.len(), before + 1, "{method} {path}");
        assert_eq!((leaf.outcome, leaf.reason.as_deref()), (Outcome::Refused, Some("forbidden")), "{method} {path}");
        assert_eq!(leaf.actor.role.as_deref(), Some("auditor"));
        rig.clock.advance(Duration::from_secs(5));
    }
    assert_eq!(rig.get("accounts").await.text, accounts);
}

#[tokio::test]
async fn an_account_admin_sees_its_own_account_and_no_other() {
    let rig = Rig::with_operator().await;
    let (_, paths) = paths(&rig).await;
    let own = rig.account("own").await;
    let token = rig.token(RoleName::AccountAdmin, vec![AccountKey::parse(&own).unwrap()]).await;
    let browser = Browser::open(&rig, &token).await;
    for (method, path, _) in paths.iter().filter(|(_, path, _)| path.contains("/accounts/") || path.contains("/kick")) {
        let got = match *method {
            "GET" => browser.get(path).await,
            _ => browser.send(path, &[("version", "1"), ("once", "x")]).await,
        };
        assert_eq!(got.status.as_u16(), 403, "{method} {path}: {}", got.text);
        rig.clock.advance(Duration::from_secs(5));
    }
    let list = browser.page("/console/accounts").await;
    assert!(list.contains(">own</a>") && !list.contains(">maker</a>"), "{list}");
    assert!(browser.page(&format!("/console/accounts/{own}")).await.contains("Issue a user"));
    assert!(!browser.page(&format!("/console/accounts/{own}")).await.contains("Suspend"));
    assert_eq!(browser.get("/console/tokens").await.status, 403);
    assert_eq!(browser.get("/console/ledger/export").await.status, 403);
    let ledger = browser.page("/console/ledger").await;
    assert!(!ledger.contains("Export as"), "{ledger}");
}

#[tokio::test]
async fn every_page_carries_the_headers_and_loads_nothing_from_elsewhere() {
    let rig = Rig::with_operator().await;
    let (_, paths) = paths(&rig).await;
    let browser = Browser::open(&rig, rig.owner()).await;
    for (_, path, _) in paths.into_iter().filter(|(method, ..)| *method == "GET") {
        let got = browser.get(&path).await;
        assert!(matches!(got.status.as_u16(), 200 | 303), "{path}: {}", got.text);
        for (name, value) in [
            ("strict-transport-security", "max-age=31536000; includeSubDomains"),
            ("x-content-type-options", "nosniff"),
            ("cache-control", "no-store"),
            ("referrer-policy", "no-referrer"),
        ] {
            assert_eq!(got.headers[name], value, "{path}");
        }
        let policy = got.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
        assert!(!policy.contains("unsafe"), "{path}");
        if got.headers.get("content-type").is_none_or(|kind| kind != "text/html; charset=utf-8") {
            continue;
        }
        for part in ["style-src 'self'", "script-src 'self'", "form-action 'self'", "base-uri 'none'"] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        for forbidden in [" style=", "onclick", "onload", "javascript:", "src=\"http", "href=\"http", "url("] {
            assert!(!got.text.contains(forbidden), "{path}: {forbidden}");
        }
        assert!(got.text.contains("<html lang=\"en\">") && got.text.contains("<main id=\"main\""), "{path}");
        assert_eq!(got.text.matches("<h1").count(), 1, "{path}");
        for field in got.text.split("<input ").skip(1).filter(|field| !field.starts_with("type=\"hidden\"")) {
            let id = field.split("id=\"").nth(1).and_then(|rest| rest.split('"').next());
            let labelled = field.contains("type=\"radio\"")
                || field.contains("type=\"checkbox\"")
                || id.is_some_and(|id| got.text.contains(&format!("for=\"{id}\"")));
            assert!(labelled, "{path}: a field has no label: {field:.80}");
        }
    }
}

#[tokio::test]
async fn a_session_is_opened_with_a_token_that_holds_and_its_cookie_is_kept_close() {
    let rig = Rig::new().await;
    let before = rig.entries().await.len();
    let got = sign_in(&rig, rig.owner()).await;
    let line = got.headers["set-cookie"].to_str().unwrap().to_owned();
    for part in ["__Host-cordon=", "; Path=/", "; Secure", "; HttpOnly", "; SameSite=Strict", "; Max-Age=28800"] {
        assert!(line.contains(part), "{line}: {part}");
    }
    assert!(!line.contains("Domain"));
    assert!(!got.text.contains(rig.owner()) && !line.contains(rig.owner()));
    let entries = rig.entries().await;
    assert_eq!(entries.len(), before + 1);
    assert_eq!(entries.last().unwrap().leaf.kind, "console.sign_in");
    assert_eq!(entries.last().unwrap().leaf.actor.kind.as_str(), "person");
    let api = rig.send(Ask::new("GET", "/api/v1/accounts").header("cookie", cookie_of(&got))).await;
    assert_eq!(api.status, 401, "the cookie is nothing to the API");
    let database = std::fs::read(rig.folder.path().join("cordon.db")).unwrap();
    let wal = std::fs::read(rig.folder.path().join("cordon.db-wal")).unwrap_or_default();
    let cookie = cookie_of(&got);
    let secret = cookie.split('=').nth(1).unwrap().as_bytes();
    let inside = |bytes: &[u8]| bytes.windows(secret.len()).any(|window| window == secret);
    assert!(!inside(&database) && !inside(&wal), "only a hash of it is stored");
}

#[tokio::test]
async fn a_refused_sign_in_says_no_more_and_is_written_down() {
    let rig = Rig::new().await;
    let new = |name: &str| json!({ "name": name, "role": "auditor", "expires_in_seconds": 60 });
    let expired = rig.post("tokens", new("expired")).await.expect(201);
    rig.clock.advance(Duration::from_mins(2));
    let revoked = rig.post("tokens", new("revoked")).await.expect(201);
    rig.call("DELETE", &format!("tokens/{}", revoked["token"]["id"].as_str().unwrap()), None).await.expect(204);
    let unknown = format!("cdn_{}", "A".repeat(43));
    let mut bodies = std::collections::BTreeSet::new();
    for (token, reason) in [
        (expired["secret"].as_str().unwrap(), "token_expired"),
        (revoked["secret"].as_str().unwrap(), "token_revoked"),
        (&unknown, "token_unknown"),
        ("cdn_short", "token_malformed"),
        ("", "token_malformed"),
        ("<script>alert(1)</script>", "token_malformed"),
    ] {
        let got = sign_in(&rig, token).await;
        assert_eq!(got.status, 401, "{reason}");
        assert!(!got.headers.contains_key("set-cookie"));
        assert!(token.is_empty() || !got.text.contains(token), "what was sent is not shown again");
        bodies.insert(got.text);
        let leaf = last(&rig).await.leaf;
        assert_eq!((leaf.kind.as_str(), leaf.reason.as_deref()), ("console.sign_in", Some(reason)));
        assert_eq!(leaf.outcome, Outcome::Refused);
    }
    assert_eq!(bodies.len(), 1);
    for ask in [
        Ask::new("POST", "/console/sign-in").form(&[("token", rig.owner())]).header("sec-fetch-site", "cross-site"),
        Ask::new("POST", "/console/sign-in").form(&[("token", rig.owner())]).header("origin", "https://evil.example"),
    ] {
        assert_eq!(rig.send(ask).await.status, 403, "nobody is signed in from elsewhere");
    }
    let long = "A".repeat(5000);
    assert_eq!(sign_in(&rig, &long).await.status, 413);
    assert_eq!(
        rig.send(Ask::new("POST", "/console/sign-in").text("{}").header("sec-fetch-site", "same-origin")).await.status,
        415
    );
    rig.clock.advance(Duration::from_mins(2));
    let before = rig.entries().await.len();
    for _ in 0..50 {
        sign_in(&rig, &unknown).await;
    }
    let written = rig.entries().await.len() - before;
    assert!((20..=21).contains(&written), "a flood of attempts is counted, not written: {written}");
}

#[tokio::test]
async fn a_session_ends_by_sign_out_by_idling_by_age_and_with_its_token() {
    let rig = Rig::new().await;
    let alive = async |browser: &Browser<'_>| browser.get("/console/accounts").await.status == 200;

    let browser = Browser::open(&rig, rig.owner()).await;
    let got = browser.send("/console/sign-out", &[]).await;
    assert_eq!((got.status.as_u16(), got.headers["location"].to_str().unwrap()), (303, "/console/sign-in?why=out"));
    assert!(got.headers["set-cookie"].to_str().unwrap().contains("Max-Age=0"));
    assert_eq!(last(&rig).await.leaf.kind, "console.sign_out");
    assert!(!alive(&browser).await, "the store knows it no more, whatever the browser keeps");

    let browser = Browser::open(&rig, rig.owner()).await;
    let idle = Duration::from_secs(CONSOLE_IDLE_SECONDS.unsigned_abs());
    let almost = Duration::from_secs(CONSOLE_IDLE_SECONDS.unsigned_abs() - 31);
    rig.clock.advance(almost);
    assert!(alive(&browser).await);
    rig.clock.advance(almost);
    assert!(alive(&browser).await, "use puts the idle end off");
    rig.clock.advance(idle);
    let ended = browser.get("/console/accounts").await;
    assert_eq!(ended.headers["location"], "/console/sign-in?why=ended");
    assert!(ended.headers["set-cookie"].to_str().unwrap().contains("Max-Age=0"));
    assert_eq!(last(&rig).await.leaf.reason.as_deref(), Some("session_ended"));

    let browser = Browser::open(&rig, rig.owner()).await;
    let begun = rig.clock.unix_seconds();
    while rig.clock.unix_seconds() + 1000 < begun + CONSOLE_SESSION_SECONDS {
        rig.clock.advance(Duration::from_secs(1000));
        assert!(alive(&browser).await);
    }
    rig.clock.advance(Duration::from_secs(1000));
    assert!(!alive(&browser).await, "no use puts the last end off");

    let made = rig.post("tokens", json!({ "name": "t", "role": "owner", "expires_in_seconds": 900 })).await.expect(201);
    let browser = Browser::open(&rig, made["secret"].as_str().unwrap()).await;
    assert!(alive(&browser).await);
    rig.clock.advance(Duration::from_mins(15));
    assert!(!alive(&browser).await, "it ends with its token");

    let made = rig.post("tokens", json!({ "name": "t", "role": "owner" })).await.expect(201);
    let browser = Browser::open(&rig, made["secret"].as_str().unwrap()).await;
    assert!(alive(&browser).await);
    rig.call("DELETE", &format!("tokens/{}", made["token"]["id"].as_str().unwrap()), None).await.expect(204);
    assert!(!alive(&browser).await, "it ends when its token is revoked");
    assert_eq!(last(&rig).await.leaf.reason.as_deref(), Some("token_revoked"));
}

#[tokio::test]
async fn a_second_sign_in_replaces_the_session_of_that_browser_and_no_other() {
    let rig = Rig::new().await;
    let (first, other) = (Browser::open(&rig, rig.owner()).await, Browser::open(&rig, rig.owner()).await);
    let ask = Ask::new("POST", "/console/sign-in").header("cookie", &*first.cookie).form(&[("token", rig.owner())]);
    let second = Browser { rig: &rig, cookie: cookie_of(&rig.send(ask).await) };
    assert_ne!(first.cookie, second.cookie);
    for (browser, alive) in [(&first, false), (&other, true), (&second, true)] {
        assert_eq!(browser.get("/console/accounts").await.status == 200, alive);
    }
    for _ in 0..20 {
        Browser::open(&rig, rig.owner()).await;
    }
    assert_ne!(other.get("/console/accounts").await.status, 200, "one token has a bounded number of sessions");
}

#[tokio::test]
async fn problems_are_pages_with_their_status() {
    let rig = Rig::with_operator().await;
    let browser = Browser::open(&rig, rig.owner()).await;
    let missing = Seed::from_raw(Role::Account, [9; 32]).public();
    for (path, status) in [
        (format!("/console/accounts/{missing}"), 404),
        ("/console/accounts/x".to_owned(), 404),
        ("/console/nowhere".to_owned(), 404),
        ("/console/ledger?outcome=maybe".to_owned(), 422),
        ("/console/ledger?after=x".to_owned(), 422),
    ] {
        let got = browser.get(&path).await;
        assert_eq!(got.status.as_u16(), status, "{path}");
        assert_eq!(got.headers["content-type"], "text/html; charset=utf-8");
        assert!(got.text.contains("Request <code>") && !got.text.contains("/api/v1"), "{path}: {}", got.text);
    }
    let post = browser.send("/console/accounts", &[]).await;
    assert_eq!(post.status, 405);
    assert!(post.headers["allow"].to_str().unwrap().contains("GET"));
}
