//! An account's subject mappings: which subject a message that enters the account travels under.

use std::collections::{BTreeMap, HashMap};

use super::pattern::{Pattern, SubjectError};
use super::transform::{Transform, TransformError};
use crate::claims;

/// One weighted destination, independent of where it was configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// The destination, with transform functions.
    pub subject: String,
    /// Percent of the messages, 0 to 100.
    pub percent: u8,
    /// The cluster it holds in; every cluster when `None`.
    pub cluster: Option<String>,
}

/// The mappings of one account, compiled for one cluster.
///
/// Where several sources match, a literal one wins, then the most specific by [`Pattern::by_specificity`]; upstream
/// leaves that to the order of a hash map.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mappings {
    literals: HashMap<Box<[u8]>, Choice, foldhash::fast::RandomState>,
    /// Most specific first.
    wildcards: Vec<(Pattern, Choice)>,
}

/// What becomes of a subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MapOutcome {
    /// Dropped: the source was listed among its destinations and their weights leave a rest.
    Dropped,
    /// It travels under this one instead.
    Mapped(Vec<u8>),
    /// It stays.
    Unchanged,
}

/// A source that was left out, and why; the others hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("mapping of `{from}` is left out: {error}")]
pub struct MappingProblem {
    /// The source as written.
    pub from: String,
    /// What is wrong.
    pub error: MappingError,
}

/// What is wrong with a mapping.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MappingError {
    /// The same destination twice.
    #[error("destination `{0}` is listed twice")]
    DuplicateDestination(String),
    /// The source is no pattern.
    #[error("{0}")]
    Source(#[from] SubjectError),
    /// A destination is at fault.
    #[error("{0}")]
    Transform(#[from] TransformError),
    /// A weight, or the sum for one cluster, over 100.
    #[error("the weights add up to {0}, over 100")]
    Weights(u32),
}

/// The destinations of one source, with cumulative weights.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Choice {
    destinations: Vec<(u32, Transform)>,
    drops_rest: bool,
}

impl Mappings {
    /// Compiles the mappings of an account's claims for a broker of `cluster`.
    ///
    /// A source with a problem is left out; the rest holds, as upstream does it.
    pub fn compile(
        mappings: &BTreeMap<String, Vec<claims::Mapping>>,
        cluster: Option<&str>,
    ) -> (Self, Vec<MappingProblem>) {
        let destination = |mapping: &claims::Mapping| Destination {
            subject: mapping.subject.clone(),
            percent: mapping.percent(),
            cluster: (!mapping.cluster.is_empty()).then(|| mapping.cluster.clone()),
        };
        let sources = mappings.iter().map(|(from, to)| (from.clone(), to.iter().map(destination).collect()));
        Self::from_destinations(sources, cluster)
    }

    /// As [`Mappings::compile`], from destinations of any origin.
    pub fn from_destinations(
        sources: impl IntoIterator<Item = (String, Vec<Destination>)>,
        cluster: Option<&str>,
    ) -> (Self, Vec<MappingProblem>) {
        let mut compiled = Self::default();
        let mut problems = Vec::new();
        for (from, destinations) in sources {
            match Choice::compile(&from, &destinations, cluster) {
                Ok((source, choice)) if source.is_literal() => {
                    compiled.literals.insert(source.as_bytes().into(), choice);
                }
                Ok(wildcard) => compiled.wildcards.push(wildcard),
                Err(error) => problems.push(MappingProblem { from, error }),
            }
        }
        compiled.wildcards.sort_by(|(one, _), (other, _)| one.by_specificity(other));
        (compiled, problems)
    }

    /// True if no subject is ever changed, so that callers need not ask.
    pub fn is_empty(&self) -> bool {
        self.literals.is_empty() && self.wildcards.is_empty()
    }

    /// Says what becomes of a published subject. The result is not mapped again.
    ///
    /// `draw(n)` gives a uniform number below `n`.
    pub fn map(&self, subject: &[u8], mut draw: impl FnMut(u32) -> u32) -> MapOutcome {
        let choice = self
            .literals
            .get(subject)
            .or_else(|| self.wildcards.iter().find(|(source, _)| source.matches(subject)).map(|(_, choice)| choice));
        let Some(choice) = choice else {
            return MapOutcome::Unchanged;
        };
        match choice.pick(&mut draw) {
            Some(transform) if transform.is_identity() => MapOutcome::Unchanged,
            Some(transform) => transform.apply(subject, draw).map_or(MapOutcome::Unchanged, MapOutcome::Mapped),
            None if choice.drops_rest => MapOutcome::Dropped,
            None => MapOutcome::Unchanged,
        }
    }

