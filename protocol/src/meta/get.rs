//! `mg`.

use super::{Flags, MetaKey};
use crate::exptime::Exptime;

/// `mg key flag*` (protocol.txt, "Meta Get").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Get<'a> {
    /// The item's key.
    pub key: MetaKey<'a>,
    /// All flags in request order, which is the order of the answers.
    pub flags: Flags<'a>,
    /// `T`: on a hit the item gets this expiry.
    pub touch: Option<Exptime>,
    /// `N`: on a miss an empty item with this expiry is made, and the client wins the right to fill it.
    pub vivify: Option<Exptime>,
    /// `R`: the client wins the right to refill an item with less than this many seconds left.
    pub recache: Option<i64>,
    /// `C`: no value if the item still has this cas unique.
    pub cas_compare: Option<u64>,
    /// `E`: the cas unique of an item made by `N`.
    pub cas_override: Option<u64>,
}
