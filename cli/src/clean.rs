//! What others wrote, made harmless for a terminal.
//!
//! Nodes refuse hostile texts already; this is the second wall, right before the screen, and it
//! also covers what nodes say themselves (details of refusals, names of nodes). It never fails and
//! never asks where a text came from: everything that is not ours goes through it.
//!
//! Invariant: what comes out has no control character (but the line feeds of [`lines`], which it
//! splits at), nothing that reorders a line, nothing invisible outside an emoji, and at most
//! [`MARKS_MAX`] combining marks on one character.

use unicode_normalization::char::is_combining_mark;

/// One line of harmless text: line breaks and tabs become spaces.
#[must_use]
pub fn line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    clean_into(text, &mut out);
    out
}

/// The lines of a text, each harmless. Never empty.
#[must_use]
pub fn lines(text: &str) -> Vec<String> {
    text.split('\n').map(line).collect()
}

fn clean_into(text: &str, out: &mut String) {
    let mut marks_len = 0;
    // The last character that is neither a variation selector nor a skin tone, as it was kept.
    let mut base = None;
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        if is_combining_mark(letter) && !is_variation_selector(letter) {
            if base.is_none() {
                // Nothing to stand on: it would land on what we wrote before the text.
                out.push(DOTTED_CIRCLE);
                base = Some(DOTTED_CIRCLE);
            }
            marks_len += 1;
            if marks_len <= MARKS_MAX {
                out.push(letter);
            }
            continue;
        }
        let next = letters.peek().copied();
        let kept = match letter {
            '\t' | '\n' => Some(' '),
            '\0'..='\u{1f}' => char::from_u32(u32::from(letter) + CONTROL_PICTURES),
            '\u{7f}' => Some('\u{2421}'),
            '\u{80}'..='\u{9f}' => Some(char::REPLACEMENT_CHARACTER),
            ZERO_WIDTH_JOINER => {
                let inside = base.is_some_and(is_pictograph) && next.is_some_and(is_pictograph);
                inside.then_some(letter)
            }
            '\u{fe0e}' | '\u{fe0f}' => {
                let on_emoji = base.is_some_and(is_pictograph)
                    || base.is_some_and(is_keycap) && next == Some(KEYCAP);
                on_emoji.then_some(letter)
            }
            _ if reorders(letter) => Some(char::REPLACEMENT_CHARACTER),
            _ if is_invisible(letter) => None,
            _ => Some(letter),
        };
        let Some(kept) = kept else { continue };
        out.push(kept);
        if !is_variation_selector(kept) && kept != ZERO_WIDTH_JOINER && !is_skin_tone(kept) {
            marks_len = 0;
            base = Some(kept);
        }
    }
}

