//! Others that write to the same Redis: garbage, hostile blocks, other clusters.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use chat_node::backplane::redis::{Redis, RedisOptions};
use chat_node::backplane::{
    AppendError, Batch, Claim, Continuation, Event, Lease, NodeId, RegistryChanges,
};
use chat_node::damage;
use chat_protocol::{Seq, SessionId};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::contract::{Node, On, at, draft, drafts, name, numbers, place, texts, until};
use crate::support::redis::RedisServer;

async fn publish(server: &RedisServer, channel: &str, payload: &[u8]) {
    let mut connection = server.connection().await.unwrap();
    let mut publish = redis::cmd("PUBLISH");
    let heard: u64 = publish
        .arg(channel)
        .arg(payload)
        .query_async(&mut connection)
        .await
        .unwrap();
    assert_eq!(heard, 1);
}

async fn add(server: &RedisServer, id: &str, field: &str, payload: &[u8]) {
    let mut connection = server.connection().await.unwrap();
    let mut add = redis::cmd("XADD");
    add.arg("chat:{lobby}:log").arg(id).arg(field).arg(payload);
    add.query_async::<String>(&mut connection).await.unwrap();
}

/// A block as nodes write it, with whatever is wanted in it.
fn payload(epoch: u64, first: u64, len: u32, room: &str, frames: &[u8]) -> Vec<u8> {
    let mut payload = BytesMut::new();
    payload.put_u8(1);
    payload.put_slice(format!("{epoch:016x}").as_bytes());
    payload.put_u64(first);
    payload.put_u32(len);
    payload.put_u64(4_000_000_000_000);
    payload.put_u8(u8::try_from(room.len()).unwrap());
    payload.put_slice(room.as_bytes());
    payload.put_slice(frames);
    payload.to_vec()
}

#[tokio::test]
async fn announcements_of_nobody_are_not_believed() {
    let mut cluster = On::Redis.start().await;
    let mut node = cluster.node();
    node.subscribe("lobby").await;
    let channel = "chat:{lobby}:hint";
    let frame = draft(1, 1, "x").frame;
    let before = damage::total();
    let server = cluster.server();
    for hostile in [
        b"".to_vec(),
        b"hello".to_vec(),
        vec![1; 37],
        vec![0xff; 16 << 20],
        payload(1, 1, 1, "lobby", &vec![0; 16 << 20]),
        payload(1, 1, u32::MAX, "lobby", &frame),
        payload(1, 1, 2, "lobby", &frame),
        payload(1, 1, 0, "lobby", b""),
        payload(1, 0, 1, "lobby", &frame),
        payload(1, u64::MAX, 1, "lobby", &frame),
        payload(1, 1, 1, "Lobby", &frame),
        payload(1, 1, 1, "lobby", &frame[..frame.len() - 1]),
        payload(1, 1, 1, "lobby", b"\x01\x20"),
    ] {
        publish(server, channel, &hostile).await;
    }
    publish(server, "chat:{cluster}:gossip", &vec![b'g'; 16 << 20]).await;
    // Whole, but of a room that is announced elsewhere.
    publish(server, channel, &payload(9, 5, 1, "attic", &frame)).await;
    node.say("lobby", 1, 1, "x").await;
    let mut seen = Vec::new();
    node.event(|event| {
        let is_last = matches!(&event, Event::Announced { room, .. } if *room == name("lobby"));
        seen.push(event);
        is_last.then_some(())
    })
    .await;
    seen.retain(|event| !matches!(event, Event::Available(_)));
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert_eq!(damage::total() - before, 15, "each is counted");
}

