//! Input out of frames: the bytes that messages carry, one after the other, and what control frames ask for.

use crate::limits::{DEFLATE_INPUT_MAX, INFLATE_RATIO};
use crate::websocket::deflate::{Inflated, Inflater};
use crate::websocket::frame::{self, CloseFrame, Data, Decoder, Event, FrameError};

/// Where a connection's input stands.
#[derive(Debug)]
pub struct Input {
    decoder: Decoder,
    inflater: Inflater,
    /// Bytes that were read and not yet taken apart, since what was inside those before could not be used up.
    left: Vec<u8>,
    /// The same for a piece of a compressed message, and whether the message ends with it.
    compressed: Option<(Vec<u8>, bool)>,
    ping: Option<Vec<u8>>,
    end: Option<End>,
}

/// How the input ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// With a close frame.
    Closed(Option<CloseFrame>),
    /// With a breach of the framing.
    Breach(FrameError),
}

/// Takes the bytes that messages carry.
pub trait Sink {
    /// Takes bytes, which `mask` is to be taken off.
    fn gather(&mut self, bytes: &[u8], mask: [u8; 4]);
    /// Has what was gathered used up; whether it takes more.
    fn show(&mut self) -> bool;
    /// An empty buffer that is lent for inflating: its capacity is how much comes at once.
    fn buffer(&mut self) -> Vec<u8>;
    /// Gives the buffer back, when its bytes were taken.
    fn give_back(&mut self, buffer: Vec<u8>);
}

impl Input {
    /// Input of a peer that must mask its frames if `masked`, may compress messages if `deflate`, and may send
    /// messages of `max_payload`.
    pub fn new(masked: bool, deflate: bool, max_payload: usize) -> Self {
        let most = (max_payload as u64).saturating_mul(INFLATE_RATIO);
        Self {
            decoder: Decoder::new(masked, deflate),
            inflater: Inflater::new(most.min(DEFLATE_INPUT_MAX), most),
            left: Vec::new(),
            compressed: None,
            ping: None,
            end: None,
        }
    }

    /// The same, which begins with bytes that were read before.
    #[must_use]
    pub fn after(self, bytes: Vec<u8>) -> Self {
        Self { left: bytes, ..self }
    }

    /// The payload of the last ping that was not answered.
    pub fn take_ping(&mut self) -> Option<Vec<u8>> {
        self.ping.take()
    }

    /// How the input ended, if it has.
    pub fn end(&self) -> Option<&End> {
        self.end.as_ref()
    }

    /// Takes frames apart and hands what messages carry to `sink`, which is to be shown what it gathered afterwards.
    /// When it takes no more, the rest waits for [`Self::resume`].
    pub fn feed(&mut self, bytes: &mut [u8], sink: &mut impl Sink) {
        if self.has_left() {
            self.left.extend_from_slice(bytes);
            return;
        }
        let mut at = 0;
        while at < bytes.len() && self.end.is_none() {
            let rest = bytes.get_mut(at..).unwrap_or_default();
            let (event, used) = match self.decoder.next(rest) {
                Ok(step) => step,
                Err(error) => return self.end = Some(End::Breach(error)),
            };
            at += used;
            let goes_on = match event {
                Event::More | Event::Pong => true,
                Event::Ping => {
                    self.ping = Some(self.decoder.control().to_vec());
                    true
                }
                Event::Close(close) => return self.end = Some(End::Closed(close)),
                Event::Data(data) => self.data(&data, rest, sink),
            };
            if !goes_on {
                self.left = bytes.get(at..).unwrap_or_default().to_vec();
                return;
            }
        }
    }

    /// Goes on with what was left.
    pub fn resume(&mut self, sink: &mut impl Sink) {
        if let Some((bytes, last)) = self.compressed.take()
            && !self.inflate(&bytes, last, sink)
        {
            return;
        }
        let mut left = std::mem::take(&mut self.left);
        self.feed(&mut left, sink);
    }

    /// Something was left.
    pub fn has_left(&self) -> bool {
        self.compressed.is_some() || !self.left.is_empty()
    }

    fn data(&mut self, data: &Data, bytes: &mut [u8], sink: &mut impl Sink) -> bool {
        let payload = bytes.get_mut(data.place.clone()).unwrap_or_default();
        if !data.compressed {
            sink.gather(payload, data.mask);
            return true;
        }
        frame::unmask(payload, data.mask);
        self.inflate(payload, data.last, sink)
    }

    /// Inflates a piece of a message; whether `sink` takes more after it.
    fn inflate(&mut self, bytes: &[u8], last: bool, sink: &mut impl Sink) -> bool {
        let mut buffer = sink.buffer();
        let mut at = 0;
        let goes_on = loop {
            buffer.clear();
            let ended = match self.inflate_once(bytes, &mut at, last, &mut buffer) {
                Ok(ended) => ended,
                Err(error) => {
                    self.end = Some(End::Breach(error));
                    break true;
                }
            };
            sink.gather(&buffer, [0; 4]);
            let goes_on = sink.show();
            if ended {
                break goes_on;
            }
            if !goes_on {
                self.compressed = Some((bytes.get(at..).unwrap_or_default().to_vec(), last));
                break false;
            }
        };
        sink.give_back(buffer);
        goes_on
    }

    /// Fills `buffer` once; whether nothing more comes of this piece.
    fn inflate_once(
        &mut self,
        bytes: &[u8],
        at: &mut usize,
        last: bool,
        buffer: &mut Vec<u8>,
    ) -> Result<bool, FrameError> {
        if let Some(rest @ [_, ..]) = bytes.get(*at..) {
            match self.inflater.inflate(rest, buffer)? {
                Inflated::Full(used) => {
                    *at += used;
                    return Ok(false);
                }
                Inflated::All => *at = bytes.len(),
            }
        }
        if last { self.inflater.finish(buffer) } else { Ok(true) }
    }
}

#[cfg(test)]
#[path = "incoming_tests.rs"]
mod tests;
