//! A room as it is shown: what was said in it, what was sent to it and is not in the log yet, and
//! where the user stands in it. Pure.

use std::collections::{HashSet, VecDeque};
use std::time::Instant;

use chat_client::{MessageId, References};
use chat_protocol::lane::{Message, PresenceChange};
use chat_protocol::{Cursor, Text, Topic, UserName};

use super::timeline::{ITEMS_LEN_MAX, Item, Said, Timeline, Tone};
use crate::operation::{Operation, Style};
use crate::report::Place;

/// A room that is open, or the page of this program itself.
#[derive(Debug, Default)]
pub struct Room {
    /// Which; none for the page of this program.
    pub place: Option<Place>,
    /// Its topic.
    pub topic: Topic,
    /// Whether somebody else opened it, so that all it begins with is new.
    pub is_invitation: bool,
    /// Who is in it.
    pub members: Members,
    /// What was said and happened.
    pub timeline: Timeline,
    /// What became of the messages.
    pub references: References,
    /// Those of them that say something else than at first.
    pub changed: HashSet<Cursor>,
    /// What was sent to it and is not among the items yet, oldest first.
    pub pending: Vec<Pending>,
    /// Where the user has scrolled to; none at the newest.
    pub anchor: Option<Anchor>,
    /// The first item the user has not seen.
    pub marker: Option<i64>,
    /// Messages the user has not seen.
    pub unread: u32,
    /// Those of them that name the user.
    pub mentions: u32,
    /// Messages that came below what is shown.
    pub below: u32,
    /// What was typed and not sent, while another room is shown.
    pub draft: String,
    /// What was sent from here, oldest first.
    pub sent: VecDeque<String>,
    /// What is before the first item.
    pub past: Past,
    /// The newest place of the log that came.
    pub newest: Option<Cursor>,
    /// Whether the other of a room of two has gone: nobody reads it any more.
    pub is_abandoned: bool,
    /// How far the room has to come after a reconnect.
    pub catching: Option<Catching>,
    /// Who said the last message, and when it came.
    pub last_said: Option<(UserName, Instant)>,
    /// Who is typing, and until when that is to be believed.
    pub typing: Vec<(UserName, Instant)>,
}

/// A message of this client without an ack, or that has not come back yet.
#[derive(Clone, Debug)]
pub struct Pending {
    /// What ties answers to it.
    pub reference: String,
    /// Its id, once it was queued.
    pub id: Option<MessageId>,
    /// Its place in the log, once it was acked.
    pub cursor: Option<Cursor>,
    /// What asks for it, to ask again.
    pub operation: Operation,
    /// What it says.
    pub text: String,
    /// How it is meant.
    pub style: Style,
    /// When it was sent: milliseconds since 1970.
    pub at_ms: u64,
    /// What is known of it.
    pub state: PendingState,
}

/// What is known of a message that has not come back.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum PendingState {
    /// It is kept, and sent again until there is an answer.
    Waiting,
    /// It is in the log.
    Acked,
    /// It is not in the log, and will not be sent again by itself.
    Refused(String),
    /// It may or may not be in the log.
    Unknown,
}

/// Where the user has scrolled to: `hidden` rows of this item are below the lower edge.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Anchor {
    /// The lowest item that is shown.
    pub item: i64,
    /// How many of its rows are not.
    pub hidden: usize,
}

/// What is before the first item of a room.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Past {
    /// More can be asked for.
    #[default]
    More,
    /// More was asked for.
    Loading,
    /// Nothing that can be had.
    Nothing,
}

/// Missed entries that are coming.
#[derive(Clone, Copy, Debug)]
pub struct Catching {
    /// The last of them.
    pub head: Cursor,
    /// Messages among them so far.
    pub missed: u32,
}

/// Who is in a room.
#[derive(Debug, Default)]
pub struct Members {
    /// How many.
    pub count: u32,
    /// Their names in order, up to [`MEMBERS_LEN_MAX`].
    pub names: Vec<UserName>,
}

impl Members {
    /// Takes a whole list.
    pub fn replace(&mut self, names: Vec<UserName>) {
        self.count = u32::try_from(names.len()).unwrap_or(u32::MAX);
        self.names = names;
        self.names.sort_by_cached_key(key);
        self.names.dedup();
        self.names.truncate(MEMBERS_LEN_MAX);
    }

    /// Takes a change.
    pub fn change(&mut self, change: &PresenceChange) {
        match change {
            PresenceChange::Joined(name) => self.add(name),
            PresenceChange::Left(name) => self.names.retain(|known| known != name),
            PresenceChange::Renamed { from, to } => {
                self.names.retain(|known| known != from);
                self.add(to);
            }
        }
    }

    fn add(&mut self, name: &UserName) {
        let place = self.names.binary_search_by_key(&key(name), key);
        if let Err(index) = place
            && self.names.len() < MEMBERS_LEN_MAX
        {
            self.names.insert(index, name.clone());
        }
    }
}

fn key(name: &UserName) -> (String, String) {
    (name.as_str().to_lowercase(), name.as_str().to_owned())
}

