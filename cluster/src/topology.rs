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

#[cfg(test)]
mod tests {
    use super::{Server, Topology, Weight};
    use crate::{HashKind, Placement, PlacementError};

    fn three() -> Topology {
        Topology::new(HashKind::Rendezvous, ["n1", "n2", "n3"].map(Server::new))
    }

    /// Frozen, from another implementation (Python's struct and xxhash): routers of different builds compare these.
    #[test]
    fn the_checksum_is_the_same_everywhere_and_always() {
        assert_eq!(three().checksum(), 0x1b29_3115_4972_84f2);
        let weighted = Topology::new(
            HashKind::Ring { points: 40 },
            [
                Server::weighted("10.0.0.1:11211", Weight::new(0.5).unwrap()),
                Server::new("10.0.0.2:11211"),
            ],
        );
        assert_eq!(weighted.checksum(), 0x5904_ff63_dd35_635a);
    }

    #[test]
    fn the_checksum_sees_whatever_decides_placement_and_nothing_else() {
        let base = three();
        let change = |change: &dyn Fn(&mut Topology)| {
            let mut changed = base.clone();
            change(&mut changed);
            changed.checksum()
        };
        assert_eq!(
            change(&|topology| topology.epoch = 7),
            base.checksum(),
            "an epoch places no key"
        );
        let sums = [
            base.checksum(),
            change(&|topology| topology.hash = HashKind::Jump),
            change(&|topology| topology.servers.swap(0, 1)),
            change(&|topology| topology.servers[0].name = "n4".to_owned()),
            change(&|topology| topology.servers[0].weight = Weight::new(2.0).unwrap()),
            change(&|topology| drop(topology.servers.pop())),
            change(&|topology| topology.servers[0].name = "n1n2".to_owned()),
        ];
        for (at, sum) in sums.iter().enumerate() {
            assert!(!sums[..at].contains(sum), "change {at} goes unseen");
        }
    }

    #[test]
    fn json_is_read_back_as_it_is_written() {
        let mut topology = three();
        topology.epoch = 12;
        topology.servers[1].weight = Weight::new(0.25).unwrap();
        let json = serde_json::to_string(&topology).unwrap();
        assert!(
            json.starts_with(r#"{"epoch":12,"hash":"rendezvous","servers":[{"name":"n1","weight":1.0}"#),
            "{json}"
        );
        assert_eq!(serde_json::from_str::<Topology>(&json).unwrap(), topology);
        let short = r#"{"servers": [{"name": "a"}, {"name": "b", "weight": 3}]}"#;
        let read: Topology = serde_json::from_str(short).unwrap();
        assert_eq!((read.epoch, read.hash), (0, HashKind::Rendezvous));
        assert_eq!(read.servers[1].weight.whole(), Some(3));
    }

    #[test]
    fn json_that_is_not_a_topology_says_why() {
        for (json, why) in [
            (
                r#"{"servers": [{"name": "a", "weight": -1}]}"#,
                "weight -1 is not a number from 0 to 1000000",
            ),
            (
                r#"{"servers": [{"name": "a", "weight": 1e9}]}"#,
                "is not a number from 0",
            ),
            (
                r#"{"servers": [{"name": "a", "wieght": 1}]}"#,
                "unknown field `wieght`",
            ),
            (
                r#"{"servers": [], "hash": "rendevous"}"#,
                "did you mean \"rendezvous\"?",
            ),
            (r#"{"hash": "jump"}"#, "missing field `servers`"),
        ] {
            let error = serde_json::from_str::<Topology>(json).unwrap_err().to_string();
            assert!(error.contains(why), "{json}: {error}");
        }
        assert!(Weight::new(f64::NAN).is_err());
        assert_eq!(Weight::new(-0.0).unwrap().get().to_bits(), 0);
    }

    #[test]
    fn a_topology_nobody_could_place_by_is_refused() {
        let refused = |hash: &str, servers: &[(&str, f64)]| {
            let server = |&(name, weight): &(&str, f64)| Server::weighted(name, Weight::new(weight).unwrap());
            Placement::new(&Topology::new(hash.parse().unwrap(), servers.iter().map(server))).unwrap_err()
        };
        assert_eq!(refused("jump", &[]), PlacementError::NoServers);
        assert_eq!(
            refused("jump", &[("a", 1.0), ("", 1.0)]),
            PlacementError::EmptyName { position: 1 }
        );
        assert_eq!(
            refused("jump", &[("a", 1.0), ("b", 1.0), ("a", 1.0)]).to_string(),
            "server name \"a\" is given twice (positions 0 and 2, counted from 0)"
        );
        for hash in [
            "rendezvous",
            "ring",
            "ketama",
            "ketama-twemproxy",
            "modulo-twemproxy",
        ] {
            assert_eq!(
                refused(hash, &[("a", 0.0), ("b", 0.0)]),
                PlacementError::NoWeight,
                "{hash}"
            );
        }
        assert_eq!(
            refused("ketama", &[("a", 1.5)]).to_string(),
            "hash ketama takes whole weights, and server \"a\" has 1.5"
        );
        assert_eq!(
            refused("WeightedCh3", &[("a", 0.5), ("b", 2.0)]).to_string(),
            "hash WeightedCh3 takes weights from 0 to 1, and server \"b\" has 2"
        );
        assert_eq!(
            refused("ring:10000", &[("a", 1000.0)]).to_string(),
            "10000000 points are more than hash ring:10000 can have (4194304)"
        );
        assert_eq!(
            refused(
                "modulo-twemproxy",
                &[("a", 1e6), ("b", 1e6), ("c", 1e6), ("d", 1e6), ("e", 1e6)]
            )
            .to_string(),
            "5000000 slots are more than hash modulo-twemproxy can have (4194304)"
        );
    }
}
