//! Signing keys of operators, and accounts that must be signed anew when one goes.

use cordon_accounts::claims::OperatorClaims;
use cordon_accounts::key::{OperatorKey, PublicKey, Role, Seed};
use rand::rngs::OsRng;

use super::draft::{current, next_issue_time};
use super::operators::live_operator;
use super::signer::operator_claims;
use super::{Act, IssueError, Issuer, effect, views};
use crate::ledger::{Entry, Reference};
use crate::model::{Operator, SigningKey};
use crate::store::{OperatorRow, Page, PushKind, SigningKeyRow, SigningKeyState, Unit};

impl Issuer {
    /// Adds a signing key to an operator whose identity is in the vault: a new one, or a public key whose
    /// owner keeps the seed.
    ///
    /// # Errors
    ///
    /// [`IssueError::SeedUnavailable`] when the identity is offline.
    pub async fn add_operator_key(
        &self,
        act: &Act,
        operator: &OperatorKey,
        brought: Option<OperatorKey>,
    ) -> Result<SigningKey, IssueError> {
        let now = self.now();
        let mut unit = self.begin(act, "operator.key.create").await?;
        let mut row = live_operator(&mut unit, operator).await?;
        act.precondition.check(row.version)?;
        let seed = Seed::generate(Role::Operator, &mut OsRng);
        let key = match brought {
            Some(key) => key,
            None => OperatorKey::try_from(seed.public()).map_err(|error| IssueError::Stored(error.to_string()))?,
        };
        let mut claims = operator_claims(&row)?;
        if claims.nats.signing_keys.contains(&key) || key == row.key {
            return Err(IssueError::Conflict("the operator has this key already".to_owned()));
        }
        claims.nats.signing_keys.push(key);
        let mut signing = match brought {
            Some(_) => SigningKeyRow {
                seed_sealed: None,
                key: key.public(),
                ..self.signing_key_row(&seed, operator.public(), now)?
            },
            None => self.signing_key_row(&seed, operator.public(), now)?,
        };
        unit.signing_keys().insert(&mut signing).await?;
        let entry = self.sign_operator(act, &mut unit, &mut row, claims, "operator.key.create", &key).await?;
        if act.dry_run {
            return Err(IssueError::DryRun(Box::new(effect::none())));
        }
        let view = views::signing_key(&operator.public(), row.version, &key.public(), None, Some(&signing));
        self.save(act, unit, vec![entry], &view).await?;
        Ok(view)
    }

    /// Takes a signing key from an operator. Accounts that it signed are signed anew by another key and
    /// pushed; brokers must be given the operator's new JWT.
    ///
    /// # Errors
    ///
    /// [`IssueError::SeedUnavailable`] when no other key could sign those accounts.
    pub async fn remove_operator_key(
        &self,
        act: &Act,
        operator: &OperatorKey,
        key: &OperatorKey,
    ) -> Result<(), IssueError> {
        let mut unit = self.begin(act, "operator.key.delete").await?;
        let mut row = live_operator(&mut unit, operator).await?;
        act.precondition.check(row.version)?;
        let mut claims = operator_claims(&row)?;
        let count = claims.nats.signing_keys.len();
        claims.nats.signing_keys.retain(|listed| listed != key);
        if claims.nats.signing_keys.len() == count {
            return Err(IssueError::not_found("signing key", key));
        }
        if claims.nats.strict_signing_key_usage && claims.nats.signing_keys.is_empty() {
            return Err(IssueError::Conflict(
                "the operator demands signing keys, and this is its last; make another first".to_owned(),
            ));
        }
        let mut entries = vec![self.sign_operator(act, &mut unit, &mut row, claims, "operator.key.delete", key).await?];
        if let Some(mut signing) = unit.signing_keys().lookup(&key.public()).await? {
            signing.state = SigningKeyState::Removed;
            signing.seed_sealed = None;
            signing.updated_at = self.now();
            unit.signing_keys().update(&mut signing).await?;
        }
        entries.extend(self.sign_accounts_anew(act, &mut unit, &row, &key.public()).await?);
        if act.dry_run {
            let mut effect = effect::none();
            let count = entries.len() - 1;
            effect.warnings.push(format!(
                "{count} accounts are signed anew and pushed; brokers need the operator's new JWT first"
            ));
            return Err(IssueError::DryRun(Box::new(effect)));
        }
        unit.save(entries).await?;
        self.pushes().notify_one();
        Ok(())
    }

    async fn sign_operator(
        &self,
        act: &Act,
        unit: &mut Unit,
        row: &mut OperatorRow,
        claims: OperatorClaims,
        kind: &'static str,
        key: &OperatorKey,
    ) -> Result<Entry, IssueError> {
        let now = self.now();
        claims.validate(now).require_valid()?;
        let signed = claims.sign(&self.operator_identity(row)?, next_issue_time(now, claims.issued_at))?;
        let jwt_before = std::mem::replace(&mut row.claims_jwt, signed.token().to_owned());
        row.claims = serde_json::to_value(&signed.nats)?;
        row.updated_at = now;
        unit.operators().update(row).await?;
        Ok(act
            .entry(kind, now)
            .on_object(key.to_string())
            .changing(Some(jwt_before.as_bytes()), Some(row.claims_jwt.as_bytes()))
            .referring_to(Reference::Issued(signed.id.clone()))
            .referring_to(Reference::Claims(claims.id)))
    }

    /// Signs every live account of the operator that `issuer` signed by the key that signs now.
    pub(crate) async fn sign_accounts_anew(
        &self,
        act: &Act,
        unit: &mut Unit,
        operator: &OperatorRow,
        issuer: &PublicKey,
    ) -> Result<Vec<Entry>, IssueError> {
        let now = self.now();
        let mut entries = Vec::new();
        let mut after = None;
        loop {
            let rows =
                unit.accounts().list_of_operator(&operator.key, &Page::new(after, crate::store::PAGE_MAX)).await?;
            let Some(last) = rows.last() else { return Ok(entries) };
            after = Some(last.key.to_string());
            for mut row in rows {
                let claims = current(&row)?;
                if claims.issuer != *issuer {
                    continue;
                }
                let signer = self.operator_signer(unit, operator).await?;
                let signed = claims.sign(&signer, next_issue_time(now, claims.issued_at))?;
                let jwt_before = std::mem::replace(&mut row.claims_jwt, signed.token().to_owned());
                row.jti.clone_from(&signed.id);
                row.updated_at = now;
                unit.accounts().update(&mut row).await?;
                unit.pushes().enqueue(&row.key, &row.jti, PushKind::Update, &row.claims_jwt, now).await?;
                entries.push(
                    act.entry("account.sign", now)
                        .on_account(row.key)
                        .on_object(row.key.to_string())
                        .changing(Some(jwt_before.as_bytes()), Some(row.claims_jwt.as_bytes()))
                        .referring_to(Reference::Issued(row.jti.clone()))
                        .referring_to(Reference::Claims(claims.id)),
                );
            }
        }
    }

    /// The signing keys of an operator.
    ///
    /// # Errors
    ///
    /// [`IssueError::NotFound`] when there is no such operator.
    pub async fn operator_keys(&self, operator: &OperatorKey) -> Result<Operator, IssueError> {
        self.operator(operator).await
    }
}
