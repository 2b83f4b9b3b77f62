//! Room for file descriptors, of which every connection takes one.
//!
//! The system lets a process have few unless it asks for more, and keeps them in a table that it doubles as they come.
//! In a process of several threads each doubling waits until every processor has seen it: 10 to 20 ms, in which whoever
//! accepts a connection stands still, and with it what its thread has to do for others (measured: `cordon-bench attack`).
//! So the table gets its size before there are threads.

use std::fs::File;

use rustix::io::fcntl_dupfd_cloexec;
use rustix::process::{Resource, getrlimit, setrlimit};

/// Descriptors for which there is room from the start: the connections that a broker takes by default (65,536). The
/// table takes 8 bytes of the system's memory for each.
const TABLE: u64 = 1 << 16;

/// Allows as many descriptors as the system does, and makes the table for them. Call it before there are threads. What
/// cannot be had changes nothing: connections beyond the limit are refused, and the table grows when it must.
pub(crate) fn make_room() {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let raised = rustix::process::Rlimit { current: limit.maximum, ..limit };
        if setrlimit(Resource::Nofile, raised).is_ok() {
            limit = raised;
        }
    }
    let highest = limit.current.unwrap_or(TABLE).min(TABLE).saturating_sub(1);
    if let (Ok(file), Ok(highest)) = (File::open("/dev/null"), i32::try_from(highest)) {
        // Closed again at once; the table keeps its size.
        let _highest = fcntl_dupfd_cloexec(&file, highest);
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;

    /// `FDSize` of `/proc/self/status`: places in the table.
    fn places() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("FDSize:")).unwrap();
        line.trim().parse().unwrap()
    }

    #[test]
    fn the_limit_is_raised_and_the_table_is_as_large_as_it_will_be() {
        make_room();
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current, limit.maximum);
        assert!(places() >= limit.current.unwrap_or(TABLE).min(TABLE), "{} places", places());
    }
}
