//! memcached's `-o name,name=value,…`.

use super::super::ConfigError;
use super::super::tls::RawTls;
use super::foreign::unsupported;

/// What `-o` said.
#[derive(Default)]
pub(super) struct Extended {
    pub(super) idle_timeout: Option<String>,
    pub(super) conn_limit_waits: Option<bool>,
    pub(super) watch_buffer: Option<String>,
    pub(super) crawler: Option<bool>,
    pub(super) tls: RawTls,
}

/// Whether an option of memcached's changes anything here.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    Some,
    None,
}

impl Extended {
    /// Takes in one option, `name` or `name=value`.
    pub(super) fn take(&mut self, option: &str) -> Result<Meaning, ConfigError> {
        let (name, value) = option
            .split_once('=')
            .map_or((option, None), |(name, value)| (name, Some(value)));
        let number = |example: &str| {
            let number = value.and_then(|value| value.parse::<u64>().ok());
            number.ok_or_else(|| ConfigError::Value {
                what: format!("-o {name}"),
                why: format!("expected a whole number, such as {name}={example}"),
            })
        };
        match name {
            "idle_timeout" => self.idle_timeout = Some(format!("{}s", number("600")?)),
            "watcher_logbuf_size" => self.watch_buffer = Some(format!("{}KiB", number("256")?)),
            "maxconns_fast" => self.conn_limit_waits = Some(false),
            "no_maxconns_fast" => self.conn_limit_waits = Some(true),
            "lru_crawler" => self.crawler = Some(true),
            "no_lru_crawler" | "no_modern" => self.crawler = Some(false),
            _other if MEANINGLESS.contains(&name) => return Ok(Meaning::None),
            _other => {
                let ssl = name.strip_prefix("ssl_");
                ssl.and_then(|name| self.tls.set(name, value))
                    .unwrap_or_else(|| Err(no_such_option(name)))?;
            }
        }
        Ok(Meaning::Some)
    }
}

/// The options of `-o` that mean something, beside [`MEANINGLESS`].
const MEANINGFUL: &[&str] = &[
    "idle_timeout",
    "watcher_logbuf_size",
    "maxconns_fast",
    "no_maxconns_fast",
    "lru_crawler",
    "no_lru_crawler",
    "no_modern",
    "ssl_chain_cert",
    "ssl_key",
    "ssl_keyformat",
    "ssl_ca_cert",
    "ssl_verify_mode",
    "ssl_min_version",
    "ssl_ciphers",
    "ssl_session_cache",
    "ssl_wbuf_size",
];

fn no_such_option(name: &str) -> ConfigError {
    let flag = format!("-o {name}");
    if name.starts_with("ext_") {
        return unsupported(&flag, "items are kept in memory only");
    }
    if name.starts_with("proxy_") {
        return unsupported(&flag, "use the `router` program");
    }
    let known = MEANINGLESS.iter().chain(MEANINGFUL);
    let nearest = known
        .min_by_key(|known| strsim::levenshtein(known, name))
        .copied()
        .unwrap_or_default();
    ConfigError::Usage(format!("-o {name}: no such option; the nearest is {nearest}"))
}

/// Options of `-o` that tune machinery this store does not have.
const MEANINGLESS: &[&str] = &[
    "modern",
    "hashpower",
    "hash_algorithm",
    "no_hashexpand",
    "tail_repair_time",
    "slab_reassign",
    "no_slab_reassign",
    "slab_automove",
    "slab_automove_ratio",
    "slab_automove_window",
    "no_slab_automove",
    "slab_automove_freeratio",
    "slab_chunk_max",
    "slab_sizes",
    "no_chunked_items",
    "lru_crawler_sleep",
    "lru_crawler_tocrawl",
    "lru_maintainer",
    "no_lru_maintainer",
    "hot_lru_pct",
    "warm_lru_pct",
    "hot_max_factor",
    "warm_max_factor",
    "temporary_ttl",
    "inline_ascii_resp",
    "no_inline_ascii_resp",
    "worker_logbuf_size",
    "resp_obj_mem_limit",
    "read_buf_mem_limit",
    "track_sizes",
    "no_track_sizes",
    "drop_privileges",
    "no_drop_privileges",
    "relaxed_privileges",
    "ssl_kernel_tls",
    "sock_cookie_id",
];
