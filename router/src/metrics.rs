//! /metrics: every metric is declared here, with its help. Our names, and mcrouter_exporter's for the dashboards that
//! are there already.

use std::fmt::Write as _;
use std::sync::atomic::Ordering;

use crate::clock;
use crate::debt::Statement;
use crate::reply::Kind;
use crate::request::Op;
use crate::settings::Shared;
use crate::stats::histogram::Totals;
use crate::stats::process::Process;
use crate::stats::{Counted, WorkerCounters, report};
use crate::upstream::connection::State;
use crate::upstream::error::UpstreamError;

/// Upper bounds of the latency buckets, in microseconds. Each is the end of a bucket of our own histogram, so that
/// the numbers are exact.
const LATENCY_BOUNDS_MICROS: [u64; 14] = [
    63, 127, 255, 511, 1_023, 2_047, 4_095, 8_191, 16_383, 32_767, 131_071, 524_287, 1_048_575, 4_194_303,
];

/// The page's text, metric by metric.
struct Page(String);

impl Page {
    fn metric(&mut self, name: &str, kind: &str, help: &str) {
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        self.0.push_str(name);
        for (index, (label, text)) in labels.iter().enumerate() {
            self.0.push(if index == 0 { '{' } else { ',' });
            let _ = write!(self.0, "{label}=\"");
            for character in text.chars() {
                match character {
                    '"' => self.0.push_str("\\\""),
                    '\\' => self.0.push_str("\\\\"),
                    '\n' => self.0.push_str("\\n"),
                    other => self.0.push(other),
                }
            }
            self.0.push('"');
        }
        if !labels.is_empty() {
            self.0.push('}');
        }
        let _ = writeln!(self.0, " {value}");
    }

    fn one(&mut self, name: &str, kind: &str, help: &str, value: impl std::fmt::Display) {
        self.metric(name, kind, help);
        self.sample(name, &[], value);
    }
}

/// Microseconds as seconds, the base unit.
#[expect(clippy::cast_precision_loss, reason = "a metric")]
fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}

/// What replicas are owed.
fn debts(page: &mut Page, shared: &Shared) {
    type Of = fn(&Statement) -> u64;
    let table: &[(&str, &str, &str, Of)] = &[
        (
            "router_debt_keys",
            "gauge",
            "Keys whose delete a replica is owed",
            |s| s.depth,
        ),
        (
            "router_debt_bytes",
            "gauge",
            "Size of what a replica is owed",
            |s| s.bytes,
        ),
        (
            "router_debt_oldest_seconds",
            "gauge",
            "Age of the oldest debt to a replica",
            |s| {
                s.oldest_unix
                    .map_or(0, |since| clock::unix().as_secs().saturating_sub(since))
            },
        ),
        ("router_debt_owed_total", "counter", "Debts made", |s| {
            s.totals.owed
        }),
        ("router_debt_paid_total", "counter", "Debts paid", |s| {
            s.totals.paid
        }),
        (
            "router_debt_refused_total",
            "counter",
            "Debts that were not made for want of room or because the spool could not be written",
            |s| s.totals.refused,
        ),
        (
            "router_debt_forgiven_total",
            "counter",
            "Debts dropped by an operator's order",
            |s| s.totals.forgiven,
        ),
        (
            "router_debt_untold_total",
            "counter",
            "Times a replica came to be owed something while most of its pool could not be told",
            |s| s.totals.untold,
        ),
        (
            "router_replica_readable",
            "gauge",
            "1 if the replica may be read, 0 if this or another router owes it something",
            |s| u64::from(s.replica.is_readable()),
        ),
        (
            "router_replica_marked",
            "gauge",
            "1 if another router owes the replica something",
            |s| u64::from(s.replica.marked.load(Ordering::Relaxed)),
        ),
        (
            "router_replica_unwitnessed_total",
            "counter",
            "Times a replica was made readable while most of its pool could not be asked whether it is owed something",
            |s| s.replica.unwitnessed.load(Ordering::Relaxed),
        ),
    ];
    let statements = shared.debts.statements();
    for (name, kind, help, of) in table {
        page.metric(name, kind, help);
        for statement in &statements {
            let replica = &statement.replica;
            let labels = [
                ("pool", replica.pool.as_str()),
                ("server", replica.server.as_str()),
            ];
            page.sample(name, &labels, of(statement));
        }
    }
    let (disk_bytes, error) = shared.debts.disk();
    page.one(
        "router_spool_bytes",
        "gauge",
        "Size of the spool's files",
        disk_bytes,
    );
    page.one(
        "router_spool_limit_bytes",
        "gauge",
        "What replicas may be owed altogether",
        shared.debts.terms.limit_bytes,
    );
    page.one(
        "router_spool_failed",
        "gauge",
        "1 if the spool could not be written when it was last tried",
        u8::from(error.is_some()),
    );
    page.one(
        "router_spool_waiting",
        "gauge",
        "Requests that wait for their debts to be kept",
        shared.debts.waiting(),
    );
}

