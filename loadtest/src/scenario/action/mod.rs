//! What an event does: the actions of the scenario language, and what the rest of the program needs to know of each.

mod describe;

use std::time::Duration;

use cluster::HashKind;

use super::Distribution;

/// Every action's name, in the order the manual tells them.
pub(super) const ACTIONS: [&str; 25] = [
    "add_node",
    "remove_node",
    "kill_node",
    "stop_node",
    "start_node",
    "restart_node",
    "replace_node",
    "rolling_restart",
    "drain_node",
    "flush",
    "flush_node",
    "set_hash",
    "warmup_route",
    "partition",
    "heal",
    "slow_node",
    "expire_hot",
    "sync_expiry",
    "popularity_shift",
    "rate",
    "shed",
    "backend",
    "exec",
    "http",
    "mark",
];

#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Start `count` nodes and put them into the pool.
    AddNode {
        count: usize,
    },
    /// Planned: out of the pool first, then stopped, `drain` later.
    RemoveNode {
        node: NodeRef,
        drain: Duration,
    },
    /// A signal without warning; the pool's list follows `on_node_down`.
    KillNode {
        node: NodeRef,
        signal: KillSignal,
    },
    /// SIGTERM: the node drains its connections and ends. The pool's list follows `on_node_down`.
    StopNode {
        node: NodeRef,
    },
    /// A node that was killed or stopped runs again, empty, at its old address.
    StartNode {
        node: NodeRef,
    },
    /// Kill, wait `down`, start again: empty, or with the memory it had.
    RestartNode {
        node: NodeRef,
        down: Duration,
        memory: Memory,
    },
    /// An empty spare takes a healthy node's place in the list: same name, same keys, nothing in memory.
    ReplaceNode {
        node: NodeRef,
    },
    /// Every node in turn, `batch` at a time, `gap` between one batch's return and the next one's end.
    RollingRestart {
        down: Duration,
        gap: Duration,
        batch: usize,
        memory: Memory,
    },
    /// Its weight goes to nothing in steps; it stays up.
    DrainNode {
        node: NodeRef,
        over: Duration,
    },
    /// `flush_all` on every node, `stagger` between one and the next.
    Flush {
        stagger: Duration,
    },
    FlushNode {
        node: NodeRef,
    },
    /// The same servers under another hash.
    SetHash {
        hash: HashKind,
    },
    /// New, empty nodes become the pool; those that were it go on behind it.
    WarmupRoute {
        step: WarmUp,
    },
    /// The node can no longer be reached (or no longer answers), though it runs.
    Partition {
        node: NodeRef,
        direction: Direction,
        cut: Cut,
    },
    /// Ends partitions and slowness of one node, or of all.
    Heal {
        node: Option<NodeRef>,
    },
    /// Every answer comes this much later.
    SlowNode {
        node: NodeRef,
        delay: Duration,
        until: Option<Duration>,
    },
    /// The key at this rank (1 is the most popular) expires now.
    ExpireHot {
        rank: u64,
    },
    /// This share of the stored keys gets the scenario's TTL anew, all at this moment.
    SyncExpiry {
        fraction: f64,
    },
    /// Other keys become popular.
    PopularityShift {
        shift: Shift,
    },
    /// Another request rate, reached in a straight line over `over`.
    Rate {
        to: f64,
        over: Duration,
    },
    /// Turns this share of the load away for `over`, then lets it back in over `ramp`.
    Shed {
        fraction: f64,
        over: Duration,
        ramp: Duration,
    },
    /// The backing store gets slower, smaller or unreliable. What is not given stays.
    Backend {
        capacity: Option<f64>,
        latency: Option<Distribution>,
        fail: Option<f64>,
    },
    /// A shell command of the user's: drives an orchestrator.
    Exec {
        command: String,
    },
    /// A request to a URL of the user's, with its method and body.
    Http {
        method: String,
        url: String,
        body: String,
    },
    /// A note on the chart.
    Mark {
        text: String,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeRef {
    /// `node2`.
    Name(String),
    /// Drawn from the seed.
    Random,
    /// The one with the largest share of requests so far.
    Hottest,
    /// The last in the list.
    Last,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KillSignal {
    Kill,
    Term,
}

/// What a node comes back with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Memory {
    Cold,
    /// The memory file it left (`cache-node --persist`).
    Warm,
}

/// The two halves of a move to another pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WarmUp {
    /// So many new nodes become the pool (as many as there are if nothing is said). What they lack is asked of the old
    /// ones and copied, with the TTL it has left or with this one.
    On {
        nodes: Option<usize>,
        exptime: Option<Duration>,
    },
    /// The old nodes leave.
    Off,
}

/// Which way bytes stop: as the node sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    Both,
    /// Requests do not arrive.
    In,
    /// Answers do not get out: the node carries out what nobody hears of.
    Out,
}

/// How a partition looks to the other side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Silence, as when packets are lost.
    Drop,
    /// Connections are reset, new ones too.
    Reset,
    Delay(Duration),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shift {
    /// Every key moves so many ranks on; the last ones become the first.
    Rotate(u64),
    /// Another random order.
    Reshuffle,
}

