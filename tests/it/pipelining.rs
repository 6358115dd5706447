//! Many requests in one write: all answered, in order, without a hang, however they are cut.

use std::{fmt::Write, io::Write as _, thread};

use rand::{RngExt, SeedableRng, rngs::SmallRng};
use tests::client::Client;

use crate::against::Against;

/// Requests of every kind and the replies they must earn, in order.
fn exchange_of(count: usize, seed: u64) -> (String, String) {
    let mut rng = SmallRng::seed_from_u64(seed);
    let (mut requests, mut replies) = (String::new(), String::new());
    for index in 0..count {
        let key = format!("p{index}");
        let value = "x".repeat(rng.random_range(0..200));
        let len = value.len();
        let (request, reply) = match rng.random_range(0..8) {
            0 => (
                format!("set {key} 0 0 {len}\r\n{value}\r\n"),
                "STORED\r\n".to_owned(),
            ),
            1 => (
                format!("set {key} 0 0 {len} noreply\r\n{value}\r\nget {key}\r\n"),
                get_reply(&key, &value),
            ),
            2 => (format!("get {key}\r\n"), "END\r\n".to_owned()),
            3 => (format!("delete {key}\r\n"), "NOT_FOUND\r\n".to_owned()),
            4 => (format!("mg {key} v q\r\nmn\r\n"), "MN\r\n".to_owned()),
            5 => (
                format!("ms {key} {len} O{index}\r\n{value}\r\n"),
                format!("HD O{index}\r\n"),
            ),
            6 => (format!("incr {key} 1\r\n"), "NOT_FOUND\r\n".to_owned()),
            _ => (format!("wrong{index}\r\n"), "ERROR\r\n".to_owned()),
        };
        requests.push_str(&request);
        replies.push_str(&reply);
    }
    (requests, replies)
}

fn get_reply(key: &str, value: &str) -> String {
    format!("VALUE {key} 0 {}\r\n{value}\r\nEND\r\n", value.len())
}

/// Sends everything, cut at random places, while the replies are read and compared.
fn holds_in_order(against: Against) {
    let cluster = match against.start() {
        Ok(cluster) => cluster,
        Err(reason) => return against.skip("pipelining", &reason),
    };
    for seed in 0..4 {
        cluster.flush();
        let (requests, replies) = exchange_of(3000, seed);
        let mut client = cluster.client();
        let mut sender = client.stream().try_clone().expect("the socket can be shared");
        let writing = thread::spawn(move || {
            let mut rng = SmallRng::seed_from_u64(seed);
            let mut rest = requests.as_bytes();
            while !rest.is_empty() {
                let (part, after) = rest.split_at(rng.random_range(1..=rest.len().min(20_000)));
                sender.write_all(part).expect("the request is taken");
                rest = after;
            }
        });
        client
            .try_expect(replies.as_bytes())
            .unwrap_or_else(|seen| panic!("seed {seed}: {seen}"));
        writing.join().expect("the writer ends");
        client.expect_nothing_more();
    }
}

#[test]
fn three_thousand_requests_are_answered_in_order_by_a_cache_node() {
    holds_in_order(Against::CacheNode);
}

#[test]
fn three_thousand_requests_are_answered_in_order_by_memcached() {
    holds_in_order(Against::CurrentMemcached);
}

#[test]
fn three_thousand_requests_are_answered_in_order_through_a_sharded_router() {
    holds_in_order(Against::ShardedRouter);
}

#[test]
fn three_thousand_requests_are_answered_in_order_through_a_replicated_router() {
    holds_in_order(Against::ReplicatedRouter);
}

#[test]
fn three_thousand_requests_are_answered_in_order_through_a_router_over_memcached() {
    holds_in_order(Against::RouterOverMemcached);
}

/// One get of many keys, spread over every server.
fn multiget_holds(against: Against) {
    let cluster = match against.start() {
        Ok(cluster) => cluster,
        Err(reason) => return against.skip("multiget", &reason),
    };
    let mut client = cluster.client();
    let mut line = String::from("get");
    let mut reply = String::new();
    for index in 0..500 {
        let key = format!("many{index}");
        if index % 3 != 0 {
            client.set(&key, format!("value of {index}"));
            let value = format!("value of {index}");
            write!(reply, "VALUE {key} 0 {}\r\n{value}\r\n", value.len()).expect("a string takes it");
        }
        write!(line, " {key}").expect("a string takes it");
    }
    for _ in 0..20 {
        client.exchange(format!("{line}\r\n"), format!("{reply}END\r\n"));
    }
    // And many of them in one write.
    let batch = format!("{line}\r\n").repeat(20);
    client.exchange(batch, format!("{reply}END\r\n").repeat(20));
    client.expect_nothing_more();
}

#[test]
fn a_multiget_of_five_hundred_keys_is_answered_in_the_order_asked_by_a_cache_node() {
    multiget_holds(Against::CacheNode);
}

#[test]
fn a_multiget_of_five_hundred_keys_is_answered_in_the_order_asked_through_a_sharded_router() {
    multiget_holds(Against::ShardedRouter);
}

#[test]
fn a_multiget_of_five_hundred_keys_is_answered_in_the_order_asked_through_a_replicated_router() {
    multiget_holds(Against::ReplicatedRouter);
}

#[test]
fn a_multiget_of_five_hundred_keys_is_answered_in_the_order_asked_through_a_router_over_memcached() {
    multiget_holds(Against::RouterOverMemcached);
}

/// Values near the limit and small requests behind them, again and again on one connection.
fn large_values_do_not_end_a_connection(against: Against) {
    let cluster = match against.start() {
        Ok(cluster) => cluster,
        Err(reason) => return against.skip("large values", &reason),
    };
    let mut client = cluster.client();
    for len in [1_047_000, 1_000_000, 65_536, 65_517, 65_535, 16_384, 500_000] {
        for round in 0..4 {
            let key = format!("large{round}");
            let (value, more) = ("x".repeat(len), "y".repeat(2000));
            let request =
                format!("set {key} 0 0 {len}\r\n{value}\r\nadd {key} 0 0 2000\r\n{more}\r\nmg {key} s\r\n");
            client.exchange(request, format!("STORED\r\nNOT_STORED\r\nHD s{len}\r\n"));
            client.exchange(format!("get {key}\r\n"), get_reply(&key, &value));
        }
    }
    client.expect_nothing_more();
}

#[test]
fn large_values_do_not_end_a_connection_to_a_cache_node() {
    large_values_do_not_end_a_connection(Against::CacheNode);
}

#[test]
fn large_values_do_not_end_a_connection_to_memcached() {
    large_values_do_not_end_a_connection(Against::CurrentMemcached);
}

#[test]
fn large_values_do_not_end_a_connection_to_a_router() {
    large_values_do_not_end_a_connection(Against::ShardedRouter);
}

#[test]
fn connections_do_not_hear_each_others_replies() {
    for against in [Against::CacheNode, Against::ShardedRouter] {
        let cluster = against.start().unwrap_or_else(|reason| panic!("{reason}"));
        let mut clients: Vec<Client> = (0..50).map(|_| cluster.client()).collect();
        for round in 0..20 {
            for (index, client) in clients.iter_mut().enumerate() {
                client.send(format!(
                    "set own{index} 0 0 6 noreply\r\n{index:02}/{round:03}\r\nget own{index}\r\n"
                ));
            }
            for (index, client) in clients.iter_mut().enumerate() {
                client.expect(get_reply(
                    &format!("own{index}"),
                    &format!("{index:02}/{round:03}"),
                ));
            }
        }
    }
}
