//! `loadtest check`: is this scenario valid, and what exactly would it do?

use std::fmt::Write as _;
use std::time::Duration;

use crate::exit::Exit;
use crate::report::number;
use crate::scenario::{
    Action, Arrival, ClusterMode, Fill, JitterBy, LoadMode, Offset, Overrides, PhaseLength, Popularity,
    Scenario, TraceSource, load, time_text,
};

/// Everything `check` was asked for.
#[derive(Debug, Clone, clap::Args)]
pub struct CheckArgs {
    /// A scenario file, or `builtin:NAME`.
    #[arg(value_name = "FILE|builtin:NAME")]
    pub scenario: String,
    #[command(flatten)]
    pub overrides: Overrides,
    /// Print the whole scenario as TOML, defaults and overrides spelt out, instead of the summary.
    #[arg(long)]
    pub toml: bool,
}

/// Checks and prints.
#[must_use]
pub fn main(args: &CheckArgs) -> Exit {
    match load(&args.scenario, &args.overrides) {
        Ok(scenario) if args.toml => super::print(&scenario.to_toml()),
        Ok(scenario) => super::print(&summary(&scenario)),
        Err(diagnostic) => {
            eprintln!("{diagnostic}");
            Exit::BadInput
        }
    }
}

fn summary(scenario: &Scenario) -> String {
    let mut out = String::new();
    let _ = writeln!(
        out,
        "{}   seed {}   {}",
        scenario.name, scenario.seed, scenario.description
    );
    let _ = writeln!(out, "cluster   {}", cluster_line(scenario));
    let _ = writeln!(out, "workload  {}", workload_line(scenario));
    let _ = writeln!(out, "load      {}", load_line(scenario));
    let _ = writeln!(out, "backend   {}", backend_line(scenario));
    if let Some(matrix) = &scenario.matrix {
        let hashes: Vec<String> = matrix.hashes.iter().map(ToString::to_string).collect();
        let _ = writeln!(
            out,
            "matrix    {} × {} cases",
            hashes.join(", "),
            matrix.cases.len()
        );
        for case in &matrix.cases {
            let _ = writeln!(
                out,
                "          {:<22} {} after {} requests, then {} more",
                case.name,
                case.action.describe(),
                number::count(case.warm_requests),
                number::count(case.after_requests)
            );
        }
    }
    timeline(scenario, &mut out);
    for threshold in &scenario.thresholds {
        let why = threshold
            .why
            .as_ref()
            .map_or(String::new(), |why| format!("   ({why})"));
        let _ = writeln!(out, "threshold {}{why}", threshold.expr);
    }
    out.push_str("valid\n");
    out
}

/// Phases and events in order; clock times where they are known beforehand.
fn timeline(scenario: &Scenario, out: &mut String) {
    let mut clock = Some(Duration::ZERO);
    for (index, phase) in scenario.phases.iter().enumerate() {
        let start = clock.map_or_else(String::new, |at| format!("t+{}", time_text(at)));
        let length = match phase.length {
            PhaseLength::Time(time) => time_text(time),
            PhaseLength::Requests(requests) => format!("{} requests", number::count(requests)),
            PhaseLength::UntilSteady { slope, over, max } => {
                format!(
                    "until the hit rate moves less than {:.2} pp in {}, at most {}",
                    slope * 100.0,
                    time_text(over),
                    time_text(max)
                )
            }
            PhaseLength::TraceEnd => "until the trace ends".to_owned(),
        };
        let _ = writeln!(
            out,
            "{start:<9} {:<10} {:<9} {length}",
            phase.name,
            phase.kind.text()
        );
        for event in scenario
            .events
            .iter()
            .filter(|event| event.at.phase == Some(index))
        {
            event_line(out, &event.at.offset, &event.action);
        }
        clock = match phase.length {
            PhaseLength::Time(time) => clock.map(|at| at + time),
            PhaseLength::Requests(_) | PhaseLength::UntilSteady { .. } | PhaseLength::TraceEnd => None,
        };
    }
    for event in scenario.events.iter().filter(|event| event.at.phase.is_none()) {
        let _ = writeln!(out, "{:<9}   ↳ {}", event.at_text, event.action.describe());
    }
}

