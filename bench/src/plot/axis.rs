//! Axes: where a value stands, which values get a line, and how they are written.

use crate::spread::short;

/// How an axis is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scale {
    /// From 0.
    Linear,
    /// Every factor of ten is as long; has no 0.
    Log,
}

/// Lines of a linear axis, about.
const LINES: f64 = 5.0;
/// An axis over fewer decades also has lines at 2 and 5.
const DECADES_FEW: f64 = 2.6;
/// An axis over even fewer has lines at most digits.
const DECADES_FEWEST: f64 = 0.9;

/// An axis over a range of values.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axis {
    scale: Scale,
    low: f64,
    high: f64,
}

impl Axis {
    /// An axis that holds `low` to `high` exactly.
    pub(super) fn exact(scale: Scale, low: f64, high: f64) -> Self {
        // A range of one value would put it nowhere.
        if low < high { Self { scale, low, high } } else { Self { scale, low: low / 2.0, high: high * 2.0 } }
    }

    /// An axis that holds `low` to `high` with some room.
    pub(super) fn roomy(scale: Scale, low: f64, high: f64) -> Self {
        match scale {
            Scale::Linear => Self { scale, low: 0.0, high: high * 1.08 },
            Scale::Log => Self { scale, low: low / 1.25, high: high * 1.25 },
        }
    }

    /// Where `value` stands, 0 to 1.
    pub(super) fn place(&self, value: f64) -> f64 {
        match self.scale {
            Scale::Linear => (value - self.low) / (self.high - self.low),
            Scale::Log => (value / self.low).log10() / (self.high / self.low).log10(),
        }
    }

    /// Values that get a line.
    pub(super) fn lines(&self) -> Vec<f64> {
        let lines = match self.scale {
            Scale::Linear => {
                let step = round_step((self.high - self.low) / LINES);
                (0..20).map(|number| f64::from(number) * step).collect::<Vec<_>>()
            }
            Scale::Log => {
                let decades = (self.high / self.low).log10();
                let steps: &[f64] = match decades {
                    ..DECADES_FEWEST => &[1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0],
                    ..DECADES_FEW => &[1.0, 2.0, 5.0],
                    _ => &[1.0],
                };
                (-6..10).flat_map(|decade| steps.iter().map(move |step| step * 10f64.powi(decade))).collect()
            }
        };
        lines.into_iter().filter(|line| (self.low..=self.high).contains(line)).collect()
    }
}

/// The next of 1, 2 and 5 times a power of ten.
fn round_step(rough: f64) -> f64 {
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0].into_iter().find(|step| step * power >= rough);
    step.unwrap_or(10.0) * power
}

/// A number without digits that say nothing.
pub(super) fn number(value: f64) -> String {
    let text = short(value);
    let (digits, unit) = text.split_once(' ').unwrap_or((&text, ""));
    let digits = if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { digits };
    if unit.is_empty() { digits.to_owned() } else { format!("{digits} {unit}") }
}

/// A number of bytes.
pub(super) fn bytes(value: f64) -> String {
    if value < 1024.0 { format!("{value} B") } else { format!("{} KiB", value / 1024.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stand_between_the_ends() {
        let cases = [
            (Axis::exact(Scale::Log, 1.0, 100.0), 10.0, 0.5),
            (Axis::exact(Scale::Log, 1.0, 100.0), 1.0, 0.0),
            (Axis::exact(Scale::Log, 8.0, 8.0), 8.0, 0.5),
            (Axis::exact(Scale::Linear, 0.0, 4.0), 1.0, 0.25),
            (Axis::roomy(Scale::Linear, 3.0, 100.0), 54.0, 0.5),
        ];
        for (axis, value, expected) in cases {
            assert!((axis.place(value) - expected).abs() < 1e-9, "{value} on {axis:?}");
        }
    }

    #[test]
    fn lines_are_round_numbers_and_neither_none_nor_many() {
        for (scale, low, high) in [
            (Scale::Linear, 0.1, 0.7),
            (Scale::Linear, 1.0, 99_000.0),
            (Scale::Log, 0.03, 40.0),
            (Scale::Log, 20.0, 300.0),
            (Scale::Log, 40.0, 70.0),
            (Scale::Log, 18.0, 80.0),
            (Scale::Log, 2_000.0, 12e6),
        ] {
            let lines = Axis::roomy(scale, low, high).lines();
            assert!((2..=9).contains(&lines.len()), "{scale:?} {low} {high}: {lines:?}");
        }
    }

    #[test]
    fn numbers_are_short() {
        let cases = [(0.5, "0.5"), (0.0, "0"), (20.0, "20"), (1_000.0, "1000"), (20_000.0, "20 k"), (2.5e6, "2.5 M")];
        for (value, expected) in cases {
            assert_eq!(number(value), expected);
        }
        assert_eq!(bytes(16.0), "16 B");
        assert_eq!(bytes(65_536.0), "64 KiB");
    }
}
