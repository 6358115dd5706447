//! Che's approximation and the cold curve, against an LRU that really runs and against tables; and its like for S3-FIFO.

use std::collections::{HashMap, VecDeque};

use cluster::predict::Popularity;
use cluster::{HashKind, Placement, Server, Topology};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

const KEYS: u32 = 100_000;

#[track_caller]
fn near(what: &str, value: f64, expected: f64, tolerance: f64) {
    assert!(
        (value - expected).abs() <= tolerance,
        "{what}: {value} is not {expected} +- {tolerance}"
    );
}

/// An exact LRU of keys below `keys`: a circular list in two arrays, the number `keys` its head.
struct Lru {
    next: Vec<usize>,
    previous: Vec<usize>,
    capacity: usize,
    held: usize,
}

impl Lru {
    const OUT: usize = usize::MAX;

    fn new(keys: u32, capacity: u32) -> Self {
        let links = vec![Self::OUT; keys as usize + 1];
        let mut lru = Self {
            next: links.clone(),
            previous: links,
            capacity: capacity as usize,
            held: 0,
        };
        lru.clear();
        lru
    }

    fn clear(&mut self) {
        let head = self.next.len() - 1;
        self.next.fill(Self::OUT);
        self.next[head] = head;
        self.previous[head] = head;
        self.held = 0;
    }

    fn unlink(&mut self, key: usize) {
        let (previous, next) = (self.previous[key], self.next[key]);
        self.next[previous] = next;
        self.previous[next] = previous;
        self.next[key] = Self::OUT;
        self.held -= 1;
    }

    /// Forgets the least recently used key and names it.
    fn evict(&mut self) -> usize {
        let last = self.previous[self.next.len() - 1];
        self.unlink(last);
        last
    }

    /// Whether it was a hit; a miss is filled.
    fn get(&mut self, key: usize) -> bool {
        let head = self.next.len() - 1;
        let hit = self.next[key] != Self::OUT;
        if hit {
            self.unlink(key);
        } else if self.held == self.capacity {
            self.evict();
        }
        let first = self.next[head];
        self.next[key] = first;
        self.previous[key] = head;
        self.previous[first] = key;
        self.next[head] = key;
        self.held += 1;
        hit
    }
}

/// Draws ranks by inversion of the cumulative distribution.
struct Zipf {
    cumulative: Vec<f64>,
    rng: StdRng,
}

impl Zipf {
    fn new(alpha: f64, seed: u64) -> Self {
        let mut total = 0.0;
        let add = |rank| {
            total += f64::from(rank).powf(-alpha);
            total
        };
        let mut cumulative: Vec<f64> = (1..=KEYS).map(add).collect();
        cumulative.iter_mut().for_each(|sum| *sum /= total);
        Self {
            cumulative,
            rng: StdRng::seed_from_u64(seed),
        }
    }

    fn draw(&mut self) -> usize {
        let at: f64 = self.rng.random();
        self.cumulative
            .partition_point(|&sum| sum < at)
            .min(self.cumulative.len() - 1)
    }
}

fn hit_rate(requests: u32, mut get: impl FnMut() -> bool) -> f64 {
    f64::from((0..requests).map(|_| u32::from(get())).sum::<u32>()) / f64::from(requests)
}

/// (alpha, Che's hit rate with room for 1, 5, 10 and 25 % of the keys, characteristic time at 10 %).
const CHE: [(f64, [f64; 4], f64); 5] = [
    (0.6, [0.0536, 0.1615, 0.2521, 0.4463], 11_872.0),
    (0.8, [0.2043, 0.3692, 0.4687, 0.6383], 15_606.0),
    (0.9, [0.3421, 0.5152, 0.6052, 0.7434], 20_172.0),
    (0.99, [0.4894, 0.6509, 0.7250, 0.8289], 27_854.0),
    (1.2, [0.7953, 0.8860, 0.9176, 0.9541], 84_472.0),
];

#[test]
fn che_gives_the_table() {
    for (alpha, rates, time) in CHE {
        let popularity = Popularity::zipf(KEYS, alpha);
        for (part, rate) in [0.01, 0.05, 0.10, 0.25].into_iter().zip(rates) {
            let found = popularity.hit_rate_lru(popularity.characteristic_time(part * f64::from(KEYS)));
            near(&format!("alpha {alpha}, {part}"), found, rate, 0.0001);
        }
        let found = popularity.characteristic_time(0.1 * f64::from(KEYS));
        near(&format!("alpha {alpha}, time"), found, time, 1.0);
    }
}

