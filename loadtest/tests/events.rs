//! Every event on a live cluster: nodes and router in this process, an open loop, a few seconds.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::sync::Arc;

use loadtest::conduct::{self, Stage};
use loadtest::live::Silent;
use loadtest::measure::outcome::Outcome;
use loadtest::scenario::{self, Overrides};

fn run(toml: &str) -> Outcome {
    let overrides = Overrides {
        allow_destructive: true,
        ..Overrides::default()
    };
    let scenario =
        scenario::from_text("t.toml", toml, &overrides).unwrap_or_else(|diagnostic| panic!("{diagnostic}"));
    let logs = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let (_interrupted, interrupt) = tokio::sync::watch::channel(false);
    let stage = Stage::new(logs.path().to_owned(), Arc::new(Silent), interrupt);
    let outcome = tokio::task::LocalSet::new().block_on(&runtime, conduct::run(&scenario, &stage));
    outcome.unwrap_or_else(|error| panic!("{error}"))
}

fn scenario(cluster: &str, seconds: u32, events: &[(&str, &str)]) -> String {
    let mut toml = format!(
        "name = \"events\"\nseed = 3\n[cluster]\nmode = \"embedded\"\nnodes = 3\nnode = {{ memory = \"16MiB\" }}\n{cluster}\n\
         [workload]\nkeys = 400\npopularity = {{ dist = \"zipf\", alpha = 0.9 }}\nvalue_size = 100\n\
         mix = {{ get = 0.96, set = 0.03, delete = 0.01 }}\nttl = {{ base = \"1h\" }}\n\
         [load]\nrate = 400\nconnections = 6\ntimeout = \"2s\"\n\
         [[phase]]\nname = \"fill\"\nkind = \"warmup\"\nduration = \"2s\"\n\
         [[phase]]\nname = \"steady\"\nkind = \"baseline\"\nduration = \"1s\"\n\
         [[phase]]\nname = \"after\"\nkind = \"measure\"\nduration = \"{seconds}s\"\n"
    );
    for (at, action) in events {
        toml.push_str(&format!("[[event]]\nat = \"after+{at}\"\n{action}\n"));
    }
    toml
}

#[track_caller]
fn sound(outcome: &Outcome) {
    for card in &outcome.events {
        assert_eq!(card.error, None, "{}", card.label);
    }
    let totals = &outcome.totals;
    assert_eq!(totals.mismatches, 0, "{:?}", outcome.mismatch_examples);
    assert_eq!(totals.misses_by_reason.misses(), totals.misses);
    assert!(totals.hits > 500, "{totals:?}");
}

fn labels(outcome: &Outcome) -> Vec<&str> {
    outcome.events.iter().map(|card| card.label.as_str()).collect()
}

#[test]
fn nodes_come_and_go_by_every_road() {
    for router in ["router = {}", "", "router = {}\non_node_down = \"eject\""] {
        let outcome = run(&scenario(
            router,
            7,
            &[
                ("0s", "do = \"stop_node\"\nnode = \"node2\""),
                ("1s", "do = \"start_node\""),
                ("2s", "do = \"replace_node\"\nnode = \"node1\""),
                (
                    "3s",
                    "do = \"rolling_restart\"\ndown = \"100ms\"\ngap = \"300ms\"",
                ),
                ("5s", "do = \"drain_node\"\nnode = \"node3\"\nover = \"1s\""),
                ("6500ms", "do = \"add_node\""),
            ],
        ));
        sound(&outcome);
        assert_eq!(
            labels(&outcome),
            [
                "stop node node2",
                "start node node2",
                "replace node node1",
                "restart every node empty, 1 at a time, down for 100ms, 300ms apart",
                "restart node node1",
                "restart node node2",
                "restart node node3",
                "drain node node3",
                "add node node4",
            ],
            "{router}"
        );
        assert_eq!(
            outcome.events[2].misses.remapped, 0,
            "a spare takes the same keys: {router}"
        );
    }
}

