//! Shows that streams keep what they promised: the process is killed at random moments under load, also while it
//! starts; nothing acknowledged is lost, repeated or forgotten, no sequence is given twice, batches come as a whole.
//!
//! `CORDON_KILL_ROUNDS=100 cargo test --release -p cordon-tests --test stream_kills` is a long run;
//! `CORDON_KILL_SEED` gives the moments of an earlier one again.

use cordon_tests::kill;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

/// Kills where nobody asks for more.
const KILLS: usize = 4;
/// Answers between two kills, at most.
const ANSWERS: usize = 4000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_streams_promised_survives_kills_at_random_moments() {
    let given = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let seed = given("CORDON_KILL_SEED").unwrap_or_else(|| rand::thread_rng().r#gen());
    let kills = given("CORDON_KILL_ROUNDS").map_or(KILLS, |rounds| usize::try_from(rounds).unwrap());
    eprintln!("CORDON_KILL_SEED={seed}");
    let figures = kill::streams_under_kills(kills, ANSWERS, &mut StdRng::seed_from_u64(seed)).await;
    eprintln!("{figures:?}");
    assert!(figures.stored > 50 * kills && figures.acknowledged > 0, "{figures:?}");
}
