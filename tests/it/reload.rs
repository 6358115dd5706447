//! A config file is read again when it changes or on SIGHUP; a bad one changes nothing and says why.

use std::{fs, path::PathBuf, time::Duration};

use rustix::process::Signal;
use tempfile::TempDir;
use tests::{
    client::Client,
    cluster::{Cluster, Layout},
    eventually,
    load::{Load, Plan},
    process::{Process, Program},
    scrape,
};

/// A router that reads `router.json` in a folder of its own.
struct Configured {
    router: Process,
    path: PathBuf,
    _folder: TempDir,
}

fn configured(config: &str, args: &[&str]) -> Configured {
    let folder = TempDir::new().expect("a scratch folder");
    let path = folder.path().join("router.json");
    fs::write(&path, config).expect("the config is written");
    let file = path.to_str().expect("a plain path");
    let args: Vec<&str> = ["-c", file].into_iter().chain(args.iter().copied()).collect();
    let router = Process::start(Program::Router, &args);
    Configured {
        router,
        path,
        _folder: folder,
    }
}

impl Configured {
    /// Replaces the file as editors and Kubernetes do: a rename over it.
    fn write(&self, config: &str) {
        let fresh = self.path.with_extension("new");
        fs::write(&fresh, config).expect("the config is written");
        fs::rename(&fresh, &self.path).expect("the config is put in place");
    }
}

fn node() -> Process {
    Process::start(Program::CacheNode, &["-m", "64", "-t", "1"])
}

/// Everything to `server`, with what mcrouter's files may contain: comments and trailing commas.
fn all_to(server: &Process) -> String {
    let addr = server.addr();
    format!(
        "{{\n  // one pool\n  \"pools\": {{ \"A\": {{ \"servers\": [\"{addr}\",], }}, }},\n  \"route\": \"PoolRoute|A\",\n}}\n"
    )
}

#[track_caller]
fn eventually_reaches(router: &Process, server: &Process, key: &str) {
    let (mut client, mut direct) = (Client::connect(router.addr()), Client::connect(server.addr()));
    eventually(Duration::from_secs(10), "requests reach the new server", || {
        client.try_set(key, 0, b"v").map_err(|error| error.to_string())?;
        direct.get(key).map(|_| ()).ok_or_else(|| "not yet".into())
    });
}

#[test]
fn a_changed_file_is_read_again() {
    let (one, two) = (node(), node());
    let configured = configured(&all_to(&one), &["--config-poll", "100ms"]);
    eventually_reaches(&configured.router, &one, "first");
    configured.write(&all_to(&two));
    eventually_reaches(&configured.router, &two, "second");
}

#[test]
fn sighup_reads_the_file_at_once() {
    let (one, two) = (node(), node());
    let configured = configured(&all_to(&one), &["--config-poll", "1000s"]);
    eventually_reaches(&configured.router, &one, "first");
    configured.write(&all_to(&two));
    configured.router.signal(Signal::HUP);
    eventually_reaches(&configured.router, &two, "second");
}

#[test]
fn a_bad_config_keeps_the_old_one_and_says_why() {
    let (one, two) = (node(), node());
    let mut configured = configured(&all_to(&one), &["--config-poll", "100ms"]);
    let mut client = Client::connect(configured.router.addr());
    client.set("k", "v");
    for bad in [
        "{",
        "",
        r#"{"route": "PoolRoute|nowhere"}"#,
        r#"{"pools": {}, "route": "PolRoute|A"}"#,
    ] {
        let before = configured.router.stderr().len();
        configured.write(bad);
        eventually(Duration::from_secs(10), "the log says why", || {
            let log = configured.router.stderr();
            let fresh = log.get(before..).unwrap_or_default();
            if fresh.contains("router.json") {
                Ok(())
            } else {
                Err(fresh.to_owned())
            }
        });
        assert_eq!(client.get("k"), Some(b"v".to_vec()), "after {bad:?}");
    }
    let metrics = scrape::metrics(configured.router.admin());
    let failures: f64 = metrics
        .iter()
        .filter(|(name, _)| name.starts_with("router_config") && name.contains("fail"))
        .map(|(_, value)| value)
        .sum();
    assert!(failures >= 1.0, "no metric counts failed reloads: {metrics:?}");
    configured.write(&all_to(&two));
    eventually_reaches(&configured.router, &two, "second");
    assert!(configured.router.is_running());
}

