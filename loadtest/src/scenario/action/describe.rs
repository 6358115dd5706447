//! Actions in words: `remove node2`, `flush every node`.

use super::{Action, Cut, Direction, KillSignal, Memory, NodeRef, Shift, WarmUp};
use crate::scenario::quantity::time_text;

impl Action {
    /// What it does, for a person who has not read the file.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::AddNode { count: 1 } => "add a node".to_owned(),
            Self::AddNode { count } => format!("add {count} nodes"),
            Self::RemoveNode { node, drain } if drain.is_zero() => format!("remove {node}"),
            Self::RemoveNode { node, drain } => format!("remove {node}, stop it {} later", time_text(*drain)),
            Self::KillNode { node, signal } => match signal {
                KillSignal::Kill => format!("kill {node}"),
                KillSignal::Term => format!("kill {node} with SIGTERM"),
            },
            Self::StopNode { node } => format!("stop {node}"),
            Self::StartNode { node } => format!("start {node} again"),
            Self::RestartNode { node, down, memory } => match memory {
                Memory::Cold => format!("kill {node}, start it again empty after {}", time_text(*down)),
                Memory::Warm => format!(
                    "stop {node}, start it again with its memory after {}",
                    time_text(*down)
                ),
            },
            Self::ReplaceNode { node } => format!("replace {node} by an empty spare"),
            Self::RollingRestart {
                down,
                gap,
                batch,
                memory,
            } => format!(
                "restart every node {}, {batch} at a time, down for {}, {} apart",
                match memory {
                    Memory::Cold => "empty",
                    Memory::Warm => "with its memory",
                },
                time_text(*down),
                time_text(*gap)
            ),
            Self::DrainNode { node, over } => format!("drain {node} over {}", time_text(*over)),
            Self::Flush { stagger } if stagger.is_zero() => "flush every node".to_owned(),
            Self::Flush { stagger } => format!("flush every node, {} apart", time_text(*stagger)),
            Self::FlushNode { node } => format!("flush {node}"),
            Self::SetHash { hash } => format!("change the hash to {hash}"),
            Self::WarmupRoute { step } => match step {
                WarmUp::On { nodes, exptime } => {
                    let nodes = nodes.map_or_else(|| "as many".to_owned(), |nodes| nodes.to_string());
                    let ttl = exptime.map_or_else(String::new, |exptime| {
                        format!(", copies live for {}", time_text(exptime))
                    });
                    format!("warm {nodes} new nodes up from the old ones{ttl}")
                }
                WarmUp::Off => "let the old nodes go".to_owned(),
            },
            Self::Partition { node, direction, cut } => {
                let what = match cut {
                    Cut::Drop => "cut off".to_owned(),
                    Cut::Reset => "cut off (connections reset)".to_owned(),
                    Cut::Delay(delay) => format!("delay everything by {} for", time_text(*delay)),
                };
                let way = match direction {
                    Direction::Both => "",
                    Direction::In => ", requests only",
                    Direction::Out => ", answers only",
                };
                format!("{what} {node}{way}")
            }
            Self::Heal { node: None } => "heal every node's connections".to_owned(),
            Self::Heal { node: Some(node) } => format!("heal the connections of {node}"),
            Self::SlowNode { node, delay, until } => {
                let until = until.map_or_else(String::new, |until| format!(" for {}", time_text(until)));
                format!("slow {node} down by {}{until}", time_text(*delay))
            }
            Self::ExpireHot { rank: 1 } => "expire the hottest key".to_owned(),
            Self::ExpireHot { rank } => format!("expire the key at rank {rank}"),
            Self::SyncExpiry { fraction } => {
                format!("give {} % of the keys their TTL anew, at once", fraction * 100.0)
            }
            Self::PopularityShift { shift } => match shift {
                Shift::Rotate(by) => format!("move every key {by} ranks on"),
                Shift::Reshuffle => "make other keys popular".to_owned(),
            },
            Self::Rate { to, over } if over.is_zero() => format!("change the rate to {to} requests/s"),
            Self::Rate { to, over } => {
                format!("change the rate to {to} requests/s over {}", time_text(*over))
            }
            Self::Shed { fraction, over, ramp } => format!(
                "turn {} % of the load away for {}, let it back in over {}",
                fraction * 100.0,
                time_text(*over),
                time_text(*ramp)
            ),
            Self::Backend {
                capacity,
                latency,
                fail,
            } => {
                let mut parts = Vec::new();
                parts.extend(capacity.map(|capacity| format!("capacity {capacity}/s")));
                parts.extend(latency.as_ref().map(|_| "another latency".to_owned()));
                parts.extend(fail.map(|fail| format!("{} % of reads fail", fail * 100.0)));
                format!("backing store: {}", parts.join(", "))
            }
            Self::Exec { command } => format!("run `{command}`"),
            Self::Http { method, url, .. } => format!("{method} {url}"),
            Self::Mark { text } => format!("mark: {text}"),
        }
    }
}

impl std::fmt::Display for NodeRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Name(name) => name,
            Self::Random => "a random node",
            Self::Hottest => "the hottest node",
            Self::Last => "the last node",
        })
    }
}
