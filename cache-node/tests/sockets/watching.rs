//! `watch`, `lru_crawler metadump` and `stats conns` as an operator sees them.

use std::io::{BufReader, Read, Write};
use std::net::TcpStream;

use super::{eventually, line, stat};
use crate::support::{LOOPBACK, Running, ask};

fn start(args: &[&str]) -> Running {
    Running::start(&[&LOOPBACK[..], args].concat())
}

fn watch(node: &Running, classes: &str) -> BufReader<TcpStream> {
    let mut stream = node.connect();
    ask(&mut stream, format!("watch {classes}\r\n").as_bytes(), b"OK\r\n");
    BufReader::new(stream)
}

/// The fields of a line without its time and number.
fn event(watcher: &mut BufReader<TcpStream>) -> String {
    let line = line(watcher);
    let fields = line
        .split(' ')
        .filter(|field| !field.starts_with("ts=") && !field.starts_with("gid="));
    fields.collect::<Vec<_>>().join(" ")
}

/// What `stats conns` calls the only client of its kind that is in this state.
fn number_of(client: &mut TcpStream) -> String {
    client.write_all(b"stats conns\r\n").unwrap();
    let mut reader = BufReader::new(client);
    let mut number = String::new();
    loop {
        let told = line(&mut reader);
        if told == "END" {
            return number;
        }
        if let Some(found) = told.strip_suffix(":state conn_parse_cmd") {
            number = found.trim_start_matches("STAT ").to_owned();
        }
    }
}

#[test]
fn fetches_and_stores_are_told_with_their_client_in_order() {
    let node = start(&[]);
    let mut client = node.connect();
    let cfd = number_of(&mut client);
    let mut watcher = watch(&node, "fetchers mutations");
    ask(
        &mut client,
        b"set k 0 10 4 noreply\r\nvbar\r\nget k l\r\nadd k 0 0 1\r\nx\r\nms k 2 q\r\nyy\r\nmn\r\n",
        b"VALUE k 0 4\r\nvbar\r\nEND\r\nNOT_STORED\r\nMN\r\n",
    );
    for expected in [
        format!("type=item_get key=k status=not_found clsid=1 cfd={cfd} size=0"),
        format!("type=item_store key=k status=stored cmd=set ttl=10 clsid=1 cfd={cfd} size=4"),
        format!("type=item_get key=k status=found clsid=1 cfd={cfd} size=4"),
        format!("type=item_get key=l status=not_found clsid=1 cfd={cfd} size=0"),
        format!("type=item_get key=k status=found clsid=1 cfd={cfd} size=4"),
        format!("type=item_store key=k status=not_stored cmd=add ttl=0 clsid=1 cfd={cfd} size=1"),
        format!("type=item_get key=k status=found clsid=1 cfd={cfd} size=4"),
        format!("type=item_store key=k status=stored cmd=set ttl=0 clsid=1 cfd={cfd} size=2"),
    ] {
        assert_eq!(event(&mut watcher), expected);
    }
}

#[test]
fn deletions_evictions_and_connections_are_told() {
    let node = start(&["-m", "8", "-t", "2"]);
    let mut deletions = watch(&node, "deletions");
    let mut evictions = watch(&node, "evictions");
    let mut client = node.connect();
    ask(
        &mut client,
        b"set k 0 0 4\r\nvbar\r\nmd missing\r\nmd k I\r\ndelete k\r\n",
        b"STORED\r\nNF\r\nHD\r\nDELETED\r\n",
    );
    assert_eq!(
        event(&mut deletions),
        "type=deleted key=k cmd=delete clsid=1 size=4"
    );
    let value = "v".repeat(4000);
    for number in 0..4000 {
        let request = format!("set {number} 0 0 4000 noreply\r\n{value}\r\n");
        client.write_all(request.as_bytes()).unwrap();
    }
    ask(&mut client, b"mn\r\n", b"MN\r\n");
    let evicted = event(&mut evictions);
    assert!(
        evicted.starts_with("type=eviction key=") && evicted.ends_with(" clsid=1 size=4000"),
        "{evicted}"
    );
    let mut connections = watch(&node, "connevents");
    let mut visitor = node.connect();
    visitor.write_all(b"quit\r\n").unwrap();
    let port = visitor.local_addr().unwrap().port();
    let peer = format!("rip=127.0.0.1 rport={port} transport=tcp");
    assert!(event(&mut connections).starts_with(&format!("type=conn_new {peer} cfd=")));
    assert!(event(&mut connections).starts_with(&format!("type=conn_close {peer} reason=normal cfd=")));
    let mut browser = node.connect();
    browser.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    assert!(event(&mut connections).starts_with("type=conn_new "));
    assert!(event(&mut connections).contains(" reason=error "));
}

