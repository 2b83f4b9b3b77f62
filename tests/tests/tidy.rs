//! Shows that the house style holds in every source file, by reading them all.

#![expect(clippy::string_slice, clippy::unwrap_used, reason = "a story: what fails here is its failure")]

use std::fs;
use std::path::{Path, PathBuf};

/// Longest file, in lines; over it, it is two ideas.
const LINES_MAX: usize = 700;

/// Folders of built or fetched things.
const NOT_OURS: [&str; 3] = ["target", "node_modules", ".git"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && !NOT_OURS.contains(&name.as_str()) {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// Every source file with its text, by its path in the repository.
fn sources() -> Vec<(String, String)> {
    let root = root();
    let mut files = Vec::new();
    collect(&root, &mut files);
    assert!(files.len() > 100, "only {} files were found", files.len());
    let shown = |path: &Path| path.strip_prefix(&root).unwrap().display().to_string();
    files.iter().map(|path| (shown(path), fs::read_to_string(path).unwrap())).collect()
}

/// Lines that `is_fault` accepts, as `path:line: text`.
fn faults(is_fault: impl Fn(&str, &str) -> bool) -> Vec<String> {
    let mut faults = Vec::new();
    for (path, text) in sources() {
        for (index, line) in text.lines().enumerate() {
            if is_fault(&path, line) {
                faults.push(format!("{path}:{}: {}", index + 1, line.trim()));
            }
        }
    }
    faults
}

fn require_none(rule: &str, faults: &[String]) {
    assert!(faults.is_empty(), "{rule}:\n{}", faults.join("\n"));
}

#[test]
fn no_file_is_longer_than_one_idea() {
    let long: Vec<_> = sources()
        .iter()
        .map(|(path, text)| (path, text.lines().count()))
        .filter(|(_, count)| *count > LINES_MAX)
        .map(|(path, count)| format!("{path}: {count} lines"))
        .collect();
    require_none(&format!("files of more than {LINES_MAX} lines are split"), &long);
}

#[test]
fn every_file_begins_with_what_it_is_for() {
    let silent: Vec<_> =
        sources().into_iter().filter(|(_, text)| !text.starts_with("//! ")).map(|(path, _)| path).collect();
    require_none("the first line of a file says what it is for", &silent);
}

#[test]
fn no_test_is_left_out() {
    let ignored = concat!("#[", "ignore");
    require_none("a test runs or is removed", &faults(|_, line| line.trim_start().starts_with(ignored)));
}

#[test]
fn no_word_stands_for_missing_work() {
    let words = [
        concat!("to", "do!("),
        concat!("unimple", "mented!("),
        concat!("FIX", "ME"),
        concat!("TO", "DO"),
        concat!("db", "g!("),
    ];
    let is_fault = |_: &str, line: &str| words.iter().any(|word| line.contains(word));
    require_none("what is handed in works, or is not there", &faults(is_fault));
}

#[test]
fn lints_are_expected_never_allowed() {
    let allowed = [concat!("#[", "allow("), concat!("#![", "allow(")];
    let is_fault = |_: &str, line: &str| allowed.iter().any(|start| line.trim_start().starts_with(start));
    require_none("`expect` goes away when it is no longer needed", &faults(is_fault));
}

#[test]
fn long_functions_say_why() {
    let lint = concat!("clippy::too_", "many_lines");
    let mut silent = Vec::new();
    for (path, text) in sources() {
        for (at, _) in text.match_indices(lint) {
            let rest = &text[at..];
            let attribute = &rest[..rest.find(")]").unwrap_or(rest.len())];
            if !attribute.contains("reason = ") {
                silent.push(path.clone());
            }
        }
    }
    require_none("a long function has its reason beside it", &silent);
}

#[test]
fn tests_wait_for_events_and_never_for_time() {
    let sleeps = [concat!("thread::", "sleep("), concat!("time::", "sleep(")];
    let mut sleeping = Vec::new();
    for (path, text) in sources() {
        // What is compiled for tests alone: test programs, and modules under `cfg(test)`.
        let in_test_program = path.contains("/tests/") || path.ends_with("tests.rs");
        let tests_begin = text.find(concat!("#[cfg(", "test)]\nmod tests {")).unwrap_or(text.len());
        for (index, line) in text.lines().enumerate() {
            let at = line.as_ptr() as usize - text.as_ptr() as usize;
            if (in_test_program || at > tests_begin) && sleeps.iter().any(|sleep| line.contains(sleep)) {
                sleeping.push(format!("{path}:{}: {}", index + 1, line.trim()));
            }
        }
    }
    require_none("a test that sleeps is slow or wrong", &sleeping);
}