#[test]
fn an_lru_hits_as_often_as_che_says() {
    for (alpha, rates, _) in CHE {
        let mut zipf = Zipf::new(alpha, 1);
        let mut lru = Lru::new(KEYS, KEYS / 10);
        hit_rate(400_000, || lru.get(zipf.draw()));
        near(
            &format!("alpha {alpha}"),
            hit_rate(600_000, || lru.get(zipf.draw())),
            rates[2],
            0.005,
        );
    }
}

#[test]
fn sharding_evenly_costs_nothing() {
    let topology = Topology::new(HashKind::Rendezvous, ["n1", "n2", "n3", "n4"].map(Server::new));
    let placement = Placement::new(&topology).unwrap();
    let owners: Vec<usize> = (0..KEYS)
        .map(|key| placement.owner(format!("key:{key}").as_bytes()))
        .collect();
    for (alpha, pooled) in [(0.8, 0.4687), (0.99, 0.7250)] {
        let mut zipf = Zipf::new(alpha, 2);
        let mut nodes: Vec<Lru> = (0..4).map(|_| Lru::new(KEYS, KEYS / 40)).collect();
        let mut get = || {
            let key = zipf.draw();
            nodes[owners[key]].get(key)
        };
        hit_rate(400_000, &mut get);
        near(
            &format!("alpha {alpha}"),
            hit_rate(600_000, &mut get),
            pooled,
            0.005,
        );
    }
}

/// (alpha, room as a share of the keys, warm hit rate, requests to 95 % of it after losing all, a half, a quarter and
/// an eighth).
const RECOVERY: [(f64, f64, f64, [f64; 4]); 6] = [
    (0.8, 0.10, 0.469, [13_034.0, 10_816.0, 7_284.0, 2_934.0]),
    (0.8, 0.25, 0.638, [40_866.0, 33_063.0, 21_243.0, 7_811.0]),
    (0.99, 0.10, 0.725, [18_091.0, 11_764.0, 4_973.0, 877.0]),
    (0.99, 0.25, 0.829, [59_102.0, 35_826.0, 13_348.0, 1_855.0]),
    (1.2, 0.10, 0.918, [21_591.0, 7_131.0, 1_249.0, 108.0]),
    (0.99, 1.00, 1.000, [562_333.0, 252_908.0, 68_909.0, 6_310.0]),
];

#[test]
fn recovery_takes_the_requests_of_the_table() {
    for (alpha, part, warm, requests) in RECOVERY {
        let popularity = Popularity::zipf(KEYS, alpha);
        let time = popularity.characteristic_time(part * f64::from(KEYS));
        near(
            &format!("alpha {alpha}, {part}: warm"),
            popularity.hit_rate_lru(time),
            warm,
            0.0006,
        );
        for (cold, expected) in [1.0, 0.5, 0.25, 0.125].into_iter().zip(requests) {
            let found = popularity.recovery_requests(cold, 0.95, time);
            near(
                &format!("alpha {alpha}, {part}, {cold} cold"),
                found,
                expected,
                0.01 * expected,
            );
        }
        let found = popularity.recovery_requests(0.049, 0.95, time);
        near("five in a hundred cold is never below 95 %", found, 0.0, 0.0);
    }
}

#[test]
fn half_way_back_comes_soon() {
    for (alpha, part, expected) in [
        (0.8, 0.10, 1716.0),
        (0.8, 0.25, 4335.0),
        (0.99, 0.10, 364.0),
        (0.99, 0.25, 684.0),
        (0.99, 1.0, 1915.0),
    ] {
        let popularity = Popularity::zipf(KEYS, alpha);
        let time = popularity.characteristic_time(part * f64::from(KEYS));
        let found = popularity.recovery_requests(1.0, 0.5, time);
        near(
            &format!("alpha {alpha}, {part}"),
            found,
            expected,
            0.01 * expected,
        );
    }
}

#[test]
fn the_first_requests_after_a_flush_hit_as_the_cold_curve_says() {
    for (alpha, first_1k, first_10k) in [(0.8, 0.136, 0.313), (0.99, 0.364, 0.555), (1.2, 0.645, 0.789)] {
        let popularity = Popularity::zipf(KEYS, alpha);
        let time = popularity.characteristic_time(0.1 * f64::from(KEYS));
        near(
            "first 1,000",
            popularity.hit_rate_cold_mean(1e3, time),
            first_1k,
            0.001,
        );
        near(
            "first 10,000",
            popularity.hit_rate_cold_mean(1e4, time),
            first_10k,
            0.001,
        );

        // And a cache that is really flushed, twenty times.
        let mut zipf = Zipf::new(alpha, 3);
        let mut lru = Lru::new(KEYS, KEYS / 10);
        let mut sum = 0.0;
        for _ in 0..20 {
            lru.clear();
            sum += hit_rate(10_000, || lru.get(zipf.draw()));
        }
        near("first 10,000, run", sum / 20.0, first_10k, 0.005);
    }
}

