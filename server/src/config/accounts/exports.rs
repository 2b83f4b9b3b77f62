//! `exports` of an account.

use std::collections::BTreeSet;

use cordon_accounts::name::AccountName;
use cordon_accounts::sharing::{Access, Export, ExportKind, Latency, ResponseType, Sampling};
use cordon_accounts::subject::Pattern;

use super::Reading;
use super::account::{literal, pattern, percent};
use crate::config::value::{Node, Place, Problem, Value};

/// An export while it is read: everything with the node it came from, for the places of problems.
#[derive(Default)]
struct Written {
    stream: Option<Node>,
    service: Option<Node>,
    accounts: Option<Node>,
    position: Option<Node>,
    response: Option<Node>,
    threshold: Option<Node>,
    latency: Option<Node>,
    allow_trace: Option<Node>,
}

/// Reads the exports of an account; what is wrong goes to the problems.
pub(super) fn read(node: &Node, reading: &mut Reading<'_>) -> Vec<(Place, Export)> {
    let Value::List(items) = &node.value else {
        reading.problems.push(node.problem("`exports` must be a list of maps, like [{service: \"q.*\"}]"));
        return Vec::new();
    };
    let mut exports = Vec::new();
    for item in items {
        let mut written = Written::default();
        let before = reading.problems.len();
        item.read(reading.problems, |option, value| {
            let field = match option {
                "stream" => &mut written.stream,
                "service" => &mut written.service,
                "accounts" => &mut written.accounts,
                "account_token_position" => &mut written.position,
                "response_type" | "response" => &mut written.response,
                "threshold" | "response_threshold" | "response_max_time" | "response_time" => &mut written.threshold,
                "latency" => &mut written.latency,
                "allow_trace" => &mut written.allow_trace,
                _ => return Ok(false),
            };
            *field = Some(value.clone());
            Ok(true)
        });
        if reading.problems.len() > before {
            continue;
        }
        match written.compile(item, reading) {
            Ok(export) => exports.push((item.place.clone(), export)),
            Err(problem) => reading.problems.push(problem),
        }
    }
    exports
}

impl Written {
    fn compile(&self, item: &Node, reading: &mut Reading<'_>) -> Result<Export, Problem> {
        let (kind, subject) = match (&self.stream, &self.service) {
            (Some(stream), None) => (ExportKind::Stream, pattern(stream)?),
            (None, Some(service)) => (ExportKind::Service, pattern(service)?),
            _ => return Err(item.problem("an export needs either `stream` or `service`: a subject")),
        };
        let mut export = Export::new(kind, subject);
        export.access = self.access(&export.subject, reading)?;
        if kind == ExportKind::Stream {
            let of_services = [&self.response, &self.threshold, &self.latency, &self.allow_trace];
            return match of_services.into_iter().flatten().next() {
                Some(node) => Err(node.problem("this is for services only: remove it from the stream")),
                None => Ok(export),
            };
        }
        if let Some(node) = &self.response {
            export.response = response(node)?;
        }
        if let Some(node) = &self.threshold {
            export.threshold_ns = threshold(node)?;
        }
        if let Some(node) = &self.latency {
            if export.response != ResponseType::Singleton {
                return Err(node.problem("latency is measured for services with one response only"));
            }
            export.latency = Some(latency(node, reading.problems)?);
        }
        if let Some(node) = &self.allow_trace {
            export.allow_trace = node.switch()?;
        }
        Ok(export)
    }

    fn access(&self, subject: &Pattern, reading: &Reading<'_>) -> Result<Access, Problem> {
        let approved = self.accounts.as_ref().map(|node| approved(node, reading)).transpose()?;
        let position = self.position.as_ref().map(|node| position(node, subject)).transpose()?.flatten();
        Ok(match (approved, position) {
            (None, None) => Access::Public,
            (Some(accounts), None) => Access::Approved(accounts),
            (None, Some(position)) => Access::Position(position),
            (Some(accounts), Some(position)) => Access::ApprovedPosition(accounts, position),
        })
    }
}

/// An empty list would make the export public in nats-server, of all things.
fn approved(node: &Node, reading: &Reading<'_>) -> Result<BTreeSet<AccountName>, Problem> {
    let accounts: BTreeSet<_> = node.items().iter().map(|item| reading.account(item)).collect::<Result<_, _>>()?;
    if accounts.is_empty() {
        return Err(node.problem("an empty list of accounts would export to everybody: name some, or remove the list"));
    }
    Ok(accounts)
}

fn position(node: &Node, subject: &Pattern) -> Result<Option<u32>, Problem> {
    let number = node.integer()?;
    let position = u32::try_from(number).map_err(|_| node.problem(format!("`{number}` is no position of a token")))?;
    let Some(index) = position.checked_sub(1) else { return Ok(None) };
    if subject.as_str().split('.').nth(index as usize) != Some("*") {
        let text = format!("token {position} of `{subject}` is no `*`, so that no account's name could stand there");
        return Err(node.problem(text));
    }
    Ok(Some(position))
}

fn response(node: &Node) -> Result<ResponseType, Problem> {
    match node.text()?.to_ascii_lowercase().as_str() {
        "single" | "singleton" => Ok(ResponseType::Singleton),
        "stream" => Ok(ResponseType::Stream),
        "chunk" | "chunked" => Ok(ResponseType::Chunked),
        other => Err(node.problem(format!("`{other}` is no response type: `singleton`, `stream` or `chunked`"))),
    }
}

fn threshold(node: &Node) -> Result<u64, Problem> {
    node.text()?;
    match u64::try_from(node.duration()?.as_nanos()) {
        Ok(nanos @ 1..) => Ok(nanos),
        _ => Err(node.problem("the time for a response must be more than nothing, like \"2s\"")),
    }
}

fn latency(node: &Node, problems: &mut Vec<Problem>) -> Result<Latency, Problem> {
    if let Value::Text(_) = node.value {
        return Ok(Latency { sampling: Sampling::Percent(100), results: results(node)? });
    }
    node.entries()?;
    let mut sampling = Sampling::Percent(100);
    let mut subject = None;
    node.read(problems, |option, value| {
        match option {
            "sampling" => sampling = sampled(value)?,
            "subject" => subject = Some(results(value)?),
            _ => return Ok(false),
        }
        Ok(true)
    });
    let results = subject.ok_or_else(|| node.problem("`latency` needs `subject`: where the figures go"))?;
    Ok(Latency { sampling, results })
}

fn sampled(node: &Node) -> Result<Sampling, Problem> {
    if node.text().is_ok_and(|text| text.eq_ignore_ascii_case("headers")) {
        return Ok(Sampling::Headers);
    }
    match percent(node) {
        Ok(percent @ 1..) => Ok(Sampling::Percent(i32::from(percent))),
        _ => Err(node.problem("`sampling` must be from 1 to 100, or `headers`")),
    }
}

fn results(node: &Node) -> Result<Pattern, Problem> {
    literal(node)?;
    pattern(node)
}
