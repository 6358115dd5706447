//! Dealings with each server.

use super::Destinations;
use super::exposition::Page;
use crate::reply::Kind;
use crate::settings::Shared;
use crate::stats::{Counted, report};
use crate::upstream::connection::State;
use crate::upstream::error::UpstreamError;

pub(super) fn servers(page: &mut Page, shared: &Shared, destinations: &Destinations) {
    page.metric("router_server_state", "gauge", "1 for the state the server is in");
    for (name, _) in destinations {
        let is = shared.registry.state(name);
        for state in State::ALL {
            page.sample(
                "router_server_state",
                &[("server", name), ("state", state.name())],
                u8::from(state == is),
            );
        }
    }
    page.metric(
        "router_upstream_connections",
        "gauge",
        "Connections to a server that are open",
    );
    for (name, counted) in destinations {
        let open = counted.iter().filter(|c| c.counters.state() == State::Up);
        page.sample("router_upstream_connections", &[("server", name)], open.count());
    }
    let per_server = |page: &mut Page, metric: &str, of: &dyn Fn(&Counted) -> u64| {
        for (name, counted) in destinations {
            page.sample(metric, &[("server", name)], counted.iter().map(of).sum::<u64>());
        }
    };
    page.metric(
        "router_upstream_requests_total",
        "counter",
        "Requests meant for a server",
    );
    per_server(page, "router_upstream_requests_total", &|c| {
        c.counters.requests.get()
    });
    page.metric(
        "router_upstream_inflight",
        "gauge",
        "Requests that wait for a server's reply",
    );
    per_server(page, "router_upstream_inflight", &|c| c.counters.inflight());
    page.metric(
        "router_upstream_read_bytes_total",
        "counter",
        "Bytes from a server",
    );
    per_server(page, "router_upstream_read_bytes_total", &|c| {
        c.counters.bytes_read.get()
    });
    page.metric(
        "router_upstream_tko_total",
        "counter",
        "Times a server was given up until it answers a probe",
    );
    per_server(page, "router_upstream_tko_total", &|c| c.counters.tkos.get());
    page.metric(
        "router_upstream_replies_total",
        "counter",
        "Replies of a server, by what they said",
    );
    for (name, counted) in destinations {
        for kind in Kind::ALL {
            let replies: u64 = counted.iter().map(|c| c.counters.replies.get(kind)).sum();
            page.sample(
                "router_upstream_replies_total",
                &[("server", name), ("reply", kind.name())],
                replies,
            );
        }
    }
    page.metric(
        "router_upstream_errors_total",
        "counter",
        "Requests a server did not answer, by why",
    );
    for (name, counted) in destinations {
        for error in UpstreamError::ALL {
            let errors: u64 = counted.iter().map(|c| c.counters.errors.get(error)).sum();
            page.sample(
                "router_upstream_errors_total",
                &[("server", name), ("error", error.name())],
                errors,
            );
        }
    }
    page.metric(
        "router_upstream_reply_seconds",
        "histogram",
        "From a request's being queued for a server to its reply",
    );
    for (name, counted) in destinations {
        let counted: Vec<&Counted> = counted.iter().collect();
        let labels = [("server", name.as_str())];
        page.histogram(
            "router_upstream_reply_seconds",
            &labels,
            &report::totals(&counted),
        );
    }
}
