//! Reading the log for one reader: where in it a resumed one goes on, on from a cursor that fell
//! off the tail, or back from the oldest entry that a client shows.
//!
//! All come after live traffic: all connections of the node share a few turns at the backplane,
//! so that a thousand readers that come back or are behind cannot keep appends waiting. What is
//! shown of it is vetted like the tail. Called by joins, connections and their writers.

use bytes::Bytes;
use chat_protocol::lane::{Gap, GapReason, LaneFrame};
use chat_protocol::limits::HISTORY_PAGE_LEN_MAX;
use chat_protocol::{Cursor, Epoch, ErrorCode, Frame, RoomName, Seq};
use tokio::sync::SemaphorePermit;
use tracing::{debug, warn};

use super::Hub;
use crate::backplane::{Block, Continuation, PAGE_BYTES_MAX, Page, ReadError};
use crate::policy::Refusal;
use crate::room::{Position, Room, vet};

/// Entries right before a place in a log, oldest first.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Older {
    /// The log's epoch, of all seqs here.
    pub epoch: Epoch,
    /// Seq of the oldest entry that can be had.
    pub first: Seq,
    /// Seq of the first entry here.
    pub next: Seq,
    /// Seq after the last entry here.
    pub end: Seq,
    /// Why `end` is not the place that was asked for.
    pub gap: Option<GapReason>,
    /// The entries' frames, with marks where seqs jump.
    pub frames: Vec<Bytes>,
}

impl Hub {
    /// Looks up where a reader that had `after` goes on. The page is for that alone: it has one
    /// entry, which is not vetted. Cancel safe.
    ///
    /// # Errors
    /// [`ErrorCode::Unavailable`] when the backplane does not answer. Safe to repeat.
    pub(super) async fn look_up(&self, room: &RoomName, after: Cursor) -> Result<Page, Refusal> {
        let _turn = self.turn().await;
        let page = self.backplane.read(room, after, 1).await;
        page.map_err(|_| Refusal::of(ErrorCode::Unavailable))
    }

    /// Reads a page of a room for a lane that is not in the tail.
    ///
    /// # Errors
    /// When the backplane does not answer. Safe to repeat.
    pub async fn read_behind(&self, room: &Room, position: Position) -> Result<Page, ReadError> {
        let _turn = self.turn().await;
        let page = self
            .read_vetted(room.name(), position.cursor(), CATCH_UP_ENTRIES)
            .await?;
        room.on_page(&page);
        Ok(page)
    }

    /// Reads the entries right before `before`: `len` of them, at most [`HISTORY_PAGE_LEN_MAX`] and
    /// about [`PAGE_BYTES_MAX`] bytes. Any cursor is answered, also one that never existed.
    ///
    /// # Errors
    /// [`ErrorCode::Unavailable`] when the backplane does not answer in time. Safe to repeat.
    pub async fn read_before(
        &self,
        room: &RoomName,
        before: Cursor,
        len: u32,
    ) -> Result<Older, Refusal> {
        self.within_time(async {
            let _turn = self.turn().await;
            self.gather(room, before, len)
                .await
                .map_err(|_| Refusal::of(ErrorCode::Unavailable))
        })
        .await
    }

    async fn gather(&self, room: &RoomName, before: Cursor, len: u32) -> Result<Older, ReadError> {
        let ask = Ask::new(before, len);
        let mut page = self.read_vetted(room, ask.after, ask.len.max(1)).await?;
        if ask.is_of_unknown_epoch(&page) {
            let probe = Cursor::new(before.epoch, Seq(1));
            page.continuation = self.backplane.read(room, probe, 1).await?.continuation;
        }
        // A page ends early when its entries are large.
        for _ in 1..READS_PER_PAGE {
            let Some(after) = ask.rest(&page) else { break };
            let more = self.read_vetted(room, after, ask.len).await?;
            if more.continuation != Continuation::Seamless || more.head.epoch != page.head.epoch {
                return Err(ReadError("the log changed while it was read".to_owned()));
            }
            if more.blocks.is_empty() {
                break;
            }
            page.blocks.extend(more.blocks);
        }
        Ok(ask.older(page))
    }

    pub(super) async fn read_vetted(
        &self,
        room: &RoomName,
        after: Cursor,
        entries: u32,
    ) -> Result<Page, ReadError> {
        let mut page = self.backplane.read(room, after, entries).await?;
        let blocks = std::mem::take(&mut page.blocks);
        page.blocks = blocks
            .into_iter()
            .filter_map(|block| vetted(room, block))
            .collect();
        Ok(page)
    }

    /// Waits for a turn at the backplane. Cancel safe; first come, first served.
    pub(super) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        // It is never closed.
        self.turns.acquire().await.ok()
    }
}

