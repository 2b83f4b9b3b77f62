//! The log, on stderr, in a file or where others keep it: in nats-server's shape for brokers, which tools parse, and plainer for people.
//!
//! What is logged, where to and how can change while the broker runs: [`apply`], [`reopen`].

mod file;
mod line;
mod syslog;

use std::io::{self, Write};
use std::sync::{Arc, OnceLock};

use anyhow::Context as _;
use cordon_server::config::LogOptions;
use parking_lot::Mutex;
use tracing::Metadata;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

pub(crate) use line::{FATAL, Shape};

use file::LogFile;
use line::{Lines, Style};
use syslog::Syslog;

/// Where the lines of traced protocol come from.
const TRAFFIC: &str = "cordon_server::traffic";

/// Overrides what is logged (`debug`, `cordon_server=debug,info`).
const VARIABLE: &str = "CORDON_LOG";

/// The log of this process.
struct Log {
    style: Arc<Style>,
    target: Target,
    filter: Box<dyn Fn(EnvFilter) -> anyhow::Result<()> + Send + Sync>,
}

static LOG: OnceLock<Log> = OnceLock::new();

/// Where lines go; changes while lines are written.
#[derive(Clone)]
struct Target(Arc<Mutex<Sink>>);

enum Sink {
    Stderr,
    File(LogFile),
    Syslog(Syslog),
}

/// Begins to log as the options say.
///
/// # Errors
///
/// When the file cannot be written, or who keeps the log cannot be reached.
pub(crate) fn start(shape: Shape, options: &LogOptions) -> anyhow::Result<()> {
    let style = Arc::new(Style::new(shape));
    style.set(options);
    let target = Target(Arc::new(Mutex::new(Sink::open(options, &style)?)));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter(options))
        .with_writer(target.clone())
        .event_format(Lines(style.clone()))
        .with_filter_reloading();
    let handle = builder.reload_handle();
    // A second call, in tests, keeps the first log.
    if builder.try_init().is_ok() {
        let filter = Box::new(move |fresh| Ok(handle.reload(fresh)?));
        let _first = LOG.set(Log { style, target, filter });
    }
    Ok(())
}

/// Changes the running log. May block for seconds.
///
/// # Errors
///
/// When the new file cannot be written, or who keeps the log cannot be reached; the log then stays as it is.
pub(crate) fn apply(options: &LogOptions) -> anyhow::Result<()> {
    let Some(log) = LOG.get() else { return Ok(()) };
    let stays = log.target.0.lock().is_syslog_of(options);
    let fresh = if stays { None } else { Some(Sink::open(options, &log.style)?) };
    (log.filter)(filter(options))?;
    log.style.set(options);
    if let Some(fresh) = fresh {
        *log.target.0.lock() = fresh;
    }
    Ok(())
}

/// Before the process ends: waits, not for long, until who keeps the log has all of it.
pub(crate) fn finish() {
    let rest = LOG.get().and_then(|log| match &*log.target.0.lock() {
        Sink::Syslog(syslog) => Some(syslog.rest()),
        Sink::Stderr | Sink::File(_) => None,
    });
    if let Some(rest) = rest {
        rest.finish();
    }
}

/// Opens the log's file again, which somebody has moved away; `false` where there is none.
///
/// # Errors
///
/// When it cannot be opened; what was open stays.
pub(crate) fn reopen() -> anyhow::Result<bool> {
    let Some(log) = LOG.get() else { return Ok(false) };
    match &mut *log.target.0.lock() {
        Sink::Stderr | Sink::Syslog(_) => Ok(false),
        Sink::File(file) => file.reopen().map(|()| true).context("the log cannot be opened again"),
    }
}

fn filter(options: &LogOptions) -> EnvFilter {
    let level = if options.debug { "debug" } else { "info" };
    let traffic = if options.trace { "trace" } else { "off" };
    // Of libraries only what is wrong is of interest.
    let default = format!(
        "warn,cordon={level},cordon_server={level},cordon_auth={level},cordon_admin={level},{TRAFFIC}={traffic}"
    );
    EnvFilter::try_from_env(VARIABLE).unwrap_or_else(|_| EnvFilter::new(default))
}

impl Sink {
    fn open(options: &LogOptions, style: &Arc<Style>) -> anyhow::Result<Self> {
        let Some(path) = &options.file else {
            let Some(to) = &options.syslog else { return Ok(Self::Stderr) };
            let syslog = Syslog::open(to, style.clone());
            return Ok(Self::Syslog(syslog.with_context(|| format!("cannot log to syslog, {to}"))?));
        };
        let file = LogFile::open(path.clone(), options.size_limit, options.files_max, style.clone());
        Ok(Self::File(file.with_context(|| format!("cannot write the log `{}`", path.display()))?))
    }
}

impl Sink {
    /// Whether it is where the options say that others keep the log.
    fn is_syslog_of(&self, options: &LogOptions) -> bool {
        match (self, &options.file, &options.syslog) {
            (Self::Syslog(syslog), None, Some(to)) => syslog.goes_to(to),
            _ => false,
        }
    }
}

impl<'a> MakeWriter<'a> for Target {
    type Writer = Writer;

    fn make_writer(&'a self) -> Writer {
        Writer { sink: self.0.clone(), tag: "INF" }
    }

    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> Writer {
        Writer { sink: self.0.clone(), tag: line::tag(metadata) }
    }
}

/// Writes one line.
struct Writer {
    sink: Arc<Mutex<Sink>>,
    /// Marks its level.
    tag: &'static str,
}

impl Write for Writer {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match &mut *self.sink.lock() {
            Sink::Stderr => io::stderr().write_all(line)?,
            Sink::File(file) => file.write(line)?,
            Sink::Syslog(syslog) => syslog.write(self.tag, line),
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
