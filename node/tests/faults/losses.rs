//! A server that lost or rolled back what it knew: never a place named twice, never a silent hole.

use std::time::Duration;

use chat_node::backplane::{Continuation, LogBounds, Outcome};
use chat_protocol::{Cursor, Seq};

use crate::contract::{Cluster, Node, On, at, draft, drafts, name, numbers, place, texts, until};
use crate::support::redis::RedisServer;

/// Appends as a node does that has seen `known`.
async fn next(node: &Node, known: Cursor, nonce: u64) -> Cursor {
    let text = nonce.to_string();
    let outcomes = node
        .append_knowing("lobby", Some(known), vec![draft(1, nonce, &text)])
        .await;
    place(outcomes[0]).0
}

/// Five entries, and the last place.
async fn five(node: &Node) -> Cursor {
    place(*node.append("lobby", drafts(1, 1, 5)).await.last().unwrap()).0
}

/// Asks until the node is connected again.
async fn settled(node: &Node) {
    until(|| async {
        node.backplane.heads(&[]).await.is_ok() && node.backplane.nodes().await.is_ok()
    })
    .await;
}

#[tokio::test]
async fn a_restart_without_memory_begins_a_new_epoch_above() {
    let mut cluster = On::Redis.start().await;
    let node = cluster.node();
    let last = five(&node).await;
    cluster.server().kill();
    cluster.server().run(&[]).await;
    settled(&node).await;
    let anew = next(&node, last, 6).await;
    assert_ne!(anew.epoch, last.epoch);
    assert_eq!(anew.seq, Seq(6), "above what was seen");
    let page = node.read("lobby", last, 10).await;
    assert_eq!(page.continuation, Continuation::Diverged);
    assert_eq!((texts(&page.blocks), page.first), (numbers(6, 6), Seq(6)));
}

#[tokio::test]
async fn a_flushed_server_begins_a_new_epoch_above() {
    let mut cluster = On::Redis.start().await;
    let node = cluster.node();
    let last = five(&node).await;
    let _: () = cluster.server().ask(&["FLUSHALL"]).await;
    let anew = next(&node, last, 6).await;
    assert_ne!(anew.epoch, last.epoch);
    assert_eq!(anew.seq, Seq(6));
    // An idle room is noticed by reading it.
    let _: () = cluster.server().ask(&["FLUSHALL"]).await;
    let page = node.read("lobby", anew, 10).await;
    assert_ne!(page.head.epoch, anew.epoch);
    assert_eq!(page.continuation, Continuation::Diverged);
}

#[tokio::test]
async fn a_lost_stream_begins_a_new_epoch() {
    for by_reading in [false, true] {
        let mut cluster = On::Redis.start().await;
        let node = cluster.node();
        let last = five(&node).await;
        let _: u64 = cluster.server().ask(&["DEL", "chat:{lobby}:log"]).await;
        if by_reading {
            let page = node.read("lobby", at(last.epoch, 3), 10).await;
            assert_ne!(page.head.epoch, last.epoch);
            assert_eq!(
                page.continuation,
                Continuation::Trimmed,
                "4 and 5 are gone, and it is said"
            );
        }
        // Nobody knows anything: the head alone keeps numbers from being used twice.
        let anew = node.say("lobby", 1, 6, "6").await;
        assert_ne!(anew.epoch, last.epoch);
        assert_eq!(anew.seq, Seq(6));
        let page = node.read("lobby", last, 10).await;
        assert_eq!(
            (page.continuation, texts(&page.blocks)),
            (Continuation::Seamless, numbers(6, 6))
        );
        // What is not in the log any more is appended again.
        let outcomes = node.append("lobby", drafts(1, 5, 2)).await;
        assert_eq!(
            outcomes[1],
            Outcome::At {
                cursor: anew,
                repeated: true
            }
        );
        assert_eq!(outcomes[0], Outcome::NonceTooOld);
    }
}

