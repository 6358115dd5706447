//! Which key is asked for: uniform, exact Zipf, hot spot, a histogram.
//!
//! Zipf is drawn over ranks by rejection (exact for any exponent ≥ 0, 1.0 included), then ranks become key numbers by
//! a bijection. Hashing ranks instead, as YCSB's "scrambled" Zipf does, merges ranks and is no longer Zipf.

use std::sync::Arc;

use rand::RngExt;
use rand::distr::Distribution;
use rand_distr::Zipf;

use super::seed::{Random, mix};
use crate::scenario::{Bucket, Shift};

/// Draws key numbers from `0..keys`.
#[derive(Debug, Clone)]
pub struct Popularity {
    keys: u64,
    ranks: Ranks,
    shuffle: Permutation,
    /// Ranks are turned by so many before they become keys.
    turn: u64,
    /// Rank is recency.
    recent: bool,
}

#[derive(Debug, Clone)]
enum Ranks {
    Uniform,
    Zipf { zipf: Zipf<f64>, alpha: f64 },
    Hotspot { hot: u64, ops: f64 },
    Histogram(Arc<[Slice]>),
}

/// Ranks of a histogram that are alike.
#[derive(Debug, Clone, Copy)]
struct Slice {
    first: u64,
    keys: u64,
    /// Of the requests; and together with all slices before it.
    share: f64,
    up_to: f64,
}

impl Popularity {
    /// Every key alike.
    #[must_use]
    pub fn uniform(keys: u64, seed: u64) -> Self {
        Self {
            keys: keys.max(1),
            ranks: Ranks::Uniform,
            shuffle: Permutation::new(keys, seed),
            turn: 0,
            recent: false,
        }
    }

    /// Rank r (from 1) has weight r^-alpha. `None` for an exponent that is negative or no number.
    #[must_use]
    pub fn zipf(keys: u64, alpha: f64, seed: u64) -> Option<Self> {
        let zipf = Zipf::new(keys.max(1) as f64, alpha).ok()?;
        Some(Self {
            keys: keys.max(1),
            ranks: Ranks::Zipf { zipf, alpha },
            shuffle: Permutation::new(keys, seed),
            turn: 0,
            recent: false,
        })
    }

    /// The share `ops` of the requests goes to the share `data` of the keys.
    #[must_use]
    pub fn hotspot(keys: u64, data: f64, ops: f64, seed: u64) -> Self {
        let hot = whole(keys.max(1) as f64 * data).clamp(1, keys.max(1));
        Self {
            keys: keys.max(1),
            ranks: Ranks::Hotspot { hot, ops },
            shuffle: Permutation::new(keys, seed),
            turn: 0,
            recent: false,
        }
    }

    /// Buckets of keys alike, the most popular first; their shares sum to 1.
    #[must_use]
    pub fn histogram(buckets: &[Bucket], seed: u64) -> Self {
        let (mut first, mut up_to) = (0, 0.0);
        let slice = |bucket: &Bucket| {
            up_to += bucket.share;
            let slice = Slice {
                first,
                keys: bucket.keys,
                share: bucket.share,
                up_to,
            };
            first += bucket.keys;
            slice
        };
        let slices: Arc<[Slice]> = buckets.iter().map(slice).collect();
        let keys = first.max(1);
        Self {
            keys,
            ranks: Ranks::Histogram(slices),
            shuffle: Permutation::new(keys, seed),
            turn: 0,
            recent: false,
        }
    }

    /// Zipf over recency: what was written last is the most popular.
    #[must_use]
    pub fn latest(keys: u64, alpha: f64, seed: u64) -> Option<Self> {
        Some(Self {
            recent: true,
            ..Self::zipf(keys, alpha, seed)?
        })
    }

    /// The key of the next write: drawn like any other, or, by recency, the oldest, which becomes the newest.
    pub fn draw_written(&mut self, random: &mut Random) -> u64 {
        if !self.recent {
            return self.draw(random);
        }
        self.shift(Shift::Rotate(1));
        self.key_of_rank(0)
    }

    /// The number of the next key.
    #[must_use]
    pub fn draw(&self, random: &mut Random) -> u64 {
        self.key_of_rank(self.draw_rank(random))
    }

