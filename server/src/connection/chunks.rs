//! Bytes waiting to be written: buffers that are filled, and payloads that are shared.
//!
//! Buffers come from a pool of the worker and go back to it when written, so that an idle
//! connection holds none.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::Bytes;

use crate::limits::{LARGE_CHUNK, POOLED_CHUNKS, SMALL_CHUNK, WRITE_VECTORS};

/// A queue of bytes.
#[derive(Debug, Default)]
pub struct Chunks {
    queue: VecDeque<Chunk>,
    /// Bytes of the first chunk that have been written.
    offset: usize,
    len: usize,
}

#[derive(Debug)]
enum Chunk {
    Owned(Vec<u8>),
    Shared(Bytes),
}

impl Chunk {
    fn as_slice(&self) -> &[u8] {
        match self {
            Self::Owned(bytes) => bytes,
            Self::Shared(bytes) => bytes,
        }
    }
}

impl Chunks {
    /// Appends what `fill` writes into a buffer with room for at least `need` bytes.
    #[inline]
    pub fn append(&mut self, need: usize, fill: impl FnOnce(&mut Vec<u8>)) {
        if let Some(Chunk::Owned(buffer)) = self.queue.back_mut()
            && buffer.capacity() - buffer.len() >= need
        {
            let before = buffer.len();
            fill(buffer);
            self.len += buffer.len() - before;
            return;
        }
        // Behind a shared payload there may be no more than its end: a large buffer for each would make
        // a queue take many times the memory that is counted.
        let small = !matches!(self.queue.back(), Some(Chunk::Owned(_)));
        let mut buffer = take_buffer(need, small);
        fill(&mut buffer);
        self.len += buffer.len();
        self.queue.push_back(Chunk::Owned(buffer));
    }

    /// Appends a payload without copying it.
    pub fn append_shared(&mut self, payload: Bytes) {
        self.len += payload.len();
        self.queue.push_back(Chunk::Shared(payload));
    }

    /// Puts `newer` behind what is here.
    pub fn extend(&mut self, newer: &mut Self) {
        self.len += newer.len;
        self.queue.append(&mut newer.queue);
        newer.len = 0;
    }

    /// Bytes waiting.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The first waiting bytes as vectors of one write, and how many vectors there are.
    pub fn vectors<'a>(&'a self, into: &mut [IoSlice<'a>; WRITE_VECTORS]) -> usize {
        let mut skip = self.offset;
        let mut count = 0;
        for (slot, chunk) in into.iter_mut().zip(&self.queue) {
            *slot = IoSlice::new(chunk.as_slice().get(skip..).unwrap_or_default());
            skip = 0;
            count += 1;
        }
        count
    }

    /// The first waiting bytes, at most `most` of them.
    pub fn slices(&self, most: usize) -> impl Iterator<Item = &[u8]> {
        let (mut skip, mut left) = (self.offset, most);
        self.queue.iter().map_while(move |chunk| {
            let slice = chunk.as_slice().get(std::mem::take(&mut skip)..).unwrap_or_default();
            let slice = slice.get(..left).unwrap_or(slice);
            left -= slice.len();
            (left > 0 || !slice.is_empty()).then_some(slice)
        })
    }

    /// Forgets the first `written` bytes.
    pub fn advance(&mut self, written: usize) {
        self.len = self.len.saturating_sub(written);
        let mut left = written + self.offset;
        while let Some(front) = self.queue.front() {
            let size = front.as_slice().len();
            if left < size {
                break;
            }
            left -= size;
            if let Some(Chunk::Owned(buffer)) = self.queue.pop_front() {
                return_buffer(buffer);
            }
        }
        self.offset = left;
    }

    /// Drops everything that waits.
    pub fn clear(&mut self) {
        self.advance(self.len);
    }
}

#[derive(Default)]
struct Pool {
    small: Vec<Vec<u8>>,
    large: Vec<Vec<u8>>,
}

thread_local! {
    static POOL: RefCell<Pool> = RefCell::default();
}

fn take_buffer(need: usize, small: bool) -> Vec<u8> {
    POOL.with_borrow_mut(|pool| {
        if small && need <= SMALL_CHUNK {
            pool.small.pop().unwrap_or_else(|| Vec::with_capacity(SMALL_CHUNK))
        } else if need <= LARGE_CHUNK {
            pool.large.pop().unwrap_or_else(|| Vec::with_capacity(LARGE_CHUNK))
        } else {
            Vec::with_capacity(need)
        }
    })
}

fn return_buffer(mut buffer: Vec<u8>) {
    buffer.clear();
    POOL.with_borrow_mut(|pool| {
        let shelf = match buffer.capacity() {
            SMALL_CHUNK => &mut pool.small,
            LARGE_CHUNK => &mut pool.large,
            _ => return,
        };
        if shelf.len() < POOLED_CHUNKS {
            shelf.push(buffer);
        }
    });
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn waiting(chunks: &Chunks) -> Vec<u8> {
        let mut slices = [IoSlice::new(&[]); WRITE_VECTORS];
        let count = chunks.vectors(&mut slices);
        slices[..count].iter().flat_map(|s| s.to_vec()).collect()
    }

    #[test]
    fn memory_stays_in_proportion_to_what_is_counted() {
        let payload = Bytes::from(vec![0; crate::limits::SHARE_FROM]);
        let mut chunks = Chunks::default();
        for _ in 0..1000 {
            chunks.append(50, |buffer| buffer.extend_from_slice(&[0; 50]));
            chunks.append_shared(payload.clone());
            chunks.append(2, |buffer| buffer.extend_from_slice(b"\r\n"));
        }
        let owned: usize =
            chunks.queue.iter().map(|chunk| if let Chunk::Owned(buffer) = chunk { buffer.capacity() } else { 0 }).sum();
        assert!(owned < chunks.len(), "{owned} bytes of buffers for {} bytes", chunks.len());
    }

    proptest! {
        #[test]
        fn bytes_come_out_once_and_in_order(steps in prop::collection::vec((any::<bool>(), 0usize..6000, 0usize..9000), 1..12)) {
            let (mut chunks, mut model, mut next) = (Chunks::default(), VecDeque::new(), 0u8);
            for (shared, size, write) in steps {
                let bytes: Vec<u8> = (0..size).map(|_| { next = next.wrapping_add(1); next }).collect();
                model.extend(bytes.iter().copied());
                if shared { chunks.append_shared(bytes.into()); } else { chunks.append(bytes.len(), |b| b.extend_from_slice(&bytes)); }
                prop_assert_eq!(chunks.len(), model.len());
                let write = write.min(chunks.len());
                chunks.advance(write);
                model.drain(..write);
                prop_assert_eq!(waiting(&chunks), model.iter().copied().collect::<Vec<_>>());
                let first: Vec<u8> = chunks.slices(write).flatten().copied().collect();
                prop_assert_eq!(first, model.iter().copied().take(write).collect::<Vec<_>>());
            }
        }
    }
}
