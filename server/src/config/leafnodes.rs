//! The `leafnodes` block: the listener for leaf nodes, and the servers that this broker joins as one.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use cordon_accounts::key::UserKey;
use cordon_accounts::name::AccountName;
use cordon_accounts::subject::Pattern;
use cordon_auth::configured::{ConfiguredUser, ConfiguredUsers, ConfiguredUsersBuilder, Credential};
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use secrecy::SecretString;

use super::listen::{self, Partial};
use super::tls;
use super::value::{Node, Problem, Value};
use crate::leaf::compression::{Compression, Mode};
use crate::leaf::options::{LeafListen, LeafOptions, PORT, RECONNECT, RemoteOptions, RemoteTls, RemoteUrl, version};
use crate::leaf::proxy::ProxyOptions;
use crate::limits::TLS_TIMEOUT;
use crate::options::WriteTimeout;

/// Where machines keep the certificates of well-known authorities, PEM.
const SYSTEM_ROOTS: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// TLS 1.3 alone.
static NEWEST: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];

/// The block as it was read, before it is checked as a whole.
#[derive(Default)]
struct Draft {
    listen: Partial,
    advertise: Option<(String, u16)>,
    no_advertise: bool,
    tls: Option<tls::TlsFiles>,
    authorization: Authorization,
    min_version: Option<[u32; 3]>,
    isolated: bool,
    system_account: bool,
    reconnect: Option<Duration>,
    dial_timeout: Option<Duration>,
    write_deadline: Option<Duration>,
    write_timeout: Option<WriteTimeout>,
    compression: Option<Compression>,
    remotes: Vec<RemoteOptions>,
}

/// Who may connect to the listener.
#[derive(Default)]
struct Authorization {
    users: Vec<ConfiguredUser>,
    account: Option<AccountName>,
    timeout: Option<Duration>,
}

/// Reads a `leafnodes` block; what is wrong goes to `problems`, what people should know to `warnings`.
pub fn read(
    node: &Node,
    problems: &mut Vec<Problem>,
    warnings: &mut Vec<String>,
) -> (LeafOptions, Option<tls::TlsFiles>) {
    let mut draft = Draft::default();
    let mut nested = Vec::new();
    node.read(problems, |option, value| {
        Ok(draft.listener(option, value, &mut nested)? || draft.other(option, value, &mut nested)?)
    });
    problems.append(&mut nested);
    let files = draft.tls.clone();
    (draft.finish(node, problems, warnings), files)
}

