//! RandomPlacementRoute: each item on any one server, found by asking them all.
//!
//! Nothing moves when servers come and go, and no server is hot for long; the price is that every get asks every server.
//! A set takes a server at random (another if that fails) and deletes the key everywhere else, so that there is one copy.
//! An answer stands if enough of the servers replied (`least_share`); else the client is told how many did.

use std::rc::Rc;
use std::sync::Arc;

use super::{Answer, Blueprint, Handle, Plan, RouteHandle, Routed, Servers, join_all};
use crate::config::check::{Checker, ConfigError, Node};
use crate::flow::Caller;
use crate::reply::{Kind, Reply};
use crate::request::{Expect, Op};
use crate::request::{OwnedRequest, Routing};

/// What has to reply, unless the route says otherwise.
const LEAST_SHARE: f64 = 0.5;

pub(crate) fn parse(node: &Node<'_>, checker: &mut Checker<'_>) -> Result<Blueprint, ConfigError> {
    let mut least_share = LEAST_SHARE;
    let children = if node.argument().is_some() {
        checker.pool(node)?.blueprints()
    } else {
        node.only(&["type", "name", "pool", "least_share"])?;
        if let Some(share) = node.get("least_share") {
            least_share = share.within(0.0, 1.0)?;
        }
        checker.pool(&node.need("pool")?)?.blueprints()
    };
    if children.is_empty() {
        return Err(node.error("RandomPlacementRoute needs at least one server"));
    }
    Ok(Arc::new(move |builder| {
        Rc::new(RandomPlacementRoute {
            servers: builder.all(&children),
            least_share,
        })
    }))
}

struct RandomPlacementRoute {
    servers: Box<[Handle]>,
    /// Of the servers, from 0 to 1.
    least_share: f64,
}

impl RandomPlacementRoute {
    async fn ask_all(&self, request: &Rc<OwnedRequest>, caller: &Caller) -> Vec<Reply> {
        self.ask(self.servers.iter(), request, caller).await
    }

    async fn ask(
        &self,
        servers: impl Iterator<Item = &Handle>,
        request: &Rc<OwnedRequest>,
        caller: &Caller,
    ) -> Vec<Reply> {
        let asked = servers.map(|server| Rc::clone(server).call(Rc::clone(request), caller.clone()));
        join_all(asked.collect()).await
    }

    /// `Err` says how many replied, if that is not enough.
    fn enough(&self, replied: usize) -> Result<(), Reply> {
        let of = self.servers.len();
        #[expect(clippy::cast_precision_loss, reason = "numbers of servers")]
        let share = replied as f64 / of as f64;
        if replied > 0 && share >= self.least_share {
            Ok(())
        } else {
            Err(Reply::server_error(&format!("{replied} of {of} servers replied")))
        }
    }

    /// What whoever has the item says; nobody else changes or tells anything.
    async fn of_the_holder(&self, request: &Rc<OwnedRequest>, caller: &Caller) -> Reply {
        let replies = self.ask_all(request, caller).await;
        let replied = replies.iter().filter(|reply| !reply.failed()).count();
        let lacks =
            |reply: &Reply| reply.failed() || reply.is_miss() || matches!(reply.kind(), Kind::NotStored);
        let mut replies = replies;
        if let Some(holder) = replies.iter().position(|reply| !lacks(reply)) {
            return replies.swap_remove(holder);
        }
        match self.enough(replied) {
            Ok(()) => {
                let told = replies.into_iter().find(|reply| !reply.failed());
                told.unwrap_or_else(|| Reply::nothing(request))
            }
            Err(too_few) => too_few,
        }
    }

    /// Stored on one server, deleted on all others.
    async fn place(&self, request: &Rc<OwnedRequest>, caller: &Caller) -> Reply {
        let count = self.servers.len();
        let start = rand::random_range(0..count);
        let mut last = None;
        for turn in 0..count {
            let chosen = (start + turn) % count;
            if last.is_some() {
                caller.count_failover();
            }
            let server = Rc::clone(&self.servers[chosen]);
            let stored = server.call(Rc::clone(request), caller.clone()).await;
            if stored.failed() {
                last = Some(stored);
                continue;
            }
            let Some(delete) = request.delete() else {
                return stored;
            };
            let others = self
                .servers
                .iter()
                .enumerate()
                .filter(|(index, _)| *index != chosen);
            let others = others.map(|(_, server)| server);
            let replies = self.ask(others, &Rc::new(delete), caller).await;
            let replied = 1 + replies.iter().filter(|reply| !reply.failed()).count();
            return match self.enough(replied) {
                Ok(()) => stored,
                Err(too_few) => too_few,
            };
        }
        last.unwrap_or_else(|| Reply::nothing(request))
    }

