//! Texts as cells: what every terminal shows in the same columns. Pure.
//!
//! Terminals disagree about sequences: one shows a family as one picture of two columns, another as
//! three pictures of two columns each. What disagrees moves all cells behind it, so sequences are
//! taken apart before they are drawn: joiners, variation selectors and skin tones are left out, and
//! each picture stands for itself.

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use crate::clean;
use crate::wrap;

/// One line of a text of others: harmless, and as wide as [`wrap::columns`] says.
#[must_use]
pub fn line(text: &str) -> String {
    if text.is_ascii() {
        return clean::line(text);
    }
    // Some terminals draw these two into the letter before, others behind it. Their parts are where
    // they are everywhere.
    let text = text
        .replace('\u{e33}', "\u{e4d}\u{e32}")
        .replace('\u{eb3}', "\u{ecd}\u{eb2}");
    let mut line = clean::line(&text);
    line.retain(|letter| !is_sequence_part(letter));
    if line.graphemes(true).all(is_plain) {
        return line;
    }
    let mut plain = String::with_capacity(line.len());
    for grapheme in line.graphemes(true) {
        if is_plain(grapheme) {
            plain.push_str(grapheme);
        } else {
            // Of a sequence that is not as wide as its parts only the first is shown.
            plain.extend(grapheme.chars().next());
        }
    }
    plain
}

/// Whether what people see as one character is as wide as its parts.
fn is_plain(grapheme: &str) -> bool {
    grapheme.width() == wrap::columns(grapheme)
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
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_line_is_as_wide_as_its_parts(text in "[กำຳ👩\u{200d}🏽❤\u{fe0f}1\u{20e3}🇩🇪یەلا한가각क्षि日a\u{301} \u{1f3f4}\u{e0067}]{0,24}") {
            let line = line(&text);
            for grapheme in line.graphemes(true) {
                prop_assert_eq!(grapheme.width(), wrap::columns(grapheme), "{:?}", grapheme);
            }
            prop_assert_eq!(&super::line(&line), &line, "once is enough");
        }
    }

    #[test]
    fn sequences_are_taken_apart() {
        for (text, shown) in [
            ("👩\u{200d}👩\u{200d}👧", "👩👩👧"),
            ("👍🏽!", "👍!"),
            ("❤\u{fe0f}", "❤"),
            ("e\u{301}", "e\u{301}"),
            ("日本", "日本"),
            ("\u{1b}[2J", "␛[2J"),
            ("กำ", "ก\u{e4d}\u{e32}"),
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
