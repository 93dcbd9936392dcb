//! Where this client's own messages stand, by what acks and lanes tell. Pure.
//!
//! Whoever can write to a log can write entries with a client's session and nonce. Such entries must
//! cost a client nothing: they are shown as not its own, and it goes on.

use std::collections::VecDeque;

use chat_protocol::{Cursor, Nonce};
use thiserror::Error;

/// Places of this session's latest messages in a room, as an ack or the lane told them first.
#[derive(Debug, Default)]
pub(crate) struct OwnPlaces {
    places: VecDeque<Place>,
    /// A disagreement was told: another connection does not mend a log, so there is no second time.
    is_doubted: bool,
}

#[derive(Debug)]
struct Place {
    nonce: Nonce,
    cursor: Cursor,
    told_by: Teller,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Teller {
    Ack,
    Lane,
}

/// An ack and the lane, or two acks, put one message in two places of one epoch.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("message {nonce} stands at {now}, and was told to stand at {before}")]
pub(crate) struct Disagreement {
    pub(crate) nonce: Nonce,
    pub(crate) before: Cursor,
    pub(crate) now: Cursor,
}

impl OwnPlaces {
    /// An ack told where a message stands.
    ///
    /// # Errors
    /// When something else was told before, but for the first time only.
    pub(crate) fn on_ack(&mut self, nonce: Nonce, cursor: Cursor) -> Result<(), Disagreement> {
        match self.on_place(nonce, cursor, Teller::Ack) {
            Some((before, _)) => self.doubt(nonce, before, cursor),
            None => Ok(()),
        }
    }

    /// The lane has an entry with this nonce: whether it is the message, and not a copy of it.
    ///
    /// # Errors
    /// When an ack told of another place, but for the first time only.
    pub(crate) fn on_entry(&mut self, nonce: Nonce, cursor: Cursor) -> Result<bool, Disagreement> {
        match self.on_place(nonce, cursor, Teller::Lane) {
            Some((before, Teller::Ack)) => self.doubt(nonce, before, cursor).map(|()| false),
            // The log has it twice, for all its readers: nothing is wrong with the connection.
            Some((_, Teller::Lane)) => Ok(false),
            None => Ok(true),
        }
    }

    /// Another session counts its nonces anew.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Takes note of a place; gives what was told before when that is another place of its epoch.
    /// In another epoch a message may stand elsewhere: the log began anew.
    fn on_place(
        &mut self,
        nonce: Nonce,
        cursor: Cursor,
        told_by: Teller,
    ) -> Option<(Cursor, Teller)> {
        let mut latest_first = self.places.iter_mut().rev();
        match latest_first.find(|place| place.nonce == nonce) {
            Some(place) if place.cursor == cursor => {
                if told_by == Teller::Lane {
                    place.told_by = Teller::Lane;
                }
                None
            }
            Some(place) if place.cursor.epoch == cursor.epoch => {
                Some((place.cursor, place.told_by))
            }
            Some(place) => {
                (place.cursor, place.told_by) = (cursor, told_by);
                None
            }
            None => {
                if self.places.len() >= PLACES_LEN_MAX {
                    self.places.pop_front();
                }
                self.places.push_back(Place {
                    nonce,
                    cursor,
                    told_by,
                });
                None
            }
        }
    }

    fn doubt(&mut self, nonce: Nonce, before: Cursor, now: Cursor) -> Result<(), Disagreement> {
        if self.is_doubted {
            return Ok(());
        }
        self.is_doubted = true;
        Err(Disagreement { nonce, before, now })
    }
}

/// Ack and lane rarely lie further apart than what a session may have in flight.
const PLACES_LEN_MAX: usize = chat_protocol::limits::IN_FLIGHT_MAX;

#[cfg(test)]
mod tests {
    use chat_protocol::{Epoch, Seq};

    use super::*;

    const ONE: Nonce = Nonce(1);

    fn at(epoch: u64, seq: u64) -> Cursor {
        Cursor::new(Epoch(epoch), Seq(seq))
    }

    #[test]
    fn one_message_has_one_place_in_an_epoch() {
        let mut own = OwnPlaces::default();
        assert_eq!(own.on_ack(ONE, at(7, 10)), Ok(()));
        assert_eq!(own.on_entry(ONE, at(7, 10)), Ok(true));
        assert_eq!(own.on_ack(ONE, at(7, 10)), Ok(()), "told twice");
        assert_eq!(own.on_entry(ONE, at(7, 11)), Ok(false), "a copy");
        assert_eq!(
            own.on_entry(ONE, at(8, 3)),
            Ok(true),
            "appended again in a new epoch"
        );
        assert_eq!(own.on_entry(ONE, at(8, 4)), Ok(false));
        for nonce in 2..2_000 {
            assert_eq!(own.on_ack(Nonce(nonce), at(8, nonce + 10)), Ok(()));
        }
        assert_eq!(own.places.len(), PLACES_LEN_MAX);
        own.clear();
        assert_eq!(own.on_entry(Nonce(1_999), at(8, 5_000)), Ok(true));
    }

    #[test]
    fn a_disagreement_is_told_once() {
        let wrong = |before, now| Disagreement {
            nonce: ONE,
            before: at(7, before),
            now: at(7, now),
        };
        let mut own = OwnPlaces::default();
        assert_eq!(own.on_ack(ONE, at(7, 10)), Ok(()));
        assert_eq!(own.on_entry(ONE, at(7, 9)), Err(wrong(10, 9)));
        assert_eq!(own.on_entry(ONE, at(7, 9)), Ok(false), "it says so again");
        assert_eq!(own.on_entry(ONE, at(7, 10)), Ok(true), "as acked");
        own.clear();
        assert_eq!(own.on_entry(ONE, at(7, 10)), Ok(true));
        assert_eq!(own.on_ack(ONE, at(7, 11)), Err(wrong(10, 11)));
        assert_eq!(own.on_ack(ONE, at(7, 11)), Ok(()));
        assert_eq!(own.on_entry(ONE, at(7, 11)), Ok(false), "shown already");
    }
}
