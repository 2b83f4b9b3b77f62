//! Names of cipher suites and key exchanges, as Go has them.
//!
//! What Go knows and is not spoken here is passed over with a remark: lists are written for whatever the
//! clients of an installation offer. If nothing of a list is left, that is a problem.

use rustls::{CipherSuite, NamedGroup};

use super::list;
use crate::config::value::{Node, Problem};

/// Of TLS 1.2.
const SUITES: &[(&str, CipherSuite)] = &[
    ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256),
    ("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384),
    ("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256),
    ("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384),
    ("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305", CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256),
    ("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256),
    ("TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305", CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256),
    ("TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256),
];
/// Of TLS 1.3: naming them changes nothing.
const ALWAYS: &[&str] = &["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"];
/// Weak, and not spoken: without forward secrecy, or with CBC, RC4 or 3DES.
const WEAK: &[&str] = &[
    "TLS_RSA_WITH_RC4_128_SHA",
    "TLS_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA",
    "TLS_RSA_WITH_AES_256_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA256",
    "TLS_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_RC4_128_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256",
    "TLS_ECDHE_RSA_WITH_RC4_128_SHA",
    "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256",
];

const GROUPS: &[(&str, NamedGroup)] = &[
    ("X25519", NamedGroup::X25519),
    ("CurveP256", NamedGroup::secp256r1),
    ("CurveP384", NamedGroup::secp384r1),
    ("X25519MLKEM768", NamedGroup::X25519MLKEM768),
    ("SecP256r1MLKEM768", NamedGroup::secp256r1MLKEM768),
];
const UNSPOKEN_GROUPS: &[&str] = &["CurveP521", "SecP384r1MLKEM1024"];

/// Cipher suites of TLS 1.2; none if those of TLS 1.3 alone are named.
///
/// # Errors
///
/// A name that nobody knows, or an empty list.
pub(super) fn suites(node: &Node, remarks: &mut Vec<Problem>) -> Result<Vec<CipherSuite>, Problem> {
    let mut found = Vec::new();
    for item in not_empty(node)? {
        let name = item.text()?;
        if let Some((_, suite)) = SUITES.iter().find(|(known, _)| *known == name) {
            found.push(*suite);
        } else if WEAK.contains(&name) {
            remarks.push(item.problem(format!("the cipher suite `{name}` is not spoken here: it is weak")));
        } else if !ALWAYS.contains(&name) {
            return Err(item.problem(format!("`{name}` is no cipher suite")));
        }
    }
    if found.is_empty() {
        remarks.push(node.problem("none of these cipher suites is one of TLS 1.2: TLS 1.3 alone is spoken"));
    }
    Ok(found)
}

/// Key exchanges.
///
/// # Errors
///
/// A name that nobody knows, or a list of which nothing is spoken here.
pub(super) fn groups(node: &Node, remarks: &mut Vec<Problem>) -> Result<Vec<NamedGroup>, Problem> {
    let mut found = Vec::new();
    for item in not_empty(node)? {
        let name = item.text()?;
        if let Some((_, group)) = GROUPS.iter().find(|(known, _)| *known == name) {
            found.push(*group);
        } else if UNSPOKEN_GROUPS.contains(&name) {
            remarks.push(item.problem(format!("the key exchange `{name}` is not spoken here")));
        } else {
            return Err(item.problem(format!("`{name}` is no key exchange: names are like X25519 and CurveP256")));
        }
    }
    if found.is_empty() {
        return Err(node.problem("none of these key exchanges is spoken here: add X25519 or CurveP256"));
    }
    Ok(found)
}

fn not_empty(node: &Node) -> Result<&[Node], Problem> {
    let items = list(node)?;
    if items.is_empty() {
        return Err(node.problem("the list is empty: nothing could be spoken; remove it for what is usual"));
    }
    Ok(items)
}
