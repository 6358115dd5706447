//! Takes values out of a table by name and remembers which names were asked for, so that what nobody asked for is an
//! unknown key and the list of valid keys is never out of date.

use std::time::Duration;

use super::Distribution;
use super::diagnostic::{Diagnostic, Origin, one_of};
use super::quantity;
use super::tree::{Entry, Node, Value};

type Result<T> = std::result::Result<T, Diagnostic>;

/// One table being read.
pub(super) struct Table<'a> {
    /// `[cluster]`, `[[event]]`, `the scenario`: for messages.
    what: &'static str,
    /// Where the table stands: for missing keys.
    pub(super) origin: Origin,
    entries: &'a [Entry],
    asked: Vec<&'static str>,
}

impl<'a> Table<'a> {
    pub(super) fn new(node: &'a Node, what: &'static str) -> Result<Self> {
        match &node.value {
            Value::Table(entries) => Ok(Self {
                what,
                origin: node.origin.clone(),
                entries,
                asked: Vec::new(),
            }),
            other => Err(wrong_kind(node, what, "a table", other)),
        }
    }

    /// A table nobody wrote: every key takes its default.
    pub(super) fn empty(what: &'static str, origin: &Origin) -> Self {
        Self {
            what,
            origin: origin.clone(),
            entries: &[],
            asked: Vec::new(),
        }
    }

    /// The whole table as it was written.
    pub(super) fn node(&self) -> Node {
        Node {
            origin: self.origin.clone(),
            value: Value::Table(self.entries.to_vec()),
        }
    }

    /// The value under `key`, if written.
    pub(super) fn get(&mut self, key: &'static str) -> Option<&'a Node> {
        self.asked.push(key);
        self.entries
            .iter()
            .find(|entry| entry.key == key)
            .map(|entry| &entry.node)
    }

    /// Where `key` was written, else the table.
    pub(super) fn place(&self, key: &str) -> Origin {
        let entry = self.entries.iter().find(|entry| entry.key == key);
        entry.map_or_else(|| self.origin.clone(), |entry| entry.node.origin.clone())
    }

    pub(super) fn is_written(&self, key: &str) -> bool {
        self.entries.iter().any(|entry| entry.key == key)
    }

    /// An error about the table as a whole.
    pub(super) fn error(&self, message: impl Into<String>, expected: impl Into<String>) -> Diagnostic {
        Diagnostic::new(&first_line(&self.origin), message, expected)
    }

    /// Refuses the first key that nobody asked for.
    pub(super) fn finish(self) -> Result<()> {
        let Some(entry) = self
            .entries
            .iter()
            .find(|entry| !self.asked.contains(&entry.key.as_str()))
        else {
            return Ok(());
        };
        let mut valid = self.asked;
        valid.sort_unstable();
        valid.dedup();
        Err(Diagnostic::new(
            &entry.key_origin,
            format!("unknown key `{}` in {}", entry.key, self.what),
            one_of(&entry.key, &valid),
        ))
    }

    pub(super) fn table(&mut self, key: &'static str, what: &'static str) -> Result<Table<'a>> {
        match self.get(key) {
            Some(node) => Table::new(node, what),
            None => Ok(Table::empty(what, &self.origin)),
        }
    }

