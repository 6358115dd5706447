//! Threshold expressions: `resize.hit_rate.min >= 0.75 * steady.hit_rate`, `p99('resize') < 50ms`.
//!
//! Checked against the metric names of the scenario before anything runs, evaluated over the `Outcome` afterwards.
//! A metric that was not measured fails its threshold; "never" is infinite.

mod metric;
mod parse;

use std::fmt::Write as _;

pub(super) use metric::is_reserved;
use metric::plain;
pub use metric::{PHASE_METRICS, PhaseMetric, RUN_METRICS, RunMetric, Unit};
pub use parse::{Mistake, parse};

use crate::measure::outcome::{Outcome, ThresholdResult};

/// One comparison, or several joined with `and`.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    comparisons: Vec<Comparison>,
}

#[derive(Debug, Clone, PartialEq)]
struct Comparison {
    left: Term,
    operator: Operator,
    right: Term,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
    NotEqual,
}

/// A sum, a product, a number or a metric; `unit` was checked when it was parsed.
#[derive(Debug, Clone, PartialEq)]
struct Term {
    unit: Unit,
    kind: TermKind,
}

#[derive(Debug, Clone, PartialEq)]
enum TermKind {
    Flag(bool),
    Number(f64),
    Run(&'static RunMetric),
    Phase {
        phase: String,
        metric: &'static PhaseMetric,
    },
    /// Percentile (0 to 1) of the response time of a phase; the whole run if the name is empty.
    Latency {
        phase: String,
        quantile: f64,
    },
    Binary {
        operator: Arithmetic,
        left: Box<Term>,
        right: Box<Term>,
    },
    Call {
        function: Function,
        arguments: Vec<Term>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Function {
    Abs,
    Min,
    Max,
}

impl Operator {
    fn text(self) -> &'static str {
        match self {
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Equal => "==",
            Self::NotEqual => "!=",
        }
    }

    fn holds(self, left: f64, right: f64) -> bool {
        match self {
            Self::Less => left < right,
            Self::LessOrEqual => left <= right,
            Self::Greater => left > right,
            Self::GreaterOrEqual => left >= right,
            #[expect(
                clippy::float_cmp,
                reason = "`==` in a threshold is for counts and flags, which are exact"
            )]
            Self::Equal => left == right,
            #[expect(
                clippy::float_cmp,
                reason = "`!=` in a threshold is for counts and flags, which are exact"
            )]
            Self::NotEqual => left != right && !left.is_nan() && !right.is_nan(),
        }
    }
}

impl Term {
    /// `true` or `false`, as written.
    fn is_flag(&self) -> bool {
        matches!(self.kind, TermKind::Flag(_))
    }

    /// `None`: something in it was not measured.
    fn value(&self, outcome: &Outcome) -> Option<f64> {
        match &self.kind {
            TermKind::Number(number) => Some(*number),
            TermKind::Flag(flag) => Some(f64::from(*flag)),
            TermKind::Run(metric) => (metric.read)(outcome),
            TermKind::Phase { phase, metric } => metric.value(outcome, phase),
            TermKind::Latency { phase, quantile } => metric::latency(outcome, phase, *quantile),
            TermKind::Binary {
                operator,
                left,
                right,
            } => {
                let (left, right) = (left.value(outcome)?, right.value(outcome)?);
                Some(match operator {
                    Arithmetic::Add => left + right,
                    Arithmetic::Subtract => left - right,
                    Arithmetic::Multiply => left * right,
                    Arithmetic::Divide => left / right,
                })
            }
            TermKind::Call { function, arguments } => {
                let values: Vec<f64> = arguments
                    .iter()
                    .map(|term| term.value(outcome))
                    .collect::<Option<_>>()?;
                Some(match function {
                    Function::Abs => values.first()?.abs(),
                    Function::Min => values.into_iter().fold(f64::INFINITY, f64::min),
                    Function::Max => values.into_iter().fold(f64::NEG_INFINITY, f64::max),
                })
            }
        }
    }

    /// Names of the metrics in it that were not measured.
    fn missing(&self, outcome: &Outcome, names: &mut Vec<String>) {
        match &self.kind {
            TermKind::Number(_) | TermKind::Flag(_) => {}
            TermKind::Run(metric) if self.value(outcome).is_none() => names.push(metric.name.to_owned()),
            TermKind::Phase { phase, metric } if self.value(outcome).is_none() => {
                names.push(format!("{phase}.{}", metric.name));
            }
            TermKind::Latency { phase, .. } if self.value(outcome).is_none() => {
                names.push(format!(
                    "latency of {}",
                    if phase.is_empty() { "the run" } else { phase }
                ));
            }
            TermKind::Run(_) | TermKind::Phase { .. } | TermKind::Latency { .. } => {}
            TermKind::Binary { left, right, .. } => {
                left.missing(outcome, names);
                right.missing(outcome, names);
            }
            TermKind::Call { arguments, .. } => {
                arguments.iter().for_each(|term| term.missing(outcome, names))
            }
        }
    }
}

/// Evaluates every threshold over what was measured.
#[must_use]
pub fn judge(thresholds: &[super::Threshold], outcome: &Outcome) -> Vec<ThresholdResult> {
    thresholds
        .iter()
        .zip(0..)
        .map(|(threshold, number)| {
            let (held, mut detail) = threshold.condition.judge(outcome);
            let breach = outcome.breaches.iter().find(|breach| breach.threshold == number);
            let measured = threshold.condition.holds(outcome).is_some();
            // One that counts only after a while may end in a breach, if that is too short.
            let passed = match breach {
                Some(breach) if !threshold.lasting.is_zero() => measured && !breach.counts,
                Some(breach) => held && !breach.counts,
                None => held,
            };
            if let Some(breach) = breach.filter(|breach| breach.counts || breach.longest_seconds > 0.0) {
                let _ = write!(detail, "; did not hold for {} s", plain(breach.longest_seconds));
                if breach.ended_run {
                    detail.push_str(", and ended the run");
                }
            }
            ThresholdResult {
                expr: threshold.expr.clone(),
                why: threshold.why.clone().unwrap_or_default(),
                passed,
                detail,
            }
        })
        .collect()
}

impl Condition {
    /// Whether it holds of what was measured so far; `None` if something in it was not.
    #[must_use]
    pub fn holds(&self, outcome: &Outcome) -> Option<bool> {
        self.comparisons.iter().try_fold(true, |held, comparison| {
            let (left, right) = (comparison.left.value(outcome)?, comparison.right.value(outcome)?);
            Some(held && comparison.operator.holds(left, right))
        })
    }

    fn judge(&self, outcome: &Outcome) -> (bool, String) {
        let mut detail = String::new();
        let mut passed = true;
        for comparison in &self.comparisons {
            if !detail.is_empty() {
                detail.push_str(" and ");
            }
            let Comparison {
                left,
                operator,
                right,
            } = comparison;
            let unit = match (left.unit, right.unit) {
                _ if left.is_flag() || right.is_flag() => Unit::Flag,
                (Unit::Number, unit) | (unit, _) => unit,
            };
            if let (Some(a), Some(b)) = (left.value(outcome), right.value(outcome)) {
                passed &= operator.holds(a, b);
                let _ = write!(detail, "{} {} {}", unit.text(a), operator.text(), unit.text(b));
            } else {
                passed = false;
                let mut names = Vec::new();
                left.missing(outcome, &mut names);
                right.missing(outcome, &mut names);
                let _ = write!(detail, "not measured: {}", names.join(", "));
            }
        }
        (passed, detail)
    }
}

#[cfg(test)]
mod tests;
