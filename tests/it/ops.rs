//! What operators and their tools lean on: exit codes, one line that says what is wrong, probes, metrics, stats.

use std::{fs, net::TcpListener, time::Duration};

use tests::{
    client::Client,
    cluster::{Cluster, Layout},
    eventually,
    process::{Process, Program, run_to_end},
    scrape,
};

/// A program that cannot start says why in one line and exits with 2.
#[track_caller]
fn assert_refused(program: Program, args: &[&str], says: &[&str]) {
    let (code, stdout, stderr) = run_to_end(program, args);
    let context = format!("{program:?} {args:?}: exit {code:?}, stdout {stdout:?}, stderr {stderr:?}");
    assert_eq!(code, Some(2), "{context}");
    assert_eq!(stdout, "", "{context}");
    assert_eq!(stderr.trim_end().lines().count(), 1, "not one line: {context}");
    for words in says {
        assert!(stderr.contains(words), "does not say {words:?}: {context}");
    }
}

#[test]
fn an_unknown_flag_is_named_with_its_neighbour() {
    assert_refused(
        Program::CacheNode,
        &["--ttl-jiter", "5%"],
        &["--ttl-jiter", "--ttl-jitter"],
    );
    assert_refused(
        Program::Router,
        &["--shareded", "a:1"],
        &["--shareded", "--sharded"],
    );
}

#[test]
fn a_bad_value_says_what_was_expected() {
    assert_refused(Program::CacheNode, &["-m", "lots"], &["lots"]);
    assert_refused(Program::CacheNode, &["-p", "99999"], &["-p", "65535"]);
    assert_refused(Program::CacheNode, &["-c", "0"], &["-c"]);
    assert_refused(Program::CacheNode, &["-t", "0"], &["-t"]);
    assert_refused(Program::CacheNode, &["--ttl-jitter", "150%"], &["150%"]);
    assert_refused(Program::CacheNode, &["-I", "12"], &["12"]);
    assert_refused(Program::Router, &["--sharded", "nonsense"], &["nonsense"]);
    assert_refused(
        Program::Router,
        &["--sharded", "127.0.0.1:1", "--hash", "ketma"],
        &["ketma", "ketama"],
    );
    assert_refused(
        Program::Router,
        &["-c", "/no/such/file.json"],
        &["/no/such/file.json"],
    );
}

#[test]
fn a_port_in_use_is_said_plainly() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("a bound address").port().to_string();
    for (program, more) in [
        (Program::CacheNode, [].as_slice()),
        (Program::Router, &["--sharded", "127.0.0.1:1"]),
    ] {
        let args: Vec<&str> = ["-l", "127.0.0.1", "-p", &port]
            .into_iter()
            .chain(more.iter().copied())
            .collect();
        let (code, _, stderr) = run_to_end(program, &args);
        assert!(
            code.is_some_and(|code| code != 0),
            "{program:?}: exit {code:?}, {stderr:?}"
        );
        assert!(
            stderr.contains(&port),
            "{program:?} does not name the port: {stderr:?}"
        );
    }
}

#[test]
fn version_and_help_are_on_stdout() {
    for program in [Program::CacheNode, Program::Router] {
        for flag in ["-V", "--version", "-h", "--help"] {
            let (code, stdout, stderr) = run_to_end(program, &[flag]);
            assert_eq!((code, stderr.as_str()), (Some(0), ""), "{program:?} {flag}");
            assert!(!stdout.is_empty(), "{program:?} {flag}");
        }
    }
}

#[test]
fn memcacheds_everyday_flags_are_accepted() {
    let args = [
        "-m", "32", "-c", "512", "-t", "2", "-I", "1m", "-U", "0", "-v", "-b", "512", "-R", "50",
    ];
    let node = Process::start(Program::CacheNode, &args);
    let mut client = Client::connect(node.addr());
    assert_eq!(client.stat("limit_maxbytes"), 32 << 20);
    assert_eq!(
        client.stats("settings").get("maxconns").map(String::as_str),
        Some("512")
    );
    assert_eq!(client.stat("threads"), 2);
}

#[test]
fn version_is_three_numbers_that_every_client_can_read() {
    let cluster = Cluster::routed(Layout::Sharded, Program::CacheNode, 1, &[]);
    for mut client in [cluster.client(), cluster.server_client(0)] {
        let reply = client.ask("version");
        let numbers = reply
            .strip_prefix("VERSION ")
            .and_then(tests::transcript::version);
        assert!(matches!(numbers, Some([1, 6, 0..=255])), "{reply:?}");
    }
}

