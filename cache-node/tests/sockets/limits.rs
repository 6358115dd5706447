//! Bounds: connections that wait, the largest value, the smallest and the largest memory, memory that changes.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::{eventually, stat};
use crate::support::{LOOPBACK, Running, ask};

fn start(args: &[&str]) -> Running {
    Running::start(&[&LOOPBACK[..], args].concat())
}

#[test]
fn with_no_maxconns_fast_a_client_over_the_limit_waits_for_its_turn() {
    let node = start(&["-c", "2", "-t", "2", "-o", "no_maxconns_fast"]);
    let mut clients = [node.connect(), node.connect()];
    clients
        .iter_mut()
        .for_each(|client| ask(client, b"mn\r\n", b"MN\r\n"));
    let mut waiting: Vec<TcpStream> = (0..3).map(|_| node.connect()).collect();
    for client in &mut waiting {
        client.write_all(b"mn\r\n").unwrap();
    }
    let [first, mut second] = clients;
    eventually("the doors are shut", || {
        stat(&mut second, "accepting_conns") == "0"
    });
    assert_eq!(stat(&mut second, "curr_connections"), "2");
    assert_eq!(stat(&mut second, "rejected_connections"), "0");
    drop(first);
    // One place, three who wait, in the queues of two threads: each gets it when the one before leaves.
    for client in &waiting {
        client.set_nonblocking(true).unwrap();
    }
    eventually("everyone who waited was answered", || {
        waiting.retain_mut(|client| {
            let mut reply = [0; 4];
            match client.read(&mut reply) {
                Ok(length) => assert_eq!(&reply[..length], b"MN\r\n"),
                Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock),
            }
            reply == [0; 4]
        });
        waiting.is_empty()
    });
    eventually("the doors are open", || {
        stat(&mut second, "accepting_conns") == "1"
    });
    assert!(stat(&mut second, "listen_disabled_num").parse::<u64>().unwrap() > 0);
    assert!(
        stat(&mut second, "time_in_listen_disabled_us")
            .parse::<u64>()
            .unwrap()
            > 0
    );
}

#[test]
fn a_value_of_128_mib_is_kept_and_one_over_the_limit_is_not() {
    const LIMIT: usize = 129 << 20;
    let node = start(&["-m", "600", "-I", "129m", "-t", "1"]);
    let mut client = node.connect();
    let len: usize = 128 << 20;
    let value: Vec<u8> = (0..len).map(|at| (at % 251).to_le_bytes()[0]).collect();
    let head = format!("set k 0 0 {len}\r\n");
    client.write_all(head.as_bytes()).unwrap();
    client.write_all(&value).unwrap();
    ask(&mut client, b"\r\n", b"STORED\r\n");
    let head = format!("VALUE k 0 {len}\r\n");
    ask(&mut client, b"get k\r\n", head.as_bytes());
    let mut told = vec![0; len];
    client.read_exact(&mut told).unwrap();
    assert!(told == value);
    ask(&mut client, b"", b"\r\nEND\r\n");
    drop(told);
    let head = format!("set k 0 0 {}\r\n", LIMIT + 1);
    client.write_all(head.as_bytes()).unwrap();
    client.write_all(&value).unwrap();
    client.write_all(&vec![0; LIMIT + 1 - len]).unwrap();
    ask(
        &mut client,
        b"\r\n",
        b"SERVER_ERROR object too large for cache\r\n",
    );
    // What was there is not what the client meant any more.
    ask(&mut client, b"get k\r\n", b"END\r\n");
}

