//! The look-aside client: get; on a miss ask the backing store, then set. Checks every hit for key and version, knows
//! for every key where it was last stored, and therefore why it missed.
//!
//! In a closed loop, requests may overlap on the wire and still count as if one had followed the other: a get that
//! missed because the fill of an earlier miss was under way is sent again after that fill. In the open loop clients
//! do not know of each other: two that miss together both ask the backing store.

mod hear;
mod history;
mod orders;
mod retry;
mod send;
mod ttl;

use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use self::history::History;
use self::retry::Retrying;
use self::ttl::GivenTtl;
use super::backing_store::BackingStore;
use super::pipe::{Done, Failure};
use super::shell::{At, Core, Wires};
use super::source::{Request, Source};
use crate::measure::miss_reason::Home;
use crate::measure::recorder::{GetEnd, Recorder, Timing};
use crate::measure::theory::Mixture;
use crate::scenario::{Fill, Retries, Ttl};
use crate::workload::arrival::{Nanos, Schedule};
use crate::workload::keyspace::KeySpace;
use crate::workload::seed::Random;
use crate::workload::value::{Codec, Mismatch};

/// Who lost a lease asks again after this long.
const LEASE_RETRY: Nanos = 10_000_000;
/// Mismatches described in words; the rest is counted.
const MISMATCHES_TOLD: usize = 20;

/// How requests start.
#[derive(Debug)]
pub enum Pace {
    Open {
        schedule: Box<Schedule>,
        max_in_flight: usize,
    },
    Closed {
        window: usize,
    },
}

/// What is known of one key.
#[derive(Debug, Clone, Copy, Default)]
struct KeyState {
    /// Newest version the backing store has; 0 is what it had at the start.
    version: u32,
    /// The version last acknowledged by a cache.
    stored_version: u32,
    history: History,
    /// Where the last acknowledged store went.
    home: Home,
    expires_at: u32,
    stored: bool,
    deleted: bool,
    /// A miss is being filled (closed loop only), and how many fills have ended.
    filling: bool,
    fills: u16,
    /// Gets sent so far.
    gets: u32,
    /// What the backing store has: as the latest request for the key said.
    value_len: u32,
    ttl: GivenTtl,
}

/// What is remembered of each of millions of keys is worth counting.
const _: () = assert!(size_of::<KeyState>() <= 48);

impl KeyState {
    /// The oldest version a get may return; or the one it asks for, where keys carry it.
    fn readable(&self, fill: Fill) -> u32 {
        match fill {
            Fill::Versioned => self.version,
            Fill::Lookaside | Fill::Lease | Fill::WriteThrough | Fill::None => self.history.floor(),
        }
    }
}

#[derive(Debug, Clone, Copy)]
pub struct Ticket {
    kind: Kind,
    key: u32,
    /// Number of the get.
    get: u64,
    intended: Nanos,
    sent: Nanos,
    /// Written by it; or the oldest version a get may return (the one asked for, where keys carry it).
    version: u32,
    /// For a write: every version up to this one had ended when it began.
    settled: u32,
    fills: u16,
    ttl: u32,
    home: Home,
    /// The last key of its request: the request's latency is its own.
    last: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Get,
    Set,
    Delete,
    Fill,
}

/// Who asked the backing store.
#[derive(Debug, Clone, Copy)]
struct Asker {
    key: u32,
    value_len: u32,
    ttl: Option<u32>,
    why: Why,
    /// How often it was asked for before.
    tries: u8,
}

/// What happens with the backing store's answer.
#[derive(Debug, Clone, Copy)]
enum Why {
    /// The client has it, and that is all.
    Read,
    /// It is stored; under a lease if one was given.
    Fill { lease: Option<u64> },
    /// The store has taken a write: now the cache gets it.
    Write {
        version: u32,
        settled: u32,
        intended: Nanos,
    },
}

