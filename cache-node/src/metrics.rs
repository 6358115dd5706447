//! The counters told to Prometheus: in our names, and in those `memcached_exporter` made known, so that existing
//! dashboards and alerts work. Handles are made once; a scrape copies the node's counters into them.

use std::sync::atomic::Ordering;

use metrics::{Counter, Gauge, Unit, counter, describe_counter, describe_gauge, gauge, with_local_recorder};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use crate::counters::Totals;
use crate::latency;
use crate::node::Node;
use crate::persist::Restored;
use crate::stats::cpu_times;
use crate::store::StoreCounters;
use crate::watch::WatchCounts;

/// What one scrape reads.
struct Sample {
    totals: Totals,
    store: StoreCounters,
    user_cpu_seconds: f64,
    system_cpu_seconds: f64,
    uptime_seconds: u64,
    connections: usize,
    connections_max: usize,
    memory_limit_bytes: u64,
    threads: usize,
    draining: bool,
    restored: Option<Restored>,
    accepting: bool,
    now: u64,
    watch: WatchCounts,
}

impl Sample {
    fn restore_was(&self, outcome: &str) -> f64 {
        let is = self.restored.is_some_and(|restored| restored.outcome == outcome);
        f64::from(u8::from(is))
    }
}

/// How a metric is read off a sample.
type Read<T> = fn(&Sample) -> T;

/// All metrics of one node, with the registry they live in.
pub(crate) struct Metrics {
    handle: PrometheusHandle,
    counters: Vec<(Counter, Read<u64>)>,
    gauges: Vec<(Gauge, Read<f64>)>,
    // Handles write into it.
    _recorder: PrometheusRecorder,
}

impl Metrics {
    pub(crate) fn new(version: &str) -> Self {
        let recorder = PrometheusBuilder::new().build_recorder();
        let mut register = Register::default();
        with_local_recorder(&recorder, || {
            register.ours();
            register.restart();
            register.exporters(version);
        });
        Self {
            handle: recorder.handle(),
            counters: register.counters,
            gauges: register.gauges,
            _recorder: recorder,
        }
    }

    /// The text of one scrape.
    pub(crate) fn render(&self, node: &Node) -> String {
        let (user, system) = cpu_times();
        let sample = Sample {
            totals: node.totals(),
            store: node.store.counters(),
            user_cpu_seconds: user.as_secs_f64(),
            system_cpu_seconds: system.as_secs_f64(),
            uptime_seconds: node.uptime(),
            connections: node.connections.load(Ordering::Relaxed),
            connections_max: node.config.connections_max,
            memory_limit_bytes: node.memory_limit_bytes.load(Ordering::Relaxed),
            threads: node.config.threads,
            draining: node.is_draining(),
            restored: node.folder.as_ref().map(|folder| folder.restored),
            accepting: node.is_accepting(),
            now: node.now().0,
            watch: node.watchers.counts(),
        };
        self.counters
            .iter()
            .for_each(|(counter, value)| counter.absolute(value(&sample)));
        self.gauges
            .iter()
            .for_each(|(gauge, value)| gauge.set(value(&sample)));
        let mut text = self.handle.render();
        latency::render(node.workers.iter().map(|worker| &worker.latency), &mut text);
        text
    }
}

#[derive(Default)]
struct Register {
    counters: Vec<(Counter, Read<u64>)>,
    gauges: Vec<(Gauge, Read<f64>)>,
}

/// `(command, result, value)` of the counters of commands.
type Command = (&'static str, &'static str, Read<u64>);

const COMMANDS: &[Command] = &[
    ("get", "hit", |s| s.totals.get_hits),
    ("get", "miss", |s| s.totals.get_misses),
    ("touch", "hit", |s| s.totals.touch_hits),
    ("touch", "miss", |s| s.totals.touch_misses),
    ("delete", "hit", |s| s.totals.delete_hits),
    ("delete", "miss", |s| s.totals.delete_misses),
    ("incr", "hit", |s| s.totals.incr_hits),
    ("incr", "miss", |s| s.totals.incr_misses),
    ("decr", "hit", |s| s.totals.decr_hits),
    ("decr", "miss", |s| s.totals.decr_misses),
    ("cas", "hit", |s| s.totals.cas_hits),
    ("cas", "miss", |s| s.totals.cas_misses),
    ("cas", "badval", |s| s.totals.cas_badval),
    // As the exporter counts it: `cmd_set` holds the cas attempts, too.
    ("set", "hit", |s| {
        let cas = s.totals.cas_hits + s.totals.cas_misses + s.totals.cas_badval;
        s.totals.cmd_set.saturating_sub(cas)
    }),
    ("flush", "hit", |s| s.totals.cmd_flush),
];

