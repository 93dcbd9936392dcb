//! What a session may ask for: frames in, commands or refusals out. Pure.
//!
//! Everything a client wrote is parsed here; a command holds only names and texts that are valid,
//! and only what the session may do.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use chat_protocol::client::{
    ClientFrame, Join, ListMembers, ListRooms, OpenDirect, Publish, ReadBefore, Rename, SetTopic,
    Start,
};
use chat_protocol::limits::ROOMS_PER_SESSION_MAX;
use chat_protocol::node::{Failed, NodeFrame, Permissions, Rejected};
use chat_protocol::text::InvalidText;
use chat_protocol::{
    CloseCode, Content, Cursor, ErrorCode, Nonce, RequestId, RoomName, RoomRef, Topic, UserName,
};

use crate::policy::Refusal;

/// What a connection does for its session.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Command {
    /// Open a lane.
    Join {
        /// The client's name for it.
        request: RequestId,
        /// The lane's short name.
        lane: RoomRef,
        /// The room.
        room: RoomName,
        /// Where to start.
        start: Start,
    },
    /// Open the lane of a room of two.
    OpenDirect {
        /// The client's name for it.
        request: RequestId,
        /// The lane's short name.
        lane: RoomRef,
        /// The other's name, as typed.
        with: String,
    },
    /// End a lane.
    Leave {
        /// The client's name for it.
        request: RequestId,
        /// The lane.
        lane: RoomRef,
    },
    /// Append a message.
    Publish {
        /// Where.
        lane: RoomRef,
        /// The client's number for it.
        nonce: Nonce,
        /// What.
        content: Content,
    },
    /// Append a topic.
    SetTopic {
        /// Where.
        lane: RoomRef,
        /// The client's number for it.
        nonce: Nonce,
        /// What.
        topic: Topic,
    },
    /// Take another name.
    Rename {
        /// The client's name for it.
        request: RequestId,
        /// The name, as typed.
        name: String,
    },
    /// List members.
    ListMembers {
        /// The client's name for it.
        request: RequestId,
        /// Of which room.
        room: RoomName,
        /// After whom.
        after: Option<UserName>,
    },
    /// List rooms.
    ListRooms {
        /// The client's name for it.
        request: RequestId,
        /// After which.
        after: Option<RoomName>,
    },
    /// Read older entries.
    ReadBefore {
        /// The client's name for it.
        request: RequestId,
        /// The lane of the room.
        lane: RoomRef,
        /// The entry after them.
        before: Cursor,
        /// How many, as asked.
        len: u32,
    },
    /// Answer.
    Ping(RequestId),
    /// Tell what the node promises and how it fares.
    Status(RequestId),
    /// End the session.
    Bye,
}

/// What comes of a frame that is no command.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Denial {
    /// The request or publish is refused.
    Answer(Box<NodeFrame>),
    /// The connection is closed.
    Close(CloseCode),
}

/// The rooms and rights of a session on its connection.
#[derive(Debug)]
pub struct Session {
    permissions: Permissions,
    /// Lanes that are open or being opened. The room of a lane of two is known when it is open.
    lanes: HashMap<RoomRef, Option<RoomName>>,
    rooms: HashSet<RoomName>,
    lanes_made: u32,
}

impl Session {
    /// A session that is in no room.
    #[must_use]
    pub fn new(permissions: Permissions) -> Self {
        Self {
            permissions,
            lanes: HashMap::new(),
            rooms: HashSet::new(),
            lanes_made: 0,
        }
    }

