//! What becomes of a line that was typed.

use std::time::Duration;

use chat_protocol::{Cursor, Text, UserName};

use super::{Aim, Model, Now, Overlay};
use crate::command::{self, CommandError};
use crate::nearest::nearest;
use crate::operation::{Operation, Request, Style, Which};
use crate::tui::room::{Pending, PendingState, Room};
use crate::tui::timeline::Tone;

impl Model {
    /// Sends what is being typed, or does what it says.
    pub(super) fn submit(&mut self, now: Now) {
        let line = self.composer.take();
        self.recall = None;
        if line.trim().is_empty() {
            return;
        }
        self.room_mut().remember(&line);
        let is_command = line.starts_with('/') && !line.starts_with("//");
        if let Some(aim) = self.aim.clone() {
            self.drop_aim();
            if !is_command {
                let text = line.strip_prefix('/').unwrap_or(&line);
                return self.submit_aimed(aim, text, now);
            }
        }
        self.submit_line(&line, now);
    }

    /// Does what a line says: at once, or when the room it is meant for is open.
    pub(super) fn submit_line(&mut self, line: &str, now: Now) {
        let is_command = line.starts_with('/') && !line.starts_with("//");
        if self.is_opening() && !(is_command && is_for_no_room(line)) {
            match self.hold(line.to_owned()) {
                None => self.say(now, "the room is being opened; this is sent there"),
                Some(line) => {
                    self.say(now, "too much waits for the room that is being opened");
                    self.composer.set(&line);
                }
            }
            return;
        }
        let is_surprised = self
            .refused_at
            .take()
            .is_some_and(|at| now.instant.saturating_duration_since(at) < REFUSED_TIME);
        if is_surprised && !is_command {
            // It was typed for the room that was refused this very moment.
            let title = self.room().title();
            self.say(
                now,
                format!("the room did not open; Enter again sends this to {title}"),
            );
            return self.composer.set(line);
        }
        self.submit_here(line, now);
    }

    /// Does what a line says, in the room that is shown.
    pub(super) fn submit_here(&mut self, line: &str, now: Now) {
        if self.run_local(line, now) {
            return;
        }
        match command::parse(line) {
            Ok(None) => {}
            Ok(Some(operation)) => self.perform(operation, now),
            Err(error) => {
                let not_sent = matches!(error, CommandError::Text(_));
                let what = if not_sent { "not sent: " } else { "" };
                let error = with_local(error);
                self.remark(now, Tone::Error, format!("{what}{error}"));
                if not_sent && self.composer.is_empty() {
                    // It is right there to be shortened.
                    self.composer.set(line);
                }
            }
        }
    }

    /// What was typed is about a message.
    fn submit_aimed(&mut self, aim: Aim, line: &str, now: Now) {
        let Some(place) = &self.room().place else {
            return;
        };
        let room_name = place.room.clone();
        let is_unchanged = match aim {
            Aim::Edit(of) => self
                .room()
                .references
                .message(of)
                .is_some_and(|view| view.text().is_some_and(|text| text.as_str() == line)),
            _ => false,
        };
        if is_unchanged {
            return self.say(now, "nothing was changed");
        }
        let room = Some(room_name);
        let said = line;
        let operation = match aim.clone() {
            Aim::Reply(to, _) => said.parse().map(|text| {
                let to = Which::Exactly(to);
                (Operation::Reply { room, to, text }, true)
            }),
            Aim::Edit(of) => said.parse().map(|text| {
                let of = Which::Exactly(of);
                (Operation::Edit { room, of, text }, false)
            }),
            Aim::React(to, _) => said.trim().parse().map(|reaction| {
                let to = Which::Exactly(to);
                let operation = Operation::React {
                    room,
                    to,
                    reaction,
                    on: true,
                };
                (operation, false)
            }),
        };
        match operation {
            Ok((operation, true)) => {
                self.send_operation(operation, said.to_owned(), Style::Plain, now);
            }
            Ok((operation, false)) => self.ask_for(operation),
            Err(error) => {
                self.remark(now, Tone::Error, format!("not sent: {error}"));
                self.aim_at(aim, line);
            }
        }
    }

