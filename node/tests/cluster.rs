//! The cluster as users have it: `chat-node` processes, a real Redis, clients over QUIC.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on may panic anywhere"
)]

mod support;

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use chat_client::{
    Client, Event, Events, PresenceChange, RequestError, Room, Start, Trust, protocol,
};
use protocol::{Content, Cursor, ErrorCode, RoomName};
use support::process::{NodeCommand, NodeProcess};
use support::redis::RedisServer;
use support::soon;
use tempfile::TempDir;

/// A cluster with its own Redis. Everything ends with it.
struct Cluster {
    home: TempDir,
    redis: RedisServer,
}

impl Cluster {
    async fn start() -> Self {
        Self {
            home: tempfile::tempdir().unwrap(),
            redis: RedisServer::start().await,
        }
    }

    /// A node with short times, so that tests need not wait for what takes long by choice.
    fn node(&self) -> NodeCommand {
        NodeCommand::new(self.home.path())
            .redis(&self.redis.address())
            .args(QUICK)
    }

    async fn client(&self, name: &str, nodes: &[&NodeProcess]) -> Person {
        Person::connect(self.home.path(), name, nodes).await
    }
}

const QUICK: &[&str] = &["--idle-timeout", "6s", "--grace", "1s", "--lease", "3s"];

/// A client in the lobby.
struct Person {
    client: Client,
    events: Events,
    lobby: Room,
}

impl Person {
    async fn connect(home: &Path, name: &str, nodes: &[&NodeProcess]) -> Self {
        let (client, events) = connect(home, name, nodes).await;
        let lobby = soon("joins the lobby", client.join("lobby", Start::Live))
            .await
            .unwrap();
        Self {
            client,
            events,
            lobby,
        }
    }

    async fn say(&self, text: &str) -> Cursor {
        let delivery = self.lobby.publish_text(text).unwrap();
        soon("an ack", delivery).await.unwrap()
    }

    /// The first event that `pick` picks.
    async fn until<T>(&mut self, what: &str, mut pick: impl FnMut(Event) -> Option<T>) -> T {
        let picked = async {
            loop {
                let event = self.events.next().await.expect("the client goes on");
                if let Some(picked) = pick(event) {
                    return picked;
                }
            }
        };
        soon(what, picked).await
    }

    /// The next messages, as (seq, text).
    async fn messages(&mut self, len: usize) -> Vec<(Cursor, String)> {
        let mut messages = Vec::new();
        while messages.len() < len {
            messages.push(self.until("a message", message).await);
        }
        messages
    }

    async fn sees(&mut self, change: PresenceChange) {
        self.until(&format!("{change:?}"), |event| match event {
            Event::Presence { changes, .. } if changes.contains(&change) => Some(()),
            _ => None,
        })
        .await;
    }
}

async fn connect(home: &Path, name: &str, nodes: &[&NodeProcess]) -> (Client, Events) {
    let connecting = Client::builder()
        .targets(nodes.iter().map(|node| node.target()))
        .name(name)
        .trust(Trust::Development {
            dir: Some(home.join("chat/certs")),
        })
        .connect();
    soon("connects", connecting).await.unwrap()
}

fn message(event: Event) -> Option<(Cursor, String)> {
    match event {
        Event::Message {
            cursor, message, ..
        } => match message.content {
            Content::Text(text) => Some((cursor, text.as_str().to_owned())),
            _ => None,
        },
        _ => None,
    }
}

fn joined(name: &str) -> PresenceChange {
    PresenceChange::Joined(name.parse().unwrap())
}

