//! What operators look at: every query of every dashboard, recording rule and alert has something to show, asked of a
//! real Prometheus that scrapes a real cluster under load. No panel is empty, no alert names a metric that nobody tells.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use serde_json::Value;
use tests::{
    cluster::{Cluster, Layout},
    eventually,
    process::{Process, Program},
    prometheus::{Prometheus, ops},
};

/// Enough for a counter to have moved twice under a scrape every half second, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(40);

/// Told by those who show a certificate, which nobody does here: `router_tls` looks for it.
const WITH_TLS_ONLY: [&str; 2] = [
    "cache_node_tls_certificate_expiry_timestamp_seconds",
    "router_tls_certificate_expiry_timestamp_seconds",
];

/// Load on the cluster, with figures of its own to scrape.
struct Load {
    child: Child,
    metrics: SocketAddr,
    _scratch: tempfile::TempDir,
}

impl Drop for Load {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A load test of the running cluster: a baseline, then a note on the chart, then more of the same.
fn load(cluster: &Cluster) -> Load {
    let scratch = tempfile::TempDir::new().expect("a scratch folder");
    let nodes = cluster.servers.iter().enumerate();
    let nodes: Vec<String> = nodes
        .map(|(index, node)| format!("\"n{index}={}\"", node.addr()))
        .collect();
    let scenario = format!(
        r#"
name = "dashboards"
seed = 1
[cluster]
mode = "attach"
nodes = [{}]
router = "{}"
[workload]
keys = 2000
value_size = "fixed:100"
mix = {{ get = 0.9, set = 0.08, delete = 0.02 }}
[load]
rate = 500
connections = 4
[backend]
capacity = 400
[[phase]]
name = "fill"
kind = "warmup"
duration = "1s"
[[phase]]
name = "steady"
kind = "baseline"
duration = "2s"
[[phase]]
name = "watch"
kind = "measure"
duration = "120s"
[[event]]
at = "watch+0s"
do = "mark"
text = "look here"
"#,
        nodes.join(", "),
        cluster.router().addr()
    );
    let file = scratch.path().join("dashboards.toml");
    fs::write(&file, scenario).expect("the scenario is written");
    let binary = Program::Loadtest
        .locate()
        .unwrap_or_else(|error| panic!("{error}"));
    let mut child = Command::new(binary)
        .arg("run")
        .arg(&file)
        .args(["--view", "quiet", "--prom", "127.0.0.1:0", "--out"])
        .arg(scratch.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("loadtest starts");
    let stderr = child.stderr.take().expect("stderr is a pipe");
    let (lines, first) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            let _ = lines.send(line);
        }
    });
    let told = first
        .recv_timeout(PATIENCE)
        .expect("loadtest says where its metrics are");
    let address = told
        .strip_prefix("metrics: http://")
        .and_then(|rest| rest.strip_suffix("/metrics"))
        .and_then(|address| address.parse().ok());
    Load {
        child,
        metrics: address.unwrap_or_else(|| panic!("{told:?}")),
        _scratch: scratch,
    }
}

/// A question and where it stands.
struct Asked {
    place: String,
    text: String,
}

/// Grafana's variables filled in: everything there is, over a short while.
fn filled(text: &str) -> String {
    text.replace("$__rate_interval", "10s")
        .replace("$compare", "2s")
        .replace("$cluster", ".*")
        .replace("$namespace", ".*")
        .replace("$instance", ".*")
        .replace("$job", ".*")
        .replace('\n', " ")
}

/// Every dashboard, by its file's name.
fn dashboards() -> Vec<(String, Value)> {
    let folder = ops().join("grafana/dashboards");
    let mut all: Vec<PathBuf> = fs::read_dir(&folder)
        .expect("the folder of dashboards")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    all.sort();
    let read = |path: &PathBuf| {
        let text = fs::read_to_string(path).expect("a dashboard");
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let dashboard = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        (name, dashboard)
    };
    all.iter().map(read).collect()
}

fn list<'a>(value: &'a Value, what: &str) -> &'a [Value] {
    value[what].as_array().map_or(&[], Vec::as_slice)
}

/// The questions of a dashboard: its panels, annotations and variables.
fn questions(name: &str, dashboard: &Value) -> Vec<Asked> {
    let mut asked = Vec::new();
    let panels = list(dashboard, "panels").iter();
    for panel in panels.flat_map(|panel| std::iter::once(panel).chain(list(panel, "panels"))) {
        for target in list(panel, "targets") {
            asked.push(Asked {
                place: format!("{name}, panel {}", panel["title"]),
                text: target["expr"].as_str().expect("a query").to_owned(),
            });
        }
    }
    for annotation in list(&dashboard["annotations"], "list") {
        if let Some(query) = annotation["expr"].as_str() {
            asked.push(Asked {
                place: format!("{name}, annotation {}", annotation["name"]),
                text: query.to_owned(),
            });
        }
    }
    for variable in list(&dashboard["templating"], "list") {
        if variable["type"] == "query" {
            asked.push(Asked {
                place: format!("{name}, variable {}", variable["name"]),
                text: variable["definition"].as_str().expect("a query").to_owned(),
            });
        }
    }
    asked
}

/// How many answers there are: series of a query, or values of Grafana's `label_values(series, label)`.
fn answers(prometheus: &Prometheus, question: &str) -> Result<usize, String> {
    let question = filled(question);
    match question
        .strip_prefix("label_values(")
        .and_then(|rest| rest.strip_suffix(')'))
    {
        Some(inside) => {
            let (series, label) = inside.rsplit_once(',').expect("label_values(series, label)");
            prometheus
                .label(label.trim(), series.trim())
                .map(|values| values.len())
        }
        None => prometheus.query(&question).map(|values| values.len()),
    }
}

