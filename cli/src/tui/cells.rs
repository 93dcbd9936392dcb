//! Texts as cells: what every terminal shows in the same columns. Pure.
//!
//! Terminals disagree about sequences: one shows a family as one picture of two columns, another as
//! three pictures of two columns each. What disagrees moves all cells behind it, so sequences are
//! taken apart before they are drawn: joiners, variation selectors and skin tones are left out, and
//! each picture stands for itself.

use crate::clean;
use crate::wrap;

/// One line of a text of others: harmless, and as wide as [`wrap::columns`] says.
#[must_use]
pub fn line(text: &str) -> String {
    let mut text = clean::line(text);
    text.retain(|letter| !is_sequence_part(letter));
    text
}

/// The lines of a text of others. Never empty.
#[must_use]
pub fn lines(text: &str) -> Vec<String> {
    text.split('\n').map(line).collect()
}

/// At most so many columns of a line; `mark` is in the last of them when something was cut.
#[must_use]
pub fn cut(text: &str, columns: usize, mark: &str) -> String {
    if wrap::columns(text) <= columns {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut kept_columns = 0;
    for letter in text.chars() {
        let letter_columns = wrap::columns(letter.encode_utf8(&mut [0; 4]));
        if kept_columns + letter_columns + 1 > columns {
            break;
        }
        kept.push(letter);
        kept_columns += letter_columns;
    }
    if columns > 0 {
        kept.push_str(mark);
    }
    kept
}

/// The text in exactly so many columns, at their left.
#[must_use]
pub fn left(text: &str, columns: usize, mark: &str) -> String {
    let text = cut(text, columns, mark);
    let free = columns.saturating_sub(wrap::columns(&text));
    format!("{text}{}", " ".repeat(free))
}

/// The text in exactly so many columns, at their right.
#[must_use]
pub fn right(text: &str, columns: usize, mark: &str) -> String {
    let text = cut(text, columns, mark);
    let free = columns.saturating_sub(wrap::columns(&text));
    format!("{}{text}", " ".repeat(free))
}

const fn is_sequence_part(letter: char) -> bool {
    matches!(letter,
        '\u{200d}' | '\u{fe00}'..='\u{fe0f}' | '\u{1f3fb}'..='\u{1f3ff}' | '\u{e0100}'..='\u{e01ef}')
}

#[cfg(test)]
mod tests {
    use unicode_segmentation::UnicodeSegmentation;
    use unicode_width::UnicodeWidthStr;

    use super::*;

    #[test]
    fn sequences_are_taken_apart() {
        for (text, shown) in [
            ("👩\u{200d}👩\u{200d}👧", "👩👩👧"),
            ("👍🏽!", "👍!"),
            ("❤\u{fe0f}", "❤"),
            ("e\u{301}", "e\u{301}"),
            ("日本", "日本"),
            ("\u{1b}[2J", "␛[2J"),
        ] {
            let line = line(text);
            assert_eq!(line, shown);
            let by_grapheme: usize = line.graphemes(true).map(|part| part.width()).sum();
            assert_eq!(by_grapheme, wrap::columns(&line), "{text:?}");
        }
    }

    #[test]
    fn texts_are_fitted() {
        assert_eq!(cut("日本語", 5, "…"), "日本…");
        assert_eq!(cut("日本語", 4, "…"), "日…");
        assert_eq!(cut("abc", 0, "…"), "");
        assert_eq!(left("ab", 4, "~"), "ab  ");
        assert_eq!(right("abcdef", 4, "~"), "abc~");
    }
}
