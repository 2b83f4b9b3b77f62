//! Exports: what an account offers to others.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::revocation::Revocations;
use super::{is_default, is_false};

/// An offer: a stream of messages, or a service that answers requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Export {
    /// A name for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The pattern on offer, in the exporter's subject space.
    pub subject: String,
    /// Stream or service.
    #[serde(rename = "type")]
    pub kind: ExportKind,
    /// Whether importers need an activation.
    #[serde(default, skip_serializing_if = "is_false")]
    pub token_req: bool,
    /// Activations taken back, by importing account.
    #[serde(default, skip_serializing_if = "Revocations::is_empty")]
    pub revocations: Revocations,
    /// How many answers one request has; services only.
    #[serde(default, skip_serializing_if = "is_default")]
    pub response_type: ResponseType,
    /// Nanoseconds to wait for an answer, 0 for two minutes; services only.
    #[serde(default, skip_serializing_if = "is_default")]
    pub response_threshold: i64,
    /// Latency sampling; services only.
    #[serde(rename = "service_latency", default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<ServiceLatency>,
    /// The token, counted from 1, that must be the importer's key; 0 for none.
    #[serde(default, skip_serializing_if = "is_default")]
    pub account_token_position: u32,
    /// Whether tools list it publicly.
    #[serde(default, skip_serializing_if = "is_false")]
    pub advertise: bool,
    /// Whether message traces go on inside; services only.
    #[serde(default, skip_serializing_if = "is_false")]
    pub allow_trace: bool,
    /// Prose, at most 8 KiB.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Where to read more, at most 8 KiB.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub info_url: String,
}

impl Export {
    /// A public export without conditions.
    pub fn new(kind: ExportKind, subject: impl Into<String>) -> Self {
        Self {
            name: String::new(),
            subject: subject.into(),
            kind,
            token_req: false,
            revocations: Revocations::default(),
            response_type: ResponseType::default(),
            response_threshold: 0,
            latency: None,
            account_token_position: 0,
            advertise: false,
            allow_trace: false,
            description: String::new(),
            info_url: String::new(),
        }
    }
}

/// Whether messages flow out (a stream) or requests flow in and answers out (a service).
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ExportKind {
    /// Requests flow in, answers out.
    Service,
    /// Messages flow out.
    Stream,
}

impl ExportKind {
    /// The word on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::Stream => "stream",
        }
    }
}

impl fmt::Display for ExportKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// How many answers a request to a service has.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ResponseType {
    /// Many; differs from `Stream` in name only.
    Chunked,
    /// One.
    #[default]
    #[serde(alias = "")]
    Singleton,
    /// Many, until an empty one.
    Stream,
}

/// Latency sampling of a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceLatency {
    /// Which requests are measured.
    #[serde(default)]
    pub sampling: Sampling,
    /// Where the figures are published: a literal subject of the exporter.
    #[serde(default)]
    pub results: String,
}

/// Which requests are measured.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum Sampling {
    /// Those whose headers ask for it; also how 0 reads.
    #[default]
    Headers,
    /// This share of all, 1 to 100.
    Percent(i32),
}

impl Serialize for Sampling {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Headers => serializer.serialize_str("headers"),
            Self::Percent(percent) => serializer.serialize_i32(*percent),
        }
    }
}

impl<'de> Deserialize<'de> for Sampling {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SamplingVisitor)
    }
}

struct SamplingVisitor;

impl de::Visitor<'_> for SamplingVisitor {
    type Value = Sampling;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a percentage or \"headers\"")
    }

    fn visit_i64<E: de::Error>(self, percent: i64) -> Result<Sampling, E> {
        match i32::try_from(percent) {
            Ok(0) => Ok(Sampling::Headers),
            Ok(percent) => Ok(Sampling::Percent(percent)),
            Err(_) => Err(E::invalid_value(de::Unexpected::Signed(percent), &self)),
        }
    }

    fn visit_u64<E: de::Error>(self, percent: u64) -> Result<Sampling, E> {
        let signed = i64::try_from(percent).map_err(|_| E::invalid_value(de::Unexpected::Unsigned(percent), &self))?;
        self.visit_i64(signed)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Sampling, E> {
        if text.eq_ignore_ascii_case("headers") {
            Ok(Sampling::Headers)
        } else {
            Err(E::invalid_value(de::Unexpected::Str(text), &self))
        }
    }
}