    /// `add`: only if nobody has it.
    async fn add(&self, request: &Rc<OwnedRequest>, caller: &Caller) -> Reply {
        let Some(peek) = request.get() else {
            return Reply::server_error("this key cannot be added to servers at random");
        };
        let found = self.of_the_holder(&Rc::new(peek), caller).await;
        if found.failed() {
            return found;
        }
        if found.is_hit() {
            return Reply::nothing(request);
        }
        self.place(request, caller).await
    }
}

impl RouteHandle for RandomPlacementRoute {
    fn route(&self, request: Routing<'_>, servers: &Servers) -> Routed {
        match &*self.servers {
            [only] => only.route(request, servers),
            _ => Routed::Composite,
        }
    }

    fn call(self: Rc<Self>, request: Rc<OwnedRequest>, caller: Caller) -> Answer {
        Box::pin(async move {
            match request.op {
                Op::Set => self.place(&request, &caller).await,
                Op::Add => self.add(&request, &caller).await,
                // `ma` with `N` would make an item on every server.
                Op::Incr | Op::Decr if request.expect == Expect::MetaArith && makes_item(&request) => {
                    Reply::server_error("an item cannot be made by ma on servers at random")
                }
                _ => self.of_the_holder(&request, &caller).await,
            }
        })
    }

    fn destinations(&self, request: Routing<'_>, into: &mut Plan) {
        let what = if matches!(request.op, Op::Set | Op::Add) {
            "RandomPlacementRoute: any one of these"
        } else {
            "RandomPlacementRoute: all, whoever has it"
        };
        into.handle(what, |into| {
            for server in &self.servers {
                server.destinations(request, into);
            }
        });
    }
}

fn makes_item(request: &OwnedRequest) -> bool {
    request
        .read(|single| matches!(single, crate::request::Single::MetaArith(arith) if arith.vivify.is_some()))
        .unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use crate::route::testing::tree;

    fn play(line: &str, says: [&[&str]; 3]) -> String {
        tree(r#""RandomPlacementRoute|R""#).play(line, &[("x", says[0]), ("y", says[1]), ("z", says[2])])
    }

    #[test]
    fn a_get_asks_all_and_tells_what_whoever_has_it_says() {
        let story = play("get k~", [&["END~"], &["timeout"], &["VALUE k 0 1~x~END~"]]);
        assert!(story.ends_with("=> VALUE k 0 1~x~END~"), "{story}");
        assert!(play("get k~", [&["END~"], &["timeout"], &["END~"]]).ends_with("=> END~"));
        assert!(
            play("get k~", [&["END~"], &["timeout"], &["timeout"]])
                .ends_with("=> SERVER_ERROR 1 of 3 servers replied~"),
            "a miss of a third of the servers is not worth being believed"
        );
        assert!(play("incr k 1~", [&["NOT_FOUND~"], &["6~"], &["timeout"]]).ends_with("=> 6~"));
        assert!(
            play("delete k~", [&["NOT_FOUND~"], &["NOT_FOUND~"], &["DELETED~"]]).ends_with("=> DELETED~")
        );
    }

    #[test]
    fn a_set_leaves_one_copy_on_any_server() {
        let mut places = std::collections::HashSet::new();
        for _ in 0..60 {
            let story = play("set k 0 0 1~x~", [&["store or delete"]; 3]);
            let asked: Vec<&str> = story.lines().filter(|line| !line.starts_with("=>")).collect();
            assert!(asked[0].ends_with(": set k 0 0 1~x~"), "{story}");
            assert_eq!(
                asked.iter().filter(|line| line.ends_with(": delete k~")).count(),
                2,
                "{story}"
            );
            assert!(story.ends_with("=> STORED~"), "{story}");
            places.insert(asked[0].chars().next());
        }
        assert_eq!(places.len(), 3, "over time every server gets some");
    }
}
