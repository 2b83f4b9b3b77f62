//! Configuration files of the broker: values or problems, each with a place in the text.

use std::path::Path;

use cordon_server::config::parser;
use cordon_server::config::value::{Node, Place, Problem, Value};
use cordon_server::config::{ConfigError, options};

/// What includes are looked for in: nothing is there.
const NOWHERE: &str = "/nonexistent/fuzz";
/// How the text is called.
const NAME: &str = "fuzz.conf";

/// Panics when a problem or a value has no place, or reading twice differs.
pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let lines: Vec<usize> = text.split('\n').map(|line| line.chars().count()).collect();
    let parsed = parser::parse(text, NAME, Path::new(NOWHERE));
    match &parsed {
        Err(problem) => told(problem, &lines),
        Ok(node) => {
            assert!(matches!(node.value, Value::Map(_)), "a file is a map");
            placed(node, &lines, 0);
        }
    }
    let again = parser::parse(text, NAME, Path::new(NOWHERE));
    assert_eq!(format!("{parsed:?}"), format!("{again:?}"), "reading twice");
    let Ok(node) = parsed else { return };
    match options::read(&node) {
        Err(ConfigError(problems)) => {
            assert!(!problems.is_empty(), "a refusal has a reason");
            for problem in &problems {
                told(problem, &lines);
            }
        }
        Ok(loaded) => assert!(!format!("{loaded:?}").is_empty()),
    }
}

fn told(problem: &Problem, lines: &[usize]) {
    assert!(!problem.text.is_empty(), "a problem is told");
    inside(&problem.place, lines);
}

fn placed(node: &Node, lines: &[usize], depth: usize) {
    assert!(depth <= 64, "values are nested without bound");
    inside(&node.place, lines);
    match &node.value {
        Value::List(items) => {
            for item in items {
                placed(item, lines, depth + 1);
            }
        }
        Value::Map(entries) => {
            for entry in entries {
                inside(&entry.place, lines);
                placed(&entry.node, lines, depth + 1);
            }
        }
        Value::Float(number) => assert!(!number.is_nan()),
        Value::Bool(_) | Value::Date(_) | Value::Int(..) | Value::Text(_) => {}
    }
}

fn inside(place: &Place, lines: &[usize]) {
    if &*place.file != NAME {
        return;
    }
    assert!(place.line >= 1 && place.column >= 1, "places count from 1: {place}");
    // The end of the text is a place, too.
    assert!(place.line <= lines.len() + 1, "{place} is behind the text");
    if let Some(width) = lines.get(place.line - 1) {
        assert!(place.column <= width + 2, "{place} is behind its line");
    }
}
