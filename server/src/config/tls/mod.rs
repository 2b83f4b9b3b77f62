//! The `tls` block: what it says, and the listener's TLS made from its files.
//!
//! ```text
//! mod       the block
//! names     Go's names of cipher suites and key exchanges
//! build     files -> rustls
//! several   which of several certificates a client is shown
//! pinned    client certificates by their public key
//! ```

mod build;
mod names;
pub mod pinned;
mod several;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use data_encoding::HEXLOWER_PERMISSIVE;
use rustls::{CipherSuite, NamedGroup};

use super::value::{Node, Problem, Value, duration};
use crate::limits::TLS_TIMEOUT;
use crate::options::HandshakeFirst;

/// How long `handshake_first: auto` waits for the client to begin.
const AUTO: Duration = Duration::from_millis(50);

/// Files and rules of a TLS listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate chain, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// Further chains and keys, for other names.
    pub further: Vec<(PathBuf, PathBuf)>,
    /// CAs of client certificates, PEM.
    pub ca: Option<PathBuf>,
    /// A client certificate is demanded.
    pub verify: bool,
    /// It names the user.
    pub map: bool,
    /// Of client certificates, those with these public keys alone: SHA-256 of the DER of each. All when empty.
    pub pinned: BTreeSet<[u8; 32]>,
    /// Time for a handshake.
    pub timeout: Duration,
    /// When the handshake begins.
    pub first: HandshakeFirst,
    /// TLS 1.2 is not spoken.
    pub newest_only: bool,
    /// Cipher suites of TLS 1.2, preferred ones first; those of TLS 1.3 are always spoken. All when `None`.
    pub suites: Option<Vec<CipherSuite>>,
    /// Key exchanges, preferred ones first; all when `None`.
    pub groups: Option<Vec<NamedGroup>>,
    /// Handshakes begun in a second; any number when `None`.
    pub rate: Option<u32>,
    /// Plain text is spoken as well: `allow_non_tls`.
    pub allow_plain: bool,
    /// What the person who starts the broker should know.
    pub remarks: Vec<Problem>,
}

/// Why the files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or holds something else.
    #[error("`{path}` cannot be used as {purpose}: {cause}")]
    File {
        /// The file.
        path: PathBuf,
        /// What for.
        purpose: &'static str,
        /// What is wrong.
        cause: String,
    },
    /// The parts do not go together.
    #[error("TLS cannot be set up: {0}")]
    Setup(String),
}

/// A block in the making.
#[derive(Default)]
struct Block {
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    several: Option<Vec<(PathBuf, PathBuf)>>,
}

/// Reads a `tls` block; what is wrong goes to `problems`.
pub fn read(node: &Node, problems: &mut Vec<Problem>) -> Option<TlsFiles> {
    let mut files = TlsFiles {
        certificate: PathBuf::new(),
        key: PathBuf::new(),
        further: Vec::new(),
        ca: None,
        verify: false,
        map: false,
        pinned: BTreeSet::new(),
        timeout: TLS_TIMEOUT,
        first: HandshakeFirst::No,
        newest_only: false,
        suites: None,
        groups: None,
        rate: None,
        allow_plain: false,
        remarks: Vec::new(),
    };
    let mut block = Block::default();
    let mut nested = Vec::new();
    node.read(problems, |option, value| Ok(block.option(option, value, &mut nested)? || files.option(option, value)?));
    problems.append(&mut nested);
    if files.verify && files.ca.is_none() {
        problems.push(
            node.problem("client certificates cannot be verified without `ca_file`: name the CA that signs them"),
        );
    }
    if !files.pinned.is_empty() && !files.verify {
        problems.push(node.problem("`pinned_certs` needs `verify: true`: nobody is asked for a certificate without"));
    }
    match block.pairs() {
        Ok((certificate, key, further)) => Some(TlsFiles { certificate, key, further, ..files }),
        Err(text) => {
            problems.push(node.problem(text));
            None
        }
    }
}

