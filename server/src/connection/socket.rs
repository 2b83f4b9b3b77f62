//! The writing half of a connection's socket, plain or TLS, in frames or not, usable from any task.

use std::io::{self, IoSlice, Write};
use std::net::Shutdown;

use futures_util::FutureExt;
use parking_lot::Mutex;
use rustls::Connection as Tls;
use rustls_pki_types::CertificateDer;
use socket2::SockRef;
use tokio::io::{Interest, Ready};
use tokio::net::tcp::OwnedWriteHalf;

use crate::connection::chunks::Chunks;
use crate::connection::layer::OutputLayer;
use crate::limits::{TLS_WRITE_STEP, WRITE_VECTORS};
use crate::s2::outgoing::Outgoing;
use crate::websocket::outgoing::Output;

/// Where output goes.
#[derive(Debug)]
pub struct Socket {
    half: OwnedWriteHalf,
    /// Elsewhere, since its state is many times what a plain connection needs.
    tls: Option<Box<Mutex<Tls>>>,
    /// What is around the output. Locked before TLS.
    layer: Option<Box<Mutex<OutputLayer>>>,
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
    pub fn new(half: OwnedWriteHalf, tls: Option<Tls>) -> Self {
        Self { half, tls: tls.map(|tls| Box::new(Mutex::new(tls))), layer: None }
    }

    /// The same, with its output in frames.
    pub fn framed(self, frames: Output) -> Self {
        Self { layer: Some(Box::new(Mutex::new(OutputLayer::Websocket(frames)))), ..self }
    }

    /// The same, whose output may come to be compressed.
    pub fn compressible(self) -> Self {
        Self { layer: Some(Box::new(Mutex::new(OutputLayer::Plain))), ..self }
    }

    /// Compresses what is written from now on, where it may come to that: nothing may be pending.
    pub fn compress(&self, outgoing: Outgoing) {
        if let Some(layer) = self.layer()
            && let layer @ OutputLayer::Plain = &mut *layer.lock()
        {
            *layer = OutputLayer::S2(outgoing);
        }
    }

    /// The TLS state, for the reader to feed.
    pub fn tls(&self) -> Option<&Mutex<Tls>> {
        self.tls.as_deref()
    }

    /// What is around the output, for the reader to answer in.
    pub fn layer(&self) -> Option<&Mutex<OutputLayer>> {
        self.layer.as_deref()
    }

    /// The peer's own certificate: none without TLS, and an inner none where no certificate was presented.
    pub fn peer_certificate(&self) -> Option<Option<CertificateDer<'static>>> {
        let tls = self.tls()?.lock();
        Some(tls.peer_certificates().and_then(<[_]>::first).cloned())
    }

    /// Waits until the kernel takes bytes again.
    ///
    /// # Errors
    ///
    /// When the socket is broken.
    pub async fn writable(&self) -> io::Result<()> {
        self.half.writable().await
    }

    /// Whether the peer has closed its side, as far as the kernel knows, whatever it sent before.
    pub fn is_read_closed(&self) -> bool {
        self.half.ready(Interest::READABLE).now_or_never().is_some_and(|ready| ready.is_ok_and(Ready::is_read_closed))
    }

    /// Writes as much of `chunks` as goes without waiting.
    ///
    /// # Errors
    ///
    /// When the socket is broken or TLS fails.
    pub fn write(&self, chunks: &mut Chunks) -> io::Result<Progress> {
        match (self.layer(), &self.tls) {
            (None, None) => self.write_plain(chunks),
            (None, Some(tls)) => self.write_tls(&mut tls.lock(), chunks),
            (Some(layer), None) => self.write_layer(&mut layer.lock(), chunks),
            (Some(layer), Some(tls)) => self.write_layer_tls(&mut layer.lock(), &mut tls.lock(), chunks),
        }
    }

    /// Tells the peer that nothing more comes; whoever still waits to write stops waiting. `reason` goes into the
    /// close frame of a WebSocket.
    pub fn finish(&self, reason: &str) {
        let close = self.layer().and_then(|layer| layer.lock().close(reason)).unwrap_or_default();
        if let Some(tls) = &self.tls {
            let mut tls = tls.lock();
            // Its buffer has no bound of its own, so that this takes all.
            let _buffered = tls.writer().write_all(&close);
            tls.send_close_notify();
            // The peer may be gone already; there is nothing left to do then.
            let _progress = self.drain_records(&mut tls);
        } else if !close.is_empty() {
            let _sent = self.half.try_write(&close);
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
    fn write_tls(&self, tls: &mut Tls, chunks: &mut Chunks) -> io::Result<Progress> {
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

    fn write_layer(&self, layer: &mut OutputLayer, chunks: &mut Chunks) -> io::Result<Progress> {
        loop {
            match layer.step(chunks, usize::MAX, |vectors| self.half.try_write_vectored(vectors)) {
                Ok(0) => return Ok(Progress::Done),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Progress::Blocked),
                Err(error) => return Err(error),
            }
        }
    }

    fn write_layer_tls(&self, layer: &mut OutputLayer, tls: &mut Tls, chunks: &mut Chunks) -> io::Result<Progress> {
        loop {
            if self.drain_records(tls)? == Progress::Blocked {
                return Ok(Progress::Blocked);
            }
            let mut taken = 0;
            while taken < TLS_WRITE_STEP {
                match layer.step(chunks, TLS_WRITE_STEP - taken, |vectors| tls.writer().write_vectored(vectors))? {
                    0 => break,
                    written => taken += written,
                }
            }
            if taken == 0 {
                return Ok(Progress::Done);
            }
        }
    }

    fn drain_records(&self, tls: &mut Tls) -> io::Result<Progress> {
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
