//! One change of one account, from reading it to saving it.

use cordon_accounts::claims::AccountClaims;
use cordon_accounts::key::AccountKey;
use cordon_accounts::name::AccountName;
use cordon_accounts::reason::Reason;

use super::draft::{Draft, current, next_issue_time};
use super::effect::{self, Changed};
use super::signer::operator_claims;
use super::web::Web;
use super::{Act, IssueError, Issuer};
use crate::ledger::{Entry, Reference};
use crate::model::Answer;
use crate::store::{AccountRow, AccountState, OperatorRow, PushKind, Unit};

/// An account that is being changed. Edit `draft` (and `row.name`, `row.state`), then `apply`, then `save`.
pub(crate) struct AccountEdit<'i> {
    pub(crate) issuer: &'i Issuer,
    pub(crate) act: &'i Act,
    pub(crate) unit: Unit,
    pub(crate) operator: Box<OperatorRow>,
    pub(crate) row: Box<AccountRow>,
    pub(crate) draft: Box<Draft>,
    /// The claims as they were signed last.
    pub(crate) before: Box<AccountClaims>,
    pub(crate) strict: bool,
    pub(crate) now: i64,
    kind: &'static str,
    jwt_before: String,
    /// What was done to other accounts in the same unit.
    others: Vec<Entry>,
}

impl<'i> AccountEdit<'i> {
    /// Reads the account for a change of this kind. A deleted account does not exist.
    pub(crate) async fn open(
        issuer: &'i Issuer,
        act: &'i Act,
        key: &AccountKey,
        kind: &'static str,
    ) -> Result<Self, IssueError> {
        let mut unit = issuer.begin(act, kind).await?;
        let row = live_account(&mut unit, key).await?;
        act.precondition.check(row.version)?;
        Self::of(issuer, act, unit, row, kind).await
    }

    /// A change of an account that was read in this unit.
    pub(crate) async fn of(
        issuer: &'i Issuer,
        act: &'i Act,
        mut unit: Unit,
        row: AccountRow,
        kind: &'static str,
    ) -> Result<Self, IssueError> {
        let operator = unit
            .operators()
            .lookup(&row.operator)
            .await?
            .ok_or_else(|| IssueError::Stored(format!("the operator of account `{}` is missing", row.key)))?;
        let strict = operator_claims(&operator)?.nats.strict_signing_key_usage;
        let (draft, before) = (Box::new(Draft::of(&row)?), Box::new(current(&row)?));
        let jwt_before = row.claims_jwt.clone();
        Ok(Self {
            issuer,
            act,
            unit,
            operator: Box::new(operator),
            row: Box::new(row),
            draft,
            before,
            strict,
            now: issuer.now(),
            kind,
            jwt_before,
            others: Vec::new(),
        })
    }

    /// Validates the new claims, then signs and writes them and puts them into the outbox.
    ///
    /// A dry run ends here, with the effect and nothing written.
    pub(crate) async fn apply(mut self) -> Result<Self, IssueError> {
        let claims = Box::new(self.draft.claims(&self.row));
        claims.validate(self.now).require_valid()?;
        Box::pin(self.refuse_new_broken_imports(&claims)).await?;
        if self.act.dry_run {
            let changed =
                Changed { row: self.row, before: self.before, after: claims, strict: self.strict, now: self.now };
            return Err(IssueError::DryRun(Box::new(Box::pin(effect::of(self.issuer, self.unit, changed)).await?)));
        }
        let signer = self.issuer.operator_signer(&mut self.unit, &self.operator).await?;
        let signed = claims.sign(&signer, next_issue_time(self.now, self.before.issued_at))?;
        self.row.claims = self.draft.to_value()?;
        signed.token().clone_into(&mut self.row.claims_jwt);
        self.row.jti.clone_from(&signed.id);
        self.row.updated_at = self.now;
        self.unit.accounts().update(&mut self.row).await?;
        self.unit
            .pushes()
            .enqueue(&self.row.key, &self.row.jti, PushKind::Update, &self.row.claims_jwt, self.now)
            .await?;
        Ok(self)
    }

    /// Goes on with another account in the same unit; each has its ledger entry, and all are saved together.
    pub(crate) async fn then(
        self,
        entry: impl FnOnce(Entry) -> Entry,
        other: &AccountKey,
        kind: &'static str,
    ) -> Result<Self, IssueError> {
        let (issuer, act, mut unit, entries) = self.entries(entry);
        let row = live_account(&mut unit, other).await?;
        let mut next = Self::of(issuer, act, unit, row, kind).await?;
        next.others = entries;
        Ok(next)
    }

    /// Saves everything with one ledger entry about it.
    pub(crate) async fn save<T: Answer>(
        self,
        entry: impl FnOnce(Entry) -> Entry,
        answer: &T,
    ) -> Result<(), IssueError> {
        let (issuer, act, unit, entries) = self.entries(entry);
        issuer.save(act, unit, entries, answer).await
    }

    /// Saves everything with one ledger entry, for changes without an answer to be repeated.
    pub(crate) async fn save_silently(self, entry: impl FnOnce(Entry) -> Entry) -> Result<(), IssueError> {
        let (issuer, _, unit, entries) = self.entries(entry);
        unit.save(entries).await?;
        issuer.pushes().notify_one();
        Ok(())
    }

    fn entries(mut self, entry: impl FnOnce(Entry) -> Entry) -> (&'i Issuer, &'i Act, Unit, Vec<Entry>) {
        let base = self
            .act
            .entry(self.kind, self.now)
            .on_account(self.row.key)
            .on_object(self.row.key.to_string())
            .changing(Some(self.jwt_before.as_bytes()), Some(self.row.claims_jwt.as_bytes()))
            .referring_to(Reference::Issued(self.row.jti.clone()))
            .referring_to(Reference::Claims(self.before.id.clone()));
        self.others.push(entry(base));
        (self.issuer, self.act, self.unit, self.others)
    }

    /// An import that this change adds must work, or wait for an exporter that is not known here. One that
    /// was broken before may stay: otherwise nothing else could be changed until it is mended.
    async fn refuse_new_broken_imports(&mut self, claims: &AccountClaims) -> Result<(), IssueError> {
        let old = &self.before.nats.imports;
        if claims.nats.imports.iter().all(|import| old.contains(import)) {
            return Ok(());
        }
        let web = Web::around(&mut self.unit, claims, self.strict).await?;
        let Some(sharing) = web.get(&AccountName::from(self.row.key)) else { return Ok(()) };
        for refusal in web.resolve(sharing, self.now).refused {
            let added = claims.nats.imports.get(refusal.index).is_some_and(|import| !old.contains(import));
            if added && refusal.reason != Reason::AccountUnknown {
                return Err(IssueError::ImportRefused {
                    subject: refusal.subject,
                    reason: refusal.reason.code().to_owned(),
                    detail: refusal.text,
                });
            }
        }
        Ok(())
    }
}

/// The account of this key, unless it is deleted.
pub(crate) async fn live_account(
    reader: &mut crate::store::Reader,
    key: &AccountKey,
) -> Result<AccountRow, IssueError> {
    match reader.accounts().lookup(key).await? {
        Some(row) if row.state != AccountState::Deleted => Ok(row),
        _ => Err(IssueError::not_found("account", key)),
    }
}
