//! Looks at the nodes once a second: their statistics, their memory, their CPU time.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::time::MissedTickBehavior;

use crate::clock;
use crate::cluster::node_client::NodeClient;
use crate::cluster::{Cluster, procfs};
use crate::measure::outcome::{NodeRow, NodeTotal, Skew};

const PERIOD: Duration = Duration::from_secs(1);
const ROUTER: &str = "router";

/// A process to look at.
#[derive(Debug, Clone)]
struct Subject {
    name: String,
    /// Where to ask for statistics; a router is not asked.
    address: Option<SocketAddr>,
    pid: Option<u32>,
}

/// Counters as last read.
#[derive(Debug, Clone, Copy, Default)]
struct Counters {
    gets: u64,
    hits: u64,
    sets: u64,
    evictions: u64,
    items: u64,
    bytes: u64,
    cpu_nanos: Option<u64>,
}

/// What is known of the nodes.
#[derive(Debug, Default)]
pub(super) struct Watch {
    subjects: Vec<Subject>,
    last: HashMap<String, Counters>,
    totals: BTreeMap<String, NodeTotal>,
    rows: Vec<NodeRow>,
    versions: BTreeMap<String, String>,
}

/// Shared between the task that looks and the run that changes the cluster.
pub(super) type SharedWatch = Rc<RefCell<Watch>>;

/// Looks every second, until dropped.
pub(super) async fn watch(shared: SharedWatch, epoch: Instant) {
    let mut clients = HashMap::new();
    let mut tick = tokio::time::interval(PERIOD);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        look(&shared, epoch, &mut clients).await;
    }
}

/// One look at everything.
pub(super) async fn look(
    shared: &SharedWatch,
    epoch: Instant,
    clients: &mut HashMap<SocketAddr, NodeClient>,
) {
    let subjects = shared.borrow().subjects.clone();
    for subject in subjects {
        let stats = match subject.address {
            Some(address) => stats(address, clients).await,
            None => None,
        };
        let t = clock::now().saturating_duration_since(epoch).as_secs_f64();
        shared.borrow_mut().record(&subject, stats.as_ref(), t);
    }
}

async fn stats(
    address: SocketAddr,
    clients: &mut HashMap<SocketAddr, NodeClient>,
) -> Option<HashMap<String, String>> {
    let mut client = match clients.remove(&address) {
        Some(client) => client,
        None => NodeClient::connect(address).await.ok()?,
    };
    let stats = client.stats().await.ok()?;
    clients.insert(address, client);
    Some(stats)
}

impl Watch {
    /// The cluster as it is now: what to look at from now on.
    pub(super) fn follow(&mut self, cluster: &Cluster) {
        self.subjects = cluster
            .nodes()
            .iter()
            .map(|node| Subject {
                name: node.name.clone(),
                address: Some(node.address),
                pid: node.pid(),
            })
            .collect();
        for (name, pid) in cluster.router_pids() {
            self.subjects.push(Subject {
                name,
                address: None,
                pid: Some(pid),
            });
        }
    }