/// The nodes as the client sees them: lines per target, owner per key.
#[derive(Debug, Clone, Default)]
pub struct Map {
    /// Owner of each key: an index into `generations` (and, without a router, into `lines`).
    pub owners: Arc<[u16]>,
    /// How often each node lost its memory.
    pub generations: Vec<u16>,
    /// Lines to each node, or to the router.
    pub lines: Vec<Range<usize>>,
    /// Everything goes through target 0.
    pub router: bool,
    /// Nodes that are down or cut off.
    pub unreachable: Vec<bool>,
    /// The pool is given what it lacks from behind: a key that was hit is with its owner from then on.
    pub fills_itself: bool,
}

impl Map {
    /// So many nodes, all reachable.
    #[must_use]
    pub fn new(owners: Arc<[u16]>, nodes: usize, router: bool) -> Self {
        Self {
            owners,
            generations: vec![0; nodes],
            lines: Vec::new(),
            router,
            unreachable: vec![false; nodes],
            fills_itself: false,
        }
    }

    /// One more node.
    pub fn add_node(&mut self) {
        self.generations.push(0);
        self.unreachable.push(false);
    }

    fn is_unreachable(&self, key: u32) -> bool {
        let owner = usize::from(self.owners[key as usize]);
        self.unreachable.get(owner).copied().unwrap_or(false)
    }
}

/// What a change of the cluster does to the keys, worked out beforehand.
#[derive(Debug, Clone)]
pub struct Change {
    pub owners: Arc<[u16]>,
    /// Nodes that lost (or will have lost) their memory.
    pub lost: Vec<u16>,
    /// Keys the change makes cold.
    pub affected: Arc<[bool]>,
    pub mixture: Option<Mixture>,
}

/// What a look-aside client needs to begin.
pub struct Setup {
    pub source: Source,
    pub keys: Arc<KeySpace>,
    pub map: Map,
    pub pace: Pace,
    pub fill: Fill,
    pub ttl: Option<Ttl>,
    pub multiget: usize,
    /// Every key keeps its value length for the whole run, so that it can be checked.
    pub lens_fixed: bool,
    pub backing: BackingStore<BackingTicket>,
    /// What follows when the backing store does not answer.
    pub retries: Retries,
    /// How long a client waits for the backing store, or for another client's fill.
    pub patience: Nanos,
    /// Keys from this number on are asked for once: see [`crate::drive::source::Lone`].
    pub lone_from: u32,
    pub recorder: Recorder,
    pub random: Random,
}

/// Opaque to the outside: who waits for the backing store.
#[derive(Debug, Clone, Copy)]
pub struct BackingTicket(Asker);

/// The core of `run`.
pub struct Lookaside {
    source: Source,
    keys: Arc<KeySpace>,
    map: Map,
    pace: Pace,
    fill: Fill,
    ttl: Option<Ttl>,
    /// Share of its TTL by which a node may let an item expire early.
    early: f64,
    multiget: usize,
    lens_fixed: bool,
    backing: BackingStore<BackingTicket>,
    retrying: Retrying,
    pub recorder: Recorder,
    random: Random,
    codec: Codec,
    states: Vec<KeyState>,
    affected: Arc<[bool]>,
    scratch: Vec<u8>,
    found: Vec<u8>,
    batch: Vec<Request>,
    /// Gets that wait for a fill of their key, and those whose fill has ended.
    waiting: HashMap<u32, Vec<Ticket>>,
    again: Vec<Ticket>,
    /// Gets that lost a lease ask again then; in the order of their times.
    retries: VecDeque<(Nanos, Ticket)>,
    patience: Nanos,
    lone_from: u32,
    /// Requests on the wire, at the backing store or waiting.
    open: usize,
    /// Requests issued so far, dropped ones included.
    issued: u64,
    /// Attention is wanted when so many have been issued; in a closed loop no more are sent then.
    mark: u64,
    running: bool,
    pub mismatches: Vec<String>,
    /// Stale reads in words.
    pub stale: Vec<String>,
    named: Vec<u8>,
}

