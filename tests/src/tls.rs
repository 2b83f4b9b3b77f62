//! TLS as clients set it up.

use std::path::Path;
use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// Makes aws-lc-rs the provider of this process.
pub fn install_provider() {
    // An error says that it was done before.
    let _installed = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

/// A client that trusts this authority and presents no certificate.
pub fn trusting(ca: &Path) -> Arc<ClientConfig> {
    install_provider();
    Arc::new(ClientConfig::builder().with_root_certificates(roots(ca)).with_no_client_auth())
}

/// A client that trusts this authority and presents a certificate.
pub fn presenting(ca: &Path, certificate_pem: &str, key_pem: &str) -> Arc<ClientConfig> {
    install_provider();
    let chain = CertificateDer::pem_slice_iter(certificate_pem.as_bytes()).collect::<Result<Vec<_>, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes()).unwrap();
    let config = ClientConfig::builder().with_root_certificates(roots(ca)).with_client_auth_cert(chain, key);
    Arc::new(config.unwrap())
}

fn roots(ca: &Path) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(ca).unwrap() {
        roots.add(certificate.unwrap()).unwrap();
    }
    roots
}
