//! The counters told as memcached's `stats`: its names, its groups, its units. Where this store has no such thing
//! (slab classes, LRU queues), a name that tools read is answered with what comes nearest, or zero.

use std::fmt::{Display, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::{BufMut, BytesMut};

use crate::clients::{Client, Peer};
use crate::config::{KeyFormat, OverLimit, TlsConfig, TlsVersion};
use crate::node::Node;
use crate::server::OTHER_FILES;
use crate::store::Seconds;

/// Appends `STAT` lines.
struct Lines<'o> {
    out: &'o mut BytesMut,
    /// Stands before each name: `items:1:`, `1:`, a connection's number.
    prefix: String,
}

impl<'o> Lines<'o> {
    fn new(out: &'o mut BytesMut) -> Self {
        Self {
            out,
            prefix: String::new(),
        }
    }

    fn with_prefix(out: &'o mut BytesMut, prefix: impl Display) -> Self {
        Self {
            out,
            prefix: prefix.to_string(),
        }
    }

    fn line(&mut self, name: &str, value: impl Display) -> &mut Self {
        let mut line = self.out.writer_str();
        // Writing to memory cannot fail.
        let _infallible = write!(line, "STAT {}{name} {value}\r\n", self.prefix);
        self
    }

    fn zeros(&mut self, names: &[&str]) -> &mut Self {
        for name in names {
            self.line(name, 0);
        }
        self
    }

    fn on(&mut self, name: &str, yes: bool) -> &mut Self {
        self.line(name, if yes { "yes" } else { "no" })
    }
}

trait WriterStr {
    fn writer_str(&mut self) -> Text<'_>;
}

impl WriterStr for BytesMut {
    fn writer_str(&mut self) -> Text<'_> {
        Text(self)
    }
}

/// Formats text into a reply.
struct Text<'o>(&'o mut BytesMut);

impl Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0.put_slice(text.as_bytes());
        Ok(())
    }
}

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
        .line("reclaimed", store.expired)
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

/// `stats settings`.
pub(crate) fn settings(node: &Node, out: &mut BytesMut) {
    let config = &node.config;
    let first = config.listen.first();
    let idle_timeout = config.idle_timeout.map_or(0, |timeout| timeout.as_secs());
    let mut lines = Lines::new(out);
    lines
        .line("maxbytes", node.memory_limit_bytes.load(Ordering::Relaxed))
        .line("maxconns", config.connections_max)
        .line("tcpport", first.map_or(0, |listen| listen.address.port()))
        .line("udpport", 0);
    match first {
        Some(listen) => lines.line("inter", listen.address.ip()),
        None => lines.line("inter", "NULL"),
    };
    lines
        .line("verbosity", node.verbosity.load(Ordering::Relaxed))
        .line("oldest", 0);
    if let Some(folder) = &config.persist {
        lines.line("memory_file", folder.display());
    }
    lines.line("evictions", if config.evict { "on" } else { "off" });
    match &config.unix {
        Some(unix) => lines
            .line("domain_socket", unix.path.display())
            .line("umask", format_args!("{:o}", unix.mode)),
        None => lines.line("domain_socket", "NULL").line("umask", "700"),
    };
    lines
        .on("shutdown_command", config.shutdown_enabled)
        .line("growth_factor", "1.25")
        .line("chunk_size", 48)
        .line("num_threads", config.threads)
        .line("num_threads_per_udp", 0)
        .line("stat_key_prefix", char::from(config.prefix_delimiter))
        .on("detail_enabled", node.prefixes.is_on())
        .line("reqs_per_event", config.requests_per_turn)
        .on("cas_enabled", true)
        .line("tcp_backlog", config.backlog)
        .line("binding_protocol", "ascii")
        .on("auth_enabled_sasl", false)
        .on("auth_enabled_ascii", node.users.is_some())
        .line("item_size_max", config.item_size_max_bytes)
        .on("maxconns_fast", config.over_limit == OverLimit::Refuse)
        .line("hashpower_init", 0)
        .on("slab_reassign", false)
        .zeros(&[
            "slab_automove",
            "slab_automove_ratio",
            "slab_automove_window",
            "slab_automove_freeratio",
        ])
        .zeros(&["slab_chunk_max"])
        .on("lru_crawler", node.crawler_enabled.load(Ordering::Relaxed))
        .zeros(&["lru_crawler_sleep", "lru_crawler_tocrawl"])
        .line("tail_repair_time", 0)
        .on("flush_enabled", config.flush_enabled)
        .on("dump_enabled", config.dump_enabled)
        .line("hash_algorithm", "ahash")
        .on("lru_maintainer_thread", false)
        .on("lru_segmented", true)
        .zeros(&["hot_lru_pct", "warm_lru_pct"])
        .line("hot_max_factor", "0.00")
        .line("warm_max_factor", "0.00")
        .on("temp_lru", false)
        .zeros(&["temporary_ttl"])
        .line("idle_timeout", idle_timeout)
        .line("watcher_logbuf_size", config.watch_buffer_bytes)
        .zeros(&["worker_logbuf_size", "read_buf_mem_limit"])
        .on("track_sizes", true)
        .on("inline_ascii_response", false)
        .on("ssl_enabled", node.tls.is_some());
    if let Some(tls) = &config.tls {
        tls_settings(tls, &mut lines);
    }
    lines
        .zeros(&["num_napi_ids"])
        .line("client_flags_size", size_of::<u32>())
        .line("hearth_ttl_jitter_permille", config.ttl_jitter.permille);
}

