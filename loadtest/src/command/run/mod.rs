//! `loadtest run`: a scenario from start to verdict.

mod watching;

use std::cell::RefCell;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::LocalSet;

use crate::cluster::Cluster;
use crate::conduct::{self, Afterwards, RunError, Snapshots, Stage};
use crate::exit::Exit;
use crate::live::sse::Live;
use crate::live::{Both, Hands, Observer, ViewKind};
use crate::measure::outcome::Outcome;
use crate::report::compare::Compared;
use crate::report::{self, ArtefactError, Artefacts, Verdict};
use crate::scenario::{self, Scenario, threshold};

pub use self::watching::Page;
use self::watching::{Watching, snapshots, watching};

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
    /// Serve the live page of the run here, and `/metrics` beside it; `auto` is 127.0.0.1:5666 (or a free port, if it is
    /// taken) beside the `tui`, and `off` beside every other view.
    #[arg(
        long,
        visible_alias = "dashboard",
        value_name = "HOST:PORT|auto|off",
        default_value = "auto"
    )]
    pub live: Page,
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
    /// Also write the CSV files into this folder.
    #[arg(long, value_name = "DIR")]
    pub csv: Option<PathBuf>,
    /// Also write the HdrHistogram percentile files (.hgrm) into this folder.
    #[arg(long, value_name = "DIR")]
    pub hdr: Option<PathBuf>,
    /// A finished run to compare this one with: its folder or run.json. Prints the table of `loadtest compare` and
    /// leaves comparison.html in the run's folder.
    #[arg(long, value_name = "RUN")]
    pub baseline: Option<PathBuf>,
    /// When the run is over, leave its nodes and router up, say where they are, and end them at the next Ctrl-C.
    #[arg(long)]
    pub keep_cluster: bool,
    /// Check the scenario and print what it would do; start nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Threads of the load generator. One is all it uses: a second would make the order of requests, and so the run,
    /// depend on chance.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=1))]
    pub threads: u8,
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
    if args.dry_run {
        return super::check::main(&super::check::CheckArgs {
            scenario: args.scenario.clone(),
            overrides: args.overrides.clone(),
            toml: false,
        });
    }
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
    if args.keep_cluster && scenario.matrix.is_some() {
        let why = "--keep-cluster: a matrix has a cluster for every case; which one should stay?";
        return Err(refuse(why, Exit::BadInput));
    }
    let baseline = match &args.baseline {
        None => None,
        Some(path) => Some(super::compare::read(path).map_err(|error| refuse(error, Exit::BadInput))?),
    };
    let toml = scenario.to_toml();
    let run_error = |error: &dyn std::fmt::Display| refuse(error, Exit::RunError);
    let watching = watching(args, &scenario).map_err(|error| run_error(&error))?;
    let live = watching.live.clone();
    let artefacts = Artefacts::create(&args.out, &scenario.name, &toml).map_err(|error| run_error(&error))?;
    for folder in [&args.csv, &args.hdr].into_iter().flatten() {
        report::make_folder(folder).map_err(|error| run_error(&error))?;
    }
    let told = perform(
        &scenario,
        &artefacts,
        snapshots(&artefacts, &toml),
        watching,
        Stay(args.keep_cluster),
        |outcome| {
            tell(
                args,
                &scenario,
                &toml,
                &artefacts,
                live.as_ref(),
                baseline.as_ref(),
                outcome,
            )
        },
    );
    told.map_err(|error| {
        let exit = if matches!(error, RunError::Trace(_)) {
            Exit::BadInput
        } else {
            Exit::RunError
        };
        refuse(error, exit)
    })?
}

