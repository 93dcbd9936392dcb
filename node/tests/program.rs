//! The program `chat-node` as its operators meet it: what it prints, and how it ends.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on may panic anywhere"
)]

mod support;

use std::net::UdpSocket;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use chat_client::{Client, Event, Start, Trust, protocol};
use support::process::{NodeCommand, NodeProcess};
use support::redis::RedisServer;
use support::soon;

fn run(home: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_chat-node"))
        .args(args)
        .env_clear()
        .env("XDG_DATA_HOME", home)
        .output()
        .expect("chat-node runs")
}

fn health(home: &Path, target: &str) -> Output {
    run(home, &["health", target, "--timeout", "2s"])
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_taken_port_is_said_with_what_to_do() {
    let home = tempfile::tempdir().unwrap();
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = run(home.path(), &["--listen", &address]);
    assert_eq!(output.status.code(), Some(3));
    let text = stderr(&output);
    assert!(
        text.contains(&format!("error: cannot listen on {address} (UDP)")),
        "{text}"
    );
    assert!(text.contains("help:  another program has it"), "{text}");
}

#[test]
fn a_development_certificate_in_public_must_be_asked_for() {
    let home = tempfile::tempdir().unwrap();
    let output = run(home.path(), &["--listen", "0.0.0.0:0"]);
    assert_eq!(output.status.code(), Some(4));
    let text = stderr(&output);
    assert!(text.contains("--allow-dev-cert"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_start_at_once_share_one_ca_that_clients_trust() {
    let home = tempfile::tempdir().unwrap();
    let starting: Vec<_> = (0..4)
        .map(|_| NodeCommand::new(home.path()).spawn())
        .collect();
    let nodes: Vec<NodeProcess> = starting.into_iter().map(|one| one.listening()).collect();
    let certs = home.path().join("chat/certs");
    let ca = std::fs::read(certs.join("ca.pem")).unwrap();
    for node in &nodes {
        let connecting = Client::builder()
            .target(node.target())
            .trust(Trust::Ca(certs.join("ca.pem")))
            .connect();
        let (client, _events) = soon("connects", connecting).await.unwrap();
        client.close().await;
    }
    drop(nodes);
    // And they are used again.
    let node = NodeCommand::new(home.path()).start();
    assert_eq!(std::fs::read(certs.join("ca.pem")).unwrap(), ca);
    drop(node);
    use std::os::unix::fs::PermissionsExt;
    for entry in std::fs::read_dir(&certs).unwrap() {
        let entry = entry.unwrap();
        if entry
            .path()
            .extension()
            .is_some_and(|ending| ending == "key")
        {
            assert_eq!(
                entry.metadata().unwrap().permissions().mode() & 0o777,
                0o600
            );
        }
    }
}

#[test]
fn health_is_a_real_hello() {
    let home = tempfile::tempdir().unwrap();
    let node = NodeCommand::new(home.path()).start();
    let output = health(home.path(), &node.target());
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let port = node.address().port().to_string();
    assert_eq!(
        health(home.path(), &port).status.code(),
        Some(0),
        "a port alone"
    );
    let target = node.target();
    node.kill();
    let started = Instant::now();
    let output = health(home.path(), &target);
    assert_eq!(output.status.code(), Some(1));
    assert!(started.elapsed() < Duration::from_secs(10));
    assert!(
        stderr(&output).contains("is not healthy"),
        "{}",
        stderr(&output)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_messages_do_not_flow_is_not_healthy_though_it_answers() {
    let home = tempfile::tempdir().unwrap();
    let redis = RedisServer::start().await;
    let node = NodeCommand::new(home.path())
        .redis(&redis.address())
        .start();
    assert_eq!(health(home.path(), &node.target()).status.code(), Some(0));
    let (client, mut events) = soon(
        "connects",
        Client::builder()
            .target(node.target())
            .trust(Trust::Development {
                dir: Some(home.path().join("chat/certs")),
            })
            .connect(),
    )
    .await
    .unwrap();
    client.join("lobby", Start::Live).await.unwrap();
    redis.signal("-STOP");
    soon("the node notices", async {
        while !matches!(
            events.next().await,
            Some(Event::BackplaneState { available: false })
        ) {}
    })
    .await;
    let (path, target) = (home.path().to_owned(), node.target());
    let output = tokio::task::spawn_blocking(move || health(&path, &target))
        .await
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    redis.signal("-CONT");
    let (path, target) = (home.path().to_owned(), node.target());
    soon("it is healthy again", async {
        loop {
            let (path, target) = (path.clone(), target.clone());
            let output = tokio::task::spawn_blocking(move || health(&path, &target)).await;
            if output.unwrap().status.success() {
                return;
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_alone_ends_at_once_when_terminated_and_tells_its_clients() {
    let home = tempfile::tempdir().unwrap();
    let mut node = NodeCommand::new(home.path()).start();
    let connecting = Client::builder()
        .target(node.target())
        .trust(Trust::Development {
            dir: Some(home.path().join("chat/certs")),
        })
        .connect();
    let (_client, mut events) = soon("connects", connecting).await.unwrap();
    node.signal("TERM");
    let status = tokio::task::spawn_blocking(move || node.wait(Duration::from_secs(5)));
    assert!(
        status.await.unwrap().success(),
        "within the drain time, with status 0"
    );
    let reason = soon("the client is told", async {
        loop {
            let event = events.next().await.expect("it tries to come back");
            if let Event::Disconnected { reason, .. } = event {
                return reason;
            }
        }
    })
    .await;
    assert_eq!(
        reason.code,
        Some(chat_protocol::CloseCode::Draining.to_wire()),
        "{reason}"
    );
}

/// What `chat-node health` prints about a node, or why it is not well.
async fn told(home: &Path, node: &NodeProcess) -> Result<String, String> {
    let (path, target) = (home.to_owned(), node.target());
    let output = tokio::task::spawn_blocking(move || health(&path, &target))
        .await
        .unwrap();
    match output.status.code() {
        Some(0) => Ok(String::from_utf8(output.stdout).unwrap()),
        _ => Err(stderr(&output)),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_ack_survives_is_told_to_whoever_asks() {
    let home = tempfile::tempdir().unwrap();
    let alone = NodeCommand::new(home.path()).start();
    let said = told(home.path(), &alone).await.unwrap();
    assert!(
        said.ends_with("durability:  acked messages are lost when the node stops\n"),
        "{said}"
    );
    let mut redis = RedisServer::stopped();
    redis
        .run(&["--appendonly", "yes", "--appendfsync", "always"])
        .await;
    let log = home.path().join("log");
    let node = NodeCommand::new(home.path())
        .redis(&redis.address())
        .logging_to(&log, "info")
        .start();
    let sentence = "an acked message survives a crash of Redis";
    let said = told(home.path(), &node).await.unwrap();
    assert!(
        said.ends_with(&format!("durability:  {sentence}\n")),
        "{said}"
    );
    let logged = std::fs::read_to_string(&log).unwrap();
    let lines = logged.lines().filter(|line| line.contains(sentence));
    assert_eq!(lines.count(), 1, "{logged}");
    // Read again at every connection.
    let _: () = redis
        .ask(&["CONFIG", "SET", "appendfsync", "everysec"])
        .await;
    let _: u64 = redis.ask(&["CLIENT", "KILL", "TYPE", "normal"]).await;
    soon("it is noticed", async {
        let sentence = "up to about one second of acked messages may be lost";
        // While the connection is made again, nobody is let in.
        while !told(home.path(), &node)
            .await
            .is_ok_and(|said| said.contains(sentence))
        {}
    })
    .await;
    let logged = std::fs::read_to_string(&log).unwrap();
    assert!(
        logged.contains("redis promises something else now"),
        "{logged}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_drops_messages_is_refused_unless_that_is_allowed() {
    let home = tempfile::tempdir().unwrap();
    let mut redis = RedisServer::stopped();
    redis
        .run(&["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"])
        .await;
    let (path, address) = (home.path().to_owned(), redis.address());
    let args = move || {
        let args = ["--listen", "127.0.0.1:0", "--redis", &address, "--log=warn"];
        run(&path, &args)
    };
    let refusing = tokio::task::spawn_blocking(args);
    let output = soon("it refuses", refusing).await.unwrap();
    assert_eq!(output.status.code(), Some(5), "{}", stderr(&output));
    assert_eq!(
        stderr(&output),
        "error: refusing to start with this Redis\n\
         cause: its maxmemory-policy is allkeys-lru with maxmemory 104857600: it would drop acked \
         messages when its memory is full\n\
         help:  set it to refuse instead: redis-cli CONFIG SET maxmemory-policy noeviction\n       \
         (and in redis.conf; for a managed Redis in its settings)\n       \
         or start with --allow-eviction (CHAT_ALLOW_EVICTION=true) and lose messages then\n"
    );
    assert_eq!(
        redis.ask::<u64>(&["DBSIZE"]).await,
        0,
        "nothing was written"
    );

    let log = home.path().join("log");
    let node = NodeCommand::new(home.path())
        .redis(&redis.address())
        .args(&["--allow-eviction"])
        .logging_to(&log, "warn")
        .start();
    let logged = std::fs::read_to_string(&log).unwrap();
    assert!(logged.contains("REDIS MAY DROP ACKED MESSAGES"), "{logged}");
    let said = told(home.path(), &node).await.unwrap();
    assert!(
        said.contains("WARNING:     Redis may drop acked messages"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_redis_refuses_and_what_was_sent_is_in_the_log_once_there_is_room() {
    let home = tempfile::tempdir().unwrap();
    let redis = RedisServer::start().await;
    let log = home.path().join("log");
    let node = NodeCommand::new(home.path())
        .redis(&redis.address())
        .args(&["--append-timeout", "200ms"])
        .logging_to(&log, "info,chat_node::room=debug")
        .start();
    let connecting = Client::builder()
        .target(node.target())
        .trust(Trust::Development {
            dir: Some(home.path().join("chat/certs")),
        })
        .connect();
    let (client, _events) = soon("connects", connecting).await.unwrap();
    let lobby = soon("joins", client.join("lobby", Start::Live))
        .await
        .unwrap();
    let first = soon("an ack", lobby.publish_text("1").unwrap())
        .await
        .unwrap();
    let _: () = redis.ask(&["CONFIG", "SET", "maxmemory", "1"]).await;
    let pending = lobby.publish_text("2").unwrap();
    soon("the node refuses it", async {
        let is_refused =
            |line: &str| line.contains("publishes are refused") && line.contains("OOM");
        while !std::fs::read_to_string(&log)
            .unwrap()
            .lines()
            .any(is_refused)
        {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    let _: () = redis.ask(&["CONFIG", "SET", "maxmemory", "0"]).await;
    // Refused as retryable: the SDK repeats it, with the same nonce.
    let second = soon("an ack", pending).await.unwrap();
    assert_eq!(second, protocol::Cursor::new(first.epoch, first.seq.next()));
    let third = soon("an ack", lobby.publish_text("3").unwrap())
        .await
        .unwrap();
    assert_eq!(third.seq, second.seq.next());
}

#[test]
fn the_effective_configuration_is_logged_and_secrets_are_not() {
    let home = tempfile::tempdir().unwrap();
    let mut command = NodeCommand::new(home.path())
        .args(&["--redis", "redis://user:hunter2@127.0.0.1:1/3"])
        .command();
    command
        .env("CHAT_LOG", "info")
        .stderr(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    let stderr = child.stderr.take().unwrap();
    let mut seen = String::new();
    for line in std::io::BufRead::lines(std::io::BufReader::new(stderr)) {
        let line = line.unwrap();
        seen.push_str(&line);
        seen.push('\n');
        if line.contains("waiting for the backplane") {
            break;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(seen.contains("effective configuration"), "{seen}");
    assert!(seen.contains("redis://user:"), "{seen}");
    assert!(!seen.contains("hunter2"), "{seen}");
}

#[test]
fn the_demo_runs_or_says_what_is_in_its_way() {
    let home = tempfile::tempdir().unwrap();
    let is_free = |port| UdpSocket::bind(("127.0.0.1", port)).is_ok();
    let are_free = is_free(8081) && is_free(8082);
    let output = run(home.path(), &["demo", "--exit"]);
    if are_free {
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{}", stderr(&output));
        assert!(
            text.contains("All of it arrived on both nodes, in the same order."),
            "{text}"
        );
        for line in [
            "<ann> Hello",
            "<bo> I am",
            "*** notice",
            "* ann waves",
            "See you!",
        ] {
            assert_eq!(text.matches(line).count(), 2, "{line}: {text}");
        }
    } else {
        assert_eq!(output.status.code(), Some(3));
    }
    // The other way round, whatever else runs on this machine.
    let _taken: Vec<_> = [8081, 8082]
        .iter()
        .filter_map(|&port| UdpSocket::bind(("127.0.0.1", port)).ok())
        .collect();
    let output = run(home.path(), &["demo", "--exit"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(
        stderr(&output).contains("the demo wants ports 8081 and 8082"),
        "{}",
        stderr(&output)
    );
}
