//! What `tls` blocks say, and the handshakes that come of it.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use data_encoding::HEXLOWER;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, PublicKeyData as _};
use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConnection};
use sha2::{Digest as _, Sha256};

use super::*;
use crate::config::parser;

/// A folder with an authority, `a` and `b` for `a.example` and `b.example`, and a key that is pinned.
struct House {
    folder: tempfile::TempDir,
    authority: CertifiedIssuer<'static, KeyPair>,
    client: KeyPair,
}

impl House {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: String| std::fs::write(folder.path().join(name), text).unwrap();
        write("ca.pem", authority.pem());
        for name in ["a", "b"] {
            let key = KeyPair::generate().unwrap();
            let params = CertificateParams::new(vec![format!("{name}.example")]).unwrap();
            write(&format!("{name}.pem"), params.signed_by(&key, &authority).unwrap().pem());
            write(&format!("{name}.key"), key.serialize_pem());
        }
        Self { folder, authority, client: KeyPair::generate().unwrap() }
    }

    /// A block with the certificate `a` and more.
    fn read(&self, more: &str) -> Result<TlsFiles, String> {
        self.read_block(&format!("cert_file: 'DIR/a.pem', key_file: 'DIR/a.key', {more}"))
    }

    fn read_block(&self, block: &str) -> Result<TlsFiles, String> {
        let block = block.replace("DIR", self.folder.path().to_str().unwrap());
        let node = parser::parse(&format!("tls {{ {block} }}"), "t.conf", Path::new(".")).unwrap();
        let mut problems = Vec::new();
        let files = read(&node.entries().unwrap()[0].node, &mut problems);
        let told = problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        files.filter(|_| problems.is_empty()).ok_or(told)
    }

    fn client_key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.client.serialize_der()))
    }

    /// A client that has a certificate and trusts the authority.
    fn client(&self) -> ClientConfig {
        let params = CertificateParams::new(vec!["client".to_owned()]).unwrap();
        let certificate = params.signed_by(&self.client, &self.authority).unwrap().der().clone();
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.der().clone()).unwrap();
        let verifier = WebPkiServerVerifier::builder_with_provider(roots.into(), provider()).build().unwrap();
        let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
        let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
        builder.with_client_auth_cert(vec![certificate], self.client_key()).unwrap()
    }
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// What both ends agreed on.
struct Agreed {
    suite: CipherSuite,
    group: NamedGroup,
    shown: CertificateDer<'static>,
}

/// A handshake in memory.
fn shake(files: &TlsFiles, client: ClientConfig, name: &str) -> Result<Agreed, String> {
    let mut server = ServerConnection::new(files.options().unwrap().config).unwrap();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut client = ClientConnection::new(Arc::new(client), name).unwrap();
    for _ in 0..10 {
        let mut bytes = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut bytes).unwrap();
        }
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            server.read_tls(&mut rest).unwrap();
            server.process_new_packets().map_err(|error| error.to_string())?;
        }
        let mut bytes = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut bytes).unwrap();
        }
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            client.read_tls(&mut rest).unwrap();
            client.process_new_packets().map_err(|error| error.to_string())?;
        }
    }
    assert!(!server.is_handshaking() && !client.is_handshaking());
    client.writer().write_all(b"x").unwrap();
    Ok(Agreed {
        suite: client.negotiated_cipher_suite().unwrap().suite(),
        group: client.negotiated_key_exchange_group().unwrap().name(),
        shown: client.peer_certificates().unwrap()[0].clone().into_owned(),
    })
}

