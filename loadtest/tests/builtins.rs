//! Built-in scenarios at a fraction of their size: what they expect holds on our cluster, and does not when the thing they
//! guard is broken.
//!
//! In a closed loop, so that what is compared are counts of requests: the same on a slow machine as on a fast one.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::path::Path;
use std::process::{Command, Stdio};

use loadtest::measure::outcome::Outcome;
use loadtest::scenario::builtin;
use toml::{Table, Value};

/// Requests that stand for a second of the built-in, which has more keys.
const REQUESTS_PER_SECOND: i64 = 600;
/// Keys for each of which there is one here.
const KEYS: i64 = 4;

/// The built-in with these words changed.
fn changed(name: &str, changes: &[(&str, &str)]) -> Table {
    let mut text = builtin::text(name).unwrap().to_owned();
    for (from, to) in changes {
        assert!(text.contains(from), "{name} no longer says {from:?}");
        text = text.replace(from, to);
    }
    text.parse().unwrap()
}

/// Fewer keys, requests instead of seconds.
fn small(scenario: Table) -> Table {
    smaller(scenario, KEYS)
}

fn smaller(mut scenario: Table, by: i64) -> Table {
    let keys = scenario["workload"]["keys"].as_integer().unwrap();
    scenario["workload"]["keys"] = Value::Integer(keys / by);
    scenario["load"] = "mode = \"closed\"\nconnections = 4\npipeline = 8\ntimeout = \"30s\""
        .parse::<Table>()
        .unwrap()
        .into();
    for phase in scenario["phase"].as_array_mut().unwrap() {
        let phase = phase.as_table_mut().unwrap();
        let duration = phase.remove("duration").unwrap();
        let seconds: i64 = duration.as_str().unwrap().trim_end_matches('s').parse().unwrap();
        phase.insert("requests".into(), Value::Integer(seconds * REQUESTS_PER_SECOND));
    }
    // How much the busiest second had says how fast this machine is.
    let thresholds = scenario["threshold"].as_array_mut().unwrap();
    thresholds.retain(|threshold| !threshold["expr"].as_str().unwrap().contains("amplification"));
    scenario
}

fn run(scenario: &Table) -> (Option<i32>, Outcome, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("small.toml");
    std::fs::write(&file, toml::to_string(scenario).unwrap()).unwrap();
    let json = folder.path().join("run.json");
    let output = Command::new(env!("CARGO_BIN_EXE_loadtest"))
        .args(["run", "--view", "quiet", "-o"])
        .arg(folder.path().join("runs"))
        .arg("--json")
        .arg(&json)
        .arg(&file)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    (output.status.code(), read(&json, &said), said)
}

fn read(json: &Path, said: &str) -> Outcome {
    let text = std::fs::read_to_string(json).unwrap_or_else(|error| panic!("{error}: {said}"));
    serde_json::from_str(&text).unwrap()
}

#[track_caller]
fn passes(scenario: &Table) -> Outcome {
    let (code, outcome, said) = run(scenario);
    assert_eq!(code, Some(0), "{said}");
    assert!(!outcome.thresholds.is_empty());
    outcome
}

/// Exit code 99, and it is this that did not hold.
#[track_caller]
fn fails(scenario: &Table, expected: &str) {
    let (code, outcome, said) = run(scenario);
    assert_eq!(code, Some(99), "{said}");
    let failed = outcome.thresholds.iter().filter(|threshold| !threshold.passed);
    let failed: Vec<&str> = failed.map(|threshold| threshold.expr.as_str()).collect();
    assert!(
        failed.iter().any(|expr| expr.contains(expected)),
        "{expected} held; what failed was {failed:?}\n{said}"
    );
}

#[test]
fn a_new_pool_fills_itself_from_the_old_one() {
    let outcome = passes(&small(changed("warmup-route", &[])));
    let copies = outcome.events.last().unwrap().copies.unwrap();
    assert!(
        copies.originals > 500 && copies.copied > copies.originals / 2,
        "{copies:?}"
    );
    let on = "at = \"warm+0s\"\ndo = \"warmup_route\"\n";
    // The old nodes have nothing to give: the move costs what a flush costs.
    let emptied = format!("at = \"warm+0s\"\ndo = \"flush\"\n[[event]]\n{on}");
    fails(
        &small(changed("warmup-route", &[(on, &emptied)])),
        "warm.hit_rate.min",
    );
    // Copies that live longer than what they copy.
    let longer = format!("{on}exptime = \"3h\"\n");
    fails(
        &small(changed("warmup-route", &[(on, &longer)])),
        "copies.outliving",
    );
}

