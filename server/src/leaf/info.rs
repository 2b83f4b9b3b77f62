//! INFO and CONNECT between leaf nodes (topology.md 2.3, 2.4).

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use cordon_accounts::claims::SubjectsClaim;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize};
use zeroize::Zeroizing;

use crate::broker::Broker;
use crate::connection::{Connection, Transport};
use crate::options::HandshakeFirst;
use crate::protocol::info::EMULATED_VERSION;
use crate::system::callout;

/// The server protocol that is spoken: the first whose servers report on traced messages of others.
pub const PROTO: u8 = 3;

/// The level of the JetStream API of the nats-server that is emulated.
const API_LEVEL: u64 = 5;

/// INFO, as either side sends it; absent means empty.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct LeafInfo {
    /// Id of the server.
    #[serde(deserialize_with = "text")]
    pub server_id: String,
    /// Name of the server.
    #[serde(deserialize_with = "text")]
    pub server_name: String,
    /// Its version.
    #[serde(deserialize_with = "text")]
    pub version: String,
    /// Its server protocol.
    pub proto: i64,
    /// Shown by tools.
    #[serde(deserialize_with = "text")]
    pub go: String,
    /// Host listened on.
    #[serde(deserialize_with = "text")]
    pub host: String,
    /// Port listened on.
    pub port: u16,
    /// Headers are read.
    pub headers: bool,
    /// Always true.
    pub auth_required: bool,
    /// TLS follows.
    #[serde(skip_serializing_if = "is_false")]
    pub tls_required: bool,
    /// A certificate is demanded.
    #[serde(skip_serializing_if = "is_false")]
    pub tls_verify: bool,
    /// Largest message in bytes.
    pub max_payload: i64,
    /// It has streams.
    #[serde(skip_serializing_if = "is_false")]
    pub jetstream: bool,
    /// Host and port to come back to.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "text")]
    pub ip: String,
    /// The connection's id; a server without leaf nodes sends none.
    #[serde(skip_serializing_if = "is_zero")]
    pub client_id: u64,
    /// What is to be signed.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "text")]
    pub nonce: String,
    /// Name of the cluster.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "text")]
    pub cluster: String,
    /// The domain of its streams.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "text")]
    pub domain: String,
    /// The compression that is configured.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "text")]
    pub compression: String,
    /// This is the answer to CONNECT.
    #[serde(skip_serializing_if = "is_false")]
    pub connect_info: bool,
    /// The account that was joined.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "text")]
    pub remote_account: String,
    /// That account is the system account.
    #[serde(skip_serializing_if = "is_false")]
    pub acc_is_sys: bool,
    /// What the leaf may receive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub import: Option<Lists>,
    /// What the leaf may send.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub export: Option<Lists>,
    /// The level of the JetStream API that it speaks.
    #[serde(skip_serializing_if = "is_zero")]
    pub api_lvl: u64,
    /// CONNECT is answered by another INFO.
    #[serde(skip_serializing_if = "is_false")]
    pub info_on_connect: bool,
    /// All leaf node listeners of the cluster. `None` only when they were not sent: another kind of listener.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leafnode_urls: Option<Vec<String>>,
    /// The same of WebSocket listeners.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "list")]
    pub ws_connect_urls: Vec<String>,
}

/// Subjects that may pass in one direction.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Lists {
    /// Only these, unless empty.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "list")]
    pub allow: Vec<String>,
    /// Not these.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "list")]
    pub deny: Vec<String>,
}

impl Lists {
    fn of(claim: &SubjectsClaim) -> Option<Self> {
        let lists = Self { allow: claim.allow.clone(), deny: claim.deny.clone() };
        (lists != Self::default()).then_some(lists)
    }
}

impl From<Lists> for SubjectsClaim {
    fn from(lists: Lists) -> Self {
        Self { allow: lists.allow, deny: lists.deny }
    }
}

