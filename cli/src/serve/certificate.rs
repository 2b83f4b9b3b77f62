//! The server certificate: which names it is for, and when it is made anew.

use std::net::IpAddr;

use anyhow::Context as _;
use cordon_admin::pki::Authority;
use cordon_auth::clock::Clock;

use crate::data_folder::{DataFolder, ServerCertificate};

/// A certificate that is valid for less than this is made anew at a start: 30 days.
const RENEW_SECONDS: i64 = 30 * 86_400;

/// The names that the certificate must have: this machine's, and those that were asked for.
pub(crate) fn names(hosts: &[String]) -> Vec<String> {
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    // `0.0.0.0` is a place to listen on and nothing that a client would ask for.
    let asked = hosts.iter().filter(|host| host.parse::<IpAddr>().map_or(true, |ip| !ip.is_unspecified()));
    for name in this_host().into_iter().chain(asked.cloned()) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// Makes the authority and the server certificate, if they are not there or no longer enough.
pub(crate) fn ensure(folder: &mut DataFolder, names: &[String], clock: &Clock) -> anyhow::Result<()> {
    let paths = folder.paths().clone();
    let authority =
        Authority::open_or_create(&paths.authority(), clock.clone()).context("the certificate authority")?;
    let known = folder.server_certificate().cloned().unwrap_or_default();
    let is_there = paths.server_certificate().exists() && paths.server_key().exists();
    let covers = names.iter().all(|name| known.names.contains(name));
    let lasts = known.not_after - clock.unix_seconds() > RENEW_SECONDS;
    if is_there && covers && lasts {
        return Ok(());
    }
    let mut all = known.names;
    all.extend(names.iter().filter(|name| !all.contains(name)).cloned().collect::<Vec<_>>());
    let issued = authority
        .issue_server(&all, &paths.server_certificate(), &paths.server_key())
        .context("the server certificate cannot be made; are the names given with --host right?")?;
    folder.set_server_certificate(ServerCertificate { names: all, not_after: issued.not_after })
}

/// The name of this machine, if it can stand in a certificate.
fn this_host() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").or_else(|_| std::env::var("HOSTNAME")).ok()?;
    let name = name.trim().to_ascii_lowercase();
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    (name.len() <= 253 && name.split('.').all(is_label)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_certificate_is_for_this_machine_and_what_was_asked_for() {
        let names = names(&[
            "0.0.0.0".to_owned(),
            "broker.example.org".to_owned(),
            "localhost".to_owned(),
            "10.0.0.1".to_owned(),
        ]);
        for name in ["localhost", "127.0.0.1", "::1", "broker.example.org", "10.0.0.1"] {
            assert_eq!(names.iter().filter(|known| *known == name).count(), 1, "{name}");
        }
        assert!(!names.contains(&"0.0.0.0".to_owned()));
    }

    #[test]
    fn a_certificate_is_made_again_only_for_a_reason() {
        let parent = tempfile::tempdir().unwrap();
        let clock = Clock::manual(1_800_000_000);
        let mut folder = DataFolder::open(parent.path()).unwrap();
        let names = vec!["localhost".to_owned()];
        ensure(&mut folder, &names, &clock).unwrap();
        let certificate = |folder: &DataFolder| std::fs::read(folder.paths().server_certificate()).unwrap();
        let first = certificate(&folder);
        ensure(&mut folder, &names, &clock).unwrap();
        assert_eq!(certificate(&folder), first);

        ensure(&mut folder, &["other.example.org".to_owned()], &clock).unwrap();
        let second = certificate(&folder);
        assert_ne!(second, first);
        assert_eq!(folder.server_certificate().unwrap().names, ["localhost", "other.example.org"]);
        ensure(&mut folder, &names, &clock).unwrap();
        assert_eq!(certificate(&folder), second);

        clock.advance(std::time::Duration::from_hours(800 * 24));
        ensure(&mut folder, &names, &clock).unwrap();
        assert_ne!(certificate(&folder), second);
    }
}
