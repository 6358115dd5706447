//! How requests arrive, whom they ask for, what spreads their expiries; and thresholds that are watched.

use std::time::Duration;

use super::{HEAD, accepted, refused};
use crate::scenario::{Arrival, Bucket, LoadMode, Overrides, Popularity, Scenario, Stage, Ttl, from_text};

/// Read, written out with every default, and read again.
fn through_the_file(text: &str) -> Scenario {
    let scenario = accepted(text);
    let again = accepted(&scenario.to_toml());
    assert_eq!(again, scenario, "{}", scenario.to_toml());
    scenario
}

#[test]
fn arrivals_may_come_in_bursts() {
    let scenario = through_the_file(&format!("{HEAD}[load]\nrate = 500\narrival = \"burst(20)\"\n"));
    assert_eq!(
        scenario.load.mode,
        LoadMode::Open {
            rate: 500.0,
            arrival: Arrival::Burst(20)
        }
    );
    refused(
        &format!("{HEAD}[load]\narrival = \"burst(0)\"\n"),
        "
t.toml:7: unknown arrival `burst(0)`
  7 | arrival = \"burst(0)\"
    |           ^^^^^^^^^^ expected poisson, constant or burst(N), N requests at a time (at most 10000)",
    );
}

#[test]
fn a_rate_may_go_through_stages() {
    let stages = "stages = [{ target = 2000, duration = \"10s\" }, { target = 500, duration = \"0s\" }]";
    let text = format!("{HEAD}[load]\nrate = 1000\n{stages}\n");
    let scenario = through_the_file(&text);
    assert_eq!(scenario.load.stages.len(), 2);
    let course = scenario.load.course().unwrap();
    // 10 s at 1,500 on average, then 20 s at 500.
    assert!((course.requests_until(30.0) - 25_000.0).abs() < 1e-6);
    let half = Overrides {
        time_scale: Some(0.5),
        ..Overrides::default()
    };
    let scaled = from_text("t.toml", &text, &half).unwrap();
    assert_eq!(
        scaled.load.stages[0],
        Stage {
            target: 2000.0,
            duration: Duration::from_secs(5)
        }
    );
    refused(
        &format!("{HEAD}[load]\nmode = \"closed\"\n{stages}\n"),
        "
t.toml:8: `stages` belongs to an open loop
  8 | stages = [{ target = 2000, duration = \"10s\" }, { target = 500, duration = \"0s\" }]
    |          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ expected mode = \"open\", or no `stages`",
    );
    refused(
        &format!("{HEAD}[load]\nstages = [{{ target = 2000 }}]\n"),
        "
t.toml:7: a stage says where the rate goes and how long it takes
  7 | stages = [{ target = 2000 }]
    |           ^^^^^^^^^^^^^^^^^ expected { target = 8000, duration = \"30s\" }",
    );
}

#[test]
fn a_popularity_may_be_a_histogram() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("popularity.csv");
    std::fs::write(&file, "# of a day in March\nkeys,requests\n900, 30\n\n100, 70\n").unwrap();
    let wanted = [(100, 0.7), (900, 0.3)].map(|(keys, share)| Bucket { keys, share });
    let from_file = format!(
        "{HEAD}[workload]\npopularity = {{ dist = \"histogram\", file = {:?} }}\n",
        file.display().to_string()
    );
    let inline = format!(
        "{HEAD}[workload]\nkeys = 1000\npopularity = {{ dist = \"histogram\", buckets = [\"100:0.7\", \"900:0.3\"] }}\n"
    );
    for text in [from_file, inline] {
        let scenario = through_the_file(&text);
        assert_eq!(scenario.workload.popularity, Popularity::Histogram(wanted.into()));
        assert_eq!(scenario.workload.keys, 1_000);
    }
    for (rest, message) in [
        (
            "keys = 5\npopularity = { dist = \"histogram\", buckets = [\"10:1\"] }",
            "the buckets of the histogram hold 10 keys",
        ),
        (
            "popularity = { dist = \"histogram\", buckets = [\"10;1\"] }",
            "`10;1` is no bucket",
        ),
        (
            "popularity = { dist = \"histogram\", buckets = [\"10:0\"] }",
            "no bucket is ever asked for",
        ),
        ("popularity = { dist = \"histogram\", buckets = [] }", "0 buckets"),
        (
            "popularity = { dist = \"histogram\", buckets = [\"18446744073709551615:1\", \"9:1\"] }",
            "the buckets hold",
        ),
        (
            "popularity = { dist = \"histogram\" }",
            "a histogram has its buckets in one place",
        ),
        (
            "popularity = { dist = \"histogram\", file = \"/no/such.csv\" }",
            "cannot read /no/such.csv",
        ),
    ] {
        let text = format!("{HEAD}[workload]\n{rest}\n");
        let said = from_text("t.toml", &text, &Overrides::default())
            .unwrap_err()
            .to_string();
        assert!(said.contains(message) && said.contains('^'), "{rest}: {said}");
    }
}

#[test]
fn jitter_is_spread_by_whom_the_file_says() {
    let ttl = |by: &str| {
        let text = format!("{HEAD}[workload]\nttl = {{ base = \"60s\", jitter = 0.2{by} }}\n");
        let scenario = through_the_file(&text);
        let ttl: Ttl = scenario.workload.ttl.unwrap();
        (
            ttl.drawn_jitter(),
            Ttl::early(Some(&ttl)),
            scenario.cluster.node.ttl_jitter,
        )
    };
    assert_eq!(ttl(""), (0.2, 0.1, None), "the nodes do what they do anyway");
    assert_eq!(ttl(", jitter_by = \"loadtest\""), (0.2, 0.0, Some(0.0)));
    assert_eq!(ttl(", jitter_by = \"node\""), (0.0, 0.2, Some(0.2)));
    let foreign = format!(
        "{HEAD}[cluster]\nnode = {{ program = \"/usr/bin/memcached\" }}\n[workload]\nttl = {{ base = \"60s\", jitter_by = \"node\" }}\n"
    );
    let said = from_text("t.toml", &foreign, &Overrides::default())
        .unwrap_err()
        .to_string();
    assert!(said.contains("only nodes of ours"), "{said}");
}

#[test]
fn vnodes_are_the_points_of_a_ring() {
    let hash = |lines: &str| {
        let scenario = through_the_file(&format!("{HEAD}[cluster]\n{lines}\n"));
        scenario.cluster.hash.to_string()
    };
    assert_eq!(hash("hash = \"ring\"\nvnodes = 40"), "ring:40");
    assert_eq!(hash("hash = \"ketama\"\nvnodes = 160"), "ketama");
    refused(
        &format!("{HEAD}[cluster]\nhash = \"jump\"\nvnodes = 40\n"),
        "
t.toml:8: `vnodes` are the points of a server on a ring
  8 | vnodes = 40
    |          ^^ expected hash = \"ring\" or \"ketama\", or no `vnodes`",
    );
}

#[test]
fn a_threshold_may_need_a_while_or_end_the_run() {
    let text = format!(
        "{HEAD}[[threshold]]\nexpr = \"p99('steady') < 50ms\"\nfor = \"10s\"\n[[threshold]]\nexpr = \"stale_reads == 0\"\nabort = true\n"
    );
    let scenario = through_the_file(&text);
    let [lasting, ending] = &scenario.thresholds[..] else {
        panic!("two thresholds")
    };
    assert_eq!((lasting.lasting, lasting.abort), (Duration::from_secs(10), false));
    assert_eq!((ending.lasting, ending.abort), (Duration::ZERO, true));
    refused(
        &format!("{HEAD}[[threshold]]\nexpr = \"stale_reads == 0\"\nfro = \"10s\"\n"),
        "
t.toml:8: unknown key `fro` in [[threshold]]
  8 | fro = \"10s\"
    | ^^^ expected one of: abort, expr, for, why",
    );
}
