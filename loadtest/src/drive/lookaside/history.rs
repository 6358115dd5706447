//! Which versions of a key a get may still return.
//!
//! A version is impossible once another write that began after it had ended has itself ended before the get began (the
//! rule of CacheLib's ValueHistory). Writes that overlap may take effect in either order, so neither rules the other
//! out. Kept in a few bytes per key: versions are numbered in the order they begin.

use crate::workload::arrival::Nanos;

/// One key's writes. Packed: there are millions of them, each beside other small fields.
#[derive(Debug, Clone, Copy, Default)]
#[repr(Rust, packed(2))]
pub(super) struct History {
    /// The oldest version a get that begins now may return.
    floor: u32,
    /// Every version up to this one has ended.
    settled: u32,
    /// Writes that have begun and not ended.
    open: u16,
    /// When `floor` was last raised: milliseconds since the start of the run.
    raised_ms: u32,
}

impl History {
    /// A write begins; `newest` is the newest version before it. Returns what [`History::acked`] wants to hear.
    pub(super) fn begins(&mut self, newest: u32) -> u32 {
        if self.open == 0 {
            self.settled = newest;
        }
        self.open = self.open.saturating_add(1);
        self.settled
    }

    /// It ended, and was done.
    pub(super) fn acked(&mut self, settled_at_begin: u32, now: Nanos) {
        self.ended();
        if settled_at_begin + 1 > self.floor {
            self.floor = settled_at_begin + 1;
            self.raised_ms = u32::try_from(now / 1_000_000).unwrap_or(u32::MAX);
        }
    }

    /// It ended, and nobody knows whether it was done.
    pub(super) fn ended(&mut self) {
        self.open = self.open.saturating_sub(1);
    }

    pub(super) fn floor(&self) -> u32 {
        self.floor
    }

    /// How long ago the newest impossible version became so.
    pub(super) fn stale_for_ms(&self, now: Nanos) -> u64 {
        (now / 1_000_000).saturating_sub(u64::from(self.raised_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::History;

    #[test]
    fn a_write_rules_out_what_had_ended_before_it_began() {
        let mut history = History::default();
        let first = history.begins(0);
        assert_eq!(history.floor(), 0, "under way, it may or may not be seen");
        history.acked(first, 5_000_000);
        assert_eq!(history.floor(), 1);
        assert_eq!(history.stale_for_ms(25_000_000), 20);
    }

    #[test]
    fn writes_that_overlap_do_not_rule_each_other_out() {
        let mut history = History::default();
        let first = history.begins(0);
        let second = history.begins(1);
        history.acked(second, 0);
        assert_eq!(history.floor(), 1, "the first may still come after the second");
        history.acked(first, 0);
        assert_eq!(history.floor(), 1, "or have come after it");
        let third = history.begins(2);
        history.acked(third, 0);
        assert_eq!(history.floor(), 3, "but not after the third");
    }

    #[test]
    fn a_write_nobody_answered_rules_nothing_out() {
        let mut history = History::default();
        let _lost = history.begins(0);
        history.ended();
        assert_eq!(history.floor(), 0);
        let next = history.begins(1);
        history.acked(next, 0);
        assert_eq!(history.floor(), 2);
    }
}
