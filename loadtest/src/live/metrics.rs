//! `/metrics` of a running load test: every metric is declared here, with its help. Pure: a board in, text out.

use std::fmt::{Display, Write as _};

use super::board::Board;
use super::second::LATENCY_BOUNDS_US;
use crate::measure::outcome::{MissCounts, Totals};
use crate::measure::so_far::{Cumulative, PhaseSoFar};

/// The page's text, metric by metric.
#[derive(Default)]
struct Page(String);

impl Page {
    fn metric(&mut self, name: &str, kind: &str, help: &str) {
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.0.push_str(name);
        for (index, (label, text)) in labels.iter().enumerate() {
            self.0.push(if index == 0 { '{' } else { ',' });
            let text = text
                .replace('\\', "\\\\")
                .replace('"', "\\\"")
                .replace('\n', "\\n");
            let _ = write!(self.0, "{label}=\"{text}\"");
        }
        if !labels.is_empty() {
            self.0.push('}');
        }
        let _ = writeln!(self.0, " {value}");
    }

    fn one(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.metric(name, kind, help);
        self.sample(name, &[], value);
    }
}

/// The whole page.
#[must_use]
pub(super) fn text(board: &Board) -> String {
    let mut page = Page::default();
    let facts = &board.facts;
    page.metric("loadtest_info", "gauge", "Always 1; what is run is in the labels");
    page.sample(
        "loadtest_info",
        &[
            ("scenario", &facts.scenario),
            ("seed", &facts.seed.to_string()),
            ("version", env!("CARGO_PKG_VERSION")),
        ],
        1,
    );
    requests(&mut page, &board.phases);
    rates(&mut page, board);
    cluster(&mut page, board);
    page.0
}

/// One of a phase's histograms.
type Latencies = fn(&PhaseSoFar) -> &Cumulative;

/// Keys asked for and writes, by how they ended, and how long they took; per phase.
fn requests(page: &mut Page, phases: &[PhaseSoFar]) {
    type Of = fn(&Totals) -> u64;
    let ends: [(&str, &str, Of); 7] = [
        ("get", "hit", |t| t.hits),
        ("get", "miss", |t| t.misses),
        ("get", "error", |t| t.misses_by_reason.error),
        ("set", "done", |t| t.sets),
        ("delete", "done", |t| t.deletes),
        ("fill", "done", |t| t.fills),
        ("fill", "error", |t| t.fill_errors),
    ];
    let name = "loadtest_requests_total";
    page.metric(name, "counter", "Requests that ended, by operation and result");
    for phase in phases {
        for (op, result, of) in ends {
            let labels = [("op", op), ("result", result), ("phase", phase.name.as_str())];
            page.sample(name, &labels, of(&phase.totals));
        }
    }
    let name = "loadtest_misses_total";
    page.metric(
        name,
        "counter",
        "Misses by reason; `error` counts gets that failed, which are no misses",
    );
    for phase in phases {
        for (reason, count) in MissCounts::NAMES
            .iter()
            .zip(phase.totals.misses_by_reason.values())
        {
            page.sample(name, &[("reason", reason), ("phase", &phase.name)], count);
        }
    }
    let latencies: [(&str, &str, Latencies); 3] = [
        (
            "loadtest_response_seconds",
            "From the moment a request was meant to leave to its answer",
            |phase| &phase.response,
        ),
        (
            "loadtest_service_seconds",
            "From the moment a request left to its answer",
            |phase| &phase.service,
        ),
        (
            "loadtest_schedule_lag_seconds",
            "From the moment a request was meant to leave to the moment it left",
            |phase| &phase.lag,
        ),
    ];
    for (name, help, of) in latencies {
        page.metric(name, "histogram", help);
        for phase in phases {
            histogram(page, name, &phase.name, of(phase));
        }
    }
}

