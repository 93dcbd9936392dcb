//! What Tab makes of the word before the cursor: names, rooms and commands, one after the other. Pure.

use crate::command::COMMANDS;
use crate::complete::{Sought, Typed};
use crate::config::Level;
use crate::tui::model::LOCAL_COMMANDS;

/// Words that Tab goes through.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Cycle {
    /// Where the word begins in the text.
    pub start: usize,
    /// Where the word that was put there ends.
    pub end: usize,
    /// The words, best first.
    words: Vec<String>,
    at: usize,
}

/// What there is to complete with.
#[derive(Clone, Debug, Default)]
pub struct Words {
    /// Names, those who spoke last first.
    pub names: Vec<String>,
    /// Rooms, without the `#`.
    pub rooms: Vec<String>,
}

impl Cycle {
    /// The words that fit what is before the cursor; none when there are none.
    #[must_use]
    pub fn of(before: &str, words: &Words) -> Option<Self> {
        let typed = Typed::of(before);
        // Of nothing there is nothing to complete, but for what a command takes.
        if before[typed.start..].is_empty() && !before.starts_with('/') {
            return None;
        }
        let start = typed.start;
        let fitting = fitting(typed, words);
        (!fitting.is_empty()).then_some(Self {
            start,
            end: before.len(),
            words: fitting,
            at: 0,
        })
    }

    /// The word to put there now.
    #[must_use]
    pub fn word(&self) -> &str {
        &self.words[self.at]
    }

    /// Goes to the next word, or to the one before.
    pub fn turn(&mut self, is_back: bool) {
        let len = self.words.len();
        self.at = (self.at + if is_back { len - 1 } else { 1 }) % len;
    }

    /// All words, and which of them is there now.
    #[must_use]
    pub fn choices(&self) -> (&[String], usize) {
        (&self.words, self.at)
    }
}

fn fitting(Typed { sought, word, .. }: Typed<'_>, words: &Words) -> Vec<String> {
    let commands = || commands().filter(|name| begins(name, word));
    let rooms = || words.rooms.iter().filter(|room| begins(room, word));
    match sought {
        Sought::Command => bounded(commands().map(|name| format!("/{name} "))),
        Sought::MarkedRoom => bounded(rooms().map(|room| format!("#{room} "))),
        Sought::Room => bounded(rooms().map(|room| format!("{room} "))),
        Sought::Topic => bounded(commands().map(str::to_owned)),
        Sought::Level => {
            let levels = Level::NAMES.iter().map(|(name, _)| *name);
            bounded(levels.filter(|name| begins(name, word)).map(str::to_owned))
        }
        Sought::Name {
            is_marked,
            is_first,
        } => {
            let at = if is_marked { "@" } else { "" };
            let after = if is_first { ": " } else { " " };
            let names = words.names.iter().filter(|name| begins(name, word));
            bounded(names.map(|name| format!("{at}{name}{after}")))
        }
    }
}

fn commands() -> impl Iterator<Item = &'static str> {
    let of_all = COMMANDS.iter().map(|command| command.name);
    of_all.chain(LOCAL_COMMANDS.iter().map(|command| command.name))
}

fn begins(word: &str, typed: &str) -> bool {
    let mut letters = word.chars().flat_map(char::to_lowercase);
    typed
        .chars()
        .flat_map(char::to_lowercase)
        .all(|letter| letters.next() == Some(letter))
}

fn bounded(words: impl Iterator<Item = String>) -> Vec<String> {
    let mut kept: Vec<String> = vec![];
    for word in words {
        if kept.len() < CHOICES_LEN_MAX && !kept.contains(&word) {
            kept.push(word);
        }
    }
    kept
}

/// Most words that Tab goes through.
const CHOICES_LEN_MAX: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;

    fn choices(before: &str) -> Vec<String> {
        let words = Words {
            names: ["bo", "Bea", "ann", "łukasz"].map(str::to_owned).to_vec(),
            rooms: ["lobby", "dev", "design"].map(str::to_owned).to_vec(),
        };
        Cycle::of(before, &words).map_or(vec![], |cycle| cycle.words)
    }

    #[test]
    fn names_rooms_and_commands_are_completed() {
        assert_eq!(choices("b"), ["bo: ", "Bea: "]);
        assert_eq!(choices("hi B"), ["bo ", "Bea "]);
        assert_eq!(choices("hi @an"), ["@ann "]);
        assert_eq!(choices("ŁU"), ["łukasz: "]);
        assert_eq!(choices("see #d"), ["#dev ", "#design "]);
        assert_eq!(choices("/join d"), ["dev ", "design "]);
        assert_eq!(choices("/jo"), ["/join "]);
        assert_eq!(choices("/notify m"), ["mentions"]);
        assert!(choices("/mou").contains(&"/mouse ".to_owned()));
        assert_eq!(choices("/notify "), ["off", "mentions", "all"]);
        assert_eq!(choices("/msg ").len(), 4);
        for nothing in ["", "hi ", "zzz", "/zzz"] {
            assert!(choices(nothing).is_empty(), "{nothing:?}");
        }
    }

    #[test]
    fn tab_goes_round() {
        let words = Words {
            names: vec!["bo".to_owned(), "bea".to_owned()],
            rooms: vec![],
        };
        let mut cycle = Cycle::of("b", &words).unwrap();
        assert_eq!(cycle.word(), "bo: ");
        cycle.turn(false);
        assert_eq!(cycle.word(), "bea: ");
        cycle.turn(false);
        assert_eq!(cycle.word(), "bo: ");
        cycle.turn(true);
        assert_eq!(cycle.word(), "bea: ");
    }
}
