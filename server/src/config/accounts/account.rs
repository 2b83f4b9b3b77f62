//! One account of `accounts`.

use std::sync::Arc;

use cordon_accounts::claims::Trace;
use cordon_accounts::key::AccountKey;
use cordon_accounts::limits::{ConnectionLimits, Limit};
use cordon_accounts::name::AccountName;
use cordon_accounts::permissions::Permissions;
use cordon_accounts::sharing::{AccountSharing, Export, Import};
use cordon_accounts::subject::{Mappings, Pattern};
use cordon_auth::configured::ConfiguredAccount;

use super::{Reading, exports, imports, jetstream, mappings, permissions, users};
use crate::config::value::{Entry, Node, Place, Problem, Value};
use crate::tenant::Terms;

/// The most exports, and the most imports, of one account.
const SHARES_MAX: usize = cordon_accounts::limits::SHARES_MAX;

/// An account while the file is read.
pub(super) struct Draft {
    /// Where it stands.
    pub(super) place: Place,
    /// Exports, each with its place.
    pub(super) exports: Vec<(Place, Export)>,
    /// Imports, each with its place.
    pub(super) imports: Vec<(Place, Import)>,
    /// Mappings, compiled.
    pub(super) mappings: Option<Mappings>,
    default_permissions: Option<Arc<Permissions>>,
    terms: Terms,
}

impl Draft {
    pub(super) fn new(place: Place, terms: Terms) -> Self {
        Self { place, exports: Vec::new(), imports: Vec::new(), mappings: None, default_permissions: None, terms }
    }

    /// An account of a list of names.
    pub(super) fn named(node: &Node, reading: &mut Reading<'_>) -> Option<Self> {
        match node.text() {
            Ok(text) => Self::checked(text, &node.place, reading),
            Err(problem) => {
                reading.problems.push(problem);
                None
            }
        }
    }

    fn checked(name: &str, place: &Place, reading: &mut Reading<'_>) -> Option<Self> {
        let text = match name {
            AccountName::GLOBAL => "\"$G\" is a Reserved Account: choose another name",
            "" => "an account needs a name",
            _ if name.contains(char::is_whitespace) => "the name of an account must not contain blanks",
            _ => return Some(Self::new(place.clone(), Terms::new(name.into()))),
        };
        reading.problems.push(Problem { place: place.clone(), text: text.to_owned() });
        None
    }

    /// An account of a map.
    pub(super) fn read(entry: &Entry, reading: &mut Reading<'_>) -> Option<Self> {
        let mut draft = Self::checked(&entry.key, &entry.place, reading)?;
        let (mut all, mut default, mut nested) = (None, None, Vec::new());
        let (mut offers, mut takes, mut maps) = (None, None, None);
        entry.node.read(reading.problems, |option, value| {
            match option {
                "users" => all = Some(value.clone()),
                "default_permissions" | "permissions" => {
                    default = Some(permissions::read(value, &mut nested, reading.warnings));
                }
                "exports" => offers = Some(value.clone()),
                "imports" => takes = Some(value.clone()),
                "mappings" | "maps" => maps = Some(value.clone()),
                "limits" => draft.limits(value, &mut nested),
                "jetstream" => draft.terms.jetstream = jetstream::read(value, &mut nested)?.map(Arc::new),
                "msg_trace" | "trace_dest" => draft.terms.trace = Some(trace(value, &mut nested)?),
                "nkey" => {
                    let text = value.text()?;
                    let key = AccountKey::parse(text);
                    key.map_err(|error| value.problem(format!("`{text}` is no account key: {error}")))?;
                }
                _ => return Ok(false),
            }
            Ok(true)
        });
        reading.problems.append(&mut nested);
        let name = draft.terms.name.clone();
        if let Some(all) = all {
            users::read(&all, &name, default.as_ref(), reading);
        }
        draft.default_permissions = default;
        draft.exports = offers.map(|node| exports::read(&node, reading)).unwrap_or_default();
        draft.imports = takes.map(|node| imports::read(&node, reading)).unwrap_or_default();
        draft.mappings = maps.map(|node| mappings::read(&node, reading));
        if draft.exports.len().max(draft.imports.len()) > SHARES_MAX {
            let text = format!("account `{name}` has more than {SHARES_MAX} exports or imports");
            reading.problems.push(Problem { place: entry.place.clone(), text });
        }
        Some(draft)
    }

