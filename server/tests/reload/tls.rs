//! TLS comes, goes and gets other certificates; whoever is connected stays.

use std::path::Path;

use data_encoding::{BASE64, HEXLOWER};
use sha2::{Digest as _, Sha256};

use crate::site::{OPEN, Site};
use crate::support::tls::{Certificates, Identity};
use crate::support::websocket::{Socket, dial, good, request};

pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    let lines: Vec<String> =
        BASE64.encode(der).as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line).into_owned()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// A certificate's key as `pinned_certs` has it.
pub(crate) fn pin((chain, _): &Identity) -> String {
    let key = rustls::server::ParsedCertificate::try_from(&chain[0]).unwrap().subject_public_key_info();
    HEXLOWER.encode(&Sha256::digest(key.as_ref()))
}

/// Writes a certificate of `authority` and its key, and the configuration that names them.
pub(crate) fn write(folder: &Path, authority: &Certificates, more: &str) -> String {
    let (chain, key) = authority.identity("localhost");
    let (certificate, private) = (folder.join("cert.pem"), folder.join("key.pem"));
    std::fs::write(&certificate, pem("CERTIFICATE", &chain[0])).unwrap();
    std::fs::write(&private, pem("PRIVATE KEY", key.secret_der())).unwrap();
    format!(
        "{OPEN}tls {{ cert_file: \"{}\", key_file: \"{}\", timeout: 5{more} }}\n",
        certificate.display(),
        private.display()
    )
}

#[test]
fn tls_that_comes_is_for_new_connections_and_leaves_open_ones_alone() {
    let site = Site::start(OPEN);
    let (folder, authority) = (tempfile::tempdir().unwrap(), Certificates::new());
    let mut plain = site.broker.peer();
    plain.exchange_only("SUB a 1\r\n", "");
    let changes = site.reloaded(&write(folder.path(), &authority, ""));
    assert!(changes.iter().any(|change| change.starts_with("tls: added")), "{changes:?}");
    let mut secured = authority.upgrade(site.broker.socket());
    assert_eq!(secured.info()["tls_required"], true);
    secured.exchange("CONNECT {\"verbose\":false}\r\nPUB a 2\r\nhi\r\nPING\r\n", "PONG\r\n");
    plain.expect("MSG a 1 2\r\nhi\r\n");

    site.reloaded(OPEN);
    assert!(site.broker.raw().info().get("tls_required").is_none_or(|required| required == false));
    secured.exchange("PUB a 2\r\nho\r\nPING\r\n", "PONG\r\n");
    plain.expect("MSG a 1 2\r\nho\r\n");
}

#[test]
fn a_new_certificate_under_the_old_name_is_served_to_new_handshakes() {
    let folder = tempfile::tempdir().unwrap();
    let (before, after) = (Certificates::new(), Certificates::new());
    let text = write(folder.path(), &before, "");
    let site = Site::start(&text);
    let mut old = before.upgrade(site.broker.socket());
    old.exchange("CONNECT {\"verbose\":false}\r\nPING\r\n", "PONG\r\n");
    write(folder.path(), &after, "");
    let changes = site.reloaded(&text);
    assert_eq!(changes.len(), 2, "the certificate and its key: {changes:?}");
    let mut new = after.upgrade(site.broker.socket());
    new.exchange("CONNECT {\"verbose\":false}\r\nPING\r\n", "PONG\r\n");
    old.expect_nothing();
    assert!(!before.upgrade(site.broker.socket()).try_send("PING\r\n"), "its authority signed nothing of this");
}

#[test]
fn leaf_nodes_are_shown_the_new_certificate_too() {
    let folder = tempfile::tempdir().unwrap();
    let (before, after) = (Certificates::new(), Certificates::new());
    let leafs = |authority: &Certificates| {
        let block = write(folder.path(), authority, "").replacen(OPEN, "", 1);
        format!("{OPEN}leafnodes {{ listen: \"127.0.0.1:-1\"\n{block}}}\n")
    };
    let text = leafs(&before);
    let site = Site::start(&text);
    let dial = || std::net::TcpStream::connect(site.broker.running.leaf_address.unwrap()).unwrap();
    assert!(before.upgrade(dial()).try_send("PING\r\n"));
    leafs(&after);
    let changes = site.reloaded(&text);
    assert_eq!(changes.len(), 2, "the certificate and its key: {changes:?}");
    assert!(after.upgrade(dial()).try_send("PING\r\n"));
    assert!(!before.upgrade(dial()).try_send("PING\r\n"), "its authority signed nothing of this");
}

#[test]
fn a_key_that_does_not_go_with_its_certificate_changes_nothing() {
    let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let authority = Certificates::new();
    let text = write(folder.path(), &authority, "");
    let site = Site::start(&text);
    write(elsewhere.path(), &authority, "");
    std::fs::copy(elsewhere.path().join("key.pem"), folder.path().join("key.pem")).unwrap();
    site.reload(&format!("{text}max_payload: 9\n")).expect_err("they do not go together");
    let mut peer = authority.upgrade(site.broker.socket());
    assert_eq!(peer.info()["max_payload"], 1_048_576);
    peer.exchange("CONNECT {\"verbose\":false}\r\nPING\r\n", "PONG\r\n");
}

