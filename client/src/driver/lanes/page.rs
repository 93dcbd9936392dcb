//! Pages of older entries: each is read by a task of its own, like a lane, but into memory. The
//! driver lets in only pages that were asked for, so what a node can make a client hold is bounded.

use chat_protocol::lane::{self, HistoryPage as Head};
use chat_protocol::limits::HISTORY_PAGE_LEN_MAX;
use chat_protocol::{CloseCode, Cursor, Epoch, Frame, LaneFrame, RawFrame, Seq};
use quinn::ReadError;
use thiserror::Error;
use tokio::sync::oneshot;

use super::{CLOSING, LaneReader, Noted, Stop, entry_event, frame_fault};
use crate::driver::greet::READ_BYTES;
use crate::event::Event;
use crate::history::HistoryPage;

impl LaneReader {
    /// Reads a page to its end and hands it to the driver.
    pub(super) async fn read_page(&mut self) -> Result<(), Stop> {
        let head = loop {
            let raw = self.page_raw().await?.ok_or_else(cut)?;
            match LaneFrame::decode(&raw).map_err(|error| frame_fault(&error))? {
                Some(LaneFrame::HistoryPage(head)) => break head,
                None if !lane::is_entry(raw.kind) => {}
                _ => return Err(page_fault(&PageFault::Unexpected(raw.kind))),
            }
        };
        let mut count = Count::start(&head).map_err(|fault| page_fault(&fault))?;
        let (answer, room) = oneshot::channel();
        self.note(Noted::Page {
            request: head.request,
            answer,
        })
        .await?;
        let room = room.await.map_err(|_| Stop::Detached)?;
        let mut events = Vec::new();
        while let Some(raw) = self.page_raw().await? {
            let event = match count.on_frame(&raw).map_err(|fault| page_fault(&fault))? {
                Step::Entry { cursor, entry } => {
                    let own = self.is_own(&entry).1;
                    entry_event(&room, cursor, entry, own, true)
                }
                Step::Gap { from, next } => Some(Event::Gap {
                    room: room.clone(),
                    reason: lane::GapReason::Trimmed,
                    from: Some(from),
                    next,
                }),
                Step::Nothing => None,
            };
            events.extend(event);
        }
        count.finish().map_err(|fault| page_fault(&fault))?;
        let before = Cursor::new(head.epoch, head.next);
        let page = HistoryPage {
            events,
            before: (head.next > head.first).then_some(before),
            first: Cursor::new(head.epoch, head.first),
            gap: head.gap,
        };
        self.note(Noted::PageRead {
            request: head.request,
            page,
        })
        .await
    }

    /// The next frame; `None` at the end of the stream.
    async fn page_raw(&mut self) -> Result<Option<RawFrame>, Stop> {
        loop {
            if let Some(raw) = self.decoder.next().map_err(|error| frame_fault(&error))? {
                return Ok(Some(raw));
            }
            match self.stream.read_chunk(READ_BYTES, true).await {
                Ok(Some(chunk)) => self.decoder.push(&chunk.bytes),
                Ok(None) if self.decoder.is_mid_frame() => return Err(cut()),
                Ok(None) => return Ok(None),
                Err(ReadError::Reset(code)) if code.into_inner() != CLOSING => return Err(cut()),
                // What is cut is asked for again on the next connection.
                Err(_) => return Err(Stop::Lost),
            }
        }
    }
}

/// Where a page stands. Pure.
#[derive(Debug)]
struct Count {
    epoch: Epoch,
    next: Seq,
    end: Seq,
}

/// What a frame of a page means.
#[derive(Debug, Eq, PartialEq)]
enum Step {
    Entry {
        cursor: Cursor,
        entry: LaneFrame,
    },
    /// Entries are missing between these two.
    Gap {
        from: Cursor,
        next: Cursor,
    },
    /// An entry of a kind that this version does not know, or a mark of such a kind.
    Nothing,
}

/// A page that does not follow the protocol.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
enum PageFault {
    #[error(transparent)]
    Frame(#[from] chat_protocol::FrameError),
    #[error("frame kind {0:#x} came where it is not allowed on a page")]
    Unexpected(u64),
    #[error("a page that claims to go from {next} to {end}")]
    Range { next: Seq, end: Seq },
    #[error("the page says its next entry is {told}, counted was {counted}")]
    Miscounted { told: Cursor, counted: Cursor },
    #[error("a page was cut")]
    Cut,
}

impl Count {
    fn start(head: &Head) -> Result<Self, PageFault> {
        let (next, end) = (head.next, head.end);
        let len_max = u64::from(HISTORY_PAGE_LEN_MAX);
        let is_valid =
            next > Seq::ZERO && end >= next && end <= Seq::MAX.next() && end <= next.plus(len_max);
        is_valid
            .then_some(Self {
                epoch: head.epoch,
                next,
                end,
            })
            .ok_or(PageFault::Range { next, end })
    }

