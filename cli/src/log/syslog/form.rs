//! What a syslog is sent: RFC 3164 as Go's log/syslog writes it, with the full time where it goes to other machines.

use std::path::Path;
use std::sync::Arc;

use time::UtcOffset;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

use super::super::line::Style;

/// Bytes of a line that are sent: what common receivers take.
const TEXT_MAX: usize = 8 * 1024;

/// `daemon` of RFC 3164.
const FACILITY: u8 = 3 << 3;

/// `Jan  2 15:04:05`
const SHORT: &[BorrowedFormatItem<'_>] =
    format_description!("[month repr:short] [day padding:space] [hour]:[minute]:[second]");
/// `2006-01-02T15:04:05`
const LONG: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]");
/// `+01:00`
const OFFSET: &[BorrowedFormatItem<'_>] = format_description!("[offset_hour sign:mandatory]:[offset_minute]");

/// How bad it is, as RFC 3164 numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Severity {
    Critical = 2,
    Error = 3,
    Warning = 4,
    Notice = 5,
    Debug = 7,
}

impl Severity {
    /// That of a line with this tag: what is only told is a notice, traces are, too.
    pub(super) fn of(tag: &str) -> Self {
        match tag {
            "FTL" => Self::Critical,
            "ERR" => Self::Error,
            "WRN" => Self::Warning,
            "DBG" => Self::Debug,
            _ => Self::Notice,
        }
    }
}

/// What all packets of a process have in common.
pub(super) struct Form {
    /// Before the process: empty for the machine's own log.
    host: String,
    /// `name[pid]`
    process: String,
    style: Arc<Style>,
    is_local: bool,
}

impl Form {
    /// Packets of this process, under the name it was called by.
    pub(super) fn of_this_process(is_local: bool, style: Arc<Style>) -> Self {
        let called = std::env::args_os().next().unwrap_or_default();
        let name = Path::new(&called).file_name().map_or("cordon".into(), |name| name.to_string_lossy());
        let host = if is_local { String::new() } else { host() };
        Self { host, process: format!("{name}[{}]", std::process::id()), style, is_local }
    }

    /// Packets of `nats-server[7]` on the host `here`.
    #[cfg(test)]
    pub(super) fn standing(is_local: bool, style: Arc<Style>) -> Self {
        Self { host: "here".to_owned(), process: "nats-server[7]".to_owned(), style, is_local }
    }

    /// A line, its newline included; of a very long one the beginning.
    pub(super) fn packet(&self, severity: Severity, text: &str) -> Vec<u8> {
        let now = self.style.now();
        let priority = FACILITY | severity as u8;
        let text = text.trim_end_matches('\n');
        let (text, more) = match text.get(..text.floor_char_boundary(TEXT_MAX)) {
            Some(start) if start.len() < text.len() => (start, "..."),
            _ => (text, ""),
        };
        // These descriptions have nothing that could fail.
        let stamp = now.format(if self.is_local { SHORT } else { LONG }).unwrap_or_default();
        if self.is_local {
            return format!("<{priority}>{stamp} {}: {text}{more}\n", self.process).into_bytes();
        }
        let zone = if now.offset() == UtcOffset::UTC { "Z".to_owned() } else { now.format(OFFSET).unwrap_or_default() };
        format!("<{priority}>{stamp}{zone} {} {}: {text}{more}\n", self.host, self.process).into_bytes()
    }
}

/// The name of this machine; `-` where it has none that could stand in a packet.
fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").or_else(|_| std::env::var("HOSTNAME"));
    let name = name.unwrap_or_default();
    let name = name.trim();
    let is_word = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic());
    if is_word { name.to_owned() } else { "-".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::super::super::line::Shape;
    use super::*;

    /// 2025-11-05 23:34:39 UTC
    const MOMENT: i64 = 1_762_385_679;

    fn packet(is_local: bool, tag: &str, text: &str) -> String {
        let style = Arc::new(Style::standing(Shape::Server, MOMENT));
        String::from_utf8(Form::standing(is_local, style).packet(Severity::of(tag), text)).unwrap()
    }

    #[test]
    fn the_machines_own_log_gets_the_short_time_and_no_host() {
        assert_eq!(packet(true, "INF", "Server is ready\n"), "<29>Nov  5 23:34:39 nats-server[7]: Server is ready\n");
    }

    #[test]
    fn other_machines_get_the_full_time_and_the_host() {
        assert_eq!(
            packet(false, "INF", "Server is ready"),
            "<29>2025-11-05T23:34:39Z here nats-server[7]: Server is ready\n"
        );
    }

    #[test]
    fn the_priority_says_how_bad_it_is() {
        for (tag, priority) in
            [("FTL", 26), ("ERR", 27), ("WRN", 28), ("INF", 29), ("TRC", 29), ("DBG", 31), ("else", 29)]
        {
            assert!(packet(true, tag, "x").starts_with(&format!("<{priority}>Nov")), "{tag}");
        }
    }

    #[test]
    fn a_very_long_line_is_cut_between_characters() {
        let text = "ä".repeat(TEXT_MAX);
        let sent = packet(true, "INF", &format!("x{text}"));
        assert!(sent.ends_with("ä...\n") && sent.len() < TEXT_MAX + 100, "{} bytes", sent.len());
        let fits = "x".repeat(TEXT_MAX);
        assert!(packet(true, "INF", &fits).ends_with("x\n"));
    }
}
