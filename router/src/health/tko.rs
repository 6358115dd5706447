//! TKO: a server that does not answer is not asked, until it answers a probe. Sans-io: no socket, clock or timer.
//!
//! ```text
//!            timeouts in a row (soft), or cannot connect (hard)
//!        Up ────────────────────────────────────────────────────▶ Tko ◀─┐ probe failed: a longer pause,
//!         ▲                                                        │  └──┘ up to PAUSE_MAX
//!         └────────────────── a probe was answered ────────────────┘
//! ```
//! A connection that closes while idle says nothing: servers restart and close idle connections. The next connect
//! tells. Pauses are short and jittered, so that a server is back within a second of answering and a hundred
//! routers do not knock at once.

use std::time::Duration;

/// The pause before the first probe.
pub(crate) const PAUSE_MIN: Duration = Duration::from_millis(20);
/// The longest pause between probes. With the jitter it stays well under the promised second.
pub(crate) const PAUSE_MAX: Duration = Duration::from_millis(400);

/// Connections in a row that close on their requests before one reply: more than a restart does.
const BREAKS_UNTIL_TKO: u32 = 2;

/// Why a server is not asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It did not answer in time, several times in a row.
    Soft,
    /// It cannot be connected to, or dies as soon as it is.
    Hard,
}

impl Kind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Soft => "soft",
            Self::Hard => "hard",
        }
    }
}

/// What happened to a request or a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// A reply came, whatever it said.
    Answered,
    /// A reply did not come in time.
    Timeout,
    /// The connection closed on requests that waited for their replies.
    Broken,
    /// No connection could be made.
    ConnectFailed,
    /// The probe was answered.
    ProbeAnswered,
    /// The probe was not answered, or the connection it went over broke.
    ProbeFailed,
}

/// What changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// Nothing.
    None,
    /// It is not asked any more.
    Down(Kind),
    /// It is asked again.
    Up,
}

/// The health of one server, as one worker sees it.
#[derive(Debug)]
pub(crate) struct Health {
    state: State,
    timeouts_until_tko: u32,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Up { timeouts: u32, breaks: u32 },
    Tko { kind: Kind, failed_probes: u32 },
}

impl State {
    const UP: Self = Self::Up {
        timeouts: 0,
        breaks: 0,
    };
}

impl Health {
    /// A server nobody has a complaint about yet.
    pub(crate) const fn new(timeouts_until_tko: u32) -> Self {
        Self {
            state: State::UP,
            timeouts_until_tko,
        }
    }

    /// Takes note of what happened.
    pub(crate) fn on(&mut self, outcome: Outcome) -> Change {
        match &mut self.state {
            State::Up { timeouts, breaks } => match outcome {
                Outcome::Answered | Outcome::ProbeAnswered => {
                    *timeouts = 0;
                    *breaks = 0;
                    Change::None
                }
                Outcome::Broken => {
                    *breaks += 1;
                    if *breaks < BREAKS_UNTIL_TKO {
                        return Change::None;
                    }
                    self.fall(Kind::Hard)
                }
                Outcome::Timeout => {
                    *timeouts += 1;
                    if *timeouts < self.timeouts_until_tko {
                        return Change::None;
                    }
                    self.fall(Kind::Soft)
                }
                Outcome::ConnectFailed | Outcome::ProbeFailed => self.fall(Kind::Hard),
            },
            // Replies and timeouts of what was sent before say nothing new: only a probe ends a TKO.
            State::Tko { failed_probes, .. } => match outcome {
                Outcome::ProbeAnswered => {
                    self.state = State::UP;
                    Change::Up
                }
                Outcome::ProbeFailed | Outcome::ConnectFailed => {
                    *failed_probes = failed_probes.saturating_add(1);
                    Change::None
                }
                Outcome::Answered | Outcome::Timeout | Outcome::Broken => Change::None,
            },
        }
    }

