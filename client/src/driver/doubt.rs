//! Messages whose fate will not be known: settled as such, and not sent again.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;
use tracing::debug;

use crate::delivery::Settle;
use crate::driver::Driver;
use crate::driver::greet::DONE;
use crate::error::PublishError;
use crate::event::Disconnect;
use crate::lock::lock;

impl Driver {
    /// Gives up what was sent so long ago that nodes may have forgotten it.
    pub(crate) fn advance_doubts(&mut self, now: Instant) {
        let asleep = self.sleep.observe(now, SystemTime::now());
        let forgotten = {
            let mut outgoing = lock(&self.shared.outgoing);
            if !asleep.is_zero() {
                outgoing.age(asleep, now);
            }
            outgoing.give_up_forgotten(now)
        };
        settle_as_unknown(forgotten.settles);
        if forgotten.is_awaited
            && let Some(link) = &self.link
        {
            link.connection.close(DONE, b"");
            let reason = Disconnect::without_code("a message was refused for too long");
            self.lose_link(reason, false, now);
        }
    }

    /// The session is another: nobody remembers what the former one sent.
    pub(crate) fn give_up_doubtful(&self) {
        settle_as_unknown(lock(&self.shared.outgoing).give_up_doubtful());
    }
}

fn settle_as_unknown(settles: Vec<Settle>) {
    if !settles.is_empty() {
        debug!(len = settles.len(), "messages whose fate is not known");
    }
    for settle in settles {
        // Nobody may be waiting for it.
        drop(settle.send(Err(PublishError::Unknown)));
    }
}

/// Notices that the machine slept: the clock of timers stands still then, that of the wall does not.
#[derive(Debug)]
pub(crate) struct SleepWatch {
    at: Instant,
    wall: SystemTime,
}

impl SleepWatch {
    pub(crate) const fn new(at: Instant, wall: SystemTime) -> Self {
        Self { at, wall }
    }

    /// For how long the machine slept since the last call; a clock that was set ahead counts too.
    fn observe(&mut self, now: Instant, wall: SystemTime) -> Duration {
        // A clock that was set back says nothing.
        let passed = wall.duration_since(self.wall).unwrap_or_default();
        let counted = now.saturating_duration_since(self.at);
        (self.at, self.wall) = (now, wall);
        let asleep = passed.saturating_sub(counted);
        if asleep < SLEEP_MIN {
            return Duration::ZERO;
        }
        asleep
    }
}

/// Clocks that are kept right differ by less.
const SLEEP_MIN: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sleep_is_what_only_the_clock_on_the_wall_counts() {
        let (start, wall) = (Instant::now(), SystemTime::UNIX_EPOCH);
        let second = Duration::from_secs(1);
        let mut watch = SleepWatch::new(start, wall + second * 50);
        let mut observe =
            |at: u32, wall_at: u32| watch.observe(start + second * at, wall + second * wall_at);
        assert_eq!(observe(10, 60), Duration::ZERO, "awake");
        assert_eq!(observe(20, 3_670), second * 3_600, "asleep for an hour");
        assert_eq!(observe(30, 3_680), Duration::ZERO, "counted once");
        assert_eq!(observe(40, 80), Duration::ZERO, "set back");
        assert_eq!(observe(50, 90), Duration::ZERO);
        assert_eq!(observe(110, 91), Duration::ZERO, "in a test of paused time");
    }
}
