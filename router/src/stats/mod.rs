//! What is counted. Each worker counts in its own [`WorkerCounters`] and, per server, [`DestinationCounters`]; they
//! are summed when somebody asks (`stats`, /metrics). Nothing here knows how a number is told.

pub(crate) mod histogram;
pub(crate) mod process;
pub(crate) mod report;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::health::eject::Seen;
use crate::hot_keys::{self, HotKey, HotKeys, TopKeys};
use crate::pool::Destination;
use crate::reply::Kind;
use crate::request::{Family, Op};
use crate::upstream::connection::State;
use crate::upstream::error::UpstreamError;
use histogram::Histogram;

/// A number that one thread changes and any thread reads.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// Adds without a locked instruction: each counter has one writer.
    pub(crate) fn add(&self, more: u64) {
        self.0.store(
            self.0.load(Ordering::Relaxed).wrapping_add(more),
            Ordering::Relaxed,
        );
    }

    pub(crate) fn sub(&self, less: u64) {
        self.0.store(
            self.0.load(Ordering::Relaxed).wrapping_sub(less),
            Ordering::Relaxed,
        );
    }

    pub(crate) fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Replies by what they said.
#[derive(Debug, Default)]
pub(crate) struct ByKind([Counter; Kind::ALL.len()]);

impl ByKind {
    pub(crate) fn count(&self, kind: Kind) {
        self.0[kind.index()].add(1);
    }

    pub(crate) fn get(&self, kind: Kind) -> u64 {
        self.0[kind.index()].get()
    }
}

/// Requests that got no reply, by why.
#[derive(Debug, Default)]
pub(crate) struct ByError([Counter; UpstreamError::ALL.len()]);

impl ByError {
    pub(crate) fn count(&self, error: UpstreamError) {
        self.0[error.index()].add(1);
    }

    pub(crate) fn get(&self, error: UpstreamError) -> u64 {
        self.0[error.index()].get()
    }

    pub(crate) fn total(&self) -> u64 {
        self.0.iter().map(Counter::get).sum()
    }
}

/// Requests of clients by operation: each key of a retrieval counts.
#[derive(Debug, Default)]
pub(crate) struct ByOp([Counter; Op::ALL.len()]);

impl ByOp {
    pub(crate) fn count(&self, op: Op, requests: u64) {
        self.0[op.index()].add(requests);
    }

    pub(crate) fn get(&self, op: Op) -> u64 {
        self.0[op.index()].get()
    }
}

/// Latencies by what was asked for.
#[derive(Debug, Default)]
pub(crate) struct ByFamily([Histogram; Family::ALL.len()]);

impl ByFamily {
    pub(crate) fn record(&self, family: Family, micros: u64) {
        self.0[family.index()].record(micros);
    }

    pub(crate) fn get(&self, family: Family) -> &Histogram {
        &self.0[family.index()]
    }
}

/// One worker's dealings with its clients.
#[derive(Debug, Default)]
pub(crate) struct WorkerCounters {
    pub connections_accepted: Counter,
    pub connections_rejected: Counter,
    pub connections_open: Counter,
    pub bytes_read: Counter,
    pub bytes_written: Counter,
    pub requests: ByOp,
    /// Replies to clients, whole retrievals counted key by key.
    pub replies: ByKind,
    /// Replies to clients that no server gave.
    pub failures: ByError,
    pub get_hits: Counter,
    pub get_misses: Counter,
    pub touch_hits: Counter,
    pub touch_misses: Counter,
    pub delete_hits: Counter,
    pub delete_misses: Counter,
    pub incr_hits: Counter,
    pub incr_misses: Counter,
    pub decr_hits: Counter,
    pub decr_misses: Counter,
    pub cas_hits: Counter,
    pub cas_misses: Counter,
    pub cas_badval: Counter,
    /// Gets that failed and were answered as misses.
    pub masked_get_errors: Counter,
    /// Requests refused for their form.
    pub rejects: Counter,
    pub flushes: Counter,
    /// Requests that went on to another server.
    pub failovers: Counter,
    /// Composite requests under way.
    pub flows: Counter,
    pub dev_null: Counter,
    /// Times clients were not read for a while because they did not read, or sent faster than servers answer.
    pub paused: Counter,
    /// Times a busy worker waited for more to do.
    pub lingers: Counter,
    /// Gets answered by a near cache, and by the answer to another's.
    pub near_hits: Counter,
    pub coalesced: Counter,
    /// Requests for the background that were left out because too much was under way.
    pub background_dropped: Counter,
    /// Requests without reply (noreply, copies in the background) that failed: nobody was told.
    pub unreported_errors: Counter,
}

