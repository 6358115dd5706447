//! `ms`.

use super::{Flags, MetaKey};
use crate::exptime::Exptime;

/// `ms key n flag*` and n bytes (protocol.txt, "Meta Set").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Set<'a> {
    /// The item's key.
    pub key: MetaKey<'a>,
    /// All flags in request order, which is the order of the answers.
    pub flags: Flags<'a>,
    /// The value, any bytes.
    pub data: &'a [u8],
    /// `F`: the client's opaque number; 0 if not given.
    pub client_flags: u32,
    /// `T`: the item's expiry; never if not given.
    pub exptime: Exptime,
    /// `M`: under which condition, and how, the data is stored.
    pub mode: SetMode,
    /// `C`: only if the item still has this cas unique.
    pub cas_compare: Option<u64>,
    /// `E`: the cas unique the item shall have.
    pub cas_override: Option<u64>,
    /// `N`: append and prepend make the item, with this expiry, if there is none.
    pub vivify: Option<Exptime>,
    /// `I`: with `C` lower than the item's cas unique, store and mark stale.
    pub invalidate: bool,
}

/// The mode of `ms`, its `M` flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum SetMode {
    /// `S`: store.
    #[default]
    Set,
    /// `E`: store if there is no item.
    Add,
    /// `A`: put the data behind the item's value.
    Append,
    /// `P`: put the data before the item's value.
    Prepend,
    /// `R`: store if there is an item.
    Replace,
}
