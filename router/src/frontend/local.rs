//! What the router answers by itself: `version`, `stats`, mcrouter's `__mcrouter__.` keys, commands for operators.

use std::fmt::Write as _;
use std::sync::Arc;

use protocol::encode::response as lines;
use protocol::{AdminVerb, Request};

use crate::clock;
use crate::config::reload::Force;
use crate::pool::Destination;
use crate::request::{Op, Routing};
use crate::route::Plan;
use crate::stats::report;
use crate::worker::Core;

/// Keys that are questions to the router.
pub(crate) const ADMIN_PREFIX: &[u8] = b"__mcrouter__.";

/// The answer to a command that no server is asked about.
pub(crate) fn answer(core: &Core, request: &Request<'_>) -> Vec<u8> {
    match request {
        Request::Version => format!(
            "VERSION {} hearth-router/{}\r\n",
            core.settings.announce_version,
            env!("CARGO_PKG_VERSION")
        )
        .into_bytes(),
        Request::Verbosity(_) => lines::OK.to_vec(),
        Request::Stats(group) => stats(core, group),
        Request::Admin(admin) if admin.verb == AdminVerb::Config => cluster(core, admin.args),
        Request::Admin(admin) if admin.verb == AdminVerb::RefreshCerts => refresh_certs(core),
        _ => lines::ERROR.to_vec(),
    }
}

/// Certificates are read again: the operator's word for what happens by itself a moment later.
fn refresh_certs(core: &Core) -> Vec<u8> {
    match core.settings.tls.reread(Force::Yes) {
        Ok(()) => lines::OK.to_vec(),
        Err(why) => format!("SERVER_ERROR {why}\r\n").into_bytes(),
    }
}

/// `config get cluster`, by which clients of ElastiCache find servers: all of the configuration's, its epoch as the
/// version.
fn cluster(core: &Core, args: &[u8]) -> Vec<u8> {
    if args != b"get cluster" {
        return lines::ERROR.to_vec();
    }
    let mut servers: Vec<String> = Vec::new();
    for server in core.config.pools.iter().flat_map(|view| &view.pool.servers) {
        let address = server.address.to_string();
        if let Some((host, port)) = address.rsplit_once(':') {
            let host = host.trim_matches(['[', ']']);
            let ip = if host.parse::<std::net::IpAddr>().is_ok() {
                host
            } else {
                ""
            };
            let told = format!("{host}|{ip}|{port}");
            if !host.starts_with("unix") && !servers.contains(&told) {
                servers.push(told);
            }
        }
    }
    let told = format!("{}\n{}\n", core.config.epoch, servers.join(" "));
    format!("CONFIG cluster 0 {}\r\n{told}\r\nEND\r\n", told.len()).into_bytes()
}

fn stats(core: &Core, group: &[u8]) -> Vec<u8> {
    let words: Vec<&[u8]> = group
        .split(|byte| *byte == b' ')
        .filter(|word| !word.is_empty())
        .collect();
    let list = match words.first().copied() {
        None | Some(b"basic" | b"count") => report::general(&core.shared),
        Some(b"all" | b"detailed") => {
            let mut all = report::general(&core.shared);
            all.extend(report::settings(&core.shared));
            all.extend(report::servers(&core.shared, report::Which::All));
            all
        }
        Some(b"servers") => report::servers(&core.shared, report::Which::All),
        Some(b"suspect_servers") => report::servers(&core.shared, report::Which::Suspect),
        Some(b"hotkeys") => report::hot_keys(&core.shared),
        Some(b"settings") => report::settings(&core.shared),
        Some(b"version") => vec![("version".to_owned(), core.settings.announce_version.clone())],
        // A router's clients are on /metrics, and it dumps no keys.
        Some(b"conns" | b"cachedump") => Vec::new(),
        Some(b"reset") => {
            core.shared.registry.reset();
            return lines::RESET.to_vec();
        }
        Some(_) => return lines::ERROR.to_vec(),
    };
    let mut text = String::new();
    for (name, value) in list {
        let _ = write!(text, "STAT {name} {value}\r\n");
    }
    text.push_str("END\r\n");
    text.into_bytes()
}

/// The answer to `get __mcrouter__.QUESTION`: a value, also when it is an error, as mcrouter has it.
pub(crate) fn admin(core: &Core, key: &[u8]) -> Vec<u8> {
    let question = String::from_utf8_lossy(key.strip_prefix(ADMIN_PREFIX).unwrap_or_default()).into_owned();
    let said = question_of(core, &question).unwrap_or_else(|why| format!("ERROR: {why}"));
    let mut reply = bytes::BytesMut::new();
    lines::value(&mut reply, key, 0, said.as_bytes(), None);
    reply.extend_from_slice(lines::END);
    reply.to_vec()
}

fn question_of(core: &Core, question: &str) -> Result<String, String> {
    let (name, arguments) = match question.split_once('(') {
        Some((name, rest)) => (name, Some(rest.strip_suffix(')').ok_or("the '(' is not closed")?)),
        None => (question, None),
    };
    let status = core.shared.status.lock().clone();
    Ok(match name {
        "version" => format!(
            "{} hearth-router/{}",
            core.settings.announce_version,
            env!("CARGO_PKG_VERSION")
        ),
        "config_md5_digest" => report::config_digest(&core.config),
        "config_file" => status.origin,
        "config_age" => clock::unix()
            .as_secs()
            .saturating_sub(status.last_success_unix)
            .to_string(),
        "config_last_error" => status.last_error.unwrap_or_default(),
        "preprocessed_config" => format!("{:#}", core.config.source),
        "hostid" => core.settings.defaults.host_id.clone(),
        "pools" => core
            .config
            .pools
            .iter()
            .map(|view| view.pool.name.as_str())
            .collect::<Vec<_>>()
            .join("\n"),
        "options" => match arguments {
            None | Some("") => core
                .settings
                .options
                .iter()
                .map(|(name, value)| format!("{name} {value}"))
                .collect::<Vec<_>>()
                .join("\n"),
            Some(wanted) => core
                .settings
                .options
                .iter()
                .find(|(name, _)| name == wanted)
                .map(|(_, value)| value.clone())
                .ok_or_else(|| format!("no option {wanted:?}"))?,
        },
        "route" | "route_handles" => {
            let arguments = arguments.ok_or("expected route(OPERATION,KEY)")?;
            let (op, key) = arguments.split_once(',').ok_or("expected route(OPERATION,KEY)")?;
            let op = Op::named(op).ok_or_else(|| format!("no operation {op:?}"))?;
            let plan = plan(core, op, key.as_bytes());
            if name == "route_handles" {
                plan.text().trim_end().to_owned()
            } else {
                let servers = plan.servers().iter();
                servers
                    .map(|destination| destination.name.as_str())
                    .collect::<Vec<_>>()
                    .join("\r\n")
            }
        }
        _ => {
            return Err(crate::config::check::unknown(
                "question",
                name,
                &[
                    "version",
                    "config_md5_digest",
                    "config_file",
                    "config_age",
                    "config_last_error",
                    "preprocessed_config",
                    "hostid",
                    "pools",
                    "options",
                    "route",
                ],
            ));
        }
    })
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
