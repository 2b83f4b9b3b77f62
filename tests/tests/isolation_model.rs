//! Shows that every message arrives exactly where a model of accounts, permissions, exports and imports says, and
//! nowhere else, while claims change, connections come and go, and credentials expire.
//!
//! A failure names its round; `CORDON_MODEL_SEED` runs that one alone. `CORDON_MODEL_STEPS` runs until so many steps
//! are done.

#![expect(clippy::unwrap_used, reason = "a story: what fails here is its failure")]

use std::time::Instant;

use cordon_tests::isolation::{Round, Site, racing};
use rand::Rng as _;

/// Steps of an ordinary run.
const STEPS: u64 = 40_000;
/// Rounds after which another broker is started: one keeps a trace of each account it has met.
const ROUNDS_OF_ONE: u64 = 100;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap())
}

#[test]
fn deliveries_are_those_of_the_model() {
    if let Some(seed) = number("CORDON_MODEL_SEED") {
        let steps = Round::run(&mut Site::start(), seed).unwrap_or_else(|report| panic!("{report}"));
        eprintln!("{steps} steps");
        return;
    }
    let wanted = number("CORDON_MODEL_STEPS").unwrap_or(STEPS);
    let first: u64 = rand::thread_rng().gen_range(0..u64::MAX / 2);
    let begun = Instant::now();
    let (mut steps, mut site) = (0, Site::start());
    for round in 0.. {
        if round > 0 && round % ROUNDS_OF_ONE == 0 {
            eprintln!("{round} rounds from seed {first}, {steps} steps, {:?}", begun.elapsed());
            site = Site::start();
        }
        steps += Round::run(&mut site, first + round).unwrap_or_else(|report| panic!("{report}"));
        if steps >= wanted {
            eprintln!("{} rounds from seed {first}, {steps} steps, {:?}", round + 1, begun.elapsed());
            return;
        }
    }
}

#[test]
fn nothing_crosses_that_no_import_covers_while_claims_change() {
    const PUSHES: usize = 150;
    let seed = number("CORDON_MODEL_SEED").unwrap_or_else(|| rand::thread_rng().r#gen());
    let outcome = racing::race(&mut Site::start(), seed, PUSHES);
    let shown = &outcome.faults[..outcome.faults.len().min(10)];
    assert!(shown.is_empty(), "CORDON_MODEL_SEED={seed}: {} faults: {shown:#?}", outcome.faults.len());
    assert!(outcome.crossed > 100 && outcome.held > 100, "the race showed nothing: {outcome:?}");
    eprintln!("{} messages, {} crossed, {} were held", outcome.published, outcome.crossed, outcome.held);
}
