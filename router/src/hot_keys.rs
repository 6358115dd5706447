//! Which keys carry the load: the most asked for of a worker's requests of late, from a sample of them.
//!
//! A sampled key is counted by the space-saving rule (Metwally et al., 2005): a fixed number of counters, and a key that
//! has none takes over the smallest, remembering how much of it was another's. Counts are halved from time to time, so
//! that yesterday's hot key cools down.

use std::cell::Cell;
use std::sync::Arc;

use ahash::AHashMap;
use parking_lot::Mutex;

/// One request in so many is looked at, on average.
const SAMPLE_EVERY: u32 = 32;
/// Counters: a key with more than one request in so many is found for certain.
const COUNTERS: usize = 512;
/// Samples after which all counts are halved.
const WINDOW: u64 = 16_384;
/// Samples before anything is said of any key, and of one key.
const SAMPLES_MIN: u64 = 64;
const COUNT_MIN: u64 = 4;

/// A worker's sampler. The requests that are not sampled cost a decrement.
#[derive(Debug, Default)]
pub(crate) struct HotKeys {
    until_next: Cell<u32>,
    random: Cell<u32>,
    top: Arc<Mutex<TopKeys>>,
}

impl HotKeys {
    /// A request for `key` came by.
    #[inline]
    pub(crate) fn seen(&self, key: &[u8]) {
        match self.until_next.get() {
            0 => self.sample(key),
            left => self.until_next.set(left - 1),
        }
    }

    #[cold]
    fn sample(&self, key: &[u8]) {
        // A gap drawn anew each time: clients that take turns regularly must not hide from it. (Marsaglia's xorshift.)
        let mut random = self.random.get().max(1);
        random ^= random << 13;
        random ^= random >> 17;
        random ^= random << 5;
        self.random.set(random);
        self.until_next.set(random % (2 * SAMPLE_EVERY - 1));
        self.top.lock().count(key);
    }

    /// The share of the worker's requests that are for `key`, from below; 0 for keys that are not hot.
    pub(crate) fn share(&self, key: &[u8]) -> f64 {
        self.top.lock().share(key)
    }

    /// For whoever asks about all workers.
    pub(crate) fn shared(&self) -> Arc<Mutex<TopKeys>> {
        Arc::clone(&self.top)
    }
}

#[derive(Debug, Clone)]
struct Counter {
    key: Box<[u8]>,
    count: u64,
    /// How much of the count may be another key's.
    error: u64,
}

/// The counters.
#[derive(Debug, Default)]
pub(crate) struct TopKeys {
    counters: Vec<Counter>,
    places: AHashMap<Box<[u8]>, usize>,
    total: u64,
    /// No counter is below this.
    floor: u64,
    /// Where the next smallest counter is looked for.
    cursor: usize,
}

/// A key and its share of the requests.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct HotKey {
    pub key: Box<[u8]>,
    /// From 0 to 1.
    pub share: f64,
}

impl TopKeys {
    fn count(&mut self, key: &[u8]) {
        self.total += 1;
        if let Some(&place) = self.places.get(key) {
            self.counters[place].count += 1;
        } else if self.counters.len() < COUNTERS {
            self.places.insert(key.into(), self.counters.len());
            self.counters.push(Counter {
                key: key.into(),
                count: 1,
                error: 0,
            });
        } else {
            let place = self.smallest();
            let smallest = &mut self.counters[place];
            self.places.remove(&smallest.key);
            self.places.insert(key.into(), place);
            smallest.key = key.into();
            smallest.error = smallest.count;
            smallest.count += 1;
        }
        if self.total >= WINDOW {
            self.total /= 2;
            self.floor /= 2;
            for counter in &mut self.counters {
                counter.count /= 2;
                counter.error /= 2;
            }
        }
    }

    /// A counter that none is below. Whoever has been found is counted up, so that one round finds all that stand on
    /// the floor, and costs a step or two for each.
    fn smallest(&mut self) -> usize {
        for _ in 0..self.counters.len() {
            let place = self.cursor;
            self.cursor = (place + 1) % self.counters.len();
            if self.counters[place].count <= self.floor {
                return place;
            }
        }
        let (place, smallest) = self
            .counters
            .iter()
            .map(|counter| counter.count)
            .enumerate()
            .min_by_key(|&(_, count)| count)
            .unwrap_or_default();
        self.floor = smallest;
        self.cursor = (place + 1) % self.counters.len();
        place
    }

    fn share(&self, key: &[u8]) -> f64 {
        self.places
            .get(key)
            .map_or(0.0, |place| self.share_of(&self.counters[*place]))
    }

    #[expect(clippy::cast_precision_loss, reason = "a share")]
    fn share_of(&self, counter: &Counter) -> f64 {
        let certain = counter.count - counter.error;
        if self.total < SAMPLES_MIN || certain < COUNT_MIN {
            return 0.0;
        }
        certain as f64 / self.total as f64
    }

    /// Forgets everything.
    pub(crate) fn reset(&mut self) {
        *self = Self::default();
    }
}

/// The hottest keys over several workers, hottest first; of the requests of all.
#[expect(clippy::cast_precision_loss, reason = "shares")]
pub(crate) fn hottest(workers: &[Arc<Mutex<TopKeys>>], most: usize) -> Vec<HotKey> {
    let mut counts: AHashMap<Box<[u8]>, f64> = AHashMap::new();
    let mut total = 0.0;
    for top in workers {
        let top = top.lock();
        total += top.total as f64;
        for counter in &top.counters {
            let share = top.share_of(counter);
            if share > 0.0 {
                *counts.entry(counter.key.clone()).or_default() += share * top.total as f64;
            }
        }
    }
    let mut found: Vec<HotKey> = counts
        .into_iter()
        .map(|(key, count)| HotKey {
            key,
            share: count / total,
        })
        .collect();
    found.sort_by(|one, other| {
        other
            .share
            .total_cmp(&one.share)
            .then_with(|| one.key.cmp(&other.key))
    });
    found.truncate(most);
    found
}

#[cfg(test)]
mod tests {
    use super::{COUNTERS, HotKeys, hottest};

    #[test]
    fn hot_keys_are_found_among_many_with_their_share() {
        let hot = HotKeys::default();
        for request in 0_u32..400_000 {
            let key = match request % 100 {
                0..6 => "six".to_owned(),
                6..8 => "two".to_owned(),
                _ => format!("cold{}", request.wrapping_mul(2_654_435_761) % 100_000),
            };
            hot.seen(key.as_bytes());
        }
        let found = hottest(&[hot.shared()], 2);
        assert_eq!(
            (&*found[0].key, &*found[1].key),
            (&b"six"[..], &b"two"[..]),
            "{found:?}"
        );
        assert!((0.045..0.075).contains(&found[0].share), "{found:?}");
        assert!((0.045..0.075).contains(&hot.share(b"six")));
        assert!(hot.share(b"cold1") < 0.002 && hot.share(b"never seen") == 0.0);
        assert!(hot.shared().lock().counters.len() <= COUNTERS);
    }

    #[test]
    fn a_key_that_is_no_longer_asked_for_cools_down() {
        let hot = HotKeys::default();
        (0..200_000).for_each(|_| hot.seen(b"old"));
        assert!(hot.share(b"old") > 0.9);
        (0..1_600_000_u32).for_each(|request| hot.seen(format!("new{}", request % 7).as_bytes()));
        assert!(hot.share(b"old") < 0.2, "{}", hot.share(b"old"));
    }
}
