//! The comparison: every scenario, every round, both servers in turn, a fresh process for each run.

use std::io::Write as _;

use anyhow::{Context as _, Result};

use crate::contender::Contender;
use crate::record::Record;
use crate::run::{Pace, Run};
use crate::scenario::Scenario;
use crate::security::Security;

/// What to compare and how long.
pub(crate) struct Plan {
    /// The servers; ratios are the first over the second.
    pub(crate) contenders: Vec<Contender>,
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
            for position in 0..plan.contenders.len() {
                // A B, then B A: what the machine does over time meets both alike.
                let index = if round % 2 == 0 { position } else { plan.contenders.len() - 1 - position };
                let Some(contender) = plan.contenders.get(index) else {
                    continue;
                };
                match one_run(contender, scenario, plan.pace) {
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

fn one_run(contender: &Contender, scenario: &Scenario, pace: Pace) -> Result<Vec<crate::figure::Figure>> {
    let folder = tempfile::tempdir()?;
    let security = Security::create(scenario.entry, folder.path())?;
    let mut server = contender.start(&security)?;
    let measured = (scenario.measure)(&Run { server: &server, security: &security, pace });
    server.check()?;
    measured.with_context(|| format!("the server printed:\n{}\nand then", server.output()))
}

/// Progress, for whoever watches; nothing is lost when nobody does.
fn note(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
