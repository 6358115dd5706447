//! Points on a circle: a key belongs to the first point at or after its hash, and past the last point to the first.

use xxhash_rust::xxh3::xxh3_64;

use super::rendezvous::mix;
use crate::topology::Server;

/// A place on the circle: `u32` for the ketama family, `u64` for our own ring.
pub(super) trait Position: Copy + Ord {
    /// The `bits` (1 to 31) highest bits.
    fn top(self, bits: u32) -> usize;
}

impl Position for u32 {
    fn top(self, bits: u32) -> usize {
        (self >> (Self::BITS - bits)) as usize
    }
}

impl Position for u64 {
    #[expect(clippy::cast_possible_truncation, reason = "at most 31 bits are left")]
    fn top(self, bits: u32) -> usize {
        (self >> (Self::BITS - bits)) as usize
    }
}

/// Sorted points and whose they are.
#[derive(Debug, Clone)]
pub(super) struct Ring<P> {
    points: Box<[P]>,
    owners: Box<[u32]>,
    /// How many of the highest bits index `sectors`.
    sector_bits: u32,
    /// The circle in equal sectors, about one per point: where each begins in `points`, and their number at the end.
    sectors: Box<[u32]>,
}

impl<P: Position> Ring<P> {
    /// `points` as (position, server); at least one and no more than 2^31. Of two points at one position the first given
    /// wins, as a stable sort of the originals' continuum has it.
    pub(super) fn new(mut points: Vec<(P, u32)>) -> Self {
        points.sort_by_key(|&(position, _)| position);
        points.dedup_by_key(|&mut (position, _)| position);
        let sector_bits = points.len().ilog2().clamp(1, 24);
        let mut sectors = vec![0; (1 << sector_bits) + 1];
        for (position, _) in &points {
            sectors[position.top(sector_bits) + 1] += 1;
        }
        let mut begin = 0;
        for sector in &mut sectors {
            begin += *sector;
            *sector = begin;
        }
        Self {
            points: points.iter().map(|&(position, _)| position).collect(),
            owners: points.iter().map(|&(_, owner)| owner).collect(),
            sector_bits,
            sectors: sectors.into(),
        }
    }

    pub(super) fn owner(&self, hash: P) -> usize {
        let sector = hash.top(self.sector_bits);
        let (begin, end) = (self.sectors[sector] as usize, self.sectors[sector + 1] as usize);
        let at = begin
            + self.points[begin..end]
                .iter()
                .take_while(|&&point| point < hash)
                .count();
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

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::any;
    use proptest::{prop_assert_eq, proptest};

    use super::Ring;
    use crate::predict::ring_share_cv;
    use crate::{Placement, Server, Topology};

    #[test]
    fn a_key_belongs_to_the_next_point_and_past_the_last_to_the_first() {
        let ring = Ring::new(vec![(30_u32, 2), (10, 0), (20, 1), (20, 0)]);
        for (hash, owner) in [
            (0, 0),
            (10, 0),
            (11, 1),
            (20, 1),
            (21, 2),
            (30, 2),
            (31, 0),
            (u32::MAX, 0),
        ] {
            assert_eq!(ring.owner(hash), owner, "{hash}");
        }
    }

    proptest! {
        #[test]
        fn sectors_find_what_a_search_finds(
            points in vec((any::<u32>(), 0..5_u32), 1..200), narrow: bool, hashes in vec(any::<u32>(), 100),
        ) {
            // Points crowded into one sector are the worst a ring can have.
            let points: Vec<_> = points.into_iter().map(|(at, owner)| (if narrow { at >> 16 } else { at }, owner)).collect();
            let ring = Ring::new(points.clone());
            for hash in hashes.into_iter().chain(points.iter().map(|point| point.0)) {
                let next = points.iter().map(|point| point.0.wrapping_sub(hash)).min().unwrap();
                let owner = points.iter().find(|point| point.0.wrapping_sub(hash) == next).unwrap().1;
                prop_assert_eq!(ring.owner(hash), owner as usize);
            }
        }
    }

    #[test]
    fn shares_are_the_arcs_before_the_points() {
        let ring = Ring::new(vec![(0_u32, 0), (1 << 31, 1), (3 << 30, 0)]);
        assert_eq!(ring.shares(3), [0.5, 0.5, 0.0]);
        assert_eq!(Ring::new(vec![(7_u64, 1)]).shares(2), [0.0, 1.0]);
    }

    /// Standard deviation of a share over the mean share, and the mean of the largest share over the mean, on rings of
    /// other names each.
    fn imbalance(hash: &str, servers: u32, rings: u32) -> (f64, f64, Vec<f64>) {
        let (n, rings_f) = (f64::from(servers), f64::from(rings));
        let (mut squares, mut largest) = (0.0, Vec::new());
        for ring in 0..rings {
            let names = (0..servers).map(|server| Server::new(format!("10.{ring}.0.{server}:11211")));
            let placement = Placement::new(&Topology::new(hash.parse().unwrap(), names)).unwrap();
            let shares = placement.ring_shares().unwrap();
            assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-9);
            squares += shares.iter().map(|share| (share * n - 1.0).powi(2)).sum::<f64>() / n;
            largest.push(shares.iter().copied().fold(0.0, f64::max) * n);
        }
        largest.sort_by(f64::total_cmp);
        (
            (squares / rings_f).sqrt(),
            largest.iter().sum::<f64>() / rings_f,
            largest,
        )
    }

    /// Shares are Beta(V, (n-1)V) distributed, so their spread has a formula, and rings of 160 points keep the largest
    /// share of up to 16 servers within a quarter of even in 95 of 100.
    #[test]
    fn rings_are_as_uneven_as_the_formula_says() {
        for (servers, points, mean_of_largest) in [
            (4, 40, 1.17),
            (4, 100, 1.11),
            (4, 160, 1.08),
            (8, 160, 1.11),
            (10, 160, 1.13),
            (32, 160, 1.16),
            (10, 640, 1.06),
        ] {
            for scheme in ["ketama", "ring"] {
                let hash = format!("{scheme}:{points}");
                let (cv, mean, largest) = imbalance(&hash, servers, 200);
                let expected = ring_share_cv(servers, points);
                assert!(
                    (cv / expected - 1.0).abs() < 0.15,
                    "{hash}, {servers} servers: {cv} against {expected}"
                );
                assert!(
                    (mean - mean_of_largest).abs() < 0.02,
                    "{hash}, {servers} servers: largest {mean}"
                );
                if points == 160 && servers <= 16 {
                    assert!(cv <= if servers <= 5 { 0.12 } else { 0.11 }, "{hash}: {cv}");
                    assert!(
                        largest[190] <= 1.25,
                        "{hash}, {servers} servers: {}",
                        largest[190]
                    );
                }
            }
        }
    }

    /// The table of Lamping and Veach's paper.
    #[test]
    fn the_formula_is_the_papers_table() {
        for (points, cv) in [(1, 0.998), (10, 0.315), (100, 0.0997), (1000, 0.03157)] {
            assert!((ring_share_cv(1000, points) - cv).abs() < 0.002, "{points}");
        }
    }
}
