//! Permissions, in every spelling: of users, and as defaults of an account or of `authorization`.

use std::sync::Arc;

use cordon_accounts::claims::{PermissionsClaim, ResponseClaim, SubjectsClaim};
use cordon_accounts::permissions::Permissions;

use crate::config::value::{Node, Problem, Value, duration};

/// Entry that covers every subject.
const ALL: &str = ">";

/// Which of the two lists of subjects an entry belongs to.
#[derive(Clone, Copy)]
enum Side {
    Publish,
    Subscribe,
}

/// Reads permissions; what is wrong goes to `problems`.
pub fn read(node: &Node, problems: &mut Vec<Problem>, warnings: &mut Vec<String>) -> Arc<Permissions> {
    let mut claim = PermissionsClaim::default();
    let mut nested = Vec::new();
    node.read(problems, |option, value| {
        match option {
            "publish" | "pub" | "import" => claim.publish = subjects(value, Side::Publish, &mut nested, warnings),
            "subscribe" | "sub" | "export" => claim.subscribe = subjects(value, Side::Subscribe, &mut nested, warnings),
            "allow_responses" | "publish_allow_responses" => claim.response = responses(value, &mut nested)?,
            _ => return Ok(false),
        }
        Ok(true)
    });
    problems.append(&mut nested);
    match Permissions::compile(&claim) {
        Ok(permissions) => Arc::new(permissions),
        Err(error) => {
            // Every entry was compiled alone before, so this is told with the entry's place already.
            if problems.is_empty() {
                problems.push(node.problem(error.to_string()));
            }
            // Never used: a configuration with problems is not loaded.
            Arc::new(Permissions::everything())
        }
    }
}

fn subjects(node: &Node, side: Side, problems: &mut Vec<Problem>, warnings: &mut Vec<String>) -> SubjectsClaim {
    let mut claim = SubjectsClaim::default();
    let mut nothing = false;
    let mut nested = Vec::new();
    if matches!(node.value, Value::Map(_)) {
        node.read(problems, |option, value| {
            match option {
                "allow" => {
                    claim.allow = entries(value, side, &mut nested);
                    nothing = claim.allow.is_empty();
                }
                "deny" => claim.deny = entries(value, side, &mut nested),
                _ => return Ok(false),
            }
            Ok(true)
        });
    } else {
        claim.allow = entries(node, side, &mut nested);
        nothing = claim.allow.is_empty();
    }
    if nothing && nested.is_empty() {
        warnings.push(format!(
            "{}: an empty list allows nothing here; in nats-server it may allow everything: name subjects, or `deny` them",
            node.place
        ));
        claim.deny.push(ALL.to_owned());
    }
    problems.append(&mut nested);
    claim
}

/// Entries of a list, or one alone; each is compiled, so that a problem has the place of its entry.
fn entries(node: &Node, side: Side, problems: &mut Vec<Problem>) -> Vec<String> {
    let mut entries = Vec::new();
    for item in node.items() {
        match item.text() {
            Ok(text) => {
                let list = SubjectsClaim { allow: vec![text.to_owned()], deny: Vec::new() };
                let claim = match side {
                    Side::Publish => PermissionsClaim { publish: list, ..PermissionsClaim::default() },
                    Side::Subscribe => PermissionsClaim { subscribe: list, ..PermissionsClaim::default() },
                };
                if let Err(error) = Permissions::compile(&claim) {
                    problems.push(item.problem(format!("subject \"{text}\" is not a valid subject: {}", error.error)));
                }
                entries.push(text.to_owned());
            }
            Err(problem) => problems.push(problem),
        }
    }
    entries
}

fn responses(node: &Node, problems: &mut Vec<Problem>) -> Result<Option<ResponseClaim>, Problem> {
    if let Value::Bool(on) = node.value {
        return Ok(on.then(ResponseClaim::default));
    }
    node.entries()?;
    let mut claim = ResponseClaim::default();
    node.read(problems, |option, value| {
        match option {
            "max" | "max_msgs" | "max_messages" | "max_responses" => claim.max = value.integer()?,
            "expires" | "expiration" | "ttl" => claim.ttl = time_to_live(value)?,
            _ => return Ok(false),
        }
        Ok(true)
    });
    Ok(Some(claim))
}

/// Nanoseconds; negative is no end.
fn time_to_live(node: &Node) -> Result<i64, Problem> {
    let negative = match &node.value {
        Value::Text(text) => text.strip_prefix('-').is_some_and(|text| duration(text).is_some()),
        Value::Int(number, _) => *number < 0,
        _ => false,
    };
    if negative {
        return Ok(-1);
    }
    Ok(i64::try_from(node.duration()?.as_nanos()).unwrap_or(i64::MAX))
}
