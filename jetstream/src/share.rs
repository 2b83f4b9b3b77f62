//! Consumers that another account made of a stream that is shared with it.
//!
//! Their metadata names the share; only what comes by that share may touch them. Their acknowledgements and answers to
//! flow control carry its name in the place of the account's, so that importers, and streams of one name in several
//! accounts, are kept apart. `cordon_accounts::share` has the subjects.

use std::collections::BTreeMap;

use cordon_accounts::share;

use crate::config::ConsumerConfig;
use crate::consumer::AckForm;

/// The metadata that names the share of a consumer. The server owns it.
pub const SHARE: &str = "_cordon.share";

/// Most consumers of one stream that one share has.
pub const CONSUMERS_MAX: usize = 1_000;

/// The share that a consumer belongs to.
pub fn of(metadata: &BTreeMap<String, String>) -> Option<&str> {
    metadata.get(SHARE).map(String::as_str).filter(|id| share::is_id(id))
}

/// How its reply subjects are written.
pub(crate) fn form(metadata: &BTreeMap<String, String>) -> Option<AckForm> {
    of(metadata).map(|id| AckForm::Long { domain: None, account_hash: id.to_owned() })
}

/// Makes what an importer asked for a consumer of its share.
pub(crate) fn claim(config: &mut ConsumerConfig, id: &str) {
    config.metadata.insert(SHARE.to_owned(), id.to_owned());
    // Only mirrors and sources may have those, which are in no list.
    config.direct = false;
    config.sourcing = false;
    if !config.deliver_subject.is_empty() {
        config.deliver_subject = share::delivery(id, &config.deliver_subject);
    }
}

/// What the importer is shown of it: its own words.
pub(crate) fn show(config: &mut ConsumerConfig, id: &str) {
    config.metadata.remove(SHARE);
    if let Some(subject) = share::delivered(id, &config.deliver_subject) {
        config.deliver_subject = subject.to_owned();
    }
}

/// The request by which an importer would make it, behind `$JS.SHARE.<id>.API.`: as long as that is exported, it may be.
pub(crate) fn request(stream: &str, config: &ConsumerConfig) -> String {
    let name = if config.name.is_empty() { &config.durable_name } else { &config.name };
    match config.filter_subject.as_str() {
        "" => format!("CONSUMER.CREATE.{stream}.{name}"),
        filter => format!("CONSUMER.CREATE.{stream}.{name}.{filter}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "abcdefghijklmnop";

    #[test]
    fn what_was_claimed_is_shown_as_it_was_asked_for() {
        let asked = ConsumerConfig {
            name: "c".to_owned(),
            deliver_subject: "_INBOX.x".to_owned(),
            filter_subject: "eu.>".to_owned(),
            direct: true,
            ..ConsumerConfig::default()
        };
        let mut config = asked.clone();
        claim(&mut config, ID);
        assert_eq!(config.deliver_subject, format!("$JS.SHARE.{ID}.TO._INBOX.x"));
        assert_eq!((of(&config.metadata), config.direct), (Some(ID), false));
        assert_eq!(form(&config.metadata), Some(AckForm::Long { domain: None, account_hash: ID.to_owned() }));
        assert_eq!(request("S", &config), "CONSUMER.CREATE.S.c.eu.>");
        show(&mut config, ID);
        assert_eq!(config, ConsumerConfig { direct: false, ..asked });
        assert_eq!(
            request("S", &ConsumerConfig { name: "c".to_owned(), ..ConsumerConfig::default() }),
            "CONSUMER.CREATE.S.c"
        );
    }

    #[test]
    fn what_is_no_share_is_none() {
        for text in ["", "x", "ABCDEFGHIJKLMNOP", "abcdefghijklmno.", "abcdefghijklmnopq"] {
            assert_eq!(of(&[(SHARE.to_owned(), text.to_owned())].into()), None, "{text}");
        }
        assert_eq!(of(&BTreeMap::new()), None);
    }
}
