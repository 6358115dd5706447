//! What stands under the key of a split value: mcrouter's `1-CHUNKS-SUFFIX`, marked by a flag.

/// mcrouter's flag of an index.
pub(super) const BIG: u32 = 0x8000;
/// The most chunks a value may have: what a reader has to ask for is bounded whatever an index says.
pub(super) const CHUNKS_MAX: usize = 16_384;

/// Where the chunks of a value are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Index {
    pub chunks: usize,
    /// Drawn anew for each value, so that chunks of two values are never taken for one.
    pub suffix: u32,
}

impl Index {
    pub(super) fn read(flags: u32, data: &[u8]) -> Option<Self> {
        if flags & BIG == 0 || data.len() > 32 {
            return None;
        }
        let text = std::str::from_utf8(data).ok()?;
        let mut parts = text.split('-');
        let (version, chunks, suffix) = (parts.next()?, parts.next()?, parts.next()?);
        let chunks = chunks
            .parse()
            .ok()
            .filter(|chunks| (1..=CHUNKS_MAX).contains(chunks))?;
        let suffix = suffix.parse().ok()?;
        (version == "1" && parts.next().is_none()).then_some(Self { chunks, suffix })
    }

    pub(super) fn text(self) -> String {
        format!("1-{}-{}", self.chunks, self.suffix)
    }

    /// The key of one chunk.
    pub(super) fn chunk_key(self, key: &[u8], chunk: usize) -> Vec<u8> {
        [key, format!(":{chunk}:{}", self.suffix).as_bytes()].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::{BIG, Index};

    #[test]
    fn an_index_is_a_flag_and_a_text_and_nothing_else_is_one() {
        let index = Index {
            chunks: 3,
            suffix: 77,
        };
        assert_eq!(Index::read(BIG | 5, index.text().as_bytes()), Some(index));
        assert_eq!(index.chunk_key(b"k", 2), b"k:2:77");
        for (flags, text) in [
            (5, "1-3-77"),
            (BIG, "2-3-77"),
            (BIG, "1-0-77"),
            (BIG, "1-99999999-77"),
            (BIG, "1-3"),
            (BIG, "1-3-7-7"),
            (BIG, ""),
        ] {
            assert_eq!(Index::read(flags, text.as_bytes()), None, "{text}");
        }
    }
}
