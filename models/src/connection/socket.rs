//! A model of the broker's socket: a kernel with room for so many bytes at a time, that one may write to.

use std::io::{self, IoSlice};

use loom::sync::Mutex;
use loom::sync::atomic::{AtomicBool, Ordering};

use crate::connection::chunks::Chunks;
use crate::limits::WRITE_VECTORS;

/// Where the bytes of one connection go.
#[derive(Debug)]
pub struct Socket {
    kernel: Mutex<Kernel>,
    busy: AtomicBool,
}

#[derive(Debug)]
struct Kernel {
    taken: Vec<u8>,
    /// Bytes that it takes before it blocks; a drain task is told when there is room again.
    room: usize,
    broken: bool,
}

/// How far a write got, as with the broker's own socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Everything is written.
    Done,
    /// The socket takes no more for now.
    Blocked,
}

impl Socket {
    /// A socket that takes `room` bytes and then blocks.
    pub fn new(room: usize) -> Self {
        let kernel = Kernel { taken: Vec::new(), room, broken: false };
        Self { kernel: Mutex::new(kernel), busy: AtomicBool::new(false) }
    }

    /// Writes as much as fits. Two at the same time are a defect of the caller: bytes would be mixed.
    ///
    /// # Errors
    ///
    /// Once it is broken.
    pub fn write(&self, chunks: &mut Chunks) -> io::Result<Progress> {
        assert!(!self.busy.swap(true, Ordering::AcqRel), "two write at the same time");
        loom::thread::yield_now();
        let outcome = self.kernel.lock().unwrap().take(chunks);
        assert!(self.busy.swap(false, Ordering::AcqRel));
        outcome
    }

    /// The peer has read everything.
    pub fn make_room(&self) {
        self.kernel.lock().unwrap().room = usize::MAX;
    }

    /// There is room again.
    ///
    /// # Errors
    ///
    /// Once it is broken.
    #[expect(clippy::unused_async, reason = "the broker's own waits")]
    pub async fn writable(&self) -> io::Result<()> {
        self.make_room();
        if self.kernel.lock().unwrap().broken { Err(io::ErrorKind::BrokenPipe.into()) } else { Ok(()) }
    }

    /// Every write fails from here on.
    pub fn break_down(&self) {
        self.kernel.lock().unwrap().broken = true;
    }

    /// All bytes that were taken, in order.
    pub fn taken(&self) -> Vec<u8> {
        self.kernel.lock().unwrap().taken.clone()
    }

    /// Nobody reads from it here.
    pub fn is_read_closed(&self) -> bool {
        false
    }

    /// The end of sending; nothing to model.
    pub fn finish(&self, _reason: &str) {}
}

impl Kernel {
    fn take(&mut self, chunks: &mut Chunks) -> io::Result<Progress> {
        if self.broken {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let mut vectors = [IoSlice::new(&[]); WRITE_VECTORS];
        let count = chunks.vectors(&mut vectors);
        let bytes: Vec<u8> = vectors.iter().take(count).flat_map(|vector| vector.to_vec()).take(self.room).collect();
        self.room -= bytes.len();
        self.taken.extend_from_slice(&bytes);
        chunks.advance(bytes.len());
        Ok(if chunks.is_empty() { Progress::Done } else { Progress::Blocked })
    }
}
