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
use presence::seat::{LEASE, World};
use tokio::time;

mod support;

mod presence {
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

const BO: SessionId = SessionId(2);
const CY: SessionId = SessionId(3);

/// What is normal is believed everywhere by then.
const SOON: Duration = Duration::from_secs(2);

fn sorted(mut told: Vec<String>) -> Vec<String> {
    told.sort();
    told
}
