//! Log lines on stderr: in nats-server's shape for `broker`, which tools parse, and plainer for people.

use std::fmt::{self, Write as _};
use std::fs::File;
use std::path::Path;

use anyhow::Context as _;
use cordon_auth::clock::Clock;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// `2026/11/22 23:34:39.123456`
const TIME: &[BorrowedFormatItem<'_>] =
    format_description!("[year]/[month]/[day] [hour]:[minute]:[second].[subsecond digits:6]");

/// How lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// `[pid] date time [INF] text`, as nats-server writes it.
    Server,
    /// `time INF text`.
    Plain,
}

struct Lines {
    shape: Shape,
    clock: Clock,
    pid: u32,
}

/// Sends the log to a file, or to stderr. `CORDON_LOG` overrides what is logged
/// (`debug`, `cordon_server=debug,info`).
pub(crate) fn start(shape: Shape, debug: bool, file: Option<&Path>) -> anyhow::Result<()> {
    let level = if debug { "debug" } else { "info" };
    // Of libraries only what is wrong is of interest.
    let default = format!("warn,cordon={level},cordon_server={level},cordon_auth={level},cordon_admin={level}");
    let filter = EnvFilter::try_from_env("CORDON_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    let lines = Lines { shape, clock: Clock::system(), pid: std::process::id() };
    let target = match file {
        Some(path) => {
            let opened = File::options().create(true).append(true).open(path);
            BoxMakeWriter::new(opened.with_context(|| format!("cannot write the log `{}`", path.display()))?)
        }
        None => BoxMakeWriter::new(std::io::stderr),
    };
    // A second call, in tests, keeps the first log.
    let _started = tracing_subscriber::fmt().with_env_filter(filter).with_writer(target).event_format(lines).try_init();
    Ok(())
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut text = Text::default();
        event.record(&mut text);
        let time = self.clock.now().format(TIME).map_err(|_| fmt::Error)?;
        let level = tag(*event.metadata().level());
        match self.shape {
            Shape::Server => writeln!(writer, "[{}] {time} [{level}] {}{}", self.pid, text.message, text.fields),
            Shape::Plain => {
                let time = time.get(11..19).unwrap_or_default();
                writeln!(writer, "{time} {level} {}{}", text.message, text.fields)
            }
        }
    }
}

const fn tag(level: Level) -> &'static str {
    match level {
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

    fn logged(shape: Shape, act: impl FnOnce()) -> String {
        let kept = Kept::default();
        let writer = kept.clone();
        let lines = Lines { shape, clock: Clock::manual(1_763_854_479), pid: 7 };
        let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).event_format(lines).finish();
        tracing::subscriber::with_default(subscriber, act);
        let bytes = kept.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn server_lines_have_the_shape_that_tools_parse() {
        let text = logged(Shape::Server, || tracing::info!("Listening for client connections on {}", "127.0.0.1:4222"));
        assert_eq!(text, "[7] 2025/11/22 23:34:39.000000 [INF] Listening for client connections on 127.0.0.1:4222\n");
    }

    #[test]
    fn foreign_text_stays_on_its_line() {
        let text = logged(Shape::Plain, || tracing::warn!(user = "a\n[1] forged", "refused"));
        assert_eq!(text, "23:34:39 WRN refused user=a\\n[1] forged\n");
    }
}
