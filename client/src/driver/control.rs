//! What the node says on the control stream.

use std::time::Duration;

use chat_protocol::limits::GOAWAY_NODES_MAX;
use chat_protocol::node::{Ack, Closing as ClosingFrame, Failed, Goaway, Rejected};
use chat_protocol::{ErrorCode, NodeFrame, RequestId, UserName};
use tokio::time::Instant;
use tracing::debug;

use crate::command::Command;
use crate::driver::Driver;
use crate::driver::greet::{DONE, next_frame};
use crate::driver::link::{LinkInput, Lost};
use crate::driver::requests::Asked;
use crate::driver::trouble::{disconnect, is_final};
use crate::error::{PublishError, RequestError, plain};
use crate::event::{Disconnect, Event};
use crate::lock::lock;
use crate::outgoing::Refusal;
use crate::target::Target;

impl Driver {
    pub(crate) fn on_link(&mut self, input: LinkInput, now: Instant) {
        let Some(link) = self.link.as_mut() else {
            return;
        };
        let lost = match input {
            LinkInput::Wrote(Ok(bytes)) => return link.on_wrote(bytes),
            LinkInput::Read(Ok(Some(chunk))) => {
                link.decoder.push(&chunk.bytes);
                return self.on_control(now);
            }
            LinkInput::Lane(Ok(stream)) => {
                let lane = self.number();
                if let Some(link) = self.link.as_mut() {
                    link.spawn_lane(lane, stream, &self.notes_sender, &self.shared);
                }
                return;
            }
            LinkInput::Datagram(Ok(datagram)) => return self.on_datagram(&datagram),
            LinkInput::Read(Ok(None)) => {
                return self.on_fault("the control stream ended without a goodbye", now);
            }
            LinkInput::Wrote(Err(error)) => error.into(),
            LinkInput::Read(Err(error)) => error.into(),
            LinkInput::Lane(Err(error)) | LinkInput::Datagram(Err(error)) => {
                Lost::Connection(error)
            }
        };
        match lost {
            Lost::Connection(error) => {
                let reason = disconnect(&error);
                let is_final = reason.code.is_some_and(|code| self.is_final_now(code));
                self.lose_link(reason, is_final, now);
            }
            Lost::Stream(error) => {
                self.on_fault(&format!("the control stream broke: {error}"), now)
            }
        }
    }

    /// Takes the frames that have come; also those right behind a welcome.
    pub(crate) fn on_control(&mut self, now: Instant) {
        while let Some(link) = self.link.as_mut() {
            match next_frame(&mut link.decoder) {
                Ok(Some(frame)) => self.on_frame(frame, now),
                Ok(None) => return link.shrink(),
                Err(error) => return self.on_fault(&error.to_string(), now),
            }
        }
    }

    fn on_frame(&mut self, frame: NodeFrame, now: Instant) {
        match frame {
            NodeFrame::Ack(ack) => self.on_ack(ack, now),
            NodeFrame::Rejected(rejected) => self.on_rejected(rejected, now),
            NodeFrame::Done(done) => self.on_done(done.request, now),
            NodeFrame::Failed(failed) => self.on_failed(failed, now),
            NodeFrame::MemberPage(page) => match self.requests.take(page.request) {
                // A reply that fails is one that nobody waits for any more; here and below.
                Some(Asked::Members { reply, .. }) => drop(reply.send(Ok(page))),
                other => self.on_stray(other, now),
            },
            NodeFrame::RoomPage(page) => match self.requests.take(page.request) {
                Some(Asked::Rooms { reply, .. }) => drop(reply.send(Ok(page))),
                other => self.on_stray(other, now),
            },
            NodeFrame::Status(status) => match self.requests.take(status.request) {
                Some(Asked::Status { reply }) => drop(reply.send(Ok(status))),
                other => self.on_stray(other, now),
            },
            NodeFrame::Renamed(renamed) => {
                let asked = self.requests.take(renamed.request);
                self.on_renamed(renamed.name.clone());
                match asked {
                    Some(Asked::Rename { reply, .. }) => drop(reply.send(Ok(renamed.name))),
                    other => self.on_stray(other, now),
                }
            }
            NodeFrame::Goaway(goaway) => self.on_goaway(goaway, now),
            NodeFrame::BackplaneState(state) => {
                self.shared.events.push(Event::BackplaneState {
                    available: state.available,
                });
            }
            NodeFrame::Closing(closing) => self.on_closing(&closing, now),
            NodeFrame::Welcome(_) => self.on_fault("the node welcomed twice", now),
        }
    }

