//! The `topology` command against stock memcached (when the machine has one) behind small routers of known shape.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

const MEMCACHED: &str = "/usr/bin/memcached";

/// A stock memcached on a port of its own, killed with its guard.
struct Memcached {
    process: Child,
    address: SocketAddr,
}

impl Drop for Memcached {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn memcached() -> Memcached {
    // The port is free when we look; should somebody take it before memcached does, the next one is tried.
    for _ in 0..20 {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut process = Command::new(MEMCACHED)
            .args([
                "-u",
                "nobody",
                "-U",
                "0",
                "-t",
                "1",
                "-m",
                "16",
                "-l",
                "127.0.0.1",
                "-p",
                &address.port().to_string(),
            ])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let deadline = deadline(5);
        while process.try_wait().unwrap().is_none() && before(deadline) {
            if TcpStream::connect(address).is_ok() {
                return Memcached { process, address };
            }
            std::thread::yield_now();
        }
        let _ = process.kill();
        let _ = process.wait();
    }
    panic!("memcached did not start");
}

#[expect(
    clippy::disallowed_methods,
    reason = "real processes are waited for with a deadline"
)]
fn deadline(seconds: u64) -> Instant {
    Instant::now() + Duration::from_secs(seconds)
}

#[expect(
    clippy::disallowed_methods,
    reason = "real processes are waited for with a deadline"
)]
fn before(deadline: Instant) -> bool {
    Instant::now() < deadline
}

/// Which nodes a key goes to, by its number.
type Route = fn(key: usize, nodes: usize) -> Vec<usize>;

/// A router that sends each line's key to the nodes `route` names and answers with the first one's reply. Lives as long as the test.
fn router(nodes: &[SocketAddr], route: Route) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let nodes: Arc<[SocketAddr]> = nodes.into();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let nodes = Arc::clone(&nodes);
            std::thread::spawn(move || serve(client, &nodes, route));
        }
    });
    address
}

/// `None` when the client is gone.
fn serve(client: TcpStream, nodes: &[SocketAddr], route: Route) -> Option<()> {
    let mut upstreams: Vec<BufReader<TcpStream>> = nodes
        .iter()
        .map(|node| TcpStream::connect(node).map(BufReader::new))
        .collect::<Result<_, _>>()
        .ok()?;
    let mut requests = BufReader::new(client.try_clone().ok()?);
    let mut replies = client;
    let number = |key: &str| key.rsplit(':').next().and_then(|n| n.parse().ok()).unwrap_or(0);
    loop {
        let line = read_line(&mut requests)?;
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["version"] => replies.write_all(b"VERSION test-router\r\n").ok()?,
            ["get", keys @ ..] => {
                for key in keys {
                    let upstream = &mut upstreams[*route(number(key), nodes.len()).first()?];
                    upstream
                        .get_mut()
                        .write_all(format!("get {key}\r\n").as_bytes())
                        .ok()?;
                    loop {
                        let line = read_line(upstream)?;
                        if line.trim_end() == "END" {
                            break;
                        }
                        replies.write_all(line.as_bytes()).ok()?;
                    }
                }
                replies.write_all(b"END\r\n").ok()?;
            }
            [verb @ ("set" | "delete"), key, rest @ ..] => {
                let mut block = Vec::new();
                if *verb == "set" {
                    block = vec![0; rest[2].parse::<usize>().ok()? + 2];
                    requests.read_exact(&mut block).ok()?;
                }
                let mut first = None;
                for node in route(number(key), nodes.len()) {
                    let upstream = &mut upstreams[node];
                    upstream
                        .get_mut()
                        .write_all(&[line.as_bytes(), &block].concat())
                        .ok()?;
                    let reply = read_line(upstream)?;
                    first = first.or(Some(reply));
                }
                replies.write_all(first?.as_bytes()).ok()?;
            }
            _ => replies.write_all(b"ERROR\r\n").ok()?,
        }
    }
}

fn read_line(from: &mut BufReader<TcpStream>) -> Option<String> {
    let mut line = String::new();
    (from.read_line(&mut line).ok()? > 0).then_some(line)
}

struct Answer {
    code: Option<i32>,
    out: String,
    err: String,
}

