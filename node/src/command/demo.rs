//! `chat-node demo`: two nodes and two clients in one process, and their conversation.
//!
//! Nothing is pretended: the nodes listen on real UDP ports, the clients are the SDK over QUIC, and
//! each line is printed when that client received it.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use chat_client::{Client, Event, Events, Room, Start, Trust, certs_dir};
use chat_protocol::lane::{Notice, NoticeLevel};
use chat_protocol::{Content, Cursor, NodeName, Nonce, SessionId, Text};
use tokio::time;
use tokio_util::sync::CancellationToken;

use super::certs::broken;
use super::serve::{Signals, taken};
use super::{Failure, say};
use crate::backplane::memory::Memory;
use crate::certs::development;
use crate::config::DemoConfig;
use crate::endpoint;
use crate::node::{Node, Options};
use crate::policy::Open;

pub(super) async fn run(config: DemoConfig) -> Result<(), Failure> {
    let mut signals = Signals::new()
        .map_err(|error| Failure::new(1, "signals cannot be waited for").because(error))?;
    let directory = certs_dir(&config.certs);
    let backplane = Memory::new();
    let mut nodes = Vec::new();
    for port in PORTS {
        nodes.push(start_node(port, &directory, &backplane).await?);
    }
    let outcome = tokio::select! {
        talked = talk(&nodes, &directory) => talked,
        () = signals.next() => Err(Failure::new(130, "interrupted")),
    };
    if outcome.is_ok() && !config.exit {
        say("");
        say("The nodes stay up. Join them, each from a terminal of its own:");
        for port in PORTS {
            say(&format!(
                "  chat-cli {port}        (from here: cargo run --release --bin chat-cli -- {port})"
            ));
        }
        say("Ctrl-C ends the demo.");
        signals.next().await;
    }
    // Together: a node that goes alone sends its clients to the other first.
    futures_util::future::join_all(nodes.into_iter().map(|node| node.drain(DRAIN))).await;
    outcome
}

async fn start_node(port: u16, certs: &Path, backplane: &Arc<Memory>) -> Result<Node, Failure> {
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let made = development::load_or_make(certs, &[], SystemTime::now()).map_err(broken)?;
    let socket = endpoint::bind(listen).map_err(|error| Failure {
        help: Some(format!(
            "the demo wants ports {} and {}; end the program that has {port} \
             (ss -lunp sport = :{port} shows it), or join it: chat-cli {port}",
            PORTS[0], PORTS[1],
        )),
        ..taken(listen, &error)
    })?;
    let name = NodeName::try_from(format!("node-{port}"))
        .map_err(|error| Failure::new(1, "no name for the node").because(error))?;
    let options = Options {
        name,
        advertise: Some(listen.to_string()),
        certificate: made.node,
        policy: Arc::new(Open),
        notice: None,
        grace: Duration::from_secs(5),
        lease: Duration::from_secs(15),
        append_timeout: Duration::from_secs(5),
        idle_timeout: Duration::from_secs(15),
        slow_reader_timeout: Duration::from_secs(30),
        linger: Duration::from_millis(5),
        datagram_bytes_max: endpoint::DATAGRAM_BYTES_ETHERNET,
        connections_max: 1_000,
    };
    Node::start(
        options,
        socket,
        backplane.attach(),
        CancellationToken::new(),
    )
    .await
    .map_err(|error| Failure::new(1, format!("no node on {listen}")).because(error))
}

/// Someone in the conversation.
struct Person {
    client: Client,
    events: Events,
    lobby: Room,
}

