//! Messages without an ack: since when, and whether that was said.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

/// Messages whose fate is not known, in the order they were sent.
#[derive(Debug, Default)]
pub(super) struct Unsettled {
    since: BTreeMap<u64, Instant>,
    next: u64,
    /// Messages before this one were said to be late.
    told_before: u64,
}

impl Unsettled {
    /// A message was sent. Gives its number.
    pub(super) fn add(&mut self, now: Instant) -> u64 {
        let number = self.next;
        self.next += 1;
        self.since.insert(number, now);
        number
    }

    /// A message's fate is known. Gives how long that took.
    pub(super) fn remove(&mut self, number: u64, now: Instant) -> Duration {
        self.since
            .remove(&number)
            .map_or(Duration::ZERO, |since| now - since)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.since.len()
    }

    /// When the next one is late that was not said to be.
    pub(super) fn overdue_at(&self) -> Option<Instant> {
        let (_, since) = self.since.range(self.told_before..).next()?;
        Some(*since + OVERDUE_AFTER)
    }

    /// How many are late now, if that is news.
    pub(super) fn on_overdue(&mut self, now: Instant) -> Option<usize> {
        if self.overdue_at().is_none_or(|at| at > now) {
            return None;
        }
        self.told_before = self.next;
        Some(self.since.len())
    }
}

/// Acks take milliseconds; people begin to wonder after about this time.
const OVERDUE_AFTER: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lateness_is_told_once_a_message() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut unsettled = Unsettled::default();
        assert_eq!(unsettled.overdue_at(), None);
        let first = unsettled.add(at(0));
        unsettled.add(at(1));
        assert_eq!(unsettled.overdue_at(), Some(at(2)));
        assert_eq!(unsettled.on_overdue(at(1)), None);
        assert_eq!(unsettled.on_overdue(at(2)), Some(2));
        assert_eq!(unsettled.on_overdue(at(9)), None);
        unsettled.add(at(10));
        assert_eq!(unsettled.remove(first, at(11)), Duration::from_secs(11));
        assert_eq!(unsettled.on_overdue(at(12)), Some(2));
        assert_eq!(unsettled.len(), 2);
    }
}
