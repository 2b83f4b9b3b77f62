//! Exports, imports and activations.

use cordon_accounts::claims::{self, ExportKind, ResponseType, Sampling, ServiceLatency};
use cordon_accounts::key::AccountKey;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use utoipa::ToSchema;

use super::{Answer, Time};

const NANOS_PER_MILLI: i64 = 1_000_000;

/// A stream of messages, or a service that answers requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Requests flow to the exporter, answers back.
    Service,
    /// Messages flow from the exporter.
    Stream,
}

impl From<ExportKind> for Kind {
    fn from(kind: ExportKind) -> Self {
        match kind {
            ExportKind::Service => Self::Service,
            ExportKind::Stream => Self::Stream,
        }
    }
}

impl From<Kind> for ExportKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Service => Self::Service,
            Kind::Stream => Self::Stream,
        }
    }
}

/// How many answers a request has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ResponseKind {
    /// Many; differs from `stream` in name only.
    Chunked,
    /// One.
    Singleton,
    /// Many, until an empty one.
    Stream,
}

/// Latency sampling of a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Latency {
    /// Share of the requests that are measured; null for those whose headers ask for it.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 100)]
    pub sampling_percent: Option<i32>,
    /// Where the figures are published: a literal subject of the exporter.
    pub results: String,
}

/// An export of an account.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Export {
    /// Follows from kind and subject.
    pub id: String,
    /// Stream or service.
    pub kind: Kind,
    /// For people.
    pub name: String,
    /// The pattern on offer.
    pub subject: String,
    /// Whether importers need an activation.
    pub token_required: bool,
    /// How many answers a request has; services only.
    pub response_type: Option<ResponseKind>,
    /// How long an answer is waited for; 0 for two minutes; services only.
    pub response_threshold_ms: i64,
    /// Latency sampling; services only.
    pub latency: Option<Latency>,
    /// The token, counted from 1, that must be the importer's key; 0 for none.
    pub account_token_position: u32,
    /// Whether tools list it publicly.
    pub advertise: bool,
    /// Whether message traces go on inside; services only.
    pub allow_trace: bool,
    /// Prose.
    pub description: String,
    /// Where to read more.
    pub info_url: String,
    /// Activations taken back.
    pub revocations: Vec<ActivationRevocation>,
    /// The exporting account, for the location.
    #[serde(skip)]
    pub account: String,
    /// Version of the account: the ETag.
    #[serde(skip)]
    pub account_version: i64,
}

impl Answer for Export {
    fn version(&self) -> Option<i64> {
        Some(self.account_version)
    }

    fn location(&self) -> Option<String> {
        Some(format!("accounts/{}/exports/{}", self.account, self.id))
    }
}

/// No activation of this account that was issued at or before this time is good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ActivationRevocation {
    /// An account key, or `*` for all.
    pub account: String,
    /// The time.
    pub at: Time,
}

/// An export to be made, or its new form.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewExport {
    /// Stream or service.
    pub kind: Kind,
    /// The pattern on offer.
    pub subject: String,
    /// For people.
    #[serde(default)]
    pub name: String,
    /// Whether importers need an activation.
    #[serde(default)]
    pub token_required: bool,
    /// How many answers a request has; services only.
    #[serde(default)]
    pub response_type: Option<ResponseKind>,
    /// How long an answer is waited for; 0 for two minutes; services only.
    #[serde(default)]
    pub response_threshold_ms: i64,
    /// Latency sampling; services only.
    #[serde(default)]
    pub latency: Option<Latency>,
    /// The token, counted from 1, that must be the importer's key; 0 for none.
    #[serde(default)]
    pub account_token_position: u32,
    /// Whether tools list it publicly.
    #[serde(default)]
    pub advertise: bool,
    /// Whether message traces go on inside; services only.
    #[serde(default)]
    pub allow_trace: bool,
    /// Prose.
    #[serde(default)]
    pub description: String,
    /// Where to read more.
    #[serde(default)]
    pub info_url: String,
}

