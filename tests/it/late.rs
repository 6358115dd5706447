//! What nobody waits for any more is not sent.

use std::time::Duration;

use rustix::process::Signal;
use tests::{
    client::Client,
    eventually,
    process::{Process, Program},
    scrape,
};

const PATIENCE: Duration = Duration::from_secs(60);
/// More than the system takes for a process that does not read.
const SETS: usize = 40;
const VALUE_LEN_BYTES: usize = 1024 * 1024 - 1024;

#[test]
fn a_server_that_was_stopped_does_not_see_what_timed_out_before_it_was_sent() {
    let node = Process::start(Program::CacheNode, &["-m", "256", "-t", "1"]);
    let server = format!("n0={}", node.addr());
    // It is never given up, so that nothing but the deadline drops a request.
    let router = Process::start(
        Program::Router,
        &[
            "--sharded",
            &server,
            "-t",
            "1",
            "--server-timeout",
            "1s",
            "--timeouts-until-tko",
            "1000000",
        ],
    );
    let mut client = Client::connect(router.addr());
    client.set("before", "v");
    node.freeze();
    let value = vec![b'v'; VALUE_LEN_BYTES];
    for set in 0..SETS {
        client.send(format!("set late-{set} 0 0 {VALUE_LEN_BYTES}\r\n"));
        client.send(&value);
        client.send("\r\n");
    }
    let mut never_sent = Vec::new();
    for set in 0..SETS {
        match client.read_line().as_str() {
            "SERVER_ERROR Deadline exceeded before it could be sent" => never_sent.push(set),
            "SERVER_ERROR Reply timeout" => {}
            other => panic!("set {set}: {other}"),
        }
    }
    assert!(!never_sent.is_empty(), "the system took all {SETS} sets");
    let metrics = scrape::metrics(router.admin());
    let counted = scrape::sum(&metrics, "router_upstream_errors_total", &["error=\"late\""]);
    assert_eq!(counted, never_sent.len() as f64);
    node.signal(Signal::CONT);
    // Behind everything that was sent: once it is answered, the server has seen all that it will see.
    eventually(PATIENCE, "the server answers again", || {
        match client.try_set("after", 0, b"v") {
            Ok(reply) if reply == "STORED" => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
    let mut direct = Client::connect(node.addr());
    for set in 0..SETS {
        let seen = direct.get(&format!("late-{set}")).is_some();
        let sent = !never_sent.contains(&set);
        assert_eq!(seen, sent, "set {set} was sent: {sent}");
    }
    assert_eq!(client.get("before"), Some(b"v".to_vec()));
}
