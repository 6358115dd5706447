//! TOML with the place every key and value came from; merging of files, presets and `--set`.
//! Knows TOML and nothing of what a scenario means.

use std::ops::Range;
use std::sync::Arc;

use toml::de::{DeTable, DeValue};

use super::diagnostic::{Diagnostic, Origin, Source};

/// Values nested deeper than this are refused (no scenario needs more than four levels).
const DEPTH_MAX: usize = 16;

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) origin: Origin,
    pub(super) value: Value,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    String(String),
    Integer(i64),
    Float(f64),
    Boolean(bool),
    /// Dates and times: TOML has them, scenarios do not.
    Datetime,
    Array(Vec<Node>),
    Table(Vec<Entry>),
}

/// One `key = value`; entries keep the order of the file.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_origin: Origin,
    pub(super) node: Node,
}

impl Value {
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::String(_) => "a string",
            Self::Integer(_) => "an integer",
            Self::Float(_) => "a number",
            Self::Boolean(_) => "a boolean",
            Self::Datetime => "a date",
            Self::Array(_) => "an array",
            Self::Table(_) => "a table",
        }
    }
}

/// Parses a whole TOML text.
pub(super) fn parse(source: &Arc<Source>) -> Result<Node, Diagnostic> {
    let place = |span: Range<usize>| Origin {
        source: source.clone(),
        span,
    };
    let table = DeTable::parse(&source.text).map_err(|error| {
        Diagnostic::new(
            &place(error.span().unwrap_or(0..0)),
            "not TOML",
            error.message().replace('\n', ", "),
        )
    })?;
    let entries = convert_table(table.get_ref(), source, 0)?;
    Ok(Node {
        origin: place(table.span()),
        value: Value::Table(entries),
    })
}

/// Parses the value of `--set path=value` at `span` of its source: TOML, or a bare word taken as a string.
pub(super) fn parse_value(source: &Arc<Source>, span: Range<usize>) -> Result<Node, Diagnostic> {
    let origin = Origin {
        source: source.clone(),
        span: span.clone(),
    };
    let text = &source.text[span];
    match DeValue::parse(text) {
        Ok(value) => convert(value.get_ref(), origin, source, 0).map(|mut node| {
            // Spans inside count from the value's own start; one flag is short enough to point at as a whole.
            flatten_origins(&mut node);
            node
        }),
        Err(_) if !text.starts_with(['[', '{', '"', '\'']) => Ok(Node {
            origin,
            value: Value::String(text.to_owned()),
        }),
        Err(error) => Err(Diagnostic::new(
            &origin,
            "not a TOML value",
            error.message().replace('\n', ", "),
        )),
    }
}

fn flatten_origins(node: &mut Node) {
    let origin = node.origin.clone();
    match &mut node.value {
        Value::Array(items) => {
            for item in items {
                item.origin = origin.clone();
                flatten_origins(item);
            }
        }
        Value::Table(entries) => {
            for entry in entries {
                entry.key_origin = origin.clone();
                entry.node.origin = origin.clone();
                flatten_origins(&mut entry.node);
            }
        }
        Value::String(_) | Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Datetime => {}
    }
}

fn convert_table(table: &DeTable<'_>, source: &Arc<Source>, depth: usize) -> Result<Vec<Entry>, Diagnostic> {
    let place = |span: Range<usize>| Origin {
        source: source.clone(),
        span,
    };
    let mut entries = Vec::with_capacity(table.len());
    for (key, value) in table {
        entries.push(Entry {
            key: key.get_ref().to_string(),
            key_origin: place(key.span()),
            node: convert(value.get_ref(), place(value.span()), source, depth + 1)?,
        });
    }
    // The parser's map is sorted by name; messages and `scenario.toml` follow the file.
    entries.sort_by_key(|entry| entry.key_origin.span.start);
    Ok(entries)
}

fn convert(
    value: &DeValue<'_>,
    origin: Origin,
    source: &Arc<Source>,
    depth: usize,
) -> Result<Node, Diagnostic> {
    if depth > DEPTH_MAX {
        return Err(Diagnostic::new(&origin, "nested too deeply", ""));
    }
    let converted = match value {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Value::Integer(number),
            Err(_) => {
                return Err(Diagnostic::new(
                    &origin,
                    "number out of range",
                    "expected at most 2^63 - 1",
                ));
            }
        },
        DeValue::Float(number) => match number.as_str().parse::<f64>() {
            Ok(number) if number.is_finite() => Value::Float(number),
            _ => return Err(Diagnostic::new(&origin, "not a finite number", "")),
        },
        DeValue::Boolean(boolean) => Value::Boolean(*boolean),
        DeValue::Datetime(_) => Value::Datetime,
        DeValue::Array(items) => Value::Array(
            items
                .iter()
                .map(|item| {
                    let place = Origin {
                        source: source.clone(),
                        span: item.span(),
                    };
                    convert(item.get_ref(), place, source, depth + 1)
                })
                .collect::<Result<_, _>>()?,
        ),
        DeValue::Table(table) => Value::Table(convert_table(table, source, depth)?),
    };
    Ok(Node {
        origin,
        value: converted,
    })
}

/// `over` laid on top of `base`: tables merge key by key, everything else is replaced.
pub(super) fn merge(base: Node, over: Node) -> Node {
    let (Value::Table(mut below), Value::Table(above)) = (base.value, &over.value) else {
        return over;
    };
    for entry in above.iter().cloned() {
        match below.iter().position(|old| old.key == entry.key) {
            Some(at) => {
                let old = std::mem::replace(&mut below[at], entry.clone());
                below[at].node = merge(old.node, entry.node);
            }
            None => below.push(entry),
        }
    }
    Node {
        origin: over.origin,
        value: Value::Table(below),
    }
}

/// Puts `value` at a dotted path. A segment enters a table by key, or an array of tables by number (from 0) or by `name`.
/// Tables on the way are made; arrays are not.
pub(super) fn set(root: &mut Node, path: &[(String, Origin)], value: Node) -> Result<(), Diagnostic> {
    let Some(((segment, origin), rest)) = path.split_first() else {
        *root = value;
        return Ok(());
    };
    match &mut root.value {
        Value::Table(entries) => {
            let at = entries
                .iter()
                .position(|entry| entry.key == *segment)
                .unwrap_or_else(|| {
                    let node = Node {
                        origin: origin.clone(),
                        value: Value::Table(Vec::new()),
                    };
                    entries.push(Entry {
                        key: segment.clone(),
                        key_origin: origin.clone(),
                        node,
                    });
                    entries.len() - 1
                });
            if rest.is_empty() {
                entries[at].key_origin = origin.clone();
            }
            set(&mut entries[at].node, rest, value)
        }
        Value::Array(items) => {
            let named = |node: &Node| match &node.value {
                Value::Table(entries) => entries
                    .iter()
                    .any(|entry| entry.key == "name" && entry.node.value == Value::String(segment.clone())),
                _ => false,
            };
            let at = items
                .iter()
                .position(named)
                .or_else(|| segment.parse().ok())
                .filter(|at| *at < items.len());
            match at {
                Some(at) => set(&mut items[at], rest, value),
                None => Err(Diagnostic::new(
                    origin,
                    format!("no item `{segment}` in this list"),
                    format!("expected a number below {} or the `name` of an item", items.len()),
                )),
            }
        }
        other => Err(Diagnostic::new(
            origin,
            format!(
                "`{segment}` leads nowhere: the value before it is {}, not a table",
                other.kind()
            ),
            "",
        )),
    }
}
