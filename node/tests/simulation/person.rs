//! A client as the hub sees it: publishes, repeats what got no answer, reads lanes by counting,
//! and moves to another node when its own is gone. No QUIC: words are taken from its outlet.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::future::poll_fn;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Poll;
use std::time::Duration;

use chat_client::ledger::{self, Found, Ledger, ReaderId, Sent, Stamp};
use chat_node::backplane::Draft;
use chat_node::hub::{Hub, LaneAsk, Member};
use chat_node::outlet::{ConnectionId, Joined, Opening, Outlet, Word};
use chat_node::room::{Next, Position, catch_up};
use chat_protocol::client::{Hello, Resume, Start};
use chat_protocol::lane::{self, Author, LaneFrame, Message};
use chat_protocol::{
    Content, Cursor, ErrorCode, Frame, FrameDecoder, NodeFrame, Nonce, RequestId, RoomName,
    RoomRef, UserName,
};
use rand::Rng;
use rand::rngs::StdRng;
use tokio::time::{self, Instant};
use tokio_util::sync::CancellationToken;

use super::world::Nodes;

/// What a person does, until told to stop.
pub struct Person {
    number: u64,
    chance: StdRng,
    nodes: Arc<Nodes>,
    book: Arc<Book>,
    resume: Option<Resume>,
    rooms: BTreeMap<RoomName, Place>,
}

/// What everybody writes into and is told by.
pub struct Book {
    pub ledger: Mutex<Ledger>,
    /// Nothing new is said any more.
    pub is_quiet: Mutex<bool>,
    /// Messages without an answer, over all.
    pub waiting: AtomicU64,
}

impl Book {
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap()
    }
}

/// A room as a person knows it, over all connections.
struct Place {
    reader: ReaderId,
    /// The last entry it has.
    reached: Option<Cursor>,
    next_nonce: Nonce,
    waiting: VecDeque<Waiting>,
    /// Answers that the node still owes.
    owed: usize,
    /// Something was refused: everything is sent again, once no answer is owed.
    is_refused: bool,
}

struct Waiting {
    nonce: Nonce,
    stamp: Stamp,
    is_sent: bool,
}

/// A room on the current connection.
struct Reading {
    name: RoomName,
    joined: Joined,
    position: Position,
    /// As counted from the frames alone.
    counted: Cursor,
}

struct Connection {
    hub: Arc<Hub>,
    /// The node is gone.
    crash: CancellationToken,
    outlet: Arc<Outlet>,
    member: Member,
    name: UserName,
    readings: HashMap<RoomRef, Reading>,
    control: FrameDecoder,
}

impl Person {
    pub fn new(
        number: u64,
        chance: StdRng,
        nodes: Arc<Nodes>,
        book: Arc<Book>,
        rooms: &[RoomName],
    ) -> Self {
        let place = |room: &RoomName| {
            let place = Place {
                reader: book.ledger().reader(),
                reached: None,
                next_nonce: Nonce(1),
                waiting: VecDeque::new(),
                owed: 0,
                is_refused: false,
            };
            (room.clone(), place)
        };
        let rooms = rooms.iter().map(place).collect();
        Self {
            number,
            chance,
            nodes,
            book,
            resume: None,
            rooms,
        }
    }

    /// Lives for ever: connects, talks, and connects again.
    pub async fn run(mut self) {
        loop {
            if let Some(connection) = self.connect().await {
                self.talk(connection).await;
            }
            let pause = self.chance.random_range(10..500);
            time::sleep(Duration::from_millis(pause)).await;
        }
    }

    async fn connect(&mut self) -> Option<Connection> {
        let (hub, crash) = self.nodes.any(&mut self.chance)?;
        let id = ConnectionId(self.nodes.next_connection());
        let (outlet, _) = Outlet::new(id);
        let outlet = Arc::new(outlet);
        let hello = Hello {
            minor: chat_protocol::MINOR,
            features: Vec::new(),
            agent: "simulation".to_owned(),
            name: None,
            token: None,
            resume: self.resume.clone(),
        };
        let admitted = time::timeout(REQUEST_TIMEOUT, hub.admit(hello, &outlet));
        let admitted = admitted.await.ok()?.ok()?;
        self.resume = Some(Resume {
            session: admitted.welcome.session,
            secret: admitted.welcome.secret,
        });
        let mut connection = Connection {
            hub,
            crash,
            outlet,
            member: admitted.member,
            name: admitted.welcome.name,
            readings: HashMap::new(),
            control: FrameDecoder::new(),
        };
        let names: Vec<RoomName> = self.rooms.keys().cloned().collect();
        for (number, name) in (1..).zip(names) {
            self.join(&mut connection, RoomRef(number), &name).await?;
        }
        for place in self.rooms.values_mut() {
            place.owed = 0;
            place.is_refused = false;
            place.waiting.iter_mut().for_each(|one| one.is_sent = false);
        }
        Some(connection)
    }