#[tokio::test]
async fn garbage_in_a_stream_is_skipped() {
    let mut cluster = On::Redis.start().await;
    let node = cluster.node();
    let epoch = node.say("lobby", 1, 1, "1").await.epoch;
    let frame = draft(1, 1, "x").frame;
    // Between the blocks: ids that are not ours, and one of ours that is not what it says.
    add(cluster.server(), "1-1", "b", b"garbage").await;
    add(
        cluster.server(),
        "1-2",
        "b",
        &payload(1, 1, 1, "lobby", &frame),
    )
    .await;
    node.append("lobby", drafts(1, 2, 2)).await;
    let page = node.read("lobby", at(epoch, 0), 10).await;
    assert_eq!(texts(&page.blocks), numbers(1, 3));
    // At the end: larger than anything, another field, frames that are none.
    let head = page.head.seq.0;
    add(
        cluster.server(),
        &format!("{head}-1"),
        "b",
        &vec![1; 2 << 20],
    )
    .await;
    add(cluster.server(), &format!("{}-0", head + 1), "other", b"x").await;
    let wrong = payload(1, head + 2, 1, "lobby", &[0; 40]);
    add(cluster.server(), &format!("{}-0", head + 2), "b", &wrong).await;
    let next = node.say("lobby", 1, 4, "4").await;
    assert!(next.seq > page.head.seq, "never a number twice");
    let page = node.read("lobby", at(epoch, 1), 10).await;
    assert_eq!(page.continuation, Continuation::Seamless);
    assert_eq!(texts(&page.blocks), numbers(2, 4));
    assert_eq!(page.head, next);
    let again = node.say("lobby", 1, 5, "5").await;
    assert_eq!(
        again,
        at(next.epoch, next.seq.0 + 1),
        "the room is not stuck"
    );
    assert_eq!(
        texts(&node.read_last("lobby", 2).await.blocks),
        numbers(4, 5)
    );
}

#[tokio::test]
async fn a_reader_gets_past_any_amount_of_garbage() {
    let mut cluster = On::Redis.start().await;
    let node = cluster.node();
    let epoch = node.say("lobby", 1, 1, "1").await.epoch;
    let mut connection = cluster.server().connection().await.unwrap();
    let mut adds = redis::pipe();
    for number in 1..=6_000_u32 {
        adds.cmd("XADD")
            .arg("chat:{lobby}:log")
            .arg(format!("1-{number}"))
            .arg("b")
            .arg("x");
    }
    adds.exec_async(&mut connection).await.unwrap();
    let last = node.say("lobby", 1, 2, "2").await;
    let page = node.read("lobby", at(epoch, 1), 10).await;
    assert_eq!((texts(&page.blocks), page.head), (numbers(2, 2), last));
    assert_eq!(page.continuation, Continuation::Seamless);
}

#[tokio::test]
async fn ids_beyond_all_numbers_do_not_end_a_room() {
    let ids = [
        "18446744073709551615-0",
        "9007199254740991-0",
        "1700000000000-0",
        "1-1",
    ];
    // An id that was deleted is still one that the stream does not take again.
    for (id, deleted) in ids.iter().flat_map(|id| [(id, false), (id, true)]) {
        let mut cluster = On::Redis.start().await;
        let node = cluster.node();
        let last = node.say("lobby", 1, 1, "1").await;
        add(cluster.server(), id, "b", b"x").await;
        if deleted {
            let _: u64 = cluster
                .server()
                .ask(&["XDEL", "chat:{lobby}:log", id])
                .await;
        }
        let next = node.say("lobby", 1, 2, "2").await;
        assert!(next.seq > last.seq, "{id}: {next}");
        assert!(
            next.epoch != last.epoch || deleted && *id == "1-1",
            "{id}: {next}"
        );
        assert_eq!(
            node.say("lobby", 1, 3, "3").await,
            at(next.epoch, next.seq.0 + 1),
            "{id}"
        );
        let mut texts = node.all("lobby").await;
        texts.retain(|text| text != "1");
        assert_eq!(texts, numbers(2, 3), "{id}");
    }
}

#[tokio::test]
async fn a_key_of_another_type_hurts_its_room_only() {
    let mut cluster = On::Redis.start().await;
    let node = cluster.node();
    for key in ["log", "meta", "senders"] {
        let room = format!("room-{key}");
        node.say(&room, 1, 1, "1").await;
        let key = format!("chat:{{{room}}}:{key}");
        let _: () = cluster.server().ask(&["SET", &key, "x"]).await;
        let batch = Batch {
            known: None,
            drafts: drafts(1, 2, 1),
        };
        let refused = node.backplane.append(&name(&room), &batch).await;
        assert!(
            matches!(&refused, Err(AppendError::Refused(why)) if why.contains("WRONGTYPE")),
            "{refused:?}"
        );
        node.say(
            "lobby",
            1,
            node.read_last("lobby", 1).await.head.seq.0 + 1,
            "x",
        )
        .await;
        let heads = node
            .backplane
            .heads(&[name(&room), name("lobby")])
            .await
            .unwrap();
        assert!(heads[1].is_some(), "{heads:?}");
        let _: u64 = cluster.server().ask(&["DEL", &key]).await;
        assert!(node.say(&room, 1, 3, "3").await.seq > Seq(1));
    }
}

