//! A server that answers, but refuses.

use bytes::Bytes;
use chat_node::backplane::redis::{Redis, RedisOptions};
use chat_node::backplane::{AppendError, Batch, Lease, NodeId, RegistryChanges};
use chat_protocol::Seq;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::contract::{Cluster, Node, On, drafts, name, numbers, texts, until};
use crate::support::redis::RedisServer;

async fn refused(node: &Node, nonce: u64) -> String {
    let batch = Batch {
        known: None,
        drafts: drafts(1, nonce, 1),
    };
    match node.backplane.append(&name("lobby"), &batch).await {
        Err(AppendError::Refused(why)) => why,
        other => panic!("{other:?}"),
    }
}

async fn set(cluster: &mut Cluster, name: &str, value: &str) {
    let _: () = cluster.server().ask(&["CONFIG", "SET", name, value]).await;
}

#[tokio::test]
async fn a_full_server_refuses_and_is_still_read() {
    let mut cluster = On::Redis.start().await;
    let mut node = cluster.node();
    let reset = RegistryChanges {
        reset: true,
        ..RegistryChanges::default()
    };
    let (id, lease) = (NodeId(1), Duration::from_secs(30));
    node.backplane
        .write_registry(id, lease, &reset, Bytes::new())
        .await
        .unwrap();
    node.subscribe("lobby").await;
    node.append("lobby", drafts(1, 1, 3)).await;
    set(&mut cluster, "maxmemory", "1").await;
    assert!(refused(&node, 4).await.contains("OOM"));
    assert_eq!(
        texts(&node.read_last("lobby", 9).await.blocks),
        numbers(1, 3)
    );
    assert_eq!(
        node.read_last("attic", 9).await.head.seq,
        Seq::ZERO,
        "a new room opens"
    );
    assert_eq!(
        node.backplane.renew(id, lease, Bytes::new()).await.unwrap(),
        Lease::Kept
    );
    set(&mut cluster, "maxmemory", "0").await;
    assert_eq!(node.say("lobby", 1, 4, "4").await.seq, Seq(4));
    assert_eq!(node.block().await.1.len, 3);
    assert_eq!(
        node.block().await.1.first,
        Seq(4),
        "what was refused was not announced"
    );
}

#[tokio::test]
async fn a_server_that_cannot_save_refuses_and_is_still_read() {
    let mut server = RedisServer::stopped();
    server.run(&["--enable-protected-configs", "yes"]).await;
    let mut cluster = Cluster::on(server);
    let node = cluster.node();
    node.append("lobby", drafts(1, 1, 3)).await;
    // A snapshot that fails makes Redis refuse writes.
    set(&mut cluster, "dbfilename", "missing.rdb").await;
    set(&mut cluster, "save", "1 1").await;
    let directory: Vec<String> = cluster.server().ask(&["CONFIG", "GET", "dir"]).await;
    let blocked = std::path::Path::new(&directory[1]).join("missing.rdb");
    std::fs::create_dir(&blocked).unwrap();
    let _: Result<String, _> = cluster.server().try_ask(&["BGSAVE"]).await;
    until(|| async {
        let info: String = cluster.server_ref().ask(&["INFO", "persistence"]).await;
        info.contains("rdb_last_bgsave_status:err")
    })
    .await;
    assert!(refused(&node, 4).await.contains("MISCONF"));
    assert_eq!(
        texts(&node.read_last("lobby", 9).await.blocks),
        numbers(1, 3)
    );
    set(&mut cluster, "save", "").await;
    assert_eq!(node.say("lobby", 1, 4, "4").await.seq, Seq(4));
}

#[tokio::test]
async fn a_replica_refuses_and_is_still_read() {
    let mut cluster = On::Redis.start().await;
    let node = cluster.node();
    let calls = async |server: &RedisServer| {
        let clients: String = server.ask(&["CLIENT", "LIST"]).await;
        let calls = clients
            .lines()
            .find(|client| client.contains("name=node-under-test/calls"));
        calls.map(|client| client.split(' ').next().unwrap().to_owned())
    };
    let head = node.say("lobby", 1, 1, "1").await;
    let before = calls(cluster.server_ref()).await;
    assert!(before.is_some());
    let _: () = cluster.server().ask(&["REPLICAOF", "127.0.0.1", "1"]).await;
    assert!(refused(&node, 2).await.to_uppercase().contains("READONLY"));
    // Its address may lead to the new master by now: the connection is made again.
    until(|| async {
        let now = calls(cluster.server_ref()).await;
        now.is_some() && now != before
    })
    .await;
    until(|| async { node.backplane.heads(&[name("lobby")]).await.is_ok() }).await;
    assert_eq!(
        texts(&node.read_last("lobby", 9).await.blocks),
        numbers(1, 1)
    );
    let _: () = cluster.server().ask(&["REPLICAOF", "NO", "ONE"]).await;
    until(|| async { node.backplane.nodes().await.is_ok() }).await;
    let next = node.say("lobby", 1, 2, "2").await;
    assert_eq!(
        (next.epoch, next.seq),
        (head.epoch, Seq(2)),
        "the same run goes on"
    );
}

#[tokio::test]
async fn a_user_with_few_rights_is_enough() {
    let mut cluster = On::Redis.start().await;
    let mut user = vec![
        "ACL", "SETUSER", "chat", "on", ">secret", "~chat:*", "&chat:*", "-@all",
    ];
    user.extend(
        "+@read +@write +@pubsub +@scripting +@connection +@transaction +time -@dangerous"
            .split(' '),
    );
    let _: () = cluster.server().ask(&user).await;
    let _: () = cluster
        .server()
        .ask(&["ACL", "SETUSER", "default", "resetkeys", "resetchannels"])
        .await;
    let url = cluster
        .server()
        .address()
        .replace("redis://", "redis://chat:secret@");
    let options = RedisOptions::new(url.parse().unwrap(), "limited");
    let (tracker, stop) = (TaskTracker::new(), CancellationToken::new());
    let attachment = Redis::attach(options, &tracker, &stop).unwrap();
    let mut node = Node {
        backplane: attachment.backplane,
        events: attachment.events,
    };
    node.subscribe("lobby").await;
    assert_eq!(node.say("lobby", 1, 1, "1").await.seq, Seq(1));
    assert_eq!(node.block().await.1.first, Seq(1));
    assert_eq!(node.all("lobby").await, ["1"]);
    let reset = RegistryChanges {
        reset: true,
        ..RegistryChanges::default()
    };
    let lease = Duration::from_secs(9);
    node.backplane
        .write_registry(NodeId(1), lease, &reset, Bytes::new())
        .await
        .unwrap();
    assert_eq!(node.backplane.nodes().await.unwrap(), [NodeId(1)]);
    node.backplane.shared_secret([1; 32]).await.unwrap();
}
