//! A worker's composite requests: polled when they have something, and sent for.

use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::arena::Id;
use super::core::Core;
use crate::debt::claim::{Claim, Settled};
use crate::flow::Flow;
use crate::pool::GetErrors;
use crate::reply::{Kind, Reply};
use crate::upstream::ReplyTo;
use crate::upstream::error::UpstreamError;

/// Composite requests of one worker under way at a time; what would be carried out in the background beyond that is
/// left out and counted.
const FLOWS_MAX: usize = 65_536;

impl Core {
    /// Whether no composite request has anything to do now.
    pub(super) fn is_idle(&self) -> bool {
        self.front.woken.is_empty()
            && self.front.retries.is_empty()
            && self.front.wishes.woken.borrow().is_empty()
    }

    pub(super) fn run_flows(&mut self) {
        // In the order in which they were answered: what one client wrote first reaches each server first.
        while !self.is_idle() {
            for retry in std::mem::take(&mut self.front.retries) {
                self.retry(&retry);
            }
            for id in std::mem::take(&mut self.front.woken) {
                self.run_flow(id);
            }
            let woken = self.front.wishes.woken.take();
            for id in woken {
                self.run_flow(id);
            }
        }
        let (wishes, counters) = (&self.front.wishes, &self.front.counters);
        for (wished, counter) in [
            (&wishes.failovers, &counters.failovers),
            (&wishes.near_hits, &counters.near_hits),
            (&wishes.coalesced, &counters.coalesced),
        ] {
            match wished.take() {
                0 => {}
                more => counter.add(more),
            }
        }
    }

    pub(crate) fn run_flow(&mut self, id: Id<Flow>) {
        let Some(mut answer) = self.front.flows.get_mut(id).and_then(|flow| flow.answer.take()) else {
            return;
        };
        let polled = answer.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        match polled {
            Poll::Ready(reply) => {
                if let Some(flow) = self.front.flows.remove(id) {
                    self.front.concluded(&flow, &reply);
                }
                self.front.counters.flows.set(self.front.flows.len() as u64);
            }
            Poll::Pending => {
                if let Some(flow) = self.front.flows.get_mut(id) {
                    flow.answer = Some(answer);
                }
            }
        }
        self.send_legs();
        self.start_flows();
    }

    /// Starts the flows that a flow asked for.
    fn start_flows(&mut self) {
        let started = self.front.wishes.started.take();
        for started in started {
            if self.front.flows.len() >= FLOWS_MAX {
                self.front.counters.background_dropped.add(1);
                if let ReplyTo::Leg { id, leg } = started.to {
                    let (error, gets) = (UpstreamError::Busy, GetErrors::Error);
                    self.front.leg(id, leg, Reply::Failed { error, gets });
                }
                continue;
            }
            let request = &started.request;
            let what = (request.op, request.expect, request.note.clone());
            self.flow_with(what, started.to, false, |caller| {
                Rc::clone(&started.route).call(Rc::clone(request), caller)
            });
        }
    }

    /// Queues the legs that flows asked for.
    fn send_legs(&mut self) {
        for owing in self.front.wishes.owing.take() {
            let claim = Claim {
                inbox: Arc::clone(&self.inbox),
                flow: owing.flow,
                leg: owing.leg,
            };
            self.shared.debts.owe(&owing.replica, &owing.key, Some(claim));
        }
        let mut outgoing = self.front.wishes.outgoing.take();
        for leg in outgoing.drain(..) {
            let to = ReplyTo::Leg {
                id: leg.flow,
                leg: leg.leg,
            };
            let refused = match self.servers.get_mut(leg.to) {
                None => Some((UpstreamError::Removed, GetErrors::Miss)),
                Some(upstream) => match upstream.admits() {
                    Ok(()) => {
                        upstream.out().extend_from_slice(&leg.request.wire);
                        upstream.note().extend_from_slice(&leg.request.note);
                        upstream.commit(to, (leg.request.op, leg.request.expect), false, self.now);
                        None
                    }
                    Err(error) => {
                        upstream.counters.requests.add(1);
                        upstream.counters.errors.count(error);
                        Some((error, upstream.destination.get_errors))
                    }
                },
            };
            match refused {
                None => self.mark_server(leg.to),
                Some((error, gets)) => {
                    self.front.leg(leg.flow, leg.leg, Reply::Failed { error, gets });
                }
            }
        }
        *self.front.wishes.outgoing.borrow_mut() = outgoing;
    }

    /// Debts have been kept, or not: the requests that wait for that go on.
    pub(super) fn debts_kept(&mut self) {
        self.inbox_waker.taken();
        for (flow, leg, settled) in self.inbox.take() {
            let reply = match settled {
                Settled::Kept => Reply::said(Kind::Ok, protocol::encode::response::OK),
                Settled::InMemory | Settled::Refused => Reply::Failed {
                    error: UpstreamError::NotSpooled,
                    gets: GetErrors::Error,
                },
            };
            self.front.leg(flow, leg, reply);
        }
    }
}
