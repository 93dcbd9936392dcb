//! Requests without an answer: their numbers, and what is asked again on the next connection.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chat_protocol::client::{
    AskStatus, Join, Leave, ListMembers, ListRooms, OpenDirect, Ping, ReadBefore, Rename, Start,
};
use chat_protocol::node::{MemberPage, RoomPage, Status};
use chat_protocol::{ClientFrame, RequestId, RoomName, RoomRef, UserName};
use tokio::time::Instant;

use crate::command::{Older, Reply};
use crate::outgoing::LocalRoom;
use crate::room::RoomState;

/// What was asked.
#[derive(Debug)]
pub(crate) enum Asked {
    Join {
        room: RoomName,
        start: Start,
        reply: Reply<Arc<RoomState>>,
    },
    OpenDirect {
        user: String,
        reply: Reply<Arc<RoomState>>,
    },
    /// A room that was joined before the connection.
    Rejoin {
        room: LocalRoom,
        name: RoomName,
        start: Start,
    },
    Leave {
        room: LocalRoom,
        reference: RoomRef,
    },
    /// A lane that nobody wants any more.
    Forget {
        reference: RoomRef,
    },
    /// A page of older entries of a room that is joined on this connection.
    ReadBefore {
        older: Older,
        reference: RoomRef,
        /// Its first frame has come.
        begun: bool,
    },
    Rename {
        name: String,
        reply: Reply<UserName>,
    },
    Members {
        room: RoomName,
        after: Option<UserName>,
        reply: Reply<MemberPage>,
    },
    Rooms {
        after: Option<RoomName>,
        reply: Reply<RoomPage>,
    },
    Ping {
        at: Instant,
        reply: Reply<Duration>,
    },
    Status {
        reply: Reply<Status>,
    },
}

/// Requests of a client, in the order they were asked.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    open: BTreeMap<RequestId, Asked>,
    last: u32,
}

impl Requests {
    /// Numbers a request and keeps it until its answer. Gives the frame to send.
    pub(crate) fn ask(&mut self, mut asked: Asked, now: Instant) -> ClientFrame {
        let request = self.next_id();
        if let Asked::Ping { at, .. } = &mut asked {
            *at = now;
        }
        let frame = asked.frame(request);
        self.open.insert(request, asked);
        frame
    }

    /// Keeps a request until there is a connection to ask it on.
    pub(crate) fn keep(&mut self, asked: Asked) {
        let request = self.next_id();
        self.open.insert(request, asked);
    }

    /// Takes what an answer belongs to.
    pub(crate) fn take(&mut self, request: RequestId) -> Option<Asked> {
        self.open.remove(&request)
    }

    /// Takes everything without an answer, in the order it was asked.
    pub(crate) fn take_all(&mut self) -> Vec<Asked> {
        std::mem::take(&mut self.open).into_values().collect()
    }

    /// Whether a join of this room waits for its answer.
    pub(crate) fn is_joining(&self, name: &RoomName) -> bool {
        self.open.values().any(|asked| matches!(asked, Asked::Join { room, reply, .. } if room == name && !reply.is_closed()))
    }

    /// Pages of older entries that the node has not answered.
    pub(crate) fn pages(&self) -> usize {
        let is_page = |asked: &&Asked| matches!(asked, Asked::ReadBefore { .. });
        self.open.values().filter(is_page).count()
    }

    /// The first frame of a page has come: the room it is of, and whether somebody still waits for
    /// it. `None` when it was not asked for, or has begun before.
    pub(crate) fn begin_page(&mut self, request: RequestId) -> Option<(LocalRoom, bool)> {
        match self.open.get_mut(&request) {
            Some(Asked::ReadBefore { older, begun, .. }) if !*begun => {
                *begun = true;
                Some((older.room, !older.reply.is_closed()))
            }
            _ => None,
        }
    }

    /// Whether more may be asked. Requests that nobody waits for any more make way.
    pub(crate) fn has_space(&mut self) -> bool {
        if self.open.len() >= REQUESTS_LEN_MAX {
            self.open.retain(|_, asked| !asked.is_abandoned());
        }
        self.open.len() < REQUESTS_LEN_MAX
    }

    fn next_id(&mut self) -> RequestId {
        loop {
            self.last = self.last.wrapping_add(1);
            let request = RequestId(self.last);
            if request != RequestId::NONE && !self.open.contains_key(&request) {
                return request;
            }
        }
    }
}

impl Asked {
    /// Whether its answer would change nothing. A join's answer is a lane, which must be ended.
    fn is_abandoned(&self) -> bool {
        match self {
            Self::Rename { reply, .. } => reply.is_closed(),
            Self::Members { reply, .. } => reply.is_closed(),
            Self::Rooms { reply, .. } => reply.is_closed(),
            Self::Ping { reply, .. } => reply.is_closed(),
            Self::Status { reply } => reply.is_closed(),
            Self::Join { reply, .. } | Self::OpenDirect { reply, .. } => reply.is_closed(),
            // The node may be at work on a page: until its answer it counts as under way.
            Self::ReadBefore { .. }
            | Self::Rejoin { .. }
            | Self::Leave { .. }
            | Self::Forget { .. } => false,
        }
    }

    fn frame(&self, request: RequestId) -> ClientFrame {
        match self {
            Self::Join { room, start, .. }
            | Self::Rejoin {
                name: room, start, ..
            } => Join {
                request,
                room: room.to_string(),
                start: *start,
            }
            .into(),
            Self::OpenDirect { user, .. } => OpenDirect {
                request,
                with: user.clone(),
            }
            .into(),
            Self::Leave { reference, .. } | Self::Forget { reference } => Leave {
                request,
                room: *reference,
            }
            .into(),
            Self::ReadBefore {
                older, reference, ..
            } => ReadBefore {
                request,
                room: *reference,
                before: older.before,
                len: older.len,
            }
            .into(),
            Self::Rename { name, .. } => Rename {
                request,
                name: name.clone(),
            }
            .into(),
            Self::Members { room, after, .. } => {
                let after = after.as_ref().map(UserName::to_string);
                ListMembers {
                    request,
                    room: room.to_string(),
                    after,
                }
                .into()
            }
            Self::Rooms { after, .. } => ListRooms {
                request,
                after: after.as_ref().map(RoomName::to_string),
            }
            .into(),
            Self::Ping { .. } => Ping { request }.into(),
            Self::Status { .. } => AskStatus { request }.into(),
        }
    }
}

/// Requests without an answer before commands wait: more than the rooms a session may rejoin.
const REQUESTS_LEN_MAX: usize = 512;
