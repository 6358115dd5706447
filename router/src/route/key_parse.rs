//! KeyParseRoute: what hashes below it look at the first parts of the key only. The key itself stays whole.

use std::rc::Rc;
use std::sync::Arc;

use super::{Answer, Blueprint, Handle, Plan, RouteHandle, Routed, Servers};
use crate::config::check::{Checker, ConfigError, Node};
use crate::flow::Caller;
use crate::request::{OwnedRequest, Routing};

pub(crate) fn parse(node: &Node<'_>, checker: &mut Checker<'_>) -> Result<Blueprint, ConfigError> {
    node.only(&["type", "name", "target", "num_routing_parts", "delimiter"])?;
    let target = checker.route(&node.need("target")?)?;
    let parts = node.need("num_routing_parts")?;
    let count = parts.count()?;
    if count == 0 {
        return Err(parts.error("at least one part has to be left to hash"));
    }
    let delimiter = node.need("delimiter")?;
    let &[byte] = delimiter.string()?.as_bytes() else {
        return Err(delimiter.error("a delimiter is one character"));
    };
    Ok(Arc::new(move |builder| {
        Rc::new(KeyParseRoute {
            target: builder.once(&target),
            parts: count,
            delimiter: byte,
        })
    }))
}

struct KeyParseRoute {
    target: Handle,
    parts: usize,
    delimiter: u8,
}

impl KeyParseRoute {
    /// How much of the key is hashed: its first parts with their delimiters, or all of it if it has fewer.
    fn len(&self, key: &[u8]) -> usize {
        memchr::memchr_iter(self.delimiter, key)
            .nth(self.parts - 1)
            .map_or(key.len(), |at| at + 1)
    }
}

impl RouteHandle for KeyParseRoute {
    fn route(&self, _request: Routing<'_>, _servers: &Servers) -> Routed {
        // On the fast way a hash knows only the whole key.
        Routed::Composite
    }

    fn call(self: Rc<Self>, request: Rc<OwnedRequest>, caller: Caller) -> Answer {
        let hashed = request.hashed.slice(..self.len(&request.hashed));
        let request = OwnedRequest {
            hashed,
            ..(*request).clone()
        };
        Rc::clone(&self.target).call(Rc::new(request), caller)
    }

    fn destinations(&self, request: Routing<'_>, into: &mut Plan) {
        let hashed = &request.key[..self.len(request.key)];
        into.handle(
            format_args!("KeyParseRoute: by {}", hashed.escape_ascii()),
            |into| {
                into.hashing(hashed, |into| self.target.destinations(request, into));
            },
        );
    }
}

#[cfg(test)]
mod tests {
    use crate::route::testing::tree;

    #[test]
    fn keys_of_the_same_first_parts_go_together_and_whole() {
        let route = r#"{"type": "KeyParseRoute", "target": "PoolRoute|AB", "num_routing_parts": 2, "delimiter": ":"}"#;
        let parsed = tree(route);
        let plain = tree(r#""PoolRoute|AB""#);
        let says: [(&str, &[&str]); 2] = [("a", &["END~"]), ("b", &["END~"])];
        let mut apart = 0;
        for part in 0..30 {
            let home = plain.fast(&format!("get user:{part}:~"));
            for rest in 0..5 {
                let line = format!("get user:{part}:{rest}~");
                assert_eq!(parsed.play(&line, &says), format!("{home}: {line}\n=> END~"));
                assert!(
                    parsed.plan(&line).contains(&format!("{home} at")),
                    "{}",
                    parsed.plan(&line)
                );
                apart += usize::from(plain.fast(&line) != home);
            }
        }
        assert!(apart > 20, "without it they go apart: {apart}");
        let home = plain.fast("get short~");
        assert!(parsed.play("get short~", &says).starts_with(&home));
    }
}
