//! The look-aside client: get; on a miss ask the backing store, then set. Checks every hit for key and version, knows
//! for every key where it was last stored, and therefore why it missed.
//!
//! In a closed loop, requests may overlap on the wire and still count as if one had followed the other: a get that
//! missed because the fill of an earlier miss was under way is sent again after that fill. In the open loop clients
//! do not know of each other: two that miss together both ask the backing store.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use rand::RngExt;

use super::backing_store::{Answer, BackingStore};
use super::pipe::{Done, Failure, Item};
use super::shell::{At, Core, Wires};
use super::source::{Op, Request, Source};
use crate::measure::miss_reason::{Home, LastStore, classify};
use crate::measure::recorder::{GetEnd, Recorder, Timing};
use crate::measure::theory::Mixture;
use crate::scenario::{Fill, Ttl};
use crate::workload::arrival::{Nanos, Schedule};
use crate::workload::keyspace::KeySpace;
use crate::workload::seed::{Random, mix};
use crate::workload::value::{Codec, Mismatch};

const SECOND: Nanos = 1_000_000_000;
/// A node may let an item expire this share of its TTL early (cache-node's `--ttl-jitter`).
const EARLIEST_EXPIRY: f64 = 0.9;
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
    /// Newest version the backing store has (0 is what it had at the start), and the newest one a cache acknowledged.
    version: u32,
    acked: u32,
    /// Where the last acknowledged store went.
    home: Home,
    expires_at: u32,
    stored: bool,
    deleted: bool,
    /// A miss is being filled (closed loop only), and how many fills have ended.
    filling: bool,
    fills: u32,
    /// Gets sent so far.
    gets: u32,
    /// What the backing store has: as the latest request for the key said.
    value_len: u32,
    ttl: Option<u32>,
}

