//! Where a reader stands in a room's log.

use std::fmt::{self, Display};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// One incarnation of a room's log. A new one begins when the backplane lost or rolled back the
/// old one; numbers of different epochs say nothing about each other.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Epoch(pub u64);

impl Display for Epoch {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:x}", self.0)
    }
}

/// Place of an entry in its epoch: 1, 2, 3 and so on without holes. 0 is the place before the first.
#[derive(
    Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize,
)]
pub struct Seq(pub u64);

impl Seq {
    /// Before the first entry.
    pub const ZERO: Self = Self(0);

    /// Largest seq a log may reach: integers beyond it are not exact in the Lua of the backplane.
    pub const MAX: Self = Self((1 << 53) - 1);

    /// The place after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The place `len` further.
    #[must_use]
    pub const fn plus(self, len: u64) -> Self {
        Self(self.0.saturating_add(len))
    }

    /// The place `len` before, or [`Seq::ZERO`].
    #[must_use]
    pub const fn minus(self, len: u64) -> Self {
        Self(self.0.saturating_sub(len))
    }
}

impl Display for Seq {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(&self.0, out)
    }
}

/// An epoch and a seq in it: the last entry a reader has. Applications may store it and resume from
/// it on any node; the text form is `epoch:seq` with the epoch in hex.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct Cursor {
    /// Incarnation of the log.
    pub epoch: Epoch,
    /// Last entry the reader has.
    pub seq: Seq,
}

impl Cursor {
    /// The cursor after `seq` of `epoch`.
    #[must_use]
    pub const fn new(epoch: Epoch, seq: Seq) -> Self {
        Self { epoch, seq }
    }
}

impl Display for Cursor {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}", self.epoch, self.seq)
    }
}

/// A text that is not `epoch:seq`.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("a cursor is written EPOCH:SEQ, an epoch in hex and a decimal seq")]
pub struct InvalidCursor;

impl FromStr for Cursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        let (epoch, seq) = text.split_once(':').ok_or(InvalidCursor)?;
        Ok(Self {
            epoch: Epoch(u64::from_str_radix(epoch, 16).map_err(|_| InvalidCursor)?),
            seq: Seq(seq.parse().map_err(|_| InvalidCursor)?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_its_text() {
        let cursor = Cursor::new(Epoch(0xdead_beef), Seq(42));
        assert_eq!(cursor.to_string(), "deadbeef:42");
        assert_eq!("deadbeef:42".parse(), Ok(cursor));
        for wrong in ["", ":", "1", "g:1", "1:x", "1:-1"] {
            assert_eq!(wrong.parse::<Cursor>(), Err(InvalidCursor), "{wrong}");
        }
    }
}
