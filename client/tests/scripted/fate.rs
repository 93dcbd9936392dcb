//! What becomes of published messages and of what was read when a connection, a session or a process
//! is gone: sent again, unknown, or gone on from.

use std::time::Duration;

use chat_client::protocol::node::BackplaneState;
use chat_client::protocol::{CloseCode, ErrorCode, Seq, SessionId};
use chat_client::{Event, PUBLISHES_LEN_MAX, PublishError, Start};

use crate::peer::{
    Authority, Peer, Peered, at, in_lobby, message, next, next_message, next_of, secret, step,
    welcome,
};

#[tokio::test]
async fn a_lost_connection_is_resumed_with_the_same_nonces_and_nothing_twice() {
    let authority = Authority::new();
    let peer = Peer::start(&authority);
    let (client, mut events, room, mut peered, mut lane) =
        in_lobby(authority.client(&[&peer]).name("wish"), &peer).await;
    let deliveries: Vec<_> = (1..=5)
        .map(|number| room.publish_text(&format!("m{number}")).unwrap())
        .collect();
    assert_eq!(peered.publishes(4).await.len(), 4);
    peered.ack(1, 1).await;
    lane.send(message(1, 1, "m1")).await;
    lane.send(message(1, 2, "m2")).await;
    assert_eq!(next_message(&mut events).await.0, 1);
    assert_eq!(next_message(&mut events).await.0, 2);
    assert_eq!(peered.publish().await.nonce.0, 5);
    peered.vanish();
    match next(&mut events).await {
        Event::Disconnected {
            reason,
            retry_in: Some(wait),
            attempt: 1,
        } => {
            assert_eq!(reason.code, Some(CloseCode::Internal.to_wire()));
            assert!(wait <= Duration::from_millis(100));
        }
        other => panic!("{other:?}"),
    }
    let mut peered = peer.welcome(1).await;
    let resume = peered.hello.resume.as_ref().unwrap();
    assert_eq!((resume.session, resume.secret), (SessionId(1), secret(1)));
    assert_eq!(peered.hello.name.as_deref(), Some("ann"), "the name it has");
    // Published while nothing is joined: it waits for its turn.
    let last = room.publish_text("m6").unwrap();
    let mut lane = peered
        .on_join("lobby", Start::After(at(2)), |joined| {
            (joined.head, joined.next) = (at(3), Seq(3));
        })
        .await;
    assert_eq!(
        peered
            .publishes(4)
            .await
            .into_iter()
            .map(|(nonce, _)| nonce)
            .collect::<Vec<_>>(),
        [2, 3, 4, 5]
    );
    for nonce in 2..=5 {
        peered.ack(nonce, nonce).await;
    }
    assert_eq!(peered.publishes(1).await, [(6, "m6".to_owned())]);
    peered.ack(6, 6).await;
    for (delivery, seq) in deliveries.into_iter().chain([last]).zip(1..) {
        assert_eq!(step("an ack", delivery).await.unwrap(), at(seq));
    }
    lane.send(message(1, 3, "m3")).await;
    match next(&mut events).await {
        Event::Connected(welcomed) => assert!(welcomed.resumed),
        other => panic!("{other:?}"),
    }
    assert!(matches!(
        next(&mut events).await,
        Event::Joined { rejoined: true, .. }
    ));
    match next(&mut events).await {
        Event::Message {
            cursor,
            own: true,
            history: true,
            ..
        } => assert_eq!(cursor, at(3)),
        other => panic!("{other:?}"),
    }
    assert_eq!(room.cursor(), Some(at(3)));
    assert!(client.session().resumed);
}

#[tokio::test]
async fn a_lane_that_starts_before_what_was_read_repeats_nothing() {
    let authority = Authority::new();
    let peer = Peer::start(&authority);
    let (_client, mut events, room, peered, mut lane) =
        in_lobby(authority.client(&[&peer]), &peer).await;
    for number in 1..=2 {
        lane.send(message(7, number, "old")).await;
        assert_eq!(next_message(&mut events).await.0, number);
    }
    peered.vanish();
    let mut peered = peer.welcome(1).await;
    let mut lane = peered
        .on_join("lobby", Start::After(at(2)), |joined| {
            (joined.head, joined.next) = (at(2), Seq(1));
        })
        .await;
    for number in 1..=2 {
        lane.send(message(7, number, "old")).await;
    }
    lane.send(message(7, 3, "new")).await;
    let first = next_of(&mut events, |event| match event {
        Event::Message { cursor, .. } => Some(cursor),
        _ => None,
    });
    assert_eq!(step("a message", first).await, at(3));
    assert_eq!(room.cursor(), Some(at(3)));
}