#[test]
fn reloading_under_load_costs_no_error() {
    let (one, two) = (node(), node());
    let configured = configured(&all_to(&one), &["--config-poll", "50ms"]);
    let load = Load::start(configured.router.addr(), &Plan::default());
    load.run_for(500);
    for round in 0..10 {
        configured.write(&all_to(if round % 2 == 0 { &two } else { &one }));
        configured.router.signal(Signal::HUP);
        load.run_for(300);
    }
    let tally = load.stop();
    tally.assert_sound();
    assert_eq!((tally.error_count(), tally.closed), (0, 0), "{tally:?}");
}

/// Route handles of a mcrouter file, told apart by where their requests end up.
#[test]
fn operations_and_prefixes_are_routed_by_the_file() {
    let (reads, writes, special) = (node(), node(), node());
    let config = format!(
        r#"{{
          "pools": {{
            "R": {{ "servers": ["{}"] }}, "W": {{ "servers": ["{}"] }}, "S": {{ "servers": ["{}"] }},
          }},
          "route": {{
            "type": "PrefixSelectorRoute",
            "policies": {{ "special:": "PoolRoute|S", "null:": "NullRoute" }},
            "wildcard": {{
              "type": "OperationSelectorRoute",
              "default_policy": "PoolRoute|R",
              "operation_policies": {{
                "set": {{ "type": "AllSyncRoute", "children": ["PoolRoute|R", "PoolRoute|W"] }},
                "delete": {{ "type": "AllSyncRoute", "children": ["PoolRoute|R", "PoolRoute|W"] }},
              }}
            }}
          }}
        }}"#,
        reads.addr(),
        writes.addr(),
        special.addr()
    );
    let configured = configured(&config, &[]);
    let mut client = Client::connect(configured.router.addr());
    let mut servers = [&reads, &writes, &special].map(|server| Client::connect(server.addr()));
    client.set("k", "both");
    client.set("special:k", "special");
    client.exchange("add only-read 0 0 1\r\nx\r\n", "STORED\r\n");
    let mut seen = |key: &str| servers.each_mut().map(|server| server.get(key).is_some());
    assert_eq!(seen("k"), [true, true, false]);
    assert_eq!(seen("special:k"), [false, false, true]);
    assert_eq!(seen("only-read"), [true, false, false]);
    assert_eq!(
        client.try_set("null:k", 0, b"x").expect("an answer"),
        "NOT_STORED"
    );
    assert_eq!(client.get("null:k"), None);
    assert_eq!(client.ask("delete k"), "DELETED");
    assert_eq!(client.get("k"), None);
}

#[test]
fn a_failover_route_asks_the_next_server() {
    let (mut first, second) = (node(), node());
    let config = format!(
        r#"{{"pools": {{"A": {{"servers": ["{}"]}}, "B": {{"servers": ["{}"]}}}},
            "route": {{"type": "FailoverRoute", "children": ["PoolRoute|A", "PoolRoute|B"]}}}}"#,
        first.addr(),
        second.addr()
    );
    let configured = configured(&config, &[]);
    let mut client = Client::connect(configured.router.addr());
    client.set("k", "1");
    assert!(Client::connect(first.addr()).get("k").is_some());
    first.kill();
    eventually(
        Duration::from_secs(10),
        "a set is stored by the second",
        || match client.try_set("k", 0, b"2") {
            Ok(reply) if reply == "STORED" => Ok(()),
            other => Err(format!("{other:?}")),
        },
    );
    assert_eq!(client.get("k"), Some(b"2".to_vec()));
    assert_eq!(Client::connect(second.addr()).get("k"), Some(b"2".to_vec()));
}

#[test]
fn a_router_without_any_server_up_starts_and_recovers() {
    let cluster = Cluster::routed(Layout::Sharded, Program::CacheNode, 1, &[]);
    let addr = cluster.servers[0].addr();
    drop(cluster);
    let router = Process::start(Program::Router, &["--sharded", &addr.to_string()]);
    let mut client = Client::connect(router.addr());
    assert_eq!(client.get("k"), None);
    let port = addr.port().to_string();
    let _node = eventually(Duration::from_secs(10), "the node starts", || {
        Process::try_start(Program::CacheNode, &["-p", &port, "-l", "127.0.0.1"])
    });
    eventually(
        Duration::from_secs(10),
        "the router finds its server",
        || match client.try_set("k", 0, b"v") {
            Ok(reply) if reply == "STORED" => Ok(()),
            other => Err(format!("{other:?}")),
        },
    );
}