    /// The subjects and patterns that are mapped, in no order.
    pub fn sources(&self) -> impl Iterator<Item = &[u8]> {
        let wildcards = self.wildcards.iter().map(|(source, _)| source.as_bytes());
        self.literals.keys().map(|literal| &**literal).chain(wildcards)
    }

    /// The source that decides about `subject`, for explanations.
    pub fn source_of(&self, subject: &[u8]) -> Option<String> {
        if self.literals.contains_key(subject) {
            return Some(String::from_utf8_lossy(subject).into_owned());
        }
        self.wildcards.iter().find(|(source, _)| source.matches(subject)).map(|(source, _)| source.to_string())
    }
}

impl Choice {
    fn compile(
        from: &str,
        destinations: &[Destination],
        cluster: Option<&str>,
    ) -> Result<(Pattern, Self), MappingError> {
        let source = Pattern::parse(from)?;
        // Every group is checked, so that one account's mappings hold in all clusters or in none.
        let mut sums: BTreeMap<Option<&str>, u32> = BTreeMap::new();
        let mut compiled = Vec::new();
        for (at, destination) in destinations.iter().enumerate() {
            let group = destination.cluster.as_deref();
            let mut earlier = destinations.iter().take(at);
            if earlier.any(|other| other.subject == destination.subject && other.cluster.as_deref() == group) {
                return Err(MappingError::DuplicateDestination(destination.subject.clone()));
            }
            let sum = sums.entry(group).or_default();
            *sum += u32::from(destination.percent);
            if *sum > 100 {
                return Err(MappingError::Weights(*sum));
            }
            let same = destination.subject == from;
            let transform =
                if same { Transform::identity(&source)? } else { Transform::mapping(from, &destination.subject)? };
            compiled.push((group, *sum, transform, same));
        }
        let group = cluster.filter(|name| sums.contains_key(&Some(*name)));
        let mut choice = Self::default();
        for (of, sum, transform, same) in compiled {
            if of == group {
                choice.destinations.push((sum, transform));
                choice.drops_rest |= same;
            }
        }
        Ok((source, choice))
    }

