//! The page that makes a folder of files a store: what wrote it, how the store is cut, and the length and checksum of
//! each shard's file. Written last; without it, the rest means nothing.
//!
//! ```text
//! magic    8 bytes "HEARTHSB"
//! format   u32
//! head     shards u32, segment bytes u32, largest item u64, seeds 4 x u64, check of the hash u64, epoch u64
//! saved at u64, Unix seconds
//! shards   each: bytes of tables u64, their checksum u64, bytes of frames u64, their checksum u64
//! checksum u64 over all before
//! ```

use protocol::UnixSeconds;
use xxhash_rust::xxh3::xxh3_64;

use super::Refusal;
use crate::store::{Head, Malformed, WordsIn, WordsOut};

const MAGIC: u64 = u64::from_le_bytes(*b"HEARTHSB");
/// Raised with every change of what is written here, in a shard's tables or in a segment.
pub(super) const FORMAT: u32 = 2;
/// No superblock is longer: room for more shards than a store can have.
pub(super) const BYTES_MAX: u64 = 4 << 20;

/// Length and checksum of one shard's two files; of the frames, those in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ShardEntry {
    pub(super) tables_bytes: u64,
    pub(super) tables_sum: u64,
    pub(super) frames_bytes: u64,
    pub(super) frames_sum: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Superblock {
    pub(super) head: Head,
    pub(super) saved_at: UnixSeconds,
    pub(super) shards: Vec<ShardEntry>,
}

impl Superblock {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut out = WordsOut::default();
        out.u64(MAGIC);
        out.u32(FORMAT);
        out.u32(self.head.shards);
        out.u32(self.head.segment_bytes);
        out.u64(self.head.item_size_max_bytes);
        self.head.seeds.iter().for_each(|seed| out.u64(*seed));
        out.u64(self.head.hash_check);
        out.u64(self.head.epoch.0);
        out.u64(self.saved_at.0);
        for shard in &self.shards {
            out.u64(shard.tables_bytes);
            out.u64(shard.tables_sum);
            out.u64(shard.frames_bytes);
            out.u64(shard.frames_sum);
        }
        let sum = xxh3_64(&out.0);
        out.u64(sum);
        out.0
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, Refusal> {
        let damaged = |_: Malformed| Refusal::Damaged("the superblock");
        let mut words = WordsIn::new(bytes, "the superblock");
        if words.u64().map_err(damaged)? != MAGIC {
            return Err(Refusal::Damaged("the superblock"));
        }
        let format = words.u32().map_err(damaged)?;
        if format != FORMAT {
            return Err(Refusal::Format { found: format });
        }
        let summed = bytes.split_last_chunk::<8>();
        let (body, sum) = summed.ok_or(Refusal::Damaged("the superblock"))?;
        if xxh3_64(body) != u64::from_le_bytes(*sum) {
            return Err(Refusal::Damaged("the superblock"));
        }
        Self::from_words(words).map_err(damaged)
    }

    fn from_words(mut words: WordsIn<'_>) -> Result<Self, Malformed> {
        let shards = words.u32()?;
        let head = Head {
            shards,
            segment_bytes: words.u32()?,
            item_size_max_bytes: words.u64()?,
            seeds: [words.u64()?, words.u64()?, words.u64()?, words.u64()?],
            hash_check: words.u64()?,
            epoch: UnixSeconds(words.u64()?),
        };
        let saved_at = UnixSeconds(words.u64()?);
        let entry = |_| {
            Ok(ShardEntry {
                tables_bytes: words.u64()?,
                tables_sum: words.u64()?,
                frames_bytes: words.u64()?,
                frames_sum: words.u64()?,
            })
        };
        let shards = (0..shards).map(entry).collect::<Result<_, _>>()?;
        let _checksum = words.u64()?;
        words.end()?;
        Ok(Self {
            head,
            saved_at,
            shards,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn superblock() -> Superblock {
        let entry = |number| ShardEntry {
            tables_bytes: number,
            tables_sum: u64::MAX - number,
            frames_bytes: number << 20,
            frames_sum: 3,
        };
        Superblock {
            head: Head {
                shards: 4,
                segment_bytes: 8192,
                item_size_max_bytes: 1 << 20,
                seeds: [1, 2, 3, 4],
                hash_check: 5,
                epoch: UnixSeconds(1_700_000_000),
            },
            saved_at: UnixSeconds(1_700_000_100),
            shards: (0..4).map(entry).collect(),
        }
    }

    #[test]
    fn what_was_written_is_read() {
        assert_eq!(Superblock::from_bytes(&superblock().to_bytes()), Ok(superblock()));
    }

    #[test]
    fn any_flipped_bit_and_any_other_length_is_refused() {
        let bytes = superblock().to_bytes();
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(Superblock::from_bytes(&flipped).is_err(), "bit {bit}");
        }
        for len in 0..bytes.len() {
            assert!(Superblock::from_bytes(&bytes[..len]).is_err(), "{len} bytes");
        }
        let longer = [&bytes[..], b"more"].concat();
        assert!(Superblock::from_bytes(&longer).is_err());
    }

    #[test]
    fn another_format_is_told_from_damage() {
        let mut bytes = superblock().to_bytes();
        bytes[8] = 77;
        assert_eq!(Superblock::from_bytes(&bytes), Err(Refusal::Format { found: 77 }));
    }
}