/// What stands at an index: items first, then what is not among them yet.
#[derive(Clone, Copy, Debug)]
pub enum Entry<'a> {
    /// An item.
    Item(&'a Item),
    /// A message of this client.
    Pending(&'a Pending),
}

impl Room {
    /// A room with nothing in it.
    #[must_use]
    pub fn new(place: Option<Place>) -> Self {
        let past = if place.is_some() {
            Past::More
        } else {
            Past::Nothing
        };
        Self {
            place,
            past,
            references: References::new(ITEMS_LEN_MAX),
            ..Self::default()
        }
    }

    /// What people call it.
    #[must_use]
    pub fn title(&self) -> String {
        match &self.place {
            Some(place) => place.to_string(),
            None => HOME_TITLE.to_owned(),
        }
    }

    /// Whether it is a room of two.
    #[must_use]
    pub fn is_direct(&self) -> bool {
        self.place
            .as_ref()
            .is_some_and(|place| place.direct.is_some())
    }

    /// Index of the first entry.
    #[must_use]
    pub const fn first(&self) -> i64 {
        self.timeline.first()
    }

    /// Index behind the last entry.
    #[must_use]
    pub fn end(&self) -> i64 {
        self.timeline.end() + self.pending.len() as i64
    }

    /// What stands at an index.
    #[must_use]
    pub fn entry(&self, index: i64) -> Option<Entry<'_>> {
        if let Some(item) = self.timeline.get(index) {
            return Some(Entry::Item(item));
        }
        let offset = usize::try_from(index - self.timeline.end()).ok()?;
        self.pending.get(offset).map(Entry::Pending)
    }

    /// The text of a message as it is now; empty when it was deleted or is of a kind without text.
    #[must_use]
    pub fn text_of<'a>(&'a self, said: &'a Said) -> &'a str {
        if !self.changed.contains(&said.cursor) {
            return said.text();
        }
        match self.references.message(said.cursor) {
            Some(view) => view.text().map_or("", Text::as_str),
            None => said.text(),
        }
    }

    /// Adds a remark as the newest item.
    pub fn remark(&mut self, at_ms: u64, tone: Tone, text: impl Into<String>) {
        self.timeline.push(Item::remark(at_ms, None, tone, text));
    }

    /// A message of this client, by what ties answers to it.
    pub fn pending_mut(&mut self, reference: &str) -> Option<&mut Pending> {
        self.pending
            .iter_mut()
            .find(|pending| pending.reference == reference)
    }

    /// Takes out the pending message that has come back.
    pub fn settle(&mut self, id: MessageId, cursor: Cursor) {
        self.pending
            .retain(|pending| pending.id != Some(id) && pending.cursor != Some(cursor));
    }

    /// Takes a message or a change of one into what is known of messages.
    pub fn refer(&mut self, cursor: Cursor, message: &Message) {
        let Some(touched) = self.references.on_message(cursor, message) else {
            return;
        };
        let view = self.references.message(touched);
        if view.is_some_and(|view| view.is_edited() || view.is_deleted()) {
            if self.changed.len() >= ITEMS_LEN_MAX {
                // More than are shown: what is gone from the screen can be forgotten.
                let references = &self.references;
                self.changed
                    .retain(|cursor| references.message(*cursor).is_some());
            }
            self.changed.insert(touched);
        }
    }

    /// The place that older entries to be loaded come before.
    #[must_use]
    pub fn loaded_from(&self) -> Option<Cursor> {
        let behind_newest = || {
            let newest = self.newest?;
            Some(Cursor::new(newest.epoch, newest.seq.next()))
        };
        self.timeline.oldest_cursor().or_else(behind_newest)
    }

    /// Forgets what became of messages that are no longer among the items.
    pub fn forget_old(&mut self) {
        let Some(oldest) = self.timeline.oldest_cursor() else {
            return;
        };
        self.references.forget_before(oldest);
        let references = &self.references;
        self.changed
            .retain(|cursor| references.message(*cursor).is_some());
    }

    /// Whether something of it will not be sent by itself.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.pending.iter().any(|pending| {
            matches!(
                pending.state,
                PendingState::Refused(_) | PendingState::Unknown
            )
        })
    }

    /// Remembers what was sent.
    pub fn remember(&mut self, line: &str) {
        if self.sent.back().is_some_and(|last| last == line) {
            return;
        }
        self.sent.push_back(line.to_owned());
        if self.sent.len() > SENT_LEN_MAX {
            self.sent.pop_front();
        }
    }

    /// The user looks at it from now on.
    pub fn enter(&mut self) {
        self.unread = 0;
        self.mentions = 0;
    }

    /// The user looks elsewhere from now on.
    pub fn leave(&mut self) {
        self.marker = None;
        self.unread = 0;
        self.mentions = 0;
    }

    /// The user is at the newest item.
    pub const fn follow(&mut self) {
        self.anchor = None;
        self.below = 0;
    }
}

/// What the page of this program is called.
pub const HOME_TITLE: &str = "chat";

/// Most names listed of a room.
pub const MEMBERS_LEN_MAX: usize = 1_000;

/// Most lines remembered as sent from a room.
const SENT_LEN_MAX: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    fn names(members: &Members) -> Vec<&str> {
        members.names.iter().map(UserName::as_str).collect()
    }

    #[test]
    fn members_stay_in_order() {
        let name = |name: &str| -> UserName { name.parse().unwrap() };
        let mut members = Members::default();
        members.replace(vec![name("cy"), name("Ann"), name("bo")]);
        assert_eq!(names(&members), ["Ann", "bo", "cy"]);
        members.change(&PresenceChange::Joined(name("alf")));
        members.change(&PresenceChange::Joined(name("bo")));
        members.change(&PresenceChange::Left(name("cy")));
        members.change(&PresenceChange::Renamed {
            from: name("bo"),
            to: name("Zoe"),
        });
        assert_eq!(names(&members), ["alf", "Ann", "Zoe"]);
    }

    #[test]
    fn what_was_sent_is_remembered_once_and_bounded() {
        let mut room = Room::default();
        for number in 0..SENT_LEN_MAX + 5 {
            room.remember(&number.to_string());
            room.remember(&number.to_string());
        }
        assert_eq!(room.sent.len(), SENT_LEN_MAX);
        assert_eq!(room.sent.front().unwrap(), "5");
    }
}