/// The whole page.
pub(crate) fn page(shared: &Shared) -> String {
    let mut page = Page(String::with_capacity(16 * 1024));
    process(&mut page, shared);
    clients(&mut page, shared);
    configuration(&mut page, shared);
    let destinations = shared.registry.destinations();
    servers(&mut page, shared, &destinations);
    debts(&mut page, shared);
    mcrouter(&mut page, shared, &destinations);
    page.0
}

fn process(page: &mut Page, shared: &Shared) {
    let process = Process::read();
    page.metric("router_build_info", "gauge", "Always 1; the version is a label");
    page.sample("router_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
    page.one(
        "router_uptime_seconds",
        "gauge",
        "Time since the start",
        shared.settings.started.elapsed().as_secs(),
    );
    page.one(
        "process_resident_memory_bytes",
        "gauge",
        "Resident memory",
        process.resident_bytes,
    );
    page.one(
        "process_cpu_seconds_total",
        "counter",
        "CPU time, user and system",
        (process.user + process.system).as_secs_f64(),
    );
}

fn clients(page: &mut Page, shared: &Shared) {
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
        "router_client_rejects_total",
        "counter",
        "Requests refused for their form",
        sum(|w| w.rejects.get()),
    );
    page.metric(
        "router_requests_total",
        "counter",
        "Requests of clients; each key of a retrieval counts",
    );
    for op in Op::ALL {
        let requests = shared.registry.sum(|worker| worker.requests.get(op));
        page.sample("router_requests_total", &[("op", op.name())], requests);
    }
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
    page.metric(
        "router_replies_total",
        "counter",
        "Replies to clients that a server gave",
    );
    for kind in Kind::ALL {
        let replies = shared.registry.sum(|worker| worker.replies.get(kind));
        page.sample("router_replies_total", &[("reply", kind.name())], replies);
    }
    page.metric(
        "router_failures_total",
        "counter",
        "Requests that no server answered, by why",
    );
    for error in UpstreamError::ALL {
        let failures = shared.registry.sum(|worker| worker.failures.get(error));
        page.sample("router_failures_total", &[("error", error.name())], failures);
    }
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

fn configuration(page: &mut Page, shared: &Shared) {
    let status = shared.status.lock().clone();
    let config = shared.config.load();
    page.one(
        "router_config_epoch",
        "gauge",
        "Raised at every change",
        config.epoch,
    );
    page.one(
        "router_config_failures_total",
        "counter",
        "Configurations that were refused",
        status.failures,
    );
    page.one(
        "router_config_last_success_timestamp_seconds",
        "gauge",
        "When the configuration in use was read",
        status.last_success_unix,
    );
    page.one(
        "router_config_bad",
        "gauge",
        "1 while the last configuration offered was refused",
        u8::from(status.last_error.is_some()),
    );
    let tls = shared.settings.tls.told();
    page.one(
        "router_tls_reloads_total",
        "counter",
        "Times certificates were read again and taken into use",
        tls.reloads.load(Ordering::Relaxed),
    );
    page.one(
        "router_tls_reload_failures_total",
        "counter",
        "Times certificates were read again and found bad: the old ones stay in use",
        tls.failures.load(Ordering::Relaxed),
    );
}

type Destinations = [(String, Vec<Counted>)];

fn servers(page: &mut Page, shared: &Shared, destinations: &Destinations) {
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
        histogram(page, name, &report::totals(&counted));
    }
}