#[test]
fn a_watcher_that_does_not_read_costs_lines_and_nobody_waits_for_it() {
    let node = start(&["-o", "watcher_logbuf_size=8"]);
    let mut watcher = watch(&node, "");
    let mut client = node.connect();
    let key = "k".repeat(200);
    let mut skipped = 0;
    for _round in 0..400 {
        let request = format!("get {key}\r\n").repeat(200);
        ask(&mut client, request.as_bytes(), "END\r\n".repeat(200).as_bytes());
        skipped = stat(&mut client, "log_watcher_skipped").parse().unwrap();
        if skipped > 0 {
            break;
        }
    }
    assert!(skipped > 0, "the kernel holds more than any watcher reads");
    // Once it reads, it is told what it missed, and real lines follow.
    let mut told = String::new();
    while !told.starts_with("skipped=") {
        ask(&mut client, b"get k\r\n", b"END\r\n");
        told = line(&mut watcher);
    }
    assert!(line(&mut watcher).contains(" type=item_get "));
    drop(watcher);
    eventually("the watch ends with its client", || {
        stat(&mut client, "log_watchers") == "0"
    });
}

#[test]
fn watching_and_listing_can_be_forbidden() {
    let node = start(&["-W", "-X"]);
    let mut client = node.connect();
    ask(
        &mut client,
        b"watch\r\n",
        b"CLIENT_ERROR watch commands not allowed\r\n",
    );
    ask(
        &mut client,
        b"lru_crawler metadump all\r\n",
        b"ERROR metadump not allowed\r\n",
    );
    ask(
        &mut client,
        b"stats detail on\r\n",
        b"CLIENT_ERROR stats detail not allowed\r\n",
    );
}

#[test]
fn a_dump_of_many_keys_is_whole_and_others_are_served_meanwhile() {
    const KEYS: usize = 50_000;
    let node = start(&["-t", "1"]);
    let mut client = node.connect();
    for number in 0..KEYS {
        let request = format!("set key-{number} 0 0 1 noreply\r\nx\r\n");
        client.write_all(request.as_bytes()).unwrap();
    }
    ask(&mut client, b"mn\r\n", b"MN\r\n");
    let mut dump = node.connect();
    ask(&mut dump, b"lru_crawler metadump all\r\n", b"OK\r\n");
    // The dump fills what lies between us and stops there; on the same thread, the other client goes on.
    for _ in 0..1000 {
        ask(&mut client, b"get key-7\r\n", b"VALUE key-7 0 1\r\nx\r\nEND\r\n");
    }
    let mut reader = BufReader::new(dump);
    let mut keys = std::collections::BTreeSet::new();
    loop {
        let told = line(&mut reader);
        if told == "END" {
            break;
        }
        let key = told.split(' ').next().unwrap().strip_prefix("key=").unwrap();
        assert!(keys.insert(key.to_owned()), "{key} twice");
    }
    assert_eq!(keys.len(), KEYS);
    // The connection is as good as before.
    ask(reader.get_mut(), b"stats sizes\r\n", b"STAT ");
}

#[test]
fn verbosity_changes_what_is_logged_and_json_is_one_object_per_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let mut child = crate::support::node(&[&LOOPBACK[..], &["--log-format", "json"]].concat())
        .stdout(std::process::Stdio::piped())
        .stderr(std::fs::File::create(&path).unwrap())
        .spawn()
        .unwrap();
    let ready = line(&mut BufReader::new(child.stdout.take().unwrap()));
    let address = ready.split("tcp=").nth(1).unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "", "quiet by default");
    let mut client = TcpStream::connect(address).unwrap();
    ask(&mut client, b"verbosity 2\r\n", b"OK\r\n");
    std::process::Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(child.wait().unwrap().success());
    let log = std::fs::read_to_string(&path).unwrap();
    assert!(
        log.lines()
            .any(|line| line.starts_with("{\"timestamp\":") && line.contains("\"message\":\"stopped\"")),
        "{log}"
    );
    let _rest = client.read_to_end(&mut Vec::new());
}
