//! What key presses do.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind};

use super::{Aim, Model, Now, Overlay, Wish};
use crate::operation::Operation;
use crate::tui::action::Action;
use crate::tui::complete::{Cycle, Words};
use crate::tui::composer::TEXT_BYTES_MAX;
use crate::tui::key::Chord;
use crate::tui::room::{Pending, PendingState, Room};
use crate::tui::scroll;
use crate::tui::timeline::Kind;

impl Model {
    /// A key was pressed.
    pub fn on_key(&mut self, event: &KeyEvent, now: Now) {
        if event.kind == KeyEventKind::Release {
            return;
        }
        let chord = Chord::of(event);
        let action = self.options.keymap.action(chord);
        if action != Some(Action::Interrupt) {
            self.interrupted_at = None;
        }
        // These work everywhere, so that nobody is ever locked in.
        match action {
            Some(Action::Suspend) => return self.wish(Wish::Suspend),
            Some(Action::Redraw) => return self.wish(Wish::Redraw),
            Some(Action::Interrupt) => return self.interrupt(now),
            _ => {}
        }
        if self.is_too_small() {
            return;
        }
        if self.overlay.is_some() {
            return self.on_overlay_key(chord, action, now);
        }
        if self.composer.is_empty() && chord.letter() == Some('?') {
            self.overlay = Some(Overlay::Help(0));
            return;
        }
        if let Some(digit) = chord.alt_digit().filter(|digit| *digit > 0) {
            if digit >= self.rooms.len() {
                return self.say(now, format!("there is no room {digit}"));
            }
            return self.go_to_room(digit);
        }
        match (action, chord.letter()) {
            (Some(action), _) => self.act(action, now),
            (None, Some(letter)) => self.type_letter(letter, now),
            (None, None) => {}
        }
    }

    pub(super) fn type_letter(&mut self, letter: char, now: Now) {
        self.cycle = None;
        self.composer.insert(letter);
        self.tell_typing(now);
    }

    /// A text was pasted.
    pub fn on_paste(&mut self, text: &str, now: Now) {
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        let text = text.trim_end_matches('\n');
        match &mut self.overlay {
            Some(Overlay::Picker(picker)) => {
                picker
                    .query
                    .extend(text.chars().filter(|letter| !letter.is_control()));
                return self.search_again();
            }
            Some(Overlay::Help(_) | Overlay::Select(_)) => self.overlay = None,
            Some(Overlay::Paste(_)) => return self.say(now, "one paste at a time"),
            None => {}
        }
        if text.contains('\n') {
            self.overlay = Some(Overlay::Paste(bounded(text)));
        } else if self.composer.insert_text(text) {
            self.cycle = None;
        } else {
            self.say(now, too_long(text.len()));
        }
    }

    pub(super) fn act(&mut self, action: Action, now: Now) {
        if !matches!(action, Action::Complete | Action::CompleteBack) {
            self.cycle = None;
        }
        match action {
            Action::Send => self.submit(now),
            Action::Complete => self.complete(false),
            Action::CompleteBack => self.complete(true),
            Action::HistoryUp if self.composer.is_in_first_line() => self.recall_back(),
            Action::HistoryUp => self.composer.move_up(),
            Action::HistoryDown if self.composer.is_in_last_line() => self.recall_on(),
            Action::HistoryDown => self.composer.move_down(),
            Action::Delete if self.composer.is_empty() => self.close(now),
            Action::Editor => {
                self.writing_in = Some((self.room().place.clone(), self.aim.clone()));
                self.wish(Wish::Editor);
            }
            Action::EditLast => self.edit_last(now),
            Action::Retry => self.retry(now),
            Action::PageUp => self.page(now, true),
            Action::PageDown => self.page(now, false),
            Action::LineUp => self.scroll_up(now, 1),
            Action::LineDown => self.scroll_down(1),
            Action::Newest if self.room().anchor.is_none() => {
                self.composer.edit(Action::LineEnd);
            }
            Action::Newest => self.room_mut().follow(),
            Action::FirstUnread => match self.room().marker {
                Some(index) => self.go_to(index),
                None => self.say(now, "nothing new here"),
            },
            Action::MentionUp => self.go_to_mention(now, true),
            Action::MentionDown => self.go_to_mention(now, false),
            Action::Select => self.select(now),
            Action::Search => self.open_search(""),
            Action::Mentions => self.open_mentions(),
            Action::HistorySearch => self.open_sent(),
            Action::Picker => self.open_rooms(now),
            Action::NextRoom => self.go_to_room((self.current + 1) % self.rooms.len()),
            Action::PreviousRoom => {
                self.go_to_room((self.current + self.rooms.len() - 1) % self.rooms.len());
            }
            Action::NextActive => match self.active().first() {
                Some((index, ..)) => self.go_to_room(*index),
                None => self.say(now, "nothing new in other rooms"),
            },
            Action::LastRoom => {
                let previous = self.previous.clone();
                let index = previous.and_then(|place| self.index_of(&place));
                self.go_to_room(index.unwrap_or(0));
            }
            Action::Help => self.overlay = Some(Overlay::Help(0)),
            Action::RoomList => self.options.ui.room_list = !self.options.ui.room_list,
            Action::MemberList => self.options.ui.member_list = !self.options.ui.member_list,
            Action::Bare => self.toggle_bare(),
            Action::Cancel => self.cancel(),
            action => {
                let before = self.composer.text().len();
                self.composer.edit(action);
                if self.composer.text().len() > before {
                    self.tell_typing(now);
                }
            }
        }
    }

