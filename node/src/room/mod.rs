//! A room on this node: its tail, its local members, and what waits to be appended.
//!
//! The room's own `task` is the only one that changes the tail; members read it from their
//! cursors. Locks are held for a few steps and never across an await.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use chat_protocol::client::Start;
use chat_protocol::lane::{GapReason, PresenceChange};
use chat_protocol::limits::HISTORY_LEN_MAX;
use chat_protocol::{Cursor, Epoch, RoomName, RoomRef, Seq, Topic};
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::backplane::{Block, Page};
use crate::outlet::{ConnectionId, Lane};

mod appends;
pub mod catch_up;
mod flush;
pub mod follow;
pub mod log;
mod presence_tail;
mod refer;
mod task;
mod typing;
pub mod vet;

use appends::Appends;
pub use appends::{Submission, Waiter};
pub use flush::{Flush, Flusher};
use follow::{Ahead, Look};
use log::{Bounds, Log, Read};
use presence_tail::PresenceTail;

/// A room on this node.
#[derive(Debug)]
pub struct Room {
    name: RoomName,
    flusher: Arc<Flusher>,
    /// The flusher knows that there is something new.
    is_marked: AtomicBool,
    state: Mutex<State>,
    appends: Appends,
    hints: mpsc::Sender<Block>,
    /// Hints were lost, or the backplane is ahead: read the log.
    missed: Notify,
    /// Set when the tail is there.
    loaded: CancellationToken,
    /// Set when the room is to end.
    stop: CancellationToken,
    /// Set when the room has ended and nobody finds it any more.
    ended: CancellationToken,
}

#[derive(Debug)]
struct State {
    /// None until it is loaded.
    log: Option<Log>,
    /// Seq of the first entry the backplane had when it was last asked.
    first: Seq,
    topic: Topic,
    presence: PresenceTail,
    lanes: HashMap<(ConnectionId, RoomRef), Arc<Lane>>,
    /// A head that the tail has not reached, as of the last look.
    ahead: Option<Ahead>,
    /// Since when nobody is here; `None` while somebody is.
    idle_since: Option<Instant>,
    /// The room is ending: nobody may come any more.
    is_closed: bool,
}

/// Where a lane stands: its cursor, and which changes of members it has told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Position {
    /// Epoch of the next entry.
    pub epoch: Epoch,
    /// Seq of the next entry.
    pub next: Seq,
    /// Version of the presence it has told.
    pub presence: u64,
}

impl Position {
    /// The last entry the lane has.
    #[must_use]
    pub fn cursor(self) -> Cursor {
        Cursor::new(self.epoch, self.next.minus(1))
    }
}

/// Where a new lane starts, and what its first frame says.
#[derive(Clone, Debug)]
pub struct Admission {
    /// Where it starts.
    pub position: Position,
    /// The log's head now.
    pub head: Cursor,
    /// Why it does not start where it was asked to.
    pub gap: Option<GapReason>,
    /// The topic now.
    pub topic: Topic,
}

/// Why a lane was not admitted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NotAdmitted {
    /// The room is ending or has not loaded: get it anew.
    Closed,
    /// Only the backplane can tell how the log goes on after this cursor: read a page from it, and
    /// ask again with [`Room::admit_after`].
    AskLog(Cursor),
}

/// What the next read of a lane gives.
#[derive(Debug)]
pub enum Next {
    /// Frames to send.
    Frames(Bytes),
    /// Nothing new; the lane is marked when there is.
    UpToDate,
    /// The lane's place is not in the tail: read the log from its cursor.
    Behind,
}

