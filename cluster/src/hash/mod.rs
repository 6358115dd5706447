//! From a key to its owner: one file per scheme, one door ([`placement::Placement`]).

use crate::topology::Topology;
use kind::HashKind;

pub(crate) mod ch3;
mod const_shard;
pub(crate) mod hash_stop;
mod jump;
mod ketama;
pub(crate) mod key_hash;
pub(crate) mod kind;
mod mcrouter_rendezvous;
mod modulo;
mod murmur64a;
pub(crate) mod placement;
mod rendezvous;
mod ring;
pub(crate) mod spooky;
mod twemproxy;
#[cfg(test)]
mod vectors;

/// How many points or slots each server has, in list order; 1 each where a scheme has neither.
pub(crate) fn point_counts(topology: &Topology) -> Vec<f64> {
    let servers = &topology.servers;
    let counted = |points: Vec<(u32, u32)>| {
        let mut counts = vec![0.0; servers.len()];
        for (_, index) in points {
            counts[index as usize] += 1.0;
        }
        counts
    };
    match topology.hash {
        HashKind::Ring { points } => servers
            .iter()
            .map(|server| ring::own_point_count(server, points))
            .collect(),
        HashKind::ModuloTwemproxy(_) => servers.iter().map(|server| server.weight.get()).collect(),
        _ => match ketama::Points::of(topology.hash) {
            Some(flavour) => counted(ketama::points(servers, flavour)),
            None => vec![1.0; servers.len()],
        },
    }
}

/// The list positions behind a modulo's slots, in slot order.
pub(crate) fn slot_owners(topology: &Topology) -> Vec<usize> {
    match topology.hash {
        HashKind::ModuloTwemproxy(_) => twemproxy::slots(&topology.servers)
            .flat_map(|(index, slots)| (0..slots).map(move |_| index as usize))
            .collect(),
        _ => (0..topology.servers.len()).collect(),
    }
}
