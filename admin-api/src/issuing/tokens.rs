//! API tokens: made, listed, revoked. Only a hash of each is stored.

use data_encoding::BASE64URL_NOPAD;
use rand::RngCore as _;
use rand::rngs::OsRng;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::{Act, IssueError, Issuer, check_name, effect, views};
use crate::limits::LIST_ITEMS_MAX;
use crate::model::{IssuedToken, NewToken, Token, expiry};
use crate::roles::RoleName;
use crate::store::{Page, TokenRow};

/// What every token begins with, so that scanners of repositories and logs find a leaked one.
pub const PREFIX: &str = "cdn_";

/// Length of a token: the prefix and 256 random bits in base64url.
const TOKEN_BYTES: usize = PREFIX.len() + 43;

/// The stored hash of a token, when the text has the form of one.
///
/// A plain SHA-256 is enough: there are 256 random bits behind it and nothing to guess.
pub fn hash(token: &str) -> Option<[u8; 32]> {
    let secret = token.strip_prefix(PREFIX)?;
    let good = token.len() == TOKEN_BYTES && BASE64URL_NOPAD.decode(secret.as_bytes()).is_ok();
    good.then(|| Sha256::digest(token.as_bytes()).into())
}

impl Issuer {
    /// Makes an API token. Its secret is in the answer and nowhere else.
    ///
    /// # Errors
    ///
    /// [`IssueError`], with the field that is wrong.
    pub async fn create_token(&self, act: &Act, new: &NewToken) -> Result<IssuedToken, IssueError> {
        check_name("name", &new.name)?;
        let now = self.now();
        let expires = expiry(new.expires_at, new.expires_in_seconds, now).map_err(IssueError::at)?;
        match (new.role, new.accounts.len()) {
            (RoleName::AccountAdmin, 0) => {
                return Err(IssueError::invalid("accounts", "an account admin needs the accounts it is for"));
            }
            (RoleName::AccountAdmin, count) if count > LIST_ITEMS_MAX => {
                return Err(IssueError::invalid("accounts", "there are too many accounts"));
            }
            (RoleName::AccountAdmin, _) | (_, 0) => {}
            (_, _) => return Err(IssueError::invalid("accounts", "only an account admin is for named accounts")),
        }
        let mut unit = self.begin(act, "token.create").await?;
        for key in &new.accounts {
            super::edit::live_account(&mut unit, key)
                .await
                .map_err(|_| IssueError::invalid("accounts", format!("there is no account `{key}`")))?;
        }
        if act.dry_run {
            return Err(IssueError::DryRun(Box::new(effect::none())));
        }
        let secret = new_secret();
        let mut row = TokenRow {
            id: nuid::next().to_string(),
            name: new.name.clone(),
            role: new.role.text().to_owned(),
            accounts: new.accounts.clone(),
            hash: hash(&secret).map(Vec::from).unwrap_or_default(),
            created_by: act.actor.id.clone(),
            expires,
            revoked_at: None,
            last_used_at: None,
            created_at: now,
            version: 0,
        };
        unit.tokens().insert(&mut row).await?;
        let token = views::token(&row);
        let entry = act
            .entry("token.create", now)
            .on_object(row.id.clone())
            .changing(None, Some(&serde_json::to_vec(&token)?))
            .with_detail(serde_json::to_value(&token)?);
        let answer = IssuedToken { token, secret: Some(secret.to_string()) };
        self.save(act, unit, vec![entry], &answer).await?;
        Ok(answer)
    }

    /// Revokes a token at once. A revoked token stays as it is.
    ///
    /// # Errors
    ///
    /// [`IssueError::Conflict`] for the last owner: nobody could make another.
    pub async fn revoke_token(&self, act: &Act, id: &str) -> Result<(), IssueError> {
        let now = self.now();
        let mut unit = self.begin(act, "token.revoke").await?;
        let mut row = unit.tokens().lookup(id).await?.ok_or_else(|| IssueError::not_found("token", id))?;
        act.precondition.check(row.version)?;
        if row.revoked_at.is_some() {
            return Ok(());
        }
        let owner = RoleName::Owner.text();
        let usable = row.expires.is_none_or(|expires| expires > now);
        if row.role == owner && usable && unit.tokens().count_usable(owner, now).await? <= 1 {
            return Err(IssueError::Conflict(
                "this is the last owner's token; make another before you revoke it".to_owned(),
            ));
        }
        if act.dry_run {
            return Err(IssueError::DryRun(Box::new(effect::none())));
        }
        row.revoked_at = Some(now);
        unit.tokens().update(&mut row).await?;
        let entry = act.entry("token.revoke", now).on_object(id);
        unit.save(vec![entry]).await?;
        Ok(())
    }

    /// Tokens, one page of them.
    ///
    /// # Errors
    ///
    /// [`IssueError::Store`].
    pub async fn tokens(&self, page: &Page) -> Result<Vec<Token>, IssueError> {
        let mut reader = self.store().read().await?;
        Ok(reader.tokens().list(page).await?.iter().map(views::token).collect())
    }

    /// One token.
    ///
    /// # Errors
    ///
    /// [`IssueError::NotFound`] when there is none of this id.
    pub async fn token(&self, id: &str) -> Result<Token, IssueError> {
        let mut reader = self.store().read().await?;
        let row = reader.tokens().lookup(id).await?.ok_or_else(|| IssueError::not_found("token", id))?;
        Ok(views::token(&row))
    }
}

fn new_secret() -> Zeroizing<String> {
    let mut bytes = Zeroizing::new([0_u8; 32]);
    OsRng.fill_bytes(bytes.as_mut_slice());
    let mut text = Zeroizing::new(String::with_capacity(TOKEN_BYTES));
    text.push_str(PREFIX);
    BASE64URL_NOPAD.encode_append(bytes.as_slice(), &mut text);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_hashes_and_anything_else_does_not() {
        let token = new_secret();
        assert!(hash(&token).is_some());
        assert_ne!(*token, *new_secret());
        for bad in [
            "",
            "cdn_",
            "cdn_short",
            &token.replace("cdn_", ""),
            &format!("{}x", *token),
            &token.replace("cdn_", "cdx_"),
            "cdn_*******************************************",
        ] {
            assert_eq!(hash(bad), None, "{bad}");
        }
    }
}
