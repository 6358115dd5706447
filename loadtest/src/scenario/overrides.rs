//! Command-line changes to a scenario, applied before it is checked.

use std::sync::Arc;
use std::time::Duration;

use super::diagnostic::{Diagnostic, Origin, Source};
use super::tree::{self, Entry, Node, Value};
use super::{Offset, PhaseLength, Scenario};

type Result<T> = std::result::Result<T, Diagnostic>;

/// Flags of every command that takes a scenario.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Overrides {
    /// Replace one value of the scenario, e.g. `--set load.rate=5000` or `--set cluster.hash=modulo` (repeatable).
    #[arg(long = "set", value_name = "PATH=VALUE")]
    pub set: Vec<String>,
    /// Seed of every random choice (0 to 2^63-1); default: the scenario's.
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Open-loop arrivals per second; default: the scenario's.
    #[arg(long, value_name = "REQ/S")]
    pub rate: Option<f64>,
    /// Length of every timed measuring phase, e.g. `30s`; default: the scenario's.
    #[arg(long, value_name = "TIME")]
    pub duration: Option<String>,
    /// Multiply phases, event times and TTLs by this, e.g. 0.1; default 1.
    #[arg(long, value_name = "FACTOR")]
    pub time_scale: Option<f64>,
    /// Nodes and router as threads of this process instead of processes of their own.
    #[arg(long)]
    pub embedded: bool,
    /// One more threshold, e.g. `--threshold 'resize.hit_rate.min >= 0.6'` (repeatable).
    #[arg(long, value_name = "EXPR")]
    pub threshold: Vec<String>,
    /// Ignore the scenario's own thresholds; those of `--threshold` still count.
    #[arg(long)]
    pub no_thresholds: bool,
    /// Allow an attached cluster on other machines than this one.
    #[arg(long)]
    pub allow_remote: bool,
    /// Allow events that change an attached cluster, and `exec` and `http` events, which do what the file says.
    #[arg(long)]
    pub allow_destructive: bool,
}

/// `--set`, then the flags that are short for a `--set`.
pub(super) fn apply(root: &mut Node, overrides: &Overrides) -> Result<()> {
    for text in &overrides.set {
        let source = Arc::new(Source {
            name: "--set".to_owned(),
            text: text.clone(),
            has_lines: false,
        });
        let whole = Origin {
            source: source.clone(),
            span: 0..text.len(),
        };
        let Some((path, _)) = text.split_once('=') else {
            return Err(Diagnostic::new(
                &whole,
                "no `=`",
                "expected PATH=VALUE, like load.rate=5000",
            ));
        };
        let mut segments = Vec::new();
        let mut at = 0;
        for segment in path.split('.') {
            let place = Origin {
                source: source.clone(),
                span: at..at + segment.len(),
            };
            if segment.trim().is_empty() {
                return Err(Diagnostic::new(
                    &place,
                    "an empty name in the path",
                    "expected PATH=VALUE, like load.rate=5000",
                ));
            }
            segments.push((segment.trim().to_owned(), place));
            at += segment.len() + 1;
        }
        let value = tree::parse_value(&source, path.len() + 1..text.len())?;
        tree::set(root, &segments, value)?;
    }
    if let Some(seed) = overrides.seed {
        let (origin, seed) = (flag("--seed", seed.to_string()), i64::try_from(seed));
        let Ok(seed) = seed else {
            return Err(Diagnostic::new(
                &origin,
                "the seed is too large",
                "expected at most 2^63 - 1",
            ));
        };
        set_flag(root, &["seed"], Value::Integer(seed), &origin)?;
    }
    if let Some(rate) = overrides.rate {
        set_flag(
            root,
            &["load", "rate"],
            Value::Float(rate),
            &flag("--rate", rate.to_string()),
        )?;
    }
    if let Some(duration) = &overrides.duration {
        override_duration(root, duration)?;
    }
    if overrides.embedded {
        let origin = flag("--embedded", "--embedded".to_owned());
        set_flag(
            root,
            &["cluster", "mode"],
            Value::String("embedded".to_owned()),
            &origin,
        )?;
    }
    if let Some(factor) = overrides.time_scale
        && !(factor > 0.0 && factor <= 100.0)
    {
        let origin = flag("--time-scale", factor.to_string());
        return Err(Diagnostic::new(
            &origin,
            "this factor makes no timeline",
            "expected a number above 0 and up to 100",
        ));
    }
    Ok(())
}

