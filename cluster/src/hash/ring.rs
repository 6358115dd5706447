//! Points on a circle: a key belongs to the first point at or after its hash, and past the last point to the first.

use xxhash_rust::xxh3::xxh3_64;

use super::rendezvous::mix;
use crate::topology::Server;

/// Sorted points and whose they are. `P` is `u32` for the ketama family, `u64` for our own ring.
#[derive(Debug, Clone)]
pub(super) struct Ring<P> {
    points: Box<[P]>,
    owners: Box<[u32]>,
}

impl<P: Copy + Ord> Ring<P> {
    /// `points` as (position, server); at least one. Of two points at one position the first given wins, as a stable
    /// sort of the originals' continuum has it.
    pub(super) fn new(mut points: Vec<(P, u32)>) -> Self {
        points.sort_by_key(|&(position, _)| position);
        points.dedup_by_key(|&mut (position, _)| position);
        Self {
            points: points.iter().map(|&(position, _)| position).collect(),
            owners: points.iter().map(|&(_, owner)| owner).collect(),
        }
    }

    pub(super) fn owner(&self, hash: P) -> usize {
        let at = self.points.partition_point(|&point| point < hash);
        // Past the last point comes the first.
        let at = if at == self.points.len() { 0 } else { at };
        self.owners[at] as usize
    }
}

impl Ring<u32> {
    /// The exact share of the circle each of `servers` servers owns.
    pub(super) fn shares(&self, servers: usize) -> Vec<f64> {
        const CIRCLE: f64 = (1_u64 << 32) as f64;
        self.arcs(servers, |from, to| f64::from(to.wrapping_sub(from)) / CIRCLE)
    }
}

impl Ring<u64> {
    /// The share of the circle each of `servers` servers owns.
    #[expect(clippy::cast_precision_loss, reason = "53 bits of an arc are plenty")]
    pub(super) fn shares(&self, servers: usize) -> Vec<f64> {
        const CIRCLE: f64 = 18_446_744_073_709_551_616.0;
        self.arcs(servers, |from, to| to.wrapping_sub(from) as f64 / CIRCLE)
    }
}

impl<P: Copy> Ring<P> {
    fn arcs(&self, servers: usize, arc: impl Fn(P, P) -> f64) -> Vec<f64> {
        let mut shares = vec![0.0; servers];
        if let [_] = *self.points {
            shares[self.owners[0] as usize] = 1.0;
            return shares;
        }
        let before = self.points.iter().cycle().skip(self.points.len() - 1);
        for ((&point, &owner), &from) in self.points.iter().zip(&self.owners).zip(before) {
            shares[owner as usize] += arc(from, point);
        }
        shares
    }
}

/// Our own ring. Point `i` of a server is `mix(seed + (i + 1) * 0x9e3779b97f4a7c15)`, the SplitMix64 sequence from the
/// XXH3-64 of its name. A server has `points` times its weight of them, whatever the others have, so that changing one
/// weight moves keys to or from that server alone.
pub(super) fn own_points(servers: &[Server], points: u32) -> Vec<(u64, u32)> {
    const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut ring = Vec::new();
    for (index, server) in (0_u32..).zip(servers) {
        let mut state = xxh3_64(server.name.as_bytes());
        for _ in 0..whole(own_point_count(server, points)) {
            state = state.wrapping_add(GOLDEN);
            ring.push((mix(state), index));
        }
    }
    ring
}

/// How many points a server has on our own ring: at least one unless its weight is zero. A whole number.
pub(super) fn own_point_count(server: &Server, points: u32) -> f64 {
    let weight = server.weight.get();
    if weight > 0.0 {
        (weight * f64::from(points)).round().max(1.0)
    } else {
        0.0
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "at most a million times ten thousand"
)]
pub(super) fn whole(count: f64) -> u64 {
    count as u64
}
