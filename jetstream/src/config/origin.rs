//! What a mirror or a source may be (jetstream.md 2.11).

use std::collections::BTreeSet;

use cordon_accounts::subject::{Pattern, Transform};

use super::check::Surroundings;
use super::{StreamConfig, StreamSource, is_name};
use crate::api::ApiError;

/// Checks the mirror and the sources of a configuration.
pub(super) fn check(config: &mut StreamConfig, around: &Surroundings<'_>) -> Result<(), ApiError> {
    if config.mirror.is_some() {
        mirror(config, around)?;
    }
    if !config.sources.is_empty() {
        sources(config, around)?;
    }
    if has_cycle(config, around) {
        return Err(ApiError::stream_invalid_config("detected cycle"));
    }
    Ok(())
}

/// The refusals that differ between mirrors and sources.
struct Words {
    filter_and_transforms: fn() -> ApiError,
    transform_source: fn(&dyn std::fmt::Display) -> ApiError,
    transform: fn(&dyn std::fmt::Display) -> ApiError,
    overlap: fn() -> ApiError,
    consumer: fn() -> ApiError,
}

const MIRROR: Words = Words {
    filter_and_transforms: ApiError::mirror_multiple_filters_not_allowed,
    transform_source: |error| ApiError::mirror_invalid_subject_filter(error),
    transform: |error| ApiError::mirror_invalid_transform_destination(error),
    overlap: ApiError::mirror_overlapping_subject_filters,
    consumer: ApiError::mirror_consumer_invalid,
};

const SOURCE: Words = Words {
    filter_and_transforms: ApiError::source_multiple_filters_not_allowed,
    transform_source: |error| ApiError::source_invalid_subject_filter(error),
    transform: |error| ApiError::source_invalid_transform_destination(error),
    overlap: ApiError::source_overlapping_subject_filters,
    consumer: ApiError::source_consumer_invalid,
};

fn mirror(config: &mut StreamConfig, around: &Surroundings<'_>) -> Result<(), ApiError> {
    let Some(mirror) = &config.mirror else { return Ok(()) };
    if config.first_seq > 0 {
        return Err(ApiError::mirror_with_first_sequence());
    }
    if !config.subjects.is_empty() {
        return Err(ApiError::mirror_with_subjects());
    }
    if !config.sources.is_empty() {
        return Err(ApiError::mirror_with_sources());
    }
    if config.allow_atomic {
        return Err(ApiError::mirror_with_atomic_publish());
    }
    if config.allow_batched {
        return Err(ApiError::mirror_with_batch_publish());
    }
    if mirror.external.is_none() && (!is_name(&mirror.name) || mirror.name == config.name) {
        return Err(ApiError::mirror_invalid_stream_name());
    }
    one(mirror, &MIRROR)?;
    external(mirror, config)?;
    if mirror.external.is_none()
        && let Some(origin) = (around.stream)(&mirror.name)
    {
        if config.max_msg_size > 0 && (origin.max_msg_size > config.max_msg_size || origin.max_msg_size < 0) {
            return Err(ApiError::mirror_max_message_size_too_big());
        }
        if config.mirror_direct != origin.allow_direct {
            if around.pedantic {
                return Err(ApiError::pedantic("origin stream has direct get set, mirror has it disabled"));
            }
            config.mirror_direct = origin.allow_direct;
        }
    }
    Ok(())
}

fn sources(config: &StreamConfig, around: &Surroundings<'_>) -> Result<(), ApiError> {
    let mut seen = BTreeSet::new();
    let mut consumers = BTreeSet::new();
    for source in &config.sources {
        if source.external.is_none() && !is_name(&source.name) {
            return Err(ApiError::source_invalid_stream_name());
        }
        if !seen.insert(identity(source)) {
            return Err(ApiError::source_duplicate_detected());
        }
        one(source, &SOURCE)?;
        if let Some(consumer) = &source.consumer
            && !consumers.insert((&source.name, &consumer.name))
        {
            return Err(ApiError::source_consumer_duplicate());
        }
        external(source, config)?;
        if source.external.is_none()
            && let Some(origin) = (around.stream)(&source.name)
            && config.max_msg_size > 0
            && origin.max_msg_size > config.max_msg_size
        {
            return Err(ApiError::source_max_message_size_too_big());
        }
    }
    Ok(())
}