impl Action {
    /// The word of the file.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::AddNode { .. } => "add_node",
            Self::RemoveNode { .. } => "remove_node",
            Self::KillNode { .. } => "kill_node",
            Self::StopNode { .. } => "stop_node",
            Self::StartNode { .. } => "start_node",
            Self::RestartNode { .. } => "restart_node",
            Self::ReplaceNode { .. } => "replace_node",
            Self::RollingRestart { .. } => "rolling_restart",
            Self::DrainNode { .. } => "drain_node",
            Self::Flush { .. } => "flush",
            Self::FlushNode { .. } => "flush_node",
            Self::SetHash { .. } => "set_hash",
            Self::WarmupRoute { .. } => "warmup_route",
            Self::Partition { .. } => "partition",
            Self::Heal { .. } => "heal",
            Self::SlowNode { .. } => "slow_node",
            Self::ExpireHot { .. } => "expire_hot",
            Self::SyncExpiry { .. } => "sync_expiry",
            Self::PopularityShift { .. } => "popularity_shift",
            Self::Rate { .. } => "rate",
            Self::Shed { .. } => "shed",
            Self::Backend { .. } => "backend",
            Self::Exec { .. } => "exec",
            Self::Http { .. } => "http",
            Self::Mark { .. } => "mark",
        }
    }

    /// The node it is about, if it is about one.
    #[must_use]
    pub fn node(&self) -> Option<&NodeRef> {
        match self {
            Self::RemoveNode { node, .. }
            | Self::KillNode { node, .. }
            | Self::StopNode { node }
            | Self::StartNode { node }
            | Self::RestartNode { node, .. }
            | Self::ReplaceNode { node }
            | Self::DrainNode { node, .. }
            | Self::FlushNode { node }
            | Self::Partition { node, .. }
            | Self::SlowNode { node, .. } => Some(node),
            Self::Heal { node } => node.as_ref(),
            Self::AddNode { .. }
            | Self::RollingRestart { .. }
            | Self::Flush { .. }
            | Self::SetHash { .. }
            | Self::WarmupRoute { .. }
            | Self::ExpireHot { .. }
            | Self::SyncExpiry { .. }
            | Self::PopularityShift { .. }
            | Self::Rate { .. }
            | Self::Shed { .. }
            | Self::Backend { .. }
            | Self::Exec { .. }
            | Self::Http { .. }
            | Self::Mark { .. } => None,
        }
    }

    /// Whether its card has a warm rate, a dip and a recovery: it does something to what the cache holds.
    #[must_use]
    pub fn changes_cluster(&self) -> bool {
        changes_cluster(self.name())
    }

    /// Whether theory says beforehand what it costs.
    #[must_use]
    pub fn is_foreseen(&self) -> bool {
        matches!(
            self,
            Self::AddNode { .. }
                | Self::RemoveNode { .. }
                | Self::KillNode { .. }
                | Self::StopNode { .. }
                | Self::RestartNode { .. }
                | Self::ReplaceNode { .. }
                | Self::DrainNode { .. }
                | Self::Flush { .. }
                | Self::FlushNode { .. }
                | Self::SetHash { .. }
                | Self::WarmupRoute { .. }
                | Self::PopularityShift {
                    shift: Shift::Reshuffle
                }
        )
    }

    /// Whether nodes must stand behind a relay of ours for it.
    #[must_use]
    pub fn needs_relay(&self) -> bool {
        matches!(self, Self::Partition { .. } | Self::SlowNode { .. })
    }

    /// Whether nodes must keep their memory across a stop for it.
    #[must_use]
    pub fn keeps_memory(&self) -> bool {
        let (Self::RestartNode { memory, .. } | Self::RollingRestart { memory, .. }) = self else {
            return false;
        };
        *memory == Memory::Warm
    }

    /// Stretches its own times with the timeline.
    pub(super) fn scale_time(&mut self, factor: f64) {
        let scale = |time: &mut Duration| *time = time.mul_f64(factor);
        match self {
            Self::RemoveNode { drain: time, .. }
            | Self::RestartNode { down: time, .. }
            | Self::DrainNode { over: time, .. }
            | Self::Flush { stagger: time }
            | Self::Rate { over: time, .. }
            | Self::SlowNode {
                until: Some(time), ..
            } => scale(time),
            Self::RollingRestart { down, gap, .. } => {
                scale(down);
                scale(gap);
            }
            Self::Shed { over, ramp, .. } => {
                scale(over);
                scale(ramp);
            }
            _ => {}
        }
    }

    /// Whether it runs or reaches something of the user's choosing.
    #[must_use]
    pub fn reaches_out(&self) -> bool {
        matches!(self, Self::Exec { .. } | Self::Http { .. })
    }
}

/// The same by an action's name, as a run's artefacts keep it.
#[must_use]
pub fn changes_cluster(name: &str) -> bool {
    !matches!(name, "rate" | "shed" | "backend" | "mark" | "rolling_restart")
}
