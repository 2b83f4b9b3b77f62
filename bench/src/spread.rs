//! Median and range of the rounds of one thing.

/// Lowest, middle and highest of some values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    /// Middle value, or the mean of the two middle ones.
    pub(crate) median: f64,
    /// Lowest.
    pub(crate) low: f64,
    /// Highest.
    pub(crate) high: f64,
}

impl Spread {
    /// The spread of `values`; `None` when there are none.
    pub(crate) fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let upper = *values.get(values.len() / 2)?;
        let lower = *values.get(values.len().checked_sub(1)? / 2)?;
        Some(Self { median: f64::midpoint(lower, upper), low: *values.first()?, high: *values.last()? })
    }
}

/// Three significant digits, with k and M.
pub(crate) fn short(value: f64) -> String {
    let (scaled, unit) = match value.abs() {
        size if size >= 999_500.0 => (value / 1e6, " M"),
        size if size >= 9_995.0 => (value / 1e3, " k"),
        _ => (value, ""),
    };
    let digits = match scaled.abs() {
        size if size >= 99.95 => 0,
        size if size >= 9.995 => 1,
        size if size >= 0.9995 => 2,
        _ => 3,
    };
    format!("{scaled:.digits$}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        let cases = [
            (vec![3.0], [3.0, 3.0, 3.0]),
            (vec![9.0, 1.0, 2.0], [1.0, 2.0, 9.0]),
            (vec![4.0, 1.0, 2.0, 9.0], [1.0, 3.0, 9.0]),
        ];
        for (values, [low, median, high]) in cases {
            let expected = Spread { median, low, high };
            assert_eq!(Spread::of(values.clone()), Some(expected), "{values:?}");
        }
        assert_eq!(Spread::of(Vec::new()), None);
    }

    #[test]
    fn figures_have_three_digits() {
        let cases = [
            (0.0, "0.000"),
            (0.1234, "0.123"),
            (1.0, "1.00"),
            (12.34, "12.3"),
            (999.6, "1000"),
            (6_600.0, "6600"),
            (12_345.0, "12.3 k"),
            (903_000.0, "903 k"),
            (2_320_000.0, "2.32 M"),
        ];
        for (value, expected) in cases {
            assert_eq!(short(value), expected, "{value}");
        }
    }
}
