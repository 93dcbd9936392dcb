//! A Redis that forgets or goes back, as users live through it: `chat-node` processes, a real Redis,
//! clients over QUIC who have joined and read. Each is told once that the log began anew, reads on in
//! the new epoch, and never sees a place twice.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on may panic anywhere"
)]

mod support;

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use chat_client::{Client, ConnectError, Event, Events, Room, Start, Trust, protocol};
use protocol::lane::GapReason;
use protocol::{Content, Cursor, Seq};
use support::process::{NodeCommand, NodeProcess};
use support::redis::RedisServer;
use support::soon;
use tempfile::TempDir;

/// Two nodes on a Redis, and two people on each of them who have joined the lobby.
struct Cluster {
    home: TempDir,
    redis: RedisServer,
    nodes: [NodeProcess; 2],
    people: Vec<Person>,
    /// What each place was given to, by acks and by everybody's reading.
    places: HashMap<Cursor, String>,
}

impl Cluster {
    async fn start() -> Self {
        let home = tempfile::tempdir().unwrap();
        let redis = RedisServer::start().await;
        let node = || {
            NodeCommand::new(home.path())
                .redis(&redis.address())
                .args(&["--grace", "1s", "--lease", "3s"])
                .start()
        };
        let nodes = [node(), node()];
        let mut people = Vec::new();
        for index in 0..4 {
            let node = &nodes[index % 2];
            let name = format!("user{index}");
            people.push(Person::join(home.path(), &name, node, Start::Live).await);
        }
        Self {
            home,
            redis,
            nodes,
            people,
            places: HashMap::new(),
        }
    }

    fn note(&mut self, cursor: Cursor, text: &str) {
        let before = self.places.insert(cursor, text.to_owned());
        assert!(
            before.as_deref().is_none_or(|before| before == text),
            "{cursor} is {before:?} and {text:?}"
        );
    }

    /// The first person publishes a text; everybody reads on until it comes. Gives its place and
    /// what each of them was told to be missing until then.
    async fn say(&mut self, text: &str) -> (Cursor, Vec<Vec<Told>>) {
        let delivery = self.people[0].lobby.publish_text(text).unwrap();
        let cursor = soon("an ack", delivery).await.unwrap();
        (cursor, self.read_until(cursor, text).await)
    }

    /// Everybody reads on until this entry comes.
    async fn read_until(&mut self, cursor: Cursor, text: &str) -> Vec<Vec<Told>> {
        self.note(cursor, text);
        let (mut all, mut seen) = (Vec::new(), Vec::new());
        for person in &mut self.people {
            let (told, entries) = person.read_until(cursor).await;
            all.push(told);
            seen.extend(entries);
        }
        for (cursor, text) in seen {
            self.note(cursor, &text);
        }
        all
    }

    /// Several texts in one epoch without a hole; gives the last place.
    async fn say_seamlessly(&mut self, texts: &[&str]) -> Cursor {
        let mut last: Option<Cursor> = None;
        for text in texts {
            let (cursor, told) = self.say(text).await;
            assert_eq!(told, nothing(4), "{text}");
            if let Some(last) = last {
                assert_eq!(cursor, Cursor::new(last.epoch, last.seq.next()), "{text}");
            }
            last = Some(cursor);
        }
        last.unwrap()
    }

    /// Waits until everybody was told that the log began anew, without anybody publishing; gives the
    /// epoch's first place.
    async fn all_are_told(&mut self, lost: Cursor) -> Cursor {
        let mut nexts = Vec::new();
        for person in &mut self.people {
            let told = person.until_told().await;
            assert_eq!((told.reason, told.from), (GapReason::Diverged, Some(lost)));
            nexts.push(told.next);
        }
        nexts.dedup();
        assert_eq!(nexts.len(), 1, "all in the same epoch: {nexts:?}");
        assert_ne!(nexts[0].epoch, lost.epoch);
        nexts[0]
    }
}

/// What a reader is told to be missing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Told {
    reason: GapReason,
    from: Option<Cursor>,
    next: Cursor,
}

