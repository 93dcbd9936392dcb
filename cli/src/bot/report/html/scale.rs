//! Where values stand on an axis, and which of them are named there.

use crate::bot::report::figure;

/// From values to places on an axis, 0 to 1.
#[derive(Clone, Debug)]
pub(super) struct Scale {
    low: f64,
    high: f64,
    is_log: bool,
    /// Values that are named, with their names.
    pub(super) ticks: Vec<(f64, String)>,
}

impl Scale {
    /// From zero to a round number above all values, which are not negative.
    pub(super) fn linear(max: f64) -> Self {
        let max = if max > 0.0 && max.is_finite() {
            max
        } else {
            1.0
        };
        let step = round_step(max / 5.0).max(0.001);
        let mut ticks = vec![];
        for index in 0..TICKS_MAX {
            let value = f64::from(index) * step;
            ticks.push((value, short(value, max)));
            if value >= max {
                break;
            }
        }
        let high = ticks.last().map_or(1.0, |(value, _)| *value);
        Self {
            low: 0.0,
            high,
            is_log: false,
            ticks,
        }
    }

    /// Times in microseconds, each decade as long as the next: from the decade of the smallest to
    /// the end of that of the largest. Zeros have no place.
    pub(super) fn log(values: impl Iterator<Item = u64>) -> Self {
        let (mut min, mut max) = (u64::MAX, 0);
        for value in values.filter(|value| *value > 0) {
            (min, max) = (min.min(value), max.max(value));
        }
        if max == 0 {
            (min, max) = (100, 10_000);
        }
        let first = min.ilog10();
        let last = (first + 1).max(max.ilog10() + u32::from(!is_power_of_ten(max)));
        let is_narrow = last - first <= 2;
        let mut ticks = vec![];
        for decade in first..=last {
            for leading in [1, 2, 5] {
                if leading == 1 || is_narrow && decade < last {
                    let us = 10_u64.saturating_pow(decade).saturating_mul(leading);
                    ticks.push((float(us), round_time(us)));
                }
            }
        }
        Self {
            low: float(10_u64.saturating_pow(first)).log10(),
            high: float(10_u64.saturating_pow(last)).log10(),
            is_log: true,
            ticks,
        }
    }

    /// Seconds of a run. The span is not empty.
    pub(super) fn time(start: f64, end: f64) -> Self {
        let steps = STEPS_S.iter().copied();
        let step = steps
            .chain([3.6e3, 7.2e3, 1.8e4, 3.6e4, 8.64e4])
            .find(|step| (end - start) / step <= 10.0)
            .unwrap_or_else(|| round_step((end - start) / 3.6e4) * 3.6e3);
        let mut ticks = vec![];
        let mut value = (start / step).ceil() * step;
        while value <= end + step / 1e6 && ticks.len() < 16 {
            ticks.push((value, moment(value, step)));
            value += step;
        }
        Self {
            low: start,
            high: end,
            is_log: false,
            ticks,
        }
    }

    /// Where a value stands; none when it has no place.
    pub(super) fn place(&self, value: f64) -> Option<f64> {
        let value = match self.is_log {
            true if value >= 1.0 => value.log10(),
            true => return None,
            false => value,
        };
        let place = (value - self.low) / (self.high - self.low);
        place.is_finite().then(|| place.clamp(0.0, 1.0))
    }
}

/// 1, 2 or 5 times a power of ten, the first not below.
fn round_step(step: f64) -> f64 {
    let power = 10_f64.powf(step.log10().floor());
    let leading = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .find(|leading| step <= leading * power * 1.000_001);
    leading.unwrap_or(10.0) * power
}

const fn is_power_of_ten(value: u64) -> bool {
    10_u64.pow(value.ilog10()) == value
}

/// `1 ms`, `200 µs`: of a round time.
fn round_time(us: u64) -> String {
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..1_000_000 => format!("{} ms", us / 1_000),
        _ => format!("{} s", figure::count(us / 1_000_000)),
    }
}

/// `0`, `0.5`, `1,500`, `40k`, `2M`: in the unit that suits the largest value.
fn short(value: f64, max: f64) -> String {
    let (value, unit) = match max {
        _ if value == 0.0 => (value, ""),
        10e9.. => (value / 1e9, "G"),
        10e6.. => (value / 1e6, "M"),
        10e3.. => (value / 1e3, "k"),
        _ => (value, ""),
    };
    // A step has one digit that counts, so no more decimals than it takes are shown.
    let text = format!("{value:.3}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    let text = match text.parse() {
        Ok(whole) => figure::count(whole),
        Err(_) => text.to_owned(),
    };
    text + unit
}

