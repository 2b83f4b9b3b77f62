//! The parser of the leaf protocol: however the bytes are cut, the same frames and the same error come out.
//!
//! The first byte chooses the rules, the second the sizes of the pieces; the rest is what a leaf node sends.

use cordon_server::leaf::info::{self, LeafConnect, LeafInfo};
use cordon_server::leaf::parser::{self, Frame, Rules, Step};

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
                    if let Ok(Step::Frame(_, length)) = &whole {
                        assert!(wanted <= *length, "more is wanted than the frame has");
                        assert!(seen - at < *length, "a frame that is here is not seen");
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
}

fn kept(length: usize, wanted: usize, rules: &Rules) {
    let line = OPERATION + rules.max_control_line + 2;
    assert!(length <= line + rules.max_payload + 2, "{length} bytes are kept");
    assert!(wanted <= line + rules.max_payload + 2, "{wanted} bytes are waited for");
}

fn look(frame: &Frame<'_>, rules: &Rules) {
    let is_argument = |text: &[u8]| !text.is_empty() && !text.iter().any(|byte| matches!(byte, b' ' | b'\t' | b'\n'));
    match frame {
        Frame::Message(message) => {
            assert!(message.body.len() <= rules.max_payload && message.header_len <= message.body.len());
            assert!(is_argument(message.subject) && (message.reply.is_empty() || is_argument(message.reply)));
            assert!(message.queues.iter().all(|queue| is_argument(queue)));
        }
        Frame::Subscribe(subject, queue) => {
            assert!(is_argument(subject) && queue.is_none_or(|(name, weight)| is_argument(name) && weight > 0));
        }
        Frame::Unsubscribe(subject, queue) => assert!(is_argument(subject) && queue.is_none_or(is_argument)),
        Frame::Info(json) => said_again(json),
        Frame::Connect(json) => ran(info::read::<LeafConnect>(json)),
        _ => {}
    }
}

/// What was understood of an INFO is understood again in this broker's own words.
fn said_again(json: &[u8]) {
    let Ok(first) = info::read::<LeafInfo>(json) else { return };
    let line = first.line();
    let body = line.strip_prefix(b"INFO ").and_then(|line| line.strip_suffix(b" \r\n")).expect("a line of INFO");
    assert!(!body.contains(&b'\n') && !body.contains(&b'\r'), "a line is one line");
    let second: LeafInfo = info::read(body).expect("its own INFO is read");
    assert_eq!(format!("{first:?}"), format!("{second:?}"), "INFO read, said and read again");
}
