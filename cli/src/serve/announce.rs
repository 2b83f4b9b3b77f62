//! What a person needs next, on stdout, once everything serves.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;

use secrecy::ExposeSecret as _;
use zeroize::Zeroizing;

use super::setup::{TENANT, USER};
use super::{Serve, Site};
use crate::data_folder;
use crate::output::say;

/// More than the announcement takes with the longest paths, bytes.
const ROOM: usize = 64 * 1024;

/// Prints addresses, files and lines to paste.
pub(crate) fn ready(site: &Site, serve: &Serve) {
    say(&text(site, serve));
}

/// The text, which holds the owner's token once: it is wiped after it was shown, and never moves while it grows.
fn text(site: &Site, serve: &Serve) -> Zeroizing<String> {
    let paths = site.folder.paths();
    let client = format!("tls://{}", shown(site.broker.client_address));
    let creds = paths.creds().join(format!("{TENANT}-{USER}.creds"));
    let mut text = Zeroizing::new(String::with_capacity(ROOM));
    text.push_str("\nCordon is ready.\n\n");
    let mut line = |name: &str, value: &str| {
        // Writing to a string cannot fail.
        let _written = writeln!(text, "  {name:<13}{value}");
    };
    line("clients", &client);
    if let Some(address) = site.broker.websocket_address {
        line("WebSocket", &format!("wss://{}", shown(address)));
    }
    line("admin API", &format!("https://{}", shown(site.control.address)));
    line("console", &format!("https://{}/console", shown(site.control.address)));
    if let Some(monitor) = site.broker.monitor_address {
        line("monitoring", &format!("http://{monitor}"));
    }
    line("CA", &paths.ca().display().to_string());
    line("creds", &format!("{} (account `{TENANT}`)", creds.display()));
    line("", &format!("{} (system account)", paths.system_creds().display()));
    line("admin token", &paths.admin_token().display().to_string());
    if let Some(made) = &site.made {
        line("", &Zeroizing::new([made.token.expose_secret(), " (shown this once)"].concat()));
    }
    text.push_str("\nTry it, in another terminal:\n\n");
    let nats = format!("nats --server {client} --tlsca {} --creds {}", quoted(&paths.ca()), quoted(&creds));
    let _written = writeln!(
        text,
        "  {nats} sub 'greet.>'\n  {nats} pub greet.you hello\n  cordon{} account list",
        data_flag(&serve.data)
    );
    text
}

/// The address as somebody on this machine would dial it.
fn shown(address: SocketAddr) -> String {
    if address.ip().is_loopback() || address.ip().is_unspecified() {
        format!("localhost:{}", address.port())
    } else {
        address.to_string()
    }
}

/// `--data`, where it is needed.
fn data_flag(data: &Path) -> String {
    if data == Path::new(data_folder::DEFAULT) { String::new() } else { format!(" --data {}", quoted(data)) }
}

/// The path as a shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-+:@%".contains(&byte));
    if plain { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_can_be_pasted_whatever_the_folder_is_called() {
        assert_eq!(quoted(Path::new("/tmp/a b")), "'/tmp/a b'");
        assert_eq!(quoted(Path::new("it's")), r"'it'\''s'");
        assert_eq!(quoted(Path::new("./cordon-data/ca/ca.pem")), "./cordon-data/ca/ca.pem");
        assert_eq!(data_flag(Path::new("cordon-data")), "");
        assert_eq!(data_flag(Path::new("/x")), " --data /x");
    }

    #[test]
    fn addresses_are_shown_as_they_are_dialled() {
        for (bound, text) in
            [("127.0.0.1:4222", "localhost:4222"), ("0.0.0.0:1", "localhost:1"), ("10.1.2.3:4", "10.1.2.3:4")]
        {
            assert_eq!(shown(bound.parse().unwrap()), text);
        }
    }
}
