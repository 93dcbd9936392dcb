//! What people are told of each other, with real node processes, a real Redis and QUIC.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use chat_client::{Client, Event, Events, PresenceChange, Room, Start, Trust};
use tempfile::TempDir;
use tokio::time;

use crate::sorted;
use crate::support::process::{NodeCommand, NodeProcess};
use crate::support::redis::RedisServer;
use crate::support::soon;

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

    fn node(&self, lease: &str) -> NodeProcess {
        NodeCommand::new(self.home.path())
            .redis(&self.redis.address())
            .args(&["--idle-timeout", "6s", "--grace", "1s", "--lease", lease])
            .start()
    }

    /// Somebody in the lobby, who comes back to the first of these nodes that is there.
    async fn join(&self, name: &str, nodes: &[&NodeProcess]) -> Person {
        let builder = Client::builder()
            .targets(nodes.iter().map(|node| node.target()))
            .name(name)
            // It notices a dead node soon.
            .keep_alive(Duration::from_secs(1))
            .trust(Trust::Development {
                dir: Some(self.home.path().join("chat/certs")),
            });
        let connected = async {
            loop {
                match builder.clone().connect().await {
                    Ok(connected) => return connected,
                    // Redis may just be back.
                    Err(_) => time::sleep(Duration::from_millis(100)).await,
                }
            }
        };
        let (client, events) = soon("connects", connected).await;
        let lobby = soon("joins", client.join("lobby", Start::Live)).await;
        Person {
            client,
            events,
            _lobby: lobby.unwrap(),
            told: Vec::new(),
        }
    }

    /// Somebody in the lobby whose process can be killed.
    fn process(&self, name: &str, node: &NodeProcess) -> Killed {
        let program = Path::new(env!("CARGO_BIN_EXE_chat-node")).with_file_name("chat-cli");
        assert!(
            program.exists(),
            "{} is missing: cargo build -p chat-cli",
            program.display()
        );
        let child = Command::new(program)
            .args(["--name", name, &node.target()])
            .env_clear()
            .env("XDG_DATA_HOME", self.home.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Killed(child.expect("chat-cli starts"))
    }

    /// Waits until Redis knows so many nodes.
    async fn registered(&self, len: usize) {
        let registered = async {
            loop {
                let keys: Vec<String> = self.redis.ask(&["KEYS", "chat:*registry:*"]).await;
                if keys.len() == len {
                    return;
                }
                time::sleep(Duration::from_millis(20)).await;
            }
        };
        soon(&format!("{len} nodes are registered"), registered).await;
    }
}

/// A process that is killed at the latest when its test ends.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct Person {
    client: Client,
    events: Events,
    // Left when dropped.
    _lobby: Room,
    /// Who came and went, as told.
    told: Vec<String>,
}

impl Person {
    /// Waits until so many are in the lobby, as its node believes.
    async fn sees(&self, members: usize) {
        let seen = async {
            // It may be on its way to another node.
            while self.client.members("lobby").await.unwrap_or_default().len() != members {
                time::sleep(Duration::from_millis(20)).await;
            }
        };
        soon(&format!("{members} members are seen"), seen).await;
    }

