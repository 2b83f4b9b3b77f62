//! A throw-away certificate for the servers, and the generator's side of TLS that trusts only it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

/// Certificate files for a server, and the configuration of a client that believes it.
pub(crate) struct Certificate {
    /// PEM certificate, ECDSA P-256, for 127.0.0.1.
    pub(crate) chain_file: PathBuf,
    /// PEM private key.
    pub(crate) key_file: PathBuf,
    /// TLS 1.3, X25519, no resumption: every connect is a full handshake, the same with every server.
    pub(crate) client: Arc<ClientConfig>,
}

impl Certificate {
    /// Makes a certificate and writes it into `folder`.
    ///
    /// # Errors
    ///
    /// When the folder cannot be written.
    pub(crate) fn create(folder: &Path) -> Result<Self> {
        let issued = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned(), "localhost".to_owned()])?;
        let chain_file = folder.join("server.pem");
        let key_file = folder.join("server.key");
        fs::write(&chain_file, issued.cert.pem()).context("cannot write the certificate")?;
        fs::write(&key_file, issued.signing_key.serialize_pem()).context("cannot write the key")?;

        let client = believing(issued.cert.der().clone())?;
        Ok(Self { chain_file, key_file, client })
    }
}

/// The client's side for the certificate in `file`.
///
/// # Errors
///
/// When there is none.
pub(crate) fn trusting(file: &Path) -> Result<Arc<ClientConfig>> {
    let certificate =
        CertificateDer::from_pem_file(file).with_context(|| format!("`{}` holds no certificate", file.display()))?;
    believing(certificate)
}

fn believing(certificate: CertificateDer<'static>) -> Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate)?;
    let provider = CryptoProvider { kx_groups: vec![aws_lc_rs::kx_group::X25519], ..aws_lc_rs::default_provider() };
    let mut client = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    client.resumption = Resumption::disabled();
    Ok(Arc::new(client))
}
