//! A run that changes by itself: a rate in stages and bursts, TTLs spread by the nodes, thresholds that need a while or
//! end it.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod whole;

use loadtest::live::orders::Orders;
use loadtest::measure::outcome::{Outcome, ThresholdResult};
use loadtest::scenario::{Scenario, threshold};

const CLUSTER: &str =
    "name = \"course\"\nseed = 3\n[cluster]\nmode = \"embedded\"\nnodes = 1\nnode = { memory = \"16MiB\" }\n";

fn run(toml: &str) -> (Scenario, Outcome, Vec<ThresholdResult>) {
    let (scenario, outcome) = whole::run(toml, Orders::none());
    let judged = threshold::judge(&scenario.thresholds, &outcome);
    (scenario, outcome, judged)
}

fn phase(seconds: u32) -> String {
    format!("[[phase]]\nname = \"all\"\nkind = \"measure\"\nduration = \"{seconds}s\"\n")
}

#[test]
fn a_rate_in_stages_offers_what_lies_under_its_line() {
    let (scenario, outcome, _) = run(&format!(
        "{CLUSTER}[workload]\nkeys = 100\n[load]\nrate = 100\narrival = \"burst(5)\"\ntimeout = \"20s\"\n\
         stages = [{{ target = 900, duration = \"3s\" }}, {{ target = 300, duration = \"0s\" }}]\n{}",
        phase(6)
    ));
    let [phase] = &outcome.phases[..] else {
        panic!("one phase")
    };
    // However late this machine ended the phase: the schedule went on until then.
    let expected = scenario.load.course().unwrap().requests_until(phase.end_seconds);
    let offered = outcome.totals.offered as f64;
    // A machine that is busy takes its steps late; without any there would be a quarter of this.
    assert!(
        offered > 0.6 * expected && offered < 1.4 * expected,
        "{offered} of {expected}"
    );
}

#[test]
fn a_threshold_counts_after_its_while_and_may_end_the_run() {
    let threshold = |expr: &str, rest: &str| format!("[[threshold]]\nexpr = \"{expr}\"\n{rest}\n");
    let (_, outcome, judged) = run(&format!(
        "{CLUSTER}[workload]\nkeys = 100\n[load]\nrate = 200\ntimeout = \"20s\"\n{}{}{}{}{}",
        phase(600),
        threshold("requests < 100", "for = \"10m\""),
        threshold("hit_rate >= 0", "for = \"1s\""),
        threshold("requests < 200", "for = \"2s\"\nabort = true"),
        threshold("mismatches == 0", "abort = true"),
    ));
    let passed: Vec<bool> = judged.iter().map(|result| result.passed).collect();
    assert_eq!(passed, [true, true, false, true], "{judged:?}");
    assert!(judged[2].detail.contains("ended the run"), "{judged:?}");
    assert!(
        outcome.breaches.iter().any(|breach| breach.ended_run),
        "{:?}",
        outcome.breaches
    );
    assert!(!outcome.interrupted);
    // Ten minutes were planned.
    assert!(outcome.totals.offered < 60_000, "{:?}", outcome.totals);
}

#[test]
fn nodes_that_spread_ttls_let_items_expire_before_their_time() {
    // 100 keys, each asked for five times a second, live 4 s, or from 2 to 6.
    let expiries = |by: &str| {
        let (_, outcome, _) = run(&format!(
            "{CLUSTER}[workload]\nkeys = 100\npopularity = {{ dist = \"uniform\" }}\n\
             ttl = {{ base = \"4s\", jitter = {by} }}\n[load]\nrate = 500\ntimeout = \"20s\"\n{}",
            phase(9)
        ));
        let totals = outcome.totals;
        assert_eq!(totals.misses_by_reason.misses(), totals.misses);
        assert_eq!(
            totals.misses_by_reason.evicted, 0,
            "{by}: all of them had expired"
        );
        assert!(totals.misses_by_reason.expired > 50, "{by}: {totals:?}");
    };
    expiries("0.5, jitter_by = \"node\"");
    expiries("0.0, jitter_by = \"loadtest\"");
}
