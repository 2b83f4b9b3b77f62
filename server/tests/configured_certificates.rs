//! Users known by their certificates, with `verify_and_map` of a configuration file, over real TLS.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod house;
mod support;

use house::ask;
use rcgen::{CertificateParams, DnType, KeyPair, PublicKeyData as _, SanType};
use sha2::{Digest, Sha256};
use support::tls::{Certificates, Identity};
use support::{Peer, QUIET, TestBroker};

/// An authority, the files of a broker, and the broker that uses them.
struct Site {
    certificates: Certificates,
    broker: TestBroker,
}

impl Site {
    /// A broker whose `tls` block has these options more, with these users.
    fn new(certificates: Certificates, tls: &str, users: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        certificates.write_into(folder.path());
        let path = folder.path().display();
        let broker = TestBroker::of_text(&format!(
            "tls {{ cert_file: \"{path}/server.pem\", key_file: \"{path}/server.key\", ca_file: \"{path}/ca.pem\", timeout: 20, {tls} }}\n\
             authorization {{ timeout: 20, users: [ {users} ] }}"
        ));
        Self { certificates, broker }
    }

    fn mapping(users: &str) -> Self {
        Self::new(Certificates::new(), "verify_and_map: true", users)
    }

    /// A client with this certificate that has sent CONNECT with these fields.
    fn present(&self, identity: Identity, fields: &str) -> Peer {
        let socket = self.broker.socket();
        let mut plain = Peer::of(&socket);
        plain.read_info();
        let mut peer = Peer::new(self.certificates.client(socket, Some(identity)));
        let comma = if fields.is_empty() { "" } else { "," };
        peer.send(format!("CONNECT {}{comma}{fields}}}\r\nPING\r\n", QUIET.trim_end_matches('}')));
        peer
    }

    /// Who a client with this certificate is.
    fn user(&self, identity: Identity, fields: &str) -> String {
        let mut peer = self.present(identity, fields);
        peer.expect("PONG\r\n");
        ask(&mut peer, "$SYS.REQ.USER.INFO", "").json()["data"]["user"].as_str().unwrap().to_owned()
    }

    fn refuses(&self, identity: Identity, fields: &str) {
        self.present(identity, fields).expect_end("-ERR 'Authorization Violation'\r\n");
    }

    fn identity(&self, subject: &[(DnType, &str)], names: Vec<SanType>) -> Identity {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        for (kind, value) in subject {
            params.distinguished_name.push(kind.clone(), *value);
        }
        params.subject_alt_names = names;
        self.certificates.signed(&params, &KeyPair::generate().unwrap())
    }
}

fn email(name: &str) -> SanType {
    SanType::Rfc822Name(name.try_into().unwrap())
}

#[test]
fn a_certificate_names_its_user_by_email_then_dns_then_uri_then_subject() {
    let all = ["a@example.org", "host.example", "spiffe://example.org/app", "CN=worker,O=Acme"];
    for first in 0..all.len() {
        let users: Vec<String> = all[first..].iter().map(|name| format!("{{user: \"{name}\"}}")).collect();
        let site = Site::mapping(&users.join(", "));
        let subject = [(DnType::OrganizationName, "Acme"), (DnType::CommonName, "worker")];
        let uri = SanType::URI("spiffe://example.org/app".try_into().unwrap());
        let names = vec![uri, SanType::DnsName("host.example".try_into().unwrap()), email("a@example.org")];
        // What CONNECT says does not count.
        assert_eq!(site.user(site.identity(&subject, names), "\"user\":\"other\""), all[first]);
    }
}

#[test]
fn a_subject_matches_in_any_order_but_each_part_once() {
    let site = Site::mapping("{user: \"CN=worker,O=Acme,OU=b\"}, {user: \"CN=twice,CN=twice\"}");
    let worker =
        [(DnType::OrganizationalUnitName, "b"), (DnType::CommonName, "worker"), (DnType::OrganizationName, "Acme")];
    assert_eq!(site.user(site.identity(&worker, Vec::new()), ""), "CN=worker,O=Acme,OU=b");
    for subject in [
        vec![(DnType::CommonName, "twice")],
        vec![(DnType::CommonName, "twice"), (DnType::OrganizationName, "x")],
        vec![(DnType::CommonName, "worker"), (DnType::OrganizationName, "Acme")],
    ] {
        site.refuses(site.identity(&subject, Vec::new()), "");
    }
}

#[test]
fn a_mapped_user_with_a_password_must_send_it_too() {
    let site = Site::mapping("{user: \"a@example.org\", password: pw}, {user: \"b@example.org\"}");
    let a = || site.identity(&[], vec![email("a@example.org")]);
    assert_eq!(site.user(a(), "\"pass\":\"pw\""), "a@example.org");
    site.refuses(a(), "\"pass\":\"no\"");
    site.refuses(a(), "");
    assert_eq!(site.user(site.identity(&[], vec![email("b@example.org")]), ""), "b@example.org");
    site.refuses(site.identity(&[], vec![email("c@example.org")]), "\"user\":\"b@example.org\"");
}

#[test]
fn nobody_comes_in_by_the_name_of_a_certificates_user() {
    // The listener asks for certificates, and takes no names from them.
    let site = Site::new(Certificates::new(), "verify: true", "{user: \"a@example.org\"}, {user: b, password: b}");
    let a = || site.identity(&[], vec![email("a@example.org")]);
    site.refuses(a(), "\"user\":\"a@example.org\",\"pass\":\"\"");
    site.refuses(a(), "\"user\":\"a@example.org\"");
    site.refuses(a(), "");
    assert_eq!(site.user(a(), "\"user\":\"b\",\"pass\":\"b\""), "b");
}

#[test]
fn who_may_connect_by_websocket_alone_is_no_user_of_this_listener() {
    let site = Site::mapping("{user: \"a@example.org\", allowed_connection_types: WEBSOCKET}, {user: \"CN=a\"}");
    let identity = site.identity(&[(DnType::CommonName, "a")], vec![email("a@example.org")]);
    assert_eq!(site.user(identity, ""), "CN=a", "the next name counts");
}

/// SHA-256 of a public key, as `pinned_certs` has it.
fn pin(key: &KeyPair) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(key.subject_public_key_info()))
}

#[test]
fn a_certificate_that_is_not_pinned_fails_the_handshake() {
    let certificates = Certificates::new();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.subject_alt_names = vec![email("a@example.org")];
    let (key, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let (known, stranger) = (certificates.signed(&params, &key), certificates.signed(&params, &other));
    let tls = format!("verify_and_map: true, pinned_certs: [\"{}\"]", pin(&key));
    let site = Site::new(certificates, &tls, "{user: \"a@example.org\"}");
    assert_eq!(site.user(known, ""), "a@example.org");
    let socket = site.broker.socket();
    Peer::of(&socket).read_info();
    let mut stream = site.certificates.client(socket, Some(stranger));
    let spoken = std::io::Write::write_all(&mut stream, b"PING\r\n")
        .and_then(|()| std::io::Read::read_exact(&mut stream, &mut [0]));
    assert!(spoken.is_err(), "no word is exchanged");
}
