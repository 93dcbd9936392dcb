//! The session as the program uses it: operations in, reports out.
//!
//! Owns which rooms are open, which is the current one, and what still waits for an answer. Never
//! blocks on an answer: requests and messages are awaited side by side with the events of the rooms,
//! because a client that does not read its rooms makes the node wait.
//!
//! Invariant: a request keeps the next operation waiting ([`Conversation::is_idle`]), a message does
//! not; so `join` and then `send` work as written, and messages flow.

use std::collections::{BTreeMap, VecDeque};

use chat_client::{Client, Events, PublishError, Room, Start};
use chat_protocol::{Cursor, NodeName, RoomName, SessionId, Topic, UserName};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, sleep_until};

use crate::command;
use crate::conversation::answer::{Answer, AnswerFuture, Settled, SettledFuture};
use crate::conversation::body::Body;
use crate::conversation::echo::Echo;
use crate::conversation::overdue::Unsettled;
use crate::conversation::refer::{Recent, Saying};
use crate::operation::{Operation, Request, Style};
use crate::report::{Place, Refusal, Report};

mod answer;
mod body;
mod echo;
mod event;
mod mention;
mod node;
mod older;
mod overdue;
mod refer;
mod typing;

/// The session, its rooms, and what is under way.
#[derive(Debug)]
pub struct Conversation {
    client: Client,
    events: Events,
    /// Whether the last event was handed out.
    is_closed: bool,
    history_len: u32,
    wanted: Option<UserName>,
    session: SessionId,
    me: UserName,
    node: Option<NodeName>,
    was_connected: bool,
    /// Whether the node was said to reach its backplane; it does unless told otherwise.
    has_backplane: bool,
    rooms: BTreeMap<RoomName, Open>,
    current: Option<RoomName>,
    requests: FuturesUnordered<AnswerFuture>,
    deliveries: FuturesUnordered<SettledFuture>,
    unsettled: Unsettled,
    /// A message that met a full queue: published when one before it is settled.
    kept: Option<Request>,
    /// Joins that were answered before their room's first event came.
    joining: Vec<(RoomName, Option<String>)>,
    /// Leaves that were answered before their room's last event came.
    leaving: Vec<(RoomName, Option<String>)>,
    ready: VecDeque<Report>,
}

/// An open room.
#[derive(Debug)]
struct Open {
    place: Place,
    topic: Topic,
    echo: Echo,
    /// What is older than all that was shown ends before this place.
    oldest: Cursor,
    recent: Recent,
}

impl Conversation {
    /// A conversation in no room. `history_len` messages are asked for when a room is joined.
    #[must_use]
    pub fn new(client: Client, events: Events, history_len: u32, wanted: Option<UserName>) -> Self {
        let welcomed = client.session();
        Self {
            client,
            events,
            is_closed: false,
            history_len,
            wanted,
            session: welcomed.session,
            me: welcomed.name,
            node: None,
            was_connected: false,
            has_backplane: true,
            rooms: BTreeMap::new(),
            current: None,
            requests: FuturesUnordered::new(),
            deliveries: FuturesUnordered::new(),
            unsettled: Unsettled::default(),
            kept: None,
            joining: vec![],
            leaving: vec![],
            ready: VecDeque::new(),
        }
    }

