//! Runs at the size of an installation, not of a benchmark: a million subscriptions, ten thousand accounts, twenty
//! thousand connections, storms and slow readers.
//!
//! Each file has one run with its `SCALE` constant, named in [`all`]. A run starts its own server on its [`Stage`], checks
//! everything that it claims, and returns rows of a table.

mod accounts;
mod churn;
mod idle;
mod report;
mod slow;
mod stage;
mod storm;
mod subscriptions;

use std::io::Write as _;

use anyhow::{Result, bail};

use self::report::Row;
pub(crate) use self::report::{markdown, save};
use self::stage::Stage;
use crate::contender::Contender;

/// One run.
#[derive(Clone, Copy)]
pub(crate) struct Scale {
    /// What `--run` calls it.
    pub(crate) name: &'static str,
    /// What its table is called.
    pub(crate) title: &'static str,
    /// Makes it.
    run: fn(&Stage<'_>) -> Result<Vec<Measure>>,
}

/// What higher values of a row mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Better {
    /// Good.
    More,
    /// Bad.
    Less,
    /// Neither: it says what was done.
    Neither,
}

/// One row: what was measured, with its unit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measure {
    what: &'static str,
    value: f64,
    better: Better,
}

impl Measure {
    fn more(what: &'static str, value: f64) -> Self {
        Self { what, value, better: Better::More }
    }

    fn less(what: &'static str, value: f64) -> Self {
        Self { what, value, better: Better::Less }
    }

    fn done(what: &'static str, value: f64) -> Self {
        Self { what, value, better: Better::Neither }
    }
}

/// All runs, in the order of their tables.
pub(crate) fn all() -> [Scale; 6] {
    [subscriptions::SCALE, accounts::SCALE, idle::SCALE, storm::SCALE, slow::SCALE, churn::SCALE]
}

/// The runs of `names`, or all when there are none.
///
/// # Errors
///
/// When a name is unknown; with those that exist.
pub(crate) fn chosen(names: &[String]) -> Result<Vec<Scale>> {
    if let Some(unknown) = names.iter().find(|name| all().iter().all(|scale| scale.name != name.as_str())) {
        bail!("there is no run `{unknown}`; there are {}", all().map(|scale| scale.name).join(", "));
    }
    let wanted = |scale: &Scale| names.is_empty() || names.iter().any(|name| name == scale.name);
    Ok(all().into_iter().filter(wanted).collect())
}

/// Makes `runs` with every contender, in turn and in every round; the rows, and what failed.
pub(crate) fn measure(contenders: &[Contender], runs: &[Scale], rounds: usize, smoke: bool) -> (Vec<Row>, Vec<String>) {
    let (mut rows, mut failures) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        for scale in runs {
            // A B, then B A: what the machine does over time meets both alike.
            let mut turn: Vec<&Contender> = contenders.iter().collect();
            if round % 2 == 1 {
                turn.reverse();
            }
            for contender in turn {
                let made = Stage::new(contender, smoke).and_then(|stage| (scale.run)(&stage));
                match made {
                    Ok(measures) => {
                        rows.extend(
                            measures.into_iter().map(|measure| Row::new(scale, &contender.name, round, measure)),
                        );
                    }
                    Err(error) => failures.push(format!("{}, {}: {error:#}", scale.name, contender.name)),
                }
                let _ = writeln!(std::io::stderr(), "round {}/{rounds}: {}, {}", round + 1, scale.name, contender.name);
            }
        }
    }
    (rows, failures)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_unknown_ones_refused() {
        let mut names = all().map(|scale| scale.name).to_vec();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all().len());
        assert!(chosen(&["no_such".to_owned()]).is_err());
        assert_eq!(chosen(&[names[0].to_owned()]).unwrap().len(), 1);
        assert_eq!(chosen(&[]).unwrap().len(), all().len());
    }
}
