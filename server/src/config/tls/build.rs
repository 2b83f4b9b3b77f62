//! From the files of a block to rustls.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{CipherSuite, RootCertStore, ServerConfig, SupportedCipherSuite, SupportedProtocolVersion};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::pinned::Pinned;
use super::several::Several;
use super::{TlsError, TlsFiles};
use crate::options::TlsOptions;

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
        Ok(TlsOptions {
            config: Arc::new(self.config(self.verify)?),
            verify: self.verify,
            allow_plain: self.allow_plain,
            first: self.first,
            timeout: self.timeout,
        })
    }

    /// TLS with the same certificate for a listener that asks for none of the client, such as monitoring.
    ///
    /// # Errors
    ///
    /// [`TlsError`] names the file.
    pub fn without_clients(&self) -> Result<Arc<ServerConfig>, TlsError> {
        self.config(false).map(Arc::new)
    }

    fn config(&self, verify: bool) -> Result<ServerConfig, TlsError> {
        let provider = Arc::new(self.provider());
        let newest: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];
        let without_older = self.newest_only || self.suites.as_ref().is_some_and(Vec::is_empty);
        let versions = if without_older { newest } else { rustls::ALL_VERSIONS };
        let builder =
            ServerConfig::builder_with_provider(provider.clone()).with_protocol_versions(versions).map_err(setup)?;
        let builder = match self.ca.as_deref() {
            Some(ca) if verify => builder.with_client_cert_verifier(self.verifier(ca, &provider)?),
            ca => {
                // Also where it is not needed: a file that cannot be read is a mistake.
                ca.map(roots).transpose()?;
                builder.with_no_client_auth()
            }
        };
        let mut config = builder.with_cert_resolver(Arc::new(Several(self.certified(&provider)?)));
        config.ignore_client_order = true;
        // Sessions live in the tickets that clients keep: a store would hold too few for those who come back at once.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        if verify {
            config.send_tls13_tickets = 0;
        } else {
            config.ticketer = aws_lc_rs::Ticketer::new().map_err(setup)?;
            // A client that comes back needs one, and gets the next then.
            config.send_tls13_tickets = 1;
        }
        Ok(config)
    }

    fn verifier(&self, ca: &Path, provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots(ca)?), provider.clone()).build();
        let chain = verifier.map_err(|error| TlsError::Setup(error.to_string()))?;
        if self.pinned.is_empty() {
            return Ok(chain);
        }
        Ok(Arc::new(Pinned { chain, keys: self.pinned.clone() }))
    }

    fn certified(&self, provider: &CryptoProvider) -> Result<Vec<Arc<CertifiedKey>>, TlsError> {
        let first = (self.certificate.as_path(), self.key.as_path());
        let further = self.further.iter().map(|(certificate, key)| (certificate.as_path(), key.as_path()));
        let load = |(certificate, key): (&Path, &Path)| {
            let chain = certificates(certificate)?;
            let unfit = |error: &dyn std::fmt::Display| unusable(key, "a private key", error);
            let key = PrivateKeyDer::from_pem_file(key).map_err(|error| unfit(&error))?;
            let made = CertifiedKey::from_der(chain, key, provider).map_err(|error| unfit(&error))?;
            Ok(Arc::new(made))
        };
        std::iter::once(first).chain(further).map(load).collect()
    }

    /// What is spoken, preferred ones first. AES-128 comes first, as with nats-server: AES-256 brings SHA-384 into
    /// every step of a handshake (a twelfth of its cost). Key exchange is as the client prefers, post-quantum if it
    /// does, unless the configuration names some.
    fn provider(&self) -> CryptoProvider {
        let mut provider = aws_lc_rs::default_provider();
        provider.cipher_suites.sort_by_key(|suite| suite.suite() != CipherSuite::TLS13_AES_128_GCM_SHA256);
        if let Some(suites) = &self.suites {
            let place = |suite: &SupportedCipherSuite| suites.iter().position(|named| *named == suite.suite());
            provider.cipher_suites.retain(|suite| suite.tls13().is_some() || place(suite).is_some());
            provider.cipher_suites.sort_by_key(|suite| place(suite).map_or(0, |place| place + 1));
        }
        if let Some(groups) = &self.groups {
            let known = aws_lc_rs::ALL_KX_GROUPS;
            let group = |name| known.iter().copied().find(|group| group.name() == name);
            provider.kx_groups = groups.iter().filter_map(|name| group(*name)).collect();
        }
        provider
    }
}

fn setup(error: rustls::Error) -> TlsError {
    TlsError::Setup(error.to_string())
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
