//! What can be wrong with a topology, said so that the person who wrote it can put it right.

use crate::hash::kind::HashKind;
use crate::topology::Weight;

/// A name that is none of our hashes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown hash {name:?}: did you mean {nearest:?}? valid: {valid}")]
pub struct UnknownHash {
    /// What was written.
    pub name: String,
    /// The valid name closest to it.
    pub nearest: String,
    /// Every valid form, comma-separated.
    pub valid: String,
}

/// A weight outside `0..=1_000_000`, or not a number.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("weight {given} is not a number from 0 to 1000000")]
pub struct WeightError {
    /// What was written.
    pub given: f64,
}

/// Why no placement can be made of a topology.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PlacementError {
    /// Somebody has to own the keys.
    #[error("no servers")]
    NoServers,
    /// A name is what a key's owner is known by.
    #[error("server name {name:?} is given twice (positions {first} and {second}, counted from 0)")]
    DuplicateName {
        /// The name.
        name: String,
        /// Where it was first.
        first: usize,
        /// Where it was again.
        second: usize,
    },
    /// An empty name names nobody.
    #[error("server at position {position} (counted from 0) has an empty name")]
    EmptyName {
        /// Where in the list.
        position: usize,
    },
    /// With every weight zero nobody owns anything.
    #[error("every server has weight 0")]
    NoWeight,
    /// The scheme counts weight in whole points or slots.
    #[error("hash {hash} takes whole weights, and server {name:?} has {weight}")]
    FractionalWeight {
        /// The scheme.
        hash: HashKind,
        /// The server.
        name: String,
        /// Its weight.
        weight: Weight,
    },
    /// The scheme takes a key with this probability.
    #[error("hash {hash} takes weights from 0 to 1, and server {name:?} has {weight}")]
    WeightAboveOne {
        /// The scheme.
        hash: HashKind,
        /// The server.
        name: String,
        /// Its weight.
        weight: Weight,
    },
    /// More servers, points or slots than the scheme can address or we would hold in memory.
    #[error("{given} {what} are more than hash {hash} can have ({max})")]
    TooLarge {
        /// The scheme.
        hash: HashKind,
        /// How many there would be.
        given: u64,
        /// How many there may be.
        max: u64,
        /// Of what.
        what: &'static str,
    },
}
