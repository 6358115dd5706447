//! Which segment is emptied next: one that is over, one that is mostly garbage, or the oldest of a queue.

use super::super::queue::Queue;
use super::super::segment::State;
use super::super::shard::Shard;
use super::{Aim, Cursor};

/// Live bytes in percent of those written below which a segment is worth compacting.
const GARBAGE_PERCENT: u64 = 85;
/// The share of segments that new items may take before they, rather than `Main`, give way, in percent.
const SMALL_PERCENT: u32 = 10;
/// Segment rows looked at in one go.
const ROWS: usize = 512;

impl Shard {
    /// The next segment to empty.
    pub(super) fn choose(&mut self, now: u32) -> Option<Cursor> {
        self.look_for_expired(now);
        if let Some(frame) = self.reclaim.over.pop() {
            return Some(Cursor {
                frame,
                offset: 0,
                aim: Aim::Clear,
            });
        }
        if self.arena.available() >= self.reclaim.reserve {
            return None;
        }
        let urgent = self.evict && self.arena.available() == 0;
        let garbage = if urgent { None } else { self.most_garbage() };
        let (frame, aim) = match garbage {
            Some(frame) => (frame, Aim::Compact),
            None if self.evict => (self.oldest()?, Aim::Evict),
            None => return None,
        };
        self.log.take_out(frame);
        Some(Cursor {
            frame,
            offset: 0,
            aim,
        })
    }

    /// The segment that S3-FIFO evicts from.
    fn oldest(&self) -> Option<u32> {
        let small = self.log.segments_in(Queue::Small);
        let small_is_large = small * 100 > self.log.segments() * SMALL_PERCENT;
        // A queue full of values that are just being written is left alone for once.
        let prefer_small = match self.reclaim.stuck {
            Some(queue) => queue == Queue::Main,
            None => small_is_large,
        };
        let (first, second) = if prefer_small {
            (Queue::Small, Queue::Main)
        } else {
            (Queue::Main, Queue::Small)
        };
        self.log.oldest(first).or_else(|| self.log.oldest(second))
    }

    /// The sealed segment with the smallest share of live bytes among the next few, if that is small enough.
    fn most_garbage(&mut self) -> Option<u32> {
        let rows = self.log.rows();
        let start = if self.reclaim.garbage_row < rows.len() {
            self.reclaim.garbage_row
        } else {
            0
        };
        let end = (start + ROWS).min(rows.len());
        self.reclaim.garbage_row = end;
        let (frame, share) = (start..)
            .zip(&rows[start..end])
            .filter(|(_, segment)| segment.state == State::Sealed)
            .map(|(frame, segment)| {
                (
                    frame,
                    u64::from(segment.live) * 100 / u64::from(segment.used.max(1)),
                )
            })
            .min_by_key(|&(_, share)| share)?;
        (share < GARBAGE_PERCENT).then(|| u32::try_from(frame).ok())?
    }

    /// Looks at some rows for segments in which everything has expired or was flushed; all of them once a second.
    pub(super) fn look_for_expired(&mut self, now: u32) {
        if self.reclaim.expiry_row == usize::MAX {
            if self.reclaim.expiry_at == now {
                return;
            }
            self.reclaim.expiry_row = 0;
        }
        if self.reclaim.expiry_row == 0 {
            self.reclaim.expiry_at = now;
            let log = &mut self.log;
            log.seal_where(&mut self.arena, |segment| segment.last_expiry <= now);
        }
        let start = self.reclaim.expiry_row;
        let end = (start + ROWS).min(self.log.rows().len());
        for frame in start..end {
            let segment = self.log.rows()[frame];
            if segment.state == State::Sealed && self.log.is_over(&segment, now) {
                let frame = u32::try_from(frame).unwrap_or(u32::MAX);
                self.log.take_out(frame);
                self.reclaim.over.push(frame);
            }
        }
        self.reclaim.expiry_row = if end == self.log.rows().len() {
            usize::MAX
        } else {
            end
        };
    }
}
