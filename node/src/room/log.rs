//! The recent tail of a room's log, in memory: what most readers read.
//!
//! Frames lie in contiguous chunks as they will be sent, with an index from seq to offset. A read
//! is a slice of a chunk: no copy, no allocation for a reader. Pure: no clock, no lock, no task.
//! Bounded by entries and bytes; what falls off is read from the backplane.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use chat_protocol::{Cursor, Epoch, Seq};

use crate::backplane::{Block, DamagedBlock};

/// The tail of one epoch of a log.
#[derive(Debug)]
pub struct Log {
    epoch: Epoch,
    /// Seq of the entry that comes next.
    next: Seq,
    chunks: VecDeque<Chunk>,
    bytes: usize,
    bounds: Bounds,
}

/// How much of a log is kept in memory.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Most entries, give or take the entries of one chunk.
    pub entries_max: u64,
    /// Most bytes of frames, give or take one chunk.
    pub bytes_max: usize,
}

/// What a reader at some seq gets.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Read {
    /// Frames, and the seq after them.
    Frames {
        /// Whole frames.
        frames: Bytes,
        /// Seq of the entry after them.
        next: Seq,
    },
    /// Nothing new.
    UpToDate,
    /// The seq is before the tail, which starts at this one.
    Behind(Seq),
}

#[derive(Debug)]
struct Chunk {
    first: Seq,
    /// Where each frame ends.
    ends: Vec<u32>,
    frames: Bytes,
}

impl Chunk {
    fn next(&self) -> Seq {
        self.first.plus(self.ends.len() as u64)
    }
}

impl Log {
    /// An empty tail at the given place.
    #[must_use]
    pub fn new(at: Cursor, bounds: Bounds) -> Self {
        Self {
            epoch: at.epoch,
            next: at.seq.next(),
            chunks: VecDeque::new(),
            bytes: 0,
            bounds,
        }
    }

    /// The last entry.
    #[must_use]
    pub fn head(&self) -> Cursor {
        Cursor::new(self.epoch, self.next.minus(1))
    }

    /// Seq of the first entry in memory, or of the one that comes next.
    #[must_use]
    pub fn first(&self) -> Seq {
        self.chunks.front().map_or(self.next, |chunk| chunk.first)
    }

    /// Adds a block. The caller has checked that it follows: see [`follow`](super::follow).
    ///
    /// A block that starts later than the next seq (a hole nothing can fill) drops what was before,
    /// so that the tail itself never has a hole.
    ///
    /// # Errors
    /// When the block is damaged; nothing is changed.
    pub fn append(&mut self, block: Block) -> Result<(), DamagedBlock> {
        let ends = block.ends()?;
        if block.epoch != self.epoch || block.first != self.next {
            self.chunks.clear();
            self.bytes = 0;
            self.epoch = block.epoch;
        }
        self.next = block.last().next();
        self.bytes += block.frames.len();
        match self.chunks.back_mut() {
            // Small blocks are put together: many small slices make a reader's send queue slow.
            Some(last) if last.frames.len() + block.frames.len() <= CHUNK_BYTES => {
                let mut frames = BytesMut::with_capacity(last.frames.len() + block.frames.len());
                frames.extend_from_slice(&last.frames);
                frames.extend_from_slice(&block.frames);
                let offset = *last.ends.last().unwrap_or(&0);
                last.ends.extend(ends.iter().map(|end| end + offset));
                last.frames = frames.freeze();
            }
            _ => self.chunks.push_back(Chunk {
                first: block.first,
                ends,
                frames: block.frames,
            }),
        }
        self.trim();
        Ok(())
    }

    /// What a reader gets whose next entry is `next`: at most about `bytes_max` bytes, at least one
    /// frame.
    #[must_use]
    pub fn read(&self, next: Seq, bytes_max: usize) -> Read {
        if next >= self.next {
            return Read::UpToDate;
        }
        if next < self.first() {
            return Read::Behind(self.first());
        }
        let index = self.chunks.partition_point(|chunk| chunk.next() <= next);
        let Some(chunk) = self.chunks.get(index) else {
            return Read::UpToDate;
        };
        let skipped = usize::try_from(next.0 - chunk.first.0).unwrap_or(usize::MAX);
        let start = match skipped {
            0 => 0,
            _ => chunk.ends.get(skipped - 1).map_or(0, |&end| end as usize),
        };
        let rest = chunk.ends.get(skipped..).unwrap_or_default();
        let fitting = rest
            .partition_point(|&end| end as usize - start <= bytes_max)
            .max(1);
        let end = rest.get(fitting - 1).map_or(start, |&end| end as usize);
        Read::Frames {
            frames: chunk.frames.slice(start..end),
            next: next.plus(fitting as u64),
        }
    }

