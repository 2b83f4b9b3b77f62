//! The user by which the control plane itself connects to brokers, minted anew for each connection.

use cordon_accounts::claims::UserClaims;
use cordon_accounts::key::{Role, Seed, UserKey};
use futures_util::future::BoxFuture;
use rand::rngs::OsRng;

use super::draft::Draft;
use super::edit::live_account;
use super::{IssueError, Issuer};
use crate::broker::credentials::{CredentialsError, SystemUser, SystemUserSource};
use crate::limits::SYSTEM_USER_SECONDS;
use crate::store::Page;

/// What the control plane may publish: requests to brokers, and nothing into the account's own traffic.
const PUBLISH: [&str; 5] = [
    "$SYS.REQ.SERVER.>",
    "$SYS.REQ.ACCOUNT.*.CLAIMS.*",
    "$SYS.REQ.CLAIMS.*",
    "$SYS.REQ.ACCOUNT.*.CONNZ",
    "$SYS.REQ.USER.INFO",
];

/// What it may hear: its answers and the brokers' events.
const SUBSCRIBE: [&str; 3] = ["_INBOX.>", "$SYS.SERVER.>", "$SYS.ACCOUNT.>"];

/// Mints users of the first operator's system account, each good for an hour.
#[derive(Clone, Debug)]
pub struct MintedSystemUser(pub Issuer);

impl SystemUserSource for MintedSystemUser {
    fn system_user(&self) -> BoxFuture<'_, Result<SystemUser, CredentialsError>> {
        Box::pin(async { self.0.mint_system_user().await.map_err(|error| CredentialsError(error.to_string())) })
    }
}

impl Issuer {
    /// A short-lived user of the system account, with no more permissions than the control plane needs.
    ///
    /// # Errors
    ///
    /// [`IssueError::SeedUnavailable`] when no operator's system account can be signed for here.
    pub async fn mint_system_user(&self) -> Result<SystemUser, IssueError> {
        let mut reader = self.store().read().await?;
        let operators = reader.operators().list(&Page::first()).await?;
        for operator in operators {
            let Some(system) = operator.system_account else { continue };
            let Ok(row) = live_account(&mut reader, &system).await else { continue };
            let claims_of_account = Draft::of(&row)?.claims(&row);
            let strict = Self::is_strict(&mut reader, &row.operator).await?;
            let Ok(signer) = self.account_signer(&mut reader, &row, &claims_of_account, strict, None).await else {
                continue;
            };
            let seed = Seed::generate(Role::User, &mut OsRng);
            let key = UserKey::try_from(seed.public()).map_err(|error| IssueError::Stored(error.to_string()))?;
            let now = self.now();
            let mut claims = UserClaims::new(key);
            "cordon control".clone_into(&mut claims.name);
            claims.expires = now + SYSTEM_USER_SECONDS;
            claims.nats.template.permissions.publish.allow = PUBLISH.map(str::to_owned).to_vec();
            claims.nats.template.permissions.subscribe.allow = SUBSCRIBE.map(str::to_owned).to_vec();
            if signer.public() != row.key.public() {
                claims.nats.issuer_account = Some(row.key);
            }
            let jwt = claims.encode(&signer, now)?;
            return Ok(SystemUser { jwt, seed });
        }
        Err(IssueError::SeedUnavailable("no operator here has a system account whose key is in the vault".to_owned()))
    }
}
