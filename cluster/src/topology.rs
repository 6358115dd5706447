//! Who is in the cluster: named, weighted servers in an order, the hash that places keys on them, and an epoch.
//! Knows names only; where a name is reached is the router's business.

use std::fmt;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use crate::error::WeightError;
use crate::hash::kind::HashKind;

/// How much of the keyspace a server takes, relative to the others; 1 by default, 0 for a server that owns nothing.
///
/// Whole for the schemes that count points (ketama, twemproxy), a probability for `WeightedCh3`, any positive number
/// for rendezvous.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Weight(f64);

impl Weight {
    /// The weight of a server that was given none.
    pub const ONE: Self = Self(1.0);
    /// Large enough for memory sizes in MiB, small enough that sums of points stay in 32 bits per server.
    pub const MAX: Self = Self(1_000_000.0);

    /// A weight from 0 to [`Weight::MAX`].
    pub fn new(weight: f64) -> Result<Self, WeightError> {
        if (0.0..=Self::MAX.0).contains(&weight) {
            // Adding +0.0 turns -0.0 into 0.0, so that equal weights have equal bits (the checksum reads bits).
            Ok(Self(weight + 0.0))
        } else {
            Err(WeightError { given: weight })
        }
    }

    /// As a number.
    pub const fn get(self) -> f64 {
        self.0
    }

    /// As a whole number, if it is one.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a weight is from 0 to a million"
    )]
    pub fn whole(self) -> Option<u32> {
        (self.0.fract() == 0.0).then_some(self.0 as u32)
    }
}

impl Default for Weight {
    fn default() -> Self {
        Self::ONE
    }
}

impl TryFrom<f64> for Weight {
    type Error = WeightError;

    fn try_from(weight: f64) -> Result<Self, WeightError> {
        Self::new(weight)
    }
}

impl TryFrom<u32> for Weight {
    type Error = WeightError;

    fn try_from(weight: u32) -> Result<Self, WeightError> {
        Self::new(f64::from(weight))
    }
}

impl From<Weight> for f64 {
    fn from(weight: Weight) -> Self {
        weight.0
    }
}

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A server as a placement sees it. Its name is its identity: keys follow the name, not the address or the position.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// Unique in its topology. A server written as plain `HOST:PORT` has that as its name.
    pub name: String,
    /// Its share relative to the others.
    #[serde(default)]
    pub weight: Weight,
}

impl Server {
    /// A server of weight 1.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            weight: Weight::ONE,
        }
    }

    /// A server of the given weight.
    pub fn weighted(name: impl Into<String>, weight: Weight) -> Self {
        Self {
            name: name.into(),
            weight,
        }
    }
}

/// The servers of one pool and how keys are placed on them.
///
/// The order of `servers` matters to the schemes that address by index (`jump`, `modulo`, `Ch3`, `Crc32`,
/// `WeightedCh3`) and to nobody else.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Topology {
    /// Raised by whoever changes the topology; the higher epoch is the newer one.
    #[serde(default)]
    pub epoch: u64,
    /// The scheme.
    #[serde(default)]
    pub hash: HashKind,
    /// The list, in order.
    pub servers: Vec<Server>,
}

impl Topology {
    /// Epoch 0 of these servers under this hash.
    pub fn new(hash: HashKind, servers: impl IntoIterator<Item = Server>) -> Self {
        Self {
            epoch: 0,
            hash,
            servers: servers.into_iter().collect(),
        }
    }

    /// A fingerprint of what decides placement: hash, names, weights and order, but not the epoch.
    ///
    /// Equal in every process and on every machine, so two routers that print the same checksum send every key to the
    /// same server. XXH3-64 over: the hash's name, then for each server its name and its weight's IEEE 754 bits, every
    /// string preceded by its length, all numbers 64-bit little-endian.
    pub fn checksum(&self) -> u64 {
        let mut hasher = Xxh3::new();
        let text = |text: &str, hasher: &mut Xxh3| {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        };
        text(&self.hash.to_string(), &mut hasher);
        for server in &self.servers {
            text(&server.name, &mut hasher);
            hasher.update(&server.weight.get().to_bits().to_le_bytes());
        }
        hasher.digest()
    }
}
