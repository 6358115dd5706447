//! The command line: memcached's short flags, long forms of them, and ours.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{ArgAction, Parser, error::ErrorKind};

use super::raw::{Raw, one_line};
use super::{Config, ConfigError};
use extended::{Extended, Meaning};
use foreign::Foreign;

mod extended;
mod foreign;

/// What one command line asks for.
#[derive(Debug)]
pub enum Invocation {
    /// Serve.
    Run {
        /// The checked configuration.
        config: Box<Config>,
        /// Where: in this process, or in one of its own.
        detach: Detach,
        /// Flags of memcached that mean nothing here, to be told once in the log.
        ignored: Vec<String>,
    },
    /// Say this on stdout and stop: help or version.
    Print(String),
    /// `--check-config` found nothing wrong.
    Checked,
}

/// Whether the node leaves the terminal (`-d`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detach {
    /// It stays.
    No,
    /// It shall: another process has to serve.
    Asked,
    /// We are that process.
    Done,
}

/// Reads a whole command line, program name included, and the file it may name.
pub fn parse_args(args: impl IntoIterator<Item = OsString>) -> Result<Invocation, ConfigError> {
    let flags = match Flags::try_parse_from(args) {
        Ok(flags) => flags,
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            return Ok(Invocation::Print(error.to_string()));
        }
        Err(error) => return Err(ConfigError::Usage(first_sentences(&error.to_string()))),
    };
    if flags.license {
        return Ok(Invocation::Print(format!("{LICENSE}\n")));
    }
    flags.foreign.refuse_unsupported()?;
    let file = flags
        .config
        .as_deref()
        .map_or_else(|| Ok(Raw::default()), Raw::from_file)?;
    let check_only = flags.check_config;
    let detach = match (flags.detached, flags.daemon) {
        (true, _) => Detach::Done,
        (false, true) => Detach::Asked,
        (false, false) => Detach::No,
    };
    let mut ignored = Vec::new();
    let config = Box::new(flags.into_raw(&mut ignored)?.over(file).check()?);
    Ok(if check_only {
        Invocation::Checked
    } else {
        Invocation::Run {
            config,
            detach,
            ignored,
        }
    })
}

/// A cache server that speaks memcached's text protocols. Short flags are memcached's.
#[derive(Debug, Parser)]
#[command(
    name = "cache-node",
    version = VERSION,
    disable_help_subcommand = true,
    // As getopt_long: the last of a flag given twice counts, and a long name may be cut short.
    args_override_self = true,
    infer_long_args = true
)]
struct Flags {
    /// TOML file with any of the settings below under their long names; flags win over it
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Check flags and file, say what is wrong, and exit
    #[arg(long)]
    check_config: bool,
    /// TCP port; 0 or -1 takes any free one (with -s, 0 is no TCP) [default: 11211]
    #[arg(short, long, allow_negative_numbers = true, value_name = "NUM")]
    port: Option<i64>,
    /// Addresses to listen on: HOST or HOST:PORT, comma-separated [default: all of this machine]
    #[arg(short, long, value_name = "ADDR")]
    listen: Vec<String>,
    /// Unix socket; turns TCP off unless -l is given
    #[arg(short = 's', long = "unix-socket", value_name = "FILE")]
    unix_socket: Option<PathBuf>,
    /// Permission bits of the unix socket, octal [default: 0700]
    #[arg(
        short = 'a',
        long = "unix-mode",
        visible_alias = "unix-mask",
        value_name = "MODE"
    )]
    unix_mode: Option<String>,
    /// Memory for items, index and history together, in MiB, or with a unit [default: 64]
    #[arg(short, long, value_name = "NUM")]
    memory_limit: Option<String>,
    /// Largest item, in bytes or with k, m, g [default: 1m]
    #[arg(short = 'I', long = "max-item-size", value_name = "SIZE")]
    max_item_size: Option<String>,
    /// Folder, on tmpfs or disk, that items stay in while the node is down: a stop in order saves, the next start takes
    #[arg(short = 'e', long, visible_alias = "memory-file", value_name = "DIR")]
    persist: Option<PathBuf>,
    /// Client connections at once [default: 1024]
    #[arg(short, long, allow_negative_numbers = true, value_name = "NUM")]
    conn_limit: Option<i64>,
    /// Worker threads [default: one per core]
    #[arg(short, long, allow_negative_numbers = true, value_name = "NUM")]
    threads: Option<i64>,
    /// User to become after binding; matters for root only
    #[arg(short, long, value_name = "USER")]
    user: Option<String>,
    /// Say more on stderr; repeat for connections (-vv) and requests (-vvv)
    #[arg(short, long, action = ArgAction::Count)]
    verbose: u8,
    /// Requests served to one connection before others get a turn [default: 500]
    #[arg(
        short = 'R',
        long = "max-reqs-per-event",
        allow_negative_numbers = true,
        value_name = "NUM"
    )]
    max_reqs_per_event: Option<i64>,
    /// Connections waiting to be accepted [default: 1024]
    #[arg(
        short = 'b',
        long = "listen-backlog",
        allow_negative_numbers = true,
        value_name = "NUM"
    )]
    listen_backlog: Option<i64>,
    /// Refuse to store instead of evicting when memory is full
    #[arg(short = 'M', long)]
    disable_evictions: bool,
    /// Obey the `shutdown` command
    #[arg(short = 'A', long)]
    enable_shutdown: bool,
    /// Refuse `flush_all`
    #[arg(short = 'F', long)]
    disable_flush_all: bool,
    /// Refuse to list keys
    #[arg(short = 'X', long)]
    disable_dumping: bool,
    /// Refuse `watch`
    #[arg(short = 'W', long)]
    disable_watch: bool,
    /// TLS on TCP; needs -o ssl_chain_cert (an address of -l may say notls:, btls: or mtls:)
    #[arg(short = 'Z', long = "enable-ssl")]
    enable_ssl: bool,
    /// File of user:password lines; clients log in with `set`, as with memcached
    #[arg(short = 'Y', long = "auth-file", value_name = "FILE")]
    auth_file: Option<PathBuf>,
    /// Count `stats detail` from the start, by the part of keys before this character [default: off, `:`]
    #[arg(short = 'D', long = "stat-key-prefix", value_name = "CHAR")]
    stat_key_prefix: Option<String>,
    /// Serve in the background: returns once clients are accepted
    #[arg(short, long)]
    daemon: bool,
    /// Said to the process that -d starts
    #[arg(long, hide = true)]
    detached: bool,
    /// Keep all memory out of swap
    #[arg(short = 'k', long)]
    lock_memory: bool,
    /// Allow core files of any size
    #[arg(short = 'r', long = "enable-coredumps")]
    enable_coredumps: bool,
    /// Say under which licence this program is given, and exit
    #[arg(short = 'i', long)]
    license: bool,
    /// Write the process id here
    #[arg(short = 'P', long, value_name = "FILE")]
    pidfile: Option<PathBuf>,
    /// memcached's extended options: idle_timeout=SECONDS, no_maxconns_fast, watcher_logbuf_size=KIB, ssl_chain_cert,
    /// ssl_key, ssl_keyformat, ssl_ca_cert, ssl_verify_mode=0..3, ssl_min_version=2..3, ssl_ciphers, ssl_session_cache,
    /// ssl_wbuf_size=KIB
    #[arg(short = 'o', long = "extended", value_name = "OPTION,...")]
    extended: Vec<String>,
    /// Close clients silent for this long, such as 10m [default: never]
    #[arg(long, value_name = "TIME")]
    idle_timeout: Option<String>,
    /// How long to wait for clients being answered when stopping [default: 5s]
    #[arg(long, value_name = "TIME")]
    drain_timeout: Option<String>,
    /// Spread of relative TTLs, so that items stored together do not expire together; 0 for none [default: 10%]
    #[arg(long, value_name = "SHARE")]
    ttl_jitter: Option<String>,
    /// symmetric, or early: only ever shorter [default: symmetric]
    #[arg(long, value_name = "MODE")]
    ttl_jitter_mode: Option<String>,
    /// HTTP address of /metrics, /healthz and /readyz [default: none]
    #[arg(long, value_name = "ADDR")]
    admin: Option<String>,
    /// How log lines are written: text or json [default: text]
    #[arg(long, value_name = "NAME")]
    log_format: Option<String>,
    /// What the `version` command answers [default: 1.6.40]
    #[arg(long, value_name = "TEXT")]
    version_string: Option<String>,

    #[command(flatten)]
    foreign: Foreign,
}