#[test]
fn everything_a_block_can_say_is_taken() {
    let house = House::new();
    let pin = "ab".repeat(32);
    let text = format!(
        "ca_file: 'DIR/ca.pem', verify_and_map: true, timeout: 0.5, handshake_first: auto, min_version: \"1.3\", \
         connection_rate_limit: 7, pinned_certs: [\"{pin}\", \"{}\"], insecure: true, ocsp_peer: false, \
         allow_insecure_cipher_suites: true, cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, TLS_AES_128_GCM_SHA256], \
         curve_preferences: [CurveP256, X25519]",
        pin.to_uppercase()
    );
    // What needs nothing is excused before the block is read.
    let files = house.read(&text.replace("insecure: true, ", "")).unwrap();
    assert!(files.verify && files.map && files.newest_only);
    assert_eq!((files.timeout, files.rate), (Duration::from_millis(500), Some(7)));
    assert_eq!(files.first, HandshakeFirst::Within(AUTO));
    assert_eq!(files.pinned, BTreeSet::from([[0xab; 32]]));
    assert_eq!(files.suites, Some(vec![CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]));
    assert_eq!(files.groups, Some(vec![NamedGroup::secp256r1, NamedGroup::X25519]));
    assert_eq!(files, house.read(&text.replace("insecure: true, ", "")).unwrap());
    for (text, first) in [
        ("first: true", HandshakeFirst::Always),
        ("immediate: false", HandshakeFirst::No),
        ("handshake_first: 300ms", HandshakeFirst::Within(Duration::from_millis(300))),
        ("handshake_first: \"auto_fallback\"", HandshakeFirst::Within(AUTO)),
    ] {
        assert_eq!(house.read(text).unwrap().first, first, "{text}");
    }
}

#[test]
fn what_would_let_in_the_wrong_ones_or_nobody_is_refused() {
    let house = House::new();
    for (text, part) in [
        ("verify: true", "without `ca_file`"),
        ("pinned_certs: [x]", "64 hexadecimal digits"),
        ("pinned_certs: \"x\"", "expected a list"),
        ("pinned_certs: [1]", "t.conf:1"),
        ("ca_file: 'DIR/ca.pem', pinned_certs: [\"AA\"]", "64 hexadecimal digits"),
        ("ocsp_peer: true", "not checked here"),
        ("ocsp_peer { verify: true }", "not checked here"),
        ("cert_store: WindowsCurrentUser", "`cert_file`"),
        ("verify_cert_and_check_known_urls: true", "between servers"),
        ("min_version: \"1.1\"", "no TLS version"),
        ("min_version: 1.2", "expected text"),
        ("cipher_suites: []", "empty"),
        ("cipher_suites: [TLS_ROT13]", "`TLS_ROT13` is no cipher suite"),
        ("curve_preferences: []", "empty"),
        ("curve_preferences: [x25519]", "no key exchange"),
        ("curve_preferences: [CurveP521]", "none of these"),
        ("handshake_first: 5", "expected true"),
        ("handshake_first: soon", "neither true"),
        ("timeout: 2k", "in quotes"),
        ("timeout: -1", "negative"),
        ("certs: [{cert_file: x, key_file: y}]", "keep one"),
        ("nonsense: 1", "unknown option"),
    ] {
        let problem = house.read(text).err().unwrap_or_else(|| panic!("{text} was taken"));
        assert!(problem.contains(part), "{text}: {problem}");
    }
    for (text, part) in [
        ("", "missing `cert_file`"),
        ("cert_file: x", "missing `key_file`"),
        ("key_file: x", "missing `cert_file`"),
        ("certs: []", "no certificate"),
        ("certs: [{cert_file: x}]", "both"),
        ("certs: [{cert_file: x, key_file: y, ca_file: z}]", "unknown option `ca_file`"),
    ] {
        let problem = house.read_block(text).err().unwrap_or_else(|| panic!("{text} was taken"));
        assert!(problem.contains(part), "{text}: {problem}");
    }
    assert!(
        house.read(&format!("pinned_certs: [\"{}\"]", "a".repeat(64))).unwrap_err().contains("needs `verify: true`")
    );
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let house = House::new();
    for (block, part) in [
        ("cert_file: 'DIR/none.pem', key_file: 'DIR/a.key'", "none.pem"),
        ("cert_file: 'DIR/a.pem', key_file: 'DIR/none.key'", "none.key"),
        ("cert_file: 'DIR/a.key', key_file: 'DIR/a.key'", "a.key"),
        ("cert_file: 'DIR/a.pem', key_file: 'DIR/b.key'", "b.key"),
        ("cert_file: 'DIR/a.pem', key_file: 'DIR/a.key', ca_file: 'DIR/a.key'", "a.key"),
        (
            "certs: [{cert_file: 'DIR/a.pem', key_file: 'DIR/a.key'}, {cert_file: 'DIR/c.pem', key_file: 'DIR/b.key'}]",
            "c.pem",
        ),
    ] {
        let error = house.read_block(block).unwrap().options().err().unwrap_or_else(|| panic!("{block} was taken"));
        assert!(error.to_string().contains(part), "{block}: {error}");
    }
}

