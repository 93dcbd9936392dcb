//! A connection with a session: reads requests, has them done, and tidies up at the end.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use chat_protocol::client::{ClientFrame, Start};
use chat_protocol::lane::{Author, HistoryPage, LaneFrame, Message, TopicChanged};
use chat_protocol::limits::{HISTORY_PAGES_MAX, PAGE_LEN_MAX};
use chat_protocol::node::{
    BackplaneState, Done, MemberPage, Renamed, RoomPage, RoomSummary, Status,
};
use chat_protocol::{
    CloseCode, Cursor, ErrorCode, Frame, Nonce, Reference, RequestId, RoomName, RoomRef,
    StreamCode, UserName,
};
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use quinn::{SendStream, VarInt};
use tokio::sync::{Semaphore, mpsc};
use tokio::time;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};
use tracing::{Span, debug, info};

mod refer;
mod typing;

use self::typing::Typist;
use super::reader::FrameReader;
use super::writer::{Ended, Writer};
use super::{Outcome, wait_for_close};
use crate::backplane::Draft;
use crate::hub::{Admitted, Hub, LaneAsk, Member};
use crate::outlet::{Invitation, Joined, Opening, PageOut};
use crate::policy::Refusal;
use crate::session::{self, Command, Denial, Session};
use crate::{damage, supervise};

/// A connection with a session.
pub(super) struct Served {
    connection: quinn::Connection,
    hub: Arc<Hub>,
    member: Member,
    session: Session,
    joined: HashMap<RoomRef, Joined>,
    admitted: Option<Admitted>,
    invitations: mpsc::Receiver<Box<Invitation>>,
    /// Requests that wait for the backplane.
    pending: FuturesUnordered<BoxFuture<'static, Finished>>,
    /// Pages of older entries that may still be under way.
    page_slots: Arc<Semaphore>,
    /// A publish waits for the entry it refers to. What comes after it stays unread: a sender's
    /// messages keep their order, and nobody else waits.
    is_examining: bool,
    typist: Typist,
    said_bye: bool,
}

/// A request that waited is done.
enum Finished {
    Joined {
        request: RequestId,
        lane: RoomRef,
        result: Result<Opening, Refusal>,
    },
    Renamed {
        request: RequestId,
        result: Result<UserName, Refusal>,
    },
    Older {
        request: RequestId,
        result: Result<PageOut, Refusal>,
    },
    /// With the place of the publish when it was appended before.
    Examined {
        lane: RoomRef,
        draft: Draft,
        result: Result<Option<Cursor>, Refusal>,
    },
    Answered,
}

impl Served {
    pub(super) fn new(
        connection: quinn::Connection,
        hub: Arc<Hub>,
        admitted: Admitted,
        invitations: mpsc::Receiver<Box<Invitation>>,
    ) -> Self {
        Self {
            connection,
            hub,
            member: admitted.member.clone(),
            session: Session::new(admitted.permissions),
            joined: HashMap::new(),
            typist: Typist::new(&admitted),
            admitted: Some(admitted),
            invitations,
            pending: FuturesUnordered::new(),
            page_slots: Arc::new(Semaphore::new(HISTORY_PAGES_MAX)),
            is_examining: false,
            said_bye: false,
        }
    }

    pub(super) async fn run(
        mut self,
        control: SendStream,
        reader: FrameReader,
        tasks: &TaskTracker,
    ) -> Outcome {
        Span::current().record("session", tracing::field::display(self.member.session));
        let (stopped_tx, stopped) = mpsc::channel(STOPPED_LEN_MAX);
        let writer = Writer::new(
            self.connection.clone(),
            control,
            Arc::clone(&self.hub),
            Arc::clone(&self.member.outlet),
            stopped_tx,
        );
        let writer = AbortOnDropHandle::new(tasks.spawn(writer.run()));
        self.welcome();
        let outcome = self.serve(reader, stopped, writer).await;
        self.hub
            .disconnect(&self.member, self.joined.into_values(), self.said_bye);
        outcome
    }

    fn welcome(&mut self) {
        let Some(admitted) = self.admitted.take() else {
            return;
        };
        info!(name = %admitted.welcome.name, resumed = admitted.welcome.resumed, "session");
        self.member.outlet.send(admitted.welcome);
        self.member.outlet.send(BackplaneState {
            available: self.hub.is_available(),
        });
        if let Ok(lane) = self.session.begin_lane(RoomName::system()) {
            self.join(RequestId::NONE, lane, RoomName::system(), Start::Live, None);
        }
        for invitation in admitted.invitations {
            self.on_invitation(invitation);
        }
    }

