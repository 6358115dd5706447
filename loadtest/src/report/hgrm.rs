//! HdrHistogram's percentile distribution (`.hgrm`): what its plotters and other load tools read. Values in ms.

use std::fmt::Write as _;

use crate::measure::outcome::Percentiles;

/// The whole text.
#[must_use]
pub(super) fn text(percentiles: &Percentiles) -> String {
    let mut out = format!(
        "{:>12} {:>14} {:>10} {:>14}\n\n",
        "Value", "Percentile", "TotalCount", "1/(1-Percentile)"
    );
    let total: u64 = percentiles.buckets.iter().map(|(_, count)| count).sum();
    let mut seen = 0;
    for (us, count) in &percentiles.buckets {
        seen += count;
        let below = seen as f64 / total.max(1) as f64;
        let value = *us as f64 / 1e3;
        let _ = if seen < total {
            writeln!(
                out,
                "{value:12.3} {below:14.12} {seen:10} {:14.2}",
                1.0 / (1.0 - below)
            )
        } else {
            writeln!(out, "{value:12.3} {below:14.12} {seen:10}")
        };
    }
    let (mean, deviation) = moments(&percentiles.buckets, total);
    let max = percentiles.buckets.last().map_or(0, |(us, _)| *us) as f64 / 1e3;
    let _ = writeln!(out, "#[Mean    = {mean:12.3}, StdDeviation   = {deviation:12.3}]");
    let _ = writeln!(out, "#[Max     = {max:12.3}, Total count    = {total:12}]");
    // As recorded: 1 µs to 60 s at three digits.
    let _ = writeln!(out, "#[Buckets = {:12}, SubBuckets     = {:12}]", 16, 2048);
    out
}

fn moments(buckets: &[(u64, u64)], total: u64) -> (f64, f64) {
    let n = total.max(1) as f64;
    let mean = buckets
        .iter()
        .map(|(us, count)| *us as f64 * *count as f64)
        .sum::<f64>()
        / n;
    let square = buckets
        .iter()
        .map(|(us, count)| (*us as f64 - mean).powi(2) * *count as f64);
    (mean / 1e3, (square.sum::<f64>() / n).sqrt() / 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bucket_is_a_line_and_the_last_has_no_infinity() {
        let text = text(&Percentiles {
            buckets: vec![(1_000, 3), (2_000, 1)],
            ..Percentiles::default()
        });
        let lines: Vec<Vec<&str>> = text
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert_eq!(lines[2], ["1.000", "0.750000000000", "3", "4.00"]);
        assert_eq!(lines[3], ["2.000", "1.000000000000", "4"]);
        assert!(
            text.contains("#[Mean    =        1.250, StdDeviation   =        0.433]"),
            "{text}"
        );
        assert!(text.contains("Total count    =            4]"), "{text}");
    }
}