    /// Takes an own message back.
    pub(super) fn delete(&mut self, of: Cursor) {
        if let Some(place) = &self.room().place {
            let room = Some(place.room.clone());
            let of = Which::Exactly(of);
            self.ask_for(Operation::Delete { room, of });
        }
    }

    fn perform(&mut self, operation: Operation, now: Now) {
        let here = self.room().place.as_ref().map(|place| place.room.clone());
        match operation {
            Operation::Send {
                room: None,
                text,
                style,
            } => self.send(text, style, now),
            Operation::Quit => self.close(now),
            Operation::Help { command: None } => self.overlay = Some(Overlay::Help(0)),
            Operation::Help {
                command: Some(name),
            } => self.help(&name, now),
            Operation::ShowTopic => {
                let room = self.room();
                let title = room.title();
                let line = match room.topic.as_str() {
                    "" => format!("{title} has no topic"),
                    topic => format!("topic of {title}: {topic}"),
                };
                self.remark(now, Tone::Quiet, line);
            }
            Operation::History { .. } => self.load_older(now),
            Operation::Leave { room } if room.is_none() && here.is_none() => {
                self.remark(now, Tone::Error, "this page stays; /quit leaves");
            }
            Operation::Leave { room } => {
                let room = room.or(here);
                self.ask_for(Operation::Leave { room });
            }
            Operation::Members { room } => {
                let room = room.or(here);
                self.ask_for(Operation::Members { room });
            }
            Operation::SetTopic { room, topic } => {
                let room = room.or(here);
                self.ask_for(Operation::SetTopic { room, topic });
            }
            operation @ (Operation::Reply { .. }
            | Operation::Edit { .. }
            | Operation::Delete { .. }
            | Operation::React { .. }) => self.ask_for(operation.or_in(here)),
            operation @ Operation::Join { .. } => self.ask_to_show(operation, now),
            Operation::Direct { user, text } if self.index_of_direct(&user).is_some() => {
                let index = self.index_of_direct(&user).unwrap_or(self.current);
                if self.rooms[index].is_abandoned {
                    // It was with somebody of that name who has gone.
                    let room = self.rooms[index].place.as_ref();
                    let room = room.map(|place| place.room.clone());
                    self.ask_for(Operation::Leave { room });
                    self.ask_to_show(Operation::Direct { user, text: None }, now);
                    if let Some(text) = text {
                        self.hold(escaped(text_of(&text)));
                    }
                    return;
                }
                self.go_to_room(index);
                if let Some(text) = text {
                    self.send(text, Style::Plain, now);
                }
            }
            Operation::Direct {
                user,
                text: Some(text),
            } => {
                let text = Some(text);
                self.writing_to = Some(user.clone());
                self.ask_for(Operation::Direct { user, text });
            }
            operation @ Operation::Direct { text: None, .. } => self.ask_to_show(operation, now),
            operation => self.ask_for(operation),
        }
    }

    fn index_of_direct(&self, user: &UserName) -> Option<usize> {
        let is_it = |room: &Room| {
            let place = room.place.as_ref();
            place.is_some_and(|place| place.direct.as_ref() == Some(user))
        };
        self.rooms.iter().position(is_it)
    }

    fn help(&mut self, name: &str, now: Now) {
        let name = name.trim_start_matches('/').to_lowercase();
        let local = super::LOCAL_COMMANDS
            .iter()
            .find(|command| command.name == name);
        let (tone, lines) = match local {
            Some(command) => {
                let line = format!("/{} {}  {}", command.name, command.arguments, command.about);
                (Tone::Quiet, vec![line])
            }
            None => match command::help(Some(&name)) {
                Ok(lines) => (Tone::Quiet, lines),
                Err(error) => (Tone::Error, vec![error.to_string()]),
            },
        };
        for line in lines {
            self.remark(now, tone, line);
        }
    }

