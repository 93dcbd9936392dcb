//! Rooms as they open and close.

use chat_protocol::RoomName;

use super::{Model, Now, Overlay, ROOMS};
use crate::operation::Operation;
use crate::report::{Place, Report};
use crate::text::remark;
use crate::tui::room::{Catching, MEMBERS_LEN_MAX, PendingState, Room};
use crate::tui::timeline::Tone;

impl Model {
    pub(super) fn on_joined(&mut self, report: Report, now: Now) {
        let lines = remark::of(&report);
        let Report::Joined {
            place,
            head,
            past,
            members,
            topic,
            rejoined,
        } = report
        else {
            return;
        };
        if place.direct.is_none() {
            self.know(place.room.as_str());
        }
        let index = match self.index_of(&place) {
            Some(index) => index,
            None => {
                let mut room = Room::new(Some(place.clone()));
                let asked_for = self
                    .writing_to
                    .take_if(|to| Some(&*to) == place.direct.as_ref());
                let other = place.direct.as_ref();
                room.is_invitation =
                    other.is_some_and(|other| !self.is_opening_to(other)) && asked_for.is_none();
                self.rooms.push(room);
                self.rooms.len() - 1
            }
        };
        let room = &mut self.rooms[index];
        room.topic = topic;
        room.members.count = members;
        room.newest.get_or_insert(head);
        if rejoined {
            room.catching = (past > 0).then_some(Catching { head, missed: 0 });
            // Gone while nobody could tell this client.
            room.is_abandoned = place.direct.is_some() && members < 2;
        } else {
            for line in lines {
                room.remark(now.ms, Tone::Quiet, line);
            }
        }
        let has_list = place.direct.is_none() && members as usize <= MEMBERS_LEN_MAX;
        if has_list {
            self.stale_members.insert(place.room.clone());
        }
        self.show_opened(&place, now);
    }

    pub(super) fn close_room(&mut self, place: &Place) {
        let Some(index) = self.index_of(place) else {
            return;
        };
        if self.current == index {
            if self.aim.is_some() {
                self.drop_aim();
            }
            // It was meant for nobody else.
            let begun = self.composer.take();
            let previous = self.previous.clone();
            let to = previous.and_then(|place| self.index_of(&place));
            let to = to.filter(|to| *to != index);
            self.go(to.unwrap_or_else(|| index.saturating_sub(1)));
            if self.current == index {
                self.go(0);
            }
            if !begun.trim().is_empty() {
                self.room_mut().remember(&begun);
            }
        }
        let closed = self.rooms.remove(index);
        for pending in closed.pending {
            if pending.state != PendingState::Acked {
                // It is shown nowhere else any more.
                let line = format!("not sent to {place}: {}", pending.text);
                let at = if self.current > index {
                    self.current - 1
                } else {
                    self.current
                };
                self.rooms[at].remark(pending.at_ms, Tone::Error, line);
            }
        }
        if self.current > index {
            self.current -= 1;
        }
        self.mentions.retain(|(of, _)| of.room != place.room);
        if let Some(Overlay::Picker(_)) = self.overlay {
            // What it lists may stand elsewhere now.
            self.overlay = None;
        }
    }

    pub(super) fn know(&mut self, room: &str) {
        if self.known_rooms.len() < KNOWN_ROOMS_LEN_MAX {
            self.known_rooms.insert(room.to_owned());
        }
    }

    /// Joins the rooms of the start; the first is shown.
    pub fn open_rooms_of_start(&mut self, rooms: &[RoomName], now: Now) {
        for (index, room) in rooms.iter().enumerate() {
            let operation = Operation::Join {
                room: room.clone(),
                history: None,
            };
            if index == 0 {
                self.ask_to_show(operation, now);
            } else {
                self.ask(None, operation);
            }
        }
        self.ask(Some(ROOMS), Operation::Rooms);
    }
}

/// Most rooms that Tab and the list know.
const KNOWN_ROOMS_LEN_MAX: usize = 1_000;
