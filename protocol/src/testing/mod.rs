//! The claims that tests and fuzz targets hold the decoders and encoders to, on any bytes. No part of the API: it may
//! change with any commit. Each function panics when a claim is broken.

pub mod corpus;
mod replies;
mod requests;
mod round_trip;

pub use replies::{Replies, check_replies, replies};
pub use requests::{Event, check_requests, requests};
pub use round_trip::check_round_trip;

/// How the input is cut into pieces: the `at`th piece ends so many bytes after the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Not at all.
    Whole,
    /// Into single bytes.
    Bytes,
    /// Into pieces of 1 to 64 bytes, drawn from this seed.
    Random(u64),
}

impl Cut {
    /// Every position where a piece ends, the last being `len`.
    fn ends(self, len: usize) -> impl Iterator<Item = usize> {
        let mut end = 0;
        let mut state = match self {
            Self::Random(seed) => seed,
            Self::Whole | Self::Bytes => 0,
        };
        let mut is_first = true;
        std::iter::from_fn(move || {
            if end == len && !is_first {
                return None;
            }
            is_first = false;
            let piece = match self {
                Self::Whole => len,
                Self::Bytes => 1,
                Self::Random(_) => {
                    // An LCG (Knuth's MMIX constants): good enough to cut with, and the same everywhere.
                    state = state
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1_442_695_040_888_963_407);
                    usize::try_from(state >> 58).unwrap_or(0) + 1
                }
            };
            end = len.min(end + piece);
            Some(end)
        })
    }
}
