//! Reads `[[event]]`: what to do, to which node, when; and plays the node list through so that no event meets a node that is not there.

use std::collections::BTreeMap;
use std::time::Duration;

use super::diagnostic::{Diagnostic, Origin, one_of};
use super::hash::parse_hash;
use super::reader::Table;
use super::timeline;
use super::{Action, ClusterMode, ClusterSpec, Event, Moment, NodeRef, Phase};

type Result<T> = std::result::Result<T, Diagnostic>;

const EVENTS_MAX: usize = 1_000;
const NODES_MAX: usize = 64;

/// Every action's name, in the order the manual tells them.
pub(super) const ACTIONS: [&str; 9] = [
    "add_node",
    "remove_node",
    "kill_node",
    "restart_node",
    "flush",
    "flush_node",
    "set_hash",
    "rate",
    "mark",
];

pub(super) fn events(tables: Vec<Table<'_>>, cluster: &ClusterSpec, phases: &[Phase]) -> Result<Vec<Event>> {
    if let Some(table) = tables.get(EVENTS_MAX) {
        return Err(table.error("too many events", format!("expected at most {EVENTS_MAX}")));
    }
    let mut read = Vec::with_capacity(tables.len());
    for mut table in tables {
        let Some(at_text) = table.string("at")?.map(str::to_owned) else {
            return Err(table.error(
                "an event has no moment",
                "expected at = \"t+60s\" or \"PHASE+5s\"",
            ));
        };
        let at = timeline::moment(&at_text, &table.place("at"), phases)?;
        let place = table.place("node");
        let do_place = table.place("do");
        let action = action(&mut table)?;
        refuse_if_attached(&action, cluster, &do_place)?;
        table.finish()?;
        read.push((
            Event { at, action, at_text },
            if place == do_place {
                do_place.clone()
            } else {
                place
            },
            do_place,
        ));
    }
    let moments: Vec<Moment> = read.iter().map(|(event, ..)| event.at.clone()).collect();
    let ordered: Vec<(Event, Origin, Origin)> = timeline::order(&moments, phases)
        .into_iter()
        .map(|index| read[index].clone())
        .collect();
    play_through(&ordered, cluster)?;
    Ok(ordered.into_iter().map(|(event, ..)| event).collect())
}

/// Reads `do` and its arguments.
pub(super) fn action(table: &mut Table<'_>) -> Result<Action> {
    let Some(name) = table.string("do")? else {
        return Err(table.error(
            "an event says nothing to do",
            format!("expected do = one of: {}", ACTIONS.join(", ")),
        ));
    };
    match name {
        "add_node" => Ok(Action::AddNode {
            count: table.count("count", 1, NODES_MAX)?.unwrap_or(1),
        }),
        "remove_node" => Ok(Action::RemoveNode {
            node: node_or_last(table)?,
        }),
        "kill_node" => Ok(Action::KillNode {
            node: node_or_last(table)?,
        }),
        "restart_node" => {
            let node = node_or_last(table)?;
            Ok(Action::RestartNode {
                node,
                down: table.time("down")?.unwrap_or(Duration::from_secs(1)),
            })
        }
        "flush" => Ok(Action::Flush),
        "flush_node" => Ok(Action::FlushNode {
            node: node_or_last(table)?,
        }),
        "set_hash" => match table.string("hash")? {
            Some(text) => Ok(Action::SetHash {
                hash: parse_hash(text, &table.place("hash"))?,
            }),
            None => Err(table.error("`set_hash` does not say which", "expected hash = \"ketama\"")),
        },
        "rate" => match table.number("to", 1.0, 1_000_000.0)? {
            Some(to) => Ok(Action::Rate { to }),
            None => Err(table.error(
                "`rate` does not say how much",
                "expected to = 8000 (requests per second)",
            )),
        },
        "mark" => match table.string("text")? {
            Some(text) => Ok(Action::Mark {
                text: text.to_owned(),
            }),
            None => Err(table.error("`mark` has nothing to say", "expected text = \"deploy begins\"")),
        },
        unknown => {
            let message = format!("unknown action `{unknown}`");
            Err(Diagnostic::new(
                &table.place("do"),
                message,
                one_of(unknown, &ACTIONS),
            ))
        }
    }
}

