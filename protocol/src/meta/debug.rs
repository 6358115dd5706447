//! `me`.

use super::{Flags, MetaKey};

/// `me key [b]` (protocol.txt, "Meta Debug").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Debug<'a> {
    /// The item's key.
    pub key: MetaKey<'a>,
    /// All flags; only `b` has a meaning, which the key already carries.
    pub flags: Flags<'a>,
}