/// CONNECT of the side that dialled.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct LeafConnect {
    /// Its version.
    #[serde(deserialize_with = "text")]
    pub version: String,
    /// Public key of the user.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "text")]
    pub nkey: String,
    /// User JWT.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "text")]
    pub jwt: String,
    /// Signature of the nonce.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "text")]
    pub sig: String,
    /// User.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "text")]
    pub user: String,
    /// Password.
    #[serde(
        rename = "pass",
        skip_serializing_if = "Option::is_none",
        serialize_with = "expose",
        deserialize_with = "secret"
    )]
    pub password: Option<SecretString>,
    /// Token.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "expose", deserialize_with = "secret")]
    pub auth_token: Option<SecretString>,
    /// Id of its server.
    #[serde(deserialize_with = "text")]
    pub server_id: String,
    /// Name of its server.
    #[serde(deserialize_with = "text")]
    pub name: String,
    /// Name of its cluster.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "text")]
    pub cluster: String,
    /// The domain of its streams.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "text")]
    pub domain: String,
    /// It takes the role of the hub.
    #[serde(skip_serializing_if = "is_false")]
    pub is_hub: bool,
    /// It reads headers.
    pub headers: bool,
    /// Its account has streams.
    #[serde(skip_serializing_if = "is_false")]
    pub jetstream: bool,
    /// What it is not to be sent.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "list")]
    pub deny_pub: Vec<String>,
    /// It asks not to be told of interest beyond other leaf nodes.
    #[serde(skip_serializing_if = "is_false")]
    pub isolate: bool,
    /// The compression that was agreed on.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "text")]
    pub compress_mode: String,
    /// Its own account.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "text")]
    pub remote_account: String,
    /// Its server protocol.
    pub protocol: i64,
    /// Present in CONNECT of a client.
    #[serde(skip_serializing)]
    pub lang: Option<String>,
    /// Present in CONNECT of a gateway.
    #[serde(skip_serializing)]
    pub gateway: Option<String>,
    /// A trusted proxy's signature of the nonce.
    #[serde(skip_serializing, deserialize_with = "text")]
    pub proxy_sig: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde asks for")]
fn is_false(value: &bool) -> bool {
    !value
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde asks for")]
fn is_zero(value: &u64) -> bool {
    *value == 0
}

/// Text; `null` is none.
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Option::<String>::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// Texts; `null` is none.
fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Option::<Vec<String>>::deserialize(deserializer).map(Option::unwrap_or_default)
}

#[expect(clippy::ref_option, reason = "the signature serde asks for")]
fn expose<S: serde::Serializer>(secret: &Option<SecretString>, serializer: S) -> Result<S::Ok, S::Error> {
    secret.as_ref().map(ExposeSecret::expose_secret).serialize(serializer)
}

/// The text is copied to where it is wiped, and wiped where it was.
fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SecretString>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?.map(Zeroizing::new);
    Ok(text.map(|text| SecretString::from(text.as_str())))
}

/// Reads INFO or CONNECT: a JSON object, and not the list that stands for one elsewhere.
///
/// # Errors
///
/// If it is none, or a known field has a wrong type.
pub fn read<'a, T: Deserialize<'a>>(json: &'a [u8]) -> serde_json::Result<T> {
    if json.starts_with(b"{") {
        return serde_json::from_slice(json);
    }
    Err(serde::de::Error::custom("no JSON object"))
}

impl LeafInfo {
    /// The protocol line.
    pub fn line(&self) -> Vec<u8> {
        let json = serde_json::to_vec(self).unwrap_or_else(|_| b"{}".to_vec());
        [b"INFO ".as_slice(), &json, b" \r\n"].concat()
    }

    /// What this broker says to a leaf node that just connected.
    pub fn on_accept(broker: &Broker, connection: &Connection, local: IpAddr, nonce: &Arc<str>) -> Self {
        let leafs = &broker.leafs;
        // Over WebSocket it came first.
        let tls = leafs.tls().filter(|_| connection.transport == Transport::Tcp);
        let (host, port) = place(broker, local);
        let no_advertise = leafs.listen().is_none_or(|listen| listen.no_advertise);
        let url = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        Self {
            server_id: broker.id.to_string(),
            server_name: broker.name.to_string(),
            version: EMULATED_VERSION.to_owned(),
            proto: i64::from(PROTO),
            go: concat!("cordon ", env!("CARGO_PKG_VERSION")).to_owned(),
            host,
            port,
            headers: true,
            auth_required: true,
            tls_required: tls.as_ref().is_some_and(|tls| !tls.allow_plain || tls.first != HandshakeFirst::No),
            tls_verify: tls.as_ref().is_some_and(|tls| tls.verify),
            max_payload: i64::try_from(connection.max_payload()).unwrap_or(i64::MAX),
            ip: if no_advertise { String::new() } else { url.clone() },
            client_id: connection.cid,
            nonce: nonce.to_string(),
            jetstream: broker.extension().is_some(),
            domain: broker.domain().unwrap_or_default().to_string(),
            api_lvl: API_LEVEL,
            cluster: leafs.cluster().to_string(),
            compression: leafs.compression(connection).mode.name().to_owned(),
            info_on_connect: true,
            // A peer takes a missing list for a listener of another kind.
            leafnode_urls: Some(if no_advertise { Vec::new() } else { vec![url] }),
            ws_connect_urls: websocket_place(broker, local).filter(|_| !no_advertise).into_iter().collect(),
            ..Self::default()
        }
    }