#[derive(Debug, Clone, Copy)]
pub struct Ticket {
    kind: Kind,
    key: u32,
    /// Number of the get.
    get: u64,
    intended: Nanos,
    sent: Nanos,
    /// Written by it; or the oldest version a get may return.
    version: u32,
    fills: u32,
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
    fill: bool,
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
    multiget: usize,
    lens_fixed: bool,
    backing: BackingStore<BackingTicket>,
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
    /// Requests on the wire, at the backing store or waiting.
    open: usize,
    /// Requests issued so far, dropped ones included.
    issued: u64,
    /// Attention is wanted when so many have been issued; in a closed loop no more are sent then.
    mark: u64,
    running: bool,
    pub mismatches: Vec<String>,
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
            ttl: setup.ttl,
            multiget: setup.multiget,
            lens_fixed: setup.lens_fixed,
            backing: setup.backing,
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
            open: 0,
            issued: 0,
            mark: u64::MAX,
            running: false,
            mismatches: Vec::new(),
        }
    }

    // ---- orders from outside ----

    /// Begins: the clock of the windows and the schedule start now.
    pub fn start(&mut self, pace: Pace, now: Nanos) {
        self.pace = pace;
        self.recorder.start(now);
        self.mark = 0;
        self.running = true;
    }

    /// Goes on or stops sending.
    pub fn run(&mut self, running: bool) {
        self.running = running;
    }

    /// Wants attention once `issued` requests have been issued; see [`Lookaside::at_mark`].
    pub fn set_mark(&mut self, issued: u64) {
        self.mark = issued;
    }

    /// The mark was reached, and in a closed loop everything before it has ended.
    #[must_use]
    pub fn at_mark(&self) -> bool {
        self.issued >= self.mark && (self.is_open_loop() || self.open == 0)
    }

    #[must_use]
    pub fn issued(&self) -> u64 {
        self.issued
    }

    /// Requests not yet ended.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.open
    }

    /// No more rows, or not running, and nothing under way.
    #[must_use]
    pub fn idle(&self) -> bool {
        self.open == 0 && (!self.running || self.source.is_empty())
    }

    /// The source has no more requests.
    #[must_use]
    pub fn source_is_empty(&self) -> bool {
        self.source.is_empty()
    }

    #[must_use]
    pub fn is_open_loop(&self) -> bool {
        matches!(self.pace, Pace::Open { .. })
    }

    pub fn set_rate(&mut self, rate: f64) {
        if let Pace::Open { schedule, .. } = &mut self.pace {
            schedule.set_rate(rate);
        }
    }

    #[must_use]
    pub fn map(&self) -> &Map {
        &self.map
    }

    pub fn map_mut(&mut self) -> &mut Map {
        &mut self.map
    }

    /// The change is in effect from now on.
    pub fn apply(&mut self, change: &Change, now: Nanos) {
        self.map.owners = Arc::clone(&change.owners);
        for node in &change.lost {
            self.lose(*node);
        }
        self.affected = Arc::clone(&change.affected);
        let base = self.recorder.totals().gets;
        self.recorder.event(now, base, change.mixture.clone());
    }

    /// A node's memory is gone.
    pub fn lose(&mut self, node: u16) {
        if let Some(generation) = self.map.generations.get_mut(usize::from(node)) {
            *generation = generation.wrapping_add(1);
        }
    }

    /// Gets so far of every key.
    #[must_use]
    pub fn gets_per_key(&self) -> Vec<u32> {
        self.states.iter().map(|state| state.gets).collect()
    }

    /// Keys acknowledged as stored and not deleted since.
    #[must_use]
    pub fn is_stored(&self, key: u32) -> bool {
        let state = &self.states[key as usize];
        state.stored && !state.deleted
    }

    #[must_use]
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// Reads waiting at the backing store.
    #[must_use]
    pub fn backend_queue(&self, now: Nanos) -> u64 {
        self.backing.queue(now)
    }

    // ---- sending ----

    fn issue(&mut self, intended: Nanos, now: Nanos, wires: &mut Wires<Ticket>) -> bool {
        let Some(request) = self.source.next() else {
            return false;
        };
        self.issued += 1;
        self.recorder.offered();
        self.note(&request);
        match request.op {
            Op::Get if self.multiget > 1 => self.issue_multiget(request, intended, now, wires),
            Op::Get => {
                let ticket = self.get_ticket(request.key, intended, now, true);
                self.send_get(ticket, wires);
            }
            Op::Set => {
                let state = &mut self.states[request.key as usize];
                state.version += 1;
                let version = state.version;
                self.send_store(Kind::Set, request, version, intended, now, wires);
            }
            Op::Delete => self.send_delete(request.key, intended, now, wires),
        }
        true
    }

    fn note(&mut self, request: &Request) {
        let state = &mut self.states[request.key as usize];
        (state.value_len, state.ttl) = (request.value_len, request.ttl);
    }

    fn get_ticket(&mut self, key: u32, intended: Nanos, now: Nanos, last: bool) -> Ticket {
        let get = self.recorder.totals().gets;
        self.recorder.get_sent();
        self.open += 1;
        let state = &mut self.states[key as usize];
        state.gets = state.gets.saturating_add(1);
        Ticket {
            kind: Kind::Get,
            key,
            get,
            intended,
            sent: now,
            version: state.acked,
            fills: state.fills,
            ttl: 0,
            home: Home::default(),
            last,
        }
    }

    fn send_get(&mut self, ticket: Ticket, wires: &mut Wires<Ticket>) {
        let line = self.line(ticket.key);
        let key = self.keys.text(ticket.key, &mut self.scratch);
        wires.get(line, key, ticket, ticket.sent);
    }

    fn issue_multiget(&mut self, first: Request, intended: Nanos, now: Nanos, wires: &mut Wires<Ticket>) {
        self.batch.clear();
        self.batch.push(first);
        while self.batch.len() < self.multiget
            && let Some(request) = self.source.next_if(|request| request.op == Op::Get)
        {
            if self.batch.iter().all(|other| other.key != request.key) {
                self.note(&request);
                self.batch.push(request);
            }
        }
        // Without a router, each node gets the keys it owns.
        let mut batch = std::mem::take(&mut self.batch);
        if !self.map.router {
            batch.sort_by_key(|request| self.map.owners[request.key as usize]);
        }
        let mut rest = &batch[..];
        while let Some(request) = rest.first() {
            let line = self.line(request.key);
            let lines = self.lines_of(request.key);
            let together = rest
                .iter()
                .take_while(|other| self.lines_of(other.key) == lines)
                .count();
            let (part, others) = rest.split_at(together);
            rest = others;
            let mut keys = part.iter();
            wires.multiget(
                line,
                |out| {
                    let key = keys.next()?.key;
                    let last = keys.len() == 0 && rest.is_empty();
                    let ticket = self.get_ticket(key, intended, now, last);
                    out.extend_from_slice(self.keys.text(key, &mut self.scratch));
                    Some(ticket)
                },
                now,
            );
        }
        self.batch = batch;
    }

    fn send_store(
        &mut self,
        kind: Kind,
        request: Request,
        version: u32,
        intended: Nanos,
        now: Nanos,
        wires: &mut Wires<Ticket>,
    ) {
        if kind == Kind::Set {
            self.open += 1;
        }
        let ttl = self.draw_ttl(request.ttl);
        let key = u64::from(request.key);
        let home = self.home(request.key);
        let ticket = Ticket {
            kind,
            key: request.key,
            get: 0,
            intended,
            sent: now,
            version,
            fills: 0,
            ttl,
            home,
            last: true,
        };
        let line = self.line(request.key);
        let value_len = request.value_len as usize;
        let item = Item {
            key: self.keys.text(request.key, &mut self.scratch),
            flags: self.codec.flags(key, version, value_len),
            exptime: ttl,
            value_len,
        };
        wires.set(
            line,
            &item,
            |out| self.codec.write(out, key, version, now, value_len),
            ticket,
            now,
        );
    }

    fn send_delete(&mut self, key: u32, intended: Nanos, now: Nanos, wires: &mut Wires<Ticket>) {
        self.open += 1;
        let state = &mut self.states[key as usize];
        // The backing store has something newer from here on: whatever the cache holds is old.
        state.version += 1;
        let version = state.version;
        let home = self.home(key);
        let ticket = Ticket {
            kind: Kind::Delete,
            key,
            get: 0,
            intended,
            sent: now,
            version,
            fills: 0,
            ttl: 0,
            home,
            last: true,
        };
        let line = self.line(key);
        wires.delete(line, self.keys.text(key, &mut self.scratch), ticket, now);
    }

    /// Seconds to live of one store: the trace's own, or the scenario's with its jitter.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "floats saturate"
    )]
    fn draw_ttl(&mut self, given: Option<u32>) -> u32 {
        match (given, self.ttl) {
            (Some(seconds), _) => seconds,
            (None, None) => 0,
            (None, Some(ttl)) => {
                let factor = 1.0 + ttl.jitter * (2.0 * self.random.random::<f64>() - 1.0);
                ((ttl.base.as_secs_f64() * factor).round() as u32).max(1)
            }
        }
    }

    /// A key's requests share a line, so that they keep their order.
    fn line(&self, key: u32) -> usize {
        let lines = self.lines_of(key);
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a remainder below the number of lines"
        )]
        let place = (mix(u64::from(key)) % lines.len().max(1) as u64) as usize;
        lines.start + place
    }

    fn lines_of(&self, key: u32) -> &Range<usize> {
        let target = if self.map.router {
            0
        } else {
            usize::from(self.map.owners[key as usize])
        };
        &self.map.lines[target]
    }

    fn home(&self, key: u32) -> Home {
        let node = self.map.owners[key as usize];
        Home {
            node,
            generation: self
                .map
                .generations
                .get(usize::from(node))
                .copied()
                .unwrap_or_default(),
        }
    }

    // ---- hearing ----

    fn end_get(&mut self, now: Nanos, ticket: Ticket, end: GetEnd) {
        let timing = Timing {
            intended: ticket.intended,
            sent: ticket.sent,
            done: now,
        };
        self.recorder
            .get(ticket.get, end, self.affected[ticket.key as usize], timing);
    }

    /// A miss that counts: why, and what follows from it.
    fn missed(&mut self, now: Nanos, ticket: Ticket) {
        let state = &self.states[ticket.key as usize];
        let last = state.stored.then_some(LastStore {
            home: state.home,
            deleted: state.deleted,
            expires_at: state.expires_at,
        });
        #[expect(clippy::cast_possible_truncation, reason = "a run ends before 136 years")]
        let reason = classify(last, self.home(ticket.key), (now / SECOND) as u32);
        self.end_get(now, ticket, GetEnd::Miss(reason));
        match self.fill {
            Fill::None => self.open -= 1,
            Fill::Lookaside => {
                self.states[ticket.key as usize].filling = true;
                self.ask(now, ticket.key, true);
            }
        }
    }

    fn ask(&mut self, now: Nanos, key: u32, fill: bool) {
        self.recorder.backend_read();
        let KeyState { value_len, ttl, .. } = self.states[key as usize];
        self.backing.ask(
            now,
            BackingTicket(Asker {
                key,
                value_len,
                ttl,
                fill,
            }),
        );
    }

    /// What the backing store had to say by now.
    fn hear_backing(&mut self, now: Nanos, wires: &mut Wires<Ticket>) {
        while let Some((BackingTicket(asker), answer)) = self.backing.answered(now) {
            match answer {
                Answer::Found => self.recorder.count(|totals| totals.backend_done += 1),
                Answer::GaveUp | Answer::Refused => {
                    self.recorder.count(|totals| totals.backend_timeouts += 1);
                    self.recorder.error(answer == Answer::GaveUp);
                }
                Answer::Late => {}
            }
            match answer {
                Answer::Found | Answer::Late if asker.fill => {
                    if answer == Answer::Late {
                        // Its request was closed when the client gave up; this store is an extra.
                        self.open += 1;
                    }
                    self.recorder.count(|totals| totals.fills += 1);
                    let version = self.states[asker.key as usize].version;
                    let request = Request {
                        op: Op::Set,
                        key: asker.key,
                        value_len: asker.value_len,
                        ttl: asker.ttl,
                    };
                    self.send_store(Kind::Fill, request, version, now, now, wires);
                }
                Answer::Late => {}
                Answer::Found | Answer::GaveUp | Answer::Refused => {
                    self.open -= 1;
                    if asker.fill {
                        self.fill_ended(asker.key);
                    }
                }
            }
        }
    }

    /// Lets those go on who waited for this key.
    fn fill_ended(&mut self, key: u32) {
        let state = &mut self.states[key as usize];
        state.filling = false;
        state.fills = state.fills.wrapping_add(1);
        if let Some(waiting) = self.waiting.remove(&key) {
            self.again.extend(waiting);
        }
    }

    fn stored(&mut self, now: Nanos, ticket: Ticket) {
        let state = &mut self.states[ticket.key as usize];
        if ticket.version >= state.acked {
            state.acked = ticket.version;
            state.stored = true;
            state.deleted = false;
            state.home = ticket.home;
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "floats saturate"
            )]
            let expires_at =
                (now as f64 / 1e9 + f64::from(ticket.ttl) * EARLIEST_EXPIRY - 1.0).max(1.0) as u32;
            state.expires_at = if ticket.ttl == 0 { 0 } else { expires_at };
        }
    }

    fn resend(&mut self, now: Nanos, wires: &mut Wires<Ticket>) {
        while let Some(mut ticket) = self.again.pop() {
            let state = &self.states[ticket.key as usize];
            (ticket.fills, ticket.version, ticket.last) = (state.fills, state.acked, true);
            self.recorder.count(|totals| totals.coalesced += 1);
            let line = self.line(ticket.key);
            wires.get(line, self.keys.text(ticket.key, &mut self.scratch), ticket, now);
        }
    }
}

