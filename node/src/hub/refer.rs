//! Whether a session may say something about an earlier entry: reply or react to it, edit or delete
//! it. The entry is looked up in the room's tail, or else in the log itself.
//!
//! A log that repeats must repeat itself: a publish that is refused here is refused only when it was
//! not appended before.

use bytes::Bytes;
use chat_protocol::codec::{Bounds, RawFrame};
use chat_protocol::lane::{Author, LaneFrame, Message};
use chat_protocol::{Cursor, ErrorCode, Frame, Nonce, Reference, Right, Seq};

use super::Hub;
use crate::backplane::{Continuation, Outcome, Page};
use crate::policy::Refusal;
use crate::room::Room;

impl Hub {
    /// Whether `author` may refer to an entry, as far as the room's tail tells. False means: ask
    /// [`examine`](Self::examine).
    #[must_use]
    pub fn may_refer(&self, room: &Room, author: &Author, reference: Reference) -> bool {
        let entry = room.entry(reference.to);
        entry.is_some_and(|frame| judge(&frame, author, reference.right).is_ok())
    }

    /// Whether `author` may refer to an entry, wherever it is: with the place of this publish when it
    /// was appended before. At most one entry and one nonce are read from the backplane, in the turn
    /// of readers. Cancel safe.
    ///
    /// # Errors
    /// [`ErrorCode::NoSuchEntry`] when the entry cannot be had any more or is no message,
    /// [`ErrorCode::Forbidden`] when it is somebody else's, [`ErrorCode::NonceTooOld`] when whether it
    /// was appended before cannot be told, [`ErrorCode::Unavailable`] when the backplane does not
    /// answer in time.
    pub async fn examine(
        &self,
        room: &Room,
        author: &Author,
        nonce: Nonce,
        reference: Reference,
    ) -> Result<Option<Cursor>, Refusal> {
        self.within_time(async {
            let _turn = self.turn().await;
            let frame = match room.entry(reference.to) {
                Some(frame) => Some(frame),
                None => self.entry_of_log(room, reference.to).await?,
            };
            let verdict = match frame {
                Some(frame) => judge(&frame, author, reference.right),
                None => Err(ErrorCode::NoSuchEntry),
            };
            let Err(code) = verdict else { return Ok(None) };
            let repeat = self
                .backplane
                .repeat_of(room.name(), author.session, nonce)
                .await
                .map_err(|_| Refusal::of(ErrorCode::Unavailable))?;
            match repeat {
                None => Err(Refusal::of(code)),
                Some(Outcome::At { cursor, .. }) => Ok(Some(cursor)),
                Some(Outcome::NonceTooOld) => Err(Refusal::of(ErrorCode::NonceTooOld)),
            }
        })
        .await
    }

    /// The frame of an entry as the log has it now; none when it has not.
    async fn entry_of_log(&self, room: &Room, at: Cursor) -> Result<Option<Bytes>, Refusal> {
        if !(Seq(1)..=Seq::MAX).contains(&at.seq) {
            return Ok(None);
        }
        let before = Cursor::new(at.epoch, at.seq.minus(1));
        let page = self
            .read_vetted(room.name(), before, 1)
            .await
            .map_err(|_| Refusal::of(ErrorCode::Unavailable))?;
        Ok(entry_of_page(&page, at))
    }
}

/// The entry of a page that was read on from right before it.
fn entry_of_page(page: &Page, at: Cursor) -> Option<Bytes> {
    let block = page.blocks.first()?;
    let is_it = page.continuation == Continuation::Seamless
        && page.head.epoch == at.epoch
        && block.first == at.seq;
    is_it.then(|| block.frames.clone())
}

/// Whether `author` may refer to the entry that `frames` begin with.
fn judge(frames: &Bytes, author: &Author, right: Right) -> Result<(), ErrorCode> {
    let message = message(frames).ok_or(ErrorCode::NoSuchEntry)?;
    match right {
        Right::Everybody => Ok(()),
        Right::Author if message.author.is_same_as(author) => Ok(()),
        Right::Author => Err(ErrorCode::Forbidden),
    }
}

