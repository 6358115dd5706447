//! What a value says about itself, so that every hit can be checked.
//!
//! ```text
//! 0      4      8             16            24            32
//! | magic | crc  | key number  | version     | written at  | filler ...
//! ```
//! Little-endian; the CRC-32 covers everything from byte 8 to the end. A value's client flags carry 16 bits of the key
//! (a tag) and the low 16 bits of the version, so that they are checked, too; a [plain](Codec::plain) codec does that
//! only where there is no header. A value shorter than the header is filler drawn from (key, version), and every byte
//! of it is compared; an empty one is checked by its flags alone. The reply's key is compared with the key asked for in
//! any case.

use bytes::{BufMut, BytesMut};

use super::seed::mix;

/// Bytes of the header; shorter values have none.
pub const HEADER_LEN: usize = 32;
const MAGIC: u32 = 0x6874_7248;
const CRC_AT: usize = 8;
/// Filler is cut from a block of this many pseudo-random bytes.
const FILLER_LEN: usize = 1 << 16;

/// Why a value is not one that was ever written under this key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    #[error("flags belong to another key")]
    KeyTag,
    #[error("value belongs to key number {found}")]
    Key { found: u64 },
    #[error("value is damaged")]
    Damaged,
    #[error("value has {found} bytes, not {expected}")]
    Length { found: usize, expected: usize },
    #[error("version {found} was never written")]
    Version { found: u32 },
}

/// The filler and the rules; one per thread.
#[derive(Debug)]
pub struct Codec {
    filler: Box<[u8]>,
    /// Values with a header have no flags.
    plain: bool,
}

impl Default for Codec {
    fn default() -> Self {
        Self::new()
    }
}

impl Codec {
    #[must_use]
    pub fn new() -> Self {
        let filler = (0..FILLER_LEN as u64 / 8)
            .flat_map(|word| mix(word).to_le_bytes())
            .collect();
        Self { filler, plain: false }
    }

    /// For measuring speed: values with a header have flags 0, as nearly all values in the world do and as other
    /// generators send.
    #[must_use]
    pub fn plain() -> Self {
        Self {
            plain: true,
            ..Self::new()
        }
    }

    /// The client flags of a value of `len` bytes.
    #[must_use]
    pub fn flags(&self, key: u64, version: u32, len: usize) -> u32 {
        if self.plain && len >= HEADER_LEN {
            return 0;
        }
        (version << 16) | key_tag(key)
    }

    /// Appends `len` bytes of value.
    pub fn write(&self, out: &mut BytesMut, key: u64, version: u32, written_at: u64, len: usize) {
        if len < HEADER_LEN {
            out.extend_from_slice(self.short(key, version, len));
            return;
        }
        let start = out.len();
        out.put_u32_le(MAGIC);
        out.put_u32_le(0);
        out.put_u64_le(key);
        out.put_u64_le(u64::from(version));
        out.put_u64_le(written_at);
        let mut at = self.filler_start(key);
        let mut left = len - HEADER_LEN;
        while left > 0 {
            let piece = &self.filler[at..(at + left).min(FILLER_LEN)];
            out.extend_from_slice(piece);
            left -= piece.len();
            at = 0;
        }
        let crc = crc32fast::hash(&out[start + CRC_AT..]);
        out[start + 4..start + CRC_AT].copy_from_slice(&crc.to_le_bytes());
    }

    /// Checks a value read under `key`. `latest` is the newest version ever sent for it: the version found is at most
    /// that. Returns the version.
    pub fn check(&self, key: u64, latest: u32, flags: u32, data: &[u8]) -> Result<u32, Mismatch> {
        let Some((header, _)) = data.split_at_checked(HEADER_LEN) else {
            return self.check_short(key, latest, flags, data);
        };
        let word =
            |at: usize| u64::from_le_bytes(header[at..at + 8].try_into().expect("eight bytes of a header"));
        let (found_key, found_version) = (word(8), word(16));
        if word(0) != (u64::from(crc32fast::hash(&data[CRC_AT..])) << 32) | u64::from(MAGIC) {
            return Err(Mismatch::Damaged);
        }
        if found_key != key {
            return Err(Mismatch::Key { found: found_key });
        }
        let version = match u32::try_from(found_version) {
            Ok(found) if found <= latest => found,
            other => {
                return Err(Mismatch::Version {
                    found: other.unwrap_or(u32::MAX),
                });
            }
        };
        let expected = self.flags(key, version, data.len());
        if flags & 0xffff != expected & 0xffff {
            return Err(Mismatch::KeyTag);
        }
        if flags != expected {
            return Err(Mismatch::Version { found: flags >> 16 });
        }
        Ok(version)
    }

