//! How long to wait before a connection is tried again.

use std::time::Duration;

/// Doubling pauses with jitter, so that nodes that lost the same Redis do not come back at once.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// A connection held: the next pause is short.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }

    /// The pause before the next try: within 50 ms at first, then 50 to 100 % of 100 ms, 200 ms
    /// and so on up to 2 s.
    pub(super) fn next_pause(&mut self) -> Duration {
        let jitter: f64 = rand::random();
        let pause = match self.failures {
            0 => AT_ONCE.mul_f64(jitter),
            failures => {
                let doubled = FIRST
                    .saturating_mul(1 << (failures - 1).min(8))
                    .min(LONGEST);
                doubled.mul_f64(0.5 + jitter / 2.0)
            }
        };
        self.failures += 1;
        pause
    }
}

/// A cut connection is made again at once, but not by all nodes in the same moment.
const AT_ONCE: Duration = Duration::from_millis(50);

/// A server that starts again takes about this long.
const FIRST: Duration = Duration::from_millis(100);

/// Short enough that people do not wait long after Redis is back.
const LONGEST: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_two_seconds_and_start_over() {
        let mut backoff = Backoff::default();
        assert!(backoff.next_pause() <= AT_ONCE);
        let bounds = [100, 200, 400, 800, 1600, 2000, 2000, 2000];
        for bound in bounds.map(Duration::from_millis) {
            let pause = backoff.next_pause();
            assert!(
                pause >= bound / 2 && pause <= bound,
                "{pause:?} for {bound:?}"
            );
        }
        for _ in 0..100 {
            assert!(backoff.next_pause() <= LONGEST);
        }
        backoff.reset();
        assert!(backoff.next_pause() <= AT_ONCE);
    }
}
