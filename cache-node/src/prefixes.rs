//! `stats detail`: requests counted by the part of their key before the delimiter, while somebody wants that.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::BytesMut;
use parking_lot::Mutex;

/// More prefixes than this are a mistake in the delimiter; those that come later are not counted.
const PREFIXES_MAX: usize = 10_000;

/// The table, and whether it is kept.
#[derive(Debug)]
pub(crate) struct Prefixes {
    is_on: AtomicBool,
    delimiter: u8,
    table: Mutex<BTreeMap<Box<[u8]>, Counts>>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Counts {
    gets: u64,
    hits: u64,
    sets: u64,
    deletes: u64,
}

/// What a request does to one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    Get { hit: bool },
    Set,
    Delete,
}

impl Prefixes {
    pub(crate) fn new(is_on: bool, delimiter: u8) -> Self {
        Self {
            is_on: AtomicBool::new(is_on),
            delimiter,
            table: Mutex::default(),
        }
    }

    #[inline]
    pub(crate) fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Relaxed)
    }

    /// What was counted stays when counting stops.
    pub(crate) fn turn(&self, on: bool) {
        self.is_on.store(on, Ordering::Relaxed);
    }

    /// A key without the delimiter belongs to no prefix.
    pub(crate) fn count(&self, key: &[u8], what: Use) {
        if !self.is_on() {
            return;
        }
        let Some(end) = key.iter().position(|byte| *byte == self.delimiter) else {
            return;
        };
        let (prefix, mut table) = (&key[..end], self.table.lock());
        if !table.contains_key(prefix) {
            if table.len() >= PREFIXES_MAX {
                return;
            }
            table.insert(prefix.into(), Counts::default());
        }
        let Some(counts) = table.get_mut(prefix) else {
            return;
        };
        match what {
            Use::Get { hit } => {
                counts.gets += 1;
                counts.hits += u64::from(hit);
            }
            Use::Set => counts.sets += 1,
            Use::Delete => counts.deletes += 1,
        }
    }

    /// One `PREFIX` line each.
    pub(crate) fn dump(&self, out: &mut BytesMut) {
        for (prefix, counts) in &*self.table.lock() {
            out.extend_from_slice(b"PREFIX ");
            out.extend_from_slice(prefix);
            for (name, count) in [
                (" get ", counts.gets),
                (" hit ", counts.hits),
                (" set ", counts.sets),
                (" del ", counts.deletes),
            ] {
                out.extend_from_slice(name.as_bytes());
                protocol::encode::number(out, count);
            }
            out.extend_from_slice(b"\r\n");
        }
    }

    /// `stats reset`.
    pub(crate) fn reset(&self) {
        self.table.lock().clear();
    }
}

#[cfg(test)]
mod tests {
    use super::{PREFIXES_MAX, Prefixes, Use};
    use bytes::BytesMut;

    fn dump(prefixes: &Prefixes) -> String {
        let mut out = BytesMut::new();
        prefixes.dump(&mut out);
        String::from_utf8(out.to_vec()).unwrap()
    }

    #[test]
    fn keys_are_counted_by_what_stands_before_the_delimiter_while_counting_is_on() {
        let prefixes = Prefixes::new(false, b':');
        prefixes.count(b"foo:1", Use::Set);
        prefixes.turn(true);
        prefixes.count(b"foo:1", Use::Set);
        prefixes.count(b"foo:2:3", Use::Get { hit: true });
        prefixes.count(b"foo:", Use::Get { hit: false });
        prefixes.count(b"foo:4", Use::Delete);
        prefixes.count(b"plain", Use::Set);
        prefixes.turn(false);
        prefixes.count(b"foo:1", Use::Set);
        assert_eq!(dump(&prefixes), "PREFIX foo get 2 hit 1 set 1 del 1\r\n");
        prefixes.reset();
        assert_eq!(dump(&prefixes), "");
    }

    #[test]
    fn prefixes_are_bounded() {
        let prefixes = Prefixes::new(true, b'.');
        for number in 0..PREFIXES_MAX + 5 {
            prefixes.count(format!("{number}.").as_bytes(), Use::Set);
        }
        assert_eq!(dump(&prefixes).lines().count(), PREFIXES_MAX);
    }
}
