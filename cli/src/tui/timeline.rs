//! What was said and happened in a room, as far as it is kept to be shown. Pure.
//!
//! Items have an index for good: older ones are put before the first one, with smaller indexes, so
//! that a place on the screen stays where it is when items come at either end.
//!
//! Invariants: at most [`ITEMS_LEN_MAX`] items; whoever came and left right after one another is
//! one item.

use std::collections::VecDeque;

use chat_client::MessageId;
use chat_protocol::lane::{Author, PresenceChange};
use chat_protocol::{Content, Cursor, Text, UserName};

/// The items of one room, oldest first.
#[derive(Debug, Default)]
pub struct Timeline {
    items: VecDeque<Item>,
    first: i64,
    bytes: usize,
}

/// Something that was said or happened.
#[derive(Clone, Debug)]
pub struct Item {
    /// When: milliseconds since 1970.
    pub at_ms: u64,
    /// Its place in the log, if it has one.
    pub cursor: Option<Cursor>,
    /// What.
    pub kind: Kind,
}

/// What an item is.
#[derive(Clone, Debug)]
pub enum Kind {
    /// Somebody said something.
    Said(Box<Said>),
    /// People came and went.
    Crowd(Box<Crowd>),
    /// The server or this program says something, or something happened to the room.
    Remark(Tone, String),
}

/// A message.
#[derive(Clone, Debug)]
pub struct Said {
    /// Its place in the log.
    pub cursor: Cursor,
    /// Which message.
    pub id: MessageId,
    /// Who.
    pub author: Author,
    /// What.
    pub content: Content,
    /// Whether this client wrote it.
    pub own: bool,
    /// Whether it names this user.
    pub mention: bool,
}

/// Who says a remark, and how important it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Tone {
    /// This program, by the way.
    Quiet,
    /// This program: something went wrong.
    Error,
    /// The server, for the record.
    Notice,
    /// The server: somebody should act.
    Warning,
}

/// Who came and went, folded.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Crowd {
    /// Who came and is still here.
    pub came: Vec<UserName>,
    /// Who left and has not come back.
    pub gone: Vec<UserName>,
    /// Who has another name.
    pub renamed: Vec<(UserName, UserName)>,
    /// Changes beyond those.
    pub more: u32,
}

impl Crowd {
    /// Folds one more change in.
    pub fn fold(&mut self, change: &PresenceChange) {
        let is_full = self.came.len() + self.gone.len() + self.renamed.len() >= CROWD_LEN_MAX;
        match change {
            PresenceChange::Joined(name) => {
                if let Some(index) = self.gone.iter().position(|gone| gone == name) {
                    self.gone.remove(index);
                } else if is_full {
                    self.more += 1;
                } else {
                    self.came.push(name.clone());
                }
            }
            PresenceChange::Left(name) => {
                if let Some(index) = self.came.iter().position(|came| came == name) {
                    self.came.remove(index);
                } else if is_full {
                    self.more += 1;
                } else {
                    self.gone.push(name.clone());
                }
            }
            PresenceChange::Renamed { .. } if is_full => self.more += 1,
            PresenceChange::Renamed { from, to } => {
                if let Some(came) = self.came.iter_mut().find(|came| *came == from) {
                    *came = to.clone();
                } else if let Some((_, last)) =
                    self.renamed.iter_mut().find(|(_, last)| last == from)
                {
                    *last = to.clone();
                    self.renamed.retain(|(first, last)| first != last);
                } else {
                    self.renamed.push((from.clone(), to.clone()));
                }
            }
        }
    }

    /// Whether nothing is left to say: everybody who left has come back.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.came.is_empty() && self.gone.is_empty() && self.renamed.is_empty() && self.more == 0
    }
}

impl Timeline {
    /// Index of the oldest item.
    #[must_use]
    pub const fn first(&self) -> i64 {
        self.first
    }

