//! A client that speaks the wire by hand, well or badly, and a node of this process to speak to.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::BytesMut;
use chat_node::backplane::Attachment;
use chat_node::backplane::memory::Memory;
use chat_node::certs::development;
use chat_node::endpoint;
use chat_node::node::{Node, Options};
use chat_node::policy::Open;
use chat_protocol::client::{ClientFrame, Hello, Join, Start};
use chat_protocol::lane::HistoryPage;
use chat_protocol::node::Welcome;
use chat_protocol::{
    ALPN, Frame, FrameDecoder, LaneFrame, NodeFrame, RequestId, StreamType, varint,
};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{
    ClientConfig, Connection, ConnectionError, Endpoint, ReadError, RecvStream, SendStream,
    TransportConfig,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio_util::sync::CancellationToken;

use super::soon;

/// A node in this process, on the embedded backplane.
#[derive(Debug)]
pub struct LocalNode {
    /// The node.
    pub node: Node,
    /// Where its certificates are.
    pub home: tempfile::TempDir,
}

impl LocalNode {
    /// Starts one.
    pub async fn start() -> Self {
        Self::on(Memory::new().attach(), "node-1").await
    }

    /// Starts one on a backplane.
    pub async fn on(attachment: Attachment, name: &str) -> Self {
        Self::with(attachment, name, |_| {}).await
    }

    /// Starts one on a backplane, with options changed.
    pub async fn with(
        attachment: Attachment,
        name: &str,
        change: impl FnOnce(&mut Options),
    ) -> Self {
        let home = tempfile::tempdir().unwrap();
        let made = development::load_or_make(home.path(), &[], SystemTime::now()).unwrap();
        let socket = endpoint::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
        let mut options = Options {
            name: name.parse().unwrap(),
            advertise: Some(socket.local_addr().unwrap().to_string()),
            certificate: made.node,
            policy: Arc::new(Open),
            notice: None,
            grace: Duration::from_secs(1),
            lease: Duration::from_secs(3),
            append_timeout: Duration::from_secs(2),
            idle_timeout: Duration::from_secs(15),
            slow_reader_timeout: Duration::from_secs(30),
            linger: Duration::from_millis(5),
            datagram_bytes_max: endpoint::DATAGRAM_BYTES_ETHERNET,
            connections_max: 100,
        };
        change(&mut options);
        let node = Node::start(options, socket, attachment, CancellationToken::new())
            .await
            .unwrap();
        Self { node, home }
    }

    /// A QUIC connection to it, with this ALPN.
    pub async fn connect(&self, alpn: &[u8]) -> Result<(Endpoint, Connection), ConnectionError> {
        let ca = self.home.path().join("ca.pem");
        connect(self.node.address(), &ca, alpn, TransportConfig::default()).await
    }

    /// A peer that has said nothing yet.
    pub async fn peer(&self) -> Peer {
        let (endpoint, connection) = self.connect(ALPN).await.unwrap();
        Peer::new(endpoint, connection).await
    }

    /// A peer that was welcomed under this name, and lets the node send so many bytes of a stream
    /// before it reads them.
    pub async fn narrow(&self, name: &str, stream_bytes: u32) -> Peer {
        let mut transport = TransportConfig::default();
        transport.stream_receive_window(stream_bytes.into());
        let ca = self.home.path().join("ca.pem");
        Peer::welcomed(self.node.address(), &ca, transport, name).await
    }

    /// A peer that was welcomed under this name.
    pub async fn welcomed(&self, name: &str) -> (Peer, Welcome) {
        let mut peer = self.peer().await;
        let welcome = peer.hello(name).await;
        (peer, welcome)
    }
}

/// A QUIC connection that trusts exactly this CA.
pub async fn connect(
    address: SocketAddr,
    ca: &Path,
    alpn: &[u8],
    transport: TransportConfig,
) -> Result<(Endpoint, Connection), ConnectionError> {
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(ca).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut crypto = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    crypto.alpn_protocols = vec![alpn.to_vec()];
    let endpoint = Endpoint::client(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
    let mut config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(crypto).unwrap()));
    config.transport_config(Arc::new(transport));
    let connection = endpoint
        .connect_with(config, address, "localhost")
        .unwrap()
        .await?;
    Ok((endpoint, connection))
}

/// A client by hand.
#[derive(Debug)]
pub struct Peer {
    // Kept: the connection ends with it.
    _endpoint: Endpoint,
    /// Its connection.
    pub connection: Connection,
    /// Its side of the control stream.
    pub send: SendStream,
    control: Frames,
}

impl Peer {
    /// A peer that was welcomed under this name, on a connection of its own.
    pub async fn welcomed(
        address: SocketAddr,
        ca: &Path,
        transport: TransportConfig,
        name: &str,
    ) -> Self {
        let connecting = connect(address, ca, ALPN, transport);
        let (endpoint, connection) = connecting.await.unwrap();
        let mut peer = Self::new(endpoint, connection).await;
        peer.hello(name).await;
        peer
    }

    async fn new(endpoint: Endpoint, connection: Connection) -> Self {
        let (send, recv) = connection.open_bi().await.unwrap();
        Self {
            _endpoint: endpoint,
            connection,
            send,
            control: Frames::new(recv),
        }
    }

    /// Sends bytes as they are.
    pub async fn raw(&mut self, bytes: &[u8]) {
        self.send.write_all(bytes).await.unwrap();
    }

