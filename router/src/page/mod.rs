//! The live page at the admin address: one file without anything from elsewhere, and the numbers it shows, as JSON.

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use cluster::Placement;
use serde_json::{Value, json};

use crate::admin::Admin;
use crate::config::PoolView;
use crate::reply::Kind;
use crate::request::Op;
use crate::settings::Shared;
use crate::stats::{Counted, report};

/// The page itself.
pub(crate) async fn page() -> Response {
    let kind = [(header::CONTENT_TYPE, "text/html; charset=utf-8")];
    (kind, include_str!("page.html")).into_response()
}

/// What it shows.
pub(crate) async fn status(State(admin): State<Admin>) -> Response {
    let kind = [(header::CONTENT_TYPE, "application/json")];
    (kind, format!("{:#}\n", describe(&admin.shared))).into_response()
}

fn describe(shared: &Shared) -> Value {
    let config = shared.config.load();
    let status = shared.status.lock().clone();
    let sum = |of: fn(&crate::stats::WorkerCounters) -> u64| shared.registry.sum(of);
    let requests: u64 = Op::ALL
        .into_iter()
        .map(|op| shared.registry.sum(|worker| worker.requests.get(op)))
        .sum();
    let hot: Vec<Value> = shared
        .registry
        .hot_keys(report::HOT_KEYS_TOLD)
        .into_iter()
        .map(|hot| json!({"key": hot.key.escape_ascii().to_string(), "share": hot.share}))
        .collect();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "uptime_seconds": shared.settings.started.elapsed().as_secs(),
        "clients": sum(|worker| worker.connections_open.get()),
        "requests": requests,
        "get_hits": sum(|worker| worker.get_hits.get()),
        "get_misses": sum(|worker| worker.get_misses.get()),
        "failovers": sum(|worker| worker.failovers.get()),
        "near_cache_hits": sum(|worker| worker.near_hits.get()),
        "config": {
            "origin": status.origin,
            "epoch": config.epoch,
            "checksum": format!("{:016x}", config.checksum()),
            "failures": status.failures,
            "last_error": status.last_error,
        },
        "hot_keys": hot,
        "pools": config.pools.iter().map(|view| pool(view, shared)).collect::<Vec<_>>(),
    })
}

/// The share of the keys that each server of a pool owns; `None` where no hash is applied.
fn shares(view: &PoolView) -> Option<Vec<f64>> {
    let topology = view.topology.as_ref()?;
    let placement = Placement::new(topology).ok()?;
    if let Some(shares) = placement.ring_shares() {
        return Some(shares);
    }
    let weights = topology
        .servers
        .iter()
        .map(|server| match topology.hash.uses_weights() {
            true => server.weight.get(),
            false => 1.0,
        });
    let weights: Vec<f64> = weights.collect();
    let sum: f64 = weights.iter().sum();
    Some(weights.into_iter().map(|weight| weight / sum).collect())
}

fn pool(view: &PoolView, shared: &Shared) -> Value {
    let shares = shares(view);
    let counted = shared.registry.destinations();
    let servers: Vec<Value> = view
        .pool
        .servers
        .iter()
        .enumerate()
        .map(|(index, server)| {
            let share = shares.as_ref().and_then(|shares| shares.get(index));
            let here = counted.iter().find(|(name, _)| *name == server.name);
            let here: Vec<&Counted> = here.into_iter().flat_map(|(_, counted)| counted).collect();
            let over = |of: &dyn Fn(&Counted) -> u64| here.iter().map(|counted| of(counted)).sum::<u64>();
            let latency = report::totals(&here);
            json!({
                "name": server.name,
                "address": server.address.to_string(),
                "state": shared.registry.state(&server.name).name(),
                "share": share,
                "requests": over(&|c| c.counters.requests.get()),
                "hits": over(&|c| c.counters.replies.get(Kind::Hit)),
                "misses": over(&|c| c.counters.replies.get(Kind::Miss)),
                "errors": over(&|c| c.counters.errors.total()),
                "inflight": over(&|c| c.counters.inflight()),
                "p50_us": latency.quantile(0.5),
                "p99_us": latency.quantile(0.99),
            })
        })
        .collect();
    let hash = view.topology.as_ref().map_or_else(
        || "on every server".to_owned(),
        |topology| topology.hash.to_string(),
    );
    json!({"name": view.pool.name, "hash": hash, "servers": servers})
}