#[tokio::test]
async fn a_stream_without_its_end_begins_a_new_epoch() {
    let mut cluster = On::Redis.start().await;
    let node = cluster.node();
    five(&node).await;
    let last = node.say("lobby", 1, 6, "6").await;
    let _: u64 = cluster
        .server()
        .ask(&["XDEL", "chat:{lobby}:log", "6-0"])
        .await;
    let anew = node.say("lobby", 1, 7, "7").await;
    assert_ne!(anew.epoch, last.epoch);
    assert_eq!(anew.seq, Seq(7));
    let page = node.read("lobby", at(last.epoch, 4), 10).await;
    assert_eq!(
        (page.continuation, texts(&page.blocks)),
        (Continuation::Seamless, vec!["5".into(), "7".into()])
    );
    assert_eq!(page.blocks[1].first, Seq(7), "the hole is seen");
}

#[tokio::test]
async fn a_stream_trimmed_by_hand_is_only_trimmed() {
    let mut cluster = On::Redis.start().await;
    let node = cluster.node();
    let last = five(&node).await;
    node.append("lobby", drafts(1, 6, 2)).await;
    let _: u64 = cluster
        .server()
        .ask(&["XTRIM", "chat:{lobby}:log", "MAXLEN", "1"])
        .await;
    assert_eq!(node.say("lobby", 1, 8, "8").await, at(last.epoch, 8));
    let page = node.read("lobby", at(last.epoch, 1), 10).await;
    assert_eq!(
        (page.continuation, page.first),
        (Continuation::Trimmed, Seq(6))
    );
    assert_eq!(texts(&page.blocks), numbers(6, 8));
}

#[tokio::test]
async fn a_lost_head_begins_a_new_epoch_above_the_stream() {
    for (field, value) in [
        ("", ""),
        ("epoch", "x"),
        ("seq", "-1"),
        ("seq", "1e99"),
        ("seq", "5.5"),
        ("gen", "?"),
    ] {
        let mut cluster = On::Redis.start().await;
        let node = cluster.node();
        let last = five(&node).await;
        if field.is_empty() {
            let _: u64 = cluster.server().ask(&["DEL", "chat:{lobby}:meta"]).await;
        } else {
            let _: u64 = cluster
                .server()
                .ask(&["HSET", "chat:{lobby}:meta", field, value])
                .await;
        }
        let heads = node.backplane.heads(&[name("lobby")]).await.unwrap();
        assert!(
            field == "gen" || heads == [None],
            "{field}={value}: {heads:?}"
        );
        let anew = node.say("lobby", 1, 6, "6").await;
        assert_ne!(anew.epoch, last.epoch, "{field}={value}");
        assert_eq!(anew.seq, Seq(6));
        let page = node.read("lobby", at(last.epoch, 2), 10).await;
        assert_eq!(
            page.continuation,
            Continuation::Seamless,
            "the stream tells the old epoch"
        );
        assert_eq!(texts(&page.blocks), numbers(3, 6));
    }
}

#[tokio::test]
async fn lost_nonces_begin_a_new_epoch() {
    let mut cluster = On::Redis.start().await;
    let node = cluster.node();
    let last = five(&node).await;
    let _: u64 = cluster.server().ask(&["DEL", "chat:{lobby}:senders"]).await;
    // It cannot be told any more whether 5 is a repeat: it is appended, but not in the same epoch.
    let anew = node.say("lobby", 1, 5, "5").await;
    assert_ne!(anew.epoch, last.epoch);
    assert_eq!(anew.seq, Seq(6));
    assert_eq!(
        node.read("lobby", last, 10).await.continuation,
        Continuation::Seamless
    );
    assert_eq!(node.say("lobby", 1, 6, "6").await, at(anew.epoch, 7));
}

/// Makes the server believe that the current nonces were begun `minutes` ago.
async fn age_nonces(cluster: &mut Cluster, minutes: u64) {
    let meta = "chat:{lobby}:meta";
    let rotated: u64 = cluster.server().ask(&["HGET", meta, "rotated"]).await;
    let rotated = (rotated - minutes * 60_000).to_string();
    let _: u64 = cluster
        .server()
        .ask(&["HSET", meta, "rotated", &rotated])
        .await;
}

