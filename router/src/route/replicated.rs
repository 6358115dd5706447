//! ReplicatedPoolRoute: every key on every server of the pool.
//!
//! Each key has a *leader*: the first server that may be read in an order that the key's hash begins. Reads go to the
//! leader, and on to the next server if it fails, so that `gets` and the `cas` after it speak of the same item.
//! Writes that depend on what is stored (`add`, `cas`, `incr`, `append`, …) are decided by the leader alone; the others
//! are then brought to the same: by a copy of the value where the request carries it, else by the same command, and
//! where that comes out differently by a delete. Deletes and plain sets go to all at once.
//!
//! A server that missed something is owed a delete of the key and is not read until it has had it; see [`crate::debt`].
//! The client hears of success only when that debt is kept. A delete that is neither done nor durably owed everywhere
//! is an error.

use std::rc::Rc;
use std::sync::Arc;

use super::{Answer, Blueprint, Handle, Plan, RouteHandle, Routed, Servers, join_all};
use crate::config::check::{Checker, ConfigError, Node};
use crate::debt::Replica;
use crate::flow::Caller;
use crate::pool::GetErrors;
use crate::reply::{Kind, Reply};
use crate::request::{Op, OwnedRequest, Routing};
use crate::upstream::Upstream;
use crate::upstream::error::UpstreamError;

pub(crate) fn parse(node: &Node<'_>, checker: &mut Checker<'_>) -> Result<Blueprint, ConfigError> {
    let pool = if node.argument().is_some() {
        checker.pool(node)?
    } else {
        node.only(&["type", "name", "pool"])?;
        checker.pool(&node.need("pool")?)?
    };
    let replicated = pool.replicated();
    for (index, server) in pool.servers.iter().enumerate() {
        if pool.servers[..index].contains(server) {
            return Err(node.error(&format!("server {:?} cannot be two replicas", server.name)));
        }
    }
    if !checker.replicated.contains(&replicated) {
        checker.replicated.push(replicated);
    }
    let servers = pool.servers.clone();
    let replicas = pool.blueprints();
    Ok(Arc::new(move |builder| {
        let replicas = replicas.iter().zip(&servers).map(|(replica, server)| Member {
            handle: builder.once(replica),
            replica: builder.debts.replica(&pool.name, &server.name),
            gets: server.get_errors,
        });
        Rc::new(ReplicatedPoolRoute {
            replicas: replicas.collect(),
            durable: builder.debts.are_durable(),
        })
    }))
}

/// A server of the pool.
struct Member {
    handle: Handle,
    replica: Arc<Replica>,
    gets: GetErrors,
}

struct ReplicatedPoolRoute {
    replicas: Box<[Member]>,
    /// Debts survive this process.
    durable: bool,
}

/// FNV-1a, 64 bits: which server leads a key must be the same in every worker and router.
fn start(key: &[u8], replicas: usize) -> usize {
    let hash = key.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
    });
    usize::try_from((hash >> 32) % replicas.max(1) as u64).unwrap_or(0)
}

impl Member {
    fn ask(&self, request: &Rc<OwnedRequest>, caller: &Caller) -> Answer {
        Rc::clone(&self.handle).call(Rc::clone(request), caller.clone())
    }

    /// What a server says that is owed something and therefore not read.
    fn owed(&self) -> Reply {
        Reply::Failed {
            error: UpstreamError::Owed,
            gets: self.gets,
        }
    }
}

/// Whether a server that gave this reply may have done what it was asked, or may yet.
fn may_have_done(reply: &Reply) -> bool {
    match reply {
        Reply::Failed { error, .. } => error.may_have_been_done(),
        Reply::Said { .. } => false,
    }
}

impl ReplicatedPoolRoute {
    /// The servers in the key's order.
    fn order(&self, key: &[u8]) -> impl Iterator<Item = &Member> {
        let (before, from) = self.replicas.split_at(start(key, self.replicas.len()));
        from.iter().chain(before)
    }

    async fn read(&self, request: Rc<OwnedRequest>, caller: Caller) -> Reply {
        let mut last: Option<Reply> = None;
        for member in self.order(&request.key) {
            if !member.replica.is_readable() {
                last.get_or_insert_with(|| member.owed());
                continue;
            }
            if last.is_some() {
                caller.count_failover();
            }
            let reply = member.ask(&request, &caller).await;
            if !reply.failed() {
                return reply;
            }
            last = Some(reply);
        }
        last.unwrap_or_else(|| Reply::nothing(&request))
    }