    /// A frame came.
    ///
    /// # Errors
    /// What to answer or do instead of performing it.
    pub fn on_frame(&mut self, frame: ClientFrame) -> Result<Command, Denial> {
        match frame {
            ClientFrame::Hello(_) => Err(Denial::Close(CloseCode::Unexpected)),
            ClientFrame::Join(join) => {
                let request = join.request;
                self.on_join(join)
                    .map_err(|refusal| Denial::Answer(failed(request, refusal).into()))
            }
            ClientFrame::OpenDirect(open) => {
                let request = open.request;
                self.on_open_direct(open)
                    .map_err(|refusal| Denial::Answer(failed(request, refusal).into()))
            }
            ClientFrame::Leave(leave) => match self.forget(leave.room) {
                true => Ok(Command::Leave {
                    request: leave.request,
                    lane: leave.room,
                }),
                false => {
                    let refusal = Refusal::of(ErrorCode::NotJoined);
                    Err(Denial::Answer(failed(leave.request, refusal).into()))
                }
            },
            ClientFrame::Publish(publish) => {
                let (lane, nonce) = (publish.room, publish.nonce);
                self.on_publish(publish)
                    .map_err(|refusal| Denial::Answer(rejected(lane, nonce, refusal).into()))
            }
            ClientFrame::SetTopic(set) => {
                let (lane, nonce) = (set.room, set.nonce);
                self.on_set_topic(set)
                    .map_err(|refusal| Denial::Answer(rejected(lane, nonce, refusal).into()))
            }
            ClientFrame::Rename(Rename { request, name }) => {
                self.allow(Permissions::RENAME)
                    .map_err(|refusal| Denial::Answer(failed(request, refusal).into()))?;
                Ok(Command::Rename { request, name })
            }
            ClientFrame::ListMembers(list) => {
                let request = list.request;
                self.on_list_members(list)
                    .map_err(|refusal| Denial::Answer(failed(request, refusal).into()))
            }
            ClientFrame::ListRooms(list) => {
                let request = list.request;
                self.on_list_rooms(list)
                    .map_err(|refusal| Denial::Answer(failed(request, refusal).into()))
            }
            ClientFrame::ReadBefore(read) => {
                let request = read.request;
                self.on_read_before(&read)
                    .map_err(|refusal| Denial::Answer(failed(request, refusal).into()))
            }
            ClientFrame::Ping(ping) => Ok(Command::Ping(ping.request)),
            ClientFrame::AskStatus(ask) => Ok(Command::Status(ask.request)),
            ClientFrame::Bye(_) => Ok(Command::Bye),
        }
    }

    /// A lane that the node opens by itself.
    ///
    /// # Errors
    /// When the session is in the room, or in as many as it may.
    pub fn begin_lane(&mut self, room: RoomName) -> Result<RoomRef, Refusal> {
        if self.rooms.contains(&room) {
            return Err(Refusal::of(ErrorCode::AlreadyJoined));
        }
        let lane = self.new_lane()?;
        self.lanes.insert(lane, Some(room.clone()));
        self.rooms.insert(room);
        Ok(lane)
    }

    /// The room of a lane of two is known. False when the session is in it already.
    #[must_use]
    pub fn name_lane(&mut self, lane: RoomRef, room: &RoomName) -> bool {
        match self.lanes.get_mut(&lane) {
            Some(slot) if slot.is_none() && self.rooms.insert(room.clone()) => {
                *slot = Some(room.clone());
                true
            }
            Some(slot) => slot.as_ref() == Some(room),
            None => false,
        }
    }

    /// A lane is gone, or did not come about. False when there was none.
    pub fn forget(&mut self, lane: RoomRef) -> bool {
        match self.lanes.remove(&lane) {
            Some(room) => {
                if let Some(room) = room {
                    self.rooms.remove(&room);
                }
                true
            }
            None => false,
        }
    }

    fn on_join(&mut self, join: Join) -> Result<Command, Refusal> {
        self.allow(Permissions::JOIN)?;
        let room = room_name(join.room)?;
        let lane = self.begin_lane(room.clone())?;
        Ok(Command::Join {
            request: join.request,
            lane,
            room,
            start: join.start,
        })
    }

    fn on_open_direct(&mut self, open: OpenDirect) -> Result<Command, Refusal> {
        self.allow(Permissions::DIRECT)?;
        let lane = self.new_lane()?;
        self.lanes.insert(lane, None);
        Ok(Command::OpenDirect {
            request: open.request,
            lane,
            with: open.with,
        })
    }

    fn on_publish(&self, publish: Publish) -> Result<Command, Refusal> {
        self.allow(Permissions::PUBLISH)?;
        self.check_target(publish.room, publish.nonce)?;
        let content = content(publish.content_type, publish.body)?;
        Ok(Command::Publish {
            lane: publish.room,
            nonce: publish.nonce,
            content,
        })
    }

    fn on_set_topic(&self, set: SetTopic) -> Result<Command, Refusal> {
        self.allow(Permissions::TOPIC)?;
        self.check_target(set.room, set.nonce)?;
        let topic = Topic::try_from(set.topic)
            .map_err(|error| Refusal::because(ErrorCode::InvalidTopic, error))?;
        Ok(Command::SetTopic {
            lane: set.room,
            nonce: set.nonce,
            topic,
        })
    }

    fn on_list_members(&self, list: ListMembers) -> Result<Command, Refusal> {
        self.allow(Permissions::LIST)?;
        let room = room_name(list.room)?;
        let after = match list.after {
            Some(after) => Some(
                UserName::try_from(after)
                    .map_err(|error| Refusal::because(ErrorCode::InvalidName, error))?,
            ),
            None => None,
        };
        Ok(Command::ListMembers {
            request: list.request,
            room,
            after,
        })
    }

