//! What theory says of keys asked for independently: what eviction keeps where nodes are full, what expiry leaves where
//! they are not, and what it costs at once where all is due together.

use cluster::predict;

use crate::workload::popularity::Popularity;

/// Ranks taken together are this part of their rank.
const GROUP_SHARE: u64 = 200;
/// Weight of a key that is asked for once, beside all others together.
const ONCE: f64 = 1e-12;

/// Who goes when there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Eviction {
    /// cache-node's.
    S3Fifo,
    /// memcached's, near enough.
    Lru,
}

/// Steady hit rate of nodes that hold so many items together, the share `lone` of the gets being for keys asked for once.
#[must_use]
pub fn warm(popularity: &Popularity, lone: f64, items: f64, eviction: Eviction) -> f64 {
    let classes = classes(popularity, lone);
    match eviction {
        Eviction::S3Fifo => classes.hit_rate_s3_fifo(items),
        Eviction::Lru => classes.hit_rate_lru(classes.characteristic_time(items)),
    }
}

/// Steady hit rate where nothing is lost for space and every fill lives for so many requests.
#[must_use]
pub fn expiring(popularity: &Popularity, lone: f64, requests_per_ttl: f64) -> f64 {
    classes(popularity, lone).hit_rate_ttl(requests_per_ttl)
}

/// Misses in the busiest second when all keys expire together: one TTL of `ttl` seconds for all from the same moment
/// on, spread by a share of up to `jitter` either way; `rate` gets a second, of which `lone` are for keys asked for once.
#[must_use]
pub fn expiring_together(popularity: &Popularity, lone: f64, rate: f64, ttl: f64, jitter: f64) -> f64 {
    let groups = groups(popularity);
    let per_weight = rate * (1.0 - lone) / weight_of(&groups);
    let peaks = groups
        .iter()
        .map(|(weight, keys)| predict::expiry_peak(*keys, weight * per_weight, ttl, jitter));
    peaks.sum::<f64>() + rate * lone
}

/// Keys of nearly the same popularity: the weight of each, and how many they are.
fn groups(popularity: &Popularity) -> Vec<(f64, f64)> {
    let (keys, mut groups, mut rank) = (popularity.keys(), Vec::new(), 0);
    while rank < keys {
        let together = (rank / GROUP_SHARE).max(1).min(keys - rank);
        groups.push((popularity.weight(rank + together / 2), together as f64));
        rank += together;
    }
    groups
}

fn weight_of(groups: &[(f64, f64)]) -> f64 {
    groups.iter().map(|(weight, keys)| weight * keys).sum()
}

fn classes(popularity: &Popularity, lone: f64) -> predict::Popularity {
    let groups = groups(popularity);
    let total = weight_of(&groups);
    let once = (lone > 0.0).then(|| (total * ONCE, lone / (1.0 - lone) / ONCE));
    predict::Popularity::from_classes(groups.into_iter().chain(once))
}

#[cfg(test)]
mod tests {
    use super::{Eviction, expiring, expiring_together, warm};
    use crate::workload::popularity::Popularity;

    #[test]
    fn the_published_rates_are_found() {
        // N = 100,000, room for a tenth: Che's table, and what S3-FIFO adds to it.
        for (alpha, lru, s3_fifo) in [(0.8, 0.4687, 0.5537), (0.99, 0.7250, 0.7767)] {
            let popularity = Popularity::zipf(100_000, alpha, 1).unwrap();
            for (eviction, expected) in [(Eviction::Lru, lru), (Eviction::S3Fifo, s3_fifo)] {
                let found = warm(&popularity, 0.0, 10_000.0, eviction);
                assert!((found - expected).abs() < 0.001, "{alpha} {eviction:?}: {found}");
            }
        }
    }

    #[test]
    fn a_fill_is_followed_by_as_many_hits_as_its_life_has_requests() {
        let uniform = Popularity::uniform(4_000, 1);
        // Ten requests for each key during its TTL.
        assert!((expiring(&uniform, 0.0, 40_000.0) - 10.0 / 11.0).abs() < 1e-9);
        assert!((expiring(&uniform, 0.5, 80_000.0) - 5.0 / 11.0).abs() < 1e-6);
    }

    #[test]
    fn what_expires_together_is_missed_together_unless_it_is_spread() {
        // 20,000 keys, each asked for every other second, a TTL of a minute. In a simulation of it: 7,748, 3,060, 1,730, 871.
        let uniform = Popularity::uniform(20_000, 1);
        for (jitter, expected) in [(0.0, 7_869.0), (0.05, 3_167.0), (0.1, 1_663.0), (0.2, 833.0)] {
            let found = expiring_together(&uniform, 0.0, 10_000.0, 60.0, jitter);
            assert!((found - expected).abs() < 1.0, "{jitter}: {found}");
        }
        let with = expiring_together(&uniform, 0.5, 20_000.0, 60.0, 0.1);
        assert!((with - 1_663.0 - 10_000.0).abs() < 1.0, "{with}");
    }

    #[test]
    fn keys_asked_for_once_cost_their_share_and_some_room() {
        let popularity = Popularity::zipf(10_000, 0.9, 1).unwrap();
        for eviction in [Eviction::Lru, Eviction::S3Fifo] {
            let without = warm(&popularity, 0.0, 1_000.0, eviction);
            let with = warm(&popularity, 0.2, 1_000.0, eviction);
            assert!(
                with < 0.81 * without && with > 0.65 * without,
                "{eviction:?}: {with} of {without}"
            );
        }
    }
}