#[test]
fn miss_debt_is_the_area_above_the_cold_curve() {
    let popularity = Popularity::zipf(KEYS, 0.99);
    for part in [0.1, 0.25] {
        let time = popularity.characteristic_time(part * f64::from(KEYS));
        // What a warm cache would have hit until the characteristic time, less what the cold one did.
        let lost = time * (popularity.hit_rate_lru(time) - popularity.hit_rate_cold_mean(time, time));
        near(&format!("{part}"), popularity.miss_debt(1.0, time), lost, 1.0);
        near(
            &format!("{part}, a fifth"),
            popularity.miss_debt(0.2, time),
            lost / 5.0,
            1.0,
        );
    }
    near(
        "all fits",
        popularity.miss_debt(0.25, f64::INFINITY),
        25_000.0,
        1e-6,
    );
}

#[test]
fn the_most_popular_keys_are_the_ceiling() {
    for (alpha, ceiling) in [(0.8, 0.595), (0.9, 0.707), (0.99, 0.800), (1.2, 0.943)] {
        let found = Popularity::zipf(KEYS, alpha).hit_rate_best(0.1 * f64::from(KEYS));
        near(&format!("alpha {alpha}"), found, ceiling, 0.0006);
    }
}

/// Keys of three popularities and a TTL of 2,000 requests, run: a fill lives that long however often it is hit.
#[test]
fn a_ttl_limits_the_hit_rate_as_the_formula_says() {
    const TTL: u32 = 2_000;
    let counts = [1, 10, 40].repeat(300);
    let popularity = Popularity::from_keys(counts.iter().map(|&count| (count, 1)));
    let drawn: Vec<usize> = counts
        .iter()
        .enumerate()
        .flat_map(|(key, &count)| std::iter::repeat_n(key, usize::try_from(count).unwrap()))
        .collect();
    let mut rng = StdRng::seed_from_u64(4);
    let mut expires = vec![0; counts.len()];
    let mut now = 0;
    let rate = hit_rate(500_000, || {
        now += 1;
        let key = drawn[rng.random_range(0..drawn.len())];
        let hit = expires[key] > now;
        if !hit {
            expires[key] = now + TTL;
        }
        hit
    });
    near("hit rate", rate, popularity.hit_rate_ttl(f64::from(TTL)), 0.005);
}

#[test]
fn bytes_count_when_capacity_is_in_bytes() {
    let even = Popularity::from_keys((1..=1000).map(|requests| (requests, 100)));
    near(
        "even sizes",
        even.characteristic_time_bytes(20_000.0),
        even.characteristic_time(200.0),
        0.01,
    );

    // A hot and heavy half, a cold and light half, and an LRU bounded in bytes.
    let size = |key: usize| if key < 1000 { 900 } else { 100 };
    let popularity = Popularity::from_keys((0..2000).map(|key| (if key < 1000 { 20 } else { 5 }, size(key))));
    let mut lru = Lru::new(2000, 2000);
    let mut held = 0;
    let mut rng = StdRng::seed_from_u64(5);
    let mut get = || {
        let key = rng.random_range(0..1000) + if rng.random_bool(0.8) { 0 } else { 1000 };
        let hit = lru.get(key);
        held += if hit { 0 } else { size(key) };
        while held > 300_000 {
            held -= size(lru.evict());
        }
        hit
    };
    hit_rate(100_000, &mut get);
    let rate = hit_rate(400_000, &mut get);
    let time = popularity.characteristic_time_bytes(300_000.0);
    near("heavy and light", rate, popularity.hit_rate_lru(time), 0.005);
}

/// An S3-FIFO that runs: a tenth of the items in the small queue, ghosts for as many as are held, three reads counted.
#[derive(Default)]
struct S3Fifo {
    capacity: usize,
    /// Reads counted of each key held.
    reads: HashMap<usize, u8>,
    small: VecDeque<usize>,
    main: VecDeque<usize>,
    /// Number of the eviction from the small queue.
    ghosts: HashMap<usize, usize>,
    evicted: usize,
}

