//! Whether acks and lanes agree on where this client's own messages stand. Pure.

use std::collections::VecDeque;

use chat_protocol::{Cursor, Nonce};
use thiserror::Error;

/// Places of this session's latest messages in a room, as an ack or the lane told them first.
#[derive(Debug, Default)]
pub(crate) struct OwnPlaces {
    places: VecDeque<(Nonce, Cursor)>,
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
    /// Takes note of a place. In another epoch a message may stand elsewhere: the log began anew.
    pub(crate) fn on_place(&mut self, nonce: Nonce, cursor: Cursor) -> Result<(), Disagreement> {
        let place = self
            .places
            .iter_mut()
            .rev()
            .find(|(known, _)| *known == nonce);
        match place {
            Some((_, before)) if before.epoch == cursor.epoch && *before != cursor => {
                return Err(Disagreement {
                    nonce,
                    before: *before,
                    now: cursor,
                });
            }
            Some((_, before)) => *before = cursor,
            None => {
                if self.places.len() >= PLACES_LEN_MAX {
                    self.places.pop_front();
                }
                self.places.push_back((nonce, cursor));
            }
        }
        Ok(())
    }

    /// Another session counts its nonces anew.
    pub(crate) fn clear(&mut self) {
        self.places.clear();
    }
}

/// Ack and lane rarely lie further apart than what a session may have in flight.
const PLACES_LEN_MAX: usize = chat_protocol::limits::IN_FLIGHT_MAX;

#[cfg(test)]
mod tests {
    use chat_protocol::{Epoch, Seq};

    use super::*;

    #[test]
    fn one_message_has_one_place_in_an_epoch() {
        let at = |epoch, seq| Cursor::new(Epoch(epoch), Seq(seq));
        let mut own = OwnPlaces::default();
        assert_eq!(own.on_place(Nonce(1), at(7, 10)), Ok(()));
        assert_eq!(own.on_place(Nonce(1), at(7, 10)), Ok(()), "told twice");
        let wrong = Disagreement {
            nonce: Nonce(1),
            before: at(7, 10),
            now: at(7, 11),
        };
        assert_eq!(own.on_place(Nonce(1), at(7, 11)), Err(wrong));
        assert_eq!(
            own.on_place(Nonce(1), at(8, 3)),
            Ok(()),
            "appended again in a new epoch"
        );
        assert!(own.on_place(Nonce(1), at(8, 4)).is_err());
        for nonce in 2..2_000 {
            assert_eq!(own.on_place(Nonce(nonce), at(8, nonce + 10)), Ok(()));
        }
        assert_eq!(own.places.len(), PLACES_LEN_MAX);
        own.clear();
        assert_eq!(own.on_place(Nonce(1_999), at(8, 5_000)), Ok(()));
    }
}