    /// Sends a text that is no command.
    pub(super) fn send_text(&mut self, text: &str, now: Now) {
        match text.parse() {
            Ok(text) => {
                self.room_mut().remember(text_of(&text));
                self.send(text, Style::Plain, now);
            }
            Err(error) => self.remark(now, Tone::Error, format!("not sent: {error}")),
        }
    }

    /// Sends a message to the shown room, and shows it there as not acked.
    pub(super) fn send(&mut self, text: Text, style: Style, now: Now) {
        let Some(place) = &self.room().place else {
            let said = "nobody reads this page; /join a room, or choose one";
            return self.remark(now, Tone::Error, said);
        };
        let room = Some(place.room.clone());
        let said = text_of(&text).to_owned();
        let operation = Operation::Send { room, text, style };
        self.send_operation(operation, said, style, now);
    }

    pub(super) fn send_operation(
        &mut self,
        operation: Operation,
        text: String,
        style: Style,
        now: Now,
    ) {
        let other = self
            .room()
            .place
            .as_ref()
            .and_then(|place| place.direct.clone());
        if let (true, Some(other)) = (self.room().is_abandoned, other) {
            let said = format!("not sent: {other} is gone; /msg {other} when {other} is back");
            self.remark(now, Tone::Error, said);
            if self.composer.is_empty() {
                self.composer.set(&escaped(&text));
            }
            return;
        }
        if self.room().pending.len() >= PENDING_LEN_MAX {
            let said = "too much waits to be sent here; /discard what was refused, or wait";
            return self.remark(now, Tone::Error, said);
        }
        self.number += 1;
        let reference = format!("{MESSAGE}{}", self.number);
        let room = self.room_mut();
        room.pending.push(Pending {
            reference: reference.clone(),
            id: None,
            cursor: None,
            operation: operation.clone(),
            text,
            style,
            at_ms: now.ms,
            state: PendingState::Waiting,
        });
        room.follow();
        room.marker = None;
        self.outbox.push_back(Request {
            reference: Some(reference),
            operation,
        });
    }
}

/// A text as it has to be typed to be said.
pub(super) fn escaped(text: &str) -> String {
    if text.starts_with('/') {
        format!("/{text}")
    } else {
        text.to_owned()
    }
}

/// The same error; what was mistyped may have been a command of this client alone.
fn with_local(error: CommandError) -> CommandError {
    match error {
        CommandError::Unknown {
            typed,
            nearest: None,
        } => {
            let names = super::LOCAL_COMMANDS.iter().map(|command| command.name);
            let nearest = nearest(&typed, names);
            CommandError::Unknown { typed, nearest }
        }
        other => other,
    }
}

/// Whether a command means the same in every room.
fn is_for_no_room(line: &str) -> bool {
    let is_local = line.split_whitespace().next().is_some_and(|word| {
        let mut names = super::LOCAL_COMMANDS.iter().map(|command| command.name);
        names.any(|name| word.strip_prefix('/') == Some(name))
    });
    is_local
        || matches!(
            command::parse(line),
            Err(_)
                | Ok(Some(
                    Operation::Quit
                        | Operation::Help { .. }
                        | Operation::Node
                        | Operation::Reconnect
                        | Operation::Ping
                        | Operation::Rooms
                        | Operation::Rename { .. }
                        | Operation::Join { .. }
                        | Operation::Direct { .. }
                ))
        )
}

fn text_of(text: &Text) -> &str {
    text.as_str()
}

/// Within this time after a refusal nobody has seen it.
const REFUSED_TIME: Duration = Duration::from_millis(1_500);

/// What references of messages begin with.
const MESSAGE: &str = "m";

/// Most messages of a room that wait.
pub(super) const PENDING_LEN_MAX: usize = 1_000;
