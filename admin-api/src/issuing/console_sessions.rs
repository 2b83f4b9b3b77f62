//! Sessions of the console: opened with an API token, ended by their owner, each with its ledger entry.

use data_encoding::BASE64URL_NOPAD;
use rand::RngCore as _;
use rand::rngs::OsRng;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::{Act, IssueError, Issuer};
use crate::limits::{CONSOLE_IDLE_SECONDS, CONSOLE_SESSION_SECONDS, CONSOLE_SESSIONS_PER_TOKEN};
use crate::store::{ConsoleSessionRow, TokenRow};

/// Length of a session's secret: 256 random bits in base64url.
const SECRET_BYTES: usize = 43;

/// The stored hash of a session's secret, when the text has the form of one.
///
/// A plain SHA-256 is enough: there are 256 random bits behind it and nothing to guess.
pub fn hash(secret: &str) -> Option<[u8; 32]> {
    let good = secret.len() == SECRET_BYTES && BASE64URL_NOPAD.decode(secret.as_bytes()).is_ok();
    good.then(|| Sha256::digest(secret.as_bytes()).into())
}

/// What every form of a session carries. It follows from the secret, and the secret does not follow from it.
pub fn form_token(secret: &str) -> String {
    let mut digest = Sha256::new();
    digest.update(b"cordon console form\0");
    digest.update(secret.as_bytes());
    BASE64URL_NOPAD.encode(&digest.finalize())
}

/// Whether a session holds at `now`, as far as the session itself tells. Its token must hold, too.
pub fn holds(row: &ConsoleSessionRow, now: i64) -> bool {
    now < row.expires && now < row.last_used_at.saturating_add(CONSOLE_IDLE_SECONDS)
}

/// A session that was just opened. Its secret is shown once, to the browser.
pub struct OpenedSession {
    /// Its id, which is no secret.
    pub id: String,
    /// What the browser's cookie holds.
    pub secret: Zeroizing<String>,
}

impl std::fmt::Debug for OpenedSession {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("OpenedSession").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Issuer {
    /// Opens a session for the token's owner. `replaces` is the session that the same browser had before: it ends.
    ///
    /// The caller has checked that the token holds.
    ///
    /// # Errors
    ///
    /// [`IssueError::Store`].
    pub async fn open_console_session(
        &self,
        act: &Act,
        token: &TokenRow,
        replaces: Option<&str>,
    ) -> Result<OpenedSession, IssueError> {
        let now = self.now();
        let mut unit = self.begin(act, "console.sign_in").await?;
        unit.console_sessions().prune(now).await?;
        if let Some(old) = replaces {
            unit.console_sessions().delete(old).await?;
        }
        unit.console_sessions().keep_newest(&token.id, CONSOLE_SESSIONS_PER_TOKEN.saturating_sub(1)).await?;
        let secret = new_secret();
        let latest = now.saturating_add(CONSOLE_SESSION_SECONDS);
        let row = ConsoleSessionRow {
            id: nuid::next().to_string(),
            hash: hash(&secret).ok_or_else(|| IssueError::Stored("a session's secret has no hash".to_owned()))?,
            token: token.id.clone(),
            created_at: now,
            last_used_at: now,
            expires: token.expires.map_or(latest, |expires| expires.min(latest)),
        };
        unit.console_sessions().insert(&row).await?;
        unit.save(vec![act.entry("console.sign_in", now).on_object(format!("session {}", row.id))]).await?;
        Ok(OpenedSession { id: row.id, secret })
    }

    /// Ends a session. One that is ended already stays so, without an entry.
    ///
    /// # Errors
    ///
    /// [`IssueError::Store`].
    pub async fn end_console_session(&self, act: &Act, id: &str) -> Result<(), IssueError> {
        let mut unit = self.begin(act, "console.sign_out").await?;
        if unit.console_sessions().delete(id).await? {
            unit.save(vec![act.entry("console.sign_out", self.now()).on_object(format!("session {id}"))]).await?;
        }
        Ok(())
    }
}

fn new_secret() -> Zeroizing<String> {
    let mut bytes = Zeroizing::new([0_u8; 32]);
    OsRng.fill_bytes(bytes.as_mut_slice());
    let mut text = Zeroizing::new(String::with_capacity(SECRET_BYTES));
    BASE64URL_NOPAD.encode_append(bytes.as_slice(), &mut text);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(created_at: i64, last_used_at: i64) -> ConsoleSessionRow {
        ConsoleSessionRow {
            id: "s".to_owned(),
            hash: [0; 32],
            token: "t".to_owned(),
            created_at,
            last_used_at,
            expires: created_at + CONSOLE_SESSION_SECONDS,
        }
    }

    #[test]
    fn a_session_ends_when_idle_and_when_old_whichever_comes_first() {
        for (last_used, now, good) in [
            (0, 0, true),
            (0, CONSOLE_IDLE_SECONDS - 1, true),
            (0, CONSOLE_IDLE_SECONDS, false),
            (CONSOLE_SESSION_SECONDS - 10, CONSOLE_SESSION_SECONDS - 1, true),
            (CONSOLE_SESSION_SECONDS - 10, CONSOLE_SESSION_SECONDS, false),
        ] {
            assert_eq!(holds(&row(0, last_used), now), good, "{last_used} {now}");
        }
    }

    #[test]
    fn a_secret_hashes_and_anything_else_does_not() {
        let secret = new_secret();
        assert!(hash(&secret).is_some());
        assert_ne!(*secret, *new_secret());
        for bad in ["", "x", &format!("{}x", *secret), &"*".repeat(SECRET_BYTES), &"é".repeat(22)] {
            assert_eq!(hash(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_form_token_tells_neither_the_secret_nor_its_stored_hash() {
        let secret = new_secret();
        let shown = form_token(&secret);
        assert_ne!(shown, *secret);
        assert_ne!(shown, BASE64URL_NOPAD.encode(&hash(&secret).unwrap()));
        assert_eq!(shown, form_token(&secret));
    }
}
