//! The model is right if a real Redis answers the same: random steps on both, every answer compared.

use std::collections::HashMap;
use std::time::Duration;

use chat_node::backplane::redis::{Redis, RedisOptions};
use chat_node::backplane::{Attachment, Backplane, Batch, Draft, LogBounds, Outcome, Page};
use chat_protocol::lane::{LaneFrame, Notice, NoticeLevel};
use chat_protocol::{Cursor, Epoch, Frame, Nonce, RoomName, Seq, SessionId};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::model::{self, Key, Loss, Model};
use crate::support::redis::RedisServer;

/// Plays `steps` steps from a seed on the model and on a server of its own.
pub async fn play(seed: u64, steps: u32) {
    let mut chance = StdRng::seed_from_u64(seed);
    let entries_max = *[5, 30, 10_000].choose(&mut chance).unwrap();
    let mut both = Both::start(entries_max).await;
    for step in 0..steps {
        both.at = format!("seed {seed}, step {step}");
        both.step(&mut chance).await;
    }
    both.stop().await;
}

struct Both {
    model: Model,
    saved: Option<Model>,
    server: RedisServer,
    backplane: std::sync::Arc<dyn Backplane>,
    tasks: TaskTracker,
    stop: CancellationToken,
    room: RoomName,
    /// Epochs of the server and those of the model that they are.
    epochs: HashMap<Epoch, Epoch>,
    /// Places that were told, as the server named them.
    places: Vec<Cursor>,
    at: String,
}

impl Both {
    async fn start(entries_max: u64) -> Self {
        let server = RedisServer::start().await;
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let options = RedisOptions {
            bounds: LogBounds {
                entries_max,
                ..LogBounds::default()
            },
            ..RedisOptions::new(server.url(), "differential")
        };
        // Nobody reads the events: what is announced is another test's.
        let Attachment { backplane, .. } = Redis::attach(options, &tasks, &stop).unwrap();
        Self {
            model: Model::new(entries_max),
            saved: None,
            server,
            backplane,
            tasks,
            stop,
            room: "lobby".parse().unwrap(),
            epochs: HashMap::new(),
            places: Vec::new(),
            at: String::new(),
        }
    }

    async fn stop(self) {
        self.stop.cancel();
        drop(self.backplane);
        self.tasks.close();
        self.tasks.wait().await;
    }

    async fn step(&mut self, chance: &mut StdRng) {
        match chance.random_range(0..100) {
            0..50 => self.append(chance).await,
            50..80 => self.read(chance).await,
            80..88 => self.head().await,
            88..90 => {
                let _: () = self.server.ask(&["FLUSHALL"]).await;
                self.model.lose(Loss::Flush);
            }
            90..93 => {
                let (key, name) = *[
                    (Key::Log, "chat:{lobby}:log"),
                    (Key::Meta, "chat:{lobby}:meta"),
                    (Key::Senders, "chat:{lobby}:senders"),
                ]
                .choose(chance)
                .unwrap();
                let _: u64 = self.server.ask(&["DEL", name]).await;
                self.model.lose(Loss::Key(key));
            }
            93..95 => {
                let _: () = self.server.ask(&["SAVE"]).await;
                self.saved = Some(self.model.clone());
            }
            95..97 => self.restart().await,
            _ => {
                let _: () = self.server.ask(&["SCRIPT", "FLUSH"]).await;
            }
        }
    }

