//! What the device itself can do: one writer, small writes, each synced. Without it a durable figure says nothing.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde::Serialize;

use crate::histogram::Histogram;
use crate::spread::short;

/// What is written at once.
const BLOCK: [u8; 4096] = [b'd'; 4096];
/// What is written over.
const ROOM: u64 = 16 << 20;

/// `fdatasync` as one writer sees it.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Rate {
    per_second: f64,
    p50_micros: f64,
    p99_micros: f64,
}

/// What was measured of the device below a folder.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Disk {
    /// The file grows with each write: its length must be written too.
    appended: Rate,
    /// The file has been written before: nothing but the data changes.
    overwritten: Rate,
}

/// Measures the device of `folder`, for `time` each way.
///
/// # Errors
///
/// When a file cannot be written there.
pub(super) fn measure(folder: &Path, time: Duration) -> Result<Disk> {
    let path = folder.join("disk-rate");
    let open = || OpenOptions::new().create(true).write(true).truncate(true).open(&path);
    let mut file = open().with_context(|| format!("cannot write to `{}`", folder.display()))?;
    let appended = rate(&file, time, |mut file, _| file.write_all(&BLOCK))?;
    file = open()?;
    for _ in 0..ROOM / BLOCK.len() as u64 {
        file.write_all(&BLOCK)?;
    }
    file.sync_all()?;
    let overwritten = rate(&file, time, |file, number| file.write_all_at(&BLOCK, number * BLOCK.len() as u64 % ROOM))?;
    std::fs::remove_file(&path)?;
    Ok(Disk { appended, overwritten })
}

fn rate(file: &File, time: Duration, write: impl Fn(&File, u64) -> std::io::Result<()>) -> Result<Rate> {
    let mut latencies = Histogram::default();
    let begin = Instant::now();
    let mut count = 0;
    while begin.elapsed() < time {
        let since = Instant::now();
        write(file, count)?;
        file.sync_data()?;
        latencies.record(since.elapsed());
        count += 1;
    }
    Ok(Rate {
        per_second: count as f64 / begin.elapsed().as_secs_f64(),
        p50_micros: latencies.percentile_us(0.5),
        p99_micros: latencies.percentile_us(0.99),
    })
}

impl Disk {
    /// The lines above the tables.
    pub(super) fn lines(&self) -> String {
        let row = |what: &str, rate: &Rate| {
            let Rate { per_second, p50_micros, p99_micros } = *rate;
            let (rate, p50, p99) = (short(per_second), short(p50_micros), short(p99_micros));
            format!("- the device: {what} 4 KiB and `fdatasync`, one writer: {rate}/s, p50 {p50} µs, p99 {p99} µs\n")
        };
        row("appending", &self.appended) + &row("overwriting", &self.overwritten)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_has_a_rate() {
        let folder = tempfile::tempdir().unwrap();
        let disk = measure(folder.path(), Duration::from_millis(5)).unwrap();
        assert!(disk.appended.per_second > 0.0 && disk.overwritten.per_second > 0.0);
        assert_eq!(disk.lines().lines().count(), 2);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
