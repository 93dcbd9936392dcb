//! Who is typing: datagrams out and in, and none to a node that does not know them.

use std::time::Duration;

use bytes::Bytes;
use chat_client::protocol::datagram::{IsTyping, TYPING, Typing};
use chat_client::protocol::{ClientDatagram, NodeDatagram, RoomRef, SessionId};
use chat_client::{Client, Event, Events, Room, Start, TYPING_EVERY};
use tokio::time::timeout;

use crate::peer::{Authority, LOBBY, Lane, Peer, Peered, message, next, step, welcome};

/// A client in the lobby of a node that knows these features.
async fn in_lobby(features: &[u32]) -> (Client, Events, Room, Peered, Lane, Peer) {
    let authority = Authority::new();
    let peer = Peer::start(&authority);
    let welcoming = async {
        let mut peered = peer.accept().await;
        let mut welcome = welcome(1, false);
        welcome.features = features.to_vec();
        peered.send(welcome).await;
        peered
    };
    let builder = authority.client(&[&peer]).name("ann");
    let (connected, mut peered) = tokio::join!(builder.connect(), welcoming);
    let (client, mut events) = connected.unwrap();
    assert!(matches!(next(&mut events).await, Event::Connected(_)));
    let joining = peered.on_join("lobby", Start::Live, |_| {});
    let (room, lane) = tokio::join!(client.join("lobby", Start::Live), joining);
    assert!(matches!(next(&mut events).await, Event::Joined { .. }));
    (client, events, room.unwrap(), peered, lane, peer)
}

async fn heard(peered: &Peered) -> Bytes {
    step("a datagram", peered.connection.read_datagram())
        .await
        .unwrap()
}

/// What comes to the node within a moment.
async fn anything_heard(peered: &Peered) -> bool {
    timeout(MOMENT, peered.connection.read_datagram())
        .await
        .is_ok()
}

fn typing(room: RoomRef, session: u64) -> Bytes {
    let typing = Typing {
        room,
        session: SessionId(session),
        name: "bo".parse().unwrap(),
    };
    NodeDatagram::Typing(typing).to_bytes()
}

#[tokio::test]
async fn typing_is_said_once_in_a_while_and_at_once_after_a_message() {
    let (_client, _events, room, mut peered, _lane, _peer) = in_lobby(&[TYPING]).await;
    assert!(peered.hello.features.contains(&TYPING));
    let is_typing = ClientDatagram::IsTyping(IsTyping { room: LOBBY });
    for _ in 0..20 {
        room.typing();
        // The client looks between two keys.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(heard(&peered).await, is_typing.to_bytes());
    assert!(!anything_heard(&peered).await, "said a moment ago");
    drop(room.publish_text("hi").unwrap());
    peered.publish().await;
    room.typing();
    assert_eq!(heard(&peered).await, is_typing.to_bytes());
    tokio::time::sleep(TYPING_EVERY).await;
    room.typing();
    assert_eq!(heard(&peered).await, is_typing.to_bytes());
}

#[tokio::test]
async fn a_node_that_does_not_know_it_is_not_told() {
    let (_client, mut events, room, peered, mut lane, _peer) = in_lobby(&[7]).await;
    room.typing();
    assert!(!anything_heard(&peered).await);
    // What it says all the same is not heard.
    peered.connection.send_datagram(typing(LOBBY, 2)).unwrap();
    tokio::time::sleep(MOMENT).await;
    lane.send(message(2, 1, "hi")).await;
    assert!(matches!(next(&mut events).await, Event::Message { .. }));
}

#[tokio::test]
async fn somebody_else_who_is_typing_is_an_event_and_rubbish_is_nothing() {
    let (client, mut events, _room, peered, mut lane, _peer) = in_lobby(&[TYPING]).await;
    for rubbish in [&[][..], &[0x40], &[0x40, 0xc2], &[0xff; 900], &[0x2a, 1]] {
        let rubbish = Bytes::copy_from_slice(rubbish);
        peered.connection.send_datagram(rubbish).unwrap();
    }
    // Of a room that it is not in.
    let elsewhere = typing(RoomRef(99), 2);
    peered.connection.send_datagram(elsewhere).unwrap();
    peered.connection.send_datagram(typing(LOBBY, 3)).unwrap();
    match next(&mut events).await {
        Event::Typing {
            room,
            session,
            name,
        } => assert_eq!(
            (room.as_str(), session, name.as_str()),
            ("lobby", SessionId(3), "bo")
        ),
        other => panic!("{other:?}"),
    }
    lane.send(message(3, 1, "hi")).await;
    assert!(matches!(next(&mut events).await, Event::Message { .. }));
    assert!(client.connection_stats().is_some());
}

/// Long enough for a datagram on this machine.
const MOMENT: Duration = Duration::from_millis(200);
