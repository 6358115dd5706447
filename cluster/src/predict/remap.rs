//! Which share of the keys changes owner.

use crate::topology::Topology;

/// The expected share of keys whose owner has another name under `new` than under `old`.
pub fn remapped(old: &Topology, new: &Topology) -> f64 {
    let weight_in_both: f64 = old
        .servers
        .iter()
        .filter(|server| new.servers.iter().any(|other| other.name == server.name))
        .map(|server| server.weight.get())
        .sum();
    let weight_of_old: f64 = old.servers.iter().map(|server| server.weight.get()).sum();
    let weight_of_new: f64 = new.servers.iter().map(|server| server.weight.get()).sum();
    1.0 - weight_in_both / (weight_of_old + weight_of_new - weight_in_both)
}
