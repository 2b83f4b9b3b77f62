//! Which key signs, and its seed from the vault.

use cordon_accounts::claims::{AccountClaims, Operator, OperatorClaims, Signer, decode};
use cordon_accounts::key::{AccountKey, PublicKey, Seed};

use super::{IssueError, Issuer};
use crate::store::{AccountRow, OperatorRow, Reader};

/// The operator's claims as they are.
pub(crate) fn operator_claims(row: &OperatorRow) -> Result<OperatorClaims, IssueError> {
    Ok(decode::<Operator>(&row.claims_jwt)?.into_claims())
}

impl Issuer {
    /// The seed that signs accounts for this operator: a signing key where there is one, so that the
    /// identity can stay out of daily use; the identity otherwise, unless it may not.
    pub(crate) async fn operator_signer(&self, reader: &mut Reader, row: &OperatorRow) -> Result<Seed, IssueError> {
        let claims = operator_claims(row)?;
        for key in &claims.nats.signing_keys {
            if let Some(seed) = self.signing_key_seed(reader, &key.public()).await? {
                return Ok(seed);
            }
        }
        match &row.seed_sealed {
            Some(sealed) if !claims.nats.strict_signing_key_usage => {
                Ok(self.vault().open_seed(sealed, &row.key.public())?)
            }
            _ => Err(IssueError::SeedUnavailable(format!(
                "the vault holds no key that may sign accounts for operator `{}`",
                row.name
            ))),
        }
    }

    /// The operator's own seed, which alone signs its claims.
    pub(crate) fn operator_identity(&self, row: &OperatorRow) -> Result<Seed, IssueError> {
        match &row.seed_sealed {
            Some(sealed) => Ok(self.vault().open_seed(sealed, &row.key.public())?),
            None => Err(IssueError::SeedUnavailable(format!(
                "the identity of operator `{}` is kept elsewhere: change its JWT there and send it as `jwt`",
                row.name
            ))),
        }
    }

    /// The seed of a signing key, if the vault has it.
    pub(crate) async fn signing_key_seed(
        &self,
        reader: &mut Reader,
        key: &PublicKey,
    ) -> Result<Option<Seed>, IssueError> {
        let Some(row) = reader.signing_keys().lookup(key).await? else { return Ok(None) };
        match &row.seed_sealed {
            Some(sealed) => Ok(Some(self.vault().open_seed(sealed, key)?)),
            None => Ok(None),
        }
    }

    /// The seed that signs users and activations of an account.
    ///
    /// `wanted` is a public key, or the role of a scoped one. Without it: the identity where it may and
    /// can sign, a plain signing key otherwise.
    pub(crate) async fn account_signer(
        &self,
        reader: &mut Reader,
        row: &AccountRow,
        claims: &AccountClaims,
        strict: bool,
        wanted: Option<&str>,
    ) -> Result<Seed, IssueError> {
        let key = match wanted {
            Some(wanted) => find_signer(claims, strict, wanted)?,
            None => return self.default_account_signer(reader, row, claims, strict).await,
        };
        self.account_seed(reader, row, &key).await?.ok_or_else(|| {
            IssueError::SeedUnavailable(format!(
                "the vault does not hold the seed of signing key `{key}`: its owner keeps it"
            ))
        })
    }

    async fn default_account_signer(
        &self,
        reader: &mut Reader,
        row: &AccountRow,
        claims: &AccountClaims,
        strict: bool,
    ) -> Result<Seed, IssueError> {
        for key in claims.signers(strict).collect::<Vec<_>>() {
            if matches!(claims.signer(&key, strict), Some(Signer::Scoped(_)) | None) {
                continue;
            }
            if let Some(seed) = self.account_seed(reader, row, &key).await? {
                return Ok(seed);
            }
        }
        Err(IssueError::SeedUnavailable(format!(
            "the vault holds no unscoped key that may sign for account `{}`; make one with POST signing-keys, or name a scoped one",
            row.name
        )))
    }

    async fn account_seed(
        &self,
        reader: &mut Reader,
        row: &AccountRow,
        key: &PublicKey,
    ) -> Result<Option<Seed>, IssueError> {
        if row.key == *key {
            return match &row.seed_sealed {
                Some(sealed) => Ok(Some(self.vault().open_seed(sealed, key)?)),
                None => Ok(None),
            };
        }
        self.signing_key_seed(reader, key).await
    }
}

fn find_signer(claims: &AccountClaims, strict: bool, wanted: &str) -> Result<PublicKey, IssueError> {
    if let Ok(key) = AccountKey::parse(wanted) {
        let key = key.public();
        if claims.signer(&key, strict).is_some() {
            return Ok(key);
        }
        let detail = if claims.subject == key {
            "the operator demands signing keys: the account's identity may not sign"
        } else {
            "this is no signing key of the account"
        };
        return Err(IssueError::invalid("signing_key", detail));
    }
    let mut of_role =
        claims.nats.signing_keys.iter().filter(|key| key.scope().is_some_and(|scope| scope.role == wanted));
    match (of_role.next(), of_role.next()) {
        (Some(key), None) => Ok(key.key().public()),
        (Some(_), Some(_)) => {
            Err(IssueError::invalid("signing_key", "several signing keys have this role; name the key itself"))
        }
        (None, _) => Err(IssueError::invalid("signing_key", "no signing key of the account has this role")),
    }
}