    fn interrupt(&mut self, now: Now) {
        let is_second = self
            .interrupted_at
            .is_some_and(|at| now.instant - at < INTERRUPT_TIME);
        self.interrupted_at = None;
        if self.is_closing {
            return self.wish(Wish::Quit);
        }
        if self.overlay.take().is_some() {
            // What is being typed stays.
        } else if self.aim.is_some() || !self.composer.is_empty() {
            self.cycle = None;
            let text = self.composer.text().to_owned();
            if !text.trim().is_empty() {
                // A slip of the finger loses nothing.
                self.room_mut().remember(&text);
            }
            if self.aim.is_some() {
                self.drop_aim();
            } else {
                self.composer.take();
            }
        } else if is_second {
            self.close(now);
        } else {
            self.interrupted_at = Some(now.instant);
            let keys = self.keys_of(Action::Interrupt);
            self.say(now, format!("{keys} again leaves"));
        }
    }

    /// Ends when everything is sent.
    pub(super) fn close(&mut self, now: Now) {
        let has_failed = self.rooms.iter().any(|room| room.has_failed());
        let is_warned = self
            .warned_at
            .replace(now.instant)
            .is_some_and(|at| now.instant - at < WARNED_TIME);
        if has_failed && !is_warned {
            let keys = self.keys_of(Action::Retry);
            let said = format!("not all was sent: {keys} sends it again; leave again to leave");
            return self.say(now, said);
        }
        self.is_closing = true;
        self.wish(Wish::Quit);
    }

    /// What is typed from now on is about a message, and begins with this. What was being typed is
    /// put aside until then.
    pub(super) fn aim_at(&mut self, aim: Aim, text: &str) {
        match self.aim {
            None | Some(Aim::Reply(..)) => self.aside = self.composer.take(),
            Some(Aim::Edit(_) | Aim::React(..)) => {}
        }
        self.aim = Some(aim);
        self.composer.set(text);
    }

    /// What is typed is no longer about a message: what was being typed before is back.
    pub(super) fn drop_aim(&mut self) {
        let aside = std::mem::take(&mut self.aside);
        match self.aim.take() {
            // What was written as an answer is the user's still.
            Some(Aim::Reply(..)) if !self.composer.is_empty() => {
                if !aside.is_empty() {
                    self.room_mut().remember(&aside);
                }
            }
            _ => {
                let text = self.composer.take();
                if !text.trim().is_empty() {
                    self.room_mut().remember(&text);
                }
                self.composer.set(&aside);
            }
        }
    }

    fn cancel(&mut self) {
        if self.is_closing {
            self.is_closing = false;
            self.wish(Wish::Stay);
        } else if self.aim.is_some() {
            self.drop_aim();
        } else if self.is_bare {
            self.toggle_bare();
        } else {
            self.room_mut().follow();
        }
        self.toast = None;
    }

    pub(super) fn toggle_bare(&mut self) {
        self.is_bare = !self.is_bare;
        // The terminal's own selection needs the mouse.
        self.wish(Wish::Mouse(self.options.ui.mouse && !self.is_bare));
    }

    fn complete(&mut self, is_back: bool) {
        let mut cycle = match self.cycle.take() {
            Some(mut cycle) => {
                cycle.turn(is_back);
                cycle
            }
            None => {
                let words = self.words();
                let Some(cycle) = Cycle::of(self.composer.before(), &words) else {
                    return;
                };
                cycle
            }
        };
        let word = cycle.word().to_owned();
        self.composer.replace(cycle.start, cycle.end, &word);
        cycle.end = cycle.start + word.len();
        self.cycle = Some(cycle);
    }

