//! The end: bounded, with the acks that can be had, and said to the node.

use std::time::{Duration, Instant};

use chat_client::protocol::ClientFrame;
use chat_client::protocol::CloseCode;
use chat_client::{Event, PublishError};

use crate::peer::{Authority, Peer, connected, in_lobby, next, step};

#[tokio::test]
async fn closing_waits_for_acks_and_says_goodbye() {
    let authority = Authority::new();
    let peer = Peer::start(&authority);
    let (client, mut events, room, mut peered, _lane) =
        in_lobby(authority.client(&[&peer]), &peer).await;
    let delivery = room.publish_text("last words").unwrap();
    let script = async {
        peered.publish().await;
        peered.ack(1, 1).await;
        assert!(matches!(peered.frame().await, ClientFrame::Bye(_)));
        peered.close(CloseCode::Done).await
    };
    let (closed, (), acked) = tokio::join!(script, step("the close", client.close()), delivery);
    assert!(
        matches!(closed, quinn::ConnectionError::ApplicationClosed(close) if close.error_code == 0u8.into())
    );
    acked.unwrap();
    match next(&mut events).await {
        Event::Closed { reason } => assert_eq!(reason.code, Some(CloseCode::Done.to_wire())),
        other => panic!("{other:?}"),
    }
    assert!(step("nothing more", events.next()).await.is_none());
    assert!(matches!(
        room.publish_text("more"),
        Err(PublishError::Closed | PublishError::Left)
    ));
}

#[tokio::test]
async fn closing_does_not_wait_for_ever() {
    let authority = Authority::new();
    let peer = Peer::start(&authority);
    let builder = authority
        .client(&[&peer])
        .close_timeout(Duration::from_millis(200));
    let (client, _events, room, mut peered, _lane) = in_lobby(builder, &peer).await;
    let sent: Vec<_> = (0..6).map(|_| room.publish_text("hi").unwrap()).collect();
    assert_eq!(peered.publishes(4).await.len(), 4);
    let started = Instant::now();
    // The peer answers nothing, neither the messages nor the goodbye.
    let (said, ()) = tokio::join!(peered.frame(), step("the close", client.close()));
    assert!(matches!(said, ClientFrame::Bye(_)));
    assert!(
        started.elapsed() < Duration::from_secs(3),
        "{:?}",
        started.elapsed()
    );
    let mut fates = Vec::new();
    for delivery in sent {
        fates.push(step("the fate", delivery).await.unwrap_err());
    }
    assert!(
        fates[..4]
            .iter()
            .all(|fate| matches!(fate, PublishError::Unknown)),
        "{fates:?}"
    );
    assert!(
        fates[4..]
            .iter()
            .all(|fate| matches!(fate, PublishError::Closed)),
        "{fates:?}"
    );
    step("the client to be gone", peered.connection.closed()).await;
}

#[tokio::test]
async fn closing_while_nobody_is_there_ends_at_once_when_nothing_waits() {
    let authority = Authority::new();
    let peer = Peer::start(&authority);
    let (client, mut events, peered) = connected(authority.client(&[&peer]), &peer).await;
    peered.vanish();
    assert!(matches!(
        next(&mut events).await,
        Event::Disconnected { .. }
    ));
    let started = Instant::now();
    step("the close", client.close()).await;
    assert!(
        started.elapsed() < Duration::from_secs(1),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn closing_reconnects_for_what_is_not_acked() {
    let authority = Authority::new();
    let peer = Peer::start(&authority);
    let (client, _events, room, mut peered, _lane) =
        in_lobby(authority.client(&[&peer]), &peer).await;
    let delivery = room.publish_text("hi").unwrap();
    peered.publish().await;
    peered.vanish();
    let script = async {
        let mut peered = peer.welcome(1).await;
        let start = chat_client::Start::After(crate::peer::at(0));
        let _lane = peered.on_join("lobby", start, |_| {}).await;
        peered.publish().await;
        peered.ack(1, 1).await;
        assert!(matches!(peered.frame().await, ClientFrame::Bye(_)));
        peered.close(CloseCode::Done).await;
    };
    let ((), (), acked) = tokio::join!(script, step("the close", client.close()), delivery);
    acked.unwrap();
}

#[tokio::test]
async fn dropping_every_handle_says_goodbye() {
    let authority = Authority::new();
    let peer = Peer::start(&authority);
    let (client, events, room, mut peered, _lane) =
        in_lobby(authority.client(&[&peer]), &peer).await;
    drop(client);
    drop(events);
    let delivery = room.publish_text("a room is a handle too").unwrap();
    peered.publish().await;
    peered.ack(1, 1).await;
    step("the ack", delivery).await.unwrap();
    drop(room);
    assert!(matches!(peered.frame().await, ClientFrame::Bye(_)));
    peered.close(CloseCode::Done).await;
}

#[tokio::test]
async fn events_alone_keep_the_client() {
    let authority = Authority::new();
    let peer = Peer::start(&authority);
    let (client, mut events, room, peered, mut lane) =
        in_lobby(authority.client(&[&peer]), &peer).await;
    drop((client, room));
    lane.send(crate::peer::message(7, 1, "still reading")).await;
    assert_eq!(crate::peer::next_message(&mut events).await.0, 1);
    // A client that was closing would not come back.
    peered.vanish();
    assert!(peer.welcome(1).await.hello.resume.is_some());
}

#[test]
fn nobody_waits_for_a_client_whose_runtime_is_gone() {
    let runtime = || tokio::runtime::Runtime::new().unwrap();
    let (peers, clients) = (runtime(), runtime());
    let authority = Authority::new();
    let peer = {
        let _context = peers.enter();
        Peer::start(&authority)
    };
    let builder = authority.client(&[&peer]);
    let (client, mut events, delivery, _peered) = std::thread::scope(|scope| {
        let peered = scope.spawn(|| {
            peers.block_on(async {
                let mut peered = peer.welcome(1).await;
                let lane = peered
                    .on_join("lobby", chat_client::Start::Live, |_| {})
                    .await;
                peered.publish().await;
                (peered, lane)
            })
        });
        let (client, events, delivery) = clients.block_on(async {
            let (client, events) = step("the client to connect", builder.connect())
                .await
                .unwrap();
            let room = client
                .join("lobby", chat_client::Start::Live)
                .await
                .unwrap();
            let delivery = room.publish_text("hi").unwrap();
            (client, events, delivery)
        });
        (client, events, delivery, peered.join().unwrap())
    });
    clients.shutdown_background();
    peers.block_on(async {
        assert!(matches!(
            step("the fate", delivery).await,
            Err(PublishError::Unknown)
        ));
        step("the close", client.close()).await;
        while step("the last event", events.next()).await.is_some() {}
    });
}
