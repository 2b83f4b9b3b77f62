//! Crossings: one import that holds, in the form the border uses.

use super::export::{Export, Latency};
use super::import::{Import, Naming};
use crate::claims::{ExportKind, ResponseType};
use crate::name::AccountName;
use crate::subject::{Pattern, Transform, matching};

/// One compiled permission for messages to pass between two accounts.
#[derive(Clone, Debug)]
pub struct Crossing {
    /// Whether requests go out and answers come back, or messages come in.
    pub kind: ExportKind,
    /// The account that imports.
    pub importer: AccountName,
    /// The account that exports.
    pub exporter: AccountName,
    /// The subjects in the importer.
    pub local: Pattern,
    /// The subjects in the exporter.
    pub remote: Pattern,
    /// From `local` to `remote`: what a service request becomes, and where a stream is subscribed to.
    pub outward: Transform,
    /// From `remote` to `local`: what a stream's message becomes.
    pub inward: Transform,
    /// Whether the exporter is told who asks; services only.
    pub share: bool,
    /// Whether message traces go on across: said by the export of a service, by the import of a stream.
    pub allow_trace: bool,
    /// How many answers a request has; services only.
    pub response: ResponseType,
    /// Nanoseconds to wait for an answer; services only.
    pub threshold_ns: u64,
    /// Latency sampling; services only.
    pub latency: Option<Latency>,
    /// When it ends, unix seconds: the expiry of *this* import's activation. It has ended in that very second.
    pub expires: Option<i64>,
    /// Which of the importer's imports it comes from.
    pub import_index: usize,
    /// The export that allows it.
    pub export: Pattern,
}

impl Crossing {
    pub(super) fn new(
        importer: &AccountName,
        import_index: usize,
        import: &Import,
        naming: &Naming,
        export: &Export,
        expires: Option<i64>,
    ) -> Self {
        Self {
            kind: import.kind,
            importer: importer.clone(),
            exporter: import.exporter.clone(),
            local: naming.local.clone(),
            remote: naming.remote.clone(),
            outward: naming.outward.clone(),
            inward: naming.inward.clone(),
            share: import.share,
            allow_trace: match import.kind {
                ExportKind::Service => export.allow_trace,
                ExportKind::Stream => import.allow_trace,
            },
            response: export.response,
            threshold_ns: export.threshold_ns,
            latency: export.latency.clone(),
            expires,
            import_index,
            export: export.subject.clone(),
        }
    }

    /// What to subscribe to in the exporter so that a subscription of the importer gets its part of a stream, and
    /// nothing else; `None` if the two have nothing in common.
    ///
    /// A subscription to all of `local` or more needs all of `remote`; one to a part needs that part.
    pub fn shadow(&self, subscription: &[u8]) -> Option<Vec<u8>> {
        let common = matching::intersection(self.local.as_bytes(), subscription)?;
        self.outward.apply_to_pattern(&common)
    }

    /// The subject under which the importer sees a stream's message; `None` if it is not part of the stream.
    pub fn delivered_as(&self, subject: &[u8]) -> Option<Vec<u8>> {
        self.inward.apply(subject, |_| 0)
    }

    /// The subject under which the exporter sees a request; `None` if it is not for this service.
    pub fn requested_as(&self, subject: &[u8]) -> Option<Vec<u8>> {
        self.outward.apply(subject, |_| 0)
    }

    /// True once the activation has expired.
    pub fn has_ended(&self, now: i64) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }
}
