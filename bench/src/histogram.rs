//! A histogram of durations with a bounded relative error: 128 equal steps in each power of two.

use std::time::Duration;

/// Steps in each power of two, as a power of two: 7 bits, so a value is at most 0.8 % off.
const STEP_BITS: u32 = 7;
const STEPS: usize = 1 << STEP_BITS;
/// Values below 2^STEP_BITS ns are exact; above, one row of steps for each power of two.
const ROWS: usize = 64 - STEP_BITS as usize + 1;

/// Counts of durations, in nanoseconds.
#[derive(Debug)]
pub(crate) struct Histogram {
    counts: Vec<u64>,
    total: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; STEPS * ROWS], total: 0 }
    }
}

impl Histogram {
    /// Counts one duration.
    pub(crate) fn record(&mut self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        if let Some(count) = self.counts.get_mut(slot(nanos)) {
            *count += 1;
            self.total += 1;
        }
    }

    /// Counts what `other` has counted, too.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.total += other.total;
    }

    /// The duration, in µs, that `share` (0 to 1) of all counted ones do not exceed; 0 when empty.
    #[expect(clippy::cast_sign_loss, reason = "a share is between 0 and 1")]
    pub(crate) fn percentile_us(&self, share: f64) -> f64 {
        let wanted = ((self.total as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return middle(index) / 1000.0;
            }
        }
        0.0
    }
}

/// Where a value is counted.
fn slot(nanos: u64) -> usize {
    let bits = 64 - nanos.leading_zeros();
    let Some(shift) = bits.checked_sub(STEP_BITS + 1) else {
        return nanos as usize;
    };
    (shift as usize + 1) * STEPS + ((nanos >> shift) as usize & (STEPS - 1))
}

/// The middle of what is counted in `slot`, in nanoseconds.
fn middle(slot: usize) -> f64 {
    let (row, step) = (slot / STEPS, slot % STEPS);
    match row.checked_sub(1) {
        None => step as f64,
        Some(shift) => ((STEPS + step) as f64 + 0.5) * (1u64 << shift) as f64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_within_one_in_a_hundred() {
        let mut histogram = Histogram::default();
        for micros in 1..=10_000 {
            histogram.record(Duration::from_micros(micros));
        }
        assert_eq!(histogram.total, 10_000);
        for (share, expected) in [(0.01, 100.0), (0.5, 5_000.0), (0.99, 9_900.0), (1.0, 10_000.0)] {
            let got = histogram.percentile_us(share);
            assert!((got / expected - 1.0).abs() < 0.01, "{share}: {got} is not {expected}");
        }
    }

    #[test]
    fn every_duration_has_a_slot() {
        let mut histogram = Histogram::default();
        for nanos in [0, 1, 127, 128, 129, u64::from(u32::MAX), u64::MAX] {
            histogram.record(Duration::from_nanos(nanos));
        }
        assert_eq!(histogram.total, 7);
    }

    #[test]
    fn an_empty_histogram_has_no_percentile() {
        assert!(Histogram::default().percentile_us(0.5).abs() < f64::EPSILON);
    }
}
