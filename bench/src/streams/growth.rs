//! What a stream costs as it grows: memory and start-up by its messages, and the rate of publishing by its subjects, with
//! holes between its messages. One server for each curve; its stream grows from point to point.

use std::fmt::Write as _;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde_json::json;

use super::client::Client;
use super::publish::{FEW, Publisher, STREAM, Subjects, create, window};
use super::{Server, Told, disk, servers};
use crate::args::Streams;
use crate::compare::note;
use crate::contender::Running;
use crate::figure::{Figure, Metric};
use crate::plot::{Data, Growth, Scale, chart, draw_all};
use crate::process::{peak_rss_kib, rss_kib};
use crate::run::{Pace, Run};
use crate::security::Security;
use crate::setup::{circumstances, smoke_pace};
use crate::spread::{Spread, short};

/// A stream may take long to be read again.
const START_PATIENCE: Duration = Duration::from_mins(2);
/// The file with all figures, beside the plots.
const DATA_FILE: &str = "streams.json";

/// What is drawn: by messages, and by subjects.
pub(crate) const GROWTHS: &[Growth] = &[STORED, SUBJECTS];

const STORED: Growth = Growth {
    name: "stored",
    axis: "messages of 128 B in one stream, 1,000 subjects",
    points: &[100_000, 300_000, 1_000_000, 3_000_000, 10_000_000],
    in_bytes: false,
    charts: &[
        chart("start", "Start with a stream: until it answers", "seconds", Metric::StartSeconds, Scale::Log),
        chart("recovery", "The same after a kill", "seconds", Metric::RecoverSeconds, Scale::Log),
        chart("memory", "Memory after a start", "resident memory, MiB", Metric::StartedMib, Scale::Log),
    ],
};

const SUBJECTS: Growth = Growth {
    name: "many-subjects",
    axis: "subjects of one stream, the last message of each kept",
    points: &[1_000, 10_000, 100_000, 300_000, 1_000_000],
    in_bytes: false,
    charts: &[
        chart("rate", "Publishing to random subjects", "messages per second", Metric::PerSecond, Scale::Linear),
        chart("cpu", "Publishing: server CPU", "µs of CPU per message", Metric::CpuMicros, Scale::Linear),
        chart("memory", "Memory with all subjects", "resident memory, MiB", Metric::RssMib, Scale::Log),
    ],
};

/// The command.
///
/// # Errors
///
/// When a server or a folder is not there.
pub(crate) fn grow(options: &Streams, out: &Path) -> Result<Told> {
    let servers: Vec<Server> = servers(options)?.into_iter().filter(|server| !server.always).collect();
    let contenders: Vec<_> = servers.iter().map(|server| server.contender.clone()).collect();
    let pace = if options.smoke {
        smoke_pace()
    } else {
        Pace { warm_up: Duration::from_millis(300), window: Duration::from_secs(2), connections_divisor: 1 }
    };
    let most = if options.smoke { 2_000 } else { options.messages };
    let mut data = Data::new(circumstances(&contenders, 1, Some(pace), None)?);
    let disk = disk::measure(&options.folder(), pace.window.min(Duration::from_secs(1)))?;
    let known: Vec<&str> = GROWTHS.iter().map(|growth| growth.name).collect();
    if let Some(unknown) = options.curve.iter().find(|name| !known.contains(&name.as_str())) {
        bail!("there is no curve `{unknown}`; there are {}", known.join(", "));
    }
    let is_wanted = |growth: &&Growth| options.curve.is_empty() || options.curve.iter().any(|name| name == growth.name);
    for growth in GROWTHS.iter().filter(is_wanted) {
        let points = points(growth, most);
        for server in &servers {
            let stage = Stage { server, points: &points, pace };
            if let Err(error) = stage.measure(growth, &options.folder(), &mut data) {
                data.failures.push(format!("{}, {}: {error:#}", growth.name, server.contender.name));
            }
            note(&format!("{}: {}", growth.name, server.contender.name));
        }
    }
    draw_all(GROWTHS.iter(), &data, out)?;
    data.save(&out.join(DATA_FILE))?;
    let names: Vec<&str> = contenders.iter().map(|contender| contender.name.as_str()).collect();
    let tables = data.circumstances.heading() + &disk.lines() + &tables(&data, &names, most);
    Ok(Told { tables, met: true, failures: data.failures })
}

/// Where it is measured: not above `most`, and there at least.
fn points(growth: &Growth, most: usize) -> Vec<usize> {
    let mut points: Vec<usize> = growth.points.iter().copied().filter(|at| *at <= most).collect();
    if points.is_empty() {
        points.push(most);
    }
    points
}

/// One server that grows.
struct Stage<'a> {
    server: &'a Server,
    points: &'a [usize],
    pace: Pace,
}

