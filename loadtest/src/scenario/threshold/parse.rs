//! From the text of a threshold to a `Condition`; every mistake says where it is and what would be right.
//!
//! ```text
//! condition  = comparison { "and" comparison }
//! comparison = sum ( "<" | "<=" | ">" | ">=" | "==" | "!=" ) sum
//! sum        = product { ( "+" | "-" ) product }
//! product    = factor { ( "*" | "/" ) factor }
//! factor     = NUMBER [ UNIT ] | "true" | "false" | "never" | METRIC | PERCENTILE "(" [ "'" PHASE "'" ] ")"
//!            | ( "abs" | "min" | "max" ) "(" sum { "," sum } ")" | "(" sum ")" | "-" factor
//! ```

use std::ops::Range;

use super::metric::{PHASE_METRICS, RUN_METRICS, Unit};
use super::{Arithmetic, Comparison, Condition, Function, Operator, Term, TermKind};
use crate::scenario::diagnostic::{nearest, one_of};
use crate::scenario::{Action, Scenario};

/// What is wrong with an expression; `span` counts bytes of its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    pub span: Range<usize>,
    pub message: String,
    pub expected: String,
}

/// Deeper parentheses than this are refused, so that no text can exhaust the stack.
const DEPTH_MAX: usize = 32;

const PERCENTILES: [(&str, f64); 7] = [
    ("p50", 0.5),
    ("p90", 0.9),
    ("p95", 0.95),
    ("p99", 0.99),
    ("p999", 0.999),
    ("p9999", 0.9999),
    ("p100", 1.0),
];

/// Units a number may carry: (name, factor, what it makes of the number).
const UNITS: [(&str, f64, Unit); 8] = [
    ("us", 1e-6, Unit::Time),
    ("ms", 1e-3, Unit::Time),
    ("s", 1.0, Unit::Time),
    ("m", 60.0, Unit::Time),
    ("h", 3_600.0, Unit::Time),
    ("pp", 0.01, Unit::Number),
    ("%", 0.01, Unit::Number),
    ("k", 1_000.0, Unit::Number),
];

/// Parses `text` against the metric names `scenario` has.
pub fn parse(text: &str, scenario: &Scenario) -> Result<Condition, Mistake> {
    let tokens = tokenize(text)?;
    let mut parser = Parser {
        text,
        tokens,
        at: 0,
        scenario,
        depth: 0,
    };
    let condition = parser.condition()?;
    match parser.peek() {
        None => Ok(condition),
        Some(token) => Err(mistake(
            token.span.clone(),
            "something is left over",
            "expected the end, or `and`",
        )),
    }
}

fn mistake(span: Range<usize>, message: impl Into<String>, expected: impl Into<String>) -> Mistake {
    Mistake {
        span,
        message: message.into(),
        expected: expected.into(),
    }
}

#[derive(Debug, Clone, PartialEq)]
enum TokenKind {
    Number {
        value: f64,
        unit: Unit,
    },
    /// A dotted name.
    Name,
    Quoted,
    Symbol(&'static str),
}

#[derive(Debug, Clone, PartialEq)]
struct Token {
    kind: TokenKind,
    span: Range<usize>,
}

fn tokenize(text: &str) -> Result<Vec<Token>, Mistake> {
    /// Longest first.
    const SYMBOLS: [&str; 14] = [
        "<=", ">=", "==", "!=", "&&", "<", ">", "+", "-", "*", "/", "(", ")", ",",
    ];
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        let length_while = |keep: fn(char) -> bool| rest.find(|c: char| !keep(c)).unwrap_or(rest.len());
        let (kind, length) = if first.is_whitespace() {
            at += first.len_utf8();
            continue;
        } else if first.is_ascii_digit() {
            number(rest, at)?
        } else if first.is_ascii_alphabetic() {
            (
                TokenKind::Name,
                length_while(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.'),
            )
        } else if first == '\'' || first == '"' {
            match rest[1..].find(first) {
                Some(end) => (TokenKind::Quoted, end + 2),
                None => {
                    return Err(mistake(
                        at..text.len(),
                        "the quote is not closed",
                        format!("expected {first}"),
                    ));
                }
            }
        } else if let Some(symbol) = SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol)) {
            (TokenKind::Symbol(symbol), symbol.len())
        } else {
            let span = at..at + first.len_utf8();
            return Err(mistake(
                span,
                format!("`{first}` means nothing here"),
                "expected a metric, a number or a comparison",
            ));
        };
        tokens.push(Token {
            kind,
            span: at..at + length,
        });
        at += length;
    }
    Ok(tokens)
}

