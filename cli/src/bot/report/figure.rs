//! Numbers as people read them: the same in every form of the report.
//!
//! Three digits are enough to compare; whoever needs more reads the JSON.

/// `2,400,680`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `3 reconnects`, `1 reconnect`.
pub(crate) fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

/// A time in microseconds: `812 µs`, `1.83 ms`, `12.4 ms`, `2.50 s`.
pub(crate) fn duration(us: u64) -> String {
    #[expect(
        clippy::cast_precision_loss,
        reason = "three digits are shown, a double has fifteen"
    )]
    let value = us as f64;
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..999_500 => format!("{} ms", three_digits(value / 1e3)),
        _ => format!("{} s", three_digits(value / 1e6)),
    }
}

/// A duration in seconds: `60.0 s`, `2 h 5 min`; a dash when it is none.
pub(crate) fn seconds(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return NOTHING.to_owned();
    }
    if seconds < 120.0 {
        return format!("{seconds:.1} s");
    }
    let minutes = whole(seconds / 60.0);
    match minutes {
        0..120 => format!("{minutes} min {:.0} s", (seconds % 60.0).floor()),
        _ => format!("{} h {} min", count(minutes / 60), minutes % 60),
    }
}

/// So many a second: `2,000/s`, `12.5/s`; a dash when it is none.
pub(crate) fn rate(per_s: f64) -> String {
    if !per_s.is_finite() || per_s < 0.0 {
        NOTHING.to_owned()
    } else if per_s >= 99.95 || per_s == 0.0 {
        format!("{}/s", count(whole(per_s.round())))
    } else {
        format!("{}/s", three_digits(per_s))
    }
}

/// `87%`, `0.02%`; a dash when it is none.
pub(crate) fn percent(percent: f64) -> String {
    if !percent.is_finite() || percent < 0.0 {
        NOTHING.to_owned()
    } else if percent >= 9.95 || percent == 0.0 {
        format!("{percent:.0}%")
    } else if percent < 0.01 {
        "<0.01%".to_owned()
    } else {
        format!("{percent:.2}%")
    }
}

/// `141 MiB`.
pub(crate) fn bytes(bytes: u64) -> String {
    #[expect(
        clippy::cast_precision_loss,
        reason = "three digits are shown, a double has fifteen"
    )]
    let mut value = bytes as f64;
    let mut units = ["B", "KiB", "MiB", "GiB", "TiB"].into_iter().peekable();
    loop {
        let unit = units.next().unwrap_or("TiB");
        if value < 999.5 || units.peek().is_none() {
            return match unit {
                "B" => format!("{bytes} B"),
                _ => format!("{} {unit}", three_digits(value)),
            };
        }
        value /= 1024.0;
    }
}

/// `1.83`, `12.4`, `124`.
pub(crate) fn three_digits(value: f64) -> String {
    if value < 9.995 {
        format!("{value:.2}")
    } else if value < 99.95 {
        format!("{value:.1}")
    } else {
        format!("{value:.0}")
    }
}

/// Without what is behind the point.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "callers pass no negative numbers, and the cast saturates"
)]
pub(crate) const fn whole(value: f64) -> u64 {
    value as u64
}

/// Where there is no figure.
pub(crate) const NOTHING: &str = "–";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_have_their_thousands_apart() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (2_400_680, "2,400,680"),
            (u64::MAX, "18,446,744,073,709,551,615"),
        ] {
            assert_eq!(count(number), text);
        }
        assert_eq!(counted(1, "reader", "readers"), "1 reader");
        assert_eq!(counted(1_200, "reader", "readers"), "1,200 readers");
    }

    #[test]
    fn durations_keep_three_digits_across_their_units() {
        for (us, text) in [
            (0, "0 µs"),
            (999, "999 µs"),
            (1_000, "1.00 ms"),
            (1_834, "1.83 ms"),
            (9_994, "9.99 ms"),
            (9_996, "10.0 ms"),
            (99_949, "99.9 ms"),
            (99_951, "100 ms"),
            (999_499, "999 ms"),
            (999_500, "1.00 s"),
            (2_500_000, "2.50 s"),
            (3_600_000_000, "3600 s"),
        ] {
            assert_eq!(duration(us), text);
        }
    }

    #[test]
    fn other_figures_are_short_and_survive_what_is_no_number() {
        assert_eq!(seconds(0.04), "0.0 s");
        assert_eq!(seconds(119.94), "119.9 s");
        assert_eq!(seconds(125.9), "2 min 5 s");
        assert_eq!(seconds(7_500.0), "2 h 5 min");
        assert_eq!(rate(0.0), "0/s");
        assert_eq!(rate(0.25), "0.25/s");
        assert_eq!(rate(99.9), "99.9/s");
        assert_eq!(rate(40_011.4), "40,011/s");
        assert_eq!(percent(0.0), "0%");
        assert_eq!(percent(0.001), "<0.01%");
        assert_eq!(percent(0.25), "0.25%");
        assert_eq!(percent(87.4), "87%");
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(1_000), "0.98 KiB");
        assert_eq!(bytes(148_000_000), "141 MiB");
        assert_eq!(bytes(u64::MAX), "16777216 TiB");
        for bad in [f64::NAN, f64::INFINITY, -1.0] {
            assert_eq!(seconds(bad), NOTHING);
            assert_eq!(rate(bad), NOTHING);
            assert_eq!(percent(bad), NOTHING);
        }
    }
}