fn topology(router: SocketAddr, nodes: &[SocketAddr], extra: &[&str]) -> Answer {
    let nodes: Vec<String> = nodes
        .iter()
        .enumerate()
        .map(|(n, node)| format!("n{n}={node}"))
        .collect();
    let run = Command::new(env!("CARGO_BIN_EXE_loadtest"))
        .args([
            "topology",
            "--router",
            &router.to_string(),
            "--nodes",
            &nodes.join(","),
        ])
        .args(extra)
        .output()
        .unwrap();
    Answer {
        code: run.status.code(),
        out: String::from_utf8(run.stdout).unwrap(),
        err: String::from_utf8(run.stderr).unwrap(),
    }
}

/// Items a node holds.
fn items(address: SocketAddr) -> String {
    let mut stream = BufReader::new(TcpStream::connect(address).unwrap());
    stream.get_mut().write_all(b"stats\r\n").unwrap();
    loop {
        let line = read_line(&mut stream).expect("stats end with END");
        if let Some(items) = line.strip_prefix("STAT curr_items ") {
            return items.trim_end().to_owned();
        }
    }
}

#[test]
fn stock_memcached_behind_routers_of_every_shape() {
    if !std::path::Path::new(MEMCACHED).exists() {
        eprintln!("skipped: no {MEMCACHED}");
        return;
    }
    let guards: Vec<Memcached> = (0..3).map(|_| memcached()).collect();
    let nodes: Vec<SocketAddr> = guards.iter().map(|node| node.address).collect();

    let sharded = router(&nodes, |key, nodes| vec![key % nodes]);
    let answer = topology(sharded, &nodes, &["--keys", "300"]);
    assert_eq!(answer.code, Some(0), "{}", answer.out);
    assert!(
        answer
            .out
            .starts_with("sharded: each of 300 keys is on exactly one of 3 nodes; an even share is 33.3 %\n"),
        "{}",
        answer.out
    );
    assert_eq!(
        answer.out.matches("33.3 %       100 keys  (1.6.").count(),
        3,
        "{}",
        answer.out
    );
    assert_eq!(
        topology(sharded, &nodes, &["--expect", "replicated"]).code,
        Some(99)
    );
    let hash = topology(sharded, &nodes, &["--hash", "ketama"]);
    assert_eq!(
        hash.code,
        Some(99),
        "key number mod 3 is not ketama: {}",
        hash.out
    );
    assert!(
        hash.out
            .contains("keys are where ketama puts them with these names in this order"),
        "{}",
        hash.out
    );

    let replicated = router(&nodes, |_, nodes| (0..nodes).collect());
    let answer = topology(replicated, &nodes, &["--json"]);
    let json: serde_json::Value = serde_json::from_str(&answer.out).unwrap();
    assert_eq!(
        (answer.code, &json["verdict"], &json["nodes"][2]["share"]),
        (Some(0), &"replicated".into(), &1.0.into()),
        "{json}"
    );

    let partly = router(&nodes, |_, _| vec![0, 1]);
    let answer = topology(partly, &nodes, &[]);
    assert_eq!(answer.code, Some(99));
    assert!(
        answer
            .out
            .starts_with("partly replicated: each of 1,000 keys is on n0, n1, and on no other node\n"),
        "{}",
        answer.out
    );
    assert!(
        answer
            .out
            .contains("! n2 is not used: none of the keys is on it\n"),
        "{}",
        answer.out
    );

    // The node list names one process twice.
    let answer = topology(nodes[0], &[nodes[0], nodes[0]], &[]);
    assert!(
        answer.out.starts_with("one node: all 1,000 keys are on n0\n"),
        "{}",
        answer.out
    );
    assert!(
        answer.out.contains("! n0 and n1 are one and the same memory\n"),
        "{}",
        answer.out
    );

    let answer = topology(sharded, &nodes[..2], &["--keys", "300"]);
    assert!(
        answer
            .out
            .starts_with("neither sharded nor replicated: of 300 keys, 100 on none, 200 on one node\n"),
        "{}",
        answer.out
    );

    for node in &nodes {
        assert_eq!(items(*node), "0", "nothing is left behind");
    }
}

#[test]
fn who_does_not_answer_is_named() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let answer = topology(nobody, &[nobody], &[]);
    assert_eq!(
        (answer.code, answer.err.as_str()),
        (
            Some(1),
            format!("loadtest: router {nobody} is not answering: connection refused\n").as_str()
        )
    );
    let run = Command::new(env!("CARGO_BIN_EXE_loadtest"))
        .args(["topology", "--router", "nowhere", "--nodes", "a"])
        .output()
        .unwrap();
    assert_eq!(run.status.code(), Some(2));
    assert!(
        String::from_utf8(run.stderr)
            .unwrap()
            .contains("`nowhere` is not an address; expected HOST:PORT")
    );
}
