//! Time running out: for connecting, for probes, and for requests. A request whose time is up before it was sent is taken
//! back: what nobody waits for any more, a server that is late already does not have to do.

use std::ops::Range;

use bytes::{Buf as _, BytesMut};
use protocol::{Limits, RequestDecoder, Step};
use tracing::debug;

use super::connection::{Link, REPLY_LEN_BYTES, Sink, Upstream};
use super::error::UpstreamError;
use super::inflight::Micros;
use crate::health::tko::{Change, Outcome};

/// Whether requests ran out of time: those that ran out together are one sign of a server's health, not many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expired {
    None,
    Some,
}

impl Upstream {
    fn next_late(&self) -> Option<Micros> {
        let queued = self.flight.oldest()?;
        Some(queued.after(self.destination.server_timeout))
    }

    /// When [`Upstream::on_time`] has something to do, if nothing else happens.
    pub(crate) fn deadline(&self) -> Option<Micros> {
        match &self.link {
            Link::Connecting(_, by) => Some(self.next_late().map_or(*by, |late| late.min(*by))),
            Link::Probing(_, by) | Link::Pausing(by) => Some(*by),
            Link::Open(_) => self.next_late(),
            Link::Idle => None,
        }
    }

    /// Time has passed.
    pub(crate) fn on_time(&mut self, now: Micros, sink: &mut impl Sink) {
        match &self.link {
            Link::Idle => {}
            Link::Connecting(_, by) => {
                if *by <= now {
                    debug!(server = %self.destination.name, "connect timed out");
                    self.connect_failed(now, sink);
                } else {
                    // The connect has its own timeout to be judged by.
                    self.expire(now, sink);
                }
            }
            Link::Probing(_, by) => {
                if *by <= now {
                    self.reset(Link::Idle);
                    self.counters.failures.add(1);
                    let _ = self.health.on(Outcome::ProbeFailed);
                    self.pause(now);
                    self.abandon(UpstreamError::Timeout, sink);
                }
            }
            Link::Pausing(by) => {
                if *by <= now {
                    if self.retired {
                        self.link = Link::Idle;
                    } else {
                        self.connect(now);
                    }
                }
            }
            Link::Open(_) => {
                if self.expire(now, sink) == Expired::Some {
                    self.counters.failures.add(1);
                    let change = self.health.on(Outcome::Timeout);
                    if matches!(change, Change::Down(_)) {
                        self.found_dead = true;
                        self.reset(Link::Idle);
                        self.changed(change, now);
                        self.abandon(UpstreamError::Timeout, sink);
                    }
                }
            }
        }
    }

    /// Gives up requests whose time is up, and takes back those of them that have not left.
    fn expire(&mut self, now: Micros, sink: &mut impl Sink) -> Expired {
        if self.next_late().is_none_or(|late| late > now) {
            return Expired::None;
        }
        let timeout = u64::try_from(self.destination.server_timeout.as_micros()).unwrap_or(u64::MAX);
        let before = Micros(now.0.saturating_sub(timeout));
        let unsent = unsent(&self.out, self.sent);
        // All that is in the queue and not in the buffer has left.
        let first_unsent = match &unsent {
            Some(unsent) if !unsent.is_empty() => self.flight.len().saturating_sub(unsent.len()),
            _ => usize::MAX,
        };
        while let Some((place, entry, note)) = self.flight.give_up(before) {
            let error = if place < first_unsent {
                self.counters.given_up.add(1);
                UpstreamError::Timeout
            } else {
                UpstreamError::Late
            };
            self.counters.errors.count(error);
            sink.failed(&self.destination, &entry, note, error);
        }
        let taken_back = self.flight.take_back(first_unsent);
        if let (Some(unsent), 1..) = (unsent, taken_back) {
            self.cut(unsent[0].start..unsent[taken_back - 1].end);
        }
        Expired::Some
    }

    /// Takes requests that have not left out of the send buffer.
    fn cut(&mut self, range: Range<usize>) {
        let rest = self.out.split_off(range.end);
        self.out.truncate(range.start);
        self.out.unsplit(rest);
        if self.sent == self.out.len() {
            self.out = BytesMut::new();
            self.sent = 0;
        }
    }

    /// Makes room: lets go of the requests at the front of the send buffer that have left as a whole.
    pub(super) fn drop_sent(&mut self) {
        let whole = requests(&self.out)
            .map_while(|request| request.ok().filter(|request| request.end <= self.sent))
            .last();
        if let Some(whole) = whole {
            self.out.advance(whole.end);
            self.sent -= whole.end;
        }
    }
}

/// Where in `out` the requests are of which not a byte is among the first `sent`; `None` if there is no telling.
fn unsent(out: &[u8], sent: usize) -> Option<Vec<Range<usize>>> {
    if sent == out.len() {
        return Some(Vec::new());
    }
    let all: Result<Vec<_>, _> = requests(out).collect();
    let mut all = all.ok()?;
    all.retain(|request| request.start >= sent);
    Some(all)
}

/// The requests in a send buffer, which begins with one. An error: these bytes are none of ours.
fn requests(out: &[u8]) -> impl Iterator<Item = Result<Range<usize>, ()>> {
    let mut decoder = RequestDecoder::new(Limits {
        value_len_bytes: REPLY_LEN_BYTES,
        line_len_bytes: out.len(),
        get_line_len_bytes: out.len(),
    });
    let mut at = 0;
    std::iter::from_fn(move || {
        if at == out.len() {
            return None;
        }
        match decoder.next(&out[at..]) {
            Step::Request { consumed, .. } => {
                let request = at..at + consumed;
                at += consumed;
                Some(Ok(request))
            }
            Step::NeedMore { .. }
            | Step::Skipped { .. }
            | Step::Oversized { .. }
            | Step::Reject { .. }
            | Step::Close { .. } => {
                at = out.len();
                Some(Err(()))
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::unsent;

    #[test]
    fn only_requests_of_which_nothing_was_sent_can_be_taken_back() {
        let out = b"get a b\r\nset k 0 0 5\r\nget x\r\nmg k v\r\ndelete k\r\n";
        let starts = |sent| {
            let found = unsent(out, sent).expect("requests");
            found.iter().map(|request| request.start).collect::<Vec<_>>()
        };
        assert_eq!(starts(0), [0, 9, 29, 37]);
        assert_eq!(starts(1), [9, 29, 37], "the first has begun to leave");
        assert_eq!(starts(9), [9, 29, 37]);
        assert_eq!(starts(26), [29, 37], "in the middle of a value");
        assert_eq!(starts(out.len()), [0; 0]);
        assert_eq!(unsent(b"a\r\n\r\n", 0), None, "nothing of ours");
    }
}
