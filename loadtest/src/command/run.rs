//! `loadtest run`: a scenario from start to verdict.

use std::path::PathBuf;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::LocalSet;

use crate::conduct::{self, RunError, Stage};
use crate::exit::Exit;
use crate::live::ViewKind;
use crate::measure::outcome::Outcome;
use crate::report::{self, Artefacts, Verdict};
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
}

/// Runs the scenario and reports.
#[must_use]
pub fn main(args: &RunArgs) -> Exit {
    let scenario = match scenario::load(&args.scenario, &args.overrides) {
        Ok(scenario) => scenario,
        Err(diagnostic) => {
            eprintln!("{diagnostic}");
            return Exit::BadInput;
        }
    };
    let toml = scenario.to_toml();
    let artefacts = match Artefacts::create(&args.out, &scenario.name, &toml) {
        Ok(artefacts) => artefacts,
        Err(error) => {
            eprintln!("loadtest: {error}");
            return Exit::RunError;
        }
    };
    let mut outcome = match perform(&scenario, &artefacts, args.view) {
        Ok(outcome) => outcome,
        Err(error) => {
            eprintln!("loadtest: {error}");
            return if matches!(error, RunError::Trace(_)) {
                Exit::BadInput
            } else {
                Exit::RunError
            };
        }
    };
    outcome.thresholds = threshold::judge(&scenario.thresholds, &outcome);
    let written = artefacts.write(&outcome, &toml);
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
    if let Err(error) = written {
        eprintln!("loadtest: {error}");
        return Exit::RunError;
    }
    if printed == Exit::Pass {
        Verdict::of(&outcome).exit()
    } else {
        printed
    }
}

fn perform(scenario: &Scenario, artefacts: &Artefacts, view: ViewKind) -> Result<Outcome, RunError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (interrupted, interrupt) = watch::channel(false);
    let stage = Stage {
        logs: artefacts.folder().join("logs"),
        observer: crate::live::start(view, scenario),
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
