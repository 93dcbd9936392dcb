//! What every backplane promises, checked on each of them.
#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(unreachable_pub, reason = "shared by test binaries, public to nobody")]
#![allow(clippy::unwrap_used, reason = "all of it is test")]

pub mod hints;
pub mod log;
pub mod nodes;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chat_node::backplane::memory::Memory;
use chat_node::backplane::redis::{Redis, RedisOptions};
use chat_node::backplane::{
    Appended, Attachment, Backplane, Batch, Block, Draft, Event, LogBounds, Outcome, Page,
};
use chat_protocol::lane::{LaneFrame, Notice, NoticeLevel};
use chat_protocol::{Cursor, Epoch, Frame, FrameDecoder, Nonce, RoomName, Seq, SessionId};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::support::redis::RedisServer;

/// A backplane under test, for any number of nodes.
pub struct Cluster {
    kind: Kind,
    bounds: LogBounds,
    tracker: TaskTracker,
    stop: CancellationToken,
}

enum Kind {
    Memory(Arc<Memory>),
    Redis(Box<RedisServer>),
}

/// Which backplane a contract is checked on.
#[derive(Clone, Copy)]
pub enum On {
    Memory,
    Redis,
}

impl On {
    pub async fn start(self) -> Cluster {
        self.start_with(LogBounds::default()).await
    }

    pub async fn start_with(self, bounds: LogBounds) -> Cluster {
        let kind = match self {
            Self::Memory => Kind::Memory(Memory::with_bounds(bounds)),
            Self::Redis => Kind::Redis(Box::new(RedisServer::start().await)),
        };
        Cluster::new(kind, bounds)
    }
}

impl Cluster {
    fn new(kind: Kind, bounds: LogBounds) -> Self {
        let (tracker, stop) = (TaskTracker::new(), CancellationToken::new());
        Self {
            kind,
            bounds,
            tracker,
            stop,
        }
    }

    /// A cluster on a server that a test does things to.
    pub fn on(server: RedisServer) -> Self {
        Self::new(Kind::Redis(Box::new(server)), LogBounds::default())
    }

    /// The server under it.
    pub fn server(&mut self) -> &mut RedisServer {
        match &mut self.kind {
            Kind::Redis(server) => server,
            Kind::Memory(_) => panic!("there is no server"),
        }
    }

    /// The server under it, to ask it something.
    pub fn server_ref(&self) -> &RedisServer {
        match &self.kind {
            Kind::Redis(server) => server,
            Kind::Memory(_) => panic!("there is no server"),
        }
    }

    /// Returns when the tasks of all nodes, which were dropped, have ended.
    pub async fn stopped(&self) {
        self.tracker.close();
        within(self.tracker.wait()).await;
    }

    /// Attaches one more node.
    pub fn node(&self) -> Node {
        let Attachment { backplane, events } = match &self.kind {
            Kind::Memory(memory) => memory.attach(),
            Kind::Redis(server) => {
                let options = RedisOptions {
                    bounds: self.bounds,
                    ..RedisOptions::new(server.url(), "node-under-test")
                };
                Redis::attach(options, &self.tracker, &self.stop).unwrap()
            }
        };
        Node { backplane, events }
    }
}

/// A node's end.
pub struct Node {
    pub backplane: Arc<dyn Backplane>,
    pub events: mpsc::Receiver<Event>,
}

impl Node {
    pub async fn append(&self, room: &str, drafts: Vec<Draft>) -> Vec<Outcome> {
        self.append_knowing(room, None, drafts).await
    }

    pub async fn repeat_of(&self, room: &str, session: SessionId, nonce: u64) -> Option<Outcome> {
        let room = name(room);
        let found = self.backplane.repeat_of(&room, session, Nonce(nonce));
        found.await.unwrap()
    }

    pub async fn append_knowing(
        &self,
        room: &str,
        known: Option<Cursor>,
        drafts: Vec<Draft>,
    ) -> Vec<Outcome> {
        let batch = Batch { known, drafts };
        let Appended { outcomes } = self.backplane.append(&name(room), &batch).await.unwrap();
        outcomes
    }

    /// Appends as a room does: the same drafts again until they are acknowledged.
    pub async fn insist(&self, room: &str, drafts: Vec<Draft>) -> Vec<Outcome> {
        let (room, batch) = (
            name(room),
            Batch {
                known: None,
                drafts,
            },
        );
        within(async {
            loop {
                if let Ok(appended) = self.backplane.append(&room, &batch).await {
                    return appended.outcomes;
                }
            }
        })
        .await
    }