#[test]
fn only_pinned_keys_get_in() {
    let house = House::new();
    let mine = HEXLOWER.encode(&Sha256::digest(house.client.subject_public_key_info()));
    let pinned =
        |pin: &str| house.read(&format!("ca_file: 'DIR/ca.pem', verify: true, pinned_certs: [\"{pin}\"]")).unwrap();
    assert!(shake(&pinned(&mine), house.client(), "a.example").is_ok());
    assert!(shake(&pinned(&"ab".repeat(32)), house.client(), "a.example").is_err());
    // A pin replaces no chain: the same key with a certificate of its own making stays out.
    let own = CertificateParams::new(vec!["client".to_owned()]).unwrap().self_signed(&house.client).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(house.authority.der().clone()).unwrap();
    let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
    let stranger =
        builder.with_root_certificates(roots).with_client_auth_cert(vec![own.der().clone()], house.client_key());
    assert!(shake(&pinned(&mine), stranger.unwrap(), "a.example").is_err());
}

#[test]
fn each_name_is_shown_its_certificate() {
    let house = House::new();
    let files = house
        .read_block(
            "certs: [{cert_file: 'DIR/a.pem', key_file: 'DIR/a.key'}, {cert_file: 'DIR/b.pem', key_file: 'DIR/b.key'}]",
        )
        .unwrap();
    let shown = |name: &str| shake(&files, house.client(), name).unwrap().shown;
    assert_ne!(shown("a.example"), shown("b.example"));
    // Nobody has this name: the first certificate is shown, and the client refuses it.
    assert!(shake(&files, house.client(), "c.example").is_err());
}

#[test]
fn suites_and_groups_are_those_of_the_configuration() {
    let house = House::new();
    let older = |files: &TlsFiles| {
        let mut provider = rustls::crypto::aws_lc_rs::default_provider();
        provider.cipher_suites.retain(|suite| suite.tls13().is_none());
        let mut roots = RootCertStore::empty();
        roots.add(house.authority.der().clone()).unwrap();
        let builder =
            ClientConfig::builder_with_provider(Arc::new(provider)).with_protocol_versions(&[&rustls::version::TLS12]);
        let client = builder.unwrap().with_root_certificates(roots).with_no_client_auth();
        shake(files, client, "a.example")
    };
    let first = "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256";
    let files = house.read(&format!("cipher_suites: [{first}, TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]")).unwrap();
    assert_eq!(older(&files).unwrap().suite, CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256);
    assert_eq!(shake(&files, house.client(), "a.example").unwrap().suite, CipherSuite::TLS13_AES_128_GCM_SHA256);
    // Nothing of TLS 1.2 is left: it is not spoken.
    let files = house.read("cipher_suites: [TLS_RSA_WITH_AES_128_CBC_SHA]").unwrap();
    assert!(older(&files).is_err() && files.remarks.len() == 2, "{:?}", files.remarks);
    let files = house.read("curve_preferences: [CurveP384, CurveP521]").unwrap();
    assert_eq!(shake(&files, house.client(), "a.example").unwrap().group, NamedGroup::secp384r1);
    assert!(files.remarks[0].text.contains("CurveP521"));
    assert!(older(&house.read("min_version: \"1.3\"").unwrap()).is_err());
    assert!(older(&house.read("min_version: \"1.2\"").unwrap()).is_ok());
}
