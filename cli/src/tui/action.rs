//! What keys do: one table, from which the keyboard, the configuration and the help all come.

use std::collections::HashMap;

use thiserror::Error;

use super::key::{Chord, InvalidChord};

macro_rules! actions {
    ($($group:ident { $($action:ident $name:literal $keys:literal $about:literal;)+ })+) => {
        /// Something a key can do.
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        pub enum Action {
            $($(#[doc = $about] $action,)+)+
        }

        /// Every action, in the order of the help.
        pub const BINDINGS: &[Binding] = &[
            $($(Binding {
                action: Action::$action,
                group: Group::$group,
                name: $name,
                keys: $keys,
                about: $about,
            },)+)+
        ];

        /// The names of all actions, as the configuration knows them.
        pub const ACTION_NAMES: &[&str] = &[$($($name,)+)+];
    };
}

/// An action with the keys it has when nobody says otherwise.
#[derive(Clone, Copy, Debug)]
pub struct Binding {
    /// What is done.
    pub action: Action,
    /// Where it stands in the help.
    pub group: Group,
    /// Its name in the configuration.
    pub name: &'static str,
    /// Its keys, with spaces between them.
    pub keys: &'static str,
    /// What it does, for people.
    pub about: &'static str,
}

/// Parts of the help.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Group {
    /// Writing.
    Input,
    /// Reading.
    Messages,
    /// Going from room to room.
    Rooms,
    /// What is shown, and the way out.
    Screen,
}

impl Group {
    /// Its title.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Input => "Writing",
            Self::Messages => "Reading",
            Self::Rooms => "Rooms",
            Self::Screen => "Screen",
        }
    }
}

actions! {
    Input {
        Send "send" "enter" "send the message";
        NewLine "new-line" "alt-enter ctrl-j" "begin a new line";
        Complete "complete" "tab" "complete a name, room or command; again for the next";
        CompleteBack "complete-back" "shift-tab" "complete with the one before";
        HistoryUp "history-up" "up" "line up, or what was sent before";
        HistoryDown "history-down" "down" "line down, or what was sent after";
        HistorySearch "history-search" "ctrl-r" "search what was sent";
        Left "left" "left ctrl-b" "one character left";
        Right "right" "right ctrl-f" "one character right";
        WordLeft "word-left" "alt-b ctrl-left" "one word left";
        WordRight "word-right" "alt-f ctrl-right" "one word right";
        LineStart "line-start" "ctrl-a home" "start of the line";
        LineEnd "line-end" "ctrl-e" "end of the line";
        DeleteBack "delete-back" "backspace ctrl-h" "delete the character before";
        Delete "delete" "delete ctrl-d" "delete the character after; on an empty line leave";
        DeleteWordBack "delete-word-back" "ctrl-w alt-backspace" "delete the word before";
        DeleteWord "delete-word" "alt-d" "delete the word after";
        DeleteToEnd "delete-to-end" "ctrl-k" "delete to the end of the line";
        DeleteToStart "delete-to-start" "ctrl-u" "delete to the start of the line";
        Yank "yank" "ctrl-y" "put back what was deleted";
        Transpose "transpose" "ctrl-t" "swap two characters";
        Undo "undo" "ctrl-_" "undo";
        Editor "editor" "ctrl-x" "write in $EDITOR";
        EditLast "edit-last" "alt-e" "edit your last message";
        Retry "retry" "alt-r" "send again what could not be sent";
    }
    Messages {
        PageUp "page-up" "pageup" "scroll up; at the top older messages are loaded";
        PageDown "page-down" "pagedown" "scroll down";
        LineUp "scroll-up" "shift-up" "scroll up a line";
        LineDown "scroll-down" "shift-down" "scroll down a line";
        Newest "newest" "end alt-end" "go to the newest message";
        FirstUnread "first-unread" "alt-u" "go to the first unread message";
        MentionUp "mention-up" "alt-p" "go to the mention before";
        MentionDown "mention-down" "alt-n" "go to the next mention";
        Search "search" "ctrl-s" "search the messages";
        Select "select" "alt-up" "choose a message to reply to, edit, delete, react to or copy";
        Mentions "mentions" "alt-m" "list the messages that name you";
    }
    Rooms {
        NextRoom "next-room" "ctrl-n alt-right" "next room";
        PreviousRoom "previous-room" "ctrl-p alt-left" "previous room";
        NextActive "next-active" "alt-a" "next room with something new, mentions first";
        Picker "picker" "ctrl-g alt-k" "find a room by some of its letters";
        LastRoom "last-room" "alt-0" "back to the room before";
    }
    Screen {
        Help "help" "f1" "this help; also ? on an empty line";
        RoomList "room-list" "f7" "show or hide the rooms";
        MemberList "member-list" "f8" "show or hide the members";
        Bare "bare" "alt-l" "only the messages, to copy with the mouse";
        Redraw "redraw" "ctrl-l" "draw everything anew";
        Suspend "suspend" "ctrl-z" "stop, back to the shell; fg goes on";
        Cancel "cancel" "esc" "close, or leave what is under way";
        Interrupt "interrupt" "ctrl-c" "clear the line; twice on an empty one: leave";
    }
}

