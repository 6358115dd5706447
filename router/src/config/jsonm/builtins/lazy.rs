//! Built-ins that look only at those of their arguments that are taken.

use serde_json::{Value, json};

use super::super::{Expanded, Expander, Failed, Scope};
use super::place;

/// Built-ins that expand their arguments themselves: what is not taken is not looked at.
type RunLazy = fn(&mut Expander<'_, '_>, Vec<Option<Value>>, &Scope<'_>) -> Expanded;

pub(in super::super) const LAZY: &[(&str, &[&str], RunLazy)] = &[
    (
        "if",
        &["condition", "is_true", "is_false"],
        |expander, given, scope| {
            let [condition, yes, no] = needed(given)?;
            let condition = expander.value(condition, scope)?;
            match condition.as_bool() {
                Some(true) => expander.value(yes, scope),
                Some(false) => expander.value(no, scope),
                None => Err(Failed::new(format!(
                    "the condition {condition} is neither true nor false"
                ))),
            }
        },
    ),
    ("and", &["A", "B"], |expander, given, scope| {
        let [one, other] = needed(given)?;
        match truth(expander.value(one, scope)?)? {
            true => Ok(json!(truth(expander.value(other, scope)?)?)),
            false => Ok(json!(false)),
        }
    }),
    ("or", &["A", "B"], |expander, given, scope| {
        let [one, other] = needed(given)?;
        match truth(expander.value(one, scope)?)? {
            true => Ok(json!(true)),
            false => Ok(json!(truth(expander.value(other, scope)?)?)),
        }
    }),
    (
        "select",
        &["dictionary", "key", "default"],
        |expander, given, scope| {
            let [dictionary, key, default] = <[_; 3]>::try_from(given).unwrap_or_default();
            let dictionary = expander.value(dictionary.unwrap_or_default(), scope)?;
            let key = expander.value(key.unwrap_or_default(), scope)?;
            let found = match (&dictionary, &key) {
                (Value::Object(fields), Value::String(name)) => fields.get(name),
                (Value::Array(list), Value::Number(at)) => at
                    .as_i64()
                    .and_then(|at| place(at, list.len()))
                    .map(|at| &list[at]),
                _ => {
                    return Err(Failed::new(
                        "selects by name from an object, or by number from a list",
                    ));
                }
            };
            match (found, default) {
                (Some(found), _) => Ok(found.clone()),
                (None, Some(default)) => expander.value(default, scope),
                (None, None) => Err(Failed::new(format!(
                    "{key} is not there, and there is no default"
                ))),
            }
        },
    ),
    ("defined", &["name"], |expander, given, scope| {
        let [name] = needed(given)?;
        match expander.value(name, scope)? {
            Value::String(name) => Ok(json!(
                scope.get(&name).is_some() || expander.consts.contains_key(&name)
            )),
            other => Err(Failed::new(format!("{other} is no name"))),
        }
    }),
    ("import", &["path", "default"], |expander, given, scope| {
        let mut given = given.into_iter();
        let path = given
            .next()
            .flatten()
            .ok_or_else(|| Failed::new("needs \"path\""))?;
        let default = given.next().flatten();
        let Value::String(path) = expander.value(path, scope)? else {
            return Err(Failed::new("a path is a string"));
        };
        if let Some(known) = expander.imported.get(&path) {
            return Ok(known.clone());
        }
        let read = (expander.import)(&path)
            .and_then(|text| crate::config::parse(&text).map_err(|error| error.to_string()));
        let value = match (read, default) {
            (Ok(value), _) => expander.value(value, &Scope::default())?,
            (Err(_), Some(default)) => expander.value(default, scope)?,
            (Err(why), None) => return Err(Failed::new(format!("{path}: {why}"))),
        };
        expander.imported.insert(path, value.clone());
        Ok(value)
    }),
];

fn needed<const N: usize>(given: Vec<Option<Value>>) -> Result<[Value; N], Failed> {
    let given: Option<Vec<Value>> = given.into_iter().collect();
    given
        .and_then(|given| given.try_into().ok())
        .ok_or_else(|| Failed::new(format!("needs {N} arguments")))
}

pub(super) fn truth(value: Value) -> Result<bool, Failed> {
    value
        .as_bool()
        .ok_or_else(|| Failed::new(format!("{value} is neither true nor false")))
}
