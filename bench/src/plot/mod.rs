//! Growth plots: what the work costs as it grows, for both servers. [`sweep`] measures, [`data`] keeps every
//! figure so that the plots can be drawn again, [`chart`] draws.

mod axis;
mod chart;
mod data;
mod ink;
mod load;
mod sweep;

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

pub(crate) use self::axis::Scale;
use self::chart::Curve;
pub(crate) use self::data::Data;
pub(crate) use self::sweep::{Growth, chart};
use self::sweep::{SWEEPS, Sweep};
use crate::compare::{Plan, in_turn, note, one_run};
use crate::process::open_files_max;
use crate::record::LIMIT;
use crate::spread::Spread;

/// The file with all figures, beside the plots.
const DATA_FILE: &str = "figures.json";
/// Files that a process needs beside its connections: the forwarder keeps even those that left.
const OTHER_FILES: u64 = 100 + load::VISITS as u64;
/// How many of its points a smoke run takes of each sweep.
const SMOKE_POINTS: usize = 2;

/// Runs the sweeps of `names`, or all when there are none, with the servers of `plan` (whose scenarios do not
/// matter). Failed runs are noted in `data.failures` and the others go on.
///
/// # Errors
///
/// When a name is unknown.
pub(crate) fn measure(plan: &Plan, names: &[String], smoke: bool, data: &mut Data) -> Result<()> {
    if let Some(unknown) = names.iter().find(|name| SWEEPS.iter().all(|sweep| sweep.growth.name != name.as_str())) {
        let known: Vec<_> = SWEEPS.iter().map(|sweep| sweep.growth.name).collect();
        bail!("there is no sweep `{unknown}`; there are {}", known.join(", "));
    }
    for round in 0..plan.rounds {
        for sweep in &SWEEPS {
            if names.is_empty() || names.iter().any(|name| name == sweep.growth.name) {
                measure_one(plan, sweep, smoke, round, data);
                note(&format!("round {}/{}: {}", round + 1, plan.rounds, sweep.growth.name));
            }
        }
    }
    Ok(())
}

fn measure_one(plan: &Plan, sweep: &Sweep, smoke: bool, round: usize, data: &mut Data) {
    for at in points(sweep, smoke) {
        for contender in in_turn(plan, sweep.limit, round) {
            match one_run(contender, (sweep.entry)(at), plan.pace, &|run| (sweep.measure)(run, at)) {
                Ok(figures) => data.push(sweep.growth.name, at, round, &contender.name, figures),
                Err(error) => {
                    data.failures.push(format!("{} at {at}, {}: {error:#}", sweep.growth.name, contender.name));
                }
            }
        }
    }
}

/// The points of a sweep that this machine has open files for.
fn points(sweep: &Sweep, smoke: bool) -> Vec<usize> {
    let files = open_files_max().unwrap_or(u64::MAX);
    let wanted = sweep.growth.points.iter().take(if smoke { SMOKE_POINTS } else { usize::MAX });
    let (possible, too_many): (Vec<usize>, Vec<usize>) =
        wanted.partition(|at| !sweep.opens_files || (**at as u64).saturating_add(OTHER_FILES) <= files);
    if !too_many.is_empty() {
        note(&format!("{}: {too_many:?} left out, since a process may only open {files} files", sweep.growth.name));
    }
    possible
}

/// Draws all plots into `folder` and puts the figures beside them.
///
/// # Errors
///
/// When the folder cannot be written.
pub(crate) fn draw(data: &Data, folder: &Path) -> Result<()> {
    draw_all(SWEEPS.iter().map(|sweep| &sweep.growth), data, folder)?;
    data.save(&folder.join(DATA_FILE))
}

/// Draws the plots of `growths` into `folder`.
///
/// # Errors
///
/// When the folder cannot be written.
pub(crate) fn draw_all<'a>(growths: impl Iterator<Item = &'a Growth>, data: &Data, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
    for growth in growths {
        for chart in growth.charts {
            let curves = curves(data, growth, chart);
            if curves.is_empty() {
                continue;
            }
            let file = folder.join(format!("{}-{}.svg", growth.name, chart.name));
            fs::write(&file, chart::svg(growth, chart, &curves))
                .with_context(|| format!("cannot write `{}`", file.display()))?;
        }
    }
    Ok(())
}