#[expect(
    clippy::cast_precision_loss,
    reason = "gauges are floating point; a byte in 2^53 does not matter"
)]
const fn float(value: u64) -> f64 {
    value as f64
}

impl Register {
    fn counter(&mut self, name: &'static str, help: &'static str, value: Read<u64>) {
        describe_counter!(name, help);
        self.counters.push((counter!(name), value));
    }

    fn gauge(&mut self, name: &'static str, unit: Option<Unit>, help: &'static str, value: Read<f64>) {
        match unit {
            Some(unit) => describe_gauge!(name, unit, help),
            None => describe_gauge!(name, help),
        }
        self.gauges.push((gauge!(name), value));
    }

    fn ours(&mut self) {
        describe_counter!("cache_node_commands_total", "Keys served, by command and result.");
        for (command, result, value) in COMMANDS {
            let handle = counter!("cache_node_commands_total", "command" => *command, "result" => *result);
            self.counters.push((handle, *value));
        }
        describe_counter!(
            "cache_node_items_lost_total",
            "Items lost, by cause: space, ttl or flush."
        );
        let causes: [(&'static str, Read<u64>); 3] = [
            ("space", |s| s.store.evicted),
            ("ttl", |s| s.store.expired),
            ("flush", |s| s.store.flushed),
        ];
        for (cause, value) in causes {
            self.counters
                .push((counter!("cache_node_items_lost_total", "cause" => cause), value));
        }
        describe_counter!("cache_node_stores_refused_total", "Values not stored, by reason.");
        let reasons: [(&'static str, Read<u64>); 2] = [
            ("too_large", |s| s.totals.store_too_large),
            ("no_memory", |s| s.totals.store_no_memory),
        ];
        for (reason, value) in reasons {
            self.counters.push((
                counter!("cache_node_stores_refused_total", "reason" => reason),
                value,
            ));
        }
        describe_gauge!(
            "cache_node_memory_bytes",
            Unit::Bytes,
            "Memory in use, by part of the store."
        );
        let parts: [(&'static str, Read<f64>); 4] = [
            ("segments", |s| float(s.store.segment_bytes)),
            ("index", |s| float(s.store.index_bytes)),
            ("ghosts", |s| float(s.store.ghost_bytes)),
            ("large", |s| float(s.store.large_bytes)),
        ];
        for (part, value) in parts {
            self.gauges
                .push((gauge!("cache_node_memory_bytes", "part" => part), value));
        }
        self.counter("cache_node_items_stored_total", "Items stored.", |s| {
            s.store.items_stored
        });
        self.counter("cache_node_items_moved_total", "Items moved to make room.", |s| {
            s.store.moved
        });
        self.counter(
            "cache_node_ghost_hits_total",
            "Items that came back soon after eviction.",
            |s| s.store.ghost_hits,
        );
        self.counter(
            "cache_node_read_bytes_total",
            "Bytes received from clients.",
            |s| s.totals.bytes_read,
        );
        self.counter("cache_node_written_bytes_total", "Bytes sent to clients.", |s| {
            s.totals.bytes_written
        });
        self.counter(
            "cache_node_connections_accepted_total",
            "Client connections accepted.",
            |s| s.totals.connections_accepted,
        );
        self.counter(
            "cache_node_connections_rejected_total",
            "Client connections over the limit.",
            |s| s.totals.connections_rejected,
        );
        self.counter(
            "cache_node_connections_idle_closed_total",
            "Clients closed for silence.",
            |s| s.totals.idle_kicks,
        );
        self.counter(
            "cache_node_connection_yields_total",
            "Turns ended with requests waiting.",
            |s| s.totals.conn_yields,
        );
        self.counter(
            "cache_node_listen_disabled_total",
            "Times a listener stopped taking clients in.",
            |s| s.totals.listen_disabled,
        );
        self.gauge(
            "cache_node_listen_disabled_seconds_total",
            Some(Unit::Seconds),
            "Time listeners waited for a place below the limit of connections.",
            |s| float(s.totals.listen_disabled_us) / 1e6,
        );
        self.gauge(
            "cache_node_accepting",
            None,
            "1 while new clients are let in.",
            |s| f64::from(u8::from(s.accepting)),
        );
        self.counter(
            "cache_node_ttl_jitter_moved_total",
            "TTLs that jitter made shorter or longer.",
            |s| s.totals.ttls_moved,
        );
        self.counter(
            "cache_node_ttl_jitter_seconds_total",
            "Seconds by which jitter moved TTLs, either way.",
            |s| s.totals.ttl_moved_seconds,
        );
        describe_counter!("cache_node_logins_total", "Logins tried, by result.");
        let results: [(&'static str, Read<u64>); 2] = [
            ("accepted", |s| {
                s.totals.auth_cmds.saturating_sub(s.totals.auth_errors)
            }),
            ("refused", |s| s.totals.auth_errors),
        ];
        for (result, value) in results {
            self.counters
                .push((counter!("cache_node_logins_total", "result" => result), value));
        }
        describe_counter!(
            "cache_node_tls_errors_total",
            "TLS connections that failed, in their handshake or after it."
        );
        let phases: [(&'static str, Read<u64>); 2] = [
            ("handshake", |s| s.totals.tls_handshake_errors),
            ("later", |s| s.totals.tls_errors),
        ];
        for (phase, value) in phases {
            self.counters
                .push((counter!("cache_node_tls_errors_total", "phase" => phase), value));
        }
        self.gauge("cache_node_watchers", None, "Clients that watch events.", |s| {
            float(s.watch.watchers as u64)
        });
        describe_counter!(
            "cache_node_watch_lines_total",
            "Lines for watching clients: sent, or skipped because a client's buffer was full."
        );
        let results: [(&'static str, Read<u64>); 2] =
            [("sent", |s| s.watch.sent), ("skipped", |s| s.watch.skipped)];
        for (result, value) in results {
            self.counters.push((
                counter!("cache_node_watch_lines_total", "result" => result),
                value,
            ));
        }
        self.counter(
            "cache_node_protocol_errors_total",
            "Requests answered with a protocol error.",
            |s| s.totals.protocol_errors,
        );
        self.counter(
            "cache_node_protocol_closes_total",
            "Connections closed over bytes we cannot follow.",
            |s| s.totals.protocol_closes,
        );
        self.gauge("cache_node_items", None, "Items held.", |s| float(s.store.items));
        self.gauge(
            "cache_node_items_bytes",
            Some(Unit::Bytes),
            "Bytes of the items held.",
            |s| float(s.store.item_bytes),
        );
        self.gauge(
            "cache_node_memory_limit_bytes",
            Some(Unit::Bytes),
            "Bound of the store's memory.",
            |s| float(s.memory_limit_bytes),
        );
        self.gauge("cache_node_connections", None, "Client connections now.", |s| {
            float(s.connections as u64)
        });
        self.gauge(
            "cache_node_connections_limit",
            None,
            "Client connections allowed at once.",
            |s| float(s.connections_max as u64),
        );
        self.gauge("cache_node_threads", None, "Worker threads.", |s| {
            float(s.threads as u64)
        });
        self.gauge(
            "cache_node_uptime_seconds",
            Some(Unit::Seconds),
            "Seconds since the start.",
            |s| float(s.uptime_seconds),
        );
        self.gauge(
            "cache_node_draining",
            None,
            "1 while the node is stopping.",
            |s| f64::from(u8::from(s.draining)),
        );
    }

    /// What the start found of the run before; all zero without `--persist`.
    fn restart(&mut self) {
        describe_gauge!(
            "cache_node_restore",
            "1 for what the last start found to restore: warm, first (nothing there yet), or why it began empty."
        );
        let outcomes: [(&'static str, Read<f64>); 7] = [
            ("warm", |s| s.restore_was("warm")),
            ("first", |s| s.restore_was("first")),
            ("unclean", |s| s.restore_was("unclean")),
            ("version", |s| s.restore_was("version")),
            ("config", |s| s.restore_was("config")),
            ("clock", |s| s.restore_was("clock")),
            ("damaged", |s| s.restore_was("damaged")),
        ];
        for (outcome, value) in outcomes {
            self.gauges
                .push((gauge!("cache_node_restore", "outcome" => outcome), value));
        }
        self.gauge(
            "cache_node_restored_items",
            None,
            "Items that the start restored.",
            |s| float(s.restored.map_or(0, |restored| restored.items)),
        );
        self.gauge(
            "cache_node_restored_bytes",
            Some(Unit::Bytes),
            "Bytes that the start read to restore them.",
            |s| float(s.restored.map_or(0, |restored| restored.bytes)),
        );
        self.gauge(
            "cache_node_restore_seconds",
            Some(Unit::Seconds),
            "Time that the start took to restore them.",
            |s| s.restored.map_or(0.0, |restored| restored.took.as_secs_f64()),
        );
    }

    /// memcached_exporter's names.
    fn exporters(&mut self, version: &str) {
        describe_counter!(
            "memcached_commands_total",
            "Commands served, as memcached_exporter counts them."
        );
        for (command, status, value) in COMMANDS {
            let handle = counter!("memcached_commands_total", "command" => *command, "status" => *status);
            self.counters.push((handle, *value));
        }
        describe_gauge!("memcached_version", "The version told to clients.");
        gauge!("memcached_version", "version" => version.to_owned()).set(1.0);
        self.gauge("memcached_up", None, "The server answers.", |_| 1.0);
        self.gauge(
            "memcached_uptime_seconds",
            None,
            "Seconds since the start.",
            |s| float(s.uptime_seconds),
        );
        self.gauge("memcached_current_bytes", None, "Bytes of the items held.", |s| {
            float(s.store.item_bytes)
        });
        self.gauge(
            "memcached_limit_bytes",
            None,
            "Bound of the store's memory.",
            |s| float(s.memory_limit_bytes),
        );
        self.gauge("memcached_current_items", None, "Items held.", |s| {
            float(s.store.items)
        });
        self.gauge(
            "memcached_current_connections",
            None,
            "Client connections now.",
            |s| float(s.connections as u64),
        );
        self.gauge(
            "memcached_max_connections",
            None,
            "Client connections allowed at once.",
            |s| float(s.connections_max as u64),
        );
        self.gauge("memcached_time_seconds", None, "The node's clock.", |s| {
            float(s.now)
        });
        self.gauge(
            "memcached_accepting_connections",
            None,
            "1 while new clients are let in.",
            |s| f64::from(u8::from(s.accepting)),
        );
        self.gauge("memcached_malloced_bytes", None, "Memory the store uses.", |s| {
            float(s.store.used_bytes)
        });
        self.counter(
            "memcached_connections_rejected_total",
            "Client connections over the limit.",
            |s| s.totals.connections_rejected,
        );
        self.counter(
            "memcached_connections_yielded_total",
            "Turns ended with requests waiting.",
            |s| s.totals.conn_yields,
        );
        self.counter(
            "memcached_connections_listener_disabled_total",
            "Times a listener stopped taking clients in.",
            |s| s.totals.listen_disabled,
        );
        self.counter("memcached_item_too_large_total", "Values over the limit.", |s| {
            s.totals.store_too_large
        });
        self.counter(
            "memcached_item_no_memory_total",
            "Values that found no memory.",
            |s| s.totals.store_no_memory,
        );
        self.counter("memcached_items_total", "Items stored.", |s| s.store.items_stored);
        self.counter("memcached_items_evicted_total", "Items lost for space.", |s| {
            s.store.evicted
        });
        self.counter(
            "memcached_items_reclaimed_total",
            "Items whose memory was taken back after expiry.",
            |s| s.store.expired,
        );
        // Ours has no slab classes: one stands for all, so that alerts on it work.
        describe_counter!(
            "memcached_slab_items_outofmemory_total",
            "Stores refused for want of memory."
        );
        self.counters.push((
            counter!("memcached_slab_items_outofmemory_total", "slab" => "1"),
            |s| s.totals.store_no_memory,
        ));
        self.counter(
            "memcached_connections_total",
            "Client connections accepted.",
            |s| s.totals.connections_accepted,
        );
        self.counter("memcached_read_bytes_total", "Bytes received.", |s| {
            s.totals.bytes_read
        });
        self.counter("memcached_written_bytes_total", "Bytes sent.", |s| {
            s.totals.bytes_written
        });
        self.gauge(
            "memcached_process_user_cpu_seconds_total",
            None,
            "User CPU time.",
            |s| s.user_cpu_seconds,
        );
        self.gauge(
            "memcached_process_system_cpu_seconds_total",
            None,
            "System CPU time.",
            |s| s.system_cpu_seconds,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::Metrics;
    use crate::clock::Clock;
    use crate::config::Config;
    use crate::node::Node;
    use protocol::UnixSeconds;

    #[test]
    fn a_scrape_tells_our_names_and_the_exporters() {
        let node = Node::new(Config::embedded(), Clock::manual(UnixSeconds(1_700_000_000))).unwrap();
        node.workers[0].counters.get_hits.add(7);
        let text = Metrics::new("1.6.40").render(&node);
        for line in [
            "cache_node_commands_total{command=\"get\",result=\"hit\"} 7",
            "memcached_commands_total{command=\"get\",status=\"hit\"} 7",
            "memcached_version{version=\"1.6.40\"} 1",
            "memcached_up 1",
            "# TYPE cache_node_memory_bytes gauge",
        ] {
            assert!(
                text.lines().any(|told| told == line),
                "{line} is missing in\n{text}"
            );
        }
    }
}