/// Names of `stats` that prometheus/memcached_exporter reads; without the first four it reports the server as down.
const EXPORTER_STATS: &str = "cmd_set cas_misses cas_hits cas_badval version get_hits get_misses delete_hits \
    delete_misses incr_hits incr_misses decr_hits decr_misses touch_hits touch_misses cmd_flush uptime time bytes \
    limit_maxbytes curr_items total_items bytes_read bytes_written curr_connections total_connections \
    rejected_connections conn_yields listen_disabled_num evictions reclaimed accepting_conns rusage_user rusage_system";

#[test]
fn the_memcached_exporter_finds_its_stats_on_a_cache_node() {
    let node = Process::start(Program::CacheNode, &[]);
    let mut client = Client::connect(node.addr());
    let stats = client.stats("");
    for name in EXPORTER_STATS.split_whitespace() {
        let value = stats.get(name).unwrap_or_else(|| panic!("stats has no {name}"));
        if name != "version" {
            assert!(value.parse::<f64>().is_ok(), "{name} {value} is not a number");
        }
    }
    for name in ["rusage_user", "rusage_system"] {
        assert_eq!(
            stats.get(name).map(|value| value.matches('.').count()),
            Some(1),
            "{name}"
        );
    }
    let settings = client.stats("settings");
    assert!(
        settings
            .get("maxconns")
            .is_some_and(|value| value.parse::<u64>().is_ok()),
        "{settings:?}"
    );
    // A class that is listed is listed whole; none is fine.
    for (name, value) in client.stats("slabs").iter().chain(&client.stats("items")) {
        assert!(value.parse::<u64>().is_ok(), "{name} {value} is not a number");
    }
}

#[test]
fn counters_count_what_was_asked() {
    let node = Process::start(Program::CacheNode, &[]);
    let mut client = Client::connect(node.addr());
    client.exchange(
        "set n 0 0 1\r\n5\r\nset k 0 0 1\r\nx\r\nadd k 0 0 1\r\ny\r\n",
        "STORED\r\nSTORED\r\nNOT_STORED\r\n",
    );
    client.exchange(
        "get k n none none2\r\n",
        "VALUE k 0 1\r\nx\r\nVALUE n 0 1\r\n5\r\nEND\r\n",
    );
    client.exchange(
        "incr n 1\r\nincr none 1\r\ndecr n 1\r\ndecr none 1\r\n",
        "6\r\nNOT_FOUND\r\n5\r\nNOT_FOUND\r\n",
    );
    client.exchange("touch k 100\r\ntouch none 1\r\n", "TOUCHED\r\nNOT_FOUND\r\n");
    client.exchange("cas k 0 0 1 1\r\nz\r\n".replace(" 1 1", " 1 0"), "EXISTS\r\n");
    client.exchange("cas none 0 0 1 1\r\nz\r\n", "NOT_FOUND\r\n");
    client.exchange("delete k\r\ndelete k\r\n", "DELETED\r\nNOT_FOUND\r\n");
    client.exchange("flush_all\r\n", "OK\r\n");
    let expected = [
        ("cmd_get", 4),
        ("get_hits", 2),
        ("get_misses", 2),
        ("cmd_set", 5),
        ("incr_hits", 1),
        ("incr_misses", 1),
        ("decr_hits", 1),
        ("decr_misses", 1),
        ("cmd_touch", 2),
        ("touch_hits", 1),
        ("touch_misses", 1),
        ("cas_badval", 1),
        ("cas_misses", 1),
        ("cas_hits", 0),
        ("delete_hits", 1),
        ("delete_misses", 1),
        ("cmd_flush", 1),
    ];
    let stats = client.stats("");
    let seen = expected.map(|(name, _)| (name, stats.get(name).and_then(|value| value.parse().ok())));
    assert_eq!(seen, expected.map(|(name, count)| (name, Some(count))));
    client.exchange("stats reset\r\n", "RESET\r\n");
    assert_eq!(client.stat("cmd_get"), 0);
}

