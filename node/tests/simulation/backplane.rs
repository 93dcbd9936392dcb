//! A node's end of the model, with everything that a network and a server may do to it.

use std::collections::HashSet;
use std::fmt::{self, Debug, Write};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use chat_node::backplane::memory::Memory;
use chat_node::backplane::{
    AppendError, Appended, Attachment, Backplane, Batch, Block, Event, Outcome, Page, ReadError,
};
use chat_protocol::{Cursor, Nonce, RoomName, SessionId};
use futures_util::future::BoxFuture;
use rand::Rng;
use rand::rngs::StdRng;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{self, Instant};
use tokio_util::task::TaskTracker;

use super::model::Model;
use crate::support::registry::registry_of;

/// How bad it is at the moment. Chances are of one call or announcement.
#[derive(Clone, Copy, Debug, Default)]
pub struct Weather {
    /// A call does not reach the server.
    pub ask_lost: f64,
    /// The server did it, and its answer does not come back.
    pub answer_lost: f64,
    /// An announcement does not come.
    pub hint_lost: f64,
    /// An announcement comes twice.
    pub hint_repeated: f64,
    /// Longest time anything takes; what is announced passes each other within it.
    pub delay_max: Duration,
    /// Nothing answers.
    pub is_down: bool,
}

/// The server and the network, shared by all ends.
pub struct Sky {
    state: Mutex<State>,
    /// Leases, registries and names: not what this simulation is about, and never at fault.
    registry: Arc<Memory>,
    tasks: TaskTracker,
}

struct State {
    model: Model,
    weather: Weather,
    chance: StdRng,
    ends: Vec<EndState>,
    ends_made: u64,
    began: Instant,
    trace: Vec<String>,
    /// Everything that was ever appended, in the epoch it was appended in.
    appended: Vec<(RoomName, Block)>,
}

struct EndState {
    id: u64,
    events: mpsc::Sender<Event>,
    rooms: HashSet<RoomName>,
    is_deaf: bool,
}

