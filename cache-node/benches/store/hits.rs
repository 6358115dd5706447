//! Hit rates at equal resident memory. The memory limit of each cache is adjusted until the growth of its process is
//! the budget; then the same requests decide.

use std::io::{BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

use ahash::AHashMap;
use cache_node::store::{Item, Lookup, Read, Seconds};

use crate::support::{START, resident_bytes, run_anew, set_until, store};
use crate::workload::{Request, requests, write_key};

/// Requests sent together: both sides see them in the same order.
const BATCH: usize = 16;
/// A run counts once the growth is this near to the budget.
const NEAR: f64 = 0.015;
const ROUNDS: usize = 6;

struct Outcome {
    hit_rate: f64,
    growth_bytes: u64,
}

/// Prints the hit rates of both at each budget in megabytes.
pub(crate) fn compare(workload: &str, budgets: &[&str]) {
    println!("workload  MB  store: hit rate (limit, growth)   memcached: hit rate (limit, growth)");
    let all = requests(workload);
    for budget in budgets {
        let bytes = budget.parse::<f64>().expect("a number of megabytes") * f64::from(1 << 20);
        let (our_limit, ours) = calibrate(bytes, |limit| {
            let text = run_anew(&["hits-of", workload, &limit.to_string()]);
            let mut fields = text.split_whitespace();
            let hit_rate = fields
                .next()
                .and_then(|field| field.parse().ok())
                .expect("a hit rate");
            let growth_bytes = fields.next().and_then(|field| field.parse().ok()).expect("bytes");
            Outcome {
                hit_rate,
                growth_bytes,
            }
        });
        print!("{workload} {budget}  {}", told(our_limit, &ours));
        if Command::new(memcached_program()).arg("-V").output().is_ok() {
            let (limit, theirs) = calibrate_memcached(bytes, |limit| memcached(workload, &all, limit));
            let fewer = 1.0 - (1.0 - ours.hit_rate) / (1.0 - theirs.hit_rate);
            print!("  {}  {:.1} % fewer misses", told(limit, &theirs), fewer * 100.0);
        }
        println!();
    }
}

fn told(limit: u64, outcome: &Outcome) -> String {
    let megabytes = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let (limit, growth) = (megabytes(limit), megabytes(outcome.growth_bytes));
    format!("{:.4} ({limit:.2}, {growth:.2})", outcome.hit_rate)
}

/// Adjusts the limit until the process grows by the budget.
fn calibrate(budget: f64, mut run: impl FnMut(u64) -> Outcome) -> (u64, Outcome) {
    let mut limit = budget * 0.97;
    let mut best: Option<(u64, Outcome)> = None;
    for _ in 0..ROUNDS {
        let outcome = run(limit as u64);
        let growth = outcome.growth_bytes as f64;
        let miss = |growth: f64| (growth / budget - 1.0).abs();
        if best
            .as_ref()
            .is_none_or(|(_, best)| miss(growth) < miss(best.growth_bytes as f64))
        {
            best = Some((limit as u64, outcome));
        }
        if miss(growth) < NEAR {
            break;
        }
        limit += budget - growth;
    }
    best.expect("there was a round")
}

/// The same for memcached, which takes whole megabytes (two at least): the smallest limit with which it grows by no
/// less than the budget, so that it is never short-changed.
fn calibrate_memcached(budget: f64, mut run: impl FnMut(u64) -> Outcome) -> (u64, Outcome) {
    let mut megabytes = ((budget / f64::from(1 << 20)) as u64).max(2);
    let mut outcome = run(megabytes << 20);
    // Near to it in one step; the rest in steps of one.
    let beyond = (outcome.growth_bytes as f64 - budget) / f64::from(1 << 20);
    if beyond.abs() > 2.0 {
        megabytes = (megabytes as f64 - beyond).max(2.0) as u64;
        outcome = run(megabytes << 20);
    }
    let enough = |outcome: &Outcome| outcome.growth_bytes as f64 >= budget * (1.0 - NEAR);
    while !enough(&outcome) {
        let more = run((megabytes + 1) << 20);
        if more.growth_bytes < outcome.growth_bytes + (1 << 19) {
            // All there is to keep fits.
            break;
        }
        (megabytes, outcome) = (megabytes + 1, more);
    }
    while megabytes > 2 {
        let less = run((megabytes - 1) << 20);
        if !enough(&less) {
            break;
        }
        (megabytes, outcome) = (megabytes - 1, less);
    }
    (megabytes << 20, outcome)
}

/// Counts hits from a quarter of the run on.
struct Tally {
    warm_up: usize,
    seen: usize,
    reads: u64,
    hits: u64,
}

impl Tally {
    fn new(total: usize) -> Self {
        Self {
            warm_up: total / 4,
            seen: 0,
            reads: 0,
            hits: 0,
        }
    }

    fn read(&mut self, hit: bool) {
        self.seen += 1;
        if self.seen > self.warm_up {
            self.reads += 1;
            self.hits += u64::from(hit);
        }
    }

    fn hit_rate(&self) -> f64 {
        self.hits as f64 / self.reads as f64
    }
}

/// Replays a workload against a store in this process; prints the hit rate and the growth in bytes.
pub(crate) fn ours(workload: &str, limit_bytes: u64) {
    let all = requests(workload);
    let value = vec![b'v'; 1 << 20];
    let mut keys = vec![Vec::new(); BATCH];
    let before = resident_bytes("self");
    let store = store(limit_bytes);
    let mut tally = Tally::new(all.len());
    for (at, batch) in all.chunks(BATCH).enumerate() {
        let now = Seconds(store.seconds(START).0 + u32::try_from(at * BATCH / 1000).expect("a short run"));
        store.tick(now, 64);
        for (request, key) in batch.iter().zip(&mut keys) {
            write_key(workload, request, key);
        }
        let lookups: Vec<Lookup<'_>> = keys[..batch.len()].iter().map(|key| store.lookup(key)).collect();
        let reads: Vec<Lookup<'_>> = batch
            .iter()
            .zip(&lookups)
            .filter(|(request, _)| !request.write)
            .map(|(_, key)| *key)
            .collect();
        let mut hits = Vec::with_capacity(BATCH);
        store.get_many(
            &reads,
            now,
            Read::Plain,
            &mut |_: usize, item: Option<Item<'_>>| hits.push(item.is_some()),
        );
        let mut hits = hits.into_iter();
        for (request, lookup) in batch.iter().zip(&lookups) {
            let hit = !request.write && hits.next().expect("an answer for each");
            if !request.write {
                tally.read(hit);
            }
            if !hit {
                let expires = (request.ttl > 0).then(|| Seconds(now.0 + request.ttl));
                set_until(
                    &store,
                    *lookup,
                    &value[..request.value_len as usize],
                    expires,
                    now,
                );
            }
        }
    }
    println!("{} {}", tally.hit_rate(), resident_bytes("self") - before);
}

fn memcached_program() -> String {
    std::env::var("MEMCACHED").unwrap_or_else(|_| "memcached".to_owned())
}

/// A memcached of ours, on a socket of ours.
struct Memcached {
    process: Child,
    socket: UnixStream,
    input: BufReader<UnixStream>,
    path: String,
}

impl Memcached {
    fn start(limit_bytes: u64) -> Self {
        let path = format!("/tmp/hearth-bench-{}.sock", std::process::id());
        let megabytes = limit_bytes.div_ceil(1 << 20).max(1).to_string();
        let process = Command::new(memcached_program())
            .args([
                "-u", "nobody", "-t", "1", "-s", &path, "-a", "777", "-m", &megabytes,
            ])
            .spawn()
            .expect("memcached starts");
        let socket = (0..200).find_map(|_| {
            std::thread::park_timeout(Duration::from_millis(20));
            Path::new(&path)
                .exists()
                .then(|| UnixStream::connect(&path).ok())
                .flatten()
        });
        let socket = socket.expect("memcached listens");
        let input = BufReader::new(socket.try_clone().expect("a second handle"));
        Self {
            process,
            socket,
            input,
            path,
        }
    }

    /// Which of the keys are there.
    fn get(&mut self, keys: &[&[u8]], answer: &mut Vec<u8>) -> Vec<bool> {
        if keys.is_empty() {
            return Vec::new();
        }
        let mut line = b"get".to_vec();
        for key in keys {
            line.push(b' ');
            line.extend_from_slice(key);
        }
        line.extend_from_slice(b"\r\n");
        self.socket.write_all(&line).expect("memcached reads");
        answer.clear();
        let mut block = [0; 16384];
        while !answer.ends_with(b"END\r\n") {
            let got = self.input.read(&mut block).expect("memcached answers");
            answer.extend_from_slice(&block[..got]);
        }
        let text = String::from_utf8_lossy(answer);
        let found: Vec<&str> = text
            .split("VALUE ")
            .skip(1)
            .filter_map(|block| block.split(' ').next())
            .collect();
        let mut found = found.into_iter().peekable();
        keys.iter()
            .map(|key| found.next_if(|name| name.as_bytes() == *key).is_some())
            .collect()
    }
}

impl Drop for Memcached {
    fn drop(&mut self) {
        // It is ours; if it has gone already, so much the better.
        let _gone = self.process.kill().and_then(|()| self.process.wait().map(|_| ()));
        let _gone = std::fs::remove_file(&self.path);
    }
}

fn memcached(workload: &str, all: &[Request], limit_bytes: u64) -> Outcome {
    let mut server = Memcached::start(limit_bytes);
    let process = server.process.id().to_string();
    let before = resident_bytes(&process);
    let value = vec![b'v'; 1 << 20];
    let mut keys = vec![Vec::new(); BATCH];
    let mut answer = Vec::new();
    let mut tally = Tally::new(all.len());
    // memcached's clock cannot be driven, so this side of the socket keeps the ends of its items: what should be gone
    // counts as a miss and is set again.
    let mut ends: AHashMap<u64, u32> = AHashMap::new();
    for (at, batch) in all.chunks(BATCH).enumerate() {
        let now = u32::try_from(at * BATCH / 1000).expect("a short run");
        for (request, key) in batch.iter().zip(&mut keys) {
            write_key(workload, request, key);
        }
        let reads: Vec<&[u8]> = batch
            .iter()
            .zip(&keys)
            .filter(|(request, _)| !request.write)
            .map(|(_, key)| &key[..])
            .collect();
        let mut hits = server.get(&reads, &mut answer).into_iter();
        let mut sets = Vec::new();
        for (request, key) in batch.iter().zip(&keys) {
            let lives = ends.get(&request.key).is_none_or(|&end| now < end);
            let hit = !request.write && hits.next().expect("an answer for each") && lives;
            if !request.write {
                tally.read(hit);
            }
            if !hit {
                if request.ttl > 0 {
                    ends.insert(request.key, now + request.ttl);
                }
                let len = request.value_len as usize;
                sets.extend_from_slice(b"set ");
                sets.extend_from_slice(key);
                sets.extend_from_slice(format!(" 0 0 {len} noreply\r\n").as_bytes());
                sets.extend_from_slice(&value[..len]);
                sets.extend_from_slice(b"\r\n");
            }
        }
        server.socket.write_all(&sets).expect("memcached reads");
    }
    server.get(&[b"end"], &mut answer);
    Outcome {
        hit_rate: tally.hit_rate(),
        growth_bytes: resident_bytes(&process) - before,
    }
}
