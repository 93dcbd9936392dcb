//! The log of one room.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use chat_protocol::{Cursor, Epoch, Nonce, Seq, SessionId, Topic};
use tokio::time::Instant;

use super::super::{
    AppendError, Appended, Batch, Block, Continuation, HEAD_MAX, LogBounds, Outcome,
    PAGE_BYTES_MAX, Page,
};
use super::senders::{Known, Senders};

/// A room's log: blocks as they were appended, bounded by entries and age.
#[derive(Debug)]
pub(super) struct Log {
    bounds: LogBounds,
    head: Cursor,
    blocks: VecDeque<Stored>,
    topic: Topic,
    /// Earlier epochs with the last seq of each that this log still stands for, newest last.
    forks: VecDeque<Cursor>,
    senders: Senders,
    used: Instant,
}

#[derive(Debug)]
struct Stored {
    block: Block,
    at: Instant,
}

impl Log {
    pub(super) fn new(bounds: LogBounds, now: Instant) -> Self {
        Self {
            bounds,
            head: Cursor::new(Epoch(rand::random()), Seq::ZERO),
            blocks: VecDeque::new(),
            topic: Topic::default(),
            forks: VecDeque::new(),
            senders: Senders::new(now),
            used: now,
        }
    }

    pub(super) fn head(&self) -> Cursor {
        self.head
    }

    /// When it was last written or read.
    pub(super) fn used(&self) -> Instant {
        self.used
    }

    pub(super) fn touch(&mut self, now: Instant) {
        self.used = now;
    }

    /// Appends what is not a repeat; the block is what to announce, if anything.
    pub(super) fn append(
        &mut self,
        batch: &Batch,
        now: Instant,
    ) -> Result<(Appended, Option<Block>), AppendError> {
        let known = batch.known.filter(|known| known.seq <= HEAD_MAX);
        let seq_max = known
            .map_or(Seq::ZERO, |known| known.seq)
            .max(self.head.seq);
        if seq_max.plus(batch.drafts.len() as u64) > Seq::MAX {
            return Err(AppendError::Refused(
                "the log has no numbers left".to_owned(),
            ));
        }
        self.fence(known);
        self.senders.rotate(now);
        let first = self.head.seq.next();
        let mut frames: Vec<&Bytes> = Vec::with_capacity(batch.drafts.len());
        let mut outcomes = Vec::with_capacity(batch.drafts.len());
        for draft in &batch.drafts {
            let (seq, repeated) = match self.senders.find(draft.session, draft.nonce) {
                Known::TooOld => {
                    outcomes.push(Outcome::NonceTooOld);
                    continue;
                }
                Known::At(seq) => (seq, true),
                Known::New => {
                    let seq = first.plus(frames.len() as u64);
                    self.senders.remember(draft.session, draft.nonce, seq);
                    frames.push(&draft.frame);
                    if let Some(topic) = &draft.topic {
                        self.topic = topic.clone();
                    }
                    (seq, false)
                }
            };
            let cursor = Cursor::new(self.head.epoch, seq);
            outcomes.push(Outcome::At { cursor, repeated });
        }
        let block = self.push(first, &frames, now);
        self.trim(now);
        Ok((Appended { outcomes }, block))
    }

    /// What an append would answer of a nonce that is not new.
    pub(super) fn repeat_of(
        &mut self,
        session: SessionId,
        nonce: Nonce,
        now: Instant,
    ) -> Option<Outcome> {
        self.senders.rotate(now);
        match self.senders.find(session, nonce) {
            Known::New => None,
            Known::TooOld => Some(Outcome::NonceTooOld),
            Known::At(seq) => Some(Outcome::At {
                cursor: Cursor::new(self.head.epoch, seq),
                repeated: true,
            }),
        }
    }

