//! INFO: what the broker tells a client about itself and the connection.
//!
//! Source: nats-server `server.go` (`Info`); absent means false, empty or zero.

use std::sync::Arc;

use serde::Serialize;

/// The version whose feature set is spoken; clients gate features on it.
pub const EMULATED_VERSION: &str = "2.15.0";

/// The text of one INFO line.
#[derive(Clone, Debug, Serialize)]
pub struct Info {
    /// Public server key, new at every start.
    pub server_id: Arc<str>,
    /// Name of the server.
    pub server_name: Arc<str>,
    /// Version of nats-server whose features are spoken.
    pub version: &'static str,
    /// Always 1.
    pub proto: u8,
    /// Shown by some clients; not interpreted.
    pub go: &'static str,
    /// Host listened on.
    pub host: Arc<str>,
    /// Port listened on.
    pub port: u16,
    /// Headers are supported.
    pub headers: bool,
    /// A CONNECT with credentials is demanded.
    #[serde(skip_serializing_if = "is_false")]
    pub auth_required: bool,
    /// TLS is demanded.
    #[serde(skip_serializing_if = "is_false")]
    pub tls_required: bool,
    /// A client certificate is demanded.
    #[serde(skip_serializing_if = "is_false")]
    pub tls_verify: bool,
    /// TLS is possible.
    #[serde(skip_serializing_if = "is_false")]
    pub tls_available: bool,
    /// Largest message in bytes; never negative, since one client reads it as unsigned.
    pub max_payload: usize,
    /// JetStream is enabled.
    #[serde(skip_serializing_if = "is_false")]
    pub jetstream: bool,
    /// Name of its domain of streams.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub domain: Arc<str>,
    /// The connection's id.
    pub client_id: u64,
    /// The peer's address without port.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub client_ip: Arc<str>,
    /// Challenge to be signed.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub nonce: Arc<str>,
    /// Public curve key, new at every start: what auth callout services seal their answers for.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub xkey: Arc<str>,
    /// The server is about to stop.
    #[serde(skip_serializing_if = "is_false")]
    pub ldm: bool,
    /// Marks the INFO after the first PONG.
    #[serde(skip_serializing_if = "is_false")]
    pub connect_info: bool,
    /// The account the connection is bound to.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub remote_account: Arc<str>,
    /// That account is the system account.
    #[serde(skip_serializing_if = "is_false")]
    pub acc_is_sys: bool,
}

impl Info {
    /// The protocol line, with the space before CRLF that some clients' parsers expect.
    pub fn line(&self) -> Vec<u8> {
        let json = serde_json::to_vec(self).unwrap_or_else(|_| b"{}".to_vec());
        [b"INFO ".as_slice(), &json, b" \r\n"].concat()
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde asks for")]
fn is_false(value: &bool) -> bool {
    !value
}