/// The message that `frames` begin with, if it is one that can be referred to.
fn message(frames: &Bytes) -> Option<Message> {
    let bounds = Bounds::read(frames).ok()??;
    let raw = RawFrame {
        kind: bounds.kind,
        body: frames.slice(bounds.body..bounds.end),
    };
    match LaneFrame::decode(&raw) {
        Ok(Some(LaneFrame::Message(message))) if message.content.is_message() => Some(message),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use chat_protocol::lane::Damaged;
    use chat_protocol::{AccountId, Content, Epoch, SessionId, Topic};

    use super::*;
    use crate::backplane::Block;

    fn author(session: u64, account: Option<u8>) -> Author {
        Author {
            session: SessionId(session),
            account: account.map(|byte| AccountId([byte; 16])),
            name: "ann".parse().unwrap(),
        }
    }

    fn entry(author: Author, content: Content) -> Bytes {
        let message = Message {
            author,
            nonce: Nonce(1),
            at_ms: 1,
            content,
        };
        LaneFrame::from(message).to_bytes()
    }

    fn said() -> Content {
        Content::Text("hi".parse().unwrap())
    }

    #[test]
    fn only_the_author_may_change_a_message() {
        let forbidden = Err(ErrorCode::Forbidden);
        for (of, by, may_change) in [
            (author(1, None), author(1, None), Ok(())),
            (author(1, None), author(2, None), forbidden),
            (author(1, Some(7)), author(2, Some(7)), Ok(())),
            (author(1, Some(7)), author(2, Some(8)), forbidden),
            (author(1, Some(7)), author(2, None), forbidden),
        ] {
            let entry = entry(of.clone(), said());
            assert_eq!(
                judge(&entry, &by, Right::Author),
                may_change,
                "{of:?} {by:?}"
            );
            assert_eq!(judge(&entry, &by, Right::Everybody), Ok(()));
        }
    }

    #[test]
    fn what_is_no_message_cannot_be_referred_to() {
        let to = Cursor::new(Epoch(1), Seq(1));
        let reaction = "+1".parse().unwrap();
        for frame in [
            entry(author(1, None), Content::Delete { of: to }),
            entry(
                author(1, None),
                Content::Edit {
                    of: to,
                    text: "hi".parse().unwrap(),
                },
            ),
            entry(
                author(1, None),
                Content::Reaction {
                    to,
                    reaction,
                    on: true,
                },
            ),
            LaneFrame::from(Damaged {}).to_bytes(),
            Bytes::from_static(&[0x03, 0x02, 0xff]),
            Bytes::new(),
        ] {
            let verdict = judge(&frame, &author(1, None), Right::Everybody);
            assert_eq!(verdict, Err(ErrorCode::NoSuchEntry), "{frame:?}");
        }
        let reply = Content::Reply {
            to,
            text: "hi".parse().unwrap(),
        };
        let reply = entry(author(1, None), reply);
        assert_eq!(judge(&reply, &author(2, None), Right::Everybody), Ok(()));
    }

    #[test]
    fn an_entry_of_a_page_is_the_one_that_was_asked_for() {
        let page = |epoch, first, continuation| Page {
            head: Cursor::new(Epoch(epoch), Seq(9)),
            first: Seq(1),
            topic: Topic::default(),
            continuation,
            blocks: vec![Block {
                epoch: Epoch(epoch),
                first: Seq(first),
                len: 1,
                frames: entry(author(1, None), said()),
            }],
        };
        let at = Cursor::new(Epoch(1), Seq(5));
        let is_found = |page: &Page| entry_of_page(page, at).is_some();
        assert!(is_found(&page(1, 5, Continuation::Seamless)));
        assert!(!is_found(&page(1, 6, Continuation::Seamless)));
        assert!(!is_found(&page(1, 5, Continuation::Trimmed)));
        assert!(!is_found(&page(2, 5, Continuation::Seamless)));
    }
}
