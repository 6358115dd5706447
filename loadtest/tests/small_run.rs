//! A whole run through real sockets, small enough for every build: nodes and router in this process.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod whole;

use loadtest::live::orders::{Order, Orders, desk};
use loadtest::measure::outcome::{Outcome, Recovery};

fn run(toml: &str) -> Outcome {
    whole::run(toml, Orders::none()).1
}

const WORKLOAD: &str = r#"
[workload]
keys = 3_000
popularity = { dist = "zipf", alpha = 0.9 }
value_size = "uniform:120"
mix = { get = 0.96, set = 0.03, delete = 0.01 }
[load]
mode = "closed"
connections = 4
pipeline = 8
timeout = "20s"
[[phase]]
name = "fill"
kind = "warmup"
requests = 20_000
[[phase]]
name = "steady"
kind = "baseline"
requests = 10_000
[[phase]]
name = "after"
kind = "measure"
requests = 20_000
"#;

fn check(outcome: &Outcome) {
    let totals = &outcome.totals;
    assert_eq!(totals.offered, 50_000);
    assert_eq!(
        (totals.mismatches, totals.stale_reads, totals.errors),
        (0, 0, 0),
        "{:?}",
        outcome.mismatch_examples
    );
    assert_eq!(totals.verified, totals.hits);
    assert_eq!(totals.misses_by_reason.misses(), totals.misses);
    assert_eq!(
        totals.misses_by_reason.evicted, 0,
        "{:?}",
        totals.misses_by_reason
    );
    let json = serde_json::to_string(outcome).unwrap();
    assert_eq!(
        serde_json::from_str::<Outcome>(&json).unwrap(),
        *outcome,
        "run.json says everything"
    );
}

#[test]
fn a_node_that_joins_takes_its_share_and_no_other_key() {
    for (place, router) in [("through a router", "router = {}"), ("without a router", "")] {
        let outcome = run(&format!(
            "name = \"small\"\nseed = 7\n[cluster]\nmode = \"embedded\"\nnodes = 3\nhash = \"rendezvous\"\n{router}\n{WORKLOAD}\n\
             [[event]]\nat = \"after+0s\"\ndo = \"add_node\"\n"
        ));
        check(&outcome);
        let card = &outcome.events[0];
        let (predicted, measured) = (card.remap_predicted.unwrap(), card.remap_measured.unwrap());
        assert_eq!(
            predicted, measured,
            "{place}: the live cluster moves what the topologies say"
        );
        assert!(
            measured.keys > 1_000 && measured.moved > 0,
            "{place}: {measured:?}"
        );
        assert!(
            (card.remap_all.unwrap().key_fraction - 0.25).abs() < 0.04,
            "{place}: {card:?}"
        );
        assert_eq!(
            card.at_request, outcome.phases[2].start_request,
            "{place}: exactly between two requests"
        );
        assert!(
            card.misses.remapped > 0 && card.misses.node_cold == 0,
            "{place}: {:?}",
            card.misses
        );
        assert!(card.unaffected.rate() > card.affected.rate(), "{place}: {card:?}");
        assert!(
            matches!(card.recovery_95, Recovery::After { .. }),
            "{place}: {:?}",
            card.recovery_95
        );
    }
}

#[test]
fn a_flush_makes_every_key_cold_and_the_first_misses_say_so() {
    let outcome = run(&format!(
        "name = \"small\"\nseed = 7\n[cluster]\nmode = \"embedded\"\nnodes = 2\nrouter = {{}}\nhash = \"ketama\"\n{WORKLOAD}\n\
         [[event]]\nat = \"after+0s\"\ndo = \"flush\"\n"
    ));
    check(&outcome);
    let card = &outcome.events[0];
    assert!(card.first_1k.unwrap() < card.warm.unwrap() - 0.2, "{card:?}");
    assert!(
        (card.first_5k.unwrap() - card.predicted.first_5k.unwrap()).abs() < 0.05,
        "{card:?}"
    );
    assert_eq!(outcome.totals.misses_by_reason.remapped, 0);
    assert!(
        outcome.totals.misses_by_reason.node_cold > 500,
        "{:?}",
        outcome.totals.misses_by_reason
    );
}

#[test]
fn a_node_removed_from_the_middle_gives_up_its_own_keys_only() {
    let outcome = run(&format!(
        "name = \"small\"\nseed = 7\n[cluster]\nmode = \"embedded\"\nnodes = 4\nrouter = {{}}\nhash = \"rendezvous\"\n{WORKLOAD}\n\
         [[event]]\nat = \"after+0s\"\ndo = \"remove_node\"\nnode = \"node2\"\n"
    ));
    check(&outcome);
    let card = &outcome.events[0];
    assert_eq!(card.nodes, ["node2"]);
    assert_eq!(card.remap_predicted, card.remap_measured);
    assert!((card.remap_all.unwrap().key_fraction - 0.25).abs() < 0.04);
}

#[test]
fn what_is_asked_for_by_hand_is_done_and_told_apart() {
    let (desk, orders) = desk(vec![Order::AddNode, Order::KillNode, Order::Faster]);
    desk.take(Order::AddNode).unwrap();
    // A closed loop has no rate: that is said, and the run goes on.
    desk.take(Order::Faster).unwrap();
    let cluster = "[cluster]\nmode = \"embedded\"\nnodes = 2\nhash = \"rendezvous\"\n";
    let outcome = whole::run(&format!("name = \"hand\"\nseed = 3\n{cluster}{WORKLOAD}"), orders).1;
    check(&outcome);
    let labels: Vec<&str> = outcome.events.iter().map(|event| event.label.as_str()).collect();
    assert_eq!(labels, ["add node node3 (by hand)"]);
    assert_eq!(outcome.events[0].error, None);
}
