//! What the operator asked for, checked: past this module nobody sees a flag, a file or a raw number.
//! Must not know sockets or the store.

mod flags;
mod listen;
mod quantity;
mod raw;
mod tls;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::ttl::{Jitter, JitterMode};

pub use flags::{Detach, Invocation, parse_args};
pub use quantity::{parse_bytes, parse_duration};
pub use tls::{ClientCerts, KeyFormat, Listen, TlsConfig, TlsVersion, Transport};

/// Everything a node is told at start.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// TCP addresses to listen on (`-l`, `-p`). Default port 11211 of all addresses, in the clear, as memcached.
    pub listen: Vec<Listen>,
    /// TLS on TCP (`-Z`, `-o ssl_…`). Default none.
    pub tls: Option<TlsConfig>,
    /// File of `user:password` lines; clients must log in with one of them (`-Y`). Default none.
    pub auth_file: Option<PathBuf>,
    /// Unix socket beside or instead of TCP (`-s`, `-a`). Default none.
    pub unix: Option<UnixSocket>,
    /// HTTP address of `/metrics`, `/healthz` and `/readyz` (`--admin`). Default none: nothing listens.
    pub admin: Option<SocketAddr>,
    /// Memory for items, index and history together, bytes (`-m`, given in MiB). Default 64 MiB, as memcached.
    pub memory_limit_bytes: u64,
    /// Largest item, key included, bytes (`-I`). Default 1 MiB, as memcached.
    pub item_size_max_bytes: u64,
    /// Folder that the store is kept in between a stop in order and the next start (`--persist`, `-e`). Default none:
    /// every start is cold.
    pub persist: Option<PathBuf>,
    /// False: a full cache refuses to store instead of evicting (`-M`). Default true.
    pub evict: bool,
    /// Client connections at once (`-c`). Default 1024, as memcached.
    pub connections_max: usize,
    /// What happens to one more (`-o maxconns_fast`). Default told and closed, as memcached.
    pub over_limit: OverLimit,
    /// Worker threads, each with its own runtime and listener (`-t`). Default: one per core.
    pub threads: usize,
    /// Requests one connection may have served before others get a turn (`-R`).
    /// Default 500: the whole of a deep pipeline in one write, yet below a millisecond of work.
    pub requests_per_turn: usize,
    /// Connections the kernel holds for us before `accept` (`-b`). Default 1024, as memcached.
    pub backlog: u32,
    /// A client silent for this long is closed (`-o idle_timeout`). Default none, as memcached.
    pub idle_timeout: Option<Duration>,
    /// How long a stopping node waits for clients that are still being answered (`--drain-timeout`). Default 5 s.
    pub drain_timeout: Duration,
    /// Spread of every positive relative TTL (`--ttl-jitter`, `--ttl-jitter-mode`). Default ±10 %.
    pub ttl_jitter: Jitter,
    /// What `version` answers after `VERSION ` (`--version-string`). Default `1.6.40`: clients parse three numbers.
    pub version: String,
    /// Whether the `shutdown` command is obeyed (`-A`). Default false.
    pub shutdown_enabled: bool,
    /// Whether `flush_all` is obeyed (`-F` forbids). Default true.
    pub flush_enabled: bool,
    /// Whether keys may be listed (`-X` forbids). Default true.
    pub dump_enabled: bool,
    /// Whether `watch` is obeyed (`-W` forbids). Default true.
    pub watch_enabled: bool,
    /// Bytes of events kept for a `watch` client that does not read them (`-o watcher_logbuf_size`, in KiB).
    /// Default 256 KiB, as memcached; what comes on top is counted and lost.
    pub watch_buffer_bytes: usize,
    /// What ends the prefix of a key in `stats detail` (`-D`, which also turns that on). Default `:`, as memcached.
    pub prefix_delimiter: u8,
    /// Whether `stats detail` counts from the start. Default false.
    pub detail_enabled: bool,
    /// `-v` given this many times: 0 warnings, 1 life of the node, 2 connections, 3 requests.
    pub verbosity: u8,
    /// How log lines are written (`--log-format`). Default text.
    pub log_format: LogFormat,
    /// User to become once the sockets are bound (`-u`); only root can. Default none.
    pub user: Option<String>,
    /// File that gets our process id (`-P`). Default none.
    pub pid_file: Option<PathBuf>,
    /// What `stats settings` says of memcached's crawler until a client turns it on or off (`-o no_lru_crawler`). Default
    /// true.
    pub crawler_enabled: bool,
    /// Whether memory is kept out of swap (`-k`). Default false.
    pub lock_memory: bool,
    /// Whether core files may be of any size (`-r`). Default false.
    pub core_dumps: bool,
}

/// What becomes of a client over the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OverLimit {
    /// It is told so and closed.
    #[default]
    Refuse,
    /// It waits in the listen queue until another leaves (`-o no_maxconns_fast`).
    Wait,
}

/// How a line of the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// A unix socket and who may connect to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnixSocket {
    /// Where the socket appears. A stale socket file is replaced; any other file is left alone and refused.
    pub path: PathBuf,
    /// Permission bits (`-a`, octal). Default 0700, as memcached.
    pub mode: u32,
}

/// memcached's port.
pub const DEFAULT_PORT: u16 = 11211;

/// One tebibyte: what the store's arithmetic is made for.
pub(crate) const MEMORY_MAX: u64 = 1 << 40;

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: vec![SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), DEFAULT_PORT).into()],
            tls: None,
            auth_file: None,
            unix: None,
            admin: None,
            memory_limit_bytes: 64 << 20,
            item_size_max_bytes: 1 << 20,
            persist: None,
            evict: true,
            connections_max: 1024,
            over_limit: OverLimit::Refuse,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            requests_per_turn: 500,
            backlog: 1024,
            idle_timeout: None,
            drain_timeout: Duration::from_secs(5),
            ttl_jitter: Jitter {
                permille: 100,
                mode: JitterMode::Symmetric,
            },
            version: "1.6.40".to_owned(),
            shutdown_enabled: false,
            flush_enabled: true,
            dump_enabled: true,
            watch_enabled: true,
            watch_buffer_bytes: 256 << 10,
            prefix_delimiter: b':',
            detail_enabled: false,
            verbosity: 0,
            log_format: LogFormat::Text,
            user: None,
            pid_file: None,
            crawler_enabled: true,
            lock_memory: false,
            core_dumps: false,
        }
    }
}

impl Config {
    /// A node inside another program: one thread, any free port of the loopback, nothing else.
    pub fn embedded() -> Self {
        Self {
            listen: vec![SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0).into()],
            threads: 1,
            ..Self::default()
        }
    }
}

/// Why a command line or file was refused; the text is one line and names the flag or field.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The command line says something we cannot do.
    #[error("{0}")]
    Usage(String),
    /// A flag of memcached that this server does not have.
    #[error("{flag} is a memcached option that cache-node does not support: {instead}")]
    Unsupported {
        /// The flag as memcached names it.
        flag: String,
        /// What to do instead.
        instead: &'static str,
    },
    /// A value out of range or of the wrong shape.
    #[error("{what}: {why}")]
    Value {
        /// Flag or field.
        what: String,
        /// What was expected.
        why: String,
    },
    /// The file cannot be read or understood.
    #[error("{path}: {why}")]
    File {
        /// The file, with line and column where known.
        path: String,
        /// What is wrong.
        why: String,
    },
}
