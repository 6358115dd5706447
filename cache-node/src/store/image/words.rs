//! Numbers as bytes and back: little-endian, one after another, lists behind their length.
//! Reading is bounded by the bytes there are; what ends too early or says nonsense is an error.

/// Bytes that cannot be what they should be. Their checksum was right, so whoever wrote them was not this program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} makes no sense")]
pub struct Malformed(pub(crate) &'static str);

/// Appends numbers.
#[derive(Debug, Default)]
pub(crate) struct WordsOut(pub(crate) Vec<u8>);

impl WordsOut {
    pub(crate) fn u8(&mut self, number: u8) {
        self.0.push(number);
    }

    pub(crate) fn u32(&mut self, number: u32) {
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    pub(crate) fn u64(&mut self, number: u64) {
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    /// The number of things that follow.
    pub(crate) fn len(&mut self, len: usize) {
        self.u64(len as u64);
    }

    pub(crate) fn list(&mut self, numbers: impl ExactSizeIterator<Item = u32>) {
        self.len(numbers.len());
        numbers.for_each(|number| self.u32(number));
    }
}

/// Takes numbers off the front.
#[derive(Debug)]
pub(crate) struct WordsIn<'a> {
    rest: &'a [u8],
    /// What is being read, for the error.
    part: &'static str,
}

impl<'a> WordsIn<'a> {
    pub(crate) fn new(bytes: &'a [u8], part: &'static str) -> Self {
        Self { rest: bytes, part }
    }

    /// Goes on with another part.
    pub(crate) fn part(&mut self, part: &'static str) -> &mut Self {
        self.part = part;
        self
    }

    pub(crate) fn malformed(&self) -> Malformed {
        Malformed(self.part)
    }

    /// An error unless it `holds`.
    pub(crate) fn demand(&self, holds: bool) -> Result<(), Malformed> {
        if holds { Ok(()) } else { Err(self.malformed()) }
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(Malformed(self.part))?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Malformed> {
        Ok(self.take::<1>()?[0])
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Malformed> {
        Ok(u32::from_le_bytes(self.take()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Malformed> {
        Ok(u64::from_le_bytes(self.take()?))
    }

    pub(crate) fn usize(&mut self) -> Result<usize, Malformed> {
        usize::try_from(self.u64()?).map_err(|_too_large| self.malformed())
    }

    /// The number of things that follow, each of at least `each` bytes: never more than the bytes left can hold.
    pub(crate) fn len(&mut self, each: usize) -> Result<usize, Malformed> {
        let len = self.usize()?;
        self.demand(
            len.checked_mul(each)
                .is_some_and(|bytes| bytes <= self.rest.len()),
        )?;
        Ok(len)
    }

    pub(crate) fn list(&mut self) -> Result<Vec<u32>, Malformed> {
        (0..self.len(4)?).map(|_| self.u32()).collect()
    }

    /// Nothing may be left over.
    pub(crate) fn end(self) -> Result<(), Malformed> {
        self.demand(self.rest.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_lists_come_back_and_nothing_is_read_past_the_end() {
        let mut out = WordsOut::default();
        out.u8(7);
        out.u32(u32::MAX);
        out.u64(1 << 40);
        out.list([3, 2, 1].into_iter());
        let bytes = out.0;
        let mut words = WordsIn::new(&bytes, "test");
        assert_eq!(words.u8(), Ok(7));
        assert_eq!(words.u32(), Ok(u32::MAX));
        assert_eq!(words.u64(), Ok(1 << 40));
        assert_eq!(words.list(), Ok(vec![3, 2, 1]));
        assert_eq!(words.u8(), Err(Malformed("test")));
        assert_eq!(words.end(), Ok(()));

        let mut words = WordsIn::new(&bytes[13..bytes.len() - 1], "list");
        assert_eq!(words.list(), Err(Malformed("list")), "longer than what is there");
        let mut words = WordsIn::new(&[0xff; 12], "list");
        assert_eq!(words.list(), Err(Malformed("list")), "absurdly long");
    }
}
