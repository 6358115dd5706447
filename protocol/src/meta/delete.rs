//! `md`.

use super::{Flags, MetaKey};
use crate::exptime::Exptime;

/// `md key flag*` (protocol.txt, "Meta Delete").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delete<'a> {
    /// The item's key.
    pub key: MetaKey<'a>,
    /// All flags in request order, which is the order of the answers.
    pub flags: Flags<'a>,
    /// `C`: only if the item still has this cas unique.
    pub cas_compare: Option<u64>,
    /// `E`: the cas unique of an item that stays (`I`, `x`).
    pub cas_override: Option<u64>,
    /// `T`: the expiry of an item that stays.
    pub exptime: Option<Exptime>,
    /// `F`: the client flags of an item that stays emptied (`x`).
    pub client_flags: Option<u32>,
    /// `I`: keep the item, marked stale.
    pub invalidate: bool,
    /// `x`: keep the item, emptied.
    pub remove_value: bool,
}
