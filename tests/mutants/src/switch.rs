//! The module that the instrumented crates get: which mutant is on, and which were reached.

/// Its text, for so many mutants.
pub fn source(mutants: usize) -> String {
    SOURCE.replace("MUTANTS", &mutants.max(1).to_string())
}

const SOURCE: &str = r#"//! Which mutant is on. `CORDON_MUTANT` is its number; `CORDON_REACHED` names a file for the numbers that are reached.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

const UNREAD: u32 = u32::MAX;
const NONE: u32 = u32::MAX - 1;
const RECORD: u32 = u32::MAX - 2;
static CHOSEN: AtomicU32 = AtomicU32::new(UNREAD);
static REACHED: [AtomicBool; MUTANTS] = [const { AtomicBool::new(false) }; MUTANTS];

/// Whether this mutant is on.
#[inline]
pub fn on(number: u32) -> bool {
    let chosen = CHOSEN.load(Relaxed);
    chosen == number || (chosen >= RECORD && slow(chosen, number))
}

#[cold]
fn slow(chosen: u32, number: u32) -> bool {
    let chosen = if chosen == UNREAD { read() } else { chosen };
    if chosen == RECORD && !REACHED[number as usize].swap(true, Relaxed) {
        record(number);
    }
    chosen == number
}

fn read() -> u32 {
    let named = std::env::var("CORDON_MUTANT").ok().and_then(|number| number.parse().ok());
    let chosen = named.unwrap_or(if std::env::var_os("CORDON_REACHED").is_some() { RECORD } else { NONE });
    CHOSEN.store(chosen, Relaxed);
    chosen
}

fn record(number: u32) {
    use std::io::Write;
    let Some(path) = std::env::var_os("CORDON_REACHED") else { return };
    if let Ok(mut file) = std::fs::OpenOptions::new().append(true).create(true).open(path) {
        let _ = file.write_all(format!("{number}\n").as_bytes());
    }
}
"#;
