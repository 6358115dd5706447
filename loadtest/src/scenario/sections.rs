//! Reads `[cluster]`, `[backend]`, `[search]` and `[check]`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::diagnostic::{Diagnostic, Origin};
use super::hash::read_hash;
use super::reader::{Amounts, Table, as_string};
use super::tree::{Node, Value};
use super::{
    BackendSpec, CheckSpec, ClusterMode, ClusterSpec, Distribution, Load, LoadMode, NodeSpec, OnNodeDown,
    QueueOrder, RouterSpec, Search,
};

type Result<T> = std::result::Result<T, Diagnostic>;

/// More nodes than this on one machine measure the machine.
const NODES_MAX: usize = 64;
const THREADS_MAX: usize = 64;
const MIB: u64 = 1 << 20;

pub(super) fn cluster(mut table: Table<'_>, allow_remote: bool) -> Result<ClusterSpec> {
    let mode = table.word(
        "mode",
        &[
            ("managed", Mode::Managed),
            ("embedded", Mode::Embedded),
            ("attach", Mode::Attach),
        ],
    )?;
    let mode = mode.unwrap_or(Mode::Managed);
    let hash = read_hash(&mut table, "hash")?.unwrap_or_default();
    let on_node_down = on_node_down(&mut table)?;
    let replicated = table.boolean("replicated")?.unwrap_or(false);
    let node = node(table.table("node", "[cluster.node]")?)?;
    let (mode, nodes, router) = match mode {
        Mode::Attach => {
            let attached = attach(&mut table, allow_remote)?;
            let count = match &attached {
                ClusterMode::Attach { nodes, .. } => nodes.len(),
                ClusterMode::Managed | ClusterMode::Embedded => 0,
            };
            (attached, count, None)
        }
        Mode::Managed | Mode::Embedded => {
            let nodes = table.count("nodes", 1, NODES_MAX)?.unwrap_or(4);
            let router = match table.get("router") {
                Some(node) => router(node)?,
                None => None,
            };
            let mode = if matches!(mode, Mode::Managed) {
                ClusterMode::Managed
            } else {
                ClusterMode::Embedded
            };
            if matches!(mode, ClusterMode::Embedded) && node.program.is_some() {
                return Err(Diagnostic::new(
                    &table.place("node"),
                    "an embedded cluster cannot run another program",
                    "expected mode = \"managed\", or no `program`",
                ));
            }
            (mode, nodes, router)
        }
    };
    if replicated && router.is_none() && !matches!(mode, ClusterMode::Attach { router: Some(_), .. }) {
        return Err(Diagnostic::new(
            &table.place("replicated"),
            "a replicated pool needs a router",
            "expected router = {}, or replicated = false",
        ));
    }
    if matches!(on_node_down, OnNodeDown::Gutter(_)) && (replicated || router.is_none()) {
        return Err(Diagnostic::new(
            &table.place("on_node_down"),
            "a gutter needs a router before a sharded pool of ours",
            "expected router = {} and no `replicated`, or another `on_node_down`",
        ));
    }
    table.finish()?;
    Ok(ClusterSpec {
        mode,
        nodes,
        node,
        router,
        hash,
        replicated,
        on_node_down,
    })
}

/// `miss`, `eject` or `gutter(N)`.
fn on_node_down(table: &mut Table<'_>) -> Result<OnNodeDown> {
    let Some(text) = table.string("on_node_down")? else {
        return Ok(OnNodeDown::Miss);
    };
    let gutter = text
        .strip_prefix("gutter(")
        .and_then(|rest| rest.strip_suffix(')'))
        .and_then(|nodes| nodes.parse().ok())
        .filter(|nodes| (1..=NODES_MAX).contains(nodes));
    match (text, gutter) {
        ("miss", _) => Ok(OnNodeDown::Miss),
        ("eject", _) => Ok(OnNodeDown::Eject),
        (_, Some(nodes)) => Ok(OnNodeDown::Gutter(nodes)),
        (unknown, None) => Err(Diagnostic::new(
            &table.place("on_node_down"),
            format!("unknown on_node_down `{unknown}`"),
            "expected miss, eject or gutter(N), like gutter(1)",
        )),
    }
}

#[derive(Debug, Clone, Copy)]
enum Mode {
    Managed,
    Embedded,
    Attach,
}

fn attach(table: &mut Table<'_>, allow_remote: bool) -> Result<ClusterMode> {
    let mut address = |key: &'static str| -> Result<Option<String>> {
        let Some(text) = table.string(key)? else {
            return Ok(None);
        };
        check_address(text, &table.place(key), allow_remote)?;
        Ok(Some(text.to_owned()))
    };
    let router = address("router")?;
    let router_admin = address("admin")?;
    let place = table.place("nodes");
    let nodes: Vec<String> = table
        .strings("nodes")?
        .unwrap_or_default()
        .into_iter()
        .map(str::to_owned)
        .collect();
    for node in &nodes {
        check_address(
            node.split_once('=').map_or(node.as_str(), |(_, address)| address),
            &place,
            allow_remote,
        )?;
    }
    if nodes.is_empty() {
        return Err(table.error(
            "an attached cluster needs its nodes",
            "expected nodes = [\"node1=127.0.0.1:11211\", …]",
        ));
    }
    Ok(ClusterMode::Attach {
        router,
        router_admin,
        nodes,
    })
}