    /// Appends one draft that must be new.
    pub async fn say(&self, room: &str, session: u64, nonce: u64, text: &str) -> Cursor {
        let outcomes = self.append(room, vec![draft(session, nonce, text)]).await;
        match outcomes[..] {
            [
                Outcome::At {
                    cursor,
                    repeated: false,
                },
            ] => cursor,
            ref other => panic!("{other:?}"),
        }
    }

    pub async fn read(&self, room: &str, after: Cursor, entries_max: u32) -> Page {
        self.backplane
            .read(&name(room), after, entries_max)
            .await
            .unwrap()
    }

    pub async fn read_last(&self, room: &str, entries: u32) -> Page {
        self.backplane
            .read_last(&name(room), entries)
            .await
            .unwrap()
    }

    /// Everything the log of the room has.
    pub async fn all(&self, room: &str) -> Vec<String> {
        texts(&self.read_last(room, u32::MAX).await.blocks)
    }

    pub async fn subscribe(&self, room: &str) {
        self.backplane.subscribe(&name(room)).await.unwrap();
    }

    /// The next event that matches.
    pub async fn event<T>(&mut self, mut pick: impl FnMut(Event) -> Option<T>) -> T {
        within(async {
            loop {
                let event = self.events.recv().await.expect("the backplane goes on");
                if let Some(picked) = pick(event) {
                    return picked;
                }
            }
        })
        .await
    }

    /// The next announced block.
    pub async fn block(&mut self) -> (String, Block) {
        self.event(|event| match event {
            Event::Announced { room, block } => Some((room.as_str().to_owned(), block)),
            _ => None,
        })
        .await
    }

    /// The next whisper.
    pub async fn whisper(&mut self) -> (String, Bytes) {
        self.event(|event| match event {
            Event::Whispered { room, whisper } => Some((room.as_str().to_owned(), whisper)),
            _ => None,
        })
        .await
    }

    /// The next gossip.
    pub async fn gossip(&mut self) -> String {
        self.event(|event| match event {
            Event::Gossip(bytes) => Some(String::from_utf8(bytes.to_vec()).unwrap()),
            _ => None,
        })
        .await
    }
}

/// Fails when a future takes longer than any healthy backplane does.
pub async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(15), future)
        .await
        .expect("it takes too long")
}

/// Tries until it holds.
pub async fn until<F: Future<Output = bool>>(mut holds: impl FnMut() -> F) {
    within(async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

pub fn name(room: &str) -> RoomName {
    RoomName::try_from(room.to_owned()).unwrap()
}

pub fn draft(session: u64, nonce: u64, text: &str) -> Draft {
    let notice = Notice {
        at_ms: 0,
        level: NoticeLevel::Info,
        text: text.parse().unwrap(),
    };
    Draft {
        session: SessionId(session),
        nonce: Nonce(nonce),
        frame: LaneFrame::from(notice).to_bytes(),
        topic: None,
    }
}

/// Drafts of one session with nonces and texts from `first` on.
pub fn drafts(session: u64, first: u64, len: u64) -> Vec<Draft> {
    (first..first + len)
        .map(|nonce| draft(session, nonce, &nonce.to_string()))
        .collect()
}

/// The texts in blocks, which must be what they say.
pub fn texts(blocks: &[Block]) -> Vec<String> {
    let mut decoder = FrameDecoder::new();
    for block in blocks {
        assert_eq!(block.ends().unwrap().len(), block.len as usize);
        decoder.push(&block.frames);
    }
    let mut texts = Vec::new();
    while let Some(raw) = decoder.next().unwrap() {
        match LaneFrame::decode(&raw).unwrap() {
            Some(LaneFrame::Notice(notice)) => texts.push(notice.text.as_str().to_owned()),
            other => panic!("{other:?}"),
        }
    }
    texts
}

/// `from..=to` as texts.
pub fn numbers(from: u64, to: u64) -> Vec<String> {
    (from..=to).map(|number| number.to_string()).collect()
}

/// The place of an outcome that has one, and whether it is a repeat.
pub fn place(outcome: Outcome) -> (Cursor, bool) {
    match outcome {
        Outcome::At { cursor, repeated } => (cursor, repeated),
        Outcome::NonceTooOld => panic!("too old"),
    }
}

/// The seqs of outcomes that are all new.
pub fn seqs(outcomes: &[Outcome]) -> Vec<u64> {
    let seq = |&outcome: &Outcome| {
        let (cursor, repeated) = place(outcome);
        assert!(!repeated);
        cursor.seq.0
    };
    outcomes.iter().map(seq).collect()
}

pub fn at(epoch: Epoch, seq: u64) -> Cursor {
    Cursor::new(epoch, Seq(seq))
}
