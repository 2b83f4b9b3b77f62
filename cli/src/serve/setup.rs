//! The first start: operator, system account, first tenant, owner's token.
//!
//! Each step looks whether it was done, so that a start that was interrupted is taken up again. Once
//! the folder is marked complete nothing of this runs any more.

use std::path::Path;

use anyhow::Context as _;
use cordon_accounts::key::{AccountKey, OperatorKey};
use cordon_admin::Control;
use cordon_admin::issuing::{Act, Issuer};
use cordon_admin::model::{IssuedUser, NewAccount, NewOperator, NewToken, NewUser, Renewal};
use cordon_admin::roles::RoleName;
use cordon_admin::store::{OperatorRow, Page};
use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

use crate::data_folder::DataFolder;
use crate::files::{self, Readable};

/// The first tenant.
pub(crate) const TENANT: &str = "default";
/// Its user.
pub(crate) const USER: &str = "app";
const OPERATOR: &str = "cordon";
const SYSTEM_USER: &str = "system";

/// What was made, as far as people are told.
pub(crate) struct Made {
    /// The owner's token: shown this once.
    pub(crate) token: SecretString,
}

impl std::fmt::Debug for Made {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Made")
    }
}

/// Makes what is not there yet.
pub(crate) async fn run(folder: &mut DataFolder, control: &Control) -> anyhow::Result<Made> {
    let operator = operator(folder, control).await?;
    let system = operator.system_account.context("the operator has no system account")?;
    let paths = folder.paths().clone();
    files::make_private_folder(&paths.creds())
        .with_context(|| format!("cannot write `{}`", paths.creds().display()))?;
    creds(control, &system, SYSTEM_USER, &paths.system_creds()).await?;
    let tenant = tenant(control, &operator.key).await?;
    creds(control, &tenant, USER, &paths.creds().join(format!("{TENANT}-{USER}.creds"))).await?;
    let token = owner_token(control.issuer(), &paths.admin_token()).await?;
    folder.set_complete()?;
    Ok(Made { token })
}

/// The operator alone, with its system account: what `cordon control` needs.
pub(crate) async fn operator(folder: &mut DataFolder, control: &Control) -> anyhow::Result<OperatorRow> {
    if let Some(row) = find_operator(control).await? {
        folder.set_operator(&row.key.to_string())?;
        return Ok(row);
    }
    let new = NewOperator { name: OPERATOR.to_owned(), ..NewOperator::default() };
    control.issuer().create_operator(&act(), new).await.context("the operator cannot be made")?;
    let row = find_operator(control).await?.context("the operator that was made is not in the store")?;
    folder.set_operator(&row.key.to_string())?;
    Ok(row)
}

/// The owner's token, in a file that only its owner can read.
pub(crate) async fn owner_token(issuer: &Issuer, path: &Path) -> anyhow::Result<SecretString> {
    if path.exists() {
        return Ok(SecretString::from(files::read(path)?.trim().to_owned()));
    }
    let new = NewToken {
        name: "owner".to_owned(),
        role: RoleName::Owner,
        accounts: Vec::new(),
        expires_at: None,
        expires_in_seconds: None,
    };
    let issued = issuer.create_token(&act(), &new).await.context("the owner's token cannot be made")?;
    let secret = SecretString::from(issued.secret.context("the owner's token has no secret")?);
    let line = Zeroizing::new([secret.expose_secret(), "\n"].concat());
    files::write(path, line.as_bytes(), Readable::ByOwner)?;
    Ok(secret)
}

fn act() -> Act {
    Act::local("serve")
}

async fn find_operator(control: &Control) -> anyhow::Result<Option<OperatorRow>> {
    let mut reader = control.store().read().await.context("the store cannot be read")?;
    let rows = reader.operators().list(&Page::first()).await.context("operators cannot be read")?;
    Ok(rows.into_iter().next())
}

async fn tenant(control: &Control, operator: &OperatorKey) -> anyhow::Result<AccountKey> {
    let known = {
        let mut reader = control.store().read().await.context("the store cannot be read")?;
        reader.accounts().lookup_by_name(operator, TENANT).await?
    };
    if let Some(row) = known {
        return Ok(row.key);
    }
    let new =
        NewAccount { name: TENANT.to_owned(), description: "the first tenant".to_owned(), ..NewAccount::default() };
    let made = control.issuer().create_account(&act(), new).await.context("the first tenant cannot be made")?;
    made.key.parse().context("the first tenant has no key")
}

/// A user's creds file. A user without its file is from an interrupted start and gets a new key.
async fn creds(control: &Control, account: &AccountKey, name: &str, path: &Path) -> anyhow::Result<()> {
    if path.exists() {
        return Ok(());
    }
    let known = {
        let mut reader = control.store().read().await.context("the store cannot be read")?;
        reader.users().lookup_by_name(account, name).await?
    };
    let issuer = control.issuer();
    let issued: IssuedUser = match known {
        None => issuer.create_user(&act(), account, NewUser { name: name.to_owned(), ..NewUser::default() }).await,
        Some(row) => {
            let renewal = Renewal { rotate_key: true, ..Renewal::default() };
            issuer.renew_user(&act(), account, &row.key, &renewal).await
        }
    }
    .with_context(|| format!("the user `{name}` cannot be issued"))?;
    let text = issued.creds.with_context(|| format!("the user `{name}` has no creds"))?;
    files::write(path, text.as_bytes(), Readable::ByOwner)
}
