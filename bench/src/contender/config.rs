//! The configuration file of a run, in the language of nats-server that both servers read.

use std::fmt::Write as _;
use std::net::SocketAddr;

use super::Kind;
use crate::security::Security;

/// What each server needs beyond the common lines when clients do not authenticate. Cordon serves nobody
/// unasked: letting everyone in must be said.
const fn open_to_all(kind: Kind) -> &'static str {
    match kind {
        Kind::Cordon => "insecure_no_auth: true\n",
        Kind::Forwarder | Kind::Nats => "",
    }
}

/// The whole file.
pub(super) fn text(kind: Kind, listen: SocketAddr, security: &Security) -> String {
    let mut text = format!("listen: \"{listen}\"\n");
    // Writing to a `String` cannot fail.
    let _ = match security {
        Security::Plain => write!(text, "{}", open_to_all(kind)),
        Security::Tls(certificate) => write!(
            text,
            "{}tls {{\n  cert_file: \"{}\"\n  key_file: \"{}\"\n}}\n",
            open_to_all(kind),
            certificate.chain_file.display(),
            certificate.key_file.display(),
        ),
        Security::Tenants(tenancy) => write!(text, "{}", tenancy.configuration()),
    };
    text
}
