//! This project's nodes, and a lean client for them: frames are counted, not decoded.
//!
//! Its settings are the SDK's, but for what a member costs this process: few sockets for many
//! connections, and no buffers for what a load never uses.

use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use bytes::{Buf, Bytes, BytesMut};
use chat_protocol::client::{ClientFrame, Hello, Join, Publish, Start};
use chat_protocol::codec::Bounds;
use chat_protocol::{
    ALPN, Frame, FrameDecoder, LaneFrame, NodeFrame, Nonce, RawFrame, RequestId, RoomRef,
    StreamType, varint,
};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{
    ClientConfig, Connection, Endpoint, EndpointConfig, IdleTimeout, RecvStream, SendStream,
    TokioRuntime, TransportConfig, VarInt,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::sync::oneshot;
use tokio::time;

use super::{Cluster, Programs, redis};
use crate::meter::{Meter, Reader};
use crate::network::Place;
use crate::payload::PAYLOAD_BYTES;
use crate::process::Process;

/// Starts Redis and two nodes.
pub(super) fn start(programs: &Programs, place: &Place) -> Result<Cluster> {
    let (redis, redis_address) = redis::start(&programs.redis_server, place)?;
    let home = tempfile::tempdir()?;
    let certs = home.path().join("certs");
    let url = format!("redis://{redis_address}");
    let node = |name: &'static str| -> Result<(Process, SocketAddr)> {
        let node = Process::start(name, place, &programs.node, |command| {
            command
                .args(["serve", "--listen", &format!("{}:0", place.address)])
                .args(["--redis", &url, "--name", name])
                .arg("--certs")
                .arg(&certs)
                .args(programs.node_args.split_whitespace())
                .env("CHAT_LOG", "error");
            if !place.address.is_loopback() {
                command.arg("--allow-dev-cert");
            }
        })?;
        let line = node.line_with(" listens on ")?;
        let address = line
            .split_once(" listens on ")
            .and_then(|(_, rest)| rest.split(' ').next()?.parse().ok())
            .with_context(|| format!("no address in \"{line}\""))?;
        Ok((node, address))
    };
    let (first, first_address) = node("node-1")?;
    let (second, second_address) = node("node-2")?;
    let dialer = Dialer::new(&certs.join("ca.pem"), place)?;
    Ok(Cluster {
        processes: vec![first, second, redis],
        addresses: [first_address, second_address],
        dialer: super::Dialer::Chat(Box::new(dialer)),
    })
}

/// Versions of the node and of Redis.
pub(super) fn versions(programs: &Programs) -> Result<Vec<(String, String)>> {
    let node = redis::said_by(Command::new(&programs.node).arg("--version"))?;
    Ok(vec![
        ("chat-node".to_owned(), node.replace("chat-node ", "")),
        redis::version(&programs.redis_server)?,
    ])
}

/// Sockets that the connections share, and their settings.
#[derive(Debug)]
pub(super) struct Dialer {
    endpoints: Vec<Endpoint>,
    config: ClientConfig,
}

impl Dialer {
    fn new(ca: &Path, place: &Place) -> Result<Self> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(ca).map_err(|error| anyhow!("{error}"))?)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut crypto = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(roots)
            .with_no_client_auth();
        crypto.alpn_protocols = vec![ALPN.to_vec()];
        let mut config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(crypto)?));
        config.transport_config(Arc::new(transport()));
        let endpoints = (0..ENDPOINTS_LEN)
            .map(|_| endpoint(place))
            .collect::<Result<_>>()?;
        Ok(Self { endpoints, config })
    }

    /// Says hello and joins.
    pub(super) async fn connect(
        &self,
        address: SocketAddr,
        room: &str,
        number: usize,
        reader: Reader,
    ) -> Result<Publisher> {
        let endpoint = &self.endpoints[number / 2 % self.endpoints.len()];
        let connection = endpoint
            .connect_with(self.config.clone(), address, "localhost")?
            .await?;
        let (mut send, recv) = connection.open_bi().await?;
        let mut out = BytesMut::new();
        varint::put(StreamType::Control.to_wire(), &mut out);
        ClientFrame::from(Hello {
            minor: 0,
            features: Vec::new(),
            agent: "compare/1".to_owned(),
            name: Some(format!("member-{number}")),
            token: None,
            resume: None,
        })
        .encode(&mut out);
        ClientFrame::from(Join {
            request: JOIN,
            room: room.to_owned(),
            start: Start::Live,
        })
        .encode(&mut out);
        send.write_all(&out).await?;
        let (said, joined) = oneshot::channel();
        tokio::spawn(read_control(recv, Arc::clone(reader.meter())));
        tokio::spawn(read_lanes(connection, reader, said));
        let room = time::timeout(ANSWER_MAX, joined)
            .await
            .context("no answer to a join")?
            .context("the node ended a connection at its join")?;
        Ok(Publisher {
            send,
            room,
            nonce: Nonce(0),
            out: BytesMut::new(),
        })
    }
}

