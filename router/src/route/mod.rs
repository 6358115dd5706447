//! The route tree: each node takes a request, asks its children or a server, and gives a reply.
//!
//! A handle is asked twice over. [`RouteHandle::route`] is the fast way: it only says where the request goes, and as
//! long as that is one server no future, task or allocation is spent on the request. Handles that need more than one
//! server say [`Routed::Composite`] and are then run by [`RouteHandle::call`], a small future beside the fast way.
//!
//! A handle has two lives: [`Blueprint`], checked once and shared by all workers, and the handle a worker makes of it.

mod all;
pub(crate) mod all_async;
pub(crate) mod all_fastest;
pub(crate) mod all_initial;
pub(crate) mod all_majority;
pub(crate) mod all_sync;
pub(crate) mod big_value;
pub(crate) mod blackhole;
pub(crate) mod coalesce;
mod copy_gate;
pub(crate) mod destination;
pub(crate) mod error;
pub(crate) mod failover;
pub(crate) mod hash;
pub(crate) mod hash_stop_allow_list;
pub(crate) mod host_id;
pub(crate) mod key_parse;
pub(crate) mod key_split;
pub(crate) mod l1l2_cache;
pub(crate) mod l1l2_size_split;
pub(crate) mod latency_injection;
pub(crate) mod latest;
pub(crate) mod load_balancer;
pub(crate) mod logging;
pub(crate) mod migrate;
pub(crate) mod miss_failover;
pub(crate) mod modify_exptime;
pub(crate) mod modify_key;
pub(crate) mod near_cache;
pub(crate) mod null;
pub(crate) mod operation;
pub(crate) mod original_client_hash;
pub(crate) mod outstanding_limit;
mod plan;
pub(crate) mod pool;
pub(crate) mod prefix;
pub(crate) mod random;
pub(crate) mod random_placement;
pub(crate) mod rate_limit;
pub(crate) mod replicated;
pub(crate) mod root;
pub(crate) mod routing_group;
pub(crate) mod shadow;
pub(crate) mod shard_split;
pub(crate) mod slow_warm_up;
pub(crate) mod staging;
#[cfg(test)]
pub(crate) mod testing;
pub(crate) mod warm_up;
pub(crate) mod write_stamps;

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use crate::config::check::{Checker, ConfigError, Node};
use crate::debt::Debts;
use crate::flow::{Caller, Leg, Wishes};
use crate::pool::Destination;
use crate::reply::Reply;
use crate::request::{OwnedRequest, Routing};
use crate::upstream::Upstream;
use crate::worker::arena::{Arena, Id};
pub(crate) use plan::{Domain, Plan};

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
    /// Nowhere: this answers a plain get, up to and with its END.
    Hit(Arc<[u8]>),
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

    /// Tells whom the request may reach, first choice first.
    fn destinations(&self, request: Routing<'_>, into: &mut Plan);

    /// Which of its children a hash chooses, if this is one.
    fn chosen(&self, _key: &[u8]) -> Option<usize> {
        None
    }
}

/// A handle in use.
pub(crate) type Handle = Rc<dyn RouteHandle>;

/// A checked handle, ready to be made in any worker.
pub(crate) type Blueprint = Arc<dyn Fn(&mut Builder<'_>) -> Handle + Send + Sync>;

/// What a worker makes handles with: it knows, or opens, the connection to each server.
pub(crate) struct Builder<'w> {
    /// The second is which of the connections to the server, counted from 0.
    pub connect: &'w mut dyn FnMut(&Arc<Destination>, usize) -> Id<Upstream>,
    /// What replicas are owed.
    pub debts: Arc<Debts>,
    /// What handles know of the worker besides.
    pub worker: Rc<Wishes>,
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

    /// The same for several.
    pub(crate) fn all(&mut self, blueprints: &[Blueprint]) -> Box<[Handle]> {
        blueprints.iter().map(|blueprint| self.once(blueprint)).collect()
    }
}

/// Reads one kind of handle from its JSON.
type Parse = fn(&Node<'_>, &mut Checker<'_>) -> Result<Blueprint, ConfigError>;

