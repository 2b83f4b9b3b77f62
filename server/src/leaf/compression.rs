//! Whether a leaf connection is compressed, and how: each side says what it would have, and the dialling one chooses
//! (topology.md 2.5).
//!
//! ```text
//! hub INFO {compression} -> leaf INFO {compression}, then both speak S2 -> hub INFO again -> CONNECT ..
//! ```

use std::time::Duration;

/// Round-trip times up to which `s2_auto` does not compress, compresses fast, and better; beyond, as well as it can.
pub const RTT_THRESHOLDS: [Duration; 3] =
    [Duration::from_millis(10), Duration::from_millis(50), Duration::from_millis(100)];

/// What one side would have, or what was agreed on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// It is not spoken of.
    NotSupported,
    /// Never.
    Off,
    /// As the other side wants it.
    Accept,
    /// By the round-trip time.
    #[default]
    Auto,
    /// Blocks that are not compressed.
    Uncompressed,
    /// Compressed. This broker compresses in one way: the three are the same to it.
    Fast,
    /// Compressed.
    Better,
    /// Compressed.
    Best,
}

/// Every mode and its name.
const NAMES: [(Mode, &str); 8] = [
    (Mode::NotSupported, "not supported"),
    (Mode::Off, "off"),
    (Mode::Accept, "accept"),
    (Mode::Auto, "s2_auto"),
    (Mode::Uncompressed, "s2_uncompressed"),
    (Mode::Fast, "s2_fast"),
    (Mode::Better, "s2_better"),
    (Mode::Best, "s2_best"),
];

impl Mode {
    /// Its name in INFO and in the configuration.
    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(mode, _)| *mode == self).map_or("", |(_, name)| *name)
    }

    /// The mode of that name, in any case; `None` for an unknown one.
    pub fn named(text: &str) -> Option<Self> {
        NAMES.iter().find(|(_, name)| name.eq_ignore_ascii_case(text)).map(|(mode, _)| *mode)
    }

    /// What comes of this mode here and `theirs` in INFO of the other side; `None` when that is none.
    pub fn agreed(self, theirs: &str) -> Option<Self> {
        if theirs.is_empty() {
            return Some(Self::NotSupported);
        }
        let theirs = Self::named(theirs)?;
        Some(match (self, theirs) {
            (_, Self::NotSupported) | (Self::NotSupported, _) => Self::NotSupported,
            (_, Self::Off) | (Self::Off, _) | (Self::Accept, Self::Accept) => Self::Off,
            (Self::Accept, Self::Auto) => Self::Fast,
            (Self::Accept, theirs) => theirs,
            (own, _) => own,
        })
    }

    /// S2 is spoken.
    pub const fn is_s2(self) -> bool {
        !matches!(self, Self::NotSupported | Self::Off | Self::Accept)
    }

    /// Whether blocks are compressed in this mode, after a round-trip time; `None` stands for the time that is not known.
    pub fn level(self, rtt: Option<Duration>, thresholds: &[Duration; 3]) -> Self {
        if self != Self::Auto {
            return self;
        }
        let beyond = rtt.map_or(0, |rtt| thresholds.iter().take_while(|threshold| rtt > **threshold).count());
        match beyond {
            0 => Self::Uncompressed,
            1 => Self::Fast,
            2 => Self::Better,
            _ => Self::Best,
        }
    }

    /// Blocks are compressed.
    pub const fn compresses(self) -> bool {
        matches!(self, Self::Fast | Self::Better | Self::Best)
    }
}

/// What is configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compression {
    /// What this side would have.
    pub mode: Mode,
    /// See [`RTT_THRESHOLDS`].
    pub thresholds: [Duration; 3],
}

impl Default for Compression {
    fn default() -> Self {
        Self { mode: Mode::default(), thresholds: RTT_THRESHOLDS }
    }
}

impl Compression {
    /// None.
    pub const OFF: Self = Self { mode: Mode::Off, thresholds: RTT_THRESHOLDS };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_agree_as_nats_server_has_it() {
        // Rows: off, accept, auto, fast, better, best here; columns the same there.
        let there = ["off", "accept", "s2_auto", "s2_fast", "s2_better", "s2_best"];
        let table = [
            ("off", ["off", "off", "off", "off", "off", "off"]),
            ("accept", ["off", "off", "s2_fast", "s2_fast", "s2_better", "s2_best"]),
            ("s2_auto", ["off", "s2_auto", "s2_auto", "s2_auto", "s2_auto", "s2_auto"]),
            ("s2_fast", ["off", "s2_fast", "s2_fast", "s2_fast", "s2_fast", "s2_fast"]),
            ("s2_better", ["off", "s2_better", "s2_better", "s2_better", "s2_better", "s2_better"]),
            ("s2_best", ["off", "s2_best", "s2_best", "s2_best", "s2_best", "s2_best"]),
        ];
        for (here, agreed) in table {
            let here = Mode::named(here).unwrap();
            for (theirs, agreed) in there.iter().zip(agreed) {
                assert_eq!(here.agreed(theirs).map(Mode::name), Some(agreed), "{here:?} {theirs}");
            }
            for none in ["", "not supported"] {
                assert_eq!(here.agreed(none), Some(Mode::NotSupported));
            }
            assert_eq!((here.agreed("gzip"), here.agreed("S2_AUTO ")), (None, None));
        }
    }

    #[test]
    fn auto_follows_the_round_trip_time() {
        let level = |millis: Option<u64>| Mode::Auto.level(millis.map(Duration::from_millis), &RTT_THRESHOLDS);
        for (millis, mode) in [
            (None, Mode::Uncompressed),
            (Some(0), Mode::Uncompressed),
            (Some(10), Mode::Uncompressed),
            (Some(11), Mode::Fast),
            (Some(50), Mode::Fast),
            (Some(51), Mode::Better),
            (Some(101), Mode::Best),
        ] {
            assert_eq!(level(millis), mode, "{millis:?}");
        }
        assert_eq!(Mode::Fast.level(None, &RTT_THRESHOLDS), Mode::Fast);
    }
}
