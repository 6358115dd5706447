//! What follows from an answer: a miss asks the backing store, its answer fills the cache, a fill lets others go on.

use super::{Asker, BackingTicket, KeyState, Kind, Lookaside, Ticket};
use crate::drive::backing_store::Answer;
use crate::drive::shell::Wires;
use crate::drive::source::{Op, Request};
use crate::measure::miss_reason::{LastStore, classify};
use crate::measure::recorder::{GetEnd, Timing};
use crate::scenario::Fill;
use crate::workload::arrival::Nanos;

const SECOND: Nanos = 1_000_000_000;
/// A node may let an item expire this share of its TTL early (cache-node's `--ttl-jitter`).
const EARLIEST_EXPIRY: f64 = 0.9;
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
    pub(super) fn missed(&mut self, now: Nanos, ticket: Ticket) {
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

    pub(super) fn ask(&mut self, now: Nanos, key: u32, fill: bool) {
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
    pub(super) fn hear_backing(&mut self, now: Nanos, wires: &mut Wires<Ticket>) {
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

    pub(super) fn resend(&mut self, now: Nanos, wires: &mut Wires<Ticket>) {
        while let Some(mut ticket) = self.again.pop() {
            let state = &self.states[ticket.key as usize];
            (ticket.fills, ticket.version, ticket.last) = (state.fills, state.acked, true);
            self.recorder.count(|totals| totals.coalesced += 1);
            let line = self.line(ticket.key);
            wires.get(line, self.keys.text(ticket.key, &mut self.scratch), ticket, now);
        }
    }
}
