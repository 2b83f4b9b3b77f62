//! A server that parses nothing: it copies what publishers send to the subscribers, 256 KiB at a time.
//! What it costs is the least that any broker could cost on the same machine.
//!
//! It reads only a client's greeting, in which three lines of its own say what to do with the connection:
//! `TAKE c` gets all that is fed to channel `c`, `SHARE c` what one of its feeders sends, `FEED c` feeds it
//! ([`Via`](crate::via::Via) writes them). Everything else of the protocol is passed over: a connection
//! without such a line idles.

mod channels;
mod greeting;
mod stream;

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use anyhow::{Context as _, Result};
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use self::channels::{Channels, Role};
use self::greeting::greet;
use self::stream::Stream;

/// Ends a greeting.
const PONG: &[u8] = b"PONG\r\n";
/// What one read takes at most.
const PIECE: usize = 256 * 1024;
/// Threads that accept and greet: as many as the generator has threads that connect.
const GREETERS: usize = 4;

/// Where the certificate and the key of a TLS forwarder are.
#[derive(Debug)]
pub(crate) struct TlsFiles {
    /// PEM certificate.
    pub(crate) chain: PathBuf,
    /// PEM private key.
    pub(crate) key: PathBuf,
}

/// Serves until it is killed.
///
/// # Errors
///
/// When the address is taken, or the TLS files cannot be used.
pub(crate) fn serve(listen: SocketAddr, tls: Option<&TlsFiles>) -> Result<()> {
    let tls = tls.map(|files| configuration(&files.chain, &files.key)).transpose()?;
    let listener = TcpListener::bind(listen).with_context(|| format!("cannot listen on `{listen}`"))?;
    let channels = Channels::default();
    thread::scope(|scope| {
        for _ in 0..GREETERS {
            scope.spawn(|| {
                while let Ok((socket, _)) = listener.accept() {
                    // An error is a probe that only waits for INFO.
                    if let Ok((stream, role)) = greet(socket, tls.as_ref()) {
                        admit(stream, role, &channels);
                    }
                }
            });
        }
    });
    Ok(())
}

/// Gives a greeted connection its place; a feeding one gets a thread.
fn admit(mut stream: Stream, role: Role, channels: &Channels) {
    let Some(channel) = role.feeds else {
        return channels.keep(stream, role.takes);
    };
    let channels = channels.clone();
    match (role.takes, stream.second()) {
        (Some(takes), Some(writer)) => channels.keep(writer, Some(takes)),
        _ => {
            // Whoever is gone already needs no thread.
            if stream.write_all(PONG).is_err() {
                return;
            }
        }
    }
    stream.expect_much();
    thread::spawn(move || copy(stream, &channels, &channel));
}

/// Copies until either side is gone. Who takes is looked up when the first bytes come: by then all are there.
fn copy(mut from: Stream, channels: &Channels, channel: &str) {
    let mut piece = vec![0; PIECE];
    let mut takers = None;
    while let Ok(count) = from.read(&mut piece) {
        let bytes = piece.get(..count).unwrap_or_default();
        let takers = takers.get_or_insert_with(|| channels.takers(channel));
        if count == 0 || takers.iter().any(|taker| taker.write_all(bytes).is_err()) {
            return;
        }
    }
}

/// TLS 1.3 as the generator asks for it, with what costs least: AES-128, which both servers take too, and no session
/// tickets, which nobody would use.
fn configuration(chain: &Path, key: &Path) -> Result<Arc<ServerConfig>> {
    let certificates =
        CertificateDer::pem_file_iter(chain)?.collect::<Result<Vec<_>, _>>().context("the certificate is not PEM")?;
    let key = PrivateKeyDer::from_pem_file(key).context("the key is not PEM")?;
    let provider = CryptoProvider {
        cipher_suites: vec![aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256],
        ..aws_lc_rs::default_provider()
    };
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(certificates, key)?;
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}
