//! The command line. What it means is settled in `config`; nothing here opens a file or a socket.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

use crate::debt::spool::SyncPolicy;
use crate::names::DNS_PORT;
use crate::pool::CONNECTIONS_MAX;

/// A memcached proxy: consistent hashing, replicated pools, failover, live configuration.
#[derive(Debug, Clone, Parser)]
#[command(name = "router", version, about, max_term_width = 110)]
#[command(group = clap::ArgGroup::new("pool").args(["sharded", "replicated", "embedded", "config"]))]
pub struct Options {
    /// TCP port for clients; 0 takes any free one.
    #[arg(short, long, default_value_t = 11211, value_name = "PORT")]
    pub port: u16,
    /// Address to listen on.
    #[arg(short, long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST), value_name = "ADDR")]
    pub listen: IpAddr,
    /// Unix socket for clients, beside the port.
    #[arg(short = 's', long = "unix-socket", value_name = "FILE")]
    pub unix_socket: Option<PathBuf>,
    /// Permission bits of the unix socket, octal.
    #[arg(short = 'a', long = "unix-mode", visible_alias = "unix-mask", default_value = "700", value_parser = octal, value_name = "BITS")]
    pub unix_mode: u32,
    /// TLS port for clients, beside the port.
    #[arg(long, visible_alias = "ssl-port", value_name = "PORT")]
    pub tls_port: Option<u16>,
    /// Our certificate chain (PEM): shown to clients of the TLS port, and to servers that ask for one.
    #[arg(long, visible_alias = "pem-cert-path", value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,
    /// Its private key (PEM).
    #[arg(long, visible_alias = "pem-key-path", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,
    /// Who vouches for servers spoken to over TLS (PEM): `"security_mech": "tls"` of a pool, `HOST:PORT:ascii:tls`.
    #[arg(long, visible_alias = "pem-ca-path", value_name = "FILE")]
    pub tls_ca: Option<PathBuf>,
    /// Who vouches for clients of the TLS port (PEM); without it they need no certificate.
    #[arg(long, value_name = "FILE")]
    pub tls_client_ca: Option<PathBuf>,
    /// The name that certificates of servers have to bear, instead of the host they are configured by.
    #[arg(long, value_name = "NAME")]
    pub tls_server_name: Option<String>,
    /// Believe servers spoken to over TLS whoever they are. Whoever stands in between reads and changes everything.
    #[arg(long)]
    pub tls_insecure_skip_verify: bool,
    /// Take over from the router whose admin side listens there: its port, its spool and its clients, as it lets them go.
    #[arg(long, value_name = "HOST:PORT")]
    pub take_over: Option<String>,
    /// Worker threads, each with its own listener, clients and server connections; 0 takes one per core.
    #[arg(short, long, default_value_t = 0, value_name = "N")]
    pub threads: usize,
    /// Admin HTTP address: /healthz /readyz /metrics /topology.
    #[arg(long, value_name = "HOST:PORT")]
    pub admin: Option<String>,

    /// One pool `main`, each key on one of these servers.
    #[arg(long, value_name = "[NAME=]HOST:PORT,…", value_delimiter = ',')]
    pub sharded: Vec<String>,
    /// One pool `main`, each key on all of these servers.
    #[arg(long, value_name = "[NAME=]HOST:PORT,…", value_delimiter = ',')]
    pub replicated: Vec<String>,
    /// One sharded pool `main` of N cache nodes inside this process.
    #[arg(long, value_name = "N")]
    pub embedded: Option<usize>,
    /// A configuration file in mcrouter's JSON; watched, and read again on SIGHUP.
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Parameters for macros in the configuration file: `%NAME%` there is VALUE.
    #[arg(long, value_name = "NAME:VALUE,…", value_delimiter = ',', value_parser = param)]
    pub config_params: Vec<(String, String)>,
    /// How `--sharded` and `--embedded` place keys.
    #[arg(long, default_value = "rendezvous", value_name = "NAME")]
    pub hash: String,
    /// Memory of each embedded cache node, in MiB.
    #[arg(long, default_value_t = 64, value_name = "MIB")]
    pub embedded_memory: u64,

    /// Check the configuration and exit: 0 if it is good, 2 with the reason if not.
    #[arg(long)]
    pub check: bool,

