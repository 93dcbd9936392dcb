//! A replica that lags behind, and is the server from then on.

use chat_node::backplane::Continuation;
use chat_protocol::{Cursor, Seq};

use crate::contract::{Cluster, Node, at, draft, drafts, name, numbers, place, texts, until};
use crate::support::redis::RedisServer;

/// A cluster whose server has appended what its replica did not get.
struct Lagging {
    cluster: Cluster,
    node: Node,
    replica: RedisServer,
    /// The last place that the replica has.
    copied: Cursor,
    /// The last place that was given.
    lost: Cursor,
}

impl Lagging {
    async fn new() -> Self {
        let cluster = Cluster::on(RedisServer::start().await);
        let replica = RedisServer::start().await;
        replica.follow(cluster.server_ref()).await;
        let node = cluster.node();
        let five = node.append("lobby", drafts(1, 1, 5)).await;
        let copied = place(five[4]).0;
        until(|| async {
            let seq: Option<u64> = replica.ask(&["HGET", "chat:{lobby}:meta", "seq"]).await;
            seq == Some(5)
        })
        .await;
        // The link to the server is down; it remains a replica, of what it had.
        replica.follow(&RedisServer::stopped()).await;
        let more = node.append("lobby", drafts(1, 6, 4)).await;
        let lost = place(more[3]).0;
        assert_eq!(lost, at(copied.epoch, 9));
        let seq: u64 = replica.ask(&["HGET", "chat:{lobby}:meta", "seq"]).await;
        assert_eq!(seq, 5, "it lags");
        Self {
            cluster,
            node,
            replica,
            copied,
            lost,
        }
    }

    /// The server dies, and the replica takes its place, under its address.
    async fn fail_over(&mut self) {
        self.cluster.server().kill();
        self.replica.promote(self.cluster.server_ref()).await;
        let node = &self.node;
        until(|| async {
            node.backplane.heads(&[]).await.is_ok() && node.backplane.nodes().await.is_ok()
        })
        .await;
    }
}

#[tokio::test]
async fn a_promoted_replica_that_lags_begins_a_new_epoch() {
    // Whether the first to append knows what was lost or not.
    for knows in [true, false] {
        let mut lagging = Lagging::new().await;
        lagging.fail_over().await;
        let Lagging {
            node, copied, lost, ..
        } = &lagging;
        let known = knows.then_some(*lost);
        let outcomes = node
            .append_knowing("lobby", known, vec![draft(2, 1, "new")])
            .await;
        let (anew, repeated) = place(outcomes[0]);
        assert!(!repeated);
        assert_ne!(anew.epoch, copied.epoch, "knows: {knows}");
        assert_eq!(anew.seq, if knows { Seq(10) } else { Seq(6) });
        // Up to what was copied the log is the same one.
        let page = node.read("lobby", at(copied.epoch, 4), 10).await;
        assert_eq!(
            (page.continuation, texts(&page.blocks)),
            (Continuation::Seamless, vec!["5".into(), "new".into()])
        );
        for seq in [6, 9] {
            let page = node.read("lobby", at(copied.epoch, seq), 10).await;
            assert_eq!(
                (page.continuation, texts(&page.blocks)),
                (Continuation::Diverged, vec!["new".into()]),
                "{seq}"
            );
        }
        // What was copied is a repeat; what was lost is appended, and has a new place.
        let again = node.append("lobby", drafts(1, 5, 5)).await;
        assert_eq!(place(again[0]), (at(anew.epoch, 5), true));
        let places: Vec<_> = again[1..].iter().map(|&outcome| place(outcome)).collect();
        let expected: Vec<_> = (1..=4)
            .map(|more| (at(anew.epoch, anew.seq.0 + more), false))
            .collect();
        assert_eq!(places, expected);
        assert_eq!(
            node.all("lobby").await[5..],
            [vec!["new".to_owned()], numbers(6, 9)].concat()
        );
    }
}

/// Nobody writes: reading alone notices, and so does asking for the head.
#[tokio::test]
async fn an_idle_room_notices_a_promoted_replica_by_reading() {
    let mut lagging = Lagging::new().await;
    lagging.fail_over().await;
    let Lagging {
        node, copied, lost, ..
    } = &lagging;
    let heads = node.backplane.heads(&[name("lobby")]).await.unwrap();
    assert_ne!(heads, [Some(*lost)]);
    let page = node.read("lobby", *lost, 10).await;
    assert_eq!(page.continuation, Continuation::Diverged);
    assert_ne!(page.head.epoch, lost.epoch);
    assert_eq!(page.head.seq, copied.seq);
    let anew = node.say("lobby", 1, 10, "10").await;
    assert_eq!(anew, at(page.head.epoch, 6));
}
