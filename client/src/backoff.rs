//! How long to wait before the next attempt: doubling, bounded, jittered. Pure.

use std::time::Duration;

use rand::Rng;

/// Doubling waits between `first` and `longest`, each drawn evenly from its upper half, so that
/// clients that lost a node together do not come back together.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Backoff {
    first: Duration,
    longest: Duration,
    attempts: u32,
}

impl Backoff {
    /// Waits before connecting again: quick enough that a restarted node is hardly noticed, slow
    /// enough that a node which is gone costs nothing.
    pub(crate) const fn of_connects() -> Self {
        Self::new(Duration::from_millis(100), Duration::from_secs(5))
    }

    /// Waits before repeating a publish that was refused for now.
    pub(crate) const fn of_publishes() -> Self {
        Self::new(Duration::from_millis(100), Duration::from_secs(5))
    }

    const fn new(first: Duration, longest: Duration) -> Self {
        Self {
            first,
            longest,
            attempts: 0,
        }
    }

    /// Attempts since the last success.
    pub(crate) const fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Counts a failed attempt and draws the wait before the next: from half of
    /// `first · 2^(attempts - 1)`, at most `longest`, to the whole of it.
    pub(crate) fn on_failure(&mut self, rng: &mut impl Rng) -> Duration {
        let doubled = 1u32.checked_shl(self.attempts).unwrap_or(u32::MAX);
        let whole = self.first.saturating_mul(doubled).min(self.longest);
        self.attempts = self.attempts.saturating_add(1);
        whole.mul_f64(rng.random_range(0.5..=1.0))
    }

    /// Starts over.
    pub(crate) const fn on_success(&mut self) {
        self.attempts = 0;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    proptest! {
        #[test]
        fn waits_double_within_their_bounds(seed: u64, attempts in 1u32..100) {
            let mut rng = StdRng::seed_from_u64(seed);
            let mut backoff = Backoff::of_connects();
            for attempt in 0..attempts {
                let whole = (0.1 * 2f64.powi(attempt.cast_signed())).min(5.0);
                let wait = backoff.on_failure(&mut rng).as_secs_f64();
                prop_assert!(wait >= whole / 2.0 - 1e-6 && wait <= whole + 1e-6, "{} of {}", wait, whole);
            }
            prop_assert_eq!(backoff.attempts(), attempts);
            backoff.on_success();
            prop_assert!(backoff.on_failure(&mut rng) <= Duration::from_millis(100));
        }

        #[test]
        fn two_clients_rarely_draw_the_same_wait(seed: u64) {
            let mut rng = StdRng::seed_from_u64(seed);
            let mut draw = || Backoff::of_connects().on_failure(&mut rng);
            prop_assert_ne!(draw(), draw());
        }
    }
}
