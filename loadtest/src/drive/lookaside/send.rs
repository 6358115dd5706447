//! What the client sends: which line a request takes, what it says, and what its ticket remembers.

use std::ops::Range;

use super::ttl::{GivenTtl, draw};
use super::{KeyState, Kind, Lookaside, Ticket, Why};
use crate::drive::pipe::Item;
use crate::drive::shell::Wires;
use crate::drive::source::{Op, Request};
use crate::measure::miss_reason::Home;
use crate::scenario::Fill;
use crate::workload::arrival::Nanos;
use crate::workload::seed::mix;

/// What a store is and says, beside its request.
pub(super) struct Store {
    pub kind: Kind,
    pub version: u32,
    pub settled: u32,
    pub intended: Nanos,
    pub lease: Option<u64>,
}

/// Whether `rest` is what is put behind a key that carries this version.
pub(super) fn is_suffix(rest: &[u8], version: u32) -> bool {
    rest.strip_prefix(b":") == Some(itoa::Buffer::new().format(version).as_bytes())
}

impl Lookaside {
    pub(super) fn issue(&mut self, intended: Nanos, now: Nanos, wires: &mut Wires<Ticket>) -> bool {
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
                self.send_get(ticket, now, wires);
            }
            Op::Set => self.issue_set(request, intended, now, wires),
            Op::Delete => self.send_delete(request.key, intended, now, wires),
        }
        true
    }

    fn note(&mut self, request: &Request) {
        let lone = self.is_lone(request.key);
        let state = &mut self.states[request.key as usize];
        if lone {
            // The place is used again; under a new version it is another key.
            let version = state.version.wrapping_add(1);
            *state = KeyState {
                version,
                ..KeyState::default()
            };
        }
        (state.value_len, state.ttl) = (request.value_len, GivenTtl::new(request.ttl));
    }

    fn get_ticket(&mut self, key: u32, intended: Nanos, now: Nanos, last: bool) -> Ticket {
        let get = self.recorder.totals().gets;
        self.recorder.get_sent();
        self.open += 1;
        let lone = self.is_lone(key);
        let state = &mut self.states[key as usize];
        state.gets = state.gets.saturating_add(1);
        Ticket {
            kind: Kind::Get,
            key,
            get,
            intended,
            sent: now,
            version: if lone {
                state.version
            } else {
                state.readable(self.fill)
            },
            settled: 0,
            fills: state.fills,
            ttl: 0,
            home: Home::default(),
            last,
        }
    }

    pub(super) fn send_get(&mut self, ticket: Ticket, now: Nanos, wires: &mut Wires<Ticket>) {
        let line = self.line(ticket.key);
        self.name(ticket.key, ticket.version);
        match self.fill {
            Fill::Lease => wires.get_or_lease(line, &self.named, self.lease_seconds(), ticket, now),
            Fill::Lookaside | Fill::WriteThrough | Fill::Versioned | Fill::None => {
                wires.get(line, &self.named, ticket, now);
            }
        }
    }

    /// A lease outlives the backing store's answer, so that a slow one is not asked for twice.
    fn lease_seconds(&self) -> u32 {
        let seconds = self.patience.div_ceil(1_000_000_000) + 1;
        u32::try_from(seconds).unwrap_or(u32::MAX)
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
                    self.name(key, ticket.version);
                    out.extend_from_slice(&self.named);
                    Some(ticket)
                },
                now,
            );
        }
        self.batch = batch;
    }

    /// A client's write: to the cache, or first to the backing store where writes go through it.
    fn issue_set(&mut self, request: Request, intended: Nanos, now: Nanos, wires: &mut Wires<Ticket>) {
        self.open += 1;
        let (version, settled) = self.begin_write(request.key);
        if self.fill == Fill::WriteThrough {
            let why = Why::Write {
                version,
                settled,
                intended,
            };
            self.ask(now, request.key, why);
            return;
        }
        let store = Store {
            kind: Kind::Set,
            version,
            settled,
            intended,
            lease: None,
        };
        self.send_store(store, request, now, wires);
    }

    /// The backing store has a new version from here on: whatever the cache holds is old.
    fn begin_write(&mut self, key: u32) -> (u32, u32) {
        let state = &mut self.states[key as usize];
        let settled = state.history.begins(state.version);
        state.version += 1;
        (state.version, settled)
    }

    pub(super) fn send_store(
        &mut self,
        store: Store,
        request: Request,
        now: Nanos,
        wires: &mut Wires<Ticket>,
    ) {
        let ttl = draw(request.ttl, self.ttl.as_ref(), &mut self.random);
        let key = u64::from(request.key);
        let version = store.version;
        let ticket = Ticket {
            kind: store.kind,
            key: request.key,
            get: 0,
            intended: store.intended,
            sent: now,
            version,
            settled: store.settled,
            fills: 0,
            ttl,
            home: self.home(request.key),
            last: true,
        };
        let line = self.line(request.key);
        let value_len = request.value_len as usize;
        self.name(request.key, version);
        let item = Item {
            key: &self.named,
            flags: self.codec.flags(key, version, value_len),
            exptime: ttl,
            value_len,
            lease: store.lease,
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
        let before = self.states[key as usize].version;
        let (version, settled) = self.begin_write(key);
        let ticket = Ticket {
            kind: Kind::Delete,
            key,
            get: 0,
            intended,
            sent: now,
            version,
            settled,
            fills: 0,
            ttl: 0,
            home: self.home(key),
            last: true,
        };
        let line = self.line(key);
        self.name(key, before);
        wires.delete(line, &self.named, ticket, now);
    }

    /// Places after the key space are for keys that are asked for once.
    pub(super) fn is_lone(&self, key: u32) -> bool {
        key >= self.lone_from
    }

    /// Puts the text of a key together; with its version where keys carry it.
    fn name(&mut self, key: u32, version: u32) {
        self.named.clear();
        self.named
            .extend_from_slice(self.keys.text(key, &mut self.scratch));
        if self.fill == Fill::Versioned || self.is_lone(key) {
            self.named.push(b':');
            self.named
                .extend_from_slice(itoa::Buffer::new().format(version).as_bytes());
        }
    }

    /// A key's requests share a line, so that they keep their order.
    pub(super) fn line(&self, key: u32) -> usize {
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

    pub(super) fn home(&self, key: u32) -> Home {
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
}