    fn pick(&self, draw: &mut impl FnMut(u32) -> u32) -> Option<&Transform> {
        if let [(100, only)] = self.destinations.as_slice() {
            return Some(only);
        }
        let drawn = if self.destinations.is_empty() { 0 } else { draw(100) };
        self.destinations.iter().find(|(sum, _)| drawn < *sum).map(|(_, transform)| transform)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(subject: &str, percent: u8, cluster: &str) -> Destination {
        let cluster = (!cluster.is_empty()).then(|| cluster.to_owned());
        Destination { subject: subject.to_owned(), percent, cluster }
    }

    fn compile(sources: &[(&str, Vec<Destination>)], cluster: Option<&str>) -> Mappings {
        let sources = sources.iter().map(|(from, to)| ((*from).to_owned(), to.clone()));
        let (mappings, problems) = Mappings::from_destinations(sources, cluster);
        assert_eq!(problems, vec![]);
        mappings
    }

    #[test]
    fn mappings_are_empty_when_no_subject_is_ever_changed() {
        assert!(Mappings::default().is_empty());
        for source in ["a", "a.*"] {
            assert!(!compile(&[(source, vec![to("b", 100, "")])], None).is_empty(), "{source}");
        }
    }

    fn mapped(mappings: &Mappings, subject: &str) -> String {
        match mappings.map(subject.as_bytes(), |_| 0) {
            MapOutcome::Mapped(subject) => String::from_utf8(subject).unwrap(),
            other => format!("{other:?}"),
        }
    }

    fn shares(mappings: &Mappings, subject: &str) -> BTreeMap<String, u32> {
        let mut shares = BTreeMap::new();
        for drawn in 0..100 {
            let outcome = match mappings.map(subject.as_bytes(), |_| drawn) {
                MapOutcome::Mapped(subject) => String::from_utf8(subject).unwrap(),
                other => format!("{other:?}"),
            };
            *shares.entry(outcome).or_default() += 1;
        }
        shares
    }

    #[test]
    fn literal_then_most_specific_source_wins() {
        let sources = [">", "a.>", "a.*.c", "a.b.*", "a.b.c", "*.b.c"];
        let all: Vec<(&str, Vec<Destination>)> =
            sources.iter().map(|s| (*s, vec![to(&format!("to.{}", s.replace(['*', '>'], "w")), 100, "")])).collect();
        let all: Vec<_> = all
            .into_iter()
            .map(|(from, mut to)| {
                if from.ends_with('>') {
                    to[0].subject.push_str(".>");
                }
                (from, to)
            })
            .collect();
        for rotation in 0..all.len() {
            let mut order = all.clone();
            order.rotate_left(rotation);
            let mappings = compile(&order, None);
            assert_eq!(mapped(&mappings, "a.b.c"), "to.a.b.c");
            assert_eq!(mapped(&mappings, "a.b.x"), "to.a.b.w");
            assert_eq!(mapped(&mappings, "a.x.c"), "to.a.w.c");
            assert_eq!(mapped(&mappings, "x.b.c"), "to.w.b.c");
            assert_eq!(mapped(&mappings, "a.x"), "to.a.w.x");
            assert_eq!(mapped(&mappings, "x"), "to.w.x");
        }
    }

    #[test]
    fn weights_share_the_messages_out_and_the_rest_stays() {
        let mappings = compile(&[("foo", vec![to("a", 30, ""), to("b", 50, "")])], None);
        let wanted = [("a", 30), ("b", 50), ("Unchanged", 20)];
        assert_eq!(shares(&mappings, "foo"), wanted.map(|(k, v)| (k.to_owned(), v)).into());
    }

    #[test]
    fn a_source_among_its_destinations_loses_the_rest() {
        let mappings = compile(&[("foo", vec![to("foo", 80, "")])], None);
        let wanted = [("Unchanged", 80), ("Dropped", 20)];
        assert_eq!(shares(&mappings, "foo"), wanted.map(|(k, v)| (k.to_owned(), v)).into());
        let mappings = compile(&[("foo.>", vec![to("foo.>", 0, "")])], None);
        assert_eq!(shares(&mappings, "foo.x"), [("Dropped".to_owned(), 100)].into());
    }

    #[test]
    fn the_local_clusters_group_is_used_then_the_unnamed_one_then_none() {
        let sources = [("foo", vec![to("everywhere", 100, ""), to("east", 100, "east")])];
        assert_eq!(mapped(&compile(&sources, Some("east")), "foo"), "east");
        assert_eq!(mapped(&compile(&sources, Some("west")), "foo"), "everywhere");
        assert_eq!(mapped(&compile(&sources, None), "foo"), "everywhere");
        let named = [("foo", vec![to("east", 100, "east")])];
        assert_eq!(mapped(&compile(&named, Some("west")), "foo"), "Unchanged");
    }

    #[test]
    fn a_bad_source_is_left_out_and_the_others_hold() {
        let bad: [(&str, Vec<Destination>); 7] = [
            ("a..b", vec![to("x", 100, "")]),
            ("b", vec![to("x", 60, ""), to("y", 41, "")]),
            ("c", vec![to("x", 101, "")]),
            ("d", vec![to("x", 10, ""), to("x", 10, "")]),
            ("e.*", vec![to("x.{{left(1,1)}}", 100, "")]),
            ("f", vec![to("x.$1", 100, "")]),
            ("g", vec![to("fine", 100, ""), to("x..y", 100, "elsewhere")]),
        ];
        let good = ("ok", vec![to("x", 100, "east"), to("y", 100, "west"), to("x", 50, "")]);
        let sources = bad.iter().chain([&good]).map(|(from, to)| ((*from).to_owned(), to.clone()));
        let (mappings, problems) = Mappings::from_destinations(sources, Some("west"));
        assert_eq!(problems.len(), bad.len(), "{problems:?}");
        assert_eq!(mapped(&mappings, "ok"), "y");
        assert_eq!(mapped(&mappings, "b"), "Unchanged");
    }

    #[test]
    fn claims_read_an_absent_weight_as_all() {
        let mapping = claims::Mapping { subject: "bar.$1".into(), ..claims::Mapping::default() };
        let (mappings, problems) = Mappings::compile(&[("foo.*".to_owned(), vec![mapping])].into(), None);
        assert!(problems.is_empty() && !mappings.is_empty());
        assert_eq!(mapped(&mappings, "foo.x"), "bar.x");
        assert_eq!(mappings.source_of(b"foo.x").as_deref(), Some("foo.*"));
        assert_eq!(mappings.map(b"other", |_| 0), MapOutcome::Unchanged);
    }
}
