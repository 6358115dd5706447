//! A router puts each key where its hash says, finds it again, and says where that is.

use std::collections::BTreeMap;

use tests::{
    client::Client,
    cluster::{Cluster, Layout, server_list},
    process::{Process, Program},
};

const KEYS: usize = 600;

fn key(index: usize) -> String {
    format!("key-{index}")
}

/// The index of each server that holds `key`.
fn holders(servers: &mut [Client], key: &str) -> Vec<usize> {
    let holding = servers
        .iter_mut()
        .enumerate()
        .filter_map(|(index, server)| server.get(key).map(|_| index));
    holding.collect()
}

#[test]
fn every_key_is_on_one_server_and_every_server_has_its_share() {
    for hash in ["rendezvous", "ketama", "jump", "modulo", "Ch3", "Crc32"] {
        let cluster = Cluster::routed(Layout::Sharded, Program::CacheNode, 4, &["--hash", hash]);
        let mut client = cluster.client();
        for index in 0..KEYS {
            client.set(&key(index), format!("value {index}"));
        }
        let mut servers: Vec<Client> = (0..4).map(|index| cluster.server_client(index)).collect();
        let mut shares = BTreeMap::new();
        for index in 0..KEYS {
            let holding = holders(&mut servers, &key(index));
            assert_eq!(holding.len(), 1, "{hash}: {} is on {holding:?}", key(index));
            *shares.entry(holding[0]).or_insert(0_usize) += 1;
            assert_eq!(
                client.get(&key(index)),
                Some(format!("value {index}").into_bytes())
            );
        }
        // A quarter each; 160 points of ketama vary by a fifth, sampling by a little more.
        for (server, share) in &shares {
            assert!(
                (KEYS / 8..=KEYS / 2).contains(share),
                "{hash}: server {server} has {share} of {KEYS}"
            );
        }
        assert_eq!(shares.len(), 4, "{hash}: {shares:?}");
    }
}

#[test]
fn the_route_that_the_router_tells_is_where_the_key_is() {
    let cluster = Cluster::routed(Layout::Sharded, Program::CacheNode, 3, &[]);
    let mut client = cluster.client();
    let mut servers: Vec<Client> = (0..3).map(|index| cluster.server_client(index)).collect();
    for index in 0..100 {
        client.set(&key(index), "v");
        let [holder] = holders(&mut servers, &key(index))[..] else {
            panic!("{} is not on one server", key(index))
        };
        let told = client
            .get(&format!("__mcrouter__.route(get,{})", key(index)))
            .expect("an answer");
        let told = String::from_utf8(told).expect("text");
        let addr = cluster.servers[holder].addr().to_string();
        let named = told.contains(&addr) || told.contains(&format!("n{holder}"));
        assert!(
            named,
            "{} is on n{holder}={addr}, the router tells {told:?}",
            key(index)
        );
    }
}

#[test]
fn two_routers_agree_and_a_restarted_one_does_too() {
    let servers: Vec<Process> = (0..4)
        .map(|_| Process::start(Program::CacheNode, &["-m", "64"]))
        .collect();
    let list = server_list(&servers);
    let routers = || Process::start(Program::Router, &["--sharded", &list]);
    let (first, second) = (routers(), routers());
    let (mut one, mut two) = (Client::connect(first.addr()), Client::connect(second.addr()));
    for index in 0..KEYS {
        one.set(&key(index), "v");
        assert!(
            two.get(&key(index)).is_some(),
            "{} is not found by the second router",
            key(index)
        );
    }
    drop((first, second));
    let restarted = routers();
    let mut client = Client::connect(restarted.addr());
    for index in 0..KEYS {
        assert!(
            client.get(&key(index)).is_some(),
            "{} is not found after a restart",
            key(index)
        );
    }
}

#[test]
fn a_server_is_known_by_its_name_whatever_its_address() {
    let servers: Vec<Process> = (0..4)
        .map(|_| Process::start(Program::CacheNode, &["-m", "64"]))
        .collect();
    let list = |order: [usize; 4]| {
        let named = order.map(|index| format!("n{index}={}", servers[index].addr()));
        named.join(",")
    };
    let straight = Process::start(Program::Router, &["--sharded", &list([0, 1, 2, 3])]);
    let shuffled = Process::start(Program::Router, &["--sharded", &list([2, 0, 3, 1])]);
    let (mut one, mut two) = (Client::connect(straight.addr()), Client::connect(shuffled.addr()));
    for index in 0..KEYS {
        one.set(&key(index), "v");
        assert!(
            two.get(&key(index)).is_some(),
            "{} moved with the order of the list",
            key(index)
        );
    }
}

#[test]
fn keys_with_a_hash_stop_go_together() {
    let cluster = Cluster::routed(Layout::Sharded, Program::CacheNode, 4, &[]);
    let mut client = cluster.client();
    let mut servers: Vec<Client> = (0..4).map(|index| cluster.server_client(index)).collect();
    for index in 0..50 {
        let sisters = [
            format!("page{index}"),
            format!("page{index}|#|v"),
            format!("page{index}|#|t"),
        ];
        let mut places = Vec::new();
        for sister in &sisters {
            client.set(sister, "v");
            places.extend(holders(&mut servers, sister));
        }
        assert_eq!(places.len(), 3, "{sisters:?} are on {places:?}");
        assert!(
            places.iter().all(|place| *place == places[0]),
            "{sisters:?} are on {places:?}"
        );
    }
}

#[test]
fn embedded_nodes_need_nothing_else() {
    let router = Process::start(Program::Router, &["--embedded", "3"]);
    let mut client = Client::connect(router.addr());
    for index in 0..KEYS {
        client.set(&key(index), format!("value {index}"));
    }
    for index in 0..KEYS {
        assert_eq!(
            client.get(&key(index)),
            Some(format!("value {index}").into_bytes())
        );
    }
}

#[test]
fn a_flush_is_refused_unless_it_was_allowed() {
    let cluster = Cluster::routed(Layout::Sharded, Program::CacheNode, 2, &[]);
    let mut client = cluster.client();
    client.set("k", "v");
    let refused = client.ask("flush_all");
    assert!(refused.starts_with("SERVER_ERROR"), "{refused}");
    assert_eq!(client.get("k"), Some(b"v".to_vec()));
    let cluster = Cluster::routed(
        Layout::Sharded,
        Program::CacheNode,
        2,
        &["--flush-all", "broadcast"],
    );
    let mut client = cluster.client();
    for index in 0..50 {
        client.set(&key(index), "v");
    }
    assert_eq!(client.ask("flush_all"), "OK");
    assert!((0..50).all(|index| client.get(&key(index)).is_none()));
}

#[test]
fn the_routers_own_commands_do_not_need_a_server() {
    // A port that nobody listens on.
    let router = Process::start(Program::Router, &["--sharded", "127.0.0.1:1"]);
    let mut client = Client::connect(router.addr());
    client.expect_nothing_more();
    assert!(client.ask("version").starts_with("VERSION 1.6."));
    assert_eq!(client.ask("verbosity 1"), "OK");
    assert!(!client.stats("").is_empty());
    client.exchange("nonsense\r\n", "ERROR\r\n");
}
