//! `ma`.

use super::{Flags, MetaKey};
use crate::exptime::Exptime;

/// `ma key flag*` (protocol.txt, "Meta Arithmetic").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arith<'a> {
    /// The item's key.
    pub key: MetaKey<'a>,
    /// All flags in request order, which is the order of the answers.
    pub flags: Flags<'a>,
    /// `M`: up or down.
    pub mode: ArithMode,
    /// `D`: by how much; 1 if not given.
    pub delta: u64,
    /// `J`: the number of an item made by `N`; 0 if not given.
    pub initial: u64,
    /// `N`: on a miss an item with this expiry is made.
    pub vivify: Option<Exptime>,
    /// `C`: only if the item still has this cas unique.
    pub cas_compare: Option<u64>,
    /// `E`: the cas unique the item shall have.
    pub cas_override: Option<u64>,
    /// `T`: the item's new expiry.
    pub exptime: Option<Exptime>,
}

/// The mode of `ma`, its `M` flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ArithMode {
    /// `I` or `+`: wraps at 2^64.
    #[default]
    Incr,
    /// `D` or `-`: stops at 0.
    Decr,
}
