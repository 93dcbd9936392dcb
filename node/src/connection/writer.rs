//! The one task that writes to a client: it drains all dirty rooms of its connection into their
//! lanes, so that packets fill, and holds nothing for a reader that is behind but its cursor.
//!
//! It is one hand-written future. A lane that is stopped by the client's flow control costs no
//! other lane anything: it is tried again when QUIC says so. What a client that does not read can
//! make the node hold is bounded: QUIC's send window, a slice of the tail for each lane, and a page
//! of the log for a few of them. When it takes no byte for long enough, the writer ends.

use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use chat_protocol::lane::EndReason;
use chat_protocol::node::Closing;
use chat_protocol::{CloseCode, Frame, NodeFrame, RoomRef};
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use quinn::{SendStream, VarInt, WriteError};
use tokio::sync::mpsc;
use tokio::time::{Instant, Interval, MissedTickBehavior};
use tracing::debug;

use super::lane::{Drained, LaneWriter};
use super::page::{self, Sent};
use crate::backplane::{Page, ReadError};
use crate::hub::Hub;
use crate::outlet::{Opening, Outlet};
use crate::room::Flush;

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
        // Let go at the end of this poll, when all lanes were looked at.
        let _flush = self.take_word(cx);
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

    fn take_word(&mut self, cx: &Context<'_>) -> Option<Flush> {
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
                lane.end(reason);
                self.dirty.push_back(room);
            }
        }
        for datagram in word.typing {
            // Nobody misses one that cannot be sent; QUIC keeps few, and drops the oldest.
            let _ = self.connection.send_datagram(datagram);
        }
        self.dirty.extend(word.dirty);
        if let Some(close) = word.close
            && self.closing.is_none()
        {
            self.closing = Some(close);
            for (room, lane) in &mut self.lanes {
                lane.end(EndReason::Closing);
                self.dirty.push_back(*room);
            }
        }
        word.flush
    }

    fn open(&mut self, opening: Opening) {
        let room = opening.to.lane.room;
        self.dirty.push_back(room);
        let end = self.closing.is_some().then_some(EndReason::Closing);
        let lane = LaneWriter::new(self.connection.clone(), opening, end);
        self.lanes.insert(room, lane);
    }

    fn take_pages(&mut self, cx: &mut Context<'_>) {
        if self.catching_up.is_empty() {
            return;
        }
        while let Poll::Ready(Some((room, page))) = self.catching_up.poll_next_unpin(cx) {
            let Some(lane) = self.lanes.get_mut(&room) else {
                continue;
            };
            let again = match page {
                Ok(page) => {
                    if lane.take_page(page) {
                        self.dirty.push_back(room);
                        continue;
                    }
                    self.read_behind(room, TAIL_PAUSE)
                }
                Err(error) => {
                    let (room_behind, _) = lane.place();
                    debug!(room = %room_behind.name(), %error, "a lane waits for the log");
                    self.read_behind(room, CATCH_UP_PAUSE)
                }
            };
            self.catching_up.extend(again);
        }
    }

    /// Lets lanes read the log that have waited for it, as far as the connection may.
    fn read_next_behind(&mut self, cx: &Context<'_>) {
        if self.behind.is_empty() {
            return;
        }
        let at_the_log = self.lanes.values().filter(|lane| lane.is_at_the_log());
        let mut busy = at_the_log.count();
        while busy < CATCH_UP_LANES_MAX
            && let Some(room) = self.behind.pop_front()
        {
            // A room left and joined anew has another name.
            let Some(lane) = self.lanes.get_mut(&room) else {
                continue;
            };
            lane.begin_reading();
            let reading = self.read_behind(room, Duration::ZERO);
            self.catching_up.extend(reading);
            busy += 1;
            cx.waker().wake_by_ref();
        }
    }

    fn has_stalled_page(&mut self, cx: &mut Context<'_>) -> bool {
        if self.pages.is_empty() {
            return false;
        }
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
        match lane.look(cx) {
            Drained::Idle => {}
            Drained::More => self.dirty.push_back(room),
            Drained::Blocked => {
                if !self.blocked.contains(&room) {
                    self.blocked.push(room);
                }
            }
            Drained::Behind => self.behind.push_back(room),
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
        let (hub, (from, position)) = (Arc::clone(&self.hub), lane.place());
        Some(Box::pin(async move {
            tokio::time::sleep(pause).await;
            (room, hub.read_behind(&from, position).await)
        }))
    }

    fn is_stalled(&mut self, cx: &mut Context<'_>) -> bool {
        let mut is_stalled = false;
        while self.watch.poll_tick(cx).is_ready() {
            let now = Instant::now();
            let lanes = self.lanes.values().map(LaneWriter::blocked_since);
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

impl Drop for Writer {
    fn drop(&mut self) {
        self.outlet.end_taking();
    }
}

/// Pause before a lane asks again for a page it did not get.
const CATCH_UP_PAUSE: Duration = Duration::from_millis(500);

/// Pause before a lane looks again whether the tail has heard of the log's new epoch.
const TAIL_PAUSE: Duration = Duration::from_millis(50);

/// Lanes of a connection that read the log at a time: each may hold a page of it, which bounds what
/// a client costs that joins many rooms and reads none.
pub(super) const CATCH_UP_LANES_MAX: usize = 2;

/// Answers go before lanes.
const CONTROL_PRIORITY: i32 = 1;

/// Stalled streams are looked for at least so often.
const WATCH_EVERY_MAX: Duration = Duration::from_secs(5);
