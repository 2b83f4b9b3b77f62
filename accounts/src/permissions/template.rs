//! Scoped signing keys: the permissions that a template gives to one user.
//!
//! Whoever holds a scoped key chooses the name and tags of the users it signs, so a value must never widen what the
//! template says: values with wildcards, white space or empty tokens are refused, and an allow list from which
//! everything fell away denies everything.

use crate::claims::{AccountClaims, UserClaims, UserTemplate};
use crate::permissions::denial::List;
use crate::subject::Pattern;

/// Most entries one list may expand to.
pub const ENTRIES_MAX: usize = 4096;

/// Why a template gives a user no permissions: authentication fails.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// A deny entry that would deny less than was meant.
    #[error("entry `{entry}` of the {list} cannot be expanded for this user: {why}")]
    DenyUnusable {
        /// The list.
        list: List,
        /// The entry as written.
        entry: String,
        /// What is undefined or malformed.
        why: String,
    },
    /// A placeholder that there is not.
    #[error("entry `{entry}` of the {list} has the unknown placeholder `{placeholder}`")]
    UnknownPlaceholder {
        /// The list.
        list: List,
        /// The entry as written.
        entry: String,
        /// What stands there.
        placeholder: String,
    },
    /// More than [`ENTRIES_MAX`] entries.
    #[error("the {list} expands to more than 4096 entries; give the user fewer tags")]
    TooManyEntries {
        /// The list.
        list: List,
    },
}

/// What placeholders stand for.
#[derive(Copy, Clone, Debug)]
pub struct Values<'a> {
    /// `{{name()}}`.
    pub name: &'a str,
    /// `{{subject()}}`.
    pub subject: &'a str,
    /// `{{account-name()}}`.
    pub account_name: &'a str,
    /// `{{account-subject()}}`.
    pub account_subject: &'a str,
    /// `{{tag(k)}}`.
    pub tags: &'a [String],
    /// `{{account-tag(k)}}`.
    pub account_tags: &'a [String],
}

/// Fills the placeholders of a template with a user's and its account's values.
///
/// # Errors
/// [`TemplateError`]; the user must then be refused.
pub fn expand(
    template: &UserTemplate,
    user: &UserClaims,
    account: &AccountClaims,
) -> Result<UserTemplate, TemplateError> {
    let account_subject = user.nats.issuer_account.map_or_else(String::new, |key| key.to_string());
    let values = Values {
        name: &user.name,
        subject: &user.subject.to_string(),
        account_name: &account.name,
        account_subject: &account_subject,
        tags: &user.nats.tags,
        account_tags: &account.nats.tags,
    };
    expand_values(template, &values)
}

/// As [`expand`], with the values at hand.
///
/// # Errors
/// [`TemplateError`]; the user must then be refused.
pub fn expand_values(template: &UserTemplate, values: &Values<'_>) -> Result<UserTemplate, TemplateError> {
    let mut expanded = template.clone();
    let permissions = &mut expanded.permissions;
    for (lists, allow, deny) in [
        (&mut permissions.publish, List::PublishAllow, List::PublishDeny),
        (&mut permissions.subscribe, List::SubscribeAllow, List::SubscribeDeny),
    ] {
        let restricted = !lists.allow.is_empty();
        lists.allow = expand_list(&lists.allow, allow, values)?;
        lists.deny = expand_list(&lists.deny, deny, values)?;
        // An empty allow list would allow everything.
        if restricted && lists.allow.is_empty() {
            lists.deny.push(">".to_owned());
        }
    }
    Ok(expanded)
}

fn expand_list(entries: &[String], list: List, values: &Values<'_>) -> Result<Vec<String>, TemplateError> {
    if !entries.iter().any(|entry| entry.contains("{{") || entry.contains("}}")) {
        return Ok(entries.to_vec());
    }
    let mut expanded = Vec::new();
    for entry in entries {
        let parts = parse(entry, list)?;
        match expand_entry(&parts, list, values, ENTRIES_MAX - expanded.len()) {
            Ok(results) => expanded.extend(results),
            Err(Unusable::TooMany) => return Err(TemplateError::TooManyEntries { list }),
            Err(Unusable::Value(why)) if matches!(list, List::PublishDeny | List::SubscribeDeny) => {
                return Err(TemplateError::DenyUnusable { list, entry: entry.clone(), why });
            }
            // Less is allowed than was meant, never more.
            Err(Unusable::Value(_)) => {}
        }
    }
    Ok(expanded)
}