    fn on_frame(&mut self, raw: &RawFrame) -> Result<Step, PageFault> {
        if lane::is_internal(raw.kind) {
            return Err(PageFault::Unexpected(raw.kind));
        }
        let frame = LaneFrame::decode(raw)?;
        let at = Cursor::new(self.epoch, self.next);
        if lane::is_entry(raw.kind) {
            if self.next >= self.end {
                return Err(PageFault::Unexpected(raw.kind));
            }
            self.next = self.next.next();
            return Ok(frame.map_or(Step::Nothing, |entry| Step::Entry { cursor: at, entry }));
        }
        match frame {
            None => Ok(Step::Nothing),
            Some(LaneFrame::Gap(gap)) => {
                let next = Cursor::new(gap.epoch, gap.next);
                if gap.epoch != self.epoch || gap.next < self.next || gap.next > self.end {
                    return Err(PageFault::Miscounted {
                        told: next,
                        counted: at,
                    });
                }
                let from = Cursor::new(self.epoch, self.next.minus(1));
                self.next = gap.next;
                Ok(Step::Gap { from, next })
            }
            Some(_) => Err(PageFault::Unexpected(raw.kind)),
        }
    }

    fn finish(&self) -> Result<(), PageFault> {
        (self.next == self.end).then_some(()).ok_or(PageFault::Cut)
    }
}

fn page_fault(fault: &PageFault) -> Stop {
    match fault {
        PageFault::Frame(error) => frame_fault(error),
        other => Stop::Fault(CloseCode::Unexpected, other.to_string()),
    }
}

fn cut() -> Stop {
    page_fault(&PageFault::Cut)
}

#[cfg(test)]
mod tests {
    use chat_protocol::lane::{At, Damaged, Gap, GapReason};
    use chat_protocol::{FrameDecoder, RequestId};

    use super::*;

    fn head(next: u64, end: u64) -> Head {
        Head {
            request: RequestId(1),
            epoch: Epoch(3),
            first: Seq(1),
            next: Seq(next),
            end: Seq(end),
            gap: None,
        }
    }

    fn raw(frame: impl Into<LaneFrame>) -> RawFrame {
        let mut decoder = FrameDecoder::new();
        decoder.push(&frame.into().to_bytes());
        decoder.next().unwrap().unwrap()
    }

    fn gap(epoch: u64, next: u64) -> RawFrame {
        raw(Gap {
            reason: GapReason::Trimmed,
            epoch: Epoch(epoch),
            next: Seq(next),
        })
    }

    fn unknown(kind: u64) -> RawFrame {
        RawFrame {
            kind,
            body: bytes::Bytes::new(),
        }
    }

    #[test]
    fn a_page_must_claim_what_can_be() {
        for (next, end) in [(1, 1), (1, 257), (7, 8), (Seq::MAX.0, Seq::MAX.0 + 1)] {
            assert!(Count::start(&head(next, end)).is_ok(), "{next} to {end}");
        }
        for (next, end) in [
            (0, 1),
            (2, 1),
            (1, 258),
            (1, u64::MAX),
            (u64::MAX, u64::MAX),
        ] {
            let fault = Count::start(&head(next, end)).unwrap_err();
            assert!(matches!(fault, PageFault::Range { .. }), "{next} to {end}");
        }
    }

    #[test]
    fn entries_stand_where_the_page_says_also_unknown_ones() {
        let mut count = Count::start(&head(4, 9)).unwrap();
        assert_eq!(count.on_frame(&unknown(0x0b)), Ok(Step::Nothing), "counted");
        assert_eq!(count.on_frame(&unknown(0x29)), Ok(Step::Nothing), "a mark");
        let entry = Step::Entry {
            cursor: Cursor::new(Epoch(3), Seq(5)),
            entry: Damaged {}.into(),
        };
        assert_eq!(count.on_frame(&raw(Damaged {})), Ok(entry));
        let hole = Step::Gap {
            from: Cursor::new(Epoch(3), Seq(5)),
            next: Cursor::new(Epoch(3), Seq(8)),
        };
        assert_eq!(count.on_frame(&gap(3, 8)), Ok(hole));
        assert_eq!(count.finish(), Err(PageFault::Cut));
        assert!(count.on_frame(&raw(Damaged {})).is_ok());
        assert_eq!(count.finish(), Ok(()));
    }

    #[test]
    fn what_is_no_page_is_a_fault() {
        for (what, frame) in [
            ("one entry too many", raw(Damaged {})),
            ("an entry between nodes", unknown(0x11)),
            ("an unknown even kind", unknown(0x2e)),
            ("a gap in another epoch", gap(4, 9)),
            ("a gap back", gap(3, 8)),
            ("a gap beyond the end", gap(3, 10)),
            ("a second head", raw(head(1, 1))),
            (
                "a mark of lanes",
                raw(At {
                    epoch: Epoch(3),
                    next: Seq(9),
                }),
            ),
        ] {
            let mut count = Count::start(&head(9, 9)).unwrap();
            assert!(count.on_frame(&frame).is_err(), "{what}");
        }
    }
}
