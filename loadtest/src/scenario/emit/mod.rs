//! Writes a checked scenario back as TOML: everything that was inherited, overridden or defaulted, spelt out.
//! Reading it again gives the same scenario.

mod action;

use std::fmt::{Display, Write as _};

use super::quantity::{bytes_text, distribution_text, time_text};
use super::{
    Arrival, Bucket, ClusterMode, Event, Fill, JitterBy, LoadMode, Matrix, Offset, OnNodeDown, Phase,
    PhaseKind, PhaseLength, Popularity, QueueOrder, Scenario, Stage, TraceSource,
};

impl Scenario {
    /// The whole scenario as TOML.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let mut out = String::new();
        line(&mut out, "name", quoted(&self.name));
        line(&mut out, "description", quoted(&self.description));
        line(&mut out, "theory", quoted(&self.theory));
        line(&mut out, "seed", self.seed);
        self.cluster_section(&mut out);
        self.workload_section(&mut out);
        self.load_sections(&mut out);
        for phase in &self.phases {
            phase_section(&mut out, phase);
        }
        for event in &self.events {
            event_section(&mut out, event, &self.phases);
        }
        for threshold in &self.thresholds {
            out.push_str("\n[[threshold]]\n");
            line(&mut out, "expr", quoted(&threshold.expr));
            if let Some(why) = &threshold.why {
                line(&mut out, "why", quoted(why));
            }
            if !threshold.lasting.is_zero() {
                line(&mut out, "for", quoted(&time_text(threshold.lasting)));
            }
            if threshold.abort {
                line(&mut out, "abort", true);
            }
        }
        if let Some(matrix) = &self.matrix {
            matrix_section(&mut out, matrix);
        }
        out
    }

    fn cluster_section(&self, out: &mut String) {
        let cluster = &self.cluster;
        out.push_str("\n[cluster]\n");
        match &cluster.mode {
            ClusterMode::Managed | ClusterMode::Embedded => {
                let mode = if cluster.mode == ClusterMode::Managed {
                    "managed"
                } else {
                    "embedded"
                };
                line(out, "mode", quoted(mode));
                line(out, "nodes", cluster.nodes);
            }
            ClusterMode::Attach {
                router,
                router_admin,
                nodes,
            } => {
                line(out, "mode", quoted("attach"));
                if let Some(router) = router {
                    line(out, "router", quoted(router));
                }
                if let Some(admin) = router_admin {
                    line(out, "admin", quoted(admin));
                }
                line(out, "nodes", list(nodes));
            }
        }
        line(out, "hash", quoted(&cluster.hash.to_string()));
        line(out, "replicated", cluster.replicated);
        line(
            out,
            "on_node_down",
            match cluster.on_node_down {
                OnNodeDown::Miss => quoted("miss"),
                OnNodeDown::Failover => quoted("failover"),
                OnNodeDown::Eject => quoted("eject"),
                OnNodeDown::Error => quoted("error"),
                OnNodeDown::Gutter(nodes) => quoted(&format!("gutter({nodes})")),
            },
        );
        out.push_str("\n[cluster.node]\n");
        line(out, "memory", quoted(&bytes_text(cluster.node.memory_bytes)));
        line(out, "threads", cluster.node.threads);
        line(out, "args", list(&cluster.node.args));
        if let Some(program) = &cluster.node.program {
            line(out, "program", quoted(&program.to_string_lossy()));
        }
        if let Some(router) = &cluster.router {
            out.push_str("\n[cluster.router]\n");
            if let Some(path) = &router.config {
                line(out, "config", quoted(&path.to_string_lossy()));
            }
            line(out, "processes", router.processes);
            line(out, "threads", router.threads);
            line(out, "args", list(&router.args));
        }
    }

    fn workload_section(&self, out: &mut String) {
        let workload = &self.workload;
        out.push_str("\n[workload]\n");
        line(out, "keys", workload.keys);
        line(
            out,
            "key_size",
            quoted(&distribution_text(&workload.key_size, plain)),
        );
        line(
            out,
            "value_size",
            quoted(&distribution_text(&workload.value_size, plain)),
        );
        let mix = workload.mix;
        line(
            out,
            "mix",
            format_args!(
                "{{ get = {:?}, set = {:?}, delete = {:?} }}",
                mix.get, mix.set, mix.delete
            ),
        );
        line(out, "multiget", workload.multiget);
        line(out, "lone_get", format_args!("{:?}", workload.lone_get));
        line(
            out,
            "fill",
            quoted(match workload.fill {
                Fill::Lookaside => "lookaside",
                Fill::Lease => "lease",
                Fill::WriteThrough => "write_through",
                Fill::Versioned => "versioned",
                Fill::None => "none",
            }),
        );
        if let Some(ttl) = &workload.ttl {
            let shares: Vec<String> = ttl
                .mix
                .iter()
                .map(|(ttl, share)| format!("{}:{share:?}", time_text(*ttl)))
                .collect();
            let by = match ttl.jitter_by {
                None => "",
                Some(JitterBy::Loadtest) => ", jitter_by = \"loadtest\"",
                Some(JitterBy::Node) => ", jitter_by = \"node\"",
            };
            line(
                out,
                "ttl",
                format_args!(
                    "{{ base = {}, jitter = {:?}{by}, mix = {} }}",
                    quoted(&time_text(ttl.base)),
                    ttl.jitter,
                    list(&shares)
                ),
            );
        }
        out.push_str("\n[workload.popularity]\n");
        match &workload.popularity {
            Popularity::Uniform => line(out, "dist", quoted("uniform")),
            Popularity::Zipf { alpha } => {
                line(out, "dist", quoted("zipf"));
                line(out, "alpha", format_args!("{alpha:?}"));
            }
            Popularity::Latest { alpha } => {
                line(out, "dist", quoted("latest"));
                line(out, "alpha", format_args!("{alpha:?}"));
            }
            Popularity::Hotspot { data, ops } => {
                line(out, "dist", quoted("hotspot"));
                line(out, "data", format_args!("{data:?}"));
                line(out, "ops", format_args!("{ops:?}"));
            }
            Popularity::Histogram(buckets) => {
                line(out, "dist", quoted("histogram"));
                let bucket = |bucket: &Bucket| format!("{}:{:?}", bucket.keys, bucket.share);
                let buckets: Vec<String> = buckets.iter().map(bucket).collect();
                line(out, "buckets", list(&buckets));
            }
            Popularity::Trace(trace) => {
                line(out, "dist", quoted("trace"));
                line(
                    out,
                    "file",
                    match &trace.source {
                        TraceSource::TwitterC52 => quoted("builtin:twitter-c52"),
                        TraceSource::File(path) => quoted(&path.to_string_lossy()),
                    },
                );
                if let Some(limit) = trace.limit {
                    line(out, "limit", limit);
                }
                line(out, "loop", trace.repeat);
                line(out, "amplify", trace.amplify);
                if let Some(speed) = trace.speed {
                    line(out, "speed", format_args!("{speed:?}"));
                }
            }
        }
    }

    fn load_sections(&self, out: &mut String) {
        let load = &self.load;
        out.push_str("\n[load]\n");
        match load.mode {
            // The trace's own times need no word here.
            LoadMode::Open { .. } if self.workload.popularity.speed().is_some() => {
                line(out, "mode", quoted("open"));
            }
            LoadMode::Open { rate, arrival } => {
                line(out, "mode", quoted("open"));
                line(out, "rate", format_args!("{rate:?}"));
                line(
                    out,
                    "arrival",
                    match arrival {
                        Arrival::Poisson => quoted("poisson"),
                        Arrival::Constant => quoted("constant"),
                        Arrival::Burst(size) => quoted(&format!("burst({size})")),
                    },
                );
                if !load.stages.is_empty() {
                    let stage = |stage: &Stage| {
                        let duration = quoted(&time_text(stage.duration));
                        format!("{{ target = {:?}, duration = {duration} }}", stage.target)
                    };
                    let stages: Vec<String> = load.stages.iter().map(stage).collect();
                    line(out, "stages", format_args!("[{}]", stages.join(", ")));
                }
            }
            LoadMode::Closed { pipeline } => {
                line(out, "mode", quoted("closed"));
                line(out, "pipeline", pipeline);
            }
        }
        line(out, "connections", load.connections);
        line(out, "timeout", quoted(&time_text(load.timeout)));
        line(out, "max_in_flight", load.max_in_flight);
        let budget = load
            .retries
            .budget
            .map_or_else(String::new, |budget| format!(", budget = {budget:?}"));
        let (max, backoff) = (load.retries.max, quoted(&time_text(load.retries.backoff)));
        line(
            out,
            "retries",
            format_args!("{{ max = {max}, backoff = {backoff}{budget} }}"),
        );
        line(out, "threads", load.threads);
        let backend = &self.backend;
        out.push_str("\n[backend]\n");
        line(out, "capacity", format_args!("{:?}", backend.capacity));
        line(
            out,
            "latency",
            quoted(&distribution_text(&backend.latency, seconds)),
        );
        let order = match backend.queue_order {
            QueueOrder::Fifo => "fifo",
            QueueOrder::Lifo => "lifo",
        };
        line(
            out,
            "queue",
            format_args!("{{ max = {}, order = {} }}", backend.queue_max, quoted(order)),
        );
        line(out, "timeout", quoted(&time_text(backend.timeout)));
        line(out, "late_fill", backend.late_fill);
        line(out, "cancel", backend.cancel);
        line(out, "scatter", backend.scatter);
        line(out, "fail", format_args!("{:?}", backend.fail));
        out.push_str("\n[check]\n");
        line(out, "sample_keys", self.check.sample_keys);
        if let Some(search) = &self.search {
            out.push_str("\n[search]\n");
            line(out, "limit", quoted(&time_text(search.limit)));
            line(out, "quantile", format_args!("{:?}", search.quantile));
            line(out, "from", format_args!("{:?}", search.from));
            line(out, "to", format_args!("{:?}", search.to));
        }
    }
}

