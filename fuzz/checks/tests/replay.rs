//! The corpora and every input that ever failed, as an ordinary test; and that no check is without its program.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use cordon_fuzz_checks::TARGETS;

/// A corpus is for coverage, not for keeping: more bytes than this belong to nobody's clone.
const CORPUS_BYTES_MAX: u64 = 200 * 1024;

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The files of a folder, in order; none when there is no folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    files.sort();
    files
}

#[test]
fn every_input_of_the_corpora_and_every_regression_holds() {
    let mut failed = Vec::new();
    for (name, check) in TARGETS {
        let corpus = files(&fuzz().join("corpus").join(name));
        assert!(!corpus.is_empty(), "{name} has no corpus");
        for file in corpus.iter().chain(&files(&fuzz().join("regressions").join(name))) {
            let data = std::fs::read(file).unwrap();
            // The others are tried, too.
            if std::panic::catch_unwind(|| check(&data)).is_err() {
                failed.push(file.clone());
            }
        }
    }
    assert!(failed.is_empty(), "these inputs fail: {failed:#?}");
}

#[test]
fn every_check_has_a_program_and_a_small_corpus() {
    let names: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let stems = |folder: &str| -> BTreeSet<String> {
        files(&fuzz().join(folder))
            .iter()
            .map(|file| file.file_stem().unwrap().to_string_lossy().into_owned())
            .filter(|stem| !stem.starts_with('.'))
            .collect()
    };
    assert_eq!(stems("fuzz_targets"), names);
    assert_eq!(stems("corpus"), names);
    for folder in ["regressions", "dictionaries"] {
        assert!(stems(folder).is_subset(&names), "{folder} of no check: {:?}", stems(folder));
    }
    let manifest = std::fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
    for name in &names {
        assert!(manifest.contains(&format!("name = \"{name}\"\npath = \"fuzz_targets/{name}.rs\"")), "{name}");
        let sizes = files(&fuzz().join("corpus").join(name)).into_iter().map(|file| file.metadata().unwrap().len());
        let bytes: u64 = sizes.sum();
        assert!(bytes <= CORPUS_BYTES_MAX, "the corpus of {name} has {bytes} bytes: minimize it");
    }
}