#[test]
fn probes_and_metrics_answer_on_the_admin_port() {
    let cluster = Cluster::routed(Layout::Sharded, Program::CacheNode, 2, &[]);
    cluster.client().set("k", "v");
    for process in cluster.servers.iter().chain([cluster.router()]) {
        for path in ["/healthz", "/readyz"] {
            assert_eq!(
                scrape::get(process.admin(), path).0,
                200,
                "{:?} {path}",
                process.program()
            );
        }
        assert_eq!(scrape::get(process.admin(), "/nothing-here").0, 404);
        let metrics = scrape::metrics(process.admin());
        let prefix = if process.program() == Program::Router {
            "router_"
        } else {
            "cache_node_"
        };
        let ours = metrics.keys().filter(|name| name.starts_with(prefix)).count();
        assert!(
            ours >= 5,
            "{:?} has {ours} metrics that start with {prefix}: {metrics:?}",
            process.program()
        );
    }
}

#[test]
fn commands_are_counted_on_the_metrics_page() {
    let node = Process::start(Program::CacheNode, &[]);
    let mut client = Client::connect(node.addr());
    client.set("k", "v");
    for _ in 0..10 {
        client.get("k");
    }
    client.get("none");
    // Counters of a thread may be published a moment later.
    eventually(
        Duration::from_secs(5),
        "ten hits and a miss are on /metrics",
        || {
            let metrics = scrape::metrics(node.admin());
            let of = |labels: &[&str]| scrape::sum(&metrics, "cache_node_commands_total", labels);
            let (hits, misses) = (of(&["\"get\"", "\"hit\""]), of(&["\"get\"", "\"miss\""]));
            if (hits, misses) == (10.0, 1.0) {
                Ok(())
            } else {
                Err(format!("{hits} hits, {misses} misses: {metrics:?}"))
            }
        },
    );
}

#[test]
fn a_pools_replies_are_told_by_operation_and_apart_from_another_pools() {
    let nodes: Vec<Process> = (0..3).map(|_| Process::start(Program::CacheNode, &[])).collect();
    let config = serde_json::json!({
        "pools": {
            "users": {"servers": [nodes[0].addr().to_string(), nodes[1].addr().to_string()]},
            "pages": {"servers": [nodes[2].addr().to_string()]},
            "again": {"servers": [nodes[2].addr().to_string()], "server_timeout": 5000},
        },
        "route": {"type": "PrefixSelectorRoute", "policies": {"p:": "PoolRoute|pages", "q:": "PoolRoute|again"}, "wildcard": "PoolRoute|users"},
    });
    let folder = tempfile::TempDir::new().expect("a folder");
    let file = folder.path().join("config.json");
    fs::write(&file, config.to_string()).expect("a written file");
    let router = Process::start(Program::Router, &["-c", file.to_str().expect("a path")]);
    let mut client = Client::connect(router.addr());
    for key in 0..20 {
        client.set(&format!("u:{key}"), "1");
        client.get(&format!("u:{key}"));
    }
    client.set("p:1", "x");
    client.get("p:2");
    assert_eq!(client.ask("delete p:1"), "DELETED");
    assert_eq!(client.ask("incr u:1 1"), "2");
    eventually(
        Duration::from_secs(30),
        "both pools' numbers are on /metrics",
        || {
            let metrics = scrape::metrics(router.admin());
            let of = |name: &str, labels: &[&str]| scrape::sum(&metrics, name, labels);
            let replies = |pool: &str, op: &str| of("router_pool_reply_seconds_count", &[pool, op]);
            let seen = [
                replies("\"users\"", "\"read\""),
                replies("\"users\"", "\"store\""),
                replies("\"users\"", "\"update\""),
                replies("\"users\"", "\"delete\""),
                replies("\"pages\"", "\"read\""),
                replies("\"pages\"", "\"store\""),
                replies("\"pages\"", "\"delete\""),
                of("router_pool_replies_total", &["\"users\"", "\"found\""]),
                of("router_pool_replies_total", &["\"pages\"", "\"miss\""]),
                of("router_pool_requests_total", &["\"pages\""]),
                of("router_pool_inflight", &["\"users\""]),
            ];
            let wanted = [20.0, 20.0, 1.0, 0.0, 1.0, 1.0, 1.0, 20.0, 1.0, 3.0, 0.0];
            if seen == wanted {
                Ok(())
            } else {
                Err(format!("{seen:?}"))
            }
        },
    );
    // A server that two pools name is one server.
    client.set("q:1", "x");
    let items = client.stats("items");
    let numbers = items.iter().filter(|(name, _)| name.ends_with(":number"));
    assert_eq!(
        numbers
            .map(|(_, value)| value.parse::<u64>().expect("a number"))
            .sum::<u64>(),
        21
    );
}

