//! Follows the node list from event to event, so that none meets a node that is not there.

use std::collections::BTreeMap;

use super::Result;
use crate::scenario::diagnostic::{Diagnostic, Origin, one_of};
use crate::scenario::{Action, ClusterMode, ClusterSpec, Event, NodeRef, WarmUp};

/// More nodes than this on one machine measure the machine.
pub(super) const NODES_MAX: usize = 64;

/// Nodes in the list, and whether each is up.
struct Nodes {
    up: BTreeMap<String, bool>,
    next: usize,
    /// How many stand behind the pool while it warms up.
    behind: Option<usize>,
}

/// Plays all events through. A `random`, `hottest` or `last` node is some node that is up.
pub(super) fn through(events: &[(Event, Origin, Origin)], cluster: &ClusterSpec) -> Result<()> {
    let names: Vec<String> = match &cluster.mode {
        ClusterMode::Managed | ClusterMode::Embedded => {
            (0..cluster.nodes).map(ClusterSpec::node_name).collect()
        }
        ClusterMode::Attach { nodes, .. } => nodes
            .iter()
            .map(|node| {
                node.split_once('=')
                    .map_or(node.as_str(), |(name, _)| name)
                    .to_owned()
            })
            .collect(),
    };
    let mut nodes = Nodes {
        up: names.into_iter().map(|name| (name, true)).collect(),
        next: cluster.nodes,
        behind: None,
    };
    for (event, node_place, do_place) in events {
        nodes.play(&event.action, node_place, do_place)?;
    }
    Ok(())
}

impl Nodes {
    fn play(&mut self, action: &Action, node_place: &Origin, do_place: &Origin) -> Result<()> {
        match action {
            Action::AddNode { count } => return self.start(*count, do_place),
            Action::WarmupRoute { step } => return self.warm_up(*step, do_place),
            _ => {}
        }
        let Some(node) = action.node() else {
            return Ok(());
        };
        let starts = matches!(action, Action::StartNode { .. });
        let Some(name) = self.find(node, !starts, node_place)? else {
            return Err(Diagnostic::new(
                do_place,
                "every node is up at that moment",
                "expected a `kill_node` or `stop_node` before it",
            ));
        };
        let running = self.up.values().filter(|up| **up).count();
        let leaves = matches!(action, Action::RemoveNode { .. } | Action::DrainNode { .. });
        let ends = matches!(
            action,
            Action::KillNode { .. } | Action::StopNode { .. } | Action::Partition { .. }
        );
        if (leaves && self.up.len() == 1) || (ends && running <= 1) {
            return Err(Diagnostic::new(
                do_place,
                "no node would be left",
                "expected a cluster of at least two nodes here",
            ));
        }
        match action {
            Action::RemoveNode { .. } | Action::DrainNode { .. } => {
                self.up.remove(&name);
            }
            Action::KillNode { .. } | Action::StopNode { .. } => {
                self.up.insert(name, false);
            }
            Action::StartNode { .. } => {
                self.up.insert(name, true);
            }
            _ => {}
        }
        Ok(())
    }

    fn start(&mut self, count: usize, do_place: &Origin) -> Result<()> {
        for _ in 0..count {
            self.up.insert(ClusterSpec::node_name(self.next), true);
            self.next += 1;
        }
        if self.up.len() + self.behind.unwrap_or(0) > NODES_MAX {
            return Err(Diagnostic::new(
                do_place,
                "too many nodes",
                format!("expected at most {NODES_MAX} at once"),
            ));
        }
        Ok(())
    }

    /// The nodes that were the pool are out of the list from the beginning on, and gone after the end.
    fn warm_up(&mut self, step: WarmUp, do_place: &Origin) -> Result<()> {
        match (step, self.behind) {
            (WarmUp::On { nodes, .. }, None) => {
                let old = std::mem::take(&mut self.up);
                self.behind = Some(old.len());
                self.start(nodes.unwrap_or(old.len()), do_place)
            }
            (WarmUp::Off, Some(_)) => {
                self.behind = None;
                Ok(())
            }
            (WarmUp::On { .. }, Some(_)) => Err(Diagnostic::new(
                do_place,
                "a warm-up is under way at that moment",
                "expected a `warmup_route` with on = false before it",
            )),
            (WarmUp::Off, None) => Err(Diagnostic::new(
                do_place,
                "no warm-up is under way at that moment",
                "expected a `warmup_route` before it",
            )),
        }
    }

    /// The node meant: by name, or the last that is up (or down). `None` when there is none in that state.
    fn find(&self, node: &NodeRef, up: bool, place: &Origin) -> Result<Option<String>> {
        let candidates: Vec<&str> = self
            .up
            .iter()
            .filter(|(_, is_up)| **is_up == up)
            .map(|(name, _)| name.as_str())
            .collect();
        let NodeRef::Name(name) = node else {
            return Ok(candidates.last().map(|name| (*name).to_owned()));
        };
        if candidates.contains(&name.as_str()) {
            return Ok(Some(name.clone()));
        }
        let message = match self.up.get(name) {
            Some(true) => format!("node `{name}` is up at that moment"),
            Some(false) => format!("node `{name}` is down at that moment"),
            None => format!("no node `{name}` at that moment"),
        };
        let mut valid = candidates;
        valid.extend(["last", "random", "hottest"]);
        Err(Diagnostic::new(place, message, one_of(name, &valid)))
    }
}
