//! Shares against a plain model: nothing outside the offer is reachable, one subject at a time.

use std::collections::HashMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::compile::{Naming, NamingError};
use super::*;
use crate::claims::{AccountClaims, ActivationClaims, ExportKind};
use crate::key::{AccountKey, Role, Seed};
use crate::name::AccountName;
use crate::sharing::{AccountSharing, Crossing, resolve};

const NOW: i64 = 1_700_000_000;

fn id() -> ShareId {
    ShareId::from_random(*b"0123456789")
}

fn texts(list: &[&str]) -> Vec<String> {
    list.iter().map(|text| (*text).to_owned()).collect()
}

fn offer(shared: Shared, writable: bool, subjects: &[&str], writes: &[&str]) -> Result<Offer, ShareError> {
    Offer::new(id(), shared, writable, &texts(subjects), &texts(writes))
}

fn stream() -> Shared {
    Shared::Stream("S".to_owned())
}

/// Both accounts with the offer put into their claims, as the border compiles it.
struct Pair {
    crossings: Vec<Crossing>,
    refused: usize,
    exports: Vec<Pattern>,
}

fn pair(offer: &Offer, naming: &Naming) -> Pair {
    let exporter = Seed::generate(Role::Account, &mut rand::rngs::OsRng);
    let importer: AccountKey = Seed::generate(Role::Account, &mut rand::rngs::OsRng).public().try_into().unwrap();
    let key: AccountKey = exporter.public().try_into().unwrap();
    let mut of_exporter = AccountClaims::new(key);
    of_exporter.nats.exports = offer.exports();
    let mut of_importer = AccountClaims::new(importer);
    of_importer.nats.imports = offer.imports(key, naming);
    for (export, import) in of_exporter.nats.exports.iter().zip(&mut of_importer.nats.imports) {
        let activation = ActivationClaims::new(importer, export.kind, export.subject.clone());
        import.token = activation.encode(&exporter, NOW).unwrap();
    }
    of_exporter.validate(NOW).require_valid().unwrap();
    of_importer.validate(NOW).require_valid().unwrap();
    let sharing = |claims: &AccountClaims| Arc::new(AccountSharing::from_claims(claims, false));
    let web: HashMap<AccountName, Arc<AccountSharing>> =
        [sharing(&of_exporter), sharing(&of_importer)].map(|one| (one.name.clone(), one)).into();
    let own = &web[&AccountName::from(importer)];
    let resolution = resolve(own, &|name| web.get(name).cloned(), NOW);
    let exports = offer.exports().iter().map(|export| Pattern::parse(&export.subject).unwrap()).collect();
    Pair { crossings: resolution.crossings, refused: resolution.refused.len(), exports }
}

impl Pair {
    /// What a request of the importer is in the exporter, where the streams take it.
    fn asked(&self, subject: &str) -> Option<String> {
        let services = self.crossings.iter().filter(|crossing| crossing.kind == ExportKind::Service);
        let mut found = services.filter(|crossing| crossing.local.matches(subject.as_bytes()));
        let asked = found.find_map(|crossing| crossing.requested_as(subject.as_bytes()))?;
        let asked = String::from_utf8(asked).unwrap();
        let is_ours = asked.starts_with(PREFIX);
        (!is_ours || covers(&self.exports, &asked)).then_some(asked)
    }
}

fn usual() -> Naming {
    Naming::new("$JS.acme.API", "_INBOX").unwrap()
}

#[test]
fn a_whole_stream_is_read_and_not_changed() {
    let pair = pair(&offer(stream(), false, &[], &[]).unwrap(), &usual());
    assert_eq!(pair.refused, 0);
    for (tail, asked) in [
        ("INFO", true),
        ("STREAM.INFO.S", true),
        ("STREAM.MSG.GET.S", true),
        ("CONSUMER.CREATE.S", true),
        ("CONSUMER.CREATE.S.c", true),
        ("CONSUMER.CREATE.S.c.a.>", true),
        ("CONSUMER.DURABLE.CREATE.S.c", true),
        ("CONSUMER.MSG.NEXT.S.c", true),
        ("CONSUMER.DELETE.S.c", true),
        ("DIRECT.GET.S", true),
        ("DIRECT.GET.S.a.b", true),
        ("STREAM.NAMES", false),
        ("STREAM.LIST", false),
        ("STREAM.CREATE.S", false),
        ("STREAM.UPDATE.S", false),
        ("STREAM.DELETE.S", false),
        ("STREAM.PURGE.S", false),
        ("STREAM.MSG.DELETE.S", false),
        ("STREAM.SNAPSHOT.S", false),
        ("STREAM.INFO.T", false),
        ("STREAM.INFO.*", false),
        ("CONSUMER.CREATE.T.c", false),
        ("CONSUMER.INFO.S.>", false),
        ("CONSUMER.MSG.NEXT.T.c", false),
        ("DIRECT.GET.T.a", false),
        ("DIRECT.GET.>", false),
    ] {
        let got = pair.asked(&format!("$JS.acme.API.{tail}"));
        let expected = asked.then(|| format!("$JS.SHARE.{}.API.{tail}", id()));
        assert_eq!(got, expected, "{tail}");
    }
    for subject in ["$JS.ACK.S.c.1.2.3.4.5", "$JS.ACK._.other.S.c.1.2.3.4.5", "a.b", "$JS.API.STREAM.INFO.S"] {
        assert_eq!(pair.asked(subject), None, "{subject}");
    }
    for subject in [format!("$JS.ACK._.{}.S.c.1.2.3.4.5", id()), format!("$JS.FC._.{}.S.c.abcd", id())] {
        assert_eq!(pair.asked(&subject), Some(subject.clone()));
    }
}

