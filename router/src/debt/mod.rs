//! Debts: what replicas missed and must be told before they are read again (the router's invalidation spool).
//!
//! - G1 An acknowledged delete has been applied on, or is durably owed to, every replica; else it is an error.
//! - G2 A replica that is owed anything is not read until it has been paid.
//! - G3 A write that misses a replica leaves that replica owed a delete of the key.
//!
//! ```text
//! route::replicated ──owe──▶ Debts ──jobs──▶ writer (files, group commit) ──▶ claims: the client's reply may go
//!        ▲                     │ ▲
//!  is_readable                 ▼ │ take, settle, announce
//!                            agents: one per replica pays, and marks it for other routers
//! ```
//! The core ([`account`], [`lease`], [`marks`], [`record`]) knows no socket, file, clock or thread.

pub(crate) mod account;
pub(crate) mod agent;
pub(crate) mod agents;
pub(crate) mod claim;
pub(crate) mod lease;
pub(crate) mod marks;
pub(crate) mod record;
pub(crate) mod spool;
mod talk;
pub(crate) mod writer;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use ahash::AHashMap;
use parking_lot::{Condvar, Mutex};
use tokio::sync::Notify;

use crate::clock;
use account::{Account, Payment};
use claim::{Claim, Settled};
use writer::Job;

/// A span in the unit of [`clock::micros`].
fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

/// How debts are kept and paid.
#[derive(Debug, Clone)]
pub(crate) struct Terms {
    /// Bytes of debts, of all replicas together.
    pub limit_bytes: u64,
    /// Deletes per second and replica when paying.
    pub replay_rate: u32,
    /// How long a replica has to answer, and nothing sent to it to be without answer, before it is paid.
    pub settle: Duration,
    /// How long a look for other routers' marks is good for; `None`: there is no other router, or nothing durable to
    /// tell them of.
    pub lease: Option<Duration>,
}

/// A replica, as routes ask about it.
#[derive(Debug)]
pub(crate) struct Replica {
    pub pool: String,
    pub server: String,
    number: usize,
    owed: AtomicBool,
    /// In microseconds of [`clock::micros`]; `u64::MAX` where nobody else has a say.
    readable_until: AtomicU64,
    /// Another router has marked it.
    pub marked: AtomicBool,
    /// Times it was readable though most of the pool's servers could not be asked for marks.
    pub unwitnessed: AtomicU64,
    /// Times an operator has forgiven what it is owed, by any router.
    pub forgiven: AtomicU64,
    /// Wakes its agent.
    pub wake: Notify,
}

impl Replica {
    /// G2: whether it may be read now.
    pub(crate) fn is_readable(&self) -> bool {
        if self.owed.load(Ordering::Acquire) {
            return false;
        }
        let until = self.readable_until.load(Ordering::Acquire);
        until == u64::MAX || clock::micros() < until
    }

    pub(crate) fn is_owed(&self) -> bool {
        self.owed.load(Ordering::Acquire)
    }

    pub(crate) fn read_until(&self, micros: u64) {
        self.readable_until.store(micros, Ordering::Release);
    }
}

/// A replica and its account.
#[derive(Debug)]
struct Held {
    replica: Arc<Replica>,
    account: Account,
    /// Every router that can know has stopped reading it.
    announced: bool,
    totals: Totals,
}

/// What has become of debts since the start.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Totals {
    pub owed: u64,
    pub paid: u64,
    pub refused: u64,
    pub forgiven: u64,
    /// Kept though most of the pool's servers could not be told of it.
    pub untold: u64,
}

#[derive(Debug)]
struct Waiting {
    claim: Claim,
    replica: usize,
    batch: u64,
}

#[derive(Debug)]
struct State {
    held: Vec<Held>,
    by_name: AHashMap<(String, String), usize>,
    jobs: Vec<Job>,
    /// The batch that `jobs` will be; and the last one that is through.
    batch: u64,
    written: u64,
    waiting: Vec<Waiting>,
    /// Of files, as the writer counted them last.
    disk_bytes: u64,
    /// Why the last batch could not be written, if it could not.
    write_error: Option<String>,
    stop: bool,
}

/// All debts of the process.
#[derive(Debug)]
pub(crate) struct Debts {
    state: Mutex<State>,
    work: Condvar,
    pub terms: Terms,
    /// Whether debts survive this process.
    durable: bool,
    /// This router's name in marks.
    pub router_id: String,
}

