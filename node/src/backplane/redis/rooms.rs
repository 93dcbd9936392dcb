//! Logs of rooms: the calls of their scripts, and what the answers mean.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use chat_protocol::{Cursor, Epoch, RoomName, Seq, Topic};
use redis::{Script, ScriptInvocation, Value};
use tracing::warn;

use super::super::{
    AppendError, Appended, Batch, Block, Continuation, LogBounds, NONCES_KEPT, Outcome,
    PAGE_BYTES_MAX, Page, ReadError,
};
use super::keys::Keys;
use super::link::{CallError, Connected, Link};
use super::payload;

/// Calls about the logs of rooms.
#[derive(Debug)]
pub(super) struct Rooms {
    keys: Keys,
    bounds: LogBounds,
    nonces_kept: Duration,
    /// Entries of streams that were no blocks.
    damaged: AtomicU64,
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
            damaged: AtomicU64::new(0),
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
        let appended = appended(&answer, batch.drafts.len());
        let (appended, why) = appended.ok_or_else(|| {
            // It was performed, but by another script than ours.
            AppendError::Unknown("an answer in another form".to_owned())
        })?;
        if !why.is_empty() {
            warn!(%room, why, "the room's log began a new epoch");
        }
        Ok(appended)
    }

    pub(super) async fn read(
        &self,
        link: &Link,
        room: &RoomName,
        from: From,
        entries: u32,
    ) -> Result<Page, ReadError> {
        let mut part = self.read_part(link, room, from, entries).await?;
        // A page with nothing but damage in it would make its reader come again for ever.
        while let (true, Some(reached)) = (part.page.blocks.is_empty(), part.reached) {
            let after = Cursor::new(part.page.head.epoch, reached);
            let next = self
                .read_part(link, room, From::After(after), entries)
                .await?;
            let Page {
                first,
                continuation,
                ..
            } = part.page;
            part = Part {
                page: Page {
                    first,
                    continuation,
                    ..next.page
                },
                ..next
            };
        }
        Ok(part.page)
    }

    pub(super) async fn heads(
        &self,
        link: &Link,
        rooms: &[RoomName],
    ) -> Result<Vec<Option<Cursor>>, ReadError> {
        let mut heads = Vec::with_capacity(rooms.len());
        for rooms in rooms.chunks(HEADS_PER_CALL) {
            let mut calls = redis::pipe();
            for room in rooms {
                calls
                    .cmd("HMGET")
                    .arg(self.keys.meta(room))
                    .arg(&["epoch", "seq"]);
            }
            type Head = (Option<Vec<u8>>, Option<u64>);
            let found: Vec<Head> = link
                .call(async |mut connected| calls.query_async(&mut connected.connection).await)
                .await?;
            heads.extend(
                found
                    .into_iter()
                    .map(|(epoch, seq)| Some(Cursor::new(payload::epoch(&epoch?)?, Seq(seq?)))),
            );
        }
        Ok(heads)
    }

    /// One call of the reading script, after opening the log if it asks for that.
    async fn read_part(
        &self,
        link: &Link,
        room: &RoomName,
        from: From,
        entries: u32,
    ) -> Result<Part, ReadError> {
        let mut answer = self.ask(link, room, from, entries, false).await?;
        if answer.is_none() {
            let opened = link
                .call(async |mut connected| {
                    let call = self.call(&OPEN, room, &connected, None);
                    call.invoke_async::<String>(&mut connected.connection).await
                })
                .await;
            match opened {
                Ok(why) if why.is_empty() => {}
                Ok(why) => warn!(%room, why, "the room's log began a new epoch"),
                // It refuses writes: what is there can be read all the same.
                Err(CallError::Refused(why)) => {
                    warn!(%room, why, "the room's log is read as it is")
                }
                Err(error) => return Err(error.into()),
            }
            answer = self.ask(link, room, from, entries, true).await?;
        }
        let answer =
            answer.ok_or_else(|| ReadError("the room's log cannot be opened".to_owned()))?;
        let part = Part::from_answer(answer);
        let (part, damaged) =
            part.ok_or_else(|| ReadError("an answer in another form".to_owned()))?;
        if damaged > 0 {
            let total = self.damaged.fetch_add(damaged, Ordering::Relaxed) + damaged;
            if total.leading_zeros() != (total - damaged).leading_zeros() {
                warn!(%room, total, "entries of streams that are damaged or foreign are skipped");
            }
        }
        Ok(part)
    }

    async fn ask(
        &self,
        link: &Link,
        room: &RoomName,
        from: From,
        entries: u32,
        forced: bool,
    ) -> Result<Option<Vec<Value>>, CallError> {
        let (epoch, seq, bytes_max) = match from {
            From::After(after) => (
                payload::epoch_text(after.epoch),
                after.seq.0,
                PAGE_BYTES_MAX,
            ),
            From::Last => (String::new(), 0, usize::MAX >> 16),
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
                .arg(entries.max(1))
                .arg(bytes_max);
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

/// The part of a page that one call read.
struct Part {
    page: Page,
    /// Where the call stopped before the end.
    reached: Option<Seq>,
}

impl Part {
    /// Reads the script's answer; with it the number of entries that were no blocks.
    fn from_answer(answer: Vec<Value>) -> Option<(Self, u64)> {
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
        let reached = Some(Seq(number(&answer.next()?)?)).filter(|reached| *reached > Seq::ZERO);
        let mut damaged = number(&answer.next()?)?;
        let mut blocks = Vec::with_capacity(answer.len());
        for entry in answer {
            // Blocks of earlier epochs that this log goes on from are entries of this one.
            let block = bytes(entry).and_then(|entry| payload::read(entry).ok());
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
        Some((
            Self {
                page: Page {
                    head,
                    first,
                    topic,
                    continuation,
                    blocks,
                },
                reached,
            },
            damaged,
        ))
    }
}

/// Reads the appending script's answer: the outcomes, and why an epoch began.
fn appended(answer: &[Value], drafts: usize) -> Option<(Appended, String)> {
    let [Value::BulkString(epoch), why, places @ ..] = answer else {
        return None;
    };
    let epoch = payload::epoch(epoch)?;
    let why: String = redis::from_redis_value_ref(why).ok()?;
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
    (outcomes.len() == drafts).then_some((Appended { outcomes }, why))
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
        include_str!("append.lua")
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

/// Bytes of a draft beside its frame, as the script takes it.
const HEAD_BYTES: usize = 20;

/// Heads asked for in one round trip.
const HEADS_PER_CALL: usize = 512;
