//! JSONM, the macros of mcrouter's configuration files: `macros` with `macroDef` and `constDef`, `@name(arguments)`,
//! `%parameter%`, `vars`, and the built-ins in common use. What comes out is plain JSON.
//!
//! Nothing here knows what a configuration means. Depth and size of the result are bounded, whatever a file asks for.

mod builtins;
mod calls;
mod text;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::node::ConfigError;

/// How deep macros may call each other, and values nest.
const DEPTH_MAX: usize = 100;
/// The types of what `macros` holds.
const DEFINITIONS: [&str; 2] = ["macroDef", "constDef"];
/// Values that may be made of one file.
const VALUES_MAX: usize = 2_000_000;

/// Reads another file for `import`: its text.
pub(crate) type Import<'i> = dyn FnMut(&str) -> Result<String, String> + 'i;

/// Expands a file. `params` are those that every file may use: `hostid`, `default-route`, ….
pub(crate) fn expand(
    source: Value,
    params: &BTreeMap<String, Value>,
    import: &mut Import<'_>,
) -> Result<Value, ConfigError> {
    let mut expander = Expander {
        macros: BTreeMap::new(),
        consts: params.clone(),
        depth: 0,
        values: 0,
        import,
        imported: BTreeMap::new(),
    };
    let mut source = source;
    let run = |expander: &mut Expander<'_, '_>| {
        if let Some(macros) = source.as_object_mut().and_then(|top| top.shift_remove("macros")) {
            expander.define(macros).map_err(|error| error.under("macros"))?;
        }
        expander.value(source, &Scope::default())
    };
    run(&mut expander).map_err(Failed::told)
}

/// Why an expansion failed, and where: the innermost place last.
struct Failed {
    path: Vec<String>,
    message: String,
}

impl Failed {
    fn new(message: impl Into<String>) -> Self {
        Self {
            path: Vec::new(),
            message: message.into(),
        }
    }

    fn under(mut self, place: &str) -> Self {
        self.path.push(place.to_owned());
        self
    }

    fn told(self) -> ConfigError {
        let mut path = String::new();
        for place in self.path.iter().rev() {
            if !path.is_empty() && !place.starts_with('[') {
                path.push('.');
            }
            path.push_str(place);
        }
        ConfigError {
            path: if path.is_empty() {
                "config".to_owned()
            } else {
                path
            },
            message: self.message,
        }
    }
}

type Expanded = Result<Value, Failed>;

/// Parameters in sight, the nearest first.
#[derive(Default, Clone, Copy)]
struct Scope<'s> {
    own: Option<&'s BTreeMap<String, Value>>,
    outer: Option<&'s Scope<'s>>,
}

impl<'s> Scope<'s> {
    fn within(own: &'s BTreeMap<String, Value>, outer: &'s Self) -> Self {
        Self {
            own: Some(own),
            outer: Some(outer),
        }
    }

    fn get(&self, name: &str) -> Option<&'s Value> {
        let own = self.own.and_then(|own| own.get(name));
        own.or_else(|| self.outer.and_then(|outer| outer.get(name)))
    }
}

/// A parameter of a macro.
#[derive(Debug, Clone)]
struct Param {
    name: String,
    default: Option<Value>,
    optional: bool,
}

#[derive(Debug, Clone)]
struct Macro {
    params: Vec<Param>,
    result: Value,
}

struct Expander<'e, 'i> {
    macros: BTreeMap<String, Macro>,
    consts: BTreeMap<String, Value>,
    depth: usize,
    values: usize,
    import: &'e mut Import<'i>,
    imported: BTreeMap<String, Value>,
}

impl Expander<'_, '_> {
    /// Reads `macros`: an object, or a list of them.
    fn define(&mut self, macros: Value) -> Result<(), Failed> {
        // What macros are there may itself depend on parameters: `@if`, `@import`.
        let macros = match macros {
            Value::Object(named) if named.values().all(Value::is_object) && !named.contains_key("type") => {
                Value::Object(named)
            }
            other => self.value(other, &Scope::default())?,
        };
        match macros {
            Value::Array(list) => {
                for (index, some) in list.into_iter().enumerate() {
                    self.define(some)
                        .map_err(|error| error.under(&format!("[{index}]")))?;
                }
                Ok(())
            }
            Value::Object(named) => {
                for (name, definition) in named {
                    self.define_one(&name, &definition)
                        .map_err(|error| error.under(&name))?;
                }
                Ok(())
            }
            _ => Err(Failed::new("expected an object, or a list of objects, of macros")),
        }
    }

    fn define_one(&mut self, name: &str, definition: &Value) -> Result<(), Failed> {
        let name = text::unescaped(name);
        let result = definition
            .get("result")
            .ok_or_else(|| Failed::new("needs \"result\""))?
            .clone();
        match definition.get("type").and_then(Value::as_str) {
            Some("macroDef") => {
                let mut params = Vec::new();
                for param in definition
                    .get("params")
                    .and_then(Value::as_array)
                    .into_iter()
                    .flatten()
                {
                    let param = read_param(param)?;
                    follows(&param, &params)?;
                    params.push(param);
                }
                self.macros.insert(name, Macro { params, result });
                Ok(())
            }
            Some("constDef") => {
                let value = self.value(result, &Scope::default())?;
                self.consts.insert(name, value);
                Ok(())
            }
            Some(other) => Err(Failed::new(format!("{other:?} is neither macroDef nor constDef"))),
            None => Err(Failed::new("needs a \"type\": macroDef or constDef")),
        }
    }

