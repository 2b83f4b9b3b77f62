//! Reading: into a buffer of the worker, keeping only an incomplete tail per connection.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::tcp::OwnedReadHalf;
use zeroize::Zeroize as _;

use crate::connection::socket::Socket;
use crate::limits::{DIRECT_FROM, FIRST_READ, READ_BUFFER, READ_STEP};

thread_local! {
    /// The worker's read buffer and its buffer for TLS records.
    static WORKER: RefCell<(Vec<u8>, Vec<u8>)> = RefCell::new((vec![0; READ_BUFFER], Vec::new()));
}

/// The reading half of a socket.
pub(super) struct Reader {
    half: OwnedReadHalf,
    socket: Arc<Socket>,
    /// An incomplete frame.
    tail: Vec<u8>,
    /// Length that the frame in `tail` will have, as far as is known.
    wanted: usize,
    /// Most bytes that one read takes.
    most: usize,
}

/// What a consumer made of the bytes it was shown.
pub(super) struct Consumed {
    /// Bytes used up.
    pub(super) bytes: usize,
    /// Length of the frame that the rest begins, 0 when unknown.
    pub(super) wanted: usize,
}

/// How a read ended.
pub(super) enum Read {
    /// Bytes were shown to the consumer.
    Some,
    /// The peer closed its side.
    End,
}

/// A peer that went away in the middle of its CONNECT leaves nothing of it.
impl Drop for Reader {
    fn drop(&mut self) {
        let mut tail = std::mem::take(&mut self.tail);
        self.forget(&mut tail);
    }
}

impl Reader {
    pub(super) fn new(half: OwnedReadHalf, socket: Arc<Socket>) -> Self {
        Self { half, socket, tail: Vec::new(), wanted: 0, most: FIRST_READ }
    }

    /// Reads as much at once as there is: the peer has proved who it is.
    pub(super) fn trust(&mut self) {
        self.most = READ_BUFFER;
    }

    /// Shows `consume` what is left over from earlier, without reading.
    pub(super) fn replay(&mut self, consume: &mut dyn FnMut(&[u8]) -> Consumed) {
        let mut tail = std::mem::take(&mut self.tail);
        let consumed = consume(&tail);
        self.keep(&tail, &consumed);
        self.forget(&mut tail);
    }

    /// Takes plain text that TLS already holds, right after the handshake.
    ///
    /// # Errors
    ///
    /// When TLS fails.
    pub(super) fn take_early(&mut self) -> io::Result<()> {
        let Some(tls) = self.socket.tls() else { return Ok(()) };
        let mut tls = tls.lock();
        match io::Read::read_to_end(&mut tls.reader(), &mut self.tail) {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Reads once and shows `consume` all bytes at hand.
    ///
    /// # Errors
    ///
    /// When the socket or TLS fails.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        consume: &mut dyn FnMut(&[u8]) -> Consumed,
    ) -> Poll<io::Result<Read>> {
        WORKER.with_borrow_mut(|(buffer, records)| {
            if self.socket.tls().is_some() {
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
        if self.tail.len() == whole {
            self.replay(consume);
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
                    self.replay(consume);
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
        if self.most == FIRST_READ {
            bytes.zeroize();
        }
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