impl Sky {
    pub fn new(model: Model, chance: StdRng) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                model,
                weather: Weather::default(),
                chance,
                ends: Vec::new(),
                ends_made: 0,
                began: Instant::now(),
                trace: Vec::new(),
                appended: Vec::new(),
            }),
            registry: Memory::new(),
            tasks: TaskTracker::new(),
        })
    }

    /// Attaches a node.
    pub fn attach(self: &Arc<Self>) -> (Attachment, u64) {
        let (events, receiver) = mpsc::channel(chat_node::backplane::EVENTS_LEN_MAX);
        let Attachment {
            backplane: registry,
            events: mut gossip,
        } = self.registry.attach();
        let mut state = self.state();
        state.ends_made += 1;
        let id = state.ends_made;
        state.ends.push(EndState {
            id,
            events: events.clone(),
            rooms: HashSet::new(),
            is_deaf: false,
        });
        drop(state);
        self.tasks.spawn(async move {
            while let Some(event) = gossip.recv().await {
                if events.send(event).await.is_err() {
                    return;
                }
            }
        });
        let end = End {
            id,
            sky: Arc::clone(self),
            registry,
        };
        let attachment = Attachment {
            backplane: Arc::new(end),
            events: receiver,
        };
        (attachment, id)
    }

    /// A node is gone.
    pub fn detach(&self, id: u64) {
        self.state().ends.retain(|end| end.id != id);
    }

    /// Whether announcements reach a node. One that hears again is told only if `is_noticed`, as
    /// after a broken connection; otherwise nobody knows that it was deaf.
    pub fn set_deaf(&self, id: u64, is_deaf: bool, is_noticed: bool) {
        let mut state = self.state();
        let Some(end) = state.ends.iter_mut().find(|end| end.id == id) else {
            return;
        };
        end.is_deaf = is_deaf;
        if !is_deaf && is_noticed {
            let _ = end.events.try_send(Event::Missed);
        }
    }

    pub fn set_weather(&self, weather: Weather) {
        let mut state = self.state();
        let was_down = std::mem::replace(&mut state.weather, weather).is_down;
        if was_down == weather.is_down {
            return;
        }
        for end in &state.ends {
            let _ = end.events.try_send(Event::Available(!weather.is_down));
            if was_down {
                let _ = end.events.try_send(Event::Missed);
            }
        }
    }

    /// Writes down what happened.
    pub fn note(&self, text: &str) {
        let mut state = self.state();
        let at = state.began.elapsed();
        state.trace.push(format!("{at:>10.3?} {text}"));
    }

    /// What was written down.
    pub fn trace(&self) -> Vec<String> {
        self.state().trace.clone()
    }

    /// Blocks that were ever appended to a room, in the epochs they were appended in.
    pub fn appended(&self, room: &RoomName) -> Vec<Block> {
        let state = self.state();
        let of_room = state.appended.iter().filter(|(of, _)| of == room);
        of_room.map(|(_, block)| block.clone()).collect()
    }

    pub fn with_model<T>(&self, change: impl FnOnce(&mut Model) -> T) -> T {
        change(&mut self.state().model)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Has something done at the server. It happens, or not, whether or not anybody waits for it.
    async fn call<T: Send + 'static>(
        self: &Arc<Self>,
        act: impl FnOnce(&Arc<Self>) -> T + Send + 'static,
    ) -> Result<T, String> {
        let (there, back) = self.state().fate();
        let (answer, answered) = oneshot::channel();
        if let Some(there) = there {
            let sky = Arc::clone(self);
            self.tasks.spawn(async move {
                time::sleep(there).await;
                if sky.state().weather.is_down {
                    return;
                }
                let result = act(&sky);
                if let Some(back) = back {
                    time::sleep(back).await;
                    let _ = answer.send(result);
                }
            });
        }
        match time::timeout(CALL_TIMEOUT, answered).await {
            Ok(Ok(result)) => Ok(result),
            // A lost answer is waited for in vain.
            Ok(Err(_)) => {
                time::sleep(CALL_TIMEOUT).await;
                Err("lost".to_owned())
            }
            Err(_) => Err("late".to_owned()),
        }
    }

    fn note_append(&self, id: u64, room: &RoomName, batch: &Batch, outcomes: &[Outcome]) {
        let known = batch
            .known
            .map_or_else(String::new, |known| known.to_string());
        let mut text = format!("node {id} that knows {known} appends to {room}:");
        for (draft, outcome) in batch.drafts.iter().zip(outcomes) {
            let (session, nonce) = (draft.session, draft.nonce.0);
            let place = match outcome {
                Outcome::At { cursor, repeated } if *repeated => format!("again {cursor}"),
                Outcome::At { cursor, .. } => cursor.to_string(),
                Outcome::NonceTooOld => "too old".to_owned(),
            };
            let _ = write!(text, " {session}.{nonce} {place}");
        }
        self.note(&text);
    }

    fn announce(self: &Arc<Self>, room: &RoomName, block: &Block) {
        let mut state = self.state();
        state.appended.push((room.clone(), block.clone()));
        let ids: Vec<u64> = state
            .ends
            .iter()
            .filter(|end| end.rooms.contains(room))
            .map(|end| end.id)
            .collect();
        for id in ids {
            let weather = state.weather;
            if state.chance.random_bool(weather.hint_lost) {
                continue;
            }
            let copies = 1 + usize::from(state.chance.random_bool(weather.hint_repeated));
            for _ in 0..copies {
                let delay = state.delay();
                let event = Event::Announced {
                    room: room.clone(),
                    block: block.clone(),
                };
                let sky = Arc::clone(self);
                self.tasks.spawn(async move {
                    time::sleep(delay).await;
                    let state = sky.state();
                    if let Some(end) = state.ends.iter().find(|end| end.id == id)
                        && !end.is_deaf
                    {
                        let _ = end.events.try_send(event);
                    }
                });
            }
        }
    }
}

impl State {
    /// How long a call takes there and back; none for a part that does not arrive.
    fn fate(&mut self) -> (Option<Duration>, Option<Duration>) {
        let is_asked = !self.weather.is_down && !self.chance.random_bool(self.weather.ask_lost);
        let is_answered = !self.chance.random_bool(self.weather.answer_lost);
        let (there, back) = (self.delay(), self.delay());
        (is_asked.then_some(there), is_answered.then_some(back))
    }

