//! Lanes: each is read by a task of its own, so that rooms do not block each other and a slow
//! application blocks nothing but them.

mod page;

use std::sync::Arc;

use chat_protocol::lane::{EndReason, Joined, LaneFrame};
use chat_protocol::{
    CloseCode, Cursor, FrameDecoder, FrameError, Nonce, RequestId, RoomName, StreamCode, StreamType,
};
use quinn::{ReadError, RecvStream, VarInt};
use tokio::sync::{mpsc, oneshot};
use tracing::{Instrument, debug, debug_span};

use crate::command::Shared;
use crate::driver::follow::{Follow, LaneFault, Step};
use crate::driver::greet::READ_BYTES;
use crate::event::Event;
use crate::events::{Detached, LaneTicket};
use crate::history::HistoryPage;
use crate::lock::lock;
use crate::outgoing::LocalRoom;
use crate::own::Disagreement;
use crate::room::RoomState;

/// What a lane tells the driver. The driver takes notes without waiting for anybody.
#[derive(Debug)]
pub(crate) struct Note {
    pub(crate) lane: LaneId,
    pub(crate) what: Noted,
}

/// Which lane of which connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct LaneId {
    pub(crate) link: u64,
    pub(crate) lane: u64,
}

#[derive(Debug)]
pub(crate) enum Noted {
    /// The first frame. The lane waits for what to make of it; no answer means nothing.
    Joined {
        joined: Box<Joined>,
        answer: oneshot::Sender<Opened>,
    },
    /// The first frame of a page. It waits for the name of the room it is of; no answer means
    /// nothing.
    Page {
        request: RequestId,
        answer: oneshot::Sender<RoomName>,
    },
    /// A page was read to its end.
    PageRead {
        request: RequestId,
        page: HistoryPage,
    },
    /// The last frame.
    Ended { room: LocalRoom, reason: EndReason },
    /// The node broke the protocol.
    Fault { code: CloseCode, text: String },
}

/// The room that a lane is of.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) room: Arc<RoomState>,
    pub(crate) rejoined: bool,
}

/// A task that reads one lane.
#[derive(Debug)]
pub(crate) struct LaneReader {
    id: LaneId,
    stream: RecvStream,
    decoder: FrameDecoder,
    notes: mpsc::Sender<Box<Note>>,
    shared: Arc<Shared>,
}

/// Why a lane is not read on.
enum Stop {
    /// The room is left or read elsewhere.
    Detached,
    /// The stream is of a type this version does not know.
    UnknownStream,
    /// The connection is gone; the driver knows.
    Lost,
    Fault(CloseCode, String),
}

impl LaneReader {
    pub(crate) fn new(
        id: LaneId,
        stream: RecvStream,
        notes: mpsc::Sender<Box<Note>>,
        shared: Arc<Shared>,
    ) -> Self {
        Self {
            id,
            stream,
            decoder: FrameDecoder::new(),
            notes,
            shared,
        }
    }

    /// Reads the lane to its end.
    pub(crate) async fn run(mut self) {
        let span = debug_span!("lane", lane = self.id.lane);
        async {
            let code = match self.read().await {
                // The stream has ended, or its connection has: there is nothing to stop.
                Ok(()) | Err(Stop::Lost) => return,
                Err(Stop::Detached) => StreamCode::Left,
                Err(Stop::UnknownStream) => StreamCode::UnsupportedStream,
                Err(Stop::Fault(code, text)) => {
                    debug!(%text, "the node broke the protocol");
                    // Without a driver nobody needs to know.
                    let _ = self.note(Noted::Fault { code, text }).await;
                    StreamCode::Closing
                }
            };
            // Fails when the stream has ended meanwhile, which is as well.
            let _ = self.stream.stop(VarInt::from_u32(code.to_wire()));
        }
        .instrument(span)
        .await;
    }

