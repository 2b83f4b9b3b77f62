//! The sources of the workspace, for tests that hold documentation against them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Names of every test in the sources.
#[derive(Debug)]
pub struct Sources {
    tests: BTreeSet<String>,
}

/// Reads every source file of the workspace.
pub fn all() -> Sources {
    let mut tests = BTreeSet::new();
    read(Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap(), &mut tests);
    assert!(tests.len() > 500, "only {} tests were found", tests.len());
    Sources { tests }
}

impl Sources {
    /// Whether a test, a function under an attribute `test`, has this name.
    pub fn has_test(&self, name: &str) -> bool {
        self.tests.contains(name)
    }
}

fn read(folder: &Path, tests: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if !name.starts_with('.') && name != "target" && name != "node_modules" {
                read(&path, tests);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            collect(&fs::read_to_string(&path).unwrap(), tests);
        }
    }
}

/// A function counts when an attribute that ends in `test` stands before it, with other attributes and comments between.
fn collect(text: &str, tests: &mut BTreeSet<String>) {
    let mut marked = false;
    // `proptest!` writes its tests as functions under `#[test]` too.
    for line in text.lines().map(str::trim) {
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") || line.starts_with("#[test_") {
            marked = true;
        } else if marked && !line.starts_with("#[") && !line.starts_with("//") {
            let function = line.trim_start_matches("pub ").trim_start_matches("async ").strip_prefix("fn ");
            if let Some(function) = function {
                let name = function.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect();
                tests.insert(name);
            }
            marked = function.is_none() && line.ends_with(',');
        }
    }
}
