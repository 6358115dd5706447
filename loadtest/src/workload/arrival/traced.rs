//! The arrivals of a trace, as far apart as it has them.

use std::sync::Arc;

use crate::workload::trace::Row;

/// Gaps in units of their mean, without end: after the last row comes the first. Rows of one moment (many traces know
/// whole seconds only) are spread evenly until the next.
#[derive(Debug, Clone, PartialEq)]
pub struct Traced {
    rows: Arc<[Row]>,
    position: usize,
    /// One past the last row of the same moment, and the gap after each of them.
    moment_end: usize,
    gap: f64,
    mean_ms: f64,
}

impl Traced {
    /// `None` if all rows have the same time.
    pub(super) fn new(rows: Arc<[Row]>) -> Option<Self> {
        let (first, last) = (rows.first()?.at_ms, rows.iter().map(|row| row.at_ms).max()?);
        let before_last = rows.iter().position(|row| row.at_ms == last)?;
        (last > first).then(|| Self {
            mean_ms: f64::from(last - first) / before_last as f64,
            rows,
            position: 0,
            moment_end: 0,
            gap: 1.0,
        })
    }

    pub(super) fn mean_ms(&self) -> f64 {
        self.mean_ms
    }

    /// From the current row to the next.
    pub(super) fn next_gap(&mut self) -> f64 {
        if self.position >= self.rows.len() {
            (self.position, self.moment_end) = (0, 0);
        }
        if self.position >= self.moment_end {
            let at = self.rows[self.position].at_ms;
            // A time before the last one is taken for the same moment.
            let rest = &self.rows[self.position..];
            (self.moment_end, self.gap) = match rest.iter().position(|row| row.at_ms > at) {
                Some(n) => {
                    let lasts_ms = f64::from(rest[n].at_ms - at);
                    (self.position + n, lasts_ms / n as f64 / self.mean_ms)
                }
                None => (self.rows.len(), 1.0),
            };
        }
        self.position += 1;
        self.gap
    }
}

#[cfg(test)]
mod tests {
    use crate::workload::arrival::Schedule;
    use crate::workload::seed::stream;
    use crate::workload::trace::{Op, Row};

    fn schedule(times_ms: &[u32], speed: f64) -> Option<Schedule> {
        let row = |at_ms: &u32| Row {
            at_ms: *at_ms,
            key: 0,
            value_len: 0,
            op: Op::Get,
            ttl_seconds: None,
        };
        let schedule = Schedule::traced(
            times_ms.iter().map(row).collect(),
            speed,
            stream(1, "arrivals", 0),
        )?;
        Some(schedule.starting_at(1_000))
    }

    fn first_ms(mut schedule: Schedule, count: usize) -> Vec<u64> {
        let mut at = || {
            let at = schedule.peek();
            schedule.advance();
            (at - 1_000 + 500) / 1_000_000
        };
        (0..count).map(|_| at()).collect()
    }

    #[test]
    fn requests_are_as_far_apart_as_in_the_trace_and_those_of_one_moment_are_spread() {
        let times = [0, 100, 1000, 1000, 1000, 1000, 2000];
        let expected = [0, 100, 1000, 1250, 1500, 1750, 2000];
        assert_eq!(first_ms(schedule(&times, 1.0).unwrap(), 7), expected);
        let twice = expected.map(|at| at / 2);
        assert_eq!(first_ms(schedule(&times, 2.0).unwrap(), 7), twice);
    }

    #[test]
    fn it_begins_again_after_the_last_row_and_a_step_back_is_no_step() {
        // The mean gap, 500 ms, comes after the last.
        assert_eq!(
            first_ms(schedule(&[0, 500, 400, 1500], 1.0).unwrap(), 6),
            [0, 500, 1000, 1500, 2000, 2500]
        );
        assert!(schedule(&[7, 7, 7], 1.0).is_none());
        assert!(schedule(&[], 1.0).is_none());
    }

    #[test]
    fn its_rate_can_be_changed_like_any_other() {
        let mut schedule = schedule(&[0, 100, 200, 300], 1.0).unwrap();
        assert!((schedule.rate() - 10.0).abs() < 1e-9);
        schedule.set_rate(100.0, 1_000);
        assert_eq!(first_ms(schedule, 4), [0, 10, 20, 30]);
    }
}
