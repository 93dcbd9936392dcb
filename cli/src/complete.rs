//! What a word that is being typed is to become. Pure; what fits is chosen by whoever completes.

/// What is typed before the cursor, as far as it tells what the word at its end is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Typed<'a> {
    /// Where the word begins.
    pub start: usize,
    /// What it may become.
    pub sought: Sought,
    /// What is typed of it, without its `/`, `#` or `@`.
    pub word: &'a str,
}

/// What a word may become.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Sought {
    /// A command.
    Command,
    /// A room, after a `#`.
    MarkedRoom,
    /// A room, where a command takes one.
    Room,
    /// A command, where the help takes one.
    Topic,
    /// What is notified of.
    Level,
    /// A user, after an `@` or without.
    Name {
        /// Whether there is an `@`.
        is_marked: bool,
        /// Whether it is the first word: whom the message is for.
        is_first: bool,
    },
}

impl<'a> Typed<'a> {
    /// Reads the line up to the cursor.
    #[must_use]
    pub fn of(before: &'a str) -> Self {
        let start = before
            .char_indices()
            .rev()
            .find(|(_, letter)| letter.is_whitespace())
            .map_or(0, |(at, space)| at + space.len_utf8());
        let (head, word) = before.split_at(start);
        let is_first = head.trim().is_empty();
        let (sought, word) = match (word.split_at_checked(1), head.split_whitespace().next()) {
            (Some(("/", typed)), _) if is_first => (Sought::Command, typed),
            (Some(("#", typed)), _) => (Sought::MarkedRoom, typed),
            (_, Some("/join" | "/j" | "/leave" | "/part" | "/who" | "/names")) => {
                (Sought::Room, word)
            }
            (_, Some("/help" | "/h")) => (Sought::Topic, word),
            (_, Some("/notify")) => (Sought::Level, word),
            (Some(("@", typed)), _) => {
                let is_marked = true;
                (
                    Sought::Name {
                        is_marked,
                        is_first,
                    },
                    typed,
                )
            }
            _ => {
                let is_marked = false;
                (
                    Sought::Name {
                        is_marked,
                        is_first,
                    },
                    word,
                )
            }
        };
        Self {
            start,
            sought,
            word,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_tells_what_a_word_is() {
        let name = |is_marked, is_first| Sought::Name {
            is_marked,
            is_first,
        };
        for (before, start, sought, word) in [
            ("/jo", 0, Sought::Command, "jo"),
            ("see /jo", 4, name(false, false), "/jo"),
            ("see #d", 4, Sought::MarkedRoom, "d"),
            ("/join lo", 6, Sought::Room, "lo"),
            ("/help to", 6, Sought::Topic, "to"),
            ("/notify m", 8, Sought::Level, "m"),
            ("b", 0, name(false, true), "b"),
            ("hi @an", 3, name(true, false), "an"),
            ("日本\u{3000}ł", 9, name(false, false), "ł"),
            ("", 0, name(false, true), ""),
        ] {
            let typed = Typed::of(before);
            assert_eq!(
                (typed.start, typed.sought, typed.word),
                (start, sought, word),
                "{before:?}"
            );
        }
    }
}
