//! The steps of a run that change an item: each is done to the store and to the map, and both must say the same.

use rand::RngExt;

use super::{Expected, Run, expected_of};
use crate::store::{Body, CasPatch, Change, End, NewItem, Patch, Read};

impl Run {
    pub(super) fn set(&mut self, key: u32) {
        let (bytes, value, expires) = (self.key(key), self.value(), self.expires());
        let flags = if self.rng.random_ratio(1, 2) {
            0
        } else {
            self.rng.random()
        };
        let lookup = self.store.lookup(&bytes);
        let mut before = None;
        let result = self.store.update(lookup, self.now, Read::Plain, &value, |item| {
            before = item.map(expected_of);
            (
                Change::Put(NewItem {
                    flags,
                    expires,
                    ..NewItem::new(&value)
                }),
                (),
            )
        });
        if result.is_err() && before.is_none() {
            return; // refused before anybody looked
        }
        self.compare(key, before);
        let new = Expected {
            value,
            flags,
            expires,
            stale: false,
            win_sent: false,
            cas: None,
            cas_floor: 0,
        };
        self.stored(key, result.map(|updated| updated.cas), Some(new));
    }

    /// A compare and swap with the cas unique told before, which must succeed, or with another.
    pub(super) fn cas(&mut self, key: u32) {
        let (bytes, value, right) = (self.key(key), self.value(), self.rng.random_ratio(3, 4));
        let told = self.map.get(&key).and_then(|expected| expected.cas);
        let unique = told.map_or(12345, |told| told + u64::from(!right));
        let lookup = self.store.lookup(&bytes);
        let mut before = None;
        let result = self
            .store
            .update(lookup, self.now, Read::WithCas, &value, |item| {
                before = item.map(expected_of);
                match item {
                    Some(item) if item.cas() == unique => (Change::Put(NewItem::new(&value)), true),
                    _ => (Change::Keep, false),
                }
            });
        let existed = before.is_some();
        if result.is_err() && !existed {
            return; // refused before anybody looked
        }
        self.compare(key, before);
        let Ok(updated) = result else { return };
        if existed && told.is_some() {
            assert_eq!(updated.result, right, "seed {}: cas on key {key}", self.seed);
        }
        if updated.result {
            if let Some(told) = told {
                assert!(
                    updated.cas > told,
                    "seed {}: key {key}: a new cas unique is larger",
                    self.seed
                );
            }
            let new = Expected {
                value,
                flags: 0,
                expires: None,
                stale: false,
                win_sent: false,
                cas: None,
                cas_floor: 0,
            };
            self.stored(key, Ok(updated.cas), Some(new));
        }
        self.told(key, Some(updated.cas));
    }

    pub(super) fn append(&mut self, key: u32) {
        let bytes = self.key(key);
        let more = vec![b'+'; self.rng.random_range(0..100)];
        let front = self.rng.random_ratio(1, 2);
        let lookup = self.store.lookup(&bytes);
        let mut before = None;
        let end = if front { End::Front } else { End::Back };
        let result = self
            .store
            .extend(lookup, self.now, Read::Plain, &more, end, |item| {
                before = item.map(expected_of);
                match item {
                    Some(item) => {
                        let body = if front {
                            Body::Prepend(&more)
                        } else {
                            Body::Append(&more)
                        };
                        let kept = NewItem {
                            flags: item.flags,
                            expires: item.expires,
                            ..NewItem::new(b"")
                        };
                        (Change::Put(NewItem { body, ..kept }), ())
                    }
                    None => (Change::Keep, ()),
                }
            });
        let new = before.clone().map(|mut new| {
            let at = if front { 0 } else { new.value.len() };
            new.value.splice(at..at, more.iter().copied());
            Expected {
                stale: false,
                win_sent: false,
                ..new
            }
        });
        self.compare(key, before);
        self.stored(key, result.map(|updated| updated.cas), new);
    }

    pub(super) fn delete(&mut self, key: u32) {
        let bytes = self.key(key);
        let lookup = self.store.lookup(&bytes);
        let mut before = None;
        let result = self.store.update(lookup, self.now, Read::Plain, b"", |item| {
            before = item.map(expected_of);
            (Change::Delete, ())
        });
        assert_eq!(result.map(|updated| updated.cas), Ok(0));
        self.compare(key, before);
        self.map.remove(&key);
    }

    pub(super) fn touch(&mut self, key: u32) {
        let (bytes, expires) = (self.key(key), self.expires());
        self.patch(
            key,
            &bytes,
            Patch {
                expires: Some(expires),
                fetched: Some(true),
                ..Patch::default()
            },
        );
    }

    pub(super) fn mark(&mut self, key: u32) {
        let bytes = self.key(key);
        let cas = match self.rng.random_range(0..3) {
            0 => CasPatch::Keep,
            1 => CasPatch::New,
            _ => CasPatch::Set(self.map.get(&key).map_or(7, |expected| expected.cas_floor + 1000)),
        };
        let patch = Patch {
            stale: Some(self.rng.random()),
            win_sent: self.rng.random_ratio(1, 2).then(|| self.rng.random()),
            cas,
            ..Patch::default()
        };
        self.patch(key, &bytes, patch);
    }

    fn patch(&mut self, key: u32, bytes: &[u8], patch: Patch) {
        let lookup = self.store.lookup(bytes);
        let mut before = None;
        let result = self.store.update(lookup, self.now, Read::Plain, b"", |item| {
            before = item.map(expected_of);
            (Change::Patch(patch), ())
        });
        let cas_before = before.as_ref().and_then(|before| before.cas);
        self.compare(key, before);
        let Ok(updated) = result else { return };
        let Some(expected) = self.map.get_mut(&key) else {
            return;
        };
        expected.expires = patch.expires.unwrap_or(expected.expires);
        expected.stale = patch.stale.unwrap_or(expected.stale);
        expected.win_sent = patch.win_sent.unwrap_or(expected.win_sent);
        match patch.cas {
            CasPatch::Keep => {}
            CasPatch::New => {
                assert!(Some(updated.cas) > cas_before, "seed {}: key {key}", self.seed);
                expected.cas = None;
            }
            CasPatch::Set(cas) => {
                assert_eq!(updated.cas, cas);
                (expected.cas, expected.cas_floor) = (Some(cas), cas);
            }
        }
    }
}
