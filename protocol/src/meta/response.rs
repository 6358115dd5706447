//! What a server answers to a meta command.

use super::{Flag, FlagsIter};

/// A reply to a meta command: `code [n] flag*` and, for `VA`, n bytes (protocol.txt, "Meta Commands").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Response<'a> {
    /// The two letters.
    pub code: Code,
    /// The data block, which only `VA` has.
    pub data: Option<&'a [u8]>,
    /// The flags as they stand on the line, without blanks around them. For `ME` the key and what is told of it.
    pub flags: &'a [u8],
}

/// The first two letters of a reply to a meta command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// `VA`: a hit, with its value.
    Va,
    /// `HD`: done, or a hit without its value.
    Hd,
    /// `EN`: a miss of `mg` or `me`.
    En,
    /// `NS`: not stored, its condition did not hold.
    Ns,
    /// `EX`: the item has another cas unique.
    Ex,
    /// `NF`: no such item.
    Nf,
    /// `MN`: the answer to `mn`.
    Mn,
    /// `ME`: the answer to `me`.
    Me,
}

impl Code {
    /// The two letters.
    #[inline]
    #[must_use]
    pub const fn as_bytes(self) -> &'static [u8; 2] {
        match self {
            Self::Va => b"VA",
            Self::Hd => b"HD",
            Self::En => b"EN",
            Self::Ns => b"NS",
            Self::Ex => b"EX",
            Self::Nf => b"NF",
            Self::Mn => b"MN",
            Self::Me => b"ME",
        }
    }
}

impl<'a> Response<'a> {
    /// The reply's flags in order.
    #[inline]
    #[must_use]
    pub fn iter(&self) -> FlagsIter<'a> {
        FlagsIter::over(self.flags)
    }

    /// The argument of a flag, if the reply has it.
    #[inline]
    #[must_use]
    pub fn flag(&self, letter: u8) -> Option<&'a [u8]> {
        self.iter()
            .find(|flag: &Flag<'_>| flag.letter == letter)
            .map(|flag| flag.arg)
    }
}