impl Room {
    /// A room that is not loaded yet, and the hints its task will read.
    #[must_use]
    pub fn new(
        name: RoomName,
        flusher: Arc<Flusher>,
        stop: CancellationToken,
    ) -> (Arc<Self>, mpsc::Receiver<Block>) {
        let (hints, receiver) = mpsc::channel(HINTS_LEN_MAX);
        let room = Self {
            name,
            flusher,
            is_marked: AtomicBool::new(false),
            state: Mutex::new(State {
                log: None,
                first: Seq::ZERO,
                topic: Topic::default(),
                presence: PresenceTail::default(),
                lanes: HashMap::new(),
                ahead: None,
                idle_since: Some(Instant::now()),
                is_closed: false,
            }),
            appends: Appends::default(),
            hints,
            missed: Notify::new(),
            loaded: CancellationToken::new(),
            stop,
            ended: CancellationToken::new(),
        };
        (Arc::new(room), receiver)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &RoomName {
        &self.name
    }

    /// Returns when the tail is there, or the room has ended. Cancel safe.
    pub async fn loaded(&self) {
        tokio::select! {
            () = self.loaded.cancelled() => {}
            () = self.ended.cancelled() => {}
        }
    }

    /// Returns when the room has ended: the next of its name is another. Cancel safe.
    pub async fn ended(&self) {
        self.ended.cancelled().await;
    }

    /// The room's task has returned and nobody finds the room any more.
    pub fn finish(&self) {
        self.ended.cancel();
    }

    /// Admits a lane. From here on it is marked when there is something new.
    ///
    /// # Errors
    /// See [`NotAdmitted`].
    pub fn admit(&self, lane: &Arc<Lane>, start: Start) -> Result<Admission, NotAdmitted> {
        let mut state = self.state();
        let first_kept = state.first;
        let log = state.open_log()?;
        let head = log.head();
        let next = match start {
            Start::Live => head.seq.next(),
            Start::Last(len) => head
                .seq
                .next()
                .minus(u64::from(len.min(HISTORY_LEN_MAX)))
                .max(first_kept),
            Start::After(after) => {
                let is_in_tail = after.epoch == head.epoch
                    && (log.first().minus(1)..=head.seq).contains(&after.seq);
                if !is_in_tail {
                    return Err(NotAdmitted::AskLog(after));
                }
                after.seq.next()
            }
        };
        Ok(state.admit(lane, Cursor::new(head.epoch, next.minus(1)), head, None))
    }

    /// Admits a lane that continues after `after`, as a page read from there says.
    ///
    /// # Errors
    /// [`NotAdmitted::Closed`].
    pub fn admit_after(
        &self,
        lane: &Arc<Lane>,
        after: Cursor,
        page: &Page,
    ) -> Result<Admission, NotAdmitted> {
        self.on_page(page);
        let mut state = self.state();
        let log_head = state.open_log()?.head();
        let (cursor, gap) = catch_up::continue_after(after, page);
        // The tail may not have heard of a new epoch yet, or be of a newer one than the page.
        let head = if log_head.epoch == cursor.epoch {
            log_head
        } else {
            page.head
        };
        Ok(state.admit(lane, cursor, head, gap))
    }

    /// Lets a lane go.
    pub fn release(&self, lane: &Lane) {
        let mut state = self.state();
        state.lanes.remove(&(lane.connection(), lane.room));
        if state.lanes.is_empty() {
            state.idle_since = Some(Instant::now());
        }
    }

    /// What a lane should send next: at most about `bytes_max` bytes.
    pub fn read(&self, position: &mut Position, bytes_max: usize) -> Next {
        let state = self.state();
        let Some(log) = &state.log else {
            return Next::UpToDate;
        };
        if log.head().epoch != position.epoch {
            return Next::Behind;
        }
        match log.read(position.next, bytes_max) {
            Read::Frames { frames, next } => {
                position.next = next;
                return Next::Frames(frames);
            }
            Read::Behind(_) => return Next::Behind,
            Read::UpToDate => {}
        }
        match state.presence.after(position.presence) {
            Some(frames) => {
                position.presence = state.presence.version();
                Next::Frames(frames)
            }
            None => Next::UpToDate,
        }
    }

    /// The last entry of the tail. Seq 0 of an epoch that never is while the tail is not there.
    #[must_use]
    pub fn head(&self) -> Cursor {
        let nowhere = Cursor::new(Epoch(0), Seq::ZERO);
        self.state().log.as_ref().map_or(nowhere, Log::head)
    }

    /// Queues a draft; its waiter is answered once, at the deadline at the latest.
    pub fn submit(&self, submission: Submission, deadline: Instant) {
        self.appends.submit(submission, deadline);
    }

    /// The backplane announced a block. Never waits: what does not fit is read from the log.
    pub fn hint(&self, block: Block) {
        if self.hints.try_send(block).is_err() {
            self.missed.notify_one();
        }
    }

    /// Hints may have been lost: compare with the log.
    pub fn check_log(&self) {
        self.missed.notify_one();
    }

    /// The backplane told the room's head. Returns whether the tail has not reached it: its hint is
    /// on the way or lost, as [`is_still_ahead`](Self::is_still_ahead) tells a moment later.
    pub fn on_head(&self, head: Cursor) -> bool {
        let mut state = self.state();
        let last = state.log.as_ref().map(Log::head);
        state.ahead = last.and_then(|last| Ahead::new(last, head));
        state.ahead.is_some()
    }

    /// Looks again after a head was ahead of the tail: reads the log when nothing came since.
    /// Returns whether to look once more.
    pub fn is_still_ahead(&self) -> bool {
        let mut state = self.state();
        let ahead = state.ahead.take();
        let (Some(log), Some(ahead)) = (&state.log, ahead) else {
            return false;
        };
        match ahead.look_again(log.head()) {
            Look::Reached => {}
            Look::Coming(ahead) => state.ahead = Some(ahead),
            Look::Lost => {
                drop(state);
                self.check_log();
                return false;
            }
        }
        state.ahead.is_some()
    }

    /// Somebody read a page of the log: when the log is of an epoch that the tail has not heard of,
    /// nobody waits for the next check of heads.
    pub fn on_page(&self, page: &Page) {
        if self.head().epoch != page.head.epoch {
            self.check_log();
        }
    }

    /// People came or went. Told together at the next [`flush_presence`](Self::flush_presence).
    pub fn on_presence(&self, change: PresenceChange) {
        self.state().presence.note(change);
    }

    /// Tells the members who came and went since the last time. `members` is how many are there.
    pub fn flush_presence(self: &Arc<Self>, members: usize) {
        let is_new = self.state().presence.flush(members);
        if is_new {
            self.mark();
        }
    }

    /// Whether there are changes of members to tell.
    #[must_use]
    pub fn has_presence_to_flush(&self) -> bool {
        self.state().presence.has_pending()
    }

    /// Closes the room if nobody was here and nothing waited since `before`. Its task then ends.
    #[must_use]
    pub fn close_if_idle(&self, before: Instant) -> bool {
        let mut state = self.state();
        let is_idle = state.idle_since.is_some_and(|since| since <= before);
        if is_idle && self.appends.is_empty() {
            state.is_closed = true;
            self.stop.cancel();
        }
        state.is_closed
    }

    /// There is something new: the members' writers are woken with the next flush.
    fn mark(self: &Arc<Self>) {
        if !self.is_marked.swap(true, Ordering::AcqRel) {
            self.flusher.mark(Arc::clone(self));
        }
    }

    /// Wakes the members' writers, but for those that have been and not looked yet. Returns how
    /// many.
    fn flush(&self, flush: &Flush) -> usize {
        // Before the members are looked at: what is appended from here on marks the room again.
        self.is_marked.store(false, Ordering::Release);
        let state = self.state();
        let lanes = state.lanes.values();
        lanes.filter(|lane| lane.mark(flush)).count()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code that can panic runs under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn open_log(&self) -> Result<&Log, NotAdmitted> {
        match &self.log {
            Some(log) if !self.is_closed => Ok(log),
            _ => Err(NotAdmitted::Closed),
        }
    }

    fn admit(
        &mut self,
        lane: &Arc<Lane>,
        after: Cursor,
        head: Cursor,
        gap: Option<GapReason>,
    ) -> Admission {
        self.idle_since = None;
        self.lanes
            .insert((lane.connection(), lane.room), Arc::clone(lane));
        let position = Position {
            epoch: after.epoch,
            next: after.seq.next(),
            presence: self.presence.version(),
        };
        Admission {
            position,
            head,
            gap,
            topic: self.topic.clone(),
        }
    }

    /// Replaces the tail by what a page holds.
    fn load(&mut self, page: &Page, bounds: Bounds) {
        let start = match page.blocks.first() {
            Some(block) => Cursor::new(block.epoch, block.first.minus(1)),
            None => page.head,
        };
        self.log = Some(Log::new(start, bounds));
        self.first = page.first;
        self.topic = page.topic.clone();
    }
}

/// Hints a room's task may be behind; beyond, it reads the log instead.
const HINTS_LEN_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::outlet::Outlet;

    fn lane(connection: u64) -> Arc<Lane> {
        Arc::new(Lane::new(
            RoomRef(1),
            Arc::new(Outlet::new(ConnectionId(connection)).0),
        ))
    }

    #[test]
    fn a_room_closes_only_when_nobody_is_there() {
        let (room, _hints) = Room::new(
            "lobby".parse().unwrap(),
            Flusher::new(Duration::ZERO),
            CancellationToken::new(),
        );
        room.state().log = Some(Log::new(
            Cursor::new(Epoch(1), Seq(7)),
            Bounds {
                entries_max: 10,
                bytes_max: 1000,
            },
        ));
        let member = lane(1);
        let admission = room.admit(&member, Start::Last(3)).unwrap();
        assert_eq!(admission.position.next, Seq(5));
        assert!(!room.close_if_idle(Instant::now()));
        room.release(&member);
        assert!(room.close_if_idle(Instant::now()));
        assert_eq!(
            room.admit(&member, Start::Live).unwrap_err(),
            NotAdmitted::Closed
        );
    }

    #[test]
    fn a_cursor_outside_the_tail_is_asked_of_the_log() {
        let (room, _hints) = Room::new(
            "lobby".parse().unwrap(),
            Flusher::new(Duration::ZERO),
            CancellationToken::new(),
        );
        room.state().log = Some(Log::new(
            Cursor::new(Epoch(1), Seq(7)),
            Bounds {
                entries_max: 10,
                bytes_max: 1000,
            },
        ));
        let member = lane(1);
        let at = |epoch, seq| Cursor::new(Epoch(epoch), Seq(seq));
        assert!(room.admit(&member, Start::After(at(1, 7))).is_ok());
        for cursor in [at(1, 6), at(1, 8), at(2, 7)] {
            assert_eq!(
                room.admit(&member, Start::After(cursor)).unwrap_err(),
                NotAdmitted::AskLog(cursor)
            );
        }
    }
}
