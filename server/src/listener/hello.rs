//! Waiting for a whole ClientHello, at a price that does not depend on how the peer sends it.
//!
//! Nearly every client sends it in one piece. Reading it whenever another byte has come would let a thousand peers that
//! send a byte at a time, together, keep everybody else waiting behind a thousand wake-ups. So what is not there yet is
//! looked for again after pauses that double, and nothing that comes meanwhile is noticed.

use std::io;

use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until};

use crate::listener::patience::{FIRST_PAUSE, unwatched};

/// Kind, version and length of a TLS record (RFC 8446, 5.1).
const HEADER: usize = 5;
/// The kind of a record that holds a part of a handshake.
const HANDSHAKE: u8 = 0x16;
/// Longest record (RFC 8446, 5.1).
const RECORD_MAX: usize = 1 << 14;

/// Waits until the first record of a ClientHello has come, or what cannot be one: TLS says what is wrong with that. Ends
/// at `until` at the latest, whatever has come by then.
///
/// # Errors
///
/// When the peer goes away, or the socket cannot be watched.
pub(super) async fn arrived(mut stream: TcpStream, until: Instant) -> io::Result<TcpStream> {
    let mut pause = FIRST_PAUSE;
    while !is_here(&stream).await? && Instant::now() < until {
        if stream.ready(Interest::READABLE).await?.is_read_closed() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        stream = unwatched(stream, sleep_until(until.min(Instant::now() + pause))).await?;
        pause *= 2;
    }
    Ok(stream)
}

async fn is_here(stream: &TcpStream) -> io::Result<bool> {
    let mut header = [0; HEADER];
    let begun = stream.peek(&mut header).await?;
    if begun == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let [kind, _, _, high, low] = header;
    let length = usize::from(u16::from_be_bytes([high, low]));
    if kind != HANDSHAKE || (begun == HEADER && length > RECORD_MAX) {
        return Ok(true);
    }
    if begun < HEADER {
        return Ok(false);
    }
    let whole = HEADER + length;
    Ok(stream.peek(&mut vec![0; whole]).await? == whole)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::net;
    use std::time::Duration;

    use tokio::net::TcpListener;

    use super::*;

    const LONG: Duration = Duration::from_mins(1);

    async fn pair() -> (net::TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let peer = net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        peer.set_nodelay(true).unwrap();
        (peer, listener.accept().await.unwrap().0)
    }

    /// A record with this many bytes in it.
    fn record(length: u16) -> Vec<u8> {
        let [high, low] = length.to_be_bytes();
        let mut record = vec![HANDSHAKE, 3, 1, high, low];
        record.resize(HEADER + usize::from(length), 7);
        record
    }

    #[tokio::test]
    async fn a_hello_is_waited_for_however_it_is_cut() {
        for length in [0, 1, 300, 1 << 14] {
            let record = record(length);
            for cut in [1, 4, 5, 6, record.len() - 1, record.len()] {
                let (mut peer, stream) = pair().await;
                let (first, rest) = record.split_at(cut.min(record.len()));
                peer.write_all(first).unwrap();
                let until = Instant::now() + LONG;
                let mut arriving = Box::pin(arrived(stream, until));
                if !rest.is_empty() {
                    let early = tokio::time::timeout(Duration::from_millis(5), &mut arriving).await;
                    assert!(early.is_err(), "{cut} of {}", record.len());
                    peer.write_all(rest).unwrap();
                }
                arriving.await.unwrap();
            }
        }
    }

    #[tokio::test]
    async fn what_is_no_hello_is_not_waited_for() {
        for other in [b"CONNECT {}".as_slice(), b"G", &[HANDSHAKE, 3, 1, 0x40, 1], &[0x15]] {
            let (mut peer, stream) = pair().await;
            peer.write_all(other).unwrap();
            arrived(stream, Instant::now() + LONG).await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_peer_that_goes_away_is_not_waited_for() {
        for some in [0, 1, 5, 100] {
            let (mut peer, stream) = pair().await;
            peer.write_all(record(300).get(..some).unwrap()).unwrap();
            drop(peer);
            assert!(arrived(stream, Instant::now() + LONG).await.is_err(), "after {some} bytes");
        }
    }

    #[tokio::test]
    async fn a_hello_that_never_ends_is_waited_for_until_its_time_is_over() {
        let (mut peer, stream) = pair().await;
        peer.write_all(record(300).get(..100).unwrap()).unwrap();
        let until = Instant::now() + Duration::from_millis(10);
        let stream = arrived(stream, until).await.unwrap();
        assert!(Instant::now() >= until);
        peer.write_all(b"x").unwrap();
        stream.readable().await.unwrap();
    }
}
