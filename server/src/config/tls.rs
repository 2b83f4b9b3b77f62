//! The `tls` block, and the listener's TLS made from its files.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{CipherSuite, RootCertStore, ServerConfig, SupportedProtocolVersion};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::value::{Node, Problem, Value, duration};
use crate::limits::TLS_TIMEOUT;
use crate::options::{HandshakeFirst, TlsOptions};

/// How long `handshake_first: auto` waits for the client to begin.
const AUTO: Duration = Duration::from_millis(50);

/// Files and rules of a TLS listener.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The certificate chain, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// CAs of client certificates, PEM.
    pub ca: Option<PathBuf>,
    /// A client certificate is demanded.
    pub verify: bool,
    /// It names the user.
    pub map: bool,
    /// Time for a handshake.
    pub timeout: Duration,
    /// When the handshake begins.
    pub first: HandshakeFirst,
    /// TLS 1.2 is not spoken.
    pub newest_only: bool,
    /// Plain text is spoken as well: `allow_non_tls`.
    pub allow_plain: bool,
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

/// Reads a `tls` block; what is wrong goes to `problems`.
pub fn read(node: &Node, problems: &mut Vec<Problem>) -> Option<TlsFiles> {
    let (mut certificate, mut key) = (None, None);
    let mut files = TlsFiles {
        certificate: PathBuf::new(),
        key: PathBuf::new(),
        ca: None,
        verify: false,
        map: false,
        timeout: TLS_TIMEOUT,
        first: HandshakeFirst::No,
        newest_only: false,
        allow_plain: false,
    };
    node.read(problems, |option, value| {
        match option {
            "cert_file" => certificate = Some(PathBuf::from(value.text()?)),
            "key_file" => key = Some(PathBuf::from(value.text()?)),
            "ca_file" => files.ca = Some(PathBuf::from(value.text()?)),
            "verify" => files.verify |= value.switch()?,
            "verify_and_map" => {
                files.map = value.switch()?;
                files.verify |= files.map;
            }
            "timeout" => files.timeout = value.duration()?,
            "handshake_first" | "first" | "immediate" => files.first = first(value)?,
            "min_version" => files.newest_only = newest_only(value)?,
            _ => return Ok(false),
        }
        Ok(true)
    });
    if files.verify && files.ca.is_none() {
        problems.push(
            node.problem("client certificates cannot be verified without `ca_file`: name the CA that signs them"),
        );
    }
    match (certificate, key) {
        (Some(certificate), Some(key)) => Some(TlsFiles { certificate, key, ..files }),
        (certificate, _) => {
            let missing = if certificate.is_some() { "key_file" } else { "cert_file" };
            problems.push(node.problem(format!("missing `{missing}` in the `tls` block")));
            None
        }
    }
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

impl TlsFiles {
    /// Reads the files.
    ///
    /// Where client certificates are verified there are no session tickets: resumption would not
    /// verify them again.
    ///
    /// # Errors
    ///
    /// [`TlsError`] names the file.
    pub fn options(&self) -> Result<TlsOptions, TlsError> {
        let setup = |error: rustls::Error| TlsError::Setup(error.to_string());
        let provider = Arc::new(provider());
        let newest: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];
        let versions = if self.newest_only { newest } else { rustls::ALL_VERSIONS };
        let builder =
            ServerConfig::builder_with_provider(provider.clone()).with_protocol_versions(versions).map_err(setup)?;
        let builder = match self.ca.as_deref().filter(|_| self.verify) {
            None => builder.with_no_client_auth(),
            Some(ca) => {
                let roots = Arc::new(roots(ca)?);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider).build();
                builder.with_client_cert_verifier(verifier.map_err(|error| TlsError::Setup(error.to_string()))?)
            }
        };
        let key =
            PrivateKeyDer::from_pem_file(&self.key).map_err(|error| unusable(&self.key, "a private key", &error))?;
        let mut config = builder.with_single_cert(certificates(&self.certificate)?, key).map_err(setup)?;
        config.ignore_client_order = true;
        // Sessions live in the tickets that clients keep: a store would hold too few for those who come back at once.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        if self.verify {
            config.send_tls13_tickets = 0;
        } else {
            config.ticketer = aws_lc_rs::Ticketer::new().map_err(setup)?;
            // A client that comes back needs one, and gets the next then.
            config.send_tls13_tickets = 1;
        }
        Ok(TlsOptions {
            config: Arc::new(config),
            verify: self.verify,
            allow_plain: self.allow_plain,
            first: self.first,
            timeout: self.timeout,
        })
    }
}

/// What is spoken, preferred ones first. AES-128 comes first, as with nats-server: AES-256 brings SHA-384 into every
/// step of a handshake (a twelfth of its cost). Key exchange is as the client prefers, post-quantum if it does.
fn provider() -> CryptoProvider {
    let mut provider = aws_lc_rs::default_provider();
    provider.cipher_suites.sort_by_key(|suite| suite.suite() != CipherSuite::TLS13_AES_128_GCM_SHA256);
    provider
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let found = read.map_err(|error| unusable(path, "certificates", &error))?;
    if found.is_empty() {
        return Err(unusable(path, "certificates", &"there is none in it"));
    }
    Ok(found)
}

fn roots(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|error| unusable(path, "a CA", &error))?;
    }
    Ok(roots)
}

fn unusable(path: &Path, purpose: &'static str, cause: &dyn std::fmt::Display) -> TlsError {
    TlsError::File { path: path.to_owned(), purpose, cause: cause.to_string() }
}