    async fn join(
        &mut self,
        connection: &mut Connection,
        reference: RoomRef,
        name: &RoomName,
    ) -> Option<()> {
        let place = self.rooms.get_mut(name)?;
        let start = match place.reached {
            Some(reached) => Start::After(reached),
            None if self.chance.random_bool(0.5) => Start::Live,
            None => Start::Last(20),
        };
        let ask = LaneAsk {
            request: RequestId(1),
            room: reference,
            direct: None,
            start,
        };
        let joining = connection.hub.join(&connection.member, name, ask);
        let Opening {
            to,
            position,
            joined,
        } = time::timeout(REQUEST_TIMEOUT, joining).await.ok()?.ok()?;
        let mut decoder = FrameDecoder::new();
        decoder.push(&joined);
        let raw = decoder.next().unwrap().expect("one frame");
        let Ok(Some(LaneFrame::Joined(joined))) = LaneFrame::decode(&raw) else {
            panic!("a lane begins with Joined");
        };
        let counted = Cursor::new(joined.head.epoch, joined.next.minus(1));
        let mut ledger = self.book.ledger();
        match (place.reached, joined.gap) {
            (None, _) => ledger.start(place.reader, name, counted),
            (Some(_), Some(_)) => {
                let next = Cursor::new(counted.epoch, joined.next);
                ledger.gap(place.reader, name, next);
            }
            (Some(reached), None) => {
                assert_eq!(counted.seq, reached.seq, "a resume without a gap");
                if reached.epoch != counted.epoch {
                    ledger.seam(place.reader, name, counted.epoch);
                }
            }
        }
        drop(ledger);
        place.reached = Some(counted);
        let reading = Reading {
            name: name.clone(),
            joined: to,
            position,
            counted,
        };
        connection.readings.insert(reference, reading);
        Some(())
    }

    /// Talks until the node is gone, or this person has enough of it.
    async fn talk(&mut self, mut connection: Connection) {
        let leave_at = Instant::now() + Duration::from_millis(self.chance.random_range(500..8_000));
        // Everything that came before the first word.
        self.read_all(&mut connection).await;
        let mut act_at = Instant::now();
        // A reader that does not read for a while.
        let mut blind_until = Instant::now();
        loop {
            tokio::select! {
                biased;
                () = connection.crash.cancelled() => return self.drop_connection(&connection),
                word = next_word(&connection.outlet) => {
                    connection.control.push(&word.control);
                    self.hear(&mut connection);
                    if word.close.is_some() {
                        return self.drop_connection(&connection);
                    }
                    if Instant::now() >= blind_until {
                        self.read_all(&mut connection).await;
                    }
                }
                () = time::sleep_until(act_at) => {
                    act_at = Instant::now() + Duration::from_millis(self.chance.random_range(5..120));
                    if self.chance.random_bool(0.01) {
                        blind_until = Instant::now() + Duration::from_secs(2);
                    }
                    if Instant::now() >= blind_until {
                        self.read_all(&mut connection).await;
                    }
                    self.act(&connection);
                    // Not while the end is waited for: everybody must be where the log is then.
                    if Instant::now() >= leave_at && !*self.book.is_quiet.lock().unwrap() {
                        return self.drop_connection(&connection);
                    }
                }
            }
        }
    }

    fn drop_connection(&self, connection: &Connection) {
        let joined = connection
            .readings
            .values()
            .map(|reading| reading.joined.clone());
        connection.hub.disconnect(&connection.member, joined, false);
    }

    /// Says something new, perhaps, and sends what is to be sent again.
    fn act(&mut self, connection: &Connection) {
        let is_quiet = *self.book.is_quiet.lock().unwrap();
        for reading in connection.readings.values() {
            let place = self.rooms.get_mut(&reading.name).expect("one of ours");
            let talks = !is_quiet && place.waiting.len() < IN_FLIGHT_MAX;
            if talks && self.chance.random_bool(0.4) {
                let stamp = Stamp {
                    sender: self.number,
                    counter: place.next_nonce.0,
                };
                self.book.ledger().sent(&reading.name, stamp);
                self.book.waiting.fetch_add(1, Ordering::Relaxed);
                place.waiting.push_back(Waiting {
                    nonce: place.next_nonce,
                    stamp,
                    is_sent: false,
                });
                place.next_nonce = place.next_nonce.next();
            }
            place.send(connection, reading);
        }
    }

    /// Takes the answers that came.
    fn hear(&mut self, connection: &mut Connection) {
        while let Some(raw) = connection.control.next().expect("frames of a node") {
            let (reference, nonce, answer) = match NodeFrame::decode(&raw).unwrap() {
                Some(NodeFrame::Ack(ack)) => (ack.room, ack.nonce, Ok(ack.cursor)),
                Some(NodeFrame::Rejected(no)) => (no.room, no.nonce, Err(no.code)),
                _ => continue,
            };
            let reading = &connection.readings[&reference];
            let place = self.rooms.get_mut(&reading.name).expect("one of ours");
            place.owed -= 1;
            let front = place.waiting.iter().position(|one| one.nonce == nonce);
            let Some(index) = front else {
                panic!("{nonce:?} is answered and was not sent");
            };
            match answer {
                Ok(cursor) => {
                    let acked = place.waiting.remove(index).expect("just found");
                    self.book.ledger().acked(&reading.name, acked.stamp, cursor);
                    self.book.waiting.fetch_sub(1, Ordering::Relaxed);
                }
                Err(code) if ErrorCode::is_retryable(code) => {
                    place.is_refused = true;
                }
                Err(_) => {
                    // Whether it is in the log cannot be told: never acked.
                    place.waiting.remove(index);
                    self.book.waiting.fetch_sub(1, Ordering::Relaxed);
                }
            }
            if place.is_refused && place.owed == 0 {
                place.is_refused = false;
                place.waiting.iter_mut().for_each(|one| one.is_sent = false);
            }
        }
    }