    /// The same for a value without a header.
    fn check_short(&self, key: u64, latest: u32, flags: u32, data: &[u8]) -> Result<u32, Mismatch> {
        if flags & 0xffff != key_tag(key) {
            return Err(Mismatch::KeyTag);
        }
        // The newest version not after `latest` with these low 16 bits.
        let version = latest.wrapping_sub(latest.wrapping_sub(flags >> 16) & 0xffff);
        if version > latest {
            return Err(Mismatch::Version { found: flags >> 16 });
        }
        if data == self.short(key, version, data.len()) {
            Ok(version)
        } else {
            Err(Mismatch::Damaged)
        }
    }

    /// The whole of a value too short for a header.
    fn short(&self, key: u64, version: u32, len: usize) -> &[u8] {
        let at = self.filler_start(mix(key) ^ u64::from(version & 0xffff));
        &self.filler[at..at + len]
    }

    /// A place with room for a short value behind it.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "reduced below the filler's length first"
    )]
    fn filler_start(&self, key: u64) -> usize {
        (mix(key) % (FILLER_LEN - HEADER_LEN) as u64) as usize
    }
}

fn key_tag(key: u64) -> u32 {
    (mix(key) >> 48) as u32 & 0xffff
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::{Codec, Mismatch};

    fn value(key: u64, version: u32, len: usize) -> BytesMut {
        let mut out = BytesMut::new();
        Codec::new().write(&mut out, key, version, 123, len);
        assert_eq!(out.len(), len);
        out
    }

    #[test]
    fn what_was_written_is_accepted_with_its_version() {
        let codec = Codec::new();
        for len in [0, 1, 15, 31, 32, 33, 100, 1 << 16, 200_001] {
            for version in [0, 1, 7, 65_535, 65_536, 1_000_000] {
                let data = value(77, version, len);
                let flags = codec.flags(77, version, len);
                assert_eq!(codec.check(77, version, flags, &data), Ok(version), "len {len}");
                assert_eq!(
                    codec.check(77, version + 3, flags, &data),
                    Ok(version),
                    "len {len}, older"
                );
            }
        }
    }

    #[test]
    fn another_keys_value_is_a_mismatch_at_any_length() {
        let codec = Codec::new();
        for len in [0, 8, 31, 32, 100] {
            let data = value(77, 1, len);
            assert!(
                codec.check(78, 1, codec.flags(77, 1, len), &data).is_err(),
                "len {len}"
            );
        }
        // The flags are right, the bytes are not.
        assert_eq!(
            codec.check(78, 1, codec.flags(78, 1, 20), &value(77, 1, 20)),
            Err(Mismatch::Damaged)
        );
        assert_eq!(
            codec.check(78, 1, codec.flags(78, 1, 64), &value(77, 1, 64)),
            Err(Mismatch::Key { found: 77 })
        );
    }

    #[test]
    fn every_flipped_bit_is_seen() {
        let codec = Codec::new();
        for len in [9, 32, 57] {
            let good = value(5, 3, len);
            for bit in 0..len * 8 {
                let mut bad = good.clone();
                bad[bit / 8] ^= 1 << (bit % 8);
                assert!(
                    codec.check(5, 3, codec.flags(5, 3, len), &bad).is_err(),
                    "len {len} bit {bit}"
                );
            }
        }
    }

    #[test]
    fn a_version_from_the_future_was_never_written() {
        let codec = Codec::new();
        for len in [0, 16, 64] {
            let data = value(5, 9, len);
            assert!(
                matches!(
                    codec.check(5, 8, codec.flags(5, 9, len), &data),
                    Err(Mismatch::Version { found: 9 })
                ),
                "len {len}"
            );
        }
    }

    #[test]
    fn a_plain_codec_wants_no_flags_on_a_value_with_a_header_and_the_others_as_they_are() {
        let (plain, full) = (Codec::plain(), Codec::new());
        assert_eq!(plain.flags(5, 9, 32), 0);
        assert_eq!(plain.check(5, 9, 0, &value(5, 9, 32)), Ok(9));
        assert!(plain.check(5, 9, full.flags(5, 9, 32), &value(5, 9, 32)).is_err());
        assert!(full.check(5, 9, 0, &value(5, 9, 32)).is_err());
        assert_eq!(plain.flags(5, 9, 31), full.flags(5, 9, 31));
        assert_eq!(plain.check(5, 9, plain.flags(5, 9, 31), &value(5, 9, 31)), Ok(9));
    }
}