#[test]
fn a_token_that_reads_as_a_wildcard_is_one() {
    let pair = pair(&offer(stream(), false, &["eu.*"], &[]).unwrap(), &usual());
    let api = |tail: &str| pair.asked(&format!("$JS.acme.API.{tail}"));
    for good in ["CONSUMER.CREATE.S.c.eu.*", "CONSUMER.CREATE.S.c.eu.de", "DIRECT.GET.S.eu.de"] {
        assert!(api(good).is_some(), "{good}");
    }
    for wide in ["CONSUMER.CREATE.S.c.eu.>", "CONSUMER.CREATE.S.c.*.de", "CONSUMER.CREATE.S.c", "DIRECT.GET.S.eu.>"] {
        assert_eq!(api(wide), None, "{wide}");
    }
}

#[test]
fn a_writable_bucket_takes_keys_below_the_prefix() {
    let bucket = Shared::Bucket("B".to_owned());
    let whole = pair(&offer(bucket.clone(), true, &[], &[]).unwrap(), &usual());
    let put = format!("$JS.SHARE.{}.PUT.KV_B.$KV.B.a.b", id());
    assert_eq!(whole.asked("$JS.acme.API.$KV.B.a.b"), Some(put));
    assert_eq!(whole.asked("$KV.B.a.b"), None);
    assert_eq!(whole.asked("$JS.acme.API.$KV.C.a"), None);
    let part = pair(&offer(bucket, true, &["eu.>"], &["eu.x.*"]).unwrap(), &usual());
    assert!(part.asked("$JS.acme.API.$KV.B.eu.x.y").is_some());
    assert_eq!(part.asked("$JS.acme.API.$KV.B.eu.y"), None);
    assert!(part.asked("$JS.acme.API.DIRECT.GET.KV_B.$KV.B.eu.y").is_some());
    assert_eq!(part.asked("$JS.acme.API.DIRECT.GET.KV_B.$KV.B.us.y"), None);
    assert_eq!(part.asked("$JS.acme.API.DIRECT.GET.KV_B"), None);
}

#[test]
fn deliveries_come_to_inboxes_alone() {
    let pair = pair(&offer(stream(), false, &[], &[]).unwrap(), &usual());
    let streams: Vec<_> = pair.crossings.iter().filter(|crossing| crossing.kind == ExportKind::Stream).collect();
    let [one] = streams.as_slice() else { panic!("one stream import: {streams:?}") };
    let to = delivery(id().as_str(), "_INBOX.x.y");
    assert_eq!(one.delivered_as(to.as_bytes()).unwrap(), b"_INBOX.x.y");
    assert_eq!(one.shadow(b"_INBOX.x.y").unwrap(), to.as_bytes());
    assert_eq!(delivered(id().as_str(), &to), Some("_INBOX.x.y"));
    assert_eq!(one.delivered_as(delivery(id().as_str(), "orders").as_bytes()), None);
    assert_eq!(one.shadow(b"orders"), None);
}

#[test]
fn offers_that_cannot_be_kept_are_refused() {
    let many: Vec<String> = (0..=SUBJECTS_MAX).map(|n| format!("a{n}")).collect();
    assert_eq!(Offer::new(id(), stream(), false, &many, &[]).unwrap_err(), ShareError::TooMany(SUBJECTS_MAX + 1));
    for (shared, writable, subjects) in [
        (Shared::Stream(String::new()), false, &[][..]),
        (Shared::Stream("a.b".to_owned()), false, &[]),
        (Shared::Stream("*".to_owned()), false, &[]),
        (Shared::Stream("$1".to_owned()), false, &[]),
        (Shared::Bucket("a b".to_owned()), false, &[]),
        (Shared::Bucket("a$".to_owned()), false, &[]),
        (Shared::Objects("O".to_owned()), false, &["x"]),
        (stream(), true, &[]),
        (stream(), true, &[">"]),
        (stream(), true, &["$JS.API.>"]),
        (stream(), true, &["*.API.x"]),
        (stream(), false, &["a.*", "*.a"]),
        (stream(), false, &["a..b"]),
        (stream(), false, &["a.$1"]),
        (stream(), false, &["a b"]),
        (stream(), false, &[">.a"]),
    ] {
        assert!(offer(shared.clone(), writable, subjects, &[]).is_err(), "{shared:?} {writable} {subjects:?}");
    }
}

