//! Every command of the runbook is run, as it stands, against a real cluster.

use std::{
    fs,
    path::PathBuf,
    process::{Command, Stdio},
};

use tests::{
    client::Client,
    process::{Process, Program},
    prometheus::ops,
};

/// Pages that change the pool come last, in an order in which each finds what it needs.
const LAST: [&str; 3] = ["add-a-node.md", "rolling-restart.md", "remove-a-node.md"];

fn pages() -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = fs::read_dir(ops().join("runbook"))
        .expect("the runbook")
        .map(|entry| {
            let path = entry.expect("an entry").path();
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            (name, fs::read_to_string(path).expect("a page"))
        })
        .collect();
    let place = |name: &str| LAST.iter().position(|last| *last == name).map_or(0, |at| at + 1);
    all.sort_by_key(|(name, _)| (place(name), name.clone()));
    all
}

/// The blocks of commands of a page, without the indentation of the list they are in.
fn blocks(text: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut open: Option<String> = None;
    for line in text.lines() {
        let trimmed = line.trim_start();
        match &mut open {
            Some(block) if trimmed == "```" => {
                blocks.push(std::mem::take(block));
                open = None;
            }
            Some(block) => *block += &format!("{}\n", line.strip_prefix("   ").unwrap_or(line)),
            None if trimmed == "```sh" => open = Some(String::new()),
            None => {}
        }
    }
    assert!(open.is_none(), "a block does not end");
    blocks
}

/// A folder with our programs, to be found first on `PATH`.
fn programs() -> PathBuf {
    let binary = Program::Loadtest
        .locate()
        .unwrap_or_else(|error| panic!("{error}"));
    let folder = binary.parent().expect("a folder");
    folder.canonicalize().expect("a path")
}

#[test]
fn every_command_runs() {
    if Command::new("curl").arg("--version").output().is_err() {
        return crate::skipped("the runbook", "no curl on PATH");
    }
    let nodes: Vec<Process> = (0..4)
        .map(|_| Process::start(Program::CacheNode, &["-m", "64", "-t", "1"]))
        .collect();
    let scratch = tempfile::TempDir::new().expect("a scratch folder");
    let config = scratch.path().join("router.json");
    let mut text = fs::read_to_string(ops().join("config/router.json")).expect("the configuration");
    for (index, node) in nodes.iter().take(3).enumerate() {
        let stated = format!("127.0.0.1:1121{}", index + 1);
        assert!(text.contains(&stated), "{text}");
        text = text.replace(&stated, &node.addr().to_string());
    }
    fs::write(&config, text).expect("written");
    let router = Process::start(Program::Router, &["-c", &config.display().to_string()]);
    let mut client = Client::connect(router.addr());
    for key in 0..50 {
        client.set(&format!("key{key}"), "value");
        client.get(&format!("key{key}"));
    }
    let list: Vec<String> = nodes.iter().take(3).map(|node| node.addr().to_string()).collect();
    let path = format!(
        "{}:{}",
        programs().display(),
        std::env::var("PATH").unwrap_or_default()
    );
    let mut ran = 0;
    for (page, text) in pages() {
        for block in blocks(&text) {
            let output = Command::new("bash")
                .args(["-euo", "pipefail", "-c", &block])
                .current_dir(scratch.path())
                .stdin(Stdio::null())
                .env("PATH", &path)
                .env("ROUTER", router.addr().to_string())
                .env("ROUTER_ADMIN", router.admin().to_string())
                .env("CONFIG", &config)
                .env("NODE", nodes[3].addr().to_string())
                .env("NODE_ADMIN", nodes[3].admin().to_string())
                .env("NODES", list.join(","))
                .output()
                .expect("bash starts");
            let told = [output.stdout, output.stderr].concat();
            let told = String::from_utf8_lossy(&told);
            assert!(
                output.status.success(),
                "{page}:\n{block}{}\n{told}",
                output.status
            );
            assert!(
                !told.trim().is_empty() || block.contains('!'),
                "{page}: says nothing:\n{block}"
            );
            ran += 1;
        }
    }
    assert!(ran > 25, "{ran} blocks");
}
