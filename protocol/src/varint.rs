//! QUIC variable-length integers (RFC 9000, section 16): the length is known from the first byte.
//!
//! Only the shortest form of a value is accepted, so that a frame has exactly one encoding.

use bytes::BufMut;
use thiserror::Error;

/// Largest value a varint can carry.
pub const MAX: u64 = (1 << 62) - 1;

/// A varint that is longer than its value needs.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("varint is not in its shortest form")]
pub struct NotShortest;

/// Bytes that `value` takes: 1, 2, 4 or 8.
///
/// # Panics
/// When `value` exceeds [`MAX`]; callers encode lengths and kinds, which are far below it.
#[must_use]
pub const fn len(value: u64) -> usize {
    match value {
        0..=0x3f => 1,
        0x40..=0x3fff => 2,
        0x4000..=0x3fff_ffff => 4,
        _ => {
            assert!(value <= MAX, "value fits a varint");
            8
        }
    }
}

/// Appends `value` in its shortest form.
///
/// # Panics
/// When `value` exceeds [`MAX`].
pub fn put(value: u64, out: &mut impl BufMut) {
    let bytes = len(value);
    let tag = match bytes {
        1 => 0u64,
        2 => 1,
        4 => 2,
        _ => 3,
    };
    out.put_uint(value | tag << (bytes * 8 - 2), bytes);
}

/// Reads a varint from the start of `bytes`: its value and length, or `None` when more bytes are
/// needed.
///
/// # Errors
/// [`NotShortest`] when the value would have fitted fewer bytes.
pub fn read(bytes: &[u8]) -> Result<Option<(u64, usize)>, NotShortest> {
    let Some(&first) = bytes.first() else {
        return Ok(None);
    };
    let length = 1usize << (first >> 6);
    let Some(encoded) = bytes.get(..length) else {
        return Ok(None);
    };
    let mut value = u64::from(first & 0x3f);
    for &byte in encoded.get(1..).unwrap_or_default() {
        value = value << 8 | u64::from(byte);
    }
    if len(value) == length {
        Ok(Some((value, length)))
    } else {
        Err(NotShortest)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn examples_of_the_rfc_keep_their_bytes() {
        for (value, bytes) in [
            (37, &[0x25][..]),
            (15_293, &[0x7b, 0xbd]),
            (494_878_333, &[0x9d, 0x7f, 0x3e, 0x7d]),
            (
                151_288_809_941_952_652,
                &[0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c],
            ),
        ] {
            let mut out = Vec::new();
            put(value, &mut out);
            assert_eq!(out, bytes);
            assert_eq!(read(bytes), Ok(Some((value, bytes.len()))));
        }
    }

    #[test]
    fn a_longer_form_than_needed_is_refused() {
        assert_eq!(read(&[0x40, 0x25]), Err(NotShortest));
    }

    proptest! {
        #[test]
        fn every_value_comes_back(value in 0..=MAX) {
            let mut out = Vec::new();
            put(value, &mut out);
            prop_assert_eq!(out.len(), len(value));
            for cut in 0..out.len() {
                prop_assert_eq!(read(&out[..cut]), Ok(None));
            }
            prop_assert_eq!(read(&out), Ok(Some((value, out.len()))));
        }
    }
}
