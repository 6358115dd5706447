//! Forecasts of whole scenarios.

use super::{Forecast, outlook};
use crate::scenario::{Overrides, from_text, load};

fn forecasts(text: &str) -> Vec<Forecast> {
    let scenario =
        from_text("t.toml", text, &Overrides::default()).unwrap_or_else(|diagnostic| panic!("{diagnostic}"));
    outlook(&scenario).unwrap().forecasts
}

/// The law on the real trace with our own placement, against an offline simulation with another: every hash, every event.
#[test]
fn the_law_agrees_with_the_simulated_trace_within_a_point_and_a_half() {
    let scenario = load("builtin:hash-shootout", &Overrides::default()).unwrap();
    let matrix = scenario.matrix.as_ref().unwrap();
    let told = outlook(&scenario).unwrap().forecasts;
    let cases = matrix
        .cases
        .iter()
        .flat_map(|case| matrix.hashes.iter().map(move |hash| (case, hash)));
    let mut compared = 0;
    for ((case, hash), forecast) in cases.zip(&told) {
        let expected = case
            .expected
            .iter()
            .find(|row| row.hash.is_none_or(|named| named == *hash))
            .unwrap();
        let near = |ours: Option<f64>, theirs: f64, what: &str| {
            let ours = ours.unwrap();
            assert!(
                (ours - theirs).abs() < 0.015,
                "{} {hash}, {what}: {ours} against {theirs}",
                case.name
            );
        };
        near(Some(forecast.warm), expected.warm, "warm");
        near(forecast.prediction.first_20k, expected.first_20k, "first 20 k");
        compared += 1;
    }
    assert_eq!(compared, 12);
}

#[test]
fn a_dead_node_stays_cold_until_it_is_back_or_its_keys_are_inherited() {
    let base = "name = \"t\"\nextends = \"builtin:kill-node\"\n";
    let missing = &forecasts(&format!("{base}[cluster]\non_node_down = \"miss\"\n"))[0];
    assert!(missing.stays_cold && missing.prediction.recovery_requests.is_none());
    let inherited = &forecasts(base)[0];
    assert!(!inherited.stays_cold && inherited.prediction.recovery_requests.is_some());
    assert!(
        (inherited.cold_share - 0.25).abs() < 0.02,
        "{}",
        inherited.cold_share
    );
}

#[test]
fn a_pool_that_fills_itself_does_not_dip_and_later_lacks_only_what_was_not_asked_for() {
    let told = forecasts(
        "name = \"t\"\n[cluster]\nrouter = {}\n[workload]\nkeys = 10000\npopularity = { dist = \"zipf\", alpha = 0.9 }\n\
         [load]\nrate = 1000\n[[phase]]\nname = \"fill\"\nkind = \"warmup\"\nduration = \"60s\"\n\
         [[phase]]\nname = \"on\"\nkind = \"measure\"\nduration = \"20s\"\n\
         [[phase]]\nname = \"off\"\nkind = \"measure\"\nduration = \"10s\"\n\
         [[event]]\nat = \"on+0s\"\ndo = \"warmup_route\"\n\
         [[event]]\nat = \"off+0s\"\ndo = \"warmup_route\"\non = false\n",
    );
    let [on, off] = &told[..] else {
        panic!("two events")
    };
    assert_eq!(on.cold_share, 0.0);
    assert!((on.prediction.low.unwrap() - on.warm).abs() < 1e-12);
    assert!((on.prediction.amplification.unwrap() - 1.0).abs() < 1e-9);
    // Sum of e^(-20,000 p) over the keys, and of p e^(-20,000 p): half stays behind, and few ask for it.
    assert!((0.46..0.48).contains(&off.cold_share), "{}", off.cold_share);
    assert!(
        (0.05..0.2).contains(&off.request_fraction),
        "{}",
        off.request_fraction
    );
    assert!(off.prediction.first_1k.unwrap() > 0.8 * off.warm);
    assert!(off.prediction.first_1k < off.prediction.first_5k);
}

#[test]
fn a_replica_that_is_lost_takes_no_key_along_and_a_flush_takes_all() {
    let base = "name = \"t\"\nextends = \"builtin:replica-loss\"\n";
    let shares = |text: &str| -> Vec<(f64, bool)> {
        let told = forecasts(text);
        told.iter()
            .map(|forecast| (forecast.cold_share, forecast.stays_cold))
            .collect()
    };
    assert_eq!(shares(base), [(0.0, false)]);
    let flushed = format!("{base}[[event]]\nat = \"back+20s\"\ndo = \"flush\"\n");
    assert_eq!(shares(&flushed), [(1.0, false)]);
}

