//! How Prometheus wants it written.

use std::fmt::Write as _;

use crate::stats::histogram::Totals;

/// Upper bounds of the latency buckets, in microseconds. Each is the end of a bucket of our own histogram, so that
/// the numbers are exact.
const LATENCY_BOUNDS_MICROS: [u64; 14] = [
    63, 127, 255, 511, 1_023, 2_047, 4_095, 8_191, 16_383, 32_767, 131_071, 524_287, 1_048_575, 4_194_303,
];

/// The page's text, metric by metric.
pub(super) struct Page(pub String);

impl Page {
    pub(super) fn metric(&mut self, name: &str, kind: &str, help: &str) {
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    pub(super) fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        self.0.push_str(name);
        for (index, (label, text)) in labels.iter().enumerate() {
            self.0.push(if index == 0 { '{' } else { ',' });
            let _ = write!(self.0, "{label}=\"");
            for character in text.chars() {
                match character {
                    '"' => self.0.push_str("\\\""),
                    '\\' => self.0.push_str("\\\\"),
                    '\n' => self.0.push_str("\\n"),
                    other => self.0.push(other),
                }
            }
            self.0.push('"');
        }
        if !labels.is_empty() {
            self.0.push('}');
        }
        let _ = writeln!(self.0, " {value}");
    }

    /// The samples of one histogram, in seconds.
    pub(super) fn histogram(&mut self, name: &str, labels: &[(&str, &str)], totals: &Totals) {
        let (bucket, sum, count) = (
            format!("{name}_bucket"),
            format!("{name}_sum"),
            format!("{name}_count"),
        );
        for bound in LATENCY_BOUNDS_MICROS {
            let le = seconds(bound).to_string();
            let labels = [labels, &[("le", le.as_str())]].concat();
            self.sample(&bucket, &labels, totals.up_to(bound));
        }
        self.sample(&bucket, &[labels, &[("le", "+Inf")]].concat(), totals.count());
        self.sample(&sum, labels, seconds(totals.sum_micros));
        self.sample(&count, labels, totals.count());
    }

    pub(super) fn one(&mut self, name: &str, kind: &str, help: &str, value: impl std::fmt::Display) {
        self.metric(name, kind, help);
        self.sample(name, &[], value);
    }
}

/// Microseconds as seconds, the base unit.
#[expect(clippy::cast_precision_loss, reason = "a metric")]
fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::LATENCY_BOUNDS_MICROS;
    use crate::stats::histogram::{Histogram, Totals};

    #[test]
    fn the_bounds_told_are_ends_of_buckets_kept() {
        for bound in LATENCY_BOUNDS_MICROS {
            let histogram = Histogram::default();
            histogram.record(bound);
            histogram.record(bound + 1);
            let mut totals = Totals::default();
            histogram.add_to(&mut totals);
            assert_eq!(totals.up_to(bound), 1, "{bound}");
        }
    }
}
