//! What the router answers by itself: `version`, `stats`, commands for operators.

use std::fmt::Write as _;

use protocol::encode::response as lines;
use protocol::{AdminVerb, Request};

use crate::config::reload::Force;
use crate::stats::report;
use crate::worker::Core;

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
        None | Some(b"basic" | b"count" | b"ods") => report::general(&core.shared),
        Some(b"all" | b"detailed") => {
            let mut all = report::general(&core.shared);
            all.extend(report::settings(&core.shared));
            all.extend(report::servers(&core.shared, report::Which::All));
            all
        }
        // What went wrong, by kind. (mcrouter has nothing in this group.)
        Some(b"cmd-error") => report::errors(&core.shared),
        // For statistics that a program around mcrouter adds: there are none.
        Some(b"external") => Vec::new(),
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
