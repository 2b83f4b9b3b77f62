//! Who calls. A handler that takes a [`Caller`] runs only for a token that is known, not expired and not
//! revoked, sent along or behind a session of the console; a handler without one is visibly public.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{FromRequestParts, Query};
use axum::http::{HeaderMap, HeaderValue, Method, header, request::Parts};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::app::App;
use super::etag::{self, Precondition};
use super::extract::Raw;
use crate::console::OpenSession;
use crate::issuing::{Act, Idempotency, tokens};
use crate::ledger::{Actor, ActorKind};
use crate::limits::IDEMPOTENCY_KEY_BYTES_MAX;
use crate::problem::{Code, Problem};
use crate::roles::{Right, Role, RoleName};
use crate::store::{StoreError, TokenRow};

/// How seldom the last use of a token is noted, in seconds.
const TOUCH_SECONDS: i64 = 300;

/// What is known of a request's sender before it is routed. In the request's extensions.
#[derive(Clone, Debug)]
pub(crate) struct Sender {
    pub(crate) token: Result<Arc<KnownToken>, Stranger>,
    /// The session of the console through which it came.
    pub(crate) session: Option<Arc<OpenSession>>,
    pub(crate) source_ip: Option<IpAddr>,
    pub(crate) request_id: String,
}

/// A token that holds now.
#[derive(Clone, Debug)]
pub struct KnownToken {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// When it expires, unix seconds.
    pub expires: Option<i64>,
}

/// Why there is no token that holds. The caller is never told which; the ledger is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stranger {
    Expired { id: String },
    Malformed,
    Missing,
    Revoked { id: String },
    SessionEnded { id: String },
    SessionMissing,
    SessionUnknown,
    Unknown,
}

impl Stranger {
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::Expired { .. } => "token_expired",
            Self::Malformed => "token_malformed",
            Self::Missing => "token_missing",
            Self::Revoked { .. } => "token_revoked",
            Self::SessionEnded { .. } => "session_ended",
            Self::SessionMissing => "session_missing",
            Self::SessionUnknown => "session_unknown",
            Self::Unknown => "token_unknown",
        }
    }
}

impl Stranger {
    /// Who it was, where the token or the session was ours once.
    pub(crate) fn actor(&self) -> Actor {
        match self {
            Self::Expired { id } | Self::Revoked { id } => Actor::new(ActorKind::Token, id.clone()),
            Self::SessionEnded { id } => Actor::new(ActorKind::Person, id.clone()),
            _ => Actor::new(ActorKind::Anonymous, ""),
        }
    }
}

impl Sender {
    /// Whoever sends it: a token, or the person with a session of that token.
    pub(crate) fn actor(&self) -> Actor {
        let kind = if self.session.is_some() { ActorKind::Person } else { ActorKind::Token };
        match &self.token {
            Ok(token) => Actor::new(kind, token.id.clone()).in_role(token.role.name.text()),
            Err(stranger) => stranger.actor(),
        }
    }
}

/// Looks the token of these headers up.
pub(super) async fn identify(app: &App, headers: &HeaderMap) -> Result<Result<Arc<KnownToken>, Stranger>, StoreError> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        let several = headers.contains_key(header::AUTHORIZATION);
        return Ok(Err(if several { Stranger::Malformed } else { Stranger::Missing }));
    };
    let Some(token) = value.to_str().ok().and_then(bearer) else { return Ok(Err(Stranger::Malformed)) };
    Ok(of_text(app, token).await?.map(|(_, known)| known))
}

/// Looks a token up by its text: its row, and what it may do if it holds.
pub(crate) async fn of_text(
    app: &App,
    token: &str,
) -> Result<Result<(TokenRow, Arc<KnownToken>), Stranger>, StoreError> {
    let Some(hash) = tokens::hash(token) else { return Ok(Err(Stranger::Malformed)) };
    let row = app.issuer().store().read().await?.tokens().lookup_by_hash(&hash).await?;
    let Some(row) = row else { return Ok(Err(Stranger::Unknown)) };
    Ok(of_row(app, &row).await.map(|known| (row, known)))
}

