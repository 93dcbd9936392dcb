//! Pages of older entries: which are asked for when, and who gets them.

use chat_protocol::limits::HISTORY_PAGES_MAX;
use chat_protocol::{ErrorCode, RequestId, RoomName};
use tokio::sync::oneshot;
use tokio::time::Instant;
use tracing::debug;

use crate::command::Older;
use crate::driver::Driver;
use crate::driver::requests::Asked;
use crate::driver::rooms::RoomEntry;
use crate::error::RequestError;
use crate::history::HistoryPage;

impl Driver {
    /// Keeps it until its turn has come.
    pub(crate) fn on_read_before(&mut self, older: Older) {
        self.older.retain(|older| !older.reply.is_closed());
        if self.older.len() >= OLDER_LEN_MAX {
            let refused = RequestError::refused(ErrorCode::RateLimited);
            drop(older.reply.send(Err(refused)));
            return;
        }
        self.older.push_back(older);
    }

    /// Asks for the pages whose turn has come: a few at a time, of rooms that are joined here.
    pub(crate) fn advance_older(&mut self, now: Instant) {
        while self.link.is_some() && self.requests.pages() < HISTORY_PAGES_MAX {
            let rooms = &self.rooms;
            let is_ready = |older: &Older| {
                let entry = rooms.get(&older.room);
                entry.is_none_or(|entry| entry.reference().is_some()) || older.reply.is_closed()
            };
            let ready = self.older.iter().position(is_ready);
            let Some(older) = ready.and_then(|index| self.older.remove(index)) else {
                return;
            };
            if older.reply.is_closed() {
                continue;
            }
            let entry = self.rooms.get(&older.room);
            match entry.and_then(RoomEntry::reference) {
                Some(reference) => self.ask(
                    Asked::ReadBefore {
                        older,
                        reference,
                        begun: false,
                    },
                    now,
                ),
                None => {
                    let refused = RequestError::refused(ErrorCode::NotJoined);
                    drop(older.reply.send(Err(refused)));
                }
            }
        }
    }

    /// A page begins: it may go on if somebody still waits for it.
    pub(crate) fn on_page(
        &mut self,
        request: RequestId,
        answer: oneshot::Sender<RoomName>,
        now: Instant,
    ) {
        let Some((room, is_wanted)) = self.requests.begin_page(request) else {
            return self.on_fault("a page that was not asked for", now);
        };
        match self.rooms.get(&room).filter(|_| is_wanted) {
            // The page's task is gone only when the connection is.
            Some(entry) => drop(answer.send(entry.state.name.clone())),
            // Its task stops the stream, so that the node can forget it.
            None => {
                debug!("a page that nobody waits for");
                if let Some(Asked::ReadBefore { older, .. }) = self.requests.take(request) {
                    let refused = RequestError::refused(ErrorCode::NotJoined);
                    drop(older.reply.send(Err(refused)));
                }
            }
        }
    }

    pub(crate) fn on_page_read(&mut self, request: RequestId, page: HistoryPage) {
        if let Some(Asked::ReadBefore { older, .. }) = self.requests.take(request) {
            // Nobody may be waiting for it any more.
            drop(older.reply.send(Ok(page)));
        }
    }
}

/// Pages that may wait for their turn.
const OLDER_LEN_MAX: usize = 64;