fn tls_settings(tls: &TlsConfig, lines: &mut Lines<'_>) {
    let path = |path: Option<&PathBuf>| path.map_or("NULL".to_owned(), |path| path.display().to_string());
    // OpenSSL's numbers, which memcached tells: 1 is PEM, 2 DER; the bits of the verify mode are added up.
    let verify_mode = [0, 1, 3, 7][usize::from(tls.verify_mode.min(3))];
    lines
        .on("ssl_session_cache", tls.session_cache)
        .on("ssl_kernel_tls", false)
        .line("ssl_chain_cert", tls.chain.display())
        .line("ssl_key", path(tls.key.as_ref()))
        .line("ssl_verify_mode", verify_mode)
        .line(
            "ssl_keyformat",
            if tls.key_format == KeyFormat::Pem { 1 } else { 2 },
        )
        .line("ssl_ciphers", tls.ciphers.as_deref().unwrap_or("NULL"))
        .line("ssl_ca_cert", path(tls.client_ca.as_ref()))
        .line("ssl_wbuf_size", tls.write_buffer_bytes)
        .line(
            "ssl_min_version",
            match tls.min_version {
                TlsVersion::V1_2 => "tlsv1.2",
                TlsVersion::V1_3 => "tlsv1.3",
            },
        );
}

/// The one class that stands for the whole store: tools that read classes find one.
const CLASS: u32 = 1;

/// `stats items`: nothing at all while the store is empty, as memcached.
pub(crate) fn items(node: &Node, out: &mut BytesMut) {
    let store = node.store.counters();
    if store.items == 0 {
        return;
    }
    Lines::with_prefix(out, format_args!("items:{CLASS}:"))
        .line("number", store.items)
        .line("number_hot", 0)
        .line("number_warm", 0)
        .line("number_cold", store.items)
        .zeros(&["age_hot", "age_warm", "age"])
        .line("mem_requested", store.item_bytes)
        .line("evicted", store.evicted)
        .line("evicted_nonzero", store.evicted_with_expiry)
        .line("evicted_time", store.last_evicted_idle_seconds)
        .line("outofmemory", store.out_of_memory)
        .line("tailrepairs", 0)
        .line("reclaimed", store.expired)
        .line("expired_unfetched", store.expired_unfetched)
        .line("evicted_unfetched", store.evicted_unfetched)
        .line(
            "evicted_active",
            store.evicted.saturating_sub(store.evicted_unfetched),
        )
        .line("crawler_reclaimed", store.expired + store.flushed)
        .zeros(&["crawler_items_checked", "lrutail_reflocked", "moves_to_cold"])
        .line("moves_to_warm", store.moved)
        .zeros(&[
            "moves_within_lru",
            "direct_reclaims",
            "hits_to_hot",
            "hits_to_warm",
        ])
        .line("hits_to_cold", node.totals_since_reset().get_hits)
        .zeros(&["hits_to_temp"]);
}