#[tokio::test]
async fn nonces_are_kept_by_time_and_then_forgotten() {
    let mut cluster = On::Redis.start().await;
    let node = cluster.node();
    let last = place(
        *node
            .append("lobby", drafts(1, 1, 100))
            .await
            .last()
            .unwrap(),
    )
    .0;
    node.append("lobby", drafts(2, 1, 100)).await;
    age_nonces(&mut cluster, 16).await;
    // Another session begins the next generation; the old one is still known.
    node.say("lobby", 3, 1, "x").await;
    let fields: u64 = cluster
        .server()
        .ask(&["HLEN", "chat:{lobby}:senders"])
        .await;
    assert_eq!(fields, 2, "a new generation");
    for nonce in [1, 50, 100] {
        let (cursor, repeated) = place(node.append("lobby", drafts(1, nonce, 1)).await[0]);
        assert_eq!((cursor, repeated), (at(last.epoch, nonce), true));
    }
    // A session that goes on takes all its nonces along, also through the next generation.
    node.say("lobby", 1, 101, "x").await;
    age_nonces(&mut cluster, 16).await;
    node.say("lobby", 1, 102, "x").await;
    for nonce in [1, 50, 101, 102] {
        assert!(
            place(node.append("lobby", drafts(1, nonce, 1)).await[0]).1,
            "{nonce}"
        );
    }
    // Session 2 has been quiet for more than that: its nonces are new again.
    assert!(!place(node.append("lobby", drafts(2, 50, 1)).await[0]).1);
    age_nonces(&mut cluster, 31).await;
    node.say("lobby", 4, 1, "x").await;
    let old: u64 = cluster
        .server()
        .ask(&["EXISTS", "chat:{lobby}:senders:old"])
        .await;
    assert_eq!(old, 0);
    assert_eq!(
        node.read_last("lobby", 1).await.head.epoch,
        last.epoch,
        "all of it in one epoch"
    );
}

/// The server's clock went back by an hour since the last append.
#[tokio::test]
async fn nonces_are_kept_and_forgotten_by_time_also_when_the_clock_went_back() {
    let mut cluster = On::Redis.start().await;
    let node = cluster.node();
    let last = five(&node).await;
    let meta = "chat:{lobby}:meta";
    let begun: u64 = cluster.server().ask(&["HGET", meta, "rotated"]).await;
    let ahead = (begun + 3_600_000).to_string();
    let _: u64 = cluster
        .server()
        .ask(&["HSET", meta, "rotated", &ahead, "aged", &ahead])
        .await;
    node.say("lobby", 2, 1, "x").await;
    let times: Vec<u64> = cluster
        .server()
        .ask(&["HMGET", meta, "rotated", "aged"])
        .await;
    for time in times {
        assert!((begun..begun + 60_000).contains(&time), "{begun} {time}");
    }
    let knows_five = async || place(node.append("lobby", drafts(1, 5, 1)).await[0]);
    assert_eq!(knows_five().await, (last, true));
    // From then on they are kept as long as ever, and no longer.
    for (nonce, minutes, generations, repeated) in
        [(2, 14, 1, true), (3, 2, 2, true), (4, 16, 2, false)]
    {
        age_nonces(&mut cluster, minutes).await;
        node.say("lobby", 2, nonce, "x").await;
        let found: u64 = cluster
            .server()
            .ask(&["EXISTS", "chat:{lobby}:senders", "chat:{lobby}:senders:old"])
            .await;
        assert_eq!(found, generations, "{minutes} minutes later");
        assert_eq!(knows_five().await.1, repeated, "{minutes} minutes later");
    }
}

#[tokio::test]
async fn lost_old_nonces_begin_a_new_epoch_when_they_are_needed() {
    let mut cluster = On::Redis.start().await;
    let node = cluster.node();
    let last = five(&node).await;
    age_nonces(&mut cluster, 16).await;
    node.say("lobby", 2, 1, "x").await;
    let lost: u64 = cluster
        .server()
        .ask(&["DEL", "chat:{lobby}:senders:old"])
        .await;
    assert_eq!(lost, 1);
    assert_eq!(
        node.say("lobby", 2, 2, "x").await,
        at(last.epoch, 7),
        "it is in the new ones"
    );
    let anew = node.say("lobby", 1, 5, "5").await;
    assert_ne!(anew.epoch, last.epoch);
    assert_eq!(anew.seq, Seq(8));
}

