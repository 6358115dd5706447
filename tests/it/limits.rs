//! Every limit is kept, and said in memcached's words.

use std::{io::Write as _, time::Duration};

use tests::{
    client::{Client, REPLY_DEADLINE},
    cluster::{Cluster, Layout},
    eventually,
    process::{Process, Program},
};

const MIB: usize = 1 << 20;

#[test]
fn a_connection_too_many_is_told_and_closed_and_room_is_found_again() {
    let node = Process::start(Program::CacheNode, &["-c", "10"]);
    let mut clients: Vec<Client> = (0..10).map(|_| Client::connect(node.addr())).collect();
    for client in &mut clients {
        client.expect_nothing_more();
    }
    let mut refused = Client::connect(node.addr());
    refused.expect("ERROR Too many open connections\r\n");
    refused.expect_closed();
    clients.truncate(5);
    eventually(Duration::from_secs(5), "a place is free again", || {
        let mut client =
            Client::try_connect(node.addr(), REPLY_DEADLINE).map_err(|error| error.to_string())?;
        client.try_send(b"mn\r\n").map_err(|error| error.to_string())?;
        client.try_expect(b"MN\r\n")
    });
}

#[test]
fn the_largest_value_is_a_setting() {
    let node = Process::start(Program::CacheNode, &["-m", "64", "-I", "2m"]);
    let mut client = Client::connect(node.addr());
    client.set("k", vec![b'x'; MIB * 3 / 2]);
    assert_eq!(client.get("k").map(|value| value.len()), Some(MIB * 3 / 2));
    let refused = client.try_set("k", 0, &vec![b'x'; 3 * MIB]).expect("an answer");
    assert_eq!(refused, "SERVER_ERROR object too large for cache");
    client.expect_nothing_more();
}

/// A line that never ends must not be kept for ever: the connection is closed.
fn an_endless_line_is_hung_up_on(cluster: &Cluster) {
    let mut client = cluster.client();
    client.send(vec![b'x'; 16 * 1024]);
    eventually(Duration::from_secs(10), "the connection is closed", || {
        let _ = client.try_send(b"x");
        match client.try_expect_closed() {
            Ok(()) => Ok(()),
            // An error line first is as good.
            Err(_) => {
                let _ = client.try_read_line();
                Err("still open".into())
            }
        }
    });
    cluster.client().expect_nothing_more();
}

#[test]
fn a_cache_node_hangs_up_on_a_line_that_never_ends() {
    an_endless_line_is_hung_up_on(&Cluster::single(Program::CacheNode, &[]));
}

#[test]
fn a_router_hangs_up_on_a_line_that_never_ends() {
    an_endless_line_is_hung_up_on(&Cluster::routed(Layout::Sharded, Program::CacheNode, 2, &[]));
}

/// A client that asks for much and reads nothing is not answered from ever more memory.
fn a_client_that_does_not_read_costs_little(cluster: &Cluster, process: &Process) {
    const STUCK: usize = 20;
    const VALUE: usize = 100_000;
    let mut reader = cluster.client();
    reader.set("big", vec![b'x'; VALUE]);
    let before = process.rss();
    let mut stuck: Vec<Client> = (0..STUCK).map(|_| cluster.client()).collect();
    for client in &mut stuck {
        client
            .stream()
            .set_write_timeout(Some(Duration::from_millis(200)))
            .expect("a timeout can be set");
        // 10,000 replies, a gigabyte, none of it read.
        for _ in 0..100 {
            if client
                .stream()
                .write_all("get big\r\n".repeat(100).as_bytes())
                .is_err()
            {
                break;
            }
        }
    }
    // The others are served meanwhile.
    for _ in 0..50 {
        assert_eq!(reader.get("big").map(|value| value.len()), Some(VALUE));
    }
    let grown = process.rss().saturating_sub(before) / (STUCK as u64);
    assert!(
        grown < 4 << 20,
        "{} KiB for each client that does not read",
        grown / 1024
    );
    // What was held back is given to a client that reads at last.
    let client = &mut stuck[0];
    for _ in 0..200 {
        client.expect(format!("VALUE big 0 {VALUE}\r\n"));
        client.try_read_exact(VALUE + 2).expect("the value");
        client.expect("END\r\n");
    }
}

#[test]
fn a_cache_node_stops_reading_from_a_client_that_does_not_read() {
    let cluster = Cluster::single(Program::CacheNode, &["-m", "64", "-t", "1"]);
    a_client_that_does_not_read_costs_little(&cluster, &cluster.servers[0]);
}

#[test]
fn a_router_stops_reading_from_a_client_that_does_not_read() {
    let cluster = Cluster::routed(Layout::Sharded, Program::CacheNode, 2, &[]);
    a_client_that_does_not_read_costs_little(&cluster, cluster.router());
}

#[test]
fn an_idle_connection_is_closed_when_a_timeout_is_set() {
    let node = Process::start(Program::CacheNode, &["-o", "idle_timeout=1"]);
    let mut client = Client::connect(node.addr());
    client.expect_nothing_more();
    client.expect_closed();
    Client::connect(node.addr()).expect_nothing_more();
}

#[test]
fn a_unix_socket_serves_like_a_port() {
    let folder = tempfile::TempDir::new().expect("a scratch folder");
    let path = folder.path().join("node.sock");
    let path_text = path.to_str().expect("a plain path");
    let node =
        Process::try_start(Program::CacheNode, &["-s", path_text]).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(node.unix(), Some(path.as_path()));
    let mut socket = std::os::unix::net::UnixStream::connect(&path).expect("the socket accepts");
    socket
        .set_read_timeout(Some(REPLY_DEADLINE))
        .expect("a timeout can be set");
    socket
        .write_all(b"set k 0 0 1\r\nx\r\nquit\r\n")
        .expect("the request is taken");
    let mut reply = String::new();
    std::io::Read::read_to_string(&mut socket, &mut reply).expect("the reply ends");
    assert_eq!(reply, "STORED\r\n");
}
