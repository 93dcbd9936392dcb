//! Hashes that are fast and need not withstand anybody: of an entry's bytes, and of keys.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use chat_protocol::lane::{LaneFrame, Message};
use chat_protocol::{Content, Frame};

/// A map whose keys are small numbers.
pub(super) type QuickMap<K, V> = HashMap<K, V, BuildHasherDefault<Quick>>;

/// A hash of everything in an entry.
#[must_use]
pub fn hash(entry: &LaneFrame) -> u64 {
    if let LaneFrame::Message(message) = entry {
        return hash_message(message);
    }
    let mut quick = Quick::default();
    quick.part(&entry.to_bytes());
    quick.finish()
}

/// The same without an allocation.
pub(super) fn hash_message(message: &Message) -> u64 {
    let Message {
        author,
        nonce,
        at_ms,
        content,
    } = message;
    let mut quick = Quick::default();
    quick.write_u64(author.session.0);
    match &author.account {
        None => quick.write_u64(0),
        Some(account) => {
            quick.write_u64(1);
            quick.part(&account.0);
        }
    }
    quick.part(author.name.as_str().as_bytes());
    quick.write_u64(nonce.0);
    quick.write_u64(*at_ms);
    match content {
        Content::Text(text) => {
            quick.write_u64(0);
            quick.part(text.as_str().as_bytes());
        }
        Content::Action(text) => {
            quick.write_u64(1);
            quick.part(text.as_str().as_bytes());
        }
        Content::Opaque { content_type, body } => {
            quick.write_u64(2);
            quick.write_u64(u64::from(*content_type));
            quick.part(body);
        }
        // Rare, so it may allocate; as of a content type that is not known.
        other => {
            let (content_type, body) = other.clone().into_parts();
            quick.write_u64(2);
            quick.write_u64(u64::from(content_type));
            quick.part(&body);
        }
    }
    quick.finish()
}

/// Takes eight bytes at a time; every one of its steps can be undone, so none loses a difference.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Quick(u64);

impl Quick {
    /// Bytes of any length, so that what follows cannot be taken for a part of them.
    fn part(&mut self, bytes: &[u8]) {
        self.write_u64(bytes.len() as u64);
        self.write(bytes);
    }
}

impl Hasher for Quick {
    fn write(&mut self, bytes: &[u8]) {
        let (eights, rest) = bytes.as_chunks::<8>();
        for eight in eights {
            self.write_u64(u64::from_le_bytes(*eight));
        }
        if !rest.is_empty() {
            let mut last = [0; 8];
            last[..rest.len()].copy_from_slice(rest);
            self.write_u64(u64::from_le_bytes(last));
        }
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(u64::from(number));
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0.rotate_left(5) ^ number).wrapping_mul(ODD);
    }

    fn finish(&self) -> u64 {
        // The product's high bits depend on all of the number, its low ones on little.
        self.0 ^ self.0.rotate_left(26)
    }
}

/// An odd number with as many ones as zeros: multiplying by it can be undone and mixes well.
const ODD: u64 = 0x9e37_79b9_7f4a_7c15;

#[cfg(test)]
mod tests {
    use super::*;

    fn hashed(parts: &[&[u8]]) -> u64 {
        let mut quick = Quick::default();
        parts.iter().for_each(|part| quick.part(part));
        quick.finish()
    }

    #[test]
    fn every_byte_and_where_it_belongs_makes_a_difference() {
        let bytes = [7_u8; 21];
        for place in 0..bytes.len() {
            let mut other = bytes;
            other[place] ^= 1;
            assert_ne!(hashed(&[&bytes]), hashed(&[&other]), "{place}");
        }
        assert_ne!(hashed(&[b"ab", b"c"]), hashed(&[b"a", b"bc"]));
        assert_ne!(hashed(&[b"a"]), hashed(&[b"a\0"]));
    }
}