async fn talk(nodes: &[Node], certs: &Path) -> Result<(), Failure> {
    let [first, second] = nodes else {
        return Err(Failure::new(1, "the demo needs two nodes"));
    };
    say("Two nodes share an embedded backplane, and a client is on each:");
    say(&format!(
        "  ann on {} ({})   bo on {} ({})",
        first.name(),
        first.address(),
        second.name(),
        second.address()
    ));
    say("Each line is what that client received, over QUIC:");
    say("");
    let mut ann = Person::connect("ann", first, certs).await?;
    let mut bo = Person::connect("bo", second, certs).await?;
    let waves = Content::Action(text("waves across the cluster")?);
    let lines = [
        (
            true,
            Content::Text(text("Hello, I am on node-8081. Is anybody there?")?),
        ),
        (
            false,
            Content::Text(text("I am, on node-8082, and I see what you see.")?),
        ),
    ];
    for (is_ann, line) in lines {
        say_together(&mut ann, &mut bo, is_ann, line).await?;
    }
    let notice = Notice {
        at_ms: 0,
        level: NoticeLevel::Info,
        text: text("the server tells everybody, once for the whole cluster")?,
    };
    let cursor = first
        .hub()
        .notice(
            SessionId(1),
            Nonce(1),
            Notice {
                at_ms: now_ms(),
                ..notice
            },
        )
        .await
        .map_err(|refusal| Failure::new(1, "the notice was refused").because(refusal.detail))?;
    ann.until(cursor, true).await?;
    bo.until(cursor, true).await?;
    say_together(&mut ann, &mut bo, true, waves).await?;
    let last = Content::Text(text("Same lines, same order. See you!")?);
    say_together(&mut ann, &mut bo, false, last).await?;
    say("");
    say("All of it arrived on both nodes, in the same order.");
    ann.client.close().await;
    bo.client.close().await;
    Ok(())
}

/// One of the two says something, and both receive it.
async fn say_together(
    ann: &mut Person,
    bo: &mut Person,
    is_ann: bool,
    line: Content,
) -> Result<(), Failure> {
    let author = if is_ann { &ann.lobby } else { &bo.lobby };
    let delivery = author
        .publish(line)
        .map_err(|error| Failure::new(1, "a line was not taken").because(error))?;
    let cursor = time::timeout(PATIENCE, delivery)
        .await
        .map_err(|_| Failure::new(7, "a line was not acknowledged in time"))?
        .map_err(|error| Failure::new(1, "a line was refused").because(error))?;
    ann.until(cursor, false).await?;
    bo.until(cursor, false).await
}

impl Person {
    async fn connect(name: &str, node: &Node, certs: &Path) -> Result<Self, Failure> {
        let (client, events) = Client::builder()
            .target(node.address().to_string())
            .name(name)
            .trust(Trust::Development {
                dir: Some(certs.to_owned()),
            })
            .connect()
            .await
            .map_err(|error| Failure::new(3, format!("{name} cannot connect")).because(error))?;
        let lobby = client
            .join("lobby", Start::Live)
            .await
            .map_err(|error| Failure::new(1, format!("{name} cannot join")).because(error))?;
        Ok(Self {
            client,
            events,
            lobby,
        })
    }

    /// Prints what comes, until the entry at `cursor` of the lobby or of the notices has come.
    async fn until(&mut self, cursor: Cursor, is_notice: bool) -> Result<(), Failure> {
        let wait = async {
            while let Some(event) = self.events.next().await {
                let (at, line) = match event {
                    Event::Message {
                        room,
                        cursor,
                        message,
                        ..
                    } => {
                        let name = message.author.name;
                        let line = match message.content {
                            Content::Text(text) => {
                                format!("#{room} {}  <{name}> {text}", cursor.seq)
                            }
                            Content::Action(text) => {
                                format!("#{room} {}  * {name} {text}", cursor.seq)
                            }
                            _ => continue,
                        };
                        (Some((cursor, false)), line)
                    }
                    Event::Notice { cursor, notice, .. } => (
                        Some((cursor, true)),
                        format!("*** notice {}: {}", cursor.seq, notice.text),
                    ),
                    _ => continue,
                };
                say(&format!(
                    "  {:<4} {}  {line}",
                    self.client.session().name,
                    self.client.session().node
                ));
                if at == Some((cursor, is_notice)) {
                    return true;
                }
            }
            false
        };
        match time::timeout(PATIENCE, wait).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(Failure::new(1, "the connection ended")),
            Err(_) => Err(Failure::new(7, "a line did not arrive in time")),
        }
    }
}

fn text(text: &str) -> Result<Text, Failure> {
    text.parse()
        .map_err(|error| Failure::new(1, "not a text").because(error))
}

fn now_ms() -> u64 {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Where the nodes listen.
const PORTS: [u16; 2] = [8081, 8082];

/// How long a line may take before the demo gives up.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long the nodes have to stop.
const DRAIN: Duration = Duration::from_secs(3);
