//! Reads `[cluster]`, `[workload]`, `[load]`, `[backend]` and `[check]`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::diagnostic::{Diagnostic, Origin};
use super::hash::read_hash;
use super::reader::{Amounts, Table, as_string};
use super::tree::{Node, Value};
use super::{
    Arrival, BackendSpec, CheckSpec, ClusterMode, ClusterSpec, Distribution, Fill, Load, LoadMode, Mix,
    NodeSpec, OnNodeDown, Popularity, RouterSpec, TraceSource, TraceSpec, Ttl, Workload,
};

type Result<T> = std::result::Result<T, Diagnostic>;

/// More nodes than this on one machine measure the machine.
const NODES_MAX: usize = 64;
const THREADS_MAX: usize = 64;
const MIB: u64 = 1 << 20;
/// Sums of shares may miss 1 by this much before they are refused.
const SHARES_SLACK: f64 = 1e-6;

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
    let on_node_down = table
        .word(
            "on_node_down",
            &[("miss", OnNodeDown::Miss), ("eject", OnNodeDown::Eject)],
        )?
        .unwrap_or(OnNodeDown::Miss);
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

pub(super) fn workload(mut table: Table<'_>, folder: Option<&Path>) -> Result<Workload> {
    let keys = table.integer("keys", 1, 10_000_000)?.unwrap_or(100_000);
    let popularity = popularity(&mut table, folder)?;
    let key_size = table
        .distribution("key_size", Amounts::Plain)?
        .unwrap_or(Distribution::Fixed(16.0));
    let value_size = table
        .distribution("value_size", Amounts::Plain)?
        .unwrap_or(Distribution::Fixed(200.0));
    let mix_place = table.place("mix");
    let mix = mix(table.table("mix", "`mix`")?, &mix_place)?;
    let multiget = u32::try_from(table.integer("multiget", 1, 1_000)?.unwrap_or(1)).unwrap_or(1);
    let ttl = if table.is_written("ttl") {
        ttl(table.table("ttl", "`ttl`")?)?
    } else {
        table.get("ttl").and(None)
    };
    let fill_place = table.place("fill");
    let fill = table.word(
        "fill",
        &[
            ("lookaside", Fill::Lookaside),
            ("lease", Fill::Lease),
            ("write_through", Fill::WriteThrough),
            ("versioned", Fill::Versioned),
            ("none", Fill::None),
        ],
    )?;
    if fill == Some(Fill::Lease) && multiget > 1 {
        return Err(Diagnostic::new(
            &fill_place,
            "leases are given to one key at a time",
            "expected multiget = 1",
        ));
    }
    table.finish()?;
    Ok(Workload {
        keys,
        popularity,
        key_size,
        value_size,
        mix,
        multiget,
        ttl,
        fill: fill.unwrap_or(Fill::Lookaside),
    })
}

fn popularity(table: &mut Table<'_>, folder: Option<&Path>) -> Result<Popularity> {
    if !table.is_written("popularity") {
        table.get("popularity");
        return Ok(Popularity::Zipf { alpha: 0.99 });
    }
    let mut table = table.table("popularity", "`popularity`")?;
    #[derive(Clone, Copy)]
    enum Dist {
        Uniform,
        Zipf,
        Hotspot,
        Trace,
    }
    let dist = table.word(
        "dist",
        &[
            ("zipf", Dist::Zipf),
            ("uniform", Dist::Uniform),
            ("hotspot", Dist::Hotspot),
            ("trace", Dist::Trace),
        ],
    )?;
    let popularity = match dist {
        None => {
            return Err(table.error(
                "`popularity` does not say which",
                "expected dist = \"zipf\", \"uniform\", \"hotspot\" or \"trace\"",
            ));
        }
        Some(Dist::Uniform) => Popularity::Uniform,
        Some(Dist::Zipf) => Popularity::Zipf {
            alpha: table.number("alpha", 0.0, 10.0)?.unwrap_or(0.99),
        },
        Some(Dist::Hotspot) => Popularity::Hotspot {
            data: table.number("data", 0.0, 1.0)?.unwrap_or(0.2),
            ops: table.number("ops", 0.0, 1.0)?.unwrap_or(0.8),
        },
        Some(Dist::Trace) => {
            let source = match table.string("file")? {
                None => {
                    return Err(table.error(
                        "a trace needs its file",
                        "expected file = \"builtin:twitter-c52\" or a path to a .csv or .csv.gz",
                    ));
                }
                Some("builtin:twitter-c52") => TraceSource::TwitterC52,
                Some(name) if name.starts_with("builtin:") => {
                    let message = format!("no packaged trace `{name}`");
                    return Err(Diagnostic::new(
                        &table.place("file"),
                        message,
                        "expected builtin:twitter-c52, or a path",
                    ));
                }
                // A path in a file is meant from where the file is.
                Some(path) => {
                    TraceSource::File(folder.map_or_else(|| PathBuf::from(path), |folder| folder.join(path)))
                }
            };
            let limit = table.integer("limit", 1, u64::MAX >> 1)?;
            let repeat = table.boolean("loop")?.unwrap_or(false);
            Popularity::Trace(TraceSpec {
                source,
                limit,
                repeat,
            })
        }
    };
    table.finish()?;
    Ok(popularity)
}