    fn limits(&mut self, node: &Node, problems: &mut Vec<Problem>) {
        let mut of_connection = (Limit::UNLIMITED, Limit::UNLIMITED);
        node.read(problems, |option, value| {
            match option {
                "max_connections" | "max_conn" => self.terms.max_connections = limit(value)?.bound(),
                "max_leafnodes" | "max_leafs" => self.terms.max_leafnodes = limit(value)?.bound(),
                "max_subscriptions" | "max_subs" => of_connection.0 = limit(value)?,
                "max_payload" | "max_pay" => of_connection.1 = limit(value)?,
                _ => return Ok(false),
            }
            Ok(true)
        });
        self.terms.limits = ConnectionLimits::new(of_connection.0, of_connection.1);
    }

    /// Its name.
    pub(super) fn name(&self) -> &AccountName {
        &self.terms.name
    }

    /// What it gives to users that it does not list itself. Its limits are those of the tenant.
    pub(super) fn for_others(&self) -> ConfiguredAccount {
        let mut account = ConfiguredAccount::default();
        if let Some(permissions) = &self.default_permissions {
            account.default_permissions = Arc::clone(permissions);
        }
        account
    }

    /// Its side of what is shared.
    pub(super) fn sharing(&self) -> AccountSharing {
        let mut sharing = AccountSharing::new(self.terms.name.clone());
        sharing.exports = self.exports.iter().map(|(_, export)| export.clone()).collect();
        sharing.imports = self.imports.iter().map(|(_, import)| import.clone()).collect();
        sharing
    }

    /// The account as the broker runs it.
    pub(super) fn terms(self) -> Terms {
        let sharing = Arc::new(self.sharing());
        Terms { sharing, mappings: Arc::new(self.mappings.unwrap_or_default()), ..self.terms }
    }
}

fn limit(node: &Node) -> Result<Limit, Problem> {
    let limit = Limit(node.integer()?);
    if limit.is_meaningful() {
        return Ok(limit);
    }
    Err(node.problem(format!("`{}` is out of range: a limit is 0 or more, or -1 for none", limit.0)))
}

/// A percentage: a number, or text with or without `%`.
pub(super) fn percent(node: &Node) -> Result<u8, Problem> {
    let number = match &node.value {
        Value::Int(number, None) => u8::try_from(*number).ok(),
        Value::Text(text) => text.strip_suffix('%').unwrap_or(text).trim().parse().ok(),
        _ => None,
    };
    number.filter(|percent| *percent <= 100).ok_or_else(|| node.problem("expected a percentage from 0 to 100"))
}

fn trace(node: &Node, problems: &mut Vec<Problem>) -> Result<Trace, Problem> {
    let mut sampling = 100;
    let mut destination = None;
    if let Value::Text(_) = node.value {
        destination = Some(literal(node)?);
    } else {
        node.entries()?;
        node.read(problems, |option, value| {
            match option {
                "dest" => destination = Some(literal(value)?),
                "sampling" => sampling = percent(value)?,
                _ => return Ok(false),
            }
            Ok(true)
        });
    }
    let destination = destination.ok_or_else(|| node.problem("`msg_trace` needs `dest`: where reports go"))?;
    if sampling == 0 {
        return Err(node.problem("`sampling` must be from 1 to 100: to trace nothing, remove `msg_trace`"));
    }
    Ok(Trace { destination, sampling: i64::from(sampling) })
}

/// A subject without wildcards.
pub(super) fn literal(node: &Node) -> Result<String, Problem> {
    let subject = pattern(node)?;
    if subject.is_literal() {
        return Ok(subject.to_string());
    }
    Err(node.problem(format!("subject `{subject}` must have no wildcards")))
}

/// A subject, with wildcards or without.
pub(super) fn pattern(node: &Node) -> Result<Pattern, Problem> {
    let text = node.text()?;
    Pattern::parse(text).map_err(|error| node.problem(format!("subject \"{text}\" is not a valid subject: {error}")))
}
