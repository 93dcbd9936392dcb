//! Counts a lane: frames in, what they mean for a reader out. Pure.
//!
//! Entries carry no seq, so this is where a silent hole or a repeat would begin. It ends in a fault
//! instead: the driver then connects again and resumes from what was reached.

use chat_protocol::lane::{self, EndReason, GapReason, Joined, Presence};
use chat_protocol::{Cursor, Epoch, Frame, FrameError, LaneFrame, RawFrame, Seq};
use thiserror::Error;

/// Where a lane stands.
#[derive(Debug)]
pub(crate) struct Follow {
    epoch: Epoch,
    /// Seq of the next entry on the lane.
    next: Seq,
    /// Up to here entries are history.
    head: Cursor,
    /// Up to here the reader has everything that can be had. Always of `epoch`.
    reached: Seq,
}

/// What a frame means for the reader, who has reached [`Follow::reached`] after it.
#[derive(Debug, Eq, PartialEq)]
#[must_use = "a step that is not performed loses entries"]
pub(crate) enum Step {
    /// A new entry.
    Entry {
        cursor: Cursor,
        entry: LaneFrame,
        history: bool,
    },
    /// An entry of a kind that this version does not know, one the reader has already, or a mark
    /// that says where the lane stands.
    Counted,
    /// A hole.
    Gap {
        reason: GapReason,
        from: Option<Cursor>,
        next: Cursor,
    },
    /// Who came and went.
    Presence(Presence),
    /// The last frame.
    End(EndReason),
    /// Nothing for a reader.
    Nothing,
}

/// A lane that does not follow the protocol.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub(crate) enum LaneFault {
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error("frame kind {0:#x} came where it is not allowed on a lane")]
    Unexpected(u64),
    #[error("the lane says its next entry is {told}, counted was {counted}")]
    Miscounted { told: Cursor, counted: Cursor },
    #[error("a seq is out of range")]
    Seq,
}

impl Follow {
    /// Reads the first frame of a lane; `None` when it is to be skipped.
    pub(crate) fn first(raw: &RawFrame) -> Result<Option<Joined>, LaneFault> {
        match LaneFrame::decode(raw)? {
            Some(LaneFrame::Joined(joined)) => Ok(Some(joined)),
            // Something later versions say before: but an entry here would not be counted.
            None if !lane::is_entry(raw.kind) => Ok(None),
            _ => Err(LaneFault::Unexpected(raw.kind)),
        }
    }

    /// Starts to follow a lane for a reader who has reached `reached`, if he has read the room
    /// before. Says what he has missed, if something cannot be had any more.
    pub(crate) fn start(
        joined: &Joined,
        reached: Option<Cursor>,
    ) -> Result<(Self, Option<Step>), LaneFault> {
        let epoch = joined.head.epoch;
        let next = checked(joined.next)?;
        let before = next.minus(1);
        // The seq of what the reader has, in this epoch: the same one, or one that continues his.
        let kept = match (reached, joined.gap) {
            (Some(reached), _) if reached.epoch == epoch => Some(reached.seq),
            (Some(reached), None) if reached.seq == before => Some(before),
            _ => None,
        };
        let reason = match (joined.gap, reached, kept) {
            (Some(reason), _, _) => Some(reason),
            (None, Some(_), None) => Some(GapReason::Diverged),
            // What was asked for was after `reached`: a later start is a hole all the same.
            (None, _, Some(kept)) if kept < before => Some(GapReason::Lagged),
            _ => None,
        };
        let follow = Self {
            epoch,
            next,
            head: joined.head,
            reached: kept.map_or(before, |kept| kept.max(before)),
        };
        let is_hole = kept.is_none_or(|kept| kept < before);
        let gap = reason.filter(|_| is_hole).map(|reason| Step::Gap {
            reason,
            from: reached,
            next: Cursor::new(epoch, next),
        });
        Ok((follow, gap))
    }

    /// Up to here the reader has everything that can be had.
    pub(crate) const fn reached(&self) -> Cursor {
        Cursor::new(self.epoch, self.reached)
    }

    /// Takes the next frame after the first.
    pub(crate) fn on_frame(&mut self, raw: &RawFrame) -> Result<Step, LaneFault> {
        if lane::is_internal(raw.kind) {
            return Err(LaneFault::Unexpected(raw.kind));
        }
        let frame = LaneFrame::decode(raw)?;
        if lane::is_entry(raw.kind) {
            return self.on_entry(frame);
        }
        match frame {
            None => Ok(Step::Nothing),
            Some(LaneFrame::At(at)) => self.on_at(&at),
            Some(LaneFrame::Gap(gap)) => self.on_gap(&gap),
            Some(LaneFrame::Presence(presence)) => Ok(Step::Presence(presence)),
            Some(LaneFrame::End(end)) => Ok(Step::End(end.reason)),
            Some(_) => Err(LaneFault::Unexpected(raw.kind)),
        }
    }

    fn on_entry(&mut self, entry: Option<LaneFrame>) -> Result<Step, LaneFault> {
        let seq = checked(self.next)?;
        self.next = seq.next();
        if seq <= self.reached {
            return Ok(Step::Counted);
        }
        self.reached = seq;
        let cursor = Cursor::new(self.epoch, seq);
        let history = cursor.epoch == self.head.epoch && seq <= self.head.seq;
        Ok(entry.map_or(Step::Counted, |entry| Step::Entry {
            cursor,
            entry,
            history,
        }))
    }

    /// The count must agree; the epoch may be new, when it continues the one before up to here.
    fn on_at(&mut self, at: &lane::At) -> Result<Step, LaneFault> {
        if at.next != self.next {
            let told = Cursor::new(at.epoch, at.next);
            return Err(LaneFault::Miscounted {
                told,
                counted: Cursor::new(self.epoch, self.next),
            });
        }
        self.epoch = at.epoch;
        Ok(Step::Counted)
    }

    fn on_gap(&mut self, gap: &lane::Gap) -> Result<Step, LaneFault> {
        let told = Cursor::new(gap.epoch, checked(gap.next)?);
        if gap.epoch == self.epoch && gap.next < self.next {
            let counted = Cursor::new(self.epoch, self.next);
            return Err(LaneFault::Miscounted { told, counted });
        }
        let from = self.reached();
        let before = gap.next.minus(1);
        self.next = gap.next;
        if gap.epoch == self.epoch && before <= self.reached {
            return Ok(Step::Nothing);
        }
        (self.epoch, self.reached) = (gap.epoch, before);
        Ok(Step::Gap {
            reason: gap.reason,
            from: Some(from),
            next: told,
        })
    }
}

/// The seq of an entry: at least 1, at most [`Seq::MAX`].
fn checked(seq: Seq) -> Result<Seq, LaneFault> {
    if seq > Seq::ZERO && seq <= Seq::MAX {
        Ok(seq)
    } else {
        Err(LaneFault::Seq)
    }
}

#[cfg(test)]
mod tests;
