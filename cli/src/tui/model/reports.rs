//! What reports change.

use std::time::Duration;

use chat_protocol::Cursor;
use chat_protocol::lane::NoticeLevel;

use super::opening::SHOW;
use super::{Link, MEMBERS, Model, Now, OLDER, Overlay, ROOMS};
use crate::report::{Place, Refusal, Report};
use crate::text::remark;
use crate::tui::picker::Source;
use crate::tui::room::{Past, Pending, PendingState};
use crate::tui::timeline::{Item, Tone};

impl Model {
    /// Something happened, or came of what was asked.
    pub fn on_report(&mut self, report: Report, now: Now) {
        match report {
            Report::Message {
                place,
                cursor,
                message,
                own,
                history,
                mention,
                ..
            } => self.on_message(&place, cursor, message, own, history, mention, now),
            Report::Refers {
                place,
                cursor,
                message,
                own,
                history,
                ..
            } => self.on_message(&place, cursor, message, own, history, false, now),
            Report::TopicChanged {
                place,
                cursor,
                change,
                ..
            } => {
                let line = remark::topic(&change);
                if let Some(index) = self.index_of(&place) {
                    self.rooms[index].topic = change.topic.clone();
                    self.rooms[index].newest = Some(cursor);
                    let item = Item::remark(change.at_ms, Some(cursor), Tone::Quiet, line);
                    self.rooms[index].timeline.push(item);
                    self.rooms[index].catch_up(cursor, now.ms);
                }
            }
            Report::Older {
                place,
                entries,
                before,
                beginning,
                ..
            } => self.on_older(&place, entries, before.is_some(), beginning, now),
            Report::Notice {
                notice, history, ..
            } => {
                let tone = match notice.level {
                    NoticeLevel::Info => Tone::Notice,
                    NoticeLevel::Warning => Tone::Warning,
                };
                let text = notice.text.as_str();
                self.rooms[0].remark(notice.at_ms, tone, text);
                if self.current != 0 && !history {
                    self.room_mut().remark(notice.at_ms, tone, text);
                }
            }
            Report::Presence {
                place,
                members,
                changes,
                more,
            } => self.on_presence(&place, members, &changes, more, now),
            Report::Joined { .. } => self.on_joined(report, now),
            Report::Left { ref place, .. } => {
                let lines = remark::of(&report);
                self.close_room(place);
                for line in lines {
                    self.remark(now, Tone::Quiet, line);
                }
            }
            Report::Went { .. } => {}
            Report::Done {
                reference, place, ..
            } => {
                if let (Some(reference), Some(place)) = (reference, place) {
                    self.on_opened(&reference, place, now);
                }
            }
            Report::Sent { reference, id, .. } => {
                if let Some(pending) = self.pending_mut(reference.as_deref()) {
                    pending.id = Some(id);
                }
            }
            Report::Acked {
                reference,
                place,
                cursor,
                ..
            } => {
                self.is_late = false;
                self.on_acked(reference.as_deref(), &place, cursor);
            }
            Report::NotSent {
                reference, refusal, ..
            }
            | Report::Refused { reference, refusal } => {
                self.on_refused(reference.as_deref(), &refusal, now);
            }
            Report::Members {
                reference,
                place,
                members,
            } => self.on_members(reference.as_deref(), place, members, now),
            Report::Rooms { reference, rooms } => {
                for room in &rooms {
                    self.know(room.name.as_str());
                }
                if reference.is_none() {
                    let report = Report::Rooms { reference, rooms };
                    self.remark_all(&report, now);
                } else if matches!(&self.overlay, Some(Overlay::Picker(picker)) if picker.source == Source::Rooms && picker.chosen == 0)
                {
                    self.search_again();
                }
            }
            Report::Renamed { ref name } => {
                let is_news = self.me != name.as_str();
                self.me = name.to_string();
                if is_news {
                    self.remark_all(&report, now);
                }
            }
            report => self.on_link(report, now),
        }
    }

