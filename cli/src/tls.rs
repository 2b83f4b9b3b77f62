//! TLS of the broker's own listener, made from the files of a data folder.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use cordon_server::{HandshakeFirst, TlsOptions};
use rustls::crypto::CryptoProvider;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// Time for a handshake: a client on a slow line needs one to two.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// Makes aws-lc-rs the one provider of the process, before anything asks for one.
pub(crate) fn install_provider() {
    // An error says that it was done before.
    let _installed = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

/// The files of a TLS listener.
#[derive(Clone, Debug)]
pub(crate) struct ListenerFiles {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    /// Clients may present certificates of this CA.
    pub(crate) client_ca: PathBuf,
}

impl ListenerFiles {
    /// Reads the files. A client certificate is asked for, and verified if there is one.
    pub(crate) fn options(&self) -> anyhow::Result<TlsOptions> {
        let provider = CryptoProvider::get_default().context("there is no TLS provider")?;
        let mut roots = RootCertStore::empty();
        for certificate in certificates(&self.client_ca)? {
            roots.add(certificate).with_context(|| format!("`{}` is not a CA", self.client_ca.display()))?;
        }
        let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
            .allow_unauthenticated()
            .build()
            .context("client certificates cannot be verified")?;
        self.options_with(clients)
    }

    /// Reads the files, for a listener that asks nobody for a certificate: a browser would present it for any page.
    pub(crate) fn options_without_clients(&self) -> anyhow::Result<TlsOptions> {
        self.options_with(WebPkiClientVerifier::no_client_auth())
    }

    /// No session tickets: resumption would not verify a client certificate again.
    fn options_with(&self, clients: Arc<dyn ClientCertVerifier>) -> anyhow::Result<TlsOptions> {
        let provider = CryptoProvider::get_default().context("there is no TLS provider")?;
        let key =
            PrivateKeyDer::from_pem_file(&self.key).with_context(|| format!("cannot read `{}`", self.key.display()))?;
        let mut config = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .context("TLS cannot be set up")?
            .with_client_cert_verifier(clients)
            .with_single_cert(certificates(&self.certificate)?, key)
            .with_context(|| format!("the certificate `{}` and its key cannot be used", self.certificate.display()))?;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(TlsOptions {
            config: Arc::new(config),
            verify: false,
            allow_plain: false,
            first: HandshakeFirst::No,
            timeout: HANDSHAKE_TIMEOUT,
        })
    }
}

fn certificates(path: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let certificates = read.with_context(|| format!("cannot read `{}`", path.display()))?;
    anyhow::ensure!(!certificates.is_empty(), "there is no certificate in `{}`", path.display());
    Ok(certificates)
}
