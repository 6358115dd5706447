//! Reads `[matrix]`: hashes times cases, with the reference figures to print beside ours.

use super::diagnostic::Diagnostic;
use super::event;
use super::hash::parse_hash;
use super::reader::Table;
use super::sections::words;
use super::{Action, Expected, Matrix, MatrixCase};

type Result<T> = std::result::Result<T, Diagnostic>;

/// Figures further off than this are no longer the same result (1.5 percentage points).
const TOLERANCE: f64 = 0.015;

pub(super) fn matrix(mut table: Table<'_>) -> Result<Matrix> {
    let Some(node) = table.get("hash") else {
        return Err(table.error(
            "a matrix needs its hashes",
            "expected hash = [\"ketama\", \"jump\"]",
        ));
    };
    let hashes: Vec<_> = words(node, "hash")?
        .into_iter()
        .map(|(text, place)| parse_hash(text, &place))
        .collect::<Result<_>>()?;
    if hashes.is_empty() {
        return Err(Diagnostic::new(
            &node.origin,
            "a matrix needs its hashes",
            "expected at least one",
        ));
    }
    let tolerance = table.number("tolerance", 0.0, 1.0)?.unwrap_or(TOLERANCE);
    let cases = table.tables("case", "[[matrix.case]]")?;
    if cases.is_empty() {
        return Err(table.error(
            "a matrix needs its cases",
            "expected at least one [[matrix.case]]",
        ));
    }
    let cases = cases
        .into_iter()
        .map(|case| read_case(case, tolerance))
        .collect::<Result<_>>()?;
    table.finish()?;
    Ok(Matrix { hashes, cases })
}

fn read_case(mut table: Table<'_>, tolerance: f64) -> Result<MatrixCase> {
    let Some(name) = table.string("name")?.map(str::to_owned) else {
        return Err(table.error("a case has no name", "expected name = \"4 nodes, add 1\""));
    };
    let nodes = table.count("nodes", 1, 64)?.unwrap_or(4);
    let action = event::action(&mut table)?;
    let removes = matches!(action, Action::RemoveNode { .. } | Action::KillNode { .. });
    if removes && nodes < 2 {
        return Err(table.error("no node would be left", "expected nodes = 2 or more"));
    }
    let mut requests =
        |key: &'static str, default: u64| Ok(table.integer(key, 1, u64::MAX >> 1)?.unwrap_or(default));
    let (warm_requests, baseline_requests, after_requests) = (
        requests("warm_requests", 500_000)?,
        requests("baseline_requests", 100_000)?,
        requests("after_requests", 100_000)?,
    );
    let expected = table.tables("expected", "`expected`")?;
    let expected = expected
        .into_iter()
        .map(|row| read_expected(row, tolerance))
        .collect::<Result<_>>()?;
    table.finish()?;
    Ok(MatrixCase {
        name,
        nodes,
        action,
        warm_requests,
        baseline_requests,
        after_requests,
        expected,
    })
}

fn read_expected(mut table: Table<'_>, tolerance: f64) -> Result<Expected> {
    let hash = match table.string("hash")? {
        Some("any") | None => None,
        Some(text) => Some(parse_hash(text, &table.place("hash"))?),
    };
    let mut share = |key: &'static str| -> Result<f64> {
        match table.number(key, 0.0, 1.0)? {
            Some(share) => Ok(share),
            None => Err(table.error(
                format!("`expected` lacks `{key}`"),
                "expected a hit rate from 0 to 1",
            )),
        }
    };
    let (warm, first_5k, first_20k) = (share("warm")?, share("first_5k")?, share("first_20k")?);
    let to_95_requests = table.integer("to_95_requests", 0, u64::MAX >> 1)?.unwrap_or(0);
    table.finish()?;
    Ok(Expected {
        hash,
        warm,
        first_5k,
        first_20k,
        to_95_requests,
        tolerance,
    })
}
