//! What grows, through which points, and which plots show what that costs.

use anyhow::Result;

use super::axis::Scale;
use super::load;
use crate::figure::{Figure, Metric};
use crate::run::Run;
use crate::scenario::insert_subscriptions;
use crate::security::Entry;
use crate::shape::Shape;
use crate::traffic::{self, Lane};

/// What is drawn of one thing that grows.
pub(crate) struct Growth {
    /// The beginning of its files' names.
    pub(crate) name: &'static str,
    /// Title of the horizontal axis, with its unit.
    pub(crate) axis: &'static str,
    /// Where it is measured.
    pub(crate) points: &'static [usize],
    /// Whether points are bytes, and written as such.
    pub(crate) in_bytes: bool,
    /// The plots.
    pub(crate) charts: &'static [Chart],
}

/// One thing that grows, and how it is measured.
pub(crate) struct Sweep {
    /// What is drawn.
    pub(super) growth: Growth,
    /// Whether each unit of a point is an open file of server and generator.
    pub(super) opens_files: bool,
    /// Whether the forwarder can carry it too.
    pub(super) limit: bool,
    /// How clients are let in.
    pub(super) entry: fn(usize) -> Entry,
    /// Measures one point.
    pub(super) measure: fn(&Run<'_>, usize) -> Result<Vec<Figure>>,
}

/// One plot.
pub(crate) struct Chart {
    /// The end of its file's name.
    pub(super) name: &'static str,
    /// Above the plot.
    pub(super) title: &'static str,
    /// Title of the vertical axis, with its unit.
    pub(super) axis: &'static str,
    /// What is drawn.
    pub(super) metric: Metric,
    /// How the vertical axis is divided.
    pub(super) scale: Scale,
}

/// All sweeps, in the order of docs/performance.md.
pub(super) const SWEEPS: [Sweep; 5] = [
    Sweep {
        growth: Growth {
            name: "payload",
            axis: "payload of each message",
            points: &[16, 64, 256, 1024, 4 * 1024, 16 * 1024, 64 * 1024, 256 * 1024],
            in_bytes: true,
            charts: &[
                chart("rate", "1:1: messages per second", "messages per second", Metric::PerSecond, Scale::Log),
                chart("cpu", "1:1: server CPU per message", "µs of CPU per message", Metric::CpuMicros, Scale::Log),
            ],
        },
        opens_files: false,
        limit: true,
        entry: |_| Entry::Plain,
        measure: |run, payload| traffic::measure(run, &[Lane::one_to_one(Shape::plain("bench.one", payload))]),
    },
    Sweep {
        growth: Growth {
            name: "subscribers",
            axis: "subscribers of one subject, 128 B",
            points: &[1, 3, 10, 30, 100, 300, 1000],
            in_bytes: false,
            charts: &[
                chart("rate", "Fan-out: deliveries per second", "deliveries per second", Metric::PerSecond, Scale::Log),
                chart(
                    "cpu",
                    "Fan-out: server CPU per delivery",
                    "µs of CPU per delivery",
                    Metric::CpuMicros,
                    Scale::Linear,
                ),
                chart("memory", "Fan-out: peak memory", "peak resident memory, MiB", Metric::PeakRssMib, Scale::Log),
            ],
        },
        opens_files: true,
        limit: true,
        entry: |_| Entry::Plain,
        measure: |run, subscribers| {
            let lane = Lane { subscribers, ..Lane::one_to_one(Shape::plain("bench.fan", 128)) };
            traffic::measure(run, &[lane])
        },
    },
    Sweep {
        growth: Growth {
            name: "subscriptions",
            axis: "subscriptions on subjects of their own",
            points: &[1_000, 10_000, 100_000, 1_000_000],
            in_bytes: false,
            charts: &[
                chart(
                    "cpu",
                    "Inserting: server CPU per subscription",
                    "µs of CPU each",
                    Metric::CpuMicros,
                    Scale::Linear,
                ),
                chart("memory", "Memory with all subscriptions", "resident memory, MiB", Metric::RssMib, Scale::Log),
            ],
        },
        opens_files: false,
        limit: false,
        entry: |_| Entry::Plain,
        measure: |run, count| load::with_memory(run, insert_subscriptions(run, count)?),
    },
    Sweep {
        growth: Growth {
            name: "connections",
            axis: "idle connections, one subscription each",
            points: &[10, 100, 1_000, 3_000, 10_000],
            in_bytes: false,
            charts: &[
                chart(
                    "rate",
                    "Connects per second beside idle connections",
                    "connects to PONG per second",
                    Metric::PerSecond,
                    Scale::Linear,
                ),
                chart("memory", "Memory with idle connections", "resident memory, MiB", Metric::RssMib, Scale::Log),
            ],
        },
        opens_files: true,
        limit: true,
        entry: |_| Entry::Plain,
        measure: load::connections,
    },
    Sweep {
        growth: Growth {
            name: "accounts",
            axis: "JWT accounts, one user each",
            points: &[10, 100, 1_000, 5_000],
            in_bytes: false,
            charts: &[
                chart("time", "From start until a user of each is let in", "seconds", Metric::LoadSeconds, Scale::Log),
                chart("memory", "Memory with all accounts in use", "resident memory, MiB", Metric::RssMib, Scale::Log),
            ],
        },
        opens_files: false,
        limit: false,
        entry: Entry::Tenants,
        measure: load::accounts,
    },
];

/// A plot: the end of its name, titles, what is drawn and how.
pub(crate) const fn chart(
    name: &'static str,
    title: &'static str,
    axis: &'static str,
    metric: Metric,
    scale: Scale,
) -> Chart {
    Chart { name, title, axis, metric, scale }
}