fn histogram(page: &mut Page, server: &str, totals: &Totals) {
    for bound in LATENCY_BOUNDS_MICROS {
        let le = seconds(bound).to_string();
        page.sample(
            "router_upstream_reply_seconds_bucket",
            &[("server", server), ("le", &le)],
            totals.up_to(bound),
        );
    }
    page.sample(
        "router_upstream_reply_seconds_bucket",
        &[("server", server), ("le", "+Inf")],
        totals.count(),
    );
    page.sample(
        "router_upstream_reply_seconds_sum",
        &[("server", server)],
        seconds(totals.sum_micros),
    );
    page.sample(
        "router_upstream_reply_seconds_count",
        &[("server", server)],
        totals.count(),
    );
}

/// What is read off one worker's counters of one server.
type Number<'a> = &'a dyn Fn(&Counted) -> u64;

/// mcrouter_exporter's names.
fn mcrouter(page: &mut Page, shared: &Shared, destinations: &Destinations) {
    let sum = |of: fn(&WorkerCounters) -> u64| shared.registry.sum(of);
    page.one("mcrouter_up", "gauge", "1: the router answers", 1);
    page.one(
        "mcrouter_clients",
        "gauge",
        "Clients connected",
        sum(|w| w.connections_open.get()),
    );
    page.metric(
        "mcrouter_command_count",
        "counter",
        "Requests of clients, by command",
    );
    for op in Op::ALL {
        let requests = shared.registry.sum(|worker| worker.requests.get(op));
        page.sample("mcrouter_command_count", &[("cmd", op.name())], requests);
    }
    page.metric(
        "mcrouter_result_count",
        "counter",
        "Replies to clients, by result",
    );
    for kind in Kind::ALL {
        let replies = shared.registry.sum(|worker| worker.replies.get(kind));
        page.sample("mcrouter_result_count", &[("reply", kind.name())], replies);
    }
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
        let count = destinations
            .iter()
            .filter(|(name, _)| wanted.contains(&shared.registry.state(name)))
            .count();
        page.sample("mcrouter_servers", &[("state", label)], count);
    }
    let all: Vec<&Counted> = destinations.iter().flat_map(|(_, counted)| counted).collect();
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
    mcrouter_servers(page, shared, destinations);
}

fn mcrouter_servers(page: &mut Page, shared: &Shared, destinations: &Destinations) {
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
        page.metric(metric, "gauge", help);
        for (name, counted) in destinations {
            page.sample(metric, &[("server", name)], counted.iter().map(of).sum::<u64>());
        }
    }
    page.metric(
        "mcrouter_server_duration_us",
        "gauge",
        "Mean reply time since the start",
    );
    for (name, counted) in destinations {
        let counted: Vec<&Counted> = counted.iter().collect();
        let totals = report::totals(&counted);
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
        for (name, _) in destinations {
            page.sample(
                metric,
                &[("server", name)],
                u8::from(shared.registry.state(name) == state),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::LATENCY_BOUNDS_MICROS;
    use crate::stats::histogram::{Histogram, Totals};

    #[test]
    fn the_bounds_told_are_ends_of_buckets_kept() {
        for bound in LATENCY_BOUNDS_MICROS {
            let histogram = Histogram::default();
            histogram.record(bound);
            histogram.record(bound + 1);
            let mut totals = Totals::default();
            histogram.add_to(&mut totals);
            assert_eq!(totals.up_to(bound), 1, "{bound}");
        }
    }
}