    fn delay(&mut self) -> Duration {
        self.weather.delay_max.mul_f64(self.chance.random())
    }
}

impl Debug for Sky {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Sky")
    }
}

/// A node's end.
#[derive(Debug)]
struct End {
    id: u64,
    sky: Arc<Sky>,
    registry: Arc<dyn Backplane>,
}

impl Backplane for End {
    fn append<'a>(
        &'a self,
        room: &'a RoomName,
        batch: &'a Batch,
    ) -> BoxFuture<'a, Result<Appended, AppendError>> {
        let (room, batch, id) = (room.clone(), batch.clone(), self.id);
        Box::pin(async move {
            let append = move |sky: &Arc<Sky>| {
                let (outcomes, block) = sky.with_model(|model| model.append(&room, &batch));
                sky.note_append(id, &room, &batch, &outcomes);
                if let Some(block) = &block {
                    sky.announce(&room, block);
                }
                Appended { outcomes }
            };
            self.sky.call(append).await.map_err(AppendError::Unknown)
        })
    }

    fn repeat_of<'a>(
        &'a self,
        room: &'a RoomName,
        session: SessionId,
        nonce: Nonce,
    ) -> BoxFuture<'a, Result<Option<Outcome>, ReadError>> {
        let room = room.clone();
        let find =
            move |sky: &Arc<Sky>| sky.with_model(|model| model.repeat_of(&room, session, nonce));
        Box::pin(async move { self.sky.call(find).await.map_err(ReadError) })
    }

    fn read<'a>(
        &'a self,
        room: &'a RoomName,
        after: Cursor,
        entries_max: u32,
    ) -> BoxFuture<'a, Result<Page, ReadError>> {
        let room = room.clone();
        let read = move |sky: &Arc<Sky>| {
            sky.with_model(|model| model.read(&room, Some(after), entries_max))
        };
        Box::pin(async move { self.sky.call(read).await.map_err(ReadError) })
    }

    fn read_last<'a>(
        &'a self,
        room: &'a RoomName,
        entries: u32,
    ) -> BoxFuture<'a, Result<Page, ReadError>> {
        let room = room.clone();
        let read = move |sky: &Arc<Sky>| sky.with_model(|model| model.read(&room, None, entries));
        Box::pin(async move { self.sky.call(read).await.map_err(ReadError) })
    }

    fn heads<'a>(
        &'a self,
        rooms: &'a [RoomName],
    ) -> BoxFuture<'a, Result<Vec<Option<Cursor>>, ReadError>> {
        let rooms = rooms.to_vec();
        let heads = move |sky: &Arc<Sky>| {
            sky.with_model(|model| rooms.iter().map(|room| model.head(room)).collect())
        };
        Box::pin(async move { self.sky.call(heads).await.map_err(ReadError) })
    }

    fn subscribe<'a>(&'a self, room: &'a RoomName) -> BoxFuture<'a, Result<(), ReadError>> {
        let (room, id) = (room.clone(), self.id);
        let subscribe = move |sky: &Arc<Sky>| {
            let mut state = sky.state();
            if let Some(end) = state.ends.iter_mut().find(|end| end.id == id) {
                end.rooms.insert(room);
            }
        };
        Box::pin(async move { self.sky.call(subscribe).await.map_err(ReadError) })
    }

    fn unsubscribe<'a>(&'a self, room: &'a RoomName) -> BoxFuture<'a, ()> {
        let mut state = self.sky.state();
        if let Some(end) = state.ends.iter_mut().find(|end| end.id == self.id) {
            end.rooms.remove(room);
        }
        Box::pin(async {})
    }

    /// They may be lost: here all are, since nobody in these runs listens.
    fn whisper<'a>(
        &'a self,
        _room: &'a RoomName,
        _whisper: bytes::Bytes,
    ) -> BoxFuture<'a, Result<(), ReadError>> {
        Box::pin(async { Ok(()) })
    }

    registry_of!(registry);
}

/// How long a node waits for an answer.
const CALL_TIMEOUT: Duration = Duration::from_secs(1);