    async fn serve(
        &mut self,
        mut reader: FrameReader,
        mut stopped: mpsc::Receiver<RoomRef>,
        writer: AbortOnDropHandle<Ended>,
    ) -> Outcome {
        let outlet = Arc::clone(&self.member.outlet);
        let connection = self.connection.clone();
        let mut is_reading = true;
        let closed = connection.closed();
        tokio::pin!(writer, closed);
        loop {
            let may_read = is_reading
                && !self.is_examining
                && !outlet.is_congested()
                && self.pending.len() < PENDING_MAX;
            tokio::select! {
                // Cancel safe, all of them: a frame that is not whole stays in the reader.
                ended = &mut writer => return match ended {
                    Ok(Ended::Closing(code)) => wait_for_close(&connection, code).await,
                    Ok(Ended::SlowReader) => Outcome::Closed(CloseCode::SlowReader),
                    Ok(Ended::Lost) => Outcome::Gone,
                    Err(_) => Outcome::Closed(CloseCode::Internal),
                },
                _ = &mut closed => return Outcome::Gone,
                frame = reader.next(), if may_read => match frame {
                    Ok(Some(frame)) => is_reading = self.on_frame(frame),
                    // The client says no more; what it asked for is still answered.
                    Ok(None) => {
                        is_reading = false;
                        self.close_when_answered();
                    }
                    Err(code) => {
                        is_reading = false;
                        outlet.close(code, code.text());
                    }
                },
                Some(finished) = self.pending.next() => self.on_finished(finished),
                Some(invitation) = self.invitations.recv() => self.on_invitation(*invitation),
                Some(lane) = stopped.recv() => {
                    if self.session.forget(lane) {
                        self.leave(lane);
                    }
                }
                () = outlet.eased(), if !may_read => {}
                datagram = self.typist.next(&connection) => self.on_datagram(&datagram),
                // One control stream is all there is. The connection does not suffer.
                Ok((mut send, mut recv)) = connection.accept_bi() => {
                    let code = VarInt::from_u32(StreamCode::UnsupportedStream.to_wire());
                    // Fails only when the client reset it already.
                    let _ = recv.stop(code);
                    let _ = send.reset(code);
                }
            }
        }
    }

    /// Has a frame done. False when no more frames are wanted.
    fn on_frame(&mut self, frame: ClientFrame) -> bool {
        match self.session.on_frame(frame) {
            Ok(Command::Bye) => {
                self.said_bye = true;
                self.close_when_answered();
                false
            }
            Ok(command) => {
                self.perform(command);
                true
            }
            Err(Denial::Answer(answer)) => {
                self.member.outlet.send(*answer);
                true
            }
            Err(Denial::Close(code)) => {
                self.member.outlet.close(code, code.text());
                false
            }
        }
    }

