//! When a busy worker waits between two turns, so that more is there when it looks again: requests of more clients
//! leave in one write to a server, all parts of a retrieval are back before it is answered, and a sleeping thread is
//! woken once instead of for each of them. What network cards do with interrupts.
//!
//! The price is time, so it is bounded three ways: by `--linger`; by a quarter of what the servers take to answer; and
//! a worker that has time to spare, or that finds plenty anyhow, does not wait at all.

use std::time::Duration;

use crate::upstream::inflight::Micros;

/// Over so long a time it is judged whether the worker is busy.
const WINDOW_US: u64 = 10_000;
/// Turns of which one is timed, and stands for all.
const TIMED: u64 = 8;
/// A wait adds at most this part of a server's answering time.
const PART_OF_ROUND_TRIP: u64 = 4;
/// Below this a wait costs as much as it saves.
const WORTH_WAITING_US: u64 = 20;
/// Sockets in one turn that make waiting for more idle.
const PLENTY: usize = 24;
/// The newest answer counts for one in so many.
const SMOOTHING: u64 = 16;

/// What one worker knows about its pace.
#[derive(Debug)]
pub(super) struct Linger {
    /// The longest wait.
    limit_us: u64,
    /// How long servers take to answer, smoothed; in [`SMOOTHING`] parts of a microsecond.
    round_trip: u64,
    turns: u64,
    window_began: Micros,
    /// Time spent in turns of this window, as those that were timed have it.
    worked_us: u64,
    busy: bool,
}

impl Linger {
    pub(super) fn new(limit: Duration) -> Self {
        Self {
            limit_us: u64::try_from(limit.as_micros()).unwrap_or(u64::MAX),
            round_trip: 0,
            turns: 0,
            window_began: Micros(0),
            worked_us: 0,
            busy: false,
        }
    }

    /// A server has answered.
    pub(super) fn answered(&mut self, round_trip_us: u64) {
        self.round_trip = self.round_trip - self.round_trip / SMOOTHING + round_trip_us;
    }

    /// Whether this turn's end is to be told.
    pub(super) fn looks_at_the_clock(&mut self) -> bool {
        self.turns += 1;
        self.turns.is_multiple_of(TIMED)
    }

    /// At the end of a turn that dealt with so many sockets: how long to wait before the next, if at all. `ended`: if
    /// [`Self::looks_at_the_clock`].
    pub(super) fn after_turn(
        &mut self,
        sockets: usize,
        began: Micros,
        ended: Option<Micros>,
    ) -> Option<Duration> {
        if let Some(ended) = ended {
            self.judge(began, ended);
        }
        if !self.busy || sockets == 0 || sockets >= PLENTY {
            return None;
        }
        let wait_us = (self.round_trip / SMOOTHING / PART_OF_ROUND_TRIP).min(self.limit_us);
        (wait_us >= WORTH_WAITING_US).then(|| Duration::from_micros(wait_us))
    }

    fn judge(&mut self, began: Micros, ended: Micros) {
        self.worked_us += TIMED * ended.0.saturating_sub(began.0);
        let window_us = ended.0.saturating_sub(self.window_began.0);
        if window_us < WINDOW_US {
            return;
        }
        // Waiting makes a worker less busy: it goes on until there is little left to save.
        let enough = if self.busy { window_us / 3 } else { window_us / 2 };
        self.busy = self.worked_us > enough;
        self.window_began = ended;
        self.worked_us = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::{Linger, Micros, PLENTY};
    use std::time::Duration;

    /// A worker whose turns take `work_us`, with `idle_us` between them, in front of servers that take `round_trip_us`.
    fn settled(work_us: u64, idle_us: u64, round_trip_us: u64, limit_us: u64) -> (Linger, Micros) {
        let mut linger = Linger::new(Duration::from_micros(limit_us));
        let mut now = Micros(0);
        for _ in 0..1_000 {
            let began = Micros(now.0 + idle_us);
            now = Micros(began.0 + work_us);
            linger.answered(round_trip_us);
            let ended = linger.looks_at_the_clock().then_some(now);
            linger.after_turn(1, began, ended);
        }
        (linger, now)
    }

    fn next(linger: &mut Linger, sockets: usize, now: Micros) -> Option<u64> {
        let wait = linger.after_turn(sockets, now, None)?;
        u64::try_from(wait.as_micros()).ok()
    }

    #[test]
    fn a_busy_worker_waits_for_a_quarter_of_what_its_servers_take() {
        let (mut linger, now) = settled(30, 10, 200, 100);
        let wait = next(&mut linger, 1, now).unwrap();
        assert!((45..=50).contains(&wait), "{wait}");
    }

    #[test]
    fn never_longer_than_it_may() {
        let (mut linger, now) = settled(30, 10, 20_000, 100);
        assert_eq!(next(&mut linger, 1, now), Some(100));
        let (mut linger, now) = settled(30, 10, 20_000, 0);
        assert_eq!(next(&mut linger, 1, now), None);
    }

    #[test]
    fn not_when_it_has_time_to_spare() {
        let (mut linger, now) = settled(10, 30, 400, 100);
        assert_eq!(next(&mut linger, 1, now), None);
    }

    #[test]
    fn not_when_servers_answer_at_once() {
        let (mut linger, now) = settled(30, 10, 60, 100);
        assert_eq!(next(&mut linger, 1, now), None);
    }

    #[test]
    fn not_when_it_finds_plenty_or_nothing() {
        let (mut linger, now) = settled(30, 10, 400, 100);
        assert_eq!(next(&mut linger, PLENTY, now), None);
        assert_eq!(next(&mut linger, 0, now), None);
        assert_eq!(next(&mut linger, PLENTY - 1, now), Some(100));
    }

    #[test]
    fn one_that_waits_goes_on_at_less_than_half_of_its_time() {
        let (mut linger, mut now) = settled(30, 10, 400, 100);
        for _ in 0..1_000 {
            let began = Micros(now.0 + 30);
            now = Micros(began.0 + 20);
            let ended = linger.looks_at_the_clock().then_some(now);
            linger.after_turn(1, began, ended);
        }
        assert!(next(&mut linger, 1, now).is_some());
        for _ in 0..1_000 {
            let began = Micros(now.0 + 40);
            now = Micros(began.0 + 10);
            let ended = linger.looks_at_the_clock().then_some(now);
            linger.after_turn(1, began, ended);
        }
        assert_eq!(next(&mut linger, 1, now), None);
    }
}
