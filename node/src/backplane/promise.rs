//! What a backplane promises of an entry that was acknowledged. Pure.

use std::fmt::{self, Display};

use chat_protocol::node::Durability;
use thiserror::Error;

/// What becomes of acknowledged entries.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Promise {
    /// What they survive.
    pub survival: Survival,
    /// Whether the backplane may drop them when its memory is full.
    pub may_evict: bool,
}

/// What an acknowledged entry survives. `Display` is a sentence for operators.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Survival {
    /// The backplane does not tell.
    #[default]
    Unknown,
    /// Nothing: it is in this process.
    Node,
    /// No restart of Redis: it keeps nothing on disk.
    Memory,
    /// A crash of Redis, if it is older than the last snapshot.
    Snapshot,
    /// A crash of Redis, and one of its machine if the system had written it to disk.
    System,
    /// A crash of Redis, if it is older than about a second.
    Second,
    /// A crash of Redis.
    Crash,
}

impl Survival {
    /// Every one, in the order of its number.
    pub const ALL: [Self; 7] = [
        Self::Unknown,
        Self::Node,
        Self::Memory,
        Self::Snapshot,
        Self::System,
        Self::Second,
        Self::Crash,
    ];

    /// Its number on the wire.
    #[must_use]
    pub const fn to_wire(self) -> Durability {
        match self {
            Self::Unknown => Durability::UNKNOWN,
            Self::Node => Durability::NODE,
            Self::Memory => Durability::MEMORY,
            Self::Snapshot => Durability::SNAPSHOT,
            Self::System => Durability::SYSTEM,
            Self::Second => Durability::SECOND,
            Self::Crash => Durability::CRASH,
        }
    }

    /// What a number on the wire means; a later version's is unknown here.
    #[must_use]
    pub fn from_wire(durability: Durability) -> Self {
        let mut all = Self::ALL.into_iter();
        all.find(|survival| survival.to_wire() == durability)
            .unwrap_or_default()
    }
}

impl Display for Survival {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Unknown => "it is unknown what an acked message survives: Redis does not tell",
            Self::Node => "acked messages are lost when the node stops",
            Self::Memory => "acked messages are lost when Redis restarts",
            Self::Snapshot => {
                "acked messages since the last snapshot may be lost when Redis crashes"
            }
            Self::System => {
                "an acked message survives a crash of Redis; up to about 30 seconds of acked \
                 messages may be lost when its machine crashes"
            }
            Self::Second => {
                "up to about one second of acked messages may be lost when Redis crashes"
            }
            Self::Crash => "an acked message survives a crash of Redis",
        })
    }
}

/// Why a backplane must not be used as it is set up.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("{what}")]
pub struct Unfit {
    /// What is wrong with it.
    pub what: String,
    /// What the operator can do.
    pub help: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_comes_back_and_a_later_one_is_unknown() {
        for (number, survival) in (0..).zip(Survival::ALL) {
            assert_eq!(survival.to_wire(), Durability(number));
            assert_eq!(Survival::from_wire(Durability(number)), survival);
        }
        assert_eq!(Survival::from_wire(Durability(7)), Survival::Unknown);
    }
}
