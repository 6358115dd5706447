//! Reads `do` and its arguments.

use std::time::Duration;

use super::Result;
use super::play::NODES_MAX;
use crate::scenario::action::ACTIONS;
use crate::scenario::diagnostic::{Diagnostic, one_of};
use crate::scenario::hash::read_hash;
use crate::scenario::quantity::parse_time;
use crate::scenario::reader::{Amounts, Table};
use crate::scenario::{Action, Cut, Direction, KillSignal, Memory, NodeRef, Shift, WarmUp};

/// A shed load comes back over this time unless told otherwise.
const RAMP: Duration = Duration::from_secs(10);

pub(in crate::scenario) fn action(table: &mut Table<'_>) -> Result<Action> {
    let Some(name) = table.string("do")? else {
        return Err(table.error(
            "an event says nothing to do",
            format!("expected do = one of: {}", ACTIONS.join(", ")),
        ));
    };
    Ok(match name {
        "add_node" => Action::AddNode {
            count: table.count("count", 1, NODES_MAX)?.unwrap_or(1),
        },
        "remove_node" => Action::RemoveNode {
            node: node_or_last(table)?,
            drain: table.time("drain")?.unwrap_or_default(),
        },
        // Dead for a while: a restart, with its memory lost if it is killed.
        "kill_node" if table.is_written("down") => Action::RestartNode {
            node: node_or_last(table)?,
            down: table.time("down")?.unwrap_or_default(),
            memory: Memory::Cold,
        },
        "stop_node" if table.is_written("down") => Action::RestartNode {
            node: node_or_last(table)?,
            down: table.time("down")?.unwrap_or_default(),
            memory: memory(table)?,
        },
        "kill_node" => Action::KillNode {
            node: node_or_last(table)?,
            signal: table
                .word(
                    "signal",
                    &[("kill", KillSignal::Kill), ("term", KillSignal::Term)],
                )?
                .unwrap_or(KillSignal::Kill),
        },
        "stop_node" => Action::StopNode {
            node: node_or_last(table)?,
        },
        "start_node" => Action::StartNode {
            node: node_or_last(table)?,
        },
        "restart_node" => Action::RestartNode {
            node: node_or_last(table)?,
            down: table.time("down")?.unwrap_or(Duration::from_secs(1)),
            memory: memory(table)?,
        },
        "replace_node" => {
            table.word("spare", &[("empty", ())])?;
            Action::ReplaceNode {
                node: node_or_last(table)?,
            }
        }
        "rolling_restart" => Action::RollingRestart {
            down: table.time("down")?.unwrap_or(Duration::from_secs(1)),
            gap: table.time("gap")?.unwrap_or(Duration::from_secs(10)),
            batch: table.count("batch", 1, NODES_MAX)?.unwrap_or(1),
            memory: memory(table)?,
        },
        "drain_node" => {
            if table.boolean("copy")? == Some(true) {
                return Err(Diagnostic::new(
                    &table.place("copy"),
                    "a node that is drained copies nothing",
                    "expected copy = false; `warmup_route` fills new nodes from old ones",
                ));
            }
            Action::DrainNode {
                node: node_or_last(table)?,
                over: table.time("over")?.unwrap_or(Duration::from_secs(60)),
            }
        }
        "flush" => Action::Flush {
            stagger: table.time("delay")?.unwrap_or_default(),
        },
        "flush_node" => Action::FlushNode {
            node: node_or_last(table)?,
        },
        "set_hash" => match read_hash(table, "hash")? {
            Some(hash) => Action::SetHash { hash },
            None => return Err(table.error("`set_hash` does not say which", "expected hash = \"ketama\"")),
        },
        "warmup_route" => Action::WarmupRoute {
            step: warm_up(table)?,
        },
        "partition" => Action::Partition {
            node: node_or_replica(table)?,
            direction: table
                .word(
                    "direction",
                    &[
                        ("both", Direction::Both),
                        ("in", Direction::In),
                        ("out", Direction::Out),
                    ],
                )?
                .unwrap_or(Direction::Both),
            cut: cut(table)?,
        },
        "heal" => Action::Heal {
            node: if table.is_written("node") {
                Some(node_or_last(table)?)
            } else {
                None
            },
        },
        "slow_node" => {
            let node = node_or_last(table)?;
            let Some(delay) = table.time("delay")? else {
                return Err(table.error("`slow_node` does not say how slow", "expected delay = \"20ms\""));
            };
            Action::SlowNode {
                node,
                delay,
                until: table.time("until")?,
            }
        }
        "expire_hot" => Action::ExpireHot { rank: rank(table)? },
        "sync_expiry" => Action::SyncExpiry {
            fraction: table.number("fraction", 0.0, 1.0)?.unwrap_or(1.0),
        },
        "popularity_shift" => Action::PopularityShift { shift: shift(table)? },
        "rate" => match table.number("to", 1.0, 1_000_000.0)? {
            Some(to) => Action::Rate {
                to,
                over: table.time("over")?.unwrap_or_default(),
            },
            None => {
                return Err(table.error(
                    "`rate` does not say how much",
                    "expected to = 8000 (requests per second)",
                ));
            }
        },
        "shed" => match table.number("fraction", 0.0, 1.0)? {
            Some(fraction) => Action::Shed {
                fraction,
                over: table.time("over")?.unwrap_or(Duration::from_secs(30)),
                ramp: table.time("ramp")?.unwrap_or(RAMP),
            },
            None => {
                return Err(table.error(
                    "`shed` does not say how much",
                    "expected fraction = 0.9 (the share of the load turned away)",
                ));
            }
        },
        "backend" => backend(table)?,
        "exec" => match table.string("cmd")? {
            Some(command) => Action::Exec {
                command: command.to_owned(),
            },
            None => return Err(table.error("`exec` has no command", "expected cmd = \"kubectl …\"")),
        },
        "http" => http(table)?,
        "mark" => match table.string("text")? {
            Some(text) => Action::Mark {
                text: text.to_owned(),
            },
            None => return Err(table.error("`mark` has nothing to say", "expected text = \"deploy begins\"")),
        },
        unknown => {
            let message = format!("unknown action `{unknown}`");
            return Err(Diagnostic::new(
                &table.place("do"),
                message,
                one_of(unknown, &ACTIONS),
            ));
        }
    })
}