/// What each key does.
#[derive(Clone, Debug)]
pub struct Keymap {
    actions: HashMap<Chord, Action>,
}

/// Keys of the configuration that cannot be.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum KeymapError {
    /// There is no such action.
    #[error("there is no action {0:?}")]
    Action(String),
    /// There is no such key.
    #[error("{action}: {error}")]
    Key {
        /// Of this action.
        action: String,
        /// What is wrong with it.
        error: InvalidChord,
    },
    /// Two actions have one key.
    #[error("{key} is given to {one} and to {other}")]
    Twice {
        /// The key.
        key: String,
        /// An action.
        one: String,
        /// Another one.
        other: String,
    },
    /// The key has a meaning that cannot be changed.
    #[error("{key} of {action} cannot be given: {why}")]
    Reserved {
        /// The key.
        key: String,
        /// The action it was to have.
        action: String,
        /// What it does.
        why: &'static str,
    },
    /// Without these nobody could get out.
    #[error("{0} needs a key")]
    Needed(&'static str),
}

impl Default for Keymap {
    fn default() -> Self {
        let actions = BINDINGS.iter().flat_map(|binding| {
            let keys = binding.keys.split(' ').filter_map(|key| key.parse().ok());
            keys.map(|chord: Chord| (chord, binding.action))
        });
        Self {
            actions: actions.collect(),
        }
    }
}

impl Keymap {
    /// The table with other keys for some actions, which lose the ones they had. A key that another
    /// action has by default is taken from it.
    ///
    /// # Errors
    /// When an action or a key does not exist, or a key is given twice.
    pub fn with<'a>(
        changes: impl IntoIterator<Item = (&'a str, &'a [String])>,
    ) -> Result<Self, KeymapError> {
        let mut keymap = Self::default();
        let mut given: HashMap<Chord, &str> = HashMap::new();
        let changes: Vec<(&str, &[String])> = changes.into_iter().collect();
        for (name, _) in &changes {
            let binding = BINDINGS.iter().find(|binding| binding.name == *name);
            let action = binding
                .ok_or_else(|| KeymapError::Action((*name).to_owned()))?
                .action;
            keymap.actions.retain(|_, other| *other != action);
        }
        for (name, keys) in changes {
            let Some(binding) = BINDINGS.iter().find(|binding| binding.name == name) else {
                continue;
            };
            for key in keys {
                let chord: Chord = key.parse().map_err(|error| KeymapError::Key {
                    action: name.to_owned(),
                    error,
                })?;
                if let Some(why) = reserved(chord) {
                    return Err(KeymapError::Reserved {
                        key: chord.to_string(),
                        action: name.to_owned(),
                        why,
                    });
                }
                if let Some(one) = given.insert(chord, name) {
                    return Err(KeymapError::Twice {
                        key: chord.to_string(),
                        one: one.to_owned(),
                        other: name.to_owned(),
                    });
                }
                keymap.actions.insert(chord, binding.action);
            }
        }
        for needed in [Action::Interrupt, Action::Send, Action::Cancel] {
            if !keymap.actions.values().any(|action| *action == needed) {
                return Err(KeymapError::Needed(name_of(needed)));
            }
        }
        Ok(keymap)
    }

    /// What a key does, if anything.
    #[must_use]
    pub fn action(&self, chord: Chord) -> Option<Action> {
        self.actions.get(&chord).copied()
    }

    /// The keys of an action, for people; empty when it has none.
    #[must_use]
    pub fn keys(&self, action: Action) -> String {
        let mut keys: Vec<String> = self
            .actions
            .iter()
            .filter(|(_, other)| **other == action)
            .map(|(chord, _)| chord.to_string())
            .collect();
        keys.sort_by_key(|key| (key.len(), key.clone()));
        keys.join(", ")
    }
}

