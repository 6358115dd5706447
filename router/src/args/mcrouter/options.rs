//! mcrouter's options, each with what it is here.

/// What an option of mcrouter's is here.
pub(super) enum Means {
    /// The same, by this name.
    As(&'static str),
    /// The same, by this name, in milliseconds.
    Millis(&'static str),
    /// This number of worker threads, or `auto`.
    Threads,
    /// A switch: what it stands for.
    Switch(&'static [&'static str]),
    /// A switch that changes nothing here, because.
    MootSwitch(&'static str),
    /// An option with a value that changes nothing here, because.
    Moot(&'static str),
    /// The same as long as it is 0, which is off; else refused, with what to use instead.
    OnlyOff(&'static str),
    /// Refused, with what to use instead; the second tells whether it has a value.
    No(&'static str),
}

use Means::{As, Millis, Moot, MootSwitch, No, OnlyOff, Switch, Threads};

const THREADS: &str = "each worker has its own listener, clients and connections";
const FIBERS: &str = "there are no fibers here";
const RETRANSMITS: &str = "a server that does not answer is found by its timeouts and reconnected to";
const STATS: &str = "metrics are at --admin, and in `stats`";
const FACEBOOK: &str = "it means something inside Facebook only";
const PEER: &str = "TLS peers are verified unless --tls-insecure-skip-verify says otherwise";
const LIMIT: &str = "limit the servers: --max-inflight, or \"max_outstanding\" of a PoolRoute";

/// Long options that we do not have by that name and meaning; those that are not here are ours already (`--port`,
/// `--config-params`, `--async-dir`, `--timeouts-until-tko`, `--pem-ca-path`, …).
pub(super) const OPTIONS: &[(&str, Means)] = &[
    ("acl-checker-enable", MootSwitch(FACEBOOK)),
    ("acl-checker-enforce", No("allow clients by --tls-client-ca")),
    ("additional-config-params", As("config-params")),
    (
        "additional-ssl-service-identities",
        No("give each pool its \"tls_server_name\""),
    ),
    (
        "allow-only-gets",
        No("use an OperationSelectorRoute with NullRoute for all but gets"),
    ),
    ("asynclog-port-override", Moot("nothing is spooled by port")),
    (
        "big-value-hide-reply-flag",
        MootSwitch("clients never see the flag"),
    ),
    ("carbon-router-name", Moot(FACEBOOK)),
    (
        "client-timeout",
        Moot("a client that does not read its replies is not read from"),
    ),
    ("collect-rxmit-stats-every-hz", Moot(RETRANSMITS)),
    (
        "config-dump-root",
        Moot("a bad file at the start is an error; while it runs the last good one stays in use"),
    ),
    ("config-file", As("config")),
    ("config-str", As("config")),
    (
        "connect-timeout-retries",
        Moot("a server is connected to again within half a second"),
    ),
    (
        "constantly-reload-configs",
        MootSwitch("the file is looked at every --config-poll"),
    ),
    ("core-multiplier", Moot(THREADS)),
    ("core-multiplier-threshold", Moot(THREADS)),
    ("cross-cluster-timeout-ms", Millis("cross-cluster-timeout")),
    ("cross-region-timeout-ms", Millis("cross-region-timeout")),
    ("debug-fifo-root", Moot("LoggingRoute tells requests and replies")),
    ("default-qos-class", Moot("packets are not marked")),
    ("default-qos-path", Moot("packets are not marked")),
    (
        "disable-failure-logging",
        MootSwitch("failures are counted, not logged"),
    ),
    ("disable-fibers-use-guard-pages", MootSwitch(FIBERS)),
    (
        "disable-request-deadline-check",
        MootSwitch("requests carry no deadline of their own"),
    ),
    ("disable-send-to-main-shard-split", MootSwitch(FACEBOOK)),
    (
        "disable-shard-split-route",
        No("take \"shard_splits\" out of the configuration"),
    ),
    // As often as there are numbers: never.
    (
        "disable-tko-tracking",
        Switch(&["--timeouts-until-tko", "4294967295"]),
    ),
    ("enable-axonlog", MootSwitch(FACEBOOK)),
    (
        "enable-compression",
        MootSwitch("replies to memcached clients are not compressed"),
    ),
    (
        "enable-logging-route",
        No("put a LoggingRoute at the top of the configuration"),
    ),
    (
        "enable-pass-through-mode",
        MootSwitch("requests that no handle changes always pass as they are"),
    ),
    ("enable-qos", MootSwitch("packets are not marked")),
    (
        "enable-server-compression",
        MootSwitch("replies to memcached clients are not compressed"),
    ),
    ("enable-service-router", No("name servers by DNS: srv+NAME")),
    (
        "enable-ssl-tfo",
        MootSwitch("connections are kept, so that opening them costs little"),
    ),
    ("failures-until-tko", As("timeouts-until-tko")),
    ("fibers-max-pool-size", Moot(FIBERS)),
    ("fibers-pool-resize-period-ms", Moot(FIBERS)),
    ("fibers-record-stack-size-every", Moot(FIBERS)),
    ("fibers-stack-size", Moot(FIBERS)),
    (
        "file-observer-poll-period-ms",
        Moot("files are looked at every --config-poll"),
    ),
    (
        "file-observer-sleep-before-update-ms",
        Moot("files are looked at every --config-poll"),
    ),
    ("force-same-thread", MootSwitch(THREADS)),
    (
        "group-remote-errors",
        MootSwitch("a server's own errors are passed on as they are"),
    ),
    (
        "jemalloc-nodump-buffers",
        MootSwitch("the system's allocator is used"),
    ),
    (
        "keepalive-count",
        Moot("a server that does not answer is found by its timeouts"),
    ),
    (
        "keepalive-idle",
        Moot("a server that does not answer is found by its timeouts"),
    ),
    (
        "keepalive-interval",
        Moot("a server that does not answer is found by its timeouts"),
    ),
    ("listen-addresses", As("listen")),
    (
        "listen-sock-fd",
        No("take over from a running router with --take-over HOST:PORT"),
    ),
    ("log-path", Moot("the log is on stderr: have it redirected")),
    (
        "logging-rtt-outlier-threshold-us",
        Moot("metrics have the latencies as histograms"),
    ),
    (
        "max-client-outstanding-reqs",
        Moot("a client is not read from while its replies wait"),
    ),
    ("max-conns", As("max-connections")),
    (
        "max-dumped-config-age",
        Moot("a bad file at the start is an error; while it runs the last good one stays in use"),
    ),
    (
        "max-no-flush-event-loops",
        Moot("what one turn gathers for a server is sent at its end"),
    ),
    ("max-rxmit-reconnect-threshold", Moot(RETRANSMITS)),
    (
        "max-shadow-token-map-size",
        Moot("there are no leases of mcrouter's kind"),
    ),
    ("min-rxmit-reconnect-threshold", Moot(RETRANSMITS)),
    ("num-listening-sockets", Moot(THREADS)),
    ("num-proxies", Threads),
    ("pool-stats-config-file", Moot("every pool has metrics")),
    ("post-reconfiguration-delay-ms", Moot("a reload stops nobody")),
    ("prefix-acl-checker-enable", MootSwitch(FACEBOOK)),
    (
        "probe-timeout-initial",
        Moot("probes begin after 20 ms, jittered"),
    ),
    ("probe-timeout-max", Moot("probes come every 400 ms at least")),
    ("proxy-cpu-interval-s", Moot(STATS)),
    ("proxy-max-inflight-requests", OnlyOff(LIMIT)),
    (
        "proxy-max-inflight-shadow-requests",
        OnlyOff("share out shadows by \"requests_fraction\""),
    ),
    ("proxy-max-throttled-requests", OnlyOff(LIMIT)),
    ("proxy-threads", Threads),
    ("reconfiguration-delay-ms", Millis("config-poll")),
    ("reconfiguration-jitter-ms", Moot("a reload costs little")),
    ("remote-thread", MootSwitch(THREADS)),
    (
        "reset-inactive-connection-interval",
        Moot("connections are kept; one that the server closed is opened again when it is needed"),
    ),
    (
        "retain-source-ip",
        MootSwitch("handles that ask for it know the client's address"),
    ),
    ("retry-timeout", Moot("probes begin after 20 ms, jittered")),
    ("rxmit-latency-deviation-us", Moot(RETRANSMITS)),
    (
        "server-load-interval-ms",
        OnlyOff("LoadBalancerRoute counts what waits for each server"),
    ),
    ("server-pem-ca-path", As("tls-client-ca")),
    ("server-pem-cert-path", As("tls-cert")),
    ("server-pem-key-path", As("tls-key")),
    ("server-timeout", Millis("server-timeout")),
    ("server-timeout-ms", Millis("server-timeout")),
    (
        "service-name",
        Moot("metrics are told apart by where they are scraped"),
    ),
    ("ssl-connection-cache", MootSwitch("sessions are resumed")),
    (
        "ssl-handshake-offload",
        MootSwitch("workers share the handshakes"),
    ),
    (
        "ssl-require-peer-certs",
        MootSwitch("clients of the TLS port need a certificate when --tls-client-ca is given"),
    ),
    ("ssl-service-identity", As("tls-server-name")),
    ("ssl-service-identity-authorization-enforce", MootSwitch(PEER)),
    ("ssl-service-identity-authorization-log", MootSwitch(PEER)),
    ("ssl-use-ktls12", MootSwitch("TLS is spoken by the program")),
    ("ssl-verify-peers", MootSwitch(PEER)),
    ("stats-async-queue-length", Moot(STATS)),
    ("stats-logging-interval", Moot(STATS)),
    ("stats-root", Moot(STATS)),
    ("target-max-inflight-requests", OnlyOff(LIMIT)),
    ("target-max-pending-requests", As("max-inflight")),
    (
        "target-max-shadow-requests",
        Moot("shadows count among --max-inflight"),
    ),
    (
        "tcp-listen-backlog",
        Moot("the system's limit (net.core.somaxconn) is used"),
    ),
    ("tcp-rto-min", Moot(RETRANSMITS)),
    ("tcp-zero-copy-threshold", Moot("values are copied once")),
    ("test-mode", MootSwitch(STATS)),
    (
        "tfo-queue-size",
        Moot("connections are kept, so that opening them costs little"),
    ),
    ("thread-affinity", MootSwitch(THREADS)),
    ("thrift-port", No("only memcached's text protocol is spoken")),
    (
        "tls-ticket-key-seed-path",
        Moot("sessions are resumed within one process"),
    ),
    ("unix-domain-sock", As("unix-socket")),
    (
        "use-asynclog-version2",
        MootSwitch("the spool has a format of its own"),
    ),
    ("use-mux-io-thread-pool", MootSwitch(THREADS)),
    ("use-thrift", No("only memcached's text protocol is spoken")),
    (
        "waiting-request-timeout-ms",
        OnlyOff("a request that waits longer than its \"server_timeout\" is never sent"),
    ),
    ("within-cluster-timeout-ms", Millis("within-cluster-timeout")),
];

/// Short options of mcrouter's that mean nothing else here.
pub(super) const SHORT: &[(&str, &str)] = &[
    ("-K", "keepalive-count"),
    ("-L", "log-path"),
    ("-i", "keepalive-interval"),
    ("-r", "probe-timeout-initial"),
];
