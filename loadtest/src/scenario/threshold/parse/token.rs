//! The words of an expression: numbers with their units, names, quoted phases, symbols.

use std::ops::Range;

use super::{Mistake, mistake};
use crate::scenario::diagnostic::one_of;
use crate::scenario::threshold::metric::Unit;

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

#[derive(Debug, Clone, PartialEq)]
pub(super) enum TokenKind {
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
pub(super) struct Token {
    pub(super) kind: TokenKind,
    pub(super) span: Range<usize>,
}

pub(super) fn tokenize(text: &str) -> Result<Vec<Token>, Mistake> {
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
