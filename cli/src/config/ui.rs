//! What the configuration says about the screen and about notices.

use std::collections::BTreeMap;

use chat_protocol::RoomName;

/// How the screen looks and behaves.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of its own in the file"
)]
pub struct Ui {
    /// Colours.
    pub theme: Theme,
    /// How times are written, as `strftime` has it. It was tried: it can be formatted.
    pub time_format: String,
    /// Whether the mouse is asked for.
    pub mouse: bool,
    /// Whether the terminal rings.
    pub bell: bool,
    /// Whether others are told that this user is typing.
    pub typing: bool,
    /// Whether the members are shown beside the messages.
    pub member_list: bool,
    /// Whether the rooms are shown beside the messages.
    pub room_list: bool,
    /// Whether frames and marks are made of ASCII alone.
    pub ascii: bool,
}

impl Default for Ui {
    fn default() -> Self {
        Self {
            theme: Theme::Auto,
            time_format: "%H:%M".to_owned(),
            mouse: true,
            bell: true,
            typing: true,
            member_list: true,
            room_list: true,
            ascii: false,
        }
    }
}

/// Colours.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Theme {
    /// As the terminal is.
    Auto,
    /// For a dark background.
    Dark,
    /// For a light background.
    Light,
    /// None.
    Mono,
}

impl Theme {
    /// All of them, by name.
    pub const NAMES: &[(&str, Self)] = &[
        ("auto", Self::Auto),
        ("dark", Self::Dark),
        ("light", Self::Light),
        ("mono", Self::Mono),
    ];
}

/// When to tell the user of a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Level {
    /// Never.
    Off,
    /// When it names the user.
    Mentions,
    /// Always.
    All,
}

impl Level {
    /// All of them, by name.
    pub const NAMES: &[(&str, Self)] = &[
        ("off", Self::Off),
        ("mentions", Self::Mentions),
        ("all", Self::All),
    ];
}

/// When to tell the user of messages, by room.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Notify {
    /// In rooms that are not listed.
    pub default: Level,
    /// In these.
    pub rooms: BTreeMap<RoomName, Level>,
}

impl Notify {
    /// When to tell of messages in a room.
    #[must_use]
    pub fn level(&self, room: &RoomName) -> Level {
        self.rooms.get(room).copied().unwrap_or(self.default)
    }
}

impl Default for Notify {
    fn default() -> Self {
        Self {
            default: Level::Mentions,
            rooms: BTreeMap::new(),
        }
    }
}

/// The name of a value in its list of names.
#[must_use]
pub fn name_of<T: Copy + PartialEq>(names: &[(&'static str, T)], value: T) -> &'static str {
    names
        .iter()
        .find(|(_, known)| *known == value)
        .map_or("", |(name, _)| name)
}
