//! Publishes: acks, refusals, order, bounds.

use std::time::{Duration, Instant};

use chat_client::protocol::{Content, ErrorCode, SessionId};
use chat_client::{MessageId, PUBLISHES_LEN_MAX, PublishError};

use crate::peer::{Authority, Peer, at, in_lobby, step};

fn sent(nonces: impl IntoIterator<Item = u64>) -> Vec<(u64, String)> {
    nonces
        .into_iter()
        .map(|nonce| (nonce, format!("m{nonce}")))
        .collect()
}

#[tokio::test]
async fn a_delivery_resolves_to_the_place_in_the_log() {
    let authority = Authority::new();
    let peer = Peer::start(&authority);
    let (client, _events, room, mut peered, _lane) =
        in_lobby(authority.client(&[&peer]), &peer).await;
    let first = room.publish_text("m1").unwrap();
    let action = room
        .publish(Content::Action("waves".parse().unwrap()))
        .unwrap();
    let topic = room.set_topic(" cake ").unwrap();
    assert_eq!(
        first.id(),
        MessageId {
            session: SessionId(1),
            nonce: first.nonce()
        }
    );
    let publish = peered.publish().await;
    assert_eq!((publish.content_type, publish.nonce.0), (Content::TEXT, 1));
    let publish = peered.publish().await;
    assert_eq!(
        (publish.content_type, publish.nonce.0),
        (Content::ACTION, 2)
    );
    match peered.frame().await {
        chat_client::protocol::ClientFrame::SetTopic(set) => {
            assert_eq!((set.topic.as_str(), set.nonce.0), ("cake", 3));
        }
        other => panic!("{other:?}"),
    }
    for nonce in [1, 3, 2] {
        peered.ack(nonce, nonce + 10).await;
    }
    let acked = async {
        (
            first.await.unwrap(),
            action.await.unwrap(),
            topic.await.unwrap(),
        )
    };
    assert_eq!(step("the acks", acked).await, (at(11), at(12), at(13)));
    drop(client);
}

#[tokio::test]
async fn what_is_refused_for_now_is_repeated_with_all_after_it_in_order() {
    let authority = Authority::new();
    let peer = Peer::start(&authority);
    let (_client, _events, room, mut peered, _lane) =
        in_lobby(authority.client(&[&peer]), &peer).await;
    let deliveries: Vec<_> = (1..=6)
        .map(|number| room.publish_text(&format!("m{number}")).unwrap())
        .collect();
    assert_eq!(
        peered.publishes(4).await,
        sent(1..=4),
        "as many as the node takes"
    );
    peered.ack(1, 1).await;
    assert_eq!(peered.publishes(1).await, sent([5]));
    let refused = Instant::now();
    peered.reject(2, ErrorCode::RateLimited, Some(300)).await;
    for nonce in [3, 4, 5] {
        peered.reject(nonce, ErrorCode::OutOfOrder, None).await;
    }
    assert_eq!(peered.publishes(4).await, sent(2..=5));
    assert!(
        refused.elapsed() >= Duration::from_millis(300),
        "{:?}",
        refused.elapsed()
    );
    for nonce in 2..=5 {
        peered.ack(nonce, nonce).await;
    }
    assert_eq!(peered.publishes(1).await, sent([6]));
    peered.ack(6, 6).await;
    for (delivery, seq) in deliveries.into_iter().zip(1..) {
        assert_eq!(step("an ack", delivery).await.unwrap(), at(seq));
    }
}

#[tokio::test]
async fn what_is_refused_for_good_is_said_and_the_rest_goes_on() {
    let authority = Authority::new();
    let peer = Peer::start(&authority);
    let (_client, _events, room, mut peered, _lane) =
        in_lobby(authority.client(&[&peer]), &peer).await;
    let [refused, unknown, taken] =
        [1, 2, 3].map(|number| room.publish_text(&format!("m{number}")).unwrap());
    assert_eq!(peered.publishes(3).await, sent(1..=3));
    peered.reject(1, ErrorCode::Forbidden, None).await;
    peered.reject(2, ErrorCode::NonceTooOld, None).await;
    peered.ack(3, 1).await;
    let error = step("the refusal", refused).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::Forbidden));
    assert_eq!(error.to_string(), ErrorCode::Forbidden.text());
    assert!(matches!(
        step("the refusal", unknown).await,
        Err(PublishError::Unknown)
    ));
    assert_eq!(step("the ack", taken).await.unwrap(), at(1));
}

#[tokio::test]
async fn what_cannot_be_a_text_is_refused_before_it_is_sent() {
    let authority = Authority::new();
    let peer = Peer::start(&authority);
    let (_client, _events, room, mut peered, _lane) =
        in_lobby(authority.client(&[&peer]), &peer).await;
    let long = "x".repeat(4_097);
    for text in ["", " ", "\u{1b}[1m", &long] {
        assert!(
            matches!(room.publish_text(text), Err(PublishError::InvalidText(_))),
            "{text:?}"
        );
    }
    assert!(matches!(
        room.set_topic("a\nb"),
        Err(PublishError::InvalidText(_))
    ));
    let opaque = Content::Opaque {
        content_type: 9,
        body: vec![0; 20_000].into(),
    };
    assert!(matches!(
        room.publish(opaque),
        Err(PublishError::InvalidText(_))
    ));
    let _delivery = room.publish_text("m1").unwrap();
    assert_eq!(
        peered.publishes(1).await,
        sent([1]),
        "the first nonce is not used yet"
    );
}

#[tokio::test]
async fn more_than_the_bound_is_refused_until_something_is_settled() {
    let authority = Authority::new();
    let peer = Peer::start(&authority);
    let (_client, _events, room, mut peered, _lane) =
        in_lobby(authority.client(&[&peer]), &peer).await;
    let mut deliveries = Vec::new();
    for number in 1..=PUBLISHES_LEN_MAX {
        deliveries.push(room.publish_text(&format!("m{number}")).unwrap());
    }
    assert!(matches!(room.publish_text("more"), Err(PublishError::Full)));
    let first = deliveries.remove(0);
    peered.publish().await;
    peered.ack(1, 1).await;
    step("the ack", first).await.unwrap();
    deliveries.push(
        room.publish_text(&format!("m{}", PUBLISHES_LEN_MAX + 1))
            .unwrap(),
    );
    assert!(matches!(room.publish_text("more"), Err(PublishError::Full)));
    // All of them arrive, in order.
    for nonce in 2..=PUBLISHES_LEN_MAX as u64 + 1 {
        assert_eq!(peered.publishes(1).await, sent([nonce]));
        peered.ack(nonce, nonce).await;
    }
    for delivery in deliveries {
        step("an ack", delivery).await.unwrap();
    }
}