    /// Tell which handles and servers a request comes by, and exit.
    #[arg(long, num_args = 2, value_names = ["OPERATION", "KEY"])]
    pub explain: Option<Vec<String>>,
    /// Tell which share of the keys the second configuration moves, per pool and server, and exit.
    #[arg(long, num_args = 2, value_names = ["OLD", "NEW"])]
    pub diff: Option<Vec<PathBuf>>,
    /// Print the JSON Schema of configuration files and exit.
    #[arg(long)]
    pub schema: bool,

    /// DNS server to ask for servers' names, port 53 unless said otherwise; else those of /etc/resolv.conf.
    #[arg(long, value_parser = resolver, value_name = "ADDR[:PORT]")]
    pub resolver: Option<SocketAddr>,
    /// How long a server may take to answer, unless its pool says otherwise.
    #[arg(long, default_value = "1s", value_parser = duration, value_name = "TIME")]
    pub server_timeout: Duration,
    /// How long a connection to a server may take to open, unless its pool says otherwise.
    #[arg(long, default_value = "1s", value_parser = duration, value_name = "TIME")]
    pub connect_timeout: Duration,
    /// Timeouts in a row after which a server is not asked any more until it answers a probe.
    #[arg(long, default_value_t = 3, value_name = "N")]
    pub timeouts_until_tko: u32,
    /// Requests that may wait for one server's replies, per worker; more are refused.
    #[arg(long, default_value_t = 65_536, value_name = "N")]
    pub max_inflight: usize,
    /// Connections of each worker to a server, unless its pool says otherwise: each key keeps to one of them. More than
    /// one spares small replies the wait behind large ones.
    #[arg(long, default_value_t = 1, value_parser = connections, value_name = "N")]
    pub connections_per_server: usize,
    /// Keep what replicas missed (deletes, and sets as deletes) in this folder until they have been told. Without it
    /// a delete that misses a replica is an error, and what sets missed is forgotten when the router ends.
    #[arg(long, visible_alias = "async-dir", value_name = "DIR")]
    pub spool: Option<PathBuf>,
    /// When spooled debts are forced to the disk: `off` survives any end of the process, `each` a power loss too.
    #[arg(long, default_value = "off", value_name = "WHEN")]
    pub spool_sync: SyncPolicy,
    /// What replicas may be owed altogether; beyond it writes that miss a replica are errors.
    #[arg(long, default_value = "256MiB", value_parser = bytes, value_name = "SIZE")]
    pub spool_limit: usize,
    /// Deletes per second and replica when paying a replica that is back.
    #[arg(long, default_value_t = 50_000, value_name = "N")]
    pub replay_rate: u32,
    /// How long a replica has to answer, with nothing sent to it left without an answer, before it is paid: the time in
    /// which it has dealt with everything that was sent to it before.
    #[arg(long, default_value = "500ms", value_parser = duration, value_name = "TIME")]
    pub settle: Duration,
    /// How long a look for what other routers owe a replica is good for, and how long the first write that misses a
    /// replica waits so that they have looked. The same in all routers of a pool; 0ms if there is only one router.
    #[arg(long, default_value = "300ms", value_parser = duration, value_name = "TIME")]
    pub read_lease: Duration,
    /// Longest value taken from a client (`64KiB`, `1MiB`, memcached's `1m`).
    #[arg(short = 'I', long, default_value = "16MiB", value_parser = bytes, value_name = "SIZE")]
    pub max_value: usize,
    /// Clients at a time; more are told so and closed.
    #[arg(long, default_value_t = 65_536, value_name = "N")]
    pub max_connections: usize,
    /// What `flush_all` does.
    #[arg(long, default_value = "deny", value_name = "WHAT")]
    pub flush_all: FlushPolicy,
    /// The same as `--flush-all broadcast` (mcrouter's name for it).
    #[arg(long)]
    pub enable_flush_cmd: bool,
    /// What `version` answers: three numbers first, or clients refuse to talk.
    #[arg(long, default_value = "1.6.40", value_name = "A.B.C")]
    pub announce_version: String,
    /// How long SIGTERM waits for replies still under way.
    #[arg(long, default_value = "10s", value_parser = duration, value_name = "TIME")]
    pub drain_timeout: Duration,
    /// How often the configuration file is looked at.
    #[arg(long, default_value = "1s", value_parser = duration, value_name = "TIME")]
    pub config_poll: Duration,
}

