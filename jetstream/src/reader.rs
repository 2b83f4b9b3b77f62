//! Who reads, where reading needs the permission to subscribe (`reads_need_permission`).
//!
//! What is asked for is a set of patterns: the filters of a consumer, the subjects of a read, all that a stream holds. A
//! reader must be allowed to subscribe to all of each; a deny entry inside it is enough to refuse.

use cordon_accounts::permissions::Permissions;
use cordon_accounts::subject::Pattern;

use crate::api::ApiError;
use crate::config::{ConsumerConfig, StreamConfig};

/// Checks that a reader may subscribe to all of these; without a reader nobody asks.
///
/// # Errors
///
/// 10900 with what it may not subscribe to.
pub fn check<'a>(
    reader: Option<&Permissions>,
    patterns: impl IntoIterator<Item = &'a Pattern>,
) -> Result<(), ApiError> {
    let Some(reader) = reader else { return Ok(()) };
    for pattern in patterns {
        let allowed = reader.may_subscribe(pattern.as_bytes(), None).is_ok_and(|permit| !permit.overlaps_deny());
        if !allowed {
            return Err(ApiError::reading_not_permitted(pattern));
        }
    }
    Ok(())
}

/// All that a stream may hold: its subjects, unless what it stores comes from elsewhere or is renamed.
pub fn all_of(stream: &StreamConfig) -> Vec<Pattern> {
    let own = stream.mirror.is_none() && stream.sources.is_empty() && stream.subject_transform.is_none();
    let subjects: Option<Vec<Pattern>> = stream.subjects.iter().map(|subject| Pattern::parse(subject).ok()).collect();
    subjects.filter(|_| own && !stream.subjects.is_empty()).unwrap_or_else(|| vec![Pattern::everything()])
}

/// What of a stream is asked for by these filters; all of it without any. A filter that is none is left to others.
pub fn part_of(stream: &StreamConfig, filters: &[&str]) -> Vec<Pattern> {
    let given = filters.iter().filter(|filter| !filter.is_empty());
    let patterns: Vec<Pattern> = given.filter_map(|filter| Pattern::parse(filter).ok()).collect();
    if patterns.is_empty() { all_of(stream) } else { patterns }
}

/// What a consumer shows.
pub fn shown_by(stream: &StreamConfig, consumer: &ConsumerConfig) -> Vec<Pattern> {
    let several = consumer.filter_subjects.iter().map(String::as_str);
    let filters: Vec<&str> = std::iter::once(consumer.filter_subject.as_str()).chain(several).collect();
    part_of(stream, &filters)
}

#[cfg(test)]
mod tests {
    use cordon_accounts::claims::PermissionsClaim;

    use super::*;
    use crate::config::StreamSource;

    fn reader(allow: &[&str], deny: &[&str]) -> Permissions {
        let mut claim = PermissionsClaim::default();
        claim.subscribe.allow = allow.iter().map(|text| (*text).to_owned()).collect();
        claim.subscribe.deny = deny.iter().map(|text| (*text).to_owned()).collect();
        Permissions::compile(&claim).unwrap()
    }

    fn stream() -> StreamConfig {
        StreamConfig { subjects: vec!["eu.>".to_owned(), "us.>".to_owned()], ..StreamConfig::default() }
    }

    /// What is allowed, what is denied, the filters, and whether that is good.
    type Case<'a> = (&'a [&'a str], &'a [&'a str], &'a [&'a str], bool);

    #[test]
    fn a_reader_reads_what_it_may_subscribe_to_and_no_more() {
        let cases: &[Case<'_>] = &[
            (&[], &[], &[], true),
            (&["eu.>"], &[], &["eu.>"], true),
            (&["eu.>"], &[], &["eu.de"], true),
            (&["eu.>"], &[], &[], false),
            (&["eu.>"], &[], &["us.>"], false),
            (&["eu.>"], &[], &["*.de"], false),
            (&["eu.>"], &[], &[">"], false),
            (&["eu.>"], &[], &["eu.de", "us.ny"], false),
            (&["eu.*"], &[], &["eu.>"], false),
            (&["eu.>", "us.>"], &[], &[], true),
            (&[], &["eu.secret"], &["eu.>"], false),
            (&[], &["eu.secret"], &["eu.secret"], false),
            (&[], &["eu.secret"], &["us.>"], true),
            (&[], &["eu.secret"], &[], false),
            (&["_INBOX.>"], &[], &["eu.de"], false),
        ];
        for (allow, deny, filters, good) in cases {
            let asked = part_of(&stream(), filters);
            let answer = check(Some(&reader(allow, deny)), &asked);
            assert_eq!(answer.is_ok(), *good, "{allow:?} without {deny:?} asks for {filters:?}: {answer:?}");
            assert!(check(None, &asked).is_ok());
        }
    }

    #[test]
    fn what_comes_from_elsewhere_may_have_any_subject() {
        let mirror = StreamConfig { mirror: Some(StreamSource::default()), ..StreamConfig::default() };
        let sourced = StreamConfig { sources: vec![StreamSource::default()], ..stream() };
        for config in [mirror, sourced, StreamConfig::default()] {
            assert_eq!(all_of(&config), [Pattern::everything()]);
        }
        assert_eq!(all_of(&stream()).len(), 2);
        let consumer = ConsumerConfig { filter_subjects: vec!["eu.a".to_owned()], ..ConsumerConfig::default() };
        assert_eq!(shown_by(&stream(), &consumer), [Pattern::parse("eu.a").unwrap()]);
    }
}