/// A piece of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part<'e> {
    Text(&'e str),
    /// A placeholder, and what stands between its braces.
    Value(Placeholder, &'e str),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Placeholder {
    AccountName,
    AccountSubject,
    AccountTag(String),
    Name,
    Subject,
    Tag(String),
}

impl Placeholder {
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim().to_lowercase();
        let (name, argument) = text.strip_suffix(')')?.split_once('(')?;
        let argument = argument.trim();
        match (name.trim_end(), argument.is_empty()) {
            ("name", true) => Some(Self::Name),
            ("subject", true) => Some(Self::Subject),
            ("account-name", true) => Some(Self::AccountName),
            ("account-subject", true) => Some(Self::AccountSubject),
            ("tag", false) => Some(Self::Tag(argument.to_owned())),
            ("account-tag", false) => Some(Self::AccountTag(argument.to_owned())),
            _ => None,
        }
    }

    fn values<'a>(&self, values: &Values<'a>) -> Vec<&'a str> {
        let tagged = |tags: &'a [String], key: &str| {
            let value = |tag: &'a String| tag.strip_prefix(key).and_then(|rest| rest.strip_prefix(':'));
            tags.iter().filter_map(value).collect()
        };
        match self {
            Self::AccountName => vec![values.account_name],
            Self::AccountSubject => vec![values.account_subject],
            Self::AccountTag(key) => tagged(values.account_tags, key),
            Self::Name => vec![values.name],
            Self::Subject => vec![values.subject],
            Self::Tag(key) => tagged(values.tags, key),
        }
    }
}

fn parse(entry: &str, list: List) -> Result<Vec<Part<'_>>, TemplateError> {
    let unknown = |placeholder: &str| TemplateError::UnknownPlaceholder {
        list,
        entry: entry.to_owned(),
        placeholder: placeholder.to_owned(),
    };
    let mut parts = Vec::new();
    let mut rest = entry;
    while let Some((text, opened)) = rest.split_once("{{") {
        let (inside, after) = opened.split_once("}}").ok_or_else(|| unknown(opened))?;
        let placeholder = Placeholder::parse(inside).ok_or_else(|| unknown(inside))?;
        parts.push(Part::Text(text));
        parts.push(Part::Value(placeholder, inside));
        rest = after;
    }
    if rest.contains("}}") {
        return Err(unknown(rest));
    }
    parts.push(Part::Text(rest));
    Ok(parts)
}

/// Why an entry has no usable result.
enum Unusable {
    TooMany,
    Value(String),
}

/// Every combination of values; in an allow list those that make no entry are left out, in a deny list none may.
fn expand_entry(parts: &[Part<'_>], list: List, values: &Values<'_>, room: usize) -> Result<Vec<String>, Unusable> {
    // Textually identical placeholders always stand for the same value.
    let mut choices: Vec<(&str, Vec<&str>)> = Vec::new();
    let mut combinations: usize = 1;
    for part in parts {
        let Part::Value(placeholder, text) = part else {
            continue;
        };
        if choices.iter().any(|(known, _)| known == text) {
            continue;
        }
        let found = placeholder.values(values);
        if found.is_empty() {
            return Err(Unusable::Value(format!("`{{{{{text}}}}}` is not defined")));
        }
        combinations = combinations.saturating_mul(found.len());
        choices.push((text, found));
    }
    if combinations > room {
        return Err(Unusable::TooMany);
    }
    let deny = matches!(list, List::PublishDeny | List::SubscribeDeny);
    let mut results = Vec::with_capacity(combinations);
    for number in 0..combinations {
        match assemble(parts, &choices, number).and_then(|entry| check_entry(&entry, list).map(|()| entry)) {
            Ok(entry) => results.push(entry),
            Err(why) if deny => return Err(Unusable::Value(why)),
            Err(_) => {}
        }
    }
    Ok(results)
}

/// The entry of one combination, numbered in mixed radix.
fn assemble(parts: &[Part<'_>], choices: &[(&str, Vec<&str>)], number: usize) -> Result<String, String> {
    let mut entry = String::new();
    for part in parts {
        match part {
            Part::Text(text) => entry.push_str(text),
            Part::Value(_, text) => {
                let mut rest = number;
                for (name, found) in choices {
                    let value = rest.checked_rem(found.len()).and_then(|at| found.get(at));
                    rest = rest.checked_div(found.len()).unwrap_or(0);
                    if name == text {
                        let value = value.copied().unwrap_or_default();
                        entry.push_str(check_value(value).map_err(|why| format!("`{{{{{text}}}}}` {why}"))?);
                    }
                }
            }
        }
    }
    Ok(entry)
}

/// A value is one or more whole tokens without wildcards, whatever surrounds it.
fn check_value(value: &str) -> Result<&str, String> {
    let shown = value.escape_debug();
    if value.contains(['*', '>']) {
        return Err(format!("is `{shown}`, which contains a wildcard"));
    }
    Pattern::parse(value).map(|_| value).map_err(|error| format!("is no part of a subject: {error}"))
}

/// The result must be an entry: a subject, and in the subscribe lists a queue group if need be.
fn check_entry(entry: &str, list: List) -> Result<(), String> {
    let queue_allowed = matches!(list, List::SubscribeAllow | List::SubscribeDeny);
    let mut fields = entry.split_ascii_whitespace();
    let (Some(subject), queue, None) = (fields.next(), fields.next(), fields.next()) else {
        return Err(format!("`{}` is no entry", entry.escape_debug()));
    };
    if queue.is_some() && !queue_allowed {
        return Err("only subscriptions have queue groups".to_owned());
    }
    for text in std::iter::once(subject).chain(queue) {
        Pattern::parse(text).map_err(|error| error.to_string())?;
    }
    Ok(())
}

#[cfg(test)]
#[path = "template_tests.rs"]
mod tests;