    fn trim(&mut self) {
        while self.chunks.len() > 1
            && (self.bytes > self.bounds.bytes_max
                || self.next.0 - self.first().0 > self.bounds.entries_max)
        {
            if let Some(chunk) = self.chunks.pop_front() {
                self.bytes -= chunk.frames.len();
            }
        }
    }
}

/// Chunks grow to this by putting small blocks together. A reader's slice of one is then worth a
/// few packets, and putting together copies at most this much for a block.
const CHUNK_BYTES: usize = 4 * 1024;

#[cfg(test)]
mod tests {
    use chat_protocol::lane::{LaneFrame, Notice, NoticeLevel};
    use chat_protocol::{Frame, FrameDecoder};
    use proptest::prelude::*;

    use super::*;

    fn block(epoch: u64, first: u64, lens: &[usize]) -> Block {
        let mut frames = BytesMut::new();
        for (index, &len) in lens.iter().enumerate() {
            LaneFrame::from(Notice {
                at_ms: first + index as u64,
                level: NoticeLevel::Info,
                text: "x".repeat(len.max(1)).parse().unwrap(),
            })
            .encode(&mut frames);
        }
        Block {
            epoch: Epoch(epoch),
            first: Seq(first),
            len: u32::try_from(lens.len()).unwrap(),
            frames: frames.freeze(),
        }
    }

    fn log(bounds: Bounds) -> Log {
        Log::new(Cursor::new(Epoch(1), Seq::ZERO), bounds)
    }

    /// The seqs a reader from `next` sees: every frame carries its own in `at_ms`.
    fn read_all(log: &Log, mut next: Seq, bytes_max: usize) -> Vec<u64> {
        let mut seen = Vec::new();
        let mut decoder = FrameDecoder::new();
        while let Read::Frames {
            frames,
            next: after,
        } = log.read(next, bytes_max)
        {
            decoder.push(&frames);
            let before = seen.len();
            while let Some(raw) = decoder.next().unwrap() {
                match LaneFrame::decode(&raw).unwrap() {
                    Some(LaneFrame::Notice(notice)) => seen.push(notice.at_ms),
                    other => panic!("{other:?}"),
                }
            }
            assert!(!decoder.is_mid_frame(), "slices end with a frame");
            assert_eq!(after.0 - next.0, (seen.len() - before) as u64);
            next = after;
        }
        seen
    }

    #[test]
    fn a_hole_drops_what_was_before() {
        let mut log = log(Bounds {
            entries_max: 100,
            bytes_max: 1 << 20,
        });
        log.append(block(1, 1, &[1, 1])).unwrap();
        log.append(block(1, 5, &[1])).unwrap();
        assert_eq!(log.first(), Seq(5));
        assert_eq!(log.read(Seq(1), 100), Read::Behind(Seq(5)));
        assert_eq!(read_all(&log, Seq(5), 100), [5]);
        log.append(block(2, 9, &[1])).unwrap();
        assert_eq!(log.head(), Cursor::new(Epoch(2), Seq(9)));
    }

    proptest! {
        #[test]
        fn every_reader_sees_every_entry_in_order(
            blocks in prop::collection::vec(prop::collection::vec(1usize..900, 1..6), 1..30),
            bytes_max in 1usize..5000,
            entries_max in 1u64..60,
        ) {
            let mut log = log(Bounds { entries_max, bytes_max: 20_000 });
            let mut first = 1;
            for lens in &blocks {
                log.append(block(1, first, lens)).unwrap();
                first += lens.len() as u64;
            }
            prop_assert_eq!(log.head().seq, Seq(first - 1));
            prop_assert!(log.bytes <= 20_000 + CHUNK_BYTES + 6 * 1000);
            for start in log.first().0..first {
                let expected: Vec<_> = (start..first).collect();
                prop_assert_eq!(read_all(&log, Seq(start), bytes_max), expected);
            }
            prop_assert_eq!(log.read(Seq(first), 1), Read::UpToDate);
        }
    }
}
