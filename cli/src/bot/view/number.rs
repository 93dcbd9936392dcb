//! Numbers as people read them while they move: short, and of a width that hardly changes.

use std::time::Duration;

/// With commas between thousands: `2,400`; from ten millions on `12.3M`.
pub(super) fn count(number: u64) -> String {
    match number {
        0..10_000_000 => with_commas(number),
        _ => [(1e6, "M"), (1e9, "G"), (1e12, "T"), (1e15, "P")]
            .into_iter()
            .map(|(unit, name)| (number_as_f64(number) / unit, name))
            .find(|(value, name)| *value < 999.95 || *name == "P")
            .map(|(value, name)| format!("{value:.1}{name}"))
            .unwrap_or_default(),
    }
}

/// Of something a second: `2,400/s`, below ten `0.5/s`.
pub(super) fn rate(per_s: f64) -> String {
    if !per_s.is_finite() || per_s < 0.0 {
        return UNKNOWN.to_owned();
    }
    if per_s > 0.0 && per_s < 9.95 {
        return format!("{per_s:.1}/s");
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is finite and not negative; casts saturate"
    )]
    let whole = per_s.round() as u64;
    format!("{}/s", count(whole))
}

/// Of microseconds, with three digits: `310 µs`, `3.20 ms`, `32.1 s`.
pub(super) fn time(us: u64) -> String {
    if us < 1_000 {
        return format!("{us} µs");
    }
    let (value, unit) = match number_as_f64(us) {
        us if us < 999_500.0 => (us / 1e3, "ms"),
        us => (us / 1e6, "s"),
    };
    let digits = match value {
        _ if value < 9.995 => 2,
        _ if value < 99.95 => 1,
        _ => 0,
    };
    format!("{value:.digits$} {unit}")
}

/// Of whole seconds: `12s`, `1m05s`, `1h02m`.
pub(super) fn elapsed(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..60 => format!("{seconds}s"),
        seconds @ 60..3_600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        seconds => format!("{}h{:02}m", seconds / 3_600, seconds / 60 % 60),
    }
}

/// Of a part of one, in whole percent; 100 only when it is whole.
pub(super) fn percent(part: f64) -> String {
    format!("{:.0}%", (part.clamp(0.0, 1.0) * 100.0).floor())
}

/// So many in so many seconds, in one.
pub(super) fn per_s(number: u64, seconds: f64) -> f64 {
    if seconds > 0.0 {
        number_as_f64(number) / seconds
    } else {
        0.0
    }
}

/// As near as floating point gets.
#[expect(clippy::cast_precision_loss, reason = "three digits of it are shown")]
pub(super) fn number_as_f64(number: u64) -> f64 {
    number as f64
}

fn with_commas(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// What stands for a number that there is not.
pub(super) const UNKNOWN: &str = "–";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_short() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (9_999_999, "9,999,999"),
            (10_000_000, "10.0M"),
            (999_949_999, "999.9M"),
            (999_950_000, "1.0G"),
            (u64::MAX, "18446.7P"),
        ] {
            assert_eq!(count(number), text);
        }
    }

    #[test]
    fn rates_show_what_is_slow() {
        for (per_s, text) in [
            (0.0, "0/s"),
            (0.04, "0.0/s"),
            (0.5, "0.5/s"),
            (9.94, "9.9/s"),
            (9.96, "10/s"),
            (1_999.6, "2,000/s"),
            (f64::NAN, "–"),
            (f64::INFINITY, "–"),
            (-1.0, "–"),
        ] {
            assert_eq!(rate(per_s), text);
        }
    }

    #[test]
    fn times_have_three_digits() {
        for (us, text) in [
            (0, "0 µs"),
            (999, "999 µs"),
            (1_000, "1.00 ms"),
            (9_994, "9.99 ms"),
            (9_996, "10.0 ms"),
            (99_960, "100 ms"),
            (999_400, "999 ms"),
            (999_600, "1.00 s"),
            (123_456_789, "123 s"),
        ] {
            assert_eq!(time(us), text);
        }
    }

    #[test]
    fn long_runs_are_told_in_hours() {
        for (seconds, text) in [(0, "0s"), (59, "59s"), (65, "1m05s"), (3_725, "1h02m")] {
            assert_eq!(elapsed(Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn nothing_is_all_done_before_it_is() {
        for (part, text) in [
            (0.0, "0%"),
            (0.404, "40%"),
            (0.9999, "99%"),
            (1.0, "100%"),
            (7.0, "100%"),
            (f64::NAN, "NaN%"),
        ] {
            assert_eq!(percent(part), text);
        }
    }
}