/// What a stored token may do, if it holds now.
pub(crate) async fn of_row(app: &App, row: &TokenRow) -> Result<Arc<KnownToken>, Stranger> {
    let now = app.issuer().now();
    if row.revoked_at.is_some() {
        return Err(Stranger::Revoked { id: row.id.clone() });
    }
    if row.expires.is_some_and(|expires| expires <= now) {
        return Err(Stranger::Expired { id: row.id.clone() });
    }
    touch(app, row, now).await;
    let Some(name) = RoleName::parse(&row.role) else { return Err(Stranger::Unknown) };
    let role = Role { name, accounts: row.accounts.iter().copied().collect() };
    Ok(Arc::new(KnownToken { id: row.id.clone(), name: row.name.clone(), role, expires: row.expires }))
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Notes that a token was used. Not every use: reading would become writing.
async fn touch(app: &App, row: &TokenRow, now: i64) {
    if row.last_used_at.is_some_and(|at| now - at < TOUCH_SECONDS) {
        return;
    }
    let noted = async {
        let mut unit = app.issuer().store().begin("token.touch").await?;
        unit.tokens().touch(&row.id, now).await?;
        unit.save(Vec::new()).await
    };
    if let Err(error) = noted.await {
        tracing::warn!(%error, "the use of a token could not be noted");
    }
}

/// A caller with a token that holds, and what its request says about itself.
#[derive(Clone, Debug)]
pub struct Caller {
    /// What every request shares.
    pub app: App,
    /// The token.
    pub token: Arc<KnownToken>,
    sender: Sender,
    method: Method,
    target: String,
    headers: HeaderMap,
    dry_run: bool,
}

#[derive(Deserialize)]
struct DryRun {
    #[serde(default)]
    dry_run: bool,
}

impl FromRequestParts<App> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let sender = parts
            .extensions
            .get::<Sender>()
            .cloned()
            .ok_or_else(|| Problem::internal(&"a request was not identified before it was routed"))?;
        let Ok(token) = sender.token.clone() else {
            return Err(Problem::new(Code::Unauthenticated, "the request has no token that holds"));
        };
        let Query(DryRun { dry_run }) = Query::<DryRun>::from_request_parts(parts, app)
            .await
            .map_err(|_| Problem::invalid("?dry_run", "it is `true` or `false`"))?;
        let target = parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
        Ok(Self {
            app: app.clone(),
            token,
            sender,
            method: parts.method.clone(),
            target,
            headers: parts.headers.clone(),
            dry_run,
        })
    }
}

impl Caller {
    /// What every form of the caller's session carries; empty without a session.
    pub(crate) fn form_token(&self) -> &str {
        self.sender.session.as_ref().map_or("", |session| session.form_token.as_str())
    }

    /// The caller's session, if it has one.
    pub(crate) fn session(&self) -> Option<&OpenSession> {
        self.sender.session.as_deref()
    }

    /// The same caller, asking for the effect only.
    pub(crate) fn looking(mut self) -> Self {
        self.dry_run = true;
        self
    }

    /// The same caller, under the idempotency key of a form, if it carried one.
    pub(crate) fn once(mut self, key: &str) -> Self {
        if !key.is_empty()
            && let Ok(value) = HeaderValue::from_str(key)
        {
            self.headers.insert("idempotency-key", value);
        }
        self
    }

    /// The same caller, changing the version that a form was made for.
    pub(crate) fn of_version(mut self, version: i64) -> Self {
        self.headers.insert(header::IF_MATCH, etag::tag(version));
        self
    }

    /// Goes on only if the caller's role covers what is asked.
    ///
    /// # Errors
    ///
    /// 403, the same whether or not the object exists.
    pub fn require(&self, right: Right<'_>) -> Result<(), Problem> {
        if self.token.role.covers(right) {
            return Ok(());
        }
        Err(Problem::new(Code::Forbidden, format!("this needs the token of {}", right.words())))
    }

    /// The act of a creating request: recognised when it is repeated under the same key.
    ///
    /// # Errors
    ///
    /// A problem when the key or `If-Match` is malformed.
    pub fn act(&self, body: &Raw, status: u16) -> Result<Act, Problem> {
        let mut act = self.changing()?;
        if let Some(key) = self.idempotency_key()? {
            let mut hash = Sha256::new();
            for part in [self.method.as_str().as_bytes(), self.target.as_bytes(), body.bytes()] {
                hash.update(part.len().to_be_bytes());
                hash.update(part);
            }
            act.idempotency = Some(Idempotency { key, digest: hash.finalize().into(), status });
        }
        Ok(act)
    }

    /// The act of a changing request, with `If-Match` where it was sent.
    ///
    /// # Errors
    ///
    /// A problem when `If-Match` is malformed.
    pub fn changing(&self) -> Result<Act, Problem> {
        Ok(Act {
            actor: self.sender.actor(),
            source_ip: self.sender.source_ip,
            request_id: Some(self.sender.request_id.clone()),
            idempotency: None,
            precondition: Precondition::parse(&self.headers)?.unwrap_or(Precondition::Any),
            dry_run: self.dry_run,
        })
    }

    /// The act of a request that must say which version it changes. A dry run need not.
    ///
    /// # Errors
    ///
    /// 428 without `If-Match`.
    pub fn changing_version(&self) -> Result<Act, Problem> {
        if Precondition::parse(&self.headers)?.is_none() && !self.dry_run {
            return Err(Problem::new(Code::PreconditionRequired, "the request has no If-Match header").at("If-Match"));
        }
        self.changing()
    }

    fn idempotency_key(&self) -> Result<Option<String>, Problem> {
        let Some(value) = self.headers.get("idempotency-key") else { return Ok(None) };
        let good = |text: &str| {
            (1..=IDEMPOTENCY_KEY_BYTES_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
        };
        match value.to_str() {
            Ok(text) if good(text) => Ok(Some(text.to_owned())),
            _ => Err(Problem::invalid("Idempotency-Key", "the key must be 1 to 128 visible ASCII characters")),
        }
    }
}