/// A member's side of the control stream.
#[derive(Debug)]
pub(crate) struct Publisher {
    send: SendStream,
    room: RoomRef,
    nonce: Nonce,
    out: BytesMut,
}

impl Publisher {
    pub(super) fn put(&mut self, payload: &[u8; PAYLOAD_BYTES]) {
        self.nonce = self.nonce.next();
        ClientFrame::from(Publish {
            room: self.room,
            nonce: self.nonce,
            content_type: 0,
            body: Bytes::copy_from_slice(payload),
        })
        .encode(&mut self.out);
    }

    pub(super) async fn flush(&mut self) -> Result<()> {
        self.send.write_chunk(self.out.split().freeze()).await?;
        Ok(())
    }
}

/// Counts answers.
async fn read_control(mut recv: RecvStream, meter: Arc<Meter>) {
    let mut decoder = FrameDecoder::new();
    while let Ok(Some(chunk)) = recv.read_chunk(CHUNK_BYTES, true).await {
        decoder.push(&chunk.bytes);
        while let Ok(Some(raw)) = decoder.next() {
            match raw.kind {
                ACK => meter.on_acked(1),
                REJECTED => meter.on_refused(1),
                FAILED => eprintln!("  {:?}", NodeFrame::decode(&raw)),
                _ => {}
            }
        }
    }
}

/// Takes the lanes that the node opens, until the connection ends.
async fn read_lanes(connection: Connection, reader: Reader, said: oneshot::Sender<RoomRef>) {
    let meter = Arc::clone(reader.meter());
    let mut own = Some((reader, said));
    while let Ok(recv) = connection.accept_uni().await {
        let Ok((lane, joined)) = Lane::open(recv).await else {
            continue;
        };
        if joined.request != JOIN {
            tokio::spawn(lane.skip());
        } else if let Some((reader, said)) = own.take() {
            // Nobody waits any more when the load was ended.
            let _ = said.send(joined.room);
            tokio::spawn(lane.count(reader));
        }
    }
    meter.on_lost();
}

/// A lane after its first frame.
struct Lane {
    recv: RecvStream,
    rest: BytesMut,
}

impl Lane {
    async fn open(mut recv: RecvStream) -> Result<(Self, chat_protocol::lane::Joined)> {
        let mut rest = BytesMut::new();
        loop {
            if let Some((kind, start)) = varint::read(&rest)? {
                if kind != StreamType::Lane.to_wire() {
                    bail!("no lane");
                }
                if let Some(bounds) = Bounds::read(&rest[start..])? {
                    let body = rest.split_to(start + bounds.end).freeze();
                    let raw = RawFrame {
                        kind: bounds.kind,
                        body: body.slice(start + bounds.body..),
                    };
                    return match LaneFrame::decode(&raw)? {
                        Some(LaneFrame::Joined(joined)) => Ok((Self { recv, rest }, joined)),
                        _ => bail!("a lane that does not begin with what it is"),
                    };
                }
            }
            let chunk = recv.read_chunk(CHUNK_BYTES, true).await?;
            rest.extend_from_slice(&chunk.context("a lane that ended at once")?.bytes);
        }
    }

    /// Counts messages to the end.
    async fn count(mut self, mut reader: Reader) {
        walk(&mut self.rest, &mut reader);
        let mut chunks: [Bytes; 16] = Default::default();
        while let Ok(Some(len)) = self.recv.read_chunks(&mut chunks).await {
            for chunk in &chunks[..len] {
                self.rest.extend_from_slice(chunk);
            }
            walk(&mut self.rest, &mut reader);
        }
    }

