//! The 32-bit key hashes of libmemcached and twemproxy, bit for bit, oddities included.
//!
//! Both programs walk the key as C `char`, which is signed on x86-64: a byte above 127 enters `one_at_a_time`, the FNV
//! family and `hsieh`'s tail as a number with its upper bits set. So does ours, on every platform.

use md5::{Digest, Md5};

/// A 32-bit key hash of libmemcached and twemproxy, by their names for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyHash {
    /// `one_at_a_time`: Jenkins' one-at-a-time; libmemcached's default.
    OneAtATime,
    /// `md5`: the first four bytes of the MD5 digest, little-endian.
    Md5,
    /// `crc16`: CRC-16/XMODEM with what is shifted out of its 16 bits left above them (twemproxy only).
    Crc16,
    /// `crc32`: 15 bits of CRC-32, `(crc >> 16) & 0x7fff` (libmemcached calls it `crc`).
    Crc32,
    /// `crc32a`: the whole CRC-32 (twemproxy only).
    Crc32a,
    /// `fnv1_64`: FNV-1 over 64 bits, the lower 32 of them.
    Fnv1_64,
    /// `fnv1a_64`: named for FNV-1a over 64 bits, computed in 32 with the 64-bit constants cut off; twemproxy's default.
    Fnv1a64,
    /// `fnv1_32`: FNV-1.
    Fnv1_32,
    /// `fnv1a_32`: FNV-1a.
    Fnv1a32,
    /// `hsieh`: Paul Hsieh's SuperFastHash.
    Hsieh,
    /// `murmur`: MurmurHash2 seeded with the key's length.
    Murmur,
    /// `murmur3`: MurmurHash3 x86-32 seeded with the key's length (libmemcached only).
    Murmur3,
    /// `jenkins`: Bob Jenkins' lookup3 with initial value 13.
    Jenkins,
}

impl KeyHash {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::OneAtATime,
        Self::Md5,
        Self::Crc16,
        Self::Crc32,
        Self::Crc32a,
        Self::Fnv1_64,
        Self::Fnv1a64,
        Self::Fnv1_32,
        Self::Fnv1a32,
        Self::Hsieh,
        Self::Murmur,
        Self::Murmur3,
        Self::Jenkins,
    ];

    /// The name it is configured by.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OneAtATime => "one_at_a_time",
            Self::Md5 => "md5",
            Self::Crc16 => "crc16",
            Self::Crc32 => "crc32",
            Self::Crc32a => "crc32a",
            Self::Fnv1_64 => "fnv1_64",
            Self::Fnv1a64 => "fnv1a_64",
            Self::Fnv1_32 => "fnv1_32",
            Self::Fnv1a32 => "fnv1a_32",
            Self::Hsieh => "hsieh",
            Self::Murmur => "murmur",
            Self::Murmur3 => "murmur3",
            Self::Jenkins => "jenkins",
        }
    }

    /// The hash of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|hash| hash.name() == name)
    }

    /// The hash of `key`.
    pub fn hash(self, key: &[u8]) -> u32 {
        match self {
            Self::OneAtATime => one_at_a_time(key),
            Self::Md5 => md5_words(key)[0],
            Self::Crc16 => crc16(key),
            Self::Crc32 => (crc32fast::hash(key) >> 16) & 0x7fff,
            Self::Crc32a => crc32fast::hash(key),
            Self::Fnv1_64 => fnv1_64(key),
            Self::Fnv1a64 => fnv1a(key, 0x8422_2325, 0x0000_01b3),
            Self::Fnv1_32 => fnv1_32(key),
            Self::Fnv1a32 => fnv1a(key, 0x811c_9dc5, 0x0100_0193),
            Self::Hsieh => hsieh(key),
            Self::Murmur => murmur2(key),
            Self::Murmur3 => murmur3(key),
            Self::Jenkins => jenkins(key),
        }
    }
}

/// The MD5 digest as four little-endian words: ketama makes a point of each.
pub(super) fn md5_words(text: &[u8]) -> [u32; 4] {
    let digest = Md5::digest(text);
    let mut words = [0; 4];
    for (word, bytes) in words.iter_mut().zip(digest.as_chunks::<4>().0) {
        *word = u32::from_le_bytes(*bytes);
    }
    words
}

/// A byte as a signed C `char` widened to 32 bits.
fn widened(byte: u8) -> u32 {
    i32::from(byte.cast_signed()).cast_unsigned()
}

fn one_at_a_time(key: &[u8]) -> u32 {
    let mut hash = 0_u32;
    for &byte in key {
        hash = hash.wrapping_add(widened(byte));
        hash = hash.wrapping_add(hash << 10);
        hash ^= hash >> 6;
    }
    hash = hash.wrapping_add(hash << 3);
    hash ^= hash >> 11;
    hash.wrapping_add(hash << 15)
}

fn fnv1_64(key: &[u8]) -> u32 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for &byte in key {
        hash = hash.wrapping_mul(0x0000_0100_0000_01b3);
        hash ^= i64::from(byte.cast_signed()).cast_unsigned();
    }
    low(hash)
}

fn fnv1_32(key: &[u8]) -> u32 {
    key.iter().fold(0x811c_9dc5, |hash: u32, &byte| {
        hash.wrapping_mul(0x0100_0193) ^ widened(byte)
    })
}

fn fnv1a(key: &[u8], initial: u32, prime: u32) -> u32 {
    key.iter()
        .fold(initial, |hash, &byte| (hash ^ widened(byte)).wrapping_mul(prime))
}