    fn on_list_rooms(&self, list: ListRooms) -> Result<Command, Refusal> {
        self.allow(Permissions::LIST)?;
        let after = list.after.map(room_name).transpose()?;
        Ok(Command::ListRooms {
            request: list.request,
            after,
        })
    }

    fn on_read_before(&self, read: &ReadBefore) -> Result<Command, Refusal> {
        self.allow(Permissions::JOIN)?;
        // A lane of two that has no room yet is not open.
        if !matches!(self.lanes.get(&read.room), Some(Some(_))) {
            return Err(Refusal::of(ErrorCode::NotJoined));
        }
        Ok(Command::ReadBefore {
            request: read.request,
            lane: read.room,
            before: read.before,
            len: read.len,
        })
    }

    fn check_target(&self, lane: RoomRef, nonce: Nonce) -> Result<(), Refusal> {
        match self.lanes.get(&lane) {
            Some(Some(room)) if *room != RoomName::system() => {}
            Some(Some(_)) => return Err(Refusal::of(ErrorCode::Forbidden)),
            Some(None) | None => return Err(Refusal::of(ErrorCode::NotJoined)),
        }
        if (Nonce(1)..=Nonce::MAX).contains(&nonce) {
            Ok(())
        } else {
            Err(Refusal::of(ErrorCode::InvalidNonce))
        }
    }

    fn new_lane(&mut self) -> Result<RoomRef, Refusal> {
        // One more than the limit: the room of the server's notices is not the session's choice.
        if self.lanes.len() > ROOMS_PER_SESSION_MAX {
            return Err(Refusal::of(ErrorCode::TooManyRooms));
        }
        self.lanes_made = self.lanes_made.wrapping_add(1);
        Ok(RoomRef(self.lanes_made))
    }

    fn allow(&self, wanted: Permissions) -> Result<(), Refusal> {
        if self.permissions.contains(wanted) {
            Ok(())
        } else {
            Err(Refusal::of(ErrorCode::Forbidden))
        }
    }
}

/// The answer that refuses a request.
#[must_use]
pub fn failed(request: RequestId, refusal: Refusal) -> NodeFrame {
    let code = refusal.code.to_wire();
    Failed {
        request,
        code,
        retry_after_ms: retry_after(code),
        detail: refusal.detail,
    }
    .into()
}

/// The answer that refuses a publish.
#[must_use]
pub fn rejected(room: RoomRef, nonce: Nonce, refusal: Refusal) -> NodeFrame {
    let code = refusal.code.to_wire();
    Rejected {
        room,
        nonce,
        code,
        retry_after_ms: retry_after(code),
        detail: refusal.detail,
    }
    .into()
}

fn retry_after(code: u32) -> Option<u32> {
    ErrorCode::is_retryable(code).then_some(RETRY_AFTER_MS)
}

fn room_name(room: String) -> Result<RoomName, Refusal> {
    RoomName::try_from(room).map_err(|error| Refusal::because(ErrorCode::InvalidRoom, error))
}

fn content(content_type: u32, body: Bytes) -> Result<Content, Refusal> {
    match Content::parse(content_type, body) {
        Ok(Content::Opaque { .. }) => Err(Refusal::of(ErrorCode::UnsupportedContent)),
        Ok(content) => Ok(content),
        Err(error @ InvalidText::TooLong { .. }) => {
            Err(Refusal::because(ErrorCode::TextTooLong, error))
        }
        Err(error) => Err(Refusal::because(ErrorCode::InvalidText, error)),
    }
}

/// When a refused request is worth repeating, in milliseconds.
const RETRY_AFTER_MS: u32 = 500;

#[cfg(test)]
mod tests {
    use chat_protocol::client::{Bye, Hello, Leave};
    use chat_protocol::{Epoch, Seq};

    use super::*;

    fn join(room: &str) -> ClientFrame {
        let request = RequestId(7);
        Join {
            request,
            room: room.to_owned(),
            start: Start::Live,
        }
        .into()
    }

    fn publish(room: u32, nonce: u64, body: &'static [u8]) -> ClientFrame {
        let body = Bytes::from_static(body);
        Publish {
            room: RoomRef(room),
            nonce: Nonce(nonce),
            content_type: 0,
            body,
        }
        .into()
    }

    fn code(result: Result<Command, Denial>) -> Option<ErrorCode> {
        let answer = match result.expect_err("a refusal") {
            Denial::Answer(answer) => *answer,
            Denial::Close(code) => panic!("{code:?}"),
        };
        let code = match answer {
            NodeFrame::Failed(failed) => failed.code,
            NodeFrame::Rejected(rejected) => rejected.code,
            other => panic!("{other:?}"),
        };
        ErrorCode::from_wire(code)
    }