fn line(out: &mut String, key: &str, value: impl Display) {
    // Writing into a String cannot fail.
    let _ = writeln!(out, "{key} = {value}");
}

/// A TOML basic string.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn list(items: &[String]) -> String {
    format!(
        "[{}]",
        items
            .iter()
            .map(|item| quoted(item))
            .collect::<Vec<_>>()
            .join(", ")
    )
}

fn plain(value: f64) -> String {
    value.to_string()
}

fn seconds(value: f64) -> String {
    format!("{}us", value * 1e6)
}

fn phase_section(out: &mut String, phase: &Phase) {
    out.push_str("\n[[phase]]\n");
    line(out, "name", quoted(&phase.name));
    line(out, "kind", quoted(phase.kind.text()));
    match phase.length {
        PhaseLength::Time(time) => line(out, "duration", quoted(&time_text(time))),
        PhaseLength::Requests(requests) => line(out, "requests", requests),
        PhaseLength::UntilSteady { slope, over, max } => {
            let text = format!("hit_rate.slope < {}pp/{}", slope * 100.0, time_text(over));
            line(out, "until", quoted(&text));
            line(out, "max", quoted(&time_text(max)));
        }
        PhaseLength::TraceEnd => line(out, "until", quoted("trace_end")),
    }
}

impl PhaseKind {
    /// The word of the file.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Warmup => "warmup",
            Self::Baseline => "baseline",
            Self::Measure => "measure",
            Self::Search => "search",
            Self::Cooldown => "cooldown",
        }
    }
}