const CRC16_TABLE: [u32; 256] = {
    const POLYNOMIAL: u32 = 0x1021;
    let mut table = [0; 256];
    let mut index: u32 = 0;
    while index < 256 {
        let mut crc = index << 8;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x8000 == 0 {
                crc << 1
            } else {
                (crc << 1) ^ POLYNOMIAL
            };
            bit += 1;
        }
        table[index as usize] = crc & 0xffff;
        index += 1;
    }
    table
};

fn crc16(key: &[u8]) -> u32 {
    key.iter().fold(0, |crc: u32, &byte| {
        let index = ((crc >> 8) ^ u32::from(byte)) & 0xff;
        (crc << 8) ^ CRC16_TABLE[index as usize]
    })
}

fn hsieh(key: &[u8]) -> u32 {
    if key.is_empty() {
        return 0;
    }
    let half = |bytes: &[u8]| u32::from(u16::from_le_bytes([bytes[0], bytes[1]]));
    let mut hash = 0_u32;
    let (blocks, tail) = key.as_chunks::<4>();
    for block in blocks {
        hash = hash.wrapping_add(half(&block[..2]));
        let next = (half(&block[2..]) << 11) ^ hash;
        hash = (hash << 16) ^ next;
        hash = hash.wrapping_add(hash >> 11);
    }
    match *tail {
        [_, _, last] => {
            hash = hash.wrapping_add(half(tail));
            hash ^= hash << 16;
            hash ^= widened(last) << 18;
            hash = hash.wrapping_add(hash >> 11);
        }
        [_, _] => {
            hash = hash.wrapping_add(half(tail));
            hash ^= hash << 11;
            hash = hash.wrapping_add(hash >> 17);
        }
        [last] => {
            hash = hash.wrapping_add(u32::from(last));
            hash ^= hash << 10;
            hash = hash.wrapping_add(hash >> 1);
        }
        _ => {}
    }
    hash ^= hash << 3;
    hash = hash.wrapping_add(hash >> 5);
    hash ^= hash << 4;
    hash = hash.wrapping_add(hash >> 17);
    hash ^= hash << 25;
    hash.wrapping_add(hash >> 6)
}

/// The last one to three bytes of a key as a little-endian number.
fn tail_word(tail: &[u8]) -> u32 {
    tail.iter()
        .rev()
        .fold(0, |word, &byte| (word << 8) | u32::from(byte))
}

fn murmur2(key: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let length = low(key.len() as u64);
    let mut hash = 0xdead_beef_u32.wrapping_mul(length) ^ length;
    let (blocks, tail) = key.as_chunks::<4>();
    for block in blocks {
        let mut k = u32::from_le_bytes(*block).wrapping_mul(M);
        k = (k ^ (k >> 24)).wrapping_mul(M);
        hash = hash.wrapping_mul(M) ^ k;
    }
    if !tail.is_empty() {
        hash = (hash ^ tail_word(tail)).wrapping_mul(M);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(M);
    hash ^ (hash >> 15)
}

fn murmur3(key: &[u8]) -> u32 {
    let scramble = |k: u32| {
        k.wrapping_mul(0xcc9e_2d51)
            .rotate_left(15)
            .wrapping_mul(0x1b87_3593)
    };
    let length = low(key.len() as u64);
    let mut hash = 0xdead_beef_u32.wrapping_mul(length);
    let (blocks, tail) = key.as_chunks::<4>();
    for block in blocks {
        hash = (hash ^ scramble(u32::from_le_bytes(*block))).rotate_left(13);
        hash = hash.wrapping_mul(5).wrapping_add(0xe654_6b64);
    }
    hash ^= scramble(tail_word(tail));
    hash ^= length;
    hash = (hash ^ (hash >> 16)).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ (hash >> 13)).wrapping_mul(0xc2b2_ae35);
    hash ^ (hash >> 16)
}

fn jenkins(key: &[u8]) -> u32 {
    let initial = 0xdead_beef_u32
        .wrapping_add(low(key.len() as u64))
        .wrapping_add(13);
    let [mut a, mut b, mut c] = [initial; 3];
    if key.is_empty() {
        return c;
    }
    // Every block of twelve is mixed, but the last one, whole or not, is finished instead.
    let last = (key.len() - 1) / 12 * 12;
    let add = |block: &[u8], a: &mut u32, b: &mut u32, c: &mut u32| {
        for (word, bytes) in [a, b, c].into_iter().zip(block.chunks(4)) {
            *word = word.wrapping_add(tail_word(bytes));
        }
    };
    for block in key[..last].chunks(12) {
        add(block, &mut a, &mut b, &mut c);
        a = a.wrapping_sub(c) ^ c.rotate_left(4);
        c = c.wrapping_add(b);
        b = b.wrapping_sub(a) ^ a.rotate_left(6);
        a = a.wrapping_add(c);
        c = c.wrapping_sub(b) ^ b.rotate_left(8);
        b = b.wrapping_add(a);
        a = a.wrapping_sub(c) ^ c.rotate_left(16);
        c = c.wrapping_add(b);
        b = b.wrapping_sub(a) ^ a.rotate_left(19);
        a = a.wrapping_add(c);
        c = c.wrapping_sub(b) ^ b.rotate_left(4);
        b = b.wrapping_add(a);
    }
    add(&key[last..], &mut a, &mut b, &mut c);
    c = (c ^ b).wrapping_sub(b.rotate_left(14));
    a = (a ^ c).wrapping_sub(c.rotate_left(11));
    b = (b ^ a).wrapping_sub(a.rotate_left(25));
    c = (c ^ b).wrapping_sub(b.rotate_left(16));
    a = (a ^ c).wrapping_sub(c.rotate_left(4));
    b = (b ^ a).wrapping_sub(a.rotate_left(14));
    (c ^ b).wrapping_sub(b.rotate_left(24))
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the lower half is what is asked for"
)]
fn low(hash: u64) -> u32 {
    hash as u32
}
