//! What the terminal view shows, as lines of text. Pure: state and width in, lines out.

use std::collections::VecDeque;
use std::time::Duration;

use super::board::{Board, Facts};
use super::status::Tone;
use super::{Progress, Update};
use crate::report::number::{self, count, percent, short_count, whole_time};
use crate::scenario::Scenario;

/// Samples kept for the small curve, one a second.
const SPARKS_MAX: usize = 60;
const LOGS_MAX: usize = 4;
/// Nodes that get a line of their own; of more, the first.
const NODES_MAX: usize = 10;
/// The curve never magnifies less than this: noise should look like noise.
const SPARK_SPAN_MIN: f64 = 0.05;
const LABEL_WIDTH: usize = 11;

/// What is known before the run.
#[derive(Debug, Clone)]
pub(super) struct Stage {
    name: String,
    seed: u64,
    phases: Vec<String>,
    planned: Option<Duration>,
    capacity: f64,
}

impl Stage {
    pub(super) fn new(scenario: &Scenario) -> Self {
        Self {
            name: scenario
                .name
                .chars()
                .map(|c| if c.is_control() { '\u{fffd}' } else { c })
                .collect(),
            seed: scenario.seed,
            phases: scenario.phases.iter().map(|phase| phase.name.clone()).collect(),
            planned: scenario.planned_time(),
            capacity: scenario.backend.capacity,
        }
    }

    pub(super) fn phase(&self, index: usize) -> &str {
        self.phases.get(index).map_or("", String::as_str)
    }
}

/// What has been seen so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Shown {
    progress: Progress,
    sparks: VecDeque<f64>,
    sparked: Option<u64>,
    logs: VecDeque<String>,
    /// What the second-by-second figures say: state and nodes.
    board: Board,
}

/// How a piece of text looks; turned into escape codes only when it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    Plain,
    Dim,
    Bold,
    Good,
    Bad,
    Amber,
}

/// A line, in pieces.
pub(super) type Line = Vec<(Look, String)>;

impl Shown {
    /// Nothing seen yet.
    pub(super) fn new(stage: &Stage) -> Self {
        let facts = Facts {
            capacity: (stage.capacity > 0.0).then_some(stage.capacity),
            ..Facts::default()
        };
        Self {
            board: Board::new(facts),
            ..Self::default()
        }
    }

    pub(super) fn take(&mut self, update: Update) {
        match update {
            Update::Progress(progress) => {
                let second = progress.elapsed.as_secs();
                if let Some(rate) = progress.hit_rate.filter(|_| self.sparked != Some(second)) {
                    self.sparked = Some(second);
                    self.sparks.push_back(rate);
                    if self.sparks.len() > SPARKS_MAX {
                        self.sparks.pop_front();
                    }
                }
                self.progress = progress;
            }
            Update::Second(_) => {
                self.board.take(update);
            }
            Update::Log { elapsed, text } => {
                let text: String = text
                    .chars()
                    .map(|c| if c.is_control() { ' ' } else { c })
                    .collect();
                self.logs
                    .push_back(format!("{:>6.1}s  {text}", elapsed.as_secs_f64()));
                if self.logs.len() > LOGS_MAX {
                    self.logs.pop_front();
                }
            }
        }
    }

    /// The lines to show on a terminal `width` columns wide.
    pub(super) fn lines(&self, stage: &Stage, width: usize) -> Vec<Line> {
        let mut lines = vec![
            self.heading(stage, width),
            self.phases(stage),
            self.state(),
            Vec::new(),
            self.hit_rate(),
            self.backend(stage),
        ];
        lines.extend([self.requests(), self.cluster(), Vec::new()]);
        lines.extend(self.nodes());
        lines.extend(self.logs.iter().map(|log| vec![(Look::Dim, log.clone())]));
        for line in &mut lines {
            cut(line, width.saturating_sub(1));
        }
        lines
    }

    fn heading(&self, stage: &Stage, width: usize) -> Line {
        let left = format!("{} · seed {}", stage.name, stage.seed);
        let planned = stage
            .planned
            .map_or(String::new(), |planned| format!(" of ~{}", whole_time(planned)));
        let right = format!("{}{planned}", whole_time(self.progress.elapsed));
        let gap = width
            .saturating_sub(left.chars().count() + right.chars().count() + 1)
            .max(2);
        vec![
            (Look::Bold, left),
            (Look::Plain, " ".repeat(gap)),
            (Look::Dim, right),
        ]
    }

    fn phases(&self, stage: &Stage) -> Line {
        let mut line = Vec::new();
        for (index, name) in stage.phases.iter().enumerate() {
            let now = self.progress.phase;
            match index {
                _ if index < now => line.push((Look::Good, format!("✓ {name}   "))),
                _ if index > now => line.push((Look::Dim, format!("{name}   "))),
                _ => {
                    line.push((Look::Bold, format!("▶ {name} ")));
                    line.push((
                        Look::Plain,
                        format!(
                            "{} {:.0} %   ",
                            bar(self.progress.phase_done, 16),
                            self.progress.phase_done * 100.0
                        ),
                    ));
                }
            }
        }
        line
    }