/// A moment of a run, in the unit of the steps between those that are named.
fn moment(value: f64, step: f64) -> String {
    let (value, unit) = match step {
        3_600.0.. => (value / 3_600.0, "h"),
        60.0.. => (value / 60.0, "min"),
        _ => (value, "s"),
    };
    let text = format!("{value:.3}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    let text = if text == "-0" { "0" } else { text };
    format!("{text} {unit}")
}

#[expect(
    clippy::cast_precision_loss,
    reason = "places are shown to a tenth of a pixel"
)]
pub(super) const fn float(value: u64) -> f64 {
    value as f64
}

/// Between moments that are named.
const STEPS_S: [f64; 16] = [
    0.001, 0.01, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_800.0,
];

/// Five round steps reach every value; a bound all the same.
const TICKS_MAX: u32 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn names(scale: &Scale) -> Vec<&str> {
        scale.ticks.iter().map(|(_, name)| name.as_str()).collect()
    }

    #[test]
    fn a_linear_axis_has_a_few_round_numbers_and_ends_above_all_values() {
        for (max, expected) in [
            (0.0, vec!["0", "0.2", "0.4", "0.6", "0.8", "1"]),
            (f64::NAN, vec!["0", "0.2", "0.4", "0.6", "0.8", "1"]),
            (1.0, vec!["0", "0.2", "0.4", "0.6", "0.8", "1"]),
            (7.0, vec!["0", "2", "4", "6", "8"]),
            (2_000.0, vec!["0", "500", "1,000", "1,500", "2,000"]),
            (12_000.0, vec!["0", "5k", "10k", "15k"]),
            (40_250.0, vec!["0", "10k", "20k", "30k", "40k", "50k"]),
            (8e6, vec!["0", "2,000k", "4,000k", "6,000k", "8,000k"]),
        ] {
            let scale = Scale::linear(max);
            assert_eq!(names(&scale), expected, "{max}");
            assert_eq!(scale.place(0.0), Some(0.0));
            assert!(scale.place(max).is_none_or(|place| place <= 1.0));
        }
        for exponent in -1..18 {
            for leading in [1.0, 1.01, 1.99, 3.3, 4.0, 4.01, 7.5, 9.99] {
                let max = leading * 10_f64.powi(exponent);
                let scale = Scale::linear(max);
                assert!(scale.high >= max, "{max} is above {}", scale.high);
                assert!(
                    scale.high <= max.max(0.001) * 2.01,
                    "{max} is lost below {}",
                    scale.high
                );
                assert!((3..=6).contains(&scale.ticks.len()), "{max}: {scale:?}");
            }
        }
    }

    #[test]
    fn a_logarithmic_axis_names_decades_and_more_when_there_are_few() {
        for (values, expected) in [
            (
                vec![],
                vec![
                    "100 µs", "200 µs", "500 µs", "1 ms", "2 ms", "5 ms", "10 ms",
                ],
            ),
            (
                vec![0, 0],
                vec![
                    "100 µs", "200 µs", "500 µs", "1 ms", "2 ms", "5 ms", "10 ms",
                ],
            ),
            (vec![1], vec!["1 µs", "2 µs", "5 µs", "10 µs"]),
            (vec![1_000], vec!["1 ms", "2 ms", "5 ms", "10 ms"]),
            (
                vec![800, 0, 120_000],
                vec!["100 µs", "1 ms", "10 ms", "100 ms", "1 s"],
            ),
            (vec![40, 10_000], vec!["10 µs", "100 µs", "1 ms", "10 ms"]),
        ] {
            let scale = Scale::log(values.iter().copied());
            assert_eq!(names(&scale), expected, "{values:?}");
        }
        let scale = Scale::log([100, 10_000].into_iter());
        assert_eq!(scale.place(0.0), None, "zero has no place");
        assert_eq!(scale.place(100.0), Some(0.0));
        assert_eq!(scale.place(1_000.0), Some(0.5));
        assert_eq!(scale.place(10_000.0), Some(1.0));
        // No value makes it fail.
        let scale = Scale::log([1, u64::MAX].into_iter());
        assert!(scale.ticks.len() <= 21 && scale.place(float(u64::MAX)).is_some());
    }

    #[test]
    fn an_axis_of_time_names_moments_in_a_unit_that_suits_its_length() {
        for (start, end, expected) in [
            (0.0, 1.0, "0 s|0.1 s|0.2 s"),
            (0.02, 1.0, "0.1 s|0.2 s|0.3 s"),
            (0.0, 60.0, "0 s|10 s|20 s"),
            (0.0, 600.0, "0 min|1 min|2 min"),
            (-1.0, 36_000.0, "0 h|2 h|4 h"),
            (0.0, 1e7, "0 h|500 h|1000 h"),
        ] {
            let scale = Scale::time(start, end);
            let names = names(&scale);
            assert!(names.join("|").starts_with(expected), "{end}: {names:?}");
            assert!((3..=12).contains(&names.len()), "{end}: {names:?}");
        }
    }
}
