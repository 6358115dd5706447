//! Actions as TOML.

use super::{line, quoted, seconds};
use crate::scenario::quantity::{distribution_text, time_text};
use crate::scenario::{Action, Cut, Direction, KillSignal, Memory, NodeRef, Shift, WarmUp};

/// `do = …` and its arguments, one a line.
pub(super) fn lines(out: &mut String, action: &Action) {
    line(out, "do", quoted(action.name()));
    if let Some(node) = action.node() {
        line(out, "node", node_text(node));
    }
    let mut time = |key: &str, value| line(out, key, quoted(&time_text(value)));
    match action {
        Action::RemoveNode { drain, .. } => time("drain", *drain),
        Action::RestartNode { down, memory, .. } => {
            time("down", *down);
            line(out, "warm", *memory == Memory::Warm);
        }
        Action::RollingRestart {
            down,
            gap,
            batch,
            memory,
        } => {
            time("down", *down);
            time("gap", *gap);
            line(out, "batch", batch);
            line(out, "warm", *memory == Memory::Warm);
        }
        Action::DrainNode { over, .. } => time("over", *over),
        Action::Flush { stagger } => time("delay", *stagger),
        Action::Partition { direction, cut, .. } => {
            line(
                out,
                "direction",
                quoted(match direction {
                    Direction::Both => "both",
                    Direction::In => "in",
                    Direction::Out => "out",
                }),
            );
            line(
                out,
                "mode",
                match cut {
                    Cut::Drop => quoted("drop"),
                    Cut::Reset => quoted("reset"),
                    Cut::Delay(delay) => quoted(&format!("delay:{}", time_text(*delay))),
                },
            );
        }
        Action::SlowNode { delay, until, .. } => {
            time("delay", *delay);
            if let Some(until) = until {
                line(out, "until", quoted(&time_text(*until)));
            }
        }
        Action::AddNode { count } => line(out, "count", count),
        Action::KillNode { signal, .. } => line(
            out,
            "signal",
            quoted(match signal {
                KillSignal::Kill => "kill",
                KillSignal::Term => "term",
            }),
        ),
        Action::SetHash { hash } => line(out, "hash", quoted(&hash.to_string())),
        Action::WarmupRoute { step } => {
            line(out, "on", *step != WarmUp::Off);
            if let WarmUp::On { nodes, exptime } = step {
                if let Some(nodes) = nodes {
                    line(out, "count", nodes);
                }
                if let Some(exptime) = exptime {
                    line(out, "exptime", quoted(&time_text(*exptime)));
                }
            }
        }
        Action::ExpireHot { rank } => line(out, "key", quoted(&format!("rank:{rank}"))),
        Action::SyncExpiry { fraction } => line(out, "fraction", format_args!("{fraction:?}")),
        Action::PopularityShift { shift } => match shift {
            Shift::Rotate(by) => line(out, "rotate", by),
            Shift::Reshuffle => line(out, "reshuffle", true),
        },
        Action::Rate { to, over } => {
            line(out, "to", format_args!("{to:?}"));
            line(out, "over", quoted(&time_text(*over)));
        }
        Action::Shed { fraction, over, ramp } => {
            line(out, "fraction", format_args!("{fraction:?}"));
            line(out, "over", quoted(&time_text(*over)));
            line(out, "ramp", quoted(&time_text(*ramp)));
        }
        Action::Backend {
            capacity,
            latency,
            fail,
        } => {
            if let Some(capacity) = capacity {
                line(out, "capacity", format_args!("{capacity:?}"));
            }
            if let Some(latency) = latency {
                line(out, "latency", quoted(&distribution_text(latency, seconds)));
            }
            if let Some(fail) = fail {
                line(out, "fail", format_args!("{fail:?}"));
            }
        }
        Action::Exec { command } => line(out, "cmd", quoted(command)),
        Action::Http { method, url, body } => {
            line(out, "url", quoted(url));
            line(out, "method", quoted(method));
            line(out, "body", quoted(body));
        }
        Action::Mark { text } => line(out, "text", quoted(text)),
        Action::StopNode { .. }
        | Action::StartNode { .. }
        | Action::ReplaceNode { .. }
        | Action::FlushNode { .. }
        | Action::Heal { .. } => {}
    }
}

fn node_text(node: &NodeRef) -> String {
    quoted(match node {
        NodeRef::Name(name) => name,
        NodeRef::Random => "random",
        NodeRef::Hottest => "hottest",
        NodeRef::Last => "last",
    })
}
