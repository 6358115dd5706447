//! Everything the live page and `/metrics` know of a run, kept up to date from its updates. Pure: no socket, no clock.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;
use serde_json::{Value, json};

use super::orders::Order;
use super::second::{NodeNow, Second};
use super::status::{Status, status};
use super::{Progress, Update};
use crate::measure::outcome::{HitCount, Row};
use crate::measure::so_far::PhaseSoFar;
use crate::scenario::Scenario;

/// Seconds kept for a browser that comes late: an hour.
const ROWS_MAX: usize = 3_600;
const LOGS_MAX: usize = 100;
/// Looks at the nodes kept for it.
const LOOKS_MAX: usize = 240;
/// A node's hit rate is taken over so many looks, for one alone is noise.
const NODE_LOOKS: usize = 5;
/// A node is cold while its hit rate is below this share of the pool's warm rate.
const NODE_COLD: f64 = 0.8;

/// What is known before the run.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Facts {
    pub scenario: String,
    pub description: String,
    pub seed: u64,
    pub started_unix_seconds: u64,
    pub planned_seconds: Option<f64>,
    /// Reads per second the backing store can answer, as things stand; `None` when unlimited.
    pub capacity: Option<f64>,
    pub phases: Vec<String>,
    /// Buttons of the page.
    pub orders: Vec<Button>,
}

/// An order the page offers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Button {
    pub order: Order,
    pub label: &'static str,
}

impl Facts {
    #[must_use]
    pub fn new(scenario: &Scenario, started_unix_seconds: u64) -> Self {
        Self {
            scenario: scenario.name.clone(),
            description: scenario.description.clone(),
            seed: scenario.seed,
            started_unix_seconds,
            planned_seconds: scenario.planned_time().map(|time| time.as_secs_f64()),
            capacity: (scenario.backend.capacity > 0.0).then_some(scenario.backend.capacity),
            phases: scenario.phases.iter().map(|phase| phase.name.clone()).collect(),
            orders: Vec::new(),
        }
    }
}

/// How the run ended.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Done {
    #[serde(flatten)]
    pub status: Status,
    /// Where the report was written.
    pub report: String,
}

/// The run so far.
#[derive(Debug, Clone, Default)]
pub struct Board {
    pub facts: Facts,
    pub progress: Progress,
    /// The latest second.
    pub second: Option<Second>,
    /// Every phase so far.
    pub phases: Vec<PhaseSoFar>,
    pub done: Option<Done>,
    rows: VecDeque<Row>,
    logs: VecDeque<Value>,
    looks: BTreeMap<String, VecDeque<HitCount>>,
    node_rows: VecDeque<Vec<NodeNow>>,
    lowest: Option<f64>,
    events: usize,
}