/// What tells two sources apart.
pub(crate) fn identity(source: &StreamSource) -> String {
    let mut start = source.clone();
    start.opt_start_seq = 0;
    start.opt_start_time = None;
    serde_json::to_string(&start).unwrap_or_default()
}

fn one(source: &StreamSource, words: &Words) -> Result<(), ApiError> {
    if source.opt_start_seq > 0 && source.opt_start_time.is_some() {
        return Err(ApiError::stream_invalid_config("a start sequence and a start time can not both be configured"));
    }
    if !source.filter_subject.is_empty() {
        if !source.subject_transforms.is_empty() {
            return Err((words.filter_and_transforms)());
        }
        Pattern::parse(&source.filter_subject).map_err(|error| (words.transform_source)(&error))?;
    }
    let mut filters: Vec<Pattern> = Vec::new();
    for transform in &source.subject_transforms {
        let src = if transform.src.is_empty() { ">" } else { &transform.src };
        let filter = Pattern::parse(src).map_err(|error| (words.transform_source)(&error))?;
        if !transform.dest.is_empty() {
            Transform::new(src, &transform.dest).map_err(|error| (words.transform)(&error))?;
        }
        if filters.iter().any(|other| other.overlaps(&filter)) {
            return Err((words.overlap)());
        }
        filters.push(filter);
    }
    if let Some(consumer) = &source.consumer {
        let literal = Pattern::parse(&consumer.deliver_subject).is_ok_and(|subject| subject.is_literal());
        let plain = source.opt_start_seq == 0
            && source.opt_start_time.is_none()
            && source.filter_subject.is_empty()
            && source.subject_transforms.is_empty();
        if !is_name(&consumer.name) || !literal || !plain {
            return Err((words.consumer)());
        }
    }
    Ok(())
}

fn external(source: &StreamSource, config: &StreamConfig) -> Result<(), ApiError> {
    let Some(external) = &source.external else { return Ok(()) };
    if !is_name(&source.name) {
        return Err(ApiError::source_invalid_stream_name());
    }
    let below = |prefix: &str| Pattern::parse(&format!("{prefix}.>")).ok();
    let api = below(&external.api)
        .ok_or_else(|| ApiError::stream_invalid_config("the external api prefix is not a subject"))?;
    if below("$JS.API").is_some_and(|own| own.overlaps(&api)) {
        return Err(ApiError::stream_external_api_overlap(&external.api, "$JS.API.>"));
    }
    if external.deliver.is_empty() {
        return Ok(());
    }
    let deliver = Pattern::parse(&external.deliver)
        .map_err(|_| ApiError::stream_external_deliver_wildcards(&external.deliver))?;
    if !deliver.is_literal() {
        return Err(ApiError::stream_external_deliver_wildcards(&external.deliver));
    }
    for subject in config.subjects.iter().filter_map(|subject| Pattern::parse(subject).ok()) {
        if below(&external.deliver).is_some_and(|deliver| deliver.overlaps(&subject)) {
            return Err(ApiError::stream_external_deliver_overlap(&external.deliver, subject));
        }
    }
    Ok(())
}

/// Some stream would get its own messages back: a circle of local origins, none of which filters.
fn has_cycle(config: &StreamConfig, around: &Surroundings<'_>) -> bool {
    let mut left = origins(config);
    let mut seen = BTreeSet::new();
    while let Some(name) = left.pop() {
        if name == config.name {
            return true;
        }
        if seen.insert(name.clone())
            && let Some(origin) = (around.stream)(&name)
        {
            left.extend(origins(&origin));
        }
    }
    false
}

fn origins(config: &StreamConfig) -> Vec<String> {
    config
        .mirror
        .iter()
        .chain(&config.sources)
        .filter(|source| {
            source.external.is_none() && source.filter_subject.is_empty() && source.subject_transforms.is_empty()
        })
        .map(|source| source.name.clone())
        .collect()
}
