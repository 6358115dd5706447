//! Servers are added and removed while clients go on; what moves is what arithmetic says, and nothing is mixed up.

use std::time::Duration;

use serde_json::Value;
use tests::{
    client::Client,
    cluster::{Cluster, Layout},
    load::{Load, Plan},
    process::{Process, Program},
    scrape,
};

/// `[{"name":"n0","address":"127.0.0.1:1"},…]` of these servers.
fn servers_json(servers: &[(&str, &Process)]) -> String {
    let one =
        |(name, server): &(&str, &Process)| format!(r#"{{"name":"{name}","address":"{}"}}"#, server.addr());
    format!("[{}]", servers.iter().map(one).collect::<Vec<_>>().join(","))
}

/// Puts `servers` in place and gives the epoch that was answered.
#[track_caller]
fn swap(router: &Process, servers: &str) -> u64 {
    let (status, body) = scrape::post(
        router.admin(),
        "/topology",
        &format!(r#"{{"servers":{servers}}}"#),
    );
    assert_eq!(status, 200, "{body}");
    let json: Value = serde_json::from_str(&body).expect("an answer in JSON");
    json.get("epoch")
        .and_then(Value::as_u64)
        .unwrap_or_else(|| panic!("no epoch in {body}"))
}

#[track_caller]
fn topology(router: &Process) -> Value {
    let (status, body) = scrape::get(router.admin(), "/topology");
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).expect("an answer in JSON")
}

fn nodes(count: usize) -> Vec<Process> {
    (0..count)
        .map(|_| Process::start(Program::CacheNode, &["-m", "64", "-t", "1"]))
        .collect()
}

fn key(index: usize) -> String {
    format!("key-{index}")
}

/// How many of `count` keys are found.
fn found(client: &mut Client, count: usize) -> usize {
    (0..count)
        .filter(|index| client.get(&key(*index)).is_some())
        .count()
}

const NAMES: [&str; 5] = ["n0", "n1", "n2", "n3", "n4"];
const KEYS: usize = 4000;

fn named(nodes: &[Process]) -> Vec<(&str, &Process)> {
    NAMES.into_iter().zip(nodes).collect()
}

/// Fills four servers, swaps in `after`, and gives the share of keys that is still found.
fn share_kept(hash: &str, after: impl Fn(&[Process]) -> String) -> f64 {
    let nodes = nodes(5);
    let list: Vec<String> = named(&nodes)
        .iter()
        .take(4)
        .map(|(name, node)| format!("{name}={}", node.addr()))
        .collect();
    let router = Process::start(Program::Router, &["--sharded", &list.join(","), "--hash", hash]);
    let mut client = Client::connect(router.addr());
    for index in 0..KEYS {
        client.set(&key(index), "v");
    }
    assert_eq!(found(&mut client, KEYS), KEYS);
    let before = topology(&router)
        .get("epoch")
        .and_then(Value::as_u64)
        .expect("an epoch");
    let epoch = swap(&router, &after(&nodes));
    assert!(epoch > before, "epoch {epoch} after {before}");
    u32::try_from(found(&mut client, KEYS))
        .map(f64::from)
        .expect("fits")
        / 4000.0
}

#[test]
fn an_added_server_takes_a_fifth_and_no_more() {
    for hash in ["rendezvous", "ketama", "jump"] {
        let kept = share_kept(hash, |nodes| servers_json(&named(nodes)));
        // 4 to 5 moves 1/5; ketama's 160 points and 4,000 keys spread around it.
        assert!(
            (0.72..=0.88).contains(&kept),
            "{hash}: {kept} of the keys are still found, expected 0.80"
        );
    }
}

#[test]
fn a_removed_server_takes_its_own_keys_and_no_others() {
    for hash in ["rendezvous", "ketama"] {
        let kept = share_kept(hash, |nodes| {
            let named = named(nodes);
            servers_json(&[named[0], named[2], named[3]])
        });
        assert!(
            (0.66..=0.84).contains(&kept),
            "{hash}: {kept} of the keys are still found, expected 0.75"
        );
    }
}

#[test]
fn modulo_reshuffles_as_arithmetic_says() {
    let kept = share_kept("modulo", |nodes| servers_json(&named(nodes)));
    assert!(
        (0.15..=0.25).contains(&kept),
        "{kept} of the keys are still found, expected 0.20"
    );
}

#[test]
fn the_topology_is_told_as_it_is() {
    let cluster = Cluster::routed(Layout::Sharded, Program::CacheNode, 3, &["--hash", "ketama"]);
    let told = topology(cluster.router());
    let pool = told
        .pointer("/pools/0")
        .unwrap_or_else(|| panic!("no pool in {told}"));
    assert_eq!(pool.pointer("/name").and_then(Value::as_str), Some("main"));
    assert_eq!(pool.pointer("/hash").and_then(Value::as_str), Some("ketama"));
    assert!(
        told.get("checksum").is_some_and(|checksum| !checksum.is_null()),
        "{told}"
    );
    for (index, server) in cluster.servers.iter().enumerate() {
        let entry = pool
            .pointer(&format!("/servers/{index}"))
            .unwrap_or_else(|| panic!("server {index} of {told}"));
        assert_eq!(
            entry.get("name").and_then(Value::as_str),
            Some(format!("n{index}").as_str())
        );
        assert_eq!(
            entry.get("address").and_then(Value::as_str),
            Some(server.addr().to_string().as_str())
        );
    }
}

#[test]
fn servers_may_be_posted_as_strings_and_with_another_hash() {
    let cluster = Cluster::routed(Layout::Sharded, Program::CacheNode, 2, &[]);
    let list: Vec<String> = cluster
        .servers
        .iter()
        .map(|server| format!("\"x{}={}\"", server.pid(), server.addr()))
        .collect();
    let body = format!(
        r#"{{"pool":"main","hash":"jump","servers":[{}]}}"#,
        list.join(",")
    );
    let (status, answer) = scrape::post(cluster.router().admin(), "/topology", &body);
    assert_eq!(status, 200, "{answer}");
    let told = topology(cluster.router());
    assert_eq!(
        told.pointer("/pools/0/hash").and_then(Value::as_str),
        Some("jump")
    );
    cluster.client().set("k", "v");
    assert_eq!(cluster.client().get("k"), Some(b"v".to_vec()));
}

#[test]
fn a_bad_topology_is_refused_and_changes_nothing() {
    let cluster = Cluster::routed(Layout::Sharded, Program::CacheNode, 2, &[]);
    let router = cluster.router();
    cluster.client().set("k", "v");
    let before = topology(router);
    let bodies = [
        "",
        "{",
        "[]",
        "{}",
        r#"{"servers":[]}"#,
        r#"{"servers":["no port"]}"#,
        r#"{"servers":[{"name":"a"}]}"#,
        r#"{"servers":["a=127.0.0.1:1","a=127.0.0.1:2"]}"#,
        r#"{"pool":"other","servers":["a=127.0.0.1:1"]}"#,
        r#"{"hash":"ketma","servers":["a=127.0.0.1:1"]}"#,
        r#"{"srvers":["a=127.0.0.1:1"]}"#,
    ];
    for body in bodies {
        let (status, answer) = scrape::post(router.admin(), "/topology", body);
        assert!((400..500).contains(&status), "{body}: {status} {answer}");
        let json: Value =
            serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{body}: {answer:?}: {error}"));
        assert!(
            json.get("error").is_some_and(Value::is_string),
            "{body}: {answer}"
        );
    }
    let mut after = topology(router);
    let said = after["last_error"].take();
    assert!(
        said.as_str().is_some_and(|said| said.contains("ketma")),
        "the refusal is there to be seen: {said}"
    );
    assert_eq!(after, before);
    assert_eq!(cluster.client().get("k"), Some(b"v".to_vec()));
}

#[test]
fn servers_come_and_go_under_load_without_a_wrong_value() {
    let nodes = nodes(5);
    let list: Vec<String> = named(&nodes)
        .iter()
        .take(3)
        .map(|(name, node)| format!("{name}={}", node.addr()))
        .collect();
    let router = Process::start(Program::Router, &["--sharded", &list.join(",")]);
    let load = Load::start(
        router.addr(),
        &Plan {
            padding: 2000,
            ..Plan::default()
        },
    );
    load.run_for(2000);
    let named = named(&nodes);
    for picked in [
        &[0, 1, 2, 3][..],
        &[0, 1, 2, 3, 4],
        &[0, 2, 3, 4],
        &[0, 2],
        &[4],
        &[0, 1, 2],
    ] {
        let servers: Vec<(&str, &Process)> = picked.iter().map(|index| named[*index]).collect();
        swap(&router, &servers_json(&servers));
        load.run_for(1500);
    }
    load.run_until_clean(500, Duration::from_secs(20));
    let tally = load.stop();
    tally.assert_sound();
    assert_eq!(
        (tally.error_count(), tally.closed),
        (0, 0),
        "a planned change costs no error: {tally:?}"
    );
}
