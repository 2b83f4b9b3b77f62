//! The installations that are attacked, with their tenant and what the attacker knows of them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;

use crate::realm::Realm;
use crate::security::{Own, Security};
use crate::tenancy::Identity;
use crate::tls::Certificate;

/// What clients must show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ground {
    /// A user's JWT.
    Jwt,
    /// A user's JWT, inside TLS.
    JwtTls,
    /// A password, one of them stored with bcrypt.
    Bcrypt,
    /// A password, one of them stored with argon2id.
    Argon2id,
}

/// The name of the user whose password is guessed at.
pub(super) const VICTIM: &str = "victim";
/// Stored forms of a password that nobody knows: bcrypt with the cost that `nats server passwd` takes, and argon2id with
/// the parameters that Cordon writes (19 MiB, two passes).
const BCRYPT: &str = "$2a$11$cordonbenchcordonbenced2tFmpU77TjjamNOC4ROCbIgPfqqb4u";
const ARGON2ID: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$YmVuY2hiZW5jaGJlbmNoYg$1yVRmzNMcIHFpMUAmAUeq4DqFYbPkUKkPpFB7HJ41vg";

/// An installation.
pub(super) struct Site {
    /// How the server is configured; its first user is the tenant.
    pub(super) security: Security,
    /// A user that the attacker is, or whose JWT it has seen.
    pub(super) known: Option<Arc<Identity>>,
    /// The certificate that the attacker is shown.
    pub(super) certificate: Option<PathBuf>,
}

impl Site {
    /// Makes what `ground` needs, with files in `folder`.
    ///
    /// # Errors
    ///
    /// When the folder cannot be written.
    pub(super) fn create(ground: Ground, folder: &Path) -> Result<Self> {
        let stored = match ground {
            Ground::Jwt | Ground::JwtTls => return Self::jwt(ground == Ground::JwtTls, folder),
            Ground::Bcrypt => BCRYPT,
            Ground::Argon2id => ARGON2ID,
        };
        let tenant = Identity::Password { user: "tenant".to_owned(), password: "tenant-password".to_owned() };
        let lines = format!(
            "authorization {{\n  users: [\n    {{ user: tenant, password: \"tenant-password\" }}\n    {{ user: {VICTIM}, password: \"{stored}\" }}\n  ]\n}}\n"
        );
        let security = Security::Own(Own { lines, tls: None, users: vec![Arc::new(tenant)] });
        Ok(Self { security, known: None, certificate: None })
    }

    fn jwt(inside_tls: bool, folder: &Path) -> Result<Self> {
        let realm = Realm::create(2, folder)?;
        let tls = if inside_tls { Some(Certificate::create(folder)?) } else { None };
        let certificate = tls.as_ref().map(|tls| tls.chain_file.clone());
        let security = Security::Own(Own { lines: realm.preloaded(), tls, users: vec![realm.user(0)?] });
        Ok(Self { security, known: Some(realm.user(1)?), certificate })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_forms_are_whole() {
        // What is cut short is not compared with, and so costs nothing.
        assert_eq!(BCRYPT.len(), 60);
        let parts: Vec<usize> = ARGON2ID.split('$').map(str::len).collect();
        assert_eq!(parts, [0, "argon2id".len(), "v=19".len(), "m=19456,t=2,p=1".len(), 22, 43]);
    }
}