impl Core for Lookaside {
    type Ticket = Ticket;

    fn is_key(&mut self, ticket: &Ticket, key: &[u8]) -> bool {
        self.keys.text(ticket.key, &mut self.found) == key
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
            Ok(version) if version < ticket.version => self.recorder.stale(),
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
        self.end_get(at.now, ticket, GetEnd::Hit);
    }

    fn miss(&mut self, at: At, ticket: Ticket) {
        let state = &self.states[ticket.key as usize];
        if !self.is_open_loop() && self.fill == Fill::Lookaside {
            if state.filling {
                self.waiting.entry(ticket.key).or_default().push(ticket);
                return;
            }
            if state.fills != ticket.fills {
                self.again.push(ticket);
                return;
            }
        }
        self.missed(at.now, ticket);
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
                state.acked = state.acked.max(ticket.version);
                state.deleted = true;
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
                    Fill::Lookaside => self.ask(at.now, ticket.key, false),
                    Fill::None => self.open -= 1,
                }
            }
            Kind::Set | Kind::Delete => self.open -= 1,
            Kind::Fill => {
                self.open -= 1;
                self.fill_ended(ticket.key);
            }
        }
    }

    fn pump(&mut self, now: Nanos, wires: &mut Wires<Ticket>) {
        let queue = self.backing.queue(now);
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
        [arrival, self.backing.next_at()].into_iter().flatten().min()
    }

    fn wants_attention(&self) -> bool {
        self.at_mark() || self.idle()
    }
}
