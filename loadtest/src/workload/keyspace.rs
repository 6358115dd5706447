//! The keys of a run: number to text, number to value length. A key keeps its length for the whole run.

use std::io::Write;

use super::seed::stream;
use super::sizes::draw_len;
use crate::scenario::Distribution;

/// Longest value drawn; memcached's default item limit is 1 MiB with its header.
const VALUE_LEN_MAX: u32 = 1_000_000;
const KEY_LEN_MAX: u32 = 250;

/// Texts and value lengths of keys `0..len`.
#[derive(Debug, Clone)]
pub struct KeySpace {
    texts: Texts,
    value_lens: Vec<u32>,
}

#[derive(Debug, Clone)]
enum Texts {
    /// `k` and the number, zeros between, to the drawn length.
    Numbered { lens: Vec<u8> },
    /// As they stood in a trace, end to end; text i ends at `ends[i]`.
    Listed { bytes: Vec<u8>, ends: Vec<u32> },
}

impl KeySpace {
    /// `keys` keys whose lengths are drawn from the distributions; a key is never shorter than its number needs.
    #[must_use]
    pub fn numbered(keys: u32, key_size: &Distribution, value_size: &Distribution, seed: u64) -> Self {
        let mut random = stream(seed, "key sizes", 0);
        let lens = (0..keys)
            .map(|_| u8::try_from(draw_len(key_size, &mut random, 1, KEY_LEN_MAX)).expect("at most 250"))
            .collect();
        let mut random = stream(seed, "value sizes", 0);
        let value_lens = (0..keys)
            .map(|_| draw_len(value_size, &mut random, 0, VALUE_LEN_MAX))
            .collect();
        Self {
            texts: Texts::Numbered { lens },
            value_lens,
        }
    }

    /// Keys that have their text and length already.
    #[must_use]
    pub(super) fn listed(bytes: Vec<u8>, ends: Vec<u32>, value_lens: Vec<u32>) -> Self {
        Self {
            texts: Texts::Listed { bytes, ends },
            value_lens,
        }
    }

    #[must_use]
    pub fn len(&self) -> u32 {
        u32::try_from(self.value_lens.len()).expect("keys are counted in 32 bits")
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.value_lens.is_empty()
    }

    #[must_use]
    pub fn value_len(&self, key: u32) -> u32 {
        self.value_lens[key as usize]
    }

    /// The text of a key; `scratch` is where it is put together if it must be.
    #[must_use]
    pub fn text<'a>(&'a self, key: u32, scratch: &'a mut Vec<u8>) -> &'a [u8] {
        match &self.texts {
            Texts::Listed { bytes, ends } => {
                let start = if key == 0 {
                    0
                } else {
                    ends[key as usize - 1] as usize
                };
                &bytes[start..ends[key as usize] as usize]
            }
            Texts::Numbered { lens } => {
                scratch.clear();
                write_key(scratch, b"k", u64::from(key), usize::from(lens[key as usize]));
                scratch
            }
        }
    }

    /// Key and value bytes of all keys.
    #[must_use]
    pub fn footprint_bytes(&self) -> u64 {
        let mut scratch = Vec::new();
        (0..self.len())
            .map(|key| self.text(key, &mut scratch).len() as u64 + u64::from(self.value_len(key)))
            .sum()
    }
}

/// Appends `prefix`, zeros and the number, `len` bytes in all or as many as the number needs.
pub fn write_key(out: &mut Vec<u8>, prefix: &[u8], number: u64, len: usize) {
    let mut digits = itoa::Buffer::new();
    let digits = digits.format(number).as_bytes();
    out.extend_from_slice(prefix);
    let zeros = len.saturating_sub(prefix.len() + digits.len());
    out.resize(out.len() + zeros, b'0');
    out.write_all(digits).expect("a Vec takes everything");
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::KeySpace;
    use crate::scenario::Distribution;

    #[test]
    fn keys_are_distinct_and_as_long_as_asked() {
        let gev = Distribution::Gev {
            loc: 30.7984,
            scale: 8.20449,
            shape: 0.078_688,
        };
        let keys = KeySpace::numbered(5_000, &gev, &Distribution::Fixed(200.0), 1);
        let mut scratch = Vec::new();
        let mut seen = HashSet::new();
        for key in 0..keys.len() {
            let text = keys.text(key, &mut scratch).to_vec();
            assert!((2..=250).contains(&text.len()));
            assert!(seen.insert(text));
        }
        let short = KeySpace::numbered(1_001, &Distribution::Fixed(1.0), &Distribution::Fixed(0.0), 1);
        assert_eq!(short.text(1_000, &mut scratch), b"k1000");
        let padded = KeySpace::numbered(1_001, &Distribution::Fixed(8.0), &Distribution::Fixed(0.0), 1);
        assert_eq!(padded.text(42, &mut scratch), b"k0000042");
        assert_eq!(padded.footprint_bytes(), 8_008);
    }
}
