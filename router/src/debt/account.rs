//! What one replica is owed. Sans-io: told what was missed, what was paid and what reached the disk.
//!
//! A debt is a key to be deleted. Paying a debt twice, or out of order with newer writes, costs a miss and never a
//! stale value; so a key that is owed already is not owed twice, unless its payment is on the way: a write missed now
//! may be newer than that.

use std::collections::BTreeMap;
use std::sync::Arc;

use ahash::AHashMap;

/// Memory and disk that a debt takes beside its key, about.
const ENTRY_BYTES: u64 = 64;

/// Where a debt stands on its way to the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    /// In the batch of this number, or before.
    Queued(u64),
    /// Could not be written.
    Lost,
}

#[derive(Debug)]
struct Entry {
    key: Arc<[u8]>,
    since_unix: u64,
    kept: Kept,
}

/// A debt that has to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fresh {
    pub sequence: u64,
    pub key: Arc<[u8]>,
}

/// One replica's debts.
#[derive(Debug, Default)]
pub(crate) struct Account {
    owed: BTreeMap<u64, Entry>,
    /// Keys whose payment is not on the way.
    waiting: AHashMap<Arc<[u8]>, u64>,
    /// Up to here the payment is on the way.
    paying: Option<u64>,
    /// What was owed is not known any more: all it has must go.
    pub everything: bool,
    last_sequence: u64,
    bytes: u64,
}

/// What is to be paid next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Payment {
    Nothing,
    Everything,
    Keys(Vec<Arc<[u8]>>),
}

impl Account {
    /// What it was before the router was restarted.
    pub(crate) fn restore(&mut self, owed: Vec<(u64, u64, Box<[u8]>)>, last_sequence: u64, everything: bool) {
        self.everything = everything;
        self.last_sequence = last_sequence;
        for (sequence, since_unix, key) in owed {
            let key: Arc<[u8]> = key.into();
            if self.waiting.contains_key(&key) {
                continue;
            }
            self.bytes += key.len() as u64 + ENTRY_BYTES;
            self.waiting.insert(Arc::clone(&key), sequence);
            let entry = Entry {
                key,
                since_unix,
                kept: Kept::Queued(0),
            };
            self.owed.insert(sequence, entry);
        }
    }

    /// The replica missed something about `key`: the batch that keeps this debt, and the debt if it is to be written.
    /// `room` is how many bytes more may be owed; `None` if they do not suffice.
    pub(crate) fn owe(
        &mut self,
        key: &[u8],
        now_unix: u64,
        batch: u64,
        room: u64,
    ) -> Option<(u64, Option<Fresh>)> {
        if let Some(sequence) = self.waiting.get(key)
            && let Some(entry) = self.owed.get_mut(sequence)
        {
            return Some(match entry.kept {
                Kept::Queued(batch) => (batch, None),
                Kept::Lost => {
                    entry.kept = Kept::Queued(batch);
                    let fresh = Fresh {
                        sequence: *sequence,
                        key: Arc::clone(&entry.key),
                    };
                    (batch, Some(fresh))
                }
            });
        }
        let bytes = key.len() as u64 + ENTRY_BYTES;
        if bytes > room {
            return None;
        }
        self.bytes += bytes;
        self.last_sequence += 1;
        let key: Arc<[u8]> = key.into();
        self.waiting.insert(Arc::clone(&key), self.last_sequence);
        let entry = Entry {
            key: Arc::clone(&key),
            since_unix: now_unix,
            kept: Kept::Queued(batch),
        };
        self.owed.insert(self.last_sequence, entry);
        let fresh = Fresh {
            sequence: self.last_sequence,
            key,
        };
        Some((batch, Some(fresh)))
    }

    /// A debt could not be written.
    pub(crate) fn lost(&mut self, sequence: u64) {
        if let Some(entry) = self.owed.get_mut(&sequence) {
            entry.kept = Kept::Lost;
        }
    }

    /// Takes the oldest debts, at most `count`, to be paid; [`Account::paid`] or [`Account::unpaid`] has to follow.
    pub(crate) fn take(&mut self, count: usize) -> Payment {
        // Whoever took before is gone without a word.
        self.unpaid();
        if self.everything {
            self.paying = Some(self.last_sequence);
            self.waiting.clear();
            return Payment::Everything;
        }
        let mut keys = Vec::new();
        for (sequence, entry) in self.owed.iter().take(count) {
            keys.push(Arc::clone(&entry.key));
            if self.waiting.get(&entry.key) == Some(sequence) {
                self.waiting.remove(&entry.key);
            }
            self.paying = Some(*sequence);
        }
        if keys.is_empty() {
            Payment::Nothing
        } else {
            Payment::Keys(keys)
        }
    }

