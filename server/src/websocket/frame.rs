//! Frames of RFC 6455, without sockets: bytes in, events out; and the headers of frames that go out.
//!
//! ```text
//! FIN RSV1-3 opcode | MASK length(7) | length(16 or 64) | mask(4) | payload
//! ```
//!
//! Frames carry a stream of bytes. Payload is handed on as it comes, whatever length a frame announces: nothing is
//! allocated by it. A control frame is at most 125 bytes and is kept until it is whole.

use std::ops::Range;

/// Longest header: two bytes, a length of 64 bits, and the mask.
const HEADER_MAX: usize = 14;
/// Longest payload of a control frame.
pub const CONTROL_MAX: usize = 125;

const FIN: u8 = 0x80;
const RSV1: u8 = 0x40;
const RSV2_RSV3: u8 = 0x30;
const OPCODE: u8 = 0x0f;
const MASKED: u8 = 0x80;
const LENGTH: u8 = 0x7f;
const LENGTH_16: u8 = 126;
const LENGTH_64: u8 = 127;

/// What a frame is for (RFC 6455 section 5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opcode {
    /// More of the message before it.
    Continuation,
    /// A message of text.
    Text,
    /// A message of bytes.
    Binary,
    /// The peer ends the connection.
    Close,
    /// The peer wants a pong.
    Ping,
    /// An answer to a ping.
    Pong,
}

impl Opcode {
    fn of(first: u8) -> Result<Self, FrameError> {
        match first & OPCODE {
            0 => Ok(Self::Continuation),
            1 => Ok(Self::Text),
            2 => Ok(Self::Binary),
            8 => Ok(Self::Close),
            9 => Ok(Self::Ping),
            10 => Ok(Self::Pong),
            _ => Err(FrameError::Opcode),
        }
    }

    const fn bits(self) -> u8 {
        match self {
            Self::Continuation => 0,
            Self::Text => 1,
            Self::Binary => 2,
            Self::Close => 8,
            Self::Ping => 9,
            Self::Pong => 10,
        }
    }

    const fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

/// A breach of the framing: each ends the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A close frame with a payload of one byte.
    #[error("a close frame with half a status")]
    CloseLength,
    /// A reason that is no UTF-8.
    #[error("the reason in a close frame is not UTF-8")]
    CloseReason,
    /// A status that nobody may send.
    #[error("a close frame with the reserved status {0}")]
    CloseStatus(u16),
    /// RSV1 where nothing compressed may be.
    #[error("RSV1 is set where no compression was negotiated, or not on the first frame of a message")]
    Compressed,
    /// A control frame that is too long.
    #[error("a control frame of more than 125 bytes")]
    ControlLength,
    /// A control frame in pieces.
    #[error("a control frame in fragments")]
    Fragmented,
    /// A compressed message that cannot be inflated.
    #[error("a compressed message is damaged")]
    Deflate,
    /// A length of 64 bits that has its top bit set.
    #[error("a frame's length has its top bit set")]
    Length,
    /// The peer must mask its frames.
    #[error("a frame without a mask")]
    Mask,
    /// An operation that does not exist.
    #[error("an unknown opcode")]
    Opcode,
    /// Messages inside one another, or the rest of none.
    #[error("fragments out of order")]
    Order,
    /// RSV2 or RSV3.
    #[error("RSV2 or RSV3 is set, which no extension uses")]
    Reserved,
    /// A compressed message that is too large.
    #[error("a compressed message exceeds what one message may hold")]
    TooLarge,
}

/// What the next bytes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Nothing yet: all bytes are used up.
    More,
    /// Payload of a message, masked still.
    Data(Data),
    /// A ping, whose payload is [`Decoder::control`].
    Ping,
    /// A pong.
    Pong,
    /// The peer's close, with its status and reason, unless it gave none.
    Close(Option<CloseFrame>),
}

/// A piece of a message's payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Data {
    /// Where it is in the bytes that were handed in.
    pub place: Range<usize>,
    /// The mask, for its first byte first.
    pub mask: [u8; 4],
    /// It belongs to a compressed message.
    pub compressed: bool,
    /// The message ends with it.
    pub last: bool,
}

/// Status and reason of a close frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseFrame {
    /// The status (RFC 6455 section 7.4).
    pub status: u16,
    /// The reason: at most 123 bytes.
    pub reason: String,
}

/// Takes frames apart.
#[derive(Debug)]
pub struct Decoder {
    /// The peer must mask its frames; one that need not is not unmasked either.
    masked: bool,
    /// Messages may be compressed.
    deflate: bool,
    header: [u8; HEADER_MAX],
    header_len: usize,
    /// The frame whose payload comes.
    frame: Option<Frame>,
    /// A message has begun; whether it is compressed.
    message: Option<bool>,
    control: [u8; CONTROL_MAX],
    control_len: usize,
}

