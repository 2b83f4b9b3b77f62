//! What a run yields: values of a closed set of metrics.

use serde::{Deserialize, Serialize};

/// What is measured. The order is that of the tables in a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Metric {
    /// Messages, deliveries, requests or connects in a second, as the scenario says.
    PerSecond,
    /// Server CPU time for each of them, in µs.
    CpuMicros,
    /// Median latency, µs.
    P50Micros,
    /// 99th percentile, µs.
    P99Micros,
    /// 99.9th percentile, µs: on a shared machine mostly the machine's own.
    P999Micros,
    /// The most resident memory, MiB.
    PeakRssMib,
    /// Resident memory for each idle connection, KiB.
    ConnectionKib,
    /// Resident memory for each subscription, bytes.
    SubscriptionBytes,
    /// CPU time of the server while all connections idle, in percent of one core.
    IdleCpuPercent,
    /// Resident memory, MiB.
    RssMib,
    /// From the start of the server until it has taken in its accounts, seconds.
    LoadSeconds,
    /// From the start of a server that was asked to end until its stream answers, seconds.
    StartSeconds,
    /// The same of one that was killed.
    RecoverSeconds,
    /// Resident memory after a start, MiB.
    StartedMib,
    /// CPU cores the server used.
    Cores,
    /// CPU cores the load generator used.
    GeneratorCores,
}

impl Metric {
    /// Title of the metric's table.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::PerSecond => "Throughput, per second (more is better)",
            Self::CpuMicros => "Server CPU time each, µs (less is better)",
            Self::P50Micros => "Latency p50, µs (less is better)",
            Self::P99Micros => "Latency p99, µs (less is better)",
            Self::P999Micros => "Latency p99.9, µs (less is better)",
            Self::PeakRssMib => "Peak resident memory, MiB (less is better)",
            Self::ConnectionKib => "Resident memory per idle connection, KiB (less is better)",
            Self::SubscriptionBytes => "Resident memory per subscription, bytes (less is better)",
            Self::IdleCpuPercent => "CPU of idle connections, % of a core (less is better)",
            Self::RssMib => "Resident memory, MiB (less is better)",
            Self::LoadSeconds => "Time to load, s (less is better)",
            Self::StartSeconds => "Time to start, s (less is better)",
            Self::RecoverSeconds => "Time to start after a kill, s (less is better)",
            Self::StartedMib => "Resident memory after a start, MiB (less is better)",
            Self::Cores => "Cores the server used",
            Self::GeneratorCores => "Cores the load generator used",
        }
    }

    /// Its name in a line of text.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::PerSecond => "per second",
            Self::CpuMicros => "CPU each",
            Self::P50Micros => "p50",
            Self::P99Micros => "p99",
            Self::P999Micros => "p99.9",
            Self::PeakRssMib => "peak memory",
            Self::ConnectionKib => "memory per connection",
            Self::SubscriptionBytes => "memory per subscription",
            Self::IdleCpuPercent => "CPU while idle",
            Self::RssMib => "memory",
            Self::LoadSeconds => "time to load",
            Self::StartSeconds => "time to start",
            Self::RecoverSeconds => "time to start after a kill",
            Self::StartedMib => "memory after a start",
            Self::Cores => "cores of the server",
            Self::GeneratorCores => "cores of the generator",
        }
    }

    /// What a higher value means: `Some(true)` better, `Some(false)` worse, `None` neither.
    pub(crate) const fn more_is_better(self) -> Option<bool> {
        match self {
            Self::PerSecond => Some(true),
            Self::CpuMicros
            | Self::P50Micros
            | Self::P99Micros
            | Self::P999Micros
            | Self::PeakRssMib
            | Self::ConnectionKib
            | Self::SubscriptionBytes
            | Self::IdleCpuPercent
            | Self::RssMib
            | Self::LoadSeconds
            | Self::StartSeconds
            | Self::RecoverSeconds
            | Self::StartedMib => Some(false),
            Self::Cores | Self::GeneratorCores => None,
        }
    }
}

/// One measured value.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) struct Figure {
    /// What it is.
    pub(crate) metric: Metric,
    /// How much, in the metric's unit.
    pub(crate) value: f64,
}

impl Figure {
    /// A value of `metric`.
    pub(crate) const fn new(metric: Metric, value: f64) -> Self {
        Self { metric, value }
    }
}