    /// The server crashes and has what it saved last.
    async fn restart(&mut self) {
        self.server.kill();
        self.server.run(&[]).await;
        let saved = self.saved.clone();
        self.model.roll_back(saved.unwrap_or_else(|| Model::new(0)));
        let heads = || async { self.backplane.heads(&[]).await.is_ok() };
        while !heads().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn append(&mut self, chance: &mut StdRng) {
        let known = self.some_place(chance);
        let drafts = (0..chance.random_range(1..6)).map(|_| {
            let notice = Notice {
                at_ms: chance.random_range(0..1_000_000),
                level: NoticeLevel::Info,
                text: "differential".parse().unwrap(),
            };
            let topic = chance
                .random_bool(0.1)
                .then(|| format!("topic {}", notice.at_ms).parse().unwrap());
            Draft {
                session: SessionId(chance.random_range(1..4)),
                nonce: Nonce(chance.random_range(1..60)),
                frame: LaneFrame::from(notice).to_bytes(),
                topic,
            }
        });
        let batch = Batch {
            known,
            drafts: drafts.collect(),
        };
        let answer = self.insist(async |both| both.backplane.append(&both.room, &batch).await.ok());
        let found = answer.await.outcomes;
        let batch = Batch {
            known: known.map(|known| self.to_model(known)),
            ..batch
        };
        let (expected, _) = self.model.append(&self.room, &batch);
        assert_eq!(found.len(), expected.len(), "{}", self.at);
        for (found, expected) in found.into_iter().zip(expected) {
            let found = match found {
                Outcome::At { cursor, repeated } => {
                    self.places.push(cursor);
                    let Outcome::At { cursor: same, .. } = expected else {
                        panic!("{}: {found:?}, not {expected:?}", self.at);
                    };
                    self.learn(cursor.epoch, same.epoch);
                    let cursor = self.to_model(cursor);
                    Outcome::At { cursor, repeated }
                }
                Outcome::NonceTooOld => found,
            };
            assert_eq!(found, expected, "{}", self.at);
        }
    }

    async fn read(&mut self, chance: &mut StdRng) {
        let entries = chance.random_range(1..20);
        let after = self.some_place(chance);
        let found = self.insist(async |both| match after {
            Some(after) => both.backplane.read(&both.room, after, entries).await.ok(),
            None => both.backplane.read_last(&both.room, entries).await.ok(),
        });
        let found = found.await;
        let after = after.map(|after| self.to_model(after));
        let expected = self.model.read(&self.room, after, entries);
        self.learn(found.head.epoch, expected.head.epoch);
        self.places.push(found.head);
        let summary = |page: &Page, head| (head, page.first, page.topic.clone(), page.continuation);
        assert_eq!(
            summary(&found, self.to_model(found.head)),
            summary(&expected, expected.head),
            "{}",
            self.at
        );
        let frames = |page: &Page| {
            let entries = model::entries(&page.blocks).into_iter();
            entries
                .map(|(place, frame)| (place.seq, frame))
                .collect::<Vec<_>>()
        };
        // How many come at once is for each to say, but for none.
        let (found, expected) = (frames(&found), frames(&expected));
        let len = found.len().min(expected.len());
        assert_eq!(found.is_empty(), expected.is_empty(), "{}", self.at);
        match after {
            Some(_) => assert_eq!(found[..len], expected[..len], "{}", self.at),
            None => assert_eq!(found, expected, "{}", self.at),
        }
    }

    async fn head(&mut self) {
        let rooms = [self.room.clone()];
        let found = self.insist(async |both| both.backplane.heads(&rooms).await.ok());
        let (found, expected) = (found.await[0], self.model.head(&self.room));
        if let (Some(found), Some(expected)) = (found, expected) {
            self.learn(found.epoch, expected.epoch);
        }
        let found = found.map(|head| self.to_model(head));
        assert_eq!(found, expected, "{}", self.at);
    }

    /// A place that was told, a little beyond one, one that never was, or none.
    fn some_place(&self, chance: &mut StdRng) -> Option<Cursor> {
        let place = *self.places.choose(chance)?;
        match chance.random_range(0..10) {
            0..4 => self.places.last().copied(),
            4..7 => Some(place),
            7 => Some(Cursor::new(
                place.epoch,
                place.seq.plus(chance.random_range(0..4)),
            )),
            8 => Some(Cursor::new(Epoch(u64::MAX), Seq(chance.random_range(0..9)))),
            _ => None,
        }
    }

    /// An epoch of the server is one of the model's, and no other is.
    fn learn(&mut self, found: Epoch, expected: Epoch) {
        let known = *self.epochs.entry(found).or_insert(expected);
        assert_eq!(known, expected, "{}: another epoch", self.at);
        let names = self.epochs.values().filter(|epoch| **epoch == expected);
        assert_eq!(names.count(), 1, "{}: two epochs for one", self.at);
    }

    /// A place of the server as the model names it. An epoch that never was is none of the model's.
    fn to_model(&self, place: Cursor) -> Cursor {
        let epoch = self.epochs.get(&place.epoch).copied();
        Cursor::new(epoch.unwrap_or(Epoch(u64::MAX)), place.seq)
    }

    /// A connection may have been lost with its server: asked again, everything has the same answer.
    async fn insist<T>(&self, mut ask: impl AsyncFnMut(&Self) -> Option<T>) -> T {
        loop {
            if let Some(answer) = ask(self).await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
