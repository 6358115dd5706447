//! Who is in the cluster, and which server owns a key. No socket, clock or log.
//!
//! The router routes by this crate, the load test predicts by it, and a node that drains asks it who inherits its
//! keys: one implementation, or the three would disagree.
//!
//! ```
//! use cluster::{HashKind, Placement, Server, Topology};
//!
//! let before = Topology::new(HashKind::Rendezvous, ["n1", "n2", "n3"].map(Server::new));
//! let mut after = before.clone();
//! after.servers.push(Server::new("n4"));
//! after.epoch += 1;
//!
//! let (old, new) = (Placement::new(&before)?, Placement::new(&after)?);
//! let keys: Vec<String> = (0..1000).map(|i| format!("user:{i}")).collect();
//! let moved = cluster::diff::moved(&old, &new, keys.iter().map(|key| (key.as_bytes(), 1)));
//! assert!((moved.key_fraction() - cluster::predict::remapped(&before, &after)).abs() < 0.06);
//! # Ok::<(), cluster::PlacementError>(())
//! ```
//!
//! Everything here is a plain function over plain data. Hashes are written down and frozen by golden vectors: two
//! processes, on two machines, built years apart, must name the same owner. No hash seeded per process comes near.

pub mod diff;
mod error;
mod hash;
pub mod predict;
mod topology;

pub use error::{PlacementError, UnknownHash, WeightError};
pub use hash::ch3::{BUCKETS_MAX as CH3_BUCKETS_MAX, bucket as ch3_bucket};
pub use hash::hash_stop::hashed_part;
pub use hash::key_hash::KeyHash;
pub use hash::kind::HashKind;
pub use hash::placement::Placement;
pub use hash::spooky::spooky64;
pub use topology::{Server, Topology, Weight};