/// One replica's debts, for people and metrics.
#[derive(Debug, Clone)]
pub(crate) struct Statement {
    pub replica: Arc<Replica>,
    pub depth: u64,
    pub bytes: u64,
    pub everything: bool,
    pub oldest_unix: Option<u64>,
    pub announced: bool,
    pub totals: Totals,
}

impl Debts {
    /// Debts in memory only.
    pub(crate) fn in_memory(terms: Terms) -> Arc<Self> {
        Arc::new(Self::new(Terms { lease: None, ..terms }, false, String::new()))
    }

    fn new(terms: Terms, durable: bool, router_id: String) -> Self {
        Self {
            state: Mutex::new(State {
                held: Vec::new(),
                by_name: AHashMap::new(),
                jobs: Vec::new(),
                batch: 1,
                written: 0,
                waiting: Vec::new(),
                disk_bytes: 0,
                write_error: None,
                stop: false,
            }),
            work: Condvar::new(),
            terms,
            durable,
            router_id,
        }
    }

    /// Whether debts survive this process.
    pub(crate) const fn are_durable(&self) -> bool {
        self.durable
    }

    /// The replica of that name, now or later in a configuration.
    pub(crate) fn replica(&self, pool: &str, server: &str) -> Arc<Replica> {
        let mut state = self.state.lock();
        let number = self.number(&mut state, pool, server);
        Arc::clone(&state.held[number].replica)
    }

    fn number(&self, state: &mut State, pool: &str, server: &str) -> usize {
        let name = (pool.to_owned(), server.to_owned());
        if let Some(number) = state.by_name.get(&name) {
            return *number;
        }
        let number = state.held.len();
        state.held.push(Held {
            replica: Arc::new(Replica {
                pool: pool.to_owned(),
                server: server.to_owned(),
                number,
                owed: AtomicBool::new(false),
                readable_until: AtomicU64::new(if self.terms.lease.is_some() { 0 } else { u64::MAX }),
                marked: AtomicBool::new(false),
                unwitnessed: AtomicU64::new(0),
                forgiven: AtomicU64::new(0),
                wake: Notify::new(),
            }),
            account: Account::default(),
            announced: false,
            totals: Totals::default(),
        });
        state.by_name.insert(name, number);
        number
    }

    /// The replica missed something about `key`. From here on it is not read; the claim is settled when the debt is
    /// kept.
    pub(crate) fn owe(&self, replica: &Replica, key: &[u8], claim: Option<Claim>) {
        let now = clock::unix().as_secs();
        let (settled, first) = {
            let mut state = self.state.lock();
            let bytes: u64 = state.held.iter().map(|held| held.account.bytes()).sum();
            let room = self.terms.limit_bytes.saturating_sub(bytes);
            let filling = state.batch;
            let held = &mut state.held[replica.number];
            let first = held.account.is_clear();
            let Some((batch, fresh)) = held.account.owe(key, now, filling, room) else {
                held.totals.refused += 1;
                drop(state);
                if let Some(claim) = claim {
                    claim.settle(Settled::Refused);
                }
                return;
            };
            held.replica.owed.store(true, Ordering::Release);
            let announced = held.announced || self.terms.lease.is_none();
            if let Some(fresh) = fresh {
                held.totals.owed += 1;
                if self.durable {
                    state.jobs.push(Job::Owed {
                        replica: replica.number,
                        sequence: fresh.sequence,
                        since_unix: now,
                        key: fresh.key,
                    });
                    self.work.notify_one();
                }
            }
            let settled = match claim {
                None => None,
                Some(claim) if !self.durable => Some((claim, Settled::InMemory)),
                Some(claim) if announced && batch <= state.written => Some((claim, Settled::Kept)),
                Some(claim) => {
                    let replica = replica.number;
                    state.waiting.push(Waiting {
                        claim,
                        replica,
                        batch,
                    });
                    None
                }
            };
            (settled, first)
        };
        if let Some((claim, settled)) = settled {
            claim.settle(settled);
        }
        if first {
            self.wake_pool(&replica.pool);
        }
    }

    /// Has the agents of a pool look at once.
    fn wake_pool(&self, pool: &str) {
        for held in &self.state.lock().held {
            if held.replica.pool == pool {
                held.replica.wake.notify_one();
            }
        }
    }

