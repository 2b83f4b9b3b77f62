//! Receivers: count and check what is delivered, one thread for each connection or for many of them.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use anyhow::{Result, anyhow, bail};

use crate::flow::Flow;
use crate::inbox::Inbox;
use crate::link::{Link, Received};
use crate::shape::Delivery;
use crate::stamp::{self, Order};
use crate::wire::{Frame, next_frame};

/// A pass over many connections that brought less than this from each was too early.
const WORTHWHILE_BYTES: usize = 4 * 1024;

/// One receiving connection of a flow.
pub(crate) struct Receiver<'a> {
    link: Link,
    flow: &'a Flow,
    /// What every message looks like, where they are all alike.
    delivery: Option<Delivery>,
    order: Order,
    /// The incomplete frame at the end of the last read, while the buffer serves another connection.
    rest: Vec<u8>,
}

impl<'a> Receiver<'a> {
    /// A receiver on a connection that has subscribed; without a `delivery` any stamped message is right.
    pub(crate) fn new(mut link: Link, delivery: Option<Delivery>, flow: &'a Flow) -> Self {
        let rest = link.take_pending();
        Self { link, flow, delivery, order: Order::new(), rest }
    }

    /// Reads until `over`, waiting for the socket.
    ///
    /// # Errors
    ///
    /// When the server refuses or closes, or a message is not what it should be.
    pub(crate) fn run(mut self, over: &AtomicBool) -> Result<()> {
        self.link.glance()?;
        let mut inbox = Inbox::for_frames(self.delivery.as_ref().map_or(0, |delivery| delivery.length));
        self.begin(&mut inbox)?;
        while !over.load(Relaxed) {
            match inbox.fill(&mut self.link)? {
                Received::Bytes(_) => self.check(&mut inbox)?,
                Received::Closed => bail!("the server closed a subscriber's connection"),
                Received::Nothing => {}
            }
        }
        Ok(())
    }

    /// Checks what came together with the answer to the greeting, and leaves the rest in `inbox`.
    fn begin(&mut self, inbox: &mut Inbox) -> Result<()> {
        inbox.load(&self.rest);
        self.check(inbox)
    }

    /// One read that does not wait; how many bytes it brought.
    fn poll(&mut self, inbox: &mut Inbox) -> Result<usize> {
        inbox.load(&self.rest);
        let count = match inbox.fill(&mut self.link)? {
            Received::Bytes(count) => count,
            Received::Closed => bail!("the server closed a subscriber's connection"),
            Received::Nothing => return Ok(0),
        };
        self.check(inbox)?;
        inbox.unload(&mut self.rest);
        Ok(count)
    }

    /// Counts and checks the complete frames in `inbox`.
    fn check(&mut self, inbox: &mut Inbox) -> Result<()> {
        let (mut count, mut sum, mut pings) = (0, 0u64, 0);
        inbox.consume(|bytes| {
            let mut used = 0;
            loop {
                let rest = bytes.get(used..).unwrap_or_default();
                let stamp = if let Some((delivery, payload)) = self.expected(rest) {
                    // One message in each read is compared whole: comparing all of every payload would
                    // cost the generator more than it tells.
                    if count == 0 && !payload.ends_with(&delivery.tail) {
                        bail!("a payload was changed");
                    }
                    used += delivery.length;
                    stamp::read(payload)
                } else if let Some((frame, length)) = next_frame(rest).map_err(|malformed| anyhow!(malformed.0))? {
                    used += length;
                    match frame {
                        Frame::Message(message) if self.delivery.is_none() => stamp::read(message.payload),
                        Frame::Message(_) => bail!("a delivery differs from what was published"),
                        Frame::Error(text) => {
                            bail!("a subscriber was told: {}", String::from_utf8_lossy(text))
                        }
                        Frame::Ping => {
                            pings += 1;
                            continue;
                        }
                        Frame::Pong | Frame::Info(_) | Frame::Ok => continue,
                    }
                } else {
                    return Ok(used);
                };
                let stamp = stamp.unwrap_or(0);
                if !self.order.advances(stamp) {
                    bail!("message {stamp:#x} came twice or late");
                }
                count += 1;
                sum = sum.wrapping_add(stamp);
            }
        })?;
        self.flow.add_delivered(count, sum);
        for _ in 0..pings {
            self.link.send(b"PONG\r\n")?;
        }
        Ok(())
    }