#[derive(Clone, Copy, Debug)]
struct Frame {
    opcode: Opcode,
    last: bool,
    left: u64,
    mask: [u8; 4],
}

impl Decoder {
    /// A decoder of a peer that must mask its frames if `masked`, and may compress messages if `deflate`.
    pub const fn new(masked: bool, deflate: bool) -> Self {
        Self {
            masked,
            deflate,
            header: [0; HEADER_MAX],
            header_len: 0,
            frame: None,
            message: None,
            control: [0; CONTROL_MAX],
            control_len: 0,
        }
    }

    /// What `bytes` begin with, and how many of them that takes.
    ///
    /// # Errors
    ///
    /// [`FrameError`] as soon as the bytes at hand can no longer become a frame; nothing may follow it.
    pub fn next(&mut self, bytes: &[u8]) -> Result<(Event, usize), FrameError> {
        let mut used = 0;
        while self.frame.is_none() {
            let Some(byte) = bytes.get(used) else { return Ok((Event::More, used)) };
            used += 1;
            self.header_byte(*byte)?;
        }
        let Some(frame) = &mut self.frame else { return Ok((Event::More, used)) };
        let rest = bytes.len() - used;
        let len = usize::try_from(frame.left).map_or(rest, |left| left.min(rest));
        if len == 0 && frame.left > 0 {
            return Ok((Event::More, used));
        }
        let place = used..used + len;
        let mask = frame.mask;
        frame.left -= len as u64;
        frame.mask.rotate_left(len % 4);
        let (opcode, ended, last) = (frame.opcode, frame.left == 0, frame.last);
        if ended {
            self.frame = None;
        }
        if opcode.is_control() {
            let event = self.control_bytes(opcode, bytes.get(place.clone()).unwrap_or_default(), mask, ended)?;
            return Ok((event, place.end));
        }
        let compressed = self.message.unwrap_or_default();
        let last = ended && last;
        if last {
            self.message = None;
        }
        Ok((Event::Data(Data { place: place.clone(), mask, compressed, last }), place.end))
    }

    /// Payload of the control frame that the last event told of.
    pub fn control(&self) -> &[u8] {
        self.control.get(..self.control_len).unwrap_or_default()
    }

    fn header_byte(&mut self, byte: u8) -> Result<(), FrameError> {
        if let Some(slot) = self.header.get_mut(self.header_len) {
            *slot = byte;
            self.header_len += 1;
        }
        let [first, second, ..] = self.header;
        match self.header_len {
            1 => self.check_first(first)?,
            2 => self.check_second(first, second)?,
            _ => {}
        }
        if self.header_len < 2 || self.header_len < header_len(second) {
            return Ok(());
        }
        let mask = if second & MASKED != 0 && self.masked {
            self.header.get(..self.header_len).and_then(<[u8]>::last_chunk).copied().unwrap_or_default()
        } else {
            [0; 4]
        };
        let opcode = Opcode::of(first)?;
        let left = self.length(second)?;
        self.begin(opcode, first & RSV1 != 0);
        self.frame = Some(Frame { opcode, last: first & FIN != 0, left, mask });
        self.header_len = 0;
        Ok(())
    }

    fn check_first(&self, first: u8) -> Result<(), FrameError> {
        if first & RSV2_RSV3 != 0 {
            return Err(FrameError::Reserved);
        }
        let opcode = Opcode::of(first)?;
        let starts = matches!(opcode, Opcode::Text | Opcode::Binary);
        if first & RSV1 != 0 && !(self.deflate && starts) {
            return Err(FrameError::Compressed);
        }
        if opcode.is_control() {
            return if first & FIN == 0 { Err(FrameError::Fragmented) } else { Ok(()) };
        }
        if starts == self.message.is_some() { Err(FrameError::Order) } else { Ok(()) }
    }

    fn check_second(&self, first: u8, second: u8) -> Result<(), FrameError> {
        if self.masked && second & MASKED == 0 {
            return Err(FrameError::Mask);
        }
        let too_long = second & LENGTH > CONTROL_MAX as u8;
        if Opcode::of(first)?.is_control() && too_long { Err(FrameError::ControlLength) } else { Ok(()) }
    }

    /// The length of the payload; its header is whole.
    fn length(&self, second: u8) -> Result<u64, FrameError> {
        let [_, _, b0, b1, b2, b3, b4, b5, b6, b7, ..] = self.header;
        match second & LENGTH {
            LENGTH_16 => Ok(u64::from(u16::from_be_bytes([b0, b1]))),
            // CVE-2026-27889: such a length has no meaning, and sums with it overflow.
            LENGTH_64 if b0 & 0x80 != 0 => Err(FrameError::Length),
            LENGTH_64 => Ok(u64::from_be_bytes([b0, b1, b2, b3, b4, b5, b6, b7])),
            short => Ok(u64::from(short)),
        }
    }

