//! A set of numbers that is small when they are dense.

use std::collections::BTreeMap;

/// Numbers, as ranges from the first to the last one.
#[derive(Clone, Debug, Default)]
pub(super) struct Ranges(BTreeMap<u64, u64>);

impl Ranges {
    /// Whether it holds a number.
    pub(super) fn contains(&self, number: u64) -> bool {
        let below = self.0.range(..=number).next_back();
        below.is_some_and(|(_, last)| *last >= number)
    }

    /// Adds a number. A set of too many ranges takes the lowest two for one, and what is between
    /// them as its own: its memory is bounded.
    pub(super) fn insert(&mut self, number: u64) {
        if self.contains(number) {
            return;
        }
        let (mut first, mut last) = (number, number);
        if let Some((from, to)) = self.0.range(..number).next_back()
            && to.saturating_add(1) == number
        {
            first = *from;
        }
        if let Some(to) = self.0.remove(&number.saturating_add(1)) {
            last = to;
        }
        self.0.insert(first, last);
        if self.0.len() > RANGES_LEN_MAX
            && let (Some((first, _)), Some((_, last))) = (self.0.pop_first(), self.0.pop_first())
        {
            self.0.insert(first, last);
        }
    }
}

/// Of one sender in one room: its messages are mostly settled in their order.
const RANGES_LEN_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_become_one_range() {
        let mut ranges = Ranges::default();
        for number in [1, 3, 5, 4, 2, 9, 9] {
            ranges.insert(number);
        }
        assert_eq!(ranges.0, BTreeMap::from([(1, 5), (9, 9)]));
        assert!((1..=5).all(|number| ranges.contains(number)));
        assert!(![0, 6, 8, 10].iter().any(|number| ranges.contains(*number)));
    }

    #[test]
    fn what_is_too_scattered_is_bridged_from_below() {
        let mut ranges = Ranges::default();
        (0..1000).for_each(|number| ranges.insert(number * 2));
        assert_eq!(ranges.0.len(), RANGES_LEN_MAX);
        assert!(ranges.contains(1) && !ranges.contains(1997));
    }
}