#[test]
fn memory_from_16_mib_to_1_tib_is_arithmetic_not_allocation() {
    for (memory, bytes) in [("16", 16_u64 << 20), ("1048576", 1 << 40), ("1TiB", 1 << 40)] {
        let node = start(&["-m", memory]);
        let mut client = node.connect();
        assert_eq!(stat(&mut client, "limit_maxbytes"), bytes.to_string());
        ask(
            &mut client,
            b"set k 0 0 1\r\nx\r\nget k\r\n",
            b"STORED\r\nVALUE k 0 1\r\nx\r\nEND\r\n",
        );
        let status = std::fs::read_to_string(format!("/proc/{}/status", node.child.id())).unwrap();
        let rss = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .unwrap();
        let rss: u64 = rss.trim().trim_end_matches(" kB").parse().unwrap();
        assert!(rss < 64 << 10, "-m {memory}: {rss} KiB resident with one item");
    }
    let output = crate::support::run(&[&LOOPBACK[..], &["-m", "1048577"]].concat());
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn cache_memlimit_takes_effect_while_running() {
    let node = start(&["-m", "8", "-t", "1"]);
    let mut client = node.connect();
    let value = "v".repeat(10_000);
    let fill = |client: &mut TcpStream, items: usize| {
        for number in 0..items {
            let request = format!("set {number} 0 0 10000 noreply\r\n{value}\r\n");
            client.write_all(request.as_bytes()).unwrap();
        }
        ask(client, b"mn\r\n", b"MN\r\n");
        stat(client, "curr_items").parse::<usize>().unwrap()
    };
    let small = fill(&mut client, 3000);
    assert!(small < 850, "{small} items of 10 kB in 8 MiB");
    ask(&mut client, b"cache_memlimit 64\r\n", b"OK\r\n");
    assert_eq!(stat(&mut client, "limit_maxbytes"), (64 << 20).to_string());
    assert_eq!(fill(&mut client, 3000), 3000);
    ask(&mut client, b"cache_memlimit 16\r\n", b"OK\r\n");
    eventually("what is above the new limit goes", || {
        stat(&mut client, "curr_items").parse::<usize>().unwrap() < 1700
    });
    ask(
        &mut client,
        b"cache_memlimit 7\r\n",
        b"MEMLIMIT_TOO_SMALL cannot set maxbytes to less than 8m\r\n",
    );
}

#[test]
fn a_client_that_never_stops_sending_leaves_the_others_their_turn() {
    let node = start(&["-t", "1", "-R", "5"]);
    let mut greedy = node.connect();
    let mut other = node.connect();
    let requests = "get missing\r\n".repeat(2000);
    let replies = "END\r\n".repeat(2000);
    greedy.write_all(requests.as_bytes()).unwrap();
    ask(&mut other, b"mn\r\n", b"MN\r\n");
    ask(&mut greedy, b"", replies.as_bytes());
    assert!(stat(&mut other, "conn_yields").parse::<u64>().unwrap() > 100);
}

#[test]
fn a_binary_client_gets_one_clear_line_and_is_let_go() {
    let node = start(&[]);
    let mut client = node.connect();
    // A binary no-op.
    client
        .write_all(b"\x80\x0a\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0")
        .unwrap();
    let mut told = String::new();
    let _reset = client.read_to_string(&mut told);
    assert_eq!(
        told,
        "CLIENT_ERROR this server speaks the text protocol, not the binary one\r\n"
    );
}

#[test]
fn a_graceful_shutdown_is_obeyed_only_when_allowed() {
    let node = start(&[]);
    ask(
        &mut node.connect(),
        b"shutdown graceful\r\n",
        b"SERVER_ERROR: shutdown not enabled\r\n",
    );
    let node = start(&["-A"]);
    let mut client = node.connect();
    ask(
        &mut client,
        b"shutdown now\r\n",
        b"CLIENT_ERROR invalid shutdown mode\r\n",
    );
    client
        .write_all(b"set k 0 0 1\r\nx\r\nshutdown graceful\r\n")
        .unwrap();
    ask(&mut client, b"", b"STORED\r\n");
    assert_eq!(client.read(&mut [0; 8]).unwrap(), 0);
    assert_eq!(node.exit_code(), Some(0));
}

#[test]
fn privileges_are_dropped_once_the_sockets_are_bound() {
    if !rustix::process::geteuid().is_root() {
        // Somebody else has none to drop.
        return;
    }
    let node = start(&["-u", "nobody"]);
    ask(&mut node.connect(), b"mn\r\n", b"MN\r\n");
    let tasks = std::fs::read_dir(format!("/proc/{}/task", node.child.id())).unwrap();
    for task in tasks {
        let status = std::fs::read_to_string(task.unwrap().path().join("status")).unwrap();
        let uid = status.lines().find(|line| line.starts_with("Uid:")).unwrap();
        assert_eq!(uid, "Uid:\t65534\t65534\t65534\t65534");
    }
    let output = crate::support::run(&[&LOOPBACK[..], &["-u", "no-such-user"]].concat());
    assert_eq!(output.status.code(), Some(2));
}
