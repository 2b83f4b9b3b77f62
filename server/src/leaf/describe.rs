//! Leaf nodes as a list of settings: what a reload compares. No text here holds a secret.

use std::collections::BTreeSet;
use std::path::Path;

use cordon_accounts::key::Seed;
use cordon_auth::configured::{ConfiguredUser, Credential};
use secrecy::ExposeSecret as _;
use zeroize::Zeroizing;

use crate::leaf::options::{LeafListen, LeafOptions, RemoteOptions, RemoteUrl};
use crate::reload::Setting;

/// Everything that is configured of leaf nodes. Reads the files that remotes name, so that new contents under an old
/// name count; certificates of the listener are told of with its `tls` block.
pub fn describe(options: &LeafOptions) -> Vec<Setting> {
    let LeafOptions { listen, remotes, write_deadline, write_timeout } = options;
    let mut settings = listen.as_ref().map(of_listen).unwrap_or_default();
    settings.extend(write_deadline.map(|time| Setting::live("leafnodes write_deadline", format_args!("{time:?}"))));
    settings.extend(write_timeout.map(|then| Setting::live("leafnodes write_timeout", then)));
    let mut names = BTreeSet::new();
    for remote in remotes {
        let mut name = name_of(remote);
        // The same servers may be joined under several accounts, and an account under several users.
        while !names.insert(name.clone()) {
            name.push('\'');
        }
        settings.push(of_remote(name, remote));
    }
    settings
}

fn of_listen(listen: &LeafListen) -> Vec<Setting> {
    let LeafListen {
        address,
        // Told of with their files.
        tls: _,
        map_certificates: _,
        advertise,
        no_advertise,
        users,
        account,
        auth_timeout,
        min_version,
        isolated,
        system_account,
        compression,
    } = listen;
    let mut settings = vec![
        Setting::live("leafnodes listen", address),
        Setting::live("leafnodes no_advertise", no_advertise),
        Setting::live("leafnodes account", account),
        Setting::live("leafnodes authorization timeout", format_args!("{auth_timeout:?}")),
        Setting::live("leafnodes isolate_leafnode_interest", isolated),
        Setting::live("leafnodes allow_system_account", system_account),
        Setting::live("leafnodes compression", format_args!("{compression:?}")),
    ];
    settings.extend(
        advertise.iter().map(|(host, port)| Setting::live("leafnodes advertise", format_args!("{host}:{port}"))),
    );
    settings.extend(
        min_version.iter().map(|[major, minor, patch]| {
            Setting::live("leafnodes min_version", format_args!("{major}.{minor}.{patch}"))
        }),
    );
    settings.extend(users.iter().map(of_user));
    settings
}

fn of_user(user: &ConfiguredUser) -> Setting {
    let credential = &user.credential;
    let name = match credential {
        Credential::Nkey(key) => key.to_string(),
        Credential::Certificate | Credential::Password(_) => user.name.clone(),
    };
    let setting =
        Setting::live(format!("leafnodes user `{name}`"), format_args!("in {} by {credential:?}", user.account));
    match credential {
        Credential::Password(stored) => setting.with_secret(stored.expose_secret()),
        Credential::Certificate | Credential::Nkey(_) => setting,
    }
}

/// What people know a remote by.
fn name_of(remote: &RemoteOptions) -> String {
    let urls: Vec<String> = remote.urls.iter().map(place_of).collect();
    format!("leafnodes remote `{}` of {}", urls.join(", "), remote.account)
}

/// A URL without who this broker is there.
fn place_of(url: &RemoteUrl) -> String {
    let scheme = match (&url.websocket, url.tls) {
        (None, false) => "nats-leaf",
        (None, true) => "tls",
        (Some(_), false) => "ws",
        (Some(_), true) => "wss",
    };
    let host = if url.host.contains(':') { format!("[{}]", url.host) } else { url.host.clone() };
    format!("{scheme}://{host}:{}{}", url.port, url.websocket.as_deref().unwrap_or_default())
}

/// A remote as a whole: whatever of it changes, it is joined anew.
pub(super) fn of_remote(name: impl Into<String>, remote: &RemoteOptions) -> Setting {
    let RemoteOptions {
        urls,
        account,
        credentials,
        nkey,
        tls,
        hub,
        deny_imports,
        deny_exports,
        in_order,
        first_info_timeout,
        dial_timeout,
        reconnect,
        ignore_discovered,
        isolated,
        request_isolation,
        system_account,
        disabled,
        ws_compression,
        ws_no_masking,
        compression,
        proxy,
    } = remote;
    let mut parts: Vec<String> = urls.iter().map(place_of).collect();
    parts.push(format!("for {account}"));
    let switches = [
        (*disabled, "disabled"),
        (*hub, "hub"),
        (*in_order, "in order"),
        (*ignore_discovered, "ignoring discovered servers"),
        (*isolated, "isolated"),
        (*request_isolation, "asking for isolation"),
        (*system_account, "system account allowed"),
        (*ws_compression, "WebSocket compressed"),
        (*ws_no_masking, "WebSocket without masks"),
    ];
    parts.extend(switches.iter().filter(|(is_on, _)| *is_on).map(|(_, text)| (*text).to_owned()));
    parts.extend(credentials.iter().map(|path| format!("credentials {}", path.display())));
    parts.extend(nkey.iter().map(|_| "an nkey".to_owned()));
    parts.extend(tls.iter().map(|tls| {
        format!("TLS of {:?}, first {}, {:?}, newest only {}", tls.files, tls.first, tls.timeout, tls.newest_only)
    }));
    parts.extend(proxy.iter().map(|proxy| format!("by the proxy {}:{}, {:?}", proxy.host, proxy.port, proxy.timeout)));
    parts.push(format!("denied imports {deny_imports:?} exports {deny_exports:?}"));
    parts.push(format!("{compression:?}, {first_info_timeout:?}, {dial_timeout:?}, {reconnect:?}"));
    Setting::live(name, parts.join(", ")).with_secret(secrets(remote))
}

