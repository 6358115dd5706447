//! BlackholeRoute: requests that all policies fit go to another child (nowhere, if not said): for rehearsing losses.

use std::rc::Rc;
use std::sync::Arc;

use super::{Answer, Blueprint, Handle, Plan, RouteHandle, Routed, Servers, null};
use crate::config::check::{Checker, ConfigError, Node};
use crate::flow::Caller;
use crate::request::Single;
use crate::request::{OwnedRequest, Routing};

/// What may be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Key,
    Flags,
    Exptime,
}

const FIELDS: [(&str, Field); 3] = [
    ("key", Field::Key),
    ("flags", Field::Flags),
    ("exptime", Field::Exptime),
];

/// `{"op": "equals", "value": 5}`
#[derive(Debug, Clone, PartialEq)]
struct Test {
    equals: bool,
    value: Value,
}

#[derive(Debug, Clone, PartialEq)]
enum Value {
    Text(Vec<u8>),
    Number(i64),
}

/// Every field has to pass one of its tests.
type Policies = Vec<(Field, Vec<Test>)>;

pub(crate) fn parse(node: &Node<'_>, checker: &mut Checker<'_>) -> Result<Blueprint, ConfigError> {
    node.only(&["type", "name", "default", "blackhole_child", "policies"])?;
    let default = checker.route(&node.need("default")?)?;
    let blackhole = match node.get("blackhole_child") {
        Some(child) => checker.route(&child)?,
        None => null::blueprint(),
    };
    let mut policies: Policies = Vec::new();
    for (name, listed) in node.need("policies")?.entries()? {
        let Some((_, field)) = FIELDS.iter().find(|(field, _)| *field == name) else {
            return Err(listed.unknown("field", name, &FIELDS.map(|(field, _)| field)));
        };
        let tests = listed.list()?.iter().map(test).collect::<Result<_, _>>()?;
        policies.push((*field, tests));
    }
    let policies = Arc::new(policies);
    Ok(Arc::new(move |builder| {
        Rc::new(BlackholeRoute {
            default: builder.once(&default),
            blackhole: builder.once(&blackhole),
            policies: Arc::clone(&policies),
        })
    }))
}

fn test(node: &Node<'_>) -> Result<Test, ConfigError> {
    node.only(&["op", "value"])?;
    let op = node.need("op")?;
    let equals = match op.string()? {
        "equals" => true,
        "not_equals" => false,
        other => return Err(op.unknown("comparison", other, &["equals", "not_equals"])),
    };
    let value = node.need("value")?;
    let value = if value.is_string() {
        Value::Text(value.string()?.as_bytes().to_vec())
    } else {
        Value::Number(value.integer()?)
    };
    Ok(Test { equals, value })
}

struct BlackholeRoute {
    default: Handle,
    blackhole: Handle,
    policies: Arc<Policies>,
}

impl Test {
    fn passes(&self, found: Option<&Value>) -> bool {
        found.is_some_and(|found| (*found == self.value) == self.equals)
    }
}

impl BlackholeRoute {
    /// The child of a request, if the key says it; flags and expiries are only known once the request is whole.
    fn by_key(&self, key: &[u8]) -> Option<&Handle> {
        let fits = |(_, tests): &(Field, Vec<Test>)| {
            let found = Value::Text(key.to_vec());
            tests.iter().any(|test| test.passes(Some(&found)))
        };
        let keys = |(field, _): &&(Field, Vec<Test>)| *field == Field::Key;
        if !self.policies.iter().filter(keys).all(fits) {
            return Some(&self.default);
        }
        let all_keys = self.policies.iter().all(|policy| keys(&policy));
        all_keys.then_some(&self.blackhole)
    }

    fn child(&self, request: &OwnedRequest) -> &Handle {
        if let Some(child) = self.by_key(&request.key) {
            return child;
        }
        let (flags, exptime) = numbers(request);
        let fits = self.policies.iter().all(|(field, tests)| {
            let found = match field {
                Field::Key => return true,
                Field::Flags => flags.map(Value::Number),
                Field::Exptime => exptime.map(Value::Number),
            };
            tests.iter().any(|test| test.passes(found.as_ref()))
        });
        if fits { &self.blackhole } else { &self.default }
    }
}

/// Flags and expiry of a request that has them.
fn numbers(request: &OwnedRequest) -> (Option<i64>, Option<i64>) {
    request
        .read(|single| match single {
            Single::Store(store) => (Some(i64::from(store.flags)), Some(store.exptime.0)),
            Single::MetaSet(set) => (Some(i64::from(set.client_flags)), Some(set.exptime.0)),
            Single::Touch(touch) => (None, Some(touch.exptime.0)),
            Single::Get { touch, .. } => (None, touch.map(|exptime| exptime.0)),
            _ => (None, None),
        })
        .unwrap_or((None, None))
}

impl RouteHandle for BlackholeRoute {
    fn route(&self, request: Routing<'_>, servers: &Servers) -> Routed {
        match self.by_key(request.key) {
            Some(child) => child.route(request, servers),
            None => Routed::Composite,
        }
    }

    fn call(self: Rc<Self>, request: Rc<OwnedRequest>, caller: Caller) -> Answer {
        Rc::clone(self.child(&request)).call(request, caller)
    }

    fn destinations(&self, request: Routing<'_>, into: &mut Plan) {
        into.handle("BlackholeRoute", |into| match self.by_key(request.key) {
            Some(child) => child.destinations(request, into),
            None => {
                self.default.destinations(request, into);
                self.blackhole.destinations(request, into);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use crate::route::testing::tree;

    #[test]
    fn what_fits_every_field_is_gone() {
        let tree = tree(
            r#"{"type": "BlackholeRoute", "default": "PoolRoute|A", "policies": {
                "key": [{"op": "equals", "value": "lost"}, {"op": "equals", "value": "gone"}],
                "flags": [{"op": "not_equals", "value": 5}]}}"#,
        );
        assert_eq!(tree.fast("get k~"), "a");
        assert_eq!(tree.fast("set lost 0 0 1~x~"), "composite");
        assert_eq!(tree.play("set lost 1 0 1~x~", &[]), "=> NOT_STORED~");
        let kept = tree.play("set lost 5 0 1~x~", &[("a", &["STORED~"])]);
        assert!(kept.ends_with("=> STORED~"), "{kept}");
        let kept = tree.play("get lost~", &[("a", &["END~"])]);
        assert!(kept.starts_with("a: "), "a get has no flags to compare: {kept}");
    }
}
