//! What a client knows for its own in a lane: when acks and entries do not fit, and when somebody
//! writes in its name.

use chat_client::protocol::Seq;
use chat_client::{Event, Events, Start};

use crate::peer::{Authority, Peer, at, in_lobby, message, next, next_of, step};

#[tokio::test]
async fn an_ack_and_a_lane_that_disagree_cost_one_reconnect_and_no_more() {
    let authority = Authority::new();
    let peer = Peer::start(&authority);
    let (_client, mut events, room, mut peered, mut lane) =
        in_lobby(authority.client(&[&peer]), &peer).await;
    let delivery = room.publish_text("hi").unwrap();
    peered.publish().await;
    peered.ack(1, 2).await;
    assert_eq!(step("the ack", delivery).await.unwrap(), at(2));
    lane.send(message(1, 1, "hi")).await;
    let reason = next_of(&mut events, |event| match event {
        Event::Disconnected { reason, .. } => Some(reason),
        _ => None,
    });
    assert!(
        step("the fault", reason)
            .await
            .text
            .contains("message 1 stands at")
    );
    // The log is what it is, and says so again.
    let mut peered = peer.welcome(1).await;
    let mut lane = peered.on_join("lobby", Start::After(at(0)), |_| {}).await;
    for text in ["hi", "there"] {
        lane.send(message(1, 1, text)).await;
    }
    lane.send(message(7, 1, "and more")).await;
    assert_eq!(
        entries(&mut events, 3).await,
        [(1, false), (2, true), (3, false)]
    );
    let delivery = room.publish_text("on it goes").unwrap();
    assert_eq!(peered.publish().await.nonce.0, 2);
    peered.ack(2, 4).await;
    assert_eq!(step("the ack", delivery).await.unwrap(), at(4));
}

#[tokio::test]
async fn an_ack_that_does_not_fit_its_lane_costs_one_reconnect_and_no_more() {
    let authority = Authority::new();
    let peer = Peer::start(&authority);
    let (_client, mut events, room, mut peered, mut lane) =
        in_lobby(authority.client(&[&peer]), &peer).await;
    let delivery = room.publish_text("hi").unwrap();
    peered.publish().await;
    lane.send(message(1, 1, "hi")).await;
    assert_eq!(entries(&mut events, 1).await, [(1, true)]);
    peered.ack(1, 2).await;
    next_of(&mut events, |event| {
        matches!(event, Event::Disconnected { .. }).then_some(())
    })
    .await;
    let mut peered = peer.welcome(1).await;
    let _lane = peered
        .on_join("lobby", Start::After(at(1)), |joined| {
            (joined.head, joined.next) = (at(1), Seq(2));
        })
        .await;
    assert_eq!(peered.publish().await.nonce.0, 1);
    peered.ack(1, 2).await;
    assert_eq!(step("the ack", delivery).await.unwrap(), at(2));
}

#[tokio::test]
async fn entries_that_somebody_wrote_in_the_name_of_this_client_are_shown_as_not_its_own() {
    let authority = Authority::new();
    let peer = Peer::start(&authority);
    let (_client, mut events, room, mut peered, mut lane) =
        in_lobby(authority.client(&[&peer]), &peer).await;
    let delivery = room.publish_text("hi").unwrap();
    peered.publish().await;
    peered.ack(1, 1).await;
    assert_eq!(step("the ack", delivery).await.unwrap(), at(1));
    lane.send(message(1, 1, "hi")).await;
    // The same again, as if copied, and one that was never published.
    lane.send(message(1, 1, "hi")).await;
    lane.send(message(1, 2, "never said")).await;
    assert_eq!(
        entries(&mut events, 3).await,
        [(1, true), (2, false), (3, false)]
    );
    let delivery = room.publish_text("said").unwrap();
    assert_eq!(peered.publish().await.nonce.0, 2, "on the same connection");
    peered.ack(2, 4).await;
    assert_eq!(step("the ack", delivery).await.unwrap(), at(4));
    lane.send(message(1, 2, "said")).await;
    assert_eq!(entries(&mut events, 1).await, [(4, true)]);
}

/// Places of the next messages, and whether they are the client's own.
async fn entries(events: &mut Events, len: usize) -> Vec<(u64, bool)> {
    let mut entries = Vec::new();
    while entries.len() < len {
        match next(events).await {
            Event::Message { cursor, own, .. } => entries.push((cursor.seq.0, own)),
            Event::Disconnected { reason, .. } => panic!("{reason}"),
            _ => {}
        }
    }
    entries
}
