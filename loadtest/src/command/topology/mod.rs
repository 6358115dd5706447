//! `loadtest topology`: is this cluster sharded, replicated, or something else? Finds out by writing sampled keys through
//! the router and looking at each node directly. Works with anything that speaks memcached's text protocol.

mod client;
mod judge;
mod probe;

use std::fmt::Write as _;
use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;

use cluster::{HashKind, Placement, Server, Topology};

use crate::exit::Exit;
use crate::report::number::{count, percent};
use judge::{Finding, Shape};
use probe::{NodeSeen, Seen};

/// Everything `topology` was asked for.
#[derive(Debug, Clone, clap::Args)]
pub struct TopologyArgs {
    /// The router's client address, HOST:PORT.
    #[arg(long, value_name = "HOST:PORT")]
    pub router: String,
    /// The nodes behind it, HOST:PORT or NAME=HOST:PORT, separated by commas.
    #[arg(long, value_name = "A,B,C", value_delimiter = ',', required = true)]
    pub nodes: Vec<String>,
    /// Keys to sample (10 to 100000). More keys tell shares more exactly.
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(10..=100_000))]
    pub keys: u32,
    /// Also check that every key is where this hash puts it, servers being named as in --nodes, in that order.
    #[arg(long, value_name = "NAME")]
    pub hash: Option<String>,
    /// Fail (exit 99) if the cluster is not this.
    #[arg(long, value_enum, value_name = "SHAPE")]
    pub expect: Option<Expect>,
    /// How long to wait for a connection or an answer, milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=60_000))]
    pub timeout: u32,
    /// One JSON object instead of text.
    #[arg(long)]
    pub json: bool,
    /// Allow addresses on other machines than this one.
    #[arg(long)]
    pub allow_remote: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Expect {
    /// Every key on exactly one node.
    Sharded,
    /// Every key on every node.
    Replicated,
}

/// A place to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Target {
    /// As given before `=`, else the address.
    name: String,
    address: SocketAddr,
}

/// Probes, judges, prints.
#[must_use]
pub fn main(args: &TopologyArgs) -> Exit {
    let (router, nodes, placement) = match resolve(args) {
        Ok(resolved) => resolved,
        Err(problem) => {
            eprintln!("loadtest: {problem}");
            return Exit::BadInput;
        }
    };
    let timeout = Duration::from_millis(u64::from(args.timeout));
    let seen = match probe::run(&router, &nodes, args.keys, timeout) {
        Ok(seen) => seen,
        Err(problem) => {
            if args.json {
                super::print(&format!(
                    "{}\n",
                    serde_json::json!({"verdict": "router_not_answering", "problem": problem})
                ));
            }
            eprintln!("loadtest: {problem}");
            return Exit::RunError;
        }
    };
    let finding = judge::judge(&seen, placement.as_ref());
    let printed = if args.json {
        super::print(&format!("{}\n", json(&seen, &finding)))
    } else {
        super::print(&text(&seen, &finding))
    };
    if printed != Exit::Pass {
        return printed;
    }
    exit(&seen, &finding, args.expect)
}

fn resolve(args: &TopologyArgs) -> Result<(Target, Vec<Target>, Option<Placement>), String> {
    let target = |text: &str| -> Result<Target, String> {
        let (name, address) = text.split_once('=').unwrap_or((text, text));
        let shape = || {
            format!("`{text}` is not an address; expected HOST:PORT or NAME=HOST:PORT, like 127.0.0.1:11211")
        };
        if address
            .rsplit_once(':')
            .is_none_or(|(host, port)| host.is_empty() || port.parse::<u16>().is_err())
        {
            return Err(shape());
        }
        let resolved = address
            .to_socket_addrs()
            .map_err(|error| format!("`{address}` cannot be resolved: {error}"))?
            .next();
        let resolved = resolved.ok_or_else(|| format!("`{address}` resolves to nothing"))?;
        if !resolved.ip().is_loopback() && !args.allow_remote {
            return Err(format!(
                "`{address}` is not on this machine; add --allow-remote if that cluster is yours"
            ));
        }
        Ok(Target {
            name: name.to_owned(),
            address: resolved,
        })
    };
    let router = target(&args.router)?;
    let nodes: Vec<Target> = args
        .nodes
        .iter()
        .map(|node| target(node.trim()))
        .collect::<Result<_, _>>()?;
    for (index, node) in nodes.iter().enumerate() {
        if nodes[..index].iter().any(|other| other.name == node.name) {
            return Err(format!("node `{}` is given twice", node.name));
        }
    }
    let placement = match &args.hash {
        None => None,
        Some(name) => {
            let hash: HashKind = name
                .parse()
                .map_err(|error: cluster::UnknownHash| error.to_string())?;
            let topology = Topology::new(hash, nodes.iter().map(|node| Server::new(node.name.clone())));
            Some(Placement::new(&topology).map_err(|error| error.to_string())?)
        }
    };
    Ok((router, nodes, placement))
}