/// Nothing, for each of them.
fn nothing(people: usize) -> Vec<Vec<Told>> {
    vec![Vec::new(); people]
}

/// Each was told once that what is after `lost` began anew with `first`.
fn assert_told_once(told: &[Vec<Told>], lost: Cursor, first: Cursor) {
    let once = Told {
        reason: GapReason::Diverged,
        from: Some(lost),
        next: first,
    };
    assert_ne!(first.epoch, lost.epoch);
    assert_eq!(told, vec![vec![once]; told.len()]);
}

/// A client in the lobby.
struct Person {
    _client: Client,
    events: Events,
    lobby: Room,
    /// What the next entry must be, once something was read.
    next: Option<Seq>,
}

impl Person {
    async fn join(home: &Path, name: &str, node: &NodeProcess, start: Start) -> Self {
        let connecting = async {
            loop {
                let connected = Client::builder()
                    .target(node.target())
                    .name(name)
                    .trust(Trust::Development {
                        dir: Some(home.join("chat/certs")),
                    })
                    .connect()
                    .await;
                match connected {
                    // The node has not noticed yet that its Redis is back.
                    Err(ConnectError::Refused {
                        retryable: true, ..
                    }) => tokio::time::sleep(Duration::from_millis(20)).await,
                    connected => return connected.unwrap(),
                }
            }
        };
        let (client, events) = soon("connects", connecting).await;
        let lobby = soon("joins the lobby", client.join("lobby", start))
            .await
            .unwrap();
        Self {
            _client: client,
            events,
            lobby,
            next: None,
        }
    }

    /// The next entry or hole. Entries follow each other without a hole that is not told, and none
    /// comes twice. The connection must hold: the loss is not the client's business.
    async fn next(&mut self) -> Result<(Cursor, String), Told> {
        let events = &mut self.events;
        let next = async {
            loop {
                match events.next().await.expect("the client goes on") {
                    Event::Message {
                        cursor, message, ..
                    } => match message.content {
                        Content::Text(text) => return Ok((cursor, text.as_str().to_owned())),
                        other => panic!("{other:?}"),
                    },
                    Event::Gap {
                        reason, from, next, ..
                    } => return Err(Told { reason, from, next }),
                    Event::Disconnected { reason, .. } => panic!("{reason:?}"),
                    _ => {}
                }
            }
        };
        let next = soon("an entry or a hole", next).await;
        match &next {
            Ok((cursor, text)) => {
                assert_eq!(cursor.seq, self.next.unwrap_or(cursor.seq), "{text}");
                self.next = Some(cursor.seq.next());
            }
            Err(told) => self.next = Some(told.next.seq),
        }
        next
    }

    /// Holes and entries up to this one.
    async fn read_until(&mut self, last: Cursor) -> (Vec<Told>, Vec<(Cursor, String)>) {
        let (mut told, mut entries) = (Vec::new(), Vec::new());
        loop {
            match self.next().await {
                Ok((cursor, text)) => {
                    entries.push((cursor, text));
                    if cursor == last {
                        return (told, entries);
                    }
                }
                Err(hole) => told.push(hole),
            }
        }
    }

