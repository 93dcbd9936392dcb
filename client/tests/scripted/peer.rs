//! A node as a script: real QUIC and TLS, and on it exactly the frames that a test says.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use chat_client::protocol::client::{Hello, Publish, ReadBefore};
use chat_client::protocol::lane::{Author, HistoryPage, Joined, LaneFrame, Message};
use chat_client::protocol::node::{Ack, Closing, Permissions, Rejected, SessionLimits, Welcome};
use chat_client::protocol::{
    ALPN, ClientFrame, CloseCode, Content, Cursor, Epoch, ErrorCode, Frame, FrameDecoder, MINOR,
    NodeFrame, Nonce, RequestId, RoomName, RoomRef, Secret, Seq, SessionId, StreamCode, StreamType,
    varint,
};
use chat_client::{Builder, Client, Event, Events, Room, Start, Trust};
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{Connection, Endpoint, RecvStream, SendStream, VarInt};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tempfile::TempDir;
use tokio::time::timeout;

/// Longest a step may take. None takes a second unless something is wrong.
const STEP: Duration = Duration::from_secs(10);

/// Waits for a step, but not for ever.
pub(crate) async fn step<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(STEP, future)
        .await
        .unwrap_or_else(|_| panic!("nothing came: {what}"))
}

/// A development CA in a directory of its own.
pub(crate) struct Authority {
    dir: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        std::fs::write(dir.path().join("ca.pem"), certificate.pem()).unwrap();
        Self {
            dir,
            issuer: Issuer::new(params, key),
        }
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// What a client of this machine's nodes trusts.
    pub(crate) fn trust(&self) -> Trust {
        Trust::Development {
            dir: Some(self.dir.path().to_owned()),
        }
    }

    /// A certificate for this machine, and its key.
    pub(crate) fn leaf(&self) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let key = KeyPair::generate().unwrap();
        let names = ["localhost", "127.0.0.1"].map(str::to_owned);
        let params = CertificateParams::new(names).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (
            certificate.der().clone(),
            PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
        )
    }

    /// A client of these peers, ready to connect.
    pub(crate) fn client(&self, peers: &[&Peer]) -> Builder {
        let targets = peers.iter().map(|peer| peer.address().to_string());
        Client::builder().targets(targets).trust(self.trust())
    }
}

/// A peer that listens.
pub(crate) struct Peer {
    endpoint: Endpoint,
}

impl Peer {
    pub(crate) fn start(authority: &Authority) -> Self {
        Self::with_alpn(authority, ALPN)
    }

    /// At an address of this machine that need not be in its certificate.
    pub(crate) fn at(authority: &Authority, address: [u8; 4]) -> Self {
        let (certificate, key) = authority.leaf();
        let config = tls().with_single_cert(vec![certificate], key).unwrap();
        Self::bound(config, ALPN, address.into())
    }

    pub(crate) fn with_alpn(authority: &Authority, alpn: &[u8]) -> Self {
        let (certificate, key) = authority.leaf();
        Self::with_tls(
            tls().with_single_cert(vec![certificate], key).unwrap(),
            alpn,
        )
    }

    pub(crate) fn with_tls(config: rustls::ServerConfig, alpn: &[u8]) -> Self {
        Self::bound(config, alpn, Ipv4Addr::LOCALHOST)
    }

    fn bound(mut config: rustls::ServerConfig, alpn: &[u8], address: Ipv4Addr) -> Self {
        config.alpn_protocols = if alpn.is_empty() {
            Vec::new()
        } else {
            vec![alpn.to_vec()]
        };
        let crypto = QuicServerConfig::try_from(config).unwrap();
        let config = quinn::ServerConfig::with_crypto(Arc::new(crypto));
        Self {
            endpoint: Endpoint::server(config, SocketAddr::from((address, 0))).unwrap(),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.endpoint.local_addr().unwrap()
    }

    /// Takes the next connection and its hello.
    pub(crate) async fn accept(&self) -> Peered {
        step("a connection and its hello", self.try_accept())
            .await
            .expect("a connection that is not given up")
    }

    /// Takes the next connection and its hello, if its client is still there.
    pub(crate) async fn try_accept(&self) -> Option<Peered> {
        let connection = self.endpoint.accept().await.unwrap().await.ok()?;
        let (send, recv) = connection.accept_bi().await.ok()?;
        let mut control = Reader::new(recv);
        assert_eq!(control.varint().await, StreamType::Control.to_wire());
        let ClientFrame::Hello(hello) = control.frame().await? else {
            panic!("the first frame is no hello");
        };
        Some(Peered {
            connection,
            send,
            control,
            hello,
        })
    }

    /// Takes the next connection and welcomes it.
    pub(crate) async fn welcome(&self, session: u64) -> Peered {
        let mut peered = self.accept().await;
        peered
            .send(welcome(session, peered.hello.resume.is_some()))
            .await;
        peered
    }

    /// Shakes hands with everybody, and is silent then.
    pub(crate) async fn shake_hands(&self) -> ! {
        let mut connections = Vec::new();
        loop {
            let incoming = self.endpoint.accept().await.unwrap();
            if let Ok(connection) = incoming.await {
                connections.push(connection);
            }
        }
    }

    /// Refuses the next handshake, as a full node does.
    pub(crate) async fn refuse_next(&self) {
        step("a connection", self.endpoint.accept())
            .await
            .unwrap()
            .refuse();
    }
}

/// A server's TLS side up to its certificate.
pub(crate) fn tls() -> rustls::ConfigBuilder<rustls::ServerConfig, rustls::server::WantsServerCert>
{
    rustls::ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
}

/// A connection from the peer's side.
pub(crate) struct Peered {
    pub(crate) connection: Connection,
    pub(crate) hello: Hello,
    send: SendStream,
    control: Reader,
}

impl Peered {
    pub(crate) async fn send(&mut self, frame: impl Into<NodeFrame>) {
        self.send.write_all(&frame.into().to_bytes()).await.unwrap();
    }