    /// Every router that can know has stopped reading the replica.
    pub(crate) fn announce(&self, replica: &Replica, most_are_told: bool) {
        let ready = {
            let mut state = self.state.lock();
            let held = &mut state.held[replica.number];
            if held.announced || held.account.is_clear() {
                return;
            }
            held.announced = true;
            held.totals.untold += u64::from(!most_are_told);
            state.release(false)
        };
        settle(ready);
    }

    /// The oldest debts, to be paid now; [`Debts::settle`] has to follow.
    pub(crate) fn take(&self, replica: &Replica, count: usize) -> Payment {
        self.state.lock().held[replica.number].account.take(count)
    }

    /// What was taken has been paid, or not.
    pub(crate) fn settle(&self, replica: &Replica, paid: bool) {
        let ready = {
            let mut state = self.state.lock();
            let held = &mut state.held[replica.number];
            if !paid {
                held.account.unpaid();
                return;
            }
            let (sequence, count) = held.account.paid();
            held.totals.paid += count;
            self.after(&mut state, replica, sequence)
        };
        settle(ready);
    }

    /// Forgets what a replica is owed, by this router and all others; how many debts of this one that were.
    pub(crate) fn forgive(&self, replica: &Replica) -> u64 {
        replica.forgiven.fetch_add(1, Ordering::AcqRel);
        let (ready, count) = {
            let mut state = self.state.lock();
            let held = &mut state.held[replica.number];
            let (sequence, count) = held.account.forgive();
            held.totals.forgiven += count;
            (self.after(&mut state, replica, sequence), count)
        };
        settle(ready);
        self.wake_pool(&replica.pool);
        count
    }

    fn after(&self, state: &mut State, replica: &Replica, sequence: u64) -> Vec<(Claim, Settled)> {
        if self.durable {
            state.jobs.push(Job::Paid {
                replica: replica.number,
                sequence,
            });
            self.work.notify_one();
        }
        let held = &mut state.held[replica.number];
        if !held.account.is_clear() {
            return Vec::new();
        }
        held.announced = false;
        held.replica.owed.store(false, Ordering::Release);
        state.release(self.terms.lease.is_none())
    }

    /// Every replica there is or was, with what it is owed.
    pub(crate) fn statements(&self) -> Vec<Statement> {
        let state = self.state.lock();
        let statement = |held: &Held| Statement {
            replica: Arc::clone(&held.replica),
            depth: held.account.depth(),
            bytes: held.account.bytes(),
            everything: held.account.everything,
            oldest_unix: held.account.oldest_unix(),
            announced: held.announced,
            totals: held.totals,
        };
        state.held.iter().map(statement).collect()
    }

    /// Bytes of the spool's files, and why it could not be written last, if it could not.
    pub(crate) fn disk(&self) -> (u64, Option<String>) {
        let state = self.state.lock();
        (state.disk_bytes, state.write_error.clone())
    }

    /// Replicas whose debts are not settled, and requests that wait for theirs to be kept.
    pub(crate) fn waiting(&self) -> usize {
        self.state.lock().waiting.len()
    }

    /// Ends the writer once everything has been written.
    pub(crate) fn stop(&self) {
        self.state.lock().stop = true;
        self.work.notify_all();
    }
}

impl State {
    /// Claims whose debts are kept, or paid already.
    fn release(&mut self, nobody_to_tell: bool) -> Vec<(Claim, Settled)> {
        let Self {
            held,
            waiting,
            written,
            ..
        } = self;
        let mut ready = Vec::new();
        waiting.retain(|waiting| {
            let held = &held[waiting.replica];
            let kept = waiting.batch <= *written && (held.announced || nobody_to_tell);
            if kept || held.account.is_clear() {
                ready.push((waiting.claim.clone(), Settled::Kept));
                return false;
            }
            true
        });
        ready
    }
}

fn settle(ready: Vec<(Claim, Settled)>) {
    for (claim, settled) in ready {
        claim.settle(settled);
    }
}

#[cfg(test)]
impl Debts {
    /// Debts that count as kept and that nobody writes or pays.
    pub(crate) fn for_tests() -> Arc<Self> {
        let terms = Terms {
            limit_bytes: 1 << 20,
            replay_rate: 1,
            settle: Duration::ZERO,
            lease: None,
        };
        Arc::new(Self::new(terms, true, "tests".to_owned()))
    }
}
