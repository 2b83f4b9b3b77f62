//! Reading: into a buffer of the worker, keeping only an incomplete tail per connection.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::tcp::OwnedReadHalf;
use zeroize::Zeroize as _;

use crate::connection::layer::InputLayer;
use crate::connection::socket::Socket;
use crate::limits::{
    DELIVERIES_MAX, DELIVERY_COUNTS, DIRECT_FROM, FIRST_READ, LEAST_READ, READ_BUFFER, READ_STEP, TURN,
};
use crate::s2::incoming::{Incoming, S2Error};
use crate::websocket::frame::FrameError;
use crate::websocket::incoming::Input;

thread_local! {
    /// The worker's read buffer and its buffer for TLS records.
    static WORKER: RefCell<(Vec<u8>, Vec<u8>)> = RefCell::new((vec![0; READ_BUFFER], Vec::new()));
}

/// The reading half of a socket.
pub(crate) struct Reader {
    pub(super) half: OwnedReadHalf,
    pub(super) socket: Arc<Socket>,
    /// An incomplete frame.
    pub(super) tail: Vec<u8>,
    /// Length that the frame in `tail` will have, as far as is known.
    pub(super) wanted: usize,
    /// Most bytes that one read takes.
    pub(super) most: usize,
    /// What is around the input.
    pub(super) layer: Option<Box<InputLayer>>,
    /// Bytes taken since others had their turn, and what deliveries count for.
    pub(super) taken: usize,
}

/// What the next read takes at most, after one of `most` that led to so many deliveries: with a thousand receivers a
/// full read would be a turn of many milliseconds.
fn fitting(most: usize, deliveries: u64) -> usize {
    if deliveries > DELIVERIES_MAX {
        (most / 2).max(LEAST_READ)
    } else if deliveries < DELIVERIES_MAX / 4 {
        (most * 2).min(READ_BUFFER)
    } else {
        most
    }
}

/// What so many deliveries count for in a turn.
fn counted(deliveries: u64) -> usize {
    usize::try_from(deliveries).unwrap_or(usize::MAX).saturating_mul(DELIVERY_COUNTS)
}

/// What a consumer made of the bytes it was shown.
pub(crate) struct Consumed {
    /// Bytes used up.
    pub(crate) bytes: usize,
    /// Length of the frame that the rest begins, 0 when unknown.
    pub(crate) wanted: usize,
    /// The consumer takes no more until it has done something else; the rest is to be replayed then.
    pub(crate) paused: bool,
}

/// How a read ended.
pub(crate) enum Read {
    /// Bytes were shown to the consumer.
    Some,
    /// The peer closed its side.
    End,
    /// The framing was breached.
    Breach(FrameError),
    /// What is compressed cannot be read.
    Damaged(S2Error),
    /// The peer said that it closes.
    Closed,
    /// Bytes were shown to the consumer, and the socket has a pong to write.
    Pinged,
}

/// A peer that went away in the middle of its CONNECT leaves nothing of it.
impl Drop for Reader {
    fn drop(&mut self) {
        let mut tail = std::mem::take(&mut self.tail);
        self.forget(&mut tail);
    }
}

impl Reader {
    pub(crate) fn new(half: OwnedReadHalf, socket: Arc<Socket>) -> Self {
        Self { half, socket, tail: Vec::new(), wanted: 0, most: FIRST_READ, layer: None, taken: 0 }
    }

    /// The same, with its input in frames.
    pub(crate) fn framed(self, input: Input) -> Self {
        // Not by `..self`: what is dropped is searched for what must be forgotten.
        let mut framed = self;
        framed.layer = Some(Box::new(InputLayer::Websocket(input)));
        framed
    }

    /// From here on the input is compressed; a peer that has proved nothing may send `early` bytes at most.
    pub(crate) fn decompress(&mut self, early: Option<usize>) {
        let tail = std::mem::take(&mut self.tail);
        self.wanted = 0;
        self.layer = Some(Box::new(InputLayer::S2(Incoming::new(early).after(tail))));
    }

    /// Reads as much at once as there is: the peer has proved who it is.
    pub(crate) fn trust(&mut self) {
        self.most = READ_BUFFER;
        if let Some(layer) = &mut self.layer {
            layer.trust();
        }
    }

    /// Shows `consume` what is left over from earlier, without reading.
    pub(crate) fn replay(&mut self, consume: &mut dyn FnMut(&[u8]) -> Consumed) -> Read {
        let paused = self.show_tail(consume);
        if self.layer.is_some() && !paused { self.resume_layer(consume) } else { Read::Some }
    }

