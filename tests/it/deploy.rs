//! The files that start a cluster for somebody: units and compose files say what our programs understand, and what they
//! say together works.

use std::{
    fs,
    process::{Command, Stdio},
};

use tests::{
    client::Client,
    process::{Process, Program},
    prometheus::ops,
};

#[test]
fn systemd_accepts_the_units() {
    let scratch = tempfile::TempDir::new().expect("a scratch folder");
    for (unit, program) in [
        ("cache-node.service", Program::CacheNode),
        ("router.service", Program::Router),
    ] {
        let text = fs::read_to_string(ops().join("systemd").join(unit)).expect("a unit");
        let binary = program.locate().unwrap_or_else(|error| panic!("{error}"));
        let installed = format!("/usr/local/bin/{}", unit.trim_end_matches(".service"));
        assert!(text.contains(&installed), "{unit} starts something else");
        let path = scratch.path().join(unit);
        let binary = binary.canonicalize().expect("a path");
        fs::write(&path, text.replace(&installed, &binary.display().to_string())).expect("written");
        let verify = Command::new("systemd-analyze").arg("verify").arg(&path).output();
        let Ok(output) = verify else {
            return crate::skipped("the units", "no systemd-analyze on PATH");
        };
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && !told.contains(unit), "{unit}: {told}");
    }
}

#[test]
fn the_units_flags_start_the_programs() {
    for (unit, variable, program) in [
        ("cache-node.service", "CACHE_NODE_FLAGS", Program::CacheNode),
        ("router.service", "ROUTER_FLAGS", Program::Router),
    ] {
        let text = fs::read_to_string(ops().join("systemd").join(unit)).expect("a unit");
        let start = format!("Environment=\"{variable}=");
        let flags = text
            .lines()
            .find_map(|line| line.strip_prefix(&start)?.strip_suffix('"'))
            .unwrap_or_else(|| panic!("{unit} has no {variable}"));
        let config = ops().join("config/router.json").display().to_string();
        let flags = flags.replace("/etc/hearth/router.json", &config);
        let flags: Vec<String> = flags.split_whitespace().map(here).collect();
        let flags = without_ports(&flags);
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        Process::try_start(program, &flags).unwrap_or_else(|error| panic!("{unit}: {error}"));
    }
}

/// A command of a compose file, run on this machine.
fn here(word: impl AsRef<str>) -> String {
    word.as_ref().replace("0.0.0.0", "127.0.0.1")
}

/// Any free port instead of the ones in the file.
fn without_ports(words: &[String]) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for word in words {
        let previous = out.last().map(String::as_str);
        out.push(match previous {
            Some("-p") => "0".to_owned(),
            Some("--admin") => "127.0.0.1:0".to_owned(),
            _ => word.clone(),
        });
    }
    out
}

/// The `command: […]` lines of a compose file, in their order.
fn commands(text: &str) -> Vec<Vec<String>> {
    text.lines()
        .filter_map(|line| line.trim().strip_prefix("command: "))
        .map(|list| serde_json::from_str(list).unwrap_or_else(|error| panic!("{list}: {error}")))
        .collect()
}

/// The health check of the image, asked about a port of this machine.
fn ready(port: u16) -> bool {
    let check = Command::new("bash")
        .arg(ops().join("docker/ready"))
        .arg(port.to_string())
        .stderr(Stdio::null())
        .status();
    check.expect("bash starts").success()
}

#[test]
fn who_does_not_listen_is_not_ready() {
    assert!(!ready(1));
}

#[test]
fn a_composed_cluster_serves() {
    for file in ["sharded.yml", "replicated.yml"] {
        let text = fs::read_to_string(ops().join("docker").join(file)).expect("a compose file");
        let commands = commands(&text);
        let [node, router] = commands.as_slice() else {
            panic!("{file}: {commands:?}");
        };
        assert_eq!((node[0].as_str(), router[0].as_str()), ("cache-node", "router"));
        let start = |program, words: &[String]| {
            let words = without_ports(&words.iter().map(here).collect::<Vec<_>>());
            let words: Vec<&str> = words.iter().skip(1).map(String::as_str).collect();
            Process::try_start(program, &words).unwrap_or_else(|error| panic!("{file}: {error}"))
        };
        let nodes: Vec<Process> = (0..3).map(|_| start(Program::CacheNode, node)).collect();
        let mut words = router.clone();
        let scratch = tempfile::TempDir::new().expect("a scratch folder");
        for word in &mut words {
            for (index, node) in nodes.iter().enumerate() {
                *word = word.replace(&format!("=node{}:11211", index + 1), &format!("={}", node.addr()));
            }
            assert!(
                !word.contains(":11211"),
                "{file}: the router names a node that is not there: {word}"
            );
        }
        for word in &mut words {
            *word = word.replace("/var/lib/hearth", &scratch.path().display().to_string());
        }
        let router = start(Program::Router, &words);
        for admin in [nodes[0].admin(), router.admin()] {
            assert!(ready(admin.port()), "{file}: its health check");
        }
        let mut client = Client::connect(router.addr());
        for key in ["a", "b", "c", "d"] {
            client.set(key, "v");
            assert_eq!(client.get(key).as_deref(), Some(b"v".as_slice()), "{file}: {key}");
        }
        // Not by what the nodes count: a router with a spool keeps a mark of its own on them.
        let held: usize = nodes
            .iter()
            .map(|node| {
                let mut client = Client::connect(node.addr());
                let held = ["a", "b", "c", "d"]
                    .into_iter()
                    .filter(|key| client.get(key).is_some());
                held.count()
            })
            .sum();
        assert_eq!(held, if file == "sharded.yml" { 4 } else { 12 }, "{file}");
    }
}

#[test]
fn prometheus_in_containers_scrapes_what_the_compose_files_start() {
    for (targets, scraped) in [
        (
            "cache-node.yml",
            ["node1:9111", "node2:9111", "node3:9111"].as_slice(),
        ),
        ("router.yml", &["router:9311"]),
    ] {
        let text = fs::read_to_string(ops().join("docker/targets").join(targets)).expect("targets");
        let list = text
            .lines()
            .find_map(|line| line.strip_prefix("- targets: "))
            .expect("a list of targets");
        assert_eq!(
            serde_json::from_str::<Vec<String>>(list).expect("a list"),
            scraped
        );
        for compose in ["sharded.yml", "replicated.yml"] {
            let text = fs::read_to_string(ops().join("docker").join(compose)).expect("a compose file");
            for target in scraped {
                let (service, port) = target.split_once(':').expect("host:port");
                assert!(
                    text.contains(&format!("\n  {service}:")),
                    "{compose} has no {service}"
                );
                assert!(
                    text.contains(&format!("0.0.0.0:{port}")),
                    "{compose}: nothing on {port}"
                );
            }
        }
    }
}
