//! What Linux knows about a process: CPU time and memory, from `/proc`.

use std::fs;
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context as _, Result};

/// CPU time of all threads of a process so far, user and system, in seconds.
///
/// Exact while its threads live; of those that ended, the kernel tells only clock ticks, usually of 10 ms.
///
/// # Errors
///
/// When the process is gone.
pub(crate) fn cpu_seconds(pid: u32) -> Result<f64> {
    let path = format!("/proc/{pid}/stat");
    let stat = fs::read_to_string(&path).with_context(|| format!("cannot read `{path}`: has the process ended?"))?;
    let ticks = cpu_ticks(&stat).with_context(|| format!("`{path}` has no CPU times"))?;
    // The ticks are rounded down: what is more than that is exact, what is less misses a thread that ended.
    Ok((ticks as f64 / ticks_per_second()).max(thread_seconds(pid)))
}

/// CPU time of the threads that live, as the scheduler counts it; 0 where it does not.
fn thread_seconds(pid: u32) -> f64 {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return 0.0;
    };
    let nanos = threads.filter_map(|thread| {
        let counts = fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
        counts.split_whitespace().next()?.parse::<u64>().ok()
    });
    nanos.sum::<u64>() as f64 / 1e9
}

/// Resident memory now (`VmRSS`), in KiB.
///
/// # Errors
///
/// When the process is gone.
pub(crate) fn rss_kib(pid: u32) -> Result<f64> {
    status_field(pid, "VmRSS:")
}

/// The most resident memory so far (`VmHWM`), in KiB.
///
/// # Errors
///
/// When the process is gone.
pub(crate) fn peak_rss_kib(pid: u32) -> Result<f64> {
    status_field(pid, "VmHWM:")
}

fn status_field(pid: u32, field: &str) -> Result<f64> {
    let path = format!("/proc/{pid}/status");
    let status = fs::read_to_string(&path).with_context(|| format!("cannot read `{path}`: has the process ended?"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let word = line.and_then(|line| line.split_whitespace().next());
    let kib = word.with_context(|| format!("`{path}` has no `{field}`: has the process ended?"))?;
    Ok(kib.parse::<f64>()?)
}

/// `utime` + `stime`: fields 14 and 15, counted from behind the parenthesised name.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

fn ticks_per_second() -> f64 {
    static TICKS: OnceLock<f64> = OnceLock::new();
    *TICKS.get_or_init(|| {
        let answer = Command::new("getconf").arg("CLK_TCK").output().ok();
        let text = answer.and_then(|answer| String::from_utf8(answer.stdout).ok());
        text.and_then(|text| text.trim().parse().ok()).unwrap_or(100.0)
    })
}

/// Files that this process may open, if it asks: the hard limit of the system.
pub(crate) fn file_limit() -> usize {
    let pid = std::process::id().to_string();
    let hard = Command::new("prlimit").args(["--pid", &pid, "--nofile", "--noheadings", "--output=HARD"]).output().ok();
    let text = hard.and_then(|hard| String::from_utf8(hard.stdout).ok()).unwrap_or_default();
    if text.trim() == "unlimited" { usize::MAX } else { text.trim().parse().unwrap_or(1024) }
}

/// Lets this process open as many files as the system allows it; thousands of connections need it.
pub(crate) fn raise_file_limit() {
    let pid = std::process::id().to_string();
    let hard = file_limit();
    if hard == usize::MAX {
        return;
    }
    // Where this fails, opening the connections fails later, with its own error.
    drop(Command::new("prlimit").args(["--pid", &pid, &format!("--nofile={hard}:{hard}")]).status());
}

/// Files that this process may open, if Linux says so.
pub(crate) fn open_files_max() -> Option<u64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Binds this process, and what it starts from now on, to `cpus` (as `taskset -c` writes them).
///
/// # Errors
///
/// When `taskset` is missing or refuses.
pub(crate) fn bind_to_cpus(cpus: &str) -> Result<()> {
    let pid = std::process::id().to_string();
    let answer =
        Command::new("taskset").args(["-a", "-c", "-p", cpus, &pid]).output().context("cannot run `taskset`")?;
    anyhow::ensure!(
        answer.status.success(),
        "`taskset -c {cpus}` failed: {}",
        String::from_utf8_lossy(&answer.stderr).trim()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_times_are_found_behind_any_process_name() {
        let stat = "42 (a b) c) S 1 2 3 4 5 6 7 8 9 10 150 25 0 0 20 0 7 0 100";
        assert_eq!(cpu_ticks(stat), Some(175));
        assert_eq!(cpu_ticks("42 (x) S 1 2"), None);
        assert_eq!(cpu_ticks(""), None);
    }

    #[test]
    fn this_process_has_memory() {
        let pid = std::process::id();
        assert!(rss_kib(pid).unwrap() > 100.0);
        assert!(peak_rss_kib(pid).unwrap() >= rss_kib(pid).unwrap() * 0.5);
        assert!(cpu_seconds(pid).unwrap() >= 0.0);
    }
}
