//! The options of CONNECT, decoded over what stood before.
//!
//! Source: nats-server `client.go` (`ClientOpts`): keys match in any case, unknown keys are
//! ignored, `null` changes nothing, a wrong type ends the connection silently.

use cordon_auth::proof::ConnectCredentials;
use secrecy::SecretString;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::protocol::error::ProtocolError;

/// Nested values deeper than serde's own limit are refused by it; this bounds the text.
const BAD: ProtocolError = ProtocolError::Json("CONNECT");

/// How a client wants to be served.
#[derive(Clone, Copy, Debug)]
pub struct ConnectOptions {
    /// `+OK` after each accepted operation.
    pub verbose: bool,
    /// Check publish subjects.
    pub pedantic: bool,
    /// Deliver own messages to own subscriptions.
    pub echo: bool,
    /// The client can send and receive headers.
    pub headers: bool,
    /// The client wants to know when nobody receives a request.
    pub no_responders: bool,
    /// Protocol level, 0 or 1.
    pub protocol: i64,
}

/// What a client says of itself in one CONNECT.
///
/// Nobody but the decision about this CONNECT needs it: credentials do not outlive that.
#[derive(Debug, Default)]
pub struct Introduction {
    /// Name the client gives itself.
    pub name: String,
    /// Language of its library.
    pub lang: String,
    /// Version of its library.
    pub version: String,
    /// What it proves itself with.
    pub credentials: ConnectCredentials,
}

impl Default for ConnectOptions {
    /// The options of a peer that never sends CONNECT.
    fn default() -> Self {
        Self { verbose: true, pedantic: true, echo: true, headers: false, no_responders: false, protocol: 0 }
    }
}

impl ConnectOptions {
    /// Takes over what the JSON text of a CONNECT says; what it says of the client goes to `introduction`.
    ///
    /// # Errors
    ///
    /// [`ProtocolError::Json`] when it is no JSON object or a known key has a wrong type.
    pub fn merge(&mut self, json: &[u8], introduction: &mut Introduction) -> Result<(), ProtocolError> {
        let Ok(Value::Object(fields)) = serde_json::from_slice::<Value>(json) else {
            return Err(BAD);
        };
        for (key, value) in fields {
            if !value.is_null() {
                self.set(&key.to_ascii_lowercase(), value, introduction)?;
            }
        }
        Ok(())
    }

    fn set(&mut self, key: &str, value: Value, introduction: &mut Introduction) -> Result<(), ProtocolError> {
        let credentials = &mut introduction.credentials;
        match key {
            "verbose" => self.verbose = flag(&value)?,
            "pedantic" => self.pedantic = flag(&value)?,
            "echo" => self.echo = flag(&value)?,
            "headers" => self.headers = flag(&value)?,
            "no_responders" => self.no_responders = flag(&value)?,
            "tls_required" => {
                flag(&value)?;
            }
            "protocol" => self.protocol = value.as_i64().ok_or(BAD)?,
            "name" => introduction.name = text(value)?,
            "lang" => introduction.lang = text(value)?,
            "version" => introduction.version = text(value)?,
            "jwt" => credentials.jwt = some(text(value)?),
            "sig" => credentials.sig = some(text(value)?),
            "nkey" => credentials.nkey = some(text(value)?),
            "user" => credentials.user = some(text(value)?),
            "pass" => credentials.pass = secret(value)?,
            "auth_token" => credentials.auth_token = secret(value)?,
            "proxy_sig" => credentials.proxy_sig = some(text(value)?),
            "account" => credentials.account |= !text(value)?.is_empty(),
            "new_account" => credentials.account |= flag(&value)?,
            _ => {}
        }
        Ok(())
    }
}

fn flag(value: &Value) -> Result<bool, ProtocolError> {
    value.as_bool().ok_or(BAD)
}

fn text(value: Value) -> Result<String, ProtocolError> {
    match value {
        Value::String(text) => Ok(text),
        _ => Err(BAD),
    }
}

/// The text is copied to where it is wiped, and wiped where it was: making it fit could leave a copy behind.
fn secret(value: Value) -> Result<Option<SecretString>, ProtocolError> {
    let text = Zeroizing::new(text(value)?);
    Ok((!text.is_empty()).then(|| SecretString::from(text.as_str())))
}

fn some(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_match_in_any_case_and_later_connects_keep_what_they_do_not_name() {
        let (mut options, mut introduction) = (ConnectOptions::default(), Introduction::default());
        let first = br#"{"VERBOSE":false,"Name":"a","echo":null,"future":{"x":1}}"#;
        options.merge(first, &mut introduction).unwrap();
        assert!(!options.verbose && options.echo && options.pedantic);
        options.merge(br#"{"echo":false}"#, &mut introduction).unwrap();
        assert!(!options.verbose && !options.echo);
        assert_eq!(introduction.name, "a");
    }

    #[test]
    fn wrong_types_and_broken_json_are_refused() {
        for bad in
            ["{bad", "[]", "1", "", r#"{"verbose":"yes"}"#, r#"{"protocol":"1"}"#, r#"{"jwt":1}"#, r#"{"name":{}}"#]
        {
            let outcome = ConnectOptions::default().merge(bad.as_bytes(), &mut Introduction::default());
            assert_eq!(outcome, Err(BAD), "{bad}");
        }
    }

    #[test]
    fn obsolete_account_fields_are_noticed() {
        for (json, obsolete) in [
            (r#"{"account":"x"}"#, true),
            (r#"{"new_account":true}"#, true),
            (r#"{"account":"","new_account":false}"#, false),
        ] {
            let mut introduction = Introduction::default();
            ConnectOptions::default().merge(json.as_bytes(), &mut introduction).unwrap();
            assert_eq!(introduction.credentials.account, obsolete, "{json}");
        }
    }
}
