//! The whole control plane over real sockets and TLS, without a broker.

use std::path::Path;
use std::sync::Arc;

use cordon_auth::clock::Clock;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::issuing::Act;
use crate::model::{NewOperator, NewToken};
use crate::roles::RoleName;
use crate::vault::KeySource;
use crate::{Control, ControlError, ControlOptions, TlsFiles};

fn options(folder: &Path, listen: &str) -> ControlOptions {
    ControlOptions {
        listen: listen.parse().unwrap(),
        tls: TlsFiles { certificate: folder.join("tls/server.pem"), key: folder.join("tls/server.key") },
        store_url: folder.join("cordon.db").display().to_string(),
        vault: KeySource::File(folder.join("vault.key")),
        broker: None,
        ledger_dir: Some(folder.join("ledger")),
        authority_dir: Some(folder.join("ca")),
        clock: Clock::system(),
    }
}

async fn opened(folder: &Path) -> Control {
    let control = Control::open(options(folder, "127.0.0.1:0")).await.unwrap();
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    control
        .authority()
        .unwrap()
        .issue_server(&names, &folder.join("tls/server.pem"), &folder.join("tls/server.key"))
        .unwrap();
    control
}

async fn get(address: std::net::SocketAddr, ca: &Path, path: &str, token: &str) -> String {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut tls = TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
    let request =
        format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\r\n");
    tls.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    tls.read_to_end(&mut answer).await.unwrap();
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn a_control_plane_is_set_up_started_asked_stopped_and_found_again() {
    let folder = tempfile::tempdir().unwrap();
    let control = opened(folder.path()).await;
    let act = Act::local("test");
    let operator = control
        .issuer()
        .create_operator(&act, NewOperator { name: "main".to_owned(), ..NewOperator::default() })
        .await
        .unwrap();
    let new = NewToken {
        name: "first".to_owned(),
        role: RoleName::Owner,
        accounts: vec![],
        expires_at: None,
        expires_in_seconds: None,
    };
    let token = control.issuer().create_token(&act, &new).await.unwrap().secret.unwrap();
    let ca = folder.path().join("ca/ca.pem");

    let running = control.start().await.unwrap();
    let page = get(running.address, &ca, "/", &token).await;
    assert!(page.starts_with("HTTP/1.1 200") && page.contains("<h1>Cordon</h1>"), "{page}");
    let operators = get(running.address, &ca, "/api/v1/operators", &token).await;
    assert!(operators.contains(&operator.key), "{operators}");
    assert!(get(running.address, &ca, "/api/v1/operators", "cdn_x").await.starts_with("HTTP/1.1 401"));
    let entry = get(running.address, &ca, "/api/v1/ledger/entries?kind=api.refused", &token).await;
    assert!(entry.contains("\"source_ip\":\"127.0.0.1\""), "{entry}");
    running.shutdown().await;
    assert!(std::fs::read_to_string(folder.path().join("ledger/checkpoint")).unwrap().contains('\n'));

    let again = opened(folder.path()).await;
    let found = again.issuer().operators(&crate::store::Page::first()).await.unwrap();
    assert_eq!(found.len(), 1);
    again.start().await.unwrap().shutdown().await;
}

#[tokio::test]
async fn a_connection_that_never_speaks_tls_does_not_stop_the_others_or_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let running = opened(folder.path()).await.start().await.unwrap();
    let silent: Vec<TcpStream> = futures_util::future::join_all((0..64).map(|_| TcpStream::connect(running.address)))
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    let mut noise = TcpStream::connect(running.address).await.unwrap();
    noise.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    // The server ends it: with a TLS alert, or without a word.
    let _ = noise.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP"));
    let health = get(running.address, &folder.path().join("ca/ca.pem"), "/api/v1/health", "").await;
    assert!(health.contains("\"broker\":\"none\""), "{health}");
    tokio::time::timeout(std::time::Duration::from_secs(5), running.shutdown())
        .await
        .expect("half-open handshakes must not hold the end up");
    drop(silent);
}

#[tokio::test]
async fn what_cannot_be_used_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let control = Control::open(options(folder.path(), "127.0.0.1:0")).await.unwrap();
    let error = control.start().await.unwrap_err();
    assert!(matches!(&error, ControlError::Tls(_)) && error.to_string().contains("server.pem"), "{error}");

    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    drop(opened(folder.path()).await);
    let listen = taken.local_addr().unwrap().to_string();
    let error = Control::open(options(folder.path(), &listen)).await.unwrap().start().await.unwrap_err();
    assert!(matches!(error, ControlError::Listen { .. }) && error.to_string().contains(&listen), "{error}");
}