    /// Whether the next operation may be performed now.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.requests.is_empty()
            && self.kept.is_none()
            && (self.is_closed || self.joining.is_empty() && self.leaving.is_empty())
    }

    /// Whether everything that was performed is settled and shown.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.is_idle() && self.unsettled.len() == 0 && self.ready.is_empty()
    }

    /// Messages whose fate is not known yet.
    #[must_use]
    pub fn unsettled_len(&self) -> usize {
        self.unsettled.len() + usize::from(self.kept.is_some())
    }

    /// Whether a message is kept because the queue is full: the next operation waits until one of
    /// those before it is settled.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.kept.is_some()
    }

    /// Whether every message of ours that was acked has come back with the others, and was shown.
    #[must_use]
    pub fn is_caught_up(&self) -> bool {
        self.ready.is_empty() && self.rooms.values().all(|open| open.echo.is_complete())
    }

    /// Whether a room is open.
    #[must_use]
    pub fn is_in_a_room(&self) -> bool {
        !self.rooms.is_empty() || !self.joining.is_empty()
    }

    /// The room that what is typed goes to.
    #[must_use]
    pub fn current(&self) -> Option<&Place> {
        self.rooms
            .get(self.current.as_ref()?)
            .map(|open| &open.place)
    }

    /// The next thing to show; none after the session has ended for good.
    ///
    /// Cancel safety: nothing is lost when this is dropped before it resolved.
    pub async fn next(&mut self) -> Option<Report> {
        loop {
            if let Some(report) = self.ready.pop_front() {
                return Some(report);
            }
            if self.is_closed && self.requests.is_empty() && self.deliveries.is_empty() {
                return None;
            }
            let overdue_at = self.unsettled.overdue_at();
            tokio::select! {
                event = self.events.next(), if !self.is_closed => match event {
                    Some(event) => self.on_event(event),
                    None => self.is_closed = true,
                },
                Some(answer) = self.requests.next(), if !self.requests.is_empty() => {
                    self.on_answer(answer);
                }
                Some(settled) = self.deliveries.next(), if !self.deliveries.is_empty() => {
                    self.on_settled(settled);
                }
                () = sleep_until(overdue_at.unwrap_or_else(Instant::now)), if overdue_at.is_some() => {
                    if let Some(len) = self.unsettled.on_overdue(Instant::now()) {
                        self.ready.push_back(Report::Overdue { len });
                    }
                }
            }
        }
    }

    /// Begins an operation. What comes of it is a report. [`Operation::Quit`] is the caller's.
    pub fn perform(&mut self, request: Request) {
        let Request {
            reference,
            operation,
        } = request;
        match operation {
            Operation::Send { room, text, style } => {
                self.publish(reference, room, Body::Said(text, style));
            }
            Operation::SetTopic { room, topic } => {
                self.publish(reference, room, Body::Topic(topic))
            }
            Operation::Reply { room, to, text } => {
                self.refer(reference, room, to, Saying::Reply(text));
            }
            Operation::Edit { room, of, text } => {
                self.refer(reference, room, of, Saying::Edit(text));
            }
            Operation::Delete { room, of } => self.refer(reference, room, of, Saying::Delete),
            Operation::React {
                room,
                to,
                reaction,
                on,
            } => self.refer(reference, room, to, Saying::React(reaction, on)),
            Operation::Join { room, history } => self.join(reference, room, history),
            Operation::Leave { room } => {
                let Some(room) = self.open_room(reference.as_deref(), room) else {
                    return;
                };
                self.requests.push(answer::leave(room, reference));
            }
            Operation::History {
                room,
                before,
                limit,
            } => self.history(reference, room, before, limit),
            Operation::Rooms => self
                .requests
                .push(answer::rooms(self.client.clone(), reference)),
            Operation::Members { room } => {
                let Some(room) = room.or_else(|| self.current.clone()) else {
                    return self.refuse(reference, no_room());
                };
                let place = self.place(&room);
                self.requests
                    .push(answer::members(self.client.clone(), place, reference));
            }
            Operation::Direct { user, text } => {
                self.requests
                    .push(answer::direct(self.client.clone(), user, text, reference));
            }
            Operation::ShowTopic => {
                match self.current.as_ref().and_then(|room| self.rooms.get(room)) {
                    Some(open) => self.ready.push_back(Report::Topic {
                        place: open.place.clone(),
                        topic: open.topic.clone(),
                    }),
                    None => self.refuse(reference, no_room()),
                }
            }
            Operation::Rename { name } => {
                self.requests
                    .push(answer::rename(self.client.clone(), name, reference));
            }
            Operation::Ping => self
                .requests
                .push(answer::ping(self.client.clone(), reference)),
            Operation::Typing { room } => self.tell_typing(reference, room),
            Operation::Node => self
                .requests
                .push(node::ask(self.client.clone(), reference)),
            Operation::Reconnect => {
                self.client.reconnect();
                self.ready.push_back(Report::Reconnecting { reference });
            }
            Operation::Help { command } => match command::help(command.as_deref()) {
                Ok(lines) => self.ready.push_back(Report::Help { lines }),
                Err(error) => {
                    self.refuse(reference, Refusal::local("bad_command", error.to_string()));
                }
            },
            Operation::Quit => {}
        }
    }

    /// Queues a report of the caller's behind those that wait.
    pub fn tell(&mut self, report: Report) {
        self.ready.push_back(report);
    }

    /// Says goodbye and closes the connection; takes a few seconds at most.
    pub async fn close(self) {
        self.client.close().await;
    }

    fn join(&mut self, reference: Option<String>, room: RoomName, history: Option<u32>) {
        if let Some(open) = self.rooms.get(&room) {
            let place = open.place.clone();
            self.current = Some(room);
            self.ready.push_back(Report::Went {
                place: place.clone(),
            });
            self.ready.push_back(Report::Done {
                reference,
                operation: "join",
                place: Some(place),
            });
            return;
        }
        let start = match history.unwrap_or(self.history_len) {
            0 => Start::Live,
            len => Start::Last(len),
        };
        self.requests
            .push(answer::join(self.client.clone(), room, start, reference));
    }

    fn publish(&mut self, reference: Option<String>, room: Option<RoomName>, body: Body) {
        let Some(room) = self.open_room(reference.as_deref(), room) else {
            return;
        };
        match body.publish_to(&room) {
            Ok(delivery) => {
                let place = self.place(room.name());
                if body.is_message() {
                    self.ready.push_back(Report::Sent {
                        reference: reference.clone(),
                        place: place.clone(),
                        id: delivery.id(),
                    });
                }
                let number = self.unsettled.add(Instant::now());
                let effect = body.effect();
                let settled = answer::settle(delivery, number, place, reference, effect);
                self.deliveries.push(settled);
            }
            Err(PublishError::Full) => {
                let operation = body.into_operation(room.name().clone());
                self.kept = Some(Request {
                    reference,
                    operation,
                });
            }
            Err(error) => self.refuse(reference, answer::not_published(&error)),
        }
    }

    fn on_answer(&mut self, answer: Answer) {
        match answer {
            Answer::Report(report) => self.ready.push_back(report),
            Answer::Older { room, older } => self.on_older(&room, older),
            Answer::Joined { room, reference } => {
                self.current = Some(room.clone());
                match self.rooms.get(&room) {
                    Some(open) => self.ready.push_back(Report::Done {
                        reference,
                        operation: "join",
                        place: Some(open.place.clone()),
                    }),
                    None => self.joining.push((room, reference)),
                }
            }
            Answer::Left { place, reference } if self.rooms.contains_key(&place.room) => {
                self.leaving.push((place.room, reference));
            }
            Answer::Left { place, reference } => {
                let place = Some(place);
                self.ready.push_back(Report::Done {
                    reference,
                    operation: "part",
                    place,
                });
            }
            Answer::Direct {
                room,
                text: Some(text),
                reference,
            } => {
                self.publish(reference, Some(room), Body::Said(text, Style::Plain));
            }
            Answer::Direct {
                room,
                text: None,
                reference,
            } => {
                self.current = Some(room.clone());
                let place = self.place(&room);
                self.ready.push_back(Report::Went {
                    place: place.clone(),
                });
                self.ready.push_back(Report::Done {
                    reference,
                    operation: "msg",
                    place: Some(place),
                });
            }
        }
    }

    fn on_settled(&mut self, settled: Settled) {
        let took = self.unsettled.remove(settled.number, Instant::now());
        let (reference, place, id) = (settled.reference, settled.place, settled.id);
        match settled.result {
            Ok(cursor) => {
                if let Some(open) = self.rooms.get_mut(&place.room) {
                    open.echo.ack(cursor);
                    open.recent.on_ack(cursor, settled.effect);
                }
                self.ready.push_back(Report::Acked {
                    reference,
                    place,
                    cursor,
                    id,
                    took,
                });
            }
            Err(error) => self.ready.push_back(Report::NotSent {
                reference,
                place,
                id,
                refusal: answer::not_published(&error),
            }),
        }
        if let Some(request) = self.kept.take() {
            self.perform(request);
        }
    }

    /// The handle of a room, or of the current one; refused when it is not open.
    fn open_room(&mut self, reference: Option<&str>, room: Option<RoomName>) -> Option<Room> {
        let Some(name) = room.or_else(|| self.current.clone()) else {
            self.refuse(reference.map(str::to_owned), no_room());
            return None;
        };
        let room = self.client.room(&name);
        if room.is_none() {
            let refusal = Refusal::local(
                "not_joined",
                format!("you are not in {}", self.place(&name)),
            );
            self.refuse(
                reference.map(str::to_owned),
                refusal.with_hint("join it first"),
            );
        }
        room
    }

    fn refuse(&mut self, reference: Option<String>, refusal: Refusal) {
        self.ready.push_back(Report::Refused { reference, refusal });
    }

    fn place(&self, room: &RoomName) -> Place {
        let direct = || {
            self.client
                .room(room)
                .and_then(|room| room.snapshot().direct)
        };
        match self.rooms.get(room) {
            Some(open) => open.place.clone(),
            None => Place {
                room: room.clone(),
                direct: direct(),
            },
        }
    }
}

fn no_room() -> Refusal {
    Refusal::local("no_room", "you are in no room").with_hint("join one: /join ROOM")
}
