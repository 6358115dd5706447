//! Which share of the keys changes owner, and how even the shares are.

use std::collections::HashMap;

use crate::hash::kind::HashKind;
use crate::hash::{point_counts, slot_owners};
use crate::topology::{Server, Topology};

/// The expected share of keys whose owner has another name under `new` than under `old`; exact for the schemes by list
/// position and for rendezvous, a mean over names for rings (a given ring strays from it by [`ring_share_cv`]).
///
/// With one server more or less, all of weight 1, it gives what is usually quoted, `n` servers before:
///
/// | scheme | add one | remove the last | remove the `m`-th (from 0) of a list that closes up |
/// |---|---|---|---|
/// | modulo | n/(n+1) | (n-1)/n | (n-1)/n |
/// | ring, ketama, rendezvous | 1/(n+1) | 1/n | 1/n |
/// | jump, Ch3 | 1/(n+1) | 1/n | (n-1-m)/n + (1/n)(1 - 1/(n-1)) |
///
/// A server that is down while its place in the list is kept loses its [`shares`] and nobody else anything.
pub fn remapped(old: &Topology, new: &Topology) -> f64 {
    if old.hash != new.hash {
        return 1.0 - kept_by_chance(old, new);
    }
    let kept = match old.hash {
        HashKind::Rendezvous | HashKind::McrouterWeightedRendezvous => {
            kept_by_rendezvous(old, new, |server| server.weight.get())
        }
        HashKind::McrouterRendezvous => kept_by_rendezvous(old, new, |_| 1.0),
        HashKind::Ring { .. }
        | HashKind::Ketama { .. }
        | HashKind::KetamaLibmemcached(_)
        | HashKind::KetamaSpy(_)
        | HashKind::KetamaTwemproxy(_) => kept_by_ring(old, new),
        HashKind::Modulo(_) | HashKind::ModuloTwemproxy(_) | HashKind::Crc32 => kept_by_modulo(old, new),
        HashKind::Jump | HashKind::Ch3 | HashKind::ConstShard => kept_by_jump(old, new, |_| 1.0),
        HashKind::WeightedCh3 => kept_by_jump(old, new, |server| server.weight.get()),
    };
    1.0 - kept
}

/// The expected share of the keyspace of each server, in list order.
pub fn shares(topology: &Topology) -> Vec<f64> {
    let parts: Vec<f64> = match topology.hash {
        HashKind::Rendezvous | HashKind::McrouterWeightedRendezvous | HashKind::WeightedCh3 => topology
            .servers
            .iter()
            .map(|server| server.weight.get())
            .collect(),
        _ => point_counts(topology),
    };
    let total: f64 = parts.iter().sum();
    parts.into_iter().map(|part| part / total).collect()
}

/// Coefficient of variation (standard deviation over mean) of a server's share of a ring on which each of `servers`
/// has `points`: `sqrt((n - 1) / (n V + 1))`, about `1 / sqrt(V)`.
///
/// The share is Beta(V, (n-1)V) distributed: a sum of V of the nV spacings of uniform points. It is also how far the
/// share moved by adding or removing a server strays from its mean.
pub fn ring_share_cv(servers: u32, points: u32) -> f64 {
    let (servers, points) = (f64::from(servers), f64::from(points));
    ((servers - 1.0) / (servers * points + 1.0)).sqrt()
}

/// Coefficient of variation of a server's share of `keys` keys where the scheme itself is even (rendezvous, jump,
/// modulo): only the luck of the draw, `sqrt((n - 1) / K)`.
pub fn sampled_share_cv(servers: u32, keys: u32) -> f64 {
    (f64::from(servers - 1) / f64::from(keys)).sqrt()
}

/// Every name of either side with its server before and after.
fn by_name<'a>(old: &'a Topology, new: &'a Topology) -> Vec<(Option<usize>, Option<usize>)> {
    let positions: HashMap<&str, usize> = new
        .servers
        .iter()
        .enumerate()
        .map(|(position, server)| (server.name.as_str(), position))
        .collect();
    let mut stayed = vec![false; new.servers.len()];
    let mut names = Vec::with_capacity(old.servers.len());
    for (position, server) in old.servers.iter().enumerate() {
        let after = positions.get(server.name.as_str()).copied();
        if let Some(after) = after {
            stayed[after] = true;
        }
        names.push((Some(position), after));
    }
    let came = stayed
        .iter()
        .enumerate()
        .filter(|(_, stayed)| !**stayed)
        .map(|(position, _)| (None, Some(position)));
    names.extend(came);
    names
}

/// Two schemes that know nothing of each other agree by chance.
fn kept_by_chance(old: &Topology, new: &Topology) -> f64 {
    let (before, after) = (shares(old), shares(new));
    by_name(old, new)
        .into_iter()
        .map(|places| match places {
            (Some(old), Some(new)) => before[old] * after[new],
            _ => 0.0,
        })
        .sum()
}