#[test]
fn names_of_the_importer_cannot_hide_its_own_streams() {
    for (prefix, inbox) in [("$JS.acme.API", "_INBOX"), ("shared.orders", "_INBOX_ann"), ("$JS.API2", "a.b")] {
        assert!(Naming::new(prefix, inbox).is_ok(), "{prefix} {inbox}");
    }
    for (prefix, inbox) in [
        ("$JS.API", "_INBOX"),
        ("$JS.API.x", "_INBOX"),
        ("$JS.ACK.x", "_INBOX"),
        ("$JS.SHARE.x", "_INBOX"),
        ("$JS", "_INBOX"),
        ("$SYS.x", "_INBOX"),
        ("_R_.x", "_INBOX"),
        ("a.*", "_INBOX"),
        ("a.$1", "_INBOX"),
        ("", "_INBOX"),
        ("p", ""),
        ("p", ">"),
        ("p", "$JS.ACK"),
        ("p", "$SYS"),
        ("p", "a b"),
    ] {
        assert!(Naming::new(prefix, inbox).is_err(), "{prefix} {inbox}");
    }
    assert!(matches!(Naming::new("$JS.API", "_INBOX"), Err(NamingError::Taken { field: "prefix", .. })));
}

#[test]
fn subjects_of_shares_are_told_from_others() {
    let good = format!("{PREFIX}{}.API.STREAM.INFO.S", id());
    let parsed = parse(&good).unwrap();
    assert_eq!((parsed.id, parsed.part, parsed.rest), (id().as_str(), Part::Api, "STREAM.INFO.S"));
    for subject in ["", "$JS.SHARE", "$JS.SHARE.x.API.INFO", "$JS.API.INFO"] {
        assert_eq!(parse(subject), None, "{subject}");
    }
    for tail in ["", ".API", ".API.", ".TO.x", ".XXX.y"] {
        assert_eq!(parse(&format!("{PREFIX}{}{tail}", id())), None, "{tail}");
    }
    for wrong in ["", "short", "0123456789abcdef", "ABCDEFGHIJKLMNOP", "abcdefghijklmno."] {
        assert!(ShareId::parse(wrong).is_none(), "{wrong}");
    }
}

/// Tokens of `a`, `b`, `*`, and now and then a tail.
fn pattern() -> impl Strategy<Value = String> {
    let token = prop_oneof![Just("a"), Just("b"), Just("*")];
    (proptest::collection::vec(token, 1..4), prop_oneof![2 => Just(false), 1 => Just(true)]).prop_map(
        |(tokens, tail)| {
            let mut tokens: Vec<&str> = tokens;
            if tail {
                tokens.push(">");
            }
            tokens.join(".")
        },
    )
}

fn subjects() -> Vec<String> {
    let mut all = Vec::new();
    let mut last = vec!["a".to_owned(), "b".to_owned()];
    for _ in 0..4 {
        all.extend(last.iter().cloned());
        last = last.iter().flat_map(|s| [format!("{s}.a"), format!("{s}.b")]).collect();
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn nothing_outside_an_offer_is_reachable(
        reads in proptest::collection::vec(pattern(), 1..3),
        writes in proptest::collection::vec(pattern(), 1..3),
        filter in pattern(),
    ) {
        let writes: Vec<String> = writes.iter().map(|one| format!("w.{one}")).collect();
        let offer = match Offer::new(id(), stream(), true, &reads, &writes) {
            Err(ShareError::Overlap(..)) => return Ok(()),
            offer => offer.unwrap(),
        };
        let pair = pair(&offer, &usual());
        prop_assert_eq!(pair.refused, 0);
        let within = |patterns: &[String], subject: &str| {
            patterns.iter().any(|one| crate::subject::matching::matches(one.as_bytes(), subject.as_bytes()))
        };
        // A consumer with this filter shows what the filter matches.
        let made = pair.asked(&format!("$JS.acme.API.CONSUMER.CREATE.S.c.{filter}")).is_some();
        for subject in subjects() {
            let shown = crate::subject::matching::matches(filter.as_bytes(), subject.as_bytes());
            prop_assert!(!(made && shown) || within(&reads, &subject), "{} by {}", subject, filter);
            let read = pair.asked(&format!("$JS.acme.API.DIRECT.GET.S.{subject}")).is_some();
            prop_assert_eq!(read, within(&reads, &subject) , "{}", subject);
            let subject = format!("w.{subject}");
            let ways = pair.crossings.iter().filter(|crossing| crossing.local.matches(subject.as_bytes())).count();
            prop_assert_eq!(ways, usize::from(within(&writes, &subject)), "{}", subject);
        }
        // What is offered can be had.
        for one in &reads {
            let request = format!("$JS.acme.API.CONSUMER.CREATE.S.c.{one}");
            prop_assert!(pair.asked(&request).is_some(), "{}", one);
        }
    }
}
