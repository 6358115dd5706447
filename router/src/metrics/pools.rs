//! Dealings with each pool: the sum over its servers. A server that two pools name with the same settings has one
//! connection, and counts for both.

use super::Destinations;
use super::by::By;
use super::exposition::Page;
use crate::config::PoolView;
use crate::reply::Kind;
use crate::request::Family;
use crate::settings::Shared;
use crate::stats::{Counted, report};

pub(super) fn pools(page: &mut Page, shared: &Shared, destinations: &Destinations) {
    let config = shared.config.load();
    let of_each = config
        .pools
        .iter()
        .map(|view| (view.pool.name.as_str(), of_pool(view, destinations)));
    let pools = By {
        label: "pool",
        groups: of_each.collect(),
    };
    pools.sum(
        page,
        "router_pool_requests_total",
        "counter",
        "Requests meant for a pool's servers",
        &|c| c.counters.requests.get(),
    );
    pools.sum(
        page,
        "router_pool_inflight",
        "gauge",
        "Requests that wait for a reply of a pool's servers",
        &|c| c.counters.inflight(),
    );
    pools.sum(
        page,
        "router_pool_errors_total",
        "counter",
        "Requests a pool's servers did not answer",
        &|c| c.counters.errors.total(),
    );
    pools.split(
        page,
        (
            "router_pool_replies_total",
            "Replies of a pool's servers, by what they said",
        ),
        ("reply", &Kind::ALL, Kind::name),
        |c, kind| c.counters.replies.get(kind),
    );
    page.metric(
        "router_pool_reply_seconds",
        "histogram",
        "From a request's being queued for a pool's server to its reply, by operation",
    );
    for (pool, counted) in &pools.groups {
        for family in Family::ALL {
            let labels = [("pool", *pool), ("op", family.name())];
            let totals = report::totals_of(counted, family);
            page.histogram("router_pool_reply_seconds", &labels, &totals);
        }
    }
}

fn of_pool<'a>(view: &PoolView, destinations: &'a Destinations) -> Vec<&'a Counted> {
    destinations
        .iter()
        .flat_map(|(_, counted)| counted)
        .filter(|counted| view.pool.servers.contains(&counted.destination))
        .collect()
}