    /// Reads every lane to its end, as a connection's writer does.
    async fn read_all(&mut self, connection: &mut Connection) {
        for reading in connection.readings.values_mut() {
            let place = self.rooms.get_mut(&reading.name).expect("one of ours");
            reading.joined.lane.clear();
            loop {
                match reading.joined.room.read(&mut reading.position, SLICE_BYTES) {
                    Next::Frames(frames) => {
                        self.book.read(place.reader, reading, &frames);
                    }
                    Next::UpToDate => break,
                    Next::Behind => {
                        let read = connection
                            .hub
                            .read_behind(&reading.joined.room, reading.position);
                        // One that gets no page asks again when it looks next.
                        let Ok(page) = read.await else { break };
                        let before = reading.position;
                        for frames in catch_up::frames(&mut reading.position, page) {
                            self.book.read(place.reader, reading, &frames);
                        }
                        if reading.position == before {
                            // The tail has not heard yet of what the log knows.
                            break;
                        }
                    }
                }
            }
            place.reached = Some(reading.counted);
        }
    }
}

impl Place {
    fn send(&mut self, connection: &Connection, reading: &Reading) {
        if self.is_refused {
            return;
        }
        for one in self.waiting.iter_mut().filter(|one| !one.is_sent) {
            one.is_sent = true;
            self.owed += 1;
            let text = one.stamp.text(&reading.name, Sent::default(), 0);
            let message = Message {
                author: Author {
                    session: connection.member.session,
                    name: connection.name.clone(),
                    account: None,
                },
                nonce: one.nonce,
                at_ms: 0,
                content: Content::Text(text.parse().expect("a text")),
            };
            let draft = Draft {
                session: connection.member.session,
                nonce: one.nonce,
                frame: LaneFrame::from(message).to_bytes(),
                topic: None,
            };
            let hub = &connection.hub;
            hub.publish(&reading.joined, draft);
        }
    }
}

impl Book {
    /// Counts a lane's frames, as `docs/PROTOCOL.md` says.
    fn read(&self, reader: ReaderId, reading: &mut Reading, frames: &[u8]) {
        let mut decoder = FrameDecoder::new();
        decoder.push(frames);
        let mut ledger = self.ledger();
        while let Some(raw) = decoder.next().expect("whole frames") {
            let frame = LaneFrame::decode(&raw)
                .expect("a frame")
                .expect("a known kind");
            let (name, counted) = (&reading.name, &mut reading.counted);
            match frame {
                LaneFrame::At(at) => {
                    assert_eq!(at.next, counted.seq.next(), "a mark that counts otherwise");
                    ledger.seam(reader, name, at.epoch);
                    counted.epoch = at.epoch;
                }
                LaneFrame::Gap(gap) => {
                    ledger.gap(reader, name, Cursor::new(gap.epoch, gap.next));
                    *counted = Cursor::new(gap.epoch, gap.next.minus(1));
                }
                LaneFrame::Presence(_) => {}
                frame => {
                    assert!(lane::is_entry(raw.kind), "{frame:?} on a lane");
                    counted.seq = counted.seq.next();
                    ledger.entry(reader, name, *counted, found(&frame, name));
                }
            }
        }
    }
}

/// What an entry is to the ledger.
pub fn found(entry: &LaneFrame, room: &RoomName) -> Found {
    let text = match entry {
        LaneFrame::Message(message) => match &message.content {
            Content::Text(text) => text.as_str(),
            _ => "",
        },
        _ => "",
    };
    Found {
        stamp: Stamp::find(text, room)
            .expect("an undamaged stamp")
            .map(|stamped| stamped.stamp),
        hash: ledger::hash(entry),
    }
}

/// Waits until something is left for the connection.
async fn next_word(outlet: &Outlet) -> Word {
    poll_fn(|cx| {
        let word = outlet.take(cx.waker());
        let is_empty = word.control.is_empty() && word.dirty.is_empty() && word.close.is_none();
        if is_empty {
            Poll::Pending
        } else {
            Poll::Ready(word)
        }
    })
    .await
}

/// Messages of a room a person sends before it waits for an ack.
const IN_FLIGHT_MAX: usize = 24;

const SLICE_BYTES: usize = 4 * 1024;

const REQUEST_TIMEOUT: Duration = Duration::from_secs(3);
