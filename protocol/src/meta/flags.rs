//! The flags of a meta command: one letter each, in order, none twice.

use crate::error::ProtocolError;
use crate::parse;
use crate::scan;

/// The flags of a meta command, checked: known letters, none twice, at most 18; their numbers are numbers.
/// Order is the client's, and so the order of the reply.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags<'a> {
    /// From the first byte of the first flag to the last byte of the last; blanks between them.
    wire: &'a [u8],
    /// One bit per letter, `A` lowest.
    present: u64,
}

/// One flag: a letter and what follows it up to the blank.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Flag<'a> {
    /// The letter.
    pub letter: u8,
    /// What follows it, often nothing.
    pub arg: &'a [u8],
}

impl<'a> Flags<'a> {
    /// Flags a parser has already checked.
    #[inline]
    pub(crate) const fn from_parts(wire: &'a [u8], present: u64) -> Self {
        Self { wire, present }
    }

    /// Reads flags as they stand on a line, separated by blanks.
    ///
    /// # Errors
    /// What a server would say of them.
    pub fn parse(wire: &'a [u8]) -> Result<Self, ProtocolError> {
        parse::flags(wire)
    }

    /// The bit of a letter; none for bytes that are no letter.
    #[inline]
    pub(crate) const fn bit(letter: u8) -> u64 {
        match letter {
            b'A'..=b'z' => 1 << (letter - b'A'),
            _ => 0,
        }
    }

    /// Whether the flag was given.
    #[inline]
    #[must_use]
    pub const fn has(self, letter: u8) -> bool {
        self.present & Self::bit(letter) != 0
    }

    /// `q`: hide the answer that says nothing new: EN of `mg`, HD of the others.
    #[inline]
    #[must_use]
    pub const fn quiet(self) -> bool {
        self.has(b'q')
    }

    /// `O`: the token to be sent back, without its `O`; at most 31 bytes.
    #[inline]
    #[must_use]
    pub fn opaque(self) -> Option<&'a [u8]> {
        if !self.has(b'O') {
            return None;
        }
        self.iter().find(|flag| flag.letter == b'O').map(|flag| flag.arg)
    }

    /// Whether there is no flag.
    #[inline]
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.wire.is_empty()
    }

    /// The flags in request order.
    #[inline]
    #[must_use]
    pub fn iter(self) -> FlagsIter<'a> {
        FlagsIter { rest: self.wire }
    }

    /// The flags as they stood on the line.
    #[inline]
    #[must_use]
    pub const fn as_wire(self) -> &'a [u8] {
        self.wire
    }
}

impl<'a> IntoIterator for Flags<'a> {
    type Item = Flag<'a>;
    type IntoIter = FlagsIter<'a>;

    #[inline]
    fn into_iter(self) -> FlagsIter<'a> {
        self.iter()
    }
}

impl std::fmt::Debug for Flags<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Flags(\"{}\")", self.wire.escape_ascii())
    }
}

impl std::fmt::Debug for Flag<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", self.letter.escape_ascii(), self.arg.escape_ascii())
    }
}

/// Tokens of one letter and an argument, as they stand on a meta line: those of [`Flags`] or of a reply.
#[derive(Debug, Clone)]
pub struct FlagsIter<'a> {
    rest: &'a [u8],
}

impl<'a> FlagsIter<'a> {
    /// Reads `tokens`, separated by blanks.
    #[inline]
    pub(crate) fn over(tokens: &'a [u8]) -> Self {
        Self {
            rest: scan::skip_blanks(tokens),
        }
    }
}

impl<'a> Iterator for FlagsIter<'a> {
    type Item = Flag<'a>;

    #[inline]
    fn next(&mut self) -> Option<Flag<'a>> {
        let (token, rest) = scan::token(self.rest);
        let (&letter, arg) = token.split_first()?;
        self.rest = scan::skip_blanks(rest);
        Some(Flag { letter, arg })
    }
}