    /// Somebody else found that it does not answer.
    pub(crate) fn fail(&mut self) -> Change {
        match self.state {
            State::Up { .. } => self.fall(Kind::Soft),
            State::Tko { .. } => Change::None,
        }
    }

    fn fall(&mut self, kind: Kind) -> Change {
        self.state = State::Tko {
            kind,
            failed_probes: 0,
        };
        Change::Down(kind)
    }

    /// Forgets all complaints, because an operator says so.
    pub(crate) const fn forgive(&mut self) {
        self.state = State::UP;
    }

    /// Why it is not asked, if it is not.
    pub(crate) const fn tko(&self) -> Option<Kind> {
        match self.state {
            State::Up { .. } => None,
            State::Tko { kind, .. } => Some(kind),
        }
    }

    /// How long to wait before the next probe; `jitter` is uniform in 0..1. Zero while the server is up.
    pub(crate) fn pause(&self, jitter: f64) -> Duration {
        let State::Tko { failed_probes, .. } = self.state else {
            return Duration::ZERO;
        };
        pause_after(failed_probes, jitter)
    }
}

/// How long to wait after so many failures in a row; `jitter` is uniform in 0..1.
pub(crate) fn pause_after(failures: u32, jitter: f64) -> Duration {
    let doubled = PAUSE_MIN.saturating_mul(1 << failures.min(10));
    doubled
        .min(PAUSE_MAX)
        .mul_f64(0.75 + 0.5 * jitter.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::{Change, Health, Kind, Outcome, PAUSE_MAX, PAUSE_MIN};
    use std::time::Duration;

    /// Feeds outcomes (a answered, t timeout, b broke, c connect failed, p probe answered, f probe failed) and tells each
    /// change: `.` none, `S` soft TKO, `H` hard TKO, `U` up.
    fn run(story: &str) -> String {
        let mut health = Health::new(3);
        story
            .chars()
            .map(|event| {
                let outcome = match event {
                    'a' => Outcome::Answered,
                    't' => Outcome::Timeout,
                    'b' => Outcome::Broken,
                    'c' => Outcome::ConnectFailed,
                    'p' => Outcome::ProbeAnswered,
                    'f' => Outcome::ProbeFailed,
                    other => panic!("no outcome {other}"),
                };
                match health.on(outcome) {
                    Change::None => '.',
                    Change::Down(Kind::Soft) => 'S',
                    Change::Down(Kind::Hard) => 'H',
                    Change::Up => 'U',
                }
            })
            .collect()
    }

    #[test]
    fn stories() {
        for (story, changes, claim) in [
            ("aaa", "...", "a server that answers stays up"),
            ("ttt", "..S", "the third timeout in a row is a soft tko"),
            ("ttatt", ".....", "an answer forgives the timeouts before it"),
            ("c", "H", "one failed connect is a hard tko"),
            ("b", ".", "a server that restarts is connected to again at once"),
            ("bb", ".H", "one that keeps closing on its requests is not"),
            ("bab", "...", "unless it answers in between"),
            ("cccc", "H...", "it falls once"),
            ("ctat", "H...", "stragglers neither end nor extend a tko"),
            ("cffp", "H..U", "only a probe ends it"),
            ("tttpttt", "..SU..S", "and then everything is forgotten"),
        ] {
            assert_eq!(run(story), changes, "{claim}");
        }
    }

    #[test]
    fn pauses_grow_and_stay_under_half_a_second_more_or_less() {
        let mut health = Health::new(3);
        assert_eq!(health.pause(0.5), Duration::ZERO);
        health.on(Outcome::ConnectFailed);
        assert_eq!(health.pause(0.5), PAUSE_MIN);
        let mut last = health.pause(0.5);
        for _ in 0..100 {
            health.on(Outcome::ProbeFailed);
            assert!(health.pause(0.5) >= last);
            last = health.pause(0.5);
            assert!(health.pause(1.0) <= PAUSE_MAX.mul_f64(1.25));
        }
        assert_eq!(last, PAUSE_MAX);
    }
}
