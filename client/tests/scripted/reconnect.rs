//! Lost connections: what is resumed, what is repeated, and where the client goes.

use std::time::Duration;

use chat_client::protocol::node::{BackplaneState, Closing, Done, Failed, Goaway};
use chat_client::protocol::{ClientFrame, CloseCode, ErrorCode, RequestId, Seq, StreamCode};
use chat_client::{EVENTS_LEN_MAX, Event, PublishError, RequestError, Start};

use crate::peer::{
    Authority, LOBBY, Peer, at, connected, in_lobby, message, next, next_message, next_of, opened,
    step, welcome,
};

#[tokio::test]
async fn a_lane_that_is_cut_by_a_goodbye_is_not_the_news_but_its_code_is() {
    let authority = Authority::new();
    let peer = Peer::start(&authority);
    let (_client, mut events, _room, peered, mut lane) =
        in_lobby(authority.client(&[&peer]), &peer).await;
    lane.send(message(7, 1, "and")).await;
    assert_eq!(next_message(&mut events).await.0, 1);
    lane.reset(StreamCode::Closing);
    // It must have come before the goodbye.
    let silence = tokio::time::timeout(Duration::from_millis(100), peered.connection.closed());
    assert!(silence.await.is_err(), "the client waits for the reason");
    peered.close(CloseCode::Removed).await;
    match next(&mut events).await {
        Event::Closed { reason } => assert_eq!(reason.code, Some(CloseCode::Removed.to_wire())),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn another_target_is_taken_when_the_node_is_gone() {
    let authority = Authority::new();
    let (first, second) = (Peer::start(&authority), Peer::start(&authority));
    let (client, mut events, peered) =
        connected(authority.client(&[&first, &second]), &first).await;
    assert_eq!(client.session().target, first.address().to_string());
    peered.vanish();
    // The first would take it again, but a node that was just lost comes last.
    let mut peered = tokio::select! {
        peered = second.welcome(1) => peered,
        _ = first.accept() => panic!("the lost node was asked first"),
    };
    next_of(&mut events, |event| {
        matches!(event, Event::Connected(_)).then_some(())
    })
    .await;
    assert_eq!(client.session().target, second.address().to_string());
    peered.send(BackplaneState { available: false }).await;
    assert!(matches!(
        next(&mut events).await,
        Event::BackplaneState { available: false }
    ));
}

#[tokio::test]
async fn it_tries_again_until_somebody_is_there_and_says_each_time() {
    let authority = Authority::new();
    let peer = Peer::start(&authority);
    let builder = authority
        .client(&[&peer])
        .connect_timeout(Duration::from_millis(300));
    let (client, mut events, peered) = connected(builder, &peer).await;
    peered.vanish();
    for attempt in 1..=3 {
        match next(&mut events).await {
            Event::Disconnected {
                retry_in: Some(_),
                attempt: told,
                ..
            } => assert_eq!(told, attempt),
            other => panic!("{other:?}"),
        }
        if attempt < 3 {
            peer.refuse_next().await;
        }
    }
    assert!(client.connection_stats().is_none());
    let _peered = peer.welcome(1).await;
    assert!(matches!(next(&mut events).await, Event::Connected(_)));
}

#[tokio::test]
async fn requests_survive_a_lost_connection() {
    let authority = Authority::new();
    let peer = Peer::start(&authority);
    let (client, _events, mut peered) = connected(authority.client(&[&peer]), &peer).await;
    let asked = async { tokio::join!(client.ping(), client.join("lobby", Start::Last(3))) };
    let script = async {
        peered.frame().await;
        peered.frame().await;
        peered.vanish();
        let mut peered = peer.welcome(1).await;
        let ClientFrame::Ping(ping) = peered.frame().await else {
            panic!()
        };
        peered
            .send(Done {
                request: ping.request,
            })
            .await;
        let lane = peered.on_join("lobby", Start::Last(3), |_| {}).await;
        (peered, lane)
    };
    let ((ping, room), _kept) = tokio::join!(step("the answers", asked), script);
    ping.unwrap();
    assert_eq!(room.unwrap().name().as_str(), "lobby");
}

#[tokio::test]
async fn a_node_that_goes_away_is_left_for_another_without_a_break() {
    let authority = Authority::new();
    // The client knows the first only; the goaway tells it of the second.
    let (first, second) = (Peer::start(&authority), Peer::start(&authority));
    let (client, mut events, room, mut peered, mut lane) =
        in_lobby(authority.client(&[&first]), &first).await;
    lane.send(message(7, 1, "before")).await;
    assert_eq!(next_message(&mut events).await.0, 1);
    let nodes = vec!["not a target!".to_owned(), second.address().to_string()];
    peered
        .send(Goaway {
            delay_ms: 50,
            nodes,
        })
        .await;
    match next(&mut events).await {
        Event::Goaway { delay, nodes } => {
            assert_eq!(delay, Duration::from_millis(50));
            assert_eq!(nodes, [second.address().to_string()]);
        }
        other => panic!("{other:?}"),
    }
    // Until the next node has welcomed it, this one still serves.
    let mut moved = second.accept().await;
    assert!(moved.hello.resume.is_some());
    let delivery = room.publish_text("on the way").unwrap();
    assert_eq!(peered.publish().await.nonce.0, 1);
    lane.send(message(7, 2, "meanwhile")).await;
    assert_eq!(next_message(&mut events).await.0, 2);
    moved.send(welcome(1, true)).await;
    let closed = step("the former to be closed", peered.connection.closed()).await;
    assert!(
        matches!(closed, quinn::ConnectionError::ApplicationClosed(close) if close.error_code == 0u8.into())
    );
    let _lane = moved
        .on_join("lobby", Start::After(at(2)), |joined| {
            (joined.head, joined.next) = (at(3), Seq(3))
        })
        .await;
    assert_eq!(
        moved.publish().await.nonce.0,
        1,
        "without an answer, so once more"
    );
    moved.ack(1, 3).await;
    assert_eq!(step("the ack", delivery).await.unwrap(), at(3));
    // No Disconnected: nothing was lost.
    assert!(matches!(next(&mut events).await, Event::Connected(_)));
    assert!(matches!(
        next(&mut events).await,
        Event::Joined { rejoined: true, .. }
    ));
    assert_eq!(client.session().target, second.address().to_string());
}

#[tokio::test]
async fn a_goodbye_that_invites_is_followed_and_one_that_does_not_is_final() {
    let authority = Authority::new();
    let peer = Peer::start(&authority);
    let (client, mut events, room, peered, _lane) =
        in_lobby(authority.client(&[&peer]), &peer).await;
    let closed = peered.close(CloseCode::Draining).await;
    assert!(
        matches!(closed, quinn::ConnectionError::ApplicationClosed(close) if close.error_code == 0u8.into())
    );
    match next(&mut events).await {
        Event::Disconnected { reason, .. } => {
            assert_eq!(reason.code, Some(CloseCode::Draining.to_wire()));
        }
        other => panic!("{other:?}"),
    }
    let mut peered = peer.welcome(1).await;
    let _lane = peered.on_join("lobby", Start::After(at(0)), |_| {}).await;
    let sent = room.publish_text("hi").unwrap();
    peered.publish().await;
    peered.close(CloseCode::Replaced).await;
    let reason = next_of(&mut events, |event| match event {
        Event::Closed { reason } => Some(reason),
        _ => None,
    });
    assert_eq!(
        step("the end", reason).await.code,
        Some(CloseCode::Replaced.to_wire())
    );
    assert!(step("nothing more", events.next()).await.is_none());
    assert!(matches!(
        step("the message", sent).await,
        Err(PublishError::Unknown)
    ));
    assert!(matches!(
        room.publish_text("more"),
        Err(PublishError::Left | PublishError::Closed)
    ));
    assert!(matches!(client.ping().await, Err(RequestError::Closed)));
    step("closing what is closed", client.close()).await;
}

#[tokio::test]
async fn a_refusal_for_good_of_the_session_is_final() {
    let authority = Authority::new();
    let peer = Peer::start(&authority);
    let (_client, mut events, peered) = connected(authority.client(&[&peer]), &peer).await;
    peered.vanish();
    let mut peered = peer.accept().await;
    let code = ErrorCode::Forbidden.to_wire();
    let detail = "banned".to_owned();
    peered
        .send(Failed {
            request: RequestId::NONE,
            code,
            retry_after_ms: None,
            detail,
        })
        .await;
    peered
        .send(Closing {
            code: CloseCode::Refused.to_wire(),
            detail: String::new(),
        })
        .await;
    let reason = next_of(&mut events, |event| match event {
        Event::Closed { reason } => Some(reason),
        _ => None,
    });
    let reason = step("the end", reason).await;
    assert_eq!(reason.code, Some(code));
    assert!(reason.text.contains("banned"), "{reason}");
}

#[tokio::test]
async fn without_reconnecting_a_lost_connection_is_the_end() {
    let authority = Authority::new();
    let peer = Peer::start(&authority);
    let builder = authority.client(&[&peer]).reconnect(false);
    let (_client, mut events, peered) = connected(builder, &peer).await;
    peered.vanish();
    assert!(matches!(next(&mut events).await, Event::Closed { .. }));
    assert!(step("nothing more", events.next()).await.is_none());
}

#[tokio::test]
async fn a_room_that_cannot_be_joined_again_is_asked_for_again_or_ended() {
    let authority = Authority::new();
    let peer = Peer::start(&authority);
    let (_client, mut events, room, peered, _lane) =
        in_lobby(authority.client(&[&peer]), &peer).await;
    peered.vanish();
    let mut peered = peer.welcome(1).await;
    let waiting = room.publish_text("hi").unwrap();
    for code in [
        ErrorCode::Unavailable,
        ErrorCode::AlreadyJoined,
        ErrorCode::Forbidden,
    ] {
        let ClientFrame::Join(join) = peered.frame().await else {
            panic!()
        };
        assert_eq!(join.start, Start::After(at(0)));
        let (code, detail) = (code.to_wire(), String::new());
        peered
            .send(Failed {
                request: join.request,
                code,
                retry_after_ms: None,
                detail,
            })
            .await;
    }
    next_of(&mut events, |event| {
        matches!(event, Event::Left { .. }).then_some(())
    })
    .await;
    assert!(
        matches!(step("the message", waiting).await, Err(PublishError::Left)),
        "never sent"
    );
}

#[tokio::test]
async fn a_room_is_left_while_nobody_is_connected() {
    let authority = Authority::new();
    let peer = Peer::start(&authority);
    let (client, mut events, room, peered, _lane) =
        in_lobby(authority.client(&[&peer]), &peer).await;
    peered.vanish();
    assert!(matches!(
        next(&mut events).await,
        Event::Disconnected { .. }
    ));
    step("the room to be left", room.leave()).await.unwrap();
    assert!(matches!(next(&mut events).await, Event::Left { .. }));
    let mut peered = peer.welcome(1).await;
    let (ping, ()) = tokio::join!(client.ping(), async {
        let ClientFrame::Ping(ping) = peered.frame().await else {
            panic!("no join of a left room")
        };
        peered
            .send(Done {
                request: ping.request,
            })
            .await;
    });
    ping.unwrap();
}

#[tokio::test]
async fn a_slow_application_does_not_stop_a_reconnect_and_loses_nothing() {
    let authority = Authority::new();
    let peer = Peer::start(&authority);
    let (client, mut events, _room, peered, mut lane) =
        in_lobby(authority.client(&[&peer]), &peer).await;
    let total = EVENTS_LEN_MAX as u64 + 100;
    for nonce in 1..=total {
        lane.send(message(7, nonce, "x")).await;
    }
    // The queue is full when a lane that sends one more is not read on.
    let full = async { while lane_window_is_open(&mut lane).await {} };
    step("the queue to be full", full).await;
    peered.vanish();
    let mut peered = peer.accept().await;
    peered.send(welcome(1, true)).await;
    let ClientFrame::Join(join) = peered.frame().await else {
        panic!()
    };
    let Start::After(cursor) = join.start else {
        panic!()
    };
    let reached = cursor.seq.0;
    assert!(reached < total, "{reached}");
    let mut joined = opened("lobby", join.request);
    (joined.head, joined.next, joined.room) = (at(total), Seq(reached + 1), LOBBY);
    let mut lane = peered.open(joined).await;
    for nonce in reached + 1..=total {
        lane.send(message(7, nonce, "x")).await;
    }
    let (ping, ()) = tokio::join!(client.ping(), async {
        let ClientFrame::Ping(ping) = peered.frame().await else {
            panic!()
        };
        peered
            .send(Done {
                request: ping.request,
            })
            .await;
    });
    ping.unwrap();
    let mut expected = 1;
    while expected <= total {
        if let Event::Message { cursor, .. } = next(&mut events).await {
            assert_eq!(cursor, at(expected), "no repeat and no hole");
            expected += 1;
        }
    }
}

/// Sends an entry that takes no notice of the count; false when flow control holds it back.
async fn lane_window_is_open(lane: &mut crate::peer::Lane) -> bool {
    let filler = message(7, 1, &"y".repeat(4_000));
    tokio::time::timeout(Duration::from_millis(500), lane.send(filler))
        .await
        .is_ok()
}

#[tokio::test]
async fn a_node_that_does_not_answer_a_join_is_left() {
    let authority = Authority::new();
    let peer = Peer::start(&authority);
    let (_client, mut events, _room, peered, _lane) =
        in_lobby(authority.client(&[&peer]), &peer).await;
    peered.vanish();
    let stuck = peer.welcome(1).await;
    next_of(&mut events, |event| {
        matches!(event, Event::Connected(_)).then_some(())
    })
    .await;
    let left = tokio::time::timeout(chat_client::REQUEST_TIMEOUT * 2, stuck.connection.closed());
    left.await.expect("it is left");
    let mut peered = peer.welcome(1).await;
    let _lane = peered.on_join("lobby", Start::After(at(0)), |_| {}).await;
    next_of(&mut events, |event| {
        matches!(event, Event::Joined { .. }).then_some(())
    })
    .await;
}