impl Draft {
    fn listener(&mut self, option: &str, value: &Node, problems: &mut Vec<Problem>) -> Result<bool, Problem> {
        match option {
            "listen" => self.listen = listen::address(value)?,
            "host" | "net" => self.listen.host = Some(listen::host(value)?),
            "port" => self.listen.port = Some(listen::port(value)?),
            "advertise" | "leafnode_advertise" => self.advertise = Some(place(value)?),
            "no_advertise" => self.no_advertise = value.switch()?,
            "tls" => self.tls = tls::read(value, problems),
            "authorization" | "authentication" => self.authorization = authorization(value, problems),
            "min_version" | "minimum_version" => {
                let text = value.text()?;
                let numbers = version(text)
                    .ok_or_else(|| value.problem(format!("`{text}` is no version: write one like \"2.10.0\"")))?;
                if numbers < [2, 8, 0] {
                    return Err(value.problem("`min_version` must be at least 2.8.0"));
                }
                self.min_version = Some(numbers);
            }
            "isolate_leafnode_interest" | "isolate" => self.isolated = value.switch()?,
            "allow_system_account" => self.system_account = value.switch()?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn other(&mut self, option: &str, value: &Node, problems: &mut Vec<Problem>) -> Result<bool, Problem> {
        match option {
            "reconnect" | "reconnect_delay" | "reconnect_interval" => self.reconnect = Some(value.duration()?),
            "dial_timeout" => self.dial_timeout = Some(value.duration()?),
            // As for clients, 0 is the default.
            "write_deadline" => self.write_deadline = Some(value.duration()?).filter(|time| !time.is_zero()),
            "write_timeout" => self.write_timeout = WriteTimeout::read(value)?,
            "compression" => self.compression = Some(compression(value, problems)?),
            "remotes" => {
                self.remotes = value.items().iter().filter_map(|item| remote(item, problems)).collect();
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn finish(self, node: &Node, problems: &mut Vec<Problem>, warnings: &mut Vec<String>) -> LeafOptions {
        let listen = self.listen.port.map(|_| {
            let address = self.listen.or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), PORT);
            let mut listen = LeafListen::new(address);
            match &self.tls {
                None => warnings.push(format!(
                    "INSECURE: leaf nodes on {address} speak plain text: add a `tls` block to `leafnodes`"
                )),
                Some(files) => {
                    listen.map_certificates = files.map;
                    listen.auth_timeout = files.timeout + Duration::from_secs(1);
                    match files.options() {
                        Ok(options) => listen.tls = Some(options),
                        Err(error) => {
                            problems.push(node.problem(format!("{error}; see the `tls` block of `leafnodes`")));
                        }
                    }
                }
            }
            listen.auth_timeout = self.authorization.timeout.unwrap_or(listen.auth_timeout);
            listen.account = self.authorization.account.clone().unwrap_or_else(AccountName::global);
            listen.users = self.authorization.users;
            listen.advertise = self.advertise;
            listen.no_advertise = self.no_advertise;
            listen.min_version = self.min_version;
            listen.isolated = self.isolated;
            listen.system_account = self.system_account;
            listen.compression = self.compression.unwrap_or_default();
            listen
        });
        let (reconnect, dial_timeout) = (self.reconnect.unwrap_or(RECONNECT), self.dial_timeout);
        let remotes: Vec<_> = self
            .remotes
            .into_iter()
            .map(|remote| {
                let dial_timeout = dial_timeout.filter(|_| remote.dial_timeout == crate::leaf::options::DIAL_TIMEOUT);
                Arc::new(RemoteOptions {
                    reconnect,
                    dial_timeout: dial_timeout.unwrap_or(remote.dial_timeout),
                    ..remote
                })
            })
            .collect();
        if has_twins(&remotes) {
            problems.push(node.problem("two remotes have the same URLs, account and credentials: remove one of them"));
        }
        LeafOptions { listen, remotes, write_deadline: self.write_deadline, write_timeout: self.write_timeout }
    }
}

fn has_twins(remotes: &[Arc<RemoteOptions>]) -> bool {
    let identity = |remote: &RemoteOptions| {
        let mut urls: Vec<_> = remote.urls.iter().map(|url| (url.host.clone(), url.port, url.user.clone())).collect();
        urls.sort();
        (urls, remote.account.clone(), remote.credentials.clone())
    };
    remotes
        .iter()
        .enumerate()
        .any(|(at, one)| remotes.iter().skip(at + 1).any(|other| identity(one) == identity(other)))
}

/// A host with or without a port, as others are told it.
fn place(value: &Node) -> Result<(String, u16), Problem> {
    let url = RemoteUrl::parse(value.text()?).map_err(|error| value.problem(error.to_string()))?;
    if url.websocket.is_some() {
        return Err(value.problem("write a host with or without a port, like \"hub.example:7422\""));
    }
    let has_port = value.text()?.ends_with(&format!(":{}", url.port));
    Ok((url.host, if has_port { url.port } else { 0 }))
}

/// `true`, `off`, `s2_fast` and the like, or a map with the mode and the thresholds of `s2_auto`.
fn compression(value: &Node, problems: &mut Vec<Problem>) -> Result<Compression, Problem> {
    let mut compression = Compression::default();
    match &value.value {
        Value::Map(_) => value.read(problems, |option, value| {
            match option {
                "mode" => compression.mode = mode(value)?,
                "rtt_thresholds" | "thresholds" | "rtts" | "rtt" => compression.thresholds = thresholds(value)?,
                _ => return Ok(false),
            }
            Ok(true)
        }),
        _ => compression.mode = mode(value)?,
    }
    Ok(compression)
}

fn mode(value: &Node) -> Result<Mode, Problem> {
    let text = match &value.value {
        Value::Bool(on) => if *on { "on" } else { "off" }.to_owned(),
        _ => value.text()?.to_ascii_lowercase(),
    };
    match text.as_str() {
        "on" | "enabled" | "true" => Ok(Mode::Auto),
        "off" | "disabled" | "false" => Ok(Mode::Off),
        name => Mode::named(name).ok_or_else(|| {
            let known = "off, accept, s2_auto, s2_uncompressed, s2_fast, s2_better or s2_best";
            value.problem(format!("`{name}` is no mode of compression: write {known}"))
        }),
    }
}

/// Up to three round-trip times that grow; those that are missing are never reached.
fn thresholds(value: &Node) -> Result<[Duration; 3], Problem> {
    let items = value.items();
    if items.is_empty() || items.len() > 3 {
        return Err(value.problem("write one to three round-trip times, like [10ms, 50ms, 100ms]"));
    }
    let mut thresholds = [Duration::MAX; 3];
    for (slot, item) in thresholds.iter_mut().zip(items) {
        *slot = item.duration()?;
    }
    if thresholds.is_sorted() { Ok(thresholds) } else { Err(value.problem("round-trip times must grow")) }
}

fn authorization(node: &Node, problems: &mut Vec<Problem>) -> Authorization {
    let mut found = Authorization::default();
    let (mut name, mut password, mut key, mut users) = (None, None, None, None);
    node.read(problems, |option, value| {
        match option {
            "user" | "username" => name = Some(value.text()?.to_owned()),
            "pass" | "password" => password = Some(SecretString::from(value.text()?)),
            "nkey" => key = Some(user_key(value)?),
            "account" => found.account = Some(AccountName::new(value.text()?)),
            "timeout" => found.timeout = Some(value.duration()?),
            "users" => users = Some(value.clone()),
            "proxy_required" => return Err(value.problem("`proxy_required` of leaf nodes is not supported: remove it")),
            _ => return Ok(false),
        }
        Ok(true)
    });
    let account = found.account.clone().unwrap_or_else(AccountName::global);
    match (name, password, key) {
        (None, None, None) => {}
        (None, None, Some(key)) => found.users.push(ConfiguredUser::new("", Credential::Nkey(key), account.clone())),
        (Some(name), password, None) => {
            let credential = password.map_or(Credential::Certificate, Credential::Password);
            found.users.push(ConfiguredUser::new(name, credential, account.clone()));
        }
        _ => problems.push(node.problem("leaf nodes are known either by `user` and `password`, or by `nkey`")),
    }
    if let Some(users) = users {
        if !found.users.is_empty() {
            problems.push(users.problem("a single user excludes `users`: keep one of them"));
        }
        found.users.extend(users.items().iter().filter_map(|item| user(item, &account, problems)));
    }
    let builder = found.users.iter().cloned().fold(ConfiguredUsers::builder(), ConfiguredUsersBuilder::user);
    if let Err(error) = builder.build() {
        problems.push(node.problem(error.to_string()));
    }
    found
}

fn user(node: &Node, account: &AccountName, problems: &mut Vec<Problem>) -> Option<ConfiguredUser> {
    let (mut name, mut password, mut key, mut own) = (None, None, None, None);
    node.read(problems, |option, value| {
        match option {
            "user" | "username" => name = Some(value.text()?.to_owned()),
            "pass" | "password" => password = Some(SecretString::from(value.text()?)),
            "nkey" => key = Some(user_key(value)?),
            "account" => own = Some(AccountName::new(value.text()?)),
            "proxy_required" => return Err(value.problem("`proxy_required` of leaf nodes is not supported: remove it")),
            _ => return Ok(false),
        }
        Ok(true)
    });
    let account = own.unwrap_or_else(|| account.clone());
    match (name, password, key) {
        (None, None, Some(key)) => Some(ConfiguredUser::new("", Credential::Nkey(key), account)),
        (Some(name), password, None) => {
            Some(ConfiguredUser::new(name, password.map_or(Credential::Certificate, Credential::Password), account))
        }
        _ => {
            problems.push(node.problem("a user needs either `user` and `password`, or `nkey` alone"));
            None
        }
    }
}

fn user_key(value: &Node) -> Result<UserKey, Problem> {
    let text = value.text()?;
    UserKey::parse(text).map_err(|error| value.problem(format!("`{text}` is no user key: {error}")))
}

fn remote(node: &Node, problems: &mut Vec<Problem>) -> Option<RemoteOptions> {
    let mut remote = RemoteOptions::new(Vec::new());
    let mut nested = Vec::new();
    node.read(problems, |option, value| {
        Ok(target(&mut remote, option, value, &mut nested)? || manner(&mut remote, option, value, &mut nested)?)
    });
    problems.append(&mut nested);
    if remote.urls.is_empty() {
        problems.push(node.problem("a remote needs `url` or `urls`, like \"tls://hub.example:7422\""));
        return None;
    }
    let over_websocket = remote.urls.iter().filter(|url| url.websocket.is_some()).count();
    if over_websocket > 0 && over_websocket < remote.urls.len() {
        problems.push(node.problem("a remote is reached over WebSocket or not: its URLs must not differ in that"));
    }
    if remote.proxy.is_some() && over_websocket == 0 {
        problems
            .push(node.problem("a proxy leads to WebSocket listeners alone: use ws:// or wss://, or remove `proxy`"));
    }
    if remote.credentials.is_some() && remote.nkey.is_some() {
        problems.push(node.problem("a remote has either `credentials` or `nkey`"));
    }
    Some(remote)
}

/// Where a remote is, and who this broker is there.
fn target(
    remote: &mut RemoteOptions,
    option: &str,
    value: &Node,
    problems: &mut Vec<Problem>,
) -> Result<bool, Problem> {
    match option {
        "url" | "urls" => {
            for item in value.items() {
                let url = RemoteUrl::parse(item.text()?).map_err(|error| item.problem(error.to_string()))?;
                remote.urls.push(url);
            }
        }
        "account" | "local" => remote.account = AccountName::new(value.text()?),
        "credentials" | "creds" => remote.credentials = Some(home(value.text()?)),
        "nkey" | "seed" => remote.nkey = Some(SecretString::from(value.text()?)),
        "tls" => remote.tls = remote_tls(value, problems),
        "hub" => remote.hub = value.switch()?,
        "deny_imports" | "deny_import" => remote.deny_imports = patterns(value)?,
        "deny_exports" | "deny_export" => remote.deny_exports = patterns(value)?,
        "allow_system_account" => remote.system_account = value.switch()?,
        _ => return Ok(false),
    }
    Ok(true)
}

/// How a remote is reached.
fn manner(
    remote: &mut RemoteOptions,
    option: &str,
    value: &Node,
    problems: &mut Vec<Problem>,
) -> Result<bool, Problem> {
    match option {
        "no_randomize" | "dont_randomize" => remote.in_order = value.switch()?,
        "first_info_timeout" => remote.first_info_timeout = value.duration()?,
        "dial_timeout" => remote.dial_timeout = value.duration()?,
        "disabled" => remote.disabled = value.switch()?,
        "ignore_discovered_servers" => remote.ignore_discovered = value.switch()?,
        "isolate_leafnode_interest" | "isolate" => remote.isolated = value.switch()?,
        "request_isolation" => remote.request_isolation = value.switch()?,
        "ws_compress" | "ws_compression" | "websocket_compress" | "websocket_compression" => {
            remote.ws_compression = value.switch()?;
        }
        "ws_no_masking" | "websocket_no_masking" => remote.ws_no_masking = value.switch()?,
        "compression" => remote.compression = compression(value, problems)?,
        "proxy" => remote.proxy = proxy(value, problems)?,
        _ => return Ok(false),
    }
    Ok(true)
}

/// The proxy that leads to a remote; a login may also stand in its URL.
fn proxy(node: &Node, problems: &mut Vec<Problem>) -> Result<Option<ProxyOptions>, Problem> {
    let (mut at, mut user, mut password, mut timeout) = (None, None, None, None);
    node.read(problems, |option, value| {
        match option {
            "url" => at = Some(proxy_url(value)?),
            "username" | "user" => user = Some(value.text()?.to_owned()),
            "password" | "pass" => password = Some(SecretString::from(value.text()?)),
            "timeout" => timeout = Some(value.duration()?),
            _ => return Ok(false),
        }
        Ok(true)
    });
    let url = at.ok_or_else(|| node.problem("a proxy needs `url`, like \"http://proxy.example:3128\""))?;
    let login = match (user, password) {
        (Some(user), Some(password)) => Some((user, password)),
        (None, None) => url.user.zip(url.password),
        _ => return Err(node.problem("`username` and `password` of a proxy go together: name both or none")),
    };
    Ok(Some(ProxyOptions { host: url.host, port: url.port, login, timeout }))
}

fn proxy_url(value: &Node) -> Result<RemoteUrl, Problem> {
    let text = value.text()?;
    let shown = text.rsplit_once('@').map_or(text, |(_, place)| place);
    let wrong = || value.problem(format!("`{shown}` leads to no proxy that is spoken to here: write http://host:port"));
    let place = text.strip_prefix("http://").ok_or_else(wrong)?.trim_end_matches('/');
    let url = RemoteUrl::parse(&format!("nats://{place}")).map_err(|_| wrong())?;
    // What stands for no port is that of HTTP.
    let port = if place.ends_with(&format!(":{}", url.port)) { url.port } else { 80 };
    Ok(RemoteUrl { port, ..url })
}

fn patterns(value: &Node) -> Result<Vec<String>, Problem> {
    let texts = value.texts()?;
    for text in &texts {
        Pattern::parse(text).map_err(|error| value.problem(format!("`{text}` is no subject: {error}")))?;
    }
    Ok(texts.into_iter().map(str::to_owned).collect())
}

/// A path, with `~` for the home of whoever runs the broker.
fn home(text: &str) -> PathBuf {
    match (text.strip_prefix("~/"), std::env::home_dir()) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => PathBuf::from(text),
    }
}

/// The `tls` block of a remote.
fn remote_tls(node: &Node, problems: &mut Vec<Problem>) -> Option<RemoteTls> {
    let (mut certificate, mut key, mut ca): (Option<PathBuf>, Option<PathBuf>, Option<PathBuf>) = (None, None, None);
    let (mut first, mut timeout, mut newest_only) = (false, TLS_TIMEOUT, false);
    node.read(problems, |option, value| {
        match option {
            "cert_file" => certificate = Some(PathBuf::from(value.text()?)),
            "key_file" => key = Some(PathBuf::from(value.text()?)),
            "ca_file" => ca = Some(PathBuf::from(value.text()?)),
            "timeout" => timeout = value.duration()?,
            "handshake_first" | "first" | "immediate" => first = value.switch()?,
            // The other server's certificate is always verified.
            "verify" | "verify_and_map" | "verify_cert_and_check_known_urls" => {
                value.switch()?;
            }
            "min_version" => {
                newest_only = match value.text()? {
                    "1.2" => false,
                    "1.3" => true,
                    other => {
                        return Err(value
                            .problem(format!("`{other}` is no TLS version that is spoken here: \"1.2\" or \"1.3\"")));
                    }
                };
            }
            "connection_rate_limit" => {
                value.integer()?;
            }
            "certs"
            | "certificates"
            | "cipher_suites"
            | "curve_preferences"
            | "allow_insecure_cipher_suites"
            | "pinned_certs"
            | "ocsp_peer"
            | "cert_store" => {
                return Err(
                    value.problem(format!("`{option}` is not supported in the `tls` block of a remote: remove it"))
                );
            }
            "insecure" if !value.switch()? => {}
            "insecure" => {
                return Err(value.problem("`insecure` would join whoever answers: name the server's CA with `ca_file`"));
            }
            _ => return Ok(false),
        }
        Ok(true)
    });
    match client_config(ca.as_deref(), certificate.as_deref(), key.as_deref(), newest_only) {
        Ok(config) => {
            let files = [certificate, key, ca].into_iter().flatten().collect();
            Some(RemoteTls { config: Arc::new(config), files, newest_only, first, timeout })
        }
        Err(error) => {
            problems.push(node.problem(error));
            None
        }
    }
}

/// TLS to a server that demands it, where none is configured: with the authorities that this machine trusts.
///
/// # Errors
///
/// If the machine has none.
pub fn system_tls() -> Result<RemoteTls, String> {
    let config = Arc::new(client_config(None, None, None, false)?);
    Ok(RemoteTls { config, files: Vec::new(), newest_only: false, first: false, timeout: TLS_TIMEOUT })
}

fn client_config(
    ca: Option<&Path>,
    certificate: Option<&Path>,
    key: Option<&Path>,
    newest_only: bool,
) -> Result<ClientConfig, String> {
    let of_this_machine = || SYSTEM_ROOTS.iter().map(Path::new).find(|path| path.exists());
    let none = "this machine keeps no certificates of authorities: name the server's CA with `ca_file`";
    let roots = roots(ca.or_else(of_this_machine).ok_or(none)?)?;
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(if newest_only { NEWEST } else { rustls::ALL_VERSIONS })
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots);
    match (certificate, key) {
        (None, None) => Ok(builder.with_no_client_auth()),
        (Some(certificate), Some(key)) => {
            let chain = CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect::<Result<Vec<_>, _>>);
            let chain = chain.map_err(|error| format!("`{}` cannot be used: {error}", certificate.display()))?;
            let key = PrivateKeyDer::from_pem_file(key)
                .map_err(|error| format!("`{}` cannot be used: {error}", key.display()))?;
            builder.with_client_auth_cert(chain, key).map_err(|error| error.to_string())
        }
        _ => Err("`cert_file` and `key_file` go together: name both or none".to_owned()),
    }
}

