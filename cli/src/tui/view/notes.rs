//! What should be known now: no connection, no backplane, what is being edited, a short remark.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;

use super::{put, seconds_left};
use crate::cells;
use crate::tui::action::Action;
use crate::tui::model::{Aim, Link, Model, Now, Overlay};
use crate::tui::theme::{Role, Sign};

/// Draws the notes, one a row.
pub(super) fn draw(buffer: &mut Buffer, model: &Model, area: Rect, now: Now) {
    let theme = model.options.theme;
    let more = theme.sign(Sign::More);
    for (index, (role, text)) in notes(model, now).into_iter().enumerate() {
        let text = cells::left(&format!(" {text}"), area.width.into(), more);
        put(buffer, area, index, &Line::styled(text, theme.style(role)));
    }
}

fn notes(model: &Model, now: Now) -> Vec<(Role, String)> {
    let mut notes = vec![];
    match &model.link {
        Link::Up => {}
        Link::Away {
            reason, attempt, ..
        } => {
            let next = match seconds_left(&model.link, now) {
                Some(0) | None => "trying now".to_owned(),
                Some(seconds) => format!("next try in {seconds} s"),
            };
            let tries = match attempt {
                0 | 1 => String::new(),
                2 => ", 1 try failed".to_owned(),
                attempt => format!(", {} tries failed", attempt - 1),
            };
            let reason = cells::line(reason);
            let text = format!("no connection: {next}{tries}; {SENT_LATER} ({reason})");
            notes.push((Role::Warning, text));
        }
        Link::Closed { reason } => {
            let reason = cells::line(reason);
            notes.push((Role::Warning, format!("the connection is closed: {reason}")));
        }
    }
    if !model.has_backplane {
        let node = cells::line(&model.node);
        let text = format!("{node} does not reach its backplane: {SENT_LATER}");
        notes.push((Role::Warning, text));
    }
    match &model.aim {
        Some(Aim::Reply(_, quoted)) => {
            let sign = model.options.theme.sign(Sign::Answer);
            let text = format!("{sign} reply to {}", cells::line(quoted));
            notes.push((Role::Bold, text));
        }
        Some(Aim::Edit(_)) => {
            let cancel = model.keys_of(Action::Cancel);
            notes.push((
                Role::Bold,
                format!("editing your message; {cancel} leaves it"),
            ));
        }
        Some(Aim::React(_, quoted)) => {
            notes.push((Role::Bold, format!("reaction to {}", cells::line(quoted))));
        }
        None => {}
    }
    if let Some(Overlay::Select(_)) = model.overlay {
        let (cancel, send) = (model.keys_of(Action::Cancel), model.keys_of(Action::Send));
        let keys = if model.is_clicked {
            format!("{send} replies  Up Down choose  {cancel} leaves")
        } else {
            format!("r reply  e edit  d delete  + react  y copy  Up Down choose  {cancel} leave")
        };
        notes.push((Role::Bold, keys));
    }
    if let Some(toast) = &model.toast {
        notes.push((Role::Plain, cells::line(&toast.text)));
    }
    notes
}

const SENT_LATER: &str = "what you write is kept and sent later";