impl Block {
    fn option(&mut self, option: &str, value: &Node, problems: &mut Vec<Problem>) -> Result<bool, Problem> {
        match option {
            "cert_file" => self.certificate = Some(PathBuf::from(value.text()?)),
            "key_file" => self.key = Some(PathBuf::from(value.text()?)),
            "certs" | "certificates" => {
                self.several = Some(list(value)?.iter().filter_map(|item| pair(item, problems)).collect());
            }
            // What would be checked and is not would let in who is meant to stay out.
            "ocsp_peer" if !is_unchecked(value) => {
                return Err(value.problem("whether client certificates are revoked is not checked here: remove it"));
            }
            "ocsp_peer" => {}
            "verify_cert_and_check_known_urls" => {
                return Err(value.problem("`verify_cert_and_check_known_urls` is for links between servers: remove it"));
            }
            "cert_store" => {
                return Err(value.problem("certificates come from files here: replace it by `cert_file`, `key_file`"));
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// The first chain and key, and the further ones.
    #[expect(clippy::type_complexity, reason = "taken apart where it is called")]
    fn pairs(self) -> Result<(PathBuf, PathBuf, Vec<(PathBuf, PathBuf)>), &'static str> {
        match (self.certificate, self.key, self.several) {
            (Some(certificate), Some(key), None) => Ok((certificate, key, Vec::new())),
            (None, None, Some(several)) => {
                let mut several = several.into_iter();
                let (certificate, key) = several.next().ok_or("`certs` names no certificate")?;
                Ok((certificate, key, several.collect()))
            }
            (_, _, Some(_)) => Err("`cert_file` and `key_file` do not go with `certs`: keep one of them"),
            (Some(_), None, _) => Err("missing `key_file` in the `tls` block"),
            _ => Err("missing `cert_file` in the `tls` block"),
        }
    }
}

impl TlsFiles {
    fn option(&mut self, option: &str, value: &Node) -> Result<bool, Problem> {
        match option {
            "ca_file" => self.ca = Some(PathBuf::from(value.text()?)),
            "verify" => self.verify |= value.switch()?,
            "verify_and_map" => {
                self.map = value.switch()?;
                self.verify |= self.map;
            }
            "timeout" => self.timeout = timeout(value)?,
            "handshake_first" | "first" | "immediate" => self.first = first(value)?,
            "min_version" => self.newest_only = newest_only(value)?,
            "cipher_suites" => self.suites = Some(names::suites(value, &mut self.remarks)?),
            "curve_preferences" => self.groups = Some(names::groups(value, &mut self.remarks)?),
            // Weak ones are not spoken, whether they are allowed or not.
            "allow_insecure_cipher_suites" => {
                value.switch()?;
            }
            "connection_rate_limit" => {
                let rate = value.integer()?;
                self.rate = u32::try_from(rate).ok().filter(|rate| *rate > 0);
            }
            "pinned_certs" => self.pinned = list(value)?.iter().map(pin).collect::<Result<_, _>>()?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

fn list(value: &Node) -> Result<&[Node], Problem> {
    match &value.value {
        Value::List(items) => Ok(items),
        _ => Err(value.problem("expected a list")),
    }
}

fn pair(node: &Node, problems: &mut Vec<Problem>) -> Option<(PathBuf, PathBuf)> {
    let mut block = Block::default();
    node.read(problems, |option, value| match option {
        "cert_file" | "key_file" => block.option(option, value, &mut Vec::new()),
        _ => Ok(false),
    });
    let pair = block.certificate.zip(block.key);
    if pair.is_none() {
        problems.push(node.problem("a certificate needs both `cert_file` and `key_file`"));
    }
    pair
}

fn pin(node: &Node) -> Result<[u8; 32], Problem> {
    let text = node.text()?;
    let bytes = HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or_else(|| {
        node.problem(format!(
            "`{text}` is no SHA-256 of a public key (DER SubjectPublicKeyInfo): 64 hexadecimal digits"
        ))
    })
}

/// `ocsp_peer: false`, or a block that says so.
fn is_unchecked(value: &Node) -> bool {
    match &value.value {
        Value::Bool(on) => !on,
        Value::Map(entries) => !entries
            .iter()
            .any(|entry| entry.key.eq_ignore_ascii_case("verify") && !matches!(entry.node.value, Value::Bool(false))),
        _ => false,
    }
}

fn timeout(value: &Node) -> Result<Duration, Problem> {
    let duration = value.duration()?;
    Ok(if duration.is_zero() { TLS_TIMEOUT } else { duration })
}

fn first(value: &Node) -> Result<HandshakeFirst, Problem> {
    match &value.value {
        Value::Bool(true) => Ok(HandshakeFirst::Always),
        Value::Bool(false) => Ok(HandshakeFirst::No),
        Value::Text(text) if text == "auto" || text == "auto_fallback" => Ok(HandshakeFirst::Within(AUTO)),
        Value::Text(text) => duration(text)
            .map(HandshakeFirst::Within)
            .ok_or_else(|| value.problem(format!("`{text}` is neither true, false, auto nor a duration"))),
        _ => Err(value.problem("expected true, false, auto or a duration")),
    }
}

fn newest_only(value: &Node) -> Result<bool, Problem> {
    match value.text()? {
        "1.2" => Ok(false),
        "1.3" => Ok(true),
        other => Err(value.problem(format!("`{other}` is no TLS version that is spoken here: \"1.2\" or \"1.3\""))),
    }
}

#[cfg(test)]
mod tests;
