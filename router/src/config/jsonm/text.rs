//! Strings: `%parameter%` and `@macro(argument, …)`; a backslash before any character takes its meaning away.

use serde_json::Value;

use super::{Expanded, Expander, Failed, Scope};

impl Expander<'_, '_> {
    pub(super) fn string(&mut self, text: &str, scope: &Scope<'_>) -> Expanded {
        let Some(call) = text.strip_prefix('@') else {
            return self.substituted(text, scope);
        };
        let (name, arguments) = match find(call, b'(') {
            None => (call, Vec::new()),
            Some(open) => {
                let inside = call[open + 1..]
                    .strip_suffix(')')
                    .ok_or_else(|| Failed::new(format!("no closing bracket in {text:?}")))?;
                (&call[..open], arguments(inside)?)
            }
        };
        let Value::String(name) = self.substituted(name, scope)? else {
            return Err(Failed::new("a macro's name has to be a string"));
        };
        let arguments: Vec<Value> = arguments
            .into_iter()
            .map(|text| Value::String(text.to_owned()))
            .collect();
        if let Some(result) = self.builtin_string(&name, &arguments, scope) {
            return result.map_err(|error| error.under(&format!("@{name}")));
        }
        let Some(called) = self.macros.get(&name).cloned() else {
            return Err(Failed::new(format!("unknown macro @{name}")));
        };
        if arguments.len() > called.params.len() {
            let (given, known) = (arguments.len(), called.params.len());
            return Err(Failed::new(format!(
                "@{name} takes {known} arguments, not {given}"
            )));
        }
        let mut given: Vec<Option<Value>> = arguments.into_iter().map(Some).collect();
        given.resize(called.params.len(), None);
        self.call(&name, &called, given, scope)
    }

    /// The text with its parameters put in; a parameter that is all of it may be of any type.
    fn substituted(&self, text: &str, scope: &Scope<'_>) -> Expanded {
        let mut out = String::new();
        let mut rest = text;
        loop {
            let Some(start) = find(rest, b'%') else {
                unescape(rest, &mut out);
                return Ok(Value::String(out));
            };
            let behind = &rest[start + 1..];
            let end = find(behind, b'%')
                .ok_or_else(|| Failed::new(format!("an odd number of percent signs in {text:?}")))?;
            let mut name = String::new();
            unescape(&behind[..end], &mut name);
            let value = self.param(&name, scope)?;
            if start == 0 && rest.len() == text.len() && end + 1 == behind.len() {
                return Ok(value.clone());
            }
            unescape(&rest[..start], &mut out);
            match value {
                Value::String(value) => out.push_str(value),
                _ => return Err(Failed::new(format!("%{name}% inside {text:?} is not a string"))),
            }
            rest = &behind[end + 1..];
        }
    }
}

/// The first `wanted` that no backslash stands before.
fn find(text: &str, wanted: u8) -> Option<usize> {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        if escaped {
            escaped = false;
        } else if byte == b'\\' {
            escaped = true;
        } else if byte == wanted {
            return Some(at);
        }
    }
    None
}

/// The name that is spelled so.
pub(super) fn unescaped(text: &str) -> String {
    let mut out = String::new();
    unescape(text, &mut out);
    out
}

fn unescape(text: &str, out: &mut String) {
    let mut escaped = false;
    for character in text.chars() {
        if character == '\\' && !escaped {
            escaped = true;
        } else {
            out.push(character);
            escaped = false;
        }
    }
}

/// The arguments between a call's brackets; commas in inner brackets part nothing.
fn arguments(text: &str) -> Result<Vec<&str>, Failed> {
    let mut found = Vec::new();
    let (mut start, mut depth, mut escaped) = (0, 0_usize, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => {
                escaped = false;
                continue;
            }
            b'\\' => escaped = true,
            b'(' => depth += 1,
            b')' => {
                let why = || Failed::new(format!("brackets do not match in {text:?}"));
                depth = depth.checked_sub(1).ok_or_else(why)?;
            }
            b',' if depth == 0 => {
                found.push(trimmed(&text[start..at]));
                start = at + 1;
            }
            _ => {}
        }
    }
    if depth > 0 {
        return Err(Failed::new(format!("brackets do not match in {text:?}")));
    }
    found.push(trimmed(&text[start..]));
    Ok(found)
}

/// Without blanks on both sides; one that a backslash stands before stays.
fn trimmed(text: &str) -> &str {
    let text = text.trim_start();
    let kept = text.trim_end();
    let backslashes = kept.bytes().rev().take_while(|byte| *byte == b'\\').count();
    let blank = text[kept.len()..].chars().next().map_or(0, char::len_utf8);
    if backslashes % 2 == 1 {
        &text[..kept.len() + blank]
    } else {
        kept
    }
}
