//! What the client looks like: a model in, cells out. Pure.
//!
//! Invariant: what others wrote goes through [`cells`] before it is drawn.

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::action::Action;
use super::layout::{COLUMNS_MIN, Layout, ROWS_MIN};
use super::model::{Link, Model, Now};
use super::scroll;
use super::theme::{Role, Sign};
use crate::cells;
use crate::wrap;

mod input;
mod notes;
mod popup;
mod rooms;
mod status;

/// Draws everything on the whole of a frame.
pub fn draw(frame: &mut Frame<'_>, model: &Model, now: Now) {
    let layout = model.layout();
    if layout.is_too_small {
        return too_small(frame);
    }
    let buffer = frame.buffer_mut();
    topic(buffer, model, layout.topic);
    rooms::draw(buffer, model, layout.rooms);
    messages(buffer, model, &layout);
    members(buffer, model, layout.members);
    notes::draw(buffer, model, layout.notes, now);
    let status = status::line(model, layout.status.width.into());
    put(buffer, layout.status, 0, &status);
    let cursor = input::draw(buffer, model, layout.input);
    let over = Rect::new(0, 0, model.size.0, layout.input.y);
    let popup_cursor = popup::draw(buffer, model, over);
    if let Some(cursor) = popup_cursor.or(cursor) {
        frame.set_cursor_position(cursor);
    }
}

fn too_small(frame: &mut Frame<'_>) {
    let area = frame.area();
    let text = format!("terminal too small: {COLUMNS_MIN} x {ROWS_MIN} needed");
    let rows = wrap::wrap(&text, area.width.max(1).into());
    for (index, row) in rows.into_iter().enumerate() {
        put(frame.buffer_mut(), area, index, &Line::raw(row));
    }
}

/// Puts a line into a row of an area; what does not fit is cut.
fn put(buffer: &mut Buffer, area: Rect, row: usize, line: &Line<'_>) {
    let Ok(row) = u16::try_from(row) else { return };
    if row < area.height && area.width > 0 {
        let row = Rect::new(area.x, area.y + row, area.width, 1);
        buffer.set_style(row, line.style);
        buffer.set_line(row.x, row.y, line, row.width);
    }
}

/// Empties the cells of an area.
fn clear(buffer: &mut Buffer, area: Rect) {
    for y in area.top()..area.bottom() {
        for x in area.left()..area.right() {
            if let Some(cell) = buffer.cell_mut((x, y)) {
                cell.reset();
            }
        }
    }
}

fn topic(buffer: &mut Buffer, model: &Model, area: Rect) {
    let room = model.room();
    let title = cells::line(&room.title());
    let text = match room.topic.as_str() {
        "" if room.place.is_none() => {
            let help = model.keys_of(Action::Help);
            format!(" {title}  what this program and the server say; {help}: help")
        }
        "" => format!(" {title}"),
        topic => format!(" {title}  {}", cells::line(topic)),
    };
    let theme = model.options.theme;
    let text = cells::left(&text, area.width.into(), theme.sign(Sign::More));
    put(buffer, area, 0, &Line::styled(text, theme.style(Role::Bar)));
}

fn messages(buffer: &mut Buffer, model: &Model, layout: &Layout) {
    let area = layout.messages;
    let height = usize::from(area.height);
    let rows = scroll::visible(model.room(), &model.paper(), height);
    // What is newest stands right above where one types.
    let free = height.saturating_sub(rows.len());
    for (index, (_, row)) in rows.iter().enumerate() {
        put(buffer, area, free + index, row);
    }
    if layout.below.height > 0 {
        let theme = model.options.theme;
        let keys = model.keys_of(Action::Newest);
        let down = theme.sign(Sign::Down);
        let text = match model.room().below {
            0 => format!(" {down} more below; {keys}: newest"),
            below => format!(" {down} {below} new below; {keys}: newest"),
        };
        let text = cells::left(&text, area.width.into(), theme.sign(Sign::More));
        let line = Line::styled(text, theme.style(Role::Bar));
        put(buffer, layout.below, 0, &line);
    }
}

fn members(buffer: &mut Buffer, model: &Model, area: Rect) {
    let theme = model.options.theme;
    let more = theme.sign(Sign::More);
    let columns = usize::from(area.width.saturating_sub(1));
    let members = &model.room().members;
    let rows = usize::from(area.height);
    for row in 0..rows {
        let is_last = row + 1 == rows && members.names.len() > row;
        let shown = match row.checked_sub(1).and_then(|at| members.names.get(at)) {
            None if row == 0 => {
                let title = cells::left(&format!("{} here", members.count), columns, more);
                Span::styled(title, theme.style(Role::Dim))
            }
            None => Span::raw(""),
            Some(_) if is_last => {
                let text = format!("{more} {} more", members.names.len() + 1 - row);
                Span::styled(text, theme.style(Role::Dim))
            }
            Some(name) => {
                let name = cells::line(name.as_str());
                let style = if name == model.me {
                    theme.style(Role::Bold)
                } else {
                    theme.name(&name)
                };
                Span::styled(cells::cut(&name, columns, more), style)
            }
        };
        let wall = Span::styled(theme.sign(Sign::Wall), theme.style(Role::Dim));
        put(buffer, area, row, &Line::from(vec![wall, shown]));
    }
}

/// How many seconds are left until the next try, for people.
fn seconds_left(link: &Link, now: Now) -> Option<u128> {
    match link {
        Link::Away {
            retry_at: Some(at), ..
        } => {
            let left = at.saturating_duration_since(now.instant);
            Some(left.as_millis().div_ceil(1000))
        }
        _ => None,
    }
}

/// A style for what is chosen, and none for the rest.
const fn chosen(theme: super::theme::Theme, is_chosen: bool) -> Style {
    if is_chosen {
        theme.style(Role::Chosen)
    } else {
        Style::new()
    }
}

#[cfg(test)]
mod tests;
