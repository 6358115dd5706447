//! Replies of a server: read, matched with what was asked, handed out.

use bytes::Buf;
use std::task::Context;
use tracing::info;

use super::connection::{Link, ReplyTo, Sink, State, Upstream};
use super::inflight::{Entry, Matched, Micros};
use crate::health::tko::{Change, Outcome};
use crate::reply::Kind;
use crate::request::Expect;
use crate::worker::socket::Read;

/// Room made for the rest of a reply: at least, and at most at a time.
const PARTIAL_MIN_BYTES: usize = 4096;
const PARTIAL_STEP_BYTES: usize = 16 * 1024 * 1024;

impl Upstream {
    /// Reads once and hands out the replies. False: nothing more for now.
    pub(super) fn read(&mut self, scratch: &mut [u8], now: Micros, sink: &mut impl Sink) -> bool {
        let (Link::Open(socket) | Link::Probing(socket, _)) = &mut self.link else {
            return false;
        };
        let mut cx = Context::from_waker(&self.waker);
        if self.partial.is_empty() {
            let (length, more) = match socket.read(&mut cx, scratch) {
                Ok(Read::Pending) => return false,
                Ok(Read::Full(length)) => (length, true),
                Ok(Read::Drained(length)) => (length, false),
                Ok(Read::Eof) | Err(_) => {
                    self.closed(now, sink);
                    return false;
                }
            };
            self.counters.bytes_read.add(length as u64);
            match self.replies(&scratch[..length], now, sink) {
                Ok((used, additional)) => {
                    if used < length {
                        self.partial
                            .reserve(length - used + additional.clamp(PARTIAL_MIN_BYTES, PARTIAL_STEP_BYTES));
                        self.partial.extend_from_slice(&scratch[used..length]);
                    }
                }
                Err(why) => {
                    self.violated(why, now, sink);
                    return false;
                }
            }
            return more;
        }
        let more = match socket.read_more(&mut cx, &mut self.partial) {
            Ok(Read::Pending) => return false,
            Ok(Read::Full(length)) => {
                self.counters.bytes_read.add(length as u64);
                true
            }
            Ok(Read::Drained(length)) => {
                self.counters.bytes_read.add(length as u64);
                false
            }
            Ok(Read::Eof) | Err(_) => {
                self.closed(now, sink);
                return false;
            }
        };
        let mut partial = std::mem::take(&mut self.partial);
        match self.replies(&partial, now, sink) {
            Ok((used, additional)) => {
                if used < partial.len() {
                    partial.advance(used);
                    partial.reserve(additional.clamp(PARTIAL_MIN_BYTES, PARTIAL_STEP_BYTES));
                    self.partial = partial;
                }
                more
            }
            Err(why) => {
                self.violated(why, now, sink);
                false
            }
        }
    }

    /// Hands out the replies in `input`: how many bytes they were, and how many are missing of the next.
    fn replies(
        &mut self,
        input: &[u8],
        now: Micros,
        sink: &mut impl Sink,
    ) -> Result<(usize, usize), &'static str> {
        let mut used = 0;
        while used < input.len() {
            match self.flight.next(&input[used..]) {
                Matched::Reply { entry, kind, body } => {
                    used += body.len();
                    self.answered(&entry, kind, now);
                    if entry.given_up {
                        self.counters.given_up.sub(1);
                    }
                    if !entry.given_up && !matches!(entry.to, ReplyTo::Probe) {
                        self.counters.replies.count(kind);
                        let micros = now.0.saturating_sub(entry.sent_at.0);
                        self.round_trip_us = Some(micros);
                        self.counters.latency.record(entry.op.family(), micros);
                        sink.reply(&self.destination, &entry, kind, body, self.flight.values(), now);
                    }
                    self.flight.reply_done();
                    if kind == Kind::UnknownCommand && matches!(entry.expect, Expect::Store | Expect::MetaSet)
                    {
                        // The server read the data block as commands: whose its next replies are nobody knows.
                        return Err("a storage command it does not know");
                    }
                }
                Matched::NeedMore { additional } => return Ok((used, additional)),
                Matched::Broken(why) => return Err(why),
            }
        }
        Ok((used, 0))
    }

    fn answered(&mut self, entry: &Entry<ReplyTo>, kind: Kind, now: Micros) {
        if !matches!(entry.to, ReplyTo::Probe) {
            if !entry.given_up {
                self.health.on(Outcome::Answered);
            }
            return;
        }
        let _ = now;
        if kind == Kind::Version && self.health.on(Outcome::ProbeAnswered) == Change::Up {
            info!(server = %self.destination.name, address = %self.destination.address, "server answers again");
        }
        if let Link::Probing(..) = &self.link
            && let Link::Probing(socket, _) = std::mem::replace(&mut self.link, Link::Idle)
        {
            self.link = Link::Open(socket);
            self.counters.state.set(State::Up as u64);
        }
    }
}
