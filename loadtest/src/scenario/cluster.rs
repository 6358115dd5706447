//! Reads `[cluster]`: nodes, the router before them, what happens when one dies.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::diagnostic::{Diagnostic, Origin, one_of};
use super::hash::read_hash;
use super::reader::Table;
use super::tree::{Node, Value};
use super::{ClusterMode, ClusterSpec, NodeSpec, OnNodeDown, RouterSpec};

type Result<T> = std::result::Result<T, Diagnostic>;

/// More nodes than this on one machine measure the machine.
const NODES_MAX: usize = 64;
const ROUTERS_MAX: usize = 16;
const THREADS_MAX: usize = 64;
const MIB: u64 = 1 << 20;

pub(super) fn cluster(
    mut table: Table<'_>,
    folder: Option<&Path>,
    allow_remote: bool,
) -> Result<ClusterSpec> {
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
    let said = table.boolean("replicated")?;
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
                Some(node) => router(node, folder)?,
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
    let replicated = replicated(&mut table, said, nodes)?;
    if replicated && router.is_none() && !matches!(mode, ClusterMode::Attach { router: Some(_), .. }) {
        return Err(Diagnostic::new(
            &table.place("replicated"),
            "a replicated pool needs a router",
            "expected router = {}, or replicated = false",
        ));
    }
    let needs_router = match on_node_down {
        OnNodeDown::Gutter(_) => Some("a gutter"),
        OnNodeDown::Failover => Some("a failover"),
        OnNodeDown::Miss | OnNodeDown::Eject | OnNodeDown::Error => None,
    };
    if let Some(what) = needs_router
        && (replicated || router.is_none())
    {
        return Err(Diagnostic::new(
            &table.place("on_node_down"),
            format!("{what} needs a router before a sharded pool of ours"),
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

/// `replicated = true`, or by the number of copies: `replicas = 1`, or as many as there are nodes.
fn replicated(table: &mut Table<'_>, said: Option<bool>, nodes: usize) -> Result<bool> {
    let Some(replicas) = table.count("replicas", 1, NODES_MAX)? else {
        return Ok(said.unwrap_or(false));
    };
    let all = replicas == nodes && (nodes > 1 || said == Some(true));
    if (replicas == 1 || all) && said.is_none_or(|said| said == all) {
        return Ok(all);
    }
    let message = match said {
        Some(said) if replicas == 1 || all => format!("`replicas` is not what replicated = {said} says"),
        _ => format!("{replicas} copies of a key on {nodes} nodes"),
    };
    Err(Diagnostic::new(
        &table.place("replicas"),
        message,
        format!("expected 1 (sharded), {nodes} (each node has every key), or no `replicas`"),
    ))
}

/// `miss`, `failover`, `eject`, `error` or `gutter(N)`.
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
        ("failover", _) => Ok(OnNodeDown::Failover),
        ("eject", _) => Ok(OnNodeDown::Eject),
        ("error", _) => Ok(OnNodeDown::Error),
        (_, Some(nodes)) => Ok(OnNodeDown::Gutter(nodes)),
        (unknown, None) => Err(Diagnostic::new(
            &table.place("on_node_down"),
            format!("unknown on_node_down `{unknown}`"),
            one_of(unknown, &["miss", "failover", "eject", "error", "gutter(1)"]),
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
    let args = args(&mut table)?;
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

/// Words for a program's command line.
fn args(table: &mut Table<'_>) -> Result<Vec<String>> {
    let args = table.strings("args")?.unwrap_or_default();
    Ok(args.into_iter().map(str::to_owned).collect())
}

/// `router = true`, `false` or a table of settings.
fn router(node: &Node, folder: Option<&Path>) -> Result<Option<RouterSpec>> {
    if let Value::Boolean(on) = node.value {
        return Ok(on.then(RouterSpec::default));
    }
    let mut table = Table::new(node, "[cluster.router]")?;
    let config = match table.string("config")? {
        Some(path) => Some(configuration(path, folder, &table.place("config"))?),
        None => None,
    };
    let processes = table.count("processes", 1, ROUTERS_MAX)?.unwrap_or(1);
    let threads = table.count("threads", 1, THREADS_MAX)?.unwrap_or(1);
    let args = args(&mut table)?;
    table.finish()?;
    Ok(Some(RouterSpec {
        config,
        processes,
        threads,
        args,
    }))
}

/// A path that is meant from where the scenario is, to a file that may be made later; what is there already is looked at.
fn configuration(path: &str, folder: Option<&Path>, place: &Origin) -> Result<PathBuf> {
    let path = folder.map_or_else(|| PathBuf::from(path), |folder| folder.join(path));
    let refuse = |why: String| {
        Diagnostic::new(
            place,
            format!("{}: {why}", path.display()),
            "expected a file of plain JSON with the router's `route` over the pool `main`, or none yet",
        )
    };
    // The run's own folder keeps a copy of the scenario: what it names must not depend on where it lies.
    let path = std::path::absolute(&path).map_err(|error| refuse(error.to_string()))?;
    match crate::cluster::read_configuration(&path) {
        Ok(_) => Ok(path),
        Err(why) => Err(refuse(why)),
    }
}
