//! How often each key is asked for, and what follows: warm hit rate, cold curve, recovery.
//!
//! The independent reference model: every request draws its key anew. Real traces have keys that come once and never
//! again, which no model of popularity foresees; there, take the cold curve from a flush and [`mixture`](super::mixture).

/// Keys by how likely the next request is for them. Keys equally likely are kept as one class.
#[derive(Debug, Clone, PartialEq)]
pub struct Popularity {
    pub(super) classes: Vec<Class>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Class {
    /// That a request is for one given key of the class.
    pub(super) probability: f64,
    pub(super) keys: f64,
    /// Of all keys of the class together.
    bytes: f64,
}

impl Popularity {
    /// Zipf: the key of rank `i` is asked for in proportion to `i^-alpha`; every key weighs one byte.
    pub fn zipf(keys: u32, alpha: f64) -> Self {
        let weights: Vec<f64> = (1..=keys).map(|rank| f64::from(rank).powf(-alpha)).collect();
        // Smallest first: a sum of many small numbers keeps its digits.
        let total: f64 = weights.iter().rev().sum();
        let class = |weight| Class {
            probability: weight / total,
            keys: 1.0,
            bytes: 1.0,
        };
        Self {
            classes: weights.into_iter().map(class).collect(),
        }
    }

    /// From what was seen: for every key, how often it was asked for and how many bytes it takes.
    #[expect(
        clippy::cast_precision_loss,
        reason = "counts of requests and bytes are far below 2^53"
    )]
    pub fn from_keys(keys: impl IntoIterator<Item = (u64, u64)>) -> Self {
        let mut keys: Vec<(u64, u64)> = keys.into_iter().filter(|&(requests, _)| requests > 0).collect();
        keys.sort_unstable();
        let total: u64 = keys.iter().map(|&(requests, _)| requests).sum();
        let class = |same: &[(u64, u64)]| Class {
            probability: same[0].0 as f64 / total as f64,
            keys: same.len() as f64,
            bytes: same.iter().map(|&(_, bytes)| bytes).sum::<u64>() as f64,
        };
        Self {
            classes: keys.chunk_by(|a, b| a.0 == b.0).map(class).collect(),
        }
    }

    /// From classes of keys alike: the weight of each key, in any unit, and how many there are. One byte each.
    pub fn from_classes(classes: impl IntoIterator<Item = (f64, f64)>) -> Self {
        let classes: Vec<(f64, f64)> = classes
            .into_iter()
            .filter(|&(weight, keys)| weight > 0.0 && keys > 0.0)
            .collect();
        let total: f64 = classes.iter().map(|(weight, keys)| weight * keys).sum();
        let class = |(weight, keys)| Class {
            probability: weight / total,
            keys,
            bytes: keys,
        };
        Self {
            classes: classes.into_iter().map(class).collect(),
        }
    }

    /// Che's characteristic time of an LRU that holds `items` keys: after so many requests a key not asked for again is
    /// gone. Infinite if all keys fit.
    ///
    /// Solves `sum(1 - e^(-p t)) = items` (Che, Tung and Wang 2002; why it is so exact: Fricker, Robert and Roberts
    /// 2012).
    pub fn characteristic_time(&self, items: f64) -> f64 {
        self.time_to_fill(items, |class| class.keys)
    }

    /// The same for an LRU bounded in bytes: solves `sum(size * (1 - e^(-p t))) = bytes`.
    pub fn characteristic_time_bytes(&self, bytes: f64) -> f64 {
        self.time_to_fill(bytes, |class| class.bytes)
    }

    fn time_to_fill(&self, capacity: f64, size: impl Fn(&Class) -> f64) -> f64 {
        let filled = |time: f64| self.sum(|class| size(class) * -(-class.probability * time).exp_m1());
        if capacity <= 0.0 {
            return 0.0;
        }
        if capacity >= self.sum(&size) {
            return f64::INFINITY;
        }
        least(|time| filled(time) >= capacity)
    }

    /// Steady hit rate of an LRU with this characteristic time: `sum(p (1 - e^(-p t)))`. Sharding it evenly changes
    /// nothing, so this serves a cluster by its total capacity.
    pub fn hit_rate_lru(&self, characteristic_time: f64) -> f64 {
        self.hit_rate_cold(f64::INFINITY, characteristic_time)
    }

    /// The ceiling: the hit rate of a cache that always holds the `items` most popular keys.
    pub fn hit_rate_best(&self, items: f64) -> f64 {
        let mut classes: Vec<&Class> = self.classes.iter().collect();
        classes.sort_by(|a, b| b.probability.total_cmp(&a.probability));
        let mut room = items;
        let mut hits = 0.0;
        for class in classes {
            let held = class.keys.min(room);
            hits += held * class.probability;
            room -= held;
        }
        hits
    }

    /// Steady hit rate when nothing is evicted and every fill lives `requests_per_ttl` requests (total rate times TTL):
    /// `sum(p * pT / (1 + pT))`, a fill being followed by `pT` hits on average before the next miss.
    pub fn hit_rate_ttl(&self, requests_per_ttl: f64) -> f64 {
        self.sum(|class| {
            let hits_per_fill = class.probability * requests_per_ttl;
            class.keys * class.probability * hits_per_fill / (1.0 + hits_per_fill)
        })
    }

    /// Hit rate `requests` after all was lost: `sum(p (1 - e^(-p min(k, t))))`, a key being back once it was asked for.
    pub fn hit_rate_cold(&self, requests: f64, characteristic_time: f64) -> f64 {
        let time = requests.min(characteristic_time);
        self.sum(|class| class.keys * class.probability * -(-class.probability * time).exp_m1())
    }

    /// Mean hit rate of the first `requests` requests after all was lost.
    pub fn hit_rate_cold_mean(&self, requests: f64, characteristic_time: f64) -> f64 {
        let rising = requests.min(characteristic_time);
        // The integral of the curve while it rises: requests less the keys seen, each of which missed once.
        let hits = rising - self.sum(|class| class.keys * -(-class.probability * rising).exp_m1());
        let level = requests - rising;
        let hits = if level > 0.0 {
            hits + level * self.hit_rate_lru(characteristic_time)
        } else {
            hits
        };
        hits / requests
    }

    /// Requests until the hit rate is back at `target` (0.95) of warm, after a request-weighted share `cold` of the keys
    /// was lost; 0 if it never falls so low.
    ///
    /// The least `k` with `(1 - f) h_warm + f h_cold(k) >= target * h_warm`; divide by the rate for seconds. `target` is
    /// below 1.
    pub fn recovery_requests(&self, cold: f64, target: f64, characteristic_time: f64) -> f64 {
        let warm = self.hit_rate_lru(characteristic_time);
        let recovered = |requests| {
            cold * (1.0 - self.hit_rate_cold(requests, characteristic_time) / warm) <= 1.0 - target
        };
        if recovered(0.0) { 0.0 } else { least(recovered) }
    }

    /// The reads of the backing store that the event costs in all: hits that warm keys would have had and cold ones had
    /// not, `f * integral(h_warm - h_cold)`. If everything fits this is the number of keys lost.
    pub fn miss_debt(&self, cold: f64, characteristic_time: f64) -> f64 {
        cold * self.sum(|class| {
            let seen = class.probability * characteristic_time;
            let tail = if seen.is_finite() {
                seen * (-seen).exp()
            } else {
                0.0
            };
            class.keys * (-(-seen).exp_m1() - tail)
        })
    }

    pub(super) fn sum(&self, term: impl Fn(&Class) -> f64) -> f64 {
        self.classes.iter().map(term).sum()
    }
}

/// The least `x` (to six digits) for which `reached` holds, which once true stays true as `x` grows.
fn least(reached: impl Fn(f64) -> bool) -> f64 {
    let mut high = 1.0;
    while !reached(high) {
        high *= 2.0;
        if high == f64::INFINITY {
            return high;
        }
    }
    let mut low = high / 2.0;
    if high == 1.0 {
        low = 0.0;
    }
    while high - low > high * 1e-6 {
        let middle = f64::midpoint(low, high);
        if reached(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    high
}
