//! The original's design rebuilt for this comparison alone: a bidirectional gRPC stream for each
//! client, fan-out by a channel for each stream, and Redis pub/sub between nodes.
//!
//! What a client sends is `operation · length of the room's name · name · text`; what it gets is
//! the text, encoded once. No ids, acks, history or limits, as there.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::{Buf, BufMut, Bytes};
use tokio::sync::mpsc;
use tokio::time;
use tokio_stream::wrappers::ReceiverStream;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::Endpoint;
use tonic::{Request, Status, Streaming};

use super::{Cluster, Programs, redis};
use crate::meter::Reader;
use crate::network::Place;
use crate::payload::PAYLOAD_BYTES;
use crate::process::{self, Process};

mod server;

pub(crate) use server::serve;

/// Starts Redis and two servers, which are this very program.
pub(super) fn start(programs: &Programs, place: &Place) -> Result<Cluster> {
    let (redis, redis_address) = redis::start(&programs.redis_server, place)?;
    let this = std::env::current_exe()?;
    let server = |name: &'static str| -> Result<(Process, SocketAddr)> {
        let address = SocketAddr::new(place.address, process::free_port()?);
        let server = Process::start(name, place, &this, |command| {
            command
                .args(["grpc-server", &address.to_string()])
                .arg(format!("redis://{redis_address}"));
        })?;
        server.line_with("ready")?;
        Ok((server, address))
    };
    let (first, first_address) = server("grpc-1")?;
    let (second, second_address) = server("grpc-2")?;
    Ok(Cluster {
        processes: vec![first, second, redis],
        addresses: [first_address, second_address],
        dialer: super::Dialer::Grpc,
    })
}

/// Versions of the crates and of Redis.
pub(super) fn versions(programs: &Programs) -> Result<Vec<(String, String)>> {
    let locked = |name: &str| {
        let lock = include_str!("../../Cargo.lock");
        let entry = format!("name = \"{name}\"\nversion = \"");
        lock.split_once(&entry)
            .and_then(|(_, rest)| rest.split('"').next())
            .unwrap_or("unknown")
            .to_owned()
    };
    Ok(vec![
        ("tonic".to_owned(), locked("tonic")),
        ("redis (crate)".to_owned(), locked("redis")),
        redis::version(&programs.redis_server)?,
    ])
}

/// Connects, joins the room, and reads.
pub(super) async fn connect(address: SocketAddr, room: &str, reader: Reader) -> Result<Publisher> {
    let channel = Endpoint::from_shared(format!("http://{address}"))?
        .tcp_nodelay(true)
        .connect()
        .await?;
    let mut client = tonic::client::Grpc::new(channel);
    let (send, outgoing) = mpsc::channel(64);
    send.send(frame(JOIN, room, &[])).await?;
    let joining = async {
        client.ready().await?;
        let answer = client
            .streaming(
                Request::new(ReceiverStream::new(outgoing)),
                http::uri::PathAndQuery::from_static(PATH),
                Raw,
            )
            .await?;
        let mut incoming: Streaming<Bytes> = answer.into_inner();
        // The first is an empty one: joined.
        incoming.message().await?;
        Ok::<_, anyhow::Error>(incoming)
    };
    let incoming = time::timeout(ANSWER_MAX, joining)
        .await
        .context("no answer to a join")??;
    tokio::spawn(read_all(incoming, reader));
    Ok(Publisher {
        send,
        room: room.to_owned(),
        out: Vec::new(),
    })
}

/// A member's side of the stream.
#[derive(Debug)]
pub(crate) struct Publisher {
    send: mpsc::Sender<Bytes>,
    room: String,
    out: Vec<Bytes>,
}

impl Publisher {
    pub(super) fn put(&mut self, payload: &[u8; PAYLOAD_BYTES]) {
        self.out.push(frame(SAY, &self.room, payload));
    }

    pub(super) async fn flush(&mut self) -> Result<()> {
        for frame in self.out.drain(..) {
            self.send.send(frame).await?;
        }
        Ok(())
    }
}

async fn read_all(mut incoming: Streaming<Bytes>, mut reader: Reader) {
    while let Ok(Some(text)) = incoming.message().await {
        reader.on_delivery(&text, 0);
    }
    reader.meter().on_lost();
}

fn frame(operation: u8, room: &str, text: &[u8]) -> Bytes {
    let mut frame = Vec::with_capacity(2 + room.len() + text.len());
    frame.push(operation);
    frame.push(u8::try_from(room.len()).unwrap_or_default());
    frame.extend_from_slice(room.as_bytes());
    frame.extend_from_slice(text);
    frame.into()
}

/// Bytes as they are: what is encoded once is not encoded for each stream.
#[derive(Clone, Copy, Debug)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, bytes: Bytes, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.put(bytes);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, bytes: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(bytes.copy_to_bytes(bytes.remaining())))
    }
}

/// The one method.
const PATH: &str = "/chat.Hub/Connect";

/// Operations of a client.
const JOIN: u8 = 1;
const LEAVE: u8 = 2;
const SAY: u8 = 3;

/// Time a server has to answer.
const ANSWER_MAX: Duration = Duration::from_secs(20);
