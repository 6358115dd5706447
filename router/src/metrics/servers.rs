//! Dealings with each server.

use super::by::By;
use super::exposition::Page;
use crate::reply::Kind;
use crate::settings::Shared;
use crate::stats::report;
use crate::upstream::connection::State;
use crate::upstream::error::UpstreamError;

pub(super) fn servers(page: &mut Page, shared: &Shared, servers: &By<'_>) {
    page.metric("router_server_state", "gauge", "1 for the state the server is in");
    for (name, _) in &servers.groups {
        let is = shared.registry.state(name);
        for state in State::ALL {
            page.sample(
                "router_server_state",
                &[("server", name), ("state", state.name())],
                u8::from(state == is),
            );
        }
    }
    servers.sum(
        page,
        "router_upstream_connections",
        "gauge",
        "Connections to a server that are open",
        &|c| u64::from(c.counters.state() == State::Up),
    );
    servers.sum(
        page,
        "router_upstream_requests_total",
        "counter",
        "Requests meant for a server",
        &|c| c.counters.requests.get(),
    );
    servers.sum(
        page,
        "router_upstream_inflight",
        "gauge",
        "Requests that wait for a server's reply",
        &|c| c.counters.inflight(),
    );
    servers.sum(
        page,
        "router_upstream_read_bytes_total",
        "counter",
        "Bytes from a server",
        &|c| c.counters.bytes_read.get(),
    );
    servers.sum(
        page,
        "router_upstream_tko_total",
        "counter",
        "Times a server was given up until it answers a probe",
        &|c| c.counters.tkos.get(),
    );
    servers.split(
        page,
        (
            "router_upstream_replies_total",
            "Replies of a server, by what they said",
        ),
        ("reply", &Kind::ALL, Kind::name),
        |c, kind| c.counters.replies.get(kind),
    );
    servers.split(
        page,
        (
            "router_upstream_errors_total",
            "Requests a server did not answer, by why",
        ),
        ("error", &UpstreamError::ALL, UpstreamError::name),
        |c, error| c.counters.errors.get(error),
    );
    page.metric(
        "router_upstream_reply_seconds",
        "histogram",
        "From a request's being queued for a server to its reply",
    );
    for (name, counted) in &servers.groups {
        page.histogram(
            "router_upstream_reply_seconds",
            &[("server", name)],
            &report::totals(counted),
        );
    }
}
