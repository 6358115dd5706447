//! Which nodes there are at each event, which one it is about, and whose keys go cold by it.

use std::collections::BTreeSet;

use cluster::{HashKind, Placement, Server, Topology};

use super::Theory;
use crate::measure::outcome::ratio;
use crate::scenario::{Action, ClusterSpec, NodeRef};

/// The cluster, and what stands behind it, as events change it.
#[derive(Clone)]
pub(super) struct Members {
    pub(super) names: Vec<String>,
    pub(super) hash: HashKind,
    /// Numbers given so far.
    started: usize,
    pub(super) down: BTreeSet<String>,
    /// Requests before the warm-up that is under way.
    pub(super) warming_since: Option<u64>,
    /// Reads per second that the backing store can take; 0 is unlimited.
    pub(super) backend_capacity: f64,
}

impl Members {
    pub(super) fn new(nodes: usize, hash: HashKind, backend_capacity: f64) -> Self {
        Self {
            names: (0..nodes).map(ClusterSpec::node_name).collect(),
            hash,
            started: nodes,
            down: BTreeSet::new(),
            warming_since: None,
            backend_capacity,
        }
    }

    pub(super) fn start(&mut self, count: usize) {
        for _ in 0..count {
            self.names.push(ClusterSpec::node_name(self.started));
            self.started += 1;
        }
    }

    pub(super) fn topology(&self) -> Topology {
        Topology::new(self.hash, self.names.iter().map(Server::new))
    }
}

impl Theory<'_> {
    /// The node an action is about; `random` counts as the last, for want of a draw.
    pub(super) fn victim(
        &self,
        members: &Members,
        action: &Action,
        weights: &[u64],
    ) -> Result<Option<String>, String> {
        let Some(node) = action.node() else {
            return Ok(None);
        };
        let mut up = members.names.iter().filter(|name| !members.down.contains(*name));
        Ok(match node {
            NodeRef::Name(name) => Some(name.clone()),
            NodeRef::Last | NodeRef::Random => up.next_back().cloned(),
            NodeRef::Hottest => {
                let placement = Placement::new(&members.topology()).map_err(|error| error.to_string())?;
                let mut load = vec![0_u64; members.names.len()];
                let mut scratch = Vec::new();
                for (key, weight) in (0..).zip(weights) {
                    load[placement.owner(self.prepared.keys.text(key, &mut scratch))] += weight;
                }
                up.max_by_key(|name| {
                    members
                        .names
                        .iter()
                        .position(|other| other == *name)
                        .map(|index| load[index])
                })
                .cloned()
            }
        })
    }

    /// Shares of the keys asked for so far whose copy is gone, and of the requests they had.
    pub(super) fn cold_share(
        &self,
        before: &Members,
        after: &Members,
        lost: &[String],
        weights: &[u64],
    ) -> Result<(f64, f64), String> {
        let placement =
            |members: &Members| Placement::new(&members.topology()).map_err(|error| error.to_string());
        let (old, new) = (placement(before)?, placement(after)?);
        let moves = before.topology() != after.topology();
        let (mut keys, mut cold_keys, mut requests, mut cold_requests) = (0_u64, 0_u64, 0_u64, 0_u64);
        let mut scratch = Vec::new();
        for (key, weight) in (0..).zip(weights).filter(|(_, weight)| **weight > 0) {
            let text = self.prepared.keys.text(key, &mut scratch);
            let owner = old.owner_name(text);
            let moved = moves && owner != new.owner_name(text);
            keys += 1;
            requests += weight;
            if moved || lost.iter().any(|name| name == owner) {
                cold_keys += 1;
                cold_requests += weight;
            }
        }
        Ok((
            ratio(cold_keys, keys).unwrap_or(0.0),
            ratio(cold_requests, requests).unwrap_or(0.0),
        ))
    }
}

/// Shares of the keys that nobody is expected to ask for in so many requests, and of the requests they have.
pub(super) fn unasked(weights: &[u64], requests: u64) -> (f64, f64) {
    let total = weights.iter().sum::<u64>().max(1) as f64;
    let asked = weights.iter().filter(|weight| **weight > 0);
    let (mut keys, mut left, mut load) = (0.0_f64, 0.0, 0.0);
    for weight in asked {
        let share = *weight as f64 / total;
        let unasked = (-share * requests as f64).exp();
        keys += 1.0;
        left += unasked;
        load += share * unasked;
    }
    (left / keys.max(1.0), load)
}