fn flag(name: &str, text: String) -> Origin {
    Origin {
        span: 0..text.len(),
        source: Arc::new(Source {
            name: name.to_owned(),
            text,
            has_lines: false,
        }),
    }
}

fn set_flag(root: &mut Node, path: &[&str], value: Value, origin: &Origin) -> Result<()> {
    let path: Vec<_> = path
        .iter()
        .map(|segment| ((*segment).to_owned(), origin.clone()))
        .collect();
    tree::set(
        root,
        &path,
        Node {
            origin: origin.clone(),
            value,
        },
    )
}

/// `--duration`: every timed measuring phase takes this long.
fn override_duration(root: &mut Node, duration: &str) -> Result<()> {
    let origin = flag("--duration", duration.to_owned());
    let mut timed = 0;
    if let Value::Table(entries) = &mut root.value
        && let Some(Entry {
            node: Node {
                value: Value::Array(phases),
                ..
            },
            ..
        }) = entries.iter_mut().find(|entry| entry.key == "phase")
    {
        for phase in phases {
            let Value::Table(fields) = &mut phase.value else {
                continue;
            };
            let measures = fields
                .iter()
                .any(|entry| entry.key == "kind" && entry.node.value == Value::String("measure".to_owned()));
            if let Some(field) = fields
                .iter_mut()
                .find(|entry| measures && entry.key == "duration")
            {
                field.node = Node {
                    origin: origin.clone(),
                    value: Value::String(duration.to_owned()),
                };
                timed += 1;
            }
        }
    }
    if timed == 0 {
        return Err(Diagnostic::new(
            &origin,
            "no measuring phase of this scenario is timed",
            "expected a scenario with kind = \"measure\" and a duration; use --set phase.NAME.requests=N here",
        ));
    }
    Ok(())
}

/// Phases, event times and TTLs shrink (or grow) together; rates stay.
pub(super) fn scale_time(scenario: &mut Scenario, factor: f64) {
    let time = |time: Duration| time.mul_f64(factor).max(Duration::from_millis(1));
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "request counts are positive and far below 2^53"
    )]
    let requests = |requests: u64| (requests as f64 * factor).round() as u64;
    for phase in &mut scenario.phases {
        phase.length = match phase.length {
            PhaseLength::Time(length) => PhaseLength::Time(time(length)),
            PhaseLength::Requests(count) => PhaseLength::Requests(requests(count).max(1)),
            PhaseLength::UntilSteady { slope, over, max } => PhaseLength::UntilSteady {
                slope,
                over: time(over),
                max: time(max),
            },
            PhaseLength::TraceEnd => PhaseLength::TraceEnd,
        };
    }
    for event in &mut scenario.events {
        event.at.offset = match event.at.offset {
            Offset::Time(at) => Offset::Time(at.mul_f64(factor)),
            Offset::Requests(at) => Offset::Requests(requests(at)),
        };
        event.action.scale_time(factor);
    }
    for threshold in &mut scenario.thresholds {
        threshold.lasting = threshold.lasting.mul_f64(factor);
    }
    for stage in &mut scenario.load.stages {
        stage.duration = stage.duration.mul_f64(factor);
    }
    if let Some(ttl) = &mut scenario.workload.ttl {
        ttl.base = time(ttl.base).max(Duration::from_secs(1));
        for (ttl, _) in &mut ttl.mix {
            *ttl = time(*ttl).max(Duration::from_secs(1));
        }
    }
    scenario.time_scale = factor;
}
