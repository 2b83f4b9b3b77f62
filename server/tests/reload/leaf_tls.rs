//! Certificates of leaf nodes: pins and names change, and whoever they are not about stays joined.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use rustls::{ClientConnection, StreamOwned};
use serde_json::json;

use crate::site::{OPEN, Site};
use crate::support::leaf::RawLeaf;
use crate::support::tls::{Certificates, Identity};
use crate::support::{PATIENCE, Peer};
use crate::tls::{pem, pin, write};

/// A `leafnodes` block over TLS that demands certificates of this authority; `more` is of its `tls` block.
fn block(folder: &std::path::Path, authority: &Certificates, more: &str) -> String {
    let ca = folder.join("ca.pem");
    std::fs::write(&ca, pem("CERTIFICATE", &authority.authority())).unwrap();
    let tls = write(folder, authority, &format!(", ca_file: \"{}\", verify: true{more}", ca.display()));
    format!("leafnodes {{ listen: \"127.0.0.1:-1\"\n{}}}\n", tls.replacen(OPEN, "", 1))
}

/// A leaf node that shows this certificate, joined.
fn join(site: &Site, authority: &Certificates, identity: Identity, name: &str) -> RawLeaf {
    let mut leaf = dial(site, authority, identity);
    leaf.connect(name, json!({}));
    leaf.read_joined();
    leaf.fenced();
    leaf
}

fn dial(site: &Site, authority: &Certificates, identity: Identity) -> RawLeaf {
    let (info, stream) = shown(site, authority, identity);
    let mut peer = Peer::new(stream);
    peer.info.clone_from(&info.info);
    RawLeaf { info: info.info(), joined: json!(null), peer }
}

/// A socket that has read INFO, and shows the certificate with the first that is written.
fn shown(
    site: &Site,
    authority: &Certificates,
    identity: Identity,
) -> (Peer, StreamOwned<ClientConnection, TcpStream>) {
    let socket = TcpStream::connect(site.broker.running.leaf_address.unwrap()).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut plain = Peer::of(&socket);
    plain.read_info();
    (plain, authority.client(socket, Some(identity)))
}

#[test]
fn a_leaf_node_whose_certificate_is_not_pinned_any_more_is_let_go() {
    let (folder, authority) = (tempfile::tempdir().unwrap(), Certificates::new());
    let identities = ["one", "other"].map(|name| authority.identity(name));
    let pins = [&identities[0], &identities[1]].map(|identity| format!("\"{}\"", pin(identity)));
    // The listener's certificate is written once: what changes is which ones are pinned.
    let text = format!("{OPEN}{}", block(folder.path(), &authority, ", PINS"));
    let texts = [&pins[..], &pins[..1], &[]].map(|pins| {
        let pinned = if pins.is_empty() { String::new() } else { format!(", pinned_certs: [{}]", pins.join(", ")) };
        text.replace(", PINS", &pinned)
    });
    let site = Site::start(&texts[0]);
    let [one, other] = identities;
    let key = |identity: &Identity| (identity.0.clone(), identity.1.clone_key());
    let mut stays = join(&site, &authority, key(&one), "one");
    let mut goes = join(&site, &authority, key(&other), "other");
    let changes = site.reloaded(&texts[1]);
    assert_eq!(changes.len(), 1, "{changes:?}");
    goes.fenced_end("");
    stays.expect_nothing();
    let (_, mut stream) = shown(&site, &authority, key(&other));
    let spoken = stream.write_all(b"PING\r\n").and_then(|()| stream.read_exact(&mut [0]));
    assert!(spoken.is_err(), "no word is exchanged");

    // Without pins the authority's word is enough.
    site.reloaded(&texts[2]);
    stays.expect_nothing();
    join(&site, &authority, other, "other").expect_nothing();
}

#[test]
fn whom_a_certificate_names_is_asked_anew() {
    let (folder, authority) = (tempfile::tempdir().unwrap(), Certificates::new());
    let text = block(folder.path(), &authority, ", MAP");
    let text = |map: bool, users: [&str; 2]| {
        let accounts: Vec<String> = ["A", "B"]
            .iter()
            .zip(users)
            .map(|(account, user)| format!("{account} {{ users: [ {{ user: \"{user}\" }} ] }}"))
            .collect();
        let map = if map { ", verify_and_map: true" } else { "" };
        format!("accounts {{ {} }}\n{}", accounts.join("\n"), text.replace(", MAP", map))
    };
    let site = Site::start(&text(true, ["one", "other"]));
    let mut one = join(&site, &authority, authority.identity("one"), "one");
    let mut other = join(&site, &authority, authority.identity("other"), "other");
    assert_eq!((&one.joined["remote_account"], &other.joined["remote_account"]), (&json!("A"), &json!("B")));

    // A user goes, and with it whoever was taken for it.
    site.reloaded(&text(true, ["one", "another"]));
    other.fenced_end("");
    one.expect_nothing();

    // Certificates name nobody any more: whoever had nothing else is nobody now.
    site.reloaded(&text(false, ["one", "another"]));
    one.fenced_end("");
    let mut again = dial(&site, &authority, authority.identity("one"));
    again.connect("one", json!({}));
    again.expect_refused("Authorization Violation");
}
