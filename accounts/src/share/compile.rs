//! An offer as exports of one account and imports of the other.

use super::{Offer, PREFIX, Shared};
use crate::claims::{Export, ExportKind, Import, ResponseType};
use crate::key::AccountKey;
use crate::subject::transform::has_reference;
use crate::subject::{Pattern, SubjectError};

/// What the importer calls things.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Naming {
    prefix: String,
    inbox: String,
}

/// Why the importer cannot call it so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NamingError {
    /// It is no subject.
    #[error("`{field}`: {error}")]
    Subject {
        /// Which of the two names.
        field: &'static str,
        /// What is wrong.
        error: SubjectError,
    },
    /// It has wildcards, or something that reads as a reference to one.
    #[error("`{field}` `{text}` must be a subject without wildcards")]
    Wildcard {
        /// Which of the two names.
        field: &'static str,
        /// The name.
        text: String,
    },
    /// The account's own streams, or the share's own subjects, are called so.
    #[error("`{field}` `{text}` is taken by the account's own streams")]
    Taken {
        /// Which of the two names.
        field: &'static str,
        /// The name.
        text: String,
    },
}

impl Naming {
    /// The API as clients are told to call it, and what their inboxes begin with.
    ///
    /// # Errors
    ///
    /// [`NamingError`]: a name that is no literal subject, or the one of the account's own streams.
    pub fn new(prefix: &str, inbox: &str) -> Result<Self, NamingError> {
        for (field, text) in [("prefix", prefix), ("inbox", inbox)] {
            let pattern = Pattern::parse(text).map_err(|error| NamingError::Subject { field, error })?;
            if !pattern.is_literal() || has_reference(text) {
                return Err(NamingError::Wildcard { field, text: text.to_owned() });
            }
            let below =
                |taken: &str| text == taken || text.strip_prefix(taken).is_some_and(|rest| rest.starts_with('.'));
            let own = if field == "prefix" { ["$JS.API", "$JS.SHARE", "$JS.ACK", "$JS.FC"] } else { ["$JS"; 4] };
            if own.into_iter().any(below) || ["$SYS", "_R_"].into_iter().any(below) || text == "$JS" {
                return Err(NamingError::Taken { field, text: text.to_owned() });
            }
        }
        Ok(Self { prefix: prefix.to_owned(), inbox: inbox.to_owned() })
    }

    /// What clients call the API: their `prefix`.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// What inboxes of clients begin with.
    pub fn inbox(&self) -> &str {
        &self.inbox
    }
}

/// One export and how the importer calls what is behind it.
struct Way {
    kind: ExportKind,
    export: String,
    /// What is imported of it; the whole export where it is absent.
    import: Option<String>,
    local: String,
    response: ResponseType,
}

impl Way {
    fn service(export: String, local: String) -> Self {
        Self { kind: ExportKind::Service, export, import: None, local, response: ResponseType::Singleton }
    }
}

impl Offer {
    /// What the exporter exports: private, so that only the account that is given activations has it.
    pub fn exports(&self) -> Vec<Export> {
        let naming = Naming { prefix: "X".to_owned(), inbox: "X".to_owned() };
        let export = |way: Way| {
            let mut export = Export::new(way.kind, way.export);
            export.name = format!("share {}", self.id());
            export.token_req = true;
            export.response_type = way.response;
            export
        };
        self.ways(&naming).into_iter().map(export).collect()
    }

    /// What the importer imports, each of the export at the same place of [`Offer::exports`]; without activations.
    pub fn imports(&self, exporter: AccountKey, naming: &Naming) -> Vec<Import> {
        let import = |way: Way| {
            let mut import = Import::new(way.kind, exporter, way.import.unwrap_or(way.export));
            import.name = format!("share {}", self.id());
            if way.local != import.subject {
                import.local_subject = way.local;
            }
            import
        };
        self.ways(naming).into_iter().map(import).collect()
    }

    fn ways(&self, naming: &Naming) -> Vec<Way> {
        let base = format!("{PREFIX}{}", self.id());
        let api = |(tail, response): (String, ResponseType)| {
            let local = format!("{}.{}", naming.prefix, numbered(&tail));
            Way { response, ..Way::service(format!("{base}.API.{tail}"), local) }
        };
        let mut ways: Vec<Way> = self.requests().into_iter().map(api).collect();
        for pattern in &self.writes {
            let export = format!("{base}.PUT.{}.{pattern}", self.shared().stream());
            // Clients put the prefix before the keys of buckets, and before nothing else.
            let local = match self.shared() {
                Shared::Bucket(_) => format!("{}.{}", naming.prefix, numbered(pattern.as_str())),
                Shared::Objects(_) | Shared::Stream(_) => numbered(pattern.as_str()),
            };
            ways.push(Way::service(export, local));
        }
        for space in ["ACK", "FC"] {
            let subject = format!("$JS.{space}._.{}.>", self.id());
            ways.push(Way::service(subject.clone(), subject));
        }
        ways.push(Way {
            kind: ExportKind::Stream,
            import: Some(format!("{base}.TO.{}.>", naming.inbox)),
            ..Way::service(format!("{base}.TO.>"), format!("{}.>", naming.inbox))
        });
        ways
    }

    /// The requests of the API that are offered, and how many answers they have.
    fn requests(&self) -> Vec<(String, ResponseType)> {
        let stream = self.shared().stream();
        let one = |text: String| (text, ResponseType::Singleton);
        let many = |text: String| (text, ResponseType::Stream);
        let mut all = vec![one("INFO".to_owned()), one(format!("STREAM.INFO.{stream}"))];
        all.extend(["NAMES", "LIST"].map(|verb| one(format!("CONSUMER.{verb}.{stream}"))));
        let of_one = ["INFO", "DELETE", "PAUSE", "UNPIN", "RESET"];
        all.extend(of_one.map(|verb| one(format!("CONSUMER.{verb}.{stream}.*"))));
        all.push(many(format!("CONSUMER.MSG.NEXT.{stream}.*")));
        if self.reads.is_empty() {
            all.extend([
                one(format!("CONSUMER.CREATE.{stream}")),
                one(format!("CONSUMER.CREATE.{stream}.>")),
                one(format!("CONSUMER.DURABLE.CREATE.{stream}.*")),
                one(format!("STREAM.MSG.GET.{stream}")),
                many(format!("DIRECT.GET.{stream}")),
                one(format!("DIRECT.GET.{stream}.>")),
            ]);
        }
        // The filter of a consumer and the subject of a read stand in the request's subject, where exports can see them.
        for filter in &self.reads {
            all.push(one(format!("CONSUMER.CREATE.{stream}.*.{filter}")));
            all.push(one(format!("DIRECT.GET.{stream}.{filter}")));
        }
        all
    }
}

/// A pattern with its `*` as references to those of the exporter's.
fn numbered(pattern: &str) -> String {
    let mut count = 0_u32;
    let tokens: Vec<String> = pattern
        .split('.')
        .map(|token| {
            if token == "*" {
                count = count.saturating_add(1);
                format!("${count}")
            } else {
                token.to_owned()
            }
        })
        .collect();
    tokens.join(".")
}
