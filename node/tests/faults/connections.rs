//! Connections that are cut, silent or not there yet.

use std::time::Duration;

use bytes::Bytes;
use chat_node::backplane::{
    AppendError, Batch, Claim, Claimed, Event, NodeId, Outcome, RegistryChanges,
};
use chat_protocol::{Cursor, Seq, SessionId};

use crate::contract::{Cluster, Node, On, draft, drafts, name, place, within};
use crate::support::redis::RedisServer;

async fn available(node: &mut Node, wanted: bool) {
    let pick = |event| match event {
        Event::Available(available) => (available == wanted).then_some(()),
        _ => None,
    };
    node.event(pick).await;
}

#[tokio::test]
async fn scripts_that_the_server_forgot_are_loaded_again() {
    let mut cluster = On::Redis.start().await;
    let node = cluster.node();
    let lease = Duration::from_secs(10);
    let reset = RegistryChanges {
        reset: true,
        ..RegistryChanges::default()
    };
    let claim = Claim {
        node: NodeId(1),
        session: SessionId(1),
    };
    for nonce in 1..=5 {
        let _: () = cluster.server().ask(&["SCRIPT", "FLUSH"]).await;
        let written = node
            .backplane
            .write_registry(NodeId(1), lease, &reset, Bytes::new());
        written.await.unwrap();
        let granted = node.backplane.claim("ann", claim).await.unwrap();
        assert_eq!(granted, Claimed::Granted);
        assert_eq!(node.say("lobby", 1, nonce, "x").await.seq, Seq(nonce));
        let _: () = cluster.server().ask(&["SCRIPT", "FLUSH"]).await;
        assert_eq!(node.all("lobby").await.len() as u64, nonce);
        assert_eq!(node.backplane.nodes().await.unwrap(), [NodeId(1)]);
        node.backplane.release("ann", claim).await.unwrap();
    }
}

#[tokio::test]
async fn a_subscription_that_is_cut_comes_back_and_says_so() {
    let mut cluster = On::Redis.start().await;
    let (mut node, other) = (cluster.node(), cluster.node());
    let rooms: Vec<String> = (0..1_200).map(|number| format!("room-{number}")).collect();
    within(futures_util::future::join_all(
        rooms.iter().map(|room| node.subscribe(room)),
    ))
    .await;
    for nonce in 1..=5 {
        let killed: u64 = cluster
            .server()
            .ask(&["CLIENT", "KILL", "TYPE", "pubsub"])
            .await;
        assert!(killed >= 1);
        // Lost: it is appended while nobody listens, or right after.
        other.say("room-7", 1, 2 * nonce, "during").await;
        node.event(|event| matches!(event, Event::Missed).then_some(()))
            .await;
        // `Missed` comes after everything is subscribed again.
        let said = other.say("room-1199", 1, nonce, "after").await;
        let (room, block) = within(async {
            loop {
                let (room, block) = node.block().await;
                if room != "room-7" {
                    return (room, block);
                }
            }
        })
        .await;
        assert_eq!((room.as_str(), block.first), ("room-1199", said.seq));
    }
    let events: Vec<_> = std::iter::from_fn(|| node.events.try_recv().ok()).collect();
    let is_away = |event: &Event| matches!(event, Event::Available(false));
    assert!(
        !events.iter().any(is_away),
        "a short cut is no outage: {events:?}"
    );
}

#[tokio::test]
async fn a_room_left_during_a_cut_stays_left() {
    let mut cluster = On::Redis.start().await;
    let (mut node, other) = (cluster.node(), cluster.node());
    node.subscribe("left").await;
    node.subscribe("kept").await;
    node.backplane.unsubscribe(&name("left")).await;
    let _: u64 = cluster
        .server()
        .ask(&["CLIENT", "KILL", "TYPE", "pubsub"])
        .await;
    node.event(|event| matches!(event, Event::Missed).then_some(()))
        .await;
    other.say("left", 1, 1, "x").await;
    other.say("kept", 1, 1, "x").await;
    assert_eq!(node.block().await.0, "kept");
}