/// The block as a client may see it; none when it is no block at all, which leaves a hole.
fn vetted(room: &RoomName, block: Block) -> Option<Block> {
    let first = block.first;
    match vet::vet(room, block) {
        Ok((block, 0)) => Some(block),
        Ok((block, replaced)) => {
            debug!(%room, %first, replaced, "entries that the room may not have");
            Some(block)
        }
        Err(error) => {
            warn!(%room, %first, %error, "a damaged block");
            None
        }
    }
}

/// What is asked for, and where the log is read for it. Pure.
#[derive(Clone, Copy, Debug)]
struct Ask {
    before: Cursor,
    len: u32,
    /// The log is read on from here.
    after: Cursor,
}

impl Ask {
    fn new(before: Cursor, len: u32) -> Self {
        // No log has an entry outside; the nearest place inside is answered as that.
        let seq = before.seq.clamp(Seq(1), Seq::MAX);
        let len = len.min(HISTORY_PAGE_LEN_MAX);
        Self {
            before: Cursor::new(before.epoch, seq),
            len,
            after: Cursor::new(before.epoch, seq.minus(1).minus(u64::from(len))),
        }
    }

    /// Whether `page` does not tell if the log continues the asked epoch: every log has a place 0.
    fn is_of_unknown_epoch(&self, page: &Page) -> bool {
        self.after.seq == Seq::ZERO && page.head.epoch != self.before.epoch
    }

    /// Where to read on when `page` does not reach the end.
    fn rest(&self, page: &Page) -> Option<Cursor> {
        let last = page.blocks.last()?.last();
        let is_short = page.continuation != Continuation::Diverged
            && last.next() < self.before.seq
            && last < page.head.seq;
        is_short.then(|| Cursor::new(page.head.epoch, last))
    }

    fn older(self, page: Page) -> Older {
        let (epoch, first) = (page.head.epoch, page.first);
        if page.continuation == Continuation::Diverged {
            let end = page.head.seq.next();
            return Older {
                epoch,
                first,
                next: end,
                end,
                gap: Some(GapReason::Diverged),
                frames: Vec::new(),
            };
        }
        let blocks = self.newest(page.blocks);
        let end = match blocks.last() {
            Some(block) => block.last().next(),
            None => self.after.seq.next().max(first),
        };
        let next = blocks.first().map_or(end, |block| block.first);
        let gap = match end == self.before.seq {
            true => None,
            // The log ends before, or forked there.
            false if epoch != self.before.epoch || end > page.head.seq => Some(GapReason::Diverged),
            false => Some(GapReason::Trimmed),
        };
        let mut frames = Vec::with_capacity(blocks.len());
        let mut expected = next;
        for block in blocks {
            if block.first != expected {
                let gap = Gap {
                    reason: GapReason::Trimmed,
                    epoch,
                    next: block.first,
                };
                frames.push(LaneFrame::from(gap).to_bytes());
            }
            expected = block.last().next();
            frames.push(block.frames);
        }
        Older {
            epoch,
            first,
            next,
            end,
            gap,
            frames,
        }
    }

    /// The blocks' part before the asked place, without the oldest when they are too large.
    fn newest(&self, blocks: Vec<Block>) -> Vec<Block> {
        let mut bytes = 0;
        let mut kept: Vec<Block> = Vec::with_capacity(blocks.len());
        for block in blocks.into_iter().rev() {
            let Some(block) = until(block, self.before.seq) else {
                continue;
            };
            bytes += block.frames.len();
            let is_in_order = kept.last().is_none_or(|newer| block.last() < newer.first);
            if !is_in_order || bytes > PAGE_BYTES_MAX && !kept.is_empty() {
                break;
            }
            kept.push(block);
        }
        kept.reverse();
        kept
    }
}

/// The part of a block before `seq`; none when nothing is left, or it is damaged.
fn until(block: Block, seq: Seq) -> Option<Block> {
    if block.last() < seq {
        return Some(block);
    }
    let len = usize::try_from(seq.0.checked_sub(block.first.0)?).ok()?;
    let ends = block.ends().ok()?;
    let end = *ends.get(len.checked_sub(1)?)? as usize;
    Some(Block {
        len: u32::try_from(len).ok()?,
        frames: block.frames.slice(..end),
        ..block
    })
}

/// Reads for readers that resume, are behind or look back, of the whole node at a time. A Redis
/// answers each in well under a millisecond, and serves appends between them.
pub(super) const TURNS: usize = 8;

/// Entries of one page for a lane that is behind: at most about half a megabyte, which is what such
/// a lane holds in memory. Small, so that live traffic comes first.
const CATCH_UP_ENTRIES: u32 = 128;

/// Reads for one page of older entries: enough when every entry is as large as a frame may be.
const READS_PER_PAGE: usize = 8;

#[cfg(test)]
mod tests;
