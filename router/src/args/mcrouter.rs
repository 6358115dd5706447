//! mcrouter's command line, put into our words before it is read: a unit file that starts mcrouter starts the router.
//!
//! What has another name or unit here is translated. What tunes something that there is nothing of here is read, and told
//! once at the start with why nothing is lost. What cannot be had is refused in one line with what to use instead.

/// What an option of mcrouter's is here.
enum Means {
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
const OPTIONS: &[(&str, Means)] = &[
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
        MootSwitch("there are no shard splits"),
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
const SHORT: &[(&str, &str)] = &[
    ("-K", "keepalive-count"),
    ("-L", "log-path"),
    ("-i", "keepalive-interval"),
    ("-r", "probe-timeout-initial"),
];

/// A command line in our words.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Translated {
    pub args: Vec<String>,
    /// What was read and changes nothing, and why.
    pub moot: Vec<String>,
}

/// Puts `args`, without the program's name, into our words.
///
/// # Errors
/// What cannot be had, and what to use instead.
pub(super) fn translate(args: impl IntoIterator<Item = String>) -> Result<Translated, String> {
    let mut args = args.into_iter();
    let mut into = Translated::default();
    while let Some(arg) = args.next() {
        let long = SHORT.iter().find(|(short, _)| *short == arg);
        let long = long.map(|(_, long)| *long).or_else(|| arg.strip_prefix("--"));
        let Some((name, inline)) = long.map(|long| match long.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (long, None),
        }) else {
            into.args.push(arg);
            continue;
        };
        if name.is_empty() {
            into.args.push(arg);
            into.args.extend(args);
            break;
        }
        if name == "validate-config" {
            into.validate(inline.as_deref())?;
            continue;
        }
        let Some((_, means)) = OPTIONS.iter().find(|(known, _)| *known == name) else {
            into.args.push(arg);
            continue;
        };
        let name = name.to_owned();
        let mut value = || {
            inline
                .clone()
                .or_else(|| args.next())
                .ok_or_else(|| format!("--{name} needs a value"))
        };
        match means {
            As("listen") => into.listen(&value()?)?,
            As("max-connections") => into.max_connections(&value()?),
            As(ours) => into.option(ours, value()?),
            Millis(ours) => {
                let value = value()?;
                let bare = value.bytes().all(|byte| byte.is_ascii_digit());
                into.option(ours, if bare { format!("{value}ms") } else { value });
            }
            Threads => {
                let value = value()?;
                into.option("threads", if value == "auto" { "0".to_owned() } else { value });
            }
            Switch(ours) => into.args.extend(ours.iter().map(|&word| word.to_owned())),
            MootSwitch(why) => into.moot.push(format!("--{name}: {why}")),
            Moot(why) => {
                value()?;
                into.moot.push(format!("--{name}: {why}"));
            }
            OnlyOff(instead) => {
                if value()? != "0" {
                    return Err(format!("--{name} is mcrouter's; {instead}"));
                }
            }
            No(instead) => return Err(format!("--{name} is mcrouter's; {instead}")),
        }
    }
    into.tell_certificates_apart();
    Ok(into)
}

impl Translated {
    fn option(&mut self, name: &str, value: String) {
        self.args.extend([format!("--{name}"), value]);
    }

    /// `--validate-config[=exit|run]`: check and end, or start all the same.
    fn validate(&mut self, how: Option<&str>) -> Result<(), String> {
        match how {
            None | Some("exit") => self.args.push("--check".to_owned()),
            Some("run") => self
                .moot
                .push("--validate-config=run: a bad file is never used".to_owned()),
            Some(other) => return Err(format!("--validate-config is exit or run, not {other:?}")),
        }
        Ok(())
    }

    fn listen(&mut self, addresses: &str) -> Result<(), String> {
        if addresses.contains(',') {
            return Err(format!(
                "--listen-addresses {addresses}: a router listens on one address; 0.0.0.0 or :: is all of them"
            ));
        }
        self.option("listen", addresses.to_owned());
        Ok(())
    }

