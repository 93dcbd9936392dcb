//! Where everything is on the screen. Pure.

use ratatui::layout::Rect;

use super::model::{Link, Model, Overlay};

/// Where everything is; what is not shown has no size.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Layout {
    /// The room's name and topic.
    pub topic: Rect,
    /// The list of rooms.
    pub rooms: Rect,
    /// The messages.
    pub messages: Rect,
    /// How much is below them.
    pub below: Rect,
    /// The list of members.
    pub members: Rect,
    /// What should be known now.
    pub notes: Rect,
    /// The status line.
    pub status: Rect,
    /// What is being typed.
    pub input: Rect,
    /// Whether the terminal is too small for anything.
    pub is_too_small: bool,
}

impl Layout {
    /// Whether nothing useful fits.
    #[must_use]
    pub const fn is_small((columns, rows): (u16, u16)) -> bool {
        columns < COLUMNS_MIN || rows < ROWS_MIN
    }

    /// The places of what a model shows.
    #[must_use]
    pub fn of(model: &Model) -> Self {
        let (width, height) = model.size;
        if Self::is_small(model.size) {
            return Self {
                is_too_small: true,
                ..Self::default()
            };
        }
        let input_columns = usize::from(width.saturating_sub(PROMPT_COLUMNS));
        let input_rows = model.composer.draw(input_columns).rows.len();
        let input_rows_max = usize::from((height / 3).clamp(1, INPUT_ROWS_MAX));
        let input_rows = u16::try_from(input_rows.min(input_rows_max)).unwrap_or(1);
        let notes_rows = u16::try_from(notes_len(model)).unwrap_or(0);
        let below_rows = u16::from(model.room().anchor.is_some());
        let chrome_rows = if model.is_bare { 0 } else { 2 };
        let middle = height.saturating_sub(input_rows + notes_rows + below_rows + chrome_rows);
        let row = |y, rows| Rect::new(0, y, width, rows);
        let topic = row(0, chrome_rows / 2);
        let top = topic.height;
        let rooms_columns = if model.options.ui.room_list && width >= ROOMS_FROM && !model.is_bare {
            ROOMS_COLUMNS
        } else {
            0
        };
        let has_members = model.room().place.is_some() && !model.room().is_direct();
        let members_columns = if model.options.ui.member_list
            && has_members
            && width >= MEMBERS_FROM
            && !model.is_bare
        {
            MEMBERS_COLUMNS
        } else {
            0
        };
        let messages_columns = width - rooms_columns - members_columns;
        let rows = middle + below_rows;
        let below_y = top + middle;
        Self {
            topic,
            rooms: Rect::new(0, top, rooms_columns, rows),
            messages: Rect::new(rooms_columns, top, messages_columns, middle),
            below: Rect::new(rooms_columns, below_y, messages_columns, below_rows),
            members: Rect::new(rooms_columns + messages_columns, top, members_columns, rows),
            notes: row(top + rows, notes_rows),
            status: row(top + rows + notes_rows, chrome_rows / 2),
            input: row(height - input_rows, input_rows),
            is_too_small: false,
        }
    }
}

/// How many notes there are: what is wrong, and a short remark.
fn notes_len(model: &Model) -> usize {
    usize::from(!matches!(model.link, Link::Up))
        + usize::from(!model.has_backplane)
        + usize::from(model.toast.is_some())
        + usize::from(model.aim.is_some())
        + usize::from(matches!(model.overlay, Some(Overlay::Select(_))))
}

/// Columns before what is being typed.
pub const PROMPT_COLUMNS: u16 = 2;

/// Below this nothing useful fits.
pub const COLUMNS_MIN: u16 = 20;
/// Below this nothing useful fits.
pub const ROWS_MIN: u16 = 5;

const INPUT_ROWS_MAX: u16 = 6;
const ROOMS_FROM: u16 = 70;
const ROOMS_COLUMNS: u16 = 18;
const MEMBERS_FROM: u16 = 100;
const MEMBERS_COLUMNS: u16 = 18;
