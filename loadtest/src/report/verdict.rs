//! Is all well? One answer from thresholds, generator health and correctness; the exit code follows from it.

use crate::exit::Exit;
use crate::measure::outcome::Outcome;

/// How a run ended, worst news first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Stopped by a signal; figures cover what was driven until then.
    Interrupted,
    /// An event could not be carried out.
    Broken,
    /// A hit returned a value that was never stored under its key. No threshold excuses that.
    WrongValues,
    /// The generator lagged: the figures describe it, not the cluster.
    Invalid,
    /// A threshold did not hold.
    Failed,
    Passed,
}

impl Verdict {
    #[must_use]
    pub fn of(outcome: &Outcome) -> Self {
        let mismatches =
            outcome.totals.mismatches + outcome.cases.iter().map(|case| case.mismatches).sum::<u64>();
        let case_off = outcome
            .cases
            .iter()
            .any(|case| case.within_tolerance == Some(false));
        if outcome.interrupted {
            Self::Interrupted
        } else if outcome.events.iter().any(|event| event.error.is_some()) {
            Self::Broken
        } else if mismatches > 0 {
            Self::WrongValues
        } else if !outcome.generator.valid {
            Self::Invalid
        } else if case_off || outcome.thresholds.iter().any(|threshold| !threshold.passed) {
            Self::Failed
        } else {
            Self::Passed
        }
    }

    /// Whether thresholds mean anything: of a run that stopped early, broke or lagged they do not.
    #[must_use]
    pub fn is_judged(self) -> bool {
        matches!(self, Self::Passed | Self::Failed | Self::WrongValues)
    }

    /// One word for the card and the strip.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Interrupted => "INTERRUPTED",
            Self::Broken => "ERROR",
            Self::WrongValues | Self::Failed => "FAIL",
            Self::Invalid => "INVALID",
            Self::Passed => "PASS",
        }
    }

    #[must_use]
    pub fn exit(self) -> Exit {
        match self {
            Self::Interrupted => Exit::Interrupted,
            Self::Broken => Exit::RunError,
            Self::WrongValues | Self::Failed => Exit::ThresholdFailed,
            Self::Invalid => Exit::Invalid,
            Self::Passed => Exit::Pass,
        }
    }
}

/// Thresholds that held, and all of them. A comparison counts its cases as well.
#[must_use]
pub(super) fn score(outcome: &Outcome) -> (usize, usize) {
    let cases = outcome.cases.iter().filter_map(|case| case.within_tolerance);
    let all: Vec<bool> = outcome
        .thresholds
        .iter()
        .map(|threshold| threshold.passed)
        .chain(cases)
        .collect();
    (all.iter().filter(|held| **held).count(), all.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::outcome::{EventCard, Generator, ThresholdResult, Totals};

    #[test]
    fn the_worst_news_decides() {
        let passed = Outcome {
            generator: Generator {
                valid: true,
                ..Generator::default()
            },
            ..Outcome::default()
        };
        let failed = Outcome {
            thresholds: vec![ThresholdResult::default()],
            ..passed.clone()
        };
        let invalid = Outcome {
            generator: Generator::default(),
            ..failed.clone()
        };
        let wrong = Outcome {
            totals: Totals {
                mismatches: 1,
                ..Totals::default()
            },
            ..invalid.clone()
        };
        let event = EventCard {
            error: Some("node5 did not start".into()),
            ..EventCard::default()
        };
        let broken = Outcome {
            events: vec![event],
            ..wrong.clone()
        };
        let interrupted = Outcome {
            interrupted: true,
            ..broken.clone()
        };
        for (outcome, verdict, code) in [
            (passed, Verdict::Passed, 0),
            (failed, Verdict::Failed, 99),
            (invalid, Verdict::Invalid, 3),
            (wrong, Verdict::WrongValues, 99),
            (broken, Verdict::Broken, 1),
            (interrupted, Verdict::Interrupted, 130),
        ] {
            assert_eq!((Verdict::of(&outcome), verdict.exit().code()), (verdict, code));
        }
    }
}