    /// The next rank, 0 the most popular.
    fn draw_rank(&self, random: &mut Random) -> u64 {
        match &self.ranks {
            Ranks::Uniform => random.random_range(0..self.keys),
            // The sampler returns whole numbers from 1 to keys; rounding may not carry it past the end.
            Ranks::Zipf { zipf, .. } => (whole(zipf.sample(random)).max(1) - 1).min(self.keys - 1),
            Ranks::Histogram(slices) => {
                let at: f64 = random.random();
                let place = slices.partition_point(|slice| slice.up_to <= at);
                // Sums of shares may end a hair below 1.
                let slice = slices[place.min(slices.len() - 1)];
                slice.first + random.random_range(0..slice.keys)
            }
            Ranks::Hotspot { hot, ops } => {
                if *hot == self.keys || random.random_bool(*ops) {
                    random.random_range(0..*hot)
                } else {
                    random.random_range(*hot..self.keys)
                }
            }
        }
    }

    /// The share of requests that rank `rank` (0 the most popular) has, times a common factor.
    #[must_use]
    pub fn weight(&self, rank: u64) -> f64 {
        match &self.ranks {
            Ranks::Uniform => 1.0,
            Ranks::Zipf { alpha, .. } => ((rank + 1) as f64).powf(-alpha),
            Ranks::Histogram(slices) => {
                let place = slices.partition_point(|slice| slice.first <= rank);
                let slice = slices[place.saturating_sub(1)];
                slice.share / slice.keys as f64
            }
            Ranks::Hotspot { hot, ops } if rank < *hot => ops / *hot as f64,
            Ranks::Hotspot { hot, ops } => (1.0 - ops) / (self.keys - hot) as f64,
        }
    }

    #[must_use]
    pub fn keys(&self) -> u64 {
        self.keys
    }

    /// The key number of a rank.
    #[must_use]
    pub fn key_of_rank(&self, rank: u64) -> u64 {
        self.shuffle.apply((rank + self.turn) % self.keys)
    }

    /// Other keys become popular: every rank's key moves on by some ranks, or all ranks get other keys.
    pub fn shift(&mut self, shift: Shift) {
        match shift {
            // The key at rank r is found at rank r + by.
            Shift::Rotate(by) => self.turn = (self.turn + self.keys - by % self.keys) % self.keys,
            Shift::Reshuffle => self.shuffle = self.shuffle.next(),
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "float to integer saturates"
)]
fn whole(x: f64) -> u64 {
    x as u64
}

/// A bijection of `0..n`: a four-round Feistel network over the next even power of two, walked until it lands inside.
#[derive(Debug, Clone)]
pub struct Permutation {
    n: u64,
    half_bits: u32,
    keys: [u64; 4],
}

impl Permutation {
    #[must_use]
    pub fn new(n: u64, seed: u64) -> Self {
        let n = n.max(1);
        let bits = 64 - (n - 1).leading_zeros();
        let keys = std::array::from_fn(|round| mix(seed ^ mix(round as u64 + 1)));
        Self {
            n,
            half_bits: bits.div_ceil(2).max(1),
            keys,
        }
    }

    /// Where `x` (below n) goes. Ends after fewer than four steps on average: the domain is at most four times n.
    #[must_use]
    pub fn apply(&self, x: u64) -> u64 {
        let mut x = self.encrypt(x);
        while x >= self.n {
            x = self.encrypt(x);
        }
        x
    }

    /// Another one of the same numbers.
    #[must_use]
    fn next(&self) -> Self {
        Self {
            keys: self.keys.map(|key| mix(key ^ 1)),
            ..*self
        }
    }

    fn encrypt(&self, x: u64) -> u64 {
        let mask = (1_u64 << self.half_bits) - 1;
        let (mut left, mut right) = (x >> self.half_bits, x & mask);
        for key in self.keys {
            (left, right) = (right, left ^ (mix(right ^ key) & mask));
        }
        (left << self.half_bits) | right
    }
}

#[cfg(test)]
mod tests {
    use super::{Permutation, Popularity};
    use crate::scenario::{Bucket, Shift};
    use crate::workload::seed::stream;

    #[test]
    fn the_permutation_reaches_every_number_once() {
        for n in [1, 2, 3, 5, 64, 65, 1000, 4097] {
            let shuffle = Permutation::new(n, 7);
            let mut seen = vec![false; usize::try_from(n).unwrap()];
            for x in 0..n {
                let y = usize::try_from(shuffle.apply(x)).unwrap();
                assert!(!seen[y], "n {n}: {y} twice");
                seen[y] = true;
            }
        }
    }

