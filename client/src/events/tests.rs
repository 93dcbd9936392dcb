use std::time::Duration;

use chat_protocol::{Epoch, RoomName, Seq, SessionId, Topic};
use tokio::time::timeout;

use super::*;
use crate::outgoing::LocalRoom;
use crate::room::RoomSnapshot;

fn at(seq: u64) -> Cursor {
    Cursor::new(Epoch(1), Seq(seq))
}

fn room() -> Arc<RoomState> {
    let name = RoomName::parse("lobby").unwrap();
    let snapshot = RoomSnapshot {
        head: at(0),
        members: 1,
        topic: Topic::default(),
        direct: None,
    };
    Arc::new(RoomState::new(LocalRoom(1), name, snapshot))
}

fn damaged(room: &RoomState, seq: u64) -> Option<Event> {
    Some(Event::Damaged {
        room: room.name.clone(),
        cursor: at(seq),
    })
}

fn disconnected(attempt: u32) -> Event {
    let reason = Disconnect::without_code("gone");
    Event::Disconnected {
        reason,
        retry_in: None,
        attempt,
    }
}

fn popped(queue: &EventQueue) -> Option<Event> {
    match queue.pop() {
        Popped::Event(event) => Some(event),
        Popped::Empty | Popped::Finished => None,
    }
}