    pub(super) fn read(&mut self, after: Cursor, entries_max: u32, now: Instant) -> Page {
        self.trim(now);
        let (continuation, after) = self.continuation(after);
        let (mut entries, mut bytes) = (0, 0);
        let mut blocks = Vec::new();
        // A block's last seq rises from block to block.
        let start = self
            .blocks
            .partition_point(|stored| stored.block.last() <= after);
        for Stored { block, .. } in self.blocks.range(start..) {
            if entries >= entries_max.max(1) || bytes >= PAGE_BYTES_MAX {
                break;
            }
            // What was appended has been checked.
            let Ok(Some(block)) = block.clone().after(after) else {
                continue;
            };
            entries += block.len;
            bytes += block.frames.len();
            blocks.push(block);
        }
        self.page(continuation, blocks)
    }

    pub(super) fn read_last(&mut self, entries: u32, now: Instant) -> Page {
        self.trim(now);
        let after = self.head.seq.minus(u64::from(entries));
        let start = self
            .blocks
            .partition_point(|stored| stored.block.last() <= after);
        let blocks = self
            .blocks
            .range(start..)
            .map(|stored| stored.block.clone())
            .collect();
        self.page(Continuation::Seamless, blocks)
    }

    fn page(&self, continuation: Continuation, mut blocks: Vec<Block>) -> Page {
        for block in &mut blocks {
            block.epoch = self.head.epoch;
        }
        let topic = self.topic.clone();
        Page {
            head: self.head,
            first: self.first(),
            topic,
            continuation,
            blocks,
        }
    }

    /// How a reader that has `after` goes on, and after which seq.
    fn continuation(&self, after: Cursor) -> (Continuation, Seq) {
        let fork = self
            .forks
            .iter()
            .rev()
            .find(|fork| fork.epoch == after.epoch);
        let end = match fork {
            _ if after.epoch == self.head.epoch => self.head.seq,
            Some(fork) => fork.seq,
            None => Seq::ZERO,
        };
        if after.seq > end {
            (Continuation::Diverged, end)
        } else if after.seq.next() < self.first() {
            (Continuation::Trimmed, after.seq)
        } else {
            (Continuation::Seamless, after.seq)
        }
    }

    fn first(&self) -> Seq {
        self.blocks
            .front()
            .map_or_else(|| self.head.seq.next(), |stored| stored.block.first)
    }

    /// A writer has seen more of this epoch than is here: go on above it, in a new epoch.
    fn fence(&mut self, known: Option<Cursor>) {
        let Some(known) = known else { return };
        if known.epoch == self.head.epoch && known.seq > self.head.seq {
            self.forks.push_back(self.head);
            if self.forks.len() > FORKS_LEN_MAX {
                self.forks.pop_front();
            }
            self.head = Cursor::new(Epoch(rand::random()), known.seq);
        }
    }

    fn push(&mut self, first: Seq, frames: &[&Bytes], now: Instant) -> Option<Block> {
        let len = u32::try_from(frames.len()).ok()?;
        let frames = match frames {
            [] => return None,
            [frame] => Bytes::clone(frame),
            _ => {
                let bytes = frames.iter().map(|frame| frame.len()).sum();
                let mut joined = BytesMut::with_capacity(bytes);
                frames
                    .iter()
                    .for_each(|frame| joined.extend_from_slice(frame));
                joined.freeze()
            }
        };
        let block = Block {
            epoch: self.head.epoch,
            first,
            len,
            frames,
        };
        self.head.seq = block.last();
        self.blocks.push_back(Stored {
            block: block.clone(),
            at: now,
        });
        Some(block)
    }

    /// Drops blocks that are wholly beyond the bounds.
    fn trim(&mut self, now: Instant) {
        let keep_after = self.head.seq.minus(self.bounds.entries_max);
        while let Some(Stored { block, at }) = self.blocks.front() {
            if block.last() > keep_after && now - *at < self.bounds.age_max {
                break;
            }
            self.blocks.pop_front();
        }
    }
}

/// Forks that are remembered.
const FORKS_LEN_MAX: usize = 16;
