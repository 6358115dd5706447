//! `loadtest matrix`: one scenario under every combination of some of its values, and one comparison of all.

use super::compare::{conclude, worst};
use super::run::{self, RunArgs};
use crate::exit::Exit;
use crate::report::compare::{Compared, FailOn};

/// More combinations than this are a mistake: each takes a minute or two.
const CASES_MAX: usize = 64;

/// Everything `matrix` was asked for.
#[derive(Debug, Clone, clap::Args)]
pub struct MatrixArgs {
    #[command(flatten)]
    pub run: RunArgs,
    /// A value to vary and what it shall be, e.g. `--axis hash=modulo,ketama --axis nodes=4,8`. Any path that `--set`
    /// takes; `hash`, `nodes`, `rate` and `fill` are short for `cluster.hash`, `cluster.nodes`, `load.rate` and
    /// `workload.fill` (repeatable). The first combination is the baseline.
    #[arg(long, value_name = "PATH=A,B,…", required = true)]
    pub axis: Vec<String>,
    /// A change from the baseline that is not accepted, as in `compare` (repeatable).
    #[arg(long, value_name = "METRIC < CHANGE")]
    pub fail_on: Vec<String>,
}

/// Runs every combination, one after the other.
#[must_use]
pub fn main(args: &MatrixArgs) -> Exit {
    let fail_on: Result<Vec<FailOn>, _> = args.fail_on.iter().map(|text| text.parse()).collect();
    let (cases, fail_on) = match (combinations(&args.axis), fail_on) {
        (Ok(cases), Ok(fail_on)) => (cases, fail_on),
        (Err(error), _) => {
            eprintln!("loadtest: {error}");
            return Exit::BadInput;
        }
        (_, Err(error)) => {
            eprintln!("loadtest: {error}");
            return Exit::BadInput;
        }
    };
    // A mistake in the last case is told before the first has run.
    let check = |run: &RunArgs| crate::scenario::load(&args.run.scenario, &run.overrides).err();
    if let Some(mistake) = cases.iter().find_map(|case| check(&of(args, case))) {
        // What is wrong without the axes too is not theirs.
        let own = check(&args.run).is_some_and(|without| without == mistake);
        eprintln!(
            "{}",
            if own {
                mistake
            } else {
                mistake.of_flag("--set", "--axis")
            }
        );
        return Exit::BadInput;
    }
    if args.run.dry_run {
        eprintln!(
            "{} combinations, all valid: {}",
            cases.len(),
            cases
                .iter()
                .map(|case| case.join(" "))
                .collect::<Vec<_>>()
                .join("; ")
        );
        return Exit::Pass;
    }
    if args.run.keep_cluster {
        eprintln!("loadtest: --keep-cluster: a matrix has a cluster for every case; which one should stay?");
        return Exit::BadInput;
    }
    let mut runs = Vec::new();
    for (number, case) in cases.iter().enumerate() {
        let name = case.join(" ");
        eprintln!("[{} of {}] {name}", number + 1, cases.len());
        match run::carry_out(&of(args, case)) {
            Ok(finished) => runs.push(Compared {
                name,
                outcome: finished.outcome,
            }),
            Err(exit) => return exit,
        }
        if runs.last().is_some_and(|run| run.outcome.interrupted) {
            break;
        }
    }
    let page = args.run.out.join("comparison.html");
    let concluded = conclude(&runs, &fail_on, Some(&page));
    if concluded == Exit::Pass {
        worst(&runs)
    } else {
        concluded
    }
}

/// The arguments of one case.
fn of(args: &MatrixArgs, case: &[String]) -> RunArgs {
    let mut run = args.run.clone();
    run.overrides.set.extend(case.iter().cloned());
    run
}

/// Every combination of the axes' values, the last axis turning fastest; each as `PATH=VALUE`s.
fn combinations(axes: &[String]) -> Result<Vec<Vec<String>>, String> {
    let mut cases: Vec<Vec<String>> = vec![Vec::new()];
    for axis in axes {
        let form = || format!("--axis {axis}: expected PATH=VALUE,VALUE,…");
        let (path, values) = axis.split_once('=').ok_or_else(form)?;
        let path = match path.trim() {
            "" => return Err(form()),
            "hash" => "cluster.hash",
            "nodes" => "cluster.nodes",
            "rate" => "load.rate",
            "fill" => "workload.fill",
            path => path,
        };
        let values: Vec<&str> = values.split(',').map(str::trim).collect();
        if values.iter().any(|value| value.is_empty()) {
            return Err(form());
        }
        cases = cases
            .iter()
            .flat_map(|case| {
                values.iter().map(move |value| {
                    let mut case = case.clone();
                    case.push(format!("{path}={value}"));
                    case
                })
            })
            .collect();
        if cases.len() > CASES_MAX {
            return Err(format!("{} combinations; at most {CASES_MAX}", cases.len()));
        }
    }
    Ok(cases)
}

#[cfg(test)]
mod tests {
    use super::combinations;

    #[test]
    fn every_combination_comes_once() {
        let axes = ["hash=modulo,ketama".to_owned(), "nodes=4,8".to_owned()];
        let cases = combinations(&axes).unwrap();
        assert_eq!(cases.len(), 4);
        assert_eq!(cases[0], ["cluster.hash=modulo", "cluster.nodes=4"]);
        assert_eq!(cases[3], ["cluster.hash=ketama", "cluster.nodes=8"]);
    }

    #[test]
    fn what_is_no_axis_is_said() {
        for axis in ["hash", "=4", "hash=", "hash=a,,b"] {
            assert!(
                combinations(&[axis.to_owned()]).unwrap_err().contains(axis),
                "{axis}"
            );
        }
        let many = format!("workload.keys={}", ["1"; 65].join(","));
        assert!(combinations(&[many]).unwrap_err().contains("65 combinations"));
    }
}