impl WorkerCounters {
    /// All of them, in the order of the fields.
    fn all(&self) -> Vec<&Counter> {
        let mut all = vec![
            &self.connections_accepted,
            &self.connections_rejected,
            &self.connections_open,
            &self.bytes_read,
            &self.bytes_written,
        ];
        all.extend(&self.requests.0);
        all.extend(&self.replies.0);
        all.extend(&self.failures.0);
        all.extend([
            &self.get_hits,
            &self.get_misses,
            &self.touch_hits,
            &self.touch_misses,
            &self.delete_hits,
            &self.delete_misses,
            &self.incr_hits,
            &self.incr_misses,
            &self.decr_hits,
            &self.decr_misses,
            &self.cas_hits,
            &self.cas_misses,
            &self.cas_badval,
            &self.masked_get_errors,
            &self.rejects,
            &self.flushes,
            &self.failovers,
            &self.flows,
            &self.dev_null,
            &self.paused,
            &self.lingers,
            &self.near_hits,
            &self.coalesced,
            &self.background_dropped,
            &self.unreported_errors,
        ]);
        all
    }
}

/// One worker's dealings with one server.
#[derive(Debug, Default)]
pub(crate) struct DestinationCounters {
    pub requests: Counter,
    pub replies: ByKind,
    pub errors: ByError,
    pub bytes_read: Counter,
    pub tkos: Counter,
    /// Requests given up whose replies may still come: the server may still carry them out.
    pub given_up: Counter,
    /// Signs that the server does not answer: timeouts (those that come together are one), broken connections, connects
    /// and probes that failed.
    pub failures: Counter,
    /// Times the connection closed on requests under way: what was sent may or may not have arrived.
    pub losses: Counter,
    /// A [`State`] as its number.
    pub state: Counter,
    pub latency: ByFamily,
}

impl DestinationCounters {
    pub(crate) fn state(&self) -> State {
        usize::try_from(self.state.get())
            .ok()
            .and_then(|state| State::ALL.get(state).copied())
            .unwrap_or(State::New)
    }

    /// Replies, whatever they said.
    pub(crate) fn replied(&self) -> u64 {
        Kind::ALL.into_iter().map(|kind| self.replies.get(kind)).sum()
    }

    /// Requests that wait for their replies.
    pub(crate) fn inflight(&self) -> u64 {
        self.requests
            .get()
            .saturating_sub(self.replied() + self.errors.total())
    }
}

/// All counters of the process, by whom they are counted for.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    workers: Mutex<Vec<Arc<WorkerCounters>>>,
    hot_keys: Mutex<Vec<Arc<Mutex<TopKeys>>>>,
    destinations: Mutex<BTreeMap<String, Vec<Counted>>>,
    /// The sums at the last `stats reset`.
    at_reset: Mutex<WorkerCounters>,
}

/// The counters of one connection of a worker to a server.
#[derive(Debug, Clone)]
pub(crate) struct Counted {
    pub worker: usize,
    /// Which of the worker's connections to it.
    pub lane: usize,
    pub destination: Arc<Destination>,
    pub counters: Arc<DestinationCounters>,
}

impl Counted {
    fn is(&self, worker: usize, lane: usize, destination: &Destination) -> bool {
        self.worker == worker && self.lane == lane && *self.destination == *destination
    }
}

impl Registry {
    pub(crate) fn worker(&self, hot_keys: &HotKeys) -> Arc<WorkerCounters> {
        let counters = Arc::new(WorkerCounters::default());
        self.workers.lock().push(Arc::clone(&counters));
        self.hot_keys.lock().push(hot_keys.shared());
        counters
    }

    /// What clients ask for most.
    pub(crate) fn hot_keys(&self, most: usize) -> Vec<HotKey> {
        hot_keys::hottest(&self.hot_keys.lock(), most)
    }

    /// The counters of one connection of a worker to a server; they go on where they were if the server was here before.
    pub(crate) fn destination(
        &self,
        (worker, lane): (usize, usize),
        destination: &Arc<Destination>,
    ) -> Arc<DestinationCounters> {
        let mut destinations = self.destinations.lock();
        let known = destinations.entry(destination.name.clone()).or_default();
        if let Some(found) = known.iter().find(|counted| counted.is(worker, lane, destination)) {
            return Arc::clone(&found.counters);
        }
        let counters = Arc::new(DestinationCounters::default());
        known.push(Counted {
            worker,
            lane,
            destination: Arc::clone(destination),
            counters: Arc::clone(&counters),
        });
        counters
    }

