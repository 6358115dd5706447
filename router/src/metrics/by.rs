//! Counters summed by what they belong to: a server, a pool.

use super::exposition::Page;
use crate::stats::Counted;

/// What is read off one worker's counters of one server.
pub(super) type Number<'n> = &'n dyn Fn(&Counted) -> u64;

/// A label, and for each of its values the counters that belong to it.
pub(super) struct By<'c> {
    pub label: &'static str,
    pub groups: Vec<(&'c str, Vec<&'c Counted>)>,
}

impl By<'_> {
    /// A sample of `metric` for each value of the label.
    pub(super) fn sum(&self, page: &mut Page, metric: &str, kind: &str, help: &str, of: Number<'_>) {
        page.metric(metric, kind, help);
        for (value, counted) in &self.groups {
            let sum = counted.iter().map(|counted| of(counted)).sum::<u64>();
            page.sample(metric, &[(self.label, value)], sum);
        }
    }

    /// The same for counters that have a number for each of `parts`, told apart by a second label.
    pub(super) fn split<P: Copy>(
        &self,
        page: &mut Page,
        (metric, help): (&str, &str),
        (label, parts, name): (&str, &[P], impl Fn(P) -> &'static str),
        of: impl Fn(&Counted, P) -> u64,
    ) {
        page.metric(metric, "counter", help);
        for (value, counted) in &self.groups {
            for &part in parts {
                let labels = [(self.label, *value), (label, name(part))];
                page.sample(metric, &labels, counted.iter().map(|c| of(c, part)).sum::<u64>());
            }
        }
    }
}
