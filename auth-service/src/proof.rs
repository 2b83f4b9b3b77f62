//! What a connection presents to prove who it is, before anything of it is believed.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use rustls_pki_types::CertificateDer;
use secrecy::SecretString;

/// Everything that one attempt to authenticate may rely on.
#[derive(Clone, Copy, Debug)]
pub struct Proof<'a> {
    /// The credentials of CONNECT.
    pub connect: &'a ConnectCredentials,
    /// The nonce that INFO carried on this connection, as its ASCII bytes; empty if none was sent.
    pub nonce: &'a [u8],
    /// The peer's address, after PROXY protocol rewriting; `None` if there is none (in-process).
    pub peer_ip: Option<IpAddr>,
    /// The client's certificate chain, leaf first, *verified* by the TLS layer; empty if none.
    pub certificates: &'a [CertificateDer<'static>],
    /// How the client reached the broker.
    pub connection_type: ConnectionType,
    /// Whether this listener takes identities from certificates (`verify_and_map`).
    pub map_certificates: bool,
    /// What is told to an auth callout service about the connection, and decides nothing here.
    pub client: ClientDetails<'a>,
}

/// What a connection says of itself, and what the broker knows of it besides.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClientDetails<'a> {
    /// The connection's number.
    pub id: u64,
    /// The name that the client gave itself.
    pub name: &'a str,
    /// The language of its library.
    pub lang: &'a str,
    /// The version of its library.
    pub version: &'a str,
    /// The protocol level.
    pub protocol: i64,
    /// Version and cipher suite of its TLS.
    pub tls: Option<(&'a str, &'a str)>,
}

/// The fields of CONNECT that matter to authentication.
///
/// `Debug` tells which fields are present, never what they hold.
#[derive(Clone, Default)]
pub struct ConnectCredentials {
    /// `jwt`: a user JWT.
    pub jwt: Option<String>,
    /// `sig`: base64 of the signature over the nonce.
    pub sig: Option<String>,
    /// `nkey`: a user's public key, for nkey users of configured mode.
    pub nkey: Option<String>,
    /// `user`.
    pub user: Option<String>,
    /// `pass`.
    pub pass: Option<SecretString>,
    /// `auth_token`.
    pub auth_token: Option<SecretString>,
    /// Whether the dead fields `account` or `new_account` were present and not empty. Such a CONNECT is
    /// refused however good its credentials are (CVE-2022-24450).
    pub account: bool,
    /// `proxy_sig`: base64 of a trusted proxy's signature over the nonce.
    pub proxy_sig: Option<String>,
}

impl ConnectCredentials {
    /// Takes over from `other`, which came with the request for a WebSocket, what CONNECT left out.
    pub fn fill_from(&mut self, other: Self) {
        use secrecy::ExposeSecret as _;
        let empty =
            |secret: &Option<SecretString>| secret.as_ref().is_none_or(|secret| secret.expose_secret().is_empty());
        if present(self.jwt.as_deref()).is_none() {
            self.jwt = other.jwt;
        }
        if present(self.user.as_deref()).is_none() {
            self.user = other.user;
        }
        if empty(&self.pass) {
            self.pass = other.pass;
        }
        if empty(&self.auth_token) {
            self.auth_token = other.auth_token;
        }
    }

    /// Whether nothing was sent that configured mode looks at; empty text counts as not sent.
    ///
    /// A user JWT means nothing there and is passed over, as is an nkey unless nkey users are configured:
    /// such a client is one that the `no_auth_user` stands in for.
    pub(crate) fn names_nobody(&self, nkeys_count: bool) -> bool {
        use secrecy::ExposeSecret as _;
        let secret =
            |field: &Option<SecretString>| field.as_ref().is_some_and(|secret| !secret.expose_secret().is_empty());
        let nkey = nkeys_count && present(self.nkey.as_deref()).is_some();
        !nkey && present(self.user.as_deref()).is_none() && !secret(&self.pass) && !secret(&self.auth_token)
    }
}

/// A field of CONNECT, with empty text counted as absent.
pub(crate) fn present(field: Option<&str>) -> Option<&str> {
    field.filter(|text| !text.is_empty())
}

impl fmt::Debug for ConnectCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectCredentials")
            .field("jwt", &self.jwt.is_some())
            .field("sig", &self.sig.is_some())
            .field("nkey", &self.nkey.is_some())
            .field("user", &self.user.is_some())
            .field("pass", &self.pass.is_some())
            .field("auth_token", &self.auth_token.is_some())
            .field("account", &self.account)
            .field("proxy_sig", &self.proxy_sig.is_some())
            .finish()
    }
}

/// How a client reached the broker: the names of `allowed_connection_types`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConnectionType {
    /// Inside the same process.
    InProcess,
    /// A leaf node over TCP.
    Leafnode,
    /// A leaf node over WebSocket.
    LeafnodeWs,
    /// MQTT over TCP.
    Mqtt,
    /// MQTT over WebSocket.
    MqttWs,
    /// The client protocol over TCP.
    Standard,
    /// The client protocol over WebSocket.
    Websocket,
}