    fn on_ack(&mut self, ack: Ack, now: Instant) {
        let Some(room) = self
            .link
            .as_ref()
            .and_then(|link| link.rooms.get(&ack.room))
            .copied()
        else {
            debug!(room = ack.room.0, "an ack for a room that is left");
            return;
        };
        if let Some(entry) = self.rooms.get(&room) {
            let agreed = lock(&entry.state.inner).own.on_ack(ack.nonce, ack.cursor);
            if let Err(disagreement) = agreed {
                return self.on_fault(&disagreement.to_string(), now);
            }
        }
        let settle = lock(&self.shared.outgoing).on_ack(room, ack.nonce, now);
        if let Some(settle) = settle {
            // Nobody may be waiting for it.
            drop(settle.send(Ok(ack.cursor)));
        }
    }

    fn on_rejected(&mut self, rejected: Rejected, now: Instant) {
        let Some(room) = self
            .link
            .as_ref()
            .and_then(|link| link.rooms.get(&rejected.room))
            .copied()
        else {
            debug!(room = rejected.room.0, "a refusal for a room that is left");
            return;
        };
        let code = rejected.code;
        let wait = rejected
            .retry_after_ms
            .map(|ms| Duration::from_millis(ms.into()));
        let refusal = match ErrorCode::from_wire(code) {
            // The node refused it before it tried to append it.
            Some(
                ErrorCode::RateLimited
                | ErrorCode::Overloaded
                | ErrorCode::OutOfOrder
                | ErrorCode::Draining,
            ) => Refusal::ForNow(wait),
            _ if ErrorCode::is_retryable(code) => Refusal::Unsure(wait),
            _ => Refusal::Final,
        };
        debug!(nonce = %rejected.nonce, code, ?refusal, "a publish was refused");
        let settle = lock(&self.shared.outgoing).on_refusal(
            room,
            rejected.nonce,
            refusal,
            now,
            &mut rand::rng(),
        );
        if let Some(settle) = settle {
            let error = if code == ErrorCode::NonceTooOld.to_wire() {
                PublishError::Unknown
            } else {
                PublishError::Refused {
                    code,
                    detail: plain(&rejected.detail),
                }
            };
            drop(settle.send(Err(error)));
        }
    }

    fn on_done(&mut self, request: RequestId, now: Instant) {
        match self.requests.take(request) {
            Some(Asked::Ping { at, reply }) => drop(reply.send(Ok(now - at))),
            Some(Asked::Leave { room, .. }) => self.on_room_left(room),
            Some(Asked::Forget { .. }) => {}
            other => self.on_stray(other, now),
        }
    }

    fn on_failed(&mut self, failed: Failed, now: Instant) {
        let retry_after = failed
            .retry_after_ms
            .map(|ms| Duration::from_millis(ms.into()));
        let error = RequestError::Refused {
            code: failed.code,
            retry_after,
            detail: plain(&failed.detail),
        };
        match self.requests.take(failed.request) {
            Some(Asked::Join { reply, .. }) => drop(reply.send(Err(error))),
            Some(Asked::OpenDirect { user, reply }) => {
                let open = self.direct_room(&user);
                let open = open.filter(|_| error.code() == Some(ErrorCode::AlreadyJoined));
                drop(reply.send(open.ok_or(error)));
            }
            Some(Asked::Rejoin { room, .. }) => {
                self.on_rejoin_failed(room, failed.code, retry_after, now)
            }
            // The node knows nothing of the room: it is left.
            Some(Asked::Leave { room, .. }) => self.on_room_left(room),
            Some(Asked::Forget { .. }) => {}
            Some(Asked::ReadBefore { older, .. }) => drop(older.reply.send(Err(error))),
            Some(Asked::Rename { reply, .. }) => drop(reply.send(Err(error))),
            Some(Asked::Members { reply, .. }) => drop(reply.send(Err(error))),
            Some(Asked::Rooms { reply, .. }) => drop(reply.send(Err(error))),
            Some(Asked::Ping { reply, .. }) => drop(reply.send(Err(error))),
            Some(Asked::Status { reply }) => drop(reply.send(Err(error))),
            None => debug!(
                request = failed.request.0,
                "a refusal that nobody waits for"
            ),
        }
    }

