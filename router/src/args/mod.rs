//! The command line. What it means is settled in `config`; nothing here opens a file or a socket.

mod mcrouter;
mod values;

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

use crate::debt::spool::SyncPolicy;
pub(crate) use values::duration;
use values::{bytes, connections, moment, octal, param, port, resolver, route_prefix, threads, timeout};

/// A memcached proxy: consistent hashing, replicated pools, failover, live configuration.
#[derive(Debug, Clone, Parser)]
#[command(name = "router", version, about, max_term_width = 110)]
#[command(group = clap::ArgGroup::new("pool").args(["sharded", "replicated", "embedded", "config"]))]
pub struct Options {
    /// TCP port for clients; 0 takes any free one.
    #[arg(short, long, default_value_t = 11211, value_parser = port, value_name = "PORT")]
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
    /// Shown to servers that ask for a certificate, instead of `--tls-cert` (PEM).
    #[arg(long, value_name = "FILE", requires = "tls_upstream_key")]
    pub tls_upstream_cert: Option<PathBuf>,
    /// Its private key (PEM).
    #[arg(long, value_name = "FILE", requires = "tls_upstream_cert")]
    pub tls_upstream_key: Option<PathBuf>,
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
    #[arg(short, long, default_value_t = 0, value_parser = threads, value_name = "N")]
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
    /// A configuration file in mcrouter's JSON (`file:` before it may stand), watched and read again on SIGHUP; or the
    /// JSON itself, which begins with `{`.
    #[arg(short, long, short_alias = 'f', value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// mcrouter's runtime variables (JSON): ranges and weights that the configuration file names. Watched like it.
    #[arg(long, value_name = "FILE")]
    pub runtime_vars_file: Option<PathBuf>,
    /// Parameters for macros in the configuration file: `%NAME%` there is VALUE.
    #[arg(long, value_name = "NAME:VALUE,…", value_delimiter = ',', value_parser = param)]
    pub config_params: Vec<(String, String)>,
    /// The default routing prefix: keys without a prefix belong to its route.
    #[arg(short = 'R', long, value_parser = route_prefix, value_name = "/REGION/CLUSTER/")]
    pub route_prefix: Option<String>,
    /// Keys whose routing prefix no route has go to the default route without it. Otherwise what looks like a prefix is
    /// part of the key.
    #[arg(long)]
    pub send_invalid_route_to_default: bool,
    /// Values above so many bytes are stored in chunks, as by a BigValueRoute over everything; 0: they are not.
    #[arg(long, default_value_t = 0, value_name = "BYTES")]
    pub big_value_split_threshold: usize,
    /// Chunks of such a value that are asked for at a time.
    #[arg(long, default_value_t = 10, value_name = "N")]
    pub big_value_batch_size: usize,
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
    #[arg(long, default_value = "1s", value_parser = timeout, value_name = "TIME")]
    pub server_timeout: Duration,
    /// How long a connection to a server may take to open, unless its pool says otherwise.
    #[arg(long, default_value = "1s", value_parser = timeout, value_name = "TIME")]
    pub connect_timeout: Duration,
    /// How long servers of this router's own region and cluster may take, whatever their pool says: of pools that say their
    /// "region" and "cluster". 0ms: as other pools. Likewise the next two.
    #[arg(long, default_value = "0ms", value_parser = duration, value_name = "TIME")]
    pub within_cluster_timeout: Duration,
    /// The same for those of another cluster of its region.
    #[arg(long, default_value = "0ms", value_parser = duration, value_name = "TIME")]
    pub cross_cluster_timeout: Duration,
    /// The same for those of another region.
    #[arg(long, default_value = "0ms", value_parser = duration, value_name = "TIME")]
    pub cross_region_timeout: Duration,
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
    /// Spool nothing, whatever `--spool` says.
    #[arg(long)]
    pub asynclog_disable: bool,
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
    /// Longest that a worker kept busy by 32 clients or more waits for more to arrive before it looks again: less CPU per
    /// request for at most so much time, and never more than a quarter of what the servers take to answer. 0us: it
    /// never waits.
    #[arg(long, default_value = "100us", value_parser = moment, value_name = "TIME")]
    pub linger: Duration,
    /// How long a worker that waits for replies keeps looking for them before it sleeps: less latency for more CPU, up to
    /// a whole core for each worker. 0us: it sleeps at once.
    #[arg(long, default_value = "0us", value_parser = moment, value_name = "TIME")]
    pub spin: Duration,
    /// How often the configuration file is looked at.
    #[arg(long, default_value = "1s", value_parser = duration, value_name = "TIME")]
    pub config_poll: Duration,
    /// Do not look at the configuration file; SIGHUP and the admin side have it read again all the same.
    #[arg(long)]
    pub disable_reload_configs: bool,

    /// Options of mcrouter's that were given and change nothing, each with the reason.
    #[arg(skip)]
    pub moot: Vec<String>,
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
    /// Reads a command line, program name first; mcrouter's options are understood.
    ///
    /// # Errors
    /// What is wrong with it, ready to print.
    pub fn read<I, T>(args: I) -> Result<Self, clap::Error>
    where
        I: IntoIterator<Item = T>,
        T: Into<OsString> + Clone,
    {
        let mut args: Vec<OsString> = args.into_iter().map(Into::into).collect();
        let mut moot = Vec::new();
        let words: Option<Vec<String>> = args
            .iter()
            .skip(1)
            .map(|arg| arg.to_str().map(str::to_owned))
            .collect();
        // What is not text is a path at most, and not mcrouter's.
        if let Some(words) = words {
            let translated = mcrouter::translate(words)
                .map_err(|why| clap::Error::raw(clap::error::ErrorKind::InvalidValue, why))?;
            args.truncate(1);
            args.extend(translated.args.into_iter().map(OsString::from));
            moot = translated.moot;
        }
        let mut options = Self::try_parse_from(args)?;
        options.moot = moot;
        if options.asynclog_disable {
            options.spool = None;
        }
        Ok(options)
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

#[cfg(test)]
mod tests {
    use super::Options;

    #[test]
    fn two_ways_to_name_the_servers_are_one_too_many() {
        assert!(Options::read(["router", "--sharded", "a:1", "--embedded", "2"]).is_err());
    }

    #[test]
    fn a_unit_file_of_mcrouters_starts_the_router() {
        let options = Options::read([
            "router",
            "-p",
            "5000",
            "-f",
            "/etc/mcrouter.json",
            "--proxy-threads=8",
            "-R",
            "/eu/west/",
            "--server-timeout=250",
            "--async-dir=/var/spool/mcrouter",
            "--asynclog-disable",
            "--stats-root=/var/mcrouter/stats",
            "--send-invalid-route-to-default",
            "--big-value-split-threshold=900000",
            "--disable-reload-configs",
        ])
        .expect("all of it");
        assert_eq!((options.port, options.threads), (5000, 8));
        assert_eq!(
            options.config.as_deref(),
            Some(std::path::Path::new("/etc/mcrouter.json"))
        );
        assert_eq!(options.server_timeout, std::time::Duration::from_millis(250));
        assert_eq!(options.spool, None, "it was taken back");
        assert_eq!(options.route_prefix.as_deref(), Some("/eu/west/"));
        assert_eq!(options.moot.len(), 1, "{:?}", options.moot);
    }
}
