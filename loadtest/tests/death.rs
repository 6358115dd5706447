//! Whatever dies while a run goes on, what was measured until then is told: a node, the router, the run itself.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use loadtest::measure::outcome::Outcome;

const SCENARIO: &str = r#"
name = "death"
seed = 5
[cluster]
nodes = 2
router = {}
node = { memory = "16MiB" }
[workload]
keys = 500
[load]
rate = 300
connections = 4
timeout = "500ms"
[[phase]]
name = "fill"
kind = "warmup"
duration = "2s"
[[phase]]
name = "after"
kind = "measure"
duration = "6s"
[[event]]
at = "fill+1s"
do = "exec"
cmd = "touch driving; while [ ! -e go-on ]; do sleep 0.02; done"
"#;

/// Made by the run's own event once the load goes on; and by the test when the timeline may go on too. Between the two
/// the load goes on and the first phase does not end, so that what dies does so in the middle on any machine.
const DRIVING: &str = "driving";
const GO_ON: &str = "go-on";

/// Starts the run in a folder of its own.
fn start(folder: &Path) -> Child {
    let scenario = folder.join("death.toml");
    std::fs::write(&scenario, SCENARIO).unwrap();
    Command::new(env!("CARGO_BIN_EXE_loadtest"))
        .args(["run", "--view", "quiet", "--allow-destructive", "-o"])
        .arg(folder.join("runs"))
        .arg(&scenario)
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // As a shell starts it: Ctrl-C goes to all of the group.
        .process_group(0)
        .spawn()
        .unwrap()
}

#[expect(
    clippy::disallowed_methods,
    reason = "a process is waited for in this test's own time"
)]
fn eventually<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The process that `parent` started under the hidden command `program`, once it runs.
fn child_of(parent: u32, program: &str) -> Option<u32> {
    std::fs::read_dir("/proc").unwrap().flatten().find_map(|entry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
        // pid (name) state ppid …; the name may hold anything but ends at the last parenthesis.
        let ppid: u32 = stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()?;
        let command = std::fs::read(entry.path().join("cmdline")).ok()?;
        let is_it = command.split(|byte| *byte == 0).nth(1) == Some(program.as_bytes());
        (ppid == parent && is_it).then_some(pid)
    })
}

fn signal(pid: u32, signal: &str) {
    let status = Command::new("kill")
        .args([signal, &pid.to_string()])
        .status()
        .unwrap();
    assert!(status.success());
}

/// Waits until the load goes on, and returns the run's folder.
fn until_driving(folder: &Path) -> PathBuf {
    eventually("the load", || folder.join(DRIVING).exists().then_some(()));
    let runs = std::fs::read_dir(folder.join("runs")).unwrap();
    runs.flatten().next().unwrap().path()
}

fn go_on(folder: &Path) {
    std::fs::write(folder.join(GO_ON), "").unwrap();
}

/// The exit code, and what the run left.
fn end(mut child: Child, run: &Path) -> (i32, Outcome) {
    let status = eventually("the end of the run", || child.try_wait().unwrap());
    for name in [
        "run.json",
        "report.html",
        "summary.txt",
        "series.csv",
        "requests.csv",
        "nodes.csv",
        "misses.csv",
        "events.csv",
        "scenario.toml",
    ] {
        let len = std::fs::metadata(run.join(name))
            .map(|file| file.len())
            .unwrap_or(0);
        assert!(len > 0, "{name} is missing or empty");
    }
    let json = std::fs::read_to_string(run.join("run.json")).unwrap();
    (status.code().unwrap(), serde_json::from_str(&json).unwrap())
}

#[test]
fn a_node_that_dies_by_itself_costs_its_keys_and_no_artefact() {
    let folder = tempfile::tempdir().unwrap();
    let child = start(folder.path());
    let run = until_driving(folder.path());
    let node = eventually("a node", || child_of(child.id(), "cache-node"));
    signal(node, "-KILL");
    go_on(folder.path());
    let (code, outcome) = end(child, &run);
    assert_eq!(code, 0, "a scenario without thresholds has nothing to fail");
    let totals = outcome.totals;
    assert_eq!(outcome.phases.len(), 2);
    assert_eq!((totals.mismatches, totals.stale_reads), (0, 0));
    assert!(totals.offered > 2_000, "the load went on: {totals:?}");
    assert!(
        outcome.nodes.iter().any(|row| !row.up),
        "its rows say that it was down"
    );
    assert!(
        outcome
            .node_totals
            .iter()
            .any(|node| node.role == "node" && node.up)
    );
}

#[test]
fn a_router_that_dies_leaves_errors_in_the_report_and_the_report() {
    let folder = tempfile::tempdir().unwrap();
    let child = start(folder.path());
    let run = until_driving(folder.path());
    let router = eventually("the router", || child_of(child.id(), "router"));
    signal(router, "-KILL");
    go_on(folder.path());
    let (_, outcome) = end(child, &run);
    assert_eq!(outcome.phases.len(), 2);
    assert!(outcome.totals.errors > 500, "{:?}", outcome.totals);
}

#[test]
fn an_interrupted_run_tells_what_it_saw() {
    let folder = tempfile::tempdir().unwrap();
    let child = start(folder.path());
    let run = until_driving(folder.path());
    eventually("a node", || child_of(child.id(), "cache-node"));
    signal(child.id(), "-INT");
    go_on(folder.path());
    let (code, outcome) = end(child, &run);
    assert_eq!(code, 130);
    assert!(outcome.interrupted);
}

#[test]
fn ctrl_c_reaches_the_run_and_leaves_the_cluster_to_it() {
    let folder = tempfile::tempdir().unwrap();
    let child = start(folder.path());
    let run = until_driving(folder.path());
    eventually("a node", || child_of(child.id(), "cache-node"));
    let group = Command::new("kill")
        .args(["-INT", "--", &format!("-{}", child.id())])
        .status()
        .unwrap();
    assert!(group.success());
    go_on(folder.path());
    let (code, outcome) = end(child, &run);
    assert_eq!(code, 130);
    let totals = outcome.totals;
    assert_eq!(
        totals.errors, totals.timeouts,
        "nobody else took it for theirs: {totals:?}"
    );
}
