//! Follows the node list from event to event, so that none meets a node that is not there.

use std::collections::BTreeMap;

use super::Result;
use crate::scenario::diagnostic::{Diagnostic, Origin, one_of};
use crate::scenario::{Action, ClusterMode, ClusterSpec, Event, NodeRef};

/// More nodes than this on one machine measure the machine.
pub(super) const NODES_MAX: usize = 64;

/// Nodes in the list, and whether each is up.
struct Nodes {
    up: BTreeMap<String, bool>,
    next: usize,
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
    };
    for (event, node_place, do_place) in events {
        nodes.play(&event.action, node_place, do_place)?;
    }
    Ok(())
}

impl Nodes {
    fn play(&mut self, action: &Action, node_place: &Origin, do_place: &Origin) -> Result<()> {
        if let Action::AddNode { count } = action {
            for _ in 0..*count {
                self.up.insert(ClusterSpec::node_name(self.next), true);
                self.next += 1;
            }
            if self.up.len() > NODES_MAX {
                return Err(Diagnostic::new(
                    do_place,
                    "too many nodes",
                    format!("expected at most {NODES_MAX} at once"),
                ));
            }
            return Ok(());
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
