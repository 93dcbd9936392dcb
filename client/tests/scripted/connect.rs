//! Connecting: to whom, to whom not, and what is said when it does not work.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chat_client::inspect::{self, InspectError, Inspected};
use chat_client::protocol::node::{Closing, Failed};
use chat_client::protocol::{ALPN, CloseCode, ErrorCode, RequestId, SessionId};
use chat_client::{Client, ConnectError, Fingerprint, KnownNodes, SessionTicket, Target, Trust};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::peer::{Authority, Peer, connected, secret, step, tls};

async fn refused(builder: chat_client::Builder) -> ConnectError {
    step("the client to give up", builder.connect())
        .await
        .expect_err("no session")
}

/// Why the client does not want this peer.
async fn refused_at(builder: chat_client::Builder, peer: &Peer) -> ConnectError {
    tokio::select! {
        error = refused(builder) => error,
        never = peer.shake_hands() => never,
    }
}

#[tokio::test]
async fn a_welcome_makes_a_session() {
    let authority = Authority::new();
    let peer = Peer::start(&authority);
    let builder = authority
        .client(&[&peer])
        .name("ann")
        .token("t")
        .agent("test/1");
    let (client, _events, peered) = connected(builder, &peer).await;
    let hello = &peered.hello;
    assert_eq!(
        (hello.name.as_deref(), hello.agent.as_str()),
        (Some("ann"), "test/1")
    );
    assert!(hello.token.is_some() && hello.resume.is_none());
    let session = client.session();
    assert_eq!(
        (session.session, session.name.as_str()),
        (SessionId(1), "ann")
    );
    assert_eq!((session.node.as_str(), session.resumed), ("peer", false));
    assert_eq!(session.target, peer.address().to_string());
    assert_eq!(
        client.ticket(),
        SessionTicket {
            session: SessionId(1),
            secret: secret(1)
        }
    );
    assert!(client.connection_stats().unwrap().packets_sent > 0);
}