/// What tools read of one memcached they read of the cluster: every item is counted once, whoever holds it.
#[test]
fn items_and_slabs_of_a_router_are_those_of_its_servers() {
    for program in [Program::CacheNode, Program::Memcached] {
        let mut cluster = Cluster::routed(Layout::Sharded, program, 3, &[]);
        let mut client = cluster.client();
        for key in 0..60 {
            client.set(&format!("k{key}"), "value");
        }
        let of = |client: &mut Client, group: &str, name: &str| -> u64 {
            let stats = client.stats(group);
            let here = stats.iter().filter(|(stat, _)| stat.ends_with(name));
            here.map(|(_, value)| value.parse::<u64>().expect("a number"))
                .sum()
        };
        assert_eq!(of(&mut client, "items", ":number"), 60, "{program:?}");
        assert!(of(&mut client, "slabs", ":used_chunks") >= 60, "{program:?}");
        assert!(client.stats("sizes").keys().all(|name| !name.is_empty()));
        // One server gone: its items are missing, the others' are told.
        cluster.servers.pop();
        let left = of(&mut client, "items", ":number");
        assert!((1..60).contains(&left), "{program:?}: {left}");
        cluster.servers.clear();
        assert!(
            client.ask("stats items").starts_with("SERVER_ERROR"),
            "{program:?}"
        );
    }
}

#[test]
fn nothing_is_written_to_stderr_but_words() {
    let mut cluster = Cluster::routed(Layout::Sharded, Program::CacheNode, 1, &[]);
    cluster.client().set("secret-key", "secret-value");
    let mut router = cluster.router.take().expect("a router");
    router.signal(rustix::process::Signal::TERM);
    router.wait(Duration::from_secs(10));
    for process in [&router, &cluster.servers[0]] {
        let stderr = process.stderr();
        assert!(
            !stderr.contains("secret"),
            "{:?} logged a key or a value: {stderr}",
            process.program()
        );
    }
}

#[test]
fn an_idle_node_is_small() {
    let node = Process::start(Program::CacheNode, &["-m", "1024", "-t", "1"]);
    Client::connect(node.addr()).expect_nothing_more();
    let rss = node.rss() / 1024;
    assert!(rss <= 12 * 1024, "{rss} KiB");
}

#[test]
fn a_thousand_idle_connections_are_cheap_and_leave_nothing_behind() {
    let node = Process::start(Program::CacheNode, &["-c", "4096", "-t", "1"]);
    let mut client = Client::connect(node.addr());
    client.expect_nothing_more();
    let (rss, fds) = (node.rss(), node.fds());
    let idle: Vec<Client> = (0..1000).map(|_| Client::connect(node.addr())).collect();
    eventually(Duration::from_secs(10), "all are accepted", || {
        match client.stat("curr_connections") {
            1001.. => Ok(()),
            count => Err(format!("{count} connections")),
        }
    });
    let each = node.rss().saturating_sub(rss) / 1000;
    assert!(each <= 8 * 1024, "{each} bytes for each idle connection");
    drop(idle);
    eventually(Duration::from_secs(10), "all are gone", || match node.fds() {
        count if count <= fds + 2 => Ok(()),
        count => Err(format!("{count} descriptors, {fds} before")),
    });
}

#[test]
fn a_config_with_a_mistake_says_where_it_is() {
    let folder = tempfile::TempDir::new().expect("a scratch folder");
    let path = folder.path().join("router.json");
    let refused = |text: &str, says: &[&str]| {
        fs::write(&path, text).expect("the config is written");
        let path = path.to_str().expect("a plain path");
        assert_refused(Program::Router, &["-c", path, "--check"], says);
    };
    refused("{ \"pools\": {", &["router.json"]);
    refused(
        r#"{"pools": {"A": {"servers": ["127.0.0.1:1"]}}, "route": "PolRoute|A"}"#,
        &["PolRoute", "PoolRoute", "route"],
    );
    refused(
        r#"{"pools": {"A": {"servers": ["127.0.0.1:1"]}}, "route": "PoolRoute|B"}"#,
        &["B"],
    );
}