/// Waits until every question has an answer; says which have none.
#[track_caller]
fn all_answered(prometheus: &Prometheus, mut asked: Vec<Asked>) {
    assert!(!asked.is_empty());
    eventually(PATIENCE, "every query has an answer", || {
        let mut why = String::new();
        asked.retain(|Asked { place, text }| {
            let answer = answers(prometheus, text);
            if let Err(error) = &answer {
                panic!("{place}: {text}: {error}");
            }
            let empty = answer == Ok(0);
            if empty {
                why += &format!("\n  {place}: {text}");
            }
            empty
        });
        if asked.is_empty() {
            Ok(())
        } else {
            Err(format!("no answer to {why}"))
        }
    });
}

/// The metrics that an expression names: words with an underscore or a colon that are no function, label or keyword.
fn named(expression: &str) -> BTreeSet<String> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    // What is quoted or in braces or in by(…) names labels.
    let mut plain = String::new();
    let (mut quoted, mut depth) = (false, 0);
    for c in expression.chars() {
        match c {
            '"' => quoted = !quoted,
            '{' if !quoted => depth += 1,
            '}' if !quoted => depth -= 1,
            _ if quoted || depth > 0 => {}
            _ => plain.push(c),
        }
    }
    let mut names = BTreeSet::new();
    let mut rest = plain.as_str();
    while let Some(start) = rest.find(is_word) {
        let tail = rest.get(start..).unwrap_or_default();
        let end = tail.find(|c| !is_word(c)).unwrap_or(tail.len());
        let (word, after) = tail.split_at(end);
        let called = after.trim_start().starts_with('(');
        if (word.contains('_') || word.contains(':')) && !called && word != "group_left" {
            names.insert(word.to_owned());
        }
        rest = after;
    }
    names
}

/// Every rule's expression is told by Prometheus itself: health, and metrics that are there.
#[track_caller]
fn rules_are_healthy(prometheus: &Prometheus) {
    let names: BTreeSet<String> = prometheus.names().into_iter().collect();
    let told = prometheus.ask("rules", &[]).expect("rules");
    let groups = list(&told, "groups");
    assert!(!groups.is_empty());
    for rule in groups.iter().flat_map(|group| list(group, "rules")) {
        assert_eq!(rule["health"], "ok", "{rule}");
        for name in named(rule["query"].as_str().expect("a query")) {
            let told = names.contains(&name) || WITH_TLS_ONLY.contains(&name.as_str());
            assert!(told, "{}: nobody tells {name}", rule["name"]);
        }
    }
}

#[test]
fn no_panel_is_empty_and_no_alert_names_a_metric_that_nobody_tells() {
    if Command::new("prometheus").arg("--version").output().is_err() {
        return crate::skipped("the dashboards", "no prometheus on PATH");
    }
    let cluster = Cluster::routed(Layout::Sharded, Program::CacheNode, 3, &[]);
    let load = load(&cluster);
    // Its router tells what only replicas have: debts and the spool.
    let replicas = Cluster::routed(Layout::Replicated, Program::CacheNode, 2, &[]);
    let nodes = cluster.servers.iter().map(Process::admin).collect();
    let targets = [
        ("cache-node", nodes),
        (
            "router",
            vec![cluster.router().admin(), replicas.router().admin()],
        ),
        ("loadtest", vec![load.metrics]),
    ];
    let prometheus = Prometheus::start(&targets).unwrap_or_else(|error| panic!("{error}"));
    let mut asked = Vec::new();
    for (name, dashboard) in dashboards() {
        asked.extend(questions(&name, &dashboard));
    }
    let mixin = include_str!("memcached_mixin.txt").lines();
    asked.extend(mixin.filter(|line| !line.starts_with('#')).map(|line| Asked {
        place: "the memcached mixin".to_owned(),
        text: line.to_owned(),
    }));
    assert!(asked.len() > 100, "{} queries", asked.len());
    all_answered(&prometheus, asked);
    rules_are_healthy(&prometheus);
}

#[test]
fn alerts_fire_when_they_should_and_not_before() {
    let folder = ops().join("prometheus");
    for args in [
        ["test", "rules", "rules/tests/alerts.yml"].as_slice(),
        &["check", "config", "prometheus.yml"],
    ] {
        let Ok(output) = Command::new("promtool").args(args).current_dir(&folder).output() else {
            return crate::skipped("the alerts", "no promtool on PATH");
        };
        let told = [output.stdout, output.stderr].concat();
        assert!(
            output.status.success(),
            "{args:?}: {}",
            String::from_utf8_lossy(&told)
        );
    }
}

#[test]
fn every_alert_has_a_test_and_a_page_of_the_runbook() {
    let read =
        |path: &str| fs::read_to_string(ops().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    let (rules, tests) = (
        read("prometheus/rules/alerts.yml"),
        read("prometheus/rules/tests/alerts.yml"),
    );
    let alerts: Vec<&str> = rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "))
        .collect();
    assert!(alerts.len() >= 10, "{alerts:?}");
    for alert in alerts {
        let page = format!("runbook/{alert}.md");
        assert!(
            rules.contains(&format!("runbook_url: ops/{page}")),
            "{alert} names no page"
        );
        assert!(read(&page).starts_with(&format!("# {alert}\n")), "{page}");
        let fires = format!("alertname: {alert}\n        exp_alerts:\n          - ");
        assert!(tests.contains(&fires), "no test lets {alert} fire");
        let quiet = format!("alertname: {alert}\n        exp_alerts: []");
        assert!(tests.contains(&quiet), "no test lets {alert} be quiet");
    }
}
