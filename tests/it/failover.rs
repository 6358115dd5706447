//! One dead server is one dead server: no wrong value, no hang, errors bounded and counted, back when it is back.

use std::time::Duration;

use tests::{
    client::Client,
    clock::now,
    cluster::{Cluster, Layout},
    eventually,
    fault::{Fault, FaultProxy},
    load::{Load, Plan},
    process::{Process, Program},
    scrape,
};

/// How soon after a server answers again the router asks it again.
const BACK_WITHIN: Duration = Duration::from_secs(1);

/// Starts a cache node on a port that was ours a moment ago.
fn restart(addr: std::net::SocketAddr) -> Process {
    let port = addr.port().to_string();
    eventually(Duration::from_secs(10), "the node starts on its old port", || {
        let args = [
            "-p",
            &port,
            "-l",
            "127.0.0.1",
            "-m",
            "64",
            "-t",
            "1",
            "--admin",
            "127.0.0.1:0",
        ];
        Process::try_start(Program::CacheNode, &args)
    })
}

fn kill_and_restart_under_load(layout: Layout) {
    let mut cluster = Cluster::routed(layout, Program::CacheNode, 4, &["--server-timeout", "500ms"]);
    let load = Load::start(cluster.addr(), &Plan::default());
    load.run_for(4000);
    let addr = cluster.servers[2].addr();
    cluster.servers[2].kill();
    load.run_for(4000);
    cluster.servers[2] = restart(addr);
    load.run_until_clean(2000, Duration::from_secs(20));
    let tally = load.stop();
    tally.assert_sound();
    assert_eq!(tally.closed, 0, "the router closed connections: {tally:?}");
    assert!(tally.hits > 0 && tally.stored > 0, "{tally:?}");
    // One server in four is gone for a third of the run.
    assert!(
        tally.error_count() < tally.requests() / 4,
        "more errors than a dead quarter explains: {tally:?}"
    );
    for line in tally.errors.keys() {
        assert!(line.starts_with("SERVER_ERROR"), "{line:?} of {tally:?}");
    }
}

#[test]
fn killing_a_shard_under_load_gives_no_wrong_value_and_no_hang() {
    kill_and_restart_under_load(Layout::Sharded);
}

#[test]
fn killing_a_replica_under_load_gives_no_wrong_value_and_no_hang() {
    kill_and_restart_under_load(Layout::Replicated);
}

#[test]
fn a_multiget_over_a_dead_shard_answers_what_it_can() {
    let mut cluster = Cluster::routed(Layout::Sharded, Program::CacheNode, 4, &[]);
    let mut client = cluster.client();
    let keys: Vec<String> = (0..200).map(|index| format!("key-{index}")).collect();
    for key in &keys {
        client.set(key, key);
    }
    let mut survivor = cluster.server_client(1);
    let held = keys.iter().filter(|key| survivor.get(key).is_some()).count();
    cluster.servers[1].kill();
    for _ in 0..5 {
        client.send(format!("get {}\r\n", keys.join(" ")));
        let mut answered = 0;
        loop {
            let line = client.read_line();
            if line == "END" {
                break;
            }
            assert!(line.starts_with("VALUE key-"), "{line:?}");
            client.read_line();
            answered += 1;
        }
        assert_eq!(answered, keys.len() - held);
    }
    client.expect_nothing_more();
}

#[test]
fn a_read_from_a_dead_shard_is_a_miss_and_a_write_is_an_error() {
    let mut cluster = Cluster::routed(Layout::Sharded, Program::CacheNode, 1, &[]);
    let mut client = cluster.client();
    client.set("k", "v");
    cluster.servers[0].kill();
    for _ in 0..10 {
        assert_eq!(client.get("k"), None);
        client.exchange("mg k v\r\n", "EN\r\n");
        let reply = client.try_set("k", 0, b"v").expect("an answer");
        assert!(reply.starts_with("SERVER_ERROR"), "{reply}");
        assert!(client.ask("delete k").starts_with("SERVER_ERROR"));
        assert!(client.ask("incr k 1").starts_with("SERVER_ERROR"));
    }
    client.exchange("set k 0 0 1 noreply\r\nx\r\nmn\r\n", "MN\r\n");
}

