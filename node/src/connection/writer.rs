//! The one task that writes to a client: it drains all dirty rooms of its connection into their
//! lanes, so that packets fill, and holds nothing for a reader that is behind but its cursor.
//!
//! It is one hand-written future. A lane that is stopped by the client's flow control costs no
//! other lane anything: it is tried again when QUIC says so. What a client that does not read can
//! make the node hold is bounded: QUIC's send window, a slice of the tail for each lane, and a page
//! of the log for a few of them. When it takes no byte for long enough, the writer ends.

use std::collections::{HashMap, VecDeque};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use chat_protocol::lane::{End, EndReason, LaneFrame};
use chat_protocol::node::Closing;
use chat_protocol::{CloseCode, Frame, NodeFrame, RoomRef, StreamCode, StreamType, varint};
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use quinn::{ConnectionError, SendStream, VarInt, WriteError};
use tokio::sync::mpsc;
use tokio::time::{Instant, Interval, MissedTickBehavior};
use tracing::debug;

use super::page::{self, Sent};
use crate::backplane::{Page, ReadError};
use crate::hub::Hub;
use crate::outlet::{Lane, Opening, Outlet};
use crate::room::{Next, Position, Room, catch_up};

/// Writes to one client until the connection is to end.
pub(super) struct Writer {
    connection: quinn::Connection,
    hub: Arc<Hub>,
    outlet: Arc<Outlet>,
    control: SendStream,
    control_out: BytesMut,
    lanes: HashMap<RoomRef, LaneWriter>,
    /// Lanes to look at.
    dirty: VecDeque<RoomRef>,
    /// Lanes that QUIC did not let write; looked at on every wake.
    blocked: Vec<RoomRef>,
    /// Lanes that wait for their turn to read the log.
    behind: VecDeque<RoomRef>,
    catching_up: FuturesUnordered<BoxFuture<'static, (RoomRef, Result<Page, ReadError>)>>,
    /// Pages of older entries under way.
    pages: FuturesUnordered<BoxFuture<'static, Sent>>,
    /// Tells the connection about lanes the client does not want any more.
    stopped: mpsc::Sender<RoomRef>,
    closing: Option<(CloseCode, String)>,
    /// Since when QUIC does not let answers be written.
    control_blocked_since: Option<Instant>,
    /// How long the client may take no byte of a stream that is full.
    patience: Duration,
    watch: Interval,
}

/// Why a writer ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// Everything was written, the last frame too: the client closes when it has read it.
    Closing(CloseCode),
    /// The client does not read.
    SlowReader,
    /// The connection or its control stream is gone.
    Lost,
}

struct LaneWriter {
    lane: Arc<Lane>,
    room: Arc<Room>,
    position: Position,
    stream: LaneStream,
    out: VecDeque<Bytes>,
    catch_up: CatchUp,
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
enum Drained {
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

impl Writer {
    /// A writer for a connection whose hello was answered. `stopped` gets lanes the client stopped.
    #[must_use]
    pub(super) fn new(
        connection: quinn::Connection,
        control: SendStream,
        hub: Arc<Hub>,
        outlet: Arc<Outlet>,
        stopped: mpsc::Sender<RoomRef>,
    ) -> Self {
        let patience = hub.settings().slow_reader_timeout;
        let mut watch = tokio::time::interval(WATCH_EVERY_MAX.min(patience / 4));
        watch.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            connection,
            hub,
            outlet,
            control,
            control_out: BytesMut::new(),
            lanes: HashMap::new(),
            dirty: VecDeque::new(),
            blocked: Vec::new(),
            behind: VecDeque::new(),
            catching_up: FuturesUnordered::new(),
            pages: FuturesUnordered::new(),
            stopped,
            closing: None,
            control_blocked_since: None,
            patience,
            watch,
        }
    }

