//! mcrouter_exporter's names, for the dashboards that are there already.

use super::by::{By, Number};
use super::exposition::Page;
use crate::reply::Kind;
use crate::request::Op;
use crate::settings::Shared;
use crate::stats::{Counted, WorkerCounters, report};
use crate::upstream::connection::State;
use crate::upstream::error::UpstreamError;

pub(super) fn mcrouter(page: &mut Page, shared: &Shared, servers: &By<'_>) {
    let sum = |of: fn(&WorkerCounters) -> u64| shared.registry.sum(of);
    page.one("mcrouter_up", "gauge", "1: the router answers", 1);
    page.one(
        "mcrouter_clients",
        "gauge",
        "Clients connected",
        sum(|w| w.connections_open.get()),
    );
    let commands: Vec<(&str, u64)> = Op::ALL
        .into_iter()
        .map(|op| (op.name(), shared.registry.sum(|worker| worker.requests.get(op))))
        .collect();
    let results: Vec<(&str, u64)> = Kind::ALL
        .into_iter()
        .map(|kind| {
            (
                kind.name(),
                shared.registry.sum(|worker| worker.replies.get(kind)),
            )
        })
        .collect();
    let up = shared.settings.started.elapsed().as_secs_f64().max(1.0);
    for (count, mean, what, label, rows) in [
        (
            "mcrouter_command_count",
            "mcrouter_commands",
            "Requests of clients, by command",
            "cmd",
            commands,
        ),
        (
            "mcrouter_result_count",
            "mcrouter_results",
            "Replies to clients, by result",
            "reply",
            results,
        ),
    ] {
        page.metric(count, "counter", what);
        for (name, value) in &rows {
            page.sample(count, &[(label, name)], value);
        }
        page.metric(
            mean,
            "gauge",
            &format!("{what}, per second, mean since the start"),
        );
        for (name, value) in &rows {
            page.sample(mean, &[(label, name)], *value as f64 / up);
        }
    }
    page.one(
        "mcrouter_asynclog_requests",
        "counter",
        "Deletes that a server missed and that are kept for it",
        shared
            .debts
            .statements()
            .iter()
            .map(|statement| statement.totals.owed)
            .sum::<u64>(),
    );
    page.metric(
        "mcrouter_result_failover",
        "counter",
        "Requests that went on to another server",
    );
    page.sample(
        "mcrouter_result_failover",
        &[("reply", "all")],
        sum(|w| w.failovers.get()),
    );
    page.metric("mcrouter_servers", "gauge", "Servers, by state");
    for (label, wanted) in [
        ("new", &[State::New][..]),
        ("up", &[State::Up]),
        ("closed", &[State::Closed]),
        ("down", &[State::SoftTko, State::HardTko]),
    ] {
        let count = servers
            .groups
            .iter()
            .filter(|(name, _)| wanted.contains(&shared.registry.state(name)))
            .count();
        page.sample("mcrouter_servers", &[("state", label)], count);
    }
    let all: Vec<&Counted> = servers
        .groups
        .iter()
        .flat_map(|(_, counted)| counted.iter().copied())
        .collect();
    page.one(
        "mcrouter_duration_us",
        "gauge",
        "Median reply time of all servers since the start",
        report::totals(&all).quantile(0.5),
    );
    page.one(
        "mcrouter_proxy_reqs_processing",
        "gauge",
        "Requests that wait for a server's reply",
        all.iter().map(|c| c.counters.inflight()).sum::<u64>(),
    );
    page.one(
        "mcrouter_proxy_reqs_waiting",
        "gauge",
        "Requests under way that need more than one server",
        sum(|w| w.flows.get()),
    );
    page.one(
        "mcrouter_dev_null_requests",
        "counter",
        "Requests that a NullRoute answered",
        sum(|w| w.dev_null.get()),
    );
    let status = shared.status.lock().clone();
    page.one(
        "mcrouter_config_last_success",
        "gauge",
        "When the configuration in use was read",
        status.last_success_unix,
    );
    page.one(
        "mcrouter_config_failures",
        "counter",
        "Configurations that were refused",
        status.failures,
    );
    mcrouter_servers(page, shared, servers);
}

fn mcrouter_servers(page: &mut Page, shared: &Shared, servers: &By<'_>) {
    let metrics: [(&str, &str, Number<'_>); 7] = [
        (
            "mcrouter_server_proxy_reqs_processing",
            "Requests that wait for this server",
            &|c| c.counters.inflight(),
        ),
        ("mcrouter_server_memcached_found_count", "Hits", &|c| {
            c.counters.replies.get(Kind::Hit)
        }),
        (
            "mcrouter_server_memcached_not_found_count",
            "Misses and keys not found",
            &|c| c.counters.replies.get(Kind::Miss) + c.counters.replies.get(Kind::NotFound),
        ),
        ("mcrouter_server_memcached_stored_count", "Stores", &|c| {
            c.counters.replies.get(Kind::Stored)
        }),
        (
            "mcrouter_server_memcached_timeout_count",
            "Requests without reply in time",
            &|c| c.counters.errors.get(UpstreamError::Timeout),
        ),
        (
            "mcrouter_server_memcached_connect_timeout_count",
            "Requests without connection",
            &|c| c.counters.errors.get(UpstreamError::Connect),
        ),
        (
            "mcrouter_server_memcached_remote_error_count",
            "Errors the server answered",
            &|c| c.counters.replies.get(Kind::ServerError),
        ),
    ];
    for (metric, help, of) in metrics {
        servers.sum(page, metric, "gauge", help, of);
    }
    page.metric(
        "mcrouter_server_duration_us",
        "gauge",
        "Mean reply time since the start",
    );
    for (name, counted) in &servers.groups {
        let totals = report::totals(counted);
        let mean = totals.sum_micros.checked_div(totals.count()).unwrap_or(0);
        page.sample("mcrouter_server_duration_us", &[("server", name)], mean);
    }
    for (metric, help, state) in [
        (
            "mcrouter_server_memcached_soft_tko",
            "1 while given up for timeouts",
            State::SoftTko,
        ),
        (
            "mcrouter_server_memcached_hard_tko",
            "1 while given up for its connection",
            State::HardTko,
        ),
    ] {
        page.metric(metric, "gauge", help);
        for (name, _) in &servers.groups {
            page.sample(
                metric,
                &[("server", name)],
                u8::from(shared.registry.state(name) == state),
            );
        }
    }
}
