//! From a call of a built-in, short or long, to its arguments by position.

use serde_json::{Map, Value};

use super::builtins::{self, Arguments, BUILTINS, LAZY};
use super::{Expanded, Expander, Failed, Scope};

/// Built-ins of mcrouter's whose result cannot be had elsewhere: refused by name.
const FOREIGN: [(&str, &str); 4] = [
    ("hash", "its hash is mcrouter's own"),
    ("weightedHash", "its hash is mcrouter's own"),
    ("shuffle", "two routers would read the same file differently"),
    ("isLocalIp", "two routers would read the same file differently"),
];

impl Expander<'_, '_> {
    /// `@name(arguments)`, if that is a built-in.
    pub(super) fn builtin_string(
        &mut self,
        name: &str,
        arguments: &[Value],
        scope: &Scope<'_>,
    ) -> Option<Expanded> {
        let params = names(name)?;
        if arguments.len() > params.len() {
            let (given, known) = (arguments.len(), params.len());
            return Some(Err(Failed::new(format!("takes {known} arguments, not {given}"))));
        }
        let mut given: Vec<Option<Value>> = arguments.iter().cloned().map(Some).collect();
        given.resize(params.len(), None);
        Some(self.builtin(name, given, scope))
    }

    /// `{"type": name, …}`, likewise.
    pub(super) fn builtin_object(
        &mut self,
        name: &str,
        fields: &mut Map<String, Value>,
        scope: &Scope<'_>,
    ) -> Option<Expanded> {
        if let Some((_, run)) = builtins::LOOPS.iter().find(|(looping, _)| *looping == name) {
            return Some(run(self, fields, scope));
        }
        let params = names(name)?;
        let given = params.iter().map(|param| fields.shift_remove(*param)).collect();
        Some(self.builtin(name, given, scope))
    }

    fn builtin(&mut self, name: &str, given: Vec<Option<Value>>, scope: &Scope<'_>) -> Expanded {
        if let Some((_, why)) = FOREIGN.iter().find(|(foreign, _)| *foreign == name) {
            return Err(Failed::new(format!("this built-in is not supported: {why}")));
        }
        if let Some((_, _, run)) = LAZY.iter().find(|(lazy, ..)| *lazy == name) {
            return run(self, given, scope);
        }
        let Some((_, params, run)) = BUILTINS.iter().find(|(known, ..)| *known == name) else {
            return Err(Failed::new("unknown built-in"));
        };
        let mut arguments = Vec::with_capacity(given.len());
        for (argument, param) in given.into_iter().zip(*params) {
            match argument {
                Some(argument) => arguments.push(self.value(argument, scope)?),
                None => return Err(Failed::new(format!("needs {param:?}"))),
            }
        }
        run(&Arguments(arguments)).map_err(Failed::new)
    }
}

/// A built-in's parameters, in order.
fn names(name: &str) -> Option<&'static [&'static str]> {
    const FOREIGN_PARAMS: &[&str] = &["value", "key", "dictionary", "seed"];
    if let Some((_, params, _)) = LAZY.iter().find(|(lazy, ..)| *lazy == name) {
        return Some(params);
    }
    if let Some((_, params, _)) = BUILTINS.iter().find(|(known, ..)| *known == name) {
        return Some(params);
    }
    FOREIGN
        .iter()
        .any(|(foreign, _)| *foreign == name)
        .then_some(FOREIGN_PARAMS)
}
