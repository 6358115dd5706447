//! Why a get missed. First match decides: compulsory, invalidated, expired, node cold, remapped, evicted.

use super::outcome::MissCounts;

/// A place a key was stored at: a node and the memory it had then. A node that loses its memory gets a new generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Home {
    pub node: u16,
    pub generation: u16,
}

/// What is remembered of a key's last store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastStore {
    pub home: Home,
    /// Deleted by a client since.
    pub deleted: bool,
    /// Seconds since the start of the run from which on it may have expired; 0 is never.
    pub expires_at: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    Compulsory,
    Invalidated,
    Expired,
    NodeCold,
    Remapped,
    Evicted,
}

/// Why a get missed at `now` (seconds since the start), when the key's owner was `owner`.
#[must_use]
pub fn classify(last: Option<LastStore>, owner: Home, now: u32) -> Reason {
    match last {
        None => Reason::Compulsory,
        Some(last) if last.deleted => Reason::Invalidated,
        Some(last) if last.expires_at != 0 && now >= last.expires_at => Reason::Expired,
        Some(last) if last.home.node == owner.node && last.home != owner => Reason::NodeCold,
        Some(last) if last.home.node != owner.node => Reason::Remapped,
        Some(_) => Reason::Evicted,
    }
}

impl MissCounts {
    pub fn count(&mut self, reason: Reason) {
        *match reason {
            Reason::Compulsory => &mut self.compulsory,
            Reason::Invalidated => &mut self.invalidated,
            Reason::Expired => &mut self.expired,
            Reason::NodeCold => &mut self.node_cold,
            Reason::Remapped => &mut self.remapped,
            Reason::Evicted => &mut self.evicted,
        } += 1;
    }

    pub fn add(&mut self, other: &Self) {
        self.error += other.error;
        self.compulsory += other.compulsory;
        self.invalidated += other.invalidated;
        self.expired += other.expired;
        self.node_cold += other.node_cold;
        self.remapped += other.remapped;
        self.evicted += other.evicted;
    }
}

#[cfg(test)]
mod tests {
    use super::{Home, LastStore, Reason, classify};
    use crate::measure::outcome::MissCounts;

    const HERE: Home = Home {
        node: 1,
        generation: 4,
    };
    const FRESH: LastStore = LastStore {
        home: HERE,
        deleted: false,
        expires_at: 0,
    };

    #[test]
    fn the_first_reason_that_holds_is_given() {
        let elsewhere = Home {
            node: 2,
            generation: 0,
        };
        let lost = Home {
            generation: 3,
            ..HERE
        };
        for (last, expected) in [
            (None, Reason::Compulsory),
            (
                Some(LastStore {
                    deleted: true,
                    expires_at: 5,
                    home: lost,
                }),
                Reason::Invalidated,
            ),
            (
                Some(LastStore {
                    expires_at: 10,
                    home: lost,
                    ..FRESH
                }),
                Reason::Expired,
            ),
            (
                Some(LastStore {
                    expires_at: 11,
                    ..FRESH
                }),
                Reason::Evicted,
            ),
            (Some(LastStore { home: lost, ..FRESH }), Reason::NodeCold),
            (
                Some(LastStore {
                    home: elsewhere,
                    ..FRESH
                }),
                Reason::Remapped,
            ),
            (Some(FRESH), Reason::Evicted),
        ] {
            assert_eq!(classify(last, HERE, 10), expected, "{last:?}");
        }
    }

    #[test]
    fn every_miss_is_counted_under_one_reason() {
        let mut counts = MissCounts::default();
        let reasons = [
            Reason::Compulsory,
            Reason::Invalidated,
            Reason::Expired,
            Reason::NodeCold,
            Reason::Remapped,
            Reason::Evicted,
        ];
        for (times, reason) in (1..).zip(reasons) {
            for _ in 0..times {
                counts.count(reason);
            }
        }
        assert_eq!(counts.misses(), 21);
        assert_eq!(counts.values(), [0, 1, 2, 3, 4, 5, 6]);
    }
}
