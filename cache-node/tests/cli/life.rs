//! How a process starts, serves and ends.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::process::Command;

use crate::support::{LOOPBACK, Running, ask, run};

#[test]
fn sigterm_answers_what_was_asked_and_exits_0() {
    let running = Running::start(&LOOPBACK);
    let mut idle = running.connect();
    let mut busy = running.connect();
    ask(&mut idle, b"mn\r\n", b"MN\r\n");
    // Half a request is a promise to send the other half.
    ask(&mut busy, b"mn\r\nset k 0 0 5\r\nhel", b"MN\r\n");
    running.signal("-TERM");
    assert_eq!(idle.read(&mut [0; 8]).unwrap(), 0, "an idle client is let go");
    ask(&mut busy, b"lo\r\n", b"STORED\r\n");
    assert_eq!(busy.read(&mut [0; 8]).unwrap(), 0);
    assert_eq!(running.exit_code(), Some(0));
}

#[test]
fn a_client_that_never_finishes_does_not_hold_up_the_end() {
    let running = Running::start(&[&LOOPBACK[..], &["--drain-timeout", "100ms"]].concat());
    let mut stuck = running.connect();
    ask(&mut stuck, b"mn\r\nset k 0 0 5\r\nhel", b"MN\r\n");
    running.signal("-INT");
    assert_eq!(stuck.read(&mut [0; 8]).unwrap_or(0), 0);
    assert_eq!(running.exit_code(), Some(0));
}

#[test]
fn the_shutdown_command_stops_the_process_when_allowed() {
    let running = Running::start(&[&LOOPBACK[..], &["-A"]].concat());
    let mut client = running.connect();
    client.write_all(b"shutdown\r\n").unwrap();
    assert_eq!(client.read(&mut [0; 8]).unwrap(), 0);
    assert_eq!(running.exit_code(), Some(0));
}

#[test]
fn a_port_in_use_is_said_plainly() {
    let first = Running::start(&LOOPBACK);
    let address = first.address("tcp").to_owned();
    let output = run(&["-l", &address]);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.contains(&address) && error.contains("in use"), "{error}");
}

#[test]
fn a_unix_socket_serves_alone_and_replaces_only_a_dead_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("node.sock");
    let socket = path.to_str().unwrap();
    let running = Running::start(&["-s", socket, "-a", "0600"]);
    assert_eq!(running.ready, format!("ready unix={socket}"));
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    ask(
        &mut UnixStream::connect(&path).unwrap(),
        b"version\r\n",
        b"VERSION 1.6.40\r\n",
    );
    let output = run(&["-s", socket]);
    assert_eq!(output.status.code(), Some(2), "somebody listens there");
    running.signal("-KILL");
    drop(running);
    let again = Running::start(&["-s", socket]);
    ask(&mut UnixStream::connect(&path).unwrap(), b"mn\r\n", b"MN\r\n");
    drop(again);
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, "precious").unwrap();
    let output = run(&["-s", socket]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
}

#[test]
fn a_client_over_the_limit_is_told_and_the_place_is_free_again_afterwards() {
    let running = Running::start(&[&LOOPBACK[..], &["-c", "2", "-t", "2"]].concat());
    let mut clients = [running.connect(), running.connect()];
    clients
        .iter_mut()
        .for_each(|client| ask(client, b"mn\r\n", b"MN\r\n"));
    let mut told = Vec::new();
    running.connect().read_to_end(&mut told).unwrap();
    assert_eq!(told, b"ERROR Too many open connections\r\n");
    let [first, mut second] = clients;
    drop(first);
    // The server sees the end of the first client at some moment; until then newcomers are turned away.
    let mut reply = Vec::new();
    for _attempt in 0..10_000 {
        let mut newcomer = running.connect();
        reply.clear();
        let _turned_away = newcomer.write_all(b"quit\r\n");
        if newcomer.read_to_end(&mut reply).is_ok() && reply.is_empty() {
            break;
        }
    }
    assert_eq!(reply, b"", "no place became free");
    ask(&mut second, b"mn\r\n", b"MN\r\n");
}

