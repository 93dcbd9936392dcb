//! Rooms: joining, reading, gaps and faults, requests, leaving.

use chat_client::protocol::lane::{At, Damaged, End, Gap, Notice, NoticeLevel, Presence};
use chat_client::protocol::node::{Done, Failed, MemberPage, Renamed, RoomPage};
use chat_client::protocol::{
    ClientFrame, CloseCode, ErrorCode, RequestId, RoomName, RoomRef, Seq, StreamCode, UserName,
};
use chat_client::{
    EVENTS_LEN_MAX, EndReason, Event, GapReason, PresenceChange, PublishError, RequestError,
    RoomSnapshot, Start,
};
use quinn::ConnectionError;
use tokio_util::task::TaskTracker;

use crate::peer::{
    Authority, EPOCH, LOBBY, Peer, at, connected, in_lobby, message, next, next_message, next_of,
    opened, step,
};

#[tokio::test]
async fn a_lane_becomes_the_events_of_a_room() {
    let authority = Authority::new();
    let peer = Peer::start(&authority);
    let (client, mut events, mut peered) = connected(authority.client(&[&peer]), &peer).await;
    let join = client.join("#Lobby", Start::Last(2));
    let script = peered.on_join("lobby", Start::Last(2), |joined| {
        (joined.head, joined.next) = (at(11), Seq(10));
    });
    let (room, mut lane) = tokio::join!(join, script);
    let room = room.unwrap();
    assert_eq!(
        (room.name().as_str(), room.cursor()),
        ("lobby", None),
        "nothing is handed out yet"
    );
    let topic = "tea".parse().unwrap();
    let snapshot = RoomSnapshot {
        head: at(11),
        members: 2,
        topic,
        direct: None,
    };
    assert_eq!(room.snapshot(), snapshot);
    match next(&mut events).await {
        Event::Joined {
            room,
            head,
            next,
            members: 2,
            rejoined: false,
            direct: None,
            ..
        } => {
            assert_eq!((room.as_str(), head, next), ("lobby", at(11), Seq(10)));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(room.cursor(), Some(at(9)), "where reading starts");
    lane.send(message(7, 1, "old")).await;
    // An entry of a later version: it is counted and skipped.
    lane.send_raw(&[2, 0x1d - 0x10, 0]).await;
    lane.send(Presence {
        members: 3,
        changes: vec![PresenceChange::Joined("bob".parse().unwrap())],
        more: 0,
    })
    .await;
    lane.send(At {
        epoch: EPOCH,
        next: Seq(12),
    })
    .await;
    let _delivery = room.publish_text("mine").unwrap();
    lane.send(message(1, 1, "mine")).await;
    lane.send(Damaged {}).await;
    match next(&mut events).await {
        Event::Message {
            cursor,
            own: false,
            history: true,
            message,
            ..
        } => {
            assert_eq!((cursor, message.author.name.as_str()), (at(10), "ann"));
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(
        next(&mut events).await,
        Event::Presence { members: 3, .. }
    ));
    match next(&mut events).await {
        Event::Message {
            cursor,
            own: true,
            history: false,
            ..
        } => assert_eq!(cursor, at(12)),
        other => panic!("{other:?}"),
    }
    assert_eq!(room.cursor(), Some(at(12)));
    assert!(matches!(next(&mut events).await, Event::Damaged { cursor, .. } if cursor == at(13)));
    assert_eq!(
        client.room(room.name()).map(|room| room.cursor()),
        Some(Some(at(13)))
    );
}

#[tokio::test]
async fn a_hole_is_told_where_it_is() {
    let authority = Authority::new();
    let peer = Peer::start(&authority);
    let (client, mut events, mut peered) = connected(authority.client(&[&peer]), &peer).await;
    let start = Start::After(at(3));
    let script = peered.on_join("lobby", start, |joined| {
        (joined.head, joined.next, joined.gap) = (at(20), Seq(10), Some(GapReason::Trimmed));
    });
    let (room, mut lane) = tokio::join!(client.join("lobby", start), script);
    room.unwrap();
    assert!(matches!(next(&mut events).await, Event::Joined { .. }));
    match next(&mut events).await {
        Event::Gap {
            reason: GapReason::Trimmed,
            from,
            next,
            ..
        } => {
            assert_eq!((from, next), (Some(at(3)), at(10)));
        }
        other => panic!("{other:?}"),
    }
    lane.send(message(7, 1, "ten")).await;
    lane.send(Gap {
        reason: GapReason::Lagged,
        epoch: EPOCH,
        next: Seq(15),
    })
    .await;
    lane.send(message(7, 2, "fifteen")).await;
    assert_eq!(next_message(&mut events).await, (10, "ten".to_owned()));
    match next(&mut events).await {
        Event::Gap {
            reason: GapReason::Lagged,
            from,
            next,
            ..
        } => {
            assert_eq!((from, next), (Some(at(10)), at(15)));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(next_message(&mut events).await, (15, "fifteen".to_owned()));
}

#[tokio::test]
async fn notices_come_from_the_room_that_nobody_joins() {
    let authority = Authority::new();
    let peer = Peer::start(&authority);
    let (client, mut events, mut peered) = connected(authority.client(&[&peer]), &peer).await;
    let mut lane = peered.open(opened("@system", RequestId::NONE)).await;
    let notice = Notice {
        at_ms: 1,
        level: NoticeLevel::Info,
        text: "hello all".parse().unwrap(),
    };
    lane.send(notice.clone()).await;
    match next(&mut events).await {
        Event::Notice {
            cursor,
            notice: told,
            history: false,
        } => {
            assert_eq!((cursor, &told), (at(1), &notice));
        }
        other => panic!("{other:?}"),
    }
    assert!(
        client.room(&RoomName::system()).is_none(),
        "there is nothing to do with it"
    );
    // After a reconnect the node starts it at its head: what was missed is no hole to anybody.
    peered.vanish();
    let mut peered = peer.welcome(1).await;
    let mut joined = opened("@system", RequestId::NONE);
    (joined.head, joined.next) = (at(5), Seq(6));
    let mut lane = peered.open(joined).await;
    lane.send(notice).await;
    assert!(matches!(
        next(&mut events).await,
        Event::Disconnected { .. }
    ));
    assert!(matches!(next(&mut events).await, Event::Connected(_)));
    assert!(matches!(next(&mut events).await, Event::Notice { cursor, .. } if cursor == at(6)));
}

#[tokio::test]
async fn a_user_on_another_node_opens_a_room_of_two() {
    let authority = Authority::new();
    let peer = Peer::start(&authority);
    let (client, mut events, mut peered) = connected(authority.client(&[&peer]), &peer).await;
    let mut joined = opened("@dm/1/2", RequestId::NONE);
    joined.direct = Some("bob".parse().unwrap());
    let _lane = peered.open(joined).await;
    let name = match next(&mut events).await {
        Event::Joined {
            room,
            direct: Some(user),
            ..
        } if user.as_str() == "bob" => room,
        other => panic!("{other:?}"),
    };
    let room = client.room(&name).expect("it can be answered to");
    let delivery = room.publish_text("hi bob").unwrap();
    assert_eq!(peered.publishes(1).await, [(1, "hi bob".to_owned())]);
    peered.ack(1, 1).await;
    assert_eq!(step("the ack", delivery).await.unwrap(), at(1));
    // Asking for it again gives the one that is open.
    let open = client.open_direct("Bob");
    let script = async {
        let ClientFrame::OpenDirect(open) = peered.frame().await else {
            panic!()
        };
        assert_eq!(open.with, "Bob");
        peered
            .send(failed(open.request, ErrorCode::AlreadyJoined))
            .await;
    };
    assert_eq!(tokio::join!(open, script).0.unwrap().name(), &name);
    let script = async {
        let ClientFrame::OpenDirect(open) = peered.frame().await else {
            panic!()
        };
        peered
            .send(failed(open.request, ErrorCode::NoSuchUser))
            .await;
    };
    let error = tokio::join!(client.open_direct("eve"), script)
        .0
        .unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::NoSuchUser));
}

fn failed(request: RequestId, code: ErrorCode) -> Failed {
    Failed {
        request,
        code: code.to_wire(),
        retry_after_ms: None,
        detail: String::new(),
    }
}

#[tokio::test]
async fn requests_get_their_own_answers_in_any_order() {
    let authority = Authority::new();
    let peer = Peer::start(&authority);
    let (client, mut events, mut peered) = connected(authority.client(&[&peer]), &peer).await;
    let names = |range: std::ops::Range<u32>| -> Vec<UserName> {
        range
            .map(|number| format!("user{number:04}").parse().unwrap())
            .collect()
    };
    let script = async {
        let mut asked = Vec::new();
        while asked.len() < 4 {
            asked.push(peered.frame().await);
        }
        for frame in asked.into_iter().rev() {
            match frame {
                ClientFrame::Ping(ping) => {
                    peered
                        .send(Done {
                            request: ping.request,
                        })
                        .await
                }
                ClientFrame::Rename(rename) => {
                    let name = rename.name.parse().unwrap();
                    peered
                        .send(Renamed {
                            request: rename.request,
                            name,
                        })
                        .await;
                }
                ClientFrame::ListRooms(list) => {
                    assert_eq!(list.after, None);
                    let page = RoomPage {
                        request: list.request,
                        rooms: Vec::new(),
                        more: false,
                    };
                    peered.send(page).await;
                }
                ClientFrame::ListMembers(list) => {
                    assert_eq!((list.room.as_str(), list.after), ("lobby", None));
                    let members = names(0..100);
                    let page = MemberPage {
                        request: list.request,
                        total: 101,
                        members,
                        more: true,
                    };
                    peered.send(page).await;
                }
                other => panic!("{other:?}"),
            }
        }
        let ClientFrame::ListMembers(list) = peered.frame().await else {
            panic!()
        };
        assert_eq!(list.after.as_deref(), Some("user0099"));
        let members = names(100..101);
        peered
            .send(MemberPage {
                request: list.request,
                total: 101,
                members,
                more: false,
            })
            .await;
    };
    let asked = async {
        tokio::join!(
            client.ping(),
            client.rename("ann_2"),
            client.rooms(),
            client.members("#lobby")
        )
    };
    let ((ping, renamed, rooms, members), ()) = tokio::join!(step("the answers", asked), script);
    ping.unwrap();
    assert_eq!(renamed.unwrap().as_str(), "ann_2");
    assert_eq!(client.session().name.as_str(), "ann_2");
    assert!(rooms.unwrap().is_empty());
    assert_eq!(members.unwrap(), names(0..101));
    assert!(matches!(next(&mut events).await, Event::Renamed { name } if name.as_str() == "ann_2"));
}

#[tokio::test]
async fn a_room_is_joined_once() {
    let authority = Authority::new();
    let peer = Peer::start(&authority);
    let (client, _events, room, mut peered, _lane) =
        in_lobby(authority.client(&[&peer]), &peer).await;
    let again = client.join("LOBBY", Start::Live).await.unwrap_err();
    assert_eq!(again.code(), Some(ErrorCode::AlreadyJoined));
    assert_eq!(client.room(room.name()).unwrap().name(), room.name());
    assert!(matches!(
        client.join("a b", Start::Live).await,
        Err(RequestError::InvalidRoom(_))
    ));
    let script = async {
        let ClientFrame::Join(join) = peered.frame().await else {
            panic!()
        };
        peered
            .send(failed(join.request, ErrorCode::TooManyRooms))
            .await;
    };
    let (refused, ()) = tokio::join!(client.join("deploys", Start::Live), script);
    assert_eq!(refused.unwrap_err().code(), Some(ErrorCode::TooManyRooms));
}

#[tokio::test]
async fn leaving_waits_for_what_was_published() {
    let authority = Authority::new();
    let peer = Peer::start(&authority);
    let (client, mut events, room, mut peered, mut lane) =
        in_lobby(authority.client(&[&peer]), &peer).await;
    let kept = room.clone();
    let delivery = room.publish_text("bye").unwrap();
    let script = async {
        assert_eq!(peered.publish().await.nonce.0, 1);
        peered.ack(1, 1).await;
        let ClientFrame::Leave(leave) = peered.frame().await else {
            panic!()
        };
        assert_eq!(leave.room, LOBBY);
        lane.send(End {
            reason: EndReason::Left,
        })
        .await;
        lane.finish();
        peered
            .send(Done {
                request: leave.request,
            })
            .await;
    };
    let (left, acked, ()) =
        tokio::join!(step("the room to be left", room.leave()), delivery, script);
    left.unwrap();
    assert_eq!(acked.unwrap(), at(1));
    assert!(matches!(
        next(&mut events).await,
        Event::Left {
            reason: EndReason::Left,
            ..
        }
    ));
    assert!(matches!(
        kept.publish_text("too late"),
        Err(PublishError::Left)
    ));
    assert!(client.room(kept.name()).is_none());
    step("leaving again", kept.leave()).await.unwrap();

    // Joined again it is another room to the client, and its nonces go on.
    let join = client.join("lobby", Start::Live);
    let (room, _lane) = tokio::join!(join, peered.on_join("lobby", Start::Live, |_| {}));
    let delivery = room.unwrap().publish_text("back").unwrap();
    assert_eq!(delivery.nonce().0, 2);
    assert_eq!(peered.publishes(1).await, [(2, "back".to_owned())]);
}

#[tokio::test]
async fn a_room_that_is_taken_away_says_so() {
    let authority = Authority::new();
    let peer = Peer::start(&authority);
    let (_client, mut events, room, mut peered, mut lane) =
        in_lobby(authority.client(&[&peer]), &peer).await;
    let delivery = room.publish_text("hi").unwrap();
    peered.publish().await;
    lane.send(message(7, 1, "last")).await;
    lane.send(End {
        reason: EndReason::Removed,
    })
    .await;
    lane.finish();
    assert_eq!(next_message(&mut events).await, (1, "last".to_owned()));
    assert!(matches!(
        next(&mut events).await,
        Event::Left {
            reason: EndReason::Removed,
            ..
        }
    ));
    let error = step("the message to be given up", delivery)
        .await
        .unwrap_err();
    assert!(
        matches!(error, PublishError::Unknown),
        "it was sent: {error:?}"
    );
    assert!(matches!(room.publish_text("more"), Err(PublishError::Left)));
}

#[tokio::test]
async fn a_join_that_nobody_waits_for_is_undone() {
    let authority = Authority::new();
    let peer = Peer::start(&authority);
    let (client, mut events, mut peered) = connected(authority.client(&[&peer]), &peer).await;
    let mut join = Box::pin(client.join("lobby", Start::Live));
    let frame = tokio::select! {
        _ = &mut join => panic!("nobody answered"),
        frame = peered.frame() => frame,
    };
    let ClientFrame::Join(join_frame) = frame else {
        panic!()
    };
    drop(join);
    let _lane = peered.open(opened("lobby", join_frame.request)).await;
    let ClientFrame::Leave(leave) = peered.frame().await else {
        panic!()
    };
    assert_eq!(leave.room, LOBBY);
    peered
        .send(Done {
            request: leave.request,
        })
        .await;
    next_of(&mut events, |event| {
        matches!(event, Event::Left { .. }).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_stream_of_a_later_type_is_refused_and_hurts_nothing() {
    let authority = Authority::new();
    let peer = Peer::start(&authority);
    let (_client, mut events, _room, peered, mut lane) =
        in_lobby(authority.client(&[&peer]), &peer).await;
    let mut later = peered.connection.open_uni().await.unwrap();
    later.write_all(&[0x21, 1, 2, 3]).await.unwrap();
    let code = step("the stream to be refused", later.stopped())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        code.into_inner(),
        u64::from(StreamCode::UnsupportedStream.to_wire())
    );
    lane.send(message(7, 1, "still here")).await;
    assert_eq!(
        next_message(&mut events).await,
        (1, "still here".to_owned())
    );
}

/// The code with which the client closes a connection on whose lane these bytes come.
async fn closed_for(bytes: &[u8], finish: bool) -> (u64, String) {
    let authority = Authority::new();
    let peer = Peer::start(&authority);
    let (_client, mut events, _room, peered, mut lane) =
        in_lobby(authority.client(&[&peer]), &peer).await;
    lane.send_raw(bytes).await;
    if finish {
        lane.finish();
    }
    let text = match next(&mut events).await {
        Event::Disconnected {
            reason,
            retry_in: Some(_),
            attempt: 1,
        } => reason.text,
        other => panic!("{other:?}"),
    };
    match step("the client to close", peered.connection.closed()).await {
        ConnectionError::ApplicationClosed(close) => (close.error_code.into_inner(), text),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_lane_that_breaks_the_protocol_ends_the_connection_not_the_client() {
    let code = |code: CloseCode| u64::from(code.to_wire());
    for (bytes, finish, expected) in [
        // At: epoch 0xe, next 9, while 1 is next.
        (&[3, 0x22, 0xe, 9][..], false, code(CloseCode::Unexpected)),
        // An entry between nodes.
        (&[2, 0x11, 0], false, code(CloseCode::Unexpected)),
        // An unknown even entry, a message that is none, a frame too large.
        (&[2, 0x0c, 0], false, code(CloseCode::BadFrame)),
        (&[2, 0x02, 0], false, code(CloseCode::BadFrame)),
        (&[0x80, 0x10, 0, 0], false, code(CloseCode::FrameTooLarge)),
        // Ends inside a frame, or without its last one.
        (&[9, 0x02, 0], true, code(CloseCode::BadFrame)),
        (&[], true, code(CloseCode::Unexpected)),
    ] {
        let (closed, text) = closed_for(bytes, finish).await;
        assert_eq!(closed, expected, "{bytes:?}: {text}");
        assert!(!text.is_empty());
    }
}

#[tokio::test]
async fn an_application_that_does_not_read_stops_lanes_and_nothing_else() {
    let authority = Authority::new();
    let peer = Peer::start(&authority);
    let (client, mut events, room, mut peered, mut lane) =
        in_lobby(authority.client(&[&peer]), &peer).await;
    // Much more than the queue and the window of the lane hold.
    let total: u64 = 4 * EVENTS_LEN_MAX as u64;
    let text = "x".repeat(500);
    let writer = TaskTracker::new().spawn(async move {
        for nonce in 1..=total {
            lane.send(message(7, nonce, &text)).await;
        }
        lane
    });
    let mut delivered = 0;
    for number in 1..=50 {
        let delivery = room.publish_text("hi").unwrap();
        peered.publish().await;
        peered.ack(number, total + number).await;
        step("an ack while nobody reads", delivery).await.unwrap();
        delivered += 1;
    }
    let (ping, ()) = tokio::join!(step("a ping while nobody reads", client.ping()), async {
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
    assert_eq!(delivered, 50);
    assert!(!writer.is_finished(), "the lane is made to wait");
    for seq in 1..=total {
        assert_eq!(next_message(&mut events).await.0, seq);
    }
    step("the lane to go on", writer).await.unwrap();
}

#[tokio::test]
async fn rooms_do_not_wait_for_each_other() {
    let authority = Authority::new();
    let peer = Peer::start(&authority);
    let (client, mut events, _lobby, mut peered, mut lane) =
        in_lobby(authority.client(&[&peer]), &peer).await;
    let join = client.join("deploys", Start::Live);
    let script = peered.on_join("deploys", Start::Live, |joined| joined.room = RoomRef(2));
    let (deploys, mut other) = tokio::join!(join, script);
    deploys.unwrap();
    // Half a frame in the one keeps nothing from the other.
    lane.send_raw(&[9, 0x02]).await;
    other.send(message(7, 1, "quick")).await;
    assert!(matches!(next(&mut events).await, Event::Joined { .. }));
    assert_eq!(next_message(&mut events).await, (1, "quick".to_owned()));
}