fn node_or_last(table: &mut Table<'_>) -> Result<NodeRef> {
    Ok(match table.string("node")? {
        None | Some("last") => NodeRef::Last,
        Some("random") => NodeRef::Random,
        Some("hottest") => NodeRef::Hottest,
        Some(name) => NodeRef::Name(name.to_owned()),
    })
}

/// Of a replicated pool a node may be called a replica.
fn node_or_replica(table: &mut Table<'_>) -> Result<NodeRef> {
    let node = node_or_last(table)?;
    match table.string("replica")? {
        Some(_) if table.is_written("node") => Err(Diagnostic::new(
            &table.place("replica"),
            "`replica` is another word for `node`",
            "expected one of the two",
        )),
        Some(name) => Ok(NodeRef::Name(name.to_owned())),
        None => Ok(node),
    }
}

fn memory(table: &mut Table<'_>) -> Result<Memory> {
    Ok(match table.boolean("warm")? {
        Some(true) => Memory::Warm,
        Some(false) | None => Memory::Cold,
    })
}

/// `on = false` ends it; `exptime` is `keep` or a time in whole seconds.
fn warm_up(table: &mut Table<'_>) -> Result<WarmUp> {
    if table.boolean("on")? == Some(false) {
        return Ok(WarmUp::Off);
    }
    let nodes = table.count("count", 1, NODES_MAX)?;
    // There is one pool to begin with.
    table.word("from", &[("main", ())])?;
    let exptime = match table.string("exptime")? {
        None | Some("keep") => None,
        Some(text) => match parse_time(text).filter(|time| *time >= Duration::from_secs(1)) {
            Some(time) => Some(time),
            None => {
                return Err(Diagnostic::new(
                    &table.place("exptime"),
                    format!("`{text}` is no TTL of a copy"),
                    "expected keep, or a time of a second or more, like 60s",
                ));
            }
        },
    };
    Ok(WarmUp::On { nodes, exptime })
}