fn node_or_last(table: &mut Table<'_>) -> Result<NodeRef> {
    Ok(match table.string("node")? {
        None | Some("last") => NodeRef::Last,
        Some("random") => NodeRef::Random,
        Some("hottest") => NodeRef::Hottest,
        Some(name) => NodeRef::Name(name.to_owned()),
    })
}

/// A cluster somebody else runs has no processes for us to start or stop.
fn refuse_if_attached(action: &Action, cluster: &ClusterSpec, place: &Origin) -> Result<()> {
    if !matches!(cluster.mode, ClusterMode::Attach { .. }) {
        return Ok(());
    }
    match action {
        Action::Rate { .. } | Action::Mark { .. } => Ok(()),
        _ => Err(Diagnostic::new(
            place,
            "an attached cluster is not ours to change",
            "expected `rate` or `mark`; change the cluster with its own tools, or let loadtest manage one",
        )),
    }
}

/// Follows the node list from event to event. A `random`, `hottest` or `last` node is some node that is up.
fn play_through(events: &[(Event, Origin, Origin)], cluster: &ClusterSpec) -> Result<()> {
    let mut nodes: BTreeMap<String, bool> = (0..cluster.nodes)
        .map(|index| (ClusterSpec::node_name(index), true))
        .collect();
    let mut next = cluster.nodes;
    for (event, node_place, do_place) in events {
        let up = nodes.values().filter(|up| **up).count();
        match &event.action {
            Action::AddNode { count } => {
                for _ in 0..*count {
                    nodes.insert(ClusterSpec::node_name(next), true);
                    next += 1;
                }
                if nodes.len() > NODES_MAX {
                    return Err(Diagnostic::new(
                        do_place,
                        "too many nodes",
                        format!("expected at most {NODES_MAX} at once"),
                    ));
                }
            }
            Action::RemoveNode { node }
            | Action::KillNode { node }
            | Action::RestartNode { node, .. }
            | Action::FlushNode { node } => {
                let name = check_node(node, &nodes, node_place)?;
                let (removes, kills) = (
                    matches!(event.action, Action::RemoveNode { .. }),
                    matches!(event.action, Action::KillNode { .. }),
                );
                if (removes && nodes.len() == 1) || (kills && up <= 1) {
                    return Err(Diagnostic::new(
                        do_place,
                        "no node would be left",
                        "expected a cluster of at least two nodes here",
                    ));
                }
                let victim = name.or_else(|| {
                    nodes
                        .iter()
                        .rev()
                        .find(|(_, up)| **up)
                        .map(|(name, _)| name.clone())
                });
                if let Some(victim) = victim {
                    if removes {
                        nodes.remove(&victim);
                    } else if kills {
                        nodes.insert(victim, false);
                    }
                }
            }
            Action::Flush | Action::SetHash { .. } | Action::Rate { .. } | Action::Mark { .. } => {}
        }
    }
    Ok(())
}

/// The node's name if it was given by name and is up then.
fn check_node(node: &NodeRef, nodes: &BTreeMap<String, bool>, place: &Origin) -> Result<Option<String>> {
    let NodeRef::Name(name) = node else {
        return Ok(None);
    };
    let mut valid: Vec<&str> = nodes
        .iter()
        .filter(|(_, up)| **up)
        .map(|(name, _)| name.as_str())
        .collect();
    match nodes.get(name) {
        Some(true) => Ok(Some(name.clone())),
        down => {
            valid.extend(["last", "random", "hottest"]);
            let message = if down.is_some() {
                format!("node `{name}` is down at that moment")
            } else {
                format!("no node `{name}` at that moment")
            };
            Err(Diagnostic::new(place, message, one_of(name, &valid)))
        }
    }
}
