//! What a name in an expression stands for: a constant, a function, a percentile, a metric of the run or of a phase.

use std::ops::Range;

use super::token::{Token, TokenKind};
use super::{Mistake, Parser, mistake, same_unit};
use crate::scenario::diagnostic::{nearest, one_of};
use crate::scenario::threshold::metric::{PHASE_METRICS, RUN_METRICS, Unit};
use crate::scenario::threshold::{Function, Term, TermKind};

const PERCENTILES: [(&str, f64); 7] = [
    ("p50", 0.5),
    ("p90", 0.9),
    ("p95", 0.95),
    ("p99", 0.99),
    ("p999", 0.999),
    ("p9999", 0.9999),
    ("p100", 1.0),
];

impl Parser<'_> {
    pub(super) fn name(&mut self, span: Range<usize>) -> Result<Term, Mistake> {
        let name = &self.text[span.clone()];
        if self.symbol(&["("]).is_some() {
            return self.call(name, span);
        }
        let constant = match name {
            "true" => Some(TermKind::Flag(true)),
            "false" => Some(TermKind::Flag(false)),
            "never" => Some(TermKind::Number(f64::INFINITY)),
            _ => None,
        };
        if let Some(kind) = constant {
            // `never` compares with seconds and with counts.
            return Ok(Term {
                unit: Unit::Number,
                kind,
            });
        }
        if PERCENTILES.iter().any(|(percentile, _)| *percentile == name) {
            return Err(mistake(
                span,
                format!("`{name}` is a percentile"),
                format!("expected {name}('PHASE'), or {name}() for the whole run"),
            ));
        }
        self.metric(name, span)
    }

    fn call(&mut self, name: &str, span: Range<usize>) -> Result<Term, Mistake> {
        if let Some((_, quantile)) = PERCENTILES.iter().find(|(percentile, _)| *percentile == name) {
            return self.percentile(*quantile);
        }
        let function = match name {
            "abs" => Function::Abs,
            "min" => Function::Min,
            "max" => Function::Max,
            _ => {
                let valid = [
                    "abs", "min", "max", "p50", "p90", "p95", "p99", "p999", "p9999", "p100",
                ];
                return Err(mistake(
                    span,
                    format!("unknown function `{name}`"),
                    one_of(name, &valid),
                ));
            }
        };
        let mut arguments = vec![self.sum()?];
        while self.symbol(&[","]).is_some() {
            let argument = self.sum()?;
            same_unit(&arguments[0], &argument, span.start..self.end())?;
            arguments.push(argument);
        }
        self.close()?;
        if function == Function::Abs && arguments.len() != 1 {
            return Err(mistake(
                span.start..self.end(),
                "`abs` takes one value",
                "expected abs(A - B)",
            ));
        }
        Ok(Term {
            unit: arguments[0].unit,
            kind: TermKind::Call { function, arguments },
        })
    }

    fn percentile(&mut self, quantile: f64) -> Result<Term, Mistake> {
        let mut phase = String::new();
        let span = self.here();
        if let Some(Token {
            kind: TokenKind::Quoted,
            span,
        }) = self.peek().cloned()
        {
            self.at += 1;
            phase = self.text[span.start + 1..span.end - 1].to_owned();
            let names: Vec<&str> = self
                .scenario
                .phases
                .iter()
                .map(|phase| phase.name.as_str())
                .collect();
            if !names.contains(&phase.as_str()) {
                return Err(mistake(
                    span,
                    format!("no phase `{phase}`"),
                    one_of(&phase, &names),
                ));
            }
        } else if matches!(
            self.peek(),
            Some(Token {
                kind: TokenKind::Name,
                ..
            })
        ) {
            let name = &self.text[span.clone()];
            return Err(mistake(
                span,
                "the phase is not quoted",
                format!("expected '{name}'"),
            ));
        }
        self.close()?;
        Ok(Term {
            unit: Unit::Time,
            kind: TermKind::Latency { phase, quantile },
        })
    }

    fn metric(&self, name: &str, span: Range<usize>) -> Result<Term, Mistake> {
        if let Some(metric) = RUN_METRICS.iter().find(|metric| metric.name == name) {
            return Ok(Term {
                unit: metric.unit,
                kind: TermKind::Run(metric),
            });
        }
        let (first, rest) = name.split_once('.').unwrap_or((name, ""));
        if first == "predicted" {
            return self.predicted(name, span);
        }
        let phases: Vec<&str> = self
            .scenario
            .phases
            .iter()
            .map(|phase| phase.name.as_str())
            .collect();
        let Some(index) = phases.iter().position(|phase| *phase == first) else {
            return Err(mistake(
                span,
                format!("unknown metric `{name}`"),
                self.nearest_metric(name),
            ));
        };
        let Some(metric) = PHASE_METRICS.iter().find(|metric| metric.name == rest) else {
            let names: Vec<&str> = PHASE_METRICS.iter().map(|metric| metric.name).collect();
            let expected = match nearest(rest, names.iter().copied()) {
                Some(near) => {
                    format!("did you mean `{first}.{near}`? see the metric glossary in docs/loadtest.md")
                }
                None if rest.is_empty() => format!("expected `{first}.METRIC`, like `{first}.hit_rate`"),
                None => format!("expected `{first}.` and one of: {}", names.join(", ")),
            };
            return Err(mistake(span, format!("unknown metric `{name}`"), expected));
        };
        if metric.needs_event() && !self.may_have_event(index) {
            let message = format!("phase `{first}` has no event, so there is no `{rest}`");
            return Err(mistake(
                span,
                message,
                "expected a phase in which an event changes the cluster",
            ));
        }
        Ok(Term {
            unit: metric.unit,
            kind: TermKind::Phase {
                phase: first.to_owned(),
                metric,
            },
        })
    }

    /// `predicted.remap.key_fraction` without a phase: that of the one phase with an event.
    fn predicted(&self, name: &str, span: Range<usize>) -> Result<Term, Mistake> {
        let Some(metric) = PHASE_METRICS.iter().find(|metric| metric.name == name) else {
            let names: Vec<&str> = PHASE_METRICS
                .iter()
                .map(|metric| metric.name)
                .filter(|name| name.starts_with("predicted."))
                .collect();
            return Err(mistake(
                span,
                format!("unknown metric `{name}`"),
                one_of(name, &names),
            ));
        };
        let with_event: Vec<&str> = (0..self.scenario.phases.len())
            .filter(|index| self.may_have_event(*index))
            .map(|index| self.scenario.phases[index].name.as_str())
            .collect();
        match with_event.as_slice() {
            [phase] => Ok(Term {
                unit: metric.unit,
                kind: TermKind::Phase {
                    phase: (*phase).to_owned(),
                    metric,
                },
            }),
            [] => Err(mistake(
                span,
                "nothing is predicted: no event changes the cluster",
                "expected a scenario with an event",
            )),
            [first, ..] => {
                let expected = format!("expected the phase before it, like `{first}.{name}`");
                Err(mistake(span, format!("`{name}` of which event?"), expected))
            }
        }
    }

    /// Whether an event that changes the cluster falls, or may fall, into a phase.
    fn may_have_event(&self, phase: usize) -> bool {
        self.scenario
            .events
            .iter()
            .any(|event| event.action.changes_cluster() && event.at.phase.is_none_or(|index| index == phase))
    }

    fn nearest_metric(&self, name: &str) -> String {
        let mut names: Vec<String> = RUN_METRICS.iter().map(|metric| metric.name.to_owned()).collect();
        for phase in &self.scenario.phases {
            names.push(phase.name.clone());
            names.extend(
                PHASE_METRICS
                    .iter()
                    .map(|metric| format!("{}.{}", phase.name, metric.name)),
            );
        }
        match nearest(name, names.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`? see the metric glossary in docs/loadtest.md"),
            None => "expected PHASE.METRIC or a metric of the run: see the glossary in docs/loadtest.md"
                .to_owned(),
        }
    }
}