/// `drop`, `reset`, `delay:20ms`.
fn cut(table: &mut Table<'_>) -> Result<Cut> {
    let Some(text) = table.string("mode")? else {
        return Ok(Cut::Drop);
    };
    match (text, text.strip_prefix("delay:").map(parse_time)) {
        ("drop", _) => Ok(Cut::Drop),
        ("reset", _) => Ok(Cut::Reset),
        (_, Some(Some(delay))) => Ok(Cut::Delay(delay)),
        _ => Err(Diagnostic::new(
            &table.place("mode"),
            format!("unknown mode `{text}`"),
            "expected drop, reset or delay:TIME, like delay:20ms",
        )),
    }
}

/// `rank:1`.
fn rank(table: &mut Table<'_>) -> Result<u64> {
    let Some(text) = table.string("key")? else {
        return Ok(1);
    };
    let rank = text.strip_prefix("rank:").and_then(|rank| rank.parse().ok());
    match rank.filter(|rank| *rank > 0) {
        Some(rank) => Ok(rank),
        None => Err(Diagnostic::new(
            &table.place("key"),
            format!("`{text}` is no key"),
            "expected rank:N; rank:1 is the most popular",
        )),
    }
}

fn shift(table: &mut Table<'_>) -> Result<Shift> {
    let rotate = table.integer("rotate", 1, 10_000_000)?;
    let reshuffle = table.boolean("reshuffle")?.unwrap_or(false);
    match (rotate, reshuffle) {
        (Some(by), false) => Ok(Shift::Rotate(by)),
        (None, true) => Ok(Shift::Reshuffle),
        _ => Err(table.error(
            "`popularity_shift` must say how, in one way",
            "expected rotate = 10000 (ranks) or reshuffle = true",
        )),
    }
}

fn backend(table: &mut Table<'_>) -> Result<Action> {
    let action = Action::Backend {
        capacity: table.number("capacity", 0.0, 10_000_000.0)?,
        latency: table.distribution("latency", Amounts::Seconds)?,
        fail: table.number("fail", 0.0, 1.0)?,
    };
    let nothing = Action::Backend {
        capacity: None,
        latency: None,
        fail: None,
    };
    if action == nothing {
        return Err(table.error(
            "`backend` changes nothing",
            "expected capacity = 100, latency = \"50ms\" or fail = 0.1",
        ));
    }
    Ok(action)
}

fn http(table: &mut Table<'_>) -> Result<Action> {
    let Some(url) = table.string("url")?.map(str::to_owned) else {
        return Err(table.error(
            "`http` has no url",
            "expected url = \"http://127.0.0.1:8080/scale\"",
        ));
    };
    let rest = url.strip_prefix("http://").unwrap_or_default();
    if rest.is_empty() || rest.starts_with('/') {
        return Err(Diagnostic::new(
            &table.place("url"),
            format!("`{url}` cannot be asked"),
            "expected http://HOST:PORT/PATH",
        ));
    }
    let body = table.string("body")?.unwrap_or_default().to_owned();
    let method = table
        .word(
            "method",
            &[
                ("GET", "GET"),
                ("POST", "POST"),
                ("PUT", "PUT"),
                ("DELETE", "DELETE"),
            ],
        )?
        .unwrap_or(if body.is_empty() { "GET" } else { "POST" })
        .to_owned();
    Ok(Action::Http { method, url, body })
}