    /// What this broker says once the leaf node is joined, and when its permissions change.
    pub fn on_join(broker: &Broker, connection: &Connection, local: IpAddr, nonce: &Arc<str>) -> Self {
        let tenant = connection.tenant();
        let mut claim = connection.rights().claim().clone();
        // It would be refused, and who knows that does not send it.
        if callout::is_reserved(broker, &tenant, callout::SUBJECT.as_bytes()) {
            claim.publish.deny.push(callout::SUBJECT.to_owned());
        }
        Self {
            connect_info: true,
            remote_account: tenant.name.to_string(),
            acc_is_sys: tenant.is_system(),
            import: Lists::of(&claim.subscribe),
            export: Lists::of(&claim.publish),
            ..Self::on_accept(broker, connection, local, nonce)
        }
    }
}

/// Where other servers reach this broker's leaf listener.
fn place(broker: &Broker, local: IpAddr) -> (String, u16) {
    let address = broker.leafs.address();
    let port = address.map_or(0, |address| address.port());
    if let Some((host, advertised)) = broker.leafs.listen().and_then(|listen| listen.advertise.clone()) {
        return (host, if advertised == 0 { port } else { advertised });
    }
    let own = address.map(|address| address.ip()).filter(|ip| !ip.is_unspecified());
    (own.unwrap_or(local).to_string(), port)
}

/// The same of the WebSocket listener, `host:port`.
fn websocket_place(broker: &Broker, local: IpAddr) -> Option<String> {
    let address = broker.websocket_address()?;
    if let Some(told) = broker.options.load().websocket.as_ref().and_then(|own| own.advertise.clone()) {
        let has_port = told.rsplit_once(':').is_some_and(|(host, _)| !host.contains(':') || host.ends_with(']'));
        return Some(if has_port { told } else { format!("{told}:{}", address.port()) });
    }
    let ip = if address.ip().is_unspecified() { local } else { address.ip() };
    Some(SocketAddr::new(ip, address.port()).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_or_null_is_empty() {
        let info: LeafInfo =
            serde_json::from_str(r#"{"server_id":null,"leafnode_urls":[],"client_id":5,"x":{"y":1}}"#).unwrap();
        assert_eq!(
            (info.server_id.as_str(), info.client_id, info.leafnode_urls.map(|urls| urls.len())),
            ("", 5, Some(0))
        );
        let connect: LeafConnect = serde_json::from_str(r#"{"user":null,"deny_pub":null,"pass":"canary"}"#).unwrap();
        assert!(connect.user.is_empty() && connect.deny_pub.is_empty() && connect.lang.is_none());
        assert!(!format!("{connect:?}").contains("canary"));
    }

    #[test]
    fn wrong_types_are_refused() {
        for bad in [r#"{"client_id":-1}"#, r#"{"import":5}"#, r#"{"leafnode_urls":"x"}"#, "[]", r#"{"port":70000}"#] {
            assert!(read::<LeafInfo>(bad.as_bytes()).is_err(), "{bad}");
        }
        for bad in [r#"{"is_hub":"yes"}"#, r#"{"deny_pub":"a"}"#, r#"{"user":5}"#, "[]", "", "1"] {
            assert!(read::<LeafConnect>(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_what_is_there_is_sent() {
        let line =
            String::from_utf8(LeafInfo { leafnode_urls: Some(Vec::new()), ..LeafInfo::default() }.line()).unwrap();
        assert!(
            line.contains(r#""leafnode_urls":[]"#) && !line.contains("import") && line.ends_with(" \r\n"),
            "{line}"
        );
    }
}