/// Something to send to every browser: an event's name and its data.
pub type Message = (&'static str, String);

impl Board {
    #[must_use]
    pub fn new(facts: Facts) -> Self {
        Self {
            facts,
            ..Self::default()
        }
    }

    /// Takes one update in; what the browsers should hear of it.
    pub fn take(&mut self, update: Update) -> Option<Message> {
        match update {
            Update::Progress(progress) => {
                self.progress = progress;
                None
            }
            Update::Log { elapsed, text } => {
                let log = json!({"t": elapsed.as_secs_f64(), "text": text});
                let message = log.to_string();
                self.logs.push_back(log);
                if self.logs.len() > LOGS_MAX {
                    self.logs.pop_front();
                }
                Some(("log", message))
            }
            Update::Second(second) => {
                // The next case of a comparison starts its own clock.
                let again = self.rows.back().is_some_and(|last| second.row.t < last.t);
                self.take_second(*second);
                if again {
                    Some(("start", self.snapshot().to_string()))
                } else {
                    Some(("second", self.now(true).to_string()))
                }
            }
        }
    }

    /// The run is over.
    pub fn finish(&mut self, done: Done) -> Message {
        let message = json!(done).to_string();
        self.done = Some(done);
        ("end", message)
    }

    fn take_second(&mut self, second: Second) {
        if self.rows.back().is_some_and(|last| second.row.t < last.t) {
            self.rows.clear();
            self.phases.clear();
            self.looks.clear();
            self.node_rows.clear();
            (self.lowest, self.events) = (None, 0);
        }
        for told in &second.phases {
            match self.phases.iter_mut().find(|known| known.name == told.name) {
                Some(known) => known.clone_from(told),
                None => self.phases.push(told.clone()),
            }
        }
        for node in &second.nodes {
            let looks = self.looks.entry(node.node.clone()).or_default();
            looks.push_back(HitCount {
                hits: node.hits,
                misses: node.gets.saturating_sub(node.hits),
            });
            if looks.len() > NODE_LOOKS {
                looks.pop_front();
            }
        }
        self.node_rows.push_back(second.nodes.clone());
        if self.node_rows.len() > LOOKS_MAX {
            self.node_rows.pop_front();
        }
        if second.events.len() != self.events {
            self.events = second.events.len();
            self.lowest = None;
        }
        let lowest = self.lowest.unwrap_or(f64::INFINITY);
        self.lowest = second.row.hit_rate.map(|rate| rate.min(lowest)).or(self.lowest);
        self.facts.capacity = second.backend_capacity;
        self.rows.push_back(second.row.clone());
        if self.rows.len() > ROWS_MAX {
            self.rows.pop_front();
        }
        self.second = Some(second);
    }

    /// Is all well, and why.
    #[must_use]
    pub fn status(&self) -> Status {
        match (&self.done, &self.second) {
            (Some(done), _) => done.status.clone(),
            (None, Some(second)) => status(second, self.facts.capacity, self.lowest),
            (None, None) => Status::starting(),
        }
    }

    /// Hit rate of a node over its last looks.
    #[must_use]
    pub fn node_hit_rate(&self, node: &str) -> Option<f64> {
        let looks = self.looks.get(node)?;
        let sum = looks.iter().fold(HitCount::default(), |sum, look| HitCount {
            hits: sum.hits + look.hits,
            misses: sum.misses + look.misses,
        });
        sum.rate()
    }

    /// Whether a node has yet to get its working set.
    #[must_use]
    pub fn is_cold(&self, node: &str) -> bool {
        let warm = self.second.as_ref().and_then(|second| second.warm);
        self.node_hit_rate(node)
            .zip(warm)
            .is_some_and(|(rate, warm)| rate < NODE_COLD * warm)
    }

    /// What theory expects of this second; before any change: that nothing changes.
    #[must_use]
    pub fn predicted(&self) -> Option<f64> {
        let second = self.second.as_ref()?;
        second.row.predicted.or(second.warm)
    }

    /// Everything, for a browser that has just come.
    #[must_use]
    pub fn snapshot(&self) -> Value {
        json!({
            "facts": self.facts,
            "rows": self.rows,
            "node_rows": self.node_rows,
            "logs": self.logs,
            "now": self.now(false),
            "done": self.done,
        })
    }

    /// How things stand; `with_row` adds the second's own row.
    fn now(&self, with_row: bool) -> Value {
        let Some(second) = &self.second else {
            return json!({"status": self.status()});
        };
        let nodes: Vec<Value> = second
            .nodes
            .iter()
            .map(|node| {
                let mut told = json!(node);
                told["hit_rate"] = json!(self.node_hit_rate(&node.node));
                told["cold"] = json!(self.is_cold(&node.node));
                told
            })
            .collect();
        let mut now = json!({
            "status": self.status(),
            "warm": second.warm,
            "nodes": nodes,
            "events": second.events,
            "next": second.next,
            "totals": second.totals,
            "capacity": self.facts.capacity,
            "lag_p99_us": second.lag_p99_us,
            "run_done": self.progress.run_done,
            "held": self.progress.held,
        });
        if with_row {
            now["row"] = json!(second.row);
        }
        now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(t: f64, hit_rate: f64) -> Update {
        Update::Second(Box::new(Second {
            row: Row {
                t,
                seconds: 1.0,
                hit_rate: Some(hit_rate),
                ..Row::default()
            },
            warm: Some(0.8),
            nodes: vec![NodeNow {
                node: "node1".into(),
                up: true,
                gets: 100,
                hits: if t < 1.0 { 0 } else { 90 },
                ..NodeNow::default()
            }],
            phases: vec![PhaseSoFar {
                name: "steady".into(),
                ..PhaseSoFar::default()
            }],
            ..Second::default()
        }))
    }

    #[test]
    fn a_backing_store_that_an_event_made_small_is_told_with_its_limit() {
        let mut board = Board::new(Facts::default());
        let mut overloaded = Second {
            row: Row {
                seconds: 1.0,
                backend_rate: 400.0,
                backend_queue: 50,
                ..Row::default()
            },
            ..Second::default()
        };
        board.take(Update::Second(Box::new(overloaded.clone())));
        assert_ne!(board.status().word, "OVERLOADED");
        overloaded.row.t = 1.0;
        overloaded.backend_capacity = Some(300.0);
        board.take(Update::Second(Box::new(overloaded)));
        assert_eq!(board.status().word, "OVERLOADED");
        assert_eq!(board.now(false)["capacity"], 300.0);
    }

    #[test]
    fn a_node_is_cold_until_its_last_looks_say_otherwise() {
        let mut board = Board::new(Facts::default());
        board.take(second(0.0, 0.8));
        assert!(board.is_cold("node1"));
        for t in 1..=5 {
            board.take(second(f64::from(t), 0.8));
        }
        assert!(!board.is_cold("node1"), "{:?}", board.node_hit_rate("node1"));
        assert!(!board.is_cold("node9"));
    }

    #[test]
    fn a_late_browser_gets_everything_and_an_hour_is_the_most() {
        let mut board = Board::new(Facts::default());
        for t in 0..4_000 {
            let message = board.take(second(f64::from(t), 0.8)).expect("a second is told");
            assert_eq!(message.0, "second");
        }
        let snapshot = board.snapshot();
        assert_eq!(snapshot["rows"].as_array().map(Vec::len), Some(ROWS_MAX));
        assert_eq!(snapshot["now"]["status"]["word"], "WARM");
        assert_eq!(board.phases.len(), 1);
    }

    #[test]
    fn the_next_case_of_a_comparison_starts_over() {
        let mut board = Board::new(Facts::default());
        board.take(second(0.0, 0.3));
        board.take(second(1.0, 0.3));
        let (name, _) = board.take(second(0.0, 0.9)).expect("told");
        assert_eq!(name, "start");
        assert_eq!(board.snapshot()["rows"].as_array().map(Vec::len), Some(1));
    }
}