impl Lookaside {
    #[must_use]
    pub fn new(setup: Setup) -> Self {
        let keys = setup.keys.len() as usize;
        Self {
            source: setup.source,
            keys: setup.keys,
            map: setup.map,
            pace: setup.pace,
            fill: setup.fill,
            early: Ttl::early(setup.ttl.as_ref()),
            ttl: setup.ttl,
            multiget: setup.multiget,
            lens_fixed: setup.lens_fixed,
            backing: setup.backing,
            retrying: Retrying::new(&setup.retries),
            recorder: setup.recorder,
            random: setup.random,
            codec: Codec::new(),
            states: vec![KeyState::default(); keys],
            affected: vec![false; keys].into(),
            scratch: Vec::new(),
            found: Vec::new(),
            batch: Vec::new(),
            waiting: HashMap::new(),
            again: Vec::new(),
            retries: VecDeque::new(),
            patience: setup.patience,
            lone_from: setup.lone_from,
            open: 0,
            issued: 0,
            mark: u64::MAX,
            running: false,
            mismatches: Vec::new(),
            stale: Vec::new(),
            named: Vec::new(),
        }
    }
}

impl Core for Lookaside {
    type Ticket = Ticket;

    fn is_key(&mut self, ticket: &Ticket, key: &[u8]) -> bool {
        let text = self.keys.text(ticket.key, &mut self.found);
        if self.fill == Fill::Versioned || ticket.key >= self.lone_from {
            key.strip_prefix(text)
                .is_some_and(|rest| send::is_suffix(rest, ticket.version))
        } else {
            text == key
        }
    }

    fn value(&mut self, at: At, ticket: Ticket, flags: u32, data: &[u8]) {
        self.open -= 1;
        let latest = self.states[ticket.key as usize].version;
        self.recorder.count(|totals| totals.verified += 1);
        let expected = self.keys.value_len(ticket.key) as usize;
        let checked = if self.lens_fixed && data.len() != expected {
            Err(Mismatch::Length {
                found: data.len(),
                expected,
            })
        } else {
            self.codec.check(u64::from(ticket.key), latest, flags, data)
        };
        match checked {
            Ok(version) if version < ticket.version => self.was_stale(at.now, ticket, version),
            Ok(_) => {}
            Err(what) => {
                self.recorder.count(|totals| totals.mismatches += 1);
                if self.mismatches.len() < MISMATCHES_TOLD {
                    let key = self.keys.text(ticket.key, &mut self.scratch);
                    self.mismatches
                        .push(format!("get {} key {}: {what}", ticket.get, key.escape_ascii()));
                }
            }
        }
        if self.map.fills_itself {
            self.states[ticket.key as usize].home = self.home(ticket.key);
        }
        self.end_get(at.now, ticket, GetEnd::Hit);
    }

    fn miss(&mut self, at: At, ticket: Ticket) {
        let state = &self.states[ticket.key as usize];
        if !self.is_open_loop() && self.fill != Fill::None {
            if state.filling {
                self.waiting.entry(ticket.key).or_default().push(ticket);
                return;
            }
            if state.fills != ticket.fills {
                self.again.push(ticket);
                return;
            }
        }
        self.missed(at.now, ticket, None);
    }

    fn won(&mut self, at: At, ticket: Ticket, cas: u64) {
        self.missed(at.now, ticket, Some(cas));
    }

    fn lost(&mut self, at: At, ticket: Ticket) {
        if at.now.saturating_sub(ticket.intended) > self.patience {
            self.recorder.error(true);
            self.end_get(at.now, ticket, GetEnd::Error);
            self.open -= 1;
            return;
        }
        self.retries.push_back((at.now + LEASE_RETRY, ticket));
    }