fn histogram(page: &mut Page, name: &str, phase: &str, told: &Cumulative) {
    let bucket = format!("{name}_bucket");
    for (bound, count) in LATENCY_BOUNDS_US.iter().zip(&told.counts) {
        let le = (*bound as f64 / 1e6).to_string();
        page.sample(&bucket, &[("phase", phase), ("le", &le)], count);
    }
    page.sample(&bucket, &[("phase", phase), ("le", "+Inf")], told.count);
    page.sample(&format!("{name}_sum"), &[("phase", phase)], told.sum_seconds);
    page.sample(&format!("{name}_count"), &[("phase", phase)], told.count);
}

/// Offered and dropped, the backing store, hit rates.
fn rates(page: &mut Page, board: &Board) {
    let second = board.second.as_ref();
    let totals = second.map(|second| second.totals).unwrap_or_default();
    let counters: [(&str, &str, u64); 9] = [
        (
            "loadtest_offered_total",
            "Arrivals: sent or dropped",
            totals.offered,
        ),
        (
            "loadtest_done_total",
            "Requests answered in time and without error",
            totals.done,
        ),
        (
            "loadtest_errors_total",
            "Error replies, broken connections, timeouts",
            totals.errors,
        ),
        (
            "loadtest_timeouts_total",
            "The share of the errors that were timeouts",
            totals.timeouts,
        ),
        (
            "loadtest_dropped_total",
            "Arrivals never sent: too many were unanswered",
            totals.dropped,
        ),
        (
            "loadtest_stale_reads_total",
            "Hits older than the last acknowledged write",
            totals.stale_reads,
        ),
        (
            "loadtest_mismatches_total",
            "Hits with a value never stored under their key",
            totals.mismatches,
        ),
        (
            "loadtest_backend_arrivals_total",
            "Reads the backing store was asked for",
            totals.backend_reads,
        ),
        (
            "loadtest_backend_completed_total",
            "Reads the backing store answered",
            totals.backend_done,
        ),
    ];
    for (name, help, value) in counters {
        page.one(name, "counter", help, value);
    }
    page.one(
        "loadtest_backend_timeouts_total",
        "counter",
        "Reads given up on",
        totals.backend_timeouts,
    );
    page.one(
        "loadtest_backend_queue",
        "gauge",
        "Reads that wait at the backing store",
        second.map_or(0, |second| second.row.backend_queue),
    );
    // What is not known is not told: absent, not zero.
    let gauges: [(&str, &str, Option<f64>); 4] = [
        (
            "loadtest_backend_capacity",
            "Reads per second the backing store can answer; absent when unlimited",
            board.facts.capacity,
        ),
        (
            "loadtest_hit_rate",
            "Hits over hits and misses, of the last second",
            second.and_then(|second| second.row.hit_rate),
        ),
        (
            "loadtest_hit_rate_warm",
            "Hit rate of the baseline phase, before the last change",
            second.and_then(|second| second.warm),
        ),
        (
            "loadtest_hit_rate_predicted",
            "What theory expects of the last second",
            board.predicted(),
        ),
    ];
    for (name, help, value) in gauges {
        if let Some(value) = value {
            page.one(name, "gauge", help, value);
        }
    }
}

