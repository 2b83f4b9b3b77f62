//! The admin API's own certificate, read from PEM files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// The two files of a server certificate, as PEM.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The certificate, followed by its intermediates.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// Why the certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file is missing or is not PEM.
    #[error("cannot read `{path}`: {cause}; give a PEM file that this user may read")]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system or the parser said.
        cause: String,
    },
    /// The certificate and the key do not make a working pair.
    #[error("the certificate `{path}` cannot be used: {cause}")]
    Unusable {
        /// The certificate file.
        path: PathBuf,
        /// What rustls said.
        cause: rustls::Error,
    },
}

impl TlsFiles {
    /// A rustls configuration for HTTP/2 and HTTP/1.1 over TLS 1.2 and 1.3, without client certificates.
    ///
    /// # Errors
    ///
    /// [`TlsError`], with the file that cannot be used.
    pub fn server_config(&self) -> Result<Arc<ServerConfig>, TlsError> {
        let chain = self.chain()?;
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(|cause| unreadable(&self.key, &cause))?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let unusable = |cause| TlsError::Unusable { path: self.certificate.clone(), cause };
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(unusable)?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(unusable)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    fn chain(&self) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        let certificates = CertificateDer::pem_file_iter(&self.certificate)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|cause| unreadable(&self.certificate, &cause))?;
        if certificates.is_empty() {
            return Err(unreadable(&self.certificate, &"there is no certificate in it"));
        }
        Ok(certificates)
    }
}

fn unreadable(path: &Path, cause: &dyn std::fmt::Display) -> TlsError {
    TlsError::File { path: path.to_owned(), cause: cause.to_string() }
}
