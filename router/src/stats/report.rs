//! The numbers as `stats` tells them: memcached's and mcrouter's names, as far as they mean something for a router.

use std::fmt::Display;
use std::time::Duration;

use super::histogram::Totals;
use super::process::Process;
use super::{Counted, WorkerCounters};
use crate::clock;
use crate::config::Config;
use crate::reply::Kind;
use crate::request::{Family, Op};
use crate::settings::Shared;
use crate::upstream::connection::State;
use crate::upstream::error::UpstreamError;

type Stats = Vec<(String, String)>;

fn tell(stats: &mut Stats, name: impl Into<String>, value: impl Display) {
    stats.push((name.into(), value.to_string()));
}

/// Seconds and microseconds with one dot, as memcached writes CPU times.
fn seconds(time: Duration) -> String {
    format!("{}.{:06}", time.as_secs(), time.subsec_micros())
}

/// `stats`
pub(crate) fn general(shared: &Shared) -> Stats {
    let mut stats = Vec::new();
    let sum = |of: fn(&WorkerCounters) -> u64| shared.registry.since_reset(of);
    let op = |op: Op| shared.registry.since_reset(|worker| worker.requests.get(op));
    let process = Process::read();
    let settings = &shared.settings;
    tell(&mut stats, "pid", std::process::id());
    tell(&mut stats, "uptime", settings.started.elapsed().as_secs());
    tell(&mut stats, "time", clock::unix().as_secs());
    tell(&mut stats, "version", &settings.announce_version);
    tell(&mut stats, "pointer_size", usize::BITS);
    tell(&mut stats, "rusage_user", seconds(process.user));
    tell(&mut stats, "rusage_system", seconds(process.system));
    tell(&mut stats, "ps_rss", process.resident_bytes);
    tell(&mut stats, "threads", settings.threads);
    tell(&mut stats, "max_connections", settings.max_connections);
    tell(
        &mut stats,
        "curr_connections",
        shared.registry.sum(|w| w.connections_open.get()),
    );
    tell(
        &mut stats,
        "num_client_connections",
        shared.registry.sum(|w| w.connections_open.get()),
    );
    tell(
        &mut stats,
        "total_connections",
        sum(|w| w.connections_accepted.get()),
    );
    tell(
        &mut stats,
        "rejected_connections",
        sum(|w| w.connections_rejected.get()),
    );
    tell(&mut stats, "conn_yields", sum(|w| w.paused.get()));
    tell(&mut stats, "listen_disabled_num", 0);
    tell(&mut stats, "accepting_conns", 1);
    tell(&mut stats, "bytes_read", sum(|w| w.bytes_read.get()));
    tell(&mut stats, "bytes_written", sum(|w| w.bytes_written.get()));
    commands(&mut stats, shared);
    for name in [
        "bytes",
        "limit_maxbytes",
        "curr_items",
        "total_items",
        "evictions",
        "reclaimed",
    ] {
        tell(&mut stats, name, 0);
    }
    fleet(&mut stats, shared);
    for each in Op::ALL {
        tell(&mut stats, format!("cmd_{}_count", each.name()), op(each));
    }
    for kind in Kind::ALL {
        let replies = shared.registry.since_reset(|worker| worker.replies.get(kind));
        tell(&mut stats, format!("result_{}_count", kind.name()), replies);
    }
    stats.extend(errors(shared));
    stats
}

/// `stats cmd-error`: requests that failed, by what was wrong.
pub(crate) fn errors(shared: &Shared) -> Stats {
    let mut stats = Vec::new();
    for error in UpstreamError::ALL {
        let failures = shared.registry.since_reset(|worker| worker.failures.get(error));
        let name = format!("result_{}_error_count", error.name());
        tell(&mut stats, name, failures);
    }
    stats
}