    async fn read(&mut self) -> Result<(), Stop> {
        let stream_type = loop {
            match self.decoder.varint().map_err(|error| frame_fault(&error))? {
                Some(value) => break StreamType::from_wire(value),
                None => self.fill().await?,
            }
        };
        match stream_type {
            Some(StreamType::Lane) => {}
            Some(StreamType::Page) => return self.read_page().await,
            Some(StreamType::Control) | None => return Err(Stop::UnknownStream),
        }
        let joined = loop {
            let raw = self.next_raw().await?;
            if let Some(joined) = Follow::first(&raw).map_err(|fault| lane_fault(&fault))? {
                break joined;
            }
        };
        let (answer, opened) = oneshot::channel();
        let what = Noted::Joined {
            joined: Box::new(joined.clone()),
            answer,
        };
        self.note(what).await?;
        let Opened { room, rejoined } = opened.await.map_err(|_| Stop::Detached)?;
        let ticket = LaneTicket {
            room,
            lane: self.id.lane,
        };
        let mut follow = self.start(&ticket, joined, rejoined).await?;
        loop {
            let raw = self.next_raw().await?;
            let step = follow.on_frame(&raw).map_err(|fault| lane_fault(&fault))?;
            if let Step::End(reason) = step {
                let what = Noted::Ended {
                    room: ticket.room.local,
                    reason,
                };
                let _ = self.note(what).await;
                return Ok(());
            }
            self.perform(&ticket, step, &follow).await?;
        }
    }

    /// Tells that the room is joined, and what is missing.
    async fn start(
        &self,
        ticket: &LaneTicket,
        joined: Joined,
        rejoined: bool,
    ) -> Result<Follow, Stop> {
        let is_system = ticket.room.name == RoomName::system();
        let before = ticket.room.reached();
        let (follow, gap) = Follow::start(&joined, before).map_err(|fault| lane_fault(&fault))?;
        let reached = if gap.is_some() {
            before
        } else {
            Some(follow.reached())
        };
        let event = Event::Joined {
            room: joined.name,
            direct: joined.direct,
            head: joined.head,
            next: joined.next,
            members: joined.members,
            topic: joined.topic,
            rejoined,
        };
        // Everybody is in the room of notices, always: there is nothing to tell.
        let event = (!is_system).then_some(event);
        self.shared
            .events
            .push_of_lane(ticket, event, reached)
            .await
            .map_err(detached)?;
        if let Some(gap) = gap {
            self.perform(ticket, gap, &follow).await?;
        }
        Ok(follow)
    }

    async fn perform(&self, ticket: &LaneTicket, step: Step, follow: &Follow) -> Result<(), Stop> {
        let room = || ticket.room.name.clone();
        let reached = Some(follow.reached());
        let (event, reached) = match step {
            Step::Entry {
                cursor,
                entry,
                history,
            } => (self.entry_event(ticket, cursor, entry, history)?, reached),
            Step::Gap { reason, from, next } => (
                Some(Event::Gap {
                    room: room(),
                    reason,
                    from,
                    next,
                }),
                reached,
            ),
            Step::Counted => (None, reached),
            Step::Presence(presence) if ticket.room.name != RoomName::system() => {
                let (members, more) = (presence.members, presence.more);
                (
                    Some(Event::Presence {
                        room: room(),
                        members,
                        changes: presence.changes,
                        more,
                    }),
                    None,
                )
            }
            Step::Presence(_) | Step::End(_) | Step::Nothing => return Ok(()),
        };
        self.shared
            .events
            .push_of_lane(ticket, event, reached)
            .await
            .map_err(detached)
    }

    /// The event of an entry, after comparing an own one with its ack.
    fn entry_event(
        &self,
        ticket: &LaneTicket,
        cursor: Cursor,
        entry: LaneFrame,
        history: bool,
    ) -> Result<Option<Event>, Stop> {
        let (of_session, mut own) = self.is_own(&entry);
        if let Some(nonce) = of_session {
            own = lock(&self.shared.outgoing).is_used(ticket.room.local, nonce) && {
                let told = lock(&ticket.room.inner).own.on_entry(nonce, cursor);
                told.map_err(|disagreement| own_fault(&disagreement))?
            };
            if !own {
                debug!(%nonce, %cursor, "an entry in this client's name that it did not write");
            }
        }
        let name = &ticket.room.name;
        Ok(entry_event(name, cursor, entry, own, history))
    }

