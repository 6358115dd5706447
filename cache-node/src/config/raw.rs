//! The file as written and the flags as given, in one shape: flags laid over the file, then checked once.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use super::listen::{listen_addresses, resolve};
use super::quantity::{parse_bytes, parse_duration, parse_share};
use super::tls::RawTls;
use super::{Config, ConfigError, LogFormat, MEMORY_MAX, OverLimit, UnixSocket};
use crate::ttl::JitterMode;

/// Mirror of the file. Every field may be absent; names are those of the long flags.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Raw {
    pub(super) listen: Option<Vec<String>>,
    pub(super) port: Option<i64>,
    pub(super) unix_socket: Option<PathBuf>,
    pub(super) unix_mode: Option<String>,
    pub(super) tls: RawTls,
    pub(super) auth_file: Option<PathBuf>,
    pub(super) admin: Option<String>,
    pub(super) memory_limit: Option<String>,
    pub(super) max_item_size: Option<String>,
    pub(super) persist: Option<PathBuf>,
    pub(super) evict: Option<bool>,
    pub(super) conn_limit: Option<i64>,
    pub(super) conn_limit_waits: Option<bool>,
    pub(super) threads: Option<i64>,
    pub(super) max_reqs_per_event: Option<i64>,
    pub(super) listen_backlog: Option<i64>,
    pub(super) idle_timeout: Option<String>,
    pub(super) drain_timeout: Option<String>,
    pub(super) ttl_jitter: Option<String>,
    pub(super) ttl_jitter_mode: Option<String>,
    pub(super) version_string: Option<String>,
    pub(super) enable_shutdown: Option<bool>,
    pub(super) enable_flush_all: Option<bool>,
    pub(super) enable_dumping: Option<bool>,
    pub(super) enable_watch: Option<bool>,
    pub(super) watch_buffer: Option<String>,
    pub(super) stat_key_prefix: Option<String>,
    pub(super) verbosity: Option<u8>,
    pub(super) log_format: Option<String>,
    pub(super) user: Option<String>,
    pub(super) pidfile: Option<PathBuf>,
    pub(super) crawler: Option<bool>,
    pub(super) lock_memory: Option<bool>,
    pub(super) core_dumps: Option<bool>,
}

impl Raw {
    /// Reads a TOML file; an error carries the file, line and column.
    pub(super) fn from_file(path: &Path) -> Result<Self, ConfigError> {
        let file_error = |why: String| ConfigError::File {
            path: path.display().to_string(),
            why,
        };
        let text =
            std::fs::read_to_string(path).map_err(|error| file_error(format!("cannot be read: {error}")))?;
        toml::from_str(&text).map_err(|error| {
            let line = error.span().map_or(1, |span| {
                1 + text[..span.start.min(text.len())].matches('\n').count()
            });
            let why = one_line(error.message());
            ConfigError::File {
                path: format!("{}:{line}", path.display()),
                why,
            }
        })
    }

    /// These settings, and `below` wherever these say nothing.
    pub(super) fn over(self, below: Self) -> Self {
        // An address given on the command line replaces the file's addresses whole, port and socket included.
        let says_where = self.listen.is_some() || self.port.is_some() || self.unix_socket.is_some();
        let (listen, port, unix_socket) = if says_where {
            (self.listen, self.port, self.unix_socket)
        } else {
            (below.listen, below.port, below.unix_socket)
        };
        Self {
            listen,
            port,
            unix_socket,
            unix_mode: self.unix_mode.or(below.unix_mode),
            tls: self.tls.over(below.tls),
            auth_file: self.auth_file.or(below.auth_file),
            admin: self.admin.or(below.admin),
            memory_limit: self.memory_limit.or(below.memory_limit),
            max_item_size: self.max_item_size.or(below.max_item_size),
            persist: self.persist.or(below.persist),
            evict: self.evict.or(below.evict),
            conn_limit: self.conn_limit.or(below.conn_limit),
            conn_limit_waits: self.conn_limit_waits.or(below.conn_limit_waits),
            threads: self.threads.or(below.threads),
            max_reqs_per_event: self.max_reqs_per_event.or(below.max_reqs_per_event),
            listen_backlog: self.listen_backlog.or(below.listen_backlog),
            idle_timeout: self.idle_timeout.or(below.idle_timeout),
            drain_timeout: self.drain_timeout.or(below.drain_timeout),
            ttl_jitter: self.ttl_jitter.or(below.ttl_jitter),
            ttl_jitter_mode: self.ttl_jitter_mode.or(below.ttl_jitter_mode),
            version_string: self.version_string.or(below.version_string),
            enable_shutdown: self.enable_shutdown.or(below.enable_shutdown),
            enable_flush_all: self.enable_flush_all.or(below.enable_flush_all),
            enable_dumping: self.enable_dumping.or(below.enable_dumping),
            enable_watch: self.enable_watch.or(below.enable_watch),
            watch_buffer: self.watch_buffer.or(below.watch_buffer),
            stat_key_prefix: self.stat_key_prefix.or(below.stat_key_prefix),
            verbosity: self.verbosity.or(below.verbosity),
            log_format: self.log_format.or(below.log_format),
            user: self.user.or(below.user),
            pidfile: self.pidfile.or(below.pidfile),
            crawler: self.crawler.or(below.crawler),
            lock_memory: self.lock_memory.or(below.lock_memory),
            core_dumps: self.core_dumps.or(below.core_dumps),
        }
    }