    /// 0 and 1 are ways of mcrouter's to say that it should find out itself.
    fn max_connections(&mut self, count: &str) {
        if ["0", "1"].contains(&count) {
            self.moot
                .push(format!("--max-conns {count}: --max-connections bounds them"));
        } else {
            self.option("max-connections", count.to_owned());
        }
    }

    /// `--pem-…` is what servers are shown if `--server-pem-…` is what clients are; alone it is both.
    fn tell_certificates_apart(&mut self) {
        for (theirs, both, servers) in [
            ("--pem-cert-path", "--tls-cert", "--tls-upstream-cert"),
            ("--pem-key-path", "--tls-key", "--tls-upstream-key"),
        ] {
            if !self.args.iter().any(|arg| arg == both) {
                continue;
            }
            for arg in &mut self.args {
                if arg == theirs {
                    servers.clone_into(arg);
                } else if let Some(path) = arg.strip_prefix(theirs).and_then(|rest| rest.strip_prefix('=')) {
                    *arg = format!("{servers}={path}");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{OPTIONS, translate};

    fn said(line: &str) -> Result<String, String> {
        let words = line.split_whitespace().map(str::to_owned);
        translate(words).map(|translated| translated.args.join(" "))
    }

    #[test]
    fn what_mcrouter_calls_otherwise_is_put_into_our_words() {
        for (theirs, ours) in [
            (
                "-p 5000 --config file:/etc/m.json",
                "-p 5000 --config file:/etc/m.json",
            ),
            ("--config-file=/etc/m.json", "--config /etc/m.json"),
            ("--config-str={} -p 1", "--config {} -p 1"),
            ("--num-proxies 4", "--threads 4"),
            ("--proxy-threads=auto", "--threads 0"),
            ("--server-timeout 500", "--server-timeout 500ms"),
            ("--server-timeout=2s", "--server-timeout 2s"),
            ("--server-timeout-ms 250", "--server-timeout 250ms"),
            ("--listen-addresses 0.0.0.0", "--listen 0.0.0.0"),
            ("--unix-domain-sock=/run/m", "--unix-socket /run/m"),
            ("--max-conns 500", "--max-connections 500"),
            ("--max-conns 1", ""),
            ("--stats-root /var/x --asynclog-disable", "--asynclog-disable"),
            ("-r 100 --fibers-stack-size=1 --test-mode -p 1", "-p 1"),
            ("--validate-config", "--check"),
            ("--validate-config=run", ""),
            ("--cross-region-timeout-ms 250", "--cross-region-timeout 250ms"),
            ("--sharded a:1 --no-such-thing", "--sharded a:1 --no-such-thing"),
            ("-- --num-proxies", "-- --num-proxies"),
        ] {
            assert_eq!(said(theirs).as_deref(), Ok(ours), "{theirs}");
        }
    }

    #[test]
    fn certificates_for_servers_are_others_only_if_those_for_clients_are_named() {
        assert_eq!(said("--pem-cert-path a").as_deref(), Ok("--pem-cert-path a"));
        assert_eq!(
            said("--pem-cert-path=a --pem-key-path b --server-pem-cert-path c --server-pem-key-path d")
                .as_deref(),
            Ok("--tls-upstream-cert=a --tls-upstream-key b --tls-cert c --tls-key d")
        );
    }

    #[test]
    fn what_cannot_be_had_is_refused_with_what_to_use_instead() {
        for (line, complaint) in [
            ("--listen-sock-fd 3", "--take-over"),
            ("--listen-addresses a,b", "one address"),
            ("--stats-root", "--stats-root needs a value"),
            ("--validate-config=maybe", "exit or run"),
        ] {
            let error = said(line).expect_err(line);
            assert!(error.contains(complaint), "{line}: {error}");
        }
    }

    #[test]
    fn each_option_is_listed_once_in_order() {
        assert!(OPTIONS.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }
}
