//! The numbering of frames: one macro, so that a kind is written down once.

use bytes::{Bytes, BytesMut};

use crate::codec::{FrameError, RawFrame};

/// A set of frames that may come on one kind of stream, in one direction.
pub trait Frame: Sized {
    /// Appends this frame to `out`.
    ///
    /// # Panics
    /// When it exceeds [`FRAME_BYTES_MAX`](crate::limits::FRAME_BYTES_MAX), which parsed names and
    /// texts and the list limits of [`limits`](crate::limits) rule out.
    fn encode(&self, out: &mut BytesMut);

    /// Decodes a frame; `None` for an unknown odd kind, which is to be skipped.
    ///
    /// # Errors
    /// When the kind is unknown and even, or the body is not what the kind says.
    fn decode(raw: &RawFrame) -> Result<Option<Self>, FrameError>;

    /// This frame alone, encoded.
    fn to_bytes(&self) -> Bytes {
        let mut out = BytesMut::new();
        self.encode(&mut out);
        out.freeze()
    }
}

macro_rules! frames {
    ($(#[$doc:meta])* pub enum $name:ident { $($(#[$variant_doc:meta])* $kind:literal $variant:ident,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Eq, PartialEq)]
        pub enum $name {
            $($(#[$variant_doc])* $variant($variant),)+
        }

        impl $name {
            /// Every kind of this set with its name, in order of its number.
            pub const KINDS: &'static [(u64, &'static str)] =
                &[$(($kind, stringify!($variant))),+];

            /// This frame's kind.
            #[must_use]
            pub const fn kind(&self) -> u64 {
                match self {
                    $(Self::$variant(_) => $kind,)+
                }
            }
        }

        impl $crate::frame::Frame for $name {
            fn encode(&self, out: &mut bytes::BytesMut) {
                match self {
                    $(Self::$variant(body) => $crate::codec::put($kind, body, out),)+
                }
            }

            fn decode(raw: &$crate::codec::RawFrame) -> Result<Option<Self>, $crate::codec::FrameError> {
                match raw.kind {
                    $($kind => $crate::codec::body($kind, &raw.body).map(|body| Some(Self::$variant(body))),)+
                    kind if kind % 2 == 1 => Ok(None),
                    kind => Err($crate::codec::FrameError::UnknownKind(kind)),
                }
            }
        }

        $(impl From<$variant> for $name {
            fn from(body: $variant) -> Self {
                Self::$variant(body)
            }
        })+
    };
}

pub(crate) use frames;
