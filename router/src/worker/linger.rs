//! When a busy worker waits between two turns, so that more is there when it looks again: requests of more clients
//! leave in one write to a server, all parts of a retrieval are back before it is answered, and a sleeping thread is
//! woken once instead of for each of them. What network cards do with interrupts.
//!
//! The price is time, so it is bounded: by `--linger`; by a quarter of what the servers take to answer; and a worker that
//! has time to spare, that finds plenty anyhow, or that has too few clients for any to come meanwhile, does not wait.

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
/// Clients that sent something in a window. Fewer, who all wait for their replies, send nothing while we wait.
const CLIENTS_MIN: u32 = 32;
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
    /// The number of this window, and how many clients sent something in it.
    window: u32,
    clients: u32,
    /// What the last window showed: that waiting pays.
    pays: bool,
}

impl Linger {
    pub(super) fn new(limit: Duration) -> Self {
        Self {
            limit_us: u64::try_from(limit.as_micros()).unwrap_or(u64::MAX),
            round_trip: 0,
            turns: 0,
            window_began: Micros(0),
            worked_us: 0,
            window: 1,
            clients: 0,
            pays: false,
        }
    }

    /// A server has answered.
    pub(super) fn answered(&mut self, round_trip_us: u64) {
        self.round_trip = self.round_trip - self.round_trip / SMOOTHING + round_trip_us;
    }

    /// A client sends something; `seen` is the window in which it did so last.
    pub(super) fn sent(&mut self, seen: &mut u32) {
        if *seen != self.window {
            *seen = self.window;
            self.clients += 1;
        }
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
        if !self.pays || sockets == 0 || sockets >= PLENTY {
            return None;
        }
        let wait_us = self.wait_us();
        (wait_us >= WORTH_WAITING_US).then(|| Duration::from_micros(wait_us))
    }

    fn wait_us(&self) -> u64 {
        (self.round_trip / SMOOTHING / PART_OF_ROUND_TRIP).min(self.limit_us)
    }

    fn judge(&mut self, began: Micros, ended: Micros) {
        self.worked_us += TIMED * ended.0.saturating_sub(began.0);
        let window_us = ended.0.saturating_sub(self.window_began.0);
        if window_us < WINDOW_US {
            return;
        }
        // Waiting makes a worker less busy: it goes on until there is little left to save.
        let enough_us = if self.pays { window_us / 3 } else { window_us / 2 };
        self.pays = self.worked_us > enough_us && self.clients >= CLIENTS_MIN;
        self.window_began = ended;
        self.window = self.window.wrapping_add(1);
        self.worked_us = 0;
        self.clients = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::{Linger, Micros, PLENTY};
    use std::time::Duration;

    const MANY: usize = 50;

    /// A worker whose turns take `work_us`, with `idle_us` between them, for so many clients, in front of servers that
    /// take `round_trip_us`.
    struct Bench {
        linger: Linger,
        now: Micros,
    }

    impl Bench {
        fn new(limit_us: u64) -> Self {
            Self {
                linger: Linger::new(Duration::from_micros(limit_us)),
                now: Micros(0),
            }
        }

        fn settled(mut self, (work_us, idle_us): (u64, u64), clients: usize, round_trip_us: u64) -> Self {
            let mut clients = vec![0; clients];
            for turn in 0..2_000 {
                let began = Micros(self.now.0 + idle_us);
                self.now = Micros(began.0 + work_us);
                let client = turn % clients.len();
                self.linger.sent(&mut clients[client]);
                self.linger.answered(round_trip_us);
                let ended = self.linger.looks_at_the_clock().then_some(self.now);
                self.linger.after_turn(2, began, ended);
            }
            self
        }

        fn next(&mut self, sockets: usize) -> Option<u64> {
            let wait = self.linger.after_turn(sockets, self.now, None)?;
            u64::try_from(wait.as_micros()).ok()
        }
    }

    #[test]
    fn a_busy_worker_waits_for_a_quarter_of_what_its_servers_take() {
        let wait = Bench::new(100).settled((30, 10), MANY, 200).next(1).unwrap();
        assert!((45..=50).contains(&wait), "{wait}");
    }

    #[test]
    fn never_longer_than_it_may() {
        assert_eq!(Bench::new(100).settled((30, 10), MANY, 20_000).next(1), Some(100));
        assert_eq!(Bench::new(0).settled((30, 10), MANY, 20_000).next(1), None);
    }

    #[test]
    fn not_when_it_has_time_to_spare() {
        assert_eq!(Bench::new(100).settled((10, 30), MANY, 400).next(1), None);
    }

    #[test]
    fn not_when_servers_answer_at_once() {
        assert_eq!(Bench::new(100).settled((30, 10), MANY, 60).next(1), None);
    }

    #[test]
    fn not_for_a_few_clients() {
        assert_eq!(Bench::new(100).settled((30, 10), 16, 400).next(1), None);
    }

    #[test]
    fn not_when_it_finds_plenty_or_nothing() {
        let mut bench = Bench::new(100).settled((30, 10), MANY, 400);
        assert_eq!(bench.next(PLENTY), None);
        assert_eq!(bench.next(0), None);
        assert_eq!(bench.next(PLENTY - 1), Some(100));
    }

    #[test]
    fn one_that_waits_goes_on_at_less_than_half_of_its_time() {
        let mut bench = Bench::new(100)
            .settled((30, 10), MANY, 400)
            .settled((20, 30), MANY, 400);
        assert!(bench.next(1).is_some());
        assert_eq!(bench.settled((10, 40), MANY, 400).next(1), None);
    }
}
