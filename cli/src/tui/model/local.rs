//! Commands of this client alone: they change what is shown, and ask nothing of the cluster.

use super::{Model, Now, Wish};
use crate::config::Level;
use crate::config::ui::name_of;
use crate::tui::room::PendingState;
use crate::tui::timeline::Tone;

/// A command of this client alone.
#[derive(Clone, Copy, Debug)]
pub struct LocalCommand {
    /// What is typed after the slash.
    pub name: &'static str,
    /// What follows it, for people.
    pub arguments: &'static str,
    /// What it does, for people.
    pub about: &'static str,
    run: fn(&mut Model, &str, Now) -> Result<(), String>,
}

/// Every such command, in the order of the help.
pub const LOCAL_COMMANDS: &[LocalCommand] = &[
    LocalCommand {
        name: "search",
        arguments: "[TEXT]",
        about: "look for a text among the messages of this room",
        run: |model, rest, _| {
            model.open_search(rest);
            Ok(())
        },
    },
    LocalCommand {
        name: "mentions",
        arguments: "",
        about: "list the messages that name you",
        run: |model, _, _| {
            model.open_mentions();
            Ok(())
        },
    },
    LocalCommand {
        name: "go",
        arguments: "[LETTERS]",
        about: "go to a room, by some of its letters",
        run: |model, rest, now| {
            model.open_rooms(now);
            for letter in rest.chars() {
                model.type_query(letter);
            }
            if rest.is_empty() {
                return Ok(());
            }
            if model.has_match() {
                model.choose(now);
                return Ok(());
            }
            model.overlay = None;
            Err(format!("no room is like {rest:?}; /join makes one"))
        },
    },
    LocalCommand {
        name: "notify",
        arguments: "off|mentions|all",
        about: "what rings and counts in this room",
        run: notify,
    },
    LocalCommand {
        name: "mouse",
        arguments: "on|off",
        about: "take the mouse, or leave it to the terminal",
        run: mouse,
    },
    LocalCommand {
        name: "bare",
        arguments: "",
        about: "only the messages, to copy with the mouse; again for all",
        run: |model, _, _| {
            model.toggle_bare();
            Ok(())
        },
    },
    LocalCommand {
        name: "clear",
        arguments: "",
        about: "forget what is shown of this room; scrolling up loads it again",
        run: |model, _, _| {
            let room = model.room_mut();
            if room.past == crate::tui::room::Past::Loading {
                return Err("older messages are on their way; wait for them".to_owned());
            }
            let place = room.place.clone();
            room.timeline.clear();
            room.marker = None;
            room.follow();
            if room.place.is_some() {
                room.past = crate::tui::room::Past::More;
            }
            model.forget_mentions(place.as_ref());
            Ok(())
        },
    },
    LocalCommand {
        name: "discard",
        arguments: "",
        about: "drop the messages that were not sent",
        run: |model, _, _| {
            let is_kept =
                |state: &PendingState| matches!(state, PendingState::Waiting | PendingState::Acked);
            model
                .room_mut()
                .pending
                .retain(|pending| is_kept(&pending.state));
            Ok(())
        },
    },
];

impl Model {
    /// Runs a line if it is such a command; whether it was one.
    pub(super) fn run_local(&mut self, line: &str, now: Now) -> bool {
        let Some(line) = line.strip_prefix('/') else {
            return false;
        };
        let (name, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let name = name.to_lowercase();
        let found = LOCAL_COMMANDS.iter().find(|command| command.name == name);
        let Some(command) = found else {
            return false;
        };
        let outcome = if command.arguments.is_empty() && !rest.trim().is_empty() {
            Err("it takes nothing".to_owned())
        } else {
            (command.run)(self, rest.trim(), now)
        };
        if let Err(problem) = outcome {
            let usage = format!("{problem}; usage: /{} {}", command.name, command.arguments);
            self.remark(now, Tone::Error, usage);
        }
        true
    }

    fn has_match(&self) -> bool {
        matches!(&self.overlay, Some(super::Overlay::Picker(picker)) if picker.target().is_some())
    }

    fn type_query(&mut self, letter: char) {
        if let Some(super::Overlay::Picker(picker)) = &mut self.overlay {
            picker.query.push(letter);
            self.search_again();
        }
    }
}

fn notify(model: &mut Model, rest: &str, now: Now) -> Result<(), String> {
    let Some(place) = model.room().place.clone() else {
        return Err("this page never rings".to_owned());
    };
    let level = if rest.is_empty() {
        model.level(model.room())
    } else {
        let found = Level::NAMES.iter().find(|(name, _)| *name == rest);
        found.ok_or_else(|| format!("{rest:?} is no level"))?.1
    };
    let name = name_of(Level::NAMES, level);
    model.remark(now, Tone::Quiet, format!("{place} notifies: {name}"));
    model.options.notify.rooms.insert(place.room, level);
    Ok(())
}

fn mouse(model: &mut Model, rest: &str, now: Now) -> Result<(), String> {
    let is_on = match rest {
        "on" => true,
        "off" => false,
        "" => !model.options.ui.mouse,
        other => return Err(format!("{other:?} is neither on nor off")),
    };
    model.options.ui.mouse = is_on;
    model.wish(Wish::Mouse(is_on));
    let said = if is_on {
        "the mouse scrolls and clicks; Shift and drag selects text"
    } else {
        "the mouse is the terminal's: drag selects text"
    };
    model.say(now, said);
    Ok(())
}
