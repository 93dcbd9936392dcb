//! Texts of an exact width, and bars.

use super::number::number_as_f64;
use crate::cells;

/// The text at the left of so many columns, cut when it is longer.
pub(super) fn left(text: &str, columns: usize) -> String {
    cells::left(text, columns, CUT)
}

/// The text at the right of so many columns, cut when it is longer.
pub(super) fn right(text: &str, columns: usize) -> String {
    cells::right(text, columns, CUT)
}

/// At most so many columns of a text; what is cut is marked.
pub(super) fn cut(text: &str, columns: usize) -> String {
    cells::cut(text, columns, CUT)
}

/// A part of so many columns, filled in eighths; something is never nothing.
pub(super) fn bar(part: f64, columns: usize) -> String {
    let eighths = eighths(part, columns * 8).max(usize::from(part > 0.0));
    let mut text = "█".repeat(eighths / 8);
    if eighths % 8 > 0 {
        text.push(LYING[eighths % 8 - 1]);
    }
    text
}

/// A part of so many columns, filled whole, and the rest of them.
pub(super) fn progress(part: f64, columns: usize) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is between 0 and the columns, and no number becomes 0"
    )]
    let full = (part.clamp(0.0, 1.0) * number_as_f64(columns as u64)) as usize;
    format!("{}{}", "█".repeat(full), "░".repeat(columns - full))
}

/// The values as columns, each as high as its part of the highest; the newest is the last, at the
/// right of so many columns. Where there are more values than columns, a column is the mean of
/// some.
pub(super) fn sparkline(values: &[f64], columns: usize) -> String {
    if columns == 0 || values.is_empty() {
        return " ".repeat(columns);
    }
    let group = values.len().div_ceil(columns);
    // The oldest group is the one that may be smaller.
    let means: Vec<f64> = values
        .rchunks(group)
        .rev()
        .map(|values| values.iter().sum::<f64>() / number_as_f64(values.len() as u64))
        .collect();
    let highest = means.iter().copied().fold(0.0, f64::max);
    let mut text = " ".repeat(columns.saturating_sub(means.len()));
    text.extend(means.iter().map(|mean| match eighths(mean / highest, 8) {
        _ if *mean <= 0.0 => ' ',
        height => STANDING[height.clamp(1, 8) - 1],
    }));
    text
}

/// Steps of so many, to the nearest; nothing for what is no number.
fn eighths(part: f64, steps: usize) -> usize {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is between 0 and the steps, and no number becomes 0"
    )]
    let nearest = (part.clamp(0.0, 1.0) * number_as_f64(steps as u64)).round() as usize;
    nearest
}

const LYING: [char; 7] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉'];
const STANDING: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Where something was cut.
const CUT: &str = "…";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_have_the_width_they_are_given() {
        for (text, columns, at_left, at_right) in [
            ("ab", 4, "ab  ", "  ab"),
            ("abcde", 4, "abc…", "abc…"),
            ("日本語", 4, "日… ", " 日…"),
            ("日本", 4, "日本", "日本"),
            (
                "e\u{301}te\u{301}",
                3,
                "e\u{301}te\u{301}",
                "e\u{301}te\u{301}",
            ),
            ("ab", 1, "…", "…"),
            ("ab", 0, "", ""),
        ] {
            assert_eq!(left(text, columns), at_left);
            assert_eq!(right(text, columns), at_right);
        }
    }

    #[test]
    fn bars_show_a_part() {
        for (part, text) in [
            (0.0, ""),
            (0.001, "▏"),
            (0.5, "██"),
            (0.53, "██▏"),
            (1.0, "████"),
            (9.0, "████"),
            (f64::NAN, ""),
        ] {
            assert_eq!(bar(part, 4), text, "{part}");
        }
        assert_eq!(progress(0.5, 4), "██░░");
        assert_eq!(progress(0.99, 4), "███░");
    }

    #[test]
    fn sparklines_end_with_the_newest() {
        for (values, columns, text) in [
            (&[][..], 3, "   "),
            (&[0.0, 4.0, 8.0], 5, "   ▄█"),
            (&[1.0, 8.0], 0, ""),
            (&[0.0, 0.0], 2, "  "),
            (&[8.0, 0.01], 2, "█▁"),
            // Five values in three columns: one, two, two.
            (&[8.0, 2.0, 6.0, 1.0, 1.0], 3, "█▄▁"),
        ] {
            assert_eq!(sparkline(values, columns), text, "{values:?}");
        }
    }
}
