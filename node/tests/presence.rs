//! Who is where in the cluster, with nodes, backplane and gossip failing: in paused time, where a
//! lease ends to the millisecond, and with real processes.
#![allow(dead_code, reason = "the support is shared by test binaries")]
#![allow(unreachable_pub, reason = "modules of one test, public to nobody")]
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on may panic anywhere"
)]

use std::time::Duration;

use chat_protocol::SessionId;
use presence::seat::{LEASE, Seat, World};
use tokio::time::{self, Instant};

mod support;

mod presence {
    pub mod processes;
    pub mod seat;
}

/// What is found gone is told also when the backplane fails at the next question.
#[tokio::test(start_paused = true)]
async fn a_leave_is_told_although_the_backplane_fails_right_after() {
    let world = World::new();
    let one = world.seat(1).await;
    let mut two = world.seat(2).await;
    let three = world.seat(3).await;
    two.join(BO, "bo");
    three.join(CY, "cy");
    time::sleep(SOON).await;
    assert_eq!(sorted(one.told()), ["+bo", "+cy"]);
    one.backplane.set_unreadable(&three, true);
    one.presence.on_missed();
    two.freeze();
    time::sleep(LEASE * 2).await;
    assert_eq!(one.told(), ["-bo"]);
    assert_eq!(one.members(), ["cy"]);
    one.backplane.set_unreadable(&three, false);
    three.part(CY);
    time::sleep(SOON).await;
    assert_eq!(one.told(), ["-cy"]);
}

/// A backplane that lost its memory (FLUSHALL, a restart without persistence) makes nobody leave.
#[tokio::test(start_paused = true)]
async fn registrations_that_are_lost_are_made_again_and_nobody_is_told() {
    let world = World::new();
    let (one, two, three) = (
        world.seat(1).await,
        world.seat(2).await,
        world.seat(3).await,
    );
    one.join(ANN, "ann");
    two.join(BO, "bo");
    three.join(CY, "cy");
    time::sleep(SOON).await;
    let seats = [&one, &two, &three];
    let _ = seats.map(Seat::told);
    // At all places between two heartbeats and two comparisons; of one node, of two, of all.
    for round in 0..60 {
        world.forget(&seats[..=round % 3]).await;
        time::sleep(Duration::from_millis(730)).await;
    }
    time::sleep(LEASE * 2).await;
    for seat in seats {
        assert_eq!(seat.told(), [""; 0]);
        assert_eq!(seat.members(), ["ann", "bo", "cy"]);
    }
    // It still works.
    drop(two);
    time::sleep(LEASE * 2).await;
    assert_eq!(one.told(), ["-bo"]);
}

#[tokio::test(start_paused = true)]
async fn a_backplane_that_comes_back_empty_after_a_long_time_makes_nobody_leave() {
    let world = World::new();
    let (one, two) = (world.seat(1).await, world.seat(2).await);
    let mut three = world.seat(3).await;
    one.join(ANN, "ann");
    two.join(BO, "bo");
    three.join(CY, "cy");
    time::sleep(SOON).await;
    one.told();
    two.told();
    for seat in [&one, &two] {
        seat.backplane.set_cut(true);
    }
    three.freeze();
    world.forget(&[&one, &two, &three]).await;
    time::sleep(LEASE * 3).await;
    // They do not come back in the same moment.
    one.backplane.set_cut(false);
    time::sleep(SOON).await;
    two.backplane.set_cut(false);
    time::sleep(SOON * 4).await;
    for seat in [&one, &two] {
        assert_eq!(seat.told(), ["-cy"], "she died meanwhile");
        assert_eq!(seat.members(), ["ann", "bo"]);
    }
}

