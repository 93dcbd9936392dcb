//! Messages as they come: from the lanes, and from pages of older ones.

use chat_client::MessageId;
use chat_protocol::Cursor;
use chat_protocol::lane::Message;

use super::{MENTIONS_LEN_MAX, Model, Now, Wish};
use crate::config::Level;
use crate::report::{Place, Report};
use crate::text::remark;
use crate::tui::room::{Catching, Past, Room};
use crate::tui::timeline::{Item, Kind, Said, Tone};

impl Model {
    #[expect(clippy::too_many_arguments, reason = "the fields of one report")]
    pub(super) fn on_message(
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
        room.last_said = Some((author, now.instant));
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

    pub(super) fn on_older(
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
                Report::TopicChanged { cursor, change, .. } => {
                    at_ms = change.at_ms;
                    let line = remark::topic(&change);
                    items.push(Item::remark(at_ms, Some(cursor), Tone::Quiet, line));
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
            let is_listed = self
                .mentions
                .iter()
                .any(|known| *known == (place.clone(), index));
            if self.mentions.len() < MENTIONS_LEN_MAX && !is_listed {
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

    /// An entry came: after the last of those that were missed it is said how many they were.
    pub(super) fn catch_up(&mut self, cursor: Cursor, at_ms: u64) {
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
    Item::remark(at_ms, None, Tone::Quiet, line)
}