    /// Index behind the newest item.
    #[must_use]
    pub fn end(&self) -> i64 {
        self.first + self.items.len() as i64
    }

    /// Bytes it takes, about.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// An item.
    #[must_use]
    pub fn get(&self, index: i64) -> Option<&Item> {
        self.items.get(usize::try_from(index - self.first).ok()?)
    }

    /// All items with their indexes, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (i64, &Item)> + ExactSizeIterator {
        (0..self.items.len()).map(|offset| (self.first + offset as i64, &self.items[offset]))
    }

    /// Adds the newest item. Gives its index.
    pub fn push(&mut self, item: Item) -> i64 {
        self.bytes += item.bytes();
        self.items.push_back(item);
        if self.items.len() > ITEMS_LEN_MAX {
            // Many at once: what is known of them is forgotten with them.
            self.drop_oldest(ITEMS_LEN_MAX / 100);
        }
        self.end() - 1
    }

    /// Folds changes into the newest item, or adds one. Gives whether there is one of them now.
    pub fn push_crowd(&mut self, at_ms: u64, changes: &[PresenceChange], more: u32) {
        let mut crowd = match self.items.back() {
            Some(Item {
                kind: Kind::Crowd(crowd),
                ..
            }) => {
                let crowd = (**crowd).clone();
                if let Some(item) = self.items.pop_back() {
                    self.bytes -= item.bytes();
                }
                crowd
            }
            _ => Crowd::default(),
        };
        changes.iter().for_each(|change| crowd.fold(change));
        crowd.more += more;
        if !crowd.is_empty() {
            self.push(Item {
                at_ms,
                cursor: None,
                kind: Kind::Crowd(Box::new(crowd)),
            });
        }
    }

    /// Puts older items before all others; `items` are oldest first. As many as there is room for;
    /// whether that was all.
    pub fn prepend(&mut self, items: Vec<Item>) -> bool {
        for item in items.into_iter().rev() {
            if self.items.len() >= ITEMS_LEN_MAX {
                return false;
            }
            self.bytes += item.bytes();
            self.items.push_front(item);
            self.first -= 1;
        }
        true
    }

    /// Forgets the oldest items; those before them can be loaded again.
    pub fn drop_oldest(&mut self, len: usize) {
        for item in self.items.drain(..len.min(self.items.len())) {
            self.bytes -= item.bytes();
            self.first += 1;
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.drop_oldest(self.items.len());
    }

    /// The oldest place of the log that is among the items.
    #[must_use]
    pub fn oldest_cursor(&self) -> Option<Cursor> {
        self.items.iter().find_map(|item| item.cursor)
    }

    /// The message at a place of the log, if it is one of the newest.
    #[must_use]
    pub fn at(&self, cursor: Cursor) -> Option<(i64, &Said)> {
        self.iter()
            .rev()
            .take(RECENT_LEN)
            .find_map(|(index, item)| match &item.kind {
                Kind::Said(said) if said.cursor == cursor => Some((index, &**said)),
                _ => None,
            })
    }
}

impl Item {
    /// A message.
    #[must_use]
    pub fn said(at_ms: u64, said: Said) -> Self {
        Self {
            at_ms,
            cursor: Some(said.cursor),
            kind: Kind::Said(Box::new(said)),
        }
    }

    /// Something the server or this program says; with its place in the log, if it has one.
    #[must_use]
    pub fn remark(at_ms: u64, cursor: Option<Cursor>, tone: Tone, text: impl Into<String>) -> Self {
        Self {
            at_ms,
            cursor,
            kind: Kind::Remark(tone, text.into()),
        }
    }

    /// What can be found in it; empty when it is nobody's text.
    #[must_use]
    pub fn text(&self) -> &str {
        match &self.kind {
            Kind::Said(said) => said.text(),
            Kind::Remark(_, text) => text,
            Kind::Crowd(_) => "",
        }
    }

