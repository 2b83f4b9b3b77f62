//! The request that asks for WebSocket, and what is answered: bytes in, bytes out.
//!
//! The checks stand in the order of nats-server (`websocket.go`, `wsUpgrade`), with its statuses.

use cordon_auth::proof::ConnectCredentials;
use data_encoding::BASE64;
use secrecy::SecretString;
use sha1::{Digest as _, Sha1};

use crate::limits::UPGRADE_HEADERS;
use crate::websocket::options::{CookieNames, WebsocketOptions};
use crate::websocket::origin::OriginRefused;

/// What is hashed with the client's key (RFC 6455 section 1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// Bytes of a frame for browsers.
const BROWSER_FRAME: usize = 4096;

/// Why there is no WebSocket.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UpgradeRefused {
    /// More than one request.
    #[error("bytes follow the request before it is answered")]
    Early,
    /// A part of the request is missing or wrong.
    #[error("the header `{0}` is missing or wrong")]
    Header(&'static str),
    /// It is no HTTP.
    #[error("not an HTTP/1.1 request: {0}")]
    Malformed(&'static str),
    /// Any method but GET.
    #[error("the method is not GET")]
    Method,
    /// The page may not connect.
    #[error(transparent)]
    Origin(#[from] OriginRefused),
    /// What is asked for at this path does not exist.
    #[error("nothing is served at a path that ends in `{0}`")]
    Path(&'static str),
    /// The request is too long.
    #[error("the request is too long")]
    TooLong,
}

impl UpgradeRefused {
    /// Status and its text; `None` when nothing is answered.
    pub const fn status(&self) -> Option<(u16, &'static str)> {
        match self {
            Self::Early => None,
            Self::Header(_) | Self::Malformed(_) => Some((400, "Bad Request")),
            Self::Method => Some((405, "Method Not Allowed")),
            Self::Origin(_) => Some((403, "Forbidden")),
            Self::Path(_) => Some((404, "Not Found")),
            Self::TooLong => Some((431, "Request Header Fields Too Large")),
        }
    }

    /// It counts as a failure of the address. What a page in somebody's browser does must not: others could shut
    /// that person out.
    pub const fn counts_as_failure(&self) -> bool {
        matches!(self, Self::Early | Self::Header(_) | Self::Malformed(_) | Self::TooLong)
    }
}

/// What speaks over a WebSocket, by the end of the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A client.
    Client,
    /// A leaf node.
    Leafnode,
    /// A client of MQTT.
    Mqtt,
}

impl Kind {
    /// A prefix is somebody's proxy, and a query nobody's business.
    fn of(target: &str) -> Self {
        let path = target.split(['?', '#']).next().unwrap_or_default();
        if path.ends_with("/leafnode") {
            Self::Leafnode
        } else if path.ends_with("/mqtt") {
            Self::Mqtt
        } else {
            Self::Client
        }
    }
}

/// A request that was granted.
#[derive(Debug)]
pub struct Upgrade {
    /// Who asks.
    pub kind: Kind,
    /// Its frames are masked.
    pub masked: bool,
    /// What is answered.
    pub answer: Vec<u8>,
    /// Compression was agreed to.
    pub compression: bool,
    /// How output is cut into frames.
    pub fragments: Fragments,
    /// Credentials from cookies; `None` when there are none.
    pub cookies: Option<Box<ConnectCredentials>>,
    /// Where a proxy says that the client is: for the log, and nothing else.
    pub forwarded_for: Option<std::net::IpAddr>,
}

/// How output is cut into frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragments {
    /// Bytes of a frame at most.
    pub most: usize,
    /// A compressed message is cut, too.
    pub compressed: bool,
}

impl Fragments {
    /// Frames as long as what there is to send.
    pub const NONE: Self = Self { most: usize::MAX, compressed: false };

    /// Browsers get short frames, and one of them no compressed message in pieces (nats-server `websocket.go`).
    fn of(agent: &str) -> Self {
        if !agent.starts_with("Mozilla/") {
            return Self::NONE;
        }
        let safari = agent.contains("Version/") && agent.contains("Safari/");
        Self { most: BROWSER_FRAME, compressed: !safari }
    }
}

/// Reads the request; `None` when it is not whole yet. `secure` says that it came inside TLS, `leafs` that leaf nodes
/// are accepted.
///
/// # Errors
///
/// [`UpgradeRefused`], with the status to answer.
pub fn read(
    bytes: &[u8],
    options: &WebsocketOptions,
    secure: bool,
    leafs: bool,
) -> Result<Option<Upgrade>, UpgradeRefused> {
    let mut headers = [httparse::EMPTY_HEADER; UPGRADE_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let len = match request.parse(bytes) {
        Ok(httparse::Status::Complete(len)) => len,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(UpgradeRefused::TooLong),
        Err(_) => return Err(UpgradeRefused::Malformed("it cannot be read")),
    };
    let head = Head(request.headers);
    let kind = check(&request, &head, options, secure, leafs)?;
    let key = head.key()?;
    if bytes.len() > len {
        return Err(UpgradeRefused::Early);
    }
    let compression = options.compression && head.offers_deflate();
    let is_leaf = kind == Kind::Leafnode;
    // For a browser the mask is what keeps a page from writing what it likes to the wire; servers may do without.
    let masked = !(is_leaf && head.bytes("nats-no-masking") == Some(b"true"));
    Ok(Some(Upgrade {
        kind,
        masked,
        answer: answer(key, compression, masked, &options.headers),
        compression,
        fragments: Fragments::of(head.text("user-agent").unwrap_or_default()),
        cookies: if is_leaf { None } else { head.credentials(&options.cookies) },
        forwarded_for: head.text("x-forwarded-for").and_then(|address| address.trim().parse().ok()),
    }))
}

fn check(
    request: &httparse::Request<'_, '_>,
    head: &Head<'_>,
    options: &WebsocketOptions,
    secure: bool,
    leafs: bool,
) -> Result<Kind, UpgradeRefused> {
    let kind = Kind::of(request.path.unwrap_or_default());
    match kind {
        Kind::Leafnode if !leafs => return Err(UpgradeRefused::Path("/leafnode")),
        // MQTT has its place here once it is served.
        Kind::Mqtt => return Err(UpgradeRefused::Path("/mqtt")),
        Kind::Client | Kind::Leafnode => {}
    }
    if request.method != Some("GET") {
        return Err(UpgradeRefused::Method);
    }
    if request.version != Some(1) {
        return Err(UpgradeRefused::Malformed("another version of HTTP"));
    }
    // Two of them mean one thing to a proxy and another here.
    let only = head.all("host").count() == 1;
    let host = head.text("host").filter(|host| only && !host.is_empty()).ok_or(UpgradeRefused::Header("Host"))?;
    for (name, token) in [("Upgrade", "websocket"), ("Connection", "Upgrade")] {
        if !head.has_token(name, token) {
            return Err(UpgradeRefused::Header(name));
        }
    }
    head.key()?;
    if !head.has_token("Sec-WebSocket-Version", "13") {
        return Err(UpgradeRefused::Header("Sec-WebSocket-Version"));
    }
    let origin = head.bytes("origin").or_else(|| head.bytes("sec-websocket-origin"));
    // What is no text is no origin either.
    let origin = origin.map(|origin| std::str::from_utf8(origin).unwrap_or("?"));
    options.origins.check(origin, host, secure)?;
    Ok(kind)
}

/// The header lines of a request.
struct Head<'a>(&'a [httparse::Header<'a>]);

impl<'a> Head<'a> {
    fn all(&self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.0.iter().filter(move |header| header.name.eq_ignore_ascii_case(name)).map(|header| header.value)
    }

    fn bytes(&self, name: &'static str) -> Option<&'a [u8]> {
        self.all(name).next()
    }

    fn text(&self, name: &'static str) -> Option<&'a str> {
        std::str::from_utf8(self.bytes(name)?).ok()
    }

    /// Whether one of the lines has `token` in its list.
    fn has_token(&self, name: &'static str, token: &str) -> bool {
        let mut items = self.all(name).flat_map(|line| line.split(|byte| *byte == b','));
        items.any(|item| item.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
    }

    fn key(&self) -> Result<&'a [u8], UpgradeRefused> {
        let key = self.bytes("sec-websocket-key").unwrap_or_default();
        let decoded = BASE64.decode(key).ok().filter(|decoded| decoded.len() == 16);
        if decoded.is_some() { Ok(key) } else { Err(UpgradeRefused::Header("Sec-WebSocket-Key")) }
    }

    /// Parameters do not matter: without context takeover on both sides every offer can be met.
    fn offers_deflate(&self) -> bool {
        let mut offers = self.all("sec-websocket-extensions").flat_map(|line| line.split(|byte| *byte == b','));
        offers.any(|offer| {
            let name = offer.split(|byte| *byte == b';').next().unwrap_or_default();
            name.trim_ascii().eq_ignore_ascii_case(b"permessage-deflate")
        })
    }

    fn credentials(&self, names: &CookieNames) -> Option<Box<ConnectCredentials>> {
        let text = |name: &Option<String>| name.as_deref().and_then(|name| self.cookie(name)).map(str::to_owned);
        let secret = |name: &Option<String>| name.as_deref().and_then(|name| self.cookie(name)).map(SecretString::from);
        let credentials = ConnectCredentials {
            jwt: text(&names.jwt),
            user: text(&names.user),
            pass: secret(&names.pass),
            auth_token: secret(&names.token),
            ..ConnectCredentials::default()
        };
        let ConnectCredentials { jwt, user, pass, auth_token, .. } = &credentials;
        let some = jwt.is_some() || user.is_some() || pass.is_some() || auth_token.is_some();
        some.then(|| Box::new(credentials))
    }

    /// The first cookie of that name (RFC 6265 section 4.2.1).
    fn cookie(&self, name: &str) -> Option<&'a str> {
        self.all("cookie")
            .filter_map(|line| std::str::from_utf8(line).ok())
            .flat_map(|line| line.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value))
            .filter(|value| !value.is_empty())
    }
}

/// What proves that the key of a request was read.
pub fn accept(key: &[u8]) -> String {
    BASE64.encode(&Sha1::new().chain_update(key).chain_update(GUID).finalize())
}

fn answer(key: &[u8], compression: bool, masked: bool, headers: &[(String, String)]) -> Vec<u8> {
    let accept = accept(key);
    let mut answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n"
    );
    if compression {
        answer.push_str(
            "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n",
        );
    }
    if !masked {
        answer.push_str("Nats-No-Masking: true\r\n");
    }
    for (name, value) in headers {
        answer.extend([name.as_str(), ": ", value, "\r\n"]);
    }
    answer.push_str("\r\n");
    answer.into_bytes()
}

/// The answer to a request that is not granted. Why is said in the log only.
pub fn refusal(status: u16, text: &str) -> Vec<u8> {
    let body = text.len() + 1;
    format!(
        "HTTP/1.1 {status} {text}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {body}\r\n\
         X-Content-Type-Options: nosniff\r\nSec-Websocket-Version: 13\r\nConnection: close\r\n\r\n{text}\n"
    )
    .into_bytes()
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
