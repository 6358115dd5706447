//! What the terminal view shows, as lines of text. Pure: state and size in, lines out.

mod bars;
mod lines;
mod stage;

use std::collections::VecDeque;
use std::time::Duration;

use super::board::Board;
use super::{Progress, Update};
use crate::report::number::{self, whole_time};

pub(super) use self::stage::Stage;

/// Samples kept for the small curves, one a second.
const SPARKS_MAX: usize = 60;
const LOGS_MAX: usize = 5;

/// What has been seen so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Shown {
    progress: Progress,
    /// Hit rate as measured and as predicted.
    sparks: VecDeque<(f64, Option<f64>)>,
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

/// A terminal's size in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) width: usize,
    pub(super) height: usize,
}

impl Shown {
    pub(super) fn take(&mut self, update: Update) {
        match update {
            Update::Progress(progress) => {
                let second = progress.elapsed.as_secs();
                if let Some(rate) = progress.hit_rate.filter(|_| self.sparked != Some(second)) {
                    self.sparked = Some(second);
                    self.sparks.push_back((rate, progress.hit_rate_predicted));
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

    /// The lines to show on a terminal of that size, what the keys do on the last ones. Where there is no room for all,
    /// nodes and what happened give way, then the figures from the bottom up; the state stays.
    pub(super) fn lines(&self, stage: &Stage, size: Size, keys: Vec<Line>) -> Vec<Line> {
        let Size { width, height } = size;
        let mut lines = vec![self.heading(stage, width), self.phases(stage)];
        lines.push(vec![(
            Look::Dim,
            stage.bar(
                self.progress.phase,
                self.progress.phase_done,
                width.saturating_sub(1).min(100),
            ),
        )]);
        lines.extend(self.state(width));
        let figures = self.figures();
        let nodes = self.nodes();
        let logs = self.logs.iter().map(|log| vec![(Look::Dim, log.clone())]);
        let groups = [figures, nodes, logs.collect(), keys.clone()];
        let whole: usize = lines.len() + groups.iter().map(|group| group.len() + 1).sum::<usize>();
        let [figures, nodes, logs, _] = groups;
        if whole <= height {
            for group in [figures, nodes, logs, keys] {
                if !group.is_empty() {
                    lines.push(Vec::new());
                    lines.extend(group);
                }
            }
        } else {
            let mut room = height.saturating_sub(lines.len() + keys.len());
            // Of what happened, one line is kept: the news.
            let news = usize::from(!logs.is_empty() && room > figures.len());
            room -= news;
            for group in [figures, nodes] {
                let fit = group.len().min(room);
                lines.extend(group.into_iter().take(fit));
                room -= fit;
            }
            let left = logs.len().saturating_sub(room + news);
            lines.extend(logs.into_iter().skip(left));
            lines.extend(keys);
            lines.truncate(height);
        }
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

    /// Where in the run we are, and what comes next.
    fn phases(&self, stage: &Stage) -> Line {
        let mut line = Vec::new();
        for (index, name) in stage.phases.iter().enumerate() {
            let now = self.progress.phase;
            match index {
                _ if index < now => line.push((Look::Good, format!("✓ {name}   "))),
                _ if index > now => line.push((Look::Dim, format!("{name}   "))),
                _ => {
                    line.push((Look::Bold, format!("▶ {name} ")));
                    let done = self.progress.phase_done * 100.0;
                    line.push((Look::Plain, format!("{done:.0} %   ")));
                }
            }
        }
        if self.progress.held {
            line.push((Look::Amber, "PAUSED (p goes on)".to_owned()));
        } else if let Some(next) = self.board.second.as_ref().and_then(|second| second.next.as_ref()) {
            let left = next.at_seconds.map(|at| at - self.progress.elapsed.as_secs_f64());
            let when = match left {
                Some(left) if left > 0.5 => format!(" in {left:.0} s"),
                Some(_) => " now".to_owned(),
                None => " later".to_owned(),
            };
            line.push((Look::Dim, format!("next: {}{when}", next.label)));
        }
        line
    }
}

fn label(text: &str) -> (Look, String) {
    const WIDTH: usize = 11;
    (Look::Dim, format!("  {text:<WIDTH$}"))
}

pub(super) fn latency(time: Option<Duration>) -> String {
    let micros = time.map(|time| u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    micros.map_or(number::UNKNOWN.to_owned(), |micros| {
        format!("{} ms", number::millis(micros))
    })
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
