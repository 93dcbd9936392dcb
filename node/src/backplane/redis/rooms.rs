//! Logs of rooms: the calls of their scripts, and what the answers mean.

use std::sync::LazyLock;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use chat_protocol::{Cursor, Epoch, Nonce, RoomName, Seq, SessionId};
use redis::{RedisResult, Script, ScriptInvocation, Value};
use tracing::{debug, warn};

use super::super::{
    AppendError, Appended, Batch, LogBounds, NONCES_KEPT, Outcome, PAGE_BYTES_MAX, Page, ReadError,
};
use super::answers::{self, AppendAnswer, ReadAnswer};
use super::keys::Keys;
use super::link::{CallError, Connected, Link};
use super::{payload, whisper};
use crate::damage::{self, Damage};

/// Calls about the logs of rooms.
#[derive(Debug)]
pub(super) struct Rooms {
    keys: Keys,
    bounds: LogBounds,
    nonces_kept: Duration,
}

/// What to read.
#[derive(Clone, Copy, Debug)]
pub(super) enum From {
    /// What is after a cursor.
    After(Cursor),
    /// The last entries.
    Last,
}

impl Rooms {
    pub(super) fn new(keys: Keys, bounds: LogBounds) -> Self {
        Self {
            keys,
            bounds,
            nonces_kept: NONCES_KEPT,
        }
    }

    pub(super) async fn append(
        &self,
        link: &Link,
        room: &RoomName,
        batch: &Batch,
    ) -> Result<Appended, AppendError> {
        batch.check()?;
        if batch.drafts.is_empty() {
            return Ok(Appended {
                outcomes: Vec::new(),
            });
        }
        let answer = link
            .call(async |mut connected| {
                let mut call = self.call(&APPEND, room, &connected, batch.known);
                self.add_drafts(&mut call, room, batch);
                call.invoke_async::<Vec<Value>>(&mut connected.connection)
                    .await
            })
            .await?;
        // It was performed, but by another script than ours.
        let answer = AppendAnswer::read(&answer, batch.drafts.len())
            .ok_or_else(|| AppendError::Unknown("an answer in another form".to_owned()))?;
        warn_of_epoch(room, &answer.why);
        Ok(answer.appended)
    }

    /// Publishes a whisper on the channel of the room's announcements.
    pub(super) async fn whisper(
        &self,
        link: &Link,
        room: &RoomName,
        whisper: &[u8],
    ) -> Result<(), ReadError> {
        let mut call = redis::cmd("PUBLISH");
        call.arg(self.keys.hints(room))
            .arg(whisper::write(room, whisper));
        link.call(async |mut connected| call.query_async(&mut connected.connection).await)
            .await
            .map_err(ReadError::from)
    }

    pub(super) async fn read(
        &self,
        link: &Link,
        room: &RoomName,
        from: From,
        entries: u32,
    ) -> Result<Page, ReadError> {
        let mut question = Question {
            from,
            entries,
            resumed: Bytes::new(),
        };
        loop {
            let answer = self.ask(link, room, &question).await?;
            // Each time it is read: how many there are is not known.
            damage::note(
                Damage::Block,
                answer.damaged,
                room,
                "not in the form that nodes write",
            );
            // A page with nothing but damage in it would make its reader come again for ever.
            if !answer.page.blocks.is_empty() || answer.stopped.is_empty() {
                return Ok(answer.page);
            }
            question.resumed = answer.stopped;
        }
    }

    pub(super) async fn repeat_of(
        &self,
        link: &Link,
        room: &RoomName,
        session: SessionId,
        nonce: Nonce,
    ) -> Result<Option<Outcome>, ReadError> {
        let answer = link
            .call(async |mut connected| {
                let mut call = REPEAT.prepare_invoke();
                for key in self.keys.log(room) {
                    call.key(key);
                }
                call.arg(&session.0.to_be_bytes()[..]).arg(nonce.0);
                call.invoke_async::<Option<Vec<Value>>>(&mut connected.connection)
                    .await
            })
            .await?;
        let Some(answer) = answer else {
            return Ok(None);
        };
        answers::read_repeat(&answer)
            .map(Some)
            .ok_or_else(|| ReadError("an answer in another form".to_owned()))
    }

