//! The sending end of an attachment's events: never waits, never loses without saying so.

use tokio::sync::mpsc::{self, OwnedPermit, Receiver, Sender};

use super::{EVENTS_LEN_MAX, Event};

/// Sends events to one node.
///
/// One place of the queue is kept back for [`Event::Missed`]: when an event does not fit, `Missed`
/// takes that place at once, and events are dropped until the node has caught up half of the queue.
/// So whatever is dropped comes before a `Missed` that the node has not read yet.
#[derive(Debug)]
pub(super) struct Outbox {
    events: Sender<Event>,
    /// The place kept back; none while events are dropped.
    kept_back: Option<OwnedPermit<Event>>,
    /// An availability that could not be told yet.
    untold: Option<bool>,
}

impl Outbox {
    pub(super) fn new() -> (Self, Receiver<Event>) {
        let (events, receiver) = mpsc::channel(EVENTS_LEN_MAX + 1);
        let kept_back = events.clone().try_reserve_owned().ok();
        (
            Self {
                events,
                kept_back,
                untold: None,
            },
            receiver,
        )
    }

    /// Sends an event, or drops it and says so by [`Event::Missed`].
    pub(super) fn send(&mut self, event: Event) {
        if let Event::Available(available) = event {
            self.untold = Some(available);
            self.settle();
        } else if let Event::Whispered { .. } = event {
            // Nobody misses it, so it takes no place that an announcement may need.
            if self.is_open() && self.events.capacity() > EVENTS_LEN_MAX / 2 {
                let _ = self.events.try_send(event);
            }
        } else if self.is_open() && self.events.try_send(event).is_err() {
            self.overflow();
        }
    }

    /// Tells what could not be told when it happened. To be called now and then.
    pub(super) fn settle(&mut self) {
        if !self.is_open() {
            return;
        }
        if let Some(available) = self.untold {
            match self.events.try_send(Event::Available(available)) {
                Ok(()) => self.untold = None,
                Err(_) => self.overflow(),
            }
        }
    }

    fn is_open(&mut self) -> bool {
        if self.kept_back.is_none() && self.events.capacity() > EVENTS_LEN_MAX / 2 {
            self.kept_back = self.events.clone().try_reserve_owned().ok();
        }
        self.kept_back.is_some()
    }

    fn overflow(&mut self) {
        if let Some(place) = self.kept_back.take() {
            place.send(Event::Missed);
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn gossip(outbox: &mut Outbox, number: usize) {
        outbox.send(Event::Gossip(Bytes::from(number.to_string())));
    }

    /// What was received: a number, `missed` or an availability.
    fn take(events: &mut Receiver<Event>) -> Option<String> {
        Some(match events.try_recv().ok()? {
            Event::Gossip(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
            Event::Missed => "missed".to_owned(),
            Event::Available(available) => available.to_string(),
            Event::Announced { .. } | Event::Whispered { .. } => unreachable!(),
        })
    }

    #[test]
    fn what_does_not_fit_is_said_once_and_before_what_follows() {
        let (mut outbox, mut events) = Outbox::new();
        for number in 0..EVENTS_LEN_MAX + 10 {
            gossip(&mut outbox, number);
        }
        assert_eq!(take(&mut events).as_deref(), Some("0"));
        gossip(&mut outbox, 7_777); // There is room for one, but `Missed` is not read yet.
        let rest: Vec<String> = std::iter::from_fn(|| take(&mut events)).collect();
        assert_eq!(rest.len(), EVENTS_LEN_MAX);
        assert_eq!(rest.last().map(String::as_str), Some("missed"));
        gossip(&mut outbox, 8_888);
        assert_eq!(take(&mut events).as_deref(), Some("8888"));
        assert_eq!(take(&mut events), None);
    }

    #[test]
    fn availability_is_told_when_there_is_room_again() {
        let (mut outbox, mut events) = Outbox::new();
        for number in 0..=EVENTS_LEN_MAX {
            gossip(&mut outbox, number);
        }
        outbox.send(Event::Available(false));
        outbox.send(Event::Available(true));
        while take(&mut events).is_some() {}
        outbox.settle();
        assert_eq!(take(&mut events).as_deref(), Some("true"));
        assert_eq!(take(&mut events), None);
    }
}
