//! Plain text or TLS by the first bytes: what a listener that wants TLS says to anything else.
//!
//! The first byte chooses the mode of the listener and the size of the pieces; the rest is what the peer sends.

use std::cell::OnceCell;
use std::sync::Arc;
use std::time::Duration;

use cordon_auth::configured::ConfiguredUsers;
use cordon_server::{BrokerOptions, HandshakeFirst, TlsOptions};
use rustls::ServerConfig;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::input::Input;
use crate::peer::Rig;

/// A handshake record, and what may follow it: a change of cipher, an alert, data.
const RECORDS: [u8; 4] = [20, 21, 22, 23];
const HANDSHAKE: u8 = 22;

thread_local! {
    static RIGS: [OnceCell<Rig>; 4] = const { [const { OnceCell::new() }; 4] };
}

/// Panics when a listener says in plain text what belongs inside TLS.
pub fn check(data: &[u8]) {
    let mut input = Input::new(data);
    let choice = input.byte();
    let size = [1, 5, 100, 4096][usize::from(choice >> 2 & 3)];
    let bytes = input.rest();
    let mode = usize::from(choice & 3);
    let got = RIGS.with(|rigs| rigs[mode].get_or_init(|| rig(mode)).talk(bytes.chunks(size)));
    match mode {
        // INFO, then TLS and nothing else.
        0 => records(after_info(&got)),
        // INFO, then TLS if the first byte says so.
        1 if bytes.first() == Some(&HANDSHAKE) => records(after_info(&got)),
        1 => drop(after_info(&got)),
        // TLS at once.
        2 => records(&got),
        // TLS at once for those who speak first; silence counts as the older way.
        _ if bytes.is_empty() => {}
        _ => records(&got),
    }
}

fn rig(mode: usize) -> Rig {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let secret = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = builder.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], secret).unwrap();
    let first = match mode {
        0 | 1 => HandshakeFirst::No,
        2 => HandshakeFirst::Always,
        _ => HandshakeFirst::Within(Duration::from_millis(50)),
    };
    let tls = TlsOptions {
        config: Arc::new(config),
        verify: false,
        allow_plain: mode == 1,
        first,
        timeout: Duration::from_mins(1),
    };
    Rig::new(BrokerOptions { tls: Some(tls), ..BrokerOptions::default() }, ConfiguredUsers::builder().build().unwrap())
}

/// What follows the INFO line; nothing, if the peer is throttled by now and INFO all that it gets.
fn after_info(got: &[u8]) -> &[u8] {
    assert!(got.starts_with(b"INFO {"), "INFO comes first: {}", String::from_utf8_lossy(got));
    let end = got.windows(2).position(|pair| pair == b"\r\n").expect("INFO ends");
    let rest = &got[end + 2..];
    let throttled = b"-ERR 'Connection throttling is active. Please try again later.'\r\n";
    rest.strip_prefix(throttled.as_slice()).unwrap_or(rest)
}

/// Whole TLS records and nothing else.
fn records(mut rest: &[u8]) {
    while let Some(header) = rest.get(..5) {
        assert!(RECORDS.contains(&header[0]) && header[1] == 3, "plain text: {}", String::from_utf8_lossy(rest));
        let length = usize::from(u16::from_be_bytes([header[3], header[4]]));
        assert!(rest.len() >= 5 + length, "a record is cut");
        rest = &rest[5 + length..];
    }
    assert!(rest.is_empty(), "plain text: {}", String::from_utf8_lossy(rest));
}