    /// Sends a frame.
    pub async fn say(&mut self, frame: impl Into<ClientFrame>) {
        self.raw(&frame.into().to_bytes()).await;
    }

    /// The stream type and a hello; returns the welcome.
    pub async fn hello(&mut self, name: &str) -> Welcome {
        let mut bytes = BytesMut::new();
        varint::put(StreamType::Control.to_wire(), &mut bytes);
        ClientFrame::from(hello(name)).encode(&mut bytes);
        self.raw(&bytes).await;
        match self.hear().await {
            NodeFrame::Welcome(welcome) => welcome,
            other => panic!("no welcome: {other:?}"),
        }
    }

    /// The next control frame, but for the state of the backplane.
    pub async fn hear(&mut self) -> NodeFrame {
        loop {
            let frame = soon("a control frame", self.control.next()).await;
            match frame.expect("the control stream goes on") {
                NodeFrame::BackplaneState(_) => {}
                frame => return frame,
            }
        }
    }

    /// The next lane and its first frame.
    pub async fn lane(&self) -> (Frames, chat_protocol::lane::Joined) {
        let recv = soon("a lane", self.connection.accept_uni()).await.unwrap();
        let mut frames = Frames::new(recv);
        assert_eq!(frames.varint().await, StreamType::Lane.to_wire());
        match soon("the first frame of a lane", frames.next()).await {
            Some(LaneFrame::Joined(joined)) => (frames, joined),
            other => panic!("a lane begins with {other:?}"),
        }
    }

    /// The next page of older entries and its first frame. Lanes before it are dropped.
    pub async fn page(&self) -> (Frames, HistoryPage) {
        loop {
            let recv = soon("a page", self.connection.accept_uni()).await.unwrap();
            let mut frames = Frames::new(recv);
            if frames.varint().await != StreamType::Page.to_wire() {
                continue;
            }
            match soon("the first frame of a page", frames.next()).await {
                Some(LaneFrame::HistoryPage(page)) => return (frames, page),
                other => panic!("a page begins with {other:?}"),
            }
        }
    }

    /// Joins a room, and returns its lane once it is there. Other lanes before it are dropped.
    pub async fn join(
        &mut self,
        room: &str,
        start: Start,
    ) -> (Frames, chat_protocol::lane::Joined) {
        self.ask_to_join(room, start).await;
        self.joined().await
    }

    /// Asks to join a room.
    pub async fn ask_to_join(&mut self, room: &str, start: Start) {
        self.say(Join {
            request: JOIN,
            room: room.to_owned(),
            start,
        })
        .await;
    }

    /// The lane of the room that it asked to join. Other lanes before it are dropped.
    pub async fn joined(&self) -> (Frames, chat_protocol::lane::Joined) {
        loop {
            let (frames, joined) = self.lane().await;
            if joined.request == JOIN {
                return (frames, joined);
            }
        }
    }

    /// The application code the node closes the connection with.
    pub async fn close_code(&self) -> u64 {
        match soon("the node closes", self.connection.closed()).await {
            ConnectionError::ApplicationClosed(close) => close.error_code.into_inner(),
            other => panic!("closed otherwise: {other}"),
        }
    }
}

/// What peers call their requests to join.
const JOIN: RequestId = RequestId(77);

/// A hello with this name.
pub fn hello(name: &str) -> Hello {
    Hello {
        minor: 0,
        features: Vec::new(),
        agent: "peer/1".to_owned(),
        name: Some(name.to_owned()),
        token: None,
        resume: None,
    }
}

/// Frames of a stream.
#[derive(Debug)]
pub struct Frames {
    recv: RecvStream,
    decoder: FrameDecoder,
}

impl Frames {
    fn new(recv: RecvStream) -> Self {
        Self {
            recv,
            decoder: FrameDecoder::new(),
        }
    }

    async fn varint(&mut self) -> u64 {
        loop {
            if let Some(value) = self.decoder.varint().unwrap() {
                return value;
            }
            assert!(self.fill().await, "the stream ended before its type");
        }
    }

    /// The next frame that is known; `None` at the end.
    pub async fn next<F: Frame>(&mut self) -> Option<F> {
        loop {
            while let Some(raw) = self.decoder.next().unwrap() {
                if let Some(frame) = F::decode(&raw).unwrap() {
                    return Some(frame);
                }
            }
            if !self.fill().await {
                return None;
            }
        }
    }

    /// Reads on to the end of the stream: the code it was reset with, if it was.
    pub async fn reset_code(&mut self) -> Option<u64> {
        loop {
            match soon("the end of a stream", self.recv.read_chunk(1 << 14, true)).await {
                Ok(Some(_)) => {}
                Ok(None) => return None,
                Err(ReadError::Reset(code)) => return Some(code.into_inner()),
                Err(other) => panic!("{other}"),
            }
        }
    }

    /// The next frame of a lane that is no presence.
    pub async fn entry(&mut self) -> LaneFrame {
        loop {
            match soon("an entry", self.next()).await {
                Some(LaneFrame::Presence(_)) => {}
                Some(frame) => return frame,
                None => panic!("the lane ended"),
            }
        }
    }

    async fn fill(&mut self) -> bool {
        match self.recv.read_chunk(1 << 14, true).await {
            Ok(Some(chunk)) => {
                self.decoder.push(&chunk.bytes);
                true
            }
            _ => false,
        }
    }
}
