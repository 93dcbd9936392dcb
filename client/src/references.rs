//! What became of messages: edits, deletions, reactions and replies, put together by reader.
//!
//! Entries that refer to a message come later in the log than the message, but not always later to a
//! reader: who scrolls back reads the edit first. [`References`] takes the entries of one room in any
//! order and gives the same result for each. It believes no node that a change is allowed: it looks
//! for itself who wrote what. Pure: no clock, no task, no connection.

use std::collections::BTreeMap;

use chat_protocol::lane::{Author, Message};
use chat_protocol::{AccountId, Content, Cursor, Epoch, Reaction, Seq, SessionId, Text};

use crate::event::Event;
use crate::history::HistoryPage;

/// The messages of one room with what was said about them later.
///
/// The rules, which are the protocol's:
/// * A reference counts within its epoch, to an entry before it.
/// * Only the author's session, or a session of the author's account, may edit or delete.
/// * The last edit of the log wins. A deletion wins over every edit, and is final.
/// * An author has a reaction to a message or has not: the last word on it in the log counts.
///
/// Memory is bounded: the newest messages are kept, as many as was asked for, and of each its text,
/// one edit and the 64 latest reactions. While a message itself is unknown, edits and deletions of 4
/// writers wait for it. A message takes some hundred bytes; at most about 40 KiB when somebody
/// writes all that for it.
#[derive(Clone, Debug)]
pub struct References {
    messages_max: usize,
    /// By seq first: a later epoch has higher seqs.
    records: BTreeMap<(Seq, Epoch), Record>,
}

/// A message as it is now.
#[derive(Clone, Copy, Debug)]
pub struct MessageView<'a> {
    original: &'a Original,
    record: &'a Record,
}

/// A reaction to a message, and who has it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ReactionView<'a> {
    /// Which.
    pub reaction: &'a Reaction,
    /// Who, in the order of the log. Never empty.
    pub authors: Vec<&'a Author>,
}

impl References {
    /// Knows nothing yet, and keeps up to `messages_max` messages, at least one.
    #[must_use]
    pub const fn new(messages_max: usize) -> Self {
        Self {
            messages_max: if messages_max == 0 { 1 } else { messages_max },
            records: BTreeMap::new(),
        }
    }

    /// Takes a message of the log. Taking it again changes nothing.
    ///
    /// Gives the message that looks different now: itself, or the one it refers to. None when nothing
    /// that is known does.
    pub fn on_message(&mut self, cursor: Cursor, message: &Message) -> Option<Cursor> {
        let Message {
            author, content, ..
        } = message;
        let Some(reference) = content.reference() else {
            return self.on_original(cursor, author, content);
        };
        let to = reference.to;
        if content.is_message() {
            return self.on_original(cursor, author, content);
        }
        if to.epoch != cursor.epoch || to.seq >= cursor.seq || to.seq == Seq::ZERO {
            return None;
        }
        let record = self.record(to)?;
        let is_changed = match content {
            Content::Edit { text, .. } => record.on_edit(cursor.seq, author, text),
            Content::Delete { .. } => record.on_delete(cursor.seq, author),
            Content::Reaction { reaction, on, .. } => {
                record.on_reaction(cursor.seq, author, reaction, *on)
            }
            _ => false,
        };
        (is_changed && record.original.is_some()).then_some(to)
    }

    /// Takes an event of the room; all but messages are ignored. As
    /// [`on_message`](Self::on_message).
    pub fn on_event(&mut self, event: &Event) -> Option<Cursor> {
        match event {
            Event::Message {
                cursor, message, ..
            } => self.on_message(*cursor, message),
            _ => None,
        }
    }

    /// Takes a page of older entries: the messages that look different now, each once, oldest first.
    pub fn on_page(&mut self, page: &HistoryPage) -> Vec<Cursor> {
        self.on_events(&page.events)
    }

