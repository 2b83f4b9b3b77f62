//! The outbox: what was signed and stored reaches every broker, however often it takes.
//!
//! Pushes are read from the store and from nowhere else, so those that a crash left behind are found at
//! the next start. A push is confirmed when every broker that answered lately has taken it; until then it
//! is tried again, ever more seldom. What brokers answered becomes a ledger entry whenever it changes.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Act, IssueError, Issuer};
use crate::broker::{Answer, Broker, BrokerError};
use crate::ledger::{Outcome, Reference};
use crate::limits::{BROKERS_LEARNED_TIME, PUSH_BATCH, PUSH_RETRY_SECONDS};
use crate::store::{Page, PushKind, PushRow, PushState};

/// How long settled pushes are kept, in seconds.
const SETTLED_SECONDS: i64 = 7 * 86_400;

/// The worker that empties the outbox.
pub struct Outbox {
    issuer: Issuer,
    broker: Arc<dyn Broker>,
}

/// What came of one attempt.
struct Attempt {
    state: PushState,
    answers: Vec<Answer>,
    problem: Option<String>,
}

impl Outbox {
    /// A worker for the pushes of this issuer.
    pub fn new(issuer: Issuer, broker: Arc<dyn Broker>) -> Self {
        Self { issuer, broker }
    }