impl NewExport {
    /// The export of a claim; revocations of the present one are kept by the caller.
    ///
    /// # Errors
    ///
    /// The field and what is wrong with it, where the claim could not even say it.
    pub fn to_claim(&self) -> Result<claims::Export, (String, String)> {
        let service = self.kind == Kind::Service;
        let only_services = [
            ("response_type", self.response_type.is_some()),
            ("response_threshold_ms", self.response_threshold_ms != 0),
            ("latency", self.latency.is_some()),
            ("allow_trace", self.allow_trace),
        ];
        if let Some((field, _)) = only_services.into_iter().find(|(_, given)| *given && !service) {
            return Err((field.to_owned(), "this is for services only".to_owned()));
        }
        if self.response_threshold_ms < 0 {
            return Err(("response_threshold_ms".to_owned(), "a time cannot be negative".to_owned()));
        }
        let mut export = claims::Export::new(self.kind.into(), self.subject.clone());
        export.name.clone_from(&self.name);
        export.token_req = self.token_required;
        export.response_type = match self.response_type {
            Some(ResponseKind::Chunked) => ResponseType::Chunked,
            Some(ResponseKind::Stream) => ResponseType::Stream,
            Some(ResponseKind::Singleton) | None => ResponseType::Singleton,
        };
        export.response_threshold = self.response_threshold_ms.saturating_mul(NANOS_PER_MILLI);
        export.latency = self.latency.as_ref().map(|latency| ServiceLatency {
            sampling: latency.sampling_percent.map_or(Sampling::Headers, Sampling::Percent),
            results: latency.results.clone(),
        });
        export.account_token_position = self.account_token_position;
        export.advertise = self.advertise;
        export.allow_trace = self.allow_trace;
        export.description.clone_from(&self.description);
        export.info_url.clone_from(&self.info_url);
        Ok(export)
    }
}

impl Export {
    /// The export of an account at a version of it.
    pub fn of(account: &AccountKey, account_version: i64, claim: &claims::Export) -> Self {
        let service = claim.kind == ExportKind::Service;
        Self {
            id: export_id(claim.kind, &claim.subject),
            kind: claim.kind.into(),
            name: claim.name.clone(),
            subject: claim.subject.clone(),
            token_required: claim.token_req,
            response_type: service.then_some(match claim.response_type {
                ResponseType::Chunked => ResponseKind::Chunked,
                ResponseType::Singleton => ResponseKind::Singleton,
                ResponseType::Stream => ResponseKind::Stream,
            }),
            response_threshold_ms: claim.response_threshold / NANOS_PER_MILLI,
            latency: claim.latency.as_ref().map(|latency| Latency {
                sampling_percent: match latency.sampling {
                    Sampling::Headers => None,
                    Sampling::Percent(percent) => Some(percent),
                },
                results: latency.results.clone(),
            }),
            account_token_position: claim.account_token_position,
            advertise: claim.advertise,
            allow_trace: claim.allow_trace,
            description: claim.description.clone(),
            info_url: claim.info_url.clone(),
            revocations: claim
                .revocations
                .iter()
                .map(|(account, at)| ActivationRevocation { account: account.to_owned(), at: Time(at) })
                .collect(),
            account: account.to_string(),
            account_version,
        }
    }
}

/// An import of an account.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Import {
    /// Follows from kind, exporter and subjects.
    pub id: String,
    /// Stream or service.
    pub kind: Kind,
    /// For people.
    pub name: String,
    /// The exporter.
    pub account: String,
    /// The exporter's subject.
    pub subject: String,
    /// The importer's subject.
    pub local_subject: String,
    /// Whether it carries an activation.
    pub has_token: bool,
    /// Whether the exporter sees who asks; services only.
    pub share: bool,
    /// Whether message traces go on inside; streams only.
    pub allow_trace: bool,
    /// Whether it works.
    pub state: ImportState,
    /// Why not: a reason code.
    pub reason: Option<String>,
    /// Why not, in words.
    pub detail: Option<String>,
    /// The importing account, for the location.
    #[serde(skip)]
    pub importer: String,
    /// Version of the importing account: the ETag.
    #[serde(skip)]
    pub account_version: i64,
}

impl Answer for Import {
    fn version(&self) -> Option<i64> {
        Some(self.account_version)
    }

    fn location(&self) -> Option<String> {
        Some(format!("accounts/{}/imports/{}", self.importer, self.id))
    }
}

/// Whether an import works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ImportState {
    /// The exporter does not let it.
    Refused,
    /// The exporter is not known here.
    Waiting,
    /// Messages pass.
    Working,
}

/// An import to be made.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewImport {
    /// Stream or service.
    pub kind: Kind,
    /// The exporter.
    #[schema(value_type = String)]
    pub account: AccountKey,
    /// The exporter's subject.
    pub subject: String,
    /// The importer's subject; the exporter's when absent. `$1` stands for the first `*` of `subject`.
    #[serde(default)]
    pub local_subject: String,
    /// For people.
    #[serde(default)]
    pub name: String,
    /// The activation that a private export demands.
    #[serde(default)]
    pub token: String,
    /// Whether the exporter sees who asks; services only.
    #[serde(default)]
    pub share: bool,
    /// Whether message traces go on inside; streams only.
    #[serde(default)]
    pub allow_trace: bool,
}

