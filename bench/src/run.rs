//! One run of one scenario against one fresh server: the connections it may open, and its measured window.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::contender::Running;
use crate::figure::{Figure, Metric};
use crate::histogram::Histogram;
use crate::link::Dialer;
use crate::process::{cpu_seconds, peak_rss_kib};
use crate::security::Security;
use crate::via::Via;

/// How long things take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// Traffic before the measured window.
    pub(crate) warm_up: Duration,
    /// The measured window.
    pub(crate) window: Duration,
    /// Divides the number of connections where that is what a scenario measures; 1 but for smoke runs.
    pub(crate) connections_divisor: usize,
}

/// What a scenario gets.
pub(crate) struct Run<'a> {
    /// The server under test.
    pub(crate) server: &'a Running,
    /// How clients reach it.
    pub(crate) security: &'a Security,
    /// How long.
    pub(crate) pace: Pace,
}

/// CPU time and the clock when a window began.
pub(crate) struct Mark {
    at: Instant,
    server_cpu: f64,
    generator_cpu: f64,
    count: u64,
}

impl Run<'_> {
    /// How `tenant`'s clients connect; without tenants all are alike.
    pub(crate) fn dialer(&self, tenant: usize) -> Dialer {
        self.security.dialer(self.server.address(), tenant)
    }

    /// What carries the traffic.
    pub(crate) fn via(&self) -> Via {
        self.server.via()
    }

    /// Waits for the warm-up, then measures what `count` gains in the window.
    ///
    /// # Errors
    ///
    /// When the server ends, or `over` says that the traffic did.
    pub(crate) fn window(&self, count: impl Fn() -> u64, over: impl Fn() -> bool) -> Result<Vec<Figure>> {
        pause(self.pace.warm_up, &over)?;
        let mark = self.mark(count())?;
        pause(self.pace.window, &over)?;
        self.since(&mark, count())
    }

    /// Begins a measurement at `count`.
    ///
    /// # Errors
    ///
    /// When the server has ended.
    pub(crate) fn mark(&self, count: u64) -> Result<Mark> {
        Ok(Mark {
            server_cpu: cpu_seconds(self.server.pid())?,
            generator_cpu: cpu_seconds(std::process::id())?,
            count,
            at: Instant::now(),
        })
    }

    /// Rate, CPU time and memory since `mark`.
    ///
    /// # Errors
    ///
    /// When the server has ended, or nothing happened.
    pub(crate) fn since(&self, mark: &Mark, count: u64) -> Result<Vec<Figure>> {
        let seconds = mark.at.elapsed().as_secs_f64();
        let server_cpu = cpu_seconds(self.server.pid())? - mark.server_cpu;
        let generator_cpu = cpu_seconds(std::process::id())? - mark.generator_cpu;
        let gained = count.saturating_sub(mark.count) as f64;
        if gained < 1.0 {
            bail!("nothing was delivered in {seconds:.1} s");
        }
        Ok(vec![
            Figure::new(Metric::PerSecond, gained / seconds),
            Figure::new(Metric::CpuMicros, server_cpu / gained * 1e6),
            Figure::new(Metric::PeakRssMib, peak_rss_kib(self.server.pid())? / 1024.0),
            Figure::new(Metric::Cores, server_cpu / seconds),
            Figure::new(Metric::GeneratorCores, generator_cpu / seconds),
        ])
    }
}

/// The percentiles of `latencies` as figures.
pub(crate) fn percentiles(latencies: &Histogram) -> Vec<Figure> {
    let shares = [(Metric::P50Micros, 0.5), (Metric::P99Micros, 0.99), (Metric::P999Micros, 0.999)];
    shares.iter().map(|(metric, share)| Figure::new(*metric, latencies.percentile_us(*share))).collect()
}

/// Sleeps, unless the traffic ends by itself.
fn pause(length: Duration, over: impl Fn() -> bool) -> Result<()> {
    let end = Instant::now() + length;
    loop {
        if over() {
            bail!("the traffic ended early");
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        thread::sleep(left.min(Duration::from_millis(50)));
    }
}