    /// Takes any number of events of the room: the messages that look different now, each once,
    /// oldest first.
    pub fn on_events<'a>(&mut self, events: impl IntoIterator<Item = &'a Event>) -> Vec<Cursor> {
        let mut touched: Vec<Cursor> = events
            .into_iter()
            .filter_map(|event| self.on_event(event))
            .collect();
        touched.sort_unstable_by_key(|cursor| (cursor.seq, cursor.epoch));
        touched.dedup();
        touched
    }

    /// Forgets all messages that stand before a place of the log, and what was said about them. They
    /// can be taken again.
    pub fn forget_before(&mut self, cursor: Cursor) {
        while let Some(oldest) = self.records.first_entry() {
            if *oldest.key() >= (cursor.seq, cursor.epoch) {
                return;
            }
            oldest.remove();
        }
    }

    /// A message as it is now; none when it did not come yet, or is no longer kept.
    #[must_use]
    pub fn message(&self, cursor: Cursor) -> Option<MessageView<'_>> {
        let record = self.records.get(&(cursor.seq, cursor.epoch))?;
        let original = record.original.as_ref()?;
        Some(MessageView { original, record })
    }

    fn on_original(
        &mut self,
        cursor: Cursor,
        author: &Author,
        content: &Content,
    ) -> Option<Cursor> {
        let record = self.record(cursor)?;
        if record.original.is_some() {
            return None;
        }
        let reply_to = match content {
            Content::Reply { to, .. } if to.epoch == cursor.epoch && to.seq < cursor.seq => {
                Some(*to)
            }
            _ => None,
        };
        record.edits.retain(|edit| author.is_same_as(&edit.author));
        let latest = record.edits.drain(..).max_by_key(|edit| edit.seq);
        record.edits.extend(latest);
        record.deletions.retain(|by| author.is_same_as(&by.author));
        record.original = Some(Original {
            author: author.clone(),
            text: content.text().cloned(),
            reply_to,
        });
        Some(cursor)
    }

    /// The record of a message; none when it is older than all that are kept.
    fn record(&mut self, cursor: Cursor) -> Option<&mut Record> {
        let key = (cursor.seq, cursor.epoch);
        if !self.records.contains_key(&key) && self.records.len() >= self.messages_max {
            if self
                .records
                .first_key_value()
                .is_some_and(|(oldest, _)| *oldest > key)
            {
                return None;
            }
            self.records.pop_first();
        }
        Some(self.records.entry(key).or_default())
    }
}

impl Default for References {
    /// Keeps [`MESSAGES_LEN`](Self::MESSAGES_LEN) messages.
    fn default() -> Self {
        Self::new(Self::MESSAGES_LEN)
    }
}

impl References {
    /// Messages that are kept by default: some screens of a long terminal, and twice what a join may
    /// ask for.
    pub const MESSAGES_LEN: usize = 2_000;
}

impl<'a> MessageView<'a> {
    /// Who wrote it.
    #[must_use]
    pub const fn author(&self) -> &'a Author {
        &self.original.author
    }

    /// What it says now; none when it was deleted, or is of a kind without text.
    #[must_use]
    pub fn text(&self) -> Option<&'a Text> {
        if self.is_deleted() {
            return None;
        }
        let edit = self.record.edits.first().map(|edit| &edit.text);
        edit.or(self.original.text.as_ref())
    }

    /// Whether its text is another than at first.
    #[must_use]
    pub fn is_edited(&self) -> bool {
        !self.is_deleted() && !self.record.edits.is_empty()
    }

    /// Whether its author took it back.
    #[must_use]
    pub fn is_deleted(&self) -> bool {
        !self.record.deletions.is_empty()
    }

    /// The message it answers, if it is a reply. That may be one that is not known.
    #[must_use]
    pub const fn reply_to(&self) -> Option<Cursor> {
        self.original.reply_to
    }

    /// The reactions it has, in the order in which the log has the first of each.
    #[must_use]
    pub fn reactions(&self) -> Vec<ReactionView<'a>> {
        let mut given: Vec<&Given> = self.record.given.iter().filter(|one| one.on).collect();
        given.sort_unstable_by_key(|one| one.seq);
        let mut views: Vec<ReactionView<'a>> = vec![];
        for Given {
            reaction, author, ..
        } in given
        {
            match views.iter_mut().find(|view| view.reaction == reaction) {
                Some(view) => view.authors.push(author),
                None => views.push(ReactionView {
                    reaction,
                    authors: vec![author],
                }),
            }
        }
        views
    }
}

