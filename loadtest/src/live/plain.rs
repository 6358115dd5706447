//! One line a second, for logs and pipes.

use std::io::Write;
use std::sync::mpsc::Receiver;

use super::Update;
use super::frame::Stage;
use crate::report::number::{count, percent, short_count};

pub(super) fn draw(stage: &Stage, updates: &Receiver<Update>, mut out: impl Write) {
    let mut next_second = 0;
    for update in updates {
        let line = match update {
            Update::Second(_) => continue,
            Update::Log { elapsed, text } => format!("[{:>6.1}s] {text}", elapsed.as_secs_f64()),
            Update::Progress(progress) => {
                if progress.elapsed.as_secs() < next_second {
                    continue;
                }
                next_second = progress.elapsed.as_secs() + 1;
                let mut beside = Vec::new();
                if progress.hit_rate_warm.is_some() {
                    beside.push(format!("warm {}", percent(progress.hit_rate_warm)));
                }
                if progress.hit_rate_predicted.is_some() {
                    beside.push(format!("predicted {}", percent(progress.hit_rate_predicted)));
                }
                let beside = if beside.is_empty() {
                    String::new()
                } else {
                    format!(" ({})", beside.join(", "))
                };
                format!(
                    "[{:>6.1}s] {} {:>3.0} %  hit rate {}{beside}  {} req/s  backend {}/s  p99 {}  errors {}  nodes {}/{}",
                    progress.elapsed.as_secs_f64(),
                    stage.phase(progress.phase),
                    progress.phase_done * 100.0,
                    percent(progress.hit_rate),
                    short_count(progress.rate),
                    short_count(progress.backend_rate),
                    super::frame::latency(progress.p99),
                    count(progress.errors),
                    progress.nodes_up,
                    progress.nodes,
                )
            }
        };
        if writeln!(out, "{line}").is_err() {
            return;
        }
    }
}
