//! Checks that several kinds of claims share.

use super::validation::Validation;
use super::{PermissionsClaim, SubjectsClaim, UserLimits};
use crate::limits::{INFO_BYTES_MAX, Limit};
use crate::subject::Pattern;

/// Reads a pattern; a bad one becomes a blocking issue.
pub(super) fn pattern(place: &str, text: &str, found: &mut Validation) -> Option<Pattern> {
    match Pattern::parse(text) {
        Ok(pattern) => Some(pattern),
        Err(error) => {
            found.blocking(format!("{place}: {error}"));
            None
        }
    }
}

/// Checks every entry of both lists; only `sub` entries may name a queue group.
pub(super) fn permissions(place: &str, claim: &PermissionsClaim, found: &mut Validation) {
    subjects(&format!("{place} `sub`"), &claim.subscribe, true, found);
    subjects(&format!("{place} `pub`"), &claim.publish, false, found);
}

fn subjects(place: &str, claim: &SubjectsClaim, queues: bool, found: &mut Validation) {
    for (list, entries) in [("allow", &claim.allow), ("deny", &claim.deny)] {
        for entry in entries {
            permission(&format!("{place} {list}"), entry, queues, found);
        }
    }
}

fn permission(place: &str, entry: &str, queues: bool, found: &mut Validation) {
    let mut parts = entry.split_ascii_whitespace();
    match (parts.next(), parts.next(), parts.next()) {
        (None, ..) => found.blocking(format!("{place}: an entry is empty")),
        (Some(subject), None, _) => {
            template_pattern(place, entry, subject, found);
        }
        (Some(_), Some(_), None) if !queues => {
            found.blocking(format!("{place}: `{entry}` may not name a queue group"));
        }
        (Some(subject), Some(queue), None) => {
            template_pattern(place, entry, subject, found);
            template_pattern(place, entry, queue, found);
        }
        _ => found.blocking(format!("{place}: `{entry}` has too many spaces")),
    }
}

/// Checks one word of an entry; the entry as a whole is what people look for.
fn template_pattern(place: &str, entry: &str, word: &str, found: &mut Validation) {
    if let Err(error) = Pattern::parse(word) {
        found.blocking(format!("{place}: entry `{entry}`: {error}"));
    }
}

/// Refuses numbers below -1: brokers would take them for zero.
pub(super) fn limits(place: &str, numbers: &[(&str, Limit)], found: &mut Validation) {
    for (name, limit) in numbers {
        if !limit.is_meaningful() {
            found.blocking(format!("{place}: `{name}` is {}; use -1 for unlimited", limit.0));
        }
    }
}

/// Like [`limits`], for the numbers of a user.
pub(super) fn user_limits(place: &str, numbers: UserLimits, found: &mut Validation) {
    let UserLimits { subs, data, payload } = numbers;
    let numbers = [("subs", subs), ("data", data), ("payload", payload)];
    limits(place, &numbers, found);
}

/// Checks a description and its URL.
pub(super) fn info(place: &str, description: &str, url: &str, found: &mut Validation) {
    if description.len() > INFO_BYTES_MAX {
        found.blocking(format!("{place}: `description` is longer than 8 KiB"));
    }
    if url.len() > INFO_BYTES_MAX {
        found.blocking(format!("{place}: `info_url` is longer than 8 KiB"));
    } else if !url.is_empty() && Url::split(url).is_none_or(|url| url.host.is_empty()) {
        found.blocking(format!("{place}: `info_url` needs a scheme and a host"));
    }
}

/// The parts of a URL that claims have rules about.
pub(super) struct Url<'a> {
    pub(super) scheme: &'a str,
    pub(super) has_user: bool,
    pub(super) host: &'a str,
    pub(super) path: &'a str,
}

impl<'a> Url<'a> {
    /// Splits `scheme://user@host:port/path`; `None` if it is not of that form.
    pub(super) fn split(text: &'a str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let mut letters = scheme.chars();
        let well_formed = letters.next()?.is_ascii_alphabetic()
            && letters.all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
        if !well_formed || text.chars().any(|c| c.is_ascii_control() || c == ' ') {
            return None;
        }
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(end)?;
        let (has_user, host) = match authority.rsplit_once('@') {
            Some((_, host)) => (true, host),
            None => (false, authority),
        };
        Some(Self { scheme, has_user, host: without_port(host)?, path })
    }
}

fn without_port(host: &str) -> Option<&str> {
    let (name, port) = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => match host.find(':') {
            Some(colon) => host.split_at_checked(colon)?,
            None => (host, ""),
        },
    };
    match port.strip_prefix(':') {
        None if port.is_empty() => Some(name),
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => Some(name),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_split_into_the_parts_that_rules_speak_of() {
        let table = [
            ("nats://a.example:4222", Some(("nats", false, "a.example", ""))),
            ("tls://u:p@h", Some(("tls", true, "h", ""))),
            ("https://[::1]:80/jwt/v1", Some(("https", false, "::1", "/jwt/v1"))),
            ("ws://h?x=/", Some(("ws", false, "h", "?x=/"))),
            ("nats://", Some(("nats", false, "", ""))),
            ("a.example:4222", None),
            ("://h", None),
            ("1a://h", None),
            ("na ts://h", None),
            ("nats://h:port", None),
            ("nats://[::1", None),
            ("nats://[::1]80", None),
            ("nats://h\n", None),
            ("", None),
        ];
        for (text, expected) in table {
            let found = Url::split(text).map(|url| (url.scheme, url.has_user, url.host, url.path));
            assert_eq!(found, expected, "{text}");
        }
    }
}