/// `HOST:PORT` on this machine, unless remote addresses were allowed.
fn check_address(text: &str, place: &Origin, allow_remote: bool) -> Result<()> {
    let host = text
        .rsplit_once(':')
        .filter(|(_, port)| port.parse::<u16>().is_ok())
        .map(|(host, _)| host);
    let Some(host) = host.filter(|host| !host.is_empty()) else {
        return Err(Diagnostic::new(
            place,
            format!("`{text}` is not an address"),
            "expected HOST:PORT, like 127.0.0.1:11211",
        ));
    };
    let loopback = host == "localhost"
        || text
            .parse::<SocketAddr>()
            .is_ok_and(|address| address.ip().is_loopback());
    if loopback || allow_remote {
        return Ok(());
    }
    Err(Diagnostic::new(
        place,
        format!("`{text}` is not on this machine"),
        "expected a loopback address, or --allow-remote if that cluster is yours to load",
    ))
}

fn node(mut table: Table<'_>) -> Result<NodeSpec> {
    let place = table.place("memory");
    let memory_bytes = table.bytes("memory")?.unwrap_or(64 * MIB);
    if memory_bytes < MIB {
        return Err(Diagnostic::new(
            &place,
            "`memory` is too small",
            "expected at least 1MiB",
        ));
    }
    let threads = table.count("threads", 1, THREADS_MAX)?.unwrap_or(1);
    let args = table
        .strings("args")?
        .unwrap_or_default()
        .into_iter()
        .map(str::to_owned)
        .collect();
    let program = table.string("program")?.map(PathBuf::from);
    table.finish()?;
    Ok(NodeSpec {
        memory_bytes,
        threads,
        args,
        ttl_jitter: None,
        program,
    })
}

/// `router = true`, `false` or a table of settings.
fn router(node: &Node) -> Result<Option<RouterSpec>> {
    if let Value::Boolean(on) = node.value {
        return Ok(on.then(|| RouterSpec {
            threads: 1,
            args: Vec::new(),
        }));
    }
    let mut table = Table::new(node, "[cluster.router]")?;
    let threads = table.count("threads", 1, THREADS_MAX)?.unwrap_or(1);
    let args = table
        .strings("args")?
        .unwrap_or_default()
        .into_iter()
        .map(str::to_owned)
        .collect();
    table.finish()?;
    Ok(Some(RouterSpec { threads, args }))
}

pub(super) fn backend(mut table: Table<'_>) -> Result<BackendSpec> {
    let capacity = table.number("capacity", 0.0, 10_000_000.0)?.unwrap_or(0.0);
    let latency = table
        .distribution("latency", Amounts::Seconds)?
        .unwrap_or(Distribution::Exponential { mean: 0.002 });
    let mut queue = table.table("queue", "`queue`")?;
    let queue_max = queue.count("max", 0, 10_000_000)?.unwrap_or(0);
    let queue_order = queue
        .word("order", &[("fifo", QueueOrder::Fifo), ("lifo", QueueOrder::Lifo)])?
        .unwrap_or(QueueOrder::Fifo);
    queue.finish()?;
    let timeout = table.time("timeout")?.unwrap_or(Duration::from_secs(1));
    let late_fill = table.boolean("late_fill")?.unwrap_or(false);
    let cancel = table.boolean("cancel")?.unwrap_or(false);
    let scatter = table.count("scatter", 1, 1_000)?.unwrap_or(1);
    let fail = table.number("fail", 0.0, 1.0)?.unwrap_or(0.0);
    table.finish()?;
    Ok(BackendSpec {
        capacity,
        latency,
        queue_max,
        queue_order,
        timeout,
        late_fill,
        cancel,
        scatter: u32::try_from(scatter).unwrap_or(1),
        fail,
    })
}

pub(super) fn search(mut table: Table<'_>, load: &Load) -> Result<Search> {
    let place = table.place("limit");
    if matches!(load.mode, LoadMode::Closed { .. }) {
        return Err(Diagnostic::new(
            &place,
            "a closed loop has no rate to search for",
            "expected mode = \"open\" in [load]",
        ));
    }
    let Some(limit) = table.time("limit")?.filter(|limit| !limit.is_zero()) else {
        return Err(table.error("[search] has no limit", "expected limit = \"5ms\""));
    };
    let quantile = table.number("quantile", 0.0, 1.0)?.unwrap_or(0.99);
    let from = table.number("from", 1.0, 1_000_000.0)?.unwrap_or(500.0);
    let to = table.number("to", 1.0, 1_000_000.0)?.unwrap_or(5_000.0);
    if from > to {
        return Err(Diagnostic::new(
            &table.place("from"),
            "the search ends before it begins",
            "expected `from` to be at most `to`",
        ));
    }
    table.finish()?;
    Ok(Search {
        limit,
        quantile,
        from,
        to,
    })
}

pub(super) fn check(mut table: Table<'_>) -> Result<CheckSpec> {
    let sample_keys = table.integer("sample_keys", 0, 1_000_000)?.unwrap_or(2_000);
    table.finish()?;
    Ok(CheckSpec {
        sample_keys: u32::try_from(sample_keys).unwrap_or(u32::MAX),
    })
}

/// The words of an array that is not made of strings alone: hashes of a matrix.
pub(super) fn words<'a>(node: &'a Node, key: &str) -> Result<Vec<(&'a str, Origin)>> {
    match &node.value {
        Value::Array(items) => items
            .iter()
            .map(|item| as_string(item, key).map(|text| (text, item.origin.clone())))
            .collect(),
        other => Err(Diagnostic::new(
            &node.origin,
            format!("`{key}` is {}", other.kind()),
            "expected an array of strings",
        )),
    }
}