fn event_section(out: &mut String, event: &Event, phases: &[Phase]) {
    out.push_str("\n[[event]]\n");
    let origin = event.at.phase.map_or("t", |index| phases[index].name.as_str());
    let offset = match event.at.offset {
        Offset::Time(time) => time_text(time),
        Offset::Requests(requests) => format!("{requests} requests"),
    };
    line(out, "at", quoted(&format!("{origin}+{offset}")));
    action::lines(out, &event.action);
}

fn matrix_section(out: &mut String, matrix: &Matrix) {
    out.push_str("\n[matrix]\n");
    let hashes: Vec<String> = matrix.hashes.iter().map(ToString::to_string).collect();
    line(out, "hash", list(&hashes));
    let tolerance = matrix
        .cases
        .iter()
        .flat_map(|case| &case.expected)
        .map(|expected| expected.tolerance)
        .next();
    if let Some(tolerance) = tolerance {
        line(out, "tolerance", format_args!("{tolerance:?}"));
    }
    for case in &matrix.cases {
        out.push_str("\n[[matrix.case]]\n");
        line(out, "name", quoted(&case.name));
        line(out, "nodes", case.nodes);
        action::lines(out, &case.action);
        line(out, "warm_requests", case.warm_requests);
        line(out, "baseline_requests", case.baseline_requests);
        line(out, "after_requests", case.after_requests);
        out.push_str("expected = [\n");
        for expected in &case.expected {
            let hash = expected.hash.map_or("any".to_owned(), |hash| hash.to_string());
            let _ = writeln!(
                out,
                "  {{ hash = {}, warm = {:?}, first_5k = {:?}, first_20k = {:?}, to_95_requests = {} }},",
                quoted(&hash),
                expected.warm,
                expected.first_5k,
                expected.first_20k,
                expected.to_95_requests
            );
        }
        out.push_str("]\n");
    }
}