    /// Writes until the connection is to end.
    pub(super) async fn run(mut self) -> Ended {
        // Fails when the stream is gone, which the first write tells.
        let _ = self.control.set_priority(CONTROL_PRIORITY);
        let ended = std::future::poll_fn(|cx| self.poll(cx)).await;
        if matches!(ended, Ended::SlowReader) {
            // Before the streams are dropped: a client must not take their end for the news.
            let code = CloseCode::SlowReader;
            let wire = VarInt::from_u32(code.to_wire());
            self.connection.close(wire, code.text().as_bytes());
        }
        ended
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Ended> {
        self.take_word(cx);
        self.take_pages(cx);
        let is_page_stalled = self.has_stalled_page(cx);
        if is_page_stalled || self.is_stalled(cx) {
            return Poll::Ready(Ended::SlowReader);
        }
        // Lanes that were blocked may have been let go; there is no telling which.
        self.dirty.extend(self.blocked.drain(..));
        // Answers first: they are small, and somebody waits for them.
        match self.poll_control(cx) {
            Poll::Ready(Ok(())) => self.control_blocked_since = None,
            Poll::Ready(Err(_)) => return Poll::Ready(Ended::Lost),
            Poll::Pending => {
                self.control_blocked_since.get_or_insert_with(Instant::now);
            }
        }
        let looks = self.dirty.len();
        for _ in 0..looks {
            if let Some(room) = self.dirty.pop_front() {
                self.drain(room, cx);
            }
        }
        self.read_next_behind(cx);
        if !self.dirty.is_empty() {
            // What is left gets its turn after other connections had theirs.
            cx.waker().wake_by_ref();
        }
        self.poll_closing(cx)
    }

    fn take_word(&mut self, cx: &Context<'_>) {
        let word = self.outlet.take(cx.waker());
        self.control_out.unsplit(word.control);
        for opening in word.open {
            self.open(opening);
        }
        for page in word.pages {
            let sending = page::send(self.connection.clone(), page, self.patience);
            self.pages.push(Box::pin(sending));
        }
        for (room, reason) in word.end {
            if let Some(lane) = self.lanes.get_mut(&room) {
                lane.end.get_or_insert(reason);
                self.dirty.push_back(room);
            }
        }
        self.dirty.extend(word.dirty);
        if let Some(close) = word.close
            && self.closing.is_none()
        {
            self.closing = Some(close);
            for (room, lane) in &mut self.lanes {
                lane.end.get_or_insert(EndReason::Closing);
                self.dirty.push_back(*room);
            }
        }
    }

    fn open(&mut self, opening: Opening) {
        let connection = self.connection.clone();
        let mut head = BytesMut::new();
        varint::put(StreamType::Lane.to_wire(), &mut head);
        head.extend_from_slice(&opening.joined);
        let room = opening.lane.room;
        self.dirty.push_back(room);
        let lane = LaneWriter {
            lane: opening.lane,
            room: opening.room,
            position: opening.position,
            stream: LaneStream::Opening(Box::pin(async move { connection.open_uni().await })),
            out: VecDeque::from([head.freeze()]),
            catch_up: CatchUp::No,
            end: self.closing.is_some().then_some(EndReason::Closing),
            has_said_end: false,
            is_finished: false,
            blocked_since: None,
        };
        self.lanes.insert(room, lane);
    }

    fn take_pages(&mut self, cx: &mut Context<'_>) {
        while let Poll::Ready(Some((room, page))) = self.catching_up.poll_next_unpin(cx) {
            let Some(lane) = self.lanes.get_mut(&room) else {
                continue;
            };
            match page {
                Ok(page) => {
                    let before = lane.position;
                    lane.out.extend(catch_up::frames(&mut lane.position, page));
                    if lane.position == before {
                        // The tail has not heard yet of what the log knows.
                        let again = self.read_behind(room, TAIL_PAUSE);
                        self.catching_up.extend(again);
                        continue;
                    }
                    lane.catch_up = CatchUp::Writing;
                    self.dirty.push_back(room);
                }
                Err(error) => {
                    debug!(room = %lane.room.name(), %error, "a lane waits for the log");
                    let again = self.read_behind(room, CATCH_UP_PAUSE);
                    self.catching_up.extend(again);
                }
            }
        }
    }

    /// Lets lanes read the log that have waited for it, as far as the connection may.
    fn read_next_behind(&mut self, cx: &Context<'_>) {
        let is_busy =
            |lane: &&LaneWriter| matches!(lane.catch_up, CatchUp::Reading | CatchUp::Writing);
        let mut busy = self.lanes.values().filter(is_busy).count();
        while busy < CATCH_UP_LANES_MAX
            && let Some(room) = self.behind.pop_front()
        {
            // A room left and joined anew has another name.
            let Some(lane) = self.lanes.get_mut(&room) else {
                continue;
            };
            lane.catch_up = CatchUp::Reading;
            lane.set_priority(CATCH_UP_PRIORITY);
            let reading = self.read_behind(room, Duration::ZERO);
            self.catching_up.extend(reading);
            busy += 1;
            cx.waker().wake_by_ref();
        }
    }

    fn has_stalled_page(&mut self, cx: &mut Context<'_>) -> bool {
        while let Poll::Ready(Some(sent)) = self.pages.poll_next_unpin(cx) {
            if sent == Sent::Stalled {
                return true;
            }
        }
        false
    }

    fn poll_control(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), WriteError>> {
        while !self.control_out.is_empty() {
            let written = ready!(Pin::new(&mut self.control).poll_write(cx, &self.control_out))?;
            self.control_out.advance(written);
            self.control_blocked_since = None;
        }
        Poll::Ready(Ok(()))
    }

    fn drain(&mut self, room: RoomRef, cx: &mut Context<'_>) {
        let Some(lane) = self.lanes.get_mut(&room) else {
            return;
        };
        let drained = lane.drain(cx);
        if !matches!(drained, Drained::Blocked) {
            lane.blocked_since = None;
        }
        match drained {
            Drained::Idle => {}
            Drained::More => self.dirty.push_back(room),
            Drained::Blocked => {
                lane.blocked_since.get_or_insert_with(Instant::now);
                if !self.blocked.contains(&room) {
                    self.blocked.push(room);
                }
            }
            Drained::Behind => {
                lane.catch_up = CatchUp::Waiting;
                self.behind.push_back(room);
            }
            Drained::Over => {
                self.lanes.remove(&room);
            }
            Drained::Stopped => {
                self.lanes.remove(&room);
                // Bounded by the lanes there are; a full queue means the connection is ending.
                let _ = self.stopped.try_send(room);
            }
        }
    }

    fn read_behind(
        &self,
        room: RoomRef,
        pause: Duration,
    ) -> Option<BoxFuture<'static, (RoomRef, Result<Page, ReadError>)>> {
        let lane = self.lanes.get(&room)?;
        let (hub, from, position) = (Arc::clone(&self.hub), Arc::clone(&lane.room), lane.position);
        Some(Box::pin(async move {
            tokio::time::sleep(pause).await;
            (room, hub.read_behind(&from, position).await)
        }))
    }