impl NewImport {
    /// The import of a claim.
    pub fn to_claim(&self) -> claims::Import {
        let mut import = claims::Import::new(self.kind.into(), self.account, self.subject.clone());
        import.local_subject.clone_from(&self.local_subject);
        import.name.clone_from(&self.name);
        import.token.clone_from(&self.token);
        import.share = self.share;
        import.allow_trace = self.allow_trace;
        import
    }
}

impl Import {
    /// The import of an account at a version of it, as if it worked.
    pub fn of(importer: &AccountKey, account_version: i64, claim: &claims::Import) -> Self {
        Self {
            id: import_id(claim),
            kind: claim.kind.into(),
            name: claim.name.clone(),
            account: claim.account.to_string(),
            subject: claim.remote().to_owned(),
            local_subject: claim.local().into_owned(),
            has_token: !claim.token.is_empty(),
            share: claim.share,
            allow_trace: claim.allow_trace,
            state: ImportState::Working,
            reason: None,
            detail: None,
            importer: importer.to_string(),
            account_version,
        }
    }
}

/// The id of an export: what it is, and nothing that can be edited.
pub fn export_id(kind: ExportKind, subject: &str) -> String {
    digest(&[kind.name(), subject])
}

/// The id of an import.
pub fn import_id(import: &claims::Import) -> String {
    digest(&[import.kind.name(), &import.account.to_string(), import.remote(), &import.local()])
}

fn digest(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_be_bytes());
        hash.update(part.as_bytes());
    }
    let digest = hash.finalize();
    data_encoding::HEXLOWER.encode(digest.get(..8).unwrap_or_default())
}

/// An activation that was issued.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Activation {
    /// The importer's key, a dot, and the export's id.
    pub id: String,
    /// The exporting account.
    pub exporter: String,
    /// The account that may import.
    pub importer: String,
    /// The export's id.
    pub export: String,
    /// Stream or service.
    pub kind: Kind,
    /// What may be imported.
    pub subject: String,
    /// The `jti` of its token.
    pub jti: String,
    /// When it was issued.
    pub issued_at: Time,
    /// When it expires; null for never.
    pub expires_at: Option<Time>,
    /// Whether it was taken back.
    pub revoked: bool,
    /// Version of the account: the ETag.
    #[serde(skip)]
    pub account_version: i64,
}

/// An activation to be issued.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewActivation {
    /// The export's id.
    pub export: String,
    /// The account that may import.
    #[schema(value_type = String)]
    pub importer: AccountKey,
    /// A narrower subject than the export's.
    #[serde(default)]
    pub subject: Option<String>,
    /// When it expires.
    #[serde(default)]
    pub expires_at: Option<Time>,
    /// In how many seconds it expires; instead of `expires_at`.
    #[serde(default)]
    pub expires_in_seconds: Option<i64>,
}

/// An activation that was just issued, with its token for the importer.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct IssuedActivation {
    /// The activation.
    pub activation: Activation,
    /// The token. Good for this importer alone, and only until it is taken back. Null when the request is repeated.
    pub token: Option<String>,
}

impl Answer for IssuedActivation {
    fn blanked(&self) -> Value {
        serde_json::json!({ "activation": self.activation, "token": null })
    }

    fn version(&self) -> Option<i64> {
        Some(self.activation.account_version)
    }

    fn location(&self) -> Option<String> {
        Some(format!("accounts/{}/activations/{}", self.activation.exporter, self.activation.id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_tell_exports_apart_and_stay() {
        let stream = export_id(ExportKind::Stream, "a.>");
        assert_eq!(stream, export_id(ExportKind::Stream, "a.>"));
        assert_ne!(stream, export_id(ExportKind::Service, "a.>"));
        assert_ne!(stream, export_id(ExportKind::Stream, "a.*"));
        assert_eq!(stream.len(), 16);
    }

    #[test]
    fn what_is_for_services_is_refused_on_streams() {
        for (body, field) in [
            (r#"{"kind":"stream","subject":"a","response_type":"stream"}"#, "response_type"),
            (r#"{"kind":"stream","subject":"a","response_threshold_ms":1}"#, "response_threshold_ms"),
            (r#"{"kind":"stream","subject":"a","latency":{"results":"x"}}"#, "latency"),
            (r#"{"kind":"stream","subject":"a","allow_trace":true}"#, "allow_trace"),
            (r#"{"kind":"service","subject":"a","response_threshold_ms":-1}"#, "response_threshold_ms"),
        ] {
            let export: NewExport = serde_json::from_str(body).unwrap();
            assert_eq!(export.to_claim().unwrap_err().0, field, "{body}");
        }
    }
}