    #[test]
    fn bad_input_gets_its_own_code() {
        let mut session = Session::new(Permissions::USER);
        assert!(matches!(
            session.on_frame(join("lobby")),
            Ok(Command::Join { .. })
        ));
        for (frame, expected) in [
            (join("lobby"), ErrorCode::AlreadyJoined),
            (join("not a room"), ErrorCode::InvalidRoom),
            (join(""), ErrorCode::InvalidRoom),
            (publish(9, 1, b"hi"), ErrorCode::NotJoined),
            (publish(1, 0, b"hi"), ErrorCode::InvalidNonce),
            (publish(1, u64::MAX, b"hi"), ErrorCode::InvalidNonce),
            (publish(1, 1, b""), ErrorCode::InvalidText),
            (publish(1, 1, b"\x1b[2J"), ErrorCode::InvalidText),
            (publish(1, 1, &[b'x'; 4097]), ErrorCode::TextTooLong),
            (publish(1, 1, b"\xff"), ErrorCode::InvalidText),
            (
                SetTopic {
                    room: RoomRef(1),
                    nonce: Nonce(1),
                    topic: "a\nb".to_owned(),
                }
                .into(),
                ErrorCode::InvalidTopic,
            ),
            (
                Publish {
                    room: RoomRef(1),
                    nonce: Nonce(1),
                    content_type: 77,
                    body: Bytes::from_static(b"x"),
                }
                .into(),
                ErrorCode::UnsupportedContent,
            ),
            (
                Leave {
                    request: RequestId(1),
                    room: RoomRef(9),
                }
                .into(),
                ErrorCode::NotJoined,
            ),
            (
                ReadBefore {
                    request: RequestId(1),
                    room: RoomRef(9),
                    before: Cursor::new(Epoch(1), Seq(1)),
                    len: 1,
                }
                .into(),
                ErrorCode::NotJoined,
            ),
        ] {
            assert_eq!(
                code(session.on_frame(frame.clone())),
                Some(expected),
                "{frame:?}"
            );
        }
        assert!(
            session.on_frame(publish(1, 1, b"hi")).is_ok(),
            "all that changed nothing"
        );
    }

    #[test]
    fn a_second_hello_ends_the_connection() {
        let hello = Hello {
            minor: 0,
            features: Vec::new(),
            agent: String::new(),
            name: None,
            token: None,
            resume: None,
        };
        let denial = Session::new(Permissions::USER).on_frame(hello.into());
        assert_eq!(denial, Err(Denial::Close(CloseCode::Unexpected)));
    }

    #[test]
    fn rooms_are_limited_and_come_free_again() {
        let mut session = Session::new(Permissions::USER);
        session.begin_lane(RoomName::system()).unwrap();
        for index in 0..ROOMS_PER_SESSION_MAX {
            assert!(session.on_frame(join(&format!("room{index}"))).is_ok());
        }
        assert_eq!(
            code(session.on_frame(join("more"))),
            Some(ErrorCode::TooManyRooms)
        );
        assert!(session.forget(RoomRef(2)));
        assert!(session.on_frame(join("room0")).is_ok());
    }

    #[test]
    fn what_is_not_granted_is_forbidden() {
        let mut session = Session::new(Permissions::JOIN);
        assert!(session.on_frame(join("lobby")).is_ok());
        assert_eq!(
            code(session.on_frame(publish(1, 1, b"hi"))),
            Some(ErrorCode::Forbidden)
        );
        assert_eq!(session.on_frame(Bye {}.into()), Ok(Command::Bye));
        let mut session = Session::new(Permissions::USER);
        session.begin_lane(RoomName::system()).unwrap();
        assert_eq!(
            code(session.on_frame(publish(1, 1, b"hi"))),
            Some(ErrorCode::Forbidden)
        );
    }

    #[test]
    fn a_room_of_two_is_entered_once() {
        let mut session = Session::new(Permissions::USER);
        let room = RoomName::reserved(&["dm", "1", "2"]).unwrap();
        let open = |session: &mut Session| match session.on_frame(
            OpenDirect {
                request: RequestId(1),
                with: "bo".to_owned(),
            }
            .into(),
        ) {
            Ok(Command::OpenDirect { lane, .. }) => lane,
            other => panic!("{other:?}"),
        };
        let (first, second) = (open(&mut session), open(&mut session));
        assert!(session.name_lane(first, &room));
        assert!(!session.name_lane(second, &room));
        assert!(session.forget(second));
        assert!(session.begin_lane(room).is_err());
    }
}
