//! `stats settings`: what the node was told, under the names of memcached's flags.

use std::path::PathBuf;
use std::sync::atomic::Ordering;

use bytes::BytesMut;

use super::lines::Lines;
use crate::config::{KeyFormat, OverLimit, TlsConfig, TlsVersion};
use crate::node::Node;

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
    match first.filter(|listen| !listen.address.ip().is_unspecified()) {
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
