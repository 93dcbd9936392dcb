//! Lists to choose from by typing some of what they say: rooms, messages, what was sent. Pure.

/// A list over the messages.
#[derive(Debug)]
pub struct Picker {
    /// What is chosen from.
    pub source: Source,
    /// What was typed.
    pub query: String,
    /// What fits, best first.
    pub matches: Vec<Match>,
    /// Which of them is chosen.
    pub chosen: usize,
}

/// What is chosen from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Source {
    /// The rooms, by some of their letters.
    Rooms,
    /// Messages of the shown room, by a part of their text.
    Messages,
    /// Messages that name the user.
    Mentions,
    /// What was sent from the shown room.
    Sent,
}

/// Something that can be chosen.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Match {
    /// What is shown of it; not cleaned.
    pub label: String,
    /// What choosing it does.
    pub target: Target,
}

/// What choosing does.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Target {
    /// Show a room.
    Room(usize),
    /// Join a room that is not open.
    Join(String),
    /// Show an entry of a room.
    Entry(usize, i64),
    /// Put a text where one types.
    Text(String),
}

impl Picker {
    /// A list of nothing.
    #[must_use]
    pub const fn new(source: Source) -> Self {
        Self {
            source,
            query: String::new(),
            matches: vec![],
            chosen: 0,
        }
    }

    /// What it is called.
    #[must_use]
    pub const fn title(&self) -> &'static str {
        match self.source {
            Source::Rooms => "Go to a room",
            Source::Messages => "Search this room",
            Source::Mentions => "Messages that name you",
            Source::Sent => "Search what you sent",
        }
    }

    /// What to say when nothing fits.
    #[must_use]
    pub const fn emptiness(&self) -> &'static str {
        match self.source {
            Source::Rooms => "no such room; Enter joins it",
            Source::Messages if self.query.is_empty() => "type what to look for",
            Source::Messages => "not in what is loaded; scroll up for older messages",
            Source::Mentions => "nobody has named you yet",
            Source::Sent => "nothing like that was sent from here",
        }
    }

    /// Takes what fits now.
    pub fn set(&mut self, matches: Vec<Match>) {
        self.matches = matches;
        self.chosen = 0;
    }

    /// Chooses another one; `by` is negative for one nearer to the top.
    pub fn turn(&mut self, by: isize) {
        let len = self.matches.len();
        if len > 0 {
            self.chosen = self.chosen.saturating_add_signed(by).min(len - 1);
        }
    }

    /// The one that is chosen.
    #[must_use]
    pub fn target(&self) -> Option<&Target> {
        self.matches.get(self.chosen).map(|found| &found.target)
    }
}

/// How well the letters of a query are in a word, in this order; less is better, none is not at all.
#[must_use]
pub fn fuzzy(word: &str, query: &str) -> Option<usize> {
    let word: Vec<char> = word.chars().flat_map(char::to_lowercase).collect();
    let mut from = 0;
    let mut cost = 0;
    for letter in query.chars().flat_map(char::to_lowercase) {
        let found = word[from..].iter().position(|other| *other == letter)?;
        // What follows at once is best; what begins a word is nearly as good.
        let begins = from + found == 0 || !word[from + found - 1].is_alphanumeric();
        cost += if begins { found.min(1) } else { found };
        from += found + 1;
    }
    Some(cost * 64 + word.len().min(63))
}

/// Whether a text contains a query, in any case; the query is in lower case.
#[must_use]
pub fn contains(text: &str, query_lower: &str) -> bool {
    if query_lower.is_empty() {
        return true;
    }
    if !query_lower.is_ascii() {
        return text.to_lowercase().contains(query_lower);
    }
    // Without an allocation for each of 100,000 messages at every key.
    let (text, query) = (text.as_bytes(), query_lower.as_bytes());
    let mut windows = text.windows(query.len());
    windows.any(|window| {
        window[0].eq_ignore_ascii_case(&query[0]) && window.eq_ignore_ascii_case(query)
    })
}

/// Most that are listed.
pub const MATCHES_LEN_MAX: usize = 200;

/// Most of a query.
pub const QUERY_CHARS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_comes_first() {
        let mut rooms = ["#development", "#dev", "#old-devices", "#random"];
        rooms.sort_by_key(|room| fuzzy(room, "dev").unwrap_or(usize::MAX));
        assert_eq!(rooms[..3], ["#dev", "#development", "#old-devices"]);
        assert!(fuzzy("#lobby", "LBY").is_some());
        assert_eq!(fuzzy("#lobby", "yb"), None);
        assert!(fuzzy("", "").is_some());
    }

    #[test]
    fn texts_are_searched_in_any_case() {
        for (text, query, is_there) in [
            ("Hello World", "o w", true),
            ("hello", "helloo", false),
            ("ŁÓDŹ", "łódź", true),
            ("naïve", "ve", true),
            ("x", "", true),
        ] {
            assert_eq!(contains(text, query), is_there, "{text} {query}");
        }
    }

    #[test]
    fn choosing_stays_in_the_list() {
        let mut picker = Picker::new(Source::Rooms);
        picker.turn(1);
        assert_eq!(picker.target(), None);
        let found = |index| Match {
            label: String::new(),
            target: Target::Room(index),
        };
        picker.set(vec![found(0), found(1)]);
        picker.turn(-1);
        assert_eq!(picker.target(), Some(&Target::Room(0)));
        picker.turn(9);
        assert_eq!(picker.target(), Some(&Target::Room(1)));
    }
}
