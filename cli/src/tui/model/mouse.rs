//! What clicks and the wheel do.

use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
use ratatui::layout::{Position, Rect};

use super::{Model, Now, Overlay};
use crate::tui::scroll;

impl Model {
    /// The mouse was used.
    pub fn on_mouse(&mut self, event: MouseEvent, now: Now) {
        let layout = self.layout();
        if layout.is_too_small {
            return;
        }
        let at = Position::new(event.column, event.row);
        match event.kind {
            MouseEventKind::ScrollUp => self.wheel(now, true),
            MouseEventKind::ScrollDown => self.wheel(now, false),
            MouseEventKind::Down(MouseButton::Left) if self.overlay.is_none() => {
                if layout.rooms.contains(at) {
                    let first = first_room(self.current, self.rooms.len(), layout.rooms);
                    self.go_to_room(first + usize::from(at.y - layout.rooms.y));
                } else if layout.members.contains(at) {
                    // The first row is their number.
                    let row = usize::from(at.y - layout.members.y);
                    let is_last = row + 1 == usize::from(layout.members.height);
                    let has_more = is_last && self.room().members.names.len() > row;
                    let name = row
                        .checked_sub(1)
                        .filter(|_| !has_more)
                        .and_then(|index| self.room().members.names.get(index));
                    if let Some(name) = name.map(ToString::to_string) {
                        let after = if self.composer.is_empty() { ": " } else { " " };
                        self.composer.insert_text(&format!("{name}{after}"));
                    }
                } else if layout.below.contains(at) {
                    self.room_mut().follow();
                } else if layout.messages.contains(at) {
                    self.choose_row(usize::from(layout.messages.bottom() - 1 - at.y));
                }
            }
            _ => {}
        }
    }

    /// Chooses the message of a row, counted from the lowest.
    fn choose_row(&mut self, from_below: usize) {
        let height = usize::from(self.layout().messages.height);
        let rows = scroll::visible(self.room(), &self.paper(), height);
        let index = rows.iter().rev().nth(from_below).map(|(index, _)| *index);
        // The message before the next entry is this one, if it is one.
        let index = index.filter(|index| self.message_before(index + 1) == Some(*index));
        if let Some(index) = index {
            self.overlay = Some(Overlay::Select(index));
            self.deleting = None;
            self.is_clicked = true;
        }
    }

    fn wheel(&mut self, now: Now, is_up: bool) {
        match &mut self.overlay {
            Some(Overlay::Picker(picker)) => picker.turn(if is_up { -1 } else { 1 }),
            Some(Overlay::Help(from)) => {
                *from = if is_up {
                    from.saturating_sub(WHEEL_ROWS)
                } else {
                    *from + WHEEL_ROWS
                };
            }
            _ if is_up => self.scroll_up(now, WHEEL_ROWS),
            _ => self.scroll_down(WHEEL_ROWS),
        }
    }
}

/// The first room of the list that is shown, so that the current one is always among them, with those
/// around it.
#[must_use]
pub fn first_room(current: usize, len: usize, area: Rect) -> usize {
    let rows = usize::from(area.height).max(1);
    if len <= rows {
        0
    } else {
        current.saturating_sub(rows / 2).min(len - rows)
    }
}

/// Rows that a step of the wheel scrolls.
const WHEEL_ROWS: usize = 3;