#[tokio::test]
async fn the_certificate_and_what_it_was_trusted_by_are_told_while_there_is_a_connection() {
    let authority = Authority::new();
    let (leaf, key) = authority.leaf();
    let config = tls().with_single_cert(vec![leaf.clone()], key).unwrap();
    let peer = Peer::with_tls(config, ALPN);
    let (client, _events, peered) = connected(authority.client(&[&peer]), &peer).await;
    let certificate = client.certificate().unwrap();
    assert_eq!(certificate.fingerprint, Fingerprint::of_der(&leaf));
    assert!(certificate.not_after.is_some());
    assert_eq!(client.trust(), authority.trust());
    drop((peered, peer));
    step("the loss is noticed", async {
        while client.certificate().is_some() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_ticket_resumes_the_session_of_another_process() {
    let authority = Authority::new();
    let peer = Peer::start(&authority);
    let ticket = SessionTicket {
        session: SessionId(1),
        secret: secret(1),
    };
    let (client, _events, peered) =
        connected(authority.client(&[&peer]).resume(ticket), &peer).await;
    let resume = peered.hello.resume.unwrap();
    assert_eq!((resume.session, resume.secret), (SessionId(1), secret(1)));
    assert!(client.session().resumed);
}

#[tokio::test]
async fn nobody_there_is_said_within_the_time_with_what_was_tried() {
    let authority = Authority::new();
    // Sockets that are open and silent: no packet is answered, not even by a refusal.
    let silent = [0; 2].map(|_| std::net::UdpSocket::bind("127.0.0.1:0").unwrap());
    let targets = silent
        .each_ref()
        .map(|socket| socket.local_addr().unwrap().to_string());
    let builder = Client::builder()
        .targets(targets.clone())
        .trust(authority.trust())
        .connect_timeout(Duration::from_millis(900));
    let started = Instant::now();
    let error = refused(builder).await;
    assert!(
        started.elapsed() < Duration::from_secs(3),
        "{:?}",
        started.elapsed()
    );
    let ConnectError::Unreachable { tried, waited, .. } = &error else {
        panic!("{error:?}");
    };
    assert_eq!(*tried, targets);
    assert!(*waited >= Duration::from_millis(900));
    assert!(error.to_string().contains(&targets.join(", ")), "{error}");
}

#[tokio::test]
async fn the_next_target_is_tried_while_the_first_is_silent() {
    let authority = Authority::new();
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let peer = Peer::start(&authority);
    let builder = Client::builder()
        .target(format!(
            "{},{}",
            silent.local_addr().unwrap(),
            peer.address()
        ))
        .trust(authority.trust());
    let (client, ..) = connected(builder, &peer).await;
    assert_eq!(client.session().target, peer.address().to_string());
}

#[tokio::test]
async fn a_node_that_does_not_answer_the_hello_does_not_keep_the_client() {
    let authority = Authority::new();
    let (mute, peer) = (Peer::start(&authority), Peer::start(&authority));
    let builder = authority
        .client(&[&mute, &peer])
        .connect_timeout(Duration::from_secs(2));
    let connect = step("the client to connect", builder.connect());
    let (connected, held, _peered) = tokio::join!(connect, mute.accept(), peer.welcome(1));
    let (client, _events) = connected.unwrap();
    assert_eq!(client.session().target, peer.address().to_string());
    step("the mute one to be left", held.connection.closed()).await;
}

#[tokio::test]
async fn a_refused_hello_is_said_with_its_code_and_the_client_closes() {
    let authority = Authority::new();
    let (peer, other) = (Peer::start(&authority), Peer::start(&authority));
    let script = async {
        let mut peered = peer.accept().await;
        let failed = Failed {
            request: RequestId::NONE,
            code: ErrorCode::NameReserved.to_wire(),
            retry_after_ms: None,
            detail: "not\u{1b}[1m that".to_owned(),
        };
        peered.send(failed).await;
        peered.close(CloseCode::Refused).await
    };
    let builder = authority.client(&[&peer, &other]).name("admin");
    let (error, closed) = tokio::join!(refused(builder), script);
    let ConnectError::Refused {
        code,
        detail,
        retryable,
        target,
    } = error
    else {
        panic!("{error:?}");
    };
    assert_eq!(
        (code, retryable),
        (ErrorCode::NameReserved.to_wire(), false)
    );
    assert_eq!(detail, "not [1m that", "made safe to show");
    assert_eq!(target, peer.address().to_string());
    assert!(
        matches!(closed, quinn::ConnectionError::ApplicationClosed(close) if close.error_code == 0u8.into())
    );
}

#[tokio::test]
async fn a_full_node_sends_the_client_to_the_next() {
    let authority = Authority::new();
    let (full, draining, peer) = (
        Peer::start(&authority),
        Peer::start(&authority),
        Peer::start(&authority),
    );
    let builder = authority.client(&[&full, &draining, &peer]);
    let drain = async {
        let mut peered = draining.accept().await;
        let closing = Closing {
            code: CloseCode::Draining.to_wire(),
            detail: String::new(),
        };
        peered.send(closing).await;
        step("the client to close", peered.connection.closed()).await;
    };
    let connect = step("the client to connect", builder.connect());
    let (connected, (), (), _peered) =
        tokio::join!(connect, full.refuse_next(), drain, peer.welcome(1));
    assert_eq!(
        connected.unwrap().0.session().target,
        peer.address().to_string()
    );
}

#[tokio::test]
async fn a_full_node_alone_is_a_refusal_that_may_be_repeated() {
    let authority = Authority::new();
    let full = Peer::start(&authority);
    let (error, ()) = tokio::join!(refused(authority.client(&[&full])), full.refuse_next());
    let ConnectError::Refused {
        code, retryable, ..
    } = error
    else {
        panic!("{error:?}");
    };
    assert_eq!((code, retryable), (CloseCode::Overloaded.to_wire(), true));
}

#[tokio::test]
async fn another_protocol_is_told_from_silence() {
    let authority = Authority::new();
    // Another version of this protocol, another protocol, and a server that does not say.
    for alpn in [&b"chat/2"[..], b"h3", b""] {
        let other = Peer::with_alpn(&authority, alpn);
        let error = refused_at(authority.client(&[&other]), &other).await;
        let ConnectError::Version { target, .. } = &error else {
            panic!("{alpn:?}: {error:?}")
        };
        assert_eq!(*target, other.address().to_string());
    }
}

#[tokio::test]
async fn garbage_instead_of_a_welcome_is_told_from_silence() {
    let authority = Authority::new();
    let peer = Peer::start(&authority);
    let script = async {
        let mut peered = peer.accept().await;
        // An unknown even kind.
        peered.send_raw(&[2, 0x0c, 0]).await;
        step("the client to close", peered.connection.closed()).await
    };
    let (error, closed) = tokio::join!(refused(authority.client(&[&peer])), script);
    assert!(matches!(error, ConnectError::Version { .. }), "{error:?}");
    let bad_frame = CloseCode::BadFrame.to_wire();
    assert!(
        matches!(closed, quinn::ConnectionError::ApplicationClosed(close) if close.error_code == bad_frame.into())
    );
}

#[tokio::test]
async fn a_ca_that_did_not_sign_is_not_trusted() {
    let (ours, others) = (Authority::new(), Authority::new());
    let peer = Peer::start(&others);
    let error = refused_at(ours.client(&[&peer]), &peer).await;
    assert!(
        matches!(&error, ConnectError::Tls { target, .. } if *target == peer.address().to_string()),
        "{error:?}"
    );
    let file = Trust::Ca(others.dir().join("ca.pem"));
    connected(ours.client(&[&peer]).trust(file), &peer).await;
}

#[tokio::test]
async fn a_certificate_for_another_name_is_not_trusted() {
    let authority = Authority::new();
    let peer = Peer::at(&authority, [127, 0, 0, 2]);
    let error = refused_at(authority.client(&[&peer]), &peer).await;
    assert!(matches!(error, ConnectError::Tls { .. }), "{error:?}");
}

#[tokio::test]
async fn development_trust_is_refused_elsewhere_before_a_packet_is_sent() {
    let authority = Authority::new();
    let elsewhere = Client::builder()
        .target("192.0.2.1:8081")
        .trust(authority.trust());
    let started = Instant::now();
    let error = refused(elsewhere).await;
    assert!(started.elapsed() < Duration::from_secs(1));
    let text = error.to_string();
    assert!(matches!(error, ConnectError::Trust(_)), "{error:?}");
    assert!(
        text.contains("192.0.2.1:8081") && text.contains("--pin"),
        "{text}"
    );
}

#[tokio::test]
async fn a_pin_is_for_one_certificate_whatever_signed_it() {
    let (authority, others) = (Authority::new(), Authority::new());
    let (certificate, key) = others.leaf();
    let fingerprint = Fingerprint::of_der(&certificate);
    let config = tls().with_single_cert(vec![certificate], key).unwrap();
    let peer = Peer::with_tls(config, ALPN);
    let pinned = |fingerprint| authority.client(&[&peer]).trust(Trust::Pin(fingerprint));
    connected(pinned(fingerprint), &peer).await;
    let wrong = Fingerprint([7; 32]);
    let error = refused_at(pinned(wrong), &peer).await;
    assert!(matches!(error, ConnectError::Tls { .. }), "{error:?}");
    let text = error.to_string();
    assert!(
        text.contains(&fingerprint.to_string()),
        "what it is: {text}"
    );
    assert!(
        text.contains(&wrong.to_string()),
        "what it should be: {text}"
    );
}

/// Shows a certificate without owning its key.
#[derive(Debug)]
struct Thief(Arc<CertifiedKey>);

impl ResolvesServerCert for Thief {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

impl Thief {
    fn peer(certificate: CertificateDer<'static>, key: &PrivateKeyDer<'static>) -> Peer {
        let key = rustls::crypto::ring::sign::any_supported_type(key).unwrap();
        let stolen = Arc::new(CertifiedKey::new(vec![certificate], key));
        let config = tls().with_cert_resolver(Arc::new(Self(stolen)));
        Peer::with_tls(config, ALPN)
    }
}

#[tokio::test]
async fn a_certificate_without_its_key_is_worth_nothing() {
    let authority = Authority::new();
    let (certificate, _) = authority.leaf();
    let (_, key) = authority.leaf();
    let fingerprint = Fingerprint::of_der(&certificate);
    let thief = Thief::peer(certificate, &key);
    for trust in [authority.trust(), Trust::Pin(fingerprint)] {
        let error = refused_at(authority.client(&[&thief]).trust(trust), &thief).await;
        assert!(matches!(error, ConnectError::Tls { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn what_cannot_be_said_is_refused_before_it_is_sent() {
    let authority = Authority::new();
    let builder = || {
        Client::builder()
            .target("127.0.0.1:1")
            .trust(authority.trust())
    };
    assert!(matches!(
        refused(Client::builder()).await,
        ConnectError::NoTarget
    ));
    assert!(matches!(
        refused(builder().target("a b")).await,
        ConnectError::InvalidTarget(_)
    ));
    let long = refused(builder().name("x".repeat(20_000))).await;
    assert_eq!(long.to_string(), "the name has 20000 bytes, limit 64");
    let long = refused(builder().token("x".repeat(20_000))).await;
    assert_eq!(long.to_string(), "the token has 20000 bytes, limit 4096");
}

#[tokio::test]
async fn a_dropped_attempt_leaves_nothing_behind() {
    let authority = Authority::new();
    let peer = Peer::start(&authority);
    let mut connect = Box::pin(authority.client(&[&peer]).connect());
    let peered = tokio::select! {
        _ = &mut connect => panic!("nobody welcomed it"),
        peered = peer.accept() => peered,
    };
    drop(connect);
    step("the client to go", peered.connection.closed()).await;
}

#[tokio::test]
async fn a_known_node_is_believed_by_its_certificate_alone() {
    let (authority, others) = (Authority::new(), Authority::new());
    let (peer, other) = (Peer::start(&authority), Peer::start(&others));
    let trust = |nodes: &[(&Peer, Fingerprint)]| {
        let nodes = nodes.iter().map(|(peer, fingerprint)| {
            let target: Target = peer.address().to_string().parse().unwrap();
            (target, *fingerprint)
        });
        Trust::Known(KnownNodes::new(nodes, Some(authority.dir().to_owned())))
    };
    let builder = |peer: &Peer, trust| {
        Client::builder()
            .target(peer.address().to_string())
            .trust(trust)
    };
    // Unknown on this machine: the development CA decides.
    connected(builder(&peer, trust(&[])), &peer).await;
    let error = refused_at(builder(&other, trust(&[])), &other).await;
    assert!(matches!(error, ConnectError::Tls { .. }), "{error:?}");
    // Known: nothing else counts, neither for it nor against it.
    let seen = seen(&other).await.unwrap().fingerprint();
    connected(builder(&other, trust(&[(&other, seen)])), &other).await;
    let error = refused_at(builder(&peer, trust(&[(&peer, seen)])), &peer).await;
    assert!(matches!(error, ConnectError::Tls { .. }), "{error:?}");
    // What is known of one node is not believed of another.
    let error = refused_at(builder(&other, trust(&[(&peer, seen)])), &other).await;
    assert!(matches!(error, ConnectError::Tls { .. }), "{error:?}");
}

/// What a look at a peer shows.
async fn seen(peer: &Peer) -> Result<Inspected, InspectError> {
    let target: Target = peer.address().to_string().parse().unwrap();
    let address = inspect::addresses(&target).await.unwrap()[0];
    tokio::select! {
        seen = inspect::inspect(&target, address, Duration::from_secs(3)) => seen,
        never = peer.shake_hands() => never,
    }
}

#[tokio::test]
async fn a_look_shows_the_certificate_and_says_nothing() {
    let others = Authority::new();
    let (certificate, key) = others.leaf();
    let config = tls()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    let peer = Peer::with_tls(config, ALPN);
    let inspected = seen(&peer).await.unwrap();
    assert_eq!(inspected.certificates, [certificate.to_vec()]);
    assert_eq!(inspected.fingerprint(), Fingerprint::of_der(&certificate));
    assert_eq!(inspected.protocol, ALPN);
    assert_eq!(inspected.names(), ["localhost", "127.0.0.1"]);

    let stranger = Peer::with_alpn(&others, b"h3");
    let error = seen(&stranger).await.unwrap_err();
    assert!(matches!(error, InspectError::Refused(_)), "{error:?}");

    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let target: Target = address.to_string().parse().unwrap();
    let look = inspect::inspect(&target, address, Duration::from_millis(300)).await;
    assert!(matches!(look, Err(InspectError::Silent(_))), "{look:?}");
}
