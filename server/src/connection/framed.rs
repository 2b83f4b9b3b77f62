//! Reading a WebSocket, or what is compressed: what messages or blocks carry is gathered behind what is left of earlier reads, with the mask taken
//! off on the way, and shown to the same consumer as the bytes of a plain connection.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};
use zeroize::Zeroize as _;

use crate::connection::layer::{InputLayer, OutputLayer};
use crate::connection::reader::{Consumed, Read, Reader};
use crate::limits::{INFLATE_STEP, READ_BUFFER, TURN};
use crate::websocket::close;
use crate::websocket::frame::unmask;
use crate::websocket::incoming::{End, Sink};

thread_local! {
    /// Of the worker: what is gathered, and what is inflated.
    static WORKER: RefCell<(Vec<u8>, Vec<u8>)> = const { RefCell::new((Vec::new(), Vec::new())) };
}

impl Reader {
    /// Reads once and shows `consume` what the messages at hand carry.
    ///
    /// # Errors
    ///
    /// When the socket or TLS fails.
    pub(super) fn poll_layer(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut Vec<u8>,
        records: &mut Vec<u8>,
        consume: &mut dyn FnMut(&[u8]) -> Consumed,
    ) -> Poll<io::Result<Read>> {
        if self.layer.as_ref().is_some_and(|layer| layer.has_more()) {
            // A few bytes may have become millions: others have their turn before the next.
            self.taken = TURN;
            return Poll::Ready(Ok(self.resume_layer(consume)));
        }
        let most = self.most.min(READ_BUFFER / 4);
        if self.socket.tls().is_some() {
            return self.poll_layer_tls(cx, buffer, records, most, consume);
        }
        let mut read = ReadBuf::new(buffer.get_mut(..most).unwrap_or_default());
        ready!(Pin::new(&mut self.half).poll_read(cx, &mut read))?;
        let count = read.filled().len();
        if count == 0 {
            return Poll::Ready(Ok(Read::End));
        }
        self.taken += count;
        self.take_apart(buffer.get_mut(..count).unwrap_or_default(), consume);
        Poll::Ready(Ok(self.outcome(false)))
    }

    fn poll_layer_tls(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut Vec<u8>,
        records: &mut Vec<u8>,
        most: usize,
        consume: &mut dyn FnMut(&[u8]) -> Consumed,
    ) -> Poll<io::Result<Read>> {
        if records.is_empty() {
            records.resize(READ_BUFFER / 4, 0);
        }
        let mut read = ReadBuf::new(records.get_mut(..most).unwrap_or_default());
        ready!(Pin::new(&mut self.half).poll_read(cx, &mut read))?;
        let mut sealed: &[u8] = read.filled();
        self.taken += sealed.len();
        let socket = self.socket.clone();
        let Some(tls) = socket.tls().filter(|_| !sealed.is_empty()) else { return Poll::Ready(Ok(Read::End)) };
        let mut ended = false;
        while !sealed.is_empty() && !ended {
            let fresh = {
                let mut tls = tls.lock();
                tls.read_tls(&mut sealed)?;
                let state =
                    tls.process_new_packets().map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
                ended = state.peer_has_closed();
                let fresh = state.plaintext_bytes_to_read();
                if buffer.len() < fresh {
                    buffer.resize(fresh, 0);
                }
                io::Read::read_exact(&mut tls.reader(), buffer.get_mut(..fresh).unwrap_or_default())?;
                fresh
            };
            self.take_apart(buffer.get_mut(..fresh).unwrap_or_default(), consume);
        }
        buffer.truncate(buffer.len().clamp(READ_BUFFER, READ_BUFFER * 4));
        Poll::Ready(Ok(self.outcome(ended)))
    }

    /// Takes apart what was left when the consumer paused.
    pub(super) fn resume_layer(&mut self, consume: &mut dyn FnMut(&[u8]) -> Consumed) -> Read {
        self.with_input(consume, |input, sink| input.resume(sink));
        self.outcome(false)
    }

    fn take_apart(&mut self, bytes: &mut [u8], consume: &mut dyn FnMut(&[u8]) -> Consumed) {
        self.with_input(consume, |input, sink| input.feed(bytes, sink));
        if self.is_wary() {
            bytes.zeroize();
        }
    }