    /// Writes bytes that need not be frames.
    pub(crate) async fn send_raw(&mut self, bytes: &[u8]) {
        self.send.write_all(bytes).await.unwrap();
    }

    pub(crate) fn finish(&mut self) {
        self.send.finish().unwrap();
    }

    /// The next frame of the client.
    pub(crate) async fn frame(&mut self) -> ClientFrame {
        step("a frame of the client", self.control.frame::<ClientFrame>())
            .await
            .unwrap()
    }

    /// The next frame of the client, which is a publish.
    pub(crate) async fn publish(&mut self) -> Publish {
        match self.frame().await {
            ClientFrame::Publish(publish) => publish,
            other => panic!("no publish but {other:?}"),
        }
    }

    /// The nonces and texts of the next publishes.
    pub(crate) async fn publishes(&mut self, len: usize) -> Vec<(u64, String)> {
        let mut publishes = Vec::new();
        while publishes.len() < len {
            let publish = self.publish().await;
            publishes.push((
                publish.nonce.0,
                String::from_utf8(publish.body.to_vec()).unwrap(),
            ));
        }
        publishes
    }

    /// Takes a join, checks it, and opens the lane.
    pub(crate) async fn on_join(
        &mut self,
        name: &str,
        start: Start,
        joined: impl FnOnce(&mut Joined),
    ) -> Lane {
        let ClientFrame::Join(join) = self.frame().await else {
            panic!("no join of {name}");
        };
        assert_eq!((join.room.as_str(), join.start), (name, start));
        let mut answer = opened(name, join.request);
        joined(&mut answer);
        self.open(answer).await
    }

    pub(crate) async fn open(&mut self, joined: Joined) -> Lane {
        let mut stream = self.connection.open_uni().await.unwrap();
        let mut out = BytesMut::new();
        varint::put(StreamType::Lane.to_wire(), &mut out);
        stream.write_all(&out).await.unwrap();
        let mut lane = Lane { stream };
        lane.send(joined).await;
        lane
    }

    /// Takes the next frame, which asks for a page.
    pub(crate) async fn on_read_before(&mut self) -> ReadBefore {
        match self.frame().await {
            ClientFrame::ReadBefore(read) => read,
            other => panic!("no page is asked for but {other:?}"),
        }
    }

    /// Begins a page of entries `next` up to but not including `end`.
    pub(crate) async fn page(&mut self, request: RequestId, next: u64, end: u64) -> Lane {
        let mut stream = self.connection.open_uni().await.unwrap();
        let mut out = BytesMut::new();
        varint::put(StreamType::Page.to_wire(), &mut out);
        stream.write_all(&out).await.unwrap();
        let mut page = Lane { stream };
        page.send(HistoryPage {
            request,
            epoch: EPOCH,
            first: Seq(3),
            next: Seq(next),
            end: Seq(end),
            gap: None,
        })
        .await;
        page
    }

    pub(crate) async fn ack(&mut self, nonce: u64, seq: u64) {
        self.send(Ack {
            room: LOBBY,
            nonce: Nonce(nonce),
            cursor: at(seq),
        })
        .await;
    }

    pub(crate) async fn reject(
        &mut self,
        nonce: u64,
        code: ErrorCode,
        retry_after_ms: Option<u32>,
    ) {
        let rejected = Rejected {
            room: LOBBY,
            nonce: Nonce(nonce),
            code: code.to_wire(),
            retry_after_ms,
            detail: String::new(),
        };
        self.send(rejected).await;
    }

    /// Says goodbye, and waits until the client closes.
    pub(crate) async fn close(mut self, code: CloseCode) -> quinn::ConnectionError {
        self.send(Closing {
            code: code.to_wire(),
            detail: String::new(),
        })
        .await;
        self.finish();
        step("the client to close", self.connection.closed()).await
    }

    /// Is gone without a goodbye, as after a crash but noticed at once.
    pub(crate) fn vanish(self) {
        self.connection
            .close(VarInt::from_u32(CloseCode::Internal.to_wire()), b"");
    }
}

/// A lane from the peer's side.
pub(crate) struct Lane {
    stream: SendStream,
}

impl Lane {
    pub(crate) async fn send(&mut self, frame: impl Into<LaneFrame>) {
        self.stream
            .write_all(&frame.into().to_bytes())
            .await
            .unwrap();
    }

