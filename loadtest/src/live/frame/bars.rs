//! Small drawings out of characters.

use std::collections::VecDeque;

use super::stage::cell;

/// The curve never magnifies less than this: noise should look like noise.
const SPARK_SPAN_MIN: f64 = 0.05;

/// `██████░░░░`.
pub(super) fn bar(share: f64, cells: usize) -> String {
    let full = cell(share, cells);
    "█".repeat(full) + &"░".repeat(cells - full)
}

/// The latest values of a curve as eight heights; nothing where there is no value.
pub(super) fn sparkline(values: impl Iterator<Item = Option<f64>>, (low, high): (f64, f64)) -> String {
    const HEIGHTS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let span = (high - low).max(SPARK_SPAN_MIN);
    values
        .map(|value| {
            let Some(value) = value else { return ' ' };
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "between 0 and 7"
            )]
            let height = ((value - (high - span)) / span * 7.0).round().clamp(0.0, 7.0) as usize;
            HEIGHTS[height]
        })
        .collect()
}

/// The last `cells` of them.
pub(super) fn latest<T>(values: &VecDeque<T>, cells: usize) -> impl Iterator<Item = &T> {
    values.iter().skip(values.len().saturating_sub(cells))
}
