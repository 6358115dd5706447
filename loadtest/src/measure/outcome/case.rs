//! Rows of a comparison.

use serde::{Deserialize, Serialize};

use super::Remap;

/// One case of a comparison, beside its reference.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Case {
    /// `flush`, `add_node`, `remove_node`.
    pub event: String,
    pub hash: String,
    pub nodes: u32,
    pub warm: Option<f64>,
    pub first_5k: Option<f64>,
    pub first_20k: Option<f64>,
    pub recovery_requests: Option<u64>,
    /// The mixture law over the first 20,000.
    pub predicted_20k: Option<f64>,
    pub remap_predicted: Option<Remap>,
    pub remap_measured: Option<Remap>,
    /// By the difference of the topologies, over all keys seen.
    pub remap_all: Option<Remap>,
    pub key_fraction_formula: Option<f64>,
    /// Published or simulated figures for the same case.
    pub reference: Option<CaseReference>,
    /// Every figure within the tolerance of its reference.
    pub within_tolerance: Option<bool>,
    pub mismatches: u64,
    pub requests: u64,
    pub elapsed_seconds: f64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CaseReference {
    pub warm: f64,
    pub first_5k: f64,
    pub first_20k: f64,
    pub recovery_requests: u64,
    /// Largest difference that counts as agreement (0.015 is 1.5 percentage points).
    pub tolerance: f64,
}