    fn perform(&mut self, command: Command) {
        let outlet = &self.member.outlet;
        match command {
            Command::Join {
                request,
                lane,
                room,
                start,
            } => {
                let direct = if room.is_reserved() {
                    let Some(other) = self.hub.other_of(self.member.session, &room) else {
                        self.session.forget(lane);
                        self.fail(request, Refusal::of(ErrorCode::Forbidden));
                        return;
                    };
                    self.hub.presence().view().name(other).cloned()
                } else {
                    None
                };
                self.join(request, lane, room, start, direct);
            }
            Command::OpenDirect {
                request,
                lane,
                with,
            } => {
                let (hub, member) = (Arc::clone(&self.hub), self.member.clone());
                self.pending.push(Box::pin(async move {
                    let start = Start::Last(DIRECT_HISTORY_LEN);
                    let ask = LaneAsk {
                        request,
                        room: lane,
                        direct: None,
                        start,
                    };
                    let result = hub.open_direct(&member, &with, ask).await;
                    Finished::Joined {
                        request,
                        lane,
                        result,
                    }
                }));
            }
            Command::Leave { request, lane } => {
                self.leave(lane);
                self.member.outlet.send(Done { request });
            }
            Command::Publish {
                lane,
                nonce,
                content,
            } => {
                let reference = content.reference();
                self.publish(lane, nonce, reference, |author, at_ms| {
                    LaneFrame::from(Message {
                        author,
                        nonce,
                        at_ms,
                        content,
                    })
                });
            }
            Command::SetTopic { lane, nonce, topic } => {
                self.publish(lane, nonce, None, |author, at_ms| {
                    LaneFrame::from(TopicChanged {
                        author,
                        nonce,
                        at_ms,
                        topic,
                    })
                });
            }
            Command::Rename { request, name } => {
                let (hub, member) = (Arc::clone(&self.hub), self.member.clone());
                self.pending.push(Box::pin(async move {
                    let result = hub.rename(&member, name).await;
                    Finished::Renamed { request, result }
                }));
            }
            Command::ListMembers {
                request,
                room,
                after,
            } => {
                if room.is_reserved() && self.hub.other_of(self.member.session, &room).is_none() {
                    self.fail(request, Refusal::of(ErrorCode::Forbidden));
                    return;
                }
                let view = self.hub.presence().view();
                let total = u32::try_from(view.member_count(&room)).unwrap_or(u32::MAX);
                let (members, more) = view.members(&room, after.as_ref(), PAGE_LEN_MAX);
                drop(view);
                outlet.send(MemberPage {
                    request,
                    total,
                    members,
                    more,
                });
            }
            Command::ListRooms { request, after } => {
                let view = self.hub.presence().view();
                let (rooms, more) = view.rooms(after.as_ref(), PAGE_LEN_MAX);
                drop(view);
                let summary = |(name, members)| RoomSummary {
                    name,
                    members: u32::try_from(members).unwrap_or(u32::MAX),
                };
                let rooms = rooms.into_iter().map(summary).collect();
                outlet.send(RoomPage {
                    request,
                    rooms,
                    more,
                });
            }
            Command::ReadBefore {
                request,
                lane,
                before,
                len,
            } => self.read_before(request, lane, before, len),
            Command::Ping(request) => outlet.send(Done { request }),
            Command::Status(request) => {
                let promise = self.hub.promise();
                outlet.send(Status {
                    request,
                    durability: promise.survival.to_wire(),
                    may_evict: promise.may_evict,
                    damaged: damage::total(),
                    panics: supervise::panics(),
                });
            }
            // Dealt with before.
            Command::Bye => {}
        }
    }

    fn join(
        &mut self,
        request: RequestId,
        lane: RoomRef,
        room: RoomName,
        start: Start,
        direct: Option<UserName>,
    ) {
        let (hub, member) = (Arc::clone(&self.hub), self.member.clone());
        self.pending.push(Box::pin(async move {
            let ask = LaneAsk {
                request,
                room: lane,
                direct,
                start,
            };
            let result = hub.join(&member, &room, ask).await;
            Finished::Joined {
                request,
                lane,
                result,
            }
        }));
    }

    fn publish(
        &mut self,
        lane: RoomRef,
        nonce: Nonce,
        reference: Option<Reference>,
        entry: impl FnOnce(Author, u64) -> LaneFrame,
    ) {
        let session = self.member.session;
        let (Some(joined), Some(name)) = (self.joined.get(&lane), self.hub.name_of(session)) else {
            let refusal = Refusal::of(ErrorCode::NotJoined);
            self.member
                .outlet
                .send(session::rejected(lane, nonce, refusal));
            return;
        };
        let author = Author {
            session,
            account: None,
            name,
        };
        // Most messages refer to none: the name is copied for those that do.
        let judged = reference.map(|reference| (reference, author.clone()));
        let entry = entry(author, now_ms());
        let topic = match &entry {
            LaneFrame::TopicChanged(change) => Some(change.topic.clone()),
            _ => None,
        };
        let draft = Draft {
            session,
            nonce,
            frame: entry.to_bytes(),
            topic,
        };
        match judged {
            // One that comes out of order is refused by the room.
            Some((reference, author))
                if !joined.lane.is_out_of_order(nonce)
                    && !self.hub.may_refer(&joined.room, &author, reference) =>
            {
                let room = Arc::clone(&joined.room);
                self.examine(lane, room, author, reference, draft);
            }
            _ => self.hub.publish(joined, draft),
        }
    }

