//! `loadtest report`: draw a run's report again from its run.json. Never needs the cluster.

use std::path::PathBuf;

use crate::exit::Exit;
use crate::report::{self, Verdict};

/// Everything `report` was asked for.
#[derive(Debug, Clone, clap::Args)]
pub struct ReportArgs {
    /// A run's folder (or its run.json).
    #[arg(value_name = "RUN-DIR")]
    pub run: PathBuf,
    /// Where to write the page; default: report.html in the run's folder.
    #[arg(short, long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// Reads, draws, writes; prints the end card. The exit code is 0 when that worked, whatever the run's verdict was.
#[must_use]
pub fn main(args: &ReportArgs) -> Exit {
    let (outcome, scenario) = match report::read(&args.run) {
        Ok(run) => run,
        Err(error) => {
            eprintln!("loadtest: {error}");
            return Exit::BadInput;
        }
    };
    let folder = if args.run.is_dir() {
        args.run.clone()
    } else {
        args.run.with_file_name("")
    };
    let path = args.out.clone().unwrap_or_else(|| folder.join("report.html"));
    if let Err(error) = report::write(&path, &report::html_page(&outcome, &scenario)) {
        eprintln!("loadtest: {error}");
        return Exit::RunError;
    }
    let card = report::end_card(&outcome);
    let verdict = Verdict::of(&outcome).word();
    super::print(&format!("{card}report: {} ({verdict})\n", path.display()))
}
