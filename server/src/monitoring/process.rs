//! Memory and CPU time of this process, from the operating system.

use std::time::Instant;

use parking_lot::Mutex;

/// Ticks of CPU time a second in `/proc`: fixed by the kernel's user interface.
const TICKS_PER_SECOND: f64 = 100.0;
/// Figures younger than this are given again: over shorter times they mean nothing.
const SAMPLE_SECONDS: f64 = 0.5;

struct Sample {
    at: Instant,
    ticks: u64,
    percent: f64,
}

/// There is one process, whatever the number of brokers in it.
static LAST: Mutex<Option<Sample>> = Mutex::new(None);

/// Resident memory in bytes; 0 where it cannot be told.
pub fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok());
    pages.unwrap_or(0) * 4096
}

/// CPU use in percent of one core since the last time that it was asked for.
pub fn cpu_percent() -> f64 {
    let ticks = ticks();
    let at = Instant::now();
    let mut last = LAST.lock();
    let percent = match &*last {
        Some(sample) => {
            let seconds = at.duration_since(sample.at).as_secs_f64();
            if seconds < SAMPLE_SECONDS {
                return sample.percent;
            }
            100.0 * ticks.saturating_sub(sample.ticks) as f64 / TICKS_PER_SECOND / seconds
        }
        None => 0.0,
    };
    let percent = (percent * 10.0).round() / 10.0;
    *last = Some(Sample { at, ticks, percent });
    percent
}

/// Cores that this process may use.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

fn ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name in brackets may have spaces: fields are counted from behind it.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let field = |place: usize| fields.get(place).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
    field(11) + field(12)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_memory_and_has_a_core() {
        assert!(resident_bytes() > 100_000);
        assert!(cores() >= 1);
        assert!(cpu_percent() >= 0.0);
    }
}
