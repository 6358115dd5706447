//! `loadtest run`: a scenario from start to verdict.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::LocalSet;

use crate::clock;
use crate::conduct::{self, RunError, Stage};
use crate::exit::Exit;
use crate::live::board::Facts;
use crate::live::sse::{self, Live, ServeError};
use crate::live::{Both, ViewKind};
use crate::measure::outcome::Outcome;
use crate::report::{self, ArtefactError, Artefacts, Verdict};
use crate::scenario::{self, Scenario, threshold};

/// Everything `run` was asked for.
#[derive(Debug, Clone, clap::Args)]
pub struct RunArgs {
    /// A scenario file, or `builtin:NAME` (see `loadtest list`).
    #[arg(value_name = "FILE|builtin:NAME", default_value = "builtin:trace-c52")]
    pub scenario: String,
    #[command(flatten)]
    pub overrides: scenario::Overrides,
    /// Folder for the run's artefacts; each run gets its own folder `<name>-<utc>` inside.
    #[arg(short, long, value_name = "DIR", default_value = "runs")]
    pub out: PathBuf,
    /// What to show while running: `auto` is `tui` on a terminal and `plain` (one line a second) elsewhere.
    #[arg(long, value_enum, value_name = "KIND", default_value_t = ViewKind::Auto)]
    pub view: ViewKind,
    /// Serve the live page of the run here, and `/metrics` beside it; `off` serves nothing.
    #[arg(
        long,
        visible_alias = "dashboard",
        value_name = "HOST:PORT|off",
        default_value = "off"
    )]
    pub live: Serve,
    /// Serve `/metrics` for Prometheus here; `off` serves nothing.
    #[arg(
        long,
        visible_alias = "metrics-addr",
        value_name = "HOST:PORT|off",
        default_value = "off"
    )]
    pub prom: Serve,
    /// Also write JUnit XML here: a test case per threshold. (The run's own folder has everything anyway.)
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Also write the report here.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Also write run.json here.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// A note for the report and run.json, e.g. `--label build=1234` (repeatable).
    #[arg(long, value_name = "NAME=VALUE", value_parser = label)]
    pub label: Vec<(String, String)>,
}

fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected NAME=VALUE".to_owned()),
    }
}

/// An address to listen on, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Serve {
    Off,
    On(SocketAddr),
}

impl std::str::FromStr for Serve {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Self::Off),
            _ => text
                .parse()
                .map(Self::On)
                .map_err(|error| format!("{error}; expected `off` or an address such as 127.0.0.1:5666")),
        }
    }
}

/// A run that was carried out and told.
pub(super) struct Finished {
    pub(super) outcome: Outcome,
    exit: Exit,
}

/// Runs the scenario and reports.
#[must_use]
pub fn main(args: &RunArgs) -> Exit {
    carry_out(args).map_or_else(|exit| exit, |finished| finished.exit)
}

/// Says why there is no run.
fn refuse(error: impl std::fmt::Display, exit: Exit) -> Exit {
    eprintln!("loadtest: {error}");
    exit
}

/// Runs the scenario, writes and prints what it has to say. The error has been told.
pub(super) fn carry_out(args: &RunArgs) -> Result<Finished, Exit> {
    let scenario = scenario::load(&args.scenario, &args.overrides).map_err(|diagnostic| {
        eprintln!("{diagnostic}");
        Exit::BadInput
    })?;
    let toml = scenario.to_toml();
    let live = live(args, &scenario).map_err(|error| refuse(error, Exit::RunError))?;
    let artefacts =
        Artefacts::create(&args.out, &scenario.name, &toml).map_err(|error| refuse(error, Exit::RunError))?;
    let mut outcome = perform(&scenario, &artefacts, args.view, live.clone()).map_err(|error| {
        let exit = if matches!(error, RunError::Trace(_)) {
            Exit::BadInput
        } else {
            Exit::RunError
        };
        refuse(error, exit)
    })?;
    outcome.environment.labels = args.label.iter().cloned().collect();
    outcome.thresholds = threshold::judge(&scenario.thresholds, &outcome);
    let written = artefacts
        .write(&outcome, &toml)
        .and_then(|()| more(args, &outcome, &toml));
    if let Some(live) = live {
        live.finish(&outcome, &artefacts.report_html());
    }
    let printed = super::print(&match (args.view, &written) {
        (ViewKind::Json, _) => format!(
            "{}\n",
            serde_json::json!({"type": "outcome", "outcome": &outcome})
        ),
        (_, Ok(())) => {
            format!(
                "{}report: {}\n",
                report::end_card(&outcome),
                artefacts.report_html().display()
            )
        }
        (_, Err(_)) => report::end_card(&outcome),
    });
    written.map_err(|error| refuse(error, Exit::RunError))?;
    let exit = if printed == Exit::Pass {
        Verdict::of(&outcome).exit()
    } else {
        printed
    };
    Ok(Finished { outcome, exit })
}

/// The copies that were asked for by name.
fn more(args: &RunArgs, outcome: &Outcome, toml: &str) -> Result<(), ArtefactError> {
    if let Some(path) = &args.junit {
        report::write(path, &report::junit_xml(outcome))?;
    }
    if let Some(path) = &args.html {
        report::write(path, &report::html_page(outcome, toml))?;
    }
    if let Some(path) = &args.json {
        report::write_json(path, outcome)?;
    }
    Ok(())
}

/// Starts the live page, if it was asked for, and says where it is.
fn live(args: &RunArgs, scenario: &Scenario) -> Result<Option<Arc<Live>>, ServeError> {
    let wanted = [("live page", args.live, ""), ("metrics", args.prom, "metrics")];
    let on: Vec<_> = wanted
        .into_iter()
        .filter_map(|(what, serve, path)| match serve {
            Serve::On(address) => Some((what, address, path)),
            Serve::Off => None,
        })
        .collect();
    if on.is_empty() {
        return Ok(None);
    }
    let addresses: Vec<SocketAddr> = on.iter().map(|(_, address, _)| *address).collect();
    let facts = Facts::new(scenario, clock::unix_now().as_secs());
    let live = sse::serve(&addresses, facts)?;
    for ((what, _, path), address) in on.iter().zip(live.addresses()) {
        eprintln!("{what}: http://{address}/{path}");
    }
    Ok(Some(Arc::new(live)))
}

fn perform(
    scenario: &Scenario,
    artefacts: &Artefacts,
    view: ViewKind,
    live: Option<Arc<Live>>,
) -> Result<Outcome, RunError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (interrupted, interrupt) = watch::channel(false);
    let view = crate::live::start(view, scenario);
    let stage = Stage {
        logs: artefacts.folder().join("logs"),
        observer: match live {
            Some(live) => Arc::new(Both(view, live)),
            None => view,
        },
        interrupt,
    };
    let local = LocalSet::new();
    local.block_on(&runtime, async {
        let mut ends = [signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?];
        let listening = tokio::task::spawn_local(async move {
            for _ in 0..2 {
                let [interrupt, terminate] = &mut ends;
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                if interrupted.send_replace(true) {
                    // Asked twice: do not wait for anything. The kernel ends our children.
                    std::process::exit(i32::from(Exit::Interrupted.code()));
                }
            }
        });
        let outcome = conduct::run(scenario, &stage).await;
        listening.abort();
        outcome
    })
}