fn left(name: &str) -> PresenceChange {
    PresenceChange::Left(name.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_sees_the_same_messages_in_the_same_order() {
    let cluster = Cluster::start().await;
    let nodes = [
        cluster.node().start(),
        cluster.node().start(),
        cluster.node().start(),
    ];
    let mut people = Vec::new();
    for (index, node) in nodes.iter().chain(&nodes).enumerate() {
        people.push(cluster.client(&format!("user{index}"), &[node]).await);
    }
    let mut sent = HashSet::new();
    for round in 0..40 {
        for (index, person) in people.iter().enumerate() {
            let text = format!("{index} {round}");
            // Without waiting for the ack: all of them at once.
            drop(person.lobby.publish_text(&text).unwrap());
            sent.insert(text);
        }
    }
    let mut first = Vec::new();
    for person in &mut people {
        let seen = person.messages(sent.len()).await;
        let texts: HashSet<String> = seen.iter().map(|(_, text)| text.clone()).collect();
        assert_eq!(texts, sent, "all of them, each once");
        for pair in seen.windows(2) {
            assert_eq!(pair[0].0.seq.next(), pair[1].0.seq, "no hole");
        }
        for author in 0..6 {
            let own: Vec<&String> = seen
                .iter()
                .map(|(_, text)| text)
                .filter(|text| text.starts_with(&format!("{author} ")))
                .collect();
            let expected: Vec<String> = (0..40).map(|round| format!("{author} {round}")).collect();
            assert_eq!(own, expected.iter().collect::<Vec<_>>(), "a sender's order");
        }
        if first.is_empty() {
            first = seen;
        } else {
            assert_eq!(first, seen);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notice_comes_once_whatever_the_number_of_nodes_also_with_one_killed() {
    let cluster = Cluster::start().await;
    let command = cluster
        .node()
        .args(&["--notice-every", "1s", "--notice-text", "tick"]);
    let (one, two, three) = (command.start(), command.start(), command.start());
    let mut ann = cluster.client("ann", &[&one]).await;
    let mut bo = cluster.client("bo", &[&two]).await;
    let notice = |event| match event {
        Event::Notice { cursor, notice, .. } => Some((cursor.seq.0, notice.at_ms)),
        _ => None,
    };
    let mut seen = Vec::new();
    for round in 0..5 {
        seen.push(ann.until("a notice", notice).await);
        if round == 1 {
            // Nobody's client is on it: the notices go on all the same.
            let _ = bo.until("a notice", notice).await;
        }
    }
    three.kill();
    for _ in 0..3 {
        seen.push(ann.until("a notice after the kill", notice).await);
    }
    for pair in seen.windows(2) {
        assert_eq!(pair[0].0 + 1, pair[1].0, "one entry a slot: {seen:?}");
        assert_eq!(pair[0].1 + 1_000, pair[1].1, "one slot a second: {seen:?}");
    }
    let last = seen[seen.len() - 1];
    let other = bo
        .until("the same notice", |event| {
            notice(event).filter(|one| *one == last)
        })
        .await;
    assert_eq!(other, last, "the other node's client has the same");
}

#[tokio::test(flavor = "multi_thread")]
async fn coming_and_going_is_told_on_all_nodes() {
    let cluster = Cluster::start().await;
    let (one, two) = (cluster.node().start(), cluster.node().start());
    let mut ann = cluster.client("ann", &[&one]).await;
    let bo = cluster.client("bo", &[&two]).await;
    ann.sees(joined("bo")).await;
    assert_eq!(
        names(&bo.client.members("lobby").await.unwrap()),
        ["ann", "bo"]
    );
    let rooms = bo.client.rooms().await.unwrap();
    assert_eq!((rooms[0].name.as_str(), rooms[0].members), ("lobby", 2));
    bo.client.rename("bob").await.unwrap();
    ann.sees(PresenceChange::Renamed {
        from: "bo".parse().unwrap(),
        to: "bob".parse().unwrap(),
    })
    .await;
    bo.client.close().await;
    ann.sees(left("bob")).await;
    assert_eq!(names(&ann.client.members("lobby").await.unwrap()), ["ann"]);
}

fn names(members: &[protocol::UserName]) -> Vec<&str> {
    members.iter().map(protocol::UserName::as_str).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_leave_of_a_killed_client_is_told_on_all_nodes() {
    let cluster = Cluster::start().await;
    let (one, two) = (cluster.node().start(), cluster.node().start());
    let mut ann = cluster.client("ann", &[&one]).await;
    let mut victim = cli(cluster.home.path(), &["--name", "victim", &two.target()]);
    ann.sees(joined("victim")).await;
    victim.kill().unwrap();
    victim.wait().unwrap();
    ann.sees(left("victim")).await;
}

/// The terminal client as a process, with an input that never ends.
fn cli(home: &Path, args: &[&str]) -> std::process::Child {
    let program = Path::new(env!("CARGO_BIN_EXE_chat-node")).with_file_name("chat-cli");
    assert!(
        program.exists(),
        "{} is missing: cargo build -p chat-cli",
        program.display()
    );
    std::process::Command::new(program)
        .args(args)
        .env_clear()
        .env("XDG_DATA_HOME", home)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("chat-cli starts")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_leave_of_everybody_on_a_killed_node_is_told() {
    let cluster = Cluster::start().await;
    let (one, two) = (cluster.node().start(), cluster.node().start());
    let bo = cluster.client("bo", &[&two]).await;
    let cy = cluster.client("cy", &[&two]).await;
    let mut ann = cluster.client("ann", &[&one]).await;
    soon("both are seen", async {
        while ann.client.members("lobby").await.unwrap().len() < 3 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    two.kill();
    let mut gone = HashSet::new();
    ann.until("both leaves", |event| {
        if let Event::Presence { changes, .. } = event {
            gone.extend(
                changes
                    .into_iter()
                    .filter(|change| [left("bo"), left("cy")].contains(change)),
            );
        }
        (gone.len() == 2).then_some(())
    })
    .await;
    // Their names are free again.
    let (other, _events) = connect(cluster.home.path(), "bo", &[&one]).await;
    assert_eq!(other.session().name.as_str(), "bo");
    drop((bo, cy));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_moves_on_when_its_node_is_killed_and_nothing_is_lost_or_doubled() {
    let cluster = Cluster::start().await;
    let (one, two) = (cluster.node().start(), cluster.node().start());
    let mut bo = cluster.client("bo", &[&two]).await;
    let mut ann = cluster.client("ann", &[&one, &two]).await;
    assert_eq!(ann.client.session().target, one.target());
    let mut deliveries = Vec::new();
    for number in 0..100 {
        deliveries.push(ann.lobby.publish_text(&number.to_string()).unwrap());
    }
    one.kill();
    for number in 100..200 {
        deliveries.push(ann.lobby.publish_text(&number.to_string()).unwrap());
    }
    let mut cursors = Vec::new();
    for delivery in deliveries {
        cursors.push(soon("an ack", delivery).await.unwrap());
    }
    let expected: Vec<String> = (0..200).map(|number| number.to_string()).collect();
    for person in [&mut bo, &mut ann] {
        let seen = person.messages(200).await;
        let (at, texts): (Vec<Cursor>, Vec<String>) = seen.into_iter().unzip();
        assert_eq!(texts, expected, "each once, in the sender's order");
        assert_eq!(at, cursors, "where their acks say");
    }
    assert_eq!(ann.client.session().target, two.target());
    assert!(ann.client.session().resumed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_unique_in_the_cluster_by_how_it_looks() {
    let cluster = Cluster::start().await;
    let (one, two) = (cluster.node().start(), cluster.node().start());
    let (ann, _ann_events) = connect(cluster.home.path(), "ann", &[&one]).await;
    for (wanted, given) in [("ann", "ann-2"), ("Ann", "Ann-3"), ("аnn", "аnn-4")] {
        let (other, _events) = connect(cluster.home.path(), wanted, &[&two]).await;
        assert_eq!(other.session().name.as_str(), given, "{wanted}");
        match other.rename("ANN").await {
            Err(RequestError::Refused { code, .. }) => {
                assert_eq!(code, ErrorCode::NameTaken.to_wire());
            }
            other => panic!("{other:?}"),
        }
        // Stays while the next tries.
        std::mem::forget(other);
        std::mem::forget(_events);
    }
    ann.rename("zoe").await.unwrap();
    soon("the old name is given back", async {
        loop {
            let (other, events) = connect(cluster.home.path(), "ann", &[&two]).await;
            let name = other.session().name;
            other.close().await;
            drop(events);
            if name.as_str() == "ann" {
                return;
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_direct_message_reaches_a_user_on_another_node_and_nobody_else() {
    let cluster = Cluster::start().await;
    let (one, two) = (cluster.node().start(), cluster.node().start());
    let ann = cluster.client("ann", &[&one]).await;
    let mut bo = cluster.client("bo", &[&two]).await;
    let mut cy = cluster.client("cy", &[&two]).await;
    let room = soon("bo is found", async {
        loop {
            match ann.client.open_direct("bo").await {
                Ok(room) => return room,
                // The other node's news is on its way.
                Err(RequestError::Refused { code, .. })
                    if code == ErrorCode::NoSuchUser.to_wire() => {}
                Err(error) => panic!("{error}"),
            }
        }
    })
    .await;
    let at = soon("an ack", room.publish_text("psst").unwrap())
        .await
        .unwrap();
    let (name, text, from) = bo
        .until("the direct message", |event| match event {
            Event::Message {
                room,
                message,
                cursor,
                ..
            } if cursor == at => Some((room, message.content, message.author.name)),
            _ => None,
        })
        .await;
    assert!(name.is_reserved());
    assert_eq!(
        (text, from.as_str()),
        (Content::Text("psst".parse().unwrap()), "ann")
    );
    let answer = bo.client.room(&name).expect("the node opened it");
    soon("an ack", answer.publish_text("yes?").unwrap())
        .await
        .unwrap();
    ann.say("to everybody").await;
    let (_, text) = cy.until("what everybody gets", message).await;
    assert_eq!(text, "to everybody", "and nothing before it");
    match cy.client.join(name.as_str(), Start::Last(10)).await {
        Err(RequestError::Refused { code, .. }) => assert_eq!(code, ErrorCode::Forbidden.to_wire()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn history_comes_with_a_join_and_a_resume_continues_on_another_node() {
    let cluster = Cluster::start().await;
    let (one, two) = (cluster.node().start(), cluster.node().start());
    let ann = cluster.client("ann", &[&one]).await;
    let mut cursors = Vec::new();
    for number in 0..300 {
        cursors.push(ann.say(&number.to_string()).await);
    }
    // The second node opens the room only now, and keeps fewer entries than are asked for.
    for (start, first) in [
        (Start::Last(250), 50),
        (Start::After(cursors[9]), 10),
        (Start::After(cursors[289]), 290),
    ] {
        let (client, mut events) = connect(cluster.home.path(), "bo", &[&two]).await;
        client.join("lobby", start).await.unwrap();
        let mut seen = Vec::new();
        soon("the history", async {
            while seen.len() < 300 - first {
                match events.next().await.expect("the client goes on") {
                    Event::Message {
                        cursor, history, ..
                    } => {
                        assert!(history);
                        seen.push(cursor);
                    }
                    Event::Gap { reason, .. } => panic!("{reason:?}"),
                    _ => {}
                }
            }
        })
        .await;
        assert_eq!(seen, cursors[first..]);
        client.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn older_messages_can_be_had_on_another_node_and_after_its_death() {
    let cluster = Cluster::start().await;
    let (one, two) = (cluster.node().start(), cluster.node().start());
    let ann = cluster.client("ann", &[&one]).await;
    let mut cursors = Vec::new();
    for number in 0..300 {
        cursors.push(ann.say(&number.to_string()).await);
    }
    let mut bo = cluster.client("bo", &[&two, &one]).await;
    let mut before = Cursor::new(cursors[0].epoch, cursors[299].seq.next());
    let mut two = Some(two);
    let mut older = Vec::new();
    loop {
        let page = soon("a page", bo.lobby.history_before(before, 90)).await;
        let page = page.unwrap();
        assert_eq!((page.gap, page.first), (None, cursors[0]));
        let cursors = page.events.into_iter().map(|event| match event {
            Event::Message {
                cursor,
                history: true,
                own: false,
                ..
            } => cursor,
            other => panic!("{other:?}"),
        });
        older.splice(0..0, cursors);
        // Pages go on where they were when the session has moved.
        drop(two.take());
        match page.before {
            Some(at) => before = at,
            None => break,
        }
    }
    assert_eq!(older, cursors);
    bo.until("the move", |event| match event {
        Event::Connected(welcomed) if welcomed.resumed => Some(()),
        _ => None,
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_that_does_not_read_is_sent_away_and_then_misses_nothing() {
    let cluster = Cluster::start().await;
    let node = cluster
        .node()
        .args(&["--slow-reader-timeout", "2s"])
        .start();
    let ann = cluster.client("ann", &[&node]).await;
    let mut bo = cluster.client("bo", &[&node]).await;
    let mut lazy = cluster.client("lazy", &[&node]).await;
    let text = "x".repeat(1_000);
    let len = 3_000;
    let said = async {
        let mut cursors = Vec::new();
        for _ in 0..len / 100 {
            let burst: Vec<_> = (0..100)
                .map(|_| ann.lobby.publish_text(&text).unwrap())
                .collect();
            for delivery in burst {
                cursors.push(soon("an ack", delivery).await.unwrap());
            }
        }
        cursors
    };
    let (cursors, heard) = tokio::join!(said, bo.messages(len));
    let heard: Vec<Cursor> = heard.into_iter().map(|(cursor, _)| cursor).collect();
    assert_eq!(heard, cursors, "everybody else has all of it");
    // The client's own driver goes on, whatever the application does.
    let sent_away = async {
        while !lazy.client.session().resumed {
            tokio::task::yield_now().await;
        }
    };
    soon("a second session of the lazy one", sent_away).await;
    let mut reasons = Vec::new();
    let mut read = Vec::new();
    let reading = async {
        while read.len() < len {
            match lazy.events.next().await.expect("the client goes on") {
                Event::Message { cursor, .. } => read.push(cursor),
                Event::Disconnected { reason, .. } => reasons.push(reason.code),
                Event::Gap { reason, .. } => panic!("{reason:?}"),
                _ => {}
            }
        }
    };
    soon("all messages", reading).await;
    assert_eq!(read, cursors, "no gap and no repeat");
    let slow_reader = protocol::CloseCode::SlowReader.to_wire();
    assert!(reasons.contains(&Some(slow_reader)), "{reasons:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_waits_for_redis_and_is_ready_when_redis_is() {
    let home = tempfile::tempdir().unwrap();
    let redis = RedisServer::start().await;
    let url = redis.address();
    redis.signal("-STOP");
    let mut starting = NodeCommand::new(home.path())
        .redis(&url)
        .args(QUICK)
        .spawn();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(
        !starting.is_listening(),
        "it does not listen before it can work"
    );
    redis.signal("-CONT");
    let node = tokio::task::spawn_blocking(move || starting.listening())
        .await
        .unwrap();
    Person::connect(home.path(), "ann", &[&node])
        .await
        .say("at last")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_lost_and_found_again_loses_nothing_that_was_acked() {
    let cluster = Cluster::start().await;
    let (one, two) = (cluster.node().start(), cluster.node().start());
    let mut ann = cluster.client("ann", &[&one]).await;
    let mut bo = cluster.client("bo", &[&two]).await;
    ann.say("before").await;
    cluster.redis.signal("-STOP");
    let delivery = ann.lobby.publish_text("while it was away").unwrap();
    ann.until("she is told", |event| {
        matches!(event, Event::BackplaneState { available: false }).then_some(())
    })
    .await;
    cluster.redis.signal("-CONT");
    soon("the ack", delivery).await.unwrap();
    ann.until("she is told again", |event| {
        matches!(event, Event::BackplaneState { available: true }).then_some(())
    })
    .await;
    ann.say("after").await;
    let texts: Vec<String> = bo
        .messages(3)
        .await
        .into_iter()
        .map(|(_, text)| text)
        .collect();
    assert_eq!(texts, ["before", "while it was away", "after"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_subscriber_connection_heals_by_itself() {
    let cluster = Cluster::start().await;
    let (one, two) = (cluster.node().start(), cluster.node().start());
    let ann = cluster.client("ann", &[&one]).await;
    let mut bo = cluster.client("bo", &[&two]).await;
    for round in 0..5 {
        let killed: u32 = cluster
            .redis
            .ask(&["CLIENT", "KILL", "TYPE", "pubsub"])
            .await;
        assert!(killed > 0);
        ann.say(&round.to_string()).await;
        let (_, text) = bo.until("the message", message).await;
        assert_eq!(text, round.to_string());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminated_node_sends_its_clients_on_and_ends_well() {
    let cluster = Cluster::start().await;
    let (mut one, two) = (cluster.node().start(), cluster.node().start());
    let mut bo = cluster.client("bo", &[&two]).await;
    let ann = cluster.client("ann", &[&one]).await;
    bo.sees(joined("ann")).await;
    one.signal("TERM");
    let status = tokio::task::spawn_blocking(move || one.wait(Duration::from_secs(12))).await;
    assert!(status.unwrap().success());
    // She knew only her own node: it told her about the other.
    let at = ann.say("still here").await;
    assert_eq!(ann.client.session().target, two.target());
    bo.until("her message, and no leave", |event| match event {
        Event::Presence { changes, .. } => {
            assert!(!changes.contains(&left("ann")), "a move is no leave");
            None
        }
        event => message(event).filter(|(cursor, _)| *cursor == at),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_prefixes_are_two_clusters() {
    let cluster = Cluster::start().await;
    let one = cluster.node().start();
    let other = cluster.node().args(&["--redis-prefix", "other:"]).start();
    let mut ann = cluster.client("ann", &[&one]).await;
    let namesake = cluster.client("ann", &[&other]).await;
    assert_eq!(namesake.client.session().name.as_str(), "ann");
    namesake.say("not for her").await;
    ann.say("hers").await;
    let (_, text) = ann.until("a message", message).await;
    assert_eq!(text, "hers");
    assert_eq!(ann.lobby.name(), &"lobby".parse::<RoomName>().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_move_to_a_node_that_starts_after_redis_lost_everything() {
    let cluster = Cluster::start().await;
    let one = cluster.node().start();
    let ann = cluster.client("ann", &[&one]).await;
    let before = secret(&cluster.redis).await;
    assert!(before.is_some());
    let _: String = cluster.redis.ask(&["FLUSHALL"]).await;
    soon("the secret is there again", async {
        while secret(&cluster.redis).await != before {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    let two = cluster.node().start();
    one.signal("TERM");
    soon("she moves, as the same session", async {
        while ann.client.session().target != two.target() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    assert!(ann.client.session().resumed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_forgets_leaves_no_name_to_a_second_session() {
    let cluster = Cluster::start().await;
    let (one, two) = (cluster.node().start(), cluster.node().start());
    let _ann = cluster.client("ann", &[&one]).await;
    let _bo = cluster.client("bo", &[&two]).await;
    let losses: [&[&str]; 3] = [
        &["FLUSHALL"],
        &["DEL", "chat:{cluster}:claims"],
        &["DEL", "chat:{cluster}:nodes"],
    ];
    for loss in losses {
        cluster.redis.ask::<redis::Value>(loss).await;
        soon(&format!("names are held again after {loss:?}"), async {
            // The nodes first: what registers them takes claims of those that are not.
            while cluster.redis.ask::<u64>(&["ZCARD", NODES]).await < 2
                || !holds(&cluster.redis, "ann").await
                || !holds(&cluster.redis, "bo").await
            {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
        for (name, node) in [("ann", &one), ("ann", &two), ("bo", &one), ("bo", &two)] {
            let (newcomer, _) = connect(cluster.home.path(), name, &[node]).await;
            let given = newcomer.session().name;
            assert_ne!(given.as_str(), name, "after {loss:?}");
            newcomer.close().await;
        }
    }
}

async fn holds(redis: &RedisServer, name: &str) -> bool {
    redis.ask(&["HEXISTS", "chat:{cluster}:claims", name]).await
}

const NODES: &str = "chat:{cluster}:nodes";

async fn secret(redis: &RedisServer) -> Option<Vec<u8>> {
    redis.ask(&["GET", "chat:{cluster}:secret"]).await
}
