//! The list of rooms: which is shown, and what is new in the others.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::put;
use crate::cells;
use crate::config::Level;
use crate::tui::model::Model;
use crate::tui::model::mouse::first_room;
use crate::tui::room::Room;
use crate::tui::theme::{Role, Sign};
use crate::wrap;

/// Draws the list.
pub(super) fn draw(buffer: &mut Buffer, model: &Model, area: Rect) {
    if area.width == 0 {
        return;
    }
    let theme = model.options.theme;
    let first = first_room(model.current, model.rooms.len(), area);
    let columns = usize::from(area.width.saturating_sub(1));
    for row in 0..usize::from(area.height) {
        let index = first + row;
        let mut spans = match model.rooms.get(index) {
            Some(room) => room_line(model, index, room, columns),
            None => vec![Span::raw(" ".repeat(columns))],
        };
        spans.push(Span::styled(theme.sign(Sign::Wall), theme.style(Role::Dim)));
        put(buffer, area, row, &Line::from(spans));
    }
}

fn room_line(model: &Model, index: usize, room: &Room, columns: usize) -> Vec<Span<'static>> {
    let theme = model.options.theme;
    let is_current = index == model.current;
    let is_off = model.level(room) == Level::Off;
    let count = match (room.unread, room.mentions) {
        _ if is_off => String::new(),
        (0, _) => String::new(),
        (unread, 0) => format!(" {}", unread.min(COUNT_MAX)),
        (unread, mentions) => format!(" {},{}@", unread.min(COUNT_MAX), mentions.min(COUNT_MAX)),
    };
    let failed = if room.has_failed() { "!" } else { "" };
    let digit = match index {
        1..=9 => index.to_string(),
        _ => " ".to_owned(),
    };
    let used = wrap::columns(&count) + failed.len() + 3;
    let title = cells::left(
        &cells::line(&room.title()),
        columns.saturating_sub(used),
        theme.sign(Sign::More),
    );
    let style = if is_current {
        theme.style(Role::Chosen)
    } else if is_off {
        Style::new()
    } else if room.mentions > 0 {
        theme.style(Role::Mention)
    } else if room.unread > 0 {
        theme.style(Role::Bold)
    } else {
        Style::new()
    };
    vec![
        Span::styled(digit, theme.style(Role::Dim)),
        Span::styled(if is_current { ">" } else { " " }, style),
        Span::styled(title, style),
        Span::styled(count, style),
        Span::styled(failed, theme.style(Role::Error)),
        Span::raw(" "),
    ]
}

/// More are not counted.
const COUNT_MAX: u32 = 999;