impl S3Fifo {
    fn get(&mut self, key: usize) -> bool {
        if let Some(reads) = self.reads.get_mut(&key) {
            *reads = (*reads + 1).min(3);
            return true;
        }
        while self.reads.len() >= self.capacity {
            self.evict();
        }
        self.reads.insert(key, 0);
        match self.ghosts.remove(&key) {
            Some(number) if self.evicted - number < self.capacity => self.main.push_back(key),
            _ => self.small.push_back(key),
        }
        false
    }

    fn evict(&mut self) {
        if self.small.len() > self.capacity / 10 {
            let key = self.small.pop_front().expect("longer than a tenth");
            if self.reads[&key] > 0 {
                self.reads.insert(key, 0);
                self.main.push_back(key);
            } else {
                self.reads.remove(&key);
                self.evicted += 1;
                self.ghosts.insert(key, self.evicted);
            }
        } else {
            let key = self.main.pop_front().expect("what is not small is main");
            match self.reads[&key] {
                0 => {
                    self.reads.remove(&key);
                }
                reads => {
                    self.reads.insert(key, reads - 1);
                    self.main.push_back(key);
                }
            }
        }
    }
}

#[test]
fn an_s3_fifo_hits_as_often_as_its_theory_says() {
    for (alpha, percent) in [(0.8, 10), (0.99, 5), (0.99, 25), (1.2, 10)] {
        let mut zipf = Zipf::new(alpha, 6);
        let items = KEYS / 100 * percent;
        let mut cache = S3Fifo {
            capacity: items as usize,
            ..S3Fifo::default()
        };
        // The rarest keys that are kept come by once in a hundred thousand requests.
        hit_rate(1_500_000, || cache.get(zipf.draw()));
        let found = hit_rate(500_000, || cache.get(zipf.draw()));
        let theory = Popularity::zipf(KEYS, alpha).hit_rate_s3_fifo(f64::from(items));
        near(&format!("alpha {alpha}, {percent} %"), found, theory, 0.005);
    }
}

/// (alpha, S3-FIFO's hit rate with room for 1, 5, 10 and 25 % of the keys).
const S3_FIFO: [(f64, [f64; 4]); 5] = [
    (0.6, [0.1314, 0.2549, 0.3406, 0.5082]),
    (0.8, [0.3158, 0.4696, 0.5537, 0.6901]),
    (0.9, [0.4510, 0.6015, 0.6747, 0.7832]),
    (0.99, [0.5840, 0.7180, 0.7767, 0.8570]),
    (1.2, [0.8400, 0.9106, 0.9347, 0.9623]),
];

#[test]
fn keys_asked_for_once_miss_and_hardly_cost_the_others() {
    let weights = (1..=20_000_u32).map(|rank| (f64::from(rank).powf(-0.9), 1.0));
    let total: f64 = weights.clone().map(|(weight, _)| weight).sum();
    let without = Popularity::from_classes(weights.clone()).hit_rate_s3_fifo(2_000.0);
    let expected = Popularity::zipf(20_000, 0.9).hit_rate_s3_fifo(2_000.0);
    near("classes of one key", without, expected, 1e-9);
    // A fifth of the requests, each for a key of its own: they pass through the small queue and are gone.
    let lone = (total * 1e-12, 0.25 * 1e12);
    let beside = Popularity::from_classes(weights.chain([lone]));
    near("a fifth", beside.hit_rate_s3_fifo(2_000.0), 0.8 * without, 0.01);
    let time = beside.characteristic_time(2_000.0);
    assert!(
        beside.hit_rate_lru(time) < 0.8 * without - 0.05,
        "an LRU keeps them as long as any"
    );
}

#[test]
fn s3_fifo_lies_between_an_lru_and_the_ceiling() {
    for (alpha, rates) in S3_FIFO {
        let popularity = Popularity::zipf(KEYS, alpha);
        for (part, rate) in [0.01, 0.05, 0.10, 0.25].into_iter().zip(rates) {
            let items = part * f64::from(KEYS);
            let found = popularity.hit_rate_s3_fifo(items);
            near(&format!("alpha {alpha}, {part}"), found, rate, 0.001);
            let lru = popularity.hit_rate_lru(popularity.characteristic_time(items));
            assert!(found > lru && found < popularity.hit_rate_best(items));
        }
    }
    let popularity = Popularity::zipf(1000, 0.9);
    near("all fits", popularity.hit_rate_s3_fifo(1000.0), 1.0, 0.0);
    near("nothing does", popularity.hit_rate_s3_fifo(0.0), 0.0, 0.0);
    let nearly = popularity.hit_rate_s3_fifo(999.0);
    assert!((0.99..1.0).contains(&nearly), "{nearly}");
}