    fn is_stalled(&mut self, cx: &mut Context<'_>) -> bool {
        let mut is_stalled = false;
        while self.watch.poll_tick(cx).is_ready() {
            let now = Instant::now();
            let lanes = self.lanes.values().map(|lane| lane.blocked_since);
            is_stalled = lanes
                .chain([self.control_blocked_since])
                .flatten()
                .any(|since| now.duration_since(since) >= self.patience);
        }
        is_stalled
    }

    /// When everything is written that can be, says goodbye.
    fn poll_closing(&mut self, cx: &mut Context<'_>) -> Poll<Ended> {
        let Some((code, detail)) = &self.closing else {
            return Poll::Pending;
        };
        // A blocked lane is not waited for: its reader resumes from its cursor.
        let blocked = &self.blocked;
        let is_done = self.lanes.keys().all(|room| blocked.contains(room));
        if !is_done {
            return Poll::Pending;
        }
        let code = *code;
        let goodbye = NodeFrame::from(Closing {
            code: code.to_wire(),
            detail: detail.clone(),
        });
        goodbye.encode(&mut self.control_out);
        // A client that left no room even for this is gone, or not reading.
        match self.poll_control(cx) {
            Poll::Ready(Ok(())) if self.control.finish().is_ok() => {
                Poll::Ready(Ended::Closing(code))
            }
            _ => Poll::Ready(Ended::Lost),
        }
    }
}

impl LaneWriter {
    fn set_priority(&mut self, priority: i32) {
        if let LaneStream::Open(stream) = &self.stream {
            // Fails when the stream is gone, which the next write tells.
            let _ = stream.set_priority(priority);
        }
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
                    set_live(stream);
                }
                Next::UpToDate => {
                    set_live(stream);
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
fn set_live(stream: &SendStream) {
    if stream.priority().is_ok_and(|priority| priority != 0) {
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
const SLICE_BYTES: usize = 32 * 1024;

/// Slices of one lane before others have their turn.
const SLICES_PER_LOOK: usize = 8;

/// Pause before a lane asks again for a page it did not get.
const CATCH_UP_PAUSE: Duration = Duration::from_millis(500);

/// Pause before a lane looks again whether the tail has heard of the log's new epoch.
const TAIL_PAUSE: Duration = Duration::from_millis(50);

/// Lanes of a connection that read the log at a time: each may hold a page of it, which bounds what
/// a client costs that joins many rooms and reads none.
const CATCH_UP_LANES_MAX: usize = 2;

/// Answers go before lanes.
const CONTROL_PRIORITY: i32 = 1;

/// A lane that catches up goes behind those that are live, which have 0.
const CATCH_UP_PRIORITY: i32 = -1;

/// Stalled streams are looked for at least so often.
const WATCH_EVERY_MAX: Duration = Duration::from_secs(5);
