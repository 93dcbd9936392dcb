//! One room's lane: what it writes next, and whether QUIC lets it.
//!
//! It holds a cursor, at most one slice of the tail or one page of the log, and its stream. The
//! [`Writer`](super::writer::Writer) decides when it is looked at and when it reads the log.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use chat_protocol::lane::{End, EndReason, LaneFrame};
use chat_protocol::{Frame, StreamCode, StreamType, varint};
use futures_util::future::BoxFuture;
use quinn::{ConnectionError, SendStream, VarInt, WriteError};
use tokio::time::Instant;

use crate::backplane::Page;
use crate::outlet::{Lane, Opening};
use crate::room::{Next, Position, Room, catch_up};

/// A lane of a connection.
pub(super) struct LaneWriter {
    lane: Arc<Lane>,
    room: Arc<Room>,
    position: Position,
    stream: LaneStream,
    out: VecDeque<Bytes>,
    catch_up: CatchUp,
    /// Its stream goes behind those of lanes that are live.
    is_behind_others: bool,
    /// Asked to end; what the reader did not get it resumes from its cursor.
    end: Option<EndReason>,
    has_said_end: bool,
    is_finished: bool,
    /// Since when QUIC does not let it write.
    blocked_since: Option<Instant>,
}

/// What a lane that is not in the tail does about it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum CatchUp {
    /// It is in the tail, as far as it knows.
    No,
    /// It waits until fewer lanes of the connection read the log.
    Waiting,
    /// It waits for a page of the log.
    Reading,
    /// It writes a page of the log.
    Writing,
}

enum LaneStream {
    Opening(BoxFuture<'static, Result<SendStream, ConnectionError>>),
    Open(SendStream),
}

/// What became of a look at a lane.
pub(super) enum Drained {
    /// There is nothing more to write now.
    Idle,
    /// There is more, but others come first.
    More,
    /// QUIC does not let it write.
    Blocked,
    /// The log must be read first.
    Behind,
    /// It is over.
    Over,
    /// The client stopped it.
    Stopped,
}

impl LaneWriter {
    /// A lane whose stream is still to be opened; one that has an end says nothing but that.
    pub(super) fn new(
        connection: quinn::Connection,
        opening: Opening,
        end: Option<EndReason>,
    ) -> Self {
        let mut head = BytesMut::new();
        varint::put(StreamType::Lane.to_wire(), &mut head);
        head.extend_from_slice(&opening.joined);
        Self {
            lane: opening.to.lane,
            room: opening.to.room,
            position: opening.position,
            stream: LaneStream::Opening(Box::pin(async move { connection.open_uni().await })),
            out: VecDeque::from([head.freeze()]),
            catch_up: CatchUp::No,
            end,
            is_behind_others: false,
            has_said_end: false,
            is_finished: false,
            blocked_since: None,
        }
    }

    /// Ends it as soon as what is queued is written. The first reason stands.
    pub(super) fn end(&mut self, reason: EndReason) {
        self.end.get_or_insert(reason);
    }

    /// The room, and where in its log to read on.
    pub(super) fn place(&self) -> (Arc<Room>, Position) {
        (Arc::clone(&self.room), self.position)
    }

    /// Whether it reads a page of the log, or holds one.
    pub(super) fn is_at_the_log(&self) -> bool {
        matches!(self.catch_up, CatchUp::Reading | CatchUp::Writing)
    }

    /// A page of the log is read for it: from here on it goes behind lanes that are live.
    pub(super) fn begin_reading(&mut self) {
        self.catch_up = CatchUp::Reading;
        self.is_behind_others = true;
        if let LaneStream::Open(stream) = &self.stream {
            // Fails when the stream is gone, which the next write tells.
            let _ = stream.set_priority(CATCH_UP_PRIORITY);
        }
    }

    /// Takes a page of the log. False when it brings nothing: the tail has not heard yet of what
    /// the log knows.
    pub(super) fn take_page(&mut self, page: Page) -> bool {
        let before = self.position;
        self.out.extend(catch_up::frames(&mut self.position, page));
        let is_news = self.position != before;
        if is_news {
            self.catch_up = CatchUp::Writing;
        }
        is_news
    }

    /// Since when QUIC has taken no byte of what is to be written.
    pub(super) fn blocked_since(&self) -> Option<Instant> {
        self.blocked_since
    }

