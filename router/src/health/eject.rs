//! Ejection: a server that keeps failing leaves its pool's ring, and its keys are the others' until it is back. Off unless
//! a pool asks for it. Sans-io: it is told what is seen of the servers, and the time.
//!
//! ```text
//!            so many failures in a row, and TKO
//!   in the ring ──────────────────────────────────▶ out of it
//!        ▲                                             │
//!        └──── its rest is over, and a probe was answered
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// When a pool ejects its servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ejecting {
    /// Failures in a row: timeouts (those that come together are one), broken connections, failed connects and probes.
    pub failure_limit: u64,
    /// How long it stays away at least.
    pub rest: Duration,
}

/// What is seen of a server, over all workers since the start.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Seen {
    pub replies: u64,
    pub failures: u64,
    /// Given up by a worker until it answers a probe.
    pub is_tko: bool,
}

#[derive(Debug, Default)]
struct Watched {
    /// Replies and failures when the last reply came.
    replies: u64,
    failures_before: u64,
    out_since: Option<Instant>,
}

/// Servers that are out of the rings of their pools: by pool, then by name.
pub(crate) type Ejected = BTreeMap<String, BTreeSet<String>>;

/// Watches servers of pools that eject.
#[derive(Debug, Default)]
pub(crate) struct Ejector {
    watched: BTreeMap<String, BTreeMap<String, Watched>>,
}

impl Ejector {
    /// Takes note of how a pool's servers are now.
    pub(crate) fn look(&mut self, pool: &str, terms: Ejecting, servers: &[(&str, Seen)], now: Instant) {
        let watched = self.watched.entry(pool.to_owned()).or_default();
        watched.retain(|name, _| servers.iter().any(|(known, _)| known == name));
        for (name, seen) in servers {
            let known = watched.entry((*name).to_owned()).or_insert_with(|| Watched {
                replies: seen.replies,
                ..Watched::default()
            });
            if known.replies != seen.replies {
                known.replies = seen.replies;
                known.failures_before = seen.failures;
            }
        }
        for (name, seen) in servers {
            let in_ring = watched.values().filter(|known| known.out_since.is_none()).count();
            let Some(known) = watched.get_mut(*name) else {
                continue;
            };
            match known.out_since {
                None => {
                    let failures = seen.failures.saturating_sub(known.failures_before);
                    // A ring of nobody would serve nobody: the last one stays.
                    if seen.is_tko && failures >= terms.failure_limit && in_ring > 1 {
                        known.out_since = Some(now);
                    }
                }
                Some(since) => {
                    if !seen.is_tko && now.saturating_duration_since(since) >= terms.rest {
                        known.out_since = None;
                        known.failures_before = seen.failures;
                    }
                }
            }
        }
    }

    /// Forgets pools that are gone, or eject no more.
    pub(crate) fn keep(&mut self, pools: &BTreeSet<&str>) {
        self.watched.retain(|pool, _| pools.contains(pool.as_str()));
    }

    /// Who is out.
    pub(crate) fn ejected(&self) -> Ejected {
        self.watched
            .iter()
            .map(|(pool, servers)| {
                let out = servers.iter().filter(|(_, known)| known.out_since.is_some());
                (pool.clone(), out.map(|(name, _)| name.clone()).collect())
            })
            .filter(|(_, out): &(String, BTreeSet<String>)| !out.is_empty())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Ejecting, Ejector, Seen};
    use crate::clock;

    const TERMS: Ejecting = Ejecting {
        failure_limit: 2,
        rest: Duration::from_secs(30),
    };

    fn seen(replies: u64, failures: u64, is_tko: bool) -> Seen {
        Seen {
            replies,
            failures,
            is_tko,
        }
    }

    /// The servers that are out after each of `steps`: second, then how `a` and `b` are seen.
    fn check(steps: &[(u64, Seen, Seen)]) -> Vec<String> {
        let start = clock::now();
        let mut ejector = Ejector::default();
        let after = steps.iter().map(|(second, a, b)| {
            let now = start + Duration::from_secs(*second);
            ejector.look("pool", TERMS, &[("a", *a), ("b", *b)], now);
            let out = ejector.ejected().remove("pool").unwrap_or_default();
            out.into_iter().collect::<Vec<_>>().join(" ")
        });
        after.collect()
    }

    #[test]
    fn failures_in_a_row_eject_and_a_probe_after_the_rest_brings_back() {
        let well = seen(9, 0, false);
        let after = check(&[
            (0, seen(5, 0, false), well),
            (1, seen(5, 1, true), well),
            (2, seen(5, 2, true), well),
            (31, seen(5, 9, false), well),
            (32, seen(5, 9, false), well),
            (33, seen(5, 9, false), well),
        ]);
        assert_eq!(after, ["", "", "a", "a", "", ""]);
    }

    #[test]
    fn a_reply_between_failures_starts_the_count_anew() {
        let well = seen(9, 0, false);
        let after = check(&[
            (0, seen(5, 1, false), well),
            (1, seen(6, 1, false), well),
            (2, seen(6, 2, true), well),
            (3, seen(6, 3, true), well),
        ]);
        assert_eq!(after, ["", "", "", "a"]);
    }

    #[test]
    fn who_does_not_answer_yet_stays_away_and_the_last_one_is_never_ejected() {
        let dead = |failures| seen(5, failures, true);
        let after = check(&[
            (0, dead(0), dead(0)),
            (1, dead(2), dead(2)),
            (60, dead(90), dead(90)),
        ]);
        assert_eq!(after, ["", "a", "a"]);
    }
}