/// `stats slabs`: one class whose chunks are the items and whose pages are mebibytes of segments.
pub(crate) fn slabs(node: &Node, out: &mut BytesMut) {
    let totals = node.totals_since_reset();
    let store = node.store.counters();
    let in_use = store.items > 0;
    if in_use {
        let mean_item = store.item_bytes.div_ceil(store.items).max(1);
        let per_page = (1 << 20) / mean_item;
        Lines::with_prefix(out, format_args!("{CLASS}:"))
            .line("chunk_size", mean_item)
            .line("chunks_per_page", per_page)
            .line("total_pages", store.segment_bytes.div_ceil(1 << 20))
            .line("total_chunks", store.items)
            .line("used_chunks", store.items)
            .zeros(&["free_chunks", "free_chunks_end"])
            .line("mem_requested", store.item_bytes)
            .line("get_hits", totals.get_hits)
            .line("cmd_set", totals.cmd_set)
            .line("delete_hits", totals.delete_hits)
            .line("incr_hits", totals.incr_hits)
            .line("decr_hits", totals.decr_hits)
            .line("cas_hits", totals.cas_hits)
            .line("cas_badval", totals.cas_badval)
            .line("touch_hits", totals.touch_hits);
    }
    Lines::new(out)
        .line("active_slabs", u8::from(in_use))
        .line("total_malloced", store.used_bytes);
}

/// `stats conns`: what we listen on, then the clients; `asking` is the one that wants to know.
pub(crate) fn connections(node: &Node, asking: i32, now: Seconds, out: &mut BytesMut) {
    for door in &node.doors {
        Lines::with_prefix(out, format_args!("{}:", door.number))
            .line("addr", &door.address)
            .line("state", "conn_listening")
            .line("secs_since_last_cmd", node.uptime());
    }
    for worker in &node.workers {
        worker
            .clients
            .for_each(|_slot, client| connection(client, asking, now, out));
    }
}

fn connection(client: &Client, asking: i32, now: Seconds, out: &mut BytesMut) {
    let mut lines = Lines::with_prefix(out, format_args!("{}:", client.number()));
    match client.peer() {
        Peer::Tcp { remote, local } => {
            lines
                .line("addr", tcp_name(remote))
                .line("listen_addr", tcp_name(local));
        }
        Peer::Unix { path } => {
            lines
                .line("addr", "unix:<AF 1>")
                .line("listen_addr", format_args!("unix:{}", path.display()));
        }
    }
    if client.number() == asking {
        lines.line("state", "conn_parse_cmd");
    } else {
        lines.line("state", client.state());
    }
    lines.line("secs_since_last_cmd", client.silence(now));
}

/// An address as `stats conns` writes it.
pub(crate) fn tcp_name(address: &SocketAddr) -> String {
    format!("{}:{address}", if address.is_ipv4() { "tcp" } else { "tcp6" })
}

/// CPU time of this process so far, as user and system.
pub(crate) fn cpu_times() -> (Duration, Duration) {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The program's name may hold blanks; fields are counted from behind it (proc(5): utime 14, stime 15).
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let mut ticks = fields
        .split_whitespace()
        .skip(11)
        .map(|field| field.parse::<u64>().unwrap_or(0));
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    let mut next = || Duration::from_micros(ticks.next().unwrap_or(0).saturating_mul(1_000_000) / per_second);
    (next(), next())
}

fn seconds_and_micros(time: Duration) -> String {
    format!("{}.{:06}", time.as_secs(), time.subsec_micros())
}

#[cfg(test)]
mod tests {
    use super::{cpu_times, seconds_and_micros};
    use std::time::Duration;

    #[test]
    fn cpu_time_has_one_dot_and_six_digits() {
        assert_eq!(seconds_and_micros(Duration::from_micros(12_000_034)), "12.000034");
    }

    #[test]
    fn this_process_has_a_cpu_time() {
        let spun = (0..50_000_000_u64).fold(0, |sum: u64, n| sum.wrapping_add(std::hint::black_box(n)));
        std::hint::black_box(spun);
        let (user, system) = cpu_times();
        assert!(user + system > Duration::ZERO);
    }
}