impl ConnectionType {
    /// The name in claims and configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::InProcess => "IN_PROCESS",
            Self::Leafnode => "LEAFNODE",
            Self::LeafnodeWs => "LEAFNODE_WS",
            Self::Mqtt => "MQTT",
            Self::MqttWs => "MQTT_WS",
            Self::Standard => "STANDARD",
            Self::Websocket => "WEBSOCKET",
        }
    }

    /// Whether it is a leaf node's.
    pub const fn is_leafnode(self) -> bool {
        matches!(self, Self::Leafnode | Self::LeafnodeWs)
    }

    /// Whether a list of allowed types admits this one.
    ///
    /// An empty list admits all. Unknown names are passed over, but a list of nothing else admits
    /// nobody: dropped to an empty list it would admit all.
    pub fn is_allowed_by<S: AsRef<str>>(self, allowed: &[S]) -> bool {
        allowed.is_empty() || allowed.iter().any(|name| name.as_ref().parse() == Ok(self))
    }
}

/// A name that is no connection type known here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown connection type `{0}`")]
pub struct UnknownConnectionType(String);

impl FromStr for ConnectionType {
    type Err = UnknownConnectionType;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name.to_ascii_uppercase().as_str() {
            "IN_PROCESS" => Ok(Self::InProcess),
            "LEAFNODE" => Ok(Self::Leafnode),
            "LEAFNODE_WS" => Ok(Self::LeafnodeWs),
            "MQTT" => Ok(Self::Mqtt),
            "MQTT_WS" => Ok(Self::MqttWs),
            "STANDARD" => Ok(Self::Standard),
            "WEBSOCKET" => Ok(Self::Websocket),
            _ => Err(UnknownConnectionType(name.to_owned())),
        }
    }
}

impl fmt::Display for ConnectionType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn debug_shows_no_credential() {
        let connect = ConnectCredentials {
            jwt: Some("canary-jwt".into()),
            sig: Some("canary-sig".into()),
            nkey: Some("canary-nkey".into()),
            user: Some("canary-user".into()),
            pass: Some(SecretString::from("canary-pass")),
            auth_token: Some(SecretString::from("canary-token")),
            account: false,
            proxy_sig: Some("canary-proxy".into()),
        };
        let proof = Proof {
            connect: &connect,
            nonce: b"",
            peer_ip: None,
            certificates: &[],
            connection_type: ConnectionType::Standard,
            map_certificates: false,
            client: ClientDetails::default(),
        };
        assert!(!format!("{proof:?}").contains("canary"));
    }

    #[test]
    fn what_connect_says_goes_before_cookies() {
        let cookies = || ConnectCredentials {
            jwt: Some("cookie-jwt".to_owned()),
            user: Some("cookie-user".to_owned()),
            pass: Some(SecretString::from("cookie-pass")),
            auth_token: Some(SecretString::from("cookie-token")),
            ..ConnectCredentials::default()
        };
        let mut connect = ConnectCredentials {
            user: Some("user".to_owned()),
            pass: Some(SecretString::from("")),
            auth_token: Some(SecretString::from("token")),
            ..ConnectCredentials::default()
        };
        connect.fill_from(cookies());
        assert_eq!((connect.jwt.as_deref(), connect.user.as_deref()), (Some("cookie-jwt"), Some("user")));
        assert_eq!(connect.pass.unwrap().expose_secret(), "cookie-pass");
        assert_eq!(connect.auth_token.unwrap().expose_secret(), "token");
    }

    #[test]
    fn empty_fields_and_what_is_not_looked_at_name_nobody() {
        let mut connect = ConnectCredentials {
            user: Some(String::new()),
            pass: Some(SecretString::from("")),
            jwt: Some("ey".to_owned()),
            nkey: Some("U".to_owned()),
            ..ConnectCredentials::default()
        };
        assert!(connect.names_nobody(false));
        assert!(!connect.names_nobody(true));
        connect.pass = Some(SecretString::from("x"));
        assert!(!connect.names_nobody(false));
    }

    #[test]
    fn unknown_types_are_passed_over_unless_nothing_else_is_listed() {
        use ConnectionType::{Mqtt, Standard, Websocket};
        let cases: &[(&[&str], ConnectionType, bool)] = &[
            (&[], Standard, true),
            (&["WEBSOCKET"], Standard, false),
            (&["WEBSOCKET", "FUTURE"], Websocket, true),
            (&["WEBSOCKET", "FUTURE"], Standard, false),
            (&["FUTURE"], Standard, false),
            (&["FUTURE"], Websocket, false),
            (&[""], Standard, false),
            (&["standard"], Standard, true),
            (&["Mqtt"], Mqtt, true),
        ];
        for (allowed, kind, expected) in cases {
            assert_eq!(kind.is_allowed_by(allowed), *expected, "{allowed:?} {kind}");
        }
    }

    #[test]
    fn every_type_parses_from_its_name() {
        use ConnectionType::{InProcess, Leafnode, LeafnodeWs, Mqtt, MqttWs, Standard, Websocket};
        for kind in [InProcess, Leafnode, LeafnodeWs, Mqtt, MqttWs, Standard, Websocket] {
            assert_eq!(kind.name().parse(), Ok(kind));
            assert_eq!(kind.name().to_lowercase().parse(), Ok(kind));
        }
    }
}