    /// The payload (and line end) of the message at the beginning of `bytes`, if it is the one that is due.
    fn expected<'b>(&self, bytes: &'b [u8]) -> Option<(&Delivery, &'b [u8])> {
        let delivery = self.delivery.as_ref()?;
        let frame = bytes.get(..delivery.length)?;
        let payload = frame.strip_prefix(delivery.head.as_slice())?;
        payload.ends_with(b"\r\n").then_some((delivery, payload))
    }
}

/// Reads many connections in turn until `over`, pausing when a pass brings little.
///
/// # Errors
///
/// As [`Receiver::run`].
pub(crate) fn run_many(mut receivers: Vec<Receiver<'_>>, over: &AtomicBool) -> Result<()> {
    let mut inbox = Inbox::new();
    for receiver in &mut receivers {
        receiver.link.never_wait()?;
        receiver.begin(&mut inbox)?;
        inbox.unload(&mut receiver.rest);
    }
    while !over.load(Relaxed) {
        let mut total = 0;
        for receiver in &mut receivers {
            total += receiver.poll(&mut inbox)?;
        }
        if total < receivers.len() * WORTHWHILE_BYTES {
            thread::sleep(Duration::from_micros(if total == 0 { 100 } else { 20 }));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    use super::*;
    use crate::link::Dialer;
    use crate::shape::{Batch, Shape};

    /// Runs a receiver against a peer that says `sent` after its greeting and then closes.
    fn receive(sent: &[u8], flow: &Flow, shape: &Shape) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let dialer = Dialer { address: listener.local_addr().unwrap(), tls: None, identity: None };
        let sent = sent.to_vec();
        let peer = thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            socket.write_all(b"INFO {} \r\n").unwrap();
            let mut greeting = [0; 4096];
            let mut length = 0;
            while !greeting[..length].ends_with(b"PING\r\n") {
                length += socket.read(&mut greeting[length..]).unwrap();
            }
            socket.write_all(b"PONG\r\nINFO {} \r\n").unwrap();
            socket.write_all(&sent).unwrap();
        });
        let link = dialer.connect("SUB a 1\r\n").unwrap();
        let ended = Receiver::new(link, Some(shape.delivery()), flow).run(&AtomicBool::new(false));
        peer.join().unwrap();
        ended.unwrap_err().to_string()
    }

    fn delivered(batch: &mut Batch, first: u64) -> (Vec<u8>, u64) {
        let (bytes, sum) = batch.stamped(0, first);
        (bytes.to_vec(), sum)
    }

    #[test]
    fn what_was_published_is_counted() {
        let shape = Shape { as_delivered: true, ..Shape::plain("a", 16) };
        let flow = Flow::new(shape.delivery().length, 1);
        let (bytes, sum) = delivered(&mut shape.batch(3), 1);
        flow.add_published(3, sum);
        assert!(receive(&bytes, &flow, &shape).contains("closed"));
        flow.verify().unwrap();
    }

    #[test]
    fn wrong_deliveries_end_the_run() {
        let shape = Shape { as_delivered: true, ..Shape::plain("a", 16) };
        let (first, _) = delivered(&mut shape.batch(2), 1);
        let (later, _) = delivered(&mut shape.batch(1), 7);
        let (longer, _) = delivered(&mut Shape { as_delivered: true, ..Shape::plain("a", 17) }.batch(1), 1);
        let (foreign, _) = delivered(&mut Shape { as_delivered: true, ..Shape::plain("b", 16) }.batch(1), 1);
        let changed = [&first[..first.len() / 2 - 4], b"yy\r\n"].concat();
        let cases = [
            ("changed", changed, "payload was changed"),
            ("doubled", [first.clone(), first.clone()].concat(), "twice or late"),
            ("out of order", [later, first].concat(), "twice or late"),
            ("longer", longer, "differs"),
            ("another subject", foreign, "differs"),
            ("refusal", b"-ERR 'Permissions Violation'\r\n".to_vec(), "Permissions Violation"),
            ("noise", b"MSG a one two three four five\r\n".to_vec(), "the server sent"),
        ];
        for (name, sent, expected) in cases {
            let flow = Flow::new(shape.delivery().length, 1);
            let error = receive(&sent, &flow, &shape);
            assert!(error.contains(expected), "{name}: {error}");
        }
    }
}
