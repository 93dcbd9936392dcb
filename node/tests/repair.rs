//! A hole in the announcements is read from the log once for the node, before a reader meets it.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on may panic anywhere"
)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use chat_node::backplane::memory::Memory;
use chat_node::backplane::{Attachment, Batch, Block, Draft, Outcome};
use chat_node::outlet::{ConnectionId, Lane, Outlet};
use chat_node::room::{Flusher, Next, Room};
use chat_protocol::client::Start;
use chat_protocol::lane::{LaneFrame, Notice, NoticeLevel};
use chat_protocol::{Frame, Nonce, RoomName, RoomRef, SessionId};
use support::held::Held;
use support::soon;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

#[tokio::test]
async fn a_hole_is_read_once_and_no_reader_falls_behind() {
    let (held, Attachment { backplane, .. }) = Held::before(Memory::new().attach());
    let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
    let (room, hints) = Room::new(
        RoomName::system(),
        Flusher::new(Duration::ZERO),
        stop.clone(),
    );
    tasks.spawn(Arc::clone(&room).run(Arc::clone(&backplane), hints));
    soon("the tail", room.loaded()).await;
    let readers: Vec<_> = (1..=50)
        .map(|number| {
            let (outlet, _) = Outlet::new(ConnectionId(number));
            let lane = Arc::new(Lane::new(RoomRef(1), Arc::new(outlet)));
            let position = room.admit(&lane, Start::Live).unwrap().position;
            (lane, position)
        })
        .collect();

    // Three are appended; only the last is announced.
    let mut announced = None;
    let mut frames = Vec::new();
    for number in 1..=3 {
        let notice = Notice {
            at_ms: number,
            level: NoticeLevel::Info,
            text: "hello".parse().unwrap(),
        };
        let frame = LaneFrame::from(notice).to_bytes();
        frames.extend_from_slice(&frame);
        let draft = Draft {
            session: SessionId(1),
            nonce: Nonce(number),
            frame: frame.clone(),
            topic: None,
        };
        let batch = Batch {
            known: None,
            drafts: vec![draft],
        };
        let appended = backplane.append(room.name(), &batch).await.unwrap();
        let Outcome::At { cursor, .. } = appended.outcomes[0] else {
            panic!("{appended:?}");
        };
        announced = Some(Block {
            epoch: cursor.epoch,
            first: cursor.seq,
            len: 1,
            frames: frame,
        });
    }
    let announced = announced.unwrap();
    let last = announced.last();
    room.hint(announced);
    soon("the announced entry", async {
        while room.head().seq != last {
            tokio::task::yield_now().await;
        }
    })
    .await;

    for (_, mut position) in readers {
        match room.read(&mut position, 1 << 20) {
            Next::Frames(read) => assert!(frames.starts_with(&read), "from the first on"),
            other => panic!("a reader met the hole: {other:?}"),
        }
    }
    assert_eq!(held.total(), 1, "reads of the log");
    stop.cancel();
    tasks.close();
    soon("the room's end", tasks.wait()).await;
}