    /// What was taken has been paid: up to which sequence, and how many debts.
    pub(crate) fn paid(&mut self) -> (u64, u64) {
        let Some(upto) = self.paying.take() else {
            return (0, 0);
        };
        self.everything = false;
        let rest = self.owed.split_off(&(upto + 1));
        let paid = std::mem::replace(&mut self.owed, rest);
        for entry in paid.values() {
            self.bytes -= entry.key.len() as u64 + ENTRY_BYTES;
        }
        (upto, paid.len() as u64)
    }

    /// What was taken has not been paid, or nobody knows.
    pub(crate) fn unpaid(&mut self) {
        let Some(upto) = self.paying.take() else {
            return;
        };
        for (sequence, entry) in self.owed.range(..=upto) {
            self.waiting.entry(Arc::clone(&entry.key)).or_insert(*sequence);
        }
    }

    /// Forgets what is owed, because the operator says so: how many debts, and up to which sequence.
    pub(crate) fn forgive(&mut self) -> (u64, u64) {
        let forgiven = self.owed.len() as u64 + u64::from(self.everything);
        self.owed.clear();
        self.waiting.clear();
        self.paying = None;
        self.everything = false;
        self.bytes = 0;
        (self.last_sequence, forgiven)
    }

    pub(crate) fn is_clear(&self) -> bool {
        self.owed.is_empty() && !self.everything
    }

    /// Debts.
    pub(crate) fn depth(&self) -> u64 {
        self.owed.len() as u64
    }

    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// When the oldest debt was made.
    pub(crate) fn oldest_unix(&self) -> Option<u64> {
        self.owed.values().next().map(|entry| entry.since_unix)
    }
}

#[cfg(test)]
mod tests {
    use super::{Account, Payment};

    const ROOM: u64 = 1 << 20;

    fn owe(account: &mut Account, key: &str, batch: u64) -> (u64, bool) {
        let (batch, fresh) = account.owe(key.as_bytes(), 1, batch, ROOM).expect("room");
        (batch, fresh.is_some())
    }

    fn take(account: &mut Account, count: usize) -> String {
        match account.take(count) {
            Payment::Nothing => "-".to_owned(),
            Payment::Everything => "everything".to_owned(),
            Payment::Keys(keys) => keys
                .iter()
                .map(|key| String::from_utf8_lossy(key).into_owned())
                .collect::<Vec<_>>()
                .join(" "),
        }
    }

    #[test]
    fn a_key_owed_again_is_kept_by_the_batch_that_has_it() {
        let mut account = Account::default();
        assert_eq!(owe(&mut account, "a", 1), (1, true));
        assert_eq!(owe(&mut account, "b", 2), (2, true));
        assert_eq!(owe(&mut account, "a", 3), (1, false));
        assert_eq!(account.depth(), 2);
        assert_eq!(take(&mut account, 10), "a b");
    }

    #[test]
    fn a_write_missed_while_its_key_is_being_paid_is_owed_anew() {
        let mut account = Account::default();
        owe(&mut account, "a", 1);
        assert_eq!(take(&mut account, 1), "a");
        assert_eq!(owe(&mut account, "a", 2), (2, true));
        assert_eq!(account.paid(), (1, 1));
        assert!(!account.is_clear());
        assert_eq!(take(&mut account, 10), "a");
        account.paid();
        assert!(account.is_clear());
        assert_eq!(account.bytes(), 0);
    }

    #[test]
    fn a_payment_that_failed_is_made_again_from_the_oldest_on() {
        let mut account = Account::default();
        for key in ["a", "b", "c"] {
            owe(&mut account, key, 1);
        }
        assert_eq!(take(&mut account, 2), "a b");
        account.unpaid();
        assert_eq!(owe(&mut account, "a", 2), (1, false), "still owed once");
        assert_eq!(take(&mut account, 10), "a b c");
    }

    #[test]
    fn a_debt_that_could_not_be_written_is_written_when_it_is_made_again() {
        let mut account = Account::default();
        owe(&mut account, "a", 1);
        account.lost(1);
        assert_eq!(owe(&mut account, "a", 5), (5, true));
        assert_eq!(owe(&mut account, "a", 6), (5, false));
    }

    #[test]
    fn debts_are_bounded_and_a_key_owed_already_needs_no_room() {
        let mut account = Account::default();
        assert!(account.owe(b"a", 1, 1, 65).is_some());
        assert!(account.owe(b"b", 1, 1, 64).is_none());
        assert!(account.owe(b"a", 1, 1, 0).is_some());
    }

    #[test]
    fn everything_is_paid_at_once_and_what_was_missed_meanwhile_is_not() {
        let mut account = Account::default();
        account.restore(vec![(4, 1, b"a".as_slice().into())], 9, true);
        assert_eq!(take(&mut account, 1), "everything");
        owe(&mut account, "a", 1);
        assert_eq!(account.paid(), (9, 1));
        assert_eq!(take(&mut account, 1), "a");
    }
}
