//! Lists and texts that are refused while they are decoded, once they are longer than their limit.
//!
//! A count on the wire is a claim: nothing is kept for it beyond the limit, and no element after
//! the limit is read. Fields name these functions in `#[serde(deserialize_with = …)]`.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};
use serde::ser::Serializer;

/// Decodes a list of at most `MAX` elements.
pub(crate) fn list<'de, const MAX: usize, T, D>(input: D) -> Result<Vec<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    input.deserialize_seq(List::<MAX, T>(PhantomData))
}

/// Decodes a text of at most `MAX` bytes.
pub(crate) fn text<'de, const MAX: usize, D: Deserializer<'de>>(
    input: D,
) -> Result<String, D::Error> {
    input.deserialize_str(Text::<MAX>)
}

/// Encodes a text for people, cut to at most `MAX` bytes: what matters is in the code beside it,
/// and a long one must not make the frame worthless to its reader.
pub(crate) fn cut<const MAX: usize, S: Serializer>(
    text: &str,
    output: S,
) -> Result<S::Ok, S::Error> {
    let mut end = MAX.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    output.serialize_str(text.get(..end).unwrap_or_default())
}

struct List<const MAX: usize, T>(PhantomData<T>);

impl<'de, const MAX: usize, T: Deserialize<'de>> Visitor<'de> for List<MAX, T> {
    type Value = Vec<T>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "at most {MAX} elements")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Vec<T>, A::Error> {
        let mut list = Vec::new();
        if let Some(claimed) = elements.size_hint() {
            if claimed > MAX {
                return Err(A::Error::invalid_length(claimed, &self));
            }
            list.reserve_exact(claimed);
        }
        while let Some(element) = elements.next_element()? {
            if list.len() == MAX {
                return Err(A::Error::invalid_length(MAX + 1, &self));
            }
            list.push(element);
        }
        Ok(list)
    }
}

struct Text<const MAX: usize>;

impl<const MAX: usize> Visitor<'_> for Text<MAX> {
    type Value = String;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "at most {MAX} bytes")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<String, E> {
        if text.len() > MAX {
            Err(E::invalid_length(text.len(), &self))
        } else {
            Ok(text.to_owned())
        }
    }
}