/// Server `i` wins before and after iff every other's exponential clock runs longer than its own by the larger of the
/// two weight ratios: `1 / sum_j max(w_j / w_i, w'_j / w'_i)`. With weights unchanged, the weight of those who stayed
/// over the weight of all who ever were.
fn kept_by_rendezvous(old: &Topology, new: &Topology, weight: impl Fn(&Server) -> f64) -> f64 {
    let names = by_name(old, new);
    let weights: Vec<(f64, f64)> = names
        .iter()
        .map(|&(before, after)| {
            let of = |topology: &Topology, place: Option<usize>| {
                place.map_or(0.0, |at| weight(&topology.servers[at]))
            };
            (of(old, before), of(new, after))
        })
        .collect();
    weights
        .iter()
        .filter(|(before, after)| *before > 0.0 && *after > 0.0)
        .map(|&(before, after)| {
            weights
                .iter()
                .map(|&(b, a)| (b / before).max(a / after))
                .sum::<f64>()
                .recip()
        })
        .sum()
}

/// On the circle of all points of before and after, the first one at or after the key decides. If it is in both, the
/// key stays. If it came or went, the key stays only if the next point of the other side is the same server's.
fn kept_by_ring(old: &Topology, new: &Topology) -> f64 {
    let (before, after) = (point_counts(old), point_counts(new));
    let (total_before, total_after): (f64, f64) = (before.iter().sum(), after.iter().sum());
    let of = |counts: &[f64], place: Option<usize>| place.map_or(0.0, |at| counts[at]);
    let (mut all, mut kept) = (0.0, 0.0);
    for (place_before, place_after) in by_name(old, new) {
        let (b, a) = (of(&before, place_before), of(&after, place_after));
        all += b.max(a);
        kept += b.min(a) + (b - a).max(0.0) * a / total_after + (a - b).max(0.0) * b / total_before;
    }
    kept / all
}

/// `h mod n` and `h mod m` are `i` and `j` together, for `i = j` modulo the greatest common divisor, once in their
/// least common multiple.
fn kept_by_modulo(old: &Topology, new: &Topology) -> f64 {
    let (before, after) = (slots(old), slots(new));
    let divisor = gcd(before.len(), after.len());
    let mut by_residue: HashMap<(&str, usize), u32> = HashMap::new();
    for (slot, name) in before.iter().enumerate() {
        *by_residue.entry((name, slot % divisor)).or_default() += 1;
    }
    let matches: f64 = after
        .iter()
        .enumerate()
        .filter_map(|(slot, name)| by_residue.get(&(*name, slot % divisor)))
        .map(|&count| f64::from(count))
        .sum();
    matches / (count(before.len()) / count(divisor) * count(after.len()))
}

/// The names behind a modulo's slots, in slot order.
fn slots(topology: &Topology) -> Vec<&str> {
    slot_owners(topology)
        .into_iter()
        .map(|index| topology.servers[index].name.as_str())
        .collect()
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Going from `n` to `m > n` buckets a key keeps its bucket with probability n/m, else gets any of the new ones. Where
/// servers refuse keys (WeightedCh3), the same draw decides on both sides, and a refused key is drawn again.
fn kept_by_jump(old: &Topology, new: &Topology, weight: impl Fn(&Server) -> f64) -> f64 {
    let (short, long) = if old.servers.len() <= new.servers.len() {
        (old, new)
    } else {
        (new, old)
    };
    let (n, m) = (short.servers.len(), long.servers.len());
    let (share_short, share_long) = (shares_by(short, &weight), shares_by(long, &weight));
    let place_in_long: HashMap<&str, usize> = long
        .servers
        .iter()
        .enumerate()
        .map(|(place, server)| (server.name.as_str(), place))
        .collect();
    let place_in_short: HashMap<&str, usize> = short
        .servers
        .iter()
        .enumerate()
        .map(|(place, server)| (server.name.as_str(), place))
        .collect();

    // Per draw: both accept and name one server; one accepts alone and the other, drawing on, comes to the same; and
    // both refuse.
    let (mut kept, mut refused) = (0.0, 0.0);
    let mut pair = |a: &Server, b: &Server, probability: f64| {
        let (x, y) = (weight(a), weight(b));
        if a.name == b.name {
            kept += probability * x.min(y);
        }
        let later_in_long = place_in_long
            .get(a.name.as_str())
            .map_or(0.0, |&place| share_long[place]);
        let later_in_short = place_in_short
            .get(b.name.as_str())
            .map_or(0.0, |&place| share_short[place]);
        kept += probability * ((x - y).max(0.0) * later_in_long + (y - x).max(0.0) * later_in_short);
        refused += probability * (1.0 - x.max(y));
    };
    for (a, b) in short.servers.iter().zip(&long.servers) {
        pair(a, b, count(m).recip());
    }
    for a in &short.servers {
        for b in &long.servers[n..] {
            pair(a, b, (count(n) * count(m)).recip());
        }
    }
    kept / (1.0 - refused)
}

fn shares_by(topology: &Topology, weight: impl Fn(&Server) -> f64) -> Vec<f64> {
    let total: f64 = topology.servers.iter().map(&weight).sum();
    topology
        .servers
        .iter()
        .map(|server| weight(server) / total)
        .collect()
}

#[expect(clippy::cast_precision_loss, reason = "a number of servers or slots")]
fn count(servers: usize) -> f64 {
    servers as f64
}