    /// Reads on until told this, and says what was told since the call before, this included.
    async fn until(&mut self, what: &str) -> Vec<String> {
        let told = async {
            while !self.told.iter().any(|told| told == what) {
                let event = self.events.next().await.expect("the client goes on");
                if let Event::Presence { changes, .. } = event {
                    self.told.extend(changes.iter().map(|change| match change {
                        PresenceChange::Joined(name) => format!("+{name}"),
                        PresenceChange::Left(name) => format!("-{name}"),
                        PresenceChange::Renamed { from, to } => format!("{from}>{to}"),
                    }));
                }
            }
        };
        let in_time = time::timeout(Duration::from_secs(40), told).await;
        assert!(in_time.is_ok(), "{what} was not told, but {:?}", self.told);
        std::mem::take(&mut self.told)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_forgets_makes_nobody_leave() {
    let mut cluster = Cluster::start().await;
    let (one, two) = (cluster.node("15s"), cluster.node("15s"));
    let mut ann = cluster.join("ann", &[&one]).await;
    let mut bo = cluster.join("bo", &[&two]).await;
    ann.until("+bo").await;
    bo.until("+bo").await;
    for round in 0..5 {
        if round < 4 {
            let _: String = cluster.redis.ask(&["FLUSHALL"]).await;
        } else {
            cluster.redis.kill();
            cluster.redis.run(&[]).await;
        }
        cluster.registered(2).await;
        // Whoever comes now is told after what the loss made of the others.
        let name = format!("cy{round}");
        let cy = cluster.join(&name, &[&two]).await;
        let (came, left) = (format!("+{name}"), format!("-{name}"));
        for person in [&mut ann, &mut bo] {
            assert_eq!(person.until(&came).await, [came.as_str()]);
        }
        // Longer than it takes to compare leases.
        time::sleep(Duration::from_millis(3_300)).await;
        cy.client.close().await;
        for person in [&mut ann, &mut bo] {
            assert_eq!(person.until(&left).await, [left.as_str()]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_moves_off_a_killed_node_never_left_and_who_does_not_leaves_once() {
    let cluster = Cluster::start().await;
    let (one, two, three) = (
        cluster.node("12s"),
        cluster.node("12s"),
        cluster.node("12s"),
    );
    let ann = cluster.join("ann", &[&one, &two]).await;
    assert_eq!(ann.client.session().target, one.target());
    let bo = cluster.join("bo", &[&one]).await;
    let cy = cluster.join("cy", &[&one]).await;
    let mut observers = [
        cluster.join("dee", &[&two]).await,
        cluster.join("eve", &[&three]).await,
    ];
    for observer in &observers {
        observer.sees(5).await;
    }
    // What was told before this one came is of no interest.
    let _gus = cluster.join("gus", &[&three]).await;
    for observer in &mut observers {
        observer.until("+gus").await;
    }
    one.kill();
    soon("she moves on", async {
        while ann.client.session().target != two.target() {
            time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    assert!(ann.client.session().resumed);
    // All of a node leave in one step, so what comes after one of them comes after all.
    for observer in &mut observers {
        let mut told = observer.until("-bo").await;
        if told.len() == 1 {
            told.extend(observer.until("-cy").await);
        }
        assert_eq!(sorted(told), ["-bo", "-cy"]);
        let members = observer.client.members("lobby").await.unwrap();
        let members: Vec<_> = members.iter().map(|name| name.as_str()).collect();
        assert_eq!(members, ["ann", "dee", "eve", "gus"]);
    }
    // And nothing comes after it.
    let _fay = cluster.join("fay", &[&three]).await;
    for observer in &mut observers {
        assert_eq!(observer.until("+fay").await, ["+fay"]);
    }
    drop((bo, cy));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_was_frozen_brings_back_who_is_alive_and_no_ghosts() {
    let cluster = Cluster::start().await;
    let (one, two) = (cluster.node("3s"), cluster.node("3s"));
    let mut ann = cluster.join("ann", &[&one]).await;
    let bo = cluster.process("bo", &two);
    ann.until("+bo").await;
    let cy = cluster.join("cy", &[&two]).await;
    ann.until("+cy").await;
    two.signal("STOP");
    drop(bo);
    let mut told = ann.until("-bo").await;
    if told.len() == 1 {
        told.extend(ann.until("-cy").await);
    }
    assert_eq!(sorted(told), ["-bo", "-cy"]);
    two.signal("CONT");
    // By a new connection or by the old one: she comes back. He does not.
    assert_eq!(ann.until("+cy").await, ["+cy"]);
    // He is gone from his own node, too.
    cy.sees(2).await;
    let _dee = cluster.join("dee", &[&two]).await;
    assert_eq!(ann.until("+dee").await, ["+dee"]);
}
