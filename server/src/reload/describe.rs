//! A configuration as a list of settings: what two of them are compared by, and what is said of a change.
//!
//! No text here holds a secret: a password, a token or a bearer JWT counts by a digest that is never shown.

use std::collections::BTreeMap;
use std::sync::Arc;

use cordon_accounts::claims::{self, Operator};
use cordon_accounts::name::AccountName;
use secrecy::ExposeSecret as _;
use sha2::{Digest as _, Sha256};

use crate::config::tls::TlsFiles;
use crate::config::{Identities, LoadedConfig, OperatorConfig};
use crate::options::BrokerOptions;
use crate::reload::change::Setting;
use crate::websocket::WebsocketOptions;

/// Everything that a configuration says. Reads the files of certificates, so that new ones under an old name count.
pub fn describe(config: &LoadedConfig) -> Vec<Setting> {
    let mut settings = of_options(&config.broker);
    if let Some(files) = &config.tls {
        settings.extend(of_tls("tls", files));
    }
    if let Some(files) = &config.websocket_tls {
        settings.extend(of_tls("websocket tls", files));
    }
    if let Some(files) = &config.leaf_tls {
        settings.extend(of_tls("leafnodes tls", files));
    }
    match &config.identities {
        Identities::Configured(configured) => {
            settings.extend(super::users::describe(configured));
        }
        Identities::Operator(operator) => settings.extend(of_operators(operator)),
    }
    let proxies: Vec<String> = config.trusted_proxies.iter().map(ToString::to_string).collect();
    settings.push(Setting::at_start("proxies", "Proxies", proxies.join(", ")));
    settings.extend(config.jetstream.as_ref().map(|streams| {
        let secrets = [&streams.key, &streams.prev_key].map(|key| key.as_ref().map_or("", |key| key.expose_secret()));
        Setting::at_start("jetstream", "JetStream", format_args!("{streams:?}")).with_secret(secrets.join("\n"))
    }));
    let log = &config.log;
    settings.push(Setting::live("debug", log.debug));
    settings.push(Setting::live("trace", log.trace));
    settings.push(Setting::live("trace_verbose", log.trace_verbose));
    settings.push(Setting::live("trace_headers", log.trace_headers));
    settings.push(Setting::live("max_traced_msg_len", log.max_traced));
    settings.push(Setting::live("logtime", log.time));
    settings.push(Setting::live("logtime_utc", log.utc));
    settings.push(Setting::live("log_size_limit", log.size_limit));
    settings.push(Setting::live("log_max_num", log.files_max));
    settings.extend(log.file.iter().map(|file| Setting::live("log_file", file.display())));
    settings.extend(log.syslog.iter().map(|to| Setting::live("syslog", to)));
    settings.extend(config.ports_file_dir.iter().map(|folder| Setting::live("ports_file_dir", folder.display())));
    settings.extend(config.pid_file.iter().map(|file| Setting::live("pid_file", file.display())));
    settings
}

fn of_options(options: &BrokerOptions) -> Vec<Setting> {
    let BrokerOptions {
        server_name,
        listen,
        advertised,
        proxies,
        tags,
        metadata,
        default_domains,
        headers,
        max_closed,
        monitor,
        monitor_tls,
        monitor_base,
        websocket,
        security_dir,
        max_control_line,
        max_payload,
        max_pending,
        max_connections,
        max_handshakes,
        max_subscriptions,
        max_sub_tokens,
        no_fast_producer_stall,
        leaf,
        // Told of with the `tls` block, the operators, the resolver and the log; a digest counts what means nothing, too.
        tls: _,
        map_certificates: _,
        handshake_rate: _,
        system_account: _,
        allow_delete: _,
        traffic: _,
        // Told of with all times.
        ping_interval: _,
        ping_max: _,
        write_deadline: _,
        write_timeout: _,
        auth_timeout: _,
        lame_duck_grace: _,
        lame_duck_duration: _,
        config_digest: _,
    } = options;
    let mut settings = vec![
        Setting::at_start("server_name", "ServerName", server_name),
        Setting::at_start("host", "Host", listen.ip()),
        Setting::at_start("port", "Port", listen.port()),
        Setting::at_start("max_handshakes", "MaxHandshakes", max_handshakes),
        Setting::live("http_base_path", monitor_base),
        Setting::at_start("no_header_support", "NoHeaderSupport", !headers),
        Setting::at_start("max_closed_clients", "MaxClosedClients", max_closed),
        Setting::live("proxy_protocol", proxies),
        Setting::live("server_tags", format_args!("{tags:?}")),
        Setting::live("server_metadata", format_args!("{metadata:?}")),
        Setting::live("max_control_line", max_control_line),
        Setting::live("max_payload", max_payload),
        Setting::live("max_pending", max_pending),
        Setting::live("max_connections", max_connections),
        Setting::live("max_subscriptions", bound(*max_subscriptions)),
        Setting::live("max_sub_tokens", bound(*max_sub_tokens)),
        Setting::live("no_fast_producer_stall", no_fast_producer_stall),
    ];
    settings.extend(of_times(options));
    settings.extend(of_websocket(websocket.as_ref()));
    settings.extend(monitor.iter().map(|address| match monitor_tls {
        None => Setting::live("http", address),
        Some(_) => Setting::live("https", address),
    }));
    settings.extend(advertised.iter().map(|told| Setting::live("client_advertise", format_args!("{told:?}"))));
    settings.extend(crate::leaf::describe(leaf).into_iter().chain([of_domains(default_domains)]));
    settings.extend(security_dir.iter().map(|folder| Setting::at_start("data_dir", "DataDir", folder.display())));
    settings
}

