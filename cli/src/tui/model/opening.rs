//! Rooms that were asked for and are to be shown when they are open, and what was typed for them.
//!
//! Invariant: a line that was typed for a room goes to that room, or back to where one types: never to
//! the room that happens to be shown.

use chat_protocol::UserName;

use super::{Model, Now};
use crate::operation::Operation;
use crate::report::Place;
use crate::tui::timeline::Tone;

/// A room that was asked for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Opening {
    /// What ties the answer to it.
    reference: String,
    /// Whom the room is shared with, if it is one of two.
    other: Option<UserName>,
    /// Which room it is, once that was granted. Its first event may still be on its way.
    granted: Option<Place>,
    /// Whether the user still wants to go there.
    is_wanted: bool,
    /// What was typed for it, in order.
    held: Vec<String>,
}

impl Opening {
    /// What was typed for it.
    pub(super) fn held(&self) -> &[String] {
        &self.held
    }
}

impl Model {
    /// Asks for a room that is to be shown. What is typed meanwhile is meant for it.
    pub(super) fn ask_to_show(&mut self, operation: Operation, now: Now) {
        self.number += 1;
        let reference = format!("{SHOW}{}", self.number);
        let other = match &operation {
            Operation::Direct { user, .. } => Some(user.clone()),
            _ => None,
        };
        if self.openings.len() >= OPENINGS_LEN_MAX || !self.ask(Some(&reference), operation) {
            return self.remark(now, Tone::Error, "too much is under way; wait a little");
        }
        self.openings.push(Opening {
            reference,
            other,
            granted: None,
            is_wanted: true,
            held: vec![],
        });
    }

    /// Keeps a line for the room that was asked for last. Gives it back when there is none.
    pub(super) fn hold(&mut self, line: String) -> Option<String> {
        let Some(opening) = self.openings.last_mut().filter(|opening| opening.is_wanted) else {
            return Some(line);
        };
        if opening.held.len() >= HELD_LEN_MAX {
            return Some(line);
        }
        opening.held.push(line);
        None
    }

    /// Whether a room with this user was asked for.
    pub(super) fn is_opening_to(&self, other: &UserName) -> bool {
        let mut openings = self.openings.iter();
        openings.any(|opening| opening.other.as_ref() == Some(other))
    }

    /// Whether a room was asked for that the user still wants to go to.
    pub(super) fn is_opening(&self) -> bool {
        self.openings.iter().any(|opening| opening.is_wanted)
    }

    /// Something asked for is done: perhaps a room that is to be shown.
    pub(super) fn on_opened(&mut self, reference: &str, place: Place, now: Now) {
        let known = self.index_of(&place).is_some();
        let found = self
            .openings
            .iter_mut()
            .find(|opening| opening.reference == reference);
        if let Some(opening) = found {
            opening.granted = Some(place.clone());
            if known {
                self.show_opened(&place, now);
            }
        }
    }

    /// A room is open: shows it if that is wanted, and sends what was typed for it.
    pub(super) fn show_opened(&mut self, place: &Place, now: Now) {
        let is_it = |opening: &Opening| {
            let granted = opening.granted.as_ref();
            granted.is_some_and(|granted| granted.room == place.room)
        };
        let Some(at) = self.openings.iter().position(is_it) else {
            return;
        };
        let opening = self.openings.remove(at);
        let Some(index) = self.index_of(place).filter(|_| opening.is_wanted) else {
            return;
        };
        self.toast = None;
        // What is half typed was begun after the room was asked for.
        let begun = if self.aim.is_none() {
            self.composer.take()
        } else {
            String::new()
        };
        self.go(index);
        if !begun.is_empty() {
            self.composer.set(&begun);
        }
        for line in opening.held {
            self.submit_here(&line, now);
        }
    }

    /// Something asked for was refused: what was typed for the room goes back to where one types.
    pub(super) fn on_not_opened(&mut self, reference: &str, now: Now) {
        let is_it = |opening: &Opening| opening.reference == reference;
        if let Some(at) = self.openings.iter().position(is_it) {
            let opening = self.openings.remove(at);
            self.toast = None;
            if opening.is_wanted {
                self.refused_at = Some(now.instant);
            }
            self.give_back(opening.held);
        }
    }

    /// The user goes elsewhere: no room is shown by itself any more.
    pub(super) fn cancel_openings(&mut self) {
        let mut held = vec![];
        for opening in &mut self.openings {
            opening.is_wanted = false;
            held.append(&mut opening.held);
        }
        self.give_back(held);
    }

    /// Puts lines before what is being typed.
    fn give_back(&mut self, lines: Vec<String>) {
        if lines.is_empty() {
            return;
        }
        if self.aim.is_some() {
            self.drop_aim();
        }
        let mut text = lines.join("\n");
        let typed = self.composer.take();
        if !typed.is_empty() {
            text.push('\n');
            text.push_str(&typed);
        }
        self.composer.set(&text);
    }
}

/// What references of rooms to be shown begin with.
pub(super) const SHOW: &str = "show";

/// Most rooms that are being opened at a time.
const OPENINGS_LEN_MAX: usize = 64;

/// Most lines that wait for a room.
const HELD_LEN_MAX: usize = 64;
