//! Configurations that change while requests are under way.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::support::{Client, Nodes, eventually, http, metric, router};

#[test]
fn a_change_of_servers_under_load_loses_no_request_and_no_connection() {
    let nodes = Nodes::start(4);
    let router = router(&["--sharded", &nodes.list()]);
    let admin = router.admin_addr().expect("an admin side");
    let addr = router.addr();
    let stop = Arc::new(AtomicBool::new(false));
    let done = Arc::new(AtomicU64::new(0));
    let workers: Vec<_> = (0..4)
        .map(|number| {
            let (stop, done) = (Arc::clone(&stop), Arc::clone(&done));
            std::thread::spawn(move || {
                let mut client = Client::of(addr);
                while !stop.load(Ordering::Relaxed) {
                    for key in 0..50 {
                        let key = format!("w{number}k{key}");
                        assert_eq!(client.set(&key, key.as_bytes()), "STORED");
                        let found = client.get(&key);
                        assert!(found.is_none() || found.as_deref() == Some(key.as_bytes()));
                    }
                    done.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let servers: Vec<String> = nodes
        .list()
        .split(',')
        .map(|server| format!("\"{server}\""))
        .collect();
    for round in 0..30 {
        let some = &servers[..2 + round % 3];
        let (status, said) = http(
            admin,
            "POST",
            "/topology",
            &format!("{{\"servers\": [{}]}}", some.join(",")),
        );
        assert_eq!(status, 200, "{said}");
        let epoch = format!("\"epoch\": {}", round + 2);
        assert!(said.contains(&epoch), "{said}");
    }
    let from = done.load(Ordering::Relaxed);
    eventually("requests go on", || {
        let seen = done.load(Ordering::Relaxed);
        if seen > from + 4 {
            Ok(())
        } else {
            Err(format!("{seen}"))
        }
    });
    stop.store(true, Ordering::Relaxed);
    for worker in workers {
        worker.join().expect("no lost request");
    }
    assert!(metric(admin, "router_failures_total") < 0.5, "nothing failed");
}

#[test]
fn a_change_that_is_wrong_is_refused_with_its_place() {
    let nodes = Nodes::start(2);
    let router = router(&["--sharded", &nodes.list()]);
    let admin = router.admin_addr().expect("an admin side");
    for (body, complaint) in [
        ("", "EOF"),
        ("{\"servers\": []}", "at least one server"),
        ("{\"servers\": [\"nowhere\"]}", "pools.main.servers[0]"),
        ("{\"servers\": [\"h:1\"], \"pool\": \"mian\"}", "did you mean"),
        ("{\"servers\": [\"a=h:1\", \"a=h:2\"]}", "given twice"),
        ("{\"servers\": [\"h:1\"], \"hash\": \"rendevous\"}", "rendezvous"),
        ("{\"serves\": []}", "serves"),
    ] {
        let (status, said) = http(admin, "POST", "/topology", body);
        assert_eq!(status, 400, "{body}: {said}");
        assert!(
            said.contains("\"error\"") && said.contains(complaint),
            "{body}: {said}"
        );
    }
    assert_eq!(http(admin, "GET", "/healthz", "").0, 200);
    assert_eq!(http(admin, "GET", "/readyz", "").0, 200);
    let mut client = Client::of(router.addr());
    assert_eq!(client.set("k", b"v"), "STORED", "the old servers still serve");
}

fn write_config(path: &Path, servers: &str) {
    let servers: Vec<String> = servers.split(',').map(|server| format!("\"{server}\"")).collect();
    let text = format!(
        "{{ // a pool\n \"pools\": {{\"A\": {{\"servers\": [{}], \"hash\": \"rendezvous\",}}}},\n \"route\": \"PoolRoute|A\" }}",
        servers.join(", ")
    );
    std::fs::write(path, text).expect("written");
}

#[test]
fn a_file_swapped_by_its_link_is_taken_up_and_a_bad_one_is_not() {
    let nodes = Nodes::start(3);
    let list = nodes.list();
    let all: Vec<&str> = list.split(',').collect();
    let folder = tempfile::tempdir().expect("a folder");
    // As Kubernetes does it: the file is a link into a folder that is itself a link, and that one is swapped.
    for (version, servers) in [("v1", &all[..1]), ("v2", &all[..3])] {
        let inside = folder.path().join(version);
        std::fs::create_dir(&inside).expect("a folder");
        write_config(&inside.join("config.json"), &servers.join(","));
    }
    let bad = folder.path().join("v3");
    std::fs::create_dir(&bad).expect("a folder");
    std::fs::write(bad.join("config.json"), "{\"route\": \"PoolRoute|B\"}").expect("written");
    let swap = |version: &str| {
        let next = folder.path().join("..next");
        std::os::unix::fs::symlink(version, &next).expect("a link");
        std::fs::rename(&next, folder.path().join("..data")).expect("swapped");
    };
    swap("v1");
    let file = folder.path().join("config.json");
    std::os::unix::fs::symlink("..data/config.json", &file).expect("a link");

    let router = router(&["-c", &file.display().to_string(), "--config-poll", "20ms"]);
    let admin = router.admin_addr().expect("an admin side");
    let servers = || {
        http(admin, "GET", "/topology", "")
            .1
            .matches("\"address\"")
            .count()
    };
    assert_eq!(servers(), 1);
    swap("v2");
    eventually("the new file is in use", || match servers() {
        3 => Ok(()),
        other => Err(format!("{other} servers")),
    });
    swap("v3");
    eventually("the bad file is complained of", || {
        let (_, said) = http(admin, "GET", "/topology", "");
        if said.contains("unknown pool") {
            Ok(())
        } else {
            Err(said)
        }
    });
    assert_eq!(servers(), 3, "and the old one stays in use");
    assert!((metric(admin, "router_config_bad") - 1.0).abs() < 0.1);
    let mut client = Client::of(router.addr());
    client.send(b"stats\r\n");
    let mut told = Vec::new();
    while told.last().map(String::as_str) != Some("END") {
        told.push(client.line());
    }
    assert!(told.iter().any(|line| line.starts_with("STAT config_last_error ")
        && line.contains("config.json: route: unknown pool")));
    assert!(told.iter().any(|line| line == "STAT config_failures 1"));
    assert_eq!(client.set("k", b"v"), "STORED");
    swap("v1");
    eventually("a good file mends it", || match servers() {
        1 => Ok(()),
        other => Err(format!("{other} servers")),
    });
}
