//! Reading a file of records from one end to the other, damage included.

use bytes::Bytes;

use super::record::{Format, HEAD, Kind, Record};

/// What there is in a file.
#[derive(Debug)]
pub(crate) enum Found {
    /// A record, and where it stands.
    Record(u64, Record),
    /// Bytes that are none, with a record behind them.
    Damage {
        /// Where they begin.
        from: u64,
        /// Where they end.
        to: u64,
        /// The message that they were, if that can still be told.
        seq: Option<u64>,
    },
}

/// Reads `bytes`, a whole file, from `from` on; gives where the last record ends. What lies behind that may be a torn
/// end, damage, or room ([`filled`]): only the caller can tell.
pub(crate) fn scan(format: &Format, bytes: &Bytes, from: u64, each: &mut dyn FnMut(Found)) -> u64 {
    let (mut at, mut end) = (from, from);
    let mut damage = Vec::new();
    let filled = filled(bytes);
    while at < bytes.len() as u64 {
        let rest = bytes.slice(at as usize..);
        if let Some(record) = format.record(&rest, at) {
            damage.drain(..).for_each(&mut *each);
            let next = at + u64::from(record.head.len);
            each(Found::Record(at, record));
            (at, end) = (next, next);
            continue;
        }
        if at >= filled {
            break;
        }
        let head = format.head(&rest, at).filter(|head| head.len as usize <= rest.len());
        let (to, seq) = match head {
            Some(head) => (at + u64::from(head.len), (head.kind == Kind::Message).then_some(head.seq)),
            None => (next_head(format, bytes, at + 1, filled), None),
        };
        damage.push(Found::Damage { from: at, to, seq });
        at = to;
    }
    end
}

/// Where the zeros at the end of a file begin. What was written ahead of records ([`log`](super::log)) is nothing else,
/// and no record begins there: its kind and length would be zero.
pub(crate) fn filled(bytes: &[u8]) -> u64 {
    const ZEROS: [u8; 4096] = [0; 4096];
    let is_zero = |piece: &&[u8]| ZEROS.get(..piece.len()) == Some(*piece);
    let room: usize = bytes.rchunks(ZEROS.len()).take_while(is_zero).map(<[u8]>::len).sum();
    let rest = bytes.get(..bytes.len() - room).unwrap_or_default();
    rest.iter().rposition(|byte| *byte != 0).map_or(0, |last| last as u64 + 1)
}

/// Where the next head stands, at `from` or behind it; there is none from `filled` on.
fn next_head(format: &Format, bytes: &Bytes, from: u64, filled: u64) -> u64 {
    let len = bytes.len() as u64;
    let is_head = |at: &u64| {
        let rest = bytes.get(*at as usize..).unwrap_or_default();
        format.head(rest, *at).is_some()
    };
    (from..len.saturating_sub(HEAD as u64 - 1).min(filled)).find(is_head).unwrap_or(len)
}

#[cfg(test)]
mod tests {
    use super::super::record::{FIRST, New};
    use super::*;

    fn file(count: u64) -> (Format, Vec<u8>, Vec<usize>) {
        let format = Format::new(&[1; 16], None);
        let mut bytes = vec![0; FIRST as usize];
        let mut places = Vec::new();
        for seq in 1..=count {
            let at = bytes.len();
            places.push(at);
            format.encode(&mut bytes, at as u64, &New { seq, ..New::named(Kind::Message, b"a", &[9; 50]) });
        }
        (format, bytes, places)
    }

    fn read(format: &Format, bytes: Vec<u8>) -> (Vec<u64>, Vec<Option<u64>>, u64) {
        let (mut found, mut damaged) = (Vec::new(), Vec::new());
        let end = scan(format, &bytes.into(), FIRST, &mut |what| match what {
            Found::Record(_, record) => found.push(record.head.seq),
            Found::Damage { seq, .. } => damaged.push(seq),
        });
        (found, damaged, end)
    }

    #[test]
    fn damage_costs_the_record_it_is_in_and_no_other() {
        let (format, bytes, places) = file(5);
        for (at, what) in [(places[2] + 40, Some(3)), (places[2] + 2, None), (places[2] + 5, None)] {
            let mut bad = bytes.clone();
            bad[at] ^= 1;
            assert_eq!(read(&format, bad), (vec![1, 2, 4, 5], vec![what], bytes.len() as u64), "byte {at}");
        }
        let mut cut = bytes.clone();
        cut.drain(places[1]..places[1] + 7);
        assert_eq!(read(&format, cut).0, [1], "records that moved are none");
    }

    #[test]
    fn a_torn_end_is_told_by_where_the_last_record_ends() {
        let (format, bytes, places) = file(3);
        for len in places[2]..bytes.len() {
            assert_eq!(read(&format, bytes[..len].to_vec()), (vec![1, 2], vec![], places[2] as u64), "{len} bytes");
        }
        let mut zeros = bytes.clone();
        zeros.resize(bytes.len() + 4096, 0);
        assert_eq!(read(&format, zeros), (vec![1, 2, 3], vec![], bytes.len() as u64));
    }
}