fn of_times(options: &BrokerOptions) -> [Setting; 7] {
    [
        Setting::live("ping_interval", format_args!("{:?}", options.ping_interval)),
        Setting::live("ping_max", options.ping_max),
        Setting::live("write_deadline", format_args!("{:?}", options.write_deadline)),
        Setting::live("write_timeout", options.write_timeout),
        Setting::live("authorization timeout", format_args!("{:?}", options.auth_timeout)),
        Setting::live("lame_duck_grace_period", format_args!("{:?}", options.lame_duck_grace)),
        Setting::live("lame_duck_duration", format_args!("{:?}", options.lame_duck_duration)),
    ]
}

fn of_domains(domains: &BTreeMap<AccountName, Arc<str>>) -> Setting {
    Setting::at_start("default_js_domain", "JsAccDefaultDomain", format_args!("{domains:?}"))
}

/// Where it listens, and whether in TLS, is decided at the start; its certificates are told of by their files, and all else
/// counts for whoever connects from then on.
fn of_websocket(options: Option<&WebsocketOptions>) -> Vec<Setting> {
    let Some(options) = options else { return Vec::new() };
    let scheme = if options.tls.is_some() { "wss" } else { "ws" };
    let place = Setting::at_start("websocket", "Websocket", format_args!("{scheme}://{}", options.listen));
    let shown = WebsocketOptions { tls: None, ..options.clone() };
    vec![place, Setting::live("websocket options", format_args!("{shown:?}"))]
}

fn bound(bound: Option<usize>) -> String {
    bound.map_or_else(|| "unlimited".to_owned(), |bound| bound.to_string())
}

/// The block as it is written, and the certificates as they are in their files.
fn of_tls(block: &str, files: &TlsFiles) -> Vec<Setting> {
    // Without what was remarked on it: that names lines, and lines move.
    let shown = TlsFiles { remarks: Vec::new(), ..files.clone() };
    let mut settings = vec![Setting::live(block, format_args!("{shown:?}"))];
    if let Some(path) = &files.ca {
        let content = std::fs::read(path).unwrap_or_default();
        settings
            .push(Setting::live(format!("{block} ca"), format_args!("{} ({})", path.display(), fingerprint(&content))));
    }
    let first = (&files.certificate, &files.key);
    let further = files.further.iter().map(|(chain, key)| (chain, key));
    for (place, (certificate, key)) in std::iter::once(first).chain(further).enumerate() {
        let number = if place == 0 { String::new() } else { format!(" {}", place + 1) };
        let content = std::fs::read(certificate).unwrap_or_default();
        let shown = format!("{} ({})", certificate.display(), fingerprint(&content));
        settings.push(Setting::live(format!("{block} certificate{number}"), shown));
        let content = std::fs::read(key).unwrap_or_default();
        settings.push(
            Setting::live(format!("{block} key{number}"), key.display()).with_secret(zeroize::Zeroizing::new(content)),
        );
    }
    settings
}

fn of_operators(config: &OperatorConfig) -> Vec<Setting> {
    let mut settings: Vec<Setting> = config.operators.iter().map(|token| of_operator(token)).collect();
    settings.push(Setting::at_start("resolver", "AccountResolver", &config.resolver));
    // Where the operators do not name it; whether it is the same in the end is asked of them together.
    settings.extend(config.system_account.iter().map(|key| Setting::live("system_account", key)));
    for (account, token) in &config.preload {
        settings.push(Setting::live(format!("resolver_preload `{account}`"), fingerprint(token.as_bytes())));
    }
    if let Some(pinned) = &config.pinned_accounts {
        let mut keys: Vec<String> = pinned.iter().map(ToString::to_string).collect();
        keys.sort_unstable();
        settings.push(Setting::live("resolver_pinned_accounts", keys.join(", ")));
    }
    // A bearer JWT: whoever has it is let in.
    settings
        .extend(config.default_sentinel.iter().map(|jwt| Setting::live("default_sentinel", "set").with_secret(jwt)));
    settings
}

fn of_operator(token: &str) -> Setting {
    let Ok(operator) = claims::decode::<Operator>(token) else {
        return Setting::live("operator", fingerprint(token.as_bytes()));
    };
    let keys: Vec<String> = operator.nats.signing_keys.iter().map(ToString::to_string).collect();
    let strict = if operator.nats.strict_signing_key_usage { ", strict" } else { "" };
    let shown = format!("signing keys [{}]{strict}", keys.join(", "));
    Setting::live(format!("operator `{}`", operator.subject), shown).with_secret(token)
}

/// The beginning of a SHA-256, which tells two contents apart.
fn fingerprint(content: &[u8]) -> String {
    let mut hex = data_encoding::HEXLOWER.encode(&Sha256::digest(content));
    hex.truncate(12);
    format!("sha256:{hex}")
}
