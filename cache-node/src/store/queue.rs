//! FIFO queues of sealed segments, as in S3-FIFO: new items go through `Small`, those worth keeping live in `Main`.
//! A queue is a list threaded through the segments' rows, so that any segment can leave it from the middle.

/// Where a segment waits for its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Queue {
    /// New items: most are never read again and leave from here.
    Small,
    /// Items that were read while in `Small`, or that came back soon after they had been evicted.
    Main,
}

/// No segment.
pub(super) const NONE: u32 = u32::MAX;

/// The neighbours of a segment in its queue.
#[derive(Debug, Clone, Copy)]
pub(super) struct Links {
    prev: u32,
    pub(super) next: u32,
}

impl Links {
    pub(super) const ALONE: Self = Self {
        prev: NONE,
        next: NONE,
    };
}

/// Rows that can be threaded into queues.
pub(super) trait Linked {
    fn links(&mut self) -> &mut Links;
    /// The row behind this one in its queue.
    fn next(&self) -> u32;
}

/// One queue: oldest first.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fifo {
    oldest: u32,
    youngest: u32,
}

impl Fifo {
    pub(super) const EMPTY: Self = Self {
        oldest: NONE,
        youngest: NONE,
    };

    pub(super) fn oldest(&self) -> Option<u32> {
        (self.oldest != NONE).then_some(self.oldest)
    }

    /// All of them, from the oldest.
    pub(super) fn iter<R: Linked>(self, rows: &[R]) -> impl Iterator<Item = u32> {
        let listed = |row: u32| (row != NONE).then_some(row);
        std::iter::successors(listed(self.oldest), move |&row| listed(rows[row as usize].next()))
    }

    pub(super) fn push(&mut self, rows: &mut [impl Linked], row: u32) {
        *rows[row as usize].links() = Links {
            prev: self.youngest,
            next: NONE,
        };
        match self.youngest {
            NONE => self.oldest = row,
            youngest => rows[youngest as usize].links().next = row,
        }
        self.youngest = row;
    }

    /// Takes out a segment that is in this queue.
    pub(super) fn remove(&mut self, rows: &mut [impl Linked], row: u32) {
        let Links { prev, next } = std::mem::replace(rows[row as usize].links(), Links::ALONE);
        match prev {
            NONE => self.oldest = next,
            prev => rows[prev as usize].links().next = next,
        }
        match next {
            NONE => self.youngest = prev,
            next => rows[next as usize].links().prev = prev,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Linked for Links {
        fn links(&mut self) -> &mut Links {
            self
        }

        fn next(&self) -> u32 {
            self.next
        }
    }

    #[test]
    fn segments_leave_oldest_first_or_from_anywhere() {
        let mut rows = [Links::ALONE; 5];
        let mut fifo = Fifo::EMPTY;
        for row in 0..5 {
            fifo.push(&mut rows, row);
        }
        for row in [2, 0, 4] {
            fifo.remove(&mut rows, row);
        }
        fifo.push(&mut rows, 0);
        let mut left = Vec::new();
        while let Some(row) = fifo.oldest() {
            fifo.remove(&mut rows, row);
            left.push(row);
        }
        assert_eq!(left, [1, 3, 0]);
    }
}
