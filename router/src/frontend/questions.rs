//! mcrouter's `get __mcrouter__.QUESTION`: answered with a value, also when it is an error.

use std::sync::Arc;

use protocol::encode::response as lines;
use serde_json::{Map, Value, json};

use crate::clock;
use crate::pool::Destination;
use crate::request::{Op, Routing};
use crate::route::Plan;
use crate::stats::report;
use crate::worker::Core;

/// Keys that are questions to the router.
pub(crate) const PREFIX: &[u8] = b"__mcrouter__.";

/// What may be asked.
const QUESTIONS: [&str; 17] = [
    "version",
    "config_age",
    "config_file",
    "config_last_error",
    "config_md5_digest",
    "config_sources_info",
    "preprocessed_config",
    "options",
    "route",
    "route_handles",
    "hostid",
    "verbosity",
    "pools",
    "failure_domains",
    "global_params",
    "get_bucket",
    "commands",
];

/// The answer to a get of `key`: a VALUE block. It has a cas unique, 0, if one was asked for.
pub(crate) fn block(core: &Core, key: &[u8], with_cas: bool) -> Vec<u8> {
    let question = String::from_utf8_lossy(key.strip_prefix(PREFIX).unwrap_or_default()).into_owned();
    let said = answer(core, &question).unwrap_or_else(|why| format!("ERROR: {why}"));
    let mut block = bytes::BytesMut::new();
    lines::value(&mut block, key, 0, said.as_bytes(), with_cas.then_some(0));
    block.to_vec()
}

fn answer(core: &Core, question: &str) -> Result<String, String> {
    let (name, arguments) = match question.split_once('(') {
        Some((name, rest)) => (name, Some(rest.strip_suffix(')').ok_or("the '(' is not closed")?)),
        None => (question, None),
    };
    let one = |what: &str| {
        arguments
            .filter(|given| !given.is_empty())
            .ok_or(format!("expected {name}({what})"))
    };
    Ok(match name {
        "version" => format!(
            "{} hearth-router/{}",
            core.settings.announce_version,
            env!("CARGO_PKG_VERSION")
        ),
        // A number, as mcrouter has it: two routers of one host have the same.
        "hostid" => (cluster::spooky64(core.settings.defaults.host_id.as_bytes()) >> 32).to_string(),
        "commands" => QUESTIONS.join("\n"),
        // mcrouter tells the level of its log; ours is a filter that is given at the start.
        "verbosity" => match arguments {
            None | Some("") => std::env::var("ROUTER_LOG").unwrap_or_else(|_| "info".to_owned()),
            Some(_) => return Err("what is logged is said by ROUTER_LOG when the router starts".to_owned()),
        },
        "options" => options(core, arguments)?,
        "global_params" => pretty(&json!(core.settings.outside.params)),
        "pools" => pools(core),
        "failure_domains" => failure_domains(core, one("POOL")?)?,
        "route" | "route_handles" => {
            let (op, key) = one("OPERATION,KEY")?
                .split_once(',')
                .ok_or(format!("expected {name}(OPERATION,KEY)"))?;
            let op = Op::named(op).ok_or_else(|| format!("no operation {op:?}"))?;
            let plan = plan(core, op, key.as_bytes());
            if name == "route_handles" {
                plan.text().trim_end().to_owned()
            } else {
                let servers = plan.servers().iter().map(|server| server.name.as_str());
                servers.collect::<Vec<_>>().join("\r\n")
            }
        }
        // Key, bucket, keyspace, tenant; nothing for keys that are in none.
        "get_bucket" => {
            let key = one("KEY")?;
            let plan = plan(core, Op::Get, key.as_bytes());
            plan.bucketed().map_or_else(String::new, |(bucket, keyspace)| {
                format!("{key}\t{bucket}\t{keyspace}\tnull")
            })
        }
        name if name.starts_with("config_") || name == "preprocessed_config" => {
            configuration(core, name).ok_or_else(|| unknown(name))?
        }
        name => return Err(unknown(name)),
    })
}

fn unknown(name: &str) -> String {
    crate::config::check::unknown("command", name, &QUESTIONS)
}

/// What is asked about where the configuration comes from.
fn configuration(core: &Core, question: &str) -> Option<String> {
    let status = core.shared.status.lock().clone();
    let age = || clock::unix().as_secs().saturating_sub(status.last_success_unix);
    Some(match question {
        "config_md5_digest" => report::config_digest(&core.config),
        "config_file" => status.origin,
        "config_age" => age().to_string(),
        "config_last_error" => status.last_error.unwrap_or_default(),
        "config_sources_info" => {
            let sources = status.sources.into_iter();
            let sources: Map<String, Value> = sources.map(|(file, digest)| (file, json!(digest))).collect();
            pretty(&Value::Object(sources))
        }
        "preprocessed_config" => pretty(&core.config.source),
        _ => return None,
    })
}

fn options(core: &Core, wanted: Option<&str>) -> Result<String, String> {
    let options = &core.settings.options;
    match wanted.filter(|wanted| !wanted.is_empty()) {
        None => {
            let lines = options.iter().map(|(name, value)| format!("{name} {value}"));
            Ok(lines.collect::<Vec<_>>().join("\n"))
        }
        Some(wanted) => {
            let found = options.iter().find(|(name, _)| name == wanted);
            let found = found.map(|(_, value)| value.clone());
            found.ok_or_else(|| format!("options: option {wanted} not found"))
        }
    }
}

/// Each pool's servers.
fn pools(core: &Core) -> String {
    let servers = |view: &crate::config::PoolView| {
        let servers = view.pool.servers.iter();
        let told = servers.map(|server| match (&server.name, server.address.to_string()) {
            (name, address) if *name == address => address,
            (name, address) => format!("{name} at {address}"),
        });
        json!(told.collect::<Vec<_>>())
    };
    let pools = core.config.pools.iter();
    let pools: Map<String, Value> = pools
        .map(|view| (view.pool.name.clone(), servers(view)))
        .collect();
    pretty(&Value::Object(pools))
}

fn failure_domains(core: &Core, pool: &str) -> Result<String, String> {
    let known: Vec<&str> = core
        .config
        .pools
        .iter()
        .map(|view| view.pool.name.as_str())
        .collect();
    let found = core.config.pools.iter().find(|view| view.pool.name == pool);
    let found = &found
        .ok_or_else(|| crate::config::check::unknown("pool", pool, &known))?
        .pool;
    let servers = found.servers.iter().zip(&found.domains);
    let told: Map<String, Value> = servers
        .map(|(server, domain)| (server.name.clone(), json!(domain.as_deref().unwrap_or("0"))))
        .collect();
    Ok(pretty(&Value::Object(told)))
}

fn pretty(value: &Value) -> String {
    format!("{value:#}")
}

/// The servers a request may reach, first choice first, each once.
pub(crate) fn destinations(core: &Core, op: Op, key: &[u8]) -> Vec<Arc<Destination>> {
    plan(core, op, key).servers().to_vec()
}

/// The way of a request through the tree.
fn plan(core: &Core, op: Op, key: &[u8]) -> Plan {
    let mut plan = Plan::default();
    core.root.destinations(Routing { op, key }, &mut plan);
    plan
}