#[test]
fn one_event_builds_on_the_one_before() {
    let text = "name = \"t\"\nextends = \"builtin:add-node\"\n[[event]]\nat = \"resize+1s\"\ndo = \"add_node\"\ncount = 3\n\
                [[event]]\nat = \"resize+2s\"\ndo = \"remove_node\"\nnode = \"node7\"\n\
                [[event]]\nat = \"resize+3s\"\ndo = \"flush_node\"\nnode = \"node6\"\n";
    let shares: Vec<f64> = forecasts(text)
        .iter()
        .map(|forecast| forecast.cold_share)
        .collect();
    for (share, expected) in shares.iter().zip([3.0 / 7.0, 1.0 / 7.0, 1.0 / 6.0]) {
        assert!((share - expected).abs() < 0.02, "{shares:?}");
    }
}

#[test]
fn a_closed_loop_with_a_clock_cannot_be_predicted_and_says_why() {
    let text = "name = \"t\"\nextends = \"builtin:add-node\"\n[load]\nmode = \"closed\"\n";
    let Err(problem) = from_text(
        "t.toml",
        text,
        &Overrides {
            set: vec![],
            ..Overrides::default()
        },
    ) else {
        panic!("the base's rate belongs to an open loop");
    };
    assert!(
        problem.to_string().contains("`rate` belongs to an open loop"),
        "{problem}"
    );
    let text = "name = \"t\"\n[load]\nmode = \"closed\"\n[[phase]]\nname = \"a\"\nkind = \"measure\"\nduration = \"5s\"\n\
                [[event]]\nat = \"a+1s\"\ndo = \"flush\"\n";
    let scenario = from_text("t.toml", text, &Overrides::default()).unwrap();
    assert!(
        outlook(&scenario)
            .err()
            .unwrap()
            .contains("give phases and events in requests")
    );
}

#[test]
fn a_store_that_shrinks_before_the_event_is_what_the_event_meets() {
    let flush = &forecasts("name = \"t\"\nextends = \"builtin:metastable\"\n")[0];
    let overload = flush.overload.unwrap();
    assert!(
        overload.is_vulnerable(),
        "300/s against 3,000/s on a cold cluster"
    );
    assert!(
        (15.0..30.0).contains(&overload.margin_warm),
        "{}",
        overload.margin_warm
    );
}

#[test]
fn moments_follow_a_rate_that_changes() {
    let text = "name = \"t\"\n[workload]\nkeys = 1000\n[load]\nrate = 1000\nstages = [{ target = 3000, duration = \"10s\" }]\n\
                [[phase]]\nname = \"fill\"\nkind = \"warmup\"\nduration = \"20s\"\n\
                [[phase]]\nname = \"cold\"\nkind = \"measure\"\nduration = \"5s\"\n\
                [[event]]\nat = \"cold+0s\"\ndo = \"flush\"\n";
    let scenario = from_text("t.toml", text, &Overrides::default()).unwrap();
    let prepared = super::prepare(&scenario).unwrap();
    let theory = super::Theory {
        scenario: &scenario,
        prepared: &prepared,
    };
    // 20,000 in the stage, 30,000 after it.
    assert_eq!(theory.length(1).unwrap(), 50_000);
    let flush = &forecasts(text)[0];
    assert!((flush.rate.unwrap() - 3000.0).abs() < 1.0);
}

#[test]
fn what_eviction_leaves_is_what_is_warm() {
    let warm = |cluster: &str| {
        let text = format!(
            "name = \"t\"\nextends = \"builtin:eviction\"\n{cluster}\
             [[phase]]\nname = \"steady\"\nkind = \"baseline\"\nduration = \"60s\"\n\
             [[phase]]\nname = \"cold\"\nkind = \"measure\"\nduration = \"5s\"\n\
             [[event]]\nat = \"cold+0s\"\ndo = \"flush\"\n[[threshold]]\nexpr = \"errors == 0\"\n"
        );
        forecasts(&text)[0].warm
    };
    let ours = warm("");
    let lru = warm("[cluster]\nnode = { memory = \"4MiB\", program = \"/usr/bin/memcached\" }\n");
    let larger = warm("[cluster]\nnode = { memory = \"16MiB\" }\n");
    assert!(lru + 0.03 < ours && ours + 0.05 < larger, "{lru} {ours} {larger}");
}
