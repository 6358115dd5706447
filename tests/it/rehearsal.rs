//! `loadtest` as people and CI use it: exit codes, artefacts, and a verdict on clusters it did not start.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;
use tests::{
    cluster::{Cluster, Layout},
    eventually,
    process::{Program, run_to_end},
};

use crate::against::stock_memcached;

/// Names of the built-in scenarios, as `loadtest list` tells them.
fn builtins() -> Vec<String> {
    let (code, stdout, stderr) = run_to_end(Program::Loadtest, &["list"]);
    assert_eq!(code, Some(0), "{stderr}");
    let named = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../loadtest/scenarios"))
        .expect("the scenarios");
    let names: Vec<String> = named
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .map(|path| path.file_stem().expect("a name").display().to_string())
        .collect();
    for name in &names {
        assert!(
            stdout.contains(name.as_str()),
            "list does not name {name}: {stdout}"
        );
    }
    names
}

#[test]
fn every_built_in_scenario_checks_and_can_be_predicted() {
    let names = builtins();
    assert!(names.len() >= 5, "{names:?}");
    for name in names {
        for command in ["check", "predict"] {
            let (code, stdout, stderr) =
                run_to_end(Program::Loadtest, &[command, &format!("builtin:{name}")]);
            assert_eq!(code, Some(0), "{command} {name}: {stderr}");
            assert!(!stdout.trim().is_empty(), "{command} {name} says nothing");
        }
    }
}

#[test]
fn a_mistake_exits_with_2_and_the_nearest_name() {
    let folder = TempDir::new().expect("a scratch folder");
    let file = |text: &str| {
        let path = folder.path().join("scenario.toml");
        fs::write(&path, text).expect("the scenario is written");
        path.to_str().expect("a plain path").to_owned()
    };
    let refused = |args: &[&str], says: &[&str]| {
        let (code, stdout, stderr) = run_to_end(Program::Loadtest, args);
        assert_eq!(code, Some(2), "{args:?}: {stdout}{stderr}");
        for words in says {
            assert!(
                stderr.contains(words),
                "{args:?} does not say {words:?}: {stderr}"
            );
        }
    };
    refused(&["run", "builtin:add-nod"], &["add-nod", "add-node"]);
    refused(&["run", "/no/such/file.toml"], &["/no/such/file.toml"]);
    refused(&["frobnicate"], &["frobnicate"]);
    refused(
        &["check", &file("name = \"x\"\n[cluster]\nnods = 4\n")],
        &["nods", "nodes", ":3"],
    );
    refused(
        &[
            "check",
            &file(
                "name = \"x\"\n[[phase]]\nname = \"p\"\nkind = \"measure\"\nduration = \"5s\"\n[[event]]\nat = \"t+1s\"\ndo = \"add_nod\"\n",
            ),
        ],
        &["add_nod", "add_node"],
    );
    refused(&["check", &file("name = [")], &["scenario.toml"]);
}

/// The one folder that a run made in `out`.
fn run_folder(out: &Path) -> PathBuf {
    let entries: Vec<PathBuf> = fs::read_dir(out)
        .expect("a folder of runs")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    let [folder] = &entries[..] else {
        panic!("not one run in {}: {entries:?}", out.display())
    };
    folder.clone()
}

#[track_caller]
fn outcome(folder: &Path) -> Value {
    let text = fs::read_to_string(folder.join("run.json")).expect("run.json");
    serde_json::from_str(&text).expect("run.json is JSON")
}

#[track_caller]
fn number(outcome: &Value, pointer: &str) -> u64 {
    outcome
        .pointer(pointer)
        .and_then(Value::as_u64)
        .unwrap_or_else(|| panic!("no {pointer} in run.json"))
}

