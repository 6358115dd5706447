//! Ejection, where a pool asks for it: a dead server's keys are the others' until it is back.

use std::{fs, net::SocketAddr, time::Duration};

use tempfile::TempDir;
use tests::{
    client::Client,
    eventually,
    process::{Process, Program},
    scrape,
};

const PATIENCE: Duration = Duration::from_secs(60);

fn node(port: u16) -> Result<Process, String> {
    let port = port.to_string();
    let args = ["-p", &port, "-l", "127.0.0.1", "-m", "64", "-t", "1"];
    Process::try_start(Program::CacheNode, &args)
}

fn ejected(admin: SocketAddr) -> f64 {
    scrape::sum(
        &scrape::metrics(admin),
        "router_server_ejected",
        &["pool=\"main\""],
    )
}

#[test]
fn the_keys_of_a_dead_server_are_the_others_until_it_is_back() {
    let mut nodes: Vec<Process> = (0..3).map(|_| node(0).expect("a node")).collect();
    let servers: Vec<String> = nodes
        .iter()
        .enumerate()
        .map(|(index, node)| format!("\"n{index}={}\"", node.addr()))
        .collect();
    let folder = TempDir::new().expect("a scratch folder");
    let file = folder.path().join("router.json");
    let config = format!(
        r#"{{"pools": {{"main": {{"servers": [{}], "hash": "rendezvous", "auto_eject_hosts": true,
                                "server_failure_limit": 2, "server_retry_timeout": 500}}}},
            "route": "PoolRoute|main"}}"#,
        servers.join(", ")
    );
    fs::write(&file, config).expect("written");
    let router = Process::start(Program::Router, &["-c", &file.display().to_string(), "-t", "2"]);
    let mut client = Client::connect(router.addr());
    let keys: Vec<String> = (0..60).map(|index| format!("key-{index}")).collect();
    for key in &keys {
        client.set(key, "v");
    }
    let mut on_first = Client::connect(nodes[0].addr());
    let (moving, staying): (Vec<_>, Vec<_>) = keys.iter().partition(|key| on_first.get(key).is_some());
    assert!(!moving.is_empty() && !staying.is_empty());
    let port = nodes[0].addr().port();
    nodes[0].kill();
    eventually(PATIENCE, "the dead server's keys are stored elsewhere", || {
        for key in &moving {
            match client.try_set(key, 0, b"new") {
                Ok(reply) if reply == "STORED" => {}
                other => return Err(format!("{key}: {other:?}")),
            }
        }
        Ok(())
    });
    assert_eq!(ejected(router.admin()), 1.0);
    let (_, topology) = scrape::get(router.admin(), "/topology");
    assert_eq!(topology.matches("\"ejected\": true").count(), 1, "{topology}");
    for key in &moving {
        assert_eq!(client.get(key), Some(b"new".to_vec()), "{key} on another server");
    }
    for key in &staying {
        assert_eq!(client.get(key), Some(b"v".to_vec()), "{key} has not moved");
    }
    // Back, and empty: its keys are its own again.
    nodes[0] = eventually(PATIENCE, "the server starts on its old port", || node(port));
    eventually(PATIENCE, "the server is back in the ring", || {
        if ejected(router.admin()) == 0.0 {
            Ok(())
        } else {
            Err("it is out".to_owned())
        }
    });
    let mut on_first = Client::connect(nodes[0].addr());
    eventually(PATIENCE, "its keys are stored there", || {
        for key in &moving {
            let _ = client.try_set(key, 0, b"back");
        }
        let back = moving.iter().filter(|key| on_first.get(key).is_some()).count();
        if back == moving.len() {
            Ok(())
        } else {
            Err(format!("{back} of {}", moving.len()))
        }
    });
    for key in &staying {
        assert_eq!(client.get(key), Some(b"v".to_vec()), "{key} has not moved");
    }
    let metrics = scrape::metrics(router.admin());
    assert!(scrape::sum(&metrics, "router_ejections_total", &[]) >= 1.0);
}
