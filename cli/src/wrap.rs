//! Breaks lines before the terminal does, so that no part of a text ever begins at its left edge.

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthChar;

/// Columns a text takes: the sum of its characters, because terminals that do not know a sequence
/// show its parts side by side.
#[must_use]
pub fn columns(text: &str) -> usize {
    text.chars().map(|letter| letter.width().unwrap_or(0)).sum()
}

/// Breaks one line into parts of at most `columns_max` columns, between words where that is
/// possible. Never empty; a part is never longer, except for one character wider than all of it.
#[must_use]
pub fn wrap(line: &str, columns_max: usize) -> Vec<String> {
    let mut parts = vec![];
    let mut part = String::new();
    let mut part_columns = 0;
    for word in line.split_inclusive(' ') {
        let word_columns = columns(word);
        let fits = part_columns + columns(word.trim_end_matches(' ')) <= columns_max;
        if fits {
            part.push_str(word);
            part_columns += word_columns;
            continue;
        }
        if !part.trim().is_empty() {
            parts.push(part.trim_end_matches(' ').to_owned());
            part.clear();
            part_columns = 0;
        }
        for grapheme in word.graphemes(true) {
            let grapheme_columns = columns(grapheme);
            if part_columns + grapheme_columns > columns_max && !part.is_empty() {
                parts.push(std::mem::take(&mut part).trim_end_matches(' ').to_owned());
                part_columns = 0;
            }
            part.push_str(grapheme);
            part_columns += grapheme_columns;
        }
    }
    let rest = part.trim_end_matches(' ');
    if !rest.is_empty() || parts.is_empty() {
        parts.push(rest.to_owned());
    }
    parts
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_break_between_words() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("abcdefgh ij", 3), ["abc", "def", "gh", "ij"]);
        assert_eq!(wrap("今日は", 4), ["今日", "は"]);
        assert_eq!(wrap("", 4), [""]);
        assert_eq!(wrap("  indented", 20), ["  indented"]);
    }

    proptest! {
        #[test]
        fn no_part_is_too_long_and_no_letter_is_lost(line in "[ -~äöü今日👍]{0,60}", columns_max in 2_usize..20) {
            let parts = wrap(&line, columns_max);
            prop_assert!(!parts.is_empty());
            for part in &parts {
                prop_assert!(columns(part) <= columns_max, "{:?}", part);
            }
            let letters = |text: &str| text.chars().filter(|letter| *letter != ' ').collect::<String>();
            prop_assert_eq!(letters(&parts.concat()), letters(&line));
        }
    }
}