#[test]
fn a_run_passes_and_leaves_its_artefacts() {
    let out = TempDir::new().expect("a scratch folder");
    let out_text = out.path().to_str().expect("a plain path");
    let (code, stdout, stderr) = run_to_end(Program::Loadtest, &["run", "builtin:smoke", "--out", out_text]);
    // 3 is the machine's fault: the generator could not keep its schedule beside the other tests.
    assert!(matches!(code, Some(0 | 3)), "exit {code:?}\n{stdout}\n{stderr}");
    let folder = run_folder(out.path());
    let outcome = outcome(&folder);
    assert!(number(&outcome, "/totals/gets") > 1000);
    assert!(number(&outcome, "/totals/hits") > 0);
    assert_eq!(number(&outcome, "/totals/mismatches"), 0);
    let series = fs::read_to_string(folder.join("series.csv")).expect("series.csv");
    assert!(series.lines().count() > 5, "{series}");
    let report = fs::read_to_string(folder.join("report.html")).expect("report.html");
    assert!(
        report.contains("<svg") || report.contains("<canvas") || report.contains("uPlot"),
        "no chart in the report"
    );
    for fetched in [
        "src=\"http",
        "src='http",
        "href=\"http://",
        "@import",
        "<link rel=\"stylesheet\" href",
    ] {
        assert!(
            !report.contains(fetched),
            "the report fetches something: {fetched}"
        );
    }
    // Drawn again without a cluster, it is drawn the same.
    let redrawn = out.path().join("again.html");
    let redrawn_text = redrawn.to_str().expect("a plain path");
    let (code, _, stderr) = run_to_end(
        Program::Loadtest,
        &[
            "report",
            folder.to_str().expect("a plain path"),
            "-o",
            redrawn_text,
        ],
    );
    assert_eq!(code, Some(0), "{stderr}");
    assert!(
        fs::read_to_string(&redrawn)
            .expect("the report drawn again")
            .len()
            > 1000
    );
}

#[test]
fn a_threshold_that_does_not_hold_exits_with_99() {
    let out = TempDir::new().expect("a scratch folder");
    let out_text = out.path().to_str().expect("a plain path");
    let args = [
        "run",
        "builtin:smoke",
        "--out",
        out_text,
        "--threshold",
        "hit_rate > 1.5",
    ];
    let (code, stdout, stderr) = run_to_end(Program::Loadtest, &args);
    assert!(matches!(code, Some(99 | 3)), "exit {code:?}\n{stdout}\n{stderr}");
}

#[test]
fn an_interrupted_run_writes_what_it_has_and_exits_with_130() {
    let out = TempDir::new().expect("a scratch folder");
    let binary = Program::Loadtest
        .locate()
        .unwrap_or_else(|error| panic!("{error}"));
    let mut command = Command::new(binary);
    command
        .args(["run", "builtin:smoke", "--view", "plain", "--out"])
        .arg(out.path());
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("loadtest starts");
    let pid = i32::try_from(child.id())
        .ok()
        .and_then(rustix::process::Pid::from_raw)
        .expect("a pid fits");
    let children = || children_of(child.id());
    let started = eventually(Duration::from_secs(20), "the cluster is up", || {
        let pids = children();
        if pids.len() >= 4 {
            Ok(pids)
        } else {
            Err(format!("{pids:?}"))
        }
    });
    rustix::process::kill_process(pid, Signal::INT).expect("the signal is sent");
    let status = eventually(Duration::from_secs(20), "loadtest ends", || {
        match child.try_wait() {
            Ok(Some(status)) => Ok(status),
            other => Err(format!("{other:?}")),
        }
    });
    assert_eq!(status.code(), Some(130));
    assert_eq!(
        outcome(&run_folder(out.path())).get("interrupted"),
        Some(&Value::Bool(true))
    );
    eventually(Duration::from_secs(10), "no node is left behind", || {
        let left: Vec<&u32> = started
            .iter()
            .filter(|pid| Path::new(&format!("/proc/{pid}")).exists())
            .collect();
        if left.is_empty() {
            Ok(())
        } else {
            Err(format!("{left:?}"))
        }
    });
}

/// Processes whose parent is `pid`.
fn children_of(pid: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten()
        .flatten();
    let lists = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    lists
        .flat_map(|list| {
            list.split_whitespace()
                .filter_map(|pid| pid.parse().ok())
                .collect::<Vec<u32>>()
        })
        .collect()
}

/// What `loadtest topology` says of `cluster`.
fn verdict(cluster: &Cluster) -> String {
    let router = cluster.addr().to_string();
    let nodes: Vec<String> = cluster
        .servers
        .iter()
        .map(|server| server.addr().to_string())
        .collect();
    let args = ["topology", "--router", &router, "--nodes", &nodes.join(",")];
    let (code, stdout, stderr) = run_to_end(Program::Loadtest, &args);
    assert_eq!(code, Some(0), "{stdout}{stderr}");
    stdout
}

#[test]
fn sharded_and_replicated_clusters_are_told_apart() {
    let programs = [Program::CacheNode].into_iter().chain(stock_memcached());
    for program in programs {
        let said = verdict(&Cluster::routed(Layout::Sharded, program, 3, &[]));
        assert!(
            said.contains("sharded") && !said.contains("replicated"),
            "{program:?}: {said}"
        );
        let said = verdict(&Cluster::routed(Layout::Replicated, program, 2, &[]));
        assert!(
            said.contains("replicated") && !said.contains("sharded"),
            "{program:?}: {said}"
        );
    }
}
