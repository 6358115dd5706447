//! `stats`: what tools read first.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::BytesMut;

use super::lines::Lines;
use crate::cpu::cpu_times;
use crate::node::Node;
use crate::server::OTHER_FILES;

/// `stats`.
pub(crate) fn general(node: &Node, out: &mut BytesMut) {
    let totals = node.totals_since_reset();
    let ever = node.totals();
    let store = node.store.counters();
    let (user, system) = cpu_times();
    let connections = node.connections.load(Ordering::Relaxed);
    let version = node.config.version.split(' ').next().unwrap_or_default();
    let watch = node.watchers.counts();
    let mut lines = Lines::new(out);
    lines
        .line("pid", std::process::id())
        .line("uptime", node.uptime())
        .line("time", node.now().0)
        .line("version", version)
        .line("pointer_size", usize::BITS)
        .line("rusage_user", seconds_and_micros(user))
        .line("rusage_system", seconds_and_micros(system))
        .line("max_connections", node.config.connections_max)
        .line("curr_connections", connections)
        .line("total_connections", totals.connections_accepted)
        .line("rejected_connections", totals.connections_rejected)
        .line("connection_structures", connections)
        .zeros(&["response_obj_oom", "response_obj_count", "response_obj_bytes"])
        .zeros(&[
            "read_buf_count",
            "read_buf_bytes",
            "read_buf_bytes_free",
            "read_buf_oom",
        ])
        .line("reserved_fds", OTHER_FILES)
        .line("cmd_get", totals.cmd_get)
        .line("cmd_set", totals.cmd_set)
        .line("cmd_flush", totals.cmd_flush)
        .line("cmd_touch", totals.cmd_touch)
        .line("cmd_meta", totals.cmd_meta)
        .line("get_hits", totals.get_hits)
        .line("get_misses", totals.get_misses)
        .line("get_expired", store.get_expired)
        .line("get_flushed", store.get_flushed)
        .line("delete_misses", totals.delete_misses)
        .line("delete_hits", totals.delete_hits)
        .line("incr_misses", totals.incr_misses)
        .line("incr_hits", totals.incr_hits)
        .line("decr_misses", totals.decr_misses)
        .line("decr_hits", totals.decr_hits)
        .line("cas_misses", totals.cas_misses)
        .line("cas_hits", totals.cas_hits)
        .line("cas_badval", totals.cas_badval)
        .line("touch_hits", totals.touch_hits)
        .line("touch_misses", totals.touch_misses)
        .line("store_too_large", totals.store_too_large)
        .line("store_no_memory", totals.store_no_memory)
        .line("auth_cmds", totals.auth_cmds)
        .line("auth_errors", totals.auth_errors)
        .line("idle_kicks", totals.idle_kicks)
        .line("bytes_read", totals.bytes_read)
        .line("bytes_written", totals.bytes_written)
        .line("limit_maxbytes", node.memory_limit_bytes.load(Ordering::Relaxed))
        .line("accepting_conns", u8::from(node.is_accepting()))
        .line("listen_disabled_num", totals.listen_disabled)
        .line("time_in_listen_disabled_us", totals.listen_disabled_us)
        .line("threads", node.config.threads)
        .line("conn_yields", totals.conn_yields)
        .line("hash_bytes", store.index_bytes)
        .line(
            "hash_power_level",
            (store.index_bytes / INDEX_LINE_BYTES).max(1).ilog2(),
        )
        .zeros(&["hash_is_expanding"])
        .zeros(&[
            "slab_reassign_rescues",
            "slab_reassign_chunk_rescues",
            "slab_reassign_inline_reclaim",
        ])
        .zeros(&[
            "slab_reassign_busy_items",
            "slab_reassign_busy_deletes",
            "slab_reassign_busy_nomem",
        ])
        .line("slab_reassign_last_busy_status", "none")
        .zeros(&["slab_reassign_running", "slabs_moved"])
        .zeros(&[
            "lru_crawler_running",
            "lru_crawler_starts",
            "lru_maintainer_juggles",
        ])
        .zeros(&["malloc_fails", "log_worker_dropped"])
        .line("log_worker_written", watch.events)
        .line("log_watcher_skipped", watch.skipped)
        .line("log_watcher_sent", watch.sent)
        .line("log_watchers", watch.watchers)
        .zeros(&["unexpected_napi_ids", "round_robin_fallback"])
        .line("bytes", store.item_bytes)
        .line("curr_items", store.items)
        .line("total_items", store.items_stored)
        .line("total_malloced", store.used_bytes)
        .zeros(&["slab_global_page_pool"])
        .line("expired_unfetched", store.expired_unfetched)
        .line("evicted_unfetched", store.evicted_unfetched)
        .line(
            "evicted_active",
            store.evicted.saturating_sub(store.evicted_unfetched),
        )
        .line("evictions", store.evicted)
        .line("reclaimed", store.expired + store.flushed)
        .line("crawler_reclaimed", store.expired + store.flushed)
        .zeros(&["crawler_items_checked", "lrutail_reflocked"])
        .line("moves_to_warm", store.moved)
        .zeros(&[
            "moves_to_cold",
            "moves_within_lru",
            "direct_reclaims",
            "lru_bumps_dropped",
        ]);
    if let Some(tls) = &node.tls {
        lines
            .line("ssl_handshake_errors", totals.tls_handshake_errors)
            .line("ssl_proto_errors", totals.tls_errors)
            .line("time_since_server_cert_refresh", tls.age(node.now()));
        if let Some(sessions) = tls.new_sessions() {
            lines.line("ssl_new_sessions", sessions);
        }
    }
    lines
        // Ours, under names memcached does not have.
        .line("hearth_ghost_hits", store.ghost_hits)
        .line("hearth_protocol_errors", ever.protocol_errors)
        .line("hearth_protocol_closes", ever.protocol_closes);
    if let Some(folder) = &node.folder {
        lines
            .line("hearth_restore", folder.restored.outcome)
            .line("hearth_restored_items", folder.restored.items);
    }
}

/// Bytes of the index for each place in it (`hash_power_level` is the logarithm of their number).
const INDEX_LINE_BYTES: u64 = 64;

fn seconds_and_micros(time: Duration) -> String {
    format!("{}.{:06}", time.as_secs(), time.subsec_micros())
}

#[cfg(test)]
mod tests {
    use super::seconds_and_micros;
    use std::time::Duration;

    #[test]
    fn cpu_time_has_one_dot_and_six_digits() {
        assert_eq!(seconds_and_micros(Duration::from_micros(12_000_034)), "12.000034");
    }
}