/// memcached's counters of commands.
fn commands(stats: &mut Stats, shared: &Shared) {
    let sum = |of: fn(&WorkerCounters) -> u64| shared.registry.since_reset(of);
    let ops = |ops: &[Op]| {
        ops.iter()
            .map(|op| shared.registry.since_reset(|worker| worker.requests.get(*op)))
            .sum::<u64>()
    };
    let stores = [Op::Set, Op::Add, Op::Replace, Op::Append, Op::Prepend, Op::Cas];
    tell(stats, "cmd_get", ops(&[Op::Get, Op::Gets, Op::Gat, Op::Gats]));
    tell(stats, "cmd_set", ops(&stores));
    tell(stats, "cmd_flush", sum(|w| w.flushes.get()));
    tell(stats, "cmd_touch", ops(&[Op::Touch, Op::Gat, Op::Gats]));
    tell(stats, "get_hits", sum(|w| w.get_hits.get()));
    tell(stats, "get_misses", sum(|w| w.get_misses.get()));
    tell(stats, "delete_hits", sum(|w| w.delete_hits.get()));
    tell(stats, "delete_misses", sum(|w| w.delete_misses.get()));
    tell(stats, "incr_hits", sum(|w| w.incr_hits.get()));
    tell(stats, "incr_misses", sum(|w| w.incr_misses.get()));
    tell(stats, "decr_hits", sum(|w| w.decr_hits.get()));
    tell(stats, "decr_misses", sum(|w| w.decr_misses.get()));
    tell(stats, "cas_hits", sum(|w| w.cas_hits.get()));
    tell(stats, "cas_misses", sum(|w| w.cas_misses.get()));
    tell(stats, "cas_badval", sum(|w| w.cas_badval.get()));
    tell(stats, "touch_hits", sum(|w| w.touch_hits.get()));
    tell(stats, "touch_misses", sum(|w| w.touch_misses.get()));
}

/// Configuration and servers, by mcrouter's names and those of memcached's own proxy.
fn fleet(stats: &mut Stats, shared: &Shared) {
    let sum = |of: fn(&WorkerCounters) -> u64| shared.registry.since_reset(of);
    let status = shared.status.lock().clone();
    let config = shared.config.load();
    tell(
        stats,
        "config_age",
        clock::unix().as_secs().saturating_sub(status.last_success_unix),
    );
    tell(stats, "config_last_attempt", status.last_attempt_unix);
    tell(stats, "config_last_success", status.last_success_unix);
    tell(stats, "config_failures", status.failures);
    tell(stats, "config_epoch", config.epoch);
    tell(stats, "config_checksum", format!("{:016x}", config.checksum()));
    if let Some(error) = &status.last_error {
        tell(stats, "config_last_error", error.replace(['\r', '\n'], " "));
    }
    let destinations = shared.registry.destinations();
    let states: Vec<State> = destinations
        .iter()
        .map(|(name, _)| shared.registry.state(name))
        .collect();
    let count = |wanted: &[State]| states.iter().filter(|state| wanted.contains(state)).count();
    tell(stats, "num_servers", states.len());
    tell(stats, "num_servers_new", count(&[State::New]));
    tell(stats, "num_servers_up", count(&[State::Up]));
    tell(stats, "num_servers_closed", count(&[State::Closed]));
    tell(
        stats,
        "num_servers_down",
        count(&[State::SoftTko, State::HardTko]),
    );
    tell(
        stats,
        "num_suspect_servers",
        count(&[State::SoftTko, State::HardTko]),
    );
    tell(stats, "num_soft_tko_count", count(&[State::SoftTko]));
    tell(stats, "num_hard_tko_count", count(&[State::HardTko]));
    let counted: Vec<&Counted> = destinations.iter().flat_map(|(_, counted)| counted).collect();
    let over = |of: fn(&Counted) -> u64| counted.iter().map(|counted| of(counted)).sum::<u64>();
    tell(
        stats,
        "destination_inflight_reqs",
        over(|c| c.counters.inflight()),
    );
    tell(stats, "proxy_reqs_processing", over(|c| c.counters.inflight()));
    tell(
        stats,
        "proxy_reqs_waiting",
        shared.registry.sum(|w| w.flows.get()),
    );
    tell(stats, "near_cache_hits", sum(|w| w.near_hits.get()));
    tell(stats, "coalesced_gets", sum(|w| w.coalesced.get()));
    tell(stats, "background_dropped", sum(|w| w.background_dropped.get()));
    tell(stats, "failover_all", sum(|w| w.failovers.get()));
    let (kept, redirected) = shared.settings.defaults.leases.counts();
    tell(stats, "lease_tokens_kept", kept);
    tell(stats, "redirected_lease_set_count", redirected);
    tell(stats, "dev_null_requests", sum(|w| w.dev_null.get()));
    tell(stats, "masked_get_errors", sum(|w| w.masked_get_errors.get()));
    tell(stats, "unreported_errors", sum(|w| w.unreported_errors.get()));
    tell(stats, "duration_us", totals(&counted).quantile(0.5));
    tell(stats, "proxy_backend_total", states.len());
    tell(stats, "proxy_conn_requests", over(|c| c.counters.requests.get()));
    tell(stats, "proxy_conn_errors", sum(|w| w.rejects.get()));
    tell(stats, "proxy_conn_oom", 0);
    tell(stats, "proxy_req_active", over(|c| c.counters.inflight()));
    tell(stats, "proxy_config_reloads", config.epoch);
    tell(stats, "proxy_config_reload_fails", status.failures);
    tell(stats, "proxy_config_cron_runs", 0);
    tell(stats, "proxy_config_cron_fails", 0);
    tell(
        stats,
        "proxy_backend_marked_bad",
        count(&[State::SoftTko, State::HardTko]),
    );
    tell(stats, "proxy_backend_failed", over(|c| c.counters.tkos.get()));
    tell(
        stats,
        "proxy_request_failed_depth",
        over(|c| c.counters.errors.get(UpstreamError::Busy)),
    );
    tell(stats, "round_robin_fallback", 0);
    tell(stats, "unexpected_napi_ids", 0);
}

