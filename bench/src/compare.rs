//! The comparison: every scenario, every round, both servers in turn, a fresh process for each run.

use std::io::Write as _;

use anyhow::{Context as _, Result};

use crate::contender::Contender;
use crate::figure::Figure;
use crate::record::Record;
use crate::run::{Pace, Run};
use crate::scenario::Scenario;
use crate::security::{Entry, Security};

/// What to compare and how long.
pub(crate) struct Plan {
    /// The servers; ratios are the first over the second.
    pub(crate) contenders: Vec<Contender>,
    /// The forwarder, where the physical limit is to be shown too.
    pub(crate) limit: Option<Contender>,
    /// What to measure.
    pub(crate) scenarios: Vec<Scenario>,
    /// How often.
    pub(crate) rounds: usize,
    /// How long.
    pub(crate) pace: Pace,
}

/// Everything that was measured, and every run that failed.
pub(crate) struct Outcome {
    /// One for each run that went well.
    pub(crate) records: Vec<Record>,
    /// What went wrong, ready to print.
    pub(crate) failures: Vec<String>,
}

/// Runs `plan`; a failed run is noted and the others go on. Progress goes to standard error.
pub(crate) fn compare(plan: &Plan) -> Outcome {
    let mut outcome = Outcome { records: Vec::new(), failures: Vec::new() };
    for round in 0..plan.rounds {
        for scenario in &plan.scenarios {
            for contender in in_turn(plan, scenario.limit, round) {
                match one_run(contender, scenario.entry, plan.pace, &scenario.measure) {
                    Ok(figures) => outcome.records.push(Record::new(round, scenario.name, &contender.name, figures)),
                    Err(error) => outcome.failures.push(format!(
                        "{}, round {}, {}: {error:#}",
                        scenario.name,
                        round + 1,
                        contender.name
                    )),
                }
            }
            note(&format!("round {}/{}: {}", round + 1, plan.rounds, scenario.name));
        }
    }
    outcome
}

/// A B, then B A: what the machine does over time meets all alike.
pub(crate) fn in_turn(plan: &Plan, with_limit: bool, round: usize) -> Vec<&Contender> {
    let mut order: Vec<&Contender> = plan.contenders.iter().collect();
    order.extend(plan.limit.as_ref().filter(|_| with_limit));
    if !round.is_multiple_of(2) {
        order.reverse();
    }
    order
}

/// Starts a fresh server, measures it, and makes sure that it is still there.
///
/// # Errors
///
/// Those of `measure` and of the server; with what it printed.
pub(crate) fn one_run(
    contender: &Contender,
    entry: Entry,
    pace: Pace,
    measure: &dyn Fn(&Run<'_>) -> Result<Vec<Figure>>,
) -> Result<Vec<Figure>> {
    let folder = tempfile::tempdir()?;
    let security = Security::create(contender.entry(entry), folder.path())?;
    let mut server = contender.start(&security)?;
    let measured = measure(&Run { server: &server, security: &security, pace });
    server.check()?;
    measured.with_context(|| format!("the server printed:\n{}\nand then", server.output()))
}

/// Progress, for whoever watches; nothing is lost when nobody does.
pub(crate) fn note(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
