//! Somebody between clients and a node who does harm to one entry of one client's lane: what a bot
//! must notice and name. Everything else it hands on as it is.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use bytes::{Bytes, BytesMut};
use chat_client::ledger::{Sent, Stamp, Stamped};
use chat_node::certs::development;
use chat_protocol::lane::Message;
use chat_protocol::{
    ALPN, ClientFrame, Content, Frame, FrameDecoder, LaneFrame, RawFrame, RoomName, StreamType,
    varint,
};
use quinn::{Connection, Endpoint, RecvStream, SendStream, ServerConfig, TransportConfig};
use tokio_util::task::TaskTracker;

use super::peer;

/// What is done to an entry.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Harm {
    /// Nothing.
    None,
    /// It does not come.
    Drop,
    /// It comes twice.
    Repeat,
    /// It comes after the next one of the same sender.
    Swap,
    /// A letter of its filler is another.
    Alter,
    /// One that nobody sent comes instead.
    Forge,
}

/// The relay.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    done: Arc<AtomicU64>,
    endpoint: Endpoint,
    // All its tasks end when its connections do.
    _tasks: TaskTracker,
}

/// What all its connections know.
#[derive(Debug)]
struct Plot {
    node: SocketAddr,
    ca: PathBuf,
    harm: Harm,
    /// The victim's name ends with this.
    victim: String,
    /// Which of its messages is harmed.
    nth: u64,
    done: Arc<AtomicU64>,
    tasks: TaskTracker,
}

impl Relay {
    /// Starts one before a node whose development certificates are in `certs`. It harms the message
    /// of this number, from 1, of the client whose name ends with `victim`.
    pub fn start(node: SocketAddr, certs: &Path, harm: Harm, victim: &str, nth: u64) -> Self {
        let made = development::load_or_make(certs, &[], SystemTime::now()).unwrap();
        let crypto = made.node.server_crypto().unwrap();
        let mut config = ServerConfig::with_crypto(Arc::new(crypto));
        config.transport_config(Arc::new(transport()));
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let endpoint = Endpoint::server(config, any).unwrap();
        let (done, tasks) = (Arc::new(AtomicU64::new(0)), TaskTracker::new());
        let plot = Arc::new(Plot {
            node,
            ca: certs.join("ca.pem"),
            harm,
            victim: victim.to_owned(),
            nth,
            done: Arc::clone(&done),
            tasks: tasks.clone(),
        });
        let accepting = endpoint.clone();
        tasks.spawn(async move {
            while let Some(incoming) = accepting.accept().await {
                let plot = Arc::clone(&plot);
                let tasks = plot.tasks.clone();
                tasks.spawn(async move {
                    if let Ok(client) = incoming.await {
                        plot.connect(client).await;
                    }
                });
            }
        });
        Self {
            address: endpoint.local_addr().unwrap(),
            done,
            endpoint,
            _tasks: tasks,
        }
    }

    /// Where clients reach the node through it.
    pub fn target(&self) -> String {
        self.address.to_string()
    }

    /// How often it did harm.
    pub fn harmed(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.endpoint.close(0u32.into(), b"");
    }
}

impl Plot {
    async fn connect(self: Arc<Self>, client: Connection) {
        let connecting = peer::connect(self.node, &self.ca, ALPN, transport());
        let Ok((_endpoint, node)) = connecting.await else {
            return client.close(0u32.into(), b"");
        };
        let Ok((to_client, mut from_client)) = client.accept_bi().await else {
            return;
        };
        let Ok((mut to_node, from_node)) = node.open_bi().await else {
            return;
        };
        let Some(name) = hello(&mut from_client, &mut to_node).await else {
            return client.close(0u32.into(), b"");
        };
        let is_victim = name.is_some_and(|name| name.ends_with(&self.victim));
        self.tasks.spawn(copy(from_client, to_node));
        self.tasks.spawn(copy(from_node, to_client));
        loop {
            tokio::select! {
                lane = node.accept_uni() => {
                    let Ok(lane) = lane else { break };
                    let Ok(out) = client.open_uni().await else { break };
                    if is_victim {
                        self.tasks.spawn(Arc::clone(&self).harm(lane, out));
                    } else {
                        self.tasks.spawn(copy(lane, out));
                    }
                }
                _ = client.closed() => break,
            }
        }
        // A goodbye is handed on as silence: both sides know what to do then.
        node.close(0u32.into(), b"");
        client.close(0u32.into(), b"");
    }

