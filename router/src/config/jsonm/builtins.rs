//! The built-in macros, by the names and parameters that mcrouter gives them.

use serde_json::{Map, Value, json};

use super::{Expanded, Expander, Failed, Scope};

/// Arguments, expanded, as many as the built-in has parameters.
pub(super) struct Arguments(pub Vec<Value>);

type Run = fn(&Arguments) -> Result<Value, String>;
/// Built-ins that expand their arguments themselves: what is not taken is not looked at.
type RunLazy = fn(&mut Expander<'_, '_>, Vec<Option<Value>>, &Scope<'_>) -> Expanded;
type RunLoop = fn(&mut Expander<'_, '_>, &mut Map<String, Value>, &Scope<'_>) -> Expanded;

impl Arguments {
    fn int(&self, at: usize) -> Result<i64, String> {
        self.0[at]
            .as_i64()
            .ok_or_else(|| format!("{} is no whole number", self.0[at]))
    }

    fn text(&self, at: usize) -> Result<&str, String> {
        self.0[at]
            .as_str()
            .ok_or_else(|| format!("{} is no string", self.0[at]))
    }

    fn bool(&self, at: usize) -> Result<bool, String> {
        self.0[at]
            .as_bool()
            .ok_or_else(|| format!("{} is neither true nor false", self.0[at]))
    }

    fn list(&self, at: usize) -> Result<&Vec<Value>, String> {
        self.0[at]
            .as_array()
            .ok_or_else(|| format!("{} is no list", self.0[at]))
    }

    fn fields(&self, at: usize) -> Result<&Map<String, Value>, String> {
        self.0[at]
            .as_object()
            .ok_or_else(|| format!("{} is no object", self.0[at]))
    }

    fn ints(&self, calculate: impl FnOnce(i64, i64) -> Option<i64>) -> Result<Value, String> {
        let result = calculate(self.int(0)?, self.int(1)?);
        result
            .map(Value::from)
            .ok_or_else(|| "the result is no number of 64 bits".to_owned())
    }
}

/// How many values a range may have.
const RANGE_MAX: i64 = 100_000;

pub(super) const BUILTINS: &[(&str, &[&str], Run)] = &[
    ("int", &["value"], |a| cast_int(&a.0[0])),
    ("double", &["value"], |a| match &a.0[0] {
        Value::String(text) => text
            .parse::<f64>()
            .map(Value::from)
            .map_err(|error| error.to_string()),
        value => value
            .as_f64()
            .map(Value::from)
            .ok_or_else(|| format!("{value} is no number")),
    }),
    ("str", &["value"], |a| match &a.0[0] {
        Value::String(text) => Ok(json!(text)),
        Value::Array(_) | Value::Object(_) => Err("a list or object is no string".to_owned()),
        value => Ok(json!(value.to_string())),
    }),
    ("bool", &["value"], |a| match &a.0[0] {
        Value::Bool(value) => Ok(json!(value)),
        Value::Number(number) => Ok(json!(number.as_f64() != Some(0.0))),
        Value::String(text) => match text.to_lowercase().as_str() {
            "true" | "1" | "yes" | "y" | "on" | "t" => Ok(json!(true)),
            "false" | "0" | "no" | "n" | "off" | "f" => Ok(json!(false)),
            _ => Err(format!("{text:?} is neither true nor false")),
        },
        value => Err(format!("{value} is neither true nor false")),
    }),
    ("keys", &["dictionary"], |a| {
        Ok(a.fields(0)?.keys().cloned().collect())
    }),
    ("values", &["dictionary"], |a| {
        Ok(a.fields(0)?.values().cloned().collect())
    }),
    ("merge", &["params"], |a| merge(a.list(0)?)),
    ("slice", &["dictionary", "from", "to"], slice),
    ("split", &["dictionary", "delim"], |a| {
        let delimiter = a.text(1)?;
        if delimiter.is_empty() {
            return Err("an empty delimiter parts nothing".to_owned());
        }
        Ok(a.text(0)?.split(delimiter).map(Value::from).collect())
    }),
    ("range", &["from", "to"], |a| {
        let (from, to) = (a.int(0)?, a.int(1)?);
        if to.saturating_sub(from) >= RANGE_MAX {
            return Err(format!("more than {RANGE_MAX} values"));
        }
        Ok((from..=to).map(Value::from).collect())
    }),
    ("contains", &["dictionary", "key"], |a| match &a.0[0] {
        Value::Object(fields) => Ok(json!(fields.contains_key(a.text(1)?))),
        Value::Array(list) => Ok(json!(list.contains(&a.0[1]))),
        Value::String(text) => Ok(json!(text.contains(a.text(1)?))),
        value => Err(format!("{value} contains nothing")),
    }),
    ("empty", &["dictionary"], |a| Ok(json!(size(&a.0[0])? == 0))),
    ("size", &["dictionary"], |a| Ok(json!(size(&a.0[0])?))),
    ("equals", &["A", "B"], |a| Ok(json!(a.0[0] == a.0[1]))),
    ("isArray", &["value"], |a| Ok(json!(a.0[0].is_array()))),
    ("isBool", &["value"], |a| Ok(json!(a.0[0].is_boolean()))),
    ("isInt", &["value"], |a| Ok(json!(a.0[0].is_i64()))),
    ("isDouble", &["value"], |a| Ok(json!(a.0[0].is_f64()))),
    ("isObject", &["value"], |a| Ok(json!(a.0[0].is_object()))),
    ("isString", &["value"], |a| Ok(json!(a.0[0].is_string()))),
    ("less", &["A", "B"], |a| match (&a.0[0], &a.0[1]) {
        (Value::String(one), Value::String(other)) => Ok(json!(one < other)),
        (one, other) => match (one.as_f64(), other.as_f64()) {
            (Some(one), Some(other)) => Ok(json!(one < other)),
            _ => Err(format!("{one} and {other} have no order")),
        },
    }),
    ("not", &["A"], |a| Ok(json!(!a.bool(0)?))),
    ("add", &["A", "B"], |a| a.ints(i64::checked_add)),
    ("sub", &["A", "B"], |a| a.ints(i64::checked_sub)),
    ("mul", &["A", "B"], |a| a.ints(i64::checked_mul)),
    ("div", &["A", "B"], |a| a.ints(i64::checked_div)),
    ("mod", &["A", "B"], |a| a.ints(i64::checked_rem)),
    ("bitwiseAnd", &["A", "B"], |a| {
        a.ints(|one, other| Some(one & other))
    }),
    ("bitwiseOr", &["A", "B"], |a| {
        a.ints(|one, other| Some(one | other))
    }),
    ("bitwiseXor", &["A", "B"], |a| {
        a.ints(|one, other| Some(one ^ other))
    }),
    ("bitwiseNot", &["A"], |a| Ok(json!(!a.int(0)?))),
    ("fail", &["msg"], |a| Err(a.text(0)?.to_owned())),
    ("sort", &["dictionary"], |a| {
        let mut list = a.list(0)?.clone();
        if list.iter().all(Value::is_string) {
            list.sort_by(|one, other| one.as_str().cmp(&other.as_str()));
        } else if list.iter().all(Value::is_number) {
            list.sort_by(|one, other| {
                one.as_f64()
                    .unwrap_or(0.0)
                    .total_cmp(&other.as_f64().unwrap_or(0.0))
            });
        } else {
            return Err("a list of strings and others has no order".to_owned());
        }
        Ok(Value::Array(list))
    }),
    ("set", &["dictionary", "key", "value"], |a| {
        let mut changed = a.0[0].clone();
        match &mut changed {
            Value::Object(fields) => {
                fields.insert(a.text(1)?.to_owned(), a.0[2].clone());
            }
            Value::Array(list) => {
                let at = place(a.int(1)?, list.len()).ok_or("no such place in the list")?;
                list[at] = a.0[2].clone();
            }
            _ => return Err("expected a list or an object".to_owned()),
        }
        Ok(changed)
    }),
    ("define", &["result"], |a| Ok(a.0[0].clone())),
];

pub(super) const LAZY: &[(&str, &[&str], RunLazy)] = &[
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

pub(super) const LOOPS: &[(&str, RunLoop)] = &[
    ("transform", transform),
    ("process", process),
    ("foreach", foreach),
];

fn needed<const N: usize>(given: Vec<Option<Value>>) -> Result<[Value; N], Failed> {
    let given: Option<Vec<Value>> = given.into_iter().collect();
    given
        .and_then(|given| given.try_into().ok())
        .ok_or_else(|| Failed::new(format!("needs {N} arguments")))
}

fn truth(value: Value) -> Result<bool, Failed> {
    value
        .as_bool()
        .ok_or_else(|| Failed::new(format!("{value} is neither true nor false")))
}

/// The place in a list that a number means; negative ones count from the end.
fn place(at: i64, len: usize) -> Option<usize> {
    let len = i64::try_from(len).ok()?;
    let at = if at < 0 { at + len } else { at };
    usize::try_from(at).ok().filter(|_| at < len)
}

fn size(value: &Value) -> Result<usize, String> {
    match value {
        Value::Object(fields) => Ok(fields.len()),
        Value::Array(list) => Ok(list.len()),
        Value::String(text) => Ok(text.len()),
        value => Err(format!("{value} has no size")),
    }
}

fn cast_int(value: &Value) -> Result<Value, String> {
    match value {
        Value::Number(number) => {
            #[expect(clippy::cast_possible_truncation, reason = "a cast is what is asked for")]
            let whole = number
                .as_i64()
                .or_else(|| number.as_f64().map(|number| number as i64));
            whole
                .map(Value::from)
                .ok_or_else(|| format!("{number} is no number of 64 bits"))
        }
        Value::String(text) => text
            .trim()
            .parse::<i64>()
            .map(Value::from)
            .map_err(|error| format!("{text:?}: {error}")),
        Value::Bool(flag) => Ok(json!(i64::from(*flag))),
        value => Err(format!("{value} is no number")),
    }
}

fn merge(parts: &[Value]) -> Result<Value, String> {
    let (first, rest) = parts.split_first().ok_or("nothing to merge")?;
    let mut merged = first.clone();
    for part in rest {
        match (&mut merged, part) {
            (Value::Array(merged), Value::Array(part)) => merged.extend(part.iter().cloned()),
            (Value::Object(merged), Value::Object(part)) => {
                merged.extend(part.iter().map(|(name, value)| (name.clone(), value.clone())));
            }
            (Value::String(merged), Value::String(part)) => merged.push_str(part),
            _ => {
                return Err("merges lists with lists, objects with objects, strings with strings".to_owned());
            }
        }
    }
    Ok(merged)
}

fn slice(a: &Arguments) -> Result<Value, String> {
    if let Value::Object(fields) = &a.0[0] {
        let (from, to) = (a.text(1)?, a.text(2)?);
        let within = fields
            .iter()
            .filter(|(name, _)| (from..=to).contains(&name.as_str()));
        return Ok(Value::Object(
            within
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
        ));
    }
    let len = size(&a.0[0])?;
    let (from, to) = (a.int(1)?.max(0), a.int(2)?);
    let from = usize::try_from(from).unwrap_or(len).min(len);
    let to = usize::try_from(to + 1).unwrap_or(0).clamp(from, len);
    match &a.0[0] {
        Value::Array(list) => Ok(list[from..to].iter().cloned().collect()),
        Value::String(text) => Ok(json!(text.get(from..to).ok_or("cuts a character in two")?)),
        value => Err(format!("{value} cannot be sliced")),
    }
}

/// What is gone through, with the names of key and item.
fn entries(value: Value) -> Result<(Vec<(Value, Value)>, bool), Failed> {
    match value {
        Value::Array(list) => {
            let numbered = list.into_iter().enumerate();
            Ok((numbered.map(|(at, value)| (json!(at), value)).collect(), false))
        }
        Value::Object(fields) => {
            let named = fields.into_iter();
            Ok((
                named.map(|(name, value)| (Value::String(name), value)).collect(),
                true,
            ))
        }
        value => Err(Failed::new(format!("{value} is neither list nor object"))),
    }
}

fn name(fields: &mut Map<String, Value>, which: &str, otherwise: &str) -> String {
    match fields.shift_remove(which) {
        Some(Value::String(name)) => name,
        _ => otherwise.to_owned(),
    }
}

fn take(fields: &mut Map<String, Value>, which: &str) -> Result<Value, Failed> {
    fields
        .shift_remove(which)
        .ok_or_else(|| Failed::new(format!("needs {which:?}")))
}

type Vars = std::collections::BTreeMap<String, Value>;

fn transform(
    expander: &mut Expander<'_, '_>,
    fields: &mut Map<String, Value>,
    scope: &Scope<'_>,
) -> Expanded {
    let dictionary = take(fields, "dictionary")?;
    let (entries, named) = entries(expander.value(dictionary, scope)?)?;
    let (key_name, item_name) = (name(fields, "keyName", "key"), name(fields, "itemName", "item"));
    let item_transform = fields
        .shift_remove("itemTransform")
        .or_else(|| fields.shift_remove("itemTranform"));
    let key_transform = fields
        .shift_remove("keyTransform")
        .or_else(|| fields.shift_remove("keyTranform"));
    let mut list = Vec::new();
    let mut object = Map::new();
    for (key, item) in entries {
        let own: Vars = [(key_name.clone(), key.clone()), (item_name.clone(), item.clone())].into();
        let scope = Scope::within(&own, scope);
        let item = match &item_transform {
            Some(transform) => expander.value(transform.clone(), &scope)?,
            None => item,
        };
        if !named {
            list.push(item);
            continue;
        }
        let keys = match &key_transform {
            Some(transform) => expander.value(transform.clone(), &scope)?,
            None => key,
        };
        // A key may become several, or none.
        let keys = if let Value::Array(keys) = keys {
            keys
        } else {
            vec![keys]
        };
        for key in keys {
            let Value::String(key) = key else {
                return Err(Failed::new(format!("{key} is no key")));
            };
            object.insert(key, item.clone());
        }
    }
    Ok(if named {
        Value::Object(object)
    } else {
        Value::Array(list)
    })
}

fn process(expander: &mut Expander<'_, '_>, fields: &mut Map<String, Value>, scope: &Scope<'_>) -> Expanded {
    let dictionary = take(fields, "dictionary")?;
    let (entries, _) = entries(expander.value(dictionary, scope)?)?;
    let initial = take(fields, "initialValue")?;
    let mut value = expander.value(initial, scope)?;
    let transform = take(fields, "transform")?;
    let names = [
        name(fields, "keyName", "key"),
        name(fields, "itemName", "item"),
        name(fields, "valueName", "value"),
    ];
    for (key, item) in entries {
        let own: Vars = names.iter().cloned().zip([key, item, value]).collect();
        value = expander.value(transform.clone(), &Scope::within(&own, scope))?;
    }
    Ok(value)
}

fn foreach(expander: &mut Expander<'_, '_>, fields: &mut Map<String, Value>, scope: &Scope<'_>) -> Expanded {
    let from = take(fields, "from")?;
    let (entries, named) = entries(expander.value(from, scope)?)?;
    let (key_name, item_name) = (name(fields, "key", "key"), name(fields, "item", "item"));
    let top = match fields.shift_remove("top") {
        Some(top) => {
            let top = expander.value(top, scope)?;
            usize::try_from(top.as_u64().unwrap_or(0)).unwrap_or(usize::MAX)
        }
        None => usize::MAX,
    };
    let (wanted, used) = (fields.shift_remove("where"), fields.shift_remove("use"));
    let mut list = Vec::new();
    let mut object = Map::new();
    let mut taken = 0;
    for (key, item) in entries {
        if taken >= top {
            break;
        }
        let own: Vars = [(key_name.clone(), key.clone()), (item_name.clone(), item.clone())].into();
        let scope = Scope::within(&own, scope);
        if let Some(wanted) = &wanted
            && !truth(expander.value(wanted.clone(), &scope)?)?
        {
            continue;
        }
        taken += 1;
        let result = match &used {
            Some(used) => expander.value(used.clone(), &scope)?,
            None if named => json!({key.as_str().unwrap_or_default(): item}),
            None => json!([item]),
        };
        match result {
            Value::Array(some) => list.extend(some),
            Value::Object(some) => object.extend(some),
            other => {
                return Err(Failed::new(format!(
                    "\"use\" made {other}, neither list nor object"
                )));
            }
        }
    }
    let nothing = fields.shift_remove("noMatchResult");
    match (taken, nothing) {
        (0, Some(nothing)) => expander.value(nothing, scope),
        _ if !list.is_empty() && !object.is_empty() => {
            Err(Failed::new("\"use\" made both lists and objects"))
        }
        _ if !list.is_empty() || !named && object.is_empty() => Ok(Value::Array(list)),
        _ => Ok(Value::Object(object)),
    }
}