    /// Settles the meaning of every field, or says which one cannot be meant.
    pub(super) fn check(self) -> Result<Config, ConfigError> {
        let tls = self.tls.check()?;
        let has_unix = self.unix_socket.is_some();
        let listen = listen_addresses(self.listen.as_deref(), self.port, has_unix, tls.as_ref())?;
        let mut config = Config {
            listen,
            tls,
            auth_file: self.auth_file,
            ..Config::default()
        };
        if let Some(path) = self.unix_socket {
            let mode = self.unix_mode.as_deref().unwrap_or("0700");
            let mode = u32::from_str_radix(mode, 8).ok().filter(|mode| *mode <= 0o777);
            let mode =
                mode.ok_or_else(|| bad("unix-mode (-a)", "expected octal permission bits such as 0700"))?;
            config.unix = Some(UnixSocket { path, mode });
        }
        if let Some(admin) = self.admin {
            let port = admin.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
            let why = || bad("admin", "expected HOST:PORT, for example 127.0.0.1:9101");
            let port: u16 = port.ok_or_else(why)?;
            let host = admin.rsplit_once(':').map_or("", |(host, _)| host);
            config.admin = resolve("admin", host, port)?.first().copied();
        }
        if let Some(text) = self.memory_limit {
            let bytes = parse_bytes(&text, false).map_err(|why| bad("memory-limit (-m)", why))?;
            config.memory_limit_bytes = within("memory-limit (-m)", bytes, MEMORY_MIN..=MEMORY_MAX)?;
        }
        let asked_item_size = self.max_item_size.is_some();
        if let Some(text) = self.max_item_size {
            let bytes = parse_bytes(&text, true).map_err(|why| bad("max-item-size (-I)", why))?;
            config.item_size_max_bytes = within("max-item-size (-I)", bytes, ITEM_MIN..=ITEM_MAX)?;
        }
        let half = config.memory_limit_bytes / 2;
        if config.item_size_max_bytes > half {
            if asked_item_size {
                return Err(bad(
                    "max-item-size (-I)",
                    format!("must be at most half of -m, here {half} bytes"),
                ));
            }
            config.item_size_max_bytes = half;
        }
        config.persist = self.persist;
        config.evict = self.evict.unwrap_or(true);
        if let Some(connections) = self.conn_limit {
            config.connections_max = count("conn-limit (-c)", connections, 1..=1_000_000)?;
        }
        if self.conn_limit_waits.unwrap_or(false) {
            config.over_limit = OverLimit::Wait;
        }
        if let Some(threads) = self.threads {
            config.threads = count("threads (-t)", threads, 1..=256)?;
        }
        if let Some(requests) = self.max_reqs_per_event {
            config.requests_per_turn = count("max-reqs-per-event (-R)", requests, 1..=1_000_000)?;
        }
        if let Some(backlog) = self.listen_backlog {
            let backlog = count("listen-backlog (-b)", backlog, 1..=i32::MAX as usize)?;
            config.backlog = u32::try_from(backlog).unwrap_or(u32::MAX);
        }
        if let Some(text) = self.idle_timeout {
            let timeout = parse_duration(&text).map_err(|why| bad("idle-timeout (-o idle_timeout)", why))?;
            config.idle_timeout = (timeout > Duration::ZERO).then_some(timeout);
        }
        if let Some(text) = self.drain_timeout {
            config.drain_timeout = parse_duration(&text).map_err(|why| bad("drain-timeout", why))?;
        }
        if let Some(text) = self.ttl_jitter {
            config.ttl_jitter.permille = parse_share(&text).map_err(|why| bad("ttl-jitter", why))?;
        }
        if let Some(text) = self.ttl_jitter_mode {
            config.ttl_jitter.mode = match text.as_str() {
                "symmetric" => JitterMode::Symmetric,
                "early" => JitterMode::Early,
                other => {
                    return Err(bad(
                        "ttl-jitter-mode",
                        format!("`{other}` is neither symmetric nor early"),
                    ));
                }
            };
        }
        if let Some(version) = self.version_string {
            config.version = check_version(version)?;
        }
        config.shutdown_enabled = self.enable_shutdown.unwrap_or(false);
        config.flush_enabled = self.enable_flush_all.unwrap_or(true);
        config.dump_enabled = self.enable_dumping.unwrap_or(true);
        config.watch_enabled = self.enable_watch.unwrap_or(true);
        if let Some(text) = self.watch_buffer {
            let what = "watch-buffer (-o watcher_logbuf_size)";
            let bytes = parse_bytes(&text, false).map_err(|why| bad(what, why))?;
            let bytes = within(what, bytes, WATCH_BUFFER_MIN..=WATCH_BUFFER_MAX)?;
            config.watch_buffer_bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        }
        if let Some(text) = self.stat_key_prefix {
            let [delimiter] = text.as_bytes() else {
                return Err(bad("stat-key-prefix (-D)", "expected one byte, such as `:`"));
            };
            config.prefix_delimiter = *delimiter;
            config.detail_enabled = true;
        }
        config.verbosity = self.verbosity.unwrap_or(0);
        config.log_format = match self.log_format.as_deref() {
            None | Some("text") => LogFormat::Text,
            Some("json") => LogFormat::Json,
            Some(other) => return Err(bad("log-format", format!("`{other}` is neither text nor json"))),
        };
        config.user = self.user;
        config.pid_file = self.pidfile;
        config.crawler_enabled = self.crawler.unwrap_or(true);
        config.lock_memory = self.lock_memory.unwrap_or(false);
        config.core_dumps = self.core_dumps.unwrap_or(false);
        Ok(config)
    }
}