    /// Asks all; each reply with who gave it.
    async fn to_all(&self, request: &Rc<OwnedRequest>, caller: &Caller) -> Vec<(&Member, Reply)> {
        let members: Vec<&Member> = self.order(&request.key).collect();
        let asked = members.iter().map(|member| member.ask(request, caller)).collect();
        members.into_iter().zip(join_all(asked).await).collect()
    }

    /// Has those that failed owed a delete. An error if that cannot be kept.
    async fn owe(
        &self,
        request: &OwnedRequest,
        missed: impl Iterator<Item = &Member>,
        caller: &Caller,
    ) -> Result<(), Reply> {
        let debts: Vec<Answer> = missed
            .map(|member| Box::pin(caller.owe(&member.replica, &request.key)) as Answer)
            .collect();
        let kept = join_all(debts).await;
        kept.into_iter().find(Reply::failed).map_or(Ok(()), Err)
    }

    /// A delete: done when every server has done it, or is durably owed it.
    async fn delete(&self, request: Rc<OwnedRequest>, caller: Caller) -> Reply {
        let replies = self.to_all(&request, &caller).await;
        let missed = replies.iter().filter(|(_, reply)| reply.failed());
        let kept = self
            .owe(&request, missed.map(|(member, _)| *member), &caller)
            .await;
        let rank = |reply: &Reply| match reply.kind() {
            Kind::NotFound => 0,
            Kind::Deleted => 1,
            _ => 2,
        };
        let worst = |left: Reply, right: Reply| if rank(&right) > rank(&left) { right } else { left };
        let (failed, said): (Vec<Reply>, Vec<Reply>) = replies
            .into_iter()
            .map(|(_, reply)| reply)
            .partition(Reply::failed);
        match (failed.into_iter().next(), kept) {
            // Without a spool the reason is the server's, with one it is the spool's.
            (Some(failed), Err(_)) if !self.durable => failed,
            (Some(_), Err(not_kept)) => not_kept,
            _ => said
                .into_iter()
                .reduce(worst)
                .unwrap_or_else(|| Reply::nothing(&request)),
        }
    }

    /// A plain set: done when a server has it and those that do not are owed its delete.
    async fn set(&self, request: Rc<OwnedRequest>, caller: Caller) -> Reply {
        let mut replies = self.to_all(&request, &caller).await;
        let stored = replies.iter().any(|(_, reply)| reply.kind() == Kind::Stored);
        let refused = replies
            .iter()
            .position(|(_, reply)| matches!(reply, Reply::Said { kind, .. } if *kind != Kind::Stored));
        if let Some(at) = refused
            && stored
        {
            // Too large for one is gone from that one: the others must not go on with what it lacks.
            let said = replies[at].1.clone();
            if let Some(delete) = request.delete() {
                replies = self.to_all(&Rc::new(delete), &caller).await;
            }
            return self
                .after_set(&request, &replies, true, &caller)
                .await
                .unwrap_or(said);
        }
        let failed = self.after_set(&request, &replies, stored, &caller).await;
        let best = replies
            .into_iter()
            .map(|(_, reply)| reply)
            .min_by_key(Reply::severity);
        failed.or(best).unwrap_or_else(|| Reply::nothing(&request))
    }

    /// What those that failed are owed after a set; the error if it cannot be kept and the client counts on it.
    async fn after_set(
        &self,
        request: &OwnedRequest,
        replies: &[(&Member, Reply)],
        stored: bool,
        caller: &Caller,
    ) -> Option<Reply> {
        let missed = replies
            .iter()
            .filter(|(_, reply)| reply.failed() && (stored || may_have_done(reply)))
            .map(|(member, _)| *member);
        let kept = self.owe(request, missed, caller).await;
        kept.err().filter(|_| stored && self.durable)
    }