    /// Is all well, and why.
    fn state(&self) -> Line {
        if self.board.second.is_none() {
            return Vec::new();
        }
        let status = self.board.status();
        let look = match status.tone {
            Tone::Good => Look::Good,
            Tone::Warn => Look::Amber,
            Tone::Bad => Look::Bad,
        };
        vec![
            (look, status.word),
            (Look::Plain, format!("  {}", status.sentence)),
        ]
    }

    /// A line per node: its share of the load, its hit rate, what it holds, and what is the matter with it.
    fn nodes(&self) -> Vec<Line> {
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
                let told = format!(
                    "{} {:<8} {:>6} of the load  {:>10} items",
                    bar(rate.unwrap_or(0.0), 10),
                    percent(rate),
                    percent(crate::measure::outcome::ratio(node.gets, gets)),
                    count(node.items)
                );
                let (look, badge) = match node {
                    node if !node.up => (Look::Bad, "  DOWN"),
                    node if !node.member => (Look::Amber, "  not in the pool"),
                    node if self.board.is_cold(&node.node) => (Look::Amber, "  COLD"),
                    _ => (Look::Plain, ""),
                };
                vec![label(&node.node), (Look::Plain, told), (look, badge.to_owned())]
            })
            .collect();
        if let Some(more) = second.nodes.len().checked_sub(NODES_MAX).filter(|more| *more > 0) {
            lines.push(vec![label(&format!("and {more} more"))]);
        }
        if !lines.is_empty() {
            lines.push(Vec::new());
        }
        lines
    }

    fn hit_rate(&self) -> Line {
        let progress = &self.progress;
        let look = match (progress.hit_rate, progress.hit_rate_warm) {
            (Some(now), Some(warm)) if now < 0.95 * warm => Look::Amber,
            (Some(_), Some(_)) => Look::Good,
            _ => Look::Bold,
        };
        let mut line = vec![
            label("hit rate"),
            (look, format!("{:<8}", percent(progress.hit_rate))),
        ];
        line.push((Look::Plain, format!("{:<22}", sparkline(&self.sparks, 20))));
        if let Some(warm) = progress.hit_rate_warm {
            let difference = progress
                .hit_rate
                .map_or(String::new(), |now| format!(" ({})", number::points(now - warm)));
            line.push((Look::Dim, format!("  warm {}{difference}", percent(Some(warm)))));
        }
        if let Some(predicted) = progress.hit_rate_predicted {
            line.push((Look::Dim, format!("  predicted {}", percent(Some(predicted)))));
        }
        line
    }

    fn backend(&self, stage: &Stage) -> Line {
        let progress = &self.progress;
        let mut line = vec![
            label("backend"),
            (Look::Plain, format!("{:<8}", short_count(progress.backend_rate))),
        ];
        if stage.capacity > 0.0 {
            let share = progress.backend_rate / stage.capacity;
            let look = if share > 0.95 { Look::Bad } else { Look::Plain };
            line.push((look, format!("{:<22}", bar(share, 20))));
            line.push((Look::Dim, format!("  of {} reads/s", short_count(stage.capacity))));
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
                format!(
                    "per second   {} so far   p99 {}",
                    count(progress.requests),
                    latency(progress.p99)
                ),
            ),
        ]
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

fn label(text: &str) -> (Look, String) {
    (Look::Dim, format!("  {text:<LABEL_WIDTH$}"))
}

pub(super) fn latency(time: Option<Duration>) -> String {
    let micros = time.map(|time| u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    micros.map_or(number::UNKNOWN.to_owned(), |micros| {
        format!("{} ms", number::millis(micros))
    })
}

/// `██████░░░░`.
fn bar(share: f64, cells: usize) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and `cells`"
    )]
    let full = (share.clamp(0.0, 1.0) * cells as f64).round() as usize;
    "█".repeat(full) + &"░".repeat(cells - full)
}

/// The latest values as eight heights.
fn sparkline(values: &VecDeque<f64>, cells: usize) -> String {
    const HEIGHTS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let shown: Vec<f64> = values
        .iter()
        .skip(values.len().saturating_sub(cells))
        .copied()
        .collect();
    let (low, high) = shown
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
            (low.min(*value), high.max(*value))
        });
    let span = (high - low).max(SPARK_SPAN_MIN);
    shown
        .iter()
        .map(|value| {
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

/// Cuts a line to `width` characters, so that it never wraps and the redraw stays in place.
fn cut(line: &mut Line, width: usize) {
    let mut left = width;
    for (_, text) in line.iter_mut() {
        let length = text.chars().count();
        if length > left {
            *text = text.chars().take(left).collect();
        }
        left = left.saturating_sub(length);
    }
}