/// Not before the lease could have ended, and at most a second after it must have.
#[tokio::test(start_paused = true)]
async fn the_members_of_a_dead_node_leave_when_its_lease_ends() {
    let world = World::new();
    let one = world.seat(1).await;
    // Whose gossip never arrives here is found by comparing alone.
    for is_deaf in [false, true] {
        for round in 0..20 {
            let mut two = world.seat(100 + round).await;
            two.join(BO, "bo");
            time::sleep(SOON + Duration::from_millis(170) * u32::try_from(round).unwrap()).await;
            one.set_deaf(is_deaf);
            time::sleep(LEASE * 2).await;
            assert_eq!(one.told(), ["+bo"]);
            two.freeze();
            let died = Instant::now();
            time::sleep(LEASE - SECOND * 2).await;
            assert_eq!(one.told(), [""; 0], "its lease goes on");
            while one.members() == ["bo"] {
                time::sleep(Duration::from_millis(10)).await;
            }
            let after = died.elapsed();
            assert!(after <= LEASE + SECOND, "{after:?}, deaf: {is_deaf}");
            assert_eq!(one.told(), ["-bo"]);
            one.set_deaf(false);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_word_that_was_lost_is_known_within_two_seconds() {
    let world = World::new();
    let (one, two) = (world.seat(1).await, world.seat(2).await);
    time::sleep(SOON).await;
    for round in 0..40 {
        time::sleep(Duration::from_millis(130)).await;
        one.set_deaf(true);
        let said = Instant::now();
        let (expected, members): (_, &[&str]) = if round % 2 == 0 {
            two.join(BO, "bo");
            ("+bo", &["bo"])
        } else {
            two.part(BO);
            ("-bo", &[])
        };
        // It is said by then, and one heartbeat may be lost with it.
        time::sleep(Duration::from_millis(150)).await;
        one.set_deaf(false);
        while one.members() != members {
            time::sleep(Duration::from_millis(10)).await;
        }
        assert!(said.elapsed() <= SOON, "{:?}", said.elapsed());
        assert_eq!(one.told(), [expected]);
    }
}

/// Its clients may have died with it; who is alive comes back once.
#[tokio::test(start_paused = true)]
async fn a_node_that_was_stopped_for_longer_than_its_lease_brings_back_no_ghosts() {
    let world = World::new();
    let one = world.seat(1).await;
    let mut two = world.seat(2).await;
    two.join(BO, "bo");
    two.join(CY, "cy");
    time::sleep(SOON).await;
    one.told();
    // Everybody is still believed.
    two.freeze();
    time::sleep(LEASE * 2 / 3).await;
    two.thaw();
    time::sleep(SOON).await;
    assert_eq!(one.told(), [""; 0]);
    two.freeze();
    time::sleep(LEASE * 5 / 3).await;
    assert_eq!(sorted(one.told()), ["-bo", "-cy"]);
    two.thaw();
    time::sleep(SOON).await;
    assert_eq!(one.told(), [""; 0], "nothing says that they are alive");
    two.join(ANN, "ann");
    time::sleep(SOON).await;
    assert_eq!(one.told(), ["+ann"], "she just came");
    two.presence.prove([CY]);
    two.join(CY, "cy");
    time::sleep(SOON).await;
    assert_eq!(one.told(), ["+cy"]);
    // Also when everything is registered anew.
    world.forget(&[&two]).await;
    time::sleep(LEASE).await;
    assert_eq!(one.told(), [""; 0]);
    assert!(two.presence.withholding_since().is_some());
    two.part(BO);
    time::sleep(LEASE).await;
    assert_eq!(one.told(), [""; 0], "his leave was told long ago");
    assert_eq!(two.presence.withholding_since(), None);
    assert_eq!(one.members(), ["ann", "cy"]);
    assert_eq!(two.told(), ["+bo", "+cy", "+ann", "-bo"]);
}

const ANN: SessionId = SessionId(1);
const BO: SessionId = SessionId(2);
const CY: SessionId = SessionId(3);

const SECOND: Duration = Duration::from_secs(1);

/// What is normal is believed everywhere by then.
const SOON: Duration = Duration::from_secs(2);

fn sorted(mut told: Vec<String>) -> Vec<String> {
    told.sort();
    told
}
