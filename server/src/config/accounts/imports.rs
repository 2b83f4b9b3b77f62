//! `imports` of an account.

use cordon_accounts::name::AccountName;
use cordon_accounts::sharing::{ExportKind, Import, Local};

use super::Reading;
use super::account::pattern;
use crate::config::value::{Node, Place, Problem, Value};

/// Reads the imports of an account; what is wrong goes to the problems.
pub(super) fn read(node: &Node, reading: &mut Reading<'_>) -> Vec<(Place, Import)> {
    let Value::List(items) = &node.value else {
        let text = "`imports` must be a list of maps, like [{service: {account: A, subject: \"q.*\"}}]";
        reading.problems.push(node.problem(text));
        return Vec::new();
    };
    let mut imports = Vec::new();
    for item in items {
        if let Some(import) = read_import(item, reading) {
            imports.push((item.place.clone(), import));
        }
    }
    imports
}

/// An import while it is read.
#[derive(Default)]
struct Written {
    stream: Option<Node>,
    service: Option<Node>,
    prefix: Option<Node>,
    to: Option<Node>,
    share: Option<Node>,
    allow_trace: Option<Node>,
}

fn read_import(item: &Node, reading: &mut Reading<'_>) -> Option<Import> {
    let mut written = Written::default();
    let before = reading.problems.len();
    item.read(reading.problems, |option, value| {
        let field = match option {
            "stream" => &mut written.stream,
            "service" => &mut written.service,
            "prefix" => &mut written.prefix,
            "to" => &mut written.to,
            "share" => &mut written.share,
            "allow_trace" => &mut written.allow_trace,
            _ => return Ok(false),
        };
        *field = Some(value.clone());
        Ok(true)
    });
    if reading.problems.len() > before {
        return None;
    }
    match written.compile(item, reading) {
        Ok(import) => Some(import),
        Err(problem) => {
            reading.problems.push(problem);
            None
        }
    }
}

impl Written {
    fn compile(&self, item: &Node, reading: &mut Reading<'_>) -> Result<Import, Problem> {
        let (kind, source) = match (&self.stream, &self.service) {
            (Some(stream), None) => (ExportKind::Stream, stream),
            (None, Some(service)) => (ExportKind::Service, service),
            _ => {
                let text = "an import needs either `stream` or `service`, like service: {account: A, subject: \"q\"}";
                return Err(item.problem(text));
            }
        };
        let (account, subject) = from(source, reading)?;
        let text = pattern(&subject)?.to_string();
        let mut import = Import::new(kind, account, text, &self.local(kind)?);
        if let Some(error) = import.problem() {
            return Err(self.to.as_ref().or(self.prefix.as_ref()).unwrap_or(&subject).problem(error.to_string()));
        }
        import.share = only(self.share.as_ref(), kind, ExportKind::Service)?;
        import.allow_trace = only(self.allow_trace.as_ref(), kind, ExportKind::Stream)?;
        Ok(import)
    }

    fn local(&self, kind: ExportKind) -> Result<Local, Problem> {
        match (&self.prefix, &self.to) {
            (None, None) => Ok(Local::Same),
            (None, Some(to)) => Ok(Local::Subject(to.text()?.to_owned())),
            (Some(prefix), None) if kind == ExportKind::Stream => Ok(Local::Prefix(prefix.text()?.to_owned())),
            (Some(prefix), None) => Err(prefix.problem("a service is renamed with `to`; `prefix` is for streams")),
            (Some(prefix), Some(_)) => Err(prefix.problem("`prefix` and `to` exclude each other: keep one of them")),
        }
    }
}

/// The account imported from, and the node of the subject.
fn from(source: &Node, reading: &mut Reading<'_>) -> Result<(AccountName, Node), Problem> {
    source.entries()?;
    let (mut account, mut subject) = (None, None);
    source.read(reading.problems, |option, value| {
        match option {
            "account" => account = Some(value.clone()),
            "subject" => subject = Some(value.clone()),
            _ => return Ok(false),
        }
        Ok(true)
    });
    let (Some(account), Some(subject)) = (account, subject) else {
        return Err(source.problem("an import needs `account` and `subject`: {account: A, subject: \"q\"}"));
    };
    Ok((reading.account(&account)?, subject))
}

fn only(node: Option<&Node>, kind: ExportKind, of: ExportKind) -> Result<bool, Problem> {
    let Some(node) = node else { return Ok(false) };
    let on = node.switch()?;
    if on && kind != of {
        return Err(node.problem(format!("this is for imports of a {of} only: remove it")));
    }
    Ok(on)
}
