//! Dealings with clients.

use super::exposition::Page;
use crate::reply::Kind;
use crate::request::Op;
use crate::settings::Shared;
use crate::stats::WorkerCounters;
use crate::upstream::error::UpstreamError;

pub(super) fn clients(page: &mut Page, shared: &Shared) {
    let sum = |of: fn(&WorkerCounters) -> u64| shared.registry.sum(of);
    page.one(
        "router_client_connections",
        "gauge",
        "Clients connected",
        sum(|w| w.connections_open.get()),
    );
    page.one(
        "router_client_connections_total",
        "counter",
        "Clients accepted",
        sum(|w| w.connections_accepted.get()),
    );
    page.one(
        "router_client_connections_rejected_total",
        "counter",
        "Clients turned away because there were too many",
        sum(|w| w.connections_rejected.get()),
    );
    page.one(
        "router_client_connections_limit",
        "gauge",
        "Clients at a time",
        shared.settings.max_connections,
    );
    page.one(
        "router_client_read_bytes_total",
        "counter",
        "Bytes from clients",
        sum(|w| w.bytes_read.get()),
    );
    page.one(
        "router_client_written_bytes_total",
        "counter",
        "Bytes to clients",
        sum(|w| w.bytes_written.get()),
    );
    page.one(
        "router_client_pauses_total",
        "counter",
        "Times a client was not read because it did not read, or was too far ahead of its replies",
        sum(|w| w.paused.get()),
    );
    page.one(
        "router_lingers_total",
        "counter",
        "Times a busy worker waited a moment for more to arrive (--linger)",
        sum(|w| w.lingers.get()),
    );
    page.one(
        "router_client_rejects_total",
        "counter",
        "Requests refused for their form",
        sum(|w| w.rejects.get()),
    );
    split(
        page,
        shared,
        (
            "router_requests_total",
            "Requests of clients; each key of a retrieval counts",
        ),
        ("op", &Op::ALL, Op::name),
        |worker, op| worker.requests.get(op),
    );
    page.metric("router_gets_total", "counter", "Keys asked for, by result");
    page.sample(
        "router_gets_total",
        &[("result", "hit")],
        sum(|w| w.get_hits.get()),
    );
    page.sample(
        "router_gets_total",
        &[("result", "miss")],
        sum(|w| w.get_misses.get()),
    );
    split(
        page,
        shared,
        ("router_replies_total", "Replies to clients that a server gave"),
        ("reply", &Kind::ALL, Kind::name),
        |worker, kind| worker.replies.get(kind),
    );
    split(
        page,
        shared,
        (
            "router_failures_total",
            "Requests that no server answered, by why",
        ),
        ("error", &UpstreamError::ALL, UpstreamError::name),
        |worker, error| worker.failures.get(error),
    );
    page.one(
        "router_masked_get_errors_total",
        "counter",
        "Gets that failed and were answered as misses",
        sum(|w| w.masked_get_errors.get()),
    );
    page.one(
        "router_unreported_errors_total",
        "counter",
        "Requests without reply (noreply, copies in the background) that failed",
        sum(|w| w.unreported_errors.get()),
    );
    page.one(
        "router_failovers_total",
        "counter",
        "Requests that went on to another server",
        sum(|w| w.failovers.get()),
    );
    page.one(
        "router_near_cache_hits_total",
        "counter",
        "Gets answered by a NearCacheRoute",
        sum(|w| w.near_hits.get()),
    );
    let (kept, limit) = shared.settings.defaults.near_caches.bytes();
    page.one(
        "router_near_cache_bytes",
        "gauge",
        "What NearCacheRoutes keep",
        kept,
    );
    page.one(
        "router_near_cache_limit_bytes",
        "gauge",
        "What they may keep",
        limit,
    );
    let (tokens, redirected) = shared.settings.defaults.leases.counts();
    page.one(
        "router_lease_tokens",
        "gauge",
        "Leases won from another child than the first of a failover, and not spent yet",
        tokens,
    );
    page.one(
        "router_lease_tokens_redirected_total",
        "counter",
        "Stores sent to where their lease was won",
        redirected,
    );
    page.one(
        "router_coalesced_gets_total",
        "counter",
        "Gets answered by the answer to another, in a CoalesceRoute",
        sum(|w| w.coalesced.get()),
    );
    page.one(
        "router_background_dropped_total",
        "counter",
        "Requests for the background that were left out because too much was under way",
        sum(|w| w.background_dropped.get()),
    );
    page.one(
        "router_composite_requests",
        "gauge",
        "Requests under way that need more than one server",
        sum(|w| w.flows.get()),
    );
}

/// Counters of all workers that have a number for each of `parts`, told apart by a label.
fn split<P: Copy>(
    page: &mut Page,
    shared: &Shared,
    (metric, help): (&str, &str),
    (label, parts, name): (&str, &[P], impl Fn(P) -> &'static str),
    of: impl Fn(&WorkerCounters, P) -> u64,
) {
    page.metric(metric, "counter", help);
    for &part in parts {
        let sum = shared.registry.sum(|worker| of(worker, part));
        page.sample(metric, &[(label, name(part))], sum);
    }
}