fn event_line(out: &mut String, offset: &Offset, action: &Action) {
    let offset = match offset {
        Offset::Time(time) => format!("+{}", time_text(*time)),
        Offset::Requests(requests) => format!("+{} requests", number::count(*requests)),
    };
    let _ = writeln!(out, "{:<9}   ↳ {offset}  {}", "", action.describe());
}

fn cluster_line(scenario: &Scenario) -> String {
    let cluster = &scenario.cluster;
    let mode = match &cluster.mode {
        ClusterMode::Managed => "processes of their own",
        ClusterMode::Embedded => "in this process",
        ClusterMode::Attach { .. } => "already running",
    };
    let router = if cluster.router.is_some() {
        " and a router"
    } else {
        ", no router"
    };
    let nodes = if cluster.nodes == 1 {
        "1 node".to_owned()
    } else {
        format!("{} nodes", cluster.nodes)
    };
    format!(
        "{nodes} of {}{router}, {mode}; hash {}",
        number::bytes(cluster.node.memory_bytes),
        cluster.hash
    )
}

fn workload_line(scenario: &Scenario) -> String {
    let workload = &scenario.workload;
    let popularity = match &workload.popularity {
        Popularity::Uniform => format!("{} keys, uniform", number::count(workload.keys)),
        Popularity::Zipf { alpha } => format!("{} keys, Zipf {alpha}", number::count(workload.keys)),
        Popularity::Latest { alpha } => {
            format!("{} keys, latest (Zipf {alpha})", number::count(workload.keys))
        }
        Popularity::Hotspot { data, ops } => {
            format!(
                "{} keys, {} of requests to {} of them",
                number::count(workload.keys),
                number::percent(Some(*ops)),
                number::percent(Some(*data))
            )
        }
        Popularity::Histogram(buckets) => format!(
            "{} keys, popular by a histogram of {} buckets",
            number::count(workload.keys),
            buckets.len()
        ),
        Popularity::Trace(trace) => match &trace.source {
            TraceSource::TwitterC52 => {
                "trace of Twitter's cluster 52 (packaged), replayed in order".to_owned()
            }
            TraceSource::File(path) => format!("trace {}, replayed in order", path.display()),
        },
    };
    let ttl = workload.ttl.as_ref().map_or("no TTL".to_owned(), |ttl| {
        let by = match ttl.jitter_by {
            Some(JitterBy::Node) => " by the nodes",
            Some(JitterBy::Loadtest) | None => "",
        };
        format!(
            "TTL {} ± {}{by}",
            time_text(ttl.base),
            number::percent(Some(ttl.jitter))
        )
    });
    let mix = workload.mix;
    let mix = format!("get {} set {} delete {}", mix.get, mix.set, mix.delete);
    format!(
        "{popularity}; {mix}; {ttl}; {}",
        if workload.fill != Fill::None {
            "look-aside fill"
        } else {
            "no fill"
        }
    )
}

fn load_line(scenario: &Scenario) -> String {
    let load = &scenario.load;
    let pace = match load.mode {
        LoadMode::Open { .. } if scenario.workload.popularity.speed().is_some() => {
            let speed = scenario.workload.popularity.speed().unwrap_or(1.0);
            format!("open loop, at the times of the trace, {speed} times as fast")
        }
        LoadMode::Open { rate, arrival } => {
            let arrival = match arrival {
                Arrival::Poisson => "Poisson".to_owned(),
                Arrival::Constant => "evenly spaced".to_owned(),
                Arrival::Burst(size) => format!("bursts of {size} as Poisson"),
            };
            let stages = load.stages.iter().map(|stage| {
                let (target, time) = (number::three_digits(stage.target), time_text(stage.duration));
                format!(", to {target} in {time}")
            });
            format!(
                "open loop, {} requests/s{}, {arrival} arrivals",
                number::three_digits(rate),
                stages.collect::<String>()
            )
        }
        LoadMode::Closed { pipeline } => format!("closed loop, {pipeline} outstanding per connection"),
    };
    format!(
        "{pace}; {} connections, timeout {}",
        load.connections,
        time_text(load.timeout)
    )
}

fn backend_line(scenario: &Scenario) -> String {
    let backend = &scenario.backend;
    if backend.capacity > 0.0 {
        format!(
            "{} reads/s at most; a client waits {}",
            number::three_digits(backend.capacity),
            time_text(backend.timeout)
        )
    } else {
        "unlimited".to_owned()
    }
}