fn number(rest: &str, at: usize) -> Result<(TokenKind, usize), Mistake> {
    let digits = rest
        .find(|c: char| !(c.is_ascii_digit() || c == '.' || c == '_'))
        .unwrap_or(rest.len());
    let unit_length = rest[digits..]
        .find(|c: char| !(c.is_ascii_alphabetic() || c == '%'))
        .unwrap_or(rest.len() - digits);
    let Ok(value) = rest[..digits].replace('_', "").parse::<f64>() else {
        return Err(mistake(
            at..at + digits,
            "not a number",
            "expected digits, like 0.75",
        ));
    };
    let unit = &rest[digits..digits + unit_length];
    if unit.is_empty() {
        return Ok((
            TokenKind::Number {
                value,
                unit: Unit::Number,
            },
            digits,
        ));
    }
    match UNITS.iter().find(|(name, ..)| *name == unit) {
        Some((_, factor, unit)) => Ok((
            TokenKind::Number {
                value: value * factor,
                unit: *unit,
            },
            digits + unit_length,
        )),
        None => {
            let names: Vec<&str> = UNITS.iter().map(|(name, ..)| *name).collect();
            let span = at + digits..at + digits + unit_length;
            Err(mistake(
                span,
                format!("unknown unit `{unit}`"),
                one_of(unit, &names),
            ))
        }
    }
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    at: usize,
    scenario: &'a Scenario,
    depth: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    /// Takes the next token if it is one of these symbols.
    fn symbol(&mut self, wanted: &[&'static str]) -> Option<&'static str> {
        match self.peek()?.kind {
            TokenKind::Symbol(symbol) if wanted.contains(&symbol) => {
                self.at += 1;
                Some(symbol)
            }
            _ => None,
        }
    }

    fn here(&self) -> Range<usize> {
        self.peek()
            .map_or(self.text.len()..self.text.len(), |token| token.span.clone())
    }

    fn condition(&mut self) -> Result<Condition, Mistake> {
        let mut comparisons = vec![self.comparison()?];
        while self.joined() {
            comparisons.push(self.comparison()?);
        }
        Ok(Condition { comparisons })
    }

    fn joined(&mut self) -> bool {
        if self.symbol(&["&&"]).is_some() {
            return true;
        }
        let is_and = self
            .peek()
            .is_some_and(|token| token.kind == TokenKind::Name && &self.text[token.span.clone()] == "and");
        self.at += usize::from(is_and);
        is_and
    }

    fn comparison(&mut self) -> Result<Comparison, Mistake> {
        let start = self.here().start;
        let left = self.sum()?;
        let span = self.here();
        let operator = match self.symbol(&["<", "<=", ">", ">=", "==", "!="]) {
            Some("<") => Operator::Less,
            Some("<=") => Operator::LessOrEqual,
            Some(">") => Operator::Greater,
            Some(">=") => Operator::GreaterOrEqual,
            Some("==") => Operator::Equal,
            Some(_) => Operator::NotEqual,
            None => {
                return Err(mistake(
                    span,
                    "nothing is compared",
                    "expected one of: <, <=, >, >=, ==, !=",
                ));
            }
        };
        let right = self.sum()?;
        same_unit(&left, &right, start..self.end())?;
        Ok(Comparison {
            left,
            operator,
            right,
        })
    }

    /// Where the last token taken ends.
    fn end(&self) -> usize {
        self.at
            .checked_sub(1)
            .map_or(0, |last| self.tokens[last].span.end)
    }

    fn sum(&mut self) -> Result<Term, Mistake> {
        let start = self.here().start;
        let mut left = self.product()?;
        while let Some(symbol) = self.symbol(&["+", "-"]) {
            let right = self.product()?;
            same_unit(&left, &right, start..self.end())?;
            let unit = if left.unit == Unit::Number {
                right.unit
            } else {
                left.unit
            };
            let operator = if symbol == "+" {
                Arithmetic::Add
            } else {
                Arithmetic::Subtract
            };
            left = binary(unit, operator, left, right);
        }
        Ok(left)
    }

    fn product(&mut self) -> Result<Term, Mistake> {
        let start = self.here().start;
        let mut left = self.factor()?;
        while let Some(symbol) = self.symbol(&["*", "/"]) {
            let right = self.factor()?;
            let unit = match (left.unit, symbol, right.unit) {
                (unit, _, Unit::Number) | (Unit::Number, "*", unit) => unit,
                (_, "/", unit) if unit != Unit::Number && left.unit != Unit::Number => Unit::Number,
                _ => {
                    let expected = "expected a time times a number, or a time divided by a time";
                    return Err(mistake(start..self.end(), "the units make no sense", expected));
                }
            };
            let operator = if symbol == "*" {
                Arithmetic::Multiply
            } else {
                Arithmetic::Divide
            };
            left = binary(unit, operator, left, right);
        }
        Ok(left)
    }

    fn factor(&mut self) -> Result<Term, Mistake> {
        let Some(token) = self.peek().cloned() else {
            return Err(mistake(
                self.here(),
                "the expression ends too soon",
                "expected a metric or a number",
            ));
        };
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(mistake(token.span, "nested too deeply", ""));
        }
        self.at += 1;
        let term = match token.kind {
            TokenKind::Number { value, unit } => Ok(Term {
                unit,
                kind: TermKind::Number(value),
            }),
            TokenKind::Symbol("(") => {
                let inner = self.sum()?;
                self.close()?;
                Ok(inner)
            }
            TokenKind::Symbol("-") => {
                let inner = self.factor()?;
                let zero = Term {
                    unit: inner.unit,
                    kind: TermKind::Number(0.0),
                };
                Ok(binary(inner.unit, Arithmetic::Subtract, zero, inner))
            }
            TokenKind::Name => self.name(token.span),
            TokenKind::Symbol(_) | TokenKind::Quoted => Err(mistake(
                token.span,
                "this cannot stand here",
                "expected a metric or a number",
            )),
        };
        self.depth -= 1;
        term
    }

    fn close(&mut self) -> Result<(), Mistake> {
        match self.symbol(&[")"]) {
            Some(_) => Ok(()),
            None => Err(mistake(
                self.here(),
                "the parenthesis is not closed",
                "expected )",
            )),
        }
    }

    fn name(&mut self, span: Range<usize>) -> Result<Term, Mistake> {
        let name = &self.text[span.clone()];
        if self.symbol(&["("]).is_some() {
            return self.call(name, span);
        }
        let constant = match name {
            "true" => Some(1.0),
            "false" => Some(0.0),
            "never" => Some(f64::INFINITY),
            _ => None,
        };
        if let Some(value) = constant {
            // `never` compares with seconds and with counts.
            return Ok(Term {
                unit: Unit::Number,
                kind: TermKind::Number(value),
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
        self.scenario.events.iter().any(|event| {
            let changes = !matches!(event.action, Action::Rate { .. } | Action::Mark { .. });
            changes && event.at.phase.is_none_or(|index| index == phase)
        })
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

fn binary(unit: Unit, operator: Arithmetic, left: Term, right: Term) -> Term {
    Term {
        unit,
        kind: TermKind::Binary {
            operator,
            left: Box::new(left),
            right: Box::new(right),
        },
    }
}

/// A time is never compared with (or added to) a bare number, except where the name says `seconds`, or with `never` and zero.
fn same_unit(left: &Term, right: &Term, span: Range<usize>) -> Result<(), Mistake> {
    let unitless =
        |term: &Term| matches!(term.kind, TermKind::Number(value) if value.is_infinite() || value == 0.0);
    let compatible = left.unit == right.unit
        || left.unit == Unit::Seconds
        || right.unit == Unit::Seconds
        || unitless(left)
        || unitless(right);
    if compatible {
        return Ok(());
    }
    let expected = match (&left.kind, &right.kind) {
        (_, TermKind::Number(value)) if right.unit == Unit::Number => {
            format!("expected {value} with a unit, like {value}ms")
        }
        (TermKind::Number(value), _) if left.unit == Unit::Number => {
            format!("expected {value} with a unit, like {value}ms")
        }
        _ => "expected times on both sides, or numbers on both sides".to_owned(),
    };
    Err(mistake(span, "a time and a bare number do not compare", expected))
}
