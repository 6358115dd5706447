//! How long a replica may be read, by what the pool's servers say. Sans-io.
//!
//! A router that owes a replica something marks it on every server of the pool that it can reach, and then waits for
//! one *lease* before it acknowledges the first write that the replica missed. Every router reads a replica only for
//! one lease after it began to ask most of the pool's servers for marks and heard of none. If most were told and most
//! are asked, one of them was both: when the write is acknowledged, every router has stopped reading the replica.
//!
//! With most of a pool's servers gone, those that are left are told and asked. Then two routers that see different
//! servers may not hear of each other. That is the hole, and it is counted: [`Readable::witnessed`],
//! [`InForce::most`].

/// A server of the pool, as it answered last.
#[derive(Debug, Clone, Default)]
enum View {
    /// Not asked yet.
    #[default]
    Unknown,
    Answered {
        /// When the question was sent, in microseconds.
        asked_at: u64,
    },
    /// It could not be asked.
    Down,
}

#[derive(Debug, Clone, Default)]
struct Seen {
    view: View,
    /// Per replica, whether another router had marked it, as far as this server said last.
    marked: Vec<bool>,
    /// Per replica, since when our own mark has been on this server.
    own: Vec<Option<u64>>,
}

/// A pool's servers and what they say of each other.
#[derive(Debug)]
pub(crate) struct Watch {
    lease_micros: u64,
    seen: Vec<Seen>,
}

/// Until when a replica may be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Readable {
    /// In microseconds; 0 not at all.
    pub until: u64,
    /// Most of the pool's servers were asked.
    pub witnessed: bool,
    /// Another router has marked it.
    pub marked: bool,
}

impl Readable {
    const MARKED: Self = Self {
        until: 0,
        witnessed: true,
        marked: true,
    };
}

/// A mark that other routers heed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InForce {
    /// In microseconds.
    pub from: u64,
    /// Most of the pool's servers were told.
    pub most: bool,
}

impl Watch {
    pub(crate) fn new(servers: usize, lease_micros: u64) -> Self {
        let seen = Seen {
            view: View::Unknown,
            marked: vec![false; servers],
            own: vec![None; servers],
        };
        Self {
            lease_micros,
            seen: vec![seen; servers],
        }
    }

    /// Server `at` was asked at `asked_at`; by `now` it had answered which replicas others have marked, and on which
    /// our own mark is.
    pub(crate) fn answered(&mut self, at: usize, asked_at: u64, now: u64, marked: Vec<bool>, own: &[bool]) {
        let Some(seen) = self.seen.get_mut(at) else { return };
        seen.view = View::Answered { asked_at };
        seen.marked = marked;
        for (since, is) in seen.own.iter_mut().zip(own) {
            *since = is.then(|| since.unwrap_or(now));
        }
    }

    /// Server `at` could not be asked.
    pub(crate) fn down(&mut self, at: usize) {
        if let Some(seen) = self.seen.get_mut(at) {
            seen.view = View::Down;
            seen.own.fill(None);
        }
    }

    /// How many servers are most of them.
    fn most(&self) -> usize {
        self.seen.len() / 2 + 1
    }

    /// Until when `replica` may be read; `None` while too few have been asked at all to say.
    pub(crate) fn readable(&self, replica: usize) -> Option<Readable> {
        let mut asked = Vec::with_capacity(self.seen.len());
        let mut unknown = false;
        let mut marked_before = false;
        for seen in &self.seen {
            let marked = seen.marked.get(replica).copied().unwrap_or(false);
            match seen.view {
                View::Answered { .. } if marked => return Some(Readable::MARKED),
                View::Answered { asked_at } => asked.push(asked_at),
                View::Unknown => unknown = true,
                View::Down => marked_before |= marked,
            }
        }
        asked.sort_unstable_by(|left, right| right.cmp(left));
        let witnessed = asked.len() >= self.most();
        if !witnessed && unknown {
            return None;
        }
        if !witnessed && marked_before {
            return Some(Readable::MARKED);
        }
        // One that is slow to answer is waited for; one that is gone is not.
        let last_needed = self.most().min(asked.len()).checked_sub(1);
        let until = last_needed
            .and_then(|at| asked.get(at))
            .map_or(0, |asked_at| asked_at + self.lease_micros);
        Some(Readable {
            until,
            witnessed,
            marked: false,
        })
    }

