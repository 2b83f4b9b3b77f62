//! Writes a copy of the sources in which every mutant is present and switched off.
//!
//! `cargo mutants --list --json` says what the mutants are; one build for each would take days. Here each becomes a
//! branch behind `crate::mutant_switch::on(N)`, and the environment says which one is on, so that one build serves
//! all of them. What cannot be switched (constants, patterns of `let` chains) is told, not silently left out.
//!
//! `cordon-mutants LIST.json FROM TO OUT.json REFUSED.json`: what the build refused is left out, that is, mutants that
//! do not compile; and functions that constants need stay `const`, and so without switches.

mod render;
mod sites;
mod switch;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

/// One mutant, as cargo-mutants lists it.
#[derive(Clone, Debug, Deserialize)]
pub struct Mutant {
    /// The file, from the root of the tree.
    pub file: String,
    /// What kind of change it is.
    pub genre: String,
    /// Place and change, for people.
    pub name: String,
    /// The text that takes the place of what stood there.
    pub replacement: String,
    /// What is replaced.
    pub span: Span,
}

/// Lines and columns, both from 1.
#[derive(Clone, Debug, Deserialize)]
pub struct Span {
    /// Where it begins.
    pub start: Position,
}

/// One place in a file.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Position {
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
}

/// What the compiler would not have.
#[derive(Deserialize)]
struct Refused {
    /// Numbers of mutants that do not compile.
    mutants: HashSet<usize>,
    /// Names of functions that are called in constants.
    constant: HashSet<String>,
}

/// What became of a mutant: `switched`, `unviable`, or `constant` where there is nothing to switch.
#[derive(Serialize)]
struct Placed<'m> {
    id: usize,
    name: &'m str,
    file: &'m str,
    genre: &'m str,
    state: &'static str,
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [list, from, to, out, refused] = arguments.as_slice() else {
        bail!("usage: cordon-mutants LIST.json FROM TO OUT.json REFUSED.json");
    };
    let mutants: Vec<Mutant> = read(list)?;
    let refused: Refused = read(refused)?;
    let mut by_file: BTreeMap<&str, Vec<(usize, &Mutant)>> = BTreeMap::new();
    for (id, mutant) in mutants.iter().enumerate() {
        by_file.entry(&mutant.file).or_default().push((id, mutant));
    }
    let mut placed: HashMap<usize, &str> = refused.mutants.iter().map(|id| (*id, "unviable")).collect();
    let mut crates: HashSet<&str> = HashSet::new();
    for (file, listed) in &by_file {
        let source = std::fs::read_to_string(Path::new(from).join(file)).with_context(|| format!("reading {file}"))?;
        let kept: Vec<_> = listed.iter().filter(|(id, _)| !refused.mutants.contains(id)).copied().collect();
        let sites = sites::find(&source, &kept, &refused.constant).with_context(|| format!("parsing {file}"))?;
        placed.extend(sites.chained.iter().map(|id| (*id, "unviable")));
        placed.extend(sites.found.iter().flat_map(|site| &site.ids).map(|id| (*id, "switched")));
        write(&Path::new(to).join(file), &render::render(&source, sites.found))?;
        crates.extend(file.split_once("/src/").map(|(name, _)| name));
    }
    for name in crates {
        let root = Path::new(to).join(name).join("src");
        let mut text = std::fs::read_to_string(root.join("lib.rs"))?;
        if !text.contains("mod mutant_switch") {
            text.push_str("\n#[doc(hidden)]\npub mod mutant_switch;\n");
            write(&root.join("lib.rs"), &text)?;
        }
        write(&root.join("mutant_switch.rs"), &switch::source(mutants.len()))?;
    }
    let report: Vec<Placed<'_>> = mutants
        .iter()
        .enumerate()
        .map(|(id, mutant)| Placed {
            id,
            name: &mutant.name,
            file: &mutant.file,
            genre: &mutant.genre,
            state: placed.get(&id).copied().unwrap_or("constant"),
        })
        .collect();
    std::fs::write(out, serde_json::to_string(&report)?).with_context(|| format!("writing {out}"))
}

fn read<T: serde::de::DeserializeOwned>(path: &str) -> Result<T> {
    let text = std::fs::read_to_string(path).with_context(|| format!("reading {path}"))?;
    serde_json::from_str(&text).with_context(|| format!("reading {path}"))
}

/// Leaves a file alone that is as it should be, so that nothing is built again for it.
fn write(path: &Path, text: &str) -> Result<()> {
    if std::fs::read_to_string(path).is_ok_and(|old| old == text) {
        return Ok(());
    }
    std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))
}