fn mix(mut table: Table<'_>, place: &Origin) -> Result<Mix> {
    let share = |table: &mut Table<'_>, key| table.number(key, 0.0, 1.0);
    let (get, set, delete) = (
        share(&mut table, "get")?,
        share(&mut table, "set")?,
        share(&mut table, "delete")?,
    );
    table.finish()?;
    if get.or(set).or(delete).is_none() {
        return Ok(Mix {
            get: 1.0,
            set: 0.0,
            delete: 0.0,
        });
    }
    let mix = Mix {
        get: get.unwrap_or(0.0),
        set: set.unwrap_or(0.0),
        delete: delete.unwrap_or(0.0),
    };
    let sum = mix.get + mix.set + mix.delete;
    if (sum - 1.0).abs() > SHARES_SLACK {
        return Err(Diagnostic::new(
            place,
            format!("the shares of `mix` sum to {sum}"),
            "expected get + set + delete = 1",
        ));
    }
    Ok(mix)
}

fn ttl(mut table: Table<'_>) -> Result<Option<Ttl>> {
    let base = table.time("base")?;
    let jitter = table.number("jitter", 0.0, 0.9)?.unwrap_or(0.0);
    let Some(base) = base else {
        return Err(table.error("`ttl` does not say how long", "expected base = \"5m\""));
    };
    if base < Duration::from_secs(1) {
        return Err(Diagnostic::new(
            &table.place("base"),
            "`base` is too short",
            "expected at least 1s: memcached counts whole seconds",
        ));
    }
    table.finish()?;
    Ok(Some(Ttl { base, jitter }))
}

pub(super) fn load(mut table: Table<'_>) -> Result<Load> {
    #[derive(Clone, Copy)]
    enum Loop {
        Open,
        Closed,
    }
    let mode = table
        .word("mode", &[("open", Loop::Open), ("closed", Loop::Closed)])?
        .unwrap_or(Loop::Open);
    let rate = table.number("rate", 1.0, 1_000_000.0)?;
    let arrival = table.word(
        "arrival",
        &[("poisson", Arrival::Poisson), ("constant", Arrival::Constant)],
    )?;
    let pipeline = table.count("pipeline", 1, 1_024)?;
    let mode = match mode {
        Loop::Open => {
            if pipeline.is_some() {
                return Err(Diagnostic::new(
                    &table.place("pipeline"),
                    "`pipeline` belongs to a closed loop",
                    "expected mode = \"closed\", or no `pipeline`",
                ));
            }
            LoadMode::Open {
                rate: rate.unwrap_or(4_000.0),
                arrival: arrival.unwrap_or(Arrival::Poisson),
            }
        }
        Loop::Closed => {
            for key in ["rate", "arrival"] {
                if table.is_written(key) {
                    let message = format!("`{key}` belongs to an open loop");
                    return Err(Diagnostic::new(
                        &table.place(key),
                        message,
                        format!("expected mode = \"open\", or no `{key}`"),
                    ));
                }
            }
            LoadMode::Closed {
                pipeline: pipeline.unwrap_or(1),
            }
        }
    };
    let connections = table.count("connections", 1, 10_000)?.unwrap_or(32);
    let timeout = table.time("timeout")?.unwrap_or(Duration::from_millis(250));
    let max_in_flight = table.count("max_in_flight", 1, 1_000_000)?.unwrap_or(4_096);
    let threads = table.count("threads", 1, THREADS_MAX)?.unwrap_or(1);
    if timeout.is_zero() {
        return Err(Diagnostic::new(
            &table.place("timeout"),
            "`timeout` is zero",
            "expected a time above 0",
        ));
    }
    table.finish()?;
    Ok(Load {
        mode,
        connections,
        timeout,
        max_in_flight,
        threads,
    })
}

pub(super) fn backend(mut table: Table<'_>) -> Result<BackendSpec> {
    let capacity = table.number("capacity", 0.0, 10_000_000.0)?.unwrap_or(0.0);
    let latency = table
        .distribution("latency", Amounts::Seconds)?
        .unwrap_or(Distribution::Exponential { mean: 0.002 });
    let mut queue = table.table("queue", "`queue`")?;
    let queue_max = queue.count("max", 0, 10_000_000)?.unwrap_or(0);
    queue.finish()?;
    let timeout = table.time("timeout")?.unwrap_or(Duration::from_secs(1));
    let late_fill = table.boolean("late_fill")?.unwrap_or(false);
    let fail = table.number("fail", 0.0, 1.0)?.unwrap_or(0.0);
    table.finish()?;
    Ok(BackendSpec {
        capacity,
        latency,
        queue_max,
        timeout,
        late_fill,
        fail,
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
