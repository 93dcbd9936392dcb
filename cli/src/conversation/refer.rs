//! Messages that refer to earlier ones: which one is meant, what to say of it, and what is shown.
//!
//! A room keeps what its recent messages say now, and the places of the last ones of this session and
//! of others. All of it is bounded.

use std::collections::VecDeque;

use chat_client::References;
use chat_protocol::lane::Message;
use chat_protocol::{Content, Cursor, Reaction, Right, RoomName, Text};

use super::body::Body;
use super::{Conversation, Open, mention};
use crate::operation::{Operation, Request, Which};
use crate::report::{Context, Now, Quoted, Refusal, Report, Standing};

/// The recent messages of a room.
#[derive(Debug)]
pub(super) struct Recent {
    references: References,
    /// Places of this session's messages, as acks and the lane tell them.
    own: VecDeque<Cursor>,
    others: VecDeque<Cursor>,
    /// Places of this session's messages that it deleted.
    taken_back: VecDeque<Cursor>,
}

/// What a publish changes of the own messages of its room.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Effect {
    None,
    /// There is one more.
    Said,
    /// This one is gone.
    TakenBack(Cursor),
}

impl Default for Recent {
    fn default() -> Self {
        Self {
            references: References::new(MESSAGES_MAX),
            own: VecDeque::new(),
            others: VecDeque::new(),
            taken_back: VecDeque::new(),
        }
    }
}

impl Recent {
    /// What this session published is in the log at this place; the lane may not have it yet.
    pub(super) fn on_ack(&mut self, cursor: Cursor, effect: Effect) {
        match effect {
            Effect::Said => note(&mut self.own, cursor),
            Effect::TakenBack(of) => note(&mut self.taken_back, of),
            Effect::None => {}
        }
    }

    /// The session is another one: nothing is its own any more.
    pub(super) fn on_new_session(&mut self) {
        self.own.clear();
    }

    /// The log began anew.
    pub(super) fn on_new_log(&mut self) {
        self.own.clear();
        self.others.clear();
    }

    /// A message of the lane, or an `older` one.
    fn on_message(&mut self, cursor: Cursor, message: &Message, own: bool, older: bool) {
        self.references.on_message(cursor, message);
        if older || !message.content.is_message() {
            return;
        }
        note(if own { &mut self.own } else { &mut self.others }, cursor);
    }

    /// The last message of somebody else, or of this session, that was not deleted.
    fn last(&self, own: bool) -> Option<Cursor> {
        let places = if own { &self.own } else { &self.others };
        let is_deleted = |cursor: Cursor| {
            let message = self.references.message(cursor);
            self.taken_back.contains(&cursor) || message.is_some_and(|message| message.is_deleted())
        };
        places
            .iter()
            .rev()
            .copied()
            .find(|cursor| !is_deleted(*cursor))
    }

    fn quoted(&self, cursor: Cursor) -> Option<Quoted> {
        let message = self.references.message(cursor)?;
        let text = message.text().map_or("…", Text::as_str);
        Some(Quoted::new(message.author().name.clone(), text))
    }

    fn standing(&self, message: &Message) -> Standing {
        let Some(reference) = message.content.reference() else {
            return Standing::Counts;
        };
        match (reference.right, self.references.message(reference.to)) {
            (Right::Everybody, _) => Standing::Counts,
            (Right::Author, None) => Standing::Unknown,
            (Right::Author, Some(of)) if of.author().is_same_as(&message.author) => {
                Standing::Counts
            }
            (Right::Author, Some(_)) => Standing::Ignored,
        }
    }

    fn now(&self, cursor: Cursor) -> Now {
        match self.references.message(cursor) {
            Some(message) if message.is_deleted() => Now::Deleted,
            Some(message) if message.is_edited() => {
                message.text().cloned().map_or(Now::AsWritten, Now::Edited)
            }
            _ => Now::AsWritten,
        }
    }
}

