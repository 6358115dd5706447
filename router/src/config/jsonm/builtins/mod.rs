//! The built-in macros, by the names and parameters that mcrouter gives them.

mod lazy;
mod loops;

use serde_json::{Map, Value, json};

pub(super) use lazy::LAZY;
pub(super) use loops::LOOPS;

/// Arguments, expanded, as many as the built-in has parameters.
pub(super) struct Arguments(pub Vec<Value>);

type Run = fn(&Arguments) -> Result<Value, String>;
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

    /// The bits of a number, moved; what comes in is 0.
    fn shifted(&self, shift: impl FnOnce(u64, u32) -> Option<u64>) -> Result<Value, String> {
        let by = u32::try_from(self.int(1)?).ok();
        let moved = by.and_then(|by| shift(self.int(0).ok()?.cast_unsigned(), by));
        let moved = moved.ok_or_else(|| "bits are moved by 0 to 63 places".to_owned())?;
        Ok(json!(moved.cast_signed()))
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
            return Ok(json!([a.text(0)?]));
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
    ("bitwiseLeftShift", &["A", "B"], |a| {
        a.shifted(|bits, by| bits.checked_shl(by))
    }),
    ("bitwiseRightShift", &["A", "B"], |a| {
        a.shifted(|bits, by| bits.checked_shr(by))
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
