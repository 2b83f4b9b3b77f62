//! `POST /api/v1/explain`: may this user do that, and which rule decides?

use std::net::IpAddr;
use std::sync::Arc;

use cordon_accounts::claims::{AccountClaims, User as UserStatement, UserClaims, decode};
use cordon_accounts::explain::{
    Circumstances, Explanation, Verdict, effective_template, explain_connect, explain_import, explain_publish,
    explain_subscribe,
};
use cordon_accounts::key::{AccountKey, UserKey};
use cordon_accounts::name::AccountName;
use cordon_accounts::permissions::Permissions;
use cordon_accounts::subject::Mappings;
use serde::{Deserialize, Serialize};
use time::UtcOffset;
use utoipa::ToSchema;

use crate::http::caller::Caller;
use crate::http::extract::Raw;
use crate::http::reply::{Otherwise, Reply};
use crate::issuing::IssueError;
use crate::issuing::views::current_claims;
use crate::issuing::web::Web;
use crate::model::import_id;
use crate::problem::{Problem, Problems};
use crate::roles::Right;
use crate::store::Reader;

/// What may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// May the user connect?
    Connect,
    /// Does the import work?
    Import,
    /// May the user publish to the subject?
    Publish,
    /// May the user subscribe to the subject?
    Subscribe,
}

/// A question.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// What is asked.
    pub action: Action,
    /// The account.
    #[schema(value_type = String)]
    pub account: AccountKey,
    /// The user; not for imports.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub user: Option<UserKey>,
    /// The subject; to publish or subscribe.
    #[serde(default)]
    pub subject: Option<String>,
    /// The queue group; to subscribe.
    #[serde(default)]
    pub queue: Option<String>,
    /// `STANDARD`, `WEBSOCKET`, ..; to connect.
    #[serde(default)]
    pub connection_type: Option<String>,
    /// From where; to connect.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub ip: Option<IpAddr>,
    /// The import's id; for imports.
    #[serde(default)]
    pub import: Option<String>,
}

/// The answer: what the broker would decide, and why.
#[derive(Debug, Serialize, ToSchema)]
pub struct Answer {
    /// Whether it would be allowed.
    pub allowed: bool,
    /// A reason code, when it would not.
    pub reason: Option<String>,
    /// The rule that decides.
    pub decided_by: String,
    /// Every check on the way.
    pub steps: Vec<Check>,
}

/// One check on the way.
#[derive(Debug, Serialize, ToSchema)]
pub struct Check {
    /// What was checked.
    pub what: String,
    /// `note`, `pass` or `refuse`.
    pub verdict: String,
    /// Why, naming the rule.
    pub why: String,
}

impl From<Explanation> for Answer {
    fn from(explanation: Explanation) -> Self {
        let check = |step: cordon_accounts::explain::Step| Check {
            what: step.what,
            verdict: match step.verdict {
                Verdict::Note => "note",
                Verdict::Pass => "pass",
                Verdict::Refuse => "refuse",
            }
            .to_owned(),
            why: step.why,
        };
        Self {
            allowed: explanation.allowed,
            reason: explanation.reason.map(|reason| reason.code().to_owned()),
            decided_by: explanation.decided_by,
            steps: explanation.steps.into_iter().map(check).collect(),
        }
    }
}

/// May this user do that, and which rule decides? Answered by the functions that enforce it.
#[utoipa::path(post, path = "/api/v1/explain", tag = "explain", request_body = Question, responses((status = 200, body = Answer), Problems), security(("token" = [])))]
pub(crate) async fn explain(caller: Caller, body: Raw) -> Result<Reply<Answer>, Otherwise> {
    caller.require(Right::ReadAccounts)?;
    let question: Question = body.json()?;
    caller.require(Right::ReadAccount(&question.account))?;
    let now = caller.app.issuer().now();
    let mut reader = caller.app.issuer().store().read().await?;
    let (account, strict) = current_claims(&mut reader, &question.account).await?;
    let explanation = match question.action {
        Action::Import => about_import(&mut reader, &question, &account, strict, now).await?,
        Action::Connect => {
            let user = user_claims(&mut reader, &question).await?;
            let circumstances = Circumstances {
                now,
                here: UtcOffset::UTC,
                peer: question.ip,
                connection_type: question.connection_type.as_deref(),
                strict,
            };
            explain_connect(&user, &account, &circumstances)
        }
        Action::Publish | Action::Subscribe => {
            let user = user_claims(&mut reader, &question).await?;
            about_subject(&mut reader, &question, &user, &account, strict).await?
        }
    };
    Ok(Reply::plain(explanation.into()))
}

async fn user_claims(reader: &mut Reader, question: &Question) -> Result<UserClaims, IssueError> {
    let user = question.user.ok_or_else(|| IssueError::invalid("user", "this question is about a user"))?;
    let row = crate::issuing::users::live_user(reader, &question.account, &user).await?;
    Ok(decode::<UserStatement>(&row.claims_jwt)?.into_claims())
}

async fn about_subject(
    reader: &mut Reader,
    question: &Question,
    user: &UserClaims,
    account: &AccountClaims,
    strict: bool,
) -> Result<Explanation, Otherwise> {
    let subject =
        question.subject.as_deref().ok_or_else(|| Problem::invalid("subject", "this question is about a subject"))?;
    let template = effective_template(user, account, strict).map_err(|(reason, why)| {
        Problem::invalid("user", format!("the user could not even connect: {why} (reason `{}`)", reason.code()))
    })?;
    let own = &template.permissions;
    let claim = if own.is_empty() { &account.nats.default_permissions } else { own };
    let permissions = Permissions::compile(claim).map_err(|error| Problem::invalid("user", error.to_string()))?;
    if question.action == Action::Subscribe {
        return Ok(explain_subscribe(&permissions, subject.as_bytes(), question.queue.as_deref().map(str::as_bytes)));
    }
    let (mappings, _) = Mappings::compile(&account.nats.mappings, None);
    let operators = reader.operators().list(&crate::store::Page::first()).await?;
    let in_system = operators.iter().any(|operator| operator.system_account == Some(question.account));
    Ok(explain_publish(&permissions, &mappings, subject.as_bytes(), None, in_system))
}

async fn about_import(
    reader: &mut Reader,
    question: &Question,
    account: &AccountClaims,
    strict: bool,
    now: i64,
) -> Result<Explanation, Otherwise> {
    let wanted =
        question.import.as_deref().ok_or_else(|| Problem::invalid("import", "this question is about an import"))?;
    let index = account.nats.imports.iter().position(|import| import_id(import) == wanted);
    let index = index.ok_or_else(|| IssueError::not_found("import", wanted))?;
    let web = Web::around(reader, account, strict).await?;
    let name = AccountName::from(question.account);
    let importer = web.get(&name).map(Arc::clone).ok_or_else(|| IssueError::not_found("account", question.account))?;
    Ok(explain_import(&importer, index, &|name| web.get(name).cloned(), now))
}