    /// The nonce of an entry that this session wrote, and whether this client did, in this or a
    /// former session.
    fn is_own(&self, entry: &LaneFrame) -> (Option<Nonce>, bool) {
        let (author, nonce) = match entry {
            LaneFrame::Message(message) => (&message.author, message.nonce),
            LaneFrame::TopicChanged(change) => (&change.author, change.nonce),
            _ => return (None, false),
        };
        let session = lock(&self.shared.session);
        let is_current = session.welcomed.session == author.session;
        let own = is_current || session.former.contains(&author.session);
        (is_current.then_some(nonce), own)
    }

    /// Tells the driver; fails when there is none any more.
    async fn note(&self, what: Noted) -> Result<(), Stop> {
        let lane = self.id;
        // Boxed, as a channel keeps space for 32 of what it carries.
        let noted = self.notes.send(Box::new(Note { lane, what })).await;
        noted.map_err(|_| Stop::Lost)
    }

    async fn next_raw(&mut self) -> Result<chat_protocol::RawFrame, Stop> {
        loop {
            if let Some(raw) = self.decoder.next().map_err(|error| frame_fault(&error))? {
                return Ok(raw);
            }
            self.fill().await?;
        }
    }

    async fn fill(&mut self) -> Result<(), Stop> {
        if !self.decoder.is_mid_frame() {
            // A lane may be silent for long: it holds no buffer then.
            self.decoder = FrameDecoder::new();
        }
        match self.stream.read_chunk(READ_BYTES, true).await {
            Ok(Some(chunk)) => {
                self.decoder.push(&chunk.bytes);
                Ok(())
            }
            Ok(None) if self.decoder.is_mid_frame() => Err(frame_fault(&FrameError::Truncated)),
            Ok(None) => Err(Stop::Fault(
                CloseCode::Unexpected,
                "a lane ended without its last frame".to_owned(),
            )),
            // Said on the control stream too, with the reason.
            Err(ReadError::Reset(code)) if code.into_inner() == CLOSING => Err(Stop::Lost),
            Err(ReadError::Reset(code)) => {
                let text = format!("a lane was reset with code {code}");
                Err(Stop::Fault(CloseCode::Unexpected, text))
            }
            Err(_) => Err(Stop::Lost),
        }
    }
}

/// What an entry is for the application; nothing for a mark.
fn entry_event(
    room: &RoomName,
    cursor: Cursor,
    entry: LaneFrame,
    own: bool,
    history: bool,
) -> Option<Event> {
    let room = room.clone();
    match entry {
        LaneFrame::Message(message) => Some(Event::Message {
            room,
            cursor,
            message,
            own,
            history,
        }),
        LaneFrame::TopicChanged(change) => Some(Event::TopicChanged {
            room,
            cursor,
            change,
            history,
        }),
        LaneFrame::Notice(notice) => Some(Event::Notice {
            cursor,
            notice,
            history,
        }),
        LaneFrame::Damaged(_) => Some(Event::Damaged { room, cursor }),
        // Marks are no entries; a count never gives them as such.
        LaneFrame::Joined(_)
        | LaneFrame::At(_)
        | LaneFrame::Gap(_)
        | LaneFrame::End(_)
        | LaneFrame::Presence(_)
        | LaneFrame::HistoryPage(_) => None,
    }
}

fn detached(_: Detached) -> Stop {
    Stop::Detached
}

fn frame_fault(error: &FrameError) -> Stop {
    let code = match error {
        FrameError::TooLarge { .. } => CloseCode::FrameTooLarge,
        _ => CloseCode::BadFrame,
    };
    Stop::Fault(code, error.to_string())
}

fn lane_fault(fault: &LaneFault) -> Stop {
    match fault {
        LaneFault::Frame(error) => frame_fault(error),
        other => Stop::Fault(CloseCode::Unexpected, other.to_string()),
    }
}

fn own_fault(disagreement: &Disagreement) -> Stop {
    Stop::Fault(CloseCode::Unexpected, disagreement.to_string())
}

/// The connection is closing: the code with which a node cuts what it can not write any more.
const CLOSING: u64 = StreamCode::Closing.to_wire() as u64;