/// All that proves who this broker is there, and what its files hold.
fn secrets(remote: &RemoteOptions) -> Zeroizing<Vec<u8>> {
    let mut all = Zeroizing::new(Vec::new());
    let mut add = |part: &[u8]| {
        all.extend_from_slice(&(part.len() as u64).to_be_bytes());
        all.extend_from_slice(part);
    };
    for url in &remote.urls {
        add(url.user.as_deref().unwrap_or_default().as_bytes());
        add(url.password.as_ref().map_or("", |password| password.expose_secret()).as_bytes());
    }
    if let Some((user, password)) = remote.proxy.as_ref().and_then(|proxy| proxy.login.as_ref()) {
        add(user.as_bytes());
        add(password.expose_secret().as_bytes());
    }
    if let Some(path) = &remote.credentials {
        add(&content(path));
    }
    if let Some(nkey) = &remote.nkey {
        let given = nkey.expose_secret();
        add(given.as_bytes());
        // What is no seed itself is the file that holds one.
        if Seed::parse(given.trim()).is_err() {
            add(&content(Path::new(given)));
        }
    }
    for path in remote.tls.iter().flat_map(|tls| &tls.files) {
        add(&content(path));
    }
    all
}

/// A file that cannot be read differs from itself once it can.
fn content(path: &Path) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(std::fs::read(path).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use secrecy::SecretString;

    use super::*;
    use crate::leaf::proxy::ProxyOptions;
    use crate::reload::difference;

    fn with(change: impl FnOnce(&mut RemoteOptions)) -> LeafOptions {
        let mut remote = RemoteOptions::new(vec![RemoteUrl::parse("nats-leaf://u:canary@hub:1").unwrap()]);
        change(&mut remote);
        LeafOptions { listen: None, remotes: vec![Arc::new(remote)], write_deadline: None, write_timeout: None }
    }

    fn changes(old: &LeafOptions, new: &LeafOptions) -> Vec<String> {
        difference(&describe(old), &describe(new)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn whatever_a_remote_has_otherwise_is_a_change_of_that_remote() {
        let folder = tempfile::tempdir().unwrap();
        let creds = folder.path().join("x.creds");
        let old = with(|_| {});
        assert_eq!(changes(&old, &with(|_| {})), Vec::<String>::new());
        let cases: [fn(&mut RemoteOptions); 10] = [
            |remote| remote.hub = true,
            |remote| remote.disabled = true,
            |remote| remote.deny_imports = vec!["a".to_owned()],
            |remote| remote.deny_exports = vec!["a".to_owned()],
            |remote| remote.nkey = Some(SecretString::from("SUcanary")),
            |remote| remote.isolated = true,
            |remote| {
                let login = Some(("canary".to_owned(), SecretString::from("canary")));
                remote.proxy = Some(ProxyOptions { host: "p".to_owned(), port: 1, login, timeout: None });
            },
            |remote| remote.compression = crate::leaf::compression::Compression::OFF,
            |remote| remote.urls[0].password = Some(SecretString::from("canary2")),
            |remote| remote.urls[0].user = Some("canary3".to_owned()),
        ];
        for change in cases {
            let told = changes(&old, &with(change));
            assert_eq!(told.len(), 1, "{told:?}");
            assert!(told[0].starts_with("leafnodes remote `nats-leaf://hub:1` of $G: "), "{told:?}");
            assert!(!told[0].contains("canary"), "{told:?}");
        }
        // The content of a file counts, and is not told.
        std::fs::write(&creds, "canary one").unwrap();
        let named = with(|remote| remote.credentials = Some(creds.clone()));
        let before = describe(&named);
        std::fs::write(&creds, "canary two").unwrap();
        let after = difference(&before, &describe(&named));
        assert_eq!(after.len(), 1);
        assert!(!after[0].to_string().contains("canary"), "{}", after[0]);
    }

    #[test]
    fn remotes_under_one_name_are_told_apart() {
        let one = with(|_| {});
        let both =
            LeafOptions { remotes: [one.remotes.clone(), with(|remote| remote.hub = true).remotes].concat(), ..one };
        assert_eq!(describe(&both).len(), 2);
        assert_eq!(changes(&with(|_| {}), &both).len(), 1);
    }
}
