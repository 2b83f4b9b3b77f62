//! The scenarios: each says what it measures, how clients are let in, and how it is run.
//!
//! To add one: write its file with a `Scenario` constant (or a function that makes one), and name it in
//! [`all`]. A scenario opens its connections with `run.dialer(tenant)`, measures with `run.window(..)`, and
//! must fail if anything that it sent did not arrive exactly once.

mod connections;
mod fan_out;
mod four_to_four;
mod headers;
mod imports;
mod neighbour;
mod one_to_one;
mod publish_only;
mod queue;
mod removal;
mod request_reply;
mod steady;
mod subscriptions;
mod tenants;

use anyhow::{Result, bail};

pub(crate) use self::connections::connect as connect_many;
pub(crate) use self::subscriptions::insert as insert_subscriptions;
use crate::figure::Figure;
use crate::run::Run;
use crate::security::Entry;

/// Measures one fresh server.
pub(crate) type Measure = fn(&Run<'_>) -> Result<Vec<Figure>>;

/// One thing to measure.
#[derive(Clone, Copy)]
pub(crate) struct Scenario {
    /// What `--scenario` calls it.
    pub(crate) name: &'static str,
    /// What tables call it; ends with what is counted unless that is messages.
    pub(crate) title: &'static str,
    /// How clients are let in.
    pub(crate) entry: Entry,
    /// Whether the forwarder can carry the same traffic, and so say what the limit is.
    pub(crate) limit: bool,
    /// Measures it.
    pub(crate) measure: Measure,
}

/// All scenarios, in the order of the tables.
pub(crate) fn all() -> Vec<Scenario> {
    let mut all = Vec::new();
    all.extend(publish_only::SCENARIOS);
    all.extend(one_to_one::SCENARIOS);
    all.extend(four_to_four::SCENARIOS);
    all.extend(fan_out::SCENARIOS);
    all.extend(queue::SCENARIOS);
    all.extend(headers::SCENARIOS);
    all.extend(subscriptions::SCENARIOS);
    all.extend(removal::SCENARIOS);
    all.extend(request_reply::SCENARIOS);
    all.extend(steady::SCENARIOS);
    all.extend(one_to_one::TLS_SCENARIOS);
    all.extend(tenants::SCENARIOS);
    all.extend(imports::SCENARIOS);
    all.extend(neighbour::SCENARIOS);
    all.extend(connections::SCENARIOS);
    all
}

/// The scenarios that a forwarder can carry.
pub(crate) fn forwarded() -> Vec<Scenario> {
    all().into_iter().filter(|scenario| scenario.limit).collect()
}

/// The scenarios of `names`, or all when there are none.
///
/// # Errors
///
/// When a name is unknown; with those that exist.
pub(crate) fn chosen(names: &[String]) -> Result<Vec<Scenario>> {
    let all = all();
    if let Some(unknown) = names.iter().find(|name| all.iter().all(|scenario| scenario.name != name.as_str())) {
        let known: Vec<_> = all.iter().map(|scenario| scenario.name).collect();
        bail!("there is no scenario `{unknown}`; there are {}", known.join(", "));
    }
    Ok(all.into_iter().filter(|scenario| names.is_empty() || names.iter().any(|name| name == scenario.name)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = all().iter().map(|scenario| scenario.name).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn an_unknown_name_is_refused() {
        assert!(chosen(&["one_to_one_16".to_owned(), "no_such".to_owned()]).is_err());
        assert_eq!(chosen(&["one_to_one_16".to_owned()]).unwrap().len(), 1);
        assert_eq!(chosen(&[]).unwrap().len(), all().len());
    }
}