    fn done(&mut self, at: At, ticket: Ticket, done: Done) {
        let timing = Timing {
            intended: ticket.intended,
            sent: ticket.sent,
            done: at.now,
        };
        match (ticket.kind, done) {
            (Kind::Set, Done::Stored) => {
                self.open -= 1;
                self.recorder.written(timing);
                self.recorder.count(|totals| totals.sets += 1);
                self.states[ticket.key as usize]
                    .history
                    .acked(ticket.settled, at.now);
                self.stored(at.now, ticket);
            }
            (Kind::Fill, Done::Stored) => {
                self.open -= 1;
                self.stored(at.now, ticket);
                self.fill_ended(ticket.key);
            }
            (Kind::Delete, Done::Deleted | Done::NotFound) => {
                self.open -= 1;
                self.recorder.written(timing);
                self.recorder.count(|totals| totals.deletes += 1);
                let state = &mut self.states[ticket.key as usize];
                state.history.acked(ticket.settled, at.now);
                state.deleted = true;
            }
            (Kind::Fill, Done::NotStored) if self.fill == Fill::Lease => {
                // The lease was void: deleted or stored since. What is there is newer.
                self.open -= 1;
                self.fill_ended(ticket.key);
            }
            (Kind::Get | Kind::Set | Kind::Delete | Kind::Fill, _) => {
                self.failed(at, ticket, Failure::Refused)
            }
        }
    }

    fn failed(&mut self, at: At, ticket: Ticket, why: Failure) {
        if ticket.kind == Kind::Fill {
            self.recorder.count(|totals| totals.fill_errors += 1);
        } else {
            self.recorder.error(why == Failure::Timeout);
        }
        match ticket.kind {
            Kind::Get => {
                self.end_get(at.now, ticket, GetEnd::Error);
                match self.fill {
                    // The cache did not answer: the user still wants the value, and there is nowhere to put it.
                    Fill::Lookaside | Fill::Lease | Fill::WriteThrough | Fill::Versioned => {
                        self.ask(at.now, ticket.key, Why::Read);
                    }
                    Fill::None => self.open -= 1,
                }
            }
            Kind::Set | Kind::Delete => {
                self.open -= 1;
                self.states[ticket.key as usize].history.ended();
            }
            Kind::Fill => {
                self.open -= 1;
                self.fill_ended(ticket.key);
            }
        }
    }

    fn pump(&mut self, now: Nanos, wires: &mut Wires<Ticket>) {
        let queue = self.backing.queue();
        self.recorder.tick(now, queue);
        loop {
            self.hear_backing(now, wires);
            self.resend(now, wires);
            if !self.running {
                break;
            }
            match &mut self.pace {
                Pace::Closed { window } => {
                    if self.open >= *window || self.issued >= self.mark || !self.issue(now, now, wires) {
                        break;
                    }
                }
                Pace::Open {
                    schedule,
                    max_in_flight,
                } => {
                    let intended = schedule.peek();
                    if intended > now {
                        break;
                    }
                    schedule.advance();
                    if self.open < *max_in_flight {
                        if !self.issue(intended, now, wires) {
                            break;
                        }
                    } else if self.source.next().is_some() {
                        self.issued += 1;
                        self.recorder.offered();
                        self.recorder.dropped();
                    } else {
                        break;
                    }
                }
            }
        }
    }

    fn next_wakeup(&self) -> Option<Nanos> {
        let arrival = match &self.pace {
            Pace::Open { schedule, .. } if self.running && !self.source.is_empty() => Some(schedule.peek()),
            Pace::Open { .. } | Pace::Closed { .. } => None,
        };
        let retry = self.retries.front().map(|(at, _)| *at);
        [arrival, retry, self.backing.next_at(), self.retrying.next_at()]
            .into_iter()
            .flatten()
            .min()
    }

    fn wants_attention(&self) -> bool {
        self.at_mark() || self.idle()
    }
}