/// One curve for each server that has points.
fn curves<'a>(data: &'a Data, growth: &Growth, chart: &sweep::Chart) -> Vec<Curve<'a>> {
    let servers = data.circumstances.servers.iter().map(|(name, _)| name.as_str()).chain([LIMIT]);
    let curves = servers.map(|server| {
        let points = growth.points.iter().filter_map(|at| {
            // A logarithmic axis has no place for nothing.
            let values = data.values(growth.name, *at, server, chart.metric);
            let spread = Spread::of(values).filter(|spread| spread.low > 0.0)?;
            Some((*at as f64, spread))
        });
        Curve { server, points: points.collect() }
    });
    curves.filter(|curve| !curve.points.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figure::Figure;
    use crate::record::Circumstances;

    fn data() -> Data {
        let servers = vec![("Cordon".to_owned(), "1".to_owned()), ("nats-server".to_owned(), "2".to_owned())];
        let mut data = Data::new(Circumstances { servers, ..Circumstances::default() });
        for sweep in &SWEEPS {
            for at in sweep.growth.points {
                for server in ["Cordon", "nats-server", LIMIT] {
                    for round in 0..2 {
                        let value = *at as f64 * (1.0 + f64::from(round));
                        let figures = sweep.growth.charts.iter().map(|chart| Figure::new(chart.metric, value));
                        data.push(sweep.growth.name, *at, usize::try_from(round).unwrap(), server, figures.collect());
                    }
                }
            }
        }
        data
    }

    #[test]
    fn plots_can_be_drawn_again_from_their_figures() {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        draw(&data(), first.path()).unwrap();
        let again = Data::load(&first.path().join(DATA_FILE)).unwrap();
        draw(&again, second.path()).unwrap();
        let mut count = 0;
        for file in fs::read_dir(first.path()).unwrap() {
            let name = file.unwrap().file_name();
            let read = |folder: &Path| fs::read_to_string(folder.join(&name)).unwrap();
            assert_eq!(read(first.path()), read(second.path()), "{}", name.display());
            count += 1;
        }
        let charts: usize = SWEEPS.iter().map(|sweep| sweep.growth.charts.len()).sum();
        assert_eq!(count, charts + 1);
    }

    #[test]
    fn every_plot_has_axes_units_and_all_curves() {
        let data = data();
        for sweep in &SWEEPS {
            for chart in sweep.growth.charts {
                let text = chart::svg(&sweep.growth, chart, &curves(&data, &sweep.growth, chart));
                for expected in [sweep.growth.axis, chart.axis, "Cordon", "nats-server", LIMIT, "prefers-color-scheme"]
                {
                    assert!(text.contains(expected), "{} {}: no `{expected}`", sweep.growth.name, chart.name);
                }
                assert_eq!(text.matches("<polyline").count(), 3, "{} {}", sweep.growth.name, chart.name);
                assert!(!text.contains("NaN") && !text.contains("inf"), "{} {}", sweep.growth.name, chart.name);
            }
        }
    }

    #[test]
    fn the_page_on_performance_shows_every_plot() {
        let page = include_str!("../../../docs/performance.md");
        let growths = || SWEEPS.iter().map(|sweep| &sweep.growth).chain(crate::streams::GROWTHS);
        for growth in growths() {
            for chart in growth.charts {
                let file = format!("(plots/{}-{}.svg)", growth.name, chart.name);
                assert!(page.contains(&file), "{file} is not in docs/performance.md");
            }
        }
        let shown = page.matches("(plots/").count();
        let charts: usize = growths().map(|growth| growth.charts.len()).sum();
        assert_eq!(shown, charts + 2, "plots that nothing draws, or a link to the figures is missing");
    }

    #[test]
    fn a_server_without_points_has_no_curve() {
        let mut data = data();
        data.points.retain(|point| point.server != "Cordon");
        let sweep = &SWEEPS[0];
        let names: Vec<_> =
            curves(&data, &sweep.growth, &sweep.growth.charts[0]).iter().map(|curve| curve.server).collect();
        assert_eq!(names, ["nats-server", LIMIT]);
    }
}
