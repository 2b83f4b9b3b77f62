//! Small texts that come from outside: each is read whole or not at all, and written as it was read.
//!
//! The first byte chooses the kind; the rest is the text.

use cordon_accounts::claims::{Hours, Network, Presence, TimeRange};
use cordon_accounts::reason::Reason;
use cordon_auth::certificate::DistinguishedName;
use cordon_auth::proof::ConnectionType;
use cordon_server::monitoring::query::Query;
use cordon_server::protocol::encode;
use cordon_server::system::ask::Ask;

use crate::input::Input;

/// Panics when a text is read as something that it does not say.
pub fn check(data: &[u8]) {
    let mut input = Input::new(data);
    let kind = input.byte();
    let bytes = input.rest();
    quoted(bytes);
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match kind % 6 {
        0 => name(text),
        1 => network(text),
        2 => hours(text),
        3 => query(text),
        4 => ask(text),
        _ => words(text),
    }
}

/// A subject in an error line cannot end the line or the quotes.
fn quoted(bytes: &[u8]) {
    let text = encode::quoted(bytes);
    assert!(!text.bytes().any(|byte| byte < b' ' || byte == 0x7f), "no control character: {text:?}");
    let inner = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).expect("quotes around it");
    let mut letters = inner.chars();
    while let Some(letter) = letters.next() {
        assert_ne!(letter, '"', "a quote inside is escaped");
        if letter == '\\' {
            assert!(letters.next().is_some(), "an escape is whole");
        }
    }
}

fn name(text: &str) {
    let (one, other) = text.split_once('\n').unwrap_or((text, ""));
    let (Ok(one), Ok(other)) = (one.parse::<DistinguishedName>(), other.parse::<DistinguishedName>()) else { return };
    assert!(one.matches_in_any_order(&one), "a name is itself");
    assert_eq!(one.matches_in_any_order(&other), other.matches_in_any_order(&one));
    assert!(one != other || one.matches_in_any_order(&other), "equal in order is equal in any");
}

fn network(text: &str) {
    let Ok(network) = Network::parse(text) else { return };
    let (address, bits) = text.split_once('/').expect("a network has a length");
    let address: std::net::IpAddr = address.parse().expect("a network has an address");
    let bits: u32 = bits.parse().expect("a length is a number");
    // IPv4 written as IPv6 counts as IPv4, which no network wider than all of IPv4 has.
    let too_wide = address.is_ipv6() && address.to_canonical().is_ipv4() && bits < 96;
    assert_eq!(network.contains(address), !too_wide, "a network has its own address");
    if let std::net::IpAddr::V4(address) = address {
        for bit in 0..32 {
            let other = std::net::Ipv4Addr::from(u32::from(address) ^ (1 << (31 - bit)));
            assert_eq!(network.contains(other.into()), bit >= bits, "{text} has {other}");
        }
    }
}

fn hours(text: &str) {
    let mut lines = text.split('\n');
    let mut next = || lines.next().unwrap_or_default().to_owned();
    let (zone, start, end) = (next(), next(), next());
    let range = TimeRange { start, end };
    let Ok(hours) = Hours::new(&[range], &zone) else { return };
    for now in [0, 1_700_000_000, 1_711_846_800, 253_402_300_799, i64::MAX, i64::MIN] {
        match hours.presence(now, time::UtcOffset::UTC) {
            Presence::Always => panic!("a span is not always"),
            Presence::Never => {}
            Presence::Until(end) => assert!(end > now && end - now <= 2 * 86_400, "{now} until {end}"),
        }
    }
}

fn query(text: &str) {
    let query = Query::new(Some(text.to_owned()));
    for name in ["cid", "limit", "subs", "auth", "acc", ""] {
        assert!(query.text(name).len() <= 3 * text.len(), "decoding grows in bounds");
        drop((query.switch(name), query.switch_or_detail(name), query.integer(name), query.natural(name)));
    }
}

fn ask(text: &str) {
    let Some(asked) = Ask::parse(text.as_bytes(), "NSERVER") else { return };
    assert!(text.starts_with("$SYS."), "only the system's subjects ask: {asked:?}");
    if let Some(account) = asked.account() {
        assert!(text.contains(account));
    }
}

fn words(text: &str) {
    if let Ok(kind) = text.parse::<ConnectionType>() {
        assert!(kind.name().eq_ignore_ascii_case(text));
        assert!(kind.is_allowed_by(&[text]));
    }
    if let Ok(reason) = text.parse::<Reason>() {
        assert_eq!(reason.code(), text);
    }
}
