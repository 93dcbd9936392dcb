//! The timeline as a table: one row for each interval, RFC 4180, for graphs and spreadsheets.
//!
//! Rows can be written while the run goes on. Columns are named like the fields of the JSON report
//! and stay in this order; a later version appends.

use std::fmt::Write as _;

use super::Interval;

/// The names of the columns, with the end of the line.
#[must_use]
pub const fn header() -> &'static str {
    "at_s,length_s,planned,sent,acked,delivered,ack_p50_us,ack_p99_us,delivery_p50_us,\
     delivery_p99_us,delivery_max_us,lag_p99_us,open,reconnects,errors\r\n"
}

/// An interval, with the end of the line. Seconds have three decimals, all else is whole; nothing
/// needs quotes.
#[must_use]
pub fn row(interval: &Interval) -> String {
    let Interval {
        at_s,
        length_s,
        planned,
        sent,
        acked,
        delivered,
        ack_p50_us,
        ack_p99_us,
        delivery_p50_us,
        delivery_p99_us,
        delivery_max_us,
        lag_p99_us,
        open,
        reconnects,
        errors,
    } = interval;
    let mut out = format!("{at_s:.3},{length_s:.3}");
    for value in [
        planned,
        sent,
        acked,
        delivered,
        ack_p50_us,
        ack_p99_us,
        delivery_p50_us,
        delivery_p99_us,
        delivery_max_us,
        lag_p99_us,
        open,
        reconnects,
        errors,
    ] {
        // Writing to a string does not fail.
        let _ = write!(out, ",{value}");
    }
    out.push_str("\r\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bot::report::sample;

    #[test]
    fn a_row_has_every_field_under_its_name() {
        let interval = sample::interval(12);
        let fields = serde_json::to_value(interval).unwrap();
        let names: Vec<&str> = header().trim_end().split(',').collect();
        let row = row(&interval);
        assert!(row.ends_with("\r\n") && header().ends_with("\r\n"));
        let values: Vec<f64> = (row.trim_end().split(','))
            .map(|value| value.parse().unwrap())
            .collect();
        assert_eq!(names.len(), fields.as_object().unwrap().len());
        assert_eq!(names.len(), values.len());
        for (name, value) in names.iter().zip(values) {
            let field = fields[name].as_f64().unwrap();
            assert!(
                (field - value).abs() < 0.000_5,
                "{name}: {field} but {value}"
            );
        }
    }

    #[test]
    fn seconds_are_written_the_same_everywhere() {
        let interval = Interval {
            at_s: 1.0,
            length_s: 0.999_9,
            planned: 2_000,
            ..Interval::default()
        };
        assert_eq!(
            row(&interval),
            "1.000,1.000,2000,0,0,0,0,0,0,0,0,0,0,0,0\r\n"
        );
    }
}