/// Writes and prints what a run has to say.
fn tell(
    args: &RunArgs,
    scenario: &Scenario,
    toml: &str,
    artefacts: &Artefacts,
    live: Option<&Arc<Live>>,
    baseline: Option<&Compared>,
    mut outcome: Outcome,
) -> Result<Finished, Exit> {
    outcome.environment.labels = args.label.iter().cloned().collect();
    outcome.thresholds = threshold::judge(&scenario.thresholds, &outcome);
    let written = artefacts
        .write(&outcome, toml)
        .and_then(|()| more(args, &outcome, toml));
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
    let compared = baseline.map_or(Exit::Pass, |baseline| {
        beside(baseline, artefacts, &outcome, args.view)
    });
    let exit = match (printed, compared) {
        (Exit::Pass, Exit::Pass) => Verdict::of(&outcome).exit(),
        (Exit::Pass, failed) | (failed, _) => failed,
    };
    Ok(Finished { outcome, exit })
}

/// This run beside the baseline: a table, and a page in the run's folder.
fn beside(baseline: &Compared, artefacts: &Artefacts, outcome: &Outcome, view: ViewKind) -> Exit {
    let folder = artefacts.folder();
    let name = folder.file_name().map_or_else(
        || "this run".to_owned(),
        |name| name.to_string_lossy().into_owned(),
    );
    let this = Compared {
        name,
        outcome: outcome.clone(),
    };
    let page = folder.join("comparison.html");
    if view == ViewKind::Json {
        // Standard output is the program's that reads it.
        let written = report::write(&page, &report::comparison_page(&[baseline.clone(), this]));
        return written.map_or_else(|error| refuse(error, Exit::RunError), |()| Exit::Pass);
    }
    super::compare::conclude(&[baseline.clone(), this], &[], Some(&page))
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
    if let Some(folder) = &args.csv {
        report::write_csv(folder, outcome)?;
    }
    if let Some(folder) = &args.hdr {
        report::write_histograms(folder, outcome)?;
    }
    Ok(())
}

/// Whether the cluster stays up after the run, until it is told to go.
struct Stay(bool);

fn perform<T>(
    scenario: &Scenario,
    artefacts: &Artefacts,
    snapshots: Snapshots,
    watching: Watching,
    stay: Stay,
    tell: impl FnOnce(Outcome) -> T,
) -> Result<T, RunError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (interrupted, interrupt) = watch::channel(false);
    let Watching {
        view,
        live,
        page,
        desk,
        orders,
    } = watching;
    let hands = Hands {
        desk,
        // One way to end a run: as Ctrl-C does.
        stop: Box::new(|| {
            let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::INT);
        }),
        page,
    };
    let view = crate::live::start(view, scenario, hands);
    let observer: Arc<dyn Observer> = match live {
        Some(live) => Arc::new(Both(view, live)),
        None => view,
    };
    let mut stage = Stage::new(artefacts.folder().join("logs"), observer, interrupt.clone());
    stage.orders = orders;
    stage.snapshots = Some(snapshots);
    if stay.0 {
        stage.afterwards = Afterwards::Stays(RefCell::default());
    }
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
                    crate::live::give_terminal_back();
                    std::process::exit(i32::from(Exit::Interrupted.code()));
                }
            }
        });
        let outcome = conduct::run(scenario, &stage).await;
        let Stage {
            observer, afterwards, ..
        } = stage;
        // The view gives the terminal back before anything is printed.
        drop(observer);
        let told = outcome.map(tell);
        if let Afterwards::Stays(place) = afterwards
            && let Some(cluster) = place.into_inner()
        {
            print_addresses(&cluster);
            let mut interrupt = interrupt;
            // Its sender lives in the task above.
            let _ = interrupt.wait_for(|interrupted| *interrupted).await;
            cluster.shutdown().await;
        }
        listening.abort();
        told
    })
}

/// Where the cluster is that was kept.
fn print_addresses(cluster: &Cluster) {
    let routers = cluster.router_addresses();
    let routers = routers.iter().map(|address| format!("router={address}"));
    let nodes = cluster
        .nodes()
        .iter()
        .filter(|node| node.is_up())
        .map(|node| format!("{}={}", node.name, node.front()));
    let all: Vec<String> = routers.chain(nodes).collect();
    eprintln!("cluster kept until Ctrl-C: {}", all.join(" "));
}
