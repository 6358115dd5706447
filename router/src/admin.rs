//! The admin side: HTTP for operators, probes and Prometheus. Never on a request's way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::clock;
use crate::config::PoolView;
use crate::config::reload::{Force, Keeper};
use crate::metrics;
use crate::request::Op;
use crate::settings::Shared;
use crate::stats::DestinationCounters;
use crate::upstream::connection::Order;

/// What the admin side answers from.
#[derive(Clone)]
pub(crate) struct Admin {
    pub shared: Arc<Shared>,
    pub keeper: Arc<Keeper>,
    /// No new clients are taken: said by /readyz, so that load balancers look elsewhere.
    pub draining: Arc<AtomicBool>,
    /// Drains the router and ends it, for its successor.
    pub leave: Arc<dyn Fn() + Send + Sync>,
}

/// The paths.
pub(crate) fn router(admin: Admin) -> Router {
    Router::new()
        .route("/", get(crate::page::page))
        .route("/status", get(crate::page::status))
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(page))
        .route("/topology", get(topology).post(change))
        .route("/config", get(config))
        .route("/reload", post(reload))
        .route("/route", get(route))
        .route("/servers", get(servers))
        .route("/names", get(names))
        .route(
            "/servers/drain",
            post(async |admin: State<Admin>, body: Bytes| order(admin, body, Order::Drain)),
        )
        .route(
            "/servers/undrain",
            post(async |admin: State<Admin>, body: Bytes| order(admin, body, Order::Undrain)),
        )
        .route(
            "/servers/up",
            post(async |admin: State<Admin>, body: Bytes| order(admin, body, Order::Up)),
        )
        .route("/leave", post(leave))
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
    let out = shared.ejected.load().get(&view.pool.name).cloned();
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
                "ejected": out.as_ref().is_some_and(|out| out.contains(&server.name)),
            })
        })
        .collect();
    let hash = view
        .topology
        .as_ref()
        .map_or_else(|| "replicated".to_owned(), |topology| topology.hash.to_string());
    json!({"name": view.pool.name, "hash": hash, "servers": servers})
}

/// The configuration in use, where it comes from and how the last attempt to change it went.
async fn config(State(admin): State<Admin>) -> Response {
    answer(StatusCode::OK, &config_told(&admin.shared))
}

fn config_told(shared: &Shared) -> Value {
    let config = shared.config.load();
    let status = shared.status.lock().clone();
    json!({
        "epoch": config.epoch,
        "checksum": format!("{:016x}", config.checksum()),
        "origin": status.origin,
        "last_attempt_unix": status.last_attempt_unix,
        "last_success_unix": status.last_success_unix,
        "failures": status.failures,
        "last_error": status.last_error,
        "tls_last_error": *shared.settings.tls.told().last_error.lock(),
        "tls_last_handshake_error": shared.settings.tls.handshakes().last_error.lock().as_ref()
            .map(|(server, why)| format!("{server}: {why}")),
        "config": config.source,
    })
}

/// Reads the file again, changed or not: 400 with the reason if it is bad.
async fn reload(State(admin): State<Admin>) -> Response {
    let keeper = Arc::clone(&admin.keeper);
    if let Err(error) = tokio::task::spawn_blocking(move || keeper.reread(Force::Yes)).await {
        return answer(
            StatusCode::INTERNAL_SERVER_ERROR,
            &json!({"error": error.to_string()}),
        );
    }
    let told = config_told(&admin.shared);
    match told["last_error"].as_str() {
        Some(why) => answer(StatusCode::BAD_REQUEST, &json!({"error": why})),
        None => answer(StatusCode::OK, &told),
    }
}

/// `?op=get&key=…`: the servers that a request may reach, first choice first.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    #[serde(default = "get_op")]
    op: String,
    key: String,
}

fn get_op() -> String {
    "get".to_owned()
}

async fn route(State(admin): State<Admin>, asked: Result<Query<Asked>, QueryRejection>) -> Response {
    let complain = |why: String| answer(StatusCode::BAD_REQUEST, &json!({"error": why}));
    let asked = match asked {
        Ok(Query(asked)) => asked,
        Err(why) => return complain(why.body_text()),
    };
    let Some(op) = Op::named(&asked.op) else {
        let known: Vec<&str> = Op::ALL.into_iter().map(Op::name).collect();
        return complain(crate::config::check::unknown("operation", &asked.op, &known));
    };
    let keeper = Arc::clone(&admin.keeper);
    let key = asked.key.clone().into_bytes();
    match tokio::task::spawn_blocking(move || keeper.route(op, key)).await {
        Ok(Some(servers)) => answer(
            StatusCode::OK,
            &json!({"op": op.name(), "key": asked.key, "servers": servers}),
        ),
        _ => answer(
            StatusCode::SERVICE_UNAVAILABLE,
            &json!({"error": "no worker answers"}),
        ),
    }
}

/// Every server: how it is, and what is under way on it.
async fn servers(State(admin): State<Admin>) -> Response {
    let shared = &admin.shared;
    let drained = shared.drained.lock().clone();
    let servers: Vec<Value> = shared
        .registry
        .destinations()
        .into_iter()
        .map(|(name, counted)| {
            let sum = |of: fn(&DestinationCounters) -> u64| -> u64 {
                counted.iter().map(|counted| of(&counted.counters)).sum()
            };
            let mut addresses: Vec<String> = counted
                .iter()
                .map(|counted| counted.destination.address.to_string())
                .collect();
            addresses.dedup();
            json!({
                "name": name,
                "addresses": addresses,
                "state": shared.registry.state(&name).name(),
                "drained": drained.contains(&name),
                "connections": counted.len(),
                "requests": sum(|counters| counters.requests.get()),
                "errors": sum(|counters| counters.errors.total()),
                "in_flight": sum(DestinationCounters::inflight),
                "tkos": sum(|counters| counters.tkos.get()),
            })
        })
        .collect();
    answer(StatusCode::OK, &json!({"servers": servers}))
}

/// What the names of servers stand for, as DNS told.
async fn names(State(admin): State<Admin>) -> Response {
    let names: Vec<Value> = admin
        .shared
        .names
        .standings()
        .into_iter()
        .map(|(question, standing, found)| {
            json!({
                "name": question.name(),
                "kind": question.kind(),
                "found": found.map(|found| found.told()),
                "last_error": standing.last_error,
            })
        })
        .collect();
    answer(StatusCode::OK, &json!({"names": names}))
}

/// Which server an operator means.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    server: String,
}

fn order(State(admin): State<Admin>, body: Bytes, order: Order) -> Response {
    let complain = |why: String| answer(StatusCode::BAD_REQUEST, &json!({"error": why}));
    let named: Named = match serde_json::from_slice(&body) {
        Ok(named) => named,
        Err(error) => return complain(error.to_string()),
    };
    let known = admin.shared.registry.destinations();
    let names: Vec<&str> = known.iter().map(|(name, _)| name.as_str()).collect();
    if !names.contains(&named.server.as_str()) {
        return complain(crate::config::check::unknown("server", &named.server, &names));
    }
    match order {
        Order::Drain => {
            admin.shared.drained.lock().insert(named.server.clone());
        }
        Order::Undrain => {
            admin.shared.drained.lock().remove(&named.server);
        }
        Order::Up => {}
    }
    tracing::warn!(server = named.server, ?order, "an operator's order");
    admin.keeper.order(&named.server, order);
    answer(StatusCode::ACCEPTED, &json!({"server": named.server}))
}

async fn leave(State(admin): State<Admin>) -> Response {
    (admin.leave)();
    (StatusCode::ACCEPTED, "leaving\n").into_response()
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
