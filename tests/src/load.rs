//! Load that knows what it may hear: each value carries its key, a version and a checksum, and each hit is verified.
//!
//! A worker owns its keys, so it knows every version that was ever sent and the last that was acknowledged.

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use rand::{RngExt, SeedableRng, rngs::SmallRng};

use crate::{
    client::{Client, REPLY_DEADLINE, is_close},
    clock::now,
    eventually,
};

/// What a worker does.
#[derive(Clone, Debug)]
pub struct Plan {
    pub workers: usize,
    pub keys_per_worker: usize,
    /// Share of requests that are sets.
    pub sets: f64,
    /// Bytes of padding in a value, at most.
    pub padding: usize,
    pub seed: u64,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            workers: 4,
            keys_per_worker: 200,
            sets: 0.2,
            padding: 300,
            seed: 20_240_611,
        }
    }
}

/// What the workers saw.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    pub gets: u64,
    pub hits: u64,
    pub sets: u64,
    pub stored: u64,
    /// Error lines, by line.
    pub errors: BTreeMap<String, u64>,
    /// Connections that the other side closed.
    pub closed: u64,
    /// Requests without an answer within the reply deadline.
    pub hangs: u64,
    /// Hits that no set can explain.
    pub wrong: Vec<String>,
    /// Hits older than the last acknowledged set of their key.
    pub stale: u64,
    pub slowest: Duration,
}

impl Tally {
    pub fn requests(&self) -> u64 {
        self.gets + self.sets
    }

    pub fn error_count(&self) -> u64 {
        self.errors.values().sum()
    }

    fn add(&mut self, other: Self) {
        self.gets += other.gets;
        self.hits += other.hits;
        self.sets += other.sets;
        self.stored += other.stored;
        self.closed += other.closed;
        self.hangs += other.hangs;
        self.stale += other.stale;
        self.wrong.extend(other.wrong);
        self.slowest = self.slowest.max(other.slowest);
        for (line, count) in other.errors {
            *self.errors.entry(line).or_default() += count;
        }
    }

    /// Asserts what every run must keep: no value that was never set, no request that hangs.
    #[track_caller]
    pub fn assert_sound(&self) {
        assert!(
            self.wrong.is_empty(),
            "{} wrong values, first {:?}; {self:?}",
            self.wrong.len(),
            self.wrong.first()
        );
        assert_eq!(
            self.hangs, 0,
            "requests without an answer within {REPLY_DEADLINE:?}: {self:?}"
        );
    }
}

/// Running workers.
#[derive(Debug)]
pub struct Load {
    stop: Arc<AtomicBool>,
    requests: Arc<AtomicU64>,
    errors: Arc<AtomicU64>,
    workers: Vec<JoinHandle<Tally>>,
}

impl Load {
    pub fn start(addr: SocketAddr, plan: &Plan) -> Self {
        let (stop, requests, errors) = <(Arc<AtomicBool>, Arc<AtomicU64>, Arc<AtomicU64>)>::default();
        let workers = (0..plan.workers).map(|index| {
            let seed = plan.seed.wrapping_add(index as u64);
            let worker = Worker {
                addr,
                rng: SmallRng::seed_from_u64(seed),
                plan: plan.clone(),
                index,
                versions: vec![Versions::default(); plan.keys_per_worker],
                tally: Tally::default(),
            };
            let (stop, requests, errors) = (Arc::clone(&stop), Arc::clone(&requests), Arc::clone(&errors));
            thread::spawn(move || worker.run(&stop, &requests, &errors))
        });
        let workers = workers.collect();
        Self {
            stop,
            requests,
            errors,
            workers,
        }
    }

    /// Lets the load go on for another `count` requests.
    #[track_caller]
    pub fn run_for(&self, count: u64) {
        let goal = self.requests.load(Ordering::SeqCst) + count;
        eventually(Duration::from_secs(60), "the load makes progress", || {
            let done = self.requests.load(Ordering::SeqCst);
            if done >= goal {
                Ok(())
            } else {
                Err(format!("{done} of {goal} requests"))
            }
        });
    }

    /// Lets the load go on until `count` requests in a row were answered without an error.
    #[track_caller]
    pub fn run_until_clean(&self, count: u64, deadline: Duration) {
        let mut seen = (
            self.errors.load(Ordering::SeqCst),
            self.requests.load(Ordering::SeqCst),
        );
        eventually(deadline, "the load is answered without errors", || {
            let (errors, requests) = (
                self.errors.load(Ordering::SeqCst),
                self.requests.load(Ordering::SeqCst),
            );
            if errors != seen.0 {
                seen = (errors, requests);
            }
            let clean = requests - seen.1;
            if clean >= count {
                Ok(())
            } else {
                Err(format!("{clean} of {count} clean requests, {errors} errors"))
            }
        });
    }

