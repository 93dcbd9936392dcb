//! Older entries of a room, a page at a time.

use chat_protocol::lane::GapReason;
use chat_protocol::{Cursor, Seq};

use crate::event::Event;

/// Entries of a room right before a place in its log, as of
/// [`Room::history_before`](crate::Room::history_before).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HistoryPage {
    /// The entries, oldest first: messages, topics, notices and damaged entries, each with its
    /// cursor and as history. A [`Gap`](Event::Gap) among them means that some are missing there.
    pub events: Vec<Event>,
    /// Where the page before this one ends: ask with it for that. `None` when there is no older
    /// entry that can be had.
    pub before: Option<Cursor>,
    /// The oldest entry of the room that can be had; one after the last when there is none.
    pub first: Cursor,
    /// Why this page does not end right before what was asked, if so.
    /// [`Trimmed`](GapReason::Trimmed): those right before it are no longer kept.
    /// [`Diverged`](GapReason::Diverged): the log began anew, or never was at that place.
    pub gap: Option<GapReason>,
}

impl HistoryPage {
    /// Whether this page starts with the very first entry of the room's log: nothing older was
    /// trimmed.
    #[must_use]
    pub fn is_beginning(&self) -> bool {
        self.before.is_none() && self.first.seq == Seq(1)
    }
}