    fn on_link(&mut self, report: Report, now: Now) {
        match &report {
            Report::Connected {
                node, name, first, ..
            } => {
                self.node = node.to_string();
                self.me = name.to_string();
                self.link = Link::Up;
                self.is_late = false;
                for line in remark::of(&report) {
                    self.rooms[0].remark(now.ms, Tone::Quiet, line.clone());
                    if !first && self.current != 0 {
                        self.remark(now, Tone::Quiet, line);
                    }
                }
                return;
            }
            Report::Disconnected {
                reason,
                retry_in,
                attempt,
                ..
            } => {
                self.link = Link::Away {
                    reason: reason.clone(),
                    retry_at: retry_in.map(|delay: Duration| now.instant + delay),
                    attempt: *attempt,
                };
                self.rtt = None;
                for line in remark::of(&report) {
                    self.rooms[0].remark(now.ms, Tone::Quiet, line);
                }
                return;
            }
            // Nothing is asked of anybody: the line that says where one is then is enough.
            Report::Draining { .. } => {
                for line in remark::of(&report) {
                    self.rooms[0].remark(now.ms, Tone::Quiet, line);
                }
                return;
            }
            Report::Backplane { available } => self.has_backplane = *available,
            // Each of them has its mark where it stands.
            Report::Overdue { .. } => {
                self.is_late = true;
                let text = remark::of(&report).join(" ");
                return self.say(now, text);
            }
            Report::Closed { reason } => {
                self.link = Link::Closed {
                    reason: reason.clone(),
                };
            }
            Report::Typing { place, name } => {
                let until = now.instant + chat_client::TYPING_TIME;
                if let Some(index) = self.index_of(place) {
                    let last = self.rooms[index].last_said.as_ref();
                    // What was typed before a message may be told after it.
                    let is_of_message = last.is_some_and(|(who, at)| {
                        who == name && now.instant.saturating_duration_since(*at) < TYPING_LATE
                    });
                    if is_of_message {
                        return;
                    }
                    let typing = &mut self.rooms[index].typing;
                    typing.retain(|(known, _)| known != name);
                    if typing.len() < TYPING_LEN_MAX {
                        typing.push((name.clone(), until));
                    }
                }
                return;
            }
            _ => {}
        }
        self.remark_all(&report, now);
    }

    /// Says what this program has to say of a report, in the room it is about if that is open.
    pub(super) fn remark_all(&mut self, report: &Report, now: Now) {
        let place = match report {
            Report::Gap { place, .. } | Report::Damaged { place, .. } => Some(place),
            _ => None,
        };
        let index = place.and_then(|place| self.index_of(place));
        let index = index.unwrap_or(self.current);
        for line in remark::of(report) {
            self.rooms[index].remark(now.ms, Tone::Quiet, line);
        }
        if let Report::Damaged { cursor, .. } = report {
            self.rooms[index].catch_up(*cursor, now.ms);
        }
        self.bound();
    }

    fn on_acked(&mut self, reference: Option<&str>, place: &Place, cursor: Cursor) {
        if let Some(index) = self.index_of(place) {
            let room = &mut self.rooms[index];
            let has_come = room.timeline.at(cursor).is_some();
            let reference = reference.unwrap_or_default();
            if has_come {
                room.pending
                    .retain(|pending| pending.reference != reference);
            } else if let Some(pending) = room.pending_mut(reference) {
                pending.state = PendingState::Acked;
                pending.cursor = Some(cursor);
            }
        }
    }

    fn on_refused(&mut self, reference: Option<&str>, refusal: &Refusal, now: Now) {
        if let Some(pending) = self.pending_mut(reference) {
            pending.state = if refusal.code == "unknown_fate" {
                PendingState::Unknown
            } else {
                PendingState::Refused(refusal.message.clone())
            };
            return;
        }
        self.writing_to = None;
        match reference {
            Some(MEMBERS | ROOMS) => return,
            Some(reference) if reference.starts_with(SHOW) => {
                self.on_not_opened(reference, now);
            }
            Some(OLDER) => {
                for room in &mut self.rooms {
                    if room.past == Past::Loading {
                        room.past = Past::More;
                    }
                }
            }
            _ => {}
        }
        let what = if reference == Some(OLDER) {
            "older messages: "
        } else {
            ""
        };
        let hint = refusal.hint.map(|hint| format!("; {hint}"));
        let line = format!("{what}{}{}", refusal.message, hint.unwrap_or_default());
        self.remark(now, Tone::Error, line);
    }

    fn pending_mut(&mut self, reference: Option<&str>) -> Option<&mut Pending> {
        let reference = reference?;
        self.rooms
            .iter_mut()
            .find_map(|room| room.pending_mut(reference))
    }
}

/// How much later than a message the word can come that it is being typed.
const TYPING_LATE: Duration = Duration::from_secs(1);

/// Most who are said to be typing in a room.
const TYPING_LEN_MAX: usize = 8;