    /// Ends the load and gives what was seen.
    #[track_caller]
    pub fn stop(self) -> Tally {
        self.stop.store(true, Ordering::SeqCst);
        let mut tally = Tally::default();
        for worker in self.workers {
            tally.add(worker.join().expect("a worker does not panic"));
        }
        tally
    }
}

/// Versions of one key: the newest sent, and the newest known to be stored.
#[derive(Clone, Copy, Debug, Default)]
struct Versions {
    sent: u64,
    acknowledged: u64,
}

struct Worker {
    addr: SocketAddr,
    rng: SmallRng,
    plan: Plan,
    index: usize,
    versions: Vec<Versions>,
    tally: Tally,
}

impl Worker {
    fn run(mut self, stop: &AtomicBool, requests: &AtomicU64, errors: &AtomicU64) -> Tally {
        let mut connection = None;
        while !stop.load(Ordering::SeqCst) {
            let client = match connection.take() {
                Some(client) => Ok(client),
                None => Client::try_connect(self.addr, REPLY_DEADLINE),
            };
            let before = self.tally.error_count();
            let outcome = client.and_then(|mut client| {
                let started = now();
                self.request(&mut client)?;
                self.tally.slowest = self.tally.slowest.max(started.elapsed());
                Ok(client)
            });
            match outcome {
                Ok(client) => connection = Some(client),
                Err(error) if is_close(&error) => self.tally.closed += 1,
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    self.tally.hangs += 1;
                }
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => self.tally.closed += 1,
                Err(error) => self.tally.wrong.push(error.to_string()),
            }
            let failed = self.tally.error_count() - before + u64::from(connection.is_none());
            errors.fetch_add(failed, Ordering::SeqCst);
            requests.fetch_add(1, Ordering::SeqCst);
        }
        self.tally
    }

    fn request(&mut self, client: &mut Client) -> io::Result<()> {
        let slot = self.rng.random_range(0..self.versions.len());
        let key = format!("load-{}-{slot}", self.index);
        if self.rng.random_bool(self.plan.sets) {
            self.set(client, slot, &key)
        } else {
            self.get(client, slot, &key)
        }
    }

    fn set(&mut self, client: &mut Client, slot: usize, key: &str) -> io::Result<()> {
        self.tally.sets += 1;
        let padding = self.rng.random_range(0..=self.plan.padding);
        let versions = &mut self.versions[slot];
        versions.sent += 1;
        let version = versions.sent;
        match client.try_set(key, 0, &value(key, version, padding))?.as_str() {
            "STORED" => {
                self.tally.stored += 1;
                versions.acknowledged = version;
            }
            line => *self.tally.errors.entry(line.to_owned()).or_default() += 1,
        }
        Ok(())
    }

    fn get(&mut self, client: &mut Client, slot: usize, key: &str) -> io::Result<()> {
        self.tally.gets += 1;
        let versions = self.versions[slot];
        match client.try_get(key)? {
            Ok(None) => {}
            Err(line) => *self.tally.errors.entry(line).or_default() += 1,
            Ok(Some(data)) => {
                self.tally.hits += 1;
                match version_of(key, &data) {
                    Some(version) if version > versions.sent => {
                        self.tally
                            .wrong
                            .push(format!("{key} version {version} was never sent"));
                    }
                    Some(version) if version < versions.acknowledged => self.tally.stale += 1,
                    Some(_) => {}
                    None => self.tally.wrong.push(format!("{key}: {}", data.escape_ascii())),
                }
            }
        }
        Ok(())
    }
}

/// `key:version:padding`, the padding made from the other two so that every byte can be checked.
fn value(key: &str, version: u64, padding: usize) -> Vec<u8> {
    let head = format!("{key}:{version}:");
    let filler = head.bytes().cycle().take(padding);
    head.bytes().chain(filler).collect()
}

/// The version, if `data` is a value of `key` byte for byte.
fn version_of(key: &str, data: &[u8]) -> Option<u64> {
    let rest = data.strip_prefix(key.as_bytes())?.strip_prefix(b":")?;
    let end = rest.iter().position(|byte| *byte == b':')?;
    let version = std::str::from_utf8(rest.get(..end)?).ok()?.parse().ok()?;
    let head = key.len() + 1 + end + 1;
    (value(key, version, data.len().checked_sub(head)?) == data).then_some(version)
}
