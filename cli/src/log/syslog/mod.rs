//! The log that others keep: the machine's own, or one on another machine.
//!
//! ```text
//! form     a line -> the bytes of RFC 3164 that Go's log/syslog writes
//! queue    what waits, within bounds, and where lines are missing in it
//! link     the socket, opened anew when it is broken
//! ```
//!
//! Who logs never waits: a thread of its own sends. Lines that find no room are lost; once there is room again, a line in
//! their place says how many.

mod form;
mod link;
mod queue;
#[cfg(test)]
mod tests;

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use cordon_server::config::SyslogTo;

use super::line::Style;
use form::{Form, Severity};
use link::Link;
use queue::{Item, Queue};

/// How long a new syslog may take to be reached.
const OPEN_MAX: Duration = Duration::from_secs(10);
/// How long the end of the process waits for what is still to be sent.
const FINISH_MAX: Duration = Duration::from_secs(2);
/// Between one attempt to reach it again and the next: twice as long each time, from the one to the other.
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// A log that others keep. Dropping it lets what waits be sent once more, and nobody waits for it.
pub(super) struct Syslog {
    to: SyslogTo,
    form: Arc<Form>,
    queue: Arc<Queue>,
}

impl Syslog {
    /// Begins to send to it. May block for seconds.
    ///
    /// # Errors
    ///
    /// When it cannot be reached.
    pub(super) fn open(to: &SyslogTo, style: Arc<Style>) -> io::Result<Self> {
        Self::open_with(to, Link::to(to), style)
    }

    fn open_with(to: &SyslogTo, link: Link, style: Arc<Style>) -> io::Result<Self> {
        let is_local = matches!(to, SyslogTo::Machine | SyslogTo::Socket(_));
        let form = Arc::new(Form::of_this_process(is_local, style));
        let queue = Arc::new(Queue::default());
        let syslog = Self { to: to.clone(), form: form.clone(), queue: queue.clone() };
        let (tell, told) = sync_channel(1);
        thread::Builder::new().name("syslog".to_owned()).spawn(move || send_all(&queue, &form, link, &tell))?;
        match told.recv_timeout(OPEN_MAX) {
            Ok(opened) => opened.map(|()| syslog),
            Err(RecvTimeoutError::Timeout) => Err(io::ErrorKind::TimedOut.into()),
            Err(RecvTimeoutError::Disconnected) => Err(io::Error::other("its thread ended")),
        }
    }

    /// Whether it is that one.
    pub(super) fn goes_to(&self, to: &SyslogTo) -> bool {
        self.to == *to
    }

    /// Takes a line of the log, as files have it, with the tag of its level.
    pub(super) fn write(&self, tag: &str, line: &[u8]) {
        let line = String::from_utf8_lossy(line);
        let text = line.split_once(&format!("[{tag}] ")).map_or(&*line, |(_, text)| text);
        self.queue.push(self.form.packet(Severity::of(tag), text));
    }

    /// What waits, for who ends the process to wait for.
    pub(super) fn rest(&self) -> Rest {
        Rest(self.queue.clone())
    }
}

impl Drop for Syslog {
    fn drop(&mut self) {
        self.queue.close();
    }
}

/// What waits in a log that others keep.
pub(super) struct Rest(Arc<Queue>);

impl Rest {
    /// Waits, not for long, until it is sent or cannot be sent. Nothing more is taken.
    pub(super) fn finish(self) {
        self.0.close();
        self.0.wait_for_end(FINISH_MAX);
    }
}

/// Sends what comes until the queue is closed and empty, or closed and nobody takes it.
fn send_all(queue: &Queue, form: &Form, mut link: Link, opened: &SyncSender<io::Result<()>>) {
    let first = link.open();
    let is_open = first.is_ok();
    // Nobody hears it who has waited too long; the queue is closed then.
    let _heard = opened.send(first);
    if is_open {
        while let Some(item) = queue.next() {
            let packet = match item {
                Item::Packet(packet) => packet,
                Item::Lost(count) => {
                    let text = format!("{count} lines of the log are missing here: syslog did not take them in time");
                    form.packet(Severity::Warning, &text)
                }
            };
            if !send(&mut link, &packet, queue) {
                break;
            }
        }
    }
    queue.end();
}

/// Sends one packet, however long it takes; `false` if it was not taken and nothing more is to be tried.
fn send(link: &mut Link, packet: &[u8], queue: &Queue) -> bool {
    let mut pause = PAUSE_MIN;
    loop {
        match link.send(packet) {
            Ok(()) => return true,
            Err(error) if link::is_too_long(&error) => {
                queue.lose_one();
                return true;
            }
            Err(_) if queue.is_closed() => return false,
            // Said nowhere: this is the log. What gets lost meanwhile is counted.
            Err(_) => queue.rest(pause),
        }
        pause = (pause * 2).min(PAUSE_MAX);
    }
}
