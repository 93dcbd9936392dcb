//! How parts of the screen look: colours of the 16 that every terminal has, or none, and signs that
//! have a spelling in ASCII. Pure.
//!
//! Invariant: no meaning by colour alone. What matters has a sign, a word or a place of its own.

use ratatui::style::{Color, Modifier, Style};

use crate::palette::{self, Paint};

/// Whether there are colours, and which signs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Theme {
    /// Whether colours are used at all.
    pub has_colour: bool,
    /// Whether our own signs are ASCII.
    pub is_ascii: bool,
    /// Whether the background is known to be dark, so that names can be brighter.
    pub is_dark: bool,
}

/// What a part of the screen is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Role {
    /// As the terminal has it.
    Plain,
    /// Less important than the rest.
    Dim,
    /// More important than the rest.
    Bold,
    /// Names this user.
    Mention,
    /// A notice of the server, for the record.
    Notice,
    /// A notice of the server, or a state, that somebody should act on.
    Warning,
    /// Something went wrong.
    Error,
    /// All is well.
    Good,
    /// The topic line and the status line.
    Bar,
    /// What is chosen in a list.
    Chosen,
}

impl Theme {
    /// The style of a part.
    #[must_use]
    pub const fn style(self, role: Role) -> Style {
        let style = Style::new();
        let (colour, style) = match role {
            Role::Plain => return style,
            Role::Dim => return style.add_modifier(Modifier::DIM),
            Role::Bold => return style.add_modifier(Modifier::BOLD),
            Role::Bar | Role::Chosen => return style.add_modifier(Modifier::REVERSED),
            Role::Mention => (Color::Magenta, style.add_modifier(Modifier::BOLD)),
            Role::Notice => (Color::Blue, style.add_modifier(Modifier::BOLD)),
            Role::Warning => (
                Color::Red,
                style
                    .add_modifier(Modifier::BOLD)
                    .add_modifier(Modifier::REVERSED),
            ),
            Role::Error => (Color::Red, style),
            Role::Good => (Color::Green, style),
        };
        if self.has_colour {
            style.fg(colour)
        } else {
            style
        }
    }

    /// The style of a name: always the same for the same name.
    #[must_use]
    pub fn name(self, name: &str) -> Style {
        let style = Style::new();
        match palette::of_name(name) {
            Paint::Name(index) if self.has_colour => {
                let colours = if self.is_dark {
                    NAME_COLOURS_ON_DARK
                } else {
                    NAME_COLOURS
                };
                style.fg(colours[index % colours.len()])
            }
            _ => style.add_modifier(Modifier::BOLD),
        }
    }

    /// A sign, as this theme spells it.
    #[must_use]
    pub const fn sign(self, sign: Sign) -> &'static str {
        match (sign, self.is_ascii) {
            (Sign::Pending, false) => "·",
            (Sign::Pending, true) => ".",
            (Sign::Up, false) => "●",
            (Sign::Up, true) => "*",
            (Sign::Away, false) => "○",
            (Sign::Away, true) => "o",
            (Sign::Rule, false) => "─",
            (Sign::Rule, true) => "-",
            (Sign::Came, false) => "→",
            (Sign::Came, true) => "+",
            (Sign::Gone, false) => "←",
            (Sign::Gone, true) => "-",
            (Sign::More, false) => "…",
            (Sign::More, true) => "~",
            (Sign::Wall, false) => "│",
            (Sign::Wall, true) => "|",
            (Sign::Answer, false) => "↳",
            (Sign::Answer, true) => ">",
            (Sign::Down, false) => "↓",
            (Sign::Down, true) => "v",
        }
    }
}

/// Signs of our own.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Sign {
    /// Not acked yet.
    Pending,
    /// Connected.
    Up,
    /// Not connected.
    Away,
    /// A part of a line across the screen.
    Rule,
    /// Before those who came.
    Came,
    /// Before those who left.
    Gone,
    /// Something was cut here.
    More,
    /// Between two panes.
    Wall,
    /// Before what is answered.
    Answer,
    /// There is more below.
    Down,
}

/// Readable on black and on white, in the order of [`palette::of_name`].
const NAME_COLOURS: [Color; 6] = [
    Color::Red,
    Color::Green,
    Color::Blue,
    Color::Magenta,
    Color::Cyan,
    Color::LightMagenta,
];

const NAME_COLOURS_ON_DARK: [Color; 6] = [
    Color::LightRed,
    Color::LightGreen,
    Color::LightBlue,
    Color::LightMagenta,
    Color::LightCyan,
    Color::LightYellow,
];
