//! Announcements and gossip.

use std::time::Duration;

use bytes::Bytes;
use chat_node::backplane::{EVENTS_LEN_MAX, Event, NodeId, RegistryChanges, WHISPER_BYTES_MAX};
use chat_protocol::Seq;

use super::{On, drafts, name, numbers, texts, within};

pub async fn announcements_reach_all_nodes_in_order(on: On) {
    let cluster = on.start().await;
    let mut nodes: Vec<_> = (0..3).map(|_| cluster.node()).collect();
    for node in &nodes {
        node.subscribe("lobby").await;
    }
    for (first, len) in [(1, 1), (2, 4), (6, 128)] {
        nodes[0].append("lobby", drafts(1, first, len)).await;
    }
    // A repeat is not announced, and of a batch only what is new.
    nodes[1].append("lobby", drafts(1, 130, 3)).await;
    nodes[1].append("lobby", drafts(1, 132, 4)).await;
    let log = nodes[2].read_last("lobby", 1_000).await;
    for node in &mut nodes {
        let mut blocks = Vec::new();
        for _ in 0..4 {
            let (room, block) = node.block().await;
            assert_eq!((room.as_str(), block.epoch), ("lobby", log.head.epoch));
            blocks.push(block);
        }
        assert_eq!(
            blocks.iter().map(|block| block.len).collect::<Vec<_>>(),
            [1, 4, 128, 2]
        );
        assert_eq!(texts(&blocks), numbers(1, 135));
        assert_eq!(blocks, log.blocks, "an announcement is what the log has");
    }
}

pub async fn only_subscribed_rooms_are_announced(on: On) {
    let cluster = on.start().await;
    let (mut node, other) = (cluster.node(), cluster.node());
    other.append("lobby", drafts(1, 1, 1)).await;
    node.subscribe("lobby").await;
    node.subscribe("lobby").await;
    node.subscribe("den").await;
    other.append("attic", drafts(1, 1, 1)).await;
    other.append("lobby", drafts(1, 2, 1)).await;
    other.append("den", drafts(1, 1, 1)).await;
    let (room, block) = node.block().await;
    assert_eq!((room.as_str(), block.first), ("lobby", Seq(2)));
    assert_eq!(node.block().await.0, "den");
    node.backplane.unsubscribe(&name("lobby")).await;
    // When a subscription asked for later is there, the other one has ended.
    node.subscribe("attic").await;
    other.append("lobby", drafts(1, 3, 1)).await;
    other.append("attic", drafts(1, 2, 1)).await;
    assert_eq!(node.block().await.0, "attic");
    node.subscribe("lobby").await;
    other.append("lobby", drafts(1, 4, 1)).await;
    assert_eq!(node.block().await.1.first, Seq(4));
    node.backplane.unsubscribe(&name("never")).await;
}

pub async fn many_subscriptions_at_once(on: On) {
    let cluster = on.start().await;
    let (mut node, other) = (cluster.node(), cluster.node());
    let rooms: Vec<String> = (0..1_500).map(|number| format!("room-{number}")).collect();
    within(futures_util::future::join_all(
        rooms.iter().map(|room| node.subscribe(room)),
    ))
    .await;
    for room in rooms.iter().step_by(100) {
        other.append(room, drafts(1, 1, 1)).await;
        assert_eq!(node.block().await.0, *room);
    }
}

pub async fn a_node_that_does_not_read_is_told_what_it_missed(on: On) {
    let cluster = on.start().await;
    let (mut slow, mut quick) = (cluster.node(), cluster.node());
    slow.subscribe("lobby").await;
    quick.subscribe("lobby").await;
    let len = EVENTS_LEN_MAX as u64 + 50;
    for nonce in 1..=len {
        quick.append("lobby", drafts(1, nonce, 1)).await;
        assert_eq!(
            quick.block().await.1.first,
            Seq(nonce),
            "nobody waits for the slow one"
        );
    }
    let mut blocks = 0;
    slow.event(|event| {
        blocks += u64::from(matches!(event, Event::Announced { .. }));
        matches!(event, Event::Missed).then_some(())
    })
    .await;
    assert!((1..len).contains(&blocks), "{blocks}");
    quick.append("lobby", drafts(1, len + 1, 1)).await;
    let (_, block) = slow.block().await;
    assert_eq!(block.first, Seq(len + 1), "and goes on");
}

