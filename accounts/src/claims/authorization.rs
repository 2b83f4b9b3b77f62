//! Authorization requests and responses: how a broker asks an account's own service (auth
//! callout). Field names are those of jwt `authorization_claims.go`; ADR-26 shows older ones.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::envelope::{ANY_ROLE, Claims, Kind};
use super::{UnknownFields, Validation, is_default, optional_key};
use crate::key::{AccountKey, CurveKey, PublicKey, Role, ServerKey, UserKey};

/// The audience of every authorization request.
pub const REQUEST_AUDIENCE: &str = "nats-authorization-request";

/// The question: who is this?
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AuthorizationRequest {
    /// The asking broker.
    pub server_id: ServerId,
    /// A key made for this attempt; the answer must be about it.
    pub user_nkey: UserKey,
    /// What the broker knows about the connection.
    #[serde(default)]
    pub client_info: ClientInformation,
    /// What the client sent, secrets included.
    #[serde(default)]
    pub connect_opts: ConnectOptions,
    /// The connection's TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_tls: Option<ClientTls>,
    /// A nonce of the request.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub request_nonce: String,
    /// Free labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Members that this version does not know.
    #[serde(flatten)]
    pub unknown: UnknownFields,
}

/// Names the asking broker.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerId {
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// Its address.
    #[serde(default)]
    pub host: String,
    /// Its `N` key.
    #[serde(default)]
    pub id: String,
    /// Its version.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// Its cluster.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub cluster: String,
    /// Its labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Its curve key, when requests are sealed.
    #[serde(default, deserialize_with = "optional_key", skip_serializing_if = "Option::is_none")]
    pub xkey: Option<CurveKey>,
}

/// What the broker knows about the connection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientInformation {
    /// The peer's address.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub host: String,
    /// The connection's number.
    #[serde(default, skip_serializing_if = "is_default")]
    pub id: u64,
    /// The user as far as known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub user: String,
    /// The name that the client gave itself.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Labels of the user's claims.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Name of the user's claims.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name_tag: String,
    /// `Client`, `Leafnode`, ..
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// `nats`, `websocket`, `mqtt`.
    #[serde(rename = "type", default, skip_serializing_if = "String::is_empty")]
    pub client_type: String,
    /// The MQTT client id.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub mqtt_id: String,
    /// The connection's nonce, when the client sent a signature.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub nonce: String,
}

/// What the client sent in CONNECT.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct ConnectOptions {
    /// User JWT.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub jwt: String,
    /// Public key.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub nkey: String,
    /// Signature of the nonce.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub sig: String,
    /// Token.
    #[serde(
        default,
        deserialize_with = "read_secret",
        serialize_with = "write_secret",
        skip_serializing_if = "Option::is_none"
    )]
    pub auth_token: Option<SecretString>,
    /// User name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub user: String,
    /// Password.
    #[serde(
        default,
        deserialize_with = "read_secret",
        serialize_with = "write_secret",
        skip_serializing_if = "Option::is_none"
    )]
    pub pass: Option<SecretString>,
    /// The name that the client gave itself.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The client's language.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub lang: String,
    /// The client's version.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// The protocol level.
    #[serde(default)]
    pub protocol: i64,
}

impl fmt::Debug for ConnectOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // JWT and signature are credentials too: a bearer JWT is all that it takes.
        f.write_str("ConnectOptions")
    }
}

/// The connection's TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientTls {
    /// Protocol version.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// Cipher suite.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub cipher: String,
    /// Certificates in PEM that were sent but not verified.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub certs: Vec<String>,
    /// Verified chains in PEM.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub verified_chains: Vec<Vec<String>>,
}

/// The answer: a user JWT, or why not.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AuthorizationResponse {
    /// A user JWT about the request's `user_nkey`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub jwt: String,
    /// Why the user is refused.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub error: String,
    /// The account, when one of its signing keys signs.
    #[serde(default, deserialize_with = "optional_key", skip_serializing_if = "Option::is_none")]
    pub issuer_account: Option<AccountKey>,
    /// Free labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Members that this version does not know.
    #[serde(flatten)]
    pub unknown: UnknownFields,
}

fn read_secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SecretString>, D::Error> {
    let text = String::deserialize(deserializer)?;
    Ok((!text.is_empty()).then(|| SecretString::from(text)))
}

#[expect(clippy::ref_option, reason = "serde's calling convention")]
fn write_secret<S: Serializer>(secret: &Option<SecretString>, serializer: S) -> Result<S::Ok, S::Error> {
    let text = secret.as_ref().map_or("", ExposeSecret::expose_secret);
    serializer.serialize_str(text)
}

impl Kind for AuthorizationRequest {
    const NAME: Option<&'static str> = Some("authorization_request");
    const SUBJECT: &'static [Role] = ANY_ROLE;
    const ISSUER: &'static [Role] = &[Role::Server];

    /// That `user_nkey` is a user key was checked when it was read.
    fn validate(_: &Claims<Self>, _: &mut Validation) {}
}

impl Kind for AuthorizationResponse {
    const NAME: Option<&'static str> = Some("authorization_response");
    const SUBJECT: &'static [Role] = &[Role::User];
    const ISSUER: &'static [Role] = &[Role::Account];

    fn validate(claims: &Claims<Self>, found: &mut Validation) {
        if ServerKey::parse(&claims.audience).is_err() {
            found.blocking("`aud` must be the key of the asking server");
        }
        match (claims.nats.jwt.is_empty(), claims.nats.error.is_empty()) {
            (true, true) => found.blocking("one of `jwt` and `error` is needed"),
            (false, false) => found.blocking("only one of `jwt` and `error` may be there"),
            _ => {}
        }
    }
}

impl Claims<AuthorizationResponse> {
    /// An answer about `user`, to the server that asked.
    pub fn new(user: UserKey, server: ServerKey) -> Self {
        let mut claims = Self::about(user.public(), AuthorizationResponse::default());
        claims.audience = server.to_string();
        claims
    }
}

impl Claims<AuthorizationRequest> {
    /// A question about a connection; `subject` is the callout's account, or its issuer in
    /// configured mode.
    pub fn new(subject: PublicKey, user: UserKey) -> Self {
        let mut claims = Self::about(
            subject,
            AuthorizationRequest {
                server_id: ServerId::default(),
                user_nkey: user,
                client_info: ClientInformation::default(),
                connect_opts: ConnectOptions::default(),
                client_tls: None,
                request_nonce: String::new(),
                tags: Vec::new(),
                unknown: UnknownFields::new(),
            },
        );
        REQUEST_AUDIENCE.clone_into(&mut claims.audience);
        claims
    }
}