#[tokio::test]
async fn a_session_that_cannot_be_resumed_sends_nothing_twice_and_says_what_is_unknown() {
    let authority = Authority::new();
    let peer = Peer::start(&authority);
    let (client, mut events, room, mut peered, _lane) =
        in_lobby(authority.client(&[&peer]), &peer).await;
    let [acked, sent, fresh] =
        ["acked", "sent", "fresh"].map(|text| room.publish_text(text).unwrap());
    assert_eq!(peered.publishes(3).await.len(), 3);
    peered.ack(1, 1).await;
    step("the ack", acked).await.unwrap();
    // The last was refused in so many words, so that it may be sent again.
    peered.reject(3, ErrorCode::Overloaded, Some(60_000)).await;
    peered.send(BackplaneState { available: true }).await;
    next_of(&mut events, |event| {
        matches!(event, Event::BackplaneState { .. }).then_some(())
    })
    .await;
    peered.vanish();
    let mut peered = peer.accept().await;
    let unsent = room.publish_text("unsent").unwrap();
    peered.send(welcome(2, false)).await;
    let fate = step("the fate of what was sent", sent).await;
    assert!(matches!(fate, Err(PublishError::Unknown)), "{fate:?}");
    let mut lane = peered
        .on_join("lobby", Start::After(at(0)), |joined| {
            (joined.head, joined.next) = (at(2), Seq(1))
        })
        .await;
    let first_sent_now = [(3, "fresh".to_owned()), (4, "unsent".to_owned())];
    assert_eq!(peered.publishes(2).await, first_sent_now);
    // It had arrived: it is there once, and this client's.
    lane.send(message(1, 1, "acked")).await;
    lane.send(message(1, 2, "sent")).await;
    lane.send(message(2, 3, "fresh")).await;
    for (nonce, delivery) in [(3, fresh), (4, unsent)] {
        peered.ack(nonce, nonce).await;
        assert_eq!(step("the ack", delivery).await.unwrap(), at(nonce));
    }
    for _ in 0..3 {
        let own = next_of(&mut events, |event| match event {
            Event::Message { own, .. } => Some(own),
            _ => None,
        });
        assert!(step("a message", own).await);
    }
    assert_eq!(
        (client.session().session, client.session().resumed),
        (SessionId(2), false)
    );
    assert_eq!(client.ticket().secret, secret(2));
}

#[tokio::test]
async fn what_was_sent_is_not_sent_again_when_nodes_may_have_forgotten_it() {
    let authority = Authority::new();
    let peer = Peer::start(&authority);
    let (_client, mut events, room, mut peered, _lane) =
        in_lobby(authority.client(&[&peer]), &peer).await;
    let sent = room.publish_text("sent").unwrap();
    assert_eq!(peered.publish().await.nonce.0, 1);
    peered.vanish();
    next_of(&mut events, |event| {
        matches!(event, Event::Disconnected { .. }).then_some(())
    })
    .await;
    let unsent = room.publish_text("unsent").unwrap();
    // Nobody takes the client in, and the minutes go by.
    tokio::time::pause();
    let away = tokio::time::Instant::now();
    let fate = tokio::time::timeout(Duration::from_secs(15 * 60), sent).await;
    let fate = fate.expect("it is settled while nobody is connected");
    assert!(matches!(fate, Err(PublishError::Unknown)), "{fate:?}");
    let passed = away.elapsed();
    assert!(
        passed > Duration::from_secs(5 * 60) && passed < Duration::from_secs(11 * 60),
        "{passed:?}"
    );
    tokio::time::advance(Duration::from_secs(30 * 60)).await;
    tokio::time::resume();
    let mut peered = welcomed_at_last(&peer).await;
    let _lane = peered.on_join("lobby", Start::After(at(0)), |_| {}).await;
    let first = peered.publish().await;
    assert_eq!((first.nonce.0, &first.body[..]), (2, &b"unsent"[..]));
    peered.ack(2, 2).await;
    assert_eq!(step("the ack", unsent).await.unwrap(), at(2));
}

