//! Key presses: how they are written in the configuration and in the help. Pure.

use std::fmt::{self, Display};
use std::str::FromStr;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use thiserror::Error;

/// A key with the modifiers held down, such as `ctrl-a`, `alt-enter` or `f1`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Chord {
    code: KeyCode,
    modifiers: KeyModifiers,
}

/// A word that names no key.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("{0:?} is no key; keys look like ctrl-a, alt-enter, pageup, f1 or ?")]
pub struct InvalidChord(String);

impl Chord {
    /// The key of a terminal's event. What terminals tell in two ways becomes one.
    #[must_use]
    pub fn of(event: &KeyEvent) -> Self {
        let mut modifiers = event.modifiers & MODIFIERS;
        let code = match event.code {
            KeyCode::BackTab => {
                modifiers |= KeyModifiers::SHIFT;
                KeyCode::Tab
            }
            KeyCode::Char(letter) => {
                // The letter itself says whether Shift was held.
                modifiers -= KeyModifiers::SHIFT;
                if modifiers.contains(KeyModifiers::CONTROL) {
                    KeyCode::Char(letter.to_ascii_lowercase())
                } else {
                    KeyCode::Char(letter)
                }
            }
            code => code,
        };
        Self { code, modifiers }
    }

    /// The character that this key types, if it is one.
    #[must_use]
    pub fn letter(&self) -> Option<char> {
        match self.code {
            KeyCode::Char(letter) if self.modifiers.is_empty() => Some(letter),
            _ => None,
        }
    }

    /// The digit typed with Alt, if this is one.
    #[must_use]
    pub fn alt_digit(&self) -> Option<usize> {
        match self.code {
            KeyCode::Char(letter) if self.modifiers == KeyModifiers::ALT => {
                letter.to_digit(10).map(|digit| digit as usize)
            }
            _ => None,
        }
    }

    /// The key without its modifiers, when none is held.
    #[must_use]
    pub const fn plain(&self) -> Option<KeyCode> {
        if self.modifiers.is_empty() {
            Some(self.code)
        } else {
            None
        }
    }
}

impl FromStr for Chord {
    type Err = InvalidChord;

    fn from_str(text: &str) -> Result<Self, InvalidChord> {
        let invalid = || InvalidChord(text.chars().take(TEXT_CHARS_MAX).collect());
        let mut rest = text;
        let mut modifiers = KeyModifiers::NONE;
        loop {
            let lower = rest.to_ascii_lowercase();
            let prefix = PREFIXES
                .iter()
                .find(|(prefix, _)| lower.starts_with(prefix) && rest.len() > prefix.len());
            let Some((prefix, modifier)) = prefix else {
                break;
            };
            modifiers |= *modifier;
            rest = &rest[prefix.len()..];
        }
        let lower = rest.to_ascii_lowercase();
        let named = NAMES.iter().find(|(name, _)| *name == lower);
        let code = match named {
            Some((_, code)) => *code,
            None => {
                let mut letters = rest.chars();
                match (letters.next(), letters.next()) {
                    (Some(letter), None) if !letter.is_control() => KeyCode::Char(letter),
                    (Some('f' | 'F'), Some(_)) => {
                        let number = rest[1..].parse().map_err(|_| invalid())?;
                        if !(1..=12).contains(&number) {
                            return Err(invalid());
                        }
                        KeyCode::F(number)
                    }
                    _ => return Err(invalid()),
                }
            }
        };
        // Terminals send the same byte for both.
        let code = match code {
            KeyCode::Char('_' | '/') if modifiers == KeyModifiers::CONTROL => KeyCode::Char('7'),
            code => code,
        };
        Ok(Self::of(&KeyEvent::new(code, modifiers)))
    }
}