impl Conversation {
    /// Says something of an earlier message.
    pub(super) fn refer(
        &mut self,
        reference: Option<String>,
        room: Option<RoomName>,
        which: Which,
        saying: Saying,
    ) {
        // The last own one may be on its way: the next answer tells more.
        if which == Which::LastOwn && self.unsettled.len() > 0 {
            let operation = saying.into_operation(room, which);
            self.kept = Some(Request {
                reference,
                operation,
            });
            return;
        }
        let Some(room) = self.open_room(reference.as_deref(), room) else {
            return;
        };
        let room = room.name().clone();
        match self.resolve(&room, which) {
            Some(at) => self.publish(reference, Some(room), Body::Refers(saying, at)),
            None => {
                let who = match which {
                    Which::LastOwn => "you have said nothing",
                    _ => "nobody else has said anything",
                };
                let what = format!("{who} in {} that can be meant", self.place(&room));
                let refusal = Refusal::local("no_such_message", what);
                self.refuse(reference, refusal.with_hint("name the message by its seq"));
            }
        }
    }

    fn resolve(&self, room: &RoomName, which: Which) -> Option<Cursor> {
        let open = self.rooms.get(room)?;
        match which {
            Which::Last => open.recent.last(false),
            Which::LastOwn => open.recent.last(true),
            Which::At(seq) => Some(Cursor::new(open.echo.seen()?.epoch, seq)),
            Which::Exactly(cursor) => Some(cursor),
        }
    }

    /// What is shown of a message, which the room remembers from here on.
    pub(super) fn message(
        &mut self,
        room: &RoomName,
        cursor: Cursor,
        message: Message,
        (own, history, older): (bool, bool, bool),
    ) -> Report {
        let place = self.place(room);
        let (session, mut context) = (self.session, Context::default());
        let (mut standing, mut is_answer) = (Standing::Unknown, false);
        let target = message.content.reference().map(|reference| reference.to);
        if let Some(Open { recent, .. }) = self.rooms.get_mut(room) {
            context.quoted = target.and_then(|target| recent.quoted(target));
            standing = recent.standing(&message);
            let answered = target.and_then(|target| recent.references.message(target));
            is_answer = answered.is_some_and(|to| to.author().session == session);
            recent.on_message(cursor, &message, own, older);
            context.now = recent.now(cursor);
        }
        match target {
            Some(target) if !message.content.is_message() => Report::Refers {
                place,
                cursor,
                message,
                target,
                quoted: context.quoted,
                standing,
                own,
                history,
            },
            _ => {
                let text = message.content.text().map_or("", Text::as_str);
                let mention = !own && (is_answer || mention::mentions(text, self.me.as_str()));
                Report::Message {
                    place,
                    cursor,
                    message,
                    own,
                    history,
                    mention,
                    context,
                }
            }
        }
    }
}

/// What is said of an earlier message.
#[derive(Debug)]
pub(super) enum Saying {
    Reply(Text),
    Edit(Text),
    Delete,
    React(Reaction, bool),
}

impl Saying {
    /// The content that says it of a message.
    pub(super) fn about(&self, at: Cursor) -> Content {
        match self {
            Self::Reply(text) => Content::Reply {
                to: at,
                text: text.clone(),
            },
            Self::Edit(text) => Content::Edit {
                of: at,
                text: text.clone(),
            },
            Self::Delete => Content::Delete { of: at },
            Self::React(reaction, on) => Content::Reaction {
                to: at,
                reaction: reaction.clone(),
                on: *on,
            },
        }
    }

    /// What it changes of the own messages.
    pub(super) const fn effect(&self, at: Cursor) -> Effect {
        match self {
            Self::Reply(_) => Effect::Said,
            Self::Delete => Effect::TakenBack(at),
            Self::Edit(_) | Self::React(..) => Effect::None,
        }
    }

    /// The operation that asks for it.
    pub(super) fn into_operation(self, room: Option<RoomName>, which: Which) -> Operation {
        match self {
            Self::Reply(text) => Operation::Reply {
                room,
                to: which,
                text,
            },
            Self::Edit(text) => Operation::Edit {
                room,
                of: which,
                text,
            },
            Self::Delete => Operation::Delete { room, of: which },
            Self::React(reaction, on) => Operation::React {
                room,
                to: which,
                reaction,
                on,
            },
        }
    }
}