/// A message as it was written.
#[derive(Clone, Debug)]
struct Original {
    author: Author,
    text: Option<Text>,
    reply_to: Option<Cursor>,
}

/// What is known of a message.
#[derive(Clone, Debug, Default)]
struct Record {
    /// None until it comes itself.
    original: Option<Original>,
    /// The latest of each writer. The author's latest alone once that is known.
    edits: Vec<Edit>,
    deletions: Vec<Deletion>,
    /// The last word of each writer on each reaction.
    given: Vec<Given>,
}

#[derive(Clone, Debug)]
struct Edit {
    seq: Seq,
    author: Author,
    text: Text,
}

#[derive(Clone, Debug)]
struct Deletion {
    seq: Seq,
    author: Author,
}

#[derive(Clone, Debug)]
struct Given {
    seq: Seq,
    author: Author,
    reaction: Reaction,
    on: bool,
}

/// Who wrote something, as far as it can be proved.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Writer {
    Account(AccountId),
    Session(SessionId),
}

impl Writer {
    fn of(author: &Author) -> Self {
        match author.account {
            Some(account) => Self::Account(account),
            None => Self::Session(author.session),
        }
    }
}

impl Record {
    fn on_edit(&mut self, seq: Seq, author: &Author, text: &Text) -> bool {
        if self.is_by_another(author) {
            return false;
        }
        let edit = Edit {
            seq,
            author: author.clone(),
            text: text.clone(),
        };
        let is_known = self.original.is_some();
        let is_same = |one: &Edit| is_known || Writer::of(&one.author) == Writer::of(author);
        keep_latest(&mut self.edits, edit, is_same, |one| one.seq, WRITERS_MAX)
            && self.deletions.is_empty()
    }

    fn on_delete(&mut self, seq: Seq, author: &Author) -> bool {
        if self.is_by_another(author) {
            return false;
        }
        let was_deleted = !self.deletions.is_empty();
        let deletion = Deletion {
            seq,
            author: author.clone(),
        };
        let is_same = |one: &Deletion| Writer::of(&one.author) == Writer::of(author);
        keep_latest(
            &mut self.deletions,
            deletion,
            is_same,
            |one| one.seq,
            WRITERS_MAX,
        ) && !was_deleted
    }

    fn on_reaction(&mut self, seq: Seq, author: &Author, reaction: &Reaction, on: bool) -> bool {
        let given = Given {
            seq,
            author: author.clone(),
            reaction: reaction.clone(),
            on,
        };
        let is_same = |one: &Given| {
            one.reaction == *reaction && Writer::of(&one.author) == Writer::of(author)
        };
        keep_latest(&mut self.given, given, is_same, |one| one.seq, GIVEN_MAX)
    }

    fn is_by_another(&self, author: &Author) -> bool {
        let original = self.original.as_ref();
        original.is_some_and(|original| !original.author.is_same_as(author))
    }
}

/// Keeps one thing of each kind, the latest, and of all kinds the `max` latest: in whatever order they
/// come, the same are kept. False when the new one is not.
fn keep_latest<T>(
    kept: &mut Vec<T>,
    new: T,
    is_same: impl Fn(&T) -> bool,
    seq: impl Fn(&T) -> Seq,
    max: usize,
) -> bool {
    if let Some(same) = kept.iter_mut().find(|one| is_same(one)) {
        let is_later = seq(&new) > seq(same);
        if is_later {
            *same = new;
        }
        return is_later;
    }
    if kept.len() < max {
        kept.push(new);
        return true;
    }
    match kept.iter_mut().min_by_key(|one| seq(one)) {
        Some(earliest) if seq(earliest) < seq(&new) => {
            *earliest = new;
            true
        }
        _ => false,
    }
}

/// Writers whose edits and deletions wait for a message that is not known. Nodes let only one write
/// any; more are there only if somebody else wrote to the log.
const WRITERS_MAX: usize = 4;

/// Reactions of a message that are kept, taken back ones too: more than anybody reads.
const GIVEN_MAX: usize = 64;

#[cfg(test)]
mod tests;