/// The handles by name.
pub(crate) const HANDLES: &[(&str, Parse)] = &[
    ("AllAsyncRoute", all_async::parse),
    ("AllFastestRoute", all_fastest::parse),
    ("AllInitialRoute", all_initial::parse),
    ("AllMajorityRoute", all_majority::parse),
    ("AllSyncRoute", all_sync::parse),
    ("BigValueRoute", big_value::parse),
    ("BlackholeRoute", blackhole::parse),
    ("CoalesceRoute", coalesce::parse),
    ("DevNullRoute", null::parse),
    ("ErrorRoute", error::parse),
    ("FailoverRoute", failover::parse),
    ("FailoverWithExptimeRoute", failover::parse_with_exptime),
    ("HashRoute", hash::parse),
    ("HashStopAllowListRoute", hash_stop_allow_list::parse),
    ("HostIdRoute", host_id::parse),
    ("KeyParseRoute", key_parse::parse),
    ("KeySplitRoute", key_split::parse),
    ("L1L2CacheRoute", l1l2_cache::parse),
    ("L1L2SizeSplitRoute", l1l2_size_split::parse),
    ("LatencyInjectionRoute", latency_injection::parse),
    ("LatestRoute", latest::parse),
    ("LoadBalancerRoute", load_balancer::parse),
    ("LoggingRoute", logging::parse),
    ("MigrateRoute", migrate::parse),
    ("MissFailoverRoute", miss_failover::parse),
    ("ModifyExptimeRoute", modify_exptime::parse),
    ("ModifyKeyRoute", modify_key::parse),
    ("NearCacheRoute", near_cache::parse),
    ("NullRoute", null::parse),
    ("OperationSelectorRoute", operation::parse),
    ("OriginalClientHashRoute", original_client_hash::parse),
    ("OutstandingLimitRoute", outstanding_limit::parse),
    ("PoolRoute", pool::parse),
    ("PrefixPolicyRoute", operation::parse),
    ("PrefixSelectorRoute", prefix::parse),
    ("RandomPlacementRoute", random_placement::parse),
    ("RandomRoute", random::parse),
    ("RateLimitRoute", rate_limit::parse),
    ("ReplicatedPoolRoute", replicated::parse),
    ("RoutingGroupRoute", routing_group::parse),
    ("SaltedFailoverRoute", failover::parse_salted),
    ("ShadowRoute", shadow::parse),
    ("SlowWarmUpRoute", slow_warm_up::parse),
    ("StagingRoute", staging::parse),
    ("WarmUpRoute", warm_up::parse),
];

/// Handles of mcrouter's that only mean something inside Facebook: refused with the reason.
pub(crate) const FOREIGN: &[(&str, &str)] = &[
    ("AxonLogRoute", "it writes to a service of Facebook's"),
    (
        "CarbonLookasideRoute",
        "it caches services that speak Carbon, not memcached",
    ),
    ("DistributionRoute", "it hands writes to a service of Facebook's"),
    (
        "McRefillRoute",
        "it is not part of mcrouter as published; WarmUpRoute and ShadowRoute fill pools",
    ),
    (
        "SetDistributionTargetRoute",
        "it hands writes to a service of Facebook's",
    ),
    ("SRRoute", "it finds servers through a service of Facebook's"),
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

/// The first reply, in the order in which they come, that `wanted` takes; else all of them, in the order asked.
pub(crate) async fn first(
    mut answers: Vec<Leg>,
    mut wanted: impl FnMut(&Reply) -> bool,
) -> Result<Reply, Vec<Reply>> {
    let mut replies: Vec<Option<Reply>> = answers.iter().map(|_| None).collect();
    let found = std::future::poll_fn(|cx| {
        let mut waiting = false;
        for (answer, reply) in answers.iter_mut().zip(&mut replies) {
            if reply.is_none() {
                match Pin::new(answer).poll(cx) {
                    Poll::Ready(said) if wanted(&said) => return Poll::Ready(Some(said)),
                    Poll::Ready(said) => *reply = Some(said),
                    Poll::Pending => waiting = true,
                }
            }
        }
        if waiting { Poll::Pending } else { Poll::Ready(None) }
    })
    .await;
    found.ok_or_else(|| replies.into_iter().flatten().collect())
}

/// A reply that is there already.
pub(crate) fn at_once(reply: Reply) -> Answer {
    Box::pin(std::future::ready(reply))
}
