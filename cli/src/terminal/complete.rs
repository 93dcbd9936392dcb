//! What Tab adds to the line.

use crate::command::COMMANDS;
use crate::complete::{Sought, Typed};
use crate::terminal::desk::Words;

/// What Tab does to a line.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Completion {
    /// Adds this at the cursor.
    Add(String),
    /// Several words fit; these, without anything more in common.
    Choose(Vec<String>),
    /// Nothing fits.
    Nothing,
}

/// Completes the word before the cursor; `before` is the line up to it.
pub(super) fn complete(before: &str, words: &Words) -> Completion {
    let Typed { sought, word, .. } = Typed::of(before);
    let has_mark = !matches!(
        sought,
        Sought::Name {
            is_marked: false,
            ..
        }
    );
    if word.is_empty() && !has_mark || before.ends_with(char::is_whitespace) {
        return Completion::Nothing;
    }
    match sought {
        Sought::Command => pick(word, COMMANDS.iter().map(|command| command.name), " "),
        Sought::MarkedRoom | Sought::Room => pick(word, words.rooms(), " "),
        Sought::Topic => pick(word, COMMANDS.iter().map(|command| command.name), ""),
        Sought::Name { is_first: true, .. } => pick(word, words.users(), ": "),
        Sought::Name { .. } | Sought::Level => pick(word, words.users(), " "),
    }
}

/// The one of some words that begins like this, or what those that do have in common.
fn pick<'a>(typed: &str, words: impl Iterator<Item = &'a str>, after: &str) -> Completion {
    let mut fitting: Vec<&str> = words
        .filter(|word| word.starts_with(typed))
        .take(CHOICES_LEN_MAX)
        .collect();
    fitting.sort_unstable();
    fitting.dedup();
    match fitting.as_slice() {
        [] => Completion::Nothing,
        [only] => Completion::Add(format!("{}{after}", &only[typed.len()..])),
        [first, rest @ ..] => {
            let common = rest.iter().fold(first.len(), |common, word| {
                let same = first
                    .bytes()
                    .zip(word.bytes())
                    .take_while(|(a, b)| a == b)
                    .count();
                common.min(same)
            });
            let common = (0..=common)
                .rev()
                .find(|end| first.is_char_boundary(*end))
                .unwrap_or(0);
            if common > typed.len() {
                Completion::Add(first[typed.len()..common].to_owned())
            } else {
                Completion::Choose(fitting.into_iter().map(str::to_owned).collect())
            }
        }
    }
}

/// Most choices shown.
const CHOICES_LEN_MAX: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tab_completes_commands_rooms_and_names() {
        let mut words = Words::default();
        for room in ["lobby", "dev", "design"] {
            words.add_room(room);
        }
        for user in ["ann", "anna", "bo", "łukasz", "łucja"] {
            words.add_user(user);
        }
        let add = |text: &str| Completion::Add(text.to_owned());
        for (before, completion) in [
            ("/jo", add("in ")),
            ("/join lo", add("bby ")),
            ("/join d", add("e")),
            ("see #lob", add("by ")),
            ("b", add("o: ")),
            ("hi b", add("o ")),
            ("/msg b", add("o ")),
            ("/msg @b", add("o ")),
            ("an", add("n")),
            (
                "ann",
                Completion::Choose(vec!["ann".to_owned(), "anna".to_owned()]),
            ),
            ("ł", add("u")),
            ("/help to", add("pic")),
            ("zz", Completion::Nothing),
            ("hi ", Completion::Nothing),
            ("", Completion::Nothing),
        ] {
            assert_eq!(complete(before, &words), completion, "{before:?}");
        }
        words.remove_user("bo");
        assert_eq!(complete("b", &words), Completion::Nothing);
    }
}
