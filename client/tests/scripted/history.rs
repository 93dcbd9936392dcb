//! Scrolling back: pages beside the lane, over reconnects, and of nodes that break the rules.

use chat_client::protocol::lane::{At, Damaged, Gap};
use chat_client::protocol::limits::HISTORY_PAGES_MAX;
use chat_client::protocol::node::Failed;
use chat_client::protocol::{CloseCode, ErrorCode, RequestId, Seq, StreamCode};
use chat_client::{Event, GapReason, HistoryPage, RequestError, Start};
use tokio_util::task::TaskTracker;

use crate::peer::{
    Authority, EPOCH, Peer, Peered, at, in_lobby, message, next, next_message, step,
};

/// What a page holds, in short.
fn told(page: &HistoryPage) -> Vec<String> {
    let told = |event: &Event| match event {
        Event::Message {
            cursor,
            own,
            history: true,
            room,
            ..
        } => format!("{room} {}{}", cursor.seq, if *own { " own" } else { "" }),
        Event::Damaged { cursor, .. } => format!("damaged {}", cursor.seq),
        Event::Gap { from, next, .. } => format!("gap {} {}", from.unwrap().seq, next.seq),
        other => panic!("{other:?}"),
    };
    page.events.iter().map(told).collect()
}

#[tokio::test]
async fn a_page_is_read_beside_the_lane_and_changes_no_cursor() {
    let authority = Authority::new();
    let peer = Peer::start(&authority);
    let (client, mut events, room, mut peered, mut lane) =
        in_lobby(authority.client(&[&peer]), &peer).await;
    let script = async {
        let asked = peered.on_read_before().await;
        assert_eq!((asked.before, asked.len), (at(12), 9));
        let mut page = peered.page(asked.request, 5, 12).await;
        // What is live does not wait for it.
        lane.send(message(7, 1, "live")).await;
        assert_eq!(next_message(&mut events).await, (1, "live".to_owned()));
        // An own entry of an earlier time is compared with no ack of now.
        page.send(message(1, 1, "mine")).await;
        page.send(message(7, 2, "theirs")).await;
        // An entry and a mark of later versions.
        page.send_raw(&[2, 0x0d, 0]).await;
        page.send_raw(&[2, 0x29, 0]).await;
        page.send(Gap {
            reason: GapReason::Trimmed,
            epoch: EPOCH,
            next: Seq(10),
        })
        .await;
        page.send(message(7, 3, "more")).await;
        page.send(Damaged {}).await;
        page.finish();
    };
    let (page, ()) = tokio::join!(room.history_before(at(12), 9), script);
    let page = page.unwrap();
    assert_eq!(
        told(&page),
        [
            "lobby 5 own",
            "lobby 6",
            "gap 7 10",
            "lobby 10",
            "damaged 11"
        ]
    );
    assert_eq!(
        (page.before, page.first, page.gap),
        (Some(at(5)), at(3), None)
    );
    assert!(!page.is_beginning());
    assert_eq!(room.cursor(), Some(at(1)), "where the lane is");
    drop(client);
}

#[tokio::test]
async fn a_page_is_asked_for_again_when_its_connection_is_lost() {
    let authority = Authority::new();
    let peer = Peer::start(&authority);
    let (_client, mut events, room, mut peered, _lane) =
        in_lobby(authority.client(&[&peer]), &peer).await;
    let script = async {
        let asked = peered.on_read_before().await;
        let mut page = peered.page(asked.request, 3, 5).await;
        page.send(message(7, 1, "half")).await;
        peered.vanish();
        let mut peered = peer.welcome(1).await;
        let _lane = peered.on_join("lobby", Start::After(at(0)), |_| {}).await;
        let asked = peered.on_read_before().await;
        assert_eq!((asked.before, asked.len), (at(5), 2));
        let mut page = peered.page(asked.request, 3, 5).await;
        page.send(message(7, 1, "whole")).await;
        page.send(message(7, 2, "page")).await;
        page.finish();
        (peered, _lane)
    };
    let asking = step("the page", room.history_before(at(5), 2));
    let (page, _peered) = tokio::join!(asking, script);
    let page = page.unwrap();
    assert_eq!(told(&page), ["lobby 3", "lobby 4"]);
    assert_eq!(page.before, None, "nothing older is kept");
    assert!(!page.is_beginning(), "but there was something");
    assert!(matches!(
        next(&mut events).await,
        Event::Disconnected { .. }
    ));
}

#[tokio::test]
async fn no_more_pages_are_under_way_than_a_node_takes() {
    let authority = Authority::new();
    let peer = Peer::start(&authority);
    let (_client, _events, room, mut peered, _lane) =
        in_lobby(authority.client(&[&peer]), &peer).await;
    let tasks = TaskTracker::new();
    let asking: Vec<_> = (0..HISTORY_PAGES_MAX + 2)
        .map(|_| {
            let room = room.clone();
            tasks.spawn(async move { room.history_before(at(4), 1).await })
        })
        .collect();
    let mut asked = Vec::new();
    for _ in 0..HISTORY_PAGES_MAX {
        asked.push(peered.on_read_before().await.request);
    }
    // The next one comes only after one of them.
    let publish = room.publish_text("between").unwrap();
    assert_eq!(peered.publish().await.nonce.0, 1);
    for request in asked {
        answer(&mut peered, request).await;
    }
    for _ in 0..2 {
        let request = peered.on_read_before().await.request;
        answer(&mut peered, request).await;
    }
    for page in asking {
        let page = step("a page", page).await.unwrap().unwrap();
        assert_eq!(told(&page), ["lobby 3"]);
    }
    drop(publish);
}

