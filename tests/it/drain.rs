//! SIGTERM: what was asked is answered, nothing new is taken, the exit code is 0.

use std::{net::TcpStream, time::Duration};

use rustix::process::Signal;
use tests::{
    client::{Client, is_close},
    cluster::{Cluster, Layout},
    eventually,
    load::{Load, Plan},
    process::{Process, Program},
};

const EXIT_DEADLINE: Duration = Duration::from_secs(15);

fn drains(process: &mut Process) {
    let addr = process.addr();
    let load = Load::start(addr, &Plan::default());
    load.run_for(500);
    process.signal(Signal::TERM);
    let status = process.wait(EXIT_DEADLINE);
    let tally = load.stop();
    assert_eq!(status.code(), Some(0), "{status:?}");
    tally.assert_sound();
    assert_eq!(tally.stale, 0, "{tally:?}");
    for line in tally.errors.keys() {
        assert!(line.starts_with("SERVER_ERROR"), "{line:?} of {tally:?}");
    }
    assert!(TcpStream::connect(addr).is_err(), "the port still accepts");
}

#[test]
fn a_cache_node_drains_under_load_and_exits_with_0() {
    drains(&mut Process::start(Program::CacheNode, &["-m", "64"]));
}

#[test]
fn a_router_drains_under_load_and_exits_with_0() {
    let mut cluster = Cluster::routed(Layout::Sharded, Program::CacheNode, 2, &[]);
    drains(cluster.router.as_mut().expect("a router"));
}

/// Requests that were all sent before the signal are all answered.
fn what_was_asked_is_answered(process: &mut Process) {
    let mut client = Client::connect(process.addr());
    client.set("k", vec![b'x'; 100_000]);
    client.send("get k\r\n".repeat(50));
    // The first reply shows that the requests have been read.
    client.expect("VALUE k 0 100000\r\n");
    process.signal(Signal::TERM);
    client.try_read_exact(100_002).expect("the first value");
    client.expect("END\r\n");
    for index in 1..50 {
        match client.try_read_line() {
            Ok(line) => assert_eq!(line, b"VALUE k 0 100000"),
            Err(error) => panic!("reply {index} of 50: {error}"),
        }
        client.try_read_exact(100_002).expect("a value");
        client.expect("END\r\n");
    }
    assert_eq!(process.wait(EXIT_DEADLINE).code(), Some(0));
}

#[test]
fn a_cache_node_answers_what_was_asked_before_the_signal() {
    what_was_asked_is_answered(&mut Process::start(Program::CacheNode, &["-m", "64", "-t", "1"]));
}

#[test]
fn a_router_answers_what_was_asked_before_the_signal() {
    let mut cluster = Cluster::routed(Layout::Sharded, Program::CacheNode, 1, &[]);
    what_was_asked_is_answered(cluster.router.as_mut().expect("a router"));
}

#[test]
fn idle_connections_and_half_requests_do_not_hold_an_exit_up() {
    let mut cluster = Cluster::routed(Layout::Sharded, Program::CacheNode, 1, &[]);
    let mut idle: Vec<Client> = (0..20).map(|_| cluster.client()).collect();
    idle.extend((0..20).map(|_| cluster.server_client(0)));
    for client in idle.iter_mut().step_by(2) {
        client.send("set half 0 0 1000\r\nonly a part");
    }
    for mut process in [
        cluster.router.take().expect("a router"),
        cluster.servers.remove(0),
    ] {
        process.signal(Signal::TERM);
        assert_eq!(
            process.wait(EXIT_DEADLINE).code(),
            Some(0),
            "{:?}",
            process.program()
        );
    }
    for client in &mut idle {
        eventually(
            Duration::from_secs(5),
            "the connection is closed",
            || match client.try_read_line() {
                Err(error) if is_close(&error) => Ok(()),
                other => Err(format!("{other:?}")),
            },
        );
    }
}

/// What a program of its own needs to start.
fn alone(program: Program) -> &'static [&'static str] {
    match program {
        Program::Router => &["--sharded", "127.0.0.1:1"],
        _ => &[],
    }
}

#[test]
fn a_signal_right_behind_the_ready_line_is_heard() {
    for program in [Program::CacheNode, Program::Router] {
        let args = alone(program);
        for _ in 0..10 {
            // Together, so that none of them has a processor to itself when it is ready.
            let mut started: Vec<_> = (0..4).map(|_| Process::start(program, args)).collect();
            for process in &mut started {
                process.signal(Signal::TERM);
            }
            for mut process in started {
                assert_eq!(process.wait(Duration::from_secs(30)).code(), Some(0));
            }
        }
    }
}

#[test]
fn a_second_signal_is_not_needed_and_an_idle_process_ends_at_once() {
    for program in [Program::CacheNode, Program::Router] {
        let args = alone(program);
        let mut process = Process::start(program, args);
        process.signal(Signal::TERM);
        assert_eq!(process.wait(Duration::from_secs(5)).code(), Some(0));
        let mut process = Process::start(program, args);
        process.signal(Signal::INT);
        assert_eq!(
            process.wait(Duration::from_secs(5)).code(),
            Some(0),
            "SIGINT is a request to end, too"
        );
    }
}
