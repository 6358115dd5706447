//! What holds for the whole process: settings from the command line, and what workers and the admin side share.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use protocol::Limits;

use crate::args::{FlushPolicy, Options};
use crate::clock;
use crate::config::Config;
use crate::config::check::{Defaults, UnknownPrefix};
use crate::config::source::Outside;
use crate::config::timeouts::Distances;
use crate::debt::Debts;
use crate::health::eject::Ejected;
use crate::names::Names;
use crate::route::big_value::{BigValues, THRESHOLD_MIN};
use crate::stats::Registry;
use crate::tls::{ServerTls, Tls, Verify};
use crate::upstream::connection;
use crate::worker::alarm::Alarm;

/// From the command line; never changes.
#[derive(Debug)]
pub(crate) struct Settings {
    pub limits: Limits,
    pub upstream: connection::Limits,
    pub flush: FlushPolicy,
    pub announce_version: String,
    pub max_connections: usize,
    /// The longest that a busy worker waits for more to do.
    pub linger: Duration,
    /// How long a worker looks for replies before it sleeps.
    pub spin: Duration,
    pub threads: usize,
    pub defaults: Defaults,
    /// For macros in configurations.
    pub outside: Outside,
    /// Sessions with servers and clients.
    pub tls: Tls,
    pub started: Instant,
    /// Shown by `__mcrouter__.options`.
    pub options: Vec<(String, String)>,
}

impl Settings {
    pub(crate) fn new(options: &Options, threads: usize, tls: Tls) -> Self {
        let shown = [
            ("num_proxies", threads.to_string()),
            ("server_timeout_ms", millis(options.server_timeout)),
            ("connect_timeout_ms", millis(options.connect_timeout)),
            ("failures_until_tko", options.timeouts_until_tko.to_string()),
            ("target_max_pending_requests", options.max_inflight.to_string()),
            ("max_conns", options.max_connections.to_string()),
            ("max_value", options.max_value.to_string()),
            ("max_inflight", options.max_inflight.to_string()),
            ("default_route", options.route_prefix.clone().unwrap_or_default()),
            ("config", shown_path(options.config.as_deref())),
            (
                "runtime_vars_file",
                shown_path(options.runtime_vars_file.as_deref()),
            ),
            ("async_spool", shown_path(options.spool.as_deref())),
            ("asynclog_disable", u8::from(options.spool.is_none()).to_string()),
            ("reconfiguration_delay_ms", millis(options.config_poll)),
            (
                "disable_reload_configs",
                u8::from(options.disable_reload_configs).to_string(),
            ),
            (
                "within_cluster_timeout_ms",
                millis(options.within_cluster_timeout),
            ),
            ("cross_cluster_timeout_ms", millis(options.cross_cluster_timeout)),
            ("cross_region_timeout_ms", millis(options.cross_region_timeout)),
            (
                "send_invalid_route_to_default",
                u8::from(options.send_invalid_route_to_default).to_string(),
            ),
            (
                "big_value_split_threshold",
                options.big_value_split_threshold.to_string(),
            ),
            ("big_value_batch_size", options.big_value_batch_size.to_string()),
            (
                "enable_flush_cmd",
                u8::from(options.flush_policy() == FlushPolicy::Broadcast).to_string(),
            ),
        ];
        Self {
            limits: Limits {
                value_len_bytes: options.max_value,
                ..Limits::default()
            },
            upstream: connection::Limits {
                timeouts_until_tko: options.timeouts_until_tko.max(1),
                max_inflight: options.max_inflight.max(1),
                tls: tls.clone(),
            },
            flush: options.flush_policy(),
            announce_version: options.announce_version.clone(),
            max_connections: options.max_connections,
            linger: options.linger,
            spin: options.spin,
            threads,
            defaults: Defaults {
                server_timeout: options.server_timeout,
                connect_timeout: options.connect_timeout,
                host_id: host_id(),
                connections: options.connections_per_server,
                names: Arc::default(),
                ejected: Arc::default(),
                secure: tls.clone(),
                tls: ServerTls {
                    name: options.tls_server_name.clone(),
                    verify: if options.tls_insecure_skip_verify {
                        Verify::Nothing
                    } else {
                        Verify::Identity
                    },
                    files: tls.server_files(),
                },
                route_prefix: options.route_prefix.clone(),
                unknown_prefix: if options.send_invalid_route_to_default {
                    UnknownPrefix::OfTheDefault
                } else {
                    UnknownPrefix::PartOfTheKey
                },
                distances: Distances {
                    within_cluster: options.within_cluster_timeout,
                    cross_cluster: options.cross_cluster_timeout,
                    cross_region: options.cross_region_timeout,
                },
                leases: Arc::default(),
                near_caches: Arc::default(),
                big_values: (options.big_value_split_threshold > 0).then(|| BigValues {
                    threshold: options.big_value_split_threshold.max(THRESHOLD_MIN),
                    batch: options.big_value_batch_size.max(1),
                }),
            },
            outside: Outside {
                params: crate::config::source::params(
                    &host_id(),
                    options.route_prefix.as_deref(),
                    &options.config_params,
                ),
                runtime_vars: options.runtime_vars_file.clone(),
            },
            tls,
            started: clock::now(),
            options: shown
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
        }
    }
}

fn millis(time: Duration) -> String {
    time.as_millis().to_string()
}

fn shown_path(path: Option<&Path>) -> String {
    path.map(|path| path.display().to_string()).unwrap_or_default()
}

/// This host, for routes that choose by it: its name as the system has it.
fn host_id() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// How the last configuration went.
#[derive(Debug, Default, Clone)]
pub(crate) struct ConfigStatus {
    /// Where it comes from: a file's path, or "command line".
    pub origin: String,
    pub last_attempt_unix: u64,
    pub last_success_unix: u64,
    pub failures: u64,
    /// The files that it was read from, and the MD5 of each.
    pub sources: Vec<(String, String)>,
    /// Why the last attempt failed, if it did.
    pub last_error: Option<String>,
}

/// What workers, admin and main thread share. Nothing here is touched on a request's way.
pub(crate) struct Shared {
    pub settings: Arc<Settings>,
    pub registry: Registry,
    /// The configuration in use.
    pub config: ArcSwap<Config>,
    pub status: Mutex<ConfigStatus>,
    /// Servers that an operator has taken out of use, by name.
    pub drained: Mutex<BTreeSet<String>>,
    /// What replicas are owed.
    pub debts: Arc<Debts>,
    /// Clients of all workers.
    pub clients: AtomicUsize,
    /// Servers that are out of their pools' rings, and how many times that was done.
    pub ejected: ArcSwap<Ejected>,
    pub ejections: AtomicU64,
    /// What names stand for.
    pub names: Names,
    /// Wakes workers for their deadlines.
    pub alarm: Alarm,
    /// Times all servers were flushed, begun and ended.
    pub flushes: Arc<AtomicU64>,
}