    /// The words that Tab goes through now, and which of them is there.
    #[must_use]
    pub fn choices(&self) -> Option<(&[String], usize)> {
        self.cycle.as_ref().map(Cycle::choices)
    }

    fn words(&self) -> Words {
        let room = self.room();
        let mut words = Words::default();
        let add = |names: &mut Vec<String>, name: &str| {
            if name != self.me && !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        };
        for (_, item) in room.timeline.iter().rev().take(RECENT_LEN) {
            if let Kind::Said(said) = &item.kind {
                add(&mut words.names, said.author.name.as_str());
            }
        }
        for name in &room.members.names {
            add(&mut words.names, name.as_str());
        }
        if let Some(user) = room.place.as_ref().and_then(|place| place.direct.as_ref()) {
            add(&mut words.names, user.as_str());
        }
        words.rooms = self.known_rooms.iter().cloned().collect();
        words
    }

    fn recall_back(&mut self) {
        let (back, draft) = self
            .recall
            .take()
            .unwrap_or_else(|| (0, self.composer.text().to_owned()));
        let sent = &self.room().sent;
        let back = (back + 1).min(sent.len());
        if let Some(line) = sent.get(sent.len() - back).cloned() {
            self.composer.set(&line);
            self.recall = Some((back, draft));
        }
    }

    fn recall_on(&mut self) {
        let Some((back, draft)) = self.recall.take() else {
            return;
        };
        if back <= 1 {
            return self.composer.set(&draft);
        }
        let sent = &self.room().sent;
        if let Some(line) = sent.get(sent.len() + 1 - back).cloned() {
            self.composer.set(&line);
            self.recall = Some((back - 1, draft));
        }
    }

    pub(super) fn page(&mut self, now: Now, is_up: bool) {
        let page = usize::from(self.layout().messages.height)
            .saturating_sub(1)
            .max(1);
        if is_up {
            self.scroll_up(now, page);
        } else {
            self.scroll_down(page);
        }
    }

    pub(super) fn scroll_up(&mut self, now: Now, by: usize) {
        let is_top = self.with_paper(|room, paper, height| scroll::up(room, paper, height, by));
        if is_top {
            self.load_older(now);
        }
    }

    pub(super) fn scroll_down(&mut self, by: usize) {
        self.with_paper(|room, paper, _| scroll::down(room, paper, by));
        if self.room().anchor.is_none() {
            self.room_mut().follow();
        }
    }

    fn go_to_mention(&mut self, now: Now, is_up: bool) {
        let room = self.room();
        let is_mention = |index: i64| matches!(room.timeline.get(index).map(|item| &item.kind), Some(Kind::Said(said)) if said.mention);
        // The middle of the pane is where the one before was put.
        let height = usize::from(self.layout().messages.height);
        let shown = scroll::visible(room, &self.paper(), height);
        let middle = shown.get(shown.len() / 2).map(|(index, _)| *index);
        let from = match (room.anchor, middle) {
            (Some(_), Some(middle)) => middle,
            _ => room.end(),
        };
        let found = if is_up {
            (room.first()..from).rev().find(|index| is_mention(*index))
        } else {
            (from + 1..room.end()).find(|index| is_mention(*index))
        };
        match found {
            Some(index) => self.go_to(index),
            None if is_up => self.say(now, "no mention above, of what is loaded"),
            None => self.room_mut().follow(),
        }
    }

    fn select(&mut self, now: Now) {
        // The lowest that is shown.
        let from = match self.room().anchor {
            Some(anchor) => anchor.item + 1,
            None => self.room().end(),
        };
        match self.message_before(from) {
            Some(index) => {
                self.deleting = None;
                self.is_clicked = false;
                self.overlay = Some(Overlay::Select(index));
                self.show_entry(index);
            }
            None => self.say(now, "no message to choose"),
        }
    }

    pub(super) fn show_entry(&mut self, index: i64) {
        self.with_paper(|room, paper, height| scroll::show(room, paper, height, index));
    }

    pub(super) fn message_before(&self, index: i64) -> Option<i64> {
        let room = self.room();
        (room.first()..index.min(room.timeline.end()))
            .rev()
            .find(|index| is_message(room, *index))
    }

    pub(super) fn message_after(&self, index: i64) -> Option<i64> {
        let room = self.room();
        (index + 1..room.timeline.end()).find(|index| is_message(room, *index))
    }