    fn begin(&mut self, opcode: Opcode, compressed: bool) {
        if opcode.is_control() {
            self.control_len = 0;
        } else if opcode != Opcode::Continuation {
            self.message = Some(compressed);
        }
    }

    fn control_bytes(&mut self, opcode: Opcode, bytes: &[u8], mask: [u8; 4], ended: bool) -> Result<Event, FrameError> {
        let place = self.control_len..self.control_len + bytes.len();
        if let Some(room) = self.control.get_mut(place.clone()) {
            room.copy_from_slice(bytes);
            unmask(room, mask);
            self.control_len = place.end;
        }
        if !ended {
            return Ok(Event::More);
        }
        match opcode {
            Opcode::Ping => Ok(Event::Ping),
            Opcode::Close => close(self.control()).map(Event::Close),
            _ => Ok(Event::Pong),
        }
    }
}

/// Length of a header, by its second byte.
const fn header_len(second: u8) -> usize {
    let length = match second & LENGTH {
        LENGTH_16 => 2,
        LENGTH_64 => 8,
        _ => 0,
    };
    2 + length + if second & MASKED != 0 { 4 } else { 0 }
}

/// Takes the mask off, or puts it on.
pub fn unmask(bytes: &mut [u8], mask: [u8; 4]) {
    if mask == [0; 4] {
        return;
    }
    let [m0, m1, m2, m3] = mask;
    let wide = u64::from_ne_bytes([m0, m1, m2, m3, m0, m1, m2, m3]);
    let (words, rest) = bytes.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    for (byte, mask) in rest.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
}

/// What a close frame says.
fn close(payload: &[u8]) -> Result<Option<CloseFrame>, FrameError> {
    let Some((status, reason)) = payload.split_first_chunk::<2>() else {
        return if payload.is_empty() { Ok(None) } else { Err(FrameError::CloseLength) };
    };
    let status = u16::from_be_bytes(*status);
    let valid = matches!(status, 1000..=1003 | 1007..=1014 | 3000..=4999);
    if !valid {
        return Err(FrameError::CloseStatus(status));
    }
    let reason = std::str::from_utf8(reason).map_err(|_| FrameError::CloseReason)?;
    Ok(Some(CloseFrame { status, reason: reason.to_owned() }))
}

/// Appends the header of a frame of `len` bytes that is not masked.
pub fn put_header(opcode: Opcode, last: bool, compressed: bool, len: usize, into: &mut Vec<u8>) {
    let fin = if last { FIN } else { 0 };
    into.push(opcode.bits() | fin | if compressed { RSV1 } else { 0 });
    match (u8::try_from(len), u16::try_from(len)) {
        (Ok(short @ 0..LENGTH_16), _) => into.push(short),
        (_, Ok(medium)) => {
            into.push(LENGTH_16);
            into.extend_from_slice(&medium.to_be_bytes());
        }
        _ => {
            into.push(LENGTH_64);
            into.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
}

/// Appends a whole frame under `mask`, as whoever dialled has to send them (RFC 6455 section 5.3).
pub fn put_masked(opcode: Opcode, last: bool, compressed: bool, payload: &[u8], mask: [u8; 4], into: &mut Vec<u8>) {
    let begin = into.len();
    put_header(opcode, last, compressed, payload.len(), into);
    if let Some(second) = into.get_mut(begin + 1) {
        *second |= MASKED;
    }
    into.extend_from_slice(&mask);
    let from = into.len();
    into.extend_from_slice(payload);
    unmask(into.get_mut(from..).unwrap_or_default(), mask);
}

/// The same control frame under `mask`.
pub fn masked_control(frame: &[u8], mask: [u8; 4]) -> Vec<u8> {
    let Some(([first, second], payload)) = frame.split_first_chunk::<2>() else { return Vec::new() };
    let mut masked = vec![*first, *second | MASKED];
    masked.extend_from_slice(&mask);
    masked.extend_from_slice(payload);
    unmask(masked.get_mut(6..).unwrap_or_default(), mask);
    masked
}

/// A whole control frame; what is longer than a control frame may be is cut.
pub fn control_frame(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let payload = payload.get(..CONTROL_MAX).unwrap_or(payload);
    let mut frame = Vec::with_capacity(2 + payload.len());
    put_header(opcode, true, false, payload.len(), &mut frame);
    frame.extend_from_slice(payload);
    frame
}

/// A close frame; an empty one without a status.
pub fn close_frame(close: Option<&CloseFrame>) -> Vec<u8> {
    let payload = close.map(|close| [&close.status.to_be_bytes(), close.reason.as_bytes()].concat());
    control_frame(Opcode::Close, &payload.unwrap_or_default())
}

#[cfg(test)]
#[path = "frame_tests.rs"]
mod tests;
