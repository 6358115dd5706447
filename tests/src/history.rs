//! What was written to each key and what may therefore be read: the oracle of the staleness checks.
//!
//! Each key has one writer at a time, so its writes have an order: versions. A value is *stale* if it was read by a get
//! that began after a later write (set or delete) had been acknowledged. A write whose connection broke may be carried
//! out at any time from then on; reading it is no staleness, but it is counted.

use std::sync::Mutex;

/// What a writer knows of one of its writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Pending,
    Acknowledged,
    /// Answered by an error.
    Refused,
    /// Never answered.
    Unknown,
}

#[derive(Debug, Default)]
struct Key {
    /// Per version, counted from 1.
    fates: Vec<Fate>,
    /// The last acknowledged version.
    floor: u64,
}

/// How a write ended for its writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Acknowledged,
    Refused,
    Unknown,
}

/// A reader's view at the moment its get begins.
#[derive(Clone, Copy, Debug)]
pub struct Since(u64);

/// What a value that was read is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Fresh,
    /// Of a write that nobody was told about.
    Unanswered,
    Stale(String),
}

/// All keys.
#[derive(Debug)]
pub struct History(Vec<Mutex<Key>>);

impl History {
    pub fn new(keys: usize) -> Self {
        Self((0..keys).map(|_| Mutex::default()).collect())
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A write begins: its version.
    pub fn begin(&self, key: usize) -> u64 {
        let mut key = self.0[key].lock().expect("no holder panics");
        key.fates.push(Fate::Pending);
        key.fates.len() as u64
    }

    /// A write has ended.
    pub fn end(&self, key: usize, version: u64, end: End) {
        let mut key = self.0[key].lock().expect("no holder panics");
        let fate = match end {
            End::Acknowledged => {
                key.floor = key.floor.max(version);
                Fate::Acknowledged
            }
            End::Refused => Fate::Refused,
            End::Unknown => Fate::Unknown,
        };
        key.fates[usize::try_from(version - 1).expect("small")] = fate;
    }

    /// A get begins.
    pub fn look(&self, key: usize) -> Since {
        Since(self.0[key].lock().expect("no holder panics").floor)
    }

    /// What the version read by a get that began at `since` is.
    pub fn judge(&self, key: usize, since: Since, version: u64) -> Verdict {
        if version >= since.0 {
            return Verdict::Fresh;
        }
        let key = self.0[key].lock().expect("no holder panics");
        let fate = usize::try_from(version)
            .ok()
            .and_then(|version| key.fates.get(version.checked_sub(1)?));
        match fate {
            Some(Fate::Unknown) => Verdict::Unanswered,
            fate => Verdict::Stale(format!(
                "version {version} ({fate:?}) after {} was acknowledged",
                since.0
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{End, History, Verdict};

    #[test]
    fn only_what_was_overwritten_before_the_get_began_is_stale() {
        let history = History::new(1);
        let before = history.look(0);
        let first = history.begin(0);
        history.end(0, first, End::Acknowledged);
        let second = history.begin(0);
        let meanwhile = history.look(0);
        assert_eq!(history.judge(0, meanwhile, first), Verdict::Fresh);
        history.end(0, second, End::Acknowledged);
        assert_eq!(history.judge(0, before, first), Verdict::Fresh);
        assert!(matches!(
            history.judge(0, history.look(0), first),
            Verdict::Stale(_)
        ));
        let third = history.begin(0);
        history.end(0, third, End::Unknown);
        let fourth = history.begin(0);
        history.end(0, fourth, End::Acknowledged);
        assert_eq!(history.judge(0, history.look(0), third), Verdict::Unanswered);
    }
}
