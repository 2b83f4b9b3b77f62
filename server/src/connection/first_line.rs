//! Waiting for a peer's first line, at a price that does not depend on how the peer sends it.
//!
//! Where CONNECT is demanded a peer has nothing to expect before it has sent one, so that nothing needs to be there for it
//! but its socket. What has not come whole is looked for again after pauses that double, and nothing that comes meanwhile is
//! noticed: a thousand peers that send a byte in the same moment must not stand before those who are connected.

use std::cell::RefCell;
use std::io;

use futures_util::FutureExt as _;
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout_at};
use zeroize::Zeroize as _;

use crate::connection::Connection;
use crate::listener::patience::{FIRST_PAUSE, unwatched};

/// So much of a line is looked at; a longer one is the session's.
const LOOKED_AT: usize = 4096;

thread_local! {
    /// The worker's room for what it looks at.
    static ROOM: RefCell<[u8; LOOKED_AT]> = const { RefCell::new([0; LOOKED_AT]) };
}

/// What has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sight {
    /// A part of a line that may be CONNECT.
    Begun,
    /// Something for a session to act on.
    Enough,
}

/// Waits for a line, for something that is no CONNECT, for what somebody else decides about `connection`, and at most
/// `until` then: in each case a session knows what to do.
///
/// # Errors
///
/// When the socket cannot be watched.
pub(super) async fn arrived(mut stream: TcpStream, connection: &Connection, until: Instant) -> io::Result<TcpStream> {
    let mut pause = FIRST_PAUSE;
    loop {
        tokio::select! {
            biased;
            () = connection.woken() => return Ok(stream),
            ready = timeout_at(until, stream.readable()) => if !matches!(ready, Ok(Ok(()))) {
                return Ok(stream);
            },
        }
        let over = Instant::now() >= until || stream.ready(Interest::READABLE).await?.is_read_closed();
        if over || look(&stream) == Sight::Enough {
            return Ok(stream);
        }
        let mut disturbed = false;
        let resting = async {
            tokio::select! {
                biased;
                () = connection.woken() => disturbed = true,
                () = sleep_until(until.min(Instant::now() + pause)) => {}
            }
        };
        stream = unwatched(stream, resting).await?;
        if disturbed {
            return Ok(stream);
        }
        pause *= 2;
    }
}

fn look(stream: &TcpStream) -> Sight {
    ROOM.with_borrow_mut(|room| {
        // It was readable for a reason that reading shows, unless some bytes are there.
        let Some(Ok(count)) = stream.peek(room).now_or_never() else { return Sight::Enough };
        let seen = room.get_mut(..count).unwrap_or_default();
        let may_be_connect = matches!(seen.first(), Some(b'C' | b'c'));
        let has_begun = may_be_connect && count < LOOKED_AT && memchr::memchr(b'\n', seen).is_none();
        // It may be a password.
        seen.zeroize();
        if has_begun { Sight::Begun } else { Sight::Enough }
    })
}