    /// Pearson's χ² of drawn ranks, tail ranks merged until each cell expects 20, against its mean + 5 sd.
    fn chi_squared_holds(popularity: &Popularity, keys: u64, draws: u32, seed: u64) {
        let mut random = stream(seed, "test", 0);
        let mut counts = vec![0_u32; usize::try_from(keys).unwrap()];
        for _ in 0..draws {
            counts[usize::try_from(popularity.draw_rank(&mut random)).unwrap()] += 1;
        }
        let total: f64 = (0..keys).map(|rank| popularity.weight(rank)).sum();
        let (mut chi, mut cells, mut observed, mut expected) = (0.0, 0_u32, 0.0, 0.0);
        for (rank, count) in (0..keys).zip(&counts) {
            observed += f64::from(*count);
            expected += f64::from(draws) * popularity.weight(rank) / total;
            if expected >= 20.0 {
                chi += (observed - expected).powi(2) / expected;
                cells += 1;
                (observed, expected) = (0.0, 0.0);
            }
        }
        let freedom = f64::from(cells) - 1.0;
        assert!(cells > 10, "{cells} cells decide nothing");
        assert!(
            chi < freedom + 5.0 * (2.0 * freedom).sqrt(),
            "seed {seed}: chi² {chi:.1} at {freedom} degrees"
        );
    }

    #[test]
    fn zipf_is_exact_for_any_exponent() {
        for alpha in [0.0, 0.5, 0.8, 0.99, 1.0, 1.2117, 2.1] {
            for seed in [1, 2] {
                chi_squared_holds(
                    &Popularity::zipf(5_000, alpha, seed).unwrap(),
                    5_000,
                    400_000,
                    seed,
                );
            }
        }
        assert!(Popularity::zipf(10, -0.1, 0).is_none());
        assert!(Popularity::zipf(10, f64::NAN, 0).is_none());
    }

    #[test]
    fn uniform_and_hotspot_are_what_they_say() {
        chi_squared_holds(&Popularity::uniform(1_000, 3), 1_000, 200_000, 3);
        chi_squared_holds(&Popularity::hotspot(1_000, 0.2, 0.8, 3), 1_000, 200_000, 3);
        chi_squared_holds(&Popularity::hotspot(1_000, 1.0, 0.8, 3), 1_000, 200_000, 3);
    }

    #[test]
    fn a_histogram_is_drawn_as_it_is_written() {
        let bucket = |keys, share| Bucket { keys, share };
        let buckets = [bucket(1, 0.066), bucket(99, 0.3), bucket(900, 0.634)];
        let popularity = Popularity::histogram(&buckets, 3);
        assert_eq!(popularity.keys(), 1_000);
        assert!((popularity.weight(0) - 0.066).abs() < 1e-12);
        assert!((popularity.weight(99) - 0.3 / 99.0).abs() < 1e-12);
        assert!((popularity.weight(100) - 0.634 / 900.0).abs() < 1e-12);
        chi_squared_holds(&popularity, 1_000, 200_000, 3);
    }

    #[test]
    fn a_shift_gives_ranks_other_keys_and_every_rank_one() {
        let before = Popularity::zipf(1_000, 0.99, 9).unwrap();
        let mut turned = before.clone();
        turned.shift(Shift::Rotate(10));
        assert_eq!(turned.key_of_rank(10), before.key_of_rank(0));
        assert_eq!(turned.key_of_rank(0), before.key_of_rank(990));
        let mut other = before.clone();
        other.shift(Shift::Reshuffle);
        let same = (0..1_000)
            .filter(|rank| other.key_of_rank(*rank) == before.key_of_rank(*rank))
            .count();
        assert!(same < 20, "{same} of 1,000 ranks kept their key");
        let keys: std::collections::HashSet<u64> = (0..1_000).map(|rank| other.key_of_rank(rank)).collect();
        assert_eq!(keys.len(), 1_000);
    }

    #[test]
    fn by_recency_what_was_written_last_is_asked_for_most() {
        let mut latest = Popularity::latest(100, 0.99, 4).unwrap();
        let mut random = stream(4, "test", 0);
        let order: Vec<u64> = (0..100).map(|_| latest.draw_written(&mut random)).collect();
        let distinct: std::collections::HashSet<&u64> = order.iter().collect();
        assert_eq!(
            distinct.len(),
            100,
            "every key is written once before any is again"
        );
        for (age, key) in (0..).zip(order.iter().rev()) {
            assert_eq!(latest.key_of_rank(age), *key);
        }
    }

    #[test]
    fn the_same_seed_draws_the_same_keys_in_another_order_than_ranks() {
        let popularity = Popularity::zipf(1_000, 0.99, 9).unwrap();
        let draw = |seed| {
            let mut random = stream(seed, "keys", 0);
            (0..100).map(|_| popularity.draw(&mut random)).collect::<Vec<_>>()
        };
        assert_eq!(draw(9), draw(9));
        assert_ne!(draw(9), draw(10));
        assert_ne!(popularity.key_of_rank(0), 0);
    }
}