/// Takes the client in; attempts that it gave up before come first, and go.
async fn welcomed_at_last(peer: &Peer) -> Peered {
    let welcomed = async {
        loop {
            if let Some(peered) = peer.try_accept().await {
                return peered;
            }
        }
    };
    let mut peered = step("the client to come back", welcomed).await;
    peered.send(welcome(1, true)).await;
    peered
}

#[tokio::test]
async fn what_was_published_while_away_is_sent_once_and_in_order_up_to_the_bound() {
    let authority = Authority::new();
    let (first, second) = (Peer::start(&authority), Peer::start(&authority));
    let (_client, mut events, room, peered, _lane) =
        in_lobby(authority.client(&[&first, &second]), &first).await;
    peered.vanish();
    next_of(&mut events, |event| {
        matches!(event, Event::Disconnected { .. }).then_some(())
    })
    .await;
    let deliveries: Vec<_> = (1..=PUBLISHES_LEN_MAX)
        .map(|number| room.publish_text(&format!("m{number}")).unwrap())
        .collect();
    assert!(matches!(room.publish_text("more"), Err(PublishError::Full)));
    let mut peered = second.welcome(1).await;
    let _lane = peered.on_join("lobby", Start::After(at(0)), |_| {}).await;
    for nonce in 1..=PUBLISHES_LEN_MAX as u64 {
        let expected = [(nonce, format!("m{nonce}"))];
        assert_eq!(peered.publishes(1).await, expected);
        peered.ack(nonce, nonce).await;
    }
    for (delivery, seq) in deliveries.into_iter().zip(1..) {
        assert_eq!(step("an ack", delivery).await.unwrap(), at(seq));
    }
    let again = tokio::time::timeout(Duration::from_millis(300), peered.publish()).await;
    assert!(again.is_err(), "once: {again:?}");
}

#[tokio::test]
async fn a_new_process_goes_on_from_what_was_stored_as_text() {
    let authority = Authority::new();
    let peer = Peer::start(&authority);
    let (client, mut events, room, peered, mut lane) =
        in_lobby(authority.client(&[&peer]), &peer).await;
    for number in 1..=3 {
        lane.send(message(7, number, "old")).await;
    }
    for number in 1..=2 {
        assert_eq!(next_message(&mut events).await.0, number);
    }
    // Of what was handed to the application, so not of the third.
    let stored = format!("{}\n{}", client.ticket().to_text(), room.cursor().unwrap());
    assert_eq!(stored, format!("{:016x}:{}\ne:2", 1, "01".repeat(16)));
    drop((client, room, events));
    drop(peered);

    let (ticket, cursor) = stored.split_once('\n').unwrap();
    let connect = authority
        .client(&[&peer])
        .resume(ticket.parse().unwrap())
        .connect();
    let (connected, mut peered) = tokio::join!(step("to connect", connect), peer.welcome(1));
    let resume = peered.hello.resume.as_ref().unwrap();
    assert_eq!((resume.session, resume.secret), (SessionId(1), secret(1)));
    let (client, mut events) = connected.unwrap();
    assert!(matches!(next(&mut events).await, Event::Connected(_)));
    let start = Start::After(cursor.parse().unwrap());
    let join = step("the lobby", client.join("lobby", start));
    let peers = peered.on_join("lobby", Start::After(at(2)), |joined| {
        (joined.head, joined.next) = (at(3), Seq(3));
    });
    let (room, mut lane) = tokio::join!(join, peers);
    let room = room.unwrap();
    assert!(matches!(next(&mut events).await, Event::Joined { .. }));
    lane.send(message(7, 3, "new")).await;
    assert_eq!(next_message(&mut events).await, (3, "new".to_owned()));
    assert_eq!(room.cursor(), Some(at(3)));
    // Above all nonces of the process before, which are not stored.
    let _delivery = room.publish_text("hi").unwrap();
    assert!(peered.publish().await.nonce.0 > 1 << 40);
}
