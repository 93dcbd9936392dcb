//! Older entries of a room: asking for them page by page, and where the next ones end.

use std::collections::VecDeque;

use chat_client::{Event, GapReason, Room};
use chat_protocol::{Cursor, RoomName};
use futures_util::FutureExt;

use super::Conversation;
use super::answer::{Answer, AnswerFuture, refused};
use crate::report::Report;

/// Older entries of a room.
#[derive(Debug)]
pub(super) struct Older {
    pub(super) events: Vec<Event>,
    /// Where what is before them ends; none when there is nothing older.
    pub(super) before: Option<Cursor>,
    /// The oldest entry that can be had.
    pub(super) first: Cursor,
    pub(super) beginning: bool,
    pub(super) gap: Option<GapReason>,
    /// Whether they go on where the older ones before ended.
    pub(super) is_next: bool,
    pub(super) reference: Option<String>,
}

impl Conversation {
    /// Shows what is before the oldest that was shown, or before another place.
    pub(super) fn history(
        &mut self,
        reference: Option<String>,
        room: Option<RoomName>,
        before: Option<Cursor>,
        limit: u32,
    ) {
        let Some(room) = self.open_room(reference.as_deref(), room) else {
            return;
        };
        let oldest = self.rooms.get(room.name()).map(|open| open.oldest);
        let head = || room.snapshot().head;
        let from = before.or(oldest).unwrap_or_else(head);
        let is_next = before.is_none();
        self.requests
            .push(older(room, from, limit, is_next, reference));
    }

    /// Older entries came.
    pub(super) fn on_older(&mut self, room: &RoomName, older: Older) {
        if let Some(open) = self.rooms.get_mut(room)
            && older.is_next
        {
            // Without more, the next page says the same again.
            open.oldest = older.before.unwrap_or(older.first);
        }
        let entries = older.events.into_iter();
        let entries = entries
            .filter_map(|event| self.entry(event, true))
            .collect();
        self.ready.push_back(Report::Older {
            reference: older.reference,
            place: self.place(room),
            entries,
            before: older.before,
            beginning: older.beginning,
            gap: older.gap,
        });
    }
}

/// Reads older entries, page by page, up to `limit` of them.
fn older(
    room: Room,
    before: Cursor,
    limit: u32,
    is_next: bool,
    reference: Option<String>,
) -> AnswerFuture {
    async move {
        let mut page = match room.history_before(before, limit).await {
            Ok(page) => page,
            Err(error) => return refused(reference, &error),
        };
        let (gap, mut pages) = (page.gap, VecDeque::new());
        let mut left = limit;
        loop {
            left = left.saturating_sub(u32::try_from(page.events.len()).unwrap_or(u32::MAX));
            let is_empty = page.events.is_empty();
            pages.push_front(std::mem::take(&mut page.events));
            let Some(before) = page.before.filter(|_| left > 0 && !is_empty) else {
                break;
            };
            page = match room.history_before(before, left).await {
                Ok(page) => page,
                Err(error) => return refused(reference, &error),
            };
        }
        let older = Older {
            events: pages.into_iter().flatten().collect(),
            before: page.before,
            first: page.first,
            beginning: page.is_beginning(),
            gap,
            is_next,
            reference,
        };
        let room = room.name().clone();
        Answer::Older { room, older }
    }
    .boxed()
}