    fn param<'v>(&'v self, name: &str, scope: &Scope<'v>) -> Result<&'v Value, Failed> {
        scope
            .get(name)
            .or_else(|| self.consts.get(name))
            .ok_or_else(|| Failed::new(format!("unknown parameter %{name}%")))
    }

    fn value(&mut self, value: Value, scope: &Scope<'_>) -> Expanded {
        self.values += 1;
        if self.depth >= DEPTH_MAX {
            return Err(Failed::new("macros call each other too deeply"));
        }
        if self.values > VALUES_MAX {
            return Err(Failed::new("macros make too much of this file"));
        }
        self.depth += 1;
        let expanded = match value {
            Value::String(text) => self.string(&text, scope),
            Value::Array(list) => list
                .into_iter()
                .enumerate()
                .map(|(index, value)| {
                    self.value(value, scope)
                        .map_err(|error| error.under(&format!("[{index}]")))
                })
                .collect::<Result<Vec<_>, _>>()
                .map(Value::Array),
            Value::Object(fields) => self.object(fields, scope),
            plain => Ok(plain),
        };
        self.depth -= 1;
        expanded
    }

    fn object(&mut self, mut fields: Map<String, Value>, scope: &Scope<'_>) -> Expanded {
        let vars = match fields.shift_remove("vars") {
            Some(Value::Object(vars)) => self.vars(vars, scope).map_err(|error| error.under("vars"))?,
            Some(_) => return Err(Failed::new("vars: expected an object")),
            None => BTreeMap::new(),
        };
        let scope = &Scope::within(&vars, scope);
        if let Some(kind) = fields.get("type").cloned()
            && let Value::String(kind) = self.value(kind, scope)?
        {
            if let Some(result) = self.builtin_object(&kind, &mut fields, scope) {
                return result.map_err(|error| error.under(&kind));
            }
            // What defines is looked into where it is used.
            if DEFINITIONS.contains(&kind.as_str()) {
                return Ok(Value::Object(fields));
            }
            if let Some(called) = self.macros.get(&kind).cloned() {
                let arguments = called
                    .params
                    .iter()
                    .map(|param| fields.shift_remove(&param.name))
                    .collect();
                return self.call(&kind, &called, arguments, scope);
            }
        }
        let mut expanded = Map::with_capacity(fields.len());
        for (name, value) in fields {
            let Value::String(key) = self.string(&name, scope)? else {
                return Err(Failed::new("a key has to be a string").under(&name));
            };
            let value = self.value(value, scope).map_err(|error| error.under(&name))?;
            expanded.insert(key, value);
        }
        Ok(Value::Object(expanded))
    }

    /// Variables, which may use each other in any order.
    fn vars(
        &mut self,
        vars: Map<String, Value>,
        scope: &Scope<'_>,
    ) -> Result<BTreeMap<String, Value>, Failed> {
        let mut known = BTreeMap::new();
        let mut open: Vec<(String, Value)> = vars.into_iter().collect();
        while !open.is_empty() {
            let before = open.len();
            let mut failed = None;
            let mut still = Vec::new();
            for (name, value) in open {
                match self.value(value.clone(), &Scope::within(&known, scope)) {
                    Ok(expanded) => {
                        known.insert(name, expanded);
                    }
                    Err(error) => {
                        failed = Some(error.under(&name));
                        still.push((name, value));
                    }
                }
            }
            open = still;
            if let Some(error) = failed.filter(|_| open.len() == before) {
                return Err(error);
            }
        }
        Ok(known)
    }

    /// Calls a macro with arguments that have not been expanded yet.
    fn call(
        &mut self,
        name: &str,
        called: &Macro,
        arguments: Vec<Option<Value>>,
        scope: &Scope<'_>,
    ) -> Expanded {
        let mut own = BTreeMap::new();
        for (param, argument) in called.params.iter().zip(arguments) {
            let value = match (argument, &param.default) {
                (Some(argument), _) => self.value(argument, scope)?,
                (None, Some(default)) => self.value(default.clone(), scope)?,
                (None, None) if param.optional => continue,
                (None, None) => {
                    return Err(Failed::new(format!(
                        "@{name} needs its parameter {:?}",
                        param.name
                    )));
                }
            };
            own.insert(param.name.clone(), value);
        }
        let outermost = Scope::default();
        self.value(called.result.clone(), &Scope::within(&own, &outermost))
            .map_err(|error| error.under(&format!("@{name}")))
    }
}

/// Whether a parameter may stand behind those `before` it.
fn follows(param: &Param, before: &[Param]) -> Result<(), Failed> {
    let name = &param.name;
    let needed = |param: &Param| param.default.is_none() && !param.optional;
    if before.iter().any(|known| known.name == *name) {
        return Err(Failed::new(format!("parameter {name:?} is given twice")));
    }
    if needed(param) && before.iter().any(|known| !needed(known)) {
        return Err(Failed::new(format!(
            "parameter {name:?} has to be given, and those before it need not"
        )));
    }
    Ok(())
}

fn read_param(param: &Value) -> Result<Param, Failed> {
    if let Some(name) = param.as_str() {
        return Ok(Param {
            name: name.to_owned(),
            default: None,
            optional: false,
        });
    }
    let name = param.get("name").and_then(Value::as_str);
    let name = name.ok_or_else(|| Failed::new("a parameter is a name, or an object with a name"))?;
    let (default, optional) = (param.get("default").cloned(), param.get("optional"));
    let optional = optional.and_then(Value::as_bool);
    if default.is_some() && optional == Some(false) {
        return Err(Failed::new(format!(
            "parameter {name:?} has a default, and has to be given"
        )));
    }
    Ok(Param {
        name: name.to_owned(),
        default,
        optional: optional.unwrap_or(false),
    })
}

#[cfg(test)]
mod tests;
