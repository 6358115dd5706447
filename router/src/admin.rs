//! The admin side: HTTP for operators, probes and Prometheus. Never on a request's way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::clock;
use crate::config::PoolView;
use crate::config::reload::Keeper;
use crate::metrics;
use crate::settings::Shared;

/// What the admin side answers from.
#[derive(Clone)]
pub(crate) struct Admin {
    pub shared: Arc<Shared>,
    pub keeper: Arc<Keeper>,
    /// No new clients are taken: said by /readyz, so that load balancers look elsewhere.
    pub draining: Arc<AtomicBool>,
}

/// The paths.
pub(crate) fn router(admin: Admin) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(page))
        .route("/topology", get(topology).post(change))
        .route("/spool", get(spool))
        .route("/spool/forgive", post(forgive))
        .with_state(admin)
}

async fn readyz(State(admin): State<Admin>) -> Response {
    if admin.draining.load(Ordering::Relaxed) {
        (StatusCode::SERVICE_UNAVAILABLE, "draining\n").into_response()
    } else {
        "ready\n".into_response()
    }
}

async fn page(State(admin): State<Admin>) -> Response {
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    (kind, metrics::page(&admin.shared)).into_response()
}

fn answer(status: StatusCode, body: &Value) -> Response {
    let kind = [(header::CONTENT_TYPE, "application/json")];
    (status, kind, format!("{body:#}\n")).into_response()
}

async fn topology(State(admin): State<Admin>) -> Response {
    answer(StatusCode::OK, &describe(&admin.shared))
}

/// The servers of each pool and how they are.
fn describe(shared: &Shared) -> Value {
    let config = shared.config.load();
    let status = shared.status.lock().clone();
    json!({
        "epoch": config.epoch,
        "checksum": format!("{:016x}", config.checksum()),
        "last_error": status.last_error,
        "pools": config.pools.iter().map(|view| pool(view, shared)).collect::<Vec<_>>(),
    })
}

fn pool(view: &PoolView, shared: &Shared) -> Value {
    let servers: Vec<Value> = view
        .pool
        .servers
        .iter()
        .enumerate()
        .map(|(index, server)| {
            let weight = view
                .topology
                .as_ref()
                .and_then(|topology| topology.servers.get(index))
                .map_or(1.0, |server| server.weight.get());
            json!({
                "name": server.name,
                "address": server.address.to_string(),
                "weight": weight,
                "state": shared.registry.state(&server.name).name(),
            })
        })
        .collect();
    let hash = view
        .topology
        .as_ref()
        .map_or_else(|| "replicated".to_owned(), |topology| topology.hash.to_string());
    json!({"name": view.pool.name, "hash": hash, "servers": servers})
}

/// What replicas are owed.
async fn spool(State(admin): State<Admin>) -> Response {
    let debts = &admin.shared.debts;
    let (disk_bytes, write_error) = debts.disk();
    let now = clock::unix().as_secs();
    let replicas: Vec<Value> = debts
        .statements()
        .iter()
        .map(|statement| {
            let replica = &statement.replica;
            json!({
                "pool": replica.pool,
                "server": replica.server,
                "owed": statement.depth,
                "bytes": statement.bytes,
                "everything": statement.everything,
                "oldest_seconds": statement.oldest_unix.map(|since| now.saturating_sub(since)),
                "told_other_routers": statement.announced,
                "marked_by_other_routers": replica.marked.load(Ordering::Relaxed),
                "readable": replica.is_readable(),
                "paid_total": statement.totals.paid,
                "refused_total": statement.totals.refused,
            })
        })
        .collect();
    let told = json!({
        "durable": debts.are_durable(),
        "router": debts.router_id,
        "limit_bytes": debts.terms.limit_bytes,
        "disk_bytes": disk_bytes,
        "write_error": write_error,
        "replicas": replicas,
    });
    answer(StatusCode::OK, &told)
}

/// Whose debts are to be forgotten: for a server that was emptied, or whose router will not come back.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Forgive {
    pool: Option<String>,
    server: String,
}

async fn forgive(State(admin): State<Admin>, body: Bytes) -> Response {
    let complain = |why: String| answer(StatusCode::BAD_REQUEST, &json!({"error": why}));
    let wanted: Forgive = match serde_json::from_slice(&body) {
        Ok(wanted) => wanted,
        Err(error) => return complain(error.to_string()),
    };
    let debts = &admin.shared.debts;
    let found: Vec<_> = debts
        .statements()
        .into_iter()
        .map(|statement| statement.replica)
        .filter(|replica| replica.server == wanted.server)
        .filter(|replica| wanted.pool.as_ref().is_none_or(|pool| *pool == replica.pool))
        .collect();
    if found.is_empty() {
        return complain(format!("server: no replica {:?}", wanted.server));
    }
    let forgiven: u64 = found.iter().map(|replica| debts.forgive(replica)).sum();
    tracing::warn!(server = wanted.server, forgiven, "debts forgiven by an operator");
    answer(StatusCode::OK, &json!({"forgiven": forgiven}))
}

/// A change of one pool.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    /// `main`, unless there is only one anyway.
    pool: Option<String>,
    hash: Option<String>,
    servers: Vec<ServerGiven>,
}

/// `{"name": "n1", "address": "127.0.0.1:1", "weight": 1}`, or in short `"n1=127.0.0.1:1"`.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum ServerGiven {
    Short(String),
    Long {
        name: Option<String>,
        address: String,
        weight: Option<f64>,
    },
}

async fn change(State(admin): State<Admin>, body: Bytes) -> Response {
    let complain = |why: String| answer(StatusCode::BAD_REQUEST, &json!({"error": why}));
    let mut deserializer = serde_json::Deserializer::from_slice(&body);
    let change: Change = match serde_path_to_error::deserialize(&mut deserializer) {
        Ok(change) => change,
        Err(error) => return complain(error.to_string()),
    };
    if change.servers.is_empty() {
        return complain("servers: a pool needs at least one server".to_owned());
    }
    let config = admin.shared.config.load_full();
    let pool = match (&change.pool, config.pools.as_slice()) {
        (Some(pool), _) => pool.clone(),
        (None, [only]) => only.pool.name.clone(),
        (None, _) => "main".to_owned(),
    };
    let mut weights = Vec::new();
    let mut servers = Vec::new();
    for server in change.servers {
        let (text, weight) = match server {
            ServerGiven::Short(text) => (text, None),
            ServerGiven::Long {
                name,
                address,
                weight,
            } => (
                name.map_or_else(|| address.clone(), |name| format!("{name}={address}")),
                weight,
            ),
        };
        servers.push(text);
        weights.push(weight);
    }
    let weights = weights
        .iter()
        .any(Option::is_some)
        .then(|| weights.into_iter().map(|weight| weight.unwrap_or(1.0)).collect());
    let source = match config.with_servers(&pool, servers, weights, change.hash) {
        Ok(source) => source,
        Err(error) => return complain(error.to_string()),
    };
    let keeper = Arc::clone(&admin.keeper);
    // Waits for every worker's word.
    match tokio::task::spawn_blocking(move || keeper.apply(source)).await {
        Ok(Ok(epoch)) => {
            let mut told = describe(&admin.shared);
            told["epoch"] = json!(epoch);
            answer(StatusCode::OK, &told)
        }
        Ok(Err(why)) => complain(why),
        Err(error) => answer(
            StatusCode::INTERNAL_SERVER_ERROR,
            &json!({"error": error.to_string()}),
        ),
    }
}
