//! What an operator does to a running router: look, reload, take servers out of use, replace the router itself.

use std::{
    fs,
    io::{Read as _, Write as _},
    os::unix::{fs::symlink, net::UnixStream},
    path::Path,
    time::Duration,
};

use tempfile::TempDir;
use tests::{
    client::Client,
    cluster::{Cluster, Layout},
    eventually,
    load::{Load, Plan},
    process::{Process, Program},
    scrape,
};

const PATIENCE: Duration = Duration::from_secs(20);

fn node() -> Process {
    Process::start(Program::CacheNode, &["-m", "64", "-t", "1"])
}

fn config(servers: &[&Process]) -> String {
    let list: Vec<String> = servers
        .iter()
        .map(|server| format!("\"{}\"", server.addr()))
        .collect();
    format!(
        r#"{{"pools": {{"A": {{"servers": [{}]}}}}, "route": "PoolRoute|A"}}"#,
        list.join(", ")
    )
}

#[track_caller]
fn post(router: &Process, path: &str, body: &str) -> u16 {
    scrape::post(router.admin(), path, body).0
}

#[test]
fn a_drained_server_is_asked_nothing_until_it_is_undrained() {
    let cluster = Cluster::routed(Layout::Sharded, Program::CacheNode, 2, &[]);
    let router = cluster.router();
    let mut client = cluster.client();
    let keys: Vec<String> = (0..50).map(|index| format!("key-{index}")).collect();
    for key in &keys {
        client.set(key, "v");
    }
    let of_n1: Vec<&String> = keys
        .iter()
        .filter(|key| {
            let (status, body) = scrape::get(router.admin(), &format!("/route?op=get&key={key}"));
            assert_eq!(status, 200, "{body}");
            body.contains("\"n1\"")
        })
        .collect();
    assert!(!of_n1.is_empty() && of_n1.len() < keys.len());
    assert_eq!(post(router, "/servers/drain", r#"{"server": "n1"}"#), 202);
    eventually(PATIENCE, "the workers have heard of it", || {
        match client.try_set(of_n1[0], 0, b"v") {
            Ok(reply) if reply.contains("drained by an operator") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
    for key in &keys {
        assert_eq!(client.get(key).is_none(), of_n1.contains(&key), "{key}");
    }
    let (_, servers) = scrape::get(router.admin(), "/servers");
    assert!(servers.contains("\"drained\": true"), "{servers}");
    assert_eq!(post(router, "/servers/undrain", r#"{"server": "n1"}"#), 202);
    eventually(PATIENCE, "it is asked again", || match client.get(of_n1[0]) {
        Some(_) => Ok(()),
        None => Err("a miss".into()),
    });
    assert_eq!(post(router, "/servers/drain", r#"{"server": "n7"}"#), 400);
    assert_eq!(post(router, "/servers/up", r#"{"server": "n0"}"#), 202);
    let (status, body) = scrape::get(router.admin(), "/route?op=gte&key=k");
    assert_eq!(status, 400);
    assert!(body.contains("did you mean"), "{body}");
}

#[test]
fn the_admin_side_shows_the_config_and_reloads_it() {
    let (one, two) = (node(), node());
    let folder = TempDir::new().expect("a scratch folder");
    let path = folder.path().join("router.json");
    fs::write(&path, config(&[&one])).expect("written");
    let file = path.display().to_string();
    let router = Process::start(Program::Router, &["-c", &file, "--config-poll", "1000s"]);
    fs::write(&path, config(&[&two])).expect("written");
    let (status, body) = scrape::post(router.admin(), "/reload", "");
    assert_eq!(status, 200, "{body}");
    assert!(body.contains(&two.addr().to_string()), "{body}");
    let mut client = Client::connect(router.addr());
    client.set("k", "v");
    assert!(Client::connect(two.addr()).get("k").is_some());
    fs::write(&path, "{").expect("written");
    let (status, body) = scrape::post(router.admin(), "/reload", "");
    assert_eq!(status, 400);
    assert!(body.contains("router.json"), "{body}");
    // Wherever one looks, it says so; and the old configuration is in use.
    for path in ["/config", "/topology"] {
        let (_, body) = scrape::get(router.admin(), path);
        assert!(
            body.contains("\"last_error\": \"") && body.contains(&two.addr().to_string()),
            "{path}: {body}"
        );
    }
    assert_eq!(client.get("k"), Some(b"v".to_vec()));
}

/// As Kubernetes mounts a ConfigMap: `router.json -> ..data/router.json`, `..data -> ..generation`.
fn publish(folder: &Path, generation: &str, config: &str) {
    let place = folder.join(generation);
    fs::create_dir(&place).expect("a folder");
    fs::write(place.join("router.json"), config).expect("written");
    let fresh = folder.join("..data_tmp");
    symlink(generation, &fresh).expect("a link");
    fs::rename(&fresh, folder.join("..data")).expect("the link is put in place");
}

#[test]
fn a_config_map_that_is_swapped_under_load_costs_no_request() {
    let (one, two) = (node(), node());
    let folder = TempDir::new().expect("a scratch folder");
    publish(folder.path(), "..1", &config(&[&one]));
    let path = folder.path().join("router.json");
    symlink("..data/router.json", &path).expect("a link");
    let file = path.display().to_string();
    let router = Process::start(Program::Router, &["-c", &file, "--config-poll", "50ms"]);
    let load = Load::start(router.addr(), &Plan::default());
    let epoch = || -> f64 {
        let metrics = scrape::metrics(router.admin());
        scrape::sum(&metrics, "router_config_epoch", &[])
    };
    for round in 2..8 {
        let before = epoch();
        let servers: &[&Process] = if round % 2 == 0 { &[&one, &two] } else { &[&one] };
        publish(folder.path(), &format!("..{round}"), &config(servers));
        eventually(PATIENCE, "the swap is seen", || {
            let seen = epoch();
            if seen > before {
                Ok(())
            } else {
                Err(seen.to_string())
            }
        });
        load.run_for(200);
    }
    let tally = load.stop();
    tally.assert_sound();
    assert_eq!((tally.error_count(), tally.closed), (0, 0), "{tally:?}");
}

#[test]
fn clients_come_in_by_a_unix_socket_and_servers_are_reached_by_one() {
    let folder = TempDir::new().expect("a scratch folder");
    let (below, above) = (folder.path().join("node.sock"), folder.path().join("router.sock"));
    let (below, above) = (below.display().to_string(), above.display().to_string());
    let _node = Process::start(Program::CacheNode, &["-m", "64", "-s", &below]);
    let server = format!("n0=unix:{below}");
    let router = Process::start(
        Program::Router,
        &["--sharded", &server, "-s", &above, "-a", "0600"],
    );
    assert_eq!(router.unix(), Some(Path::new(&above)));
    let mut client = UnixStream::connect(&above).expect("it listens");
    client.write_all(b"set k 0 0 1\r\nv\r\nget k\r\n").expect("sent");
    let expected = b"STORED\r\nVALUE k 0 1\r\nv\r\nEND\r\n";
    let mut reply = vec![0; expected.len()];
    client.read_exact(&mut reply).expect("an answer");
    assert_eq!(reply, expected);
    assert_eq!(Client::connect(router.addr()).get("k"), Some(b"v".to_vec()));
}

#[test]
fn a_successor_takes_over_the_port_and_the_debts_and_turns_no_client_away() {
    let nodes = [node(), node()];
    let list = format!("n0={},n1={}", nodes[0].addr(), nodes[1].addr());
    let folder = TempDir::new().expect("a scratch folder");
    let spool = folder.path().join("spool").display().to_string();
    let common = [
        "--replicated",
        &list,
        "--spool",
        &spool,
        "--server-timeout",
        "300ms",
    ];
    let mut old = Process::start(Program::Router, &common);
    let mut client = Client::connect(old.addr());
    client.set("k", "old");
    nodes[1].freeze();
    assert_eq!(client.ask("delete k"), "DELETED");
    let (port, admin) = (old.addr().port().to_string(), old.admin().to_string());
    let mut args = vec![
        "-p",
        &port,
        "-l",
        "127.0.0.1",
        "--admin",
        &admin,
        "--take-over",
        &admin,
    ];
    args.extend(common);
    // New connections all the while: each is taken by one of the two.
    let addr = old.addr();
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let knocking = std::thread::spawn(move || {
        let mut refused = Vec::new();
        let mut served = 0;
        while stopped.recv_timeout(Duration::from_millis(1))
            == Err(std::sync::mpsc::RecvTimeoutError::Timeout)
        {
            match Client::try_connect(addr, PATIENCE) {
                Ok(mut client) => {
                    // Answered, or closed by the one that leaves before it was asked anything.
                    let asked = client
                        .try_send(b"version\r\n")
                        .and_then(|()| client.try_read_line());
                    served += u64::from(asked.is_ok());
                }
                Err(error) => refused.push(error.to_string()),
            }
        }
        (refused, served)
    });
    let new = Process::try_start(Program::Router, &args).expect("the successor starts");
    assert_eq!(old.wait(PATIENCE).code(), Some(0));
    drop(stop);
    let (refused, served) = knocking.join().expect("no panic");
    assert!(refused.is_empty() && served > 0, "{served} served, {refused:?}");
    assert_eq!(new.addr(), addr);
    let (_, body) = scrape::get(new.admin(), "/spool");
    assert!(body.contains("\"owed\": 1"), "{body}");
    nodes[1].signal(rustix::process::Signal::CONT);
    let mut direct = Client::connect(nodes[1].addr());
    eventually(PATIENCE * 2, "the successor pays", || match direct.get("k") {
        None => Ok(()),
        Some(_) => Err("still there".into()),
    });
}
