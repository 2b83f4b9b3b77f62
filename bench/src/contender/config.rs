//! The configuration file of a run, in the language of nats-server that both servers read.

use std::net::SocketAddr;

use super::Kind;
use crate::security::Security;
use crate::tls::Certificate;

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
    let listen = format!("listen: \"{listen}\"\n");
    let lines = match security {
        Security::Plain => open_to_all(kind).to_owned(),
        Security::Tls(certificate) => open_to_all(kind).to_owned() + &tls(certificate),
        Security::Tenants(tenancy) => tenancy.configuration(),
        Security::Own(own) => {
            let open = if own.users.is_empty() { open_to_all(kind) } else { "" };
            own.tls.as_ref().map(tls).unwrap_or_default() + open + &own.lines
        }
    };
    listen + &lines
}

fn tls(certificate: &Certificate) -> String {
    format!(
        "tls {{\n  cert_file: \"{}\"\n  key_file: \"{}\"\n}}\n",
        certificate.chain_file.display(),
        certificate.key_file.display(),
    )
}
