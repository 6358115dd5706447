//! The names of the schemes: what a config file says, and what it is told when it says something else.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::UnknownHash;

/// A 32-bit key hash of libmemcached and twemproxy, by their names for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyHash {
    /// Jenkins' one-at-a-time; libmemcached's default.
    OneAtATime,
    /// The first four bytes of the MD5 digest, little-endian.
    Md5,
    /// CRC-16/XMODEM.
    Crc16,
    /// `(crc32 >> 16) & 0x7fff`: 15 bits of CRC-32 (libmemcached calls it `crc`, twemproxy `crc32`).
    Crc32,
    /// The whole CRC-32.
    Crc32a,
    /// FNV-1 over 64 bits, cut to 32.
    Fnv1_64,
    /// FNV-1a that both programs call 64-bit and compute in 32; twemproxy's default.
    Fnv1a64,
    /// FNV-1, 32 bits.
    Fnv1_32,
    /// FNV-1a, 32 bits.
    Fnv1a32,
    /// Paul Hsieh's SuperFastHash.
    Hsieh,
    /// MurmurHash2 seeded with the key's length.
    Murmur,
    /// MurmurHash3 x86-32 seeded with the key's length (libmemcached only).
    Murmur3,
    /// Bob Jenkins' lookup3 with initial value 13.
    Jenkins,
}

/// How keys are placed on servers.
///
/// Written `NAME` or `NAME:OPTION`; [`HashKind::NAMES`] lists them all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[non_exhaustive]
pub enum HashKind {
    /// `rendezvous`: weighted, by server name. Adding or removing a server moves that server's share and nothing else.
    #[default]
    Rendezvous,
    /// `jump`: Lamping and Veach's jump consistent hash. By list position.
    Jump,
}

impl HashKind {
    /// Every scheme's name.
    pub const NAMES: &[&str] = &["rendezvous", "jump"];
}

impl fmt::Display for HashKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rendezvous => "rendezvous",
            Self::Jump => "jump",
        })
    }
}

impl FromStr for HashKind {
    type Err = UnknownHash;

    fn from_str(text: &str) -> Result<Self, UnknownHash> {
        match text {
            "rendezvous" => Ok(Self::Rendezvous),
            "jump" => Ok(Self::Jump),
            _ => Err(UnknownHash {
                name: text.to_owned(),
                nearest: "rendezvous".to_owned(),
                valid: Self::NAMES.join(", "),
            }),
        }
    }
}

impl TryFrom<String> for HashKind {
    type Error = UnknownHash;

    fn try_from(text: String) -> Result<Self, UnknownHash> {
        text.parse()
    }
}

impl From<HashKind> for String {
    fn from(kind: HashKind) -> Self {
        kind.to_string()
    }
}