#[test]
fn silent_clients_are_closed_and_busy_ones_are_not() {
    let running = Running::start(&[&LOOPBACK[..], &["-o", "idle_timeout=1"]].concat());
    let mut silent = running.connect();
    ask(&mut silent, b"mn\r\n", b"MN\r\n");
    assert_eq!(silent.read(&mut [0; 8]).unwrap(), 0, "still open");
    let mut client = running.connect();
    client.write_all(b"stats\r\nquit\r\n").unwrap();
    let mut stats = String::new();
    client.read_to_string(&mut stats).unwrap();
    assert!(stats.contains("STAT idle_kicks 1\r\n"), "{stats}");
}

#[test]
fn the_admin_endpoint_tells_health_and_metrics() {
    let running = Running::start(&[&LOOPBACK[..], &["--admin", "127.0.0.1:0"]].concat());
    ask(&mut running.connect(), b"get missing\r\n", b"END\r\n");
    let fetch = |path: &str| {
        let mut stream = TcpStream::connect(running.address("admin")).unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        reply
    };
    assert!(fetch("/healthz").starts_with("HTTP/1.1 200"));
    assert!(fetch("/readyz").starts_with("HTTP/1.1 200"));
    assert!(fetch("/nowhere").starts_with("HTTP/1.1 404"));
    let metrics = fetch("/metrics");
    assert!(
        metrics.contains("cache_node_commands_total{command=\"get\",result=\"miss\"} 1\n"),
        "{metrics}"
    );
    assert!(metrics.contains("memcached_up 1\n"), "{metrics}");
}

#[test]
fn clients_are_spread_over_all_threads() {
    let running = Running::start(&[&LOOPBACK[..], &["-t", "4"]].concat());
    // Eight clients over four threads, dealt to the least loaded: all of them answer, from wherever they sit.
    let mut clients: Vec<TcpStream> = (0..8).map(|_| running.connect()).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        let value = number.to_string();
        ask(
            client,
            format!("set k{number} 0 0 1\r\n{value}\r\n").as_bytes(),
            b"STORED\r\n",
        );
    }
    for (number, client) in clients.iter_mut().enumerate() {
        let other = (number + 3) % 8;
        let reply = format!("VALUE k{other} 0 1\r\n{other}\r\nEND\r\n");
        ask(client, format!("get k{other}\r\n").as_bytes(), reply.as_bytes());
    }
}

#[test]
fn a_pid_file_lives_as_long_as_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("node.pid");
    let running = Running::start(&[&LOOPBACK[..], &["-P", path.to_str().unwrap()]].concat());
    let pid = std::fs::read_to_string(&path).unwrap();
    assert_eq!(pid.trim(), running.child.id().to_string());
    running.signal("-TERM");
    assert_eq!(running.exit_code(), Some(0));
    assert!(!path.exists());
}

#[test]
fn a_port_named_beside_a_unix_socket_opens_no_tcp() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("node.sock");
    let socket = path.to_str().unwrap();
    for tcp in ["0", "11211"] {
        let running = Running::start(&["-s", socket, "-p", tcp]);
        assert_eq!(running.ready, format!("ready unix={socket}"), "-p {tcp}");
    }
}

#[test]
fn a_daemon_serves_after_the_command_has_returned() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("node.pid");
    let pid_file = path.to_str().unwrap();
    let output = run(&[&LOOPBACK[..], &["-d", "-P", pid_file]].concat());
    assert_eq!(output.status.code(), Some(0));
    // The output has ended, so nobody who waits for that waits for the daemon.
    let ready = String::from_utf8(output.stdout).unwrap();
    let address = ready.trim().strip_prefix("ready tcp=").unwrap();
    let mut client = TcpStream::connect(address).unwrap();
    ask(&mut client, b"version\r\n", b"VERSION 1.6.40\r\n");
    let pid = std::fs::read_to_string(&path).unwrap();
    let pid = pid.trim();
    // proc(5): the sixth field is the session, and the daemon leads its own.
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let session = stat.rsplit_once(") ").unwrap().1.split(' ').nth(3);
    assert_eq!(session, Some(pid));
    assert!(Command::new("kill").arg(pid).status().unwrap().success());
    assert_eq!(client.read(&mut [0; 8]).unwrap(), 0, "let go");

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let output = run(&["-d", "-l", &taken]);
    assert_eq!(
        output.status.code(),
        Some(2),
        "a daemon that cannot start says so"
    );
    assert!(String::from_utf8(output.stderr).unwrap().contains(&taken));
}