    fn edit_last(&mut self, now: Now) {
        let room = self.room();
        let found = room.timeline.iter().rev().find_map(|(_, item)| {
            let Kind::Said(said) = &item.kind else {
                return None;
            };
            let text = room.text_of(said);
            (said.own && !text.is_empty()).then(|| (said.cursor, text.to_owned()))
        });
        match found {
            Some((cursor, text)) => self.aim_at(Aim::Edit(cursor), &super::submit::escaped(&text)),
            None => self.say(now, "nothing of yours here"),
        }
    }

    fn retry(&mut self, now: Now) {
        if self.room().is_abandoned {
            return self.say(now, "nobody reads this room any more");
        }
        let has = |room: &Room, is_it: fn(&PendingState) -> bool| {
            room.pending.iter().any(|pending| is_it(&pending.state))
        };
        let is_refused = |state: &PendingState| matches!(state, PendingState::Refused(_));
        let is_unknown = |state: &PendingState| *state == PendingState::Unknown;
        // What may be in the log is sent again only when that was asked for twice.
        let may_double = !has(self.room(), is_refused)
            && has(self.room(), is_unknown)
            && self
                .doubling_at
                .replace(now.instant)
                .is_some_and(|at| now.instant - at < WARNED_TIME);
        if !may_double && !has(self.room(), is_refused) && has(self.room(), is_unknown) {
            let keys = self.keys_of(Action::Retry);
            return self.say(
                now,
                format!("it may be in the log already; {keys} sends it again"),
            );
        }
        let room = self.room_mut();
        let (again, kept): (Vec<Pending>, Vec<Pending>) = std::mem::take(&mut room.pending)
            .into_iter()
            .partition(|pending| {
                is_refused(&pending.state) || may_double && is_unknown(&pending.state)
            });
        room.pending = kept;
        if again.is_empty() {
            return self.say(now, "nothing to send again here");
        }
        for pending in again {
            self.send_operation(pending.operation, pending.text, pending.style, now);
        }
    }

    /// Tells the room that this user is typing, every few seconds at most.
    fn tell_typing(&mut self, now: Now) {
        let is_told = self
            .typing_told_at
            .is_some_and(|at| now.instant - at < TYPING_INTERVAL);
        let is_command = self.composer.text().starts_with('/');
        if is_told || is_command || !self.options.ui.typing {
            return;
        }
        if let Some(place) = &self.room().place {
            let room = place.room.clone();
            self.typing_told_at = Some(now.instant);
            self.wish(Wish::Typing(room));
        }
    }

    pub(super) fn ask_for(&mut self, operation: Operation) {
        self.ask(None, operation);
    }

    pub(super) fn on_help_key(&mut self, chord: Chord, action: Option<Action>, now: Now) {
        let Some(Overlay::Help(from)) = &mut self.overlay else {
            return;
        };
        match (action, chord.plain()) {
            (Some(Action::PageDown), _) | (_, Some(KeyCode::Char(' '))) => *from += HELP_PAGE,
            (Some(Action::PageUp), _) => *from = from.saturating_sub(HELP_PAGE),
            (Some(Action::HistoryDown), _) => *from += 1,
            (Some(Action::HistoryUp), _) => *from = from.saturating_sub(1),
            _ => {
                self.overlay = None;
                // Whoever types on has read enough, and means it.
                if let Some(letter) = chord.letter() {
                    self.type_letter(letter, now);
                }
            }
        }
    }
}

fn is_message(room: &Room, index: i64) -> bool {
    matches!(
        room.timeline.get(index).map(|item| &item.kind),
        Some(Kind::Said(_))
    )
}

/// At most as much of a pasted text as is looked at.
fn bounded(text: &str) -> String {
    let mut end = text.len().min(PASTE_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

pub(super) fn too_long(bytes: usize) -> String {
    format!("{bytes} bytes are more than can be edited here, which is {TEXT_BYTES_MAX}")
}

/// How long it is remembered that leaving was warned of.
const WARNED_TIME: std::time::Duration = std::time::Duration::from_secs(20);
/// Two presses within this time leave.
const INTERRUPT_TIME: std::time::Duration = std::time::Duration::from_secs(2);
/// How often the room is told.
const TYPING_INTERVAL: std::time::Duration = std::time::Duration::from_secs(3);
/// Items that are looked through for names.
const RECENT_LEN: usize = 500;
/// Rows a page of the help goes on by.
const HELP_PAGE: usize = 10;
/// Most of a pasted text.
const PASTE_BYTES_MAX: usize = 256 * 1024;