    fn on_renamed(&mut self, name: UserName) {
        lock(&self.shared.session).welcomed.name = name.clone();
        self.shared.events.push(Event::Renamed { name });
    }

    fn on_goaway(&mut self, goaway: Goaway, now: Instant) {
        let delay = Duration::from_millis(goaway.delay_ms.into()).min(GOAWAY_DELAY_MAX);
        let parsed = goaway
            .nodes
            .iter()
            .take(GOAWAY_NODES_MAX)
            .map(|node| node.parse::<Target>());
        self.learned = parsed.filter_map(Result::ok).collect();
        let nodes = self.learned.iter().map(Target::to_string).collect();
        self.shared.events.push(Event::Goaway { delay, nodes });
        if self.settings.reconnect && self.closing.is_none() {
            self.dial_at = Some(now + delay);
        }
    }

    fn on_closing(&mut self, closing: &ClosingFrame, now: Instant) {
        if let Some(link) = &self.link {
            // The last receiver closes: the node has nothing more to say.
            link.connection.close(DONE, b"");
        }
        let reason = Disconnect::by_node(closing.code, &plain(&closing.detail));
        let is_final = self.is_final_now(closing.code);
        self.lose_link(reason, is_final, now);
    }

    /// While another connection is being made, it may be what this one was closed for.
    fn is_final_now(&self, code: u32) -> bool {
        is_final(code) && self.dialing.is_none()
    }

    /// An answer to nothing, or of the wrong kind.
    fn on_stray(&mut self, asked: Option<Asked>, now: Instant) {
        match asked {
            // The one who asked has given up.
            None => {}
            Some(asked) => self.on_fault(&format!("an answer of the wrong kind to {asked:?}"), now),
        }
    }

    pub(crate) fn on_command(&mut self, command: Command, now: Instant) {
        if self.closing.is_some() {
            // Its reply is dropped, which says that the client is closed.
            return;
        }
        match command {
            Command::Join { room, start, reply } => {
                if self.is_joined(&room) || self.requests.is_joining(&room) {
                    drop(reply.send(Err(RequestError::refused(ErrorCode::AlreadyJoined))));
                } else {
                    self.ask(Asked::Join { room, start, reply }, now);
                }
            }
            Command::OpenDirect { user, reply } => self.ask(Asked::OpenDirect { user, reply }, now),
            Command::Leave { room, reply } => self.on_leave(room, reply),
            Command::ReadBefore(older) => self.on_read_before(older),
            Command::Rename { name, reply } => self.ask(Asked::Rename { name, reply }, now),
            Command::Members { room, after, reply } => {
                self.ask(Asked::Members { room, after, reply }, now);
            }
            Command::Rooms { after, reply } => self.ask(Asked::Rooms { after, reply }, now),
            Command::Ping { reply } => self.ask(Asked::Ping { at: now, reply }, now),
            Command::Status { reply } => self.ask(Asked::Status { reply }, now),
        }
    }

    /// Asks now, or when there is a connection.
    pub(crate) fn ask(&mut self, asked: Asked, now: Instant) {
        match self.link.as_mut() {
            Some(link) => link.send(self.requests.ask(asked, now)),
            None => self.requests.keep(asked),
        }
    }
}

/// Longest a node may make a client wait before it moves.
const GOAWAY_DELAY_MAX: Duration = Duration::from_secs(60);
