//! What follows from an answer: a miss asks the backing store, its answer fills the cache, a fill lets others go on.

use super::send::Store;
use super::ttl::earliest_expiry;
use super::{Asker, BackingTicket, KeyState, Kind, Lookaside, Ticket, Why};
use crate::drive::backing_store::Answer;
use crate::drive::shell::Wires;
use crate::drive::source::{Op, Request};
use crate::measure::miss_reason::{LastStore, Reason, classify};
use crate::measure::recorder::{GetEnd, Timing};
use crate::scenario::Fill;
use crate::workload::arrival::Nanos;

const SECOND: Nanos = 1_000_000_000;
/// Stale reads described in words; the rest is counted.
const STALE_TOLD: usize = 20;

impl Asker {
    /// The store that follows from its answer.
    fn request(&self) -> Request {
        Request {
            op: Op::Set,
            key: self.key,
            value_len: self.value_len,
            ttl: self.ttl,
        }
    }
}

impl Lookaside {
    pub(super) fn end_get(&mut self, now: Nanos, ticket: Ticket, end: GetEnd) {
        let timing = Timing {
            intended: ticket.intended,
            sent: ticket.sent,
            done: now,
        };
        self.recorder
            .get(ticket.get, end, self.affected[ticket.key as usize], timing);
    }

    /// A miss that counts: why, and what follows from it.
    pub(super) fn missed(&mut self, now: Nanos, ticket: Ticket, lease: Option<u64>) {
        let state = &self.states[ticket.key as usize];
        let last = state.stored.then_some(LastStore {
            home: state.home,
            deleted: state.deleted,
            expires_at: state.expires_at,
        });
        #[expect(clippy::cast_possible_truncation, reason = "a run ends before 136 years")]
        let mut reason = classify(last, self.home(ticket.key), (now / SECOND) as u32);
        // A node that cannot be reached is as good as empty; what it holds is not the reason.
        if self.map.is_unreachable(ticket.key) && matches!(reason, Reason::Evicted | Reason::Expired) {
            reason = Reason::NodeCold;
        }
        self.end_get(now, ticket, GetEnd::Miss(reason));
        match self.fill {
            Fill::None => self.open -= 1,
            Fill::Lookaside | Fill::Lease | Fill::WriteThrough | Fill::Versioned => {
                self.states[ticket.key as usize].filling = true;
                self.ask(now, ticket.key, Why::Fill { lease });
            }
        }
    }

    pub(super) fn ask(&mut self, now: Nanos, key: u32, why: Why) {
        let KeyState { value_len, ttl, .. } = self.states[key as usize];
        let asker = Asker {
            key,
            value_len,
            ttl: ttl.seconds(),
            why,
            tries: 0,
        };
        self.ask_for(now, asker);
    }

    fn ask_for(&mut self, now: Nanos, asker: Asker) {
        self.retrying.asked(asker.tries);
        for _ in 0..self.backing.scatter() {
            self.recorder.backend_read(now);
        }
        self.backing.ask(now, BackingTicket(asker));
    }

    /// What the backing store had to say by now.
    pub(super) fn hear_backing(&mut self, now: Nanos, wires: &mut Wires<Ticket>) {
        while let Some(asker) = self.retrying.due(now) {
            self.ask_for(now, asker);
        }
        while let Some((BackingTicket(asker), answer)) = self.backing.answered(now) {
            match answer {
                Answer::Found => self.recorder.count(|totals| totals.backend_done += 1),
                Answer::GaveUp | Answer::Refused | Answer::Failed => {
                    self.recorder.count(|totals| totals.backend_timeouts += 1);
                    if self.retrying.again(now, asker) {
                        continue;
                    }
                    self.recorder.error(answer == Answer::GaveUp);
                }
                Answer::Late => {}
            }
            match (answer, asker.why) {
                (Answer::Found, Why::Fill { lease }) => self.fill_with(asker, lease, now, wires),
                (Answer::Late, Why::Fill { lease }) => {
                    // Its request was closed when the client gave up; this store is an extra.
                    self.open += 1;
                    self.fill_with(asker, lease, now, wires);
                }
                (
                    Answer::Found,
                    Why::Write {
                        version,
                        settled,
                        intended,
                    },
                ) => {
                    let store = Store {
                        kind: Kind::Set,
                        version,
                        settled,
                        intended,
                        lease: None,
                    };
                    self.send_store(store, asker.request(), now, wires);
                }
                (Answer::Late, Why::Read | Why::Write { .. }) => {}
                (Answer::GaveUp | Answer::Refused | Answer::Failed, Why::Write { .. }) => {
                    self.open -= 1;
                    self.states[asker.key as usize].history.ended();
                }
                (Answer::Found | Answer::GaveUp | Answer::Refused | Answer::Failed, why) => {
                    self.open -= 1;
                    if matches!(why, Why::Fill { .. }) {
                        self.fill_ended(asker.key);
                    }
                }
            }
        }
    }

    fn fill_with(&mut self, asker: Asker, lease: Option<u64>, now: Nanos, wires: &mut Wires<Ticket>) {
        self.recorder.count(|totals| totals.fills += 1);
        let store = Store {
            kind: Kind::Fill,
            version: self.states[asker.key as usize].version,
            settled: 0,
            intended: now,
            lease,
        };
        self.send_store(store, asker.request(), now, wires);
    }

    /// A version that was impossible by then: counted, and the first of them told.
    pub(super) fn was_stale(&mut self, now: Nanos, ticket: Ticket, found: u32) {
        let state = &self.states[ticket.key as usize];
        let age_ms = state.history.stale_for_ms(now);
        self.recorder.stale(age_ms, state.deleted);
        if self.stale.len() < STALE_TOLD {
            let text = self
                .keys
                .text(ticket.key, &mut self.scratch)
                .escape_ascii()
                .to_string();
            self.stale.push(format!(
                "{:.3} s: key {text}: version {found}, impossible since {age_ms} ms ({} was acknowledged); owner {}, \
                 after event {}",
                now as f64 / 1e9,
                ticket.version,
                self.map.owners[ticket.key as usize] + 1,
                self.recorder.events(),
            ));
        }
    }

    /// Lets those go on who waited for this key.
    pub(super) fn fill_ended(&mut self, key: u32) {
        let state = &mut self.states[key as usize];
        state.filling = false;
        state.fills = state.fills.wrapping_add(1);
        if let Some(waiting) = self.waiting.remove(&key) {
            self.again.extend(waiting);
        }
    }

    pub(super) fn stored(&mut self, now: Nanos, ticket: Ticket) {
        let state = &mut self.states[ticket.key as usize];
        if ticket.version >= state.stored_version {
            state.stored_version = ticket.version;
            state.stored = true;
            state.deleted = false;
            state.home = ticket.home;
            state.expires_at = if ticket.ttl == 0 {
                0
            } else {
                earliest_expiry(now, ticket.ttl, self.early)
            };
        }
    }

    pub(super) fn resend(&mut self, now: Nanos, wires: &mut Wires<Ticket>) {
        while let Some((_, ticket)) = self.retries.pop_front_if(|(at, _)| *at <= now) {
            self.again.push(ticket);
        }
        while let Some(mut ticket) = self.again.pop() {
            let state = &self.states[ticket.key as usize];
            (ticket.fills, ticket.version, ticket.last) = (state.fills, state.readable(self.fill), true);
            self.recorder.count(|totals| totals.coalesced += 1);
            self.send_get(ticket, now, wires);
        }
    }
}
