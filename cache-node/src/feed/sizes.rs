//! How many items there are of each size, in steps of 32 bytes as memcached counts them. Nothing is kept for this
//! while nobody asks: the items are walked.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use bytes::BytesMut;

use super::{Fed, Walk};
use crate::node::Node;

const STEP_BYTES: u32 = 32;

/// A count under way. As many entries as there are different sizes, which the memory for the items bounds.
#[derive(Debug)]
pub(crate) struct Sizes {
    walk: Walk,
    counts: BTreeMap<u32, u64>,
}

impl Default for Sizes {
    fn default() -> Self {
        Self {
            walk: Walk::new(),
            counts: BTreeMap::new(),
        }
    }
}

impl Sizes {
    pub(super) fn go_on(&mut self, node: &Node, out: &mut BytesMut) -> Fed {
        let Self { walk, counts } = self;
        let more = walk.go_on(
            node,
            counts,
            |counts, _key, item| {
                *counts.entry(item.size_bytes().div_ceil(STEP_BYTES)).or_default() += 1;
            },
            |_counts| false,
        );
        if more {
            return Fed::More;
        }
        for (steps, count) in counts {
            // Writing to memory cannot fail.
            let _infallible = write!(
                out,
                "STAT {} {count}\r\n",
                u64::from(*steps) * u64::from(STEP_BYTES)
            );
        }
        out.extend_from_slice(b"END\r\n");
        Fed::Done
    }
}