    /// Since when every router that could know has stopped reading `replica`; `None` while a server that can be asked
    /// does not tell them yet. It may lie in the future.
    pub(crate) fn in_force(&self, replica: usize, now: u64) -> Option<InForce> {
        let mut told = 0;
        let mut since = None;
        for seen in &self.seen {
            match seen.view {
                View::Down => {}
                View::Unknown => return None,
                View::Answered { .. } => {
                    let marked = (*seen.own.get(replica)?)?;
                    told += 1;
                    since = since.max(Some(marked));
                }
            }
        }
        Some(InForce {
            from: since.unwrap_or(now) + self.lease_micros,
            most: told >= self.most(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{InForce, Readable, Watch};

    const LEASE: u64 = 300;

    /// A pool of three of which all have answered at `asked_at` that nothing is marked.
    fn quiet(asked_at: u64) -> Watch {
        let mut watch = Watch::new(3, LEASE);
        for at in 0..3 {
            look(&mut watch, at, asked_at);
        }
        watch
    }

    fn look(watch: &mut Watch, at: usize, asked_at: u64) {
        watch.answered(at, asked_at, asked_at, vec![false; 3], &[false; 3]);
    }

    fn known(watch: &Watch, replica: usize) -> Readable {
        watch.readable(replica).expect("enough have been asked")
    }

    #[test]
    fn a_replica_is_read_for_one_lease_after_most_servers_were_asked() {
        let mut watch = quiet(1000);
        assert_eq!(known(&watch, 2).until, 1300);
        look(&mut watch, 0, 1100);
        assert_eq!(known(&watch, 2).until, 1300, "one of three is not most");
        look(&mut watch, 1, 1200);
        assert_eq!(known(&watch, 2).until, 1400);
    }

    #[test]
    fn one_mark_anywhere_is_enough() {
        let mut watch = quiet(1000);
        watch.answered(0, 1050, 1050, vec![false, false, true], &[false; 3]);
        assert_eq!(known(&watch, 2), Readable::MARKED);
        assert!(known(&watch, 1).until > 0);
        watch.down(0);
        assert!(known(&watch, 2).until > 0, "most servers know of no mark");
        watch.down(1);
        assert_eq!(
            known(&watch, 2),
            Readable::MARKED,
            "but without them it stays marked"
        );
    }

    #[test]
    fn with_most_servers_gone_the_rest_is_read_and_that_is_said() {
        let mut watch = quiet(1000);
        watch.down(0);
        assert!(known(&watch, 2).witnessed);
        watch.down(1);
        look(&mut watch, 2, 5000);
        let readable = known(&watch, 2);
        assert_eq!((readable.until, readable.witnessed), (5000 + LEASE, false));
        watch.down(2);
        assert_eq!(known(&watch, 2).until, 0);
    }

    #[test]
    fn a_pool_of_one_has_nobody_to_disagree_with() {
        let mut alone = Watch::new(1, LEASE);
        alone.answered(0, 10, 10, vec![false], &[false]);
        let readable = known(&alone, 0);
        assert_eq!((readable.until, readable.witnessed), (10 + LEASE, true));
    }

    #[test]
    fn nothing_is_read_before_anybody_was_asked() {
        let mut watch = Watch::new(3, LEASE);
        assert_eq!(watch.readable(0), None);
        look(&mut watch, 0, 10);
        assert_eq!(watch.readable(0), None);
    }

    #[test]
    fn a_mark_is_in_force_one_lease_after_the_last_server_that_can_be_told_was_told() {
        let mut watch = quiet(1000);
        watch.answered(0, 1000, 1010, vec![false; 3], &[false, false, true]);
        assert_eq!(watch.in_force(2, 1010), None);
        watch.answered(1, 1000, 1020, vec![false; 3], &[false, false, true]);
        watch.down(2);
        let in_force = |from: u64, most| Some(InForce { from, most });
        assert_eq!(watch.in_force(2, 1030), in_force(1020 + LEASE, true));
        watch.answered(1, 1100, 1110, vec![false; 3], &[false, false, true]);
        assert_eq!(
            watch.in_force(2, 1110),
            in_force(1020 + LEASE, true),
            "counted from the first time"
        );
        watch.down(0);
        assert_eq!(watch.in_force(2, 1110), in_force(1020 + LEASE, false));
        watch.down(1);
        assert_eq!(
            watch.in_force(2, 2000),
            in_force(2000 + LEASE, false),
            "nobody to tell"
        );
    }
}
