//! The route tree: each node takes a request, asks its children or a server, and gives a reply.
//!
//! A handle is asked twice over. [`RouteHandle::route`] is the fast way: it only says where the request goes, and as
//! long as that is one server no future, task or allocation is spent on the request. Handles that need more than one
//! server say [`Routed::Composite`] and are then run by [`RouteHandle::call`], a small future beside the fast way.
//!
//! A handle has two lives: [`Blueprint`], checked once and shared by all workers, and the handle a worker makes of it.

pub(crate) mod all_sync;
pub(crate) mod destination;
pub(crate) mod error;
pub(crate) mod failover;
pub(crate) mod hash;
pub(crate) mod latest;
pub(crate) mod null;
pub(crate) mod operation;
pub(crate) mod pool;
pub(crate) mod prefix;
pub(crate) mod random;
pub(crate) mod replicated;
pub(crate) mod root;
#[cfg(test)]
pub(crate) mod testing;

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use crate::config::check::{Checker, ConfigError, Node};
use crate::debt::Debts;
use crate::flow::Caller;
use crate::pool::Destination;
use crate::reply::Reply;
use crate::request::{OwnedRequest, Routing};
use crate::upstream::Upstream;
use crate::worker::arena::{Arena, Id};

/// Where a request goes.
#[derive(Debug, Clone)]
pub(crate) enum Routed {
    /// To this server, and its reply is the answer.
    To(Id<Upstream>),
    /// To this server; should a get fail there, [`RouteHandle::call`] knows whom else to ask.
    Try(Id<Upstream>),
    /// Nowhere: a miss, or "not stored".
    Nothing,
    /// Nowhere: this line.
    Refused(Rc<[u8]>),
    /// [`RouteHandle::call`] has to run.
    Composite,
}

/// A reply to come.
pub(crate) type Answer = Pin<Box<dyn Future<Output = Reply>>>;

/// The servers of a worker, for handles that choose among the living.
pub(crate) type Servers = Arena<Upstream>;

/// A node of the route tree, in one worker.
pub(crate) trait RouteHandle {
    /// Where the request goes, without sending anything.
    fn route(&self, request: Routing<'_>, servers: &Servers) -> Routed;

    /// Carries the request out.
    fn call(self: Rc<Self>, request: Rc<OwnedRequest>, caller: Caller) -> Answer;

    /// The servers the request may reach, first choice first.
    fn destinations(&self, request: Routing<'_>, into: &mut Vec<Arc<Destination>>);
}

/// A handle in use.
pub(crate) type Handle = Rc<dyn RouteHandle>;

/// A checked handle, ready to be made in any worker.
pub(crate) type Blueprint = Arc<dyn Fn(&mut Builder<'_>) -> Handle + Send + Sync>;

/// What a worker makes handles with: it knows, or opens, the connection to each server.
pub(crate) struct Builder<'w> {
    pub connect: &'w mut dyn FnMut(&Arc<Destination>) -> Id<Upstream>,
    /// What replicas are owed.
    pub debts: Arc<Debts>,
    /// Handles with a name, made once however often they are referred to.
    pub named: ahash::AHashMap<usize, Handle>,
}

impl Builder<'_> {
    /// Makes what `blueprint` says, or finds what was made of it before.
    pub(crate) fn once(&mut self, blueprint: &Blueprint) -> Handle {
        let identity = Arc::as_ptr(blueprint).cast::<()>() as usize;
        if let Some(handle) = self.named.get(&identity) {
            return Rc::clone(handle);
        }
        let handle = blueprint(self);
        self.named.insert(identity, Rc::clone(&handle));
        handle
    }
}

/// Reads one kind of handle from its JSON.
type Parse = fn(&Node<'_>, &mut Checker<'_>) -> Result<Blueprint, ConfigError>;

/// The handles by name.
pub(crate) const HANDLES: &[(&str, Parse)] = &[
    ("AllSyncRoute", all_sync::parse),
    ("ErrorRoute", error::parse),
    ("FailoverRoute", failover::parse),
    ("HashRoute", hash::parse),
    ("LatestRoute", latest::parse),
    ("NullRoute", null::parse),
    ("OperationSelectorRoute", operation::parse),
    ("PoolRoute", pool::parse),
    ("PrefixPolicyRoute", operation::parse),
    ("PrefixSelectorRoute", prefix::parse),
    ("RandomRoute", random::parse),
    ("ReplicatedPoolRoute", replicated::parse),
];

/// Handles of mcrouter's that are not here yet: named in the error, instead of "unknown".
pub(crate) const NOT_YET: &[&str] = &[
    "AllAsyncRoute",
    "AllFastestRoute",
    "AllInitialRoute",
    "AllMajorityRoute",
    "BigValueRoute",
    "BlackholeRoute",
    "CarbonLookasideRoute",
    "DevNullRoute",
    "DistributionRoute",
    "FailoverWithExptimeRoute",
    "HashStopAllowListRoute",
    "HostIdRoute",
    "KeyParseRoute",
    "KeySplitRoute",
    "L1L2CacheRoute",
    "L1L2SizeSplitRoute",
    "LatencyInjectionRoute",
    "LoadBalancerRoute",
    "LoggingRoute",
    "MigrateRoute",
    "MissFailoverRoute",
    "ModifyExptimeRoute",
    "ModifyKeyRoute",
    "OriginalClientHashRoute",
    "OutstandingLimitRoute",
    "RateLimitRoute",
    "RoutingGroupRoute",
    "SaltedFailoverRoute",
    "ShadowRoute",
    "SlowWarmUpRoute",
    "StagingRoute",
    "WarmUpRoute",
];

/// Waits for all of them, each making progress while the others wait.
pub(crate) async fn join_all(mut answers: Vec<Answer>) -> Vec<Reply> {
    let mut replies: Vec<Option<Reply>> = answers.iter().map(|_| None).collect();
    std::future::poll_fn(|cx| {
        let mut waiting = false;
        for (answer, reply) in answers.iter_mut().zip(&mut replies) {
            if reply.is_none() {
                match answer.as_mut().poll(cx) {
                    Poll::Ready(said) => *reply = Some(said),
                    Poll::Pending => waiting = true,
                }
            }
        }
        if waiting { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
    replies.into_iter().flatten().collect()
}

/// A reply that is there already.
pub(crate) fn at_once(reply: Reply) -> Answer {
    Box::pin(std::future::ready(reply))
}