    pub(super) async fn heads(
        &self,
        link: &Link,
        rooms: &[RoomName],
    ) -> Result<Vec<Option<Cursor>>, ReadError> {
        let mut heads = Vec::with_capacity(rooms.len());
        for rooms in rooms.chunks(HEADS_PER_CALL) {
            let mut calls = redis::pipe();
            calls.ignore_errors();
            for room in rooms {
                calls
                    .cmd("HMGET")
                    .arg(self.keys.meta(room))
                    .arg(&["epoch", "seq"]);
            }
            let found = link
                .call(async |mut connected| {
                    let found: Vec<RedisResult<[Option<Vec<u8>>; 2]>> =
                        calls.query_async(&mut connected.connection).await?;
                    found
                        .into_iter()
                        .map(whole_head)
                        .collect::<RedisResult<Vec<_>>>()
                })
                .await?;
            heads.extend(found);
        }
        Ok(heads)
    }

    /// One call of the reading script, after opening the log if it asks for that.
    async fn ask(
        &self,
        link: &Link,
        room: &RoomName,
        question: &Question,
    ) -> Result<ReadAnswer, ReadError> {
        let mut answer = self.try_ask(link, room, question, false).await?;
        if answer.is_none() {
            let opened = link
                .call(async |mut connected| {
                    let call = self.call(&OPEN, room, &connected, None);
                    call.invoke_async::<String>(&mut connected.connection).await
                })
                .await;
            match opened {
                Ok(why) => warn_of_epoch(room, &why),
                // It refuses writes: what is there can be read all the same.
                Err(CallError::Refused(why)) => {
                    debug!(%room, why, "the room's log is read as it is");
                }
                Err(error) => return Err(error.into()),
            }
            answer = self.try_ask(link, room, question, true).await?;
        }
        let answer = answer.ok_or_else(|| ReadError("the log cannot be opened".to_owned()))?;
        ReadAnswer::read(answer, room)
            .ok_or_else(|| ReadError("an answer in another form".to_owned()))
    }

    async fn try_ask(
        &self,
        link: &Link,
        room: &RoomName,
        question: &Question,
        forced: bool,
    ) -> Result<Option<Vec<Value>>, CallError> {
        let (epoch, seq, bytes_max) = match question.from {
            From::After(after) => (
                payload::epoch_text(after.epoch),
                after.seq.0,
                PAGE_BYTES_MAX,
            ),
            From::Last => (String::new(), 0, LAST_BYTES_MAX),
        };
        link.call(async |mut connected| {
            let mut call = READ.prepare_invoke();
            for key in self.keys.log(room) {
                call.key(key);
            }
            call.arg(&*connected.run_id)
                .arg(u8::from(forced))
                .arg(milliseconds(self.bounds.age_max))
                .arg(milliseconds(self.bounds.idle_max))
                .arg(&epoch)
                .arg(seq)
                .arg(question.entries.max(1))
                .arg(bytes_max)
                .arg(&question.resumed[..]);
            call.invoke_async(&mut connected.connection).await
        })
        .await
    }

