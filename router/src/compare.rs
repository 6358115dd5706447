//! `router --diff OLD NEW`: which share of the keys another configuration moves, per pool and server.

use std::fmt::Write as _;

use crate::config::{Config, PoolView};
use crate::route::hash::{HashSettings, moved};

/// Keys looked at. Their shares are true to a fifth of a percent.
const KEYS: usize = 100_000;

/// What `new` moves, as a table.
pub(crate) fn compare(old: &Config, new: &Config) -> String {
    let mut told = String::new();
    for before in &old.pools {
        match new.pools.iter().find(|view| view.pool.name == before.pool.name) {
            Some(after) => pool(&mut told, before, after),
            None => line(&mut told, &before.pool.name, "is gone"),
        }
    }
    for after in &new.pools {
        if !old.pools.iter().any(|view| view.pool.name == after.pool.name) {
            line(&mut told, &after.pool.name, "is new");
        }
    }
    if told.is_empty() {
        told.push_str("no pools\n");
    }
    told
}

fn line(told: &mut String, pool: &str, what: &str) {
    let _ = writeln!(told, "pool {pool} {what}");
}

fn pool(told: &mut String, before: &PoolView, after: &PoolView) {
    let name = &before.pool.name;
    let (Some(old), Some(new)) = (&before.topology, &after.topology) else {
        let what = match (&before.topology, &after.topology) {
            (None, None) => "is not hashed: each key is on every server",
            (None, Some(_)) => "is hashed now: keys that were on every server have one",
            _ => "is not hashed any more: each key is on every server",
        };
        return line(told, name, what);
    };
    let (Some(placed), Some(placed_anew)) = (before.placing(), after.placing()) else {
        return line(told, name, "has no servers on one side");
    };
    let keys = (0..KEYS).map(|key| (format!("key:{key}"), 1));
    let moved = moved(&placed, &placed_anew, keys);
    let percent = |part: u64| share(part, moved.total);
    let _ = writeln!(
        told,
        "pool {name}: {:.1} % of the keys move",
        moved.key_fraction() * 100.0
    );
    if old.hash != new.hash {
        let _ = writeln!(told, "  hash {} becomes {}", old.hash, new.hash);
    }
    if before.hashed.as_ref().map(HashSettings::checksum) != after.hashed.as_ref().map(HashSettings::checksum)
    {
        told.push_str("  its salt, buckets or fanout change\n");
    }
    for server in &moved.servers {
        let change = match (server.before, server.after) {
            (0, _) => " (new)",
            (_, 0) => " (gone)",
            _ => "",
        };
        let _ = writeln!(
            told,
            "  {}{change}: {:.1} % -> {:.1} %, gets {:.1} %, gives {:.1} %",
            server.name,
            percent(server.before),
            percent(server.after),
            percent(server.gained),
            percent(server.lost),
        );
    }
}

#[expect(clippy::cast_precision_loss, reason = "a share of a hundred thousand keys")]
fn share(part: u64, whole: u64) -> f64 {
    100.0 * part as f64 / whole.max(1) as f64
}
