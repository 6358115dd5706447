//! Servers that are slow, lie, or die under load: never a wrong value, never a hang, errors counted.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::support::{Client, Nodes, eventually, fake_server, metric, node, router, slowly};

/// Answers each `get KEY` with the value `KEY`, each `version`, and waits before a key that says so.
fn echo(stream: TcpStream) {
    let mut writer = stream.try_clone().expect("another handle");
    for line in BufReader::new(stream).lines().map_while(Result::ok) {
        let answer = match line.split_once(' ') {
            Some(("get", key)) => {
                if key.starts_with("slow") {
                    slowly(Duration::from_millis(600));
                }
                format!("VALUE {key} 0 {}\r\n{key}\r\nEND\r\n", key.len())
            }
            _ => "VERSION 1.6.40\r\n".to_owned(),
        };
        if writer.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

#[test]
fn a_late_reply_goes_to_nobody_and_the_next_one_to_its_own_request() {
    let server = fake_server(|stream| {
        std::thread::spawn(move || echo(stream));
    });
    let router = router(&["--sharded", &server.to_string(), "--server-timeout", "200ms"]);
    let mut client = Client::of(router.addr());
    assert_eq!(client.get("a").as_deref(), Some(b"a".as_slice()));
    assert_eq!(client.get("slow").as_deref(), None, "its time was up: a miss");
    for key in ["b", "c", "d"] {
        // Behind the slow reply on the same connection: late as well, or right, never another's.
        let value = client.get(key);
        assert!(
            value.is_none() || value.as_deref() == Some(key.as_bytes()),
            "{key}: {value:?}"
        );
    }
    eventually("the server answers in time again", || match client.get("e") {
        Some(value) if value == b"e" => Ok(()),
        other => Err(format!("{other:?}")),
    });
    let admin = router.admin_addr().expect("an admin side");
    assert!(metric(admin, "router_failures_total") >= 1.0);
    assert!(metric(admin, "router_masked_get_errors_total") >= 1.0);
}

#[test]
fn a_server_that_answers_for_another_key_is_not_believed() {
    let server = fake_server(|stream| {
        let mut writer = stream.try_clone().expect("another handle");
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            let answer: &[u8] = if line.starts_with("get") {
                b"VALUE other 0 1\r\nx\r\nEND\r\n"
            } else {
                b"VERSION 1\r\n"
            };
            if writer.write_all(answer).is_err() {
                return;
            }
        }
    });
    let router = router(&["--sharded", &server.to_string()]);
    let mut client = Client::of(router.addr());
    for _ in 0..20 {
        assert_eq!(client.get("mine"), None);
    }
    let admin = router.admin_addr().expect("an admin side");
    let (_, page) = crate::support::http(admin, "GET", "/metrics", "");
    assert!(page.contains("error=\"protocol\""), "{page}");
}

#[test]
fn a_server_that_dies_and_comes_back_under_load_costs_no_wrong_value_and_no_hang() {
    let mut nodes = Nodes::start(4);
    let router = router(&["--sharded", &nodes.list()]);
    let addr = router.addr();
    let stop = Arc::new(AtomicBool::new(false));
    let errors = Arc::new(AtomicU64::new(0));
    let done = Arc::new(AtomicU64::new(0));
    let workers: Vec<_> = (0..8)
        .map(|number| {
            let (stop, errors, done) = (Arc::clone(&stop), Arc::clone(&errors), Arc::clone(&done));
            std::thread::spawn(move || {
                let mut client = Client::of(addr);
                let mut round = 0_u64;
                while !stop.load(Ordering::Relaxed) {
                    round += 1;
                    let key = format!("w{number}k{}", round % 97);
                    let value = format!("{key}={round}");
                    match client.set(&key, value.as_bytes()).as_str() {
                        "STORED" => {
                            if let Some(found) = client.get(&key) {
                                assert_eq!(found, value.as_bytes(), "a value that was not stored last");
                            }
                        }
                        refused => {
                            assert!(refused.starts_with("SERVER_ERROR"), "{refused}");
                            errors.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                    let keys: Vec<String> = (0..20).map(|other| format!("w{number}k{other}")).collect();
                    client.send(format!("get {}\r\n", keys.join(" ")).as_bytes());
                    for (key, value) in client.values().expect("partial results, never an error") {
                        assert!(
                            value.starts_with(format!("{key}=").as_bytes()),
                            "{key}: another key's value"
                        );
                    }
                    done.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let progress = |rounds: u64| {
        let from = done.load(Ordering::Relaxed);
        eventually("requests go on", || {
            let seen = done.load(Ordering::Relaxed);
            if seen >= from + rounds {
                Ok(())
            } else {
                Err(format!("{seen}"))
            }
        });
    };
    for _ in 0..3 {
        progress(200);
        let port = nodes.nodes[2].addr().port();
        nodes.nodes.remove(2).shutdown();
        progress(200);
        nodes.nodes.insert(2, node(port));
        progress(200);
    }
    stop.store(true, Ordering::Relaxed);
    for worker in workers {
        worker.join().expect("no wrong value");
    }
    let admin = router.admin_addr().expect("an admin side");
    assert!(errors.load(Ordering::Relaxed) > 0, "somebody noticed");
    assert!(metric(admin, "router_failures_total") > 0.0, "and it was counted");
    let mut client = Client::of(addr);
    eventually("all servers take writes again", || {
        let refused: Vec<String> = (0..50)
            .map(|number| client.set(&format!("after{number}"), b"x"))
            .filter(|said| said != "STORED")
            .collect();
        if refused.is_empty() {
            Ok(())
        } else {
            Err(format!("{refused:?}"))
        }
    });
}

#[test]
fn a_server_nobody_listens_at_is_an_error_at_once() {
    let router = router(&["--sharded", "127.0.0.1:1"]);
    let mut client = Client::of(router.addr());
    let started = crate::support::now();
    for _ in 0..50 {
        assert_eq!(client.get("k"), None);
        assert!(
            client
                .set("k", b"v")
                .starts_with("SERVER_ERROR Server unavailable")
        );
        assert!(client.ask("delete k").starts_with("SERVER_ERROR"));
        assert_eq!(client.ask("mg k v"), "EN");
    }
    assert!(started.elapsed() < Duration::from_secs(10));
    client.send(b"stats suspect_servers\r\n");
    assert!(client.line().contains("hard_tko"));
}