#[test]
fn a_server_that_is_back_is_asked_again_within_a_second() {
    let mut cluster = Cluster::routed(Layout::Sharded, Program::CacheNode, 1, &[]);
    let mut client = cluster.client();
    client.set("k", "v");
    for _ in 0..3 {
        let addr = cluster.servers[0].addr();
        cluster.servers[0].kill();
        eventually(Duration::from_secs(10), "the router notices", || {
            match client.try_set("k", 0, b"v") {
                Ok(reply) if reply == "STORED" => Err(reply),
                Ok(_) => Ok(()),
                Err(error) => Err(error.to_string()),
            }
        });
        cluster.servers[0] = restart(addr);
        let back = now();
        eventually(
            Duration::from_secs(20),
            "the server is asked again",
            || match client.try_set("k", 0, b"v") {
                Ok(reply) if reply == "STORED" => Ok(()),
                other => Err(format!("{other:?}")),
            },
        );
        assert!(back.elapsed() < BACK_WITHIN, "it took {:?}", back.elapsed());
    }
}

#[test]
fn a_frozen_server_costs_a_timeout_and_then_nothing() {
    let nodes: Vec<Process> = (0..2)
        .map(|_| Process::start(Program::CacheNode, &["-m", "64"]))
        .collect();
    let proxy = FaultProxy::start(nodes[0].addr());
    let list = format!("n0={},n1={}", proxy.addr(), nodes[1].addr());
    let router = Process::start(
        Program::Router,
        &["--sharded", &list, "--server-timeout", "200ms"],
    );
    let mut client = Client::connect(router.addr());
    let keys: Vec<String> = (0..100).map(|index| format!("key-{index}")).collect();
    for key in &keys {
        client.set(key, key);
    }
    proxy.set(Fault::Stall);
    let mut frozen = Client::connect(nodes[0].addr());
    let (on_frozen, on_healthy): (Vec<&String>, Vec<&String>) =
        keys.iter().partition(|key| frozen.get(key).is_some());
    assert!(!on_frozen.is_empty() && !on_healthy.is_empty());
    // Timeouts in a row take it out; from then on its keys are answered at once.
    for key in on_frozen.iter().take(10) {
        assert_eq!(client.get(key), None);
    }
    let started = now();
    for key in &on_frozen {
        assert_eq!(client.get(key), None);
    }
    let spent = started.elapsed();
    assert!(
        spent < Duration::from_millis(200) * 5,
        "{spent:?} for {} keys of a frozen server",
        on_frozen.len()
    );
    for key in &on_healthy {
        assert_eq!(client.get(key), Some(key.as_bytes().to_vec()));
    }
    proxy.set(Fault::None);
    eventually(
        Duration::from_secs(20),
        "the thawed server is asked again",
        || {
            let missing = on_frozen.iter().filter(|key| client.get(key).is_none()).count();
            if missing == 0 {
                Ok(())
            } else {
                Err(format!("{missing} misses"))
            }
        },
    );
    // Replies that came late belong to nobody: every key still has its own value.
    for key in &keys {
        assert_eq!(client.get(key), Some(key.as_bytes().to_vec()));
    }
}

#[test]
fn connections_cut_in_mid_reply_never_mix_values_up() {
    let nodes: Vec<Process> = (0..2)
        .map(|_| Process::start(Program::CacheNode, &["-m", "64"]))
        .collect();
    let proxies: Vec<FaultProxy> = nodes.iter().map(|node| FaultProxy::start(node.addr())).collect();
    let list = format!("n0={},n1={}", proxies[0].addr(), proxies[1].addr());
    let router = Process::start(
        Program::Router,
        &["--sharded", &list, "--server-timeout", "500ms"],
    );
    let load = Load::start(
        router.addr(),
        &Plan {
            padding: 4000,
            ..Plan::default()
        },
    );
    load.run_for(1000);
    for round in 0..20 {
        let proxy = &proxies[round % 2];
        proxy.set(Fault::Cut);
        load.run_for(50);
        proxy.set(Fault::None);
        load.run_for(200);
    }
    load.run_until_clean(500, Duration::from_secs(20));
    load.stop().assert_sound();
}

#[test]
fn errors_of_a_dead_server_are_counted() {
    let mut cluster = Cluster::routed(Layout::Sharded, Program::CacheNode, 1, &[]);
    let mut client = cluster.client();
    client.set("k", "v");
    cluster.servers[0].kill();
    for _ in 0..20 {
        client.get("k");
    }
    eventually(Duration::from_secs(5), "an error counter moves", || {
        let metrics = scrape::metrics(cluster.router().admin());
        let counted = metrics.iter().filter(|(name, _)| {
            name.starts_with("router_")
                && (name.contains("error") || name.contains("tko") || name.contains("unavailable"))
        });
        let total: f64 = counted.map(|(_, value)| value).sum();
        if total > 0.0 {
            Ok(())
        } else {
            Err(format!("{metrics:?}"))
        }
    });
}
