//! What the events of the session mean for the conversation, and what is shown of them.

use chat_client::{Event, GapReason, Welcomed};
use chat_protocol::{Cursor, RoomName};

use super::{Conversation, Open};
use crate::report::{Place, Report};

impl Conversation {
    /// Takes an event in.
    pub(super) fn on_event(&mut self, event: Event) {
        if event.room().is_some_and(|room| *room == RoomName::system()) {
            // Its notices come as such; that it is a room is nobody's concern.
            return;
        }
        let report = match event {
            Event::Connected(welcomed) => return self.on_welcome(welcomed),
            Event::Disconnected {
                reason,
                retry_in,
                attempt,
            } => Report::Disconnected {
                node: self.node.clone(),
                reason: reason.text,
                retry_in,
                attempt,
            },
            Event::Joined {
                room,
                direct,
                head,
                next,
                members,
                topic,
                rejoined,
            } => {
                let place = Place {
                    room: room.clone(),
                    direct,
                };
                let known = self.rooms.remove(&room);
                let oldest = known.as_ref().map(|open| open.oldest);
                let mut echo = known.as_ref().map(|open| open.echo).unwrap_or_default();
                let recent = known.map(|open| open.recent).unwrap_or_default();
                echo.see(Cursor::new(head.epoch, next.minus(1)));
                let open = Open {
                    place: place.clone(),
                    topic: topic.clone(),
                    echo,
                    oldest: oldest.unwrap_or_else(|| Cursor::new(head.epoch, next)),
                    recent,
                };
                self.rooms.insert(room.clone(), open);
                let past = head.seq.next().0.saturating_sub(next.0);
                self.ready.push_back(Report::Joined {
                    place,
                    head,
                    past,
                    members,
                    topic,
                    rejoined,
                });
                return self.on_room_open(&room);
            }
            Event::Message { .. }
            | Event::TopicChanged { .. }
            | Event::Notice { .. }
            | Event::Damaged { .. }
            | Event::Gap { .. } => {
                self.note(&event);
                match self.entry(event, false) {
                    Some(report) => report,
                    None => return,
                }
            }
            Event::Presence {
                room,
                members,
                changes,
                more,
            } => Report::Presence {
                place: self.place(&room),
                members,
                changes,
                more,
            },
            Event::Typing { room, name, .. } => Report::Typing {
                place: self.place(&room),
                name,
            },
            Event::Left { room, reason } => {
                let place = self.place(&room);
                self.rooms.remove(&room);
                self.ready.push_back(Report::Left {
                    place: place.clone(),
                    reason,
                });
                return self.on_room_closed(place);
            }
            Event::Renamed { name } => {
                self.me = name.clone();
                Report::Renamed { name }
            }
            Event::Goaway { delay, .. } => Report::Draining { delay },
            Event::BackplaneState { available } => {
                if std::mem::replace(&mut self.has_backplane, available) == available {
                    return;
                }
                Report::Backplane { available }
            }
            Event::Closed { reason } => Report::Closed {
                reason: reason.text,
            },
            // A later kind of event: nothing is known about it.
            _ => return,
        };
        self.ready.push_back(report);
    }

    /// Keeps what an entry of the lane changes: how far the room has come, and its topic.
    fn note(&mut self, event: &Event) {
        match event {
            Event::Message { room, cursor, .. } | Event::Damaged { room, cursor } => {
                self.see(room, *cursor);
            }
            Event::TopicChanged {
                room,
                cursor,
                change,
                ..
            } => {
                self.see(room, *cursor);
                if let Some(open) = self.rooms.get_mut(room) {
                    open.topic = change.topic.clone();
                }
            }
            Event::Gap {
                room, reason, next, ..
            } => {
                self.see(room, Cursor::new(next.epoch, next.seq.minus(1)));
                if let Some(open) = self.rooms.get_mut(room)
                    && *reason == GapReason::Diverged
                {
                    // What was shown before is of another log.
                    open.oldest = *next;
                    open.recent.on_new_log();
                }
            }
            _ => {}
        }
    }

    /// What is shown of an entry or a hole, of the lane or of `older` ones.
    pub(super) fn entry(&mut self, event: Event, older: bool) -> Option<Report> {
        Some(match event {
            Event::Message {
                room,
                cursor,
                message,
                own,
                history,
            } => self.message(&room, cursor, message, (own, history, older)),
            Event::TopicChanged {
                room,
                cursor,
                change,
                history,
            } => Report::TopicChanged {
                place: self.place(&room),
                cursor,
                own: change.author.session == self.session,
                change,
                history,
            },
            Event::Notice {
                cursor,
                notice,
                history,
            } => Report::Notice {
                cursor,
                notice,
                history,
            },
            Event::Damaged { room, cursor } => Report::Damaged {
                place: self.place(&room),
                cursor,
                older,
            },
            Event::Gap {
                room,
                reason,
                from,
                next,
            } => Report::Gap {
                place: self.place(&room),
                reason,
                from,
                next,
                older,
            },
            _ => return None,
        })
    }

    fn on_welcome(&mut self, welcomed: Welcomed) {
        let first = !std::mem::replace(&mut self.was_connected, true);
        if self.session != welcomed.session {
            let rooms = self.rooms.values_mut();
            rooms.for_each(|open| open.recent.on_new_session());
        }
        self.session = welcomed.session;
        self.me = welcomed.name.clone();
        self.node = Some(welcomed.node.clone());
        self.ready.push_back(Report::Connected {
            node: welcomed.node,
            target: welcomed.target,
            session: welcomed.session,
            name: welcomed.name.clone(),
            first,
            resumed: welcomed.resumed,
        });
        if let Some(wanted) = self
            .wanted
            .take_if(|wanted| first && *wanted != welcomed.name)
        {
            let (wanted, name) = (wanted.to_string(), welcomed.name);
            self.ready.push_back(Report::NameDiffers { wanted, name });
        }
    }

    /// A room has its first event: a join that was answered is now done.
    fn on_room_open(&mut self, room: &RoomName) {
        if let Some(index) = self.joining.iter().position(|(joining, _)| joining == room) {
            let (room, reference) = self.joining.swap_remove(index);
            let place = Some(self.place(&room));
            self.ready.push_back(Report::Done {
                reference,
                operation: "join",
                place,
            });
        }
    }

    /// A room is gone: a leave that was answered is now done, and what is typed goes elsewhere.
    fn on_room_closed(&mut self, left: Place) {
        if self.current.as_ref() == Some(&left.room) {
            self.current = self.rooms.keys().next().cloned();
            if let Some(place) = self.current().cloned() {
                self.ready.push_back(Report::Went { place });
            }
        }
        if let Some(index) = self.leaving.iter().position(|(room, _)| *room == left.room) {
            let (_, reference) = self.leaving.swap_remove(index);
            let place = Some(left);
            self.ready.push_back(Report::Done {
                reference,
                operation: "part",
                place,
            });
        }
    }

    fn see(&mut self, room: &RoomName, cursor: Cursor) {
        if let Some(open) = self.rooms.get_mut(room) {
            open.echo.see(cursor);
        }
    }
}
