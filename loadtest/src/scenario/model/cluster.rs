//! `[cluster]`: which nodes there are, what stands before them, what happens when one dies.

use std::path::PathBuf;

use cluster::HashKind;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq)]
pub struct ClusterSpec {
    pub mode: ClusterMode,
    /// Nodes at the start, 1 to 64. Named `node1`, `node2`, …; an added node takes the next free number.
    pub nodes: usize,
    pub node: NodeSpec,
    /// `None`: direct mode, the load generator hashes for itself and talks to the nodes.
    pub router: Option<RouterSpec>,
    pub hash: HashKind,
    /// Every node holds every key (the router's replicated pool) instead of its share.
    pub replicated: bool,
    pub on_node_down: OnNodeDown,
}

impl ClusterSpec {
    /// Name of the `index`-th node (0-based): `node1` for 0.
    #[must_use]
    pub fn node_name(index: usize) -> String {
        format!("node{}", index + 1)
    }

    /// Name of the `index`-th node of the gutter (0-based).
    #[must_use]
    pub fn gutter_name(index: usize) -> String {
        format!("gutter{}", index + 1)
    }

    /// Spare nodes that stand by for dead ones.
    #[must_use]
    pub fn gutter(&self) -> usize {
        match self.on_node_down {
            OnNodeDown::Gutter(nodes) => nodes,
            OnNodeDown::Miss | OnNodeDown::Failover | OnNodeDown::Eject | OnNodeDown::Error => 0,
        }
    }

    /// Whether the keys of a node that is away go somewhere else while the list stays.
    #[must_use]
    pub fn fails_over(&self) -> bool {
        matches!(self.on_node_down, OnNodeDown::Failover | OnNodeDown::Gutter(_))
    }
}

#[derive(Debug, Clone, PartialEq)]
pub enum ClusterMode {
    /// Real processes on loopback, started and stopped by the run.
    Managed,
    /// Nodes and router as threads of this process: fast and self-contained; cannot be killed with a signal.
    Embedded,
    /// Somebody else's cluster. Only events that go through the router or the protocol are possible.
    Attach {
        router: Option<String>,
        router_admin: Option<String>,
        nodes: Vec<String>,
    },
}

#[derive(Debug, Clone, PartialEq)]
pub struct NodeSpec {
    /// Memory limit of each node, bytes (`-m`).
    pub memory_bytes: u64,
    pub threads: usize,
    /// Extra arguments for the node's command line.
    pub args: Vec<String>,
    /// What it spreads TTLs by, if `[workload]` says.
    pub ttl_jitter: Option<f64>,
    /// Another memcached-speaking program to start instead of our own cache-node (it gets `-l 127.0.0.1 -p PORT -m MiB -t N -U 0`).
    pub program: Option<PathBuf>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct RouterSpec {
    /// A configuration file of the user's, whose pools are filled in; made as we would write it if it is not there.
    pub config: Option<PathBuf>,
    /// Routers, each before all nodes; the clients' connections are spread over them.
    pub processes: usize,
    pub threads: usize,
    pub args: Vec<String>,
}

impl Default for RouterSpec {
    fn default() -> Self {
        Self {
            config: None,
            processes: 1,
            threads: 1,
            args: Vec::new(),
        }
    }
}

/// What happens to the keys of a node that died (not removed on purpose).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnNodeDown {
    /// Its keys miss until it is back; the server list stays (the router's default).
    Miss,
    /// The server list stays, and whoever cannot be asked is passed over: the next node in the key's own order is.
    Failover,
    /// Its keys go to the other nodes until it is back: the server list shrinks.
    Eject,
    /// As `miss`, but a get of its keys is an error and not a miss: what the backing store says is stored nowhere.
    Error,
    /// Its keys go to so many spare nodes that stand by empty, and do not stay there for long.
    Gutter(usize),
}