async fn fill(queue: &EventQueue, ticket: &LaneTicket) {
    for seq in 1..=EVENTS_LEN_MAX as u64 {
        queue
            .push_of_lane(ticket, damaged(&ticket.room, seq), Some(at(seq)))
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_lane_waits_for_the_application_and_nobody_else_does() {
    let (queue, room) = (EventQueue::new(EVENTS_LEN_MAX), room());
    let ticket = LaneTicket {
        room: Arc::clone(&room),
        lane: 5,
    };
    queue.attach(&room, 5);
    fill(&queue, &ticket).await;
    let seq = EVENTS_LEN_MAX as u64 + 1;
    let mut waits = std::pin::pin!(queue.push_of_lane(&ticket, damaged(&room, seq), Some(at(seq))));
    assert!(
        timeout(Duration::from_millis(1), waits.as_mut())
            .await
            .is_err()
    );
    queue.push(Event::BackplaneState { available: false });
    assert_eq!(
        room.reached(),
        Some(at(seq - 1)),
        "what waits is not reached"
    );
    assert_eq!(lock(&room.inner).handed, None);
    for expected in 1..=EVENTS_LEN_MAX as u64 {
        assert_eq!(
            popped(&queue).and_then(|event| event.cursor()),
            Some(at(expected))
        );
        assert_eq!(lock(&room.inner).handed, Some(at(expected)));
    }
    timeout(Duration::from_secs(5), waits)
        .await
        .expect("there is space")
        .unwrap();
    assert!(matches!(popped(&queue), Some(Event::BackplaneState { .. })));
    assert_eq!(
        popped(&queue).and_then(|event| event.cursor()),
        Some(at(seq))
    );
}

#[tokio::test]
async fn a_detached_lane_adds_nothing_and_reaches_nothing() {
    let (queue, room) = (EventQueue::new(EVENTS_LEN_MAX), room());
    let before = LaneTicket {
        room: Arc::clone(&room),
        lane: 5,
    };
    let after = LaneTicket {
        room: Arc::clone(&room),
        lane: 6,
    };
    queue.attach(&room, 5);
    queue
        .push_of_lane(&before, damaged(&room, 1), Some(at(1)))
        .await
        .unwrap();
    queue.attach(&room, 6);
    assert_eq!(
        queue
            .push_of_lane(&before, damaged(&room, 2), Some(at(2)))
            .await,
        Err(Detached)
    );
    assert_eq!(room.reached(), Some(at(1)));
    queue.push_of_lane(&after, None, Some(at(3))).await.unwrap();
    assert_eq!(room.reached(), Some(at(3)), "also without an event");
    queue.end_room(&room, EndReason::Left);
    assert_eq!(
        queue
            .push_of_lane(&after, damaged(&room, 4), Some(at(4)))
            .await,
        Err(Detached)
    );
    assert!(matches!(popped(&queue), Some(Event::Damaged { .. })));
    assert!(matches!(popped(&queue), Some(Event::Left { .. })));
    assert!(popped(&queue).is_none());
}

#[tokio::test]
async fn a_connection_that_comes_and_goes_does_not_fill_the_queue() {
    let (queue, room) = (EventQueue::new(EVENTS_LEN_MAX), room());
    let ticket = LaneTicket {
        room: Arc::clone(&room),
        lane: 5,
    };
    queue.attach(&room, 5);
    fill(&queue, &ticket).await;
    for attempt in 0..1_000 {
        queue.push(disconnected(attempt));
        queue.push(disconnected(attempt + 1));
        queue.push(Event::BackplaneState { available: true });
    }
    let len = lock(&queue.inner).events.len();
    assert!(len <= EVENTS_LEN_MAX + STATES_LEN_MAX, "{len}");
    let kept: Vec<Event> = std::iter::from_fn(|| popped(&queue)).collect();
    let entries = kept.iter().filter(|event| event.cursor().is_some()).count();
    assert_eq!(entries, EVENTS_LEN_MAX, "no entry made way");
    assert!(
        matches!(
            kept[kept.len() - 2],
            Event::Disconnected { attempt: 1_000, .. }
        ),
        "the latest is kept"
    );
}

#[tokio::test]
async fn without_a_reader_lanes_go_on() {
    let (queue, room) = (EventQueue::new(EVENTS_LEN_MAX), room());
    let ticket = LaneTicket {
        room: Arc::clone(&room),
        lane: 5,
    };
    queue.attach(&room, 5);
    fill(&queue, &ticket).await;
    let mut waits =
        std::pin::pin!(queue.push_of_lane(&ticket, damaged(&room, 2_000), Some(at(2_000))));
    assert!(
        timeout(Duration::from_millis(1), waits.as_mut())
            .await
            .is_err()
    );
    queue.abandon();
    timeout(Duration::from_secs(5), waits)
        .await
        .expect("nobody reads")
        .unwrap();
    queue.abandoned().await;
    assert_eq!(room.reached(), Some(at(2_000)));
    assert!(popped(&queue).is_none());
}

#[tokio::test]
async fn the_end_is_the_last_event() {
    let queue = EventQueue::new(EVENTS_LEN_MAX);
    queue.finish(Disconnect::done());
    queue.finish(Disconnect::without_code("again"));
    queue.push(disconnected(1));
    assert!(
        matches!(popped(&queue), Some(Event::Closed { reason }) if reason == Disconnect::done())
    );
    assert!(matches!(queue.pop(), Popped::Finished));
}

#[tokio::test]
async fn many_events_are_taken_at_once_and_those_beyond_stay() {
    let (queue, room) = (EventQueue::new(EVENTS_LEN_MIN), room());
    let ticket = LaneTicket {
        room: Arc::clone(&room),
        lane: 1,
    };
    queue.attach(&room, 1);
    let len = EVENTS_LEN_MIN as u64;
    for seq in 1..=len {
        queue
            .push_of_lane(&ticket, damaged(&room, seq), Some(at(seq)))
            .await
            .unwrap();
    }
    let mut waits =
        Box::pin(queue.push_of_lane(&ticket, damaged(&room, len + 1), Some(at(len + 1))));
    assert!(futures_util::poll!(&mut waits).is_pending(), "it is full");
    let mut events = Vec::new();
    assert_eq!(queue.pop_many(&mut events, 10), Some(10));
    assert_eq!((events.len(), lock(&room.inner).handed), (10, Some(at(10))));
    assert!(
        futures_util::poll!(&mut waits).is_pending(),
        "half is not free"
    );
    assert_eq!(queue.pop_many(&mut events, 10), Some(10));
    timeout(Duration::from_secs(1), waits)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(queue.pop_many(&mut events, usize::MAX), Some(13));
    let seqs: Vec<u64> = events
        .iter()
        .map(|event| match event {
            Event::Damaged { cursor, .. } => cursor.seq.0,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(seqs, (1..=len + 1).collect::<Vec<_>>());
    assert_eq!(queue.pop_many(&mut events, 10), Some(0), "nothing now");
    queue.finish(Disconnect::without_code("over"));
    assert_eq!(queue.pop_many(&mut events, 10), Some(1));
    assert_eq!(queue.pop_many(&mut events, 10), None);
}

#[tokio::test]
async fn a_burst_that_was_read_takes_no_memory() {
    for take_one in [true, false] {
        let (queue, room) = (EventQueue::new(EVENTS_LEN_MAX), room());
        let ticket = LaneTicket {
            room: Arc::clone(&room),
            lane: 1,
        };
        queue.attach(&room, 1);
        fill(&queue, &ticket).await;
        if take_one {
            while popped(&queue).is_some() {}
        } else {
            queue.pop_many(&mut Vec::new(), usize::MAX);
        }
        assert!(lock(&queue.inner).events.capacity() <= KEPT_LEN_MAX);
    }
}

fn typing(session: u64) -> Event {
    Event::Typing {
        room: RoomName::parse("lobby").unwrap(),
        session: SessionId(session),
        name: "ann".parse().unwrap(),
    }
}

#[tokio::test]
async fn hints_of_who_is_typing_are_few_and_take_no_space_that_others_need() {
    let (queue, room) = (EventQueue::new(EVENTS_LEN_MAX), room());
    for session in 0..100 {
        queue.push_typing(typing(session));
    }
    let mut taken = Vec::new();
    assert_eq!(queue.pop_many(&mut taken, 10), Some(10));
    assert_eq!(queue.pop_many(&mut taken, 1_000), Some(TYPING_LEN_MAX - 10));
    queue.push_typing(typing(1));
    assert!(
        matches!(popped(&queue), Some(Event::Typing { .. })),
        "there is room again"
    );
    let ticket = LaneTicket {
        room: Arc::clone(&room),
        lane: 5,
    };
    queue.attach(&room, 5);
    fill(&queue, &ticket).await;
    queue.push_typing(typing(1));
    let all = queue.pop_many(&mut taken, usize::MAX);
    assert_eq!(all, Some(EVENTS_LEN_MAX), "a full queue takes no hint");
}