impl Stage<'_> {
    fn measure(&self, growth: &Growth, folder: &Path, data: &mut Data) -> Result<()> {
        let folder = tempfile::Builder::new().prefix("cordon-bench-growth-").tempdir_in(folder)?;
        let security = self.server.security(folder.path());
        let mut running = self.server.contender.start(&security)?;
        let subjects = growth.name == SUBJECTS.name;
        let mut client = Client::connect(&security.dialer(running.address(), 0))?;
        create(&mut client, "file", &json!({ "max_msgs_per_subject": if subjects { 1 } else { -1 } }))?;
        drop(client);
        let mut stored = 0;
        for at in self.points {
            let figures = if subjects {
                self.with_subjects(&running, &security, &mut stored, *at)?
            } else {
                stored_messages(&mut running, &security, &mut stored, *at as u64)?
            };
            running.check()?;
            data.push(growth.name, *at, 0, &self.server.contender.name, figures);
            note(&format!("  {} at {at}", growth.name));
        }
        Ok(())
    }

    /// A message for each subject, in order; then, with the window, for any of them: each leaves a hole.
    fn with_subjects(
        &self,
        running: &Running,
        security: &Security,
        stored: &mut u64,
        count: usize,
    ) -> Result<Vec<Figure>> {
        let dialer = security.dialer(running.address(), 0);
        let all = Subjects { prefix: "bench.s.", count: count as u64, mixed: false };
        let mut publisher = Publisher::new(Client::connect(&dialer)?, all, Some(*stored));
        publisher.fill(0, count as u64)?;
        let mixed =
            Publisher::new(publisher.into_client(), Subjects { mixed: true, ..all }, Some(*stored + count as u64));
        let run = Run { server: running, security, pace: self.pace };
        let (mut figures, acknowledged) = window(&run, vec![mixed], 256)?;
        *stored += count as u64 + acknowledged;
        let held = Client::connect(&dialer)?.stored(STREAM)?;
        if held != count as u64 {
            bail!("{held} messages are stored of {count} subjects");
        }
        figures.push(Figure::new(Metric::RssMib, rss_kib(running.pid())? / 1024.0));
        Ok(figures)
    }
}

/// Fills the stream up to `count`, starts the server again in both ways, and measures.
fn stored_messages(running: &mut Running, security: &Security, stored: &mut u64, count: u64) -> Result<Vec<Figure>> {
    let subjects = Subjects { count: 1000, ..FEW };
    let client = Client::connect(&security.dialer(running.address(), 0))?;
    let mut publisher = Publisher::new(client, subjects, Some(*stored));
    publisher.fill(*stored, count - *stored)?;
    drop(publisher);
    *stored = count;
    let peak = peak_rss_kib(running.pid())? / 1024.0;
    let held = rss_kib(running.pid())? / 1024.0;
    running.stop()?;
    let start = started(running, security, count)?;
    let after = rss_kib(running.pid())? / 1024.0;
    // What was synced at the stop is as good as new: some messages more make the kill one that leaves work.
    let client = Client::connect(&security.dialer(running.address(), 0))?;
    Publisher::new(client, subjects, Some(count)).fill(count, 1000)?;
    *stored += 1000;
    // nats-server hands what it holds to the system a moment later.
    thread::sleep(Duration::from_millis(200));
    let recovery = started(running, security, *stored)?;
    Ok(vec![
        Figure::new(Metric::PeakRssMib, peak),
        Figure::new(Metric::RssMib, held),
        Figure::new(Metric::StartSeconds, start),
        Figure::new(Metric::RecoverSeconds, recovery),
        Figure::new(Metric::StartedMib, after),
    ])
}

/// Starts the server again; seconds until the stream says that it holds `count` messages.
fn started(running: &mut Running, security: &Security, count: u64) -> Result<f64> {
    running.restart(security)?;
    let begin = Instant::now();
    let mut held = None;
    while begin.elapsed() < START_PATIENCE {
        running.check()?;
        let client = Client::connect(&security.dialer(running.address(), 0));
        if let Ok(found) = client.and_then(|mut client| client.stored(STREAM)) {
            if found == count {
                return Ok(begin.elapsed().as_secs_f64());
            }
            held = Some(found);
        }
        thread::sleep(Duration::from_millis(2));
    }
    bail!("after a start the stream holds {held:?} messages of {count}");
}

/// A table for each growth and metric. Writing to a `String` cannot fail.
fn tables(data: &Data, names: &[&str], most: usize) -> String {
    let metrics = [
        Metric::PerSecond,
        Metric::CpuMicros,
        Metric::PeakRssMib,
        Metric::RssMib,
        Metric::StartSeconds,
        Metric::RecoverSeconds,
        Metric::StartedMib,
    ];
    let mut text = String::new();
    for growth in GROWTHS {
        let _ = write!(
            text,
            "\n### {}\n\n| | | {} | ratio |\n|--:|---|{}\n",
            growth.axis,
            names.join(" | "),
            "--:|".repeat(names.len() + 1)
        );
        for metric in metrics {
            for at in points(growth, most) {
                let value =
                    |name: &&str| Spread::of(data.values(growth.name, at, name, metric)).map(|found| found.median);
                let values: Vec<Option<f64>> = names.iter().map(value).collect();
                if values.iter().all(Option::is_none) {
                    continue;
                }
                let cells: Vec<String> = values.iter().map(|value| value.map_or("failed".to_owned(), short)).collect();
                let ratio = match values.as_slice() {
                    [Some(first), Some(second)] if *second > 0.0 => format!("{:.2}", first / second),
                    _ => String::new(),
                };
                let _ = writeln!(text, "| {at} | {} | {} | {ratio} |", metric.name(), cells.join(" | "));
            }
        }
    }
    text
}