    /// Hands on a lane, frame by frame.
    async fn harm(self: Arc<Self>, mut lane: RecvStream, mut out: SendStream) {
        let mut decoder = FrameDecoder::new();
        let mut reading = Reading::default();
        let mut has_type = false;
        while let Ok(Some(chunk)) = lane.read_chunk(usize::MAX, true).await {
            decoder.push(&chunk.bytes);
            let mut bytes = BytesMut::new();
            if !has_type {
                let Ok(Some(kind)) = decoder.varint() else {
                    continue;
                };
                has_type = true;
                varint::put(kind, &mut bytes);
                assert_eq!(kind, StreamType::Lane.to_wire(), "a lane");
            }
            while let Ok(Some(raw)) = decoder.next() {
                self.hand_on(&raw, &mut reading, &mut bytes);
            }
            if out.write_all(&bytes).await.is_err() {
                return;
            }
        }
        let _ = out.finish();
    }

    fn hand_on(&self, raw: &RawFrame, reading: &mut Reading, out: &mut BytesMut) {
        let frame = encoded(raw);
        let message = match LaneFrame::decode(raw) {
            Ok(Some(LaneFrame::Joined(joined))) => {
                reading.room = Some(joined.name);
                None
            }
            Ok(Some(LaneFrame::Message(message))) => Some(message),
            _ => None,
        };
        let stamped = message.as_ref().and_then(|message| reading.stamp(message));
        let (Some(message), Some(stamped)) = (message, stamped) else {
            return out.extend_from_slice(&frame);
        };
        if let Some((held, sender)) = reading.held.take() {
            out.extend_from_slice(&frame);
            if stamped.stamp.sender == sender {
                out.extend_from_slice(&held);
            } else {
                reading.held = Some((held, sender));
            }
            return;
        }
        reading.messages += 1;
        if reading.messages != self.nth || self.harm == Harm::None {
            return out.extend_from_slice(&frame);
        }
        self.done.fetch_add(1, Ordering::Relaxed);
        match self.harm {
            Harm::None | Harm::Drop => {}
            Harm::Repeat => {
                out.extend_from_slice(&frame);
                out.extend_from_slice(&frame);
            }
            Harm::Swap => reading.held = Some((frame, stamped.stamp.sender)),
            Harm::Alter => {
                let text = text_of(&message);
                let cut = text.len() - 1;
                let last = if text.ends_with('x') { "y" } else { "x" };
                out.extend_from_slice(&with_text(message, &format!("{}{last}", &text[..cut])));
            }
            Harm::Forge => {
                let room = reading.room.as_ref().expect("a joined room");
                let stamp = Stamp {
                    sender: stamped.stamp.sender,
                    counter: 1_000_000,
                };
                let bytes = text_of(&message).len();
                let text = stamp.text(room, Sent::default(), bytes);
                out.extend_from_slice(&with_text(message, &text));
            }
        }
    }
}

#[derive(Debug, Default)]
struct Reading {
    room: Option<RoomName>,
    messages: u64,
    /// A frame that comes after the next one of its sender.
    held: Option<(Bytes, u64)>,
}

impl Reading {
    fn stamp(&self, message: &Message) -> Option<Stamped> {
        let room = self.room.as_ref()?;
        Stamp::find(&text_of(message), room).ok().flatten()
    }
}

fn text_of(message: &Message) -> String {
    match &message.content {
        Content::Text(text) => text.as_str().to_owned(),
        _ => String::new(),
    }
}

fn with_text(message: Message, text: &str) -> Bytes {
    let content = Content::Text(text.parse().expect("a text"));
    LaneFrame::from(Message { content, ..message }).to_bytes()
}

fn encoded(raw: &RawFrame) -> Bytes {
    let mut bytes = BytesMut::new();
    let len = varint::len(raw.kind) + raw.body.len();
    varint::put(len as u64, &mut bytes);
    varint::put(raw.kind, &mut bytes);
    bytes.extend_from_slice(&raw.body);
    bytes.freeze()
}

/// Hands on what a client says first, and gives the name it asks for; none when it says none.
async fn hello(from: &mut RecvStream, to: &mut SendStream) -> Option<Option<String>> {
    let mut decoder = FrameDecoder::new();
    let mut has_type = false;
    loop {
        let chunk = from.read_chunk(usize::MAX, true).await.ok()??;
        to.write_all(&chunk.bytes).await.ok()?;
        decoder.push(&chunk.bytes);
        if !has_type {
            has_type = decoder.varint().ok()?.is_some();
        }
        if !has_type {
            continue;
        }
        if let Some(raw) = decoder.next().ok()? {
            return match ClientFrame::decode(&raw).ok()?? {
                ClientFrame::Hello(hello) => Some(hello.name),
                _ => None,
            };
        }
    }
}

async fn copy(mut from: RecvStream, mut to: SendStream) {
    while let Ok(Some(chunk)) = from.read_chunk(usize::MAX, true).await {
        if to.write_all(&chunk.bytes).await.is_err() {
            return;
        }
    }
    let _ = to.finish();
}

fn transport() -> TransportConfig {
    let mut transport = TransportConfig::default();
    transport.max_concurrent_uni_streams(256u32.into());
    transport
}
