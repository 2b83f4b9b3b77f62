//! What one line of the log looks like.

use std::fmt::{self, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};

use cordon_auth::clock::Clock;
use cordon_auth::zone::Zone;
use cordon_server::config::LogOptions;
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// `2026/11/22 23:34:39.123456`
const TIME: &[BorrowedFormatItem<'_>] =
    format_description!("[year]/[month]/[day] [hour]:[minute]:[second].[subsecond digits:6]");

/// Target of an event after which the process ends: `tracing` has no level for it.
pub(crate) const FATAL: &str = "cordon::fatal";

/// How lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// `[pid] date time [INF] text`, as nats-server writes it.
    Server,
    /// `time INF text`.
    Plain,
}

/// How lines look, as far as that can change.
pub(super) struct Style {
    shape: Shape,
    clock: Clock,
    zone: Zone,
    pid: u32,
    time: AtomicBool,
    utc: AtomicBool,
}

impl Style {
    pub(super) fn new(shape: Shape) -> Self {
        Self {
            shape,
            clock: Clock::system(),
            zone: Zone::of_this_machine(),
            pid: std::process::id(),
            time: AtomicBool::new(true),
            utc: AtomicBool::new(false),
        }
    }

    /// At a moment that does not move, as process 7, in UTC.
    #[cfg(test)]
    pub(super) fn standing(shape: Shape, unix_seconds: i64) -> Self {
        Self { clock: Clock::manual(unix_seconds), zone: Zone::utc(), pid: 7, ..Self::new(shape) }
    }

    pub(super) fn set(&self, options: &LogOptions) {
        self.time.store(options.time, Ordering::Relaxed);
        self.utc.store(options.utc, Ordering::Relaxed);
    }

    /// The time that lines show.
    pub(super) fn now(&self) -> OffsetDateTime {
        let now = self.clock.now();
        if self.utc.load(Ordering::Relaxed) {
            return now;
        }
        now.to_offset(self.zone.offset_at(now.unix_timestamp()))
    }

    /// A line of the log about itself.
    pub(super) fn line(&self, tag: &str, text: &str) -> String {
        let mut line = String::new();
        // Writing to a string cannot fail.
        let _written = self.write(&mut line, tag, text);
        line
    }

    fn write(&self, line: &mut impl fmt::Write, tag: &str, text: &str) -> fmt::Result {
        let timed = self.time.load(Ordering::Relaxed);
        let time = if timed { self.now().format(TIME).map_err(|_| fmt::Error)? } else { String::new() };
        match self.shape {
            Shape::Server if timed => writeln!(line, "[{}] {time} [{tag}] {text}", self.pid),
            Shape::Server => writeln!(line, "[{}] [{tag}] {text}", self.pid),
            Shape::Plain => writeln!(line, "{} {tag} {text}", time.get(11..19).unwrap_or_default()),
        }
    }
}

/// Formats events as lines.
pub(super) struct Lines(pub(super) std::sync::Arc<Style>);

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut text = Text::default();
        event.record(&mut text);
        text.message.push_str(&text.fields);
        self.0.write(&mut writer, tag(event.metadata()), &text.message)
    }
}

/// What marks the level of a line.
pub(super) fn tag(metadata: &Metadata<'_>) -> &'static str {
    if metadata.target() == FATAL {
        return "FTL";
    }
    match *metadata.level() {
        Level::ERROR => "ERR",
        Level::WARN => "WRN",
        Level::INFO => "INF",
        Level::DEBUG => "DBG",
        Level::TRACE => "TRC",
    }
}

/// The message, and the fields after it as ` name=value`.
#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Visit for Text {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.push(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.push(field, &format!("{value:?}"));
    }
}

impl Text {
    fn push(&mut self, field: &Field, value: &str) {
        // One event is one line: what comes from outside cannot make up another.
        let value = crate::output::printable(value);
        if field.name() == "message" {
            self.message = value;
        } else {
            // Writing to a string cannot fail.
            let _written = write!(self.fields, " {}={value}", field.name());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(style: Style, act: impl FnOnce()) -> String {
        let kept = Kept::default();
        let writer = kept.clone();
        let lines = Lines(Arc::new(style));
        let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).event_format(lines).finish();
        tracing::subscriber::with_default(subscriber, act);
        let bytes = kept.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn server_lines_have_the_shape_that_tools_parse() {
        let style = Style::standing(Shape::Server, 1_763_854_479);
        let text = logged(style, || tracing::info!("Listening for client connections on {}", "127.0.0.1:4222"));
        assert_eq!(text, "[7] 2025/11/22 23:34:39.000000 [INF] Listening for client connections on 127.0.0.1:4222\n");
    }

    #[test]
    fn what_ends_the_process_has_a_tag_of_its_own() {
        let style = Style::standing(Shape::Server, 1_763_854_479);
        let text = logged(style, || tracing::error!(target: FATAL, "no port"));
        assert_eq!(text, "[7] 2025/11/22 23:34:39.000000 [FTL] no port\n");
    }

    #[test]
    fn lines_show_the_time_of_here_unless_utc_or_none_is_asked_for() {
        let berlin =
            || Style { zone: Zone::named("Europe/Berlin").unwrap(), ..Style::standing(Shape::Server, 1_763_854_479) };
        for (time, utc, expected) in [
            (true, false, "[7] 2025/11/23 00:34:39.000000 [INF] x\n"),
            (true, true, "[7] 2025/11/22 23:34:39.000000 [INF] x\n"),
            (false, false, "[7] [INF] x\n"),
        ] {
            let style = berlin();
            style.set(&LogOptions { time, utc, ..LogOptions::default() });
            assert_eq!(style.line("INF", "x"), expected);
        }
    }

    #[test]
    fn foreign_text_stays_on_its_line() {
        let text = logged(Style::standing(Shape::Plain, 1_763_854_479), || {
            tracing::warn!(user = "a\n[1] forged", "refused");
        });
        assert_eq!(text, "23:34:39 WRN refused user=a\\n[1] forged\n");
    }
}
