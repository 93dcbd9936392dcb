//! What the scripts of a log answer. Pure; an answer in another form is none.

use bytes::Bytes;
use chat_protocol::{Cursor, RoomName, Seq, Topic};
use redis::Value;

use super::super::{Appended, Block, Continuation, Outcome, Page};
use super::payload;

/// What `append.lua` answers.
pub(super) struct AppendAnswer {
    /// The outcomes.
    pub(super) appended: Appended,
    /// Why a new epoch began; empty when none did.
    pub(super) why: String,
}

impl AppendAnswer {
    /// Reads the answer to as many drafts.
    pub(super) fn read(answer: &[Value], drafts: usize) -> Option<Self> {
        let [
            Value::BulkString(epoch),
            Value::BulkString(why),
            places @ ..,
        ] = answer
        else {
            return None;
        };
        let epoch = payload::epoch(epoch)?;
        let why = String::from_utf8(why.clone()).ok()?;
        let outcome = |place: &Value| {
            let Value::Int(place) = place else {
                return None;
            };
            let cursor = Cursor::new(epoch, Seq(place.unsigned_abs()));
            Some(match place.signum() {
                0 => Outcome::NonceTooOld,
                sign => Outcome::At {
                    cursor,
                    repeated: sign < 0,
                },
            })
        };
        let outcomes: Vec<Outcome> = places.iter().map(outcome).collect::<Option<_>>()?;
        let is_whole = outcomes.len() == drafts;
        is_whole.then_some(Self {
            appended: Appended { outcomes },
            why,
        })
    }
}

/// Reads what `repeat.lua` answers of a nonce that is not new.
pub(super) fn read_repeat(answer: &[Value]) -> Option<Outcome> {
    let [Value::BulkString(epoch), seq] = answer else {
        return None;
    };
    let epoch = payload::epoch(epoch)?;
    Some(match number(seq)? {
        0 => Outcome::NonceTooOld,
        seq => Outcome::At {
            cursor: Cursor::new(epoch, Seq(seq)),
            repeated: true,
        },
    })
}

/// What `read.lua` answers.
pub(super) struct ReadAnswer {
    /// What was read.
    pub(super) page: Page,
    /// Where it stopped before the end; empty when it did not.
    pub(super) stopped: Bytes,
    /// Entries of the stream that were no blocks, or damaged ones.
    pub(super) damaged: u64,
}

impl ReadAnswer {
    /// Reads the answer about `room`. Blocks that are damaged or of another room are left out and
    /// counted.
    pub(super) fn read(answer: Vec<Value>, room: &RoomName) -> Option<Self> {
        let mut answer = answer.into_iter();
        let epoch = payload::epoch(&bytes(answer.next()?)?)?;
        let head = Cursor::new(epoch, Seq(number(&answer.next()?)?));
        let first = Seq(number(&answer.next()?)?);
        let topic = String::from_utf8(bytes(answer.next()?)?.into()).ok();
        // A topic that cannot be is none.
        let topic = topic
            .and_then(|topic| Topic::try_from(topic).ok())
            .unwrap_or_default();
        let continuation = match &*bytes(answer.next()?)? {
            b"seamless" => Continuation::Seamless,
            b"trimmed" => Continuation::Trimmed,
            b"diverged" => Continuation::Diverged,
            _ => return None,
        };
        let mut at = Seq(number(&answer.next()?)?);
        let stopped = bytes(answer.next()?)?;
        let mut damaged = number(&answer.next()?)?;
        let mut blocks = Vec::with_capacity(answer.len());
        for entry in answer {
            let block = bytes(entry).and_then(|entry| payload::read(entry).ok());
            let block = block.filter(|(of, _)| of == room);
            // Blocks of earlier epochs that this log goes on from are entries of this one.
            let block = block.map(|(_, block)| Block { epoch, ..block }.after(at));
            match block {
                Some(Ok(Some(block))) => {
                    at = block.last();
                    blocks.push(block);
                }
                Some(Ok(None)) => {}
                Some(Err(_)) | None => damaged += 1,
            }
        }
        let page = Page {
            head,
            first,
            topic,
            continuation,
            blocks,
        };
        Some(Self {
            page,
            stopped,
            damaged,
        })
    }
}

fn bytes(value: Value) -> Option<Bytes> {
    match value {
        Value::BulkString(bytes) => Some(Bytes::from(bytes)),
        _ => None,
    }
}

fn number(value: &Value) -> Option<u64> {
    match value {
        Value::Int(number) => u64::try_from(*number).ok(),
        _ => None,
    }
}
