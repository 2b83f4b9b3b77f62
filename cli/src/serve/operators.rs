//! The operators that the broker of a data folder trusts: those that the store names, also those that come later.
//!
//! Operators and their signing keys are changed by the API, possibly by another control plane on the same database.
//! So the store is asked again and again; what it says is put in force while clients are connected.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use cordon_accounts::claims::{Operator, Verified, decode};
use cordon_admin::store::{OperatorState, Page, Store};
use cordon_auth::trust::Trust;
use cordon_server::{Broker, reload};

/// How often the store is asked: an account that a new key signed waits no longer than that.
const LOOK: Duration = Duration::from_secs(1);
/// Looks for which accounts of a key that has gone are waited for: they are being signed anew and pushed.
const PATIENCE: u32 = 10;

/// Where operators are found.
#[derive(Clone, Debug)]
pub(crate) struct Operators {
    store: Store,
    /// The key of the data folder's own operator, which names the system account.
    own: Option<String>,
}

/// How far changed operators are in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// They are.
    Done,
    /// Beside those before, whose accounts are on their way with another signature.
    Waiting,
}

impl Operators {
    pub(crate) fn new(store: Store, own: Option<&str>) -> Self {
        Self { store, own: own.map(str::to_owned) }
    }

    /// Trust in the own operator, and in the store's others that do not want another system account.
    pub(crate) async fn trust(&self) -> anyhow::Result<Trust> {
        let mut reader = self.store.read().await.context("the store cannot be read")?;
        let mut rows = reader.operators().list(&Page::first()).await.context("operators cannot be read")?;
        rows.retain(|row| row.state == OperatorState::Active);
        // Our own comes first: it names the system account.
        rows.sort_by_key(|row| Some(row.key.to_string().as_str()) != self.own.as_deref());
        let mut operators: Vec<Verified<Operator>> = Vec::new();
        let mut system_account = None;
        for row in rows {
            let operator = decode::<Operator>(&row.claims_jwt)
                .with_context(|| format!("the stored JWT of operator `{}`", row.name))?;
            match (system_account, operator.nats.system_account) {
                (Some(ours), Some(theirs)) if ours != theirs => {
                    tracing::debug!(
                        "operator `{}` has a system account of its own, so this broker does not trust it",
                        row.name
                    );
                    continue;
                }
                (None, named) => system_account = named,
                _ => {}
            }
            operators.push(operator);
        }
        Trust::new(operators).context("the store has no operator that the broker could trust")
    }

    /// Has the broker trust whom the store names now; nothing happens when that is whom it trusts already.
    ///
    /// Accounts that a key signed which has gone would be cut off. While `patient`, those who were trusted before stay
    /// trusted beside the new ones instead, and it says so: the accounts are on their way with another signature.
    ///
    /// # Errors
    ///
    /// When the store cannot be read, or names another system account: that needs a restart.
    pub(crate) async fn put_in_force(&self, broker: &Arc<Broker>, patient: bool) -> anyhow::Result<Progress> {
        let Some(accounts) = broker.tenants.accounts() else { return Ok(Progress::Done) };
        let (fresh, known) = (self.trust().await?, accounts.trust());
        let tokens = |trust: &Trust| trust.operators().iter().map(|one| one.token().to_owned()).collect::<Vec<_>>();
        if tokens(&fresh) == tokens(&known) {
            return Ok(Progress::Done);
        }
        anyhow::ensure!(
            fresh.system_account() == known.system_account(),
            "the operators name another system account, which counts from the next start on"
        );
        if patient && accounts.all_loaded().iter().any(|account| !fresh.trusts(&account.claims.issuer)) {
            let both: Vec<_> = fresh.operators().iter().chain(known.operators()).cloned().collect();
            reload::operators::trust(broker, Arc::new(Trust::new(both)?)).await;
            return Ok(Progress::Waiting);
        }
        tracing::info!("the broker trusts the operators as the store names them now");
        reload::operators::trust(broker, Arc::new(fresh)).await;
        Ok(Progress::Done)
    }

    /// Does so again and again, until the broker stops.
    pub(crate) async fn follow(self, broker: Arc<Broker>) {
        let (mut trouble, mut waited) = (None, 0);
        loop {
            tokio::select! {
                () = broker.stopping.cancelled() => return,
                () = tokio::time::sleep(LOOK) => {}
            }
            let outcome = self.put_in_force(&broker, waited < PATIENCE).await;
            waited = if matches!(outcome, Ok(Progress::Waiting)) { waited + 1 } else { 0 };
            let outcome = outcome.err().map(|error| format!("{error:#}"));
            if outcome != trouble {
                // Once, however long it lasts.
                if let Some(error) = &outcome {
                    tracing::warn!("changed operators are not in force: {error}");
                }
                trouble = outcome;
            }
        }
    }
}