    /// What went wrong with a server so far, over all workers, and how many requests it may still carry out though
    /// nobody waits for them.
    pub(crate) fn troubles(&self, destination: &Destination) -> (u64, u64) {
        let destinations = self.destinations.lock();
        let known = destinations.get(&destination.name).into_iter().flatten();
        known
            .filter(|counted| counted.destination.address == destination.address)
            .fold((0, 0), |(losses, given_up), counted| {
                let counters = &counted.counters;
                (losses + counters.losses.get(), given_up + counters.given_up.get())
            })
    }

    /// What is seen of a server over all workers.
    pub(crate) fn seen(&self, name: &str) -> Seen {
        let is_tko = matches!(self.state(name), State::SoftTko | State::HardTko);
        let destinations = self.destinations.lock();
        let known = destinations.get(name).into_iter().flatten();
        known.fold(
            Seen {
                is_tko,
                ..Seen::default()
            },
            |seen, counted| Seen {
                replies: seen.replies + counted.counters.replied(),
                failures: seen.failures + counted.counters.failures.get(),
                ..seen
            },
        )
    }

    /// Forgets a server that left the configuration.
    pub(crate) fn forget(&self, (worker, lane): (usize, usize), destination: &Destination) {
        let mut destinations = self.destinations.lock();
        if let Some(known) = destinations.get_mut(&destination.name) {
            known.retain(|counted| !counted.is(worker, lane, destination));
            if known.is_empty() {
                destinations.remove(&destination.name);
            }
        }
    }

    /// The sum over all workers.
    pub(crate) fn sum(&self, of: impl Fn(&WorkerCounters) -> u64) -> u64 {
        self.workers.lock().iter().map(|counters| of(counters)).sum()
    }

    /// The same, counted from the last `stats reset`.
    pub(crate) fn since_reset(&self, of: impl Fn(&WorkerCounters) -> u64) -> u64 {
        let before = of(&self.at_reset.lock());
        self.sum(of).saturating_sub(before)
    }

    /// Has [`Registry::since_reset`] count from now on, and forgets what was asked for most. Metrics go on as they were:
    /// a counter that falls would be taken for a restart.
    pub(crate) fn reset(&self) {
        let workers = self.workers.lock();
        let at_reset = self.at_reset.lock();
        for (place, sum) in at_reset.all().into_iter().enumerate() {
            sum.set(workers.iter().map(|worker| worker.all()[place].get()).sum());
        }
        for top in self.hot_keys.lock().iter() {
            top.lock().reset();
        }
    }

    /// Every server's counters, by name, one entry per worker.
    pub(crate) fn destinations(&self) -> Vec<(String, Vec<Counted>)> {
        let destinations = self.destinations.lock();
        destinations
            .iter()
            .map(|(name, counted)| (name.clone(), counted.clone()))
            .collect()
    }

    /// The state of a server over all workers: down if it is down for any.
    pub(crate) fn state(&self, name: &str) -> State {
        let destinations = self.destinations.lock();
        destinations
            .get(name)
            .into_iter()
            .flatten()
            .map(|counted| counted.counters.state())
            .max_by_key(|state| match state {
                State::New => 0,
                State::Closed => 1,
                State::Up => 2,
                State::SoftTko => 3,
                State::HardTko => 4,
            })
            .unwrap_or(State::New)
    }
}

#[cfg(test)]
mod tests {
    use super::{Counter, Registry, WorkerCounters};
    use crate::hot_keys::HotKeys;

    #[test]
    fn no_counter_is_left_out_of_a_reset() {
        let all = WorkerCounters::default().all().len();
        assert_eq!(all * size_of::<Counter>(), size_of::<WorkerCounters>());
    }

    #[test]
    fn a_reset_counts_from_zero_and_leaves_the_sums() {
        let registry = Registry::default();
        let workers = [
            registry.worker(&HotKeys::default()),
            registry.worker(&HotKeys::default()),
        ];
        workers[0].get_hits.add(5);
        workers[1].get_hits.add(2);
        registry.reset();
        workers[1].get_hits.add(1);
        assert_eq!(registry.since_reset(|worker| worker.get_hits.get()), 1);
        assert_eq!(registry.sum(|worker| worker.get_hits.get()), 8);
    }
}
