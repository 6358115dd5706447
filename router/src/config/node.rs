//! A place in a configuration's JSON: each mistake is told with its path and the nearest thing that would have been
//! right.

use std::time::Duration;

use serde_json::{Map, Value};

/// What is wrong with a configuration, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {message}")]
pub(crate) struct ConfigError {
    /// `pools.A.servers[3]`, `route.children[0].type`; for text that is no JSON, line and column.
    pub path: String,
    pub message: String,
}

impl ConfigError {
    /// The same, naming the file: `FILE:LINE:COLUMN` or `FILE: PATH`.
    pub(crate) fn of_file(self, file: &std::path::Path) -> Self {
        let blank = if self.path.starts_with(|first: char| first.is_ascii_digit()) {
            ""
        } else {
            " "
        };
        Self {
            path: format!("{}:{blank}{}", file.display(), self.path),
            ..self
        }
    }
}

/// A key that no file has: refused with all those that would have been right, for the schema.
pub(crate) const PROBE: &str = "\u{1}";

/// How keys begin that are remarks to readers and mean nothing: mcrouter knows no key that does.
pub(crate) const REMARKS: [&str; 3] = ["_", "//", "#"];

/// A place in the configuration.
#[derive(Debug, Clone)]
pub(crate) struct Node<'v> {
    pub(super) value: &'v Value,
    pub(super) path: String,
    /// For the shorthand `Type|argument`.
    pub(super) shorthand: Option<&'v str>,
}

impl<'v> Node<'v> {
    pub(crate) fn root(value: &'v Value) -> Self {
        Self {
            value,
            path: String::new(),
            shorthand: None,
        }
    }

    pub(crate) fn error(&self, message: &str) -> ConfigError {
        let path = if self.path.is_empty() {
            "config"
        } else {
            &self.path
        };
        ConfigError {
            path: path.to_owned(),
            message: message.to_owned(),
        }
    }

    /// "unknown WHAT NAME; did you mean NEAREST?"
    pub(crate) fn unknown(&self, what: &str, name: &str, known: &[&str]) -> ConfigError {
        self.error(&unknown(what, name, known))
    }

    fn child(&self, name: &str, value: &'v Value) -> Self {
        let plain = name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
        let path = match (self.path.is_empty(), plain) {
            (true, true) => name.to_owned(),
            (false, true) => format!("{}.{name}", self.path),
            (_, false) => format!("{}[{}]", self.path, Value::from(name)),
        };
        Self {
            value,
            path,
            shorthand: None,
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<Self> {
        self.value.get(name).map(|value| self.child(name, value))
    }

    pub(crate) fn need(&self, name: &str) -> Result<Self, ConfigError> {
        self.get(name)
            .ok_or_else(|| self.error(&format!("needs {name:?}")))
    }

    pub(crate) fn is_string(&self) -> bool {
        self.value.is_string()
    }

    pub(crate) fn is_object(&self) -> bool {
        self.value.is_object()
    }

    pub(crate) fn is_list(&self) -> bool {
        self.value.is_array()
    }

    /// Whether it is only a type's name, without settings.
    pub(crate) fn is_name(&self) -> bool {
        self.value.is_string()
    }

    /// What stands behind the type in the shorthand `Type|argument`.
    pub(crate) fn argument(&self) -> Option<&'v str> {
        self.shorthand
    }

    fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::String(_) => "a string",
            Value::Array(_) => "a list",
            Value::Object(_) => "an object",
        }
    }

    pub(crate) fn expected(&self, what: &str) -> ConfigError {
        self.error(&format!("expected {what}, found {}", self.kind()))
    }

    pub(crate) fn string(&self) -> Result<&'v str, ConfigError> {
        self.value.as_str().ok_or_else(|| self.expected("a string"))
    }

    pub(crate) fn number(&self) -> Result<f64, ConfigError> {
        self.value.as_f64().ok_or_else(|| self.expected("a number"))
    }

    pub(crate) fn count(&self) -> Result<usize, ConfigError> {
        self.value
            .as_u64()
            .and_then(|count| usize::try_from(count).ok())
            .ok_or_else(|| self.expected("a whole number"))
    }

    pub(crate) fn integer(&self) -> Result<i64, ConfigError> {
        self.value.as_i64().ok_or_else(|| self.expected("a whole number"))
    }

    pub(crate) fn flag(&self) -> Result<bool, ConfigError> {
        self.value.as_bool().ok_or_else(|| self.expected("true or false"))
    }

    /// A number from `least` to `most`.
    pub(crate) fn within(&self, least: f64, most: f64) -> Result<f64, ConfigError> {
        let number = self.number()?;
        if (least..=most).contains(&number) {
            Ok(number)
        } else {
            Err(self.error(&format!("{number} is not from {least} to {most}")))
        }
    }

    /// `"200ms"`, or mcrouter's bare milliseconds.
    pub(crate) fn duration(&self) -> Result<Duration, ConfigError> {
        let duration = match self.value {
            Value::String(text) => crate::args::duration(text).map_err(|why| self.error(&why))?,
            _ => Duration::from_millis(
                self.value
                    .as_u64()
                    .ok_or_else(|| self.expected("milliseconds or a time such as \"200ms\""))?,
            ),
        };
        if duration.is_zero() {
            return Err(self.error("a timeout of 0 would fail every request"));
        }
        Ok(duration)
    }

    pub(crate) fn list(&self) -> Result<Vec<Self>, ConfigError> {
        let list = self.value.as_array().ok_or_else(|| self.expected("a list"))?;
        Ok(list
            .iter()
            .enumerate()
            .map(|(index, value)| Self {
                value,
                path: format!("{}[{index}]", self.path),
                shorthand: None,
            })
            .collect())
    }

    pub(super) fn object(&self) -> Result<&'v Map<String, Value>, ConfigError> {
        self.value.as_object().ok_or_else(|| self.expected("an object"))
    }

    pub(crate) fn entries(&self) -> Result<Vec<(&'v str, Self)>, ConfigError> {
        Ok(self
            .object()?
            .iter()
            .map(|(name, value)| (name.as_str(), self.child(name, value)))
            .collect())
    }

    /// Refuses keys that mean nothing here.
    pub(crate) fn only(&self, known: &[&str]) -> Result<(), ConfigError> {
        self.only_supported(known, &[])
    }

    /// The same, with keys of mcrouter's that are refused by name.
    pub(crate) fn only_supported(&self, known: &[&str], unsupported: &[&str]) -> Result<(), ConfigError> {
        for (name, value) in self.object()? {
            if known.contains(&name.as_str()) || REMARKS.iter().any(|mark| name.starts_with(mark)) {
                continue;
            }
            let place = self.child(name, value);
            if unsupported.contains(&name.as_str()) {
                return Err(place.error("this setting of mcrouter's is not supported"));
            }
            if name == PROBE {
                return Err(place.error(&known.join(" ")));
            }
            return Err(place.unknown("key", name, known));
        }
        Ok(())
    }
}

/// "unknown WHAT NAME; did you mean NEAREST?", or the list when nothing is near.
pub(crate) fn unknown(what: &str, name: &str, known: &[&str]) -> String {
    let near = known
        .iter()
        .map(|known| {
            (
                strsim::jaro_winkler(&name.to_lowercase(), &known.to_lowercase()),
                known,
            )
        })
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|(left, _), (right, _)| left.total_cmp(right));
    match near {
        Some((_, near)) => format!("unknown {what} {name:?}; did you mean {near:?}?"),
        None => format!("unknown {what} {name:?}; known are {}", known.join(", ")),
    }
}
