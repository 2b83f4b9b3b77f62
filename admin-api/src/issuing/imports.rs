//! Imports: what an account takes up.

use cordon_accounts::key::AccountKey;
use cordon_accounts::name::AccountName;

use super::draft::Draft;
use super::edit::{AccountEdit, live_account};
use super::web::Web;
use super::{Act, IssueError, Issuer, views};
use crate::model::{Import, NewImport, import_id};

impl Issuer {
    /// Adds an import to an account. It must work now, or wait for an exporter that is not known here.
    ///
    /// # Errors
    ///
    /// [`IssueError::ImportRefused`] when the exporter does not let it, or it would make a cycle.
    pub async fn create_import(&self, act: &Act, account: &AccountKey, new: &NewImport) -> Result<Import, IssueError> {
        let mut edit = AccountEdit::open(self, act, account, "import.create").await?;
        cordon_accounts::subject::Pattern::parse(&new.subject)
            .map_err(|error| IssueError::invalid("subject", error.to_string()))?;
        let claim = new.to_claim();
        let id = import_id(&claim);
        if edit.draft.nats.imports.iter().any(|import| import_id(import) == id) {
            return Err(IssueError::Conflict("the account has this import already".to_owned()));
        }
        edit.draft.nats.imports.push(claim.clone());
        let mut edit = edit.apply().await?;
        let claims = edit.draft.claims(&edit.row);
        let web = Web::around(&mut edit.unit, &claims, edit.strict).await?;
        let all = views::imports_in(&web, &edit.row, &claims, edit.now);
        let view = all
            .into_iter()
            .find(|import| import.id == id)
            .unwrap_or_else(|| Import::of(account, edit.row.version, &claim));
        let object = format!("{} {} of {}", claim.kind, claim.remote(), claim.account);
        edit.save(|entry| entry.on_object(object), &view).await?;
        Ok(view)
    }

    /// Removes an import.
    ///
    /// # Errors
    ///
    /// [`IssueError::NotFound`] when the account has no such import.
    pub async fn delete_import(&self, act: &Act, account: &AccountKey, id: &str) -> Result<(), IssueError> {
        let mut edit = AccountEdit::open(self, act, account, "import.delete").await?;
        let place = edit.draft.nats.imports.iter().position(|import| import_id(import) == id);
        let gone = edit.draft.nats.imports.remove(place.ok_or_else(|| IssueError::not_found("import", id))?);
        let edit = edit.apply().await?;
        let object = format!("{} {} of {}", gone.kind, gone.remote(), gone.account);
        edit.save_silently(|entry| entry.on_object(object)).await
    }

    /// The imports of an account, each with whether it works now.
    ///
    /// # Errors
    ///
    /// [`IssueError::NotFound`] when there is no such account.
    pub async fn imports(&self, account: &AccountKey) -> Result<Vec<Import>, IssueError> {
        let mut reader = self.store().read().await?;
        let row = live_account(&mut reader, account).await?;
        views::imports(&mut reader, &row, &Draft::of(&row)?, self.now()).await
    }

    /// The accounts that import from this one.
    ///
    /// # Errors
    ///
    /// [`IssueError::Store`].
    pub async fn importers(&self, account: &AccountKey) -> Result<Vec<AccountName>, IssueError> {
        let mut reader = self.store().read().await?;
        let web = Web::whole(&mut reader).await?;
        Ok(web.importers_of(&AccountName::from(*account)).iter().map(|sharing| sharing.name.clone()).collect())
    }
}