    pub(crate) async fn send_raw(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    pub(crate) fn finish(&mut self) {
        self.stream.finish().unwrap();
    }

    pub(crate) fn reset(&mut self, code: StreamCode) {
        self.stream.reset(VarInt::from_u32(code.to_wire())).unwrap();
    }

    /// Why the client does not want it.
    pub(crate) async fn stopped(&mut self) -> Option<u64> {
        let stopped = step("the client to stop a stream", self.stream.stopped()).await;
        stopped.unwrap().map(VarInt::into_inner)
    }
}

struct Reader {
    stream: RecvStream,
    decoder: FrameDecoder,
}

impl Reader {
    fn new(stream: RecvStream) -> Self {
        Self {
            stream,
            decoder: FrameDecoder::new(),
        }
    }

    async fn varint(&mut self) -> u64 {
        loop {
            if let Some(value) = self.decoder.varint().unwrap() {
                return value;
            }
            assert!(self.fill().await, "the stream ended");
        }
    }

    async fn frame<F: Frame>(&mut self) -> Option<F> {
        loop {
            if let Some(raw) = self.decoder.next().unwrap() {
                return F::decode(&raw).unwrap();
            }
            if !self.fill().await {
                return None;
            }
        }
    }

    async fn fill(&mut self) -> bool {
        match self.stream.read_chunk(usize::MAX, true).await {
            Ok(Some(chunk)) => {
                self.decoder.push(&chunk.bytes);
                true
            }
            _ => false,
        }
    }
}

/// The room that most scripts are about.
pub(crate) const LOBBY: RoomRef = RoomRef(1);

pub(crate) const EPOCH: Epoch = Epoch(0xe);

pub(crate) fn at(seq: u64) -> Cursor {
    Cursor::new(EPOCH, Seq(seq))
}

pub(crate) fn secret(session: u64) -> Secret {
    Secret([u8::try_from(session).unwrap(); 16])
}

pub(crate) fn welcome(session: u64, resumed: bool) -> Welcome {
    Welcome {
        minor: MINOR,
        features: Vec::new(),
        node: "peer".parse().unwrap(),
        session: SessionId(session),
        secret: secret(session),
        name: "ann".parse().unwrap(),
        account: None,
        resumed,
        permissions: Permissions::USER,
        limits: SessionLimits {
            text_bytes_max: 4096,
            rooms_max: 128,
            in_flight_max: 4,
            idle_ms: 15_000,
        },
    }
}

pub(crate) fn opened(name: &str, request: RequestId) -> Joined {
    Joined {
        request,
        room: LOBBY,
        name: RoomName::try_from(name.to_owned()).unwrap(),
        direct: None,
        head: at(0),
        next: Seq(1),
        gap: None,
        members: 2,
        topic: "tea".parse().unwrap(),
    }
}

pub(crate) fn message(session: u64, nonce: u64, text: &str) -> Message {
    Message {
        author: Author {
            session: SessionId(session),
            account: None,
            name: "ann".parse().unwrap(),
        },
        nonce: Nonce(nonce),
        at_ms: 1,
        content: Content::Text(text.parse().unwrap()),
    }
}

/// A client that is welcomed as session 1, its first event taken.
pub(crate) async fn connected(builder: Builder, peer: &Peer) -> (Client, Events, Peered) {
    let connect = step("the client to connect", builder.connect());
    let (connected, peered) = tokio::join!(connect, peer.welcome(1));
    let (client, mut events) = connected.unwrap();
    assert!(matches!(next(&mut events).await, Event::Connected(_)));
    (client, events, peered)
}

/// A client that joined the lobby from its start, its events up to that taken.
pub(crate) async fn in_lobby(
    builder: Builder,
    peer: &Peer,
) -> (Client, Events, Room, Peered, Lane) {
    let (client, mut events, mut peered) = connected(builder, peer).await;
    let join = step("the lobby to be joined", client.join("#Lobby", Start::Live));
    let (room, lane) = tokio::join!(join, peered.on_join("lobby", Start::Live, |_| {}));
    assert!(matches!(
        next(&mut events).await,
        Event::Joined {
            rejoined: false,
            ..
        }
    ));
    (client, events, room.unwrap(), peered, lane)
}

pub(crate) async fn next(events: &mut Events) -> Event {
    step("an event", events.next())
        .await
        .expect("the client is not closed")
}

/// The next entry's place and text; nothing else may come before.
pub(crate) async fn next_message(events: &mut Events) -> (u64, String) {
    match next(events).await {
        Event::Message {
            cursor, message, ..
        } => match message.content {
            Content::Text(text) => (cursor.seq.0, text.into()),
            other => panic!("no text but {other:?}"),
        },
        other => panic!("no message but {other:?}"),
    }
}

/// Skips to the next event that `wanted` takes.
pub(crate) async fn next_of<T>(events: &mut Events, wanted: impl Fn(Event) -> Option<T>) -> T {
    loop {
        if let Some(found) = wanted(next(events).await) {
            return found;
        }
    }
}
