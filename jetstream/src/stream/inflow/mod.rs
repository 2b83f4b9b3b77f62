//! Mirrors and sources: messages of other streams come in (jetstream.md 2.11).
//!
//! ```text
//! near      origins in the same account: pages of their stores
//! far       origins that are reached by messages: another account, another domain
//! request   what a far origin is asked       answer    what it says
//! taking    a message becomes one of this stream
//! position  how far each feed is, across restarts
//! ```

mod answer;
mod far;
mod near;
mod position;
mod request;
mod taking;

use std::borrow::Cow;
use std::sync::Arc;

use cordon_accounts::subject::{Pattern, Transform};

use super::state::SourceInfo;
use crate::api::ApiError;
use crate::config::{StreamConfig, StreamSource};
use crate::store::Filter;

use far::Far;
pub(super) use near::Wish;
pub(crate) use position::stamp;

/// How long a refused message waits.
const RETRY: i64 = 1_000_000_000;

/// Where messages come from.
#[derive(Debug, Default)]
pub(super) struct Inflow {
    pub(super) feeds: Vec<Feed>,
}

/// What does not change of a mirror or a source.
#[derive(Debug)]
struct Shape {
    source: StreamSource,
    mirror: bool,
    /// What tells it apart.
    identity: String,
    /// What headers call its origin.
    key: String,
    filter: Filter,
    transforms: Vec<(Pattern, Option<Transform>)>,
}

/// One mirror or source.
#[derive(Debug)]
pub(super) struct Feed {
    shape: Arc<Shape>,
    /// The next sequence of the origin that is wanted; 0 if that follows from the start options.
    next: u64,
    /// When the near origin was made that `next` is about.
    origin: i64,
    lag: u64,
    heard: Option<i64>,
    error: Option<ApiError>,
    /// Nothing is read before then: a message was refused.
    not_before: i64,
    /// How the origin is reached, if it is not in this account.
    far: Option<Box<Far>>,
}

impl Shape {
    fn new(source: &StreamSource, mirror: bool, far: bool) -> Self {
        let all = || Pattern::everything();
        let transforms: Vec<(Pattern, Option<Transform>)> = source
            .subject_transforms
            .iter()
            .map(|one| {
                let src = Pattern::parse(&one.src).unwrap_or_else(|_| all());
                let transform = if one.dest.is_empty() { None } else { Transform::new(src.as_str(), &one.dest).ok() };
                (src, transform)
            })
            .collect();
        let filter = if transforms.is_empty() {
            Filter::of(Pattern::parse(&source.filter_subject).ok())
        } else {
            Filter::of(transforms.iter().map(|(src, _)| src.clone()))
        };
        Self {
            identity: crate::config::origin::identity(source),
            key: position::key(source, far),
            source: source.clone(),
            mirror,
            filter,
            transforms,
        }
    }

    /// What becomes of a subject, and the destination of the transform that did it.
    fn transform<'a>(&self, subject: &'a [u8]) -> (Cow<'a, [u8]>, Option<&Transform>) {
        let transform = self.transforms.iter().find(|(src, _)| src.matches(subject)).and_then(|(_, one)| one.as_ref());
        match transform.and_then(|transform| transform.apply(subject, |below| u32::from(below > 1))) {
            Some(made) => (Cow::Owned(made), transform),
            None => (Cow::Borrowed(subject), None),
        }
    }

    /// The error of a feed that cannot be set up.
    fn failed(&self, why: &str) -> ApiError {
        if self.mirror {
            ApiError::mirror_consumer_setup_failed(why)
        } else {
            ApiError::source_consumer_setup_failed(why)
        }
    }
}

impl Feed {
    fn new(source: &StreamSource, mirror: bool, domain: Option<&str>) -> Self {
        let own = domain.map(|domain| format!("$JS.{domain}.API"));
        let far = source.external.as_ref().filter(|external| Some(&external.api) != own.as_ref());
        Self {
            shape: Arc::new(Shape::new(source, mirror, far.is_some())),
            next: 0,
            origin: 0,
            lag: 0,
            heard: None,
            error: None,
            not_before: 0,
            far: far.map(|_| Box::default()),
        }
    }

    fn info(&self, now: i64) -> SourceInfo {
        let source = &self.shape.source;
        let since = |heard: i64| now.saturating_sub(heard).max(0);
        SourceInfo {
            name: source.name.clone(),
            external: source.external.clone(),
            lag: self.lag,
            active: match (&self.error, self.heard) {
                (_, None) => -1,
                (None, Some(_)) if self.far.is_none() => 0,
                (_, Some(heard)) => since(heard),
            },
            error: self.error.clone(),
            filter_subject: source.filter_subject.clone(),
            subject_transforms: source.subject_transforms.clone(),
        }
    }
}

impl Inflow {
    /// The feeds of a configuration; those that were there go on where they are. Gives those that are no more.
    pub(super) fn configure(&mut self, config: &StreamConfig, domain: Option<&str>) -> Vec<Feed> {
        let mut before = std::mem::take(&mut self.feeds);
        let mirror = config.mirror.iter().map(|source| Feed::new(source, true, domain));
        let sources = config.sources.iter().map(|source| Feed::new(source, false, domain));
        for feed in mirror.chain(sources) {
            let same = |old: &Feed| old.shape.identity == feed.shape.identity && old.shape.mirror == feed.shape.mirror;
            match before.iter().position(same) {
                Some(at) => self.feeds.push(before.swap_remove(at)),
                None => self.feeds.push(feed),
            }
        }
        before
    }

    pub(super) fn mirror_info(&self, now: i64) -> Option<SourceInfo> {
        self.feeds.iter().find(|feed| feed.shape.mirror).map(|feed| feed.info(now))
    }

    pub(super) fn source_infos(&self, now: i64) -> Vec<SourceInfo> {
        self.feeds.iter().filter(|feed| !feed.shape.mirror).map(|feed| feed.info(now)).collect()
    }

    /// Some origin is a stream of this account.
    pub(super) fn has_near(&self) -> bool {
        self.feeds.iter().any(|feed| feed.far.is_none())
    }

    /// When a refused message is tried again, or something is due with a far origin.
    pub(super) fn deadline(&self) -> Option<i64> {
        let refused = self.feeds.iter().map(|feed| feed.not_before).filter(|at| *at > 0);
        refused.chain(self.feeds.iter().filter_map(|feed| feed.far.as_ref().map(|far| far.deadline()))).min()
    }
}