fn exit(seen: &Seen, finding: &Finding, expect: Option<Expect>) -> Exit {
    let expected = match expect {
        None => matches!(finding.shape, Shape::Sharded | Shape::Replicated),
        Some(Expect::Sharded) => finding.shape == Shape::Sharded,
        Some(Expect::Replicated) => finding.shape == Shape::Replicated,
    };
    if seen.nodes.iter().any(|node| node.problem.is_some()) {
        Exit::RunError
    } else if expected && finding.problems.is_empty() {
        Exit::Pass
    } else {
        Exit::ThresholdFailed
    }
}

fn text(seen: &Seen, finding: &Finding) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "{}: {}", finding.shape.word(), finding.sentence);
    let _ = writeln!(
        out,
        "router {} ({})  {} of {} keys stored, {} read back",
        seen.router_address,
        seen.router_version,
        count(seen.stored as u64),
        count(seen.keys as u64),
        count(seen.read_back as u64)
    );
    let width = seen
        .nodes
        .iter()
        .map(|node| node.name.chars().count())
        .max()
        .unwrap_or(0);
    for (index, node) in seen.nodes.iter().enumerate() {
        let _ = match &node.problem {
            Some(problem) => writeln!(out, "  {:<width$}  not answering: {problem}", node.name),
            None => writeln!(
                out,
                "  {:<width$}  {:>7}  {:>8} keys  ({})",
                node.name,
                percent(share(seen, node)),
                count(node.keys() as u64),
                described(node, index, seen)
            ),
        };
    }
    for problem in &finding.problems {
        let _ = writeln!(out, "! {problem}");
    }
    if let Some(agreement) = &finding.hash_agreement {
        let _ = writeln!(out, "{agreement}");
    }
    out
}

fn described(node: &NodeSeen, index: usize, seen: &Seen) -> String {
    match node.same_as.filter(|other| *other != index) {
        Some(other) => format!("{}, the same memory as {}", node.version, seen.nodes[other].name),
        None => node.version.clone(),
    }
}

/// Share of the sampled keys that this node holds.
fn share(seen: &Seen, node: &NodeSeen) -> Option<f64> {
    crate::measure::outcome::ratio(node.keys() as u64, seen.stored as u64)
}

fn json(seen: &Seen, finding: &Finding) -> serde_json::Value {
    let nodes: Vec<_> = seen
        .nodes
        .iter()
        .map(|node| {
            serde_json::json!({
                "name": node.name, "address": node.address.to_string(), "version": node.version, "problem": node.problem,
                "keys": node.keys(), "share": share(seen, node), "wrong_values": node.wrong,
                "left_after_delete": node.left_after_delete,
                "same_memory_as": node.same_as.map(|other| &seen.nodes[other].name),
            })
        })
        .collect();
    serde_json::json!({
        "verdict": finding.shape.slug(), "sentence": finding.sentence, "problems": finding.problems,
        "keys": seen.keys, "stored": seen.stored, "read_back": seen.read_back, "wrong_values": seen.wrong,
        "copies": finding.copies, "hash_agreement": finding.hash_agreement,
        "router": {"address": seen.router_address.to_string(), "version": seen.router_version}, "nodes": nodes,
    })
}