/// Nodes, events, the phase.
fn cluster(page: &mut Page, board: &Board) {
    let Some(second) = &board.second else { return };
    page.metric("loadtest_node_up", "gauge", "1: the node answers");
    for node in &second.nodes {
        page.sample("loadtest_node_up", &[("node", &node.node)], u8::from(node.up));
    }
    page.metric(
        "loadtest_node_cold",
        "gauge",
        "1 while a node's hit rate is below 80 % of the warm one",
    );
    for node in &second.nodes {
        let cold = u8::from(board.is_cold(&node.node));
        page.sample("loadtest_node_cold", &[("node", &node.node)], cold);
    }
    let name = "loadtest_event_timestamp_seconds";
    page.metric(name, "gauge", "When an event was carried out, Unix time");
    for event in &second.events {
        let at = board.facts.started_unix_seconds as f64 + event.at_seconds;
        let nodes = event.nodes.join(",");
        let labels = [
            ("action", event.action.as_str()),
            ("node", &nodes),
            ("event", &event.label),
        ];
        page.sample(name, &labels, at);
    }
    page.metric("loadtest_phase_info", "gauge", "1 for the phase the run is in");
    for phase in &board.phases {
        let current = u8::from(phase.name == second.row.phase);
        let labels = [("phase", phase.name.as_str()), ("kind", &phase.kind)];
        page.sample("loadtest_phase_info", &labels, current);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::Update;
    use crate::live::board::Facts;
    use crate::live::second::{EventNow, NodeNow, Second};
    use crate::measure::outcome::Row;

    fn board() -> Board {
        let mut board = Board::new(Facts {
            scenario: "a \"b\"".into(),
            seed: 7,
            started_unix_seconds: 1_000,
            ..Facts::default()
        });
        board.take(Update::Second(Box::new(Second {
            row: Row {
                phase: "steady".into(),
                hit_rate: Some(0.75),
                ..Row::default()
            },
            warm: Some(0.8),
            phases: vec![PhaseSoFar {
                name: "steady".into(),
                kind: "baseline".into(),
                totals: Totals {
                    hits: 3,
                    misses: 1,
                    misses_by_reason: MissCounts {
                        expired: 1,
                        ..MissCounts::default()
                    },
                    ..Totals::default()
                },
                response: Cumulative {
                    counts: vec![2; LATENCY_BOUNDS_US.len()],
                    count: 4,
                    sum_seconds: 0.5,
                },
                ..PhaseSoFar::default()
            }],
            nodes: vec![NodeNow {
                node: "node1".into(),
                up: true,
                gets: 4,
                ..NodeNow::default()
            }],
            events: vec![EventNow {
                action: "add_node".into(),
                nodes: vec!["node5".into()],
                label: "add node node5".into(),
                at_seconds: 60.5,
                ..EventNow::default()
            }],
            ..Second::default()
        })));
        board
    }

    #[test]
    fn a_scrape_tells_requests_misses_latency_nodes_and_events() {
        let text = text(&board());
        for line in [
            "loadtest_info{scenario=\"a \\\"b\\\"\",seed=\"7\",version=\"0.1.0\"} 1",
            "loadtest_requests_total{op=\"get\",result=\"hit\",phase=\"steady\"} 3",
            "loadtest_misses_total{reason=\"expired\",phase=\"steady\"} 1",
            "loadtest_response_seconds_bucket{phase=\"steady\",le=\"0.0001\"} 2",
            "loadtest_response_seconds_bucket{phase=\"steady\",le=\"+Inf\"} 4",
            "loadtest_response_seconds_sum{phase=\"steady\"} 0.5",
            "loadtest_hit_rate_warm 0.8",
            "loadtest_hit_rate_predicted 0.8",
            "loadtest_node_cold{node=\"node1\"} 1",
            "loadtest_event_timestamp_seconds{action=\"add_node\",node=\"node5\",event=\"add node node5\"} 1060.5",
            "loadtest_phase_info{phase=\"steady\",kind=\"baseline\"} 1",
        ] {
            assert!(
                text.lines().any(|told| told == line),
                "{line} is missing in\n{text}"
            );
        }
        assert!(
            !text.contains("loadtest_backend_capacity "),
            "unlimited is absent, not zero"
        );
    }

    #[test]
    fn every_sample_was_declared() {
        let text = text(&board());
        let declared: Vec<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
            .collect();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let name = line.split(['{', ' ']).next().unwrap();
            let family = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|end| name.strip_suffix(end))
                .unwrap_or(name);
            assert!(declared.contains(&family) || declared.contains(&name), "{line}");
        }
    }
}
