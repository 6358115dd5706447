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

mod name;
mod token;

use std::ops::Range;

use self::token::{Token, TokenKind, tokenize};
use super::metric::Unit;
use super::{Arithmetic, Comparison, Condition, Operator, Term, TermKind};
use crate::scenario::Scenario;

/// What is wrong with an expression; `span` counts bytes of its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    pub span: Range<usize>,
    pub message: String,
    pub expected: String,
}

/// Deeper parentheses than this are refused, so that no text can exhaust the stack.
const DEPTH_MAX: usize = 32;

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