#[test]
fn the_handshake_may_come_first_from_now_on() {
    let (folder, authority) = (tempfile::tempdir().unwrap(), Certificates::new());
    let site = Site::start(&write(folder.path(), &authority, ""));
    site.reloaded(&write(folder.path(), &authority, ", handshake_first: true"));
    let mut peer = crate::support::Peer::new(authority.client(site.broker.socket(), None));
    peer.send("PING\r\n");
    peer.read_info();
    peer.expect("PONG\r\n");
}

#[test]
fn a_certificate_that_is_not_pinned_any_more_ends_its_connections() {
    let (folder, authority) = (tempfile::tempdir().unwrap(), Certificates::new());
    std::fs::write(folder.path().join("ca.pem"), pem("CERTIFICATE", &authority.authority())).unwrap();
    let identities = ["one", "other"].map(|name| authority.identity(name));
    let pins = [&identities[0], &identities[1]].map(|identity| format!("\"{}\"", pin(identity)));
    let text = write(folder.path(), &authority, "");
    let pinned = |pins: &[String]| {
        let ca = folder.path().join("ca.pem").display().to_string();
        let more = format!(", ca_file: \"{ca}\", verify: true, pinned_certs: [{}] }}\n", pins.join(", "));
        text.replace(" }\n", &more)
    };
    let site = Site::start(&pinned(&pins));
    let mut peers = identities.map(|identity| {
        let socket = site.broker.socket();
        crate::support::Peer::of(&socket).read_info();
        let mut peer = crate::support::Peer::new(authority.client(socket, Some(identity)));
        peer.exchange("CONNECT {\"verbose\":false}\r\nPING\r\n", "PONG\r\n");
        peer
    });
    site.reloaded(&pinned(&pins[..1]));
    peers[1].expect_end("");
    peers[0].expect_nothing();
}

#[test]
fn clients_over_websocket_are_shown_the_new_certificate_too() {
    let folder = tempfile::tempdir().unwrap();
    let (before, after) = (Certificates::new(), Certificates::new());
    let websocket = |authority: &Certificates| {
        let block = write(folder.path(), authority, "").replacen(OPEN, "", 1);
        format!("{OPEN}websocket {{ listen: \"127.0.0.1:-1\"\n{block}}}\n")
    };
    let text = websocket(&before);
    let site = Site::start(&text);
    let mut old = Socket::open(before.client(dial(&site.broker), None), &[]);
    old.info();
    old.exchange("CONNECT {\"verbose\":false}\r\nPING\r\n", "PONG\r\n");
    websocket(&after);
    let changes = site.reloaded(&text);
    assert_eq!(changes.len(), 2, "the certificate and its key: {changes:?}");
    let mut new = Socket::open(after.client(dial(&site.broker), None), &[]);
    new.info();
    new.exchange("CONNECT {\"verbose\":false}\r\nPING\r\n", "PONG\r\n");
    old.exchange("PING\r\n", "PONG\r\n");
    let mut stale = Socket::new(before.client(dial(&site.broker), None));
    assert!(!stale.try_send("GET / HTTP/1.1\r\n"), "its authority signed nothing of this");
    // Whether there is TLS at all is decided at the start.
    site.reload(&format!("{OPEN}websocket {{ listen: \"127.0.0.1:-1\", no_tls: true }}\n")).expect_err("wss to ws");
}

#[test]
fn what_else_the_websocket_listener_does_changes_for_new_connections() {
    let text = |more: &str| format!("{OPEN}websocket {{ listen: \"127.0.0.1:-1\", no_tls: true, {more} }}\n");
    let site = Site::start(&text("compression: false"));
    let page = [("Origin", "https://elsewhere.example")];
    let compressing = [("Sec-WebSocket-Extensions", "permessage-deflate")];
    let is_agreed = |socket: &Socket| socket.head.contains("permessage-deflate");
    let mut open = Socket::open(dial(&site.broker), &page);
    open.info();
    open.exchange("CONNECT {\"verbose\":false}\r\nPING\r\n", "PONG\r\n");
    assert!(!is_agreed(&Socket::open(dial(&site.broker), &compressing)));
    let changes = site.reloaded(&text("compression: true, allowed_origins: [\"https://ok.example\"]"));
    assert_eq!(changes.len(), 1, "{changes:?}");
    assert!(is_agreed(&Socket::open(dial(&site.broker), &compressing)));
    let refused = Socket::asking(dial(&site.broker), &request("GET / HTTP/1.1", &[&good()[..], &page].concat()));
    assert_eq!(refused.status(), "403");
    open.exchange("PING\r\n", "PONG\r\n");
    for other in ["listen: \"127.0.0.1:1\"", "port: 2"] {
        site.reload(&text(other)).expect_err("where it listens is decided at the start");
    }
    site.reload(OPEN).expect_err("whether it listens is decided at the start");
}