    fn with_input(
        &mut self,
        consume: &mut dyn FnMut(&[u8]) -> Consumed,
        take: impl FnOnce(&mut InputLayer, &mut Gatherer<'_>),
    ) {
        let wary = self.is_wary();
        let Some(input) = &mut self.layer else { return };
        WORKER.with_borrow_mut(|(run, piece)| {
            let (tail, wanted) = (&mut self.tail, &mut self.wanted);
            let mut gatherer = Gatherer { tail, wanted, run, piece, wary, paused: false, consume };
            take(input, &mut gatherer);
            gatherer.show();
        });
    }

    fn outcome(&mut self, ended: bool) -> Read {
        let (Some(layer), Some(output)) = (self.layer.as_deref_mut(), self.socket.layer()) else { return Read::End };
        let mut output = output.lock();
        let (input, output) = match (layer, &mut *output) {
            (InputLayer::Websocket(input), OutputLayer::Websocket(output)) => (input, output),
            (InputLayer::S2(incoming), _) => {
                return match incoming.error() {
                    Some(error) => Read::Damaged(error),
                    None if ended => Read::End,
                    None => Read::Some,
                };
            }
            _ => return Read::End,
        };
        match input.end() {
            Some(End::Closed(frame)) => {
                output.answer_close(frame.as_ref());
                Read::Closed
            }
            Some(End::Breach(error)) => {
                output.answer_close(Some(&close::frame_of_breach(*error)));
                Read::Breach(*error)
            }
            None if ended => Read::End,
            None => match input.take_ping() {
                None => Read::Some,
                Some(payload) => {
                    output.pong(&payload);
                    Read::Pinged
                }
            },
        }
    }
}

/// Gathers what messages carry, so that the consumer sees it in one piece.
struct Gatherer<'a> {
    tail: &'a mut Vec<u8>,
    wanted: &'a mut usize,
    /// Of the worker: what was left and what came, unless it goes straight behind `tail`.
    run: &'a mut Vec<u8>,
    piece: &'a mut Vec<u8>,
    /// What is seen may be a password, and must not stay.
    wary: bool,
    paused: bool,
    consume: &'a mut dyn FnMut(&[u8]) -> Consumed,
}

impl Gatherer<'_> {
    fn forget(&self, bytes: &mut [u8]) {
        if self.wary {
            bytes.zeroize();
        }
    }

    /// Shows `bytes`, of which what is not used up becomes the tail.
    fn consume(&mut self, bytes: &[u8]) {
        let Consumed { bytes: used, wanted, paused } = (self.consume)(bytes);
        let rest = bytes.get(used..).unwrap_or_default();
        *self.wanted = wanted;
        self.paused = paused;
        *self.tail = Vec::new();
        if !rest.is_empty() {
            self.tail.reserve_exact(wanted.max(rest.len()));
            self.tail.extend_from_slice(rest);
        }
    }
}

impl Sink for Gatherer<'_> {
    fn gather(&mut self, bytes: &[u8], mut mask: [u8; 4]) {
        let mut rest = bytes;
        let missing = self.wanted.saturating_sub(self.tail.len());
        if self.run.is_empty() && missing > 0 {
            // The rest of a frame whose length is known goes straight behind its beginning.
            let (first, after) = rest.split_at(missing.min(rest.len()));
            append(self.tail, first, mask);
            mask.rotate_left(first.len() % 4);
            rest = after;
            if first.len() == missing {
                let mut whole = std::mem::take(self.tail);
                self.consume(&whole);
                self.forget(&mut whole);
            }
        }
        if rest.is_empty() {
            return;
        }
        if self.run.is_empty() {
            let mut tail = std::mem::take(self.tail);
            self.run.extend_from_slice(&tail);
            self.forget(&mut tail);
        }
        append(self.run, rest, mask);
    }

    fn show(&mut self) -> bool {
        if !self.run.is_empty() {
            let mut run = std::mem::take(self.run);
            self.consume(&run);
            self.forget(&mut run);
            run.clear();
            run.shrink_to(READ_BUFFER * 2);
            *self.run = run;
        }
        !self.paused
    }

    fn buffer(&mut self) -> Vec<u8> {
        let mut piece = std::mem::take(self.piece);
        piece.reserve(INFLATE_STEP);
        piece
    }

    fn give_back(&mut self, mut piece: Vec<u8>) {
        self.forget(&mut piece);
        piece.clear();
        piece.shrink_to(READ_BUFFER);
        *self.piece = piece;
    }
}

fn append(into: &mut Vec<u8>, bytes: &[u8], mask: [u8; 4]) {
    let from = into.len();
    into.extend_from_slice(bytes);
    unmask(into.get_mut(from..).unwrap_or_default(), mask);
}
