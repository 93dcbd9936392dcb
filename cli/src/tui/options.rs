//! What users can choose of how it looks and behaves.

use std::collections::HashMap;

use jiff::tz::TimeZone;

use super::action::Keymap;
use super::theme::Theme;

/// Everything that can be chosen.
#[derive(Clone, Debug)]
pub struct Options {
    /// Colours and signs.
    pub theme: Theme,
    /// How times are written: a `strftime` format.
    pub time_format: String,
    /// The zone of times.
    pub zone: TimeZone,
    /// Whether clicks and the wheel are taken.
    pub mouse: bool,
    /// Whether the terminal's bell rings when somebody names this user or writes to them alone.
    pub bell: bool,
    /// Whether others are told that this user is typing.
    pub typing: bool,
    /// Whether the list of members is shown where there is room for it.
    pub member_list: bool,
    /// Whether the list of rooms is shown where there is room for it.
    pub room_list: bool,
    /// What keys do.
    pub keymap: Keymap,
    /// What to notify of, where nothing else is said.
    pub notify: Level,
    /// What to notify of in some rooms, by the room as people write it: `#lobby`, `@bo`.
    pub notify_rooms: HashMap<String, Level>,
}

/// What rings and counts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Level {
    /// Nothing rings, and the room is never listed as active.
    Off,
    /// Messages are counted; those that name the user ring.
    Mentions,
    /// Every message rings.
    All,
}

impl Level {
    /// The level of this name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        LEVELS
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, level)| *level)
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        LEVELS
            .iter()
            .find(|(_, level)| *level == self)
            .map_or("", |(name, _)| name)
    }
}

const LEVELS: [(&str, Level); 3] = [
    ("off", Level::Off),
    ("mentions", Level::Mentions),
    ("all", Level::All),
];

impl Default for Options {
    fn default() -> Self {
        Self {
            theme: Theme {
                has_colour: true,
                is_ascii: false,
            },
            time_format: "%H:%M".to_owned(),
            zone: TimeZone::system(),
            mouse: true,
            bell: true,
            typing: true,
            member_list: true,
            room_list: true,
            keymap: Keymap::default(),
            notify: Level::Mentions,
            notify_rooms: HashMap::new(),
        }
    }
}
