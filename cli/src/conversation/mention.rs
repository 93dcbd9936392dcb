//! Whether a text names somebody.

/// Whether a text has the name in it as a word of its own, in any case.
pub(super) fn mentions(text: &str, name: &str) -> bool {
    let name = name.to_lowercase();
    let is_inside = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '-' | '.');
    text.split(|letter| !is_inside(letter)).any(|word| {
        let word = word.to_lowercase();
        // A name may end like a sentence does.
        word == name || word.trim_end_matches(['.', '-']) == name
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_as_a_word() {
        for text in [
            "ann",
            "Ann: hi",
            "hi @ann",
            "ask ANN.",
            "is it ann?",
            "(ann)",
        ] {
            assert!(mentions(text, "ann"), "{text}");
        }
        for text in ["", "annex", "joann", "ann-2 is here", "an n"] {
            assert!(!mentions(text, "ann"), "{text}");
        }
        assert!(mentions("hi łukasz", "Łukasz"));
    }
}
