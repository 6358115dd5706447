//! OutstandingLimitRoute: so many requests of a worker under way below it; more wait their turn, first come first served,
//! and too many more are refused.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use super::{Answer, Blueprint, Handle, Plan, RouteHandle, Routed, Servers};
use crate::config::check::{Checker, ConfigError, Node};
use crate::flow::Caller;
use crate::flow::FlowWaker;
use crate::pool::GetErrors;
use crate::reply::Reply;
use crate::request::{OwnedRequest, Routing};
use crate::upstream::error::UpstreamError;

/// mcrouter's largest `max_outstanding`.
const OUTSTANDING_MAX: usize = 1_000_000;
/// Requests that may wait for their turn.
const WAITING_MAX: usize = 65_536;

pub(crate) fn parse(node: &Node<'_>, checker: &mut Checker<'_>) -> Result<Blueprint, ConfigError> {
    node.only(&["type", "name", "target", "max_outstanding"])?;
    let target = checker.route(&node.need("target")?)?;
    let most = read_most(&node.need("max_outstanding")?)?;
    Ok(blueprint(target, most))
}

/// A value of `max_outstanding`; 0 is no limit.
pub(crate) fn read_most(node: &Node<'_>) -> Result<usize, ConfigError> {
    match node.count()? {
        most if most <= OUTSTANDING_MAX => Ok(most),
        most => Err(node.error(&format!("{most} is more than {OUTSTANDING_MAX}"))),
    }
}

/// `target` with at most so many requests under way.
pub(crate) fn blueprint(target: Blueprint, most: usize) -> Blueprint {
    if most == 0 {
        return target;
    }
    Arc::new(move |builder| {
        Rc::new(OutstandingLimitRoute {
            target: builder.once(&target),
            gate: Rc::new(Gate {
                most,
                inside: Cell::new(0),
                waiting: RefCell::new(VecDeque::new()),
            }),
        })
    })
}

/// Lets so many in at a time.
struct Gate {
    most: usize,
    inside: Cell<usize>,
    waiting: RefCell<VecDeque<Rc<Waiter>>>,
}

struct Waiter {
    let_in: Cell<bool>,
    waker: FlowWaker,
}

/// A place inside; leaving lets the next one in.
struct Inside(Rc<Gate>);

impl Drop for Inside {
    fn drop(&mut self) {
        match self.0.waiting.borrow_mut().pop_front() {
            Some(next) => {
                next.let_in.set(true);
                next.waker.wake();
            }
            None => self.0.inside.set(self.0.inside.get() - 1),
        }
    }
}

/// Ends when there is a place; `None` if too many wait already.
async fn enter(gate: &Rc<Gate>, caller: &Caller) -> Option<Inside> {
    if gate.inside.get() < gate.most {
        gate.inside.set(gate.inside.get() + 1);
        return Some(Inside(Rc::clone(gate)));
    }
    if gate.waiting.borrow().len() >= WAITING_MAX {
        return None;
    }
    let waiter = Rc::new(Waiter {
        let_in: Cell::new(false),
        waker: caller.waker(),
    });
    gate.waiting.borrow_mut().push_back(Rc::clone(&waiter));
    std::future::poll_fn(|_| {
        if waiter.let_in.get() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
    Some(Inside(Rc::clone(gate)))
}

struct OutstandingLimitRoute {
    target: Handle,
    gate: Rc<Gate>,
}

impl RouteHandle for OutstandingLimitRoute {
    fn route(&self, _request: Routing<'_>, _servers: &Servers) -> Routed {
        Routed::Composite
    }

    fn call(self: Rc<Self>, request: Rc<OwnedRequest>, caller: Caller) -> Answer {
        Box::pin(async move {
            let Some(_inside) = enter(&self.gate, &caller).await else {
                return Reply::Failed {
                    error: UpstreamError::Busy,
                    gets: GetErrors::Error,
                };
            };
            Rc::clone(&self.target).call(request, caller).await
        })
    }

    fn destinations(&self, request: Routing<'_>, into: &mut Plan) {
        let most = self.gate.most;
        into.handle(format_args!("OutstandingLimitRoute: {most} at a time"), |into| {
            self.target.destinations(request, into);
        });
    }
}

#[cfg(test)]
mod tests {
    use crate::route::testing::tree;

    #[test]
    fn so_many_are_under_way_and_the_others_wait_for_them() {
        // All of them go through one gate, which lets one in.
        let route = r#"{"type": "AllSyncRoute", "children": ["limited", "limited", "limited"]}"#;
        let limited = r#"{"type": "OutstandingLimitRoute", "name": "limited", "target": {"type": "LatencyInjectionRoute",
                          "child": "PoolRoute|A", "after_latency_ms": 5}, "max_outstanding": 1}"#;
        let route = route.replacen("\"limited\"", limited, 1);
        let story = tree(&route).play("get k~", &[("a", &["END~"])]);
        assert_eq!(
            story,
            "a: get k~\n(time passes)\na: get k~\n(time passes)\na: get k~\n(time passes)\n=> END~"
        );
    }
}
