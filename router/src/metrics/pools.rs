//! Dealings with each pool: the sum over its servers. A server that two pools name with the same settings has one
//! connection, and counts for both.

use super::Destinations;
use super::exposition::Page;
use crate::config::PoolView;
use crate::reply::Kind;
use crate::request::Family;
use crate::settings::Shared;
use crate::stats::{Counted, report};

/// A pool's name and its servers' counters, one entry per server and worker.
type OfPool<'a> = (String, Vec<&'a Counted>);

pub(super) fn pools(page: &mut Page, shared: &Shared, destinations: &Destinations) {
    let config = shared.config.load();
    let pools: Vec<OfPool<'_>> = config
        .pools
        .iter()
        .map(|view| (view.pool.name.clone(), of_pool(view, destinations)))
        .collect();
    let each = |page: &mut Page, metric: &str, of: &dyn Fn(&Counted) -> u64| {
        for (pool, counted) in &pools {
            let sum = counted.iter().map(|counted| of(counted)).sum::<u64>();
            page.sample(metric, &[("pool", pool)], sum);
        }
    };
    page.metric(
        "router_pool_requests_total",
        "counter",
        "Requests meant for a pool's servers",
    );
    each(page, "router_pool_requests_total", &|c| c.counters.requests.get());
    page.metric(
        "router_pool_inflight",
        "gauge",
        "Requests that wait for a reply of a pool's servers",
    );
    each(page, "router_pool_inflight", &|c| c.counters.inflight());
    page.metric(
        "router_pool_errors_total",
        "counter",
        "Requests a pool's servers did not answer",
    );
    each(page, "router_pool_errors_total", &|c| c.counters.errors.total());
    page.metric(
        "router_pool_replies_total",
        "counter",
        "Replies of a pool's servers, by what they said",
    );
    for (pool, counted) in &pools {
        for kind in Kind::ALL {
            let replies: u64 = counted.iter().map(|c| c.counters.replies.get(kind)).sum();
            let labels = [("pool", pool.as_str()), ("reply", kind.name())];
            page.sample("router_pool_replies_total", &labels, replies);
        }
    }
    page.metric(
        "router_pool_reply_seconds",
        "histogram",
        "From a request's being queued for a pool's server to its reply, by operation",
    );
    for (pool, counted) in &pools {
        for family in Family::ALL {
            let labels = [("pool", pool.as_str()), ("op", family.name())];
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