#[tokio::test]
async fn clusters_with_other_prefixes_are_apart() {
    let mut cluster = On::Redis.start().await;
    let mut node = cluster.node();
    node.subscribe("lobby").await;
    let options = RedisOptions {
        prefix: "other/".to_owned(),
        ..RedisOptions::new(cluster.server().url(), "other")
    };
    let (tracker, stop) = (TaskTracker::new(), CancellationToken::new());
    let attachment = Redis::attach(options, &tracker, &stop).unwrap();
    let other = Node {
        backplane: attachment.backplane,
        events: attachment.events,
    };
    other.say("lobby", 1, 1, "theirs").await;
    assert_eq!(
        other.backplane.shared_secret([1; 32]).await.unwrap(),
        [1; 32]
    );
    assert_eq!(
        node.backplane.shared_secret([2; 32]).await.unwrap(),
        [2; 32]
    );
    node.say("lobby", 1, 1, "ours").await;
    assert_eq!(texts(&[node.block().await.1]), ["ours"]);
    assert_eq!(node.all("lobby").await, ["ours"]);
    assert_eq!(other.all("lobby").await, ["theirs"]);
    // The tasks end when they are told to.
    stop.cancel();
    tracker.close();
    tokio::time::timeout(Duration::from_secs(5), tracker.wait())
        .await
        .unwrap();
}

#[tokio::test]
async fn claims_of_nodes_that_are_gone_do_not_pile_up() {
    let cluster = On::Redis.start().await;
    let node = cluster.node();
    let reset = RegistryChanges {
        reset: true,
        ..RegistryChanges::default()
    };
    let write = async |id, lease| {
        node.backplane
            .write_registry(NodeId(id), lease, &reset, Bytes::new())
            .await
            .unwrap();
    };
    write(1, Duration::from_secs(60)).await;
    write(2, Duration::from_secs(60)).await;
    for session in 0..200 {
        let claim = Claim {
            node: NodeId(1 + session % 2),
            session: SessionId(session),
        };
        node.backplane
            .claim(&format!("name-{session}"), claim)
            .await
            .unwrap();
    }
    node.backplane
        .resign(NodeId(1), Bytes::new())
        .await
        .unwrap();
    until(|| async {
        node.backplane
            .renew(NodeId(2), Duration::from_secs(60), Bytes::new())
            .await
            .unwrap();
        // Those of the node that is left, and its mark.
        cluster
            .server_ref()
            .ask::<u64>(&["HLEN", "chat:{cluster}:claims"])
            .await
            == 100 + 1
    })
    .await;
}

#[tokio::test]
async fn a_lease_of_which_a_part_is_lost_is_lost() {
    let cluster = On::Redis.start().await;
    let node = cluster.node();
    let reset = RegistryChanges {
        reset: true,
        ..RegistryChanges::default()
    };
    let lease = Duration::from_secs(60);
    let renew = async || {
        let renewed = node.backplane.renew(NodeId(1), lease, Bytes::new());
        renewed.await.unwrap()
    };
    for part in ["nodes", "claims", "registry:0000000000000001"] {
        node.backplane
            .write_registry(NodeId(1), lease, &reset, Bytes::new())
            .await
            .unwrap();
        assert_eq!(renew().await, Lease::Kept, "before {part} is lost");
        let key = format!("chat:{{cluster}}:{part}");
        let deleted: u64 = cluster.server_ref().ask(&["DEL", &key]).await;
        assert_eq!(deleted, 1, "{key}");
        assert_eq!(renew().await, Lease::Lost, "after {part} is lost");
    }
}

#[tokio::test]
async fn two_nodes_that_race_for_one_nonce_append_it_once() {
    let cluster = On::Redis.start().await;
    let (one, two) = (cluster.node(), cluster.node());
    for nonce in 1..=100 {
        let (first, second) = tokio::join!(
            one.append("lobby", drafts(1, nonce, 1)),
            two.append("lobby", drafts(1, nonce, 1)),
        );
        let (first, second) = (place(first[0]), place(second[0]));
        assert_eq!((first.0, first.0.seq), (second.0, Seq(nonce)));
        assert!(first.1 != second.1);
    }
}