    /// Writes what is next, as far as QUIC takes it and the log is in the tail.
    pub(super) fn look(&mut self, cx: &mut Context<'_>) -> Drained {
        let drained = self.drain(cx);
        match drained {
            Drained::Blocked => {
                self.blocked_since.get_or_insert_with(Instant::now);
            }
            Drained::Behind => self.catch_up = CatchUp::Waiting,
            Drained::Idle | Drained::More | Drained::Over | Drained::Stopped => {}
        }
        if !matches!(drained, Drained::Blocked) {
            self.blocked_since = None;
        }
        drained
    }

    fn drain(&mut self, cx: &mut Context<'_>) -> Drained {
        let stream = match &mut self.stream {
            LaneStream::Open(stream) => stream,
            LaneStream::Opening(opening) => match opening.as_mut().poll(cx) {
                Poll::Pending => return Drained::Blocked,
                Poll::Ready(Err(_)) => return Drained::Over,
                Poll::Ready(Ok(stream)) => {
                    self.stream = LaneStream::Open(stream);
                    return Drained::More;
                }
            },
        };
        for _ in 0..SLICES_PER_LOOK {
            match poll_write(stream, &mut self.out, &mut self.blocked_since, cx) {
                Poll::Pending => return Drained::Blocked,
                Poll::Ready(Err(WriteError::Stopped(_))) => return Drained::Stopped,
                Poll::Ready(Err(_)) => return Drained::Over,
                Poll::Ready(Ok(())) => {}
            }
            if self.has_said_end {
                // What was written is delivered still; fails only when the client stopped it.
                let _ = stream.finish();
                self.is_finished = true;
                return Drained::Over;
            }
            if let Some(reason) = self.end {
                self.out
                    .push_back(LaneFrame::from(End { reason }).to_bytes());
                self.has_said_end = true;
                continue;
            }
            match self.catch_up {
                CatchUp::Waiting | CatchUp::Reading => return Drained::Idle,
                CatchUp::Writing => self.catch_up = CatchUp::No,
                CatchUp::No => {}
            }
            // Before the room is read: what is appended from here on marks the lane again.
            self.lane.clear();
            match self.room.read(&mut self.position, SLICE_BYTES) {
                Next::Frames(frames) => {
                    self.out.push_back(frames);
                    set_live(stream, &mut self.is_behind_others);
                }
                Next::UpToDate => {
                    set_live(stream, &mut self.is_behind_others);
                    return Drained::Idle;
                }
                Next::Behind => return Drained::Behind,
            }
        }
        Drained::More
    }
}

impl Drop for LaneWriter {
    fn drop(&mut self) {
        if let LaneStream::Open(stream) = &mut self.stream
            && !self.is_finished
        {
            // What was not written to its end must not look as if it were. Fails when the client
            // stopped it.
            let _ = stream.reset(VarInt::from_u32(StreamCode::Closing.to_wire()));
        }
    }
}

/// The lane is in the tail: what it writes is live.
fn set_live(stream: &SendStream, is_behind_others: &mut bool) {
    if std::mem::take(is_behind_others) {
        // Fails when the stream is gone, which the next write tells.
        let _ = stream.set_priority(0);
    }
}

/// Writes what is queued, as far as QUIC takes it. A byte taken ends being blocked.
fn poll_write(
    stream: &mut SendStream,
    out: &mut VecDeque<Bytes>,
    blocked_since: &mut Option<Instant>,
    cx: &mut Context<'_>,
) -> Poll<Result<(), WriteError>> {
    while !out.is_empty() {
        let chunks = out.make_contiguous();
        // Cancel safe: a dropped future has written nothing, and the stream keeps the waker.
        let written = ready!(pin!(stream.write_chunks(chunks)).poll(cx))?;
        out.drain(..written.chunks);
        *blocked_since = None;
    }
    Poll::Ready(Ok(()))
}

/// A slice of a room's tail that is handed to QUIC at once.
pub(super) const SLICE_BYTES: usize = 32 * 1024;

/// Slices of one lane before others have their turn.
const SLICES_PER_LOOK: usize = 8;

/// A lane that catches up goes behind those that are live, which have 0.
const CATCH_UP_PRIORITY: i32 = -1;