    /// The next thing, which must be a hole.
    async fn until_told(&mut self) -> Told {
        self.next().await.expect_err("a hole, and nothing else")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn live_readers_are_told_once_of_each_flush_and_read_on() {
    let mut cluster = Cluster::start().await;
    let mut last = cluster.say_seamlessly(&["one", "two", "three"]).await;
    // Nobody publishes: the nodes notice by themselves.
    for round in 0..2 {
        cluster.redis.ask::<()>(&["FLUSHALL"]).await;
        let next = cluster.all_are_told(last).await;
        let texts = [format!("{round} first"), format!("{round} second")];
        let (first, told) = cluster.say(&texts[0]).await;
        assert_eq!((first, told), (next, nothing(4)), "told once");
        last = cluster.say_seamlessly(&[&texts[1]]).await;
        assert_eq!(last, Cursor::new(first.epoch, first.seq.next()));
    }
    // Somebody publishes right after it.
    cluster.redis.ask::<()>(&["FLUSHALL"]).await;
    let (first, told) = cluster.say("right after").await;
    assert_told_once(&told, last, first);
    let next = cluster.say_seamlessly(&["and on", "and on again"]).await;
    assert_eq!(next, Cursor::new(first.epoch, Seq(first.seq.0 + 2)));
}

/// What follows when the log went back to `kept`, after everybody had read up to `lost`. The first
/// `again` entries are read again: of all that is left when it is not known what they have of it.
async fn reads_on(cluster: &mut Cluster, kept: Cursor, lost: Cursor, again: u64) -> Cursor {
    let next = cluster.all_are_told(lost).await;
    let (first, told) = cluster.say(&format!("after {lost}")).await;
    assert_eq!(told, nothing(4), "told once");
    assert_eq!(first, Cursor::new(next.epoch, Seq(next.seq.0 + again)));
    let last = cluster.say_seamlessly(&["and on", "and on again"]).await;
    assert_eq!(last, Cursor::new(first.epoch, Seq(first.seq.0 + 2)));
    // Those who come back are told by where they stand: beyond what is left, or not.
    for (after, is_beyond) in [(lost, true), (kept, false)] {
        for node in &cluster.nodes {
            let start = Start::After(after);
            let mut person = Person::join(cluster.home.path(), "late", node, start).await;
            let (told, entries) = person.read_until(last).await;
            let diverged: Vec<Told> = told
                .into_iter()
                .filter(|told| told.reason == GapReason::Diverged)
                .collect();
            let from = if is_beyond { next } else { first };
            let once = Told {
                reason: GapReason::Diverged,
                from: Some(lost),
                next,
            };
            assert_eq!(diverged, Vec::from_iter(is_beyond.then_some(once)));
            let cursors: Vec<Cursor> = entries.iter().map(|(cursor, _)| *cursor).collect();
            let expected: Vec<Cursor> = (from.seq.0..=last.seq.0)
                .map(|seq| Cursor::new(first.epoch, Seq(seq)))
                .collect();
            assert_eq!(cursors, expected);
        }
    }
    last
}

#[tokio::test(flavor = "multi_thread")]
async fn live_readers_beyond_an_older_snapshot_are_told_once_and_read_on() {
    let mut cluster = Cluster::start().await;
    let kept = cluster.say_seamlessly(&["one", "two", "three"]).await;
    cluster.redis.ask::<()>(&["SAVE"]).await;
    let mut lost = cluster.say_seamlessly(&["four", "five", "six"]).await;
    assert_eq!(lost, Cursor::new(kept.epoch, Seq(6)));
    // The second time from the same snapshot, which knows nothing of the epoch in between.
    for again in [0, 3] {
        cluster.redis.kill();
        cluster.redis.run(&[]).await;
        lost = reads_on(&mut cluster, kept, lost, again).await;
    }
    // What is published while it is away comes once, in the new epoch.
    cluster.redis.ask::<()>(&["SAVE"]).await;
    let lost = cluster.say_seamlessly(&["seven", "eight"]).await;
    cluster.redis.kill();
    let delivery = cluster.people[0].lobby.publish_text("meanwhile").unwrap();
    cluster.redis.run(&[]).await;
    let first = soon("an ack", delivery).await.unwrap();
    let told = cluster.read_until(first, "meanwhile").await;
    assert_told_once(&told, lost, first);
    cluster.say_seamlessly(&["and on", "and on again"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn live_readers_beyond_a_promoted_replica_are_told_once_and_read_on() {
    let mut cluster = Cluster::start().await;
    let kept = cluster.say_seamlessly(&["one", "two", "three"]).await;
    let replica = RedisServer::start().await;
    replica.follow(&cluster.redis).await;
    soon("a copy", async {
        while replica
            .ask::<Option<u64>>(&["HGET", "chat:{lobby}:meta", "seq"])
            .await
            != Some(3)
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    // Its link is down from here on.
    replica.follow(&RedisServer::stopped()).await;
    let lost = cluster.say_seamlessly(&["four", "five", "six"]).await;
    cluster.redis.kill();
    replica.promote(&cluster.redis).await;
    reads_on(&mut cluster, kept, lost, 0).await;
}