    /// Works until told to stop.
    pub async fn run(self, stop: CancellationToken) {
        let mut connected_at = None;
        loop {
            connected_at = self.broker.is_connected().then(|| connected_at.unwrap_or_else(Instant::now));
            // Pushed before the brokers are known, a change would wait for answers that nobody owes.
            let ready =
                connected_at.is_some_and(|at| !self.broker.known().is_empty() || at.elapsed() > BROKERS_LEARNED_TIME);
            if ready && let Err(error) = self.run_due().await {
                tracing::error!(%error, "the outbox could not be worked on");
            }
            let wait = if ready { self.wait_time().await } else { Duration::from_millis(100) };
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.issuer.pushes().notified() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    async fn wait_time(&self) -> Duration {
        let next = async {
            let mut reader = self.issuer.store().read().await?;
            reader.pushes().next_due().await
        };
        match next.await {
            Ok(Some(at)) => Duration::from_secs(u64::try_from(at - self.issuer.now()).unwrap_or(0).clamp(1, 60)),
            _ => Duration::from_mins(1),
        }
    }

    /// Tries every push that is due, once.
    ///
    /// # Errors
    ///
    /// [`IssueError::Store`]; a broker that does not answer is no error, the push stays due.
    pub async fn run_due(&self) -> Result<(), IssueError> {
        let due = self.issuer.store().read().await?.pushes().due(self.issuer.now(), PUSH_BATCH).await?;
        for push in due {
            let attempt = self.attempt(&push).await;
            self.settle(&push, attempt).await?;
        }
        Ok(())
    }

    async fn attempt(&self, push: &PushRow) -> Attempt {
        let answered = match push.kind {
            PushKind::Update => self.broker.push(&push.token).await,
            PushKind::Delete => self.close_and_delete(push).await,
        };
        match answered {
            Ok(answers) => self.judge(push.kind, answers),
            Err(error) => Attempt { state: PushState::Pending, answers: Vec::new(), problem: Some(error.to_string()) },
        }
    }

    /// First the claims that let nobody in, then the request to forget them: a broker may refuse the second.
    async fn close_and_delete(&self, push: &PushRow) -> Result<Vec<Answer>, BrokerError> {
        let unreadable = |error: &dyn std::fmt::Display| BrokerError::Unreachable(error.to_string());
        let mut reader = self.issuer.store().read().await.map_err(|error| unreadable(&error))?;
        let row = reader.accounts().lookup(&push.account).await.map_err(|error| unreadable(&error))?;
        drop(reader);
        let closed = match row {
            Some(row) => self.broker.push(&row.claims_jwt).await?,
            None => Vec::new(),
        };
        match self.broker.delete(&push.token).await {
            Ok(forgotten) => Ok(closed
                .into_iter()
                .map(|answer| match forgotten.iter().find(|other| other.broker == answer.broker) {
                    Some(other) => Answer { message: format!("{}; {}", answer.message, other.message), ..answer },
                    None => answer,
                })
                .collect()),
            // Cache resolvers and brokers without leave to delete stay silent; the account is closed there.
            Err(BrokerError::Silent) => Ok(closed),
            Err(error) => Err(error),
        }
    }

    fn judge(&self, kind: PushKind, answers: Vec<Answer>) -> Attempt {
        let accepted: HashSet<&str> =
            answers.iter().filter(|answer| answer.accepted).map(|answer| answer.broker.as_str()).collect();
        let refused = answers.iter().find(|answer| !answer.accepted);
        let silent = self.broker.known().into_iter().find(|known| !accepted.contains(known.info.id.as_str()));
        let problem = match (refused, silent) {
            (Some(refused), _) => Some(format!("broker `{}` refused: {}", refused.name, refused.message)),
            (None, Some(silent)) => Some(format!("broker `{}` has not answered", silent.info.name)),
            (None, None) if accepted.is_empty() && kind == PushKind::Update => Some("no broker answered".to_owned()),
            (None, None) => None,
        };
        let state = if problem.is_none() { PushState::Confirmed } else { PushState::Pending };
        Attempt { state, answers, problem }
    }

    async fn settle(&self, push: &PushRow, attempt: Attempt) -> Result<(), IssueError> {
        let now = self.issuer.now();
        let answer = json!({ "problem": attempt.problem, "answers": attempt.answers }).to_string();
        let (first, longest) = PUSH_RETRY_SECONDS;
        let wait = first.saturating_mul(1 << push.attempts.clamp(0, 16)).min(longest);
        let mut unit = self.issuer.store().begin("push.settle").await?;
        unit.pushes().settle(push, attempt.state, &answer, now + wait, now).await?;
        if attempt.state == PushState::Confirmed && push.kind == PushKind::Update {
            unit.accounts().confirm_push(&push.account, &push.jti).await?;
        }
        let mut entries = Vec::new();
        if push.answer.as_deref() != Some(answer.as_str()) {
            let kind = match push.kind {
                PushKind::Update => "account.push",
                PushKind::Delete => "account.push_delete",
            };
            let mut entry = Act::local("outbox")
                .entry(kind, now)
                .on_account(push.account)
                .on_object(push.account.to_string())
                .referring_to(Reference::Claims(push.jti.clone()))
                .with_detail(
                    json!({ "problem": attempt.problem, "answers": attempt.answers, "attempt": push.attempts + 1 }),
                );
            if let Some(problem) = &attempt.problem {
                tracing::warn!(account.key = %push.account, problem, "a push is not confirmed yet");
                entry.outcome = Outcome::Refused;
                entry.reason = Some("push_unconfirmed".to_owned());
            }
            entries.push(entry);
        }
        unit.pushes().prune(now - SETTLED_SECONDS).await?;
        unit.save(entries).await?;
        Ok(())
    }

    /// Gives a broker that has just appeared the accounts that it does not hold: a new member of a fleet,
    /// or one that lost its folder.
    ///
    /// # Errors
    ///
    /// [`IssueError`] when the store or the brokers do not answer.
    pub async fn fill(&self, server: &str) -> Result<(), IssueError> {
        let lists = self.broker.list().await?;
        let Some((_, held)) = lists.into_iter().find(|(info, _)| info.id == server) else { return Ok(()) };
        let held: HashSet<String> = held.into_iter().collect();
        let mut after = None;
        loop {
            let mut reader = self.issuer.store().read().await?;
            let rows = reader.accounts().list(&Page::new(after, crate::store::PAGE_MAX)).await?;
            drop(reader);
            let Some(last) = rows.last() else { return Ok(()) };
            after = Some(last.key.to_string());
            for row in rows.iter().filter(|row| !held.contains(&row.key.to_string())) {
                if let Err(error) = self.broker.push(&row.claims_jwt).await {
                    tracing::warn!(%error, account.key = %row.key, "a new broker could not be given an account");
                    return Ok(());
                }
            }
        }
    }
}