#[test]
fn a_partition_costs_the_node_behind_it_and_heals() {
    for (mode, direction) in [("drop", "both"), ("reset", "both"), ("drop", "out")] {
        let outcome = run(&scenario(
            "router = {}",
            6,
            &[
                (
                    "0s",
                    &format!(
                        "do = \"partition\"\nnode = \"node2\"\nmode = \"{mode}\"\ndirection = \"{direction}\""
                    ),
                ),
                ("2s", "do = \"heal\""),
                (
                    "4s",
                    "do = \"slow_node\"\nnode = \"node1\"\ndelay = \"30ms\"\nuntil = \"1s\"",
                ),
            ],
        ));
        sound(&outcome);
        let [cut, healed, slow] = &outcome.events[..] else {
            panic!("{:?}", labels(&outcome));
        };
        // Everything of the node is out of reach: counted as its, not as evicted.
        assert!(
            cut.affected.hits + cut.affected.misses + cut.misses.error > 100,
            "{cut:?}"
        );
        assert!(
            cut.affected.rate().unwrap_or(0.0) < 0.35,
            "{mode} {direction}: {cut:?}"
        );
        assert_eq!(cut.misses.evicted, 0, "{mode} {direction}: {cut:?}");
        // Looked at directly, before, meanwhile and after: it never lost them.
        let held = || {
            let rows = outcome.nodes.iter().filter(|row| row.node == "node2" && row.up);
            rows.skip_while(|row| row.t < cut.at_seconds - 1.0)
                .map(|row| row.items)
        };
        assert!(
            held().count() > 1 && held().min() >= held().next().map(|items| items / 2),
            "{mode} {direction}: {:?}",
            held().collect::<Vec<_>>()
        );
        assert!(healed.nodes.is_empty(), "everything is healed: {healed:?}");
        assert!(slow.nodes == ["node1"]);
    }
}

#[test]
fn what_nodes_hold_and_what_is_asked_can_be_changed() {
    let outcome = run(&scenario(
        "router = {}",
        7,
        &[
            ("0s", "do = \"expire_hot\""),
            ("500ms", "do = \"flush\"\ndelay = \"300ms\""),
            ("2s", "do = \"sync_expiry\"\nfraction = 0.5"),
            ("2500ms", "do = \"popularity_shift\"\nrotate = 100"),
            (
                "3s",
                "do = \"backend\"\ncapacity = 50\nlatency = \"5ms\"\nfail = 0.5",
            ),
            ("3500ms", "do = \"rate\"\nto = 200\nover = \"500ms\""),
            (
                "5s",
                "do = \"shed\"\nfraction = 1.0\nover = \"1s\"\nramp = \"200ms\"",
            ),
            ("6500ms", "do = \"exec\"\ncmd = \"true\""),
        ],
    ));
    sound(&outcome);
    assert_eq!(
        labels(&outcome),
        [
            "expire the hottest key",
            "flush every node, 300ms apart",
            "flush node node2",
            "flush node node3",
            "give 50 % of the keys their TTL anew, at once",
            "move every key 100 ranks on",
            "backing store: capacity 50/s, another latency, 50 % of reads fail",
            "rate 200",
            "turn 100 % of the load away for 1s, let it back in over 200ms",
            "run `true`",
        ]
    );
    assert!(
        outcome.totals.misses_by_reason.expired > 0,
        "{:?}",
        outcome.totals
    );
    // What is let in between the two cards follows from when they really came: at 200/s, none of it for a second.
    let card = |action: &str| outcome.events.iter().find(|card| card.action == action).unwrap();
    let (shed, after) = (card("shed"), card("exec"));
    let offered = (after.at_request - shed.at_request) as f64;
    let let_in = 200.0 * (after.at_seconds - shed.at_seconds - 1.0);
    assert!(
        offered < 1.3 * let_in + 60.0,
        "a whole load was shed: {offered} came, {let_in:.0} were let in"
    );
    assert!(
        outcome.totals.backend_timeouts > 0,
        "half of the reads fail from then on"
    );
}

#[test]
fn a_replicated_pool_outlives_any_one_node() {
    let outcome = run(&scenario(
        "router = {}\nreplicated = true",
        3,
        &[("0s", "do = \"kill_node\"\nnode = \"node2\"")],
    ));
    sound(&outcome);
    let card = &outcome.events[0];
    assert_eq!(
        card.misses.node_cold + card.misses.remapped,
        0,
        "{:?}",
        card.misses
    );
    assert!(card.low.unwrap_or(0.0) > 0.75, "{card:?}");
}
