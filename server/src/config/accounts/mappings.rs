//! `mappings`: of an account, or at the top of the file those of `$G`.

use std::collections::HashMap;

use cordon_accounts::subject::{Destination, Mappings};

use super::Reading;
use super::account::percent;
use crate::config::value::{Node, Problem, Value};

/// Reads and compiles mappings; what is wrong goes to the problems.
pub(super) fn read(node: &Node, reading: &mut Reading<'_>) -> Mappings {
    let entries = match node.entries() {
        Ok(entries) => entries,
        Err(problem) => {
            reading.problems.push(problem);
            return Mappings::default();
        }
    };
    let mut sources = Vec::new();
    let mut places = HashMap::new();
    for entry in entries {
        places.insert(entry.key.clone(), entry.place.clone());
        let items = entry.node.items();
        let found: Option<Vec<_>> = items.iter().map(|item| destination(item, reading.problems)).collect();
        match found {
            Some(found) if !found.is_empty() => sources.push((entry.key.clone(), found)),
            Some(_) => {
                let text = format!("the mapping of `{}` needs a destination", entry.key);
                reading.problems.push(Problem { place: entry.place.clone(), text });
            }
            // Told already.
            None => {}
        }
    }
    let (mappings, problems) = Mappings::from_destinations(sources, reading.circumstances.cluster);
    for problem in problems {
        let place = places.get(&problem.from).cloned().unwrap_or_else(|| node.place.clone());
        reading.problems.push(Problem { place, text: format!("mapping of `{}`: {}", problem.from, problem.error) });
    }
    mappings
}

/// A subject, which gets everything, or a map with its weight; `None` once what is wrong has been told.
fn destination(node: &Node, problems: &mut Vec<Problem>) -> Option<Destination> {
    if let Value::Text(subject) = &node.value {
        return Some(Destination { subject: subject.clone(), percent: 100, cluster: None });
    }
    let (mut subject, mut weight, mut cluster) = (None, None, None);
    let before = problems.len();
    node.read(problems, |option, value| {
        match option {
            "dest" | "destination" => subject = Some(value.text()?.to_owned()),
            "weight" => weight = Some(percent(value)?),
            "cluster" => cluster = Some(value.text()?.to_owned()),
            _ => return Ok(false),
        }
        Ok(true)
    });
    if problems.len() > before {
        return None;
    }
    match (subject, weight) {
        (Some(subject), Some(percent)) => return Some(Destination { subject, percent, cluster }),
        (None, _) => problems.push(node.problem("a destination needs `dest`: a subject")),
        (_, None) => problems.push(node.problem("a destination in a map needs `weight`, like 30 or \"30%\"")),
    }
    None
}
