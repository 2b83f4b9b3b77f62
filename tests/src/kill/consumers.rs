//! Those who take messages and acknowledge them, waiting for the answer.

use std::collections::{HashMap, HashSet};
use std::io;

use parking_lot::Mutex;
use serde_json::json;

use super::Site;
use super::truth::{Answers, StreamName, Truth, id_of};

/// Messages of one request.
const BATCH: usize = 200;
/// Acknowledgements that wait for their answers.
const FLYING: usize = 400;

/// Pulls and acknowledges until the connection ends or, if `drain`, until nothing is left.
pub(super) async fn run(
    site: &Site,
    truth: &Mutex<Truth>,
    answers: &Answers,
    (stream, consumer, name): (StreamName, &'static str, &str),
    drain: bool,
) -> io::Result<()> {
    let inbox = format!("I.{name}");
    let mut wire = site.wire(&inbox).await?;
    let mut mine: HashSet<String> = HashSet::new();
    let mut flying: HashMap<u64, String> = HashMap::new();
    let mut next = 0;
    // A request is answered to its end, by messages or by a status.
    loop {
        let request = if drain {
            json!({"batch": BATCH, "no_wait": true})
        } else {
            json!({"batch": BATCH, "expires": 5_000_000_000_u64})
        };
        wire.publish(
            &format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"),
            &format!("{inbox}.m"),
            &[],
            request.to_string().as_bytes(),
        );
        wire.flush().await?;
        let (mut left, mut got) = (BATCH, 0);
        while left > 0 || flying.len() > FLYING || (drain && !flying.is_empty()) {
            let message = wire.next().await?;
            if let Some(number) = message.subject.strip_prefix(&format!("{inbox}.a.")) {
                let id = flying.remove(&number.parse().unwrap()).unwrap();
                mine.insert(id.clone());
                truth.lock().fresh.insert((stream, id));
                answers.one_more();
                continue;
            }
            if message.status().is_some() {
                left = 0;
                continue;
            }
            left -= 1;
            got += 1;
            let seq: u64 = message.reply.split('.').nth(5).unwrap().parse().unwrap();
            let id = took(&mut truth.lock(), stream, seq, &message.payload, &mine);
            next += 1;
            wire.publish(&message.reply, &format!("{inbox}.a.{next}"), &[], b"+ACK");
            flying.insert(next, id);
            if next.is_multiple_of(16) || left == 0 || drain {
                wire.flush().await?;
            }
        }
        if drain && got == 0 {
            return Ok(());
        }
    }
}

/// A message was delivered: it must be one that nobody has acknowledged for good.
fn took(truth: &mut Truth, stream: StreamName, seq: u64, payload: &[u8], mine: &HashSet<String>) -> String {
    let id = id_of(truth, stream, payload);
    truth.sees(stream, seq, &id);
    let key = (stream, id.clone());
    if mine.contains(&id) || truth.settled.contains(&key) {
        truth.fault(format!("{id} of {stream} was delivered after its acknowledgement was answered"));
    }
    truth.sent.insert(key);
    id
}
