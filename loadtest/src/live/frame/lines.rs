//! The lines of the terminal view: the state in words, the figures, the nodes.

use super::bars::{bar, latest, sparkline};
use super::{Line, Look, Shown, label, latency};
use crate::live::status::Tone;
use crate::measure::outcome::ratio;
use crate::report::number::{self, count, percent, short_count};

/// Nodes that get a line of their own; of more, the first.
const NODES_MAX: usize = 10;
const SPARK_CELLS: usize = 20;
/// The sentence of the state takes no more lines than this.
const STATE_LINES_MAX: usize = 3;

impl Shown {
    /// Is all well, and why; on as many lines as the sentence needs.
    pub(super) fn state(&self, width: usize) -> Vec<Line> {
        if self.board.second.is_none() {
            return vec![Vec::new()];
        }
        let status = self.board.status();
        let look = match status.tone {
            Tone::Good => Look::Good,
            Tone::Warn => Look::Amber,
            Tone::Bad => Look::Bad,
        };
        let mut lines = vec![vec![(look, status.word.clone())]];
        let mut used = status.word.chars().count();
        for (at, word) in status.sentence.split(' ').enumerate() {
            let gap = if at == 0 { "  " } else { " " };
            let length = word.chars().count() + gap.len();
            if used + length < width || lines.len() == STATE_LINES_MAX {
                used += length;
                if let Some(line) = lines.last_mut() {
                    line.push((Look::Plain, format!("{gap}{word}")));
                }
            } else {
                used = length - gap.len();
                lines.push(vec![(Look::Plain, word.to_owned())]);
            }
        }
        lines
    }

    pub(super) fn figures(&self) -> Vec<Line> {
        let mut lines = vec![self.hit_rate()];
        lines.extend(self.predicted());
        lines.extend([self.backend(), self.requests(), self.latency(), self.cluster()]);
        lines
    }

    /// A line per node: its share of the load, its hit rate, what it holds, and what is the matter with it.
    pub(super) fn nodes(&self) -> Vec<Line> {
        let Some(second) = &self.board.second else {
            return Vec::new();
        };
        let gets: u64 = second.nodes.iter().map(|node| node.gets).sum();
        let mut lines: Vec<Line> = second
            .nodes
            .iter()
            .take(NODES_MAX)
            .map(|node| {
                let rate = self.board.node_hit_rate(&node.node);
                let (look, badge) = match node {
                    node if !node.up => (Look::Bad, "DOWN"),
                    node if !node.member => (Look::Amber, "NOT IN THE POOL"),
                    node if self.board.is_cold(&node.node) => (Look::Amber, "COLD"),
                    _ => (Look::Plain, ""),
                };
                let told = format!(
                    "{} {:<8} {:>6} of the load  {:>10} items",
                    bar(rate.unwrap_or(0.0), 10),
                    percent(rate),
                    percent(ratio(node.gets, gets)),
                    count(node.items)
                );
                vec![
                    label(&node.node),
                    (look, format!("{badge:<5}")),
                    (Look::Plain, told),
                ]
            })
            .collect();
        if let Some(more) = second.nodes.len().checked_sub(NODES_MAX).filter(|more| *more > 0) {
            lines.push(vec![label(&format!("and {more} more"))]);
        }
        lines
    }

    /// Lowest and highest of both curves, which are drawn by one measure.
    fn span(&self) -> (f64, f64) {
        let shown = latest(&self.sparks, SPARK_CELLS).flat_map(|(now, predicted)| [Some(*now), *predicted]);
        shown
            .flatten()
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
                (low.min(value), high.max(value))
            })
    }

    fn hit_rate(&self) -> Line {
        let progress = &self.progress;
        let look = match (progress.hit_rate, progress.hit_rate_warm) {
            (Some(now), Some(warm)) if now < 0.95 * warm => Look::Amber,
            (Some(_), Some(_)) => Look::Good,
            _ => Look::Bold,
        };
        let curve = sparkline(
            latest(&self.sparks, SPARK_CELLS).map(|(now, _)| Some(*now)),
            self.span(),
        );
        let mut line = vec![
            label("hit rate"),
            (look, format!("{:<8}", percent(progress.hit_rate))),
            (Look::Plain, format!("{curve:<22}")),
        ];
        if let Some(warm) = progress.hit_rate_warm {
            let difference = progress
                .hit_rate
                .map_or(String::new(), |now| format!(" ({})", number::points(now - warm)));
            line.push((Look::Dim, format!("warm {}{difference}", percent(Some(warm)))));
        }
        line
    }

    /// What theory expects, under what is measured.
    fn predicted(&self) -> Option<Line> {
        let predicted = self.progress.hit_rate_predicted?;
        let curve = sparkline(
            latest(&self.sparks, SPARK_CELLS).map(|(_, predicted)| *predicted),
            self.span(),
        );
        Some(vec![
            label("theory"),
            (Look::Dim, format!("{:<8}", percent(Some(predicted)))),
            (Look::Dim, curve),
        ])
    }

    fn backend(&self) -> Line {
        let progress = &self.progress;
        let mut line = vec![
            label("backend"),
            (Look::Plain, format!("{:<8}", short_count(progress.backend_rate))),
        ];
        if let Some(capacity) = progress.backend_capacity {
            let share = progress.backend_rate / capacity;
            let look = if share > 0.95 { Look::Bad } else { Look::Plain };
            line.push((look, format!("{:<22}", bar(share, 20))));
            line.push((Look::Dim, format!("of {} reads/s", short_count(capacity))));
        } else {
            line.push((Look::Dim, "reads/s".to_owned()));
        }
        if progress.backend_queue > 0 {
            line.push((
                Look::Amber,
                format!("  {} waiting", count(progress.backend_queue)),
            ));
        }
        line
    }

    fn requests(&self) -> Line {
        let progress = &self.progress;
        vec![
            label("requests"),
            (Look::Plain, format!("{:<8}", short_count(progress.rate))),
            (
                Look::Dim,
                format!("per second   {} so far", count(progress.requests)),
            ),
        ]
    }

    fn latency(&self) -> Line {
        let mut line = vec![
            label("p99"),
            (Look::Plain, format!("{:<9}", latency(self.progress.p99))),
        ];
        if let Some(second) = &self.board.second {
            let row = &second.row;
            let ms = number::millis;
            let told = format!(
                "p50 {}   p90 {}   p99.9 {} ms",
                ms(row.p50_us),
                ms(row.p90_us),
                ms(row.p999_us)
            );
            line.push((Look::Dim, told));
        }
        line
    }

    fn cluster(&self) -> Line {
        let progress = &self.progress;
        let counter = |name: &str, value: u64| {
            (
                if value > 0 { Look::Bad } else { Look::Dim },
                format!("{name} {}   ", count(value)),
            )
        };
        let nodes = format!("{} of {} nodes   ", progress.nodes_up, progress.nodes);
        let look = if progress.nodes_up < progress.nodes {
            Look::Amber
        } else {
            Look::Plain
        };
        vec![
            label("cluster"),
            (look, nodes),
            counter("errors", progress.errors),
            counter("dropped", progress.dropped),
            counter("wrong values", progress.mismatches),
        ]
    }
}