    pub(super) fn tables(&mut self, key: &'static str, what: &'static str) -> Result<Vec<Table<'a>>> {
        let Some(node) = self.get(key) else {
            return Ok(Vec::new());
        };
        match &node.value {
            Value::Array(items) => items.iter().map(|item| Table::new(item, what)).collect(),
            other => Err(wrong_kind(
                node,
                key,
                &format!("an array of tables, {what}"),
                other,
            )),
        }
    }

    pub(super) fn string(&mut self, key: &'static str) -> Result<Option<&'a str>> {
        self.get(key).map(|node| as_string(node, key)).transpose()
    }

    pub(super) fn strings(&mut self, key: &'static str) -> Result<Option<Vec<&'a str>>> {
        let Some(node) = self.get(key) else {
            return Ok(None);
        };
        match &node.value {
            Value::Array(items) => items
                .iter()
                .map(|item| as_string(item, key))
                .collect::<Result<_>>()
                .map(Some),
            other => Err(wrong_kind(node, key, "an array of strings", other)),
        }
    }

    pub(super) fn boolean(&mut self, key: &'static str) -> Result<Option<bool>> {
        let Some(node) = self.get(key) else {
            return Ok(None);
        };
        match node.value {
            Value::Boolean(value) => Ok(Some(value)),
            ref other => Err(wrong_kind(node, key, "true or false", other)),
        }
    }

    /// A whole number within bounds.
    pub(super) fn integer(&mut self, key: &'static str, min: u64, max: u64) -> Result<Option<u64>> {
        let Some(node) = self.get(key) else {
            return Ok(None);
        };
        let expected = format!("a whole number from {min} to {max}");
        match node.value {
            Value::Integer(value) => match u64::try_from(value) {
                Ok(value) if (min..=max).contains(&value) => Ok(Some(value)),
                _ => Err(Diagnostic::new(
                    &node.origin,
                    format!("`{key}` is out of range"),
                    format!("expected {expected}"),
                )),
            },
            ref other => Err(wrong_kind(node, key, &expected, other)),
        }
    }

    pub(super) fn count(&mut self, key: &'static str, min: usize, max: usize) -> Result<Option<usize>> {
        let value = self.integer(key, min as u64, max as u64)?;
        Ok(value.and_then(|value| usize::try_from(value).ok()))
    }

    /// A number within bounds; integers will do.
    pub(super) fn number(&mut self, key: &'static str, min: f64, max: f64) -> Result<Option<f64>> {
        let Some(node) = self.get(key) else {
            return Ok(None);
        };
        let expected = if max.is_finite() {
            format!("a number from {min} to {max}")
        } else {
            format!("a number of at least {min}")
        };
        let value = match node.value {
            Value::Integer(value) => {
                #[expect(
                    clippy::cast_precision_loss,
                    reason = "a scenario's numbers are far below 2^53"
                )]
                let value = value as f64;
                value
            }
            Value::Float(value) => value,
            ref other => return Err(wrong_kind(node, key, &expected, other)),
        };
        if value < min || value > max {
            return Err(Diagnostic::new(
                &node.origin,
                format!("`{key}` is out of range"),
                format!("expected {expected}"),
            ));
        }
        Ok(Some(value))
    }

    pub(super) fn time(&mut self, key: &'static str) -> Result<Option<Duration>> {
        self.quantity(key, quantity::TIME_SHAPE, quantity::parse_time)
    }

    pub(super) fn bytes(&mut self, key: &'static str) -> Result<Option<u64>> {
        self.quantity(key, quantity::BYTES_SHAPE, quantity::parse_bytes)
    }

    fn quantity<T>(
        &mut self,
        key: &'static str,
        shape: &str,
        parse: fn(&str) -> Option<T>,
    ) -> Result<Option<T>> {
        let Some(node) = self.get(key) else {
            return Ok(None);
        };
        match &node.value {
            Value::String(text) => match parse(text) {
                Some(value) => Ok(Some(value)),
                None => Err(Diagnostic::new(
                    &node.origin,
                    format!("`{key}` cannot be read"),
                    shape,
                )),
            },
            Value::Integer(_) | Value::Float(_) => Err(Diagnostic::new(
                &node.origin,
                format!("`{key}` has no unit"),
                shape,
            )),
            other => Err(Diagnostic::new(
                &node.origin,
                format!("`{key}` is {}", other.kind()),
                shape,
            )),
        }
    }

    /// A distribution; a bare number is `fixed` where numbers need no unit.
    pub(super) fn distribution(
        &mut self,
        key: &'static str,
        amounts: Amounts,
    ) -> Result<Option<Distribution>> {
        let Some(node) = self.get(key) else {
            return Ok(None);
        };
        let refuse = |expected: String| {
            Err(Diagnostic::new(
                &node.origin,
                format!("`{key}` cannot be read"),
                expected,
            ))
        };
        match &node.value {
            Value::String(text) => match quantity::parse_distribution(text, amounts.parser()) {
                Ok(distribution) => Ok(Some(distribution)),
                Err(expected) => refuse(expected),
            },
            Value::Integer(value) if matches!(amounts, Amounts::Plain) && *value >= 0 => {
                #[expect(
                    clippy::cast_precision_loss,
                    reason = "a scenario's numbers are far below 2^53"
                )]
                let value = *value as f64;
                Ok(Some(Distribution::Fixed(value)))
            }
            _ => refuse(match amounts {
                Amounts::Plain => quantity::DISTRIBUTION_SHAPE.to_owned(),
                Amounts::Seconds => format!("{}, with times like 5ms", quantity::DISTRIBUTION_SHAPE),
            }),
        }
    }

    /// One of a set of words.
    pub(super) fn word<T: Copy>(
        &mut self,
        key: &'static str,
        words: &[(&'static str, T)],
    ) -> Result<Option<T>> {
        let Some(node) = self.get(key) else {
            return Ok(None);
        };
        let text = as_string(node, key)?;
        match words.iter().find(|(word, _)| *word == text) {
            Some((_, value)) => Ok(Some(*value)),
            None => {
                let valid: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
                let message = format!("unknown {key} `{text}`");
                Err(Diagnostic::new(&node.origin, message, one_of(text, &valid)))
            }
        }
    }
}

/// What the numbers of a distribution are.
#[derive(Debug, Clone, Copy)]
pub(super) enum Amounts {
    Plain,
    Seconds,
}

impl Amounts {
    fn parser(self) -> fn(&str) -> Option<f64> {
        match self {
            Self::Plain => quantity::parse_plain_number,
            Self::Seconds => quantity::parse_seconds,
        }
    }
}

pub(super) fn as_string<'a>(node: &'a Node, key: &str) -> Result<&'a str> {
    match &node.value {
        Value::String(text) => Ok(text),
        other => Err(wrong_kind(node, key, "a string", other)),
    }
}

fn wrong_kind(node: &Node, key: &str, expected: &str, found: &Value) -> Diagnostic {
    Diagnostic::new(
        &node.origin,
        format!("`{key}` is {}", found.kind()),
        format!("expected {expected}"),
    )
}

/// A table's origin spans the table; a caret under its first line says enough.
fn first_line(origin: &Origin) -> Origin {
    let text = &origin.source.text;
    let start = origin.span.start.min(text.len());
    let end = text[start..]
        .find('\n')
        .map_or(text.len(), |at| start + at)
        .min(origin.span.end.max(start));
    Origin {
        source: origin.source.clone(),
        span: start..end,
    }
}