/// Whether a character changes the order of others, or breaks a line where we did not.
const fn reorders(letter: char) -> bool {
    matches!(letter,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Whether a character takes no place, or looks as if it took none: with these two different texts
/// look the same.
const fn is_invisible(letter: char) -> bool {
    matches!(letter,
        '\u{ad}' | '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2065}'
        | '\u{206a}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
        | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

const fn is_variation_selector(letter: char) -> bool {
    matches!(letter, '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}' | '\u{180b}'..='\u{180f}')
}

const fn is_skin_tone(letter: char) -> bool {
    matches!(letter, '\u{1f3fb}'..='\u{1f3ff}')
}

const fn is_keycap(letter: char) -> bool {
    letter.is_ascii_digit() || matches!(letter, '#' | '*')
}

/// Whether a character can be a part of an emoji sequence; wider than the standard's table, which
/// changes every year.
const fn is_pictograph(letter: char) -> bool {
    matches!(letter,
        '\u{a9}' | '\u{ae}' | '\u{203c}' | '\u{2049}' | '\u{2122}' | '\u{2139}'
        | '\u{2190}'..='\u{21ff}' | '\u{2300}'..='\u{23ff}' | '\u{24c2}'
        | '\u{25a0}'..='\u{27bf}' | '\u{2934}' | '\u{2935}' | '\u{2b00}'..='\u{2bff}'
        | '\u{3030}' | '\u{303d}' | '\u{3297}' | '\u{3299}' | '\u{1f000}'..='\u{1faff}')
}

/// Most combining marks shown on one character: enough for every living script, too few to climb
/// into the lines above.
pub const MARKS_MAX: usize = 6;

/// What a mark stands on when its text gave it nothing.
const DOTTED_CIRCLE: char = '\u{25cc}';
/// Added to a control character: the character that shows its name.
const CONTROL_PICTURES: u32 = 0x2400;
const ZERO_WIDTH_JOINER: char = '\u{200d}';
/// The mark that makes a keycap of a digit.
const KEYCAP: char = '\u{20e3}';

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn hostile_texts_lose_their_power() {
        for (hostile, harmless) in [
            ("\u{1b}[2J\u{1b}[Hgone", "␛[2J␛[Hgone"),
            ("\u{1b}]0;title\u{7}", "␛]0;title␇"),
            ("a\rb\u{8}", "a␍b␈"),
            ("\u{9b}31m", "\u{fffd}31m"),
            ("\u{7f}", "␡"),
            ("abc\u{202e}gnp.exe", "abc\u{fffd}gnp.exe"),
            ("one\u{2028}two", "one\u{fffd}two"),
            ("a\u{200b}b\u{feff}c\u{ad}d\u{3164}", "abcd"),
            ("x\u{e0041}\u{e007f}", "x"),
            ("\u{301}e", "\u{25cc}\u{301}e"),
            (
                "z\u{300}\u{300}\u{300}\u{300}\u{300}\u{300}\u{300}",
                "z\u{300}\u{300}\u{300}\u{300}\u{300}\u{300}",
            ),
            ("two\nlines\tand a tab", "two lines and a tab"),
            ("joined\u{200d}letters", "joinedletters"),
        ] {
            assert_eq!(line(hostile), harmless, "{hostile:?}");
        }
        assert_eq!(lines("a\n\u{1b}b\n"), ["a", "␛b", ""]);
    }

    #[test]
    fn honest_texts_stay_as_they_are() {
        for honest in [
            "hi",
            "Łukasz, déjà vu",
            "e\u{301}te\u{301}",
            "שלום",
            "नमस्ते",
            "今日は",
            "สวัสดีครับ",
            "👩\u{200d}👩\u{200d}👧",
            "👍🏽",
            "🏳\u{fe0f}\u{200d}🌈",
            "❤\u{fe0f}",
            "1\u{fe0f}\u{20e3}",
            "👩🏽\u{200d}💻",
            "🇩🇪",
            "tree: ├── └──",
        ] {
            assert_eq!(line(honest), honest);
        }
    }

    proptest! {
        #[test]
        fn no_text_commands_a_terminal(text in hostile_text()) {
            let cleaned = line(&text);
            assert_harmless(&cleaned);
            prop_assert_eq!(&line(&cleaned), &cleaned, "cleaning twice changes nothing");
            for part in lines(&text) {
                assert_harmless(&part);
            }
        }
    }

    /// Texts rich in what this module is about.
    fn hostile_text() -> impl Strategy<Value = String> {
        let letter = prop_oneof![
            3 => any::<char>(),
            1 => (0_u8..=0x9f).prop_map(char::from),
            1 => prop::sample::select("\u{1b}\u{9b}\r\n\u{200d}\u{fe0f}\u{202e}\u{2066}👩🏽💻1\u{20e3}\u{301}\u{e0041}".chars().collect::<Vec<_>>()),
        ];
        prop::collection::vec(letter, 0..40).prop_map(String::from_iter)
    }

    fn assert_harmless(text: &str) {
        let letters: Vec<char> = text.chars().collect();
        let mut marks_len = 0;
        for (index, &letter) in letters.iter().enumerate() {
            assert!(
                !letter.is_control() && !reorders(letter),
                "{letter:?} in {text:?}"
            );
            marks_len = if is_combining_mark(letter) && !is_variation_selector(letter) {
                marks_len + 1
            } else {
                0
            };
            assert!(marks_len <= MARKS_MAX, "a pile of marks in {text:?}");
            if is_invisible(letter) {
                assert!(
                    matches!(letter, '\u{200d}' | '\u{fe0e}' | '\u{fe0f}'),
                    "{letter:?} in {text:?}"
                );
                assert!(index > 0, "{letter:?} begins {text:?}");
            }
        }
    }
}
