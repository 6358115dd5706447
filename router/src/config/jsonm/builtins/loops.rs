//! Built-ins that go over a list or an object.

use serde_json::{Map, Value, json};

use super::super::{Expanded, Expander, Failed, Scope};
use super::lazy::truth;

type RunLoop = fn(&mut Expander<'_, '_>, &mut Map<String, Value>, &Scope<'_>) -> Expanded;

pub(in super::super) const LOOPS: &[(&str, RunLoop)] = &[
    ("transform", transform),
    ("process", process),
    ("foreach", foreach),
];

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
    if item_transform.is_none() && key_transform.is_none() {
        return Err(Failed::new("needs \"itemTransform\" or \"keyTransform\""));
    }
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
    let (mut taken, mut lists) = (0, 0);
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
            Value::Array(some) => {
                lists += 1;
                list.extend(some);
            }
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
        _ if lists > 0 && object.is_empty() || taken == 0 && !named => Ok(Value::Array(list)),
        _ => Ok(Value::Object(object)),
    }
}
