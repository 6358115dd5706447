//! memcached_exporter's metrics.

use metrics::{counter, describe_counter, describe_gauge, gauge};

use super::register::{COMMANDS, Register, float};

impl Register {
    /// memcached_exporter's names.
    pub(super) fn exporters(&mut self, version: &str) {
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
            "Items whose memory was taken back after expiry or a flush.",
            |s| s.store.expired + s.store.flushed,
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
