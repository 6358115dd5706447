//! `loadtest run`: a scenario from start to verdict.

use std::path::PathBuf;

use crate::exit::Exit;
use crate::live::ViewKind;

/// Everything `run` was asked for.
#[derive(Debug, Clone, clap::Args)]
pub struct RunArgs {
    /// A scenario file, or `builtin:NAME` (see `loadtest list`).
    #[arg(value_name = "FILE|builtin:NAME", default_value = "builtin:trace-c52")]
    pub scenario: String,
    #[command(flatten)]
    pub overrides: crate::scenario::Overrides,
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
    eprintln!(
        "loadtest: run {}: the run loop is not part of this build",
        args.scenario
    );
    Exit::RunError
}
