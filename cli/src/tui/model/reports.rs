//! What reports change.

use std::time::Duration;

use chat_client::MessageId;
use chat_protocol::lane::{Message, NoticeLevel, PresenceChange};
use chat_protocol::{Cursor, UserName};

use super::opening::SHOW;
use super::{Link, MEMBERS, MENTIONS_LEN_MAX, Model, Now, OLDER, Overlay, ROOMS, Wish};
use crate::config::Level;
use crate::operation::Operation;
use crate::report::{Place, Refusal, Report};
use crate::text::remark;
use crate::tui::picker::Source;
use crate::tui::room::{Catching, MEMBERS_LEN_MAX, Past, PendingState, Room};
use crate::tui::timeline::{Item, Kind, Said, Tone};

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
                let name = &change.author.name;
                let line = match change.topic.as_str() {
                    "" => format!("{name} removed the topic"),
                    topic => format!("{name} set the topic: {topic}"),
                };
                if let Some(index) = self.index_of(&place) {
                    self.rooms[index].topic = change.topic.clone();
                    self.rooms[index].newest = Some(cursor);
                    self.rooms[index].remark(change.at_ms, Tone::Quiet, line);
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
    fn remark_all(&mut self, report: &Report, now: Now) {
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

    #[expect(clippy::too_many_arguments, reason = "the fields of one report")]
    fn on_message(
        &mut self,
        place: &Place,
        cursor: Cursor,
        message: Message,
        own: bool,
        history: bool,
        mention: bool,
        now: Now,
    ) {
        let Some(index) = self.index_of(place) else {
            return;
        };
        let is_shown = index == self.current;
        let level = self.level(&self.rooms[index]);
        let room = &mut self.rooms[index];
        if own {
            room.settle(MessageId::from(&message), cursor);
        }
        let author = message.author.name.clone();
        room.typing.retain(|(name, _)| *name != author);
        if !message.content.is_message() {
            room.refer(cursor, &message);
            room.newest = Some(cursor);
            return room.catch_up(cursor, now.ms);
        }
        let is_missed = room.catching.is_some();
        let at = room.push_message(cursor, message, own, mention);
        if let Some(catching) = &mut room.catching {
            catching.missed += u32::from(!own);
        }
        room.catch_up(cursor, now.ms);
        let is_new = !own && (!history || is_missed || room.is_invitation);
        if is_new {
            if room.anchor.is_some() {
                room.below += 1;
            }
            let is_seen = is_shown && room.anchor.is_none();
            if !is_seen || is_missed {
                room.marker.get_or_insert(at);
            }
            if !is_shown {
                room.unread += 1;
                room.mentions += u32::from(mention || room.is_direct());
            }
            let is_direct = room.is_direct();
            let rings = match level {
                Level::Off => false,
                Level::Mentions => mention || (is_direct && !is_shown),
                Level::All => !is_shown || mention,
            };
            if rings && self.options.ui.bell {
                self.wish(Wish::Bell);
            }
        }
        if mention {
            self.mentions.push_back((place.clone(), at));
            if self.mentions.len() > MENTIONS_LEN_MAX {
                self.mentions.pop_front();
            }
        }
        self.bound();
    }

    fn on_older(
        &mut self,
        place: &Place,
        entries: Vec<Report>,
        has_more: bool,
        beginning: bool,
        now: Now,
    ) {
        let Some(index) = self.index_of(place) else {
            return;
        };
        let room = &mut self.rooms[index];
        let first_ms = room.timeline.iter().next().map(|(_, item)| item.at_ms);
        let mut at_ms = first_ms.unwrap_or(now.ms);
        let mut items = vec![];
        for entry in entries {
            match entry {
                Report::Message {
                    cursor,
                    message,
                    own,
                    mention,
                    ..
                } => {
                    at_ms = message.at_ms;
                    items.extend(room.older_item(cursor, message, own, mention));
                }
                Report::Refers {
                    cursor,
                    message,
                    own,
                    ..
                } => {
                    items.extend(room.older_item(cursor, message, own, false));
                }
                Report::TopicChanged { change, .. } => {
                    at_ms = change.at_ms;
                    let (name, topic) = (&change.author.name, change.topic.as_str());
                    let line = match topic {
                        "" => format!("{name} removed the topic"),
                        topic => format!("{name} set the topic: {topic}"),
                    };
                    items.push(remark_item(at_ms, line));
                }
                other => {
                    let lines = remark::of(&other).into_iter();
                    items.extend(lines.map(|line| remark_item(at_ms, line)));
                }
            }
        }
        room.past = if has_more { Past::More } else { Past::Nothing };
        if !has_more {
            let line = if beginning {
                "here this room begins"
            } else {
                "what was said before is no longer kept"
            };
            let at_ms = items.first().map_or(at_ms, |item| item.at_ms);
            items.insert(0, remark_item(at_ms, line.to_owned()));
        }
        let mentions = items.iter().rev().enumerate().filter_map(|(at, item)| {
            let is_mention = matches!(&item.kind, Kind::Said(said) if said.mention);
            is_mention.then_some(room.timeline.first() - 1 - at as i64)
        });
        let mentions: Vec<i64> = mentions.collect();
        let all_fit = room.timeline.prepend(items);
        for index in mentions {
            if self.mentions.len() < MENTIONS_LEN_MAX {
                self.mentions.push_front((place.clone(), index));
            }
        }
        self.toast = None;
        if !all_fit {
            self.rooms[index].past = Past::Nothing;
            self.say(now, "no more messages fit; /clear makes room");
        }
        self.bound();
    }

    fn on_joined(&mut self, report: Report, now: Now) {
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

    fn on_presence(
        &mut self,
        place: &Place,
        members: u32,
        changes: &[PresenceChange],
        more: u32,
        now: Now,
    ) {
        let Some(index) = self.index_of(place) else {
            return;
        };
        let me = self.me.clone();
        let others: Vec<PresenceChange> = changes
            .iter()
            .filter(|change| !matches!(change, PresenceChange::Joined(name) if name.as_str() == me))
            .cloned()
            .collect();
        let room = &mut self.rooms[index];
        for change in changes {
            room.members.change(change);
            if let (PresenceChange::Renamed { from, to }, Some(place)) = (change, &mut room.place)
                && place.direct.as_ref() == Some(from)
            {
                place.direct = Some(to.clone());
            }
            if let PresenceChange::Left(name) = change {
                room.typing.retain(|(typing, _)| typing != name);
            }
        }
        room.members.count = members;
        if !others.is_empty() || more > 0 {
            room.timeline.push_crowd(now.ms, &others, more);
        }
        for change in changes {
            room.note_other(change, now.ms);
        }
        if more > 0 && members as usize <= MEMBERS_LEN_MAX {
            self.stale_members.insert(place.room.clone());
        }
    }

    fn on_members(
        &mut self,
        reference: Option<&str>,
        place: Place,
        members: Vec<UserName>,
        now: Now,
    ) {
        if let Some(index) = self.index_of(&place) {
            self.rooms[index].members.replace(members.clone());
        }
        if reference != Some(MEMBERS) {
            let report = Report::Members {
                reference: None,
                place,
                members,
            };
            self.remark_all(&report, now);
        }
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
            Some(reference) if reference.starts_with(SHOW) => self.on_not_opened(reference),
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

    fn pending_mut(&mut self, reference: Option<&str>) -> Option<&mut crate::tui::room::Pending> {
        let reference = reference?;
        self.rooms
            .iter_mut()
            .find_map(|room| room.pending_mut(reference))
    }

    fn close_room(&mut self, place: &Place) {
        let Some(index) = self.index_of(place) else {
            return;
        };
        if self.current == index {
            let previous = self.previous.clone();
            let to = previous.and_then(|place| self.index_of(&place));
            let to = to.filter(|to| *to != index);
            self.go(to.unwrap_or_else(|| index.saturating_sub(1)));
            if self.current == index {
                self.go(0);
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

    fn know(&mut self, room: &str) {
        if self.known_rooms.len() < KNOWN_ROOMS_LEN_MAX {
            self.known_rooms.insert(room.to_owned());
        }
    }

    /// Joins the rooms of the start; the first is shown.
    pub fn open_rooms_of_start(&mut self, rooms: &[chat_protocol::RoomName], now: Now) {
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

impl Room {
    /// Adds a message of the lane as the newest item. Gives its index.
    fn push_message(&mut self, cursor: Cursor, message: Message, own: bool, mention: bool) -> i64 {
        self.refer(cursor, &message);
        self.newest = Some(cursor);
        let item = item_of(cursor, message, own, mention);
        let first = self.timeline.first();
        let index = self.timeline.push(item);
        if self.timeline.first() != first {
            // What was dropped can be loaded again.
            self.past = Past::More;
            self.forget_old();
        }
        index
    }

    /// The item of a message that is older than all others.
    fn older_item(
        &mut self,
        cursor: Cursor,
        message: Message,
        own: bool,
        mention: bool,
    ) -> Option<Item> {
        self.refer(cursor, &message);
        let is_message = message.content.is_message();
        is_message.then(|| item_of(cursor, message, own, mention))
    }

    /// Says when the other of a room of two goes, and comes back.
    fn note_other(&mut self, change: &PresenceChange, at_ms: u64) {
        let Some(other) = self.place.as_ref().and_then(|place| place.direct.clone()) else {
            return;
        };
        match change {
            PresenceChange::Left(name) if *name == other => {
                self.is_abandoned = true;
                let text = format!(
                    "{other} is gone, and nobody reads this room any more; /msg {other} opens \
                     another one when {other} is back"
                );
                self.remark(at_ms, Tone::Error, text);
            }
            PresenceChange::Joined(name) if *name == other => self.is_abandoned = false,
            _ => {}
        }
    }

    /// An entry came: after the last of those that were missed it is said how many they were.
    fn catch_up(&mut self, cursor: Cursor, at_ms: u64) {
        let is_done = |catching: &mut Catching| {
            catching.head.epoch != cursor.epoch || cursor.seq >= catching.head.seq
        };
        let Some(catching) = self.catching.take_if(is_done) else {
            return;
        };
        let line = match catching.missed {
            0 => return,
            1 => "caught up: 1 missed message".to_owned(),
            missed => format!("caught up: {missed} missed messages"),
        };
        self.remark(at_ms, Tone::Quiet, line);
    }
}

fn item_of(cursor: Cursor, message: Message, own: bool, mention: bool) -> Item {
    let id = MessageId::from(&message);
    let said = Said {
        cursor,
        id,
        author: message.author,
        content: message.content,
        own,
        mention,
    };
    Item::said(message.at_ms, said)
}

fn remark_item(at_ms: u64, line: String) -> Item {
    Item {
        at_ms,
        kind: Kind::Remark(Tone::Quiet, line),
    }
}

/// Most who are said to be typing in a room.
const TYPING_LEN_MAX: usize = 8;

/// Most rooms that Tab and the list know.
const KNOWN_ROOMS_LEN_MAX: usize = 1_000;