const LICENSE: &str = env!("CARGO_PKG_LICENSE");

const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (speaks as memcached 1.6.40)");

impl Flags {
    fn into_raw(self, ignored: &mut Vec<String>) -> Result<Raw, ConfigError> {
        ignored.extend(self.foreign.ignored());
        let mut extended = Extended {
            idle_timeout: self.idle_timeout,
            ..Extended::default()
        };
        extended.tls.enable = self.enable_ssl.then_some(true);
        for option in self
            .extended
            .iter()
            .flat_map(|list| list.split(','))
            .filter(|option| !option.is_empty())
        {
            if extended.take(option)? == Meaning::None {
                ignored.push(format!("-o {option}"));
            }
        }
        let given = |flag: bool, means: bool| flag.then_some(means);
        Ok(Raw {
            listen: (!self.listen.is_empty()).then_some(self.listen),
            port: self.port,
            unix_socket: self.unix_socket,
            unix_mode: self.unix_mode,
            tls: extended.tls,
            auth_file: self.auth_file,
            admin: self.admin,
            // memcached's -m counts mebibytes.
            memory_limit: self.memory_limit.map(|text| match text.parse::<u64>() {
                Ok(mebibytes) => format!("{mebibytes}MiB"),
                Err(_has_a_unit) => text,
            }),
            max_item_size: self.max_item_size,
            persist: self.persist,
            evict: given(self.disable_evictions, false),
            conn_limit: self.conn_limit,
            conn_limit_waits: extended.conn_limit_waits,
            threads: self.threads,
            max_reqs_per_event: self.max_reqs_per_event,
            listen_backlog: self.listen_backlog,
            idle_timeout: extended.idle_timeout,
            drain_timeout: self.drain_timeout,
            ttl_jitter: self.ttl_jitter,
            ttl_jitter_mode: self.ttl_jitter_mode,
            version_string: self.version_string,
            enable_shutdown: given(self.enable_shutdown, true),
            enable_flush_all: given(self.disable_flush_all, false),
            enable_dumping: given(self.disable_dumping, false),
            enable_watch: given(self.disable_watch, false),
            watch_buffer: extended.watch_buffer,
            stat_key_prefix: self.stat_key_prefix,
            verbosity: (self.verbose > 0).then_some(self.verbose),
            log_format: self.log_format,
            user: self.user,
            pidfile: self.pidfile,
            crawler: extended.crawler,
            lock_memory: given(self.lock_memory, true),
            core_dumps: given(self.enable_coredumps, true),
        })
    }
}

/// clap's message without its usage block: what is wrong, and its tip.
fn first_sentences(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let wanted = lines.take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more"));
    one_line(&wanted.collect::<Vec<_>>().join("; "))
        .trim_start_matches("error: ")
        .to_owned()
}