/// The latencies of several servers or workers together.
pub(crate) fn totals(counted: &[&Counted]) -> Totals {
    let mut totals = Totals::default();
    for family in Family::ALL {
        for counted in counted {
            counted.counters.latency.get(family).add_to(&mut totals);
        }
    }
    totals
}

/// The same for one family of operations.
pub(crate) fn totals_of(counted: &[&Counted], family: Family) -> Totals {
    let mut totals = Totals::default();
    for counted in counted {
        counted.counters.latency.get(family).add_to(&mut totals);
    }
    totals
}

/// Which servers `stats servers` tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    All,
    Suspect,
}

/// `stats servers`, `stats suspect_servers`: a line per server.
pub(crate) fn servers(shared: &Shared, which: Which) -> Stats {
    let mut stats = Vec::new();
    for (name, counted) in shared.registry.destinations() {
        let state = shared.registry.state(&name);
        if which == Which::Suspect && !matches!(state, State::SoftTko | State::HardTko) {
            continue;
        }
        let counted: Vec<&Counted> = counted.iter().collect();
        let latencies = totals(&counted);
        let inflight: u64 = counted.iter().map(|counted| counted.counters.inflight()).sum();
        let mut told = format!(
            "avg_latency_us:{} p99_latency_us:{} pending_reqs:0 inflight_reqs:{inflight} {}",
            latencies.sum_micros.checked_div(latencies.count()).unwrap_or(0),
            latencies.quantile(0.99),
            state.name(),
        );
        let mut results = Vec::new();
        for kind in Kind::ALL {
            let replies: u64 = counted
                .iter()
                .map(|counted| counted.counters.replies.get(kind))
                .sum();
            if replies > 0 {
                results.push(format!("{}:{replies}", kind.name()));
            }
        }
        for error in UpstreamError::ALL {
            let errors: u64 = counted
                .iter()
                .map(|counted| counted.counters.errors.get(error))
                .sum();
            if errors > 0 {
                results.push(format!("{}:{errors}", error.name()));
            }
        }
        if !results.is_empty() {
            told.push_str("; ");
            told.push_str(&results.join(" "));
        }
        stats.push((name, told));
    }
    stats
}

/// Hot keys that are told.
pub(crate) const HOT_KEYS_TOLD: usize = 20;

/// `stats hotkeys`: a line per key, with its share of the requests in percent.
pub(crate) fn hot_keys(shared: &Shared) -> Stats {
    let hottest = shared.registry.hot_keys(HOT_KEYS_TOLD);
    hottest
        .into_iter()
        .map(|hot| {
            let share = format!("share_percent:{:.2}", hot.share * 100.0);
            (hot.key.escape_ascii().to_string(), share)
        })
        .collect()
}

/// `stats settings`
pub(crate) fn settings(shared: &Shared) -> Stats {
    let settings = &shared.settings;
    let mut stats = Vec::new();
    tell(&mut stats, "maxconns", settings.max_connections);
    tell(&mut stats, "num_threads", settings.threads);
    tell(&mut stats, "item_size_max", settings.limits.value_len_bytes);
    tell(&mut stats, "binding_protocol", "ascii");
    tell(&mut stats, "lru_crawler", "no");
    tell(
        &mut stats,
        "flush_enabled",
        match settings.flush {
            crate::args::FlushPolicy::Deny => "no",
            crate::args::FlushPolicy::Broadcast => "yes",
        },
    );
    stats.extend(settings.options.iter().cloned());
    stats
}

/// The MD5 of a configuration's JSON, in hexadecimal.
pub(crate) fn config_digest(config: &Config) -> String {
    md5_of(&config.source.to_string())
}

/// The MD5 of a text, in hexadecimal.
pub(crate) fn md5_of(text: &str) -> String {
    use md5::{Digest, Md5};
    let digest = Md5::digest(text.as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
