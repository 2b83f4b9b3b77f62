//! The parser of the client protocol: however the bytes are cut, the same frames and the same error come out.
//!
//! The first byte chooses the rules, the second the sizes of the pieces; the rest is what a client sends.

use cordon_server::protocol::connect::{ConnectOptions, Introduction};
use cordon_server::protocol::parser::{self, Rules, Step};
use cordon_server::protocol::{Frame, encode};

use crate::input::{Input, Pieces, ran};

/// Bytes of an operation's name at most.
const OPERATION: usize = 7;

/// Panics when a cut changes what is read, or more is kept than the rules allow.
pub fn check(data: &[u8]) {
    let mut input = Input::new(data);
    let (choice, seed) = (input.byte(), input.byte());
    let rules = Rules {
        max_control_line: [16, 64, 256, 4096][usize::from(choice & 3)],
        max_payload: [0, 8, 64, 1024][usize::from(choice >> 2 & 3)],
        headers: choice & 16 == 0,
    };
    let bytes = input.rest();
    let mut pieces = Pieces::new(seed);
    let (mut at, mut seen) = (0, 0);
    loop {
        let whole = parser::next(&bytes[at..], &rules);
        // Grow the part that has arrived, piece by piece, until it says something.
        let arrived = loop {
            let part = parser::next(&bytes[at..seen], &rules);
            match part {
                Ok(Step::Incomplete(wanted)) => {
                    kept(seen - at, wanted, &rules);
                    if seen == bytes.len() {
                        break part;
                    }
                    if let Ok(Step::Frame(_, length)) = whole {
                        assert!(wanted <= length, "more is wanted than the frame has");
                        assert!(seen - at < length, "a frame that is here is not seen");
                    }
                    seen = (seen + pieces.next()).min(bytes.len());
                }
                _ => break part,
            }
        };
        assert_eq!(arrived, whole, "pieces and whole");
        let Ok(Step::Frame(frame, length)) = whole else { break };
        assert!(length > 0 && at + length <= bytes.len());
        look(&frame, &rules);
        at += length;
        seen = seen.max(at);
    }
    ran(parser::oversized(&bytes[at..]));
}

fn kept(length: usize, wanted: usize, rules: &Rules) {
    let line = OPERATION + 2 * (rules.max_control_line + 2);
    assert!(length <= line + rules.max_payload + 2, "{length} bytes are kept");
    assert!(wanted <= line + rules.max_payload + 2, "{wanted} bytes are waited for");
}

fn look(frame: &Frame<'_>, rules: &Rules) {
    match frame {
        Frame::Publish(publish) => {
            assert!(publish.body.len() <= rules.max_payload && publish.header_len <= publish.body.len());
            assert!(!publish.subject.is_empty() && publish.subject.len() <= rules.max_control_line);
            assert!(rules.headers || publish.header_len == 0);
            assert!(
                ![publish.subject, publish.reply]
                    .iter()
                    .any(|text| text.iter().any(u8::is_ascii_whitespace) && !text.contains(&b'\x0c')),
                "an argument has no blank in it"
            );
            delivered(publish.subject, publish.reply, publish.header_len, publish.body);
        }
        Frame::Subscribe(subscribe) => {
            assert!(!subscribe.subject.is_empty() && !subscribe.sid.is_empty());
            assert_ne!(subscribe.queue, Some(b"".as_slice()));
        }
        Frame::Connect(json) => {
            let (mut options, mut introduction) = (ConnectOptions::default(), Introduction::default());
            if options.merge(json, &mut introduction).is_ok() {
                let first = format!("{options:?} {introduction:?}");
                options.merge(json, &mut introduction).expect("it was good before");
                assert_eq!(format!("{options:?} {introduction:?}"), first, "CONNECT twice is CONNECT once");
            }
        }
        _ => {}
    }
}

/// A message as a receiver gets it has the sizes that it says.
fn delivered(subject: &[u8], reply: &[u8], header_len: usize, body: &[u8]) {
    let (mut tail, mut line) = (Vec::new(), Vec::new());
    let header = (header_len > 0).then_some(header_len);
    encode::line_tail(&mut tail, reply, header, body.len());
    encode::delivery_line(&mut line, header.is_some(), subject, b"9", &tail);
    let text = line.strip_suffix(b"\r\n").expect("a line ends");
    let mut words: Vec<&[u8]> = text.split(|byte| *byte == b' ').collect();
    assert_eq!(words.pop(), Some(body.len().to_string().as_bytes()));
    if let Some(length) = header {
        assert_eq!(words.pop(), Some(length.to_string().as_bytes()));
    }
    if !reply.is_empty() {
        assert_eq!(words.pop(), Some(reply));
    }
    let operation: &[u8] = if header.is_some() { b"HMSG" } else { b"MSG" };
    assert_eq!(words, [operation, subject, b"9"]);
}