    async fn skip(mut self) {
        while let Ok(Some(_)) = self.recv.read_chunk(CHUNK_BYTES, true).await {}
    }
}

/// Counts the whole frames, and leaves what is not whole yet.
fn walk(bytes: &mut BytesMut, reader: &mut Reader) {
    let mut at = 0;
    while let Ok(Some(bounds)) = Bounds::read(&bytes[at..]) {
        if bounds.kind == MESSAGE {
            reader.on_delivery(&bytes[at..at + bounds.end], 0);
        }
        at += bounds.end;
    }
    bytes.advance(at);
}

fn transport() -> TransportConfig {
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_uni_streams(VarInt::from_u32(8))
        .max_concurrent_bidi_streams(VarInt::from_u32(0))
        .stream_receive_window(VarInt::from_u32(128 << 10))
        .receive_window(VarInt::from_u32(2 << 20))
        .send_window(256 << 10)
        .keep_alive_interval(Some(Duration::from_secs(3)))
        .max_idle_timeout(Some(IdleTimeout::from(VarInt::from_u32(30_000))))
        .datagram_receive_buffer_size(None);
    transport
}

fn endpoint(place: &Place) -> Result<Endpoint> {
    let any = SocketAddr::new(
        if place.namespace.is_some() {
            std::net::Ipv4Addr::UNSPECIFIED.into()
        } else {
            place.address
        },
        0,
    );
    let socket = Socket::new(Domain::for_address(any), Type::DGRAM, Some(Protocol::UDP))?;
    socket.bind(&any.into())?;
    // What the system allows, which may be less.
    let _ = socket.set_recv_buffer_size(SOCKET_BYTES);
    let _ = socket.set_send_buffer_size(SOCKET_BYTES);
    let socket: UdpSocket = socket.into();
    Ok(Endpoint::new(
        EndpointConfig::default(),
        None,
        socket,
        Arc::new(TokioRuntime),
    )?)
}

/// What members call their request to join.
const JOIN: RequestId = RequestId(1);

/// Kinds that are told apart without decoding; `docs/PROTOCOL.md` has them all.
const MESSAGE: u64 = 0x02;
const FAILED: u64 = 0x84;
const ACK: u64 = 0x86;
const REJECTED: u64 = 0x88;

/// Sockets of the load: enough that none's buffer overflows, few enough that each read takes many
/// packets.
const ENDPOINTS_LEN: usize = 2;

/// Buffers of a socket, in bytes.
const SOCKET_BYTES: usize = 4 << 20;

/// Most that is taken at once, in bytes.
const CHUNK_BYTES: usize = 64 << 10;

/// Time a node has to answer.
const ANSWER_MAX: Duration = Duration::from_secs(20);

#[cfg(test)]
mod tests {
    use chat_protocol::lane::{At, Author, Message};
    use chat_protocol::{Content, Epoch, Seq, SessionId};

    use super::*;
    use crate::payload;

    #[test]
    fn messages_are_found_across_reads_and_marks_are_none() {
        let payload = payload::write(payload::now_ns(), 1);
        let message = LaneFrame::from(Message {
            author: Author {
                session: SessionId(1),
                account: None,
                name: "ann".parse().unwrap(),
            },
            nonce: Nonce(1),
            at_ms: 1,
            content: Content::parse(0, Bytes::copy_from_slice(&payload)).unwrap(),
        });
        let mark = LaneFrame::from(At {
            epoch: Epoch(1),
            next: Seq(1),
        });
        let mut lane = BytesMut::new();
        for frame in [&message, &mark, &message] {
            frame.encode(&mut lane);
        }
        let meter = Meter::new().unwrap();
        let mut reader = Reader::new(&meter, 0, 0);
        let mut bytes = BytesMut::new();
        for byte in lane {
            bytes.extend_from_slice(&[byte]);
            walk(&mut bytes, &mut reader);
        }
        assert_eq!(meter.delivered(), 2);
        // The text is the end of the frame, or no time could be read from it.
        assert_eq!(meter.percentiles().1.samples, 2);
    }
}