/// A watcher's buffer holds a few of the longest lines, and is no place to hide a cache.
const WATCH_BUFFER_MIN: u64 = 4 << 10;
const WATCH_BUFFER_MAX: u64 = 64 << 20;
/// Below this the segments of a store have no room to rotate.
const MEMORY_MIN: u64 = 1 << 20;
/// memcached's bounds of `-I`.
const ITEM_MIN: u64 = 1 << 10;
const ITEM_MAX: u64 = 1 << 30;

/// libmemcached and others read three numbers and give up on anything else (the words after them are free).
fn check_version(version: String) -> Result<String, ConfigError> {
    let numbers = version.split(' ').next().unwrap_or_default();
    let mut parts = numbers.split('.').map(|part| part.parse::<u8>().ok());
    let major = parts.next().flatten().filter(|major| *major > 0);
    let rest = [parts.next().flatten(), parts.next().flatten()];
    let is_plain = version.bytes().all(|byte| (0x20..0x7f).contains(&byte)) && version.len() <= 100;
    if major.is_none() || rest.contains(&None) || parts.next().is_some() || !is_plain {
        let why = "must begin with three numbers up to 255, the first above 0, such as `1.6.40`";
        return Err(bad("version-string", why));
    }
    Ok(version)
}

fn count(what: &str, given: i64, allowed: std::ops::RangeInclusive<usize>) -> Result<usize, ConfigError> {
    let (low, high) = (*allowed.start(), *allowed.end());
    let given = usize::try_from(given)
        .ok()
        .filter(|given| allowed.contains(given));
    given.ok_or_else(|| bad(what, format!("expected {low} to {high}")))
}

fn within(what: &str, given: u64, allowed: std::ops::RangeInclusive<u64>) -> Result<u64, ConfigError> {
    if allowed.contains(&given) {
        return Ok(given);
    }
    Err(bad(
        what,
        format!(
            "{given} bytes is out of range; expected {} to {}",
            allowed.start(),
            allowed.end()
        ),
    ))
}

pub(super) fn bad(what: &str, why: impl Into<String>) -> ConfigError {
    ConfigError::Value {
        what: what.to_owned(),
        why: why.into(),
    }
}

pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
