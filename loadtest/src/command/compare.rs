//! `loadtest compare`: runs beside one another, the first as baseline.

use std::path::{Path, PathBuf};

use crate::exit::Exit;
use crate::report::compare::{Compared, FailOn, headline, table};
use crate::report::{self, Verdict};

/// Everything `compare` was asked for.
#[derive(Debug, Clone, clap::Args)]
pub struct CompareArgs {
    /// Folders of runs (or their run.json). The first is the baseline.
    #[arg(value_name = "RUN", required = true, num_args = 2..)]
    pub runs: Vec<PathBuf>,
    /// A change from the baseline that is not accepted, e.g. `--fail-on 'hit_rate.min < -1pp'` or
    /// `--fail-on 'p99 > 10%'` (repeatable). Exit code 99 if a run has one.
    #[arg(long, value_name = "METRIC < CHANGE")]
    pub fail_on: Vec<String>,
    /// Where to write the page with the overlaid charts; without it none is written.
    #[arg(short, long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// Reads, compares, prints, judges.
#[must_use]
pub fn main(args: &CompareArgs) -> Exit {
    let read = args.runs.iter().map(|path| read(path));
    let fail_on = args
        .fail_on
        .iter()
        .map(|text| text.parse::<FailOn>().map_err(|error| error.to_string()));
    let (runs, fail_on): (Vec<Compared>, Vec<FailOn>) = match read
        .collect::<Result<_, String>>()
        .and_then(|runs| Ok((runs, fail_on.collect::<Result<_, String>>()?)))
    {
        Ok(read) => read,
        Err(error) => {
            eprintln!("loadtest: {error}");
            return Exit::BadInput;
        }
    };
    conclude(&runs, &fail_on, args.out.as_deref())
}

/// A finished run, from its folder or its run.json.
pub(super) fn read(path: &Path) -> Result<Compared, String> {
    let (outcome, _) = report::read(path).map_err(|error| error.to_string())?;
    Ok(Compared {
        name: name(path),
        outcome,
    })
}

/// A run's folder, by its last name.
fn name(path: &Path) -> String {
    let folder = if path.is_dir() { Some(path) } else { path.parent() };
    folder.and_then(Path::file_name).map_or_else(
        || path.display().to_string(),
        |name| name.to_string_lossy().into_owned(),
    )
}

/// Prints the table, writes the page, judges the changes.
pub(super) fn conclude(runs: &[Compared], fail_on: &[FailOn], out: Option<&Path>) -> Exit {
    let mut text = table(runs);
    let headline = headline(runs);
    for sentence in std::iter::once(&headline.sentence).chain(&headline.runs) {
        text.push_str(&format!("{sentence}\n"));
    }
    let (baseline, others) = runs.split_first().expect("there are runs");
    let mut broken = Vec::new();
    for run in others {
        broken.extend(fail_on.iter().filter_map(|fail_on| fail_on.judge(baseline, run)));
    }
    for told in &broken {
        text.push_str(&format!("FAILED  {told}\n"));
    }
    if let Some(path) = out {
        if let Err(error) = report::write(path, &report::comparison_page(runs)) {
            eprintln!("loadtest: {error}");
            return Exit::RunError;
        }
        text.push_str(&format!("comparison: {}\n", path.display()));
    }
    let printed = super::print(&text);
    if printed != Exit::Pass {
        printed
    } else if broken.is_empty() {
        Exit::Pass
    } else {
        Exit::ThresholdFailed
    }
}

/// The worst end of several runs.
pub(super) fn worst(runs: &[Compared]) -> Exit {
    runs.iter()
        .map(|run| Verdict::of(&run.outcome).exit())
        .max_by_key(|exit| match exit {
            Exit::Pass => 0,
            Exit::ThresholdFailed => 1,
            Exit::Invalid => 2,
            Exit::BadInput => 3,
            Exit::RunError => 4,
            Exit::Interrupted => 5,
        })
        .unwrap_or(Exit::Pass)
}