/// What `flush_all` does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum FlushPolicy {
    /// `SERVER_ERROR Command disabled`.
    Deny,
    /// Every server of every pool is flushed.
    Broadcast,
}

impl Options {
    /// Reads a command line, program name first.
    ///
    /// # Errors
    /// What clap says of it, ready to print.
    pub fn read<I, T>(args: I) -> Result<Self, clap::Error>
    where
        I: IntoIterator<Item = T>,
        T: Into<std::ffi::OsString> + Clone,
    {
        Self::try_parse_from(args)
    }

    /// What `flush_all` does, by either flag.
    #[must_use]
    pub fn flush_policy(&self) -> FlushPolicy {
        if self.enable_flush_cmd {
            FlushPolicy::Broadcast
        } else {
            self.flush_all
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self::parse_from(["router"])
    }
}

/// A time with its unit: `200ms`, `1s`, `2m`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let complaint = || format!("{text:?} is not a time with its unit, such as 200ms or 1s");
    let number: u64 = number.parse().ok().ok_or_else(complaint)?;
    match unit {
        "us" => Ok(Duration::from_micros(number)),
        "ms" => Ok(Duration::from_millis(number)),
        "s" => Ok(Duration::from_secs(number)),
        "m" => Ok(Duration::from_secs(number.saturating_mul(60))),
        _ => Err(complaint()),
    }
}

/// Permission bits: `700`, `0660`.
fn octal(text: &str) -> Result<u32, String> {
    u32::from_str_radix(text, 8)
        .ok()
        .filter(|mode| *mode <= 0o777)
        .ok_or_else(|| format!("{text:?} are no permission bits, such as 700"))
}

/// `NAME:VALUE`.
fn param(text: &str) -> Result<(String, String), String> {
    let (name, value) = text
        .split_once(':')
        .ok_or_else(|| format!("{text:?} is not NAME:VALUE"))?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Where a DNS server is.
fn resolver(text: &str) -> Result<SocketAddr, String> {
    let whole = text.parse().ok();
    let address = text.trim_start_matches('[').trim_end_matches(']').parse().ok();
    whole
        .or_else(|| address.map(|ip| SocketAddr::new(ip, DNS_PORT)))
        .ok_or_else(|| format!("{text:?} is not an address such as 10.96.0.10 or 127.0.0.1:5353"))
}

/// How many connections a worker may have to a server.
fn connections(text: &str) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|count| (1..=CONNECTIONS_MAX).contains(count))
        .ok_or_else(|| format!("{text:?} is not a number from 1 to {CONNECTIONS_MAX}"))
}

/// A size with its unit: `64KiB`, `1MiB`; memcached's `1m` and `512k` too.
fn bytes(text: &str) -> Result<usize, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let complaint = || format!("{text:?} is not a size from 1KiB to 1GiB with its unit, such as 1MiB");
    let number: usize = number.parse().ok().ok_or_else(complaint)?;
    let unit = match unit {
        "KiB" | "k" | "K" => 1024,
        "MiB" | "m" | "M" => 1024 * 1024,
        "GiB" | "g" | "G" => 1024 * 1024 * 1024,
        _ => return Err(complaint()),
    };
    number
        .checked_mul(unit)
        .filter(|size| (1024..=1024 * 1024 * 1024).contains(size))
        .ok_or_else(complaint)
}

#[cfg(test)]
mod tests {
    use super::{Options, bytes, duration};
    use std::time::Duration;

    #[test]
    fn times_and_sizes_need_their_units() {
        assert_eq!(duration("200ms"), Ok(Duration::from_millis(200)));
        assert_eq!(bytes("1m"), Ok(1024 * 1024));
        for wrong in ["5", "5 s", "s", "", "-1s"] {
            assert!(duration(wrong).is_err(), "{wrong:?}");
        }
        for wrong in ["5", "MiB", "2GiB", "18446744073709551615k"] {
            assert!(bytes(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn two_ways_to_name_the_servers_are_one_too_many() {
        assert!(Options::read(["router", "--sharded", "a:1", "--embedded", "2"]).is_err());
    }
}