    /// Anything that depends on what is stored.
    async fn led(&self, request: Rc<OwnedRequest>, caller: Caller) -> Reply {
        let members: Vec<&Member> = self.order(&request.key).collect();
        let mut missed: Vec<(&Member, Reply)> = Vec::new();
        let mut led: Option<(&Member, Reply)> = None;
        for member in members.iter().filter(|member| member.replica.is_readable()) {
            let reply = member.ask(&request, &caller).await;
            if !reply.failed() {
                led = Some((member, reply));
                break;
            }
            missed.push((member, reply));
        }
        let Some((leader, said)) = led else {
            let failed = missed.last().map(|(_, reply)| reply.clone());
            missed.retain(|(_, reply)| may_have_done(reply));
            let maybe = missed.iter().map(|(member, _)| *member);
            // Nobody is told of a success: whether the debt is kept changes nothing in the answer.
            let _ = self.owe(&request, maybe, &caller).await;
            return failed
                .or_else(|| members.first().map(|member| member.owed()))
                .unwrap_or_else(|| Reply::nothing(&request));
        };
        let changed = matches!(
            said.kind(),
            Kind::Stored | Kind::Number | Kind::Touched | Kind::Hit | Kind::Deleted
        );
        if !changed {
            missed.retain(|(_, reply)| may_have_done(reply));
        } else {
            let asked_before = |member: &Member| missed.iter().any(|(known, _)| std::ptr::eq(*known, member));
            let followers: Vec<&Member> = members
                .iter()
                .copied()
                .filter(|member| !std::ptr::eq(*member, leader) && !asked_before(member))
                .collect();
            missed.extend(self.follow(&request, &said, followers, &caller).await);
        }
        let kept = self
            .owe(&request, missed.iter().map(|(member, _)| *member), &caller)
            .await;
        match kept {
            Err(not_kept) if changed && self.durable => not_kept,
            _ => said,
        }
    }

    /// Brings the followers to what the leader has done; those that could not be.
    async fn follow<'m>(
        &self,
        request: &Rc<OwnedRequest>,
        said: &Reply,
        followers: Vec<&'m Member>,
        caller: &Caller,
    ) -> Vec<(&'m Member, Reply)> {
        let copy = Rc::new(
            match request.op {
                // A condition that held for the leader's cas unique holds for nobody else's.
                Op::Delete => request.delete(),
                _ => request.as_set(),
            }
            .unwrap_or_else(|| (**request).clone()),
        );
        let asked = followers.iter().map(|member| member.ask(&copy, caller)).collect();
        let replies: Vec<(&Member, Reply)> = followers.into_iter().zip(join_all(asked).await).collect();
        let differs = |reply: &Reply| match (reply, said) {
            (reply, _) if reply.failed() => false,
            // A touch changes no value: whoever lacks the item still lacks it.
            _ if matches!(said.kind(), Kind::Touched | Kind::Hit | Kind::Deleted) => false,
            (Reply::Said { kind, .. }, _) if *kind == Kind::Stored => false,
            // The number itself has to be the same.
            (Reply::Said { bytes, .. }, Reply::Said { bytes: led, .. }) => bytes != led,
            (Reply::Said { .. } | Reply::Failed { .. }, _) => true,
        };
        let (mut missed, others): (Vec<_>, Vec<_>) =
            replies.into_iter().partition(|(_, reply)| reply.failed());
        let Some(delete) = request.delete().map(Rc::new) else {
            return missed;
        };
        let to_mend: Vec<&Member> = others
            .iter()
            .filter(|(_, reply)| differs(reply))
            .map(|(member, _)| *member)
            .collect();
        let mending = to_mend.iter().map(|member| member.ask(&delete, caller)).collect();
        let mended = to_mend.into_iter().zip(join_all(mending).await);
        missed.extend(mended.filter(|(_, reply)| reply.failed()));
        missed
    }
}

impl RouteHandle for ReplicatedPoolRoute {
    fn route(&self, request: Routing<'_>, servers: &Servers) -> Routed {
        if !matches!(request.op, Op::Get | Op::Gets) {
            return Routed::Composite;
        }
        for member in self.order(request.key) {
            if member.replica.is_readable()
                && let Routed::To(id) = member.handle.route(request, servers)
                && servers.get(id).is_some_and(Upstream::is_up)
            {
                return Routed::Try(id);
            }
        }
        Routed::Composite
    }

    fn call(self: Rc<Self>, request: Rc<OwnedRequest>, caller: Caller) -> Answer {
        match request.op {
            Op::Get | Op::Gets => Box::pin(async move { self.read(request, caller).await }),
            Op::Delete if !request.has_condition() => {
                Box::pin(async move { self.delete(request, caller).await })
            }
            Op::Set => Box::pin(async move { self.set(request, caller).await }),
            Op::Delete
            | Op::Gat
            | Op::Gats
            | Op::Add
            | Op::Replace
            | Op::Append
            | Op::Prepend
            | Op::Cas
            | Op::Incr
            | Op::Decr
            | Op::Touch => Box::pin(async move { self.led(request, caller).await }),
        }
    }

    fn destinations(&self, request: Routing<'_>, into: &mut Plan) {
        into.handle("ReplicatedPoolRoute: every server, the leader first", |into| {
            for member in self.order(request.key) {
                member.handle.destinations(request, into);
            }
        });
    }
}