impl Display for Chord {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (prefix, modifier) in &PREFIXES[..3] {
            if self.modifiers.contains(*modifier) {
                let (first, rest) = prefix.split_at(1);
                write!(out, "{}{rest}", first.to_uppercase())?;
            }
        }
        match self.code {
            KeyCode::Char('7') if self.modifiers == KeyModifiers::CONTROL => out.write_str("_"),
            KeyCode::Char(' ') => out.write_str("Space"),
            KeyCode::Char(letter) => write!(out, "{letter}"),
            KeyCode::F(number) => write!(out, "F{number}"),
            code => {
                let name = NAMES.iter().find(|(_, known)| *known == code);
                let name = name.map_or("?", |(name, _)| name);
                let (first, rest) = name.split_at(1);
                write!(out, "{}{rest}", first.to_uppercase())
            }
        }
    }
}

/// Others never come, or mean nothing here.
const MODIFIERS: KeyModifiers = KeyModifiers::SHIFT
    .union(KeyModifiers::CONTROL)
    .union(KeyModifiers::ALT);

const PREFIXES: [(&str, KeyModifiers); 5] = [
    ("ctrl-", KeyModifiers::CONTROL),
    ("alt-", KeyModifiers::ALT),
    ("shift-", KeyModifiers::SHIFT),
    ("c-", KeyModifiers::CONTROL),
    ("m-", KeyModifiers::ALT),
];

const NAMES: [(&str, KeyCode); 17] = [
    ("enter", KeyCode::Enter),
    ("tab", KeyCode::Tab),
    ("esc", KeyCode::Esc),
    ("space", KeyCode::Char(' ')),
    ("backspace", KeyCode::Backspace),
    ("delete", KeyCode::Delete),
    ("insert", KeyCode::Insert),
    ("up", KeyCode::Up),
    ("down", KeyCode::Down),
    ("left", KeyCode::Left),
    ("right", KeyCode::Right),
    ("home", KeyCode::Home),
    ("end", KeyCode::End),
    ("pageup", KeyCode::PageUp),
    ("pagedown", KeyCode::PageDown),
    ("pgup", KeyCode::PageUp),
    ("pgdn", KeyCode::PageDown),
];

/// How much of a wrong word is repeated.
const TEXT_CHARS_MAX: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;

    fn chord(text: &str) -> Chord {
        text.parse().unwrap()
    }

    #[test]
    fn keys_are_read_as_they_are_shown() {
        for text in [
            "Ctrl-a",
            "Alt-Enter",
            "F1",
            "F12",
            "?",
            "Shift-Tab",
            "Pageup",
            "Alt-Left",
            "Space",
            "Ctrl-_",
            "Alt-1",
            "-",
            "Ctrl-Alt-x",
            "Alt--",
            "é",
        ] {
            assert_eq!(chord(text).to_string(), text);
        }
        assert_eq!(chord("C-k"), chord("ctrl-K"));
        assert_eq!(chord("M-f"), chord("alt-f"));
        assert_ne!(chord("alt-F"), chord("alt-f"));
        for wrong in [
            "", "ctrl-", "hyper-x", "f0", "f13", "fx", "enterr", "\u{1b}",
        ] {
            assert!(wrong.parse::<Chord>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn what_terminals_send_is_what_is_written() {
        for (code, modifiers, text) in [
            (KeyCode::BackTab, KeyModifiers::SHIFT, "shift-tab"),
            (KeyCode::BackTab, KeyModifiers::NONE, "shift-tab"),
            (KeyCode::Char('?'), KeyModifiers::SHIFT, "?"),
            (KeyCode::Char('7'), KeyModifiers::CONTROL, "ctrl-_"),
            (KeyCode::Char('A'), KeyModifiers::CONTROL, "ctrl-a"),
            (KeyCode::Enter, KeyModifiers::ALT, "alt-enter"),
        ] {
            assert_eq!(Chord::of(&KeyEvent::new(code, modifiers)), chord(text));
        }
        assert_eq!(chord("?").letter(), Some('?'));
        assert_eq!(chord("ctrl-a").letter(), None);
        assert_eq!(chord("alt-3").alt_digit(), Some(3));
    }
}