fn roots(path: &Path) -> Result<RootCertStore, String> {
    let unusable = |error: &dyn std::fmt::Display| format!("`{}` cannot be used as a CA: {error}", path.display());
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| unusable(&error))? {
        let certificate = certificate.map_err(|error| unusable(&error))?;
        // A bundle may hold some that this library does not take.
        let _added = roots.add(certificate);
    }
    if roots.is_empty() { Err(unusable(&"there is none in it")) } else { Ok(roots) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load_text;

    fn leafnodes(block: &str) -> Result<(Arc<LeafOptions>, Vec<String>), String> {
        let text = format!("listen: \"127.0.0.1:-1\"\ninsecure_no_auth: true\nleafnodes {{ {block} }}");
        load_text(&text, "test.conf")
            .map(|loaded| (loaded.broker.leaf.clone(), loaded.warnings))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_listener_and_remotes_are_read() {
        let block = r#"
            listen: "127.0.0.1:-1", no_advertise: true, min_version: 2.10.0, reconnect: "3s", dial_timeout: "2s"
            authorization { users: [ {user: a, password: pw, account: A}, {user: b, password: pw} ], account: D, timeout: 5 }
            remotes: [
              { url: "nats-leaf://u:p@127.0.0.1:7000", account: LOCAL, deny_imports: "a.>", deny_exports: ["b", "c.*"], hub: true }
              { urls: ["nats-leaf://one", "tls://two:8"], creds: "/x.creds", no_randomize: true, dial_timeout: "9s" }
            ]"#;
        let (leaf, warnings) = leafnodes(block).unwrap();
        let listen = leaf.listen.as_ref().unwrap();
        assert_eq!(
            (listen.no_advertise, listen.min_version, listen.auth_timeout.as_secs()),
            (true, Some([2, 10, 0]), 5)
        );
        let accounts: Vec<_> = listen.users.iter().map(|user| user.account.as_str()).collect();
        assert_eq!(accounts, ["A", "D"]);
        let [one, two] = leaf.remotes.as_slice() else { panic!() };
        assert_eq!(
            (one.account.as_str(), one.hub, one.deny_exports.len(), one.reconnect.as_secs()),
            ("LOCAL", true, 2, 3)
        );
        assert_eq!((one.dial_timeout.as_secs(), two.dial_timeout.as_secs(), two.urls.len()), (2, 9, 2));
        assert!(two.in_order && two.credentials.is_some());
        assert!(warnings.iter().any(|text| text.starts_with("INSECURE: leaf nodes on 127.0.0.1:0")), "{warnings:?}");
    }

    #[test]
    fn a_proxy_is_read_with_its_login() {
        for (text, port, login) in [
            ("url: \"http://p\"", 80, None),
            ("url: \"http://p:3128/\", timeout: \"3s\"", 3128, None),
            ("url: \"http://u:w@p:3128\"", 3128, Some("u")),
            ("url: \"http://p:7422\", username: a, password: b", 7422, Some("a")),
        ] {
            let (leaf, _) = leafnodes(&format!("remotes: [{{ url: \"ws://x\", proxy {{ {text} }} }}]")).unwrap();
            let proxy = leaf.remotes[0].proxy.as_ref().unwrap();
            let user = proxy.login.as_ref().map(|(user, _)| user.as_str());
            assert_eq!((proxy.host.as_str(), proxy.port, user), ("p", port, login), "{text}");
        }
    }

    #[test]
    fn without_an_address_nothing_listens() {
        let (leaf, _) = leafnodes(r#"remotes: [{ url: "nats-leaf://127.0.0.1" }]"#).unwrap();
        assert!(leaf.listen.is_none() && leaf.remotes.len() == 1);
    }

    #[test]
    fn what_does_not_fit_is_named_with_its_place() {
        let cases = [
            ("nonsense: 1", "unknown option `nonsense`"),
            ("min_version: \"2.1.0\"", "at least 2.8.0"),
            ("remotes: [{}]", "needs `url`"),
            ("remotes: [{ urls: [\"wss://x\", \"tls://x\"] }]", "over WebSocket or not"),
            ("remotes: [{ url: \"nats-leaf://x\", deny_imports: \"a..b\" }]", "no subject"),
            ("remotes: [{ url: \"nats-leaf://x\" }, { url: \"nats-leaf://x\" }]", "two remotes"),
            ("remotes: [{ url: \"nats-leaf://x\", tls { insecure: true } }]", "insecure"),
            ("remotes: [{ url: \"nats-leaf://x\", proxy { url: \"http://p:1\" } }]", "WebSocket listeners alone"),
            ("remotes: [{ url: \"ws://x\", proxy { url: \"https://p:1\" } }]", "leads to no proxy"),
            ("remotes: [{ url: \"ws://x\", proxy { url: \"http://p:x\" } }]", "leads to no proxy"),
            ("remotes: [{ url: \"ws://x\", proxy { username: a, password: b } }]", "needs `url`"),
            ("remotes: [{ url: \"ws://x\", proxy { url: \"http://p:1\", username: a } }]", "go together"),
            ("remotes: [{ url: \"nats-leaf://x\", tls { cert_file: \"/nowhere\" } }]", "go together"),
            ("port: -1, authorization { user: a, password: b, nkey: x }", "no user key"),
            ("port: -1, authorization { users: [{user: a, password: b}, {user: a, password: c}] }", "twice"),
            ("port: -1, authorization { user: a, password: b, users: [] , user2: 1}", "user2"),
        ];
        for (block, part) in cases {
            let error = leafnodes(block).unwrap_err();
            assert!(error.contains(part) && error.contains("test.conf:"), "{block}: {error}");
        }
    }

    #[test]
    fn compression_is_read_in_every_form() {
        let millis = |thresholds: [Duration; 3]| thresholds.map(|threshold| threshold.as_millis());
        let cases = [
            ("", Mode::Auto),
            ("compression: off", Mode::Off),
            ("compression: false", Mode::Off),
            ("compression: accept", Mode::Accept),
            ("compression: on", Mode::Auto),
            ("compression: s2_best", Mode::Best),
            ("compression: { mode: s2_fast }", Mode::Fast),
        ];
        for (line, mode) in cases {
            let (leaf, _) =
                leafnodes(&format!("port: -1\n{line}\nremotes: [{{ url: \"nats-leaf://x\"\n{line} }}]")).unwrap();
            assert_eq!(leaf.listen.as_ref().unwrap().compression.mode, mode, "{line}");
            assert_eq!(leaf.remotes[0].compression.mode, mode, "{line}");
        }
        let (leaf, _) = leafnodes("port: -1, compression: { mode: s2_auto, rtt_thresholds: [5ms, 6ms, 1s] }").unwrap();
        assert_eq!(millis(leaf.listen.as_ref().unwrap().compression.thresholds), [5, 6, 1000]);
        for (line, part) in [
            ("compression: { mode: gzip }", "no mode of compression"),
            ("compression: { mode: s2_auto, rtt_thresholds: [5ms, 1ms] }", "must grow"),
            ("compression: { rtt_thresholds: [1ms, 2ms, 3ms, 4ms] }", "one to three"),
        ] {
            let error = leafnodes(&format!("port: -1, {line}")).unwrap_err();
            assert!(error.contains(part), "{line}: {error}");
        }
    }
}
