//! The rows of a run over time, in bounded memory: when there are too many, two become one.

use crate::bot::report::Interval;

/// Rows of a timeline at most.
pub const INTERVALS_MAX: usize = 3_600;

/// The rows so far.
#[derive(Clone, Debug)]
pub struct Timeline {
    rows: Vec<Interval>,
    /// Seconds' worth in each whole row.
    width: usize,
    /// Seconds in the last row.
    filled: usize,
    rows_max: usize,
}

impl Default for Timeline {
    fn default() -> Self {
        Self::with_rows(INTERVALS_MAX)
    }
}

impl Timeline {
    fn with_rows(rows_max: usize) -> Self {
        Self {
            rows: Vec::new(),
            width: 1,
            filled: 1,
            rows_max,
        }
    }

    /// One more second. What is much shorter, at the end of a phase, becomes a part of the last one:
    /// its rates would say nothing.
    pub fn push(&mut self, second: Interval) {
        let is_short = second.length_s < SHORT_S;
        if (self.filled < self.width || is_short)
            && let Some(last) = self.rows.last_mut()
        {
            *last = joined(*last, second);
            self.filled += usize::from(!is_short);
            return;
        }
        if self.rows.len() >= self.rows_max {
            self.rows = self
                .rows
                .chunks(2)
                .map(|pair| pair[1..].iter().fold(pair[0], |all, row| joined(all, *row)))
                .collect();
            self.width *= 2;
        }
        self.rows.push(second);
        self.filled = 1;
    }

    /// All rows.
    #[must_use]
    pub fn rows(&self) -> &[Interval] {
        &self.rows
    }
}

/// Two intervals as one. Percentiles of both cannot be known from theirs: the worse is taken, and
/// of halves the mean, weighted.
fn joined(one: Interval, next: Interval) -> Interval {
    let mean = |one_of: u64, one: u64, next_of: u64, next: u64| {
        (one_of * one + next_of * next)
            .checked_div(one_of + next_of)
            .unwrap_or_default()
    };
    Interval {
        at_s: next.at_s,
        length_s: one.length_s + next.length_s,
        planned: one.planned + next.planned,
        sent: one.sent + next.sent,
        acked: one.acked + next.acked,
        delivered: one.delivered + next.delivered,
        ack_p50_us: mean(one.acked, one.ack_p50_us, next.acked, next.ack_p50_us),
        ack_p99_us: one.ack_p99_us.max(next.ack_p99_us),
        delivery_p50_us: mean(
            one.delivered,
            one.delivery_p50_us,
            next.delivered,
            next.delivery_p50_us,
        ),
        delivery_p99_us: one.delivery_p99_us.max(next.delivery_p99_us),
        delivery_max_us: one.delivery_max_us.max(next.delivery_max_us),
        lag_p99_us: one.lag_p99_us.max(next.lag_p99_us),
        open: next.open,
        reconnects: one.reconnects + next.reconnects,
        errors: one.errors + next.errors,
    }
}

/// Shorter is no second.
const SHORT_S: f64 = 0.3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_of_a_second_joins_the_one_before() {
        let mut timeline = Timeline::default();
        for (at_s, length_s) in [(1.0, 1.0), (2.0, 1.0), (2.1, 0.1)] {
            timeline.push(Interval {
                at_s,
                length_s,
                sent: 10,
                ..Interval::default()
            });
        }
        let rows = timeline.rows();
        assert_eq!((rows.len(), rows[1].sent), (2, 20));
        assert!((rows[1].length_s - 1.1).abs() < 1e-9 && rows[1].at_s > 2.0);
    }

    #[test]
    fn rows_are_bounded_and_nothing_is_lost() {
        let mut timeline = Timeline::with_rows(8);
        for second in 1..=1_000_u32 {
            timeline.push(Interval {
                at_s: f64::from(second),
                length_s: 1.0,
                sent: 1,
                delivery_p99_us: u64::from(second),
                ..Interval::default()
            });
        }
        let rows = timeline.rows();
        assert!((4..=8).contains(&rows.len()), "{}", rows.len());
        assert_eq!(rows.iter().map(|row| row.sent).sum::<u64>(), 1_000);
        let length: f64 = rows.iter().map(|row| row.length_s).sum();
        assert!((length - 1_000.0).abs() < 1e-9);
        assert_eq!(rows.last().map(|row| row.delivery_p99_us), Some(1_000));
        assert!(rows.windows(2).all(|pair| pair[0].at_s < pair[1].at_s));
    }
}