    fn read_before(&self, request: RequestId, lane: RoomRef, before: Cursor, len: u32) {
        let Some(Joined { room, .. }) = self.joined.get(&lane) else {
            return self.fail(request, Refusal::of(ErrorCode::NotJoined));
        };
        let Ok(slot) = Arc::clone(&self.page_slots).try_acquire_owned() else {
            let refusal =
                Refusal::because(ErrorCode::RateLimited, "read the pages before it first");
            return self.fail(request, refusal);
        };
        let (hub, room) = (Arc::clone(&self.hub), Arc::clone(room));
        self.pending.push(Box::pin(async move {
            let older = hub.read_before(room.name(), before, len).await;
            let page = older.map(|older| PageOut {
                head: HistoryPage {
                    request,
                    epoch: older.epoch,
                    first: older.first,
                    next: older.next,
                    end: older.end,
                    gap: older.gap,
                },
                frames: older.frames,
                slot,
            });
            Finished::Older {
                request,
                result: page,
            }
        }));
    }

    fn leave(&mut self, lane: RoomRef) {
        self.typist.forget(lane);
        if let Some(joined) = self.joined.remove(&lane) {
            self.hub.leave(&self.member, &joined);
        }
    }

    fn on_finished(&mut self, finished: Finished) {
        match finished {
            Finished::Joined {
                lane,
                result: Ok(opening),
                ..
            } if self.session.name_lane(lane, opening.to.room.name()) => {
                // Before the client can see the lane and publish to it.
                self.joined.insert(lane, opening.to.clone());
                self.member.outlet.open(opening);
            }
            Finished::Joined {
                request,
                lane,
                result: Ok(opening),
            } => {
                // A second lane of the same room, or one the client left meanwhile.
                let is_left = !self.session.forget(lane);
                if is_left {
                    self.hub.leave(&self.member, &opening.to);
                } else {
                    opening.to.room.release(&opening.to.lane);
                }
                self.fail(request, Refusal::of(ErrorCode::AlreadyJoined));
            }
            Finished::Joined {
                request,
                lane,
                result: Err(refusal),
            } => {
                self.session.forget(lane);
                self.fail(request, refusal);
            }
            Finished::Renamed {
                request,
                result: Ok(name),
            } => {
                self.member.outlet.send(Renamed { request, name });
            }
            Finished::Renamed {
                request,
                result: Err(refusal),
            } => self.fail(request, refusal),
            Finished::Older {
                result: Ok(page), ..
            } => self.member.outlet.page(page),
            Finished::Older {
                request,
                result: Err(refusal),
            } => self.fail(request, refusal),
            Finished::Examined {
                lane,
                draft,
                result,
            } => self.on_examined(lane, draft, result),
            Finished::Answered => {
                self.member
                    .outlet
                    .close(CloseCode::Done, CloseCode::Done.text());
            }
        }
    }

    fn on_invitation(&mut self, invitation: Invitation) {
        // In the room already: the lane it has brings what is said.
        if let Ok(lane) = self.session.begin_lane(invitation.room.clone()) {
            let start = Start::After(invitation.after);
            self.join(
                RequestId::NONE,
                lane,
                invitation.room,
                start,
                Some(invitation.from),
            );
        }
    }

    /// Closes the connection when every publish is answered, or has had its time.
    fn close_when_answered(&mut self) {
        let outlet = Arc::clone(&self.member.outlet);
        let wait_max = self.hub.settings().append_timeout + Duration::from_secs(1);
        self.pending.push(Box::pin(async move {
            let answered = async {
                while outlet.in_flight() > 0 {
                    time::sleep(ANSWERED_POLL).await;
                }
            };
            // Whatever is still open then is told by its absence: the client asks again.
            let _ = time::timeout(wait_max, answered).await;
            Finished::Answered
        }));
    }

    fn fail(&self, request: RequestId, refusal: Refusal) {
        if request == RequestId::NONE {
            debug!(code = %refusal.code.name(), "a lane of the node's own was not opened");
            return;
        }
        self.member.outlet.send(session::failed(request, refusal));
    }
}

fn now_ms() -> u64 {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Requests of one session that may wait for the backplane at a time.
const PENDING_MAX: usize = 16;

/// Lanes a client may stop before this is noticed.
const STOPPED_LEN_MAX: usize = 256;

/// Messages of a room of two that come with opening it.
const DIRECT_HISTORY_LEN: u32 = 50;

/// Pace of looking whether a session that said goodbye has all its answers.
const ANSWERED_POLL: Duration = Duration::from_millis(5);
