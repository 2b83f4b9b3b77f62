//! The writing half of a connection's socket, plain or TLS, usable from any task.

use std::io::{self, IoSlice, Write};
use std::net::Shutdown;

use parking_lot::Mutex;
use rustls::ServerConnection;
use socket2::SockRef;
use tokio::net::tcp::OwnedWriteHalf;

use crate::connection::chunks::Chunks;
use crate::limits::{TLS_WRITE_STEP, WRITE_VECTORS};

/// Where output goes.
#[derive(Debug)]
pub struct Socket {
    half: OwnedWriteHalf,
    /// Elsewhere, since its state is many times what a plain connection needs.
    tls: Option<Box<Mutex<ServerConnection>>>,
}

/// How far a write came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Everything is with the kernel.
    Done,
    /// The kernel takes no more for now.
    Blocked,
}

impl Socket {
    /// A socket to write to; `tls` after its handshake.
    pub fn new(half: OwnedWriteHalf, tls: Option<ServerConnection>) -> Self {
        Self { half, tls: tls.map(|tls| Box::new(Mutex::new(tls))) }
    }

    /// The TLS state, for the reader to feed.
    pub fn tls(&self) -> Option<&Mutex<ServerConnection>> {
        self.tls.as_deref()
    }

    /// Waits until the kernel takes bytes again.
    ///
    /// # Errors
    ///
    /// When the socket is broken.
    pub async fn writable(&self) -> io::Result<()> {
        self.half.writable().await
    }

    /// Writes as much of `chunks` as goes without waiting.
    ///
    /// # Errors
    ///
    /// When the socket is broken or TLS fails.
    pub fn write(&self, chunks: &mut Chunks) -> io::Result<Progress> {
        match &self.tls {
            None => self.write_plain(chunks),
            Some(tls) => self.write_tls(&mut tls.lock(), chunks),
        }
    }

    /// Tells the peer that nothing more comes; whoever still waits to write stops waiting.
    pub fn finish(&self) {
        if let Some(tls) = &self.tls {
            let mut tls = tls.lock();
            tls.send_close_notify();
            // The peer may be gone already; there is nothing left to do then.
            let _progress = self.drain_records(&mut tls);
        }
        // It may be closed already, which is what is wanted.
        let _closed = SockRef::from(self.half.as_ref()).shutdown(Shutdown::Write);
    }

    fn write_plain(&self, chunks: &mut Chunks) -> io::Result<Progress> {
        while !chunks.is_empty() {
            let mut vectors = [IoSlice::new(&[]); WRITE_VECTORS];
            let count = chunks.vectors(&mut vectors);
            match self.half.try_write_vectored(vectors.get(..count).unwrap_or_default()) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => chunks.advance(written),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Progress::Blocked),
                Err(error) => return Err(error),
            }
        }
        Ok(Progress::Done)
    }

    /// Records are filled from many chunks, and several records go out in one system call.
    fn write_tls(&self, tls: &mut ServerConnection, chunks: &mut Chunks) -> io::Result<Progress> {
        loop {
            if self.drain_records(tls)? == Progress::Blocked {
                return Ok(Progress::Blocked);
            }
            if chunks.is_empty() {
                return Ok(Progress::Done);
            }
            let mut taken = 0;
            while taken < TLS_WRITE_STEP && !chunks.is_empty() {
                let mut vectors = [IoSlice::new(&[]); WRITE_VECTORS];
                let count = chunks.vectors(&mut vectors);
                let count = enough(vectors.get(..count).unwrap_or_default(), TLS_WRITE_STEP - taken);
                let written = tls.writer().write_vectored(vectors.get(..count).unwrap_or_default())?;
                if written == 0 {
                    break;
                }
                chunks.advance(written);
                taken += written;
            }
        }
    }

    fn drain_records(&self, tls: &mut ServerConnection) -> io::Result<Progress> {
        while tls.wants_write() {
            match tls.write_tls(&mut Unblocking(&self.half)) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Progress::Blocked),
                Err(error) => return Err(error),
            }
        }
        Ok(Progress::Done)
    }
}

/// How many vectors hold `limit` bytes: what is handed to TLS no longer counts as pending, so it must be little.
fn enough(vectors: &[IoSlice<'_>], limit: usize) -> usize {
    let mut sum = 0;
    let before = vectors.iter().take_while(|vector| {
        sum += vector.len();
        sum < limit
    });
    (before.count() + 1).min(vectors.len())
}

/// The socket as [`Write`], failing with `WouldBlock` instead of waiting.
struct Unblocking<'a>(&'a OwnedWriteHalf);

impl Write for Unblocking<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn write_vectored(&mut self, vectors: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(vectors)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn little_more_than_a_step_is_handed_to_tls() {
        let large = [0u8; 100];
        let vectors = [IoSlice::new(&large), IoSlice::new(&large), IoSlice::new(&large)];
        for (limit, count) in [(1, 1), (100, 1), (101, 2), (200, 2), (201, 3), (1000, 3)] {
            assert_eq!(enough(&vectors, limit), count, "{limit}");
        }
        assert_eq!(enough(&[], 10), 0);
    }
}
