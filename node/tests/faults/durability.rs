//! What a server promises of acknowledged entries: read, read again, and refused when it may drop
//! them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chat_node::backplane::redis::{Redis, RedisOptions};
use chat_node::backplane::{AppendError, Backplane, Batch, NodeId, Promise, Survival};
use chat_protocol::Seq;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::contract::{Node, drafts, name, until, within};
use crate::support::redis::RedisServer;

async fn server(arguments: &[&str]) -> RedisServer {
    let mut server = RedisServer::stopped();
    server.run(arguments).await;
    server
}

/// A node that looks often.
fn attach(server: &RedisServer, allow_eviction: bool) -> Node {
    let options = RedisOptions {
        inspect_every: Duration::from_millis(20),
        allow_eviction,
        ..RedisOptions::new(server.url(), "looking")
    };
    let (tracker, stop) = (TaskTracker::new(), CancellationToken::new());
    let attachment = Redis::attach(options, &tracker, &stop).unwrap();
    Node {
        backplane: attachment.backplane,
        events: attachment.events,
    }
}

async fn promises(backplane: &Arc<dyn Backplane>, survival: Survival, may_evict: bool) {
    let expected = Promise {
        survival,
        may_evict,
    };
    until(|| async { backplane.promise() == expected }).await;
}

#[tokio::test]
async fn what_an_ack_survives_is_read_from_the_server() {
    for (arguments, survival) in [
        (
            &["--appendonly", "yes", "--appendfsync", "always"][..],
            Survival::Crash,
        ),
        (
            &["--appendonly", "yes", "--appendfsync", "everysec"],
            Survival::Second,
        ),
        (
            &["--appendonly", "yes", "--appendfsync", "no"],
            Survival::System,
        ),
        (&["--save", "60 1000"], Survival::Snapshot),
        (&[], Survival::Memory),
    ] {
        let server = server(arguments).await;
        let node = attach(&server, false);
        assert_eq!(
            node.backplane.promise(),
            Promise::default(),
            "not asked yet"
        );
        promises(&node.backplane, survival, false).await;
        assert_eq!(node.say("lobby", 1, 1, "1").await.seq, Seq(1));
    }
}

#[tokio::test]
async fn what_is_changed_while_a_node_runs_is_noticed() {
    let server = server(&["--appendonly", "yes", "--appendfsync", "always"]).await;
    let node = attach(&server, false);
    promises(&node.backplane, Survival::Crash, false).await;
    for (setting, value, survival, may_evict) in [
        ("appendfsync", "everysec", Survival::Second, false),
        ("appendonly", "no", Survival::Memory, false),
        ("maxmemory-policy", "volatile-lru", Survival::Memory, false),
        ("maxmemory", "100mb", Survival::Memory, true),
        ("maxmemory-policy", "noeviction", Survival::Memory, false),
    ] {
        let _: () = server.ask(&["CONFIG", "SET", setting, value]).await;
        promises(&node.backplane, survival, may_evict).await;
    }
    node.say("lobby", 1, 1, "1").await;
}

#[tokio::test]
async fn a_server_that_may_drop_entries_is_refused_before_anything_is_written() {
    let server = server(&["--maxmemory", "100mb", "--maxmemory-policy", "volatile-lru"]).await;
    let node = attach(&server, false);
    let unfit = within(node.backplane.unfit()).await;
    assert_eq!(
        unfit.to_string(),
        "its maxmemory-policy is volatile-lru with maxmemory 104857600: it would drop acked \
         messages when its memory is full"
    );
    let batch = Batch {
        known: None,
        drafts: drafts(1, 1, 1),
    };
    let refused = node.backplane.append(&name("lobby"), &batch).await;
    assert!(
        matches!(refused, Err(AppendError::Refused(_))),
        "{refused:?}"
    );
    let lease = Duration::from_secs(9);
    let refused = node.backplane.renew(NodeId(1), lease, Bytes::new()).await;
    assert!(refused.is_err());
    assert_eq!(server.ask::<u64>(&["DBSIZE"]).await, 0);
    // Whoever allows it gets what it promises, which is less.
    let node = attach(&server, true);
    promises(&node.backplane, Survival::Memory, true).await;
    node.say("lobby", 1, 1, "1").await;
    let waited = tokio::time::timeout(Duration::from_millis(100), node.backplane.unfit()).await;
    assert!(waited.is_err(), "it is not unfit");
}

#[tokio::test]
async fn a_node_that_runs_goes_on_with_a_server_that_begins_to_evict() {
    let server = server(&["--maxmemory", "100mb"]).await;
    let node = attach(&server, false);
    promises(&node.backplane, Survival::Memory, false).await;
    let policy = ["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"];
    let _: () = server.ask(&policy).await;
    // Over a new connection too: its clients are better off with it than without.
    let _: u64 = server.ask(&["CLIENT", "KILL", "TYPE", "normal"]).await;
    promises(&node.backplane, Survival::Memory, true).await;
    until(|| async { node.backplane.nodes().await.is_ok() }).await;
    node.say("lobby", 1, 1, "1").await;
}

#[tokio::test]
async fn a_server_that_refuses_config_is_used_and_what_it_does_not_tell_is_unknown() {
    let hidden = ["--rename-command", "CONFIG", ""];
    let plain = server(&[&hidden[..], &["--appendonly", "yes"]].concat()).await;
    let node = attach(&plain, false);
    node.say("lobby", 1, 1, "1").await;
    assert_eq!(node.backplane.promise(), Promise::default());
    let bound = ["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lfu"];
    let evicting = server(&[&hidden[..], &bound].concat()).await;
    let node = attach(&evicting, false);
    let unfit = within(node.backplane.unfit()).await;
    assert!(unfit.what.contains("allkeys-lfu"), "INFO tells it: {unfit}");
}