pub async fn gossip_reaches_every_node(on: On) {
    let cluster = on.start().await;
    let (mut one, mut two) = (cluster.node(), cluster.node());
    let (node, lease) = (NodeId(1), Duration::from_secs(10));
    // A gossip is a hint: say it until both have connected.
    let reset = RegistryChanges {
        reset: true,
        ..RegistryChanges::default()
    };
    for node in [&one, &two] {
        node.subscribe("lobby").await;
    }
    let write = one
        .backplane
        .write_registry(node, lease, &reset, Bytes::from_static(b"a"));
    write.await.unwrap();
    one.backplane
        .renew(node, lease, Bytes::from_static(b"b"))
        .await
        .unwrap();
    one.backplane
        .renew(NodeId(2), lease, Bytes::from_static(b"lost"))
        .await
        .unwrap();
    let lost = RegistryChanges::default();
    let write = one
        .backplane
        .write_registry(NodeId(2), lease, &lost, Bytes::from_static(b"lost"));
    write.await.unwrap();
    one.backplane
        .resign(node, Bytes::from_static(b"c"))
        .await
        .unwrap();
    for node in [&mut one, &mut two] {
        assert_eq!(
            [
                node.gossip().await,
                node.gossip().await,
                node.gossip().await
            ],
            ["a", "b", "c"]
        );
    }
}

pub async fn whispers_reach_all_subscribed_nodes_and_enter_no_log(on: On) {
    let cluster = on.start().await;
    let (mut one, mut two, mut elsewhere) = (cluster.node(), cluster.node(), cluster.node());
    one.subscribe("lobby").await;
    two.subscribe("lobby").await;
    elsewhere.subscribe("den").await;
    let longest = Bytes::from(vec![0xff; WHISPER_BYTES_MAX]);
    for whisper in [Bytes::from_static(b"psst"), Bytes::new(), longest.clone()] {
        let lobby = name("lobby");
        one.backplane
            .whisper(&lobby, whisper.clone())
            .await
            .unwrap();
        for node in [&mut one, &mut two] {
            assert_eq!(node.whisper().await, ("lobby".to_owned(), whisper.clone()));
        }
    }
    let too_long = Bytes::from(vec![0; WHISPER_BYTES_MAX + 1]);
    one.backplane
        .whisper(&name("lobby"), too_long)
        .await
        .unwrap_err();
    // Nobody is there, which is no error.
    one.backplane
        .whisper(&name("attic"), longest)
        .await
        .unwrap();
    assert_eq!(one.read_last("lobby", 10).await.head.seq, Seq::ZERO);
    one.append("lobby", drafts(1, 1, 1)).await;
    one.append("den", drafts(1, 1, 1)).await;
    for node in [&mut one, &mut two] {
        assert_eq!(node.block().await.1.first, Seq(1));
    }
    let first = elsewhere
        .event(|event| (!matches!(event, Event::Available(_))).then_some(event))
        .await;
    assert!(matches!(first, Event::Announced { .. }), "{first:?}");
}

pub async fn whispers_make_nobody_miss_anything(on: On) {
    let cluster = on.start().await;
    let (mut slow, other) = (cluster.node(), cluster.node());
    slow.subscribe("lobby").await;
    let lobby = name("lobby");
    for _ in 0..EVENTS_LEN_MAX + 50 {
        let whisper = other.backplane.whisper(&lobby, Bytes::from_static(b"psst"));
        whisper.await.unwrap();
    }
    for nonce in 1..=10 {
        other.append("lobby", drafts(1, nonce, 1)).await;
    }
    let (mut whispers, mut blocks, mut missed) = (0, 0, 0);
    slow.event(|event| {
        match event {
            Event::Missed => missed += 1,
            Event::Whispered { .. } => whispers += 1,
            Event::Announced { .. } => blocks += 1,
            _ => {}
        }
        (blocks == 10).then_some(())
    })
    .await;
    assert_eq!(missed, 0, "nothing that counts was dropped");
    assert!((1..EVENTS_LEN_MAX).contains(&whispers), "{whispers}");
}