    /// A call of a script that may begin an epoch.
    fn call<'a>(
        &self,
        script: &'a Script,
        room: &RoomName,
        connected: &Connected,
        known: Option<Cursor>,
    ) -> ScriptInvocation<'a> {
        let mut call = script.prepare_invoke();
        for key in self.keys.log(room) {
            call.key(key);
        }
        call.arg(payload::epoch_text(Epoch(rand::random())))
            .arg(&*connected.run_id)
            .arg(
                known
                    .map(|known| payload::epoch_text(known.epoch))
                    .unwrap_or_default(),
            )
            .arg(known.map_or(0, |known| known.seq.min(Seq::MAX).0))
            .arg(milliseconds(self.bounds.idle_max))
            .arg(milliseconds(self.bounds.age_max));
        call
    }

    fn add_drafts(&self, call: &mut ScriptInvocation<'_>, room: &RoomName, batch: &Batch) {
        let bytes = batch.drafts.iter().map(|draft| draft.frame.len()).sum();
        let mut frames = BytesMut::with_capacity(bytes);
        let mut heads = BytesMut::with_capacity(batch.drafts.len() * HEAD_BYTES);
        for draft in &batch.drafts {
            heads.put_u64(draft.session.0);
            heads.put_u64(draft.nonce.0);
            // Batches are checked: a frame is far below 4 GiB.
            heads.put_u32(u32::try_from(draft.frame.len()).unwrap_or(u32::MAX));
            frames.put_slice(&draft.frame);
        }
        call.arg(room.as_str())
            .arg(self.keys.hints(room))
            .arg(self.bounds.entries_max)
            .arg(milliseconds(self.nonces_kept))
            .arg(&heads[..])
            .arg(&frames[..]);
        for (number, draft) in (1_u64..).zip(&batch.drafts) {
            if let Some(topic) = &draft.topic {
                call.arg(number).arg(topic.as_str());
            }
        }
    }
}

/// A call of the reading script.
struct Question {
    from: From,
    entries: u32,
    /// Where an earlier call stopped; empty for none.
    resumed: Bytes,
}

/// The head of a log; none of one that is damaged, which must not hide those of other rooms.
fn whole_head(found: RedisResult<[Option<Vec<u8>>; 2]>) -> RedisResult<Option<Cursor>> {
    let [Some(epoch), Some(seq)] = (match found {
        Ok(found) => found,
        Err(error) if error.code() == Some("WRONGTYPE") => return Ok(None),
        Err(error) => return Err(error),
    }) else {
        return Ok(None);
    };
    let seq = std::str::from_utf8(&seq)
        .ok()
        .and_then(|seq| seq.parse().ok());
    let seq = seq.map(Seq).filter(|seq| *seq <= Seq::MAX);
    Ok(payload::epoch(&epoch)
        .zip(seq)
        .map(|(epoch, seq)| Cursor::new(epoch, seq)))
}

/// Says that a log began anew, unless it simply began.
fn warn_of_epoch(room: &RoomName, why: &str) {
    if !why.is_empty() {
        warn!(%room, why, "the room's log goes on in a new epoch");
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis())
        .unwrap_or(u64::MAX)
        .min(Seq::MAX.0)
}

static APPEND: LazyLock<Script> = LazyLock::new(|| {
    Script::new(concat!(
        "#!lua\n",
        include_str!("log.lua"),
        include_str!("epoch.lua"),
        include_str!("senders.lua"),
        include_str!("append.lua")
    ))
});

static REPEAT: LazyLock<Script> = LazyLock::new(|| {
    Script::new(concat!(
        "#!lua flags=no-writes\n",
        include_str!("log.lua"),
        include_str!("senders.lua"),
        include_str!("repeat.lua")
    ))
});

static OPEN: LazyLock<Script> = LazyLock::new(|| {
    Script::new(concat!(
        "#!lua flags=allow-oom\n",
        include_str!("log.lua"),
        include_str!("epoch.lua"),
        include_str!("open.lua")
    ))
});

static READ: LazyLock<Script> = LazyLock::new(|| {
    Script::new(concat!(
        "#!lua flags=no-writes\n",
        include_str!("log.lua"),
        include_str!("read.lua")
    ))
});

/// Most bytes of the last entries: as many as a join may ask for, and more.
const LAST_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Bytes of a draft beside its frame, as the script takes it.
const HEAD_BYTES: usize = 20;

/// Heads asked for in one round trip.
const HEADS_PER_CALL: usize = 512;
