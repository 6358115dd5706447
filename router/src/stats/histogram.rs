//! Latencies by size, four buckets to the doubling, from one microsecond to an hour. One thread records, any reads.

use super::Counter;

/// Buckets per doubling, as a power of two.
const SUB_BITS: u32 = 2;
const BUCKETS: usize = 128;

/// Counts per bucket and the sum of all values, in microseconds.
#[derive(Debug)]
pub(crate) struct Histogram {
    buckets: [Counter; BUCKETS],
    sum: Counter,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            buckets: [const { Counter(std::sync::atomic::AtomicU64::new(0)) }; BUCKETS],
            sum: Counter::default(),
        }
    }
}

/// The bucket of a value: the first `1 << SUB_BITS` are exact, then each doubling has that many.
#[expect(clippy::cast_possible_truncation, reason = "a bucket's number is small")]
const fn bucket(micros: u64) -> usize {
    if micros < 1 << SUB_BITS {
        return micros as usize;
    }
    let log = micros.ilog2();
    let sub = (micros >> (log - SUB_BITS)) & ((1 << SUB_BITS) - 1);
    let index = (((log - SUB_BITS + 1) << SUB_BITS) as usize) + sub as usize;
    if index < BUCKETS { index } else { BUCKETS - 1 }
}

/// The largest value of a bucket.
#[expect(clippy::cast_possible_truncation, reason = "a bucket's number is small")]
const fn upper(bucket: usize) -> u64 {
    let sub_count = 1 << SUB_BITS;
    if bucket < sub_count {
        return bucket as u64;
    }
    let log = (bucket >> SUB_BITS) as u32 - 1;
    let sub = (bucket & (sub_count - 1)) as u64;
    ((sub_count as u64 + sub + 1) << log) - 1
}

impl Histogram {
    pub(crate) fn record(&self, micros: u64) {
        self.buckets[bucket(micros)].add(1);
        self.sum.add(micros);
    }

    pub(crate) fn add_to(&self, total: &mut Totals) {
        for (sum, bucket) in total.buckets.iter_mut().zip(&self.buckets) {
            *sum += bucket.get();
        }
        total.sum_micros += self.sum.get();
    }
}

/// Several histograms added up.
#[derive(Debug, Clone)]
pub(crate) struct Totals {
    buckets: [u64; BUCKETS],
    pub sum_micros: u64,
}

impl Default for Totals {
    fn default() -> Self {
        Self {
            buckets: [0; BUCKETS],
            sum_micros: 0,
        }
    }
}

impl Totals {
    pub(crate) fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// How many values were at most `micros`.
    pub(crate) fn up_to(&self, micros: u64) -> u64 {
        self.buckets
            .iter()
            .enumerate()
            .take_while(|(bucket, _)| upper(*bucket) <= micros)
            .map(|(_, count)| count)
            .sum()
    }

    /// The value that `share` of all values do not exceed, to a quarter of a doubling; 0 without values.
    pub(crate) fn quantile(&self, share: f64) -> u64 {
        let count = self.count();
        if count == 0 {
            return 0;
        }
        let mut seen = 0;
        for (bucket, in_bucket) in self.buckets.iter().enumerate() {
            seen += in_bucket;
            #[expect(clippy::cast_precision_loss, reason = "a share of a count")]
            if seen as f64 >= share * count as f64 {
                return upper(bucket);
            }
        }
        upper(BUCKETS - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::{Histogram, Totals, bucket, upper};

    #[test]
    fn every_value_is_in_the_bucket_that_ends_just_above_it() {
        for value in (0..5000)
            .chain((5..40).map(|bit| (1_u64 << bit) - 1))
            .chain((5..31).map(|bit| 1_u64 << bit))
        {
            let index = bucket(value);
            if index + 1 < super::BUCKETS {
                assert!(value <= upper(index), "{value}");
            }
            if index > 0 {
                assert!(value > upper(index - 1), "{value}");
            }
        }
    }

    #[test]
    fn quantiles_come_out_within_a_quarter_of_a_doubling() {
        let histogram = Histogram::default();
        for value in 1..=1000 {
            histogram.record(value);
        }
        let mut totals = Totals::default();
        histogram.add_to(&mut totals);
        assert_eq!(totals.count(), 1000);
        assert!(
            (500..=640).contains(&totals.quantile(0.5)),
            "{}",
            totals.quantile(0.5)
        );
        assert!((990..=1280).contains(&totals.quantile(0.99)));
        assert_eq!(totals.sum_micros, 500_500);
        assert_eq!(totals.up_to(127), 127);
    }
}