    /// Whether the consumer takes no more.
    fn show_tail(&mut self, consume: &mut dyn FnMut(&[u8]) -> Consumed) -> bool {
        let mut tail = std::mem::take(&mut self.tail);
        let consumed = consume(&tail);
        self.keep(&tail, &consumed);
        self.forget(&mut tail);
        consumed.paused
    }

    /// Takes plain text that TLS already holds, right after the handshake.
    ///
    /// # Errors
    ///
    /// When TLS fails.
    pub(crate) fn take_early(&mut self) -> io::Result<()> {
        // A request that asks for WebSocket has nothing behind it.
        let Some(tls) = self.socket.tls().filter(|_| self.layer.is_none()) else { return Ok(()) };
        let mut tls = tls.lock();
        match io::Read::read_to_end(&mut tls.reader(), &mut self.tail) {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Lets others have their turn once much was taken. A peer that never stops sending would otherwise keep its worker
    /// for a hundred reads, and nobody look meanwhile whether others have sent something.
    pub(crate) async fn give_way(&mut self) {
        if self.taken >= TURN {
            self.taken = 0;
            tokio::task::yield_now().await;
        }
    }

    /// Fits what one read takes to how often what the last one took was delivered.
    pub(crate) fn weigh(&mut self, deliveries: u64) {
        if self.is_wary() {
            return;
        }
        self.most = fitting(self.most, deliveries);
        self.taken = self.taken.saturating_add(counted(deliveries));
    }

    /// Reads once and shows `consume` all bytes at hand.
    ///
    /// # Errors
    ///
    /// When the socket or TLS fails.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        consume: &mut dyn FnMut(&[u8]) -> Consumed,
    ) -> Poll<io::Result<Read>> {
        WORKER.with_borrow_mut(|(buffer, records)| {
            if self.layer.is_some() {
                self.poll_layer(cx, buffer, records, consume)
            } else if self.socket.tls().is_some() {
                self.poll_tls(cx, buffer, records, consume)
            } else if self.wanted > buffer.len() || (self.tail.len() >= DIRECT_FROM && self.wanted > self.tail.len()) {
                self.poll_large(cx, consume)
            } else {
                self.poll_plain(cx, buffer, consume)
            }
        })
    }

    fn poll_plain(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
        consume: &mut dyn FnMut(&[u8]) -> Consumed,
    ) -> Poll<io::Result<Read>> {
        let kept = self.tail.len();
        let Some((head, room)) = buffer.split_at_mut_checked(kept) else {
            return self.poll_large(cx, consume);
        };
        if room.is_empty() {
            return self.poll_large(cx, consume);
        }
        let most = room.len().min(self.most);
        let mut read = ReadBuf::new(room.get_mut(..most).unwrap_or_default());
        ready!(Pin::new(&mut self.half).poll_read(cx, &mut read))?;
        let count = read.filled().len();
        if count == 0 {
            return Poll::Ready(Ok(Read::End));
        }
        self.taken += count;
        head.copy_from_slice(&self.tail);
        let bytes = buffer.get_mut(..kept + count).unwrap_or_default();
        let consumed = consume(bytes);
        self.keep_all_of(bytes, &consumed);
        Poll::Ready(Ok(Read::Some))
    }

    /// The rest of a large frame is read straight behind its beginning: bytes that dribble in cost no copy of
    /// all that came before them.
    fn poll_large(
        &mut self,
        cx: &mut Context<'_>,
        consume: &mut dyn FnMut(&[u8]) -> Consumed,
    ) -> Poll<io::Result<Read>> {
        let kept = self.tail.len();
        let whole = self.wanted.max(kept + 1);
        self.tail.resize(whole.min(kept + READ_STEP), 0);
        let mut read = ReadBuf::new(self.tail.get_mut(kept..).unwrap_or_default());
        let outcome = Pin::new(&mut self.half).poll_read(cx, &mut read);
        let count = read.filled().len();
        self.tail.truncate(kept + count);
        ready!(outcome)?;
        if count == 0 {
            return Poll::Ready(Ok(Read::End));
        }
        self.taken += count;
        if self.tail.len() == whole {
            self.show_tail(consume);
        }
        Poll::Ready(Ok(Read::Some))
    }

    fn poll_tls(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut Vec<u8>,
        records: &mut Vec<u8>,
        consume: &mut dyn FnMut(&[u8]) -> Consumed,
    ) -> Poll<io::Result<Read>> {
        if records.is_empty() {
            records.resize(READ_BUFFER / 4, 0);
        }
        let most = records.len().min(self.most);
        let mut read = ReadBuf::new(records.get_mut(..most).unwrap_or_default());
        ready!(Pin::new(&mut self.half).poll_read(cx, &mut read))?;
        let mut sealed: &[u8] = read.filled();
        if sealed.is_empty() {
            return Poll::Ready(Ok(Read::End));
        }
        self.taken += sealed.len();
        let socket = self.socket.clone();
        let Some(tls) = socket.tls() else { return Poll::Ready(Ok(Read::End)) };
        let mut ended = false;
        while !sealed.is_empty() && !ended {
            // The rest of a frame whose length is known goes straight behind its beginning.
            let direct = self.wanted > self.tail.len();
            let kept = self.tail.len();
            let fresh = {
                let mut tls = tls.lock();
                tls.read_tls(&mut sealed)?;
                let state =
                    tls.process_new_packets().map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
                ended = state.peer_has_closed();
                let fresh = state.plaintext_bytes_to_read();
                let into = if direct { &mut self.tail } else { &mut *buffer };
                if into.len() < kept + fresh {
                    into.resize(kept + fresh, 0);
                }
                let room = into.get_mut(kept..kept + fresh).unwrap_or_default();
                if !room.is_empty() {
                    io::Read::read_exact(&mut tls.reader(), room)?;
                }
                fresh
            };
            if fresh == 0 {
                continue;
            }
            if direct {
                if self.tail.len() >= self.wanted {
                    self.show_tail(consume);
                }
                continue;
            }
            if let Some(head) = buffer.get_mut(..kept) {
                head.copy_from_slice(&self.tail);
            }
            let bytes = buffer.get_mut(..kept + fresh).unwrap_or_default();
            let consumed = consume(bytes);
            self.keep_all_of(bytes, &consumed);
        }
        buffer.truncate(buffer.len().clamp(READ_BUFFER, READ_BUFFER * 4));
        Poll::Ready(Ok(if ended { Read::End } else { Read::Some }))
    }

    /// Keeps the rest of what was at hand, `tail` included.
    fn keep_all_of(&mut self, bytes: &mut [u8], consumed: &Consumed) {
        let mut tail = std::mem::take(&mut self.tail);
        self.forget(&mut tail);
        tail.clear();
        self.tail = tail;
        self.keep(bytes, consumed);
        self.forget(bytes);
    }

    /// Before the peer has proved who it is, what it sends may be a password or a token: it does not stay in
    /// memory that others use.
    fn forget(&self, bytes: &mut [u8]) {
        if self.is_wary() {
            bytes.zeroize();
        }
    }

    /// A part of a frame is here, and the rest is not.
    pub(super) fn has_begun(&self) -> bool {
        !self.tail.is_empty()
    }

    /// The peer has not proved who it is.
    pub(super) fn is_wary(&self) -> bool {
        self.most == FIRST_READ
    }

    fn keep(&mut self, bytes: &[u8], consumed: &Consumed) {
        let rest = bytes.get(consumed.bytes..).unwrap_or_default();
        self.wanted = consumed.wanted;
        if rest.is_empty() {
            self.tail = Vec::new();
            return;
        }
        self.tail.reserve_exact(consumed.wanted.max(rest.len()));
        self.tail.extend_from_slice(rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_read_of_small_messages_is_a_turn_and_one_of_large_messages_is_not() {
        let turn_of = |size: usize| READ_BUFFER + counted((READ_BUFFER / size) as u64);
        assert!(turn_of(150) >= TURN && turn_of(1 << 16) * 4 >= TURN && turn_of(1 << 16) * 3 < TURN);
        assert!(counted(DELIVERIES_MAX) >= TURN && counted(u64::MAX) == usize::MAX);
    }

    #[test]
    fn reads_become_smaller_while_much_is_delivered_and_larger_again() {
        let mut most = READ_BUFFER;
        for _ in 0..10 {
            most = fitting(most, DELIVERIES_MAX + 1);
        }
        assert_eq!(most, LEAST_READ);
        assert_eq!(fitting(most, DELIVERIES_MAX), most, "as it should be");
        for _ in 0..10 {
            most = fitting(most, 1);
        }
        assert_eq!(most, READ_BUFFER);
        const { assert!(LEAST_READ > FIRST_READ, "or a peer that is trusted would be taken for one that is not") };
    }
}