    fn record(&mut self, subject: &Subject, stats: Option<&HashMap<String, String>>, t: f64) {
        let cpu_nanos = subject.pid.and_then(procfs::cpu_nanos);
        let rss_bytes = subject.pid.and_then(procfs::rss_bytes);
        let up = stats.is_some() || (subject.address.is_none() && rss_bytes.is_some());
        let number = |name: &str| {
            stats
                .and_then(|stats| stats.get(name))
                .and_then(|text| text.parse::<u64>().ok())
                .unwrap_or_default()
        };
        let now = Counters {
            gets: number("cmd_get"),
            hits: number("get_hits"),
            sets: number("cmd_set"),
            evictions: number("evictions"),
            items: number("curr_items"),
            bytes: number("bytes"),
            cpu_nanos,
        };
        if let Some(version) = stats.and_then(|stats| stats.get("version")) {
            self.versions.insert(subject.name.clone(), version.clone());
        }
        let last = self.last.get(&subject.name).copied().unwrap_or_default();
        // A counter that went back belongs to a process that was started again.
        let since = |now: u64, last: u64| if now >= last { now - last } else { now };
        let cpu_seconds = cpu_nanos.map(|nanos| since(nanos, last.cpu_nanos.unwrap_or(0)) as f64 / 1e9);
        let row = NodeRow {
            t,
            node: subject.name.clone(),
            up,
            gets: since(now.gets, last.gets),
            hits: since(now.hits, last.hits),
            sets: since(now.sets, last.sets),
            evictions: since(now.evictions, last.evictions),
            items: now.items,
            bytes: now.bytes,
            rss_bytes,
            cpu_seconds,
        };
        let total = self
            .totals
            .entry(subject.name.clone())
            .or_insert_with(|| NodeTotal {
                node: subject.name.clone(),
                role: if subject.address.is_some() { "node" } else { ROUTER }.to_owned(),
                ..NodeTotal::default()
            });
        total.up = up;
        total.rss_bytes_max = total.rss_bytes_max.max(rss_bytes);
        if let Some(cpu) = cpu_seconds {
            total.cpu_seconds = Some(total.cpu_seconds.unwrap_or(0.0) + cpu);
        }
        if up && subject.address.is_some() {
            total.gets += row.gets;
            total.hits += row.hits;
            total.evictions += row.evictions;
            (total.items, total.bytes) = (now.items, now.bytes);
        } else if !up {
            (total.items, total.bytes) = (0, 0);
        }
        if up {
            self.last.insert(subject.name.clone(), now);
        } else {
            self.last.remove(&subject.name);
        }
        if subject.address.is_some() {
            self.rows.push(row);
        }
    }

    /// The last look at each node that is followed now, in the cluster's order.
    pub(super) fn latest(&self) -> Vec<&NodeRow> {
        let followed = self.subjects.iter().filter(|subject| subject.address.is_some());
        followed
            .filter_map(|subject| self.rows.iter().rev().find(|row| row.node == subject.name))
            .collect()
    }

    /// The looks at a node between two moments.
    pub(super) fn rows_of<'a>(
        &'a self,
        name: &'a str,
        from_seconds: f64,
        to_seconds: f64,
    ) -> impl Iterator<Item = &'a NodeRow> {
        let within = move |row: &&NodeRow| row.t >= from_seconds && row.t < to_seconds;
        self.rows
            .iter()
            .filter(move |row| row.node == name)
            .filter(within)
    }

    /// Gets per node so far, by name.
    pub(super) fn gets_of(&self, name: &str) -> u64 {
        self.totals.get(name).map_or(0, |total| total.gets)
    }

    /// CPU seconds of all nodes, and of the router.
    pub(super) fn cpu_seconds(&self) -> (f64, f64) {
        let of = |role: &str| {
            self.totals
                .values()
                .filter(|total| total.role == role)
                .filter_map(|total| total.cpu_seconds)
                .fold(0.0, |a, b| a + b)
        };
        (of("node"), of(ROUTER))
    }

    /// Rows, totals with their shares, skew over the nodes in `members`, and the versions the nodes told.
    pub(super) fn told(
        &self,
        members: &[String],
    ) -> (Vec<NodeRow>, Vec<NodeTotal>, Skew, BTreeMap<String, String>) {
        let mut totals: Vec<NodeTotal> = self.totals.values().cloned().collect();
        let nodes = |totals: &[NodeTotal], part: fn(&NodeTotal) -> u64| {
            totals
                .iter()
                .filter(|total| total.role == "node")
                .map(part)
                .sum::<u64>()
                .max(1) as f64
        };
        let (gets, items) = (
            nodes(&totals, |total| total.gets),
            nodes(&totals, |total| total.items),
        );
        for total in totals.iter_mut().filter(|total| total.role == "node") {
            total.get_share = total.gets as f64 / gets;
            total.item_share = total.items as f64 / items;
        }
        let over_mean = |part: fn(&NodeTotal) -> u64| {
            let values: Vec<u64> = totals
                .iter()
                .filter(|total| members.contains(&total.node))
                .map(part)
                .collect();
            let sum = values.iter().sum::<u64>();
            let max = values.iter().max().copied()?;
            (sum > 0).then(|| max as f64 * values.len() as f64 / sum as f64)
        };
        let skew = Skew {
            requests: over_mean(|total| total.gets),
            items: over_mean(|total| total.items),
            bytes: over_mean(|total| total.bytes),
            predicted_share_sd: None,
        };
        (self.rows.clone(), totals, skew, self.versions.clone())
    }
}
