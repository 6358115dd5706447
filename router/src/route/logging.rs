//! LoggingRoute: what its target is asked and answers, in the log: operation and result at info, the key at trace.

use std::rc::Rc;
use std::sync::Arc;

use super::{Answer, Blueprint, Handle, Plan, RouteHandle, Routed, Servers};
use crate::config::check::{Checker, ConfigError, Node};
use crate::flow::Caller;
use crate::reply::Reply;
use crate::request::{OwnedRequest, Routing};

/// What the log calls these lines.
const TARGET: &str = "router::requests";

pub(crate) fn parse(node: &Node<'_>, checker: &mut Checker<'_>) -> Result<Blueprint, ConfigError> {
    node.only(&["type", "name", "target"])?;
    let target = checker.route(&node.need("target")?)?;
    Ok(Arc::new(move |builder| {
        Rc::new(LoggingRoute {
            target: builder.once(&target),
        })
    }))
}

struct LoggingRoute {
    target: Handle,
}

impl RouteHandle for LoggingRoute {
    fn route(&self, _request: Routing<'_>, _servers: &Servers) -> Routed {
        Routed::Composite
    }

    fn call(self: Rc<Self>, request: Rc<OwnedRequest>, caller: Caller) -> Answer {
        let since = caller.now();
        let asked = Rc::clone(&self.target).call(Rc::clone(&request), caller.clone());
        Box::pin(async move {
            let reply = asked.await;
            let op = request.op.name();
            let result = match &reply {
                Reply::Said { kind, .. } => kind.name(),
                Reply::Failed { error, .. } => error.name(),
            };
            let micros = caller.now().0.saturating_sub(since.0);
            tracing::info!(target: TARGET, op, result, micros);
            tracing::trace!(target: TARGET, op, result, key = %request.key.escape_ascii());
            reply
        })
    }

    fn destinations(&self, request: Routing<'_>, into: &mut Plan) {
        into.handle("LoggingRoute", |into| self.target.destinations(request, into));
    }
}

#[cfg(test)]
mod tests {
    use crate::route::testing::tree;

    #[test]
    fn what_is_logged_is_asked_and_answered_as_ever() {
        let tree = tree(r#"{"type": "LoggingRoute", "target": "PoolRoute|A"}"#);
        assert_eq!(tree.play("get k~", &[("a", &["END~"])]), "a: get k~\n=> END~");
    }
}