/// What a key does whatever is configured, if it does.
fn reserved(chord: Chord) -> Option<&'static str> {
    let is = |key: &str| key.parse() == Ok(chord);
    if chord.letter().is_some() {
        Some("it is a letter to be typed")
    } else if chord.alt_digit().is_some_and(|digit| digit > 0) {
        Some("it goes to the room of that number")
    } else if is("ctrl-i") {
        Some("terminals send it for Tab")
    } else if is("ctrl-m") {
        Some("terminals send it for Enter")
    } else if is("ctrl-[") {
        Some("terminals send it for Esc")
    } else {
        None
    }
}

fn name_of(action: Action) -> &'static str {
    BINDINGS
        .iter()
        .find(|binding| binding.action == action)
        .map_or("", |binding| binding.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(changes: &[(&str, &[&str])]) -> Result<Keymap, KeymapError> {
        let changes: Vec<(&str, Vec<String>)> = changes
            .iter()
            .map(|(name, keys)| (*name, keys.iter().map(|&key| key.to_owned()).collect()))
            .collect();
        Keymap::with(changes.iter().map(|(name, keys)| (*name, &**keys)))
    }

    #[test]
    fn every_default_key_is_one_and_has_one_meaning() {
        let mut seen = HashMap::new();
        for binding in BINDINGS {
            for key in binding.keys.split(' ') {
                let chord: Chord = key.parse().unwrap_or_else(|error| panic!("{error}"));
                let other = seen.insert(chord, binding.name);
                assert_eq!(other, None, "{key} of {}", binding.name);
            }
        }
        assert_eq!(ACTION_NAMES.len(), BINDINGS.len());
    }

    #[test]
    fn keys_can_be_changed() {
        let keymap = with(&[("picker", &["ctrl-k"]), ("delete-to-end", &["alt-k"])]).unwrap();
        let action = |key: &str| keymap.action(key.parse().unwrap());
        assert_eq!(action("ctrl-k"), Some(Action::Picker));
        assert_eq!(action("alt-k"), Some(Action::DeleteToEnd));
        assert_eq!(action("ctrl-g"), None);
        assert_eq!(keymap.keys(Action::Picker), "Ctrl-k");
        // Taken from an action that was not mentioned.
        let keymap = with(&[("picker", &["ctrl-r"])]).unwrap();
        assert_eq!(keymap.keys(Action::HistorySearch), "");
    }

    #[test]
    fn keys_that_cannot_be_are_named() {
        let error = |changes| with(changes).unwrap_err().to_string();
        assert_eq!(error(&[("pick", &[])]), "there is no action \"pick\"");
        assert!(error(&[("picker", &["hyper-x"])]).starts_with("picker: \"hyper-x\" is no key"));
        assert_eq!(
            error(&[("picker", &["f2"]), ("undo", &["F2"])]),
            "F2 is given to picker and to undo"
        );
        assert_eq!(error(&[("interrupt", &[])]), "interrupt needs a key");
        for (key, why) in [
            ("a", "a letter to be typed"),
            ("?", "a letter to be typed"),
            ("alt-1", "goes to the room of that number"),
            ("ctrl-i", "for Tab"),
            ("ctrl-m", "for Enter"),
        ] {
            let refusal = with(&[("picker", &[key])]).unwrap_err().to_string();
            assert!(refusal.contains(why), "{key}: {refusal}");
        }
    }
}