async fn answer(peered: &mut Peered, request: RequestId) {
    let mut page = peered.page(request, 3, 4).await;
    page.send(message(7, 1, "x")).await;
    page.finish();
}

#[tokio::test]
async fn a_refused_page_is_an_error_and_a_room_that_was_left_has_none() {
    let authority = Authority::new();
    let peer = Peer::start(&authority);
    let (_client, _events, room, mut peered, _lane) =
        in_lobby(authority.client(&[&peer]), &peer).await;
    let script = async {
        let request = peered.on_read_before().await.request;
        peered
            .send(Failed {
                request,
                code: ErrorCode::Unavailable.to_wire(),
                retry_after_ms: Some(500),
                detail: String::new(),
            })
            .await;
    };
    let (refused, ()) = tokio::join!(room.history_before(at(5), 2), script);
    assert_eq!(refused.unwrap_err().code(), Some(ErrorCode::Unavailable));
    let leave = async {
        let chat_client::protocol::ClientFrame::Leave(leave) = peered.frame().await else {
            panic!("no leave");
        };
        peered
            .send(chat_client::protocol::node::Done {
                request: leave.request,
            })
            .await;
    };
    let (left, ()) = tokio::join!(room.clone().leave(), leave);
    left.unwrap();
    let refused = room.history_before(at(5), 2).await;
    assert!(
        matches!(&refused, Err(RequestError::Refused { .. })),
        "{refused:?}"
    );
    assert_eq!(refused.unwrap_err().code(), Some(ErrorCode::NotJoined));
}

#[tokio::test]
async fn a_page_that_nobody_waits_for_is_stopped() {
    let authority = Authority::new();
    let peer = Peer::start(&authority);
    let (client, _events, room, mut peered, _lane) =
        in_lobby(authority.client(&[&peer]), &peer).await;
    let asked = {
        let asking = room.history_before(at(5), 2);
        tokio::pin!(asking);
        tokio::select! {
            page = &mut asking => panic!("{page:?}"),
            asked = peered.on_read_before() => asked,
        }
    };
    let mut page = peered.page(asked.request, 3, 5).await;
    assert_eq!(
        page.stopped().await,
        Some(u64::from(StreamCode::Left.to_wire()))
    );
    assert!(client.connection_stats().is_some(), "that was all");
}

#[tokio::test]
async fn a_page_that_breaks_the_rules_breaks_its_connection() {
    let authority = Authority::new();
    let peer = Peer::start(&authority);
    for (what, next, end, entries) in [
        ("cut", 3, 5, 1),
        ("too long", 3, 5, 3),
        ("more than a page may be", 3, 300, 0),
        ("backwards", 5, 3, 0),
        ("before the first", 0, 1, 1),
    ] {
        let (client, _events, room, mut peered, _lane) =
            in_lobby(authority.client(&[&peer]).reconnect(false), &peer).await;
        let script = async {
            let request = peered.on_read_before().await.request;
            let mut page = peered.page(request, next, end).await;
            for nonce in 0..entries {
                page.send(message(7, nonce + 1, "x")).await;
            }
            page.finish();
            step("the client to close", peered.connection.closed()).await
        };
        let (page, closed) = tokio::join!(room.history_before(at(5), 2), script);
        assert!(
            matches!(page, Err(RequestError::Closed)),
            "{what}: {page:?}"
        );
        assert_closed(what, &closed);
        drop(client);
    }
}

#[tokio::test]
async fn a_page_that_was_not_asked_for_or_comes_twice_breaks_its_connection() {
    let authority = Authority::new();
    let peer = Peer::start(&authority);
    for what in ["not asked for", "twice", "no page", "a mark of lanes"] {
        let (client, _events, room, mut peered, _lane) =
            in_lobby(authority.client(&[&peer]).reconnect(false), &peer).await;
        let script = async {
            let request = peered.on_read_before().await.request;
            let mut pages = Vec::new();
            match what {
                "not asked for" => pages.push(peered.page(RequestId(999), 3, 5).await),
                "twice" => {
                    for _ in 0..2 {
                        let mut page = peered.page(request, 3, 5).await;
                        page.send(message(7, 1, "x")).await;
                        pages.push(page);
                    }
                }
                "no page" => {
                    let mut stream = peered.connection.open_uni().await.unwrap();
                    // Type 2, and an entry at once.
                    stream.write_all(&[2, 1, 8]).await.unwrap();
                }
                _ => {
                    let mut page = peered.page(request, 3, 5).await;
                    page.send(At {
                        epoch: EPOCH,
                        next: Seq(3),
                    })
                    .await;
                    pages.push(page);
                }
            }
            step("the client to close", peered.connection.closed()).await
        };
        let (page, closed) = tokio::join!(room.history_before(at(5), 2), script);
        assert!(
            matches!(page, Err(RequestError::Closed)),
            "{what}: {page:?}"
        );
        assert_closed(what, &closed);
        drop(client);
    }
}

fn assert_closed(what: &str, closed: &quinn::ConnectionError) {
    match closed {
        quinn::ConnectionError::ApplicationClosed(close) => assert_eq!(
            close.error_code.into_inner(),
            u64::from(CloseCode::Unexpected.to_wire()),
            "{what}"
        ),
        other => panic!("{what}: {other}"),
    }
}
