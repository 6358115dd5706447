//! The bytes of an item's value, wherever they are: in its cell, in pieces under the lock, or in pieces that were
//! pinned so that they can be copied out without holding the lock for all of them.

use super::shard::Shard;
use crate::sync::Mutex;

/// See [`Value`](super::Value), which is what callers get.
#[derive(Clone, Copy)]
pub(super) enum ItemValue<'a> {
    Whole(&'a [u8]),
    Pieces {
        shard: &'a Shard,
        row: u32,
        len: usize,
    },
    Pinned {
        shard: &'a Mutex<Shard>,
        row: u32,
        len: usize,
    },
}

impl<'a> ItemValue<'a> {
    #[inline]
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Whole(value) => value.len(),
            Self::Pieces { len, .. } | Self::Pinned { len, .. } => *len,
        }
    }

    #[inline]
    pub(super) fn as_slice(&self) -> Option<&'a [u8]> {
        match self {
            Self::Whole(value) => Some(value),
            Self::Pieces { .. } | Self::Pinned { .. } => None,
        }
    }

    pub(super) fn for_each_chunk(&self, mut visit: impl FnMut(&[u8])) {
        match self {
            Self::Whole(value) => visit(value),
            Self::Pieces { shard, row, .. } => {
                (0..)
                    .map_while(|number| shard.piece(*row, number))
                    .for_each(visit);
            }
            // The lock is taken anew for each piece: others get their turn in between.
            Self::Pinned { shard, row, .. } => {
                for number in 0.. {
                    let shard = shard.lock();
                    match shard.piece(*row, number) {
                        Some(piece) => visit(piece),
                        None => return,
                    }
                }
            }
        }
    }
}
