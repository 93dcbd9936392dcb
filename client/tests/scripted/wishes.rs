//! What an application may ask of its connection: another one, its sudden end, and its measures.

use std::time::Duration;

use chat_client::protocol::{CloseCode, SessionId};
use chat_client::{Event, PublishError, RequestError, Sockets};
use quinn::ConnectionError;

use crate::peer::{Authority, Peer, at, in_lobby, next, next_of, secret, step};

#[tokio::test]
async fn a_reconnect_resumes_at_once_and_loses_nothing() {
    let authority = Authority::new();
    let peer = Peer::start(&authority);
    let (client, mut events, room, mut peered, _lane) =
        in_lobby(authority.client(&[&peer]), &peer).await;
    let delivery = room.publish_text("hi").unwrap();
    assert_eq!(peered.publish().await.nonce.0, 1);
    client.reconnect();
    match step("the close", peered.connection.closed()).await {
        ConnectionError::ApplicationClosed(close) => {
            assert_eq!(close.error_code, CloseCode::Done.to_wire().into());
        }
        other => panic!("{other:?}"),
    }
    match next(&mut events).await {
        Event::Disconnected {
            reason,
            retry_in: Some(Duration::ZERO),
            attempt: 1,
        } => assert_eq!(reason.code, None),
        other => panic!("{other:?}"),
    }
    let mut peered = peer.welcome(1).await;
    let resume = peered.hello.resume.as_ref().unwrap();
    assert_eq!((resume.session, resume.secret), (SessionId(1), secret(1)));
    assert!(matches!(next(&mut events).await, Event::Connected(_)));
    let start = chat_client::Start::After(at(0));
    let _lane = peered.on_join("lobby", start, |_| {}).await;
    assert_eq!(peered.publish().await.nonce.0, 1);
    peered.ack(1, 1).await;
    assert_eq!(step("the ack", delivery).await.unwrap(), at(1));
}

#[tokio::test]
async fn an_abandoned_client_is_noticed_by_its_silence_only() {
    let authority = Authority::new();
    let peer = Peer::start(&authority);
    let sockets = Sockets::new(1);
    for shared in [true, false] {
        // The connection is idle for 0.3 s then, on both sides.
        let keep_alive = Duration::from_millis(100);
        let mut builder = authority.client(&[&peer]).keep_alive(keep_alive);
        if shared {
            builder = builder.sockets(sockets.clone());
        }
        let (client, mut events, room, mut peered, _lane) = in_lobby(builder, &peer).await;
        let sent = room.publish_text("sent").unwrap();
        peered.publish().await;
        let other = client.clone();
        let abandon = tokio::time::timeout(Duration::from_millis(250), client.abandon());
        abandon.await.expect("it waits for nobody");
        // What comes for it must not be answered with the news that it is gone.
        peered.ack(1, 1).await;
        let closed = step("the node to notice", peered.connection.closed()).await;
        assert!(matches!(closed, ConnectionError::TimedOut), "{closed:?}");
        let fate = step("the fate of what was sent", sent).await;
        assert!(matches!(fate, Err(PublishError::Unknown)), "{fate:?}");
        assert!(matches!(other.ping().await, Err(RequestError::Closed)));
        assert!(matches!(next(&mut events).await, Event::Closed { .. }));
        assert!(other.connection_stats().is_none());
    }
}

#[tokio::test]
async fn traffic_is_counted_over_all_connections() {
    let authority = Authority::new();
    let peer = Peer::start(&authority);
    let (client, mut events, _room, peered, _lane) =
        in_lobby(authority.client(&[&peer]), &peer).await;
    let first = client.connection_stats().unwrap();
    assert_eq!(first.remote_address, peer.address());
    assert!(first.rtt_min <= first.rtt && first.rtt > Duration::ZERO);
    let before = client.traffic();
    assert_eq!(before.connections, 1);
    assert!(before.datagrams_received >= first.datagrams_received);
    peered.vanish();
    let _peered = peer.welcome(1).await;
    next_of(&mut events, |event| {
        matches!(event, Event::Connected(_)).then_some(())
    })
    .await;
    let (second, both) = (client.connection_stats().unwrap(), client.traffic());
    assert_eq!(both.connections, 2);
    for (sum, former, current) in [
        (both.packets_sent, before.packets_sent, second.packets_sent),
        (both.bytes_sent, before.bytes_sent, second.bytes_sent),
        (
            both.bytes_received,
            before.bytes_received,
            second.bytes_received,
        ),
        (
            both.datagrams_sent,
            before.datagrams_sent,
            second.datagrams_sent,
        ),
        (
            both.datagrams_received,
            before.datagrams_received,
            second.datagrams_received,
        ),
    ] {
        assert!(former > 0 && current > 0 && sum >= former + current);
    }
    let handle = client.clone();
    client.abandon().await;
    assert!(handle.connection_stats().is_none());
    assert!(handle.traffic().bytes_received >= both.bytes_received);
    assert_eq!(handle.traffic().connections, 2);
}