#[tokio::test]
async fn calls_go_on_over_a_cut_connection() {
    let mut cluster = On::Redis.start().await;
    let node = cluster.node();
    for nonce in 1..=5 {
        let _: u64 = cluster
            .server()
            .ask(&["CLIENT", "KILL", "TYPE", "normal"])
            .await;
        let outcomes = node.insist("lobby", vec![draft(1, nonce, "x")]).await;
        let cursor = place(outcomes[0]).0;
        assert_eq!(
            cursor.seq,
            Seq(nonce),
            "once, whatever was unknown in between"
        );
    }
}

#[tokio::test]
async fn a_redis_that_is_not_there_yet_is_waited_for() {
    let mut cluster = Cluster::on(RedisServer::stopped());
    let mut node = cluster.node();
    available(&mut node, false).await;
    let (batch, lobby) = (
        Batch {
            known: None,
            drafts: drafts(1, 1, 1),
        },
        name("lobby"),
    );
    let (refused, read, subscribed) = tokio::join!(
        node.backplane.append(&lobby, &batch),
        node.backplane.read_last(&lobby, 1),
        node.backplane.subscribe(&lobby),
    );
    assert!(
        matches!(refused, Err(AppendError::Refused(_))),
        "{refused:?}"
    );
    assert!(read.is_err() && subscribed.is_err());
    cluster.server().run(&[]).await;
    available(&mut node, true).await;
    node.subscribe("lobby").await;
    assert_eq!(node.say("lobby", 1, 1, "x").await.seq, Seq(1));
    assert_eq!(node.block().await.1.first, Seq(1));
}

#[tokio::test]
async fn everything_comes_back_after_an_outage() {
    let mut cluster = On::Redis.start().await;
    let (mut node, other) = (cluster.node(), cluster.node());
    node.subscribe("lobby").await;
    let first = node.say("lobby", 1, 1, "x").await;
    for round in 0..2 {
        cluster.server().kill();
        available(&mut node, false).await;
        cluster.server().run(&[]).await;
        let (mut missed, mut back) = (false, false);
        node.event(|event| {
            missed |= matches!(event, Event::Missed);
            back |= matches!(event, Event::Available(true));
            (missed && back).then_some(())
        })
        .await;
        let outcomes = other.insist("lobby", vec![draft(1, 2 + round, "y")]).await;
        let said = place(outcomes[0]).0;
        assert_ne!(said.epoch, first.epoch);
        assert_eq!(Cursor::new(node.block().await.1.epoch, Seq(1)), said);
    }
}

#[tokio::test]
async fn a_silent_server_is_noticed_and_a_repeat_is_safe() {
    let mut cluster = On::Redis.start().await;
    let (mut node, other) = (cluster.node(), cluster.node());
    node.subscribe("lobby").await;
    node.say("lobby", 1, 1, "a").await;
    cluster.server().signal("-STOP");
    let batch = Batch {
        known: None,
        drafts: vec![draft(1, 2, "b")],
    };
    let unknown = within(node.backplane.append(&name("lobby"), &batch)).await;
    assert!(
        matches!(unknown, Err(AppendError::Unknown(_))),
        "{unknown:?}"
    );
    available(&mut node, false).await;
    cluster.server().signal("-CONT");
    available(&mut node, true).await;
    // The server read the first try when it woke up, or not.
    let outcomes = node.append("lobby", batch.drafts).await;
    assert!(matches!(outcomes[..], [Outcome::At { cursor, .. }] if cursor.seq == Seq(2)));
    assert_eq!(other.all("lobby").await, ["a", "b"]);
    other.say("lobby", 1, 3, "c").await;
    node.event(|event| match event {
        Event::Announced { block, .. } => (block.last() == Seq(3)).then_some(()),
        _ => None,
    })
    .await;
}

#[tokio::test]
async fn a_dropped_node_leaves_nothing_behind() {
    let mut cluster = On::Redis.start().await;
    let node = cluster.node();
    node.subscribe("lobby").await;
    node.say("lobby", 1, 1, "x").await;
    let clients: String = cluster.server().ask(&["CLIENT", "LIST"]).await;
    assert!(clients.contains("name=node-under-test/calls"), "{clients}");
    assert!(
        clients.contains("name=node-under-test/subscriber"),
        "{clients}"
    );
    drop(node);
    cluster.stopped().await;
    crate::contract::until(|| async {
        let clients: String = cluster.server_ref().ask(&["CLIENT", "LIST"]).await;
        !clients.contains("node-under-test")
    })
    .await;
}
