//! Metrics of what is kept: commands by result, items and how they went, memory.

use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};

use super::register::{COMMANDS, Read, Register, float};

impl Register {
    pub(super) fn store(&mut self) {
        self.commands();
        self.items();
        self.memory();
        self.jitter();
    }

    fn commands(&mut self) {
        describe_counter!("cache_node_commands_total", "Keys served, by command and result.");
        for (command, result, value) in COMMANDS {
            let handle = counter!("cache_node_commands_total", "command" => *command, "result" => *result);
            self.counters.push((handle, *value));
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
    }

    fn items(&mut self) {
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
        self.gauge("cache_node_items", None, "Items held.", |s| float(s.store.items));
        self.gauge(
            "cache_node_items_bytes",
            Some(Unit::Bytes),
            "Bytes of the items held.",
            |s| float(s.store.item_bytes),
        );
    }

    fn memory(&mut self) {
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
        self.gauge(
            "cache_node_memory_limit_bytes",
            Some(Unit::Bytes),
            "Bound of the store's memory.",
            |s| float(s.memory_limit_bytes),
        );
    }

    fn jitter(&mut self) {
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
    }
}
