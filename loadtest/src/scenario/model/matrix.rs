//! `[matrix]`: every hash under every event.

use cluster::HashKind;

use crate::scenario::Action;

/// Every hash times every case, each on a fresh cluster with the same workload and seed.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    pub hashes: Vec<HashKind>,
    pub cases: Vec<MatrixCase>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct MatrixCase {
    /// `4 nodes, add 1`.
    pub name: String,
    pub nodes: usize,
    pub action: Action,
    /// Requests issued before the action, the baseline among them.
    pub warm_requests: u64,
    /// The warm hit rate is the mean over the last so many of them.
    pub baseline_requests: u64,
    /// Requests issued after it.
    pub after_requests: u64,
    /// Reference figures per hash, to print beside ours. `any` holds for every hash.
    pub expected: Vec<Expected>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Expected {
    /// `None`: every hash.
    pub hash: Option<HashKind>,
    /// Hit rates, fractions.
    pub warm: f64,
    pub first_5k: f64,
    pub first_20k: f64,
    pub to_95_requests: u64,
    /// Largest difference allowed, as a fraction.
    pub tolerance: f64,
}
