//! HashStopAllowListRoute: only keys under the listed prefixes may end what is hashed of them with `|#|`.

use std::rc::Rc;
use std::sync::Arc;

use super::{Answer, Blueprint, Handle, Plan, RouteHandle, Routed, Servers, at_once};
use crate::config::check::{Checker, ConfigError, Node};
use crate::flow::Caller;
use crate::reply::Reply;
use crate::request::{OwnedRequest, Routing};

pub(crate) fn parse(node: &Node<'_>, checker: &mut Checker<'_>) -> Result<Blueprint, ConfigError> {
    node.only(&["type", "name", "target", "prefixes"])?;
    let target = checker.route(&node.need("target")?)?;
    let mut prefixes = Vec::new();
    if let Some(listed) = node.get("prefixes") {
        for prefix in listed.list()? {
            prefixes.push(prefix.string()?.as_bytes().to_vec());
        }
    }
    let prefixes = Arc::new(prefixes);
    Ok(Arc::new(move |builder| {
        Rc::new(HashStopAllowListRoute {
            target: builder.once(&target),
            prefixes: Arc::clone(&prefixes),
        })
    }))
}

struct HashStopAllowListRoute {
    target: Handle,
    prefixes: Arc<Vec<Vec<u8>>>,
}

const REFUSED: &str = "Hash stop not permitted";

impl HashStopAllowListRoute {
    fn allows(&self, key: &[u8]) -> bool {
        cluster::hashed_part(key).len() == key.len()
            || self.prefixes.iter().any(|prefix| key.starts_with(prefix))
    }
}

impl RouteHandle for HashStopAllowListRoute {
    fn route(&self, request: Routing<'_>, servers: &Servers) -> Routed {
        if self.allows(request.key) {
            self.target.route(request, servers)
        } else {
            Routed::Refused(format!("SERVER_ERROR {REFUSED}\r\n").into_bytes().into())
        }
    }

    fn call(self: Rc<Self>, request: Rc<OwnedRequest>, caller: Caller) -> Answer {
        if self.allows(&request.key) {
            Rc::clone(&self.target).call(request, caller)
        } else {
            at_once(Reply::server_error(REFUSED))
        }
    }

    fn destinations(&self, request: Routing<'_>, into: &mut Plan) {
        if self.allows(request.key) {
            self.target.destinations(request, into);
        } else {
            into.handle(format_args!("HashStopAllowListRoute: {REFUSED}"), |_| {});
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::route::testing::tree;

    #[test]
    fn a_hash_stop_needs_a_listed_prefix() {
        let tree = tree(
            r#"{"type": "HashStopAllowListRoute", "target": "PoolRoute|A", "prefixes": ["page:", "img"]}"#,
        );
        for (line, goes) in [
            ("get k~", "a"),
            ("get page:1|#|x~", "a"),
            ("get other|#|x~", "SERVER_ERROR Hash stop not permitted"),
            ("set other|#|x 0 0 1~x~", "SERVER_ERROR Hash stop not permitted"),
        ] {
            assert_eq!(tree.fast(line), goes, "{line}");
        }
    }
}
