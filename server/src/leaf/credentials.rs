//! What this broker proves itself with at a remote; read anew for each attempt, so that rotated files are used.

use std::fmt;
use std::fs;

use cordon_accounts::creds::{Creds, seed_of_file};
use cordon_accounts::key::Seed;
use data_encoding::BASE64URL_NOPAD;
use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

use crate::leaf::info::LeafConnect;
use crate::leaf::options::{RemoteOptions, RemoteUrl};

/// Proofs for one remote.
pub struct Credentials {
    key: Key,
    user: Option<String>,
    password: Option<SecretString>,
}

enum Key {
    None,
    Creds(Box<Creds>),
    Nkey(Box<Seed>),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials")
    }
}

impl Credentials {
    /// Reads what is configured: creds, else a seed; user and password of the URL come on top.
    ///
    /// # Errors
    ///
    /// What cannot be used, without what is in it.
    pub fn read(options: &RemoteOptions, url: &RemoteUrl) -> Result<Self, String> {
        let key = if let Some(path) = &options.credentials {
            let text = fs::read_to_string(path).map(Zeroizing::new);
            let text = text.map_err(|error| format!("the creds file `{}` cannot be read: {error}", path.display()))?;
            let creds = Creds::parse(&text).map_err(|error| format!("`{}`: {error}", path.display()))?;
            Key::Creds(Box::new(creds))
        } else if let Some(nkey) = &options.nkey {
            let given = nkey.expose_secret();
            // What is no seed itself is the file that holds one.
            let seed = Seed::parse(given.trim()).or_else(|_| seed_in(given))?;
            Key::Nkey(Box::new(seed))
        } else {
            Key::None
        };
        Ok(Self { key, user: url.user.clone(), password: url.password.clone() })
    }

    /// Whoever reads along could use them.
    pub fn are_readable(&self) -> bool {
        self.user.is_some()
    }

    /// Fills in the fields of CONNECT that prove who this broker is.
    ///
    /// # Errors
    ///
    /// If the nonce cannot be signed.
    pub fn prove(&self, connect: &mut LeafConnect, nonce: &[u8]) -> Result<(), String> {
        let sign = |seed: &Seed| {
            let signature = seed.sign(nonce).map_err(|error| format!("the nonce cannot be signed: {error}"))?;
            Ok::<_, String>(BASE64URL_NOPAD.encode(&signature))
        };
        match &self.key {
            Key::None => {}
            Key::Creds(creds) => {
                connect.sig = sign(&creds.seed)?;
                connect.jwt.clone_from(&creds.jwt);
            }
            Key::Nkey(seed) => {
                connect.sig = sign(seed)?;
                connect.nkey = seed.public().to_string();
            }
        }
        if let Some(user) = &self.user {
            connect.user.clone_from(user);
            match &self.password {
                Some(password) => connect.password = Some(password.clone()),
                // The other server decides what it is.
                None => connect.auth_token = Some(SecretString::from(user.as_str())),
            }
        }
        Ok(())
    }
}

fn seed_in(path: &str) -> Result<Seed, String> {
    let text = fs::read_to_string(path).map(Zeroizing::new);
    let text = text.map_err(|error| format!("`nkey` is no seed, and no file that can be read: {error}"))?;
    seed_of_file(&text).map_err(|error| format!("the file named by `nkey` holds no seed: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connect(url: &str) -> serde_json::Value {
        let url = RemoteUrl::parse(url).unwrap();
        let credentials = Credentials::read(&RemoteOptions::new(vec![url.clone()]), &url).unwrap();
        let mut connect = LeafConnect::default();
        credentials.prove(&mut connect, b"nonce").unwrap();
        serde_json::to_value(&connect).unwrap()
    }

    #[test]
    fn a_user_without_password_is_sent_as_token_too() {
        let token = connect("nats-leaf://secret@hub");
        assert_eq!((token["user"].as_str(), token["auth_token"].as_str()), (Some("secret"), Some("secret")));
        assert!(token.get("pass").is_none());
        let user = connect("nats-leaf://u:p@hub");
        assert_eq!((user["user"].as_str(), user["pass"].as_str()), (Some("u"), Some("p")));
        assert!(user.get("auth_token").is_none());
        assert!(connect("nats-leaf://hub").get("user").is_none());
    }

    #[test]
    fn what_cannot_be_read_is_said_without_its_content() {
        let url = RemoteUrl::parse("hub").unwrap();
        let missing =
            RemoteOptions { nkey: Some(SecretString::from("SUcanary")), ..RemoteOptions::new(vec![url.clone()]) };
        let error = Credentials::read(&missing, &url).unwrap_err();
        assert!(error.contains("`nkey`") && !error.contains("canary"), "{error}");
        let missing =
            RemoteOptions { credentials: Some("/nowhere.creds".into()), ..RemoteOptions::new(vec![url.clone()]) };
        assert!(Credentials::read(&missing, &url).unwrap_err().contains("/nowhere.creds"));
    }
}
