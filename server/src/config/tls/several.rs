//! Which of several certificates a client is shown.

use std::sync::Arc;

use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::ServerName;

/// Certificates, in the order of the configuration.
#[derive(Debug)]
pub(super) struct Several(pub(super) Vec<Arc<CertifiedKey>>);

impl ResolvesServerCert for Several {
    /// The first that has the name which the client asks for and a key that it can verify; without such, the first
    /// that it can verify; otherwise the first, as with nats-server.
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        if let [only] = self.0.as_slice() {
            return Some(only.clone());
        }
        let verifiable = |key: &&Arc<CertifiedKey>| key.key.choose_scheme(hello.signature_schemes()).is_some();
        let name = hello.server_name().and_then(|name| ServerName::try_from(name).ok());
        let named = name.and_then(|name| self.0.iter().filter(verifiable).find(|key| is_for(key, &name)));
        named.or_else(|| self.0.iter().find(verifiable)).or_else(|| self.0.first()).cloned()
    }
}

fn is_for(key: &CertifiedKey, name: &ServerName<'_>) -> bool {
    let parsed = key.cert.first().and_then(|leaf| ParsedCertificate::try_from(leaf).ok());
    parsed.is_some_and(|leaf| rustls::client::verify_server_name(&leaf, name).is_ok())
}
