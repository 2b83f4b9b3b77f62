//! Certificates and TLS clients.

use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cordon_server::{HandshakeFirst, TlsOptions};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, StreamOwned};

use super::Peer;

/// A certificate authority with a server certificate for `localhost`.
pub struct Certificates {
    authority: CertifiedIssuer<'static, KeyPair>,
    roots: Arc<RootCertStore>,
}

/// A certificate and its key.
pub type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

impl Certificates {
    /// New ones.
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(authority.der().clone()).unwrap();
        Self { authority, roots: Arc::new(roots) }
    }

    /// A certificate for `name` with its key.
    pub fn identity(&self, name: &str) -> Identity {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.authority).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        (vec![certificate.der().clone()], key)
    }

    /// The authority's own certificate.
    pub fn authority(&self) -> CertificateDer<'static> {
        self.authority.der().clone()
    }

    /// A certificate for this key as the parameters make it.
    pub fn signed(&self, params: &CertificateParams, key: &KeyPair) -> Identity {
        let certificate = params.signed_by(key, &self.authority).unwrap();
        (vec![certificate.der().clone()], PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())))
    }

    /// Writes `ca.pem`, and `server.pem` and `server.key` of a broker on `localhost`.
    pub fn write_into(&self, folder: &Path) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.authority).unwrap();
        for (name, text) in
            [("ca.pem", self.authority.pem()), ("server.pem", certificate.pem()), ("server.key", key.serialize_pem())]
        {
            std::fs::write(folder.join(name), text).unwrap();
        }
    }

    /// TLS for a broker.
    pub fn server(&self, first: HandshakeFirst, allow_plain: bool) -> TlsOptions {
        let (chain, key) = self.identity("localhost");
        let config = server_builder().with_no_client_auth().with_single_cert(chain, key).unwrap();
        TlsOptions { config: Arc::new(config), verify: false, allow_plain, first, timeout: Duration::from_secs(5) }
    }

    /// TLS for a broker that demands a client certificate.
    pub fn verifying_server(&self) -> TlsOptions {
        let (chain, key) = self.identity("localhost");
        let verifier = WebPkiClientVerifier::builder_with_provider(self.roots.clone(), provider()).build().unwrap();
        let config = server_builder().with_client_cert_verifier(verifier).with_single_cert(chain, key).unwrap();
        TlsOptions { config: Arc::new(config), verify: true, ..self.server(HandshakeFirst::No, false) }
    }

    /// TLS over a client's socket, which makes the handshake with its first bytes.
    pub fn client(&self, stream: TcpStream, identity: Option<Identity>) -> StreamOwned<ClientConnection, TcpStream> {
        let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
        let builder = builder.with_root_certificates(self.roots.clone());
        let config = match identity {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => builder.with_client_auth_cert(chain, key).unwrap(),
        };
        let name = ServerName::try_from("localhost").unwrap();
        StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), stream)
    }

    /// TLS of a client without certificate.
    pub fn client_config(&self) -> Arc<ClientConfig> {
        let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
        Arc::new(builder.with_root_certificates(self.roots.clone()).with_no_client_auth())
    }

    /// A client that has read INFO in plain text and speaks TLS from now on.
    pub fn upgrade(&self, stream: TcpStream) -> Peer {
        let mut plain = Peer::of(&stream);
        plain.read_info();
        let mut peer = Peer::new(self.client(stream, None));
        peer.info = plain.info;
        peer
    }
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

fn server_builder() -> rustls::ConfigBuilder<ServerConfig, rustls::WantsVerifier> {
    ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap()
}