/// Adds a place, once, in the order of the log: acks and the lane tell of a message each by itself.
fn note(places: &mut VecDeque<Cursor>, cursor: Cursor) {
    if places.contains(&cursor) {
        return;
    }
    let is_later = |place: &&Cursor| place.epoch == cursor.epoch && place.seq > cursor.seq;
    let later = places.iter().rev().take_while(is_later).count();
    places.insert(places.len() - later, cursor);
    if places.len() > PLACES_MAX {
        places.pop_front();
    }
}

/// Messages of a room whose texts are kept: as many as a join may ask for.
const MESSAGES_MAX: usize = 1_000;

/// Last messages that may be meant by "the last one": more than one when some were deleted.
const PLACES_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use chat_protocol::lane::Author;
    use chat_protocol::{Epoch, Nonce, Seq, SessionId};

    use super::*;

    fn at(seq: u64) -> Cursor {
        Cursor::new(Epoch(7), Seq(seq))
    }

    fn message(session: u64, content: Content) -> Message {
        Message {
            author: Author {
                session: SessionId(session),
                account: None,
                name: format!("user{session}").parse().unwrap(),
            },
            nonce: Nonce(1),
            at_ms: 1,
            content,
        }
    }

    fn said(text: &str) -> Content {
        Content::Text(text.parse().unwrap())
    }

    #[test]
    fn a_log_that_began_anew_has_none_of_the_messages_before() {
        let mut recent = Recent::default();
        recent.on_message(at(1), &message(1, said("one")), true, false);
        recent.on_message(at(2), &message(2, said("two")), false, false);
        recent.on_new_log();
        assert_eq!((recent.last(true), recent.last(false)), (None, None));
    }

    #[test]
    fn the_last_message_is_the_last_that_is_still_there() {
        let mut recent = Recent::default();
        assert_eq!((recent.last(true), recent.last(false)), (None, None));
        recent.on_message(at(1), &message(1, said("one")), true, false);
        recent.on_message(at(2), &message(2, said("two")), false, false);
        recent.on_ack(at(4), Effect::Said);
        recent.on_message(at(3), &message(1, said("three")), true, false);
        recent.on_message(at(4), &message(1, said("four")), true, false);
        assert_eq!(
            (recent.last(true), recent.last(false)),
            (Some(at(4)), Some(at(2)))
        );
        let delete = |seq| message(1, Content::Delete { of: at(seq) });
        recent.on_message(at(5), &delete(4), true, false);
        assert_eq!(recent.last(true), Some(at(3)), "which came behind an ack");
        recent.on_ack(at(6), Effect::TakenBack(at(3)));
        assert_eq!(recent.last(true), Some(at(1)), "the lane does not know yet");
        recent.on_message(at(0), &message(2, said("older")), false, true);
        assert_eq!(recent.last(false), Some(at(2)));
        for seq in 10..500 {
            recent.on_message(at(seq), &message(2, said("x")), false, false);
        }
        assert_eq!(recent.others.len(), PLACES_MAX);
        recent.on_new_session();
        assert_eq!(recent.last(true), None);
    }

    #[test]
    fn a_change_by_somebody_else_does_not_count() {
        let mut recent = Recent::default();
        let edit = |session| {
            let text = "new".parse().unwrap();
            message(session, Content::Edit { of: at(1), text })
        };
        assert_eq!(recent.standing(&edit(1)), Standing::Unknown);
        recent.on_message(at(1), &message(1, said("one")), false, false);
        assert_eq!(recent.standing(&edit(1)), Standing::Counts);
        assert_eq!(recent.standing(&edit(2)), Standing::Ignored);
        assert_eq!(recent.now(at(1)), Now::AsWritten);
        recent.on_message(at(2), &edit(1), false, false);
        assert_eq!(recent.now(at(1)), Now::Edited("new".parse().unwrap()));
        let quoted = recent.quoted(at(1)).unwrap();
        assert_eq!((quoted.author.as_str(), &*quoted.text), ("user1", "new"));
    }
}