    fn bytes(&self) -> usize {
        ITEM_BYTES + self.text().len()
    }
}

impl Said {
    /// The text, if it has one.
    #[must_use]
    pub fn text(&self) -> &str {
        self.content.text().map_or("", Text::as_str)
    }
}

/// Most items kept of a room.
pub const ITEMS_LEN_MAX: usize = 100_000;

/// How many items a message of this client has come back within, usually a few.
const RECENT_LEN: usize = 2_000;

/// What an item takes beside its text, about.
const ITEM_BYTES: usize = 240;

/// Most names in one item.
const CROWD_LEN_MAX: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;

    fn name(name: &str) -> UserName {
        name.parse().unwrap()
    }

    fn remark(text: &str) -> Item {
        Item::remark(0, None, Tone::Quiet, text)
    }

    #[test]
    fn indexes_stay_when_items_come_at_either_end() {
        let mut timeline = Timeline::default();
        let one = timeline.push(remark("one"));
        timeline.push(remark("two"));
        timeline.prepend(vec![remark("older"), remark("old")]);
        assert_eq!(timeline.get(one).unwrap().text(), "one");
        let texts: Vec<&str> = timeline.iter().map(|(_, item)| item.text()).collect();
        assert_eq!(texts, ["older", "old", "one", "two"]);
        assert_eq!((timeline.first(), timeline.end()), (-2, 2));
        timeline.drop_oldest(2);
        assert_eq!(timeline.get(one).unwrap().text(), "one");
        timeline.clear();
        assert_eq!((timeline.bytes(), timeline.end()), (0, 2));
    }

    #[test]
    fn it_is_bounded() {
        let mut timeline = Timeline::default();
        for _ in 0..ITEMS_LEN_MAX + 10 {
            timeline.push(remark("x"));
        }
        let len = timeline.iter().len();
        assert!(
            (ITEMS_LEN_MAX * 98 / 100..=ITEMS_LEN_MAX).contains(&len),
            "{len}"
        );
        let page = vec![remark("x"); 2 * ITEMS_LEN_MAX / 100];
        assert!(!timeline.prepend(page), "they do not all fit");
        assert_eq!(timeline.iter().len(), ITEMS_LEN_MAX);
        assert_eq!(timeline.bytes(), ITEMS_LEN_MAX * (ITEM_BYTES + 1));
    }

    #[test]
    fn who_comes_and_goes_is_one_line() {
        let mut timeline = Timeline::default();
        let joined = |who: &str| PresenceChange::Joined(name(who));
        let left = |who: &str| PresenceChange::Left(name(who));
        timeline.push_crowd(1, &[joined("ann"), joined("bo")], 0);
        timeline.push_crowd(2, &[left("bo"), left("cy")], 3);
        let renamed = PresenceChange::Renamed {
            from: name("ann"),
            to: name("anna"),
        };
        timeline.push_crowd(3, &[renamed], 0);
        assert_eq!(timeline.iter().len(), 1);
        let Kind::Crowd(crowd) = &timeline.get(0).unwrap().kind else {
            panic!("no crowd");
        };
        assert_eq!(crowd.came, [name("anna")]);
        assert_eq!(crowd.gone, [name("cy")]);
        assert_eq!((crowd.renamed.len(), crowd.more), (0, 3));
        // There and back.
        timeline.push(remark("y"));
        for (from, to) in [("cat", "catty"), ("catty", "cat")] {
            let (from, to) = (name(from), name(to));
            timeline.push_crowd(3, &[PresenceChange::Renamed { from, to }], 0);
        }
        assert_eq!(timeline.iter().len(), 2);
        // A reconnect of others leaves no trace.
        timeline.push(remark("x"));
        timeline.push_crowd(4, &[left("dan")], 0);
        timeline.push_crowd(5, &[joined("dan")], 0);
        assert_eq!(timeline.iter().len(), 3);
    }
}
