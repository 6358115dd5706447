//! Several connections to a server: order per key, bounds and health of the server as with one.

use std::time::Duration;

use rustix::process::Signal;
use tests::{
    client::Client,
    eventually,
    process::{Process, Program},
    scrape,
};

const PATIENCE: Duration = Duration::from_secs(30);
const LANES: u64 = 4;

/// A node, and a router with one worker and several connections to it.
fn start(args: &[&str]) -> (Process, Process) {
    let node = Process::start(Program::CacheNode, &["-m", "64", "-t", "1"]);
    let server = format!("n0={}", node.addr());
    let common = ["--sharded", &server, "-t", "1", "--connections-per-server", "4"];
    let router = Process::start(Program::Router, &[&common, args].concat());
    eventually(PATIENCE, "all connections are open", || {
        let metrics = scrape::metrics(router.admin());
        let open = scrape::sum(&metrics, "router_upstream_connections", &[]);
        if open == 4.0 {
            Ok(())
        } else {
            Err(format!("{open} are open"))
        }
    });
    (node, router)
}

#[test]
fn what_is_asked_about_a_key_is_answered_in_order_whatever_else_is_asked() {
    let (node, router) = start(&[]);
    let mut direct = Client::connect(node.addr());
    assert_eq!(direct.stat("curr_connections"), LANES + 1);
    let mut client = Client::connect(router.addr());
    let keys: Vec<String> = (0..50).map(|index| format!("counter-{index}")).collect();
    for key in &keys {
        client.set(key, "0");
    }
    let mut asked = String::new();
    for _ in 0..100 {
        for key in &keys {
            asked.push_str(&format!("incr {key} 1\r\nget {key}\r\n"));
        }
    }
    client.send(asked);
    for round in 1..=100 {
        for key in &keys {
            let length = round.to_string().len();
            client.expect(format!("{round}\r\nVALUE {key} 0 {length}\r\n{round}\r\nEND\r\n"));
        }
    }
    // All keys of the server at once come over all of its connections.
    let mut expected = String::new();
    for key in &keys {
        expected.push_str(&format!("VALUE {key} 0 3\r\n100\r\n"));
    }
    client.exchange(format!("get {}\r\n", keys.join(" ")), expected + "END\r\n");
    let (_, servers) = scrape::get(router.admin(), "/servers");
    assert!(servers.contains("\"connections\": 4"), "{servers}");
}

#[test]
fn the_bound_of_what_waits_for_a_server_holds_for_its_connections_together() {
    let (node, router) = start(&[
        "--max-inflight",
        "8",
        "--server-timeout",
        "2s",
        "--timeouts-until-tko",
        "1000000",
    ]);
    node.freeze();
    let mut client = Client::connect(router.addr());
    let sets = 100;
    let asked: Vec<String> = (0..sets)
        .map(|set| format!("set k{set} 0 0 1\r\nv\r\n"))
        .collect();
    client.send(asked.concat());
    let busy = (0..sets)
        .filter(|_| {
            let said = client.read_line();
            assert!(said.starts_with("SERVER_ERROR "), "{said}");
            said.starts_with("SERVER_ERROR Server busy")
        })
        .count();
    assert_eq!(busy, sets - 8);
    node.signal(Signal::CONT);
    eventually(PATIENCE, "the server answers again", || {
        match client.try_set("after", 0, b"v") {
            Ok(reply) if reply == "STORED" => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
}

#[test]
fn what_one_connection_learns_of_a_dead_server_all_know() {
    let (node, router) = start(&["--server-timeout", "1s", "--timeouts-until-tko", "1"]);
    node.freeze();
    let mut client = Client::connect(router.addr());
    let first = client.try_set("k", 0, b"v").expect("an answer");
    assert_eq!(first, "SERVER_ERROR Reply timeout");
    for key in 0..50 {
        let reply = client.try_set(&format!("k{key}"), 0, b"v").expect("an answer");
        assert_eq!(reply, "SERVER_ERROR Server unavailable", "k{key}");
    }
    node.signal(Signal::CONT);
    eventually(PATIENCE, "every connection is used again", || {
        for key in 0..50 {
            match client.try_set(&format!("k{key}"), 0, b"v") {
                Ok(reply) if reply == "STORED" => {}
                other => return Err(format!("k{key}: {other:?}")),
            }
        }
        Ok(())
    });
}