#[test]
fn a_gutter_ends_the_loss_before_the_outage_ends() {
    let outcome = passes(&small(changed("gutter", &[])));
    let crash = &outcome.events[0];
    assert!(
        crash.affected.rate() < crash.unaffected.rate() && crash.misses.remapped > 0,
        "the spare begins empty: {crash:?}"
    );
    let without = [("on_node_down = \"gutter(1)\"", "on_node_down = \"miss\"")];
    fails(&small(changed("gutter", &without)), "crash.recovery_95");
}

#[test]
fn a_lost_replica_costs_nothing() {
    passes(&small(changed("replica-loss", &[])));
    let sharded = [("replicated = true", "replicated = false")];
    fails(&small(changed("replica-loss", &sharded)), "loss.hit_rate.min");
}

#[test]
fn an_upgrade_with_memory_kept_loses_nothing() {
    // A closed loop stands still while a node is away, so that there is no need to wait long.
    let quick = [
        ("down = \"500ms\"", "down = \"50ms\""),
        ("gap = \"8s\"", "gap = \"50ms\""),
    ];
    let outcome = passes(&small(changed("rolling-restart", &quick)));
    assert_eq!(outcome.events.len(), 5, "a card for each node, and one for all");
    let cold = [quick[0], quick[1], ("warm = true", "warm = false")];
    fails(&small(changed("rolling-restart", &cold)), "roll.hit_rate >=");
}

#[test]
fn what_was_popular_makes_room() {
    // A tenth of the keys in an eighth of the memory.
    let less = [
        ("nodes = 4", "nodes = 2"),
        ("memory = \"4MiB\"", "memory = \"1MiB\""),
    ];
    passes(&smaller(changed("popularity-shift", &less), 10));
    let full = [
        less[0],
        ("memory = \"4MiB\"", "memory = \"1MiB\", args = [\"-M\"]"),
    ];
    fails(
        &smaller(changed("popularity-shift", &full), 10),
        "shift.recovery_95",
    );
}

#[test]
fn what_is_predicted_of_a_shift_counts_what_is_stored_at_that_moment() {
    // All over within the second between two looks at the nodes, if the machine is quick.
    let quick = [
        ("duration = \"60s\"", "duration = \"20s\""),
        (
            "duration = \"20s\"\n\n[[phase]]\nname = \"shift\"",
            "duration = \"2s\"\n\n[[phase]]\nname = \"shift\"",
        ),
        ("duration = \"80s\"", "duration = \"5s\""),
    ];
    let (_, outcome, said) = run(&smaller(changed("popularity-shift", &quick), 100));
    let predicted = outcome.events[0]
        .predicted
        .first_1k
        .unwrap_or_else(|| panic!("{said}"));
    assert!(
        predicted > 0.85,
        "nearly every key was stored, and {predicted} was predicted"
    );
}

#[test]
fn full_nodes_keep_what_the_theory_of_their_eviction_says() {
    // A quarter of the keys, at a quarter of the memory.
    let less = ("memory = \"4MiB\"", "memory = \"1MiB\"");
    let outcome = passes(&small(changed("eviction", &[less])));
    let steady = outcome.phases.last().unwrap();
    assert!(steady.totals.misses_by_reason.evicted > 1_000, "{steady:?}");
    let refusing = ("memory = \"4MiB\"", "memory = \"1MiB\", args = [\"-M\"]");
    fails(&small(changed("eviction", &[refusing])), "predicted.hit_rate");
}

/// Rates need an open loop; what is asked of this machine is little, and its patience long.
#[test]
fn a_search_ends_at_the_highest_rate_that_holds() {
    let quick = [
        ("rate = 2500", "rate = 100"),
        ("timeout = \"1s\"", "timeout = \"20s\""),
        ("from = 500", "from = 50"),
        ("to = 5000", "to = 200"),
        ("duration = \"30s\"", "duration = \"1s\""),
        ("duration = \"8s\"", "duration = \"1s\""),
        ("capacity >= 1000", "capacity >= 200"),
    ];
    let capacity = |limit: &str| {
        let mut changes = quick.to_vec();
        let limit = format!("limit = \"{limit}\"");
        changes.push(("limit = \"5ms\"", &limit));
        let (_, outcome, said) = run(&changed("capacity-search", &changes));
        let threshold = outcome.thresholds.last().unwrap().passed;
        let search = outcome.search.unwrap_or_else(|| panic!("{said}"));
        (search.capacity, search.probes.len(), threshold)
    };
    assert_eq!(capacity("20s"), (200.0, 3, true), "50, 100, 200");
    assert_eq!(
        capacity("1us"),
        (0.0, 2, false),
        "nothing is that fast, tried twice"
    );
}