#[tokio::test]
async fn a_rolled_back_server_names_no_place_twice() {
    // Whether the first to append knows what was lost or not.
    for knows in [true, false] {
        let mut server = RedisServer::stopped();
        server.run(&[]).await;
        let mut cluster = Cluster::on(server);
        let node = cluster.node();
        let saved = five(&node).await;
        let _: () = cluster.server().ask(&["SAVE"]).await;
        let lost = place(*node.append("lobby", drafts(1, 6, 4)).await.last().unwrap()).0;
        assert_eq!(lost, at(saved.epoch, 9));
        cluster.server().kill();
        cluster.server().run(&[]).await;
        settled(&node).await;
        let anew = if knows {
            next(&node, lost, 10).await
        } else {
            node.say("lobby", 1, 10, "10").await
        };
        assert_ne!(anew.epoch, saved.epoch, "knows: {knows}");
        assert_eq!(anew.seq, if knows { Seq(10) } else { Seq(6) });
        let page = node.read("lobby", at(saved.epoch, 4), 10).await;
        assert_eq!(
            (page.continuation, texts(&page.blocks)),
            (Continuation::Seamless, vec!["5".into(), "10".into()])
        );
        let page = node.read("lobby", lost, 10).await;
        assert_eq!(
            (page.continuation, texts(&page.blocks)),
            (Continuation::Diverged, vec!["10".into()])
        );
        let (repeat, repeated) = place(node.append("lobby", drafts(1, 5, 1)).await[0]);
        assert_eq!((repeat, repeated), (at(anew.epoch, 5), true));
    }
}

#[tokio::test]
async fn a_restart_that_keeps_everything_is_seamless() {
    let append_only = ["--appendonly", "yes", "--appendfsync", "always"];
    let mut server = RedisServer::stopped();
    server.run(&append_only).await;
    let mut cluster = Cluster::on(server);
    let node = cluster.node();
    let last = five(&node).await;
    cluster.server().kill();
    cluster.server().run(&append_only).await;
    settled(&node).await;
    // An idle room is noticed by reading it.
    let page = node.read("lobby", last, 10).await;
    assert_eq!(
        (page.continuation, page.head.seq),
        (Continuation::Seamless, Seq(5))
    );
    let anew = next(&node, last, 6).await;
    assert_eq!(anew, at(page.head.epoch, 6));
    let page = node.read("lobby", at(last.epoch, 3), 10).await;
    assert_eq!(
        (page.continuation, texts(&page.blocks)),
        (Continuation::Seamless, numbers(4, 6))
    );
    let (repeat, repeated) = place(node.append("lobby", drafts(1, 5, 1)).await[0]);
    assert_eq!((repeat, repeated), (at(anew.epoch, 5), true));
}

#[tokio::test]
async fn the_keys_of_a_room_end_together() {
    let mut cluster = On::Redis.start().await;
    let node = cluster.node();
    let ends = async |server: &mut RedisServer| {
        let keys: Vec<String> = server.ask(&["KEYS", "chat:{lobby}*"]).await;
        let mut ends = Vec::new();
        for key in &keys {
            ends.push(server.ask::<i64>(&["PEXPIRETIME", key]).await);
        }
        ends.dedup();
        assert!(ends.len() == 1 && ends[0] > 0, "{keys:?}: {ends:?}");
        (keys.len(), ends[0])
    };
    node.read_last("lobby", 1).await;
    let (keys, read) = ends(cluster.server()).await;
    assert_eq!(keys, 1);
    five(&node).await;
    let (keys, appended) = ends(cluster.server()).await;
    assert_eq!(keys, 3);
    age_nonces(&mut cluster, 16).await;
    node.say("lobby", 2, 1, "x").await;
    let (keys, rotated) = ends(cluster.server()).await;
    assert_eq!(keys, 4);
    assert!(read <= appended && appended <= rotated);
}

#[tokio::test]
async fn a_room_that_nobody_reads_drops_old_entries_too() {
    let age_max = Duration::from_millis(300);
    let mut cluster = On::Redis
        .start_with(LogBounds {
            age_max,
            ..LogBounds::default()
        })
        .await;
    let node = cluster.node();
    let mut nonce = 0;
    while nonce < 50 {
        nonce += 1;
        node.say("lobby", 1, nonce, "x").await;
    }
    crate::contract::within(async {
        loop {
            nonce += 1;
            node.say("lobby", 1, nonce, "x").await;
            let len: u64 = cluster.server().ask(&["XLEN", "chat:{lobby}:log"]).await;
            if len + 50 <= nonce {
                return;
            }
        }
    })
    .await;
}
