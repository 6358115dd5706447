//! Servers that record what they are asked and say what they are told to: for tests of the route tree, without a
//! socket. Stories are checked in [`stories`].

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::{Builder, Handle, Plan, Routed};
use crate::config::Config;
use crate::config::check::Defaults;
use crate::flow::{Caller, Flow, Wishes};
use crate::pool::Destination;
use crate::reply::{Kind, Reply};
use crate::request::{Expect, OwnedRequest};
use crate::stats::DestinationCounters;
use crate::upstream::connection::Limits;
use crate::upstream::error::UpstreamError;
use crate::upstream::{ReplyTo, Upstream};
use crate::worker::arena::{Arena, Id};
use crate::worker::ready::{Readiness, SocketWaker, Token};
use protocol::{Response, ResponseDecoder, ResponseStep};

/// A tree over servers that record.
pub(crate) struct Recording {
    root: Handle,
    wishes: Rc<Wishes>,
    servers: Arena<Upstream>,
    destinations: Vec<(Id<Upstream>, Arc<Destination>)>,
}

impl Recording {
    pub(crate) fn of(config: &str) -> Self {
        Self::with(config, &Defaults::default())
    }

    /// The same, started with other flags.
    pub(crate) fn with(config: &str, defaults: &Defaults) -> Self {
        let source = crate::config::parse(config).expect("JSON");
        let config = Config::check(source, defaults, 1).expect("a good configuration");
        let ready = Arc::new(Readiness::default());
        let mut servers = Arena::new();
        let mut destinations: Vec<(Id<Upstream>, Arc<Destination>)> = Vec::new();
        let limits = Limits {
            timeouts_until_tko: 3,
            max_inflight: 10,
            tls: crate::tls::Tls::default(),
        };
        let mut connect = |destination: &Arc<Destination>, lane: usize| {
            if let Some((id, _)) = destinations.iter().find(|(_, known)| known == destination) {
                return *id;
            }
            let id = servers.insert_with(|id: Id<Upstream>| {
                let waker = SocketWaker::new(Token::Upstream(id.index()), &ready);
                Upstream::new(
                    Arc::clone(destination),
                    lane,
                    Arc::new(DestinationCounters::default()),
                    waker,
                    &limits,
                )
            });
            destinations.push((id, Arc::clone(destination)));
            id
        };
        let wishes = Rc::new(Wishes::default());
        let mut builder = Builder {
            connect: &mut connect,
            debts: crate::debt::Debts::for_tests(),
            worker: Rc::clone(&wishes),
            named: ahash::AHashMap::new(),
        };
        let root = builder.once(&config.root);
        drop(builder);
        Self {
            root,
            wishes,
            servers,
            destinations,
        }
    }

    fn name(&self, id: Id<Upstream>) -> &str {
        let found = self.destinations.iter().find(|(known, _)| *known == id);
        found.map_or("?", |(_, destination)| &destination.name)
    }

    /// Where the fast way sends a request: a server's name, `name?` if others may be asked after a failure, or what
    /// else becomes of it.
    pub(crate) fn fast(&self, line: &str) -> String {
        let request = OwnedRequest::spelled(line);
        let routing = crate::request::Routing {
            op: request.op,
            key: &request.key,
        };
        match self.root.route(routing, &self.servers) {
            Routed::To(id) => self.name(id).to_owned(),
            Routed::Try(id) => format!("{}?", self.name(id)),
            Routed::Nothing => "nothing".to_owned(),
            Routed::Hit(reply) => String::from_utf8_lossy(&reply).replace("\r\n", "~"),
            Routed::Refused(line) => String::from_utf8_lossy(&line).trim_end().to_owned(),
            Routed::Composite => "composite".to_owned(),
        }
    }

    /// Carries a request out. `says` gives each server's replies in turn (`timeout` for none; `~` ends a line; the last
    /// goes on). Tells who was asked what, in order, the answer when it is there, and what went on afterwards.
    pub(crate) fn play(&self, line: &str, says: &[(&str, &[&str])]) -> String {
        self.play_all(&[line], says)
    }

    /// The same for two at once.
    pub(crate) fn play_both(&self, one: &str, other: &str, says: &[(&str, &[&str])]) -> String {
        self.play_all(&[one, other], says)
    }

    /// The same for several at once, begun in this order.
    pub(crate) fn play_all(&self, lines: &[&str], says: &[(&str, &[&str])]) -> String {
        let mut stage = Stage {
            tree: self,
            flows: Arena::new(),
            says,
            turns: HashMap::new(),
            told: Vec::new(),
        };
        for line in lines {
            let request = OwnedRequest::spelled(line);
            stage.begin(&self.root, &Rc::new(request), ReplyTo::Probe);
        }
        for _ in 0..200 {
            if !stage.turn() {
                break;
            }
        }
        let told = stage.told.join("\n");
        assert!(told.contains("=> "), "no answer to {lines:?}: {told}");
        told
    }

    /// How a request would go, indented.
    pub(crate) fn plan(&self, line: &str) -> String {
        let request = OwnedRequest::spelled(line);
        let mut plan = Plan::default();
        let routing = crate::request::Routing {
            op: request.op,
            key: &request.key,
        };
        self.root.destinations(routing, &mut plan);
        plan.text().to_owned()
    }

    /// Takes note of a request for `key`, as the worker does.
    pub(crate) fn seen(&self, key: &[u8]) {
        self.wishes.hot_keys.seen(key);
    }

    /// Says from where the next requests come.
    pub(crate) fn from(&self, client: u64) {
        self.wishes.from.set(client);
    }
}

/// A request being carried out.
struct Stage<'t> {
    tree: &'t Recording,
    flows: Arena<Flow>,
    says: &'t [(&'t str, &'t [&'t str])],
    turns: HashMap<String, usize>,
    told: Vec<String>,
}

impl Stage<'_> {
    /// The request itself goes to a `Probe`, everything else to its leg or to nobody.
    fn begin(&mut self, route: &Handle, request: &Rc<OwnedRequest>, to: ReplyTo) {
        let legs = Rc::new(RefCell::new(Vec::new()));
        let mut request = (**request).clone();
        request.from = self.tree.wishes.from.get();
        let (op, expect) = (request.op, request.expect);
        let wishes = &self.tree.wishes;
        let id = self.flows.insert_with(|id| Flow {
            answer: Some(Rc::clone(route).call(Rc::new(request), Caller::new(id, &legs, wishes))),
            legs: Rc::clone(&legs),
            to,
            op,
            expect,
            quiet: false,
            note: bytes::Bytes::new(),
        });
        // At once, as the worker does.
        self.poll(id);
    }

    fn poll(&mut self, id: Id<Flow>) {
        let Some(mut answer) = self.flows.get_mut(id).and_then(|flow| flow.answer.take()) else {
            return;
        };
        match answer.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(reply) => self.ended(id, &reply),
            Poll::Pending => self.flows.get_mut(id).expect("a flow").answer = Some(answer),
        }
    }

    /// Polls every flow, answers every leg; false if there is nothing more to do.
    fn turn(&mut self) -> bool {
        let all: Vec<Id<Flow>> = self.flows.iter().map(|(id, _)| id).collect();
        for id in all {
            self.poll(id);
        }
        let mut busy = false;
        for owing in self.tree.wishes.owing.take() {
            busy = true;
            let key = String::from_utf8_lossy(&owing.key).into_owned();
            self.told.push(format!("{} is owed {key}", owing.replica.server));
            if let Some(flow) = self.flows.get(owing.flow) {
                flow.legs.borrow_mut()[owing.leg as usize] =
                    Some(Reply::said(Kind::Ok, protocol::encode::response::OK));
            }
        }
        for leg in self.tree.wishes.outgoing.take() {
            busy = true;
            let name = self.tree.name(leg.to).to_owned();
            let said = reply(self.says(&name, &leg.request), leg.request.expect);
            let Some(flow) = self.flows.get(leg.flow) else {
                continue;
            };
            flow.legs.borrow_mut()[leg.leg as usize] = Some(said);
        }
        for started in self.tree.wishes.started.take() {
            busy = true;
            self.begin(&started.route, &started.request, started.to);
        }
        busy |= !self.tree.wishes.woken.take().is_empty();
        if !busy && let Some(at) = self.tree.wishes.next_timer() {
            busy = true;
            self.tree.wishes.now.set(at);
            self.tree.wishes.on_time();
            self.told.push("(time passes)".to_owned());
        }
        busy || self.flows.len() > 0 && self.told.len() < 100 && self.settling()
    }

    /// Whether a reply that was delivered in this turn has still to be looked at.
    fn settling(&self) -> bool {
        let mut flows = self.flows.iter();
        flows.any(|(_, flow)| flow.legs.borrow().iter().any(Option::is_some))
    }

    fn ended(&mut self, id: Id<Flow>, reply: &Reply) {
        let flow = self.flows.remove(id).expect("a flow");
        match flow.to {
            ReplyTo::Leg { id, leg } => {
                if let Some(parent) = self.flows.get(id) {
                    parent.legs.borrow_mut()[leg as usize] = Some(reply.clone());
                }
            }
            ReplyTo::Probe => self.told.push(format!("=> {}", tell(reply))),
            _ => {}
        }
    }

    fn says(&mut self, name: &str, request: &OwnedRequest) -> &str {
        let wire = String::from_utf8_lossy(&request.wire).replace("\r\n", "~");
        self.told.push(format!("{name}: {wire}"));
        let turn = self.turns.entry(name.to_owned()).or_insert(0);
        let (_, lines) = self
            .says
            .iter()
            .find(|(server, _)| *server == name)
            .unwrap_or_else(|| panic!("{name} was asked {wire} and has nothing to say"));
        let said = lines.get(*turn).or(lines.last()).expect("a reply");
        *turn += 1;
        said
    }
}

fn reply(said: &str, expect: Expect) -> Reply {
    let gets = crate::pool::GetErrors::Miss;
    for error in [UpstreamError::Timeout, UpstreamError::Tko] {
        if said == error.name() {
            return Reply::Failed { error, gets };
        }
    }
    // For routes that choose at random whom to ask what.
    let said = match (said, expect) {
        ("store or delete", Expect::Store) => "STORED~",
        ("store or delete", _) => "DELETED~",
        (said, _) => said,
    };
    let bytes = said.replace('~', "\r\n");
    let ResponseStep::Response { response, .. } = ResponseDecoder::default().next(bytes.as_bytes()) else {
        panic!("no reply: {said}");
    };
    let kind = match (&response, expect) {
        (Response::Value { .. }, Expect::Retrieval) => Kind::Hit,
        (Response::End, Expect::Retrieval) => Kind::Miss,
        (response, expect) => Kind::of(response, expect).expect("a reply to the request"),
    };
    Reply::Said {
        kind,
        bytes: bytes.into(),
    }
}

fn tell(reply: &Reply) -> String {
    match reply {
        Reply::Said { bytes, .. } => String::from_utf8_lossy(bytes).replace("\r\n", "~"),
        Reply::Failed { error, .. } => error.name().to_owned(),
    }
}

/// Pools of one server each, one of the two together, and three replicas.
pub(crate) const POOLS: &str = r#""pools": {"A": {"servers": ["a=h:1"]}, "B": {"servers": ["b=h:2"]},
                                     "AB": {"servers": ["a=h:1", "b=h:2"], "hash": "rendezvous"},
                                     "R": {"servers": ["x=h:3", "y=h:4", "z=h:5"]}}"#;

/// `route` over [`POOLS`].
pub(crate) fn tree(route: &str) -> Recording {
    Recording::of(&format!("{{{POOLS}, \"route\": {route}}}"))
}

mod stories {
    use super::{POOLS, Plan, Recording, tree};

    #[test]
    fn one_server_is_the_fast_way_through_any_number_of_handles() {
        let routes = tree(
            r#"{"type": "OperationSelectorRoute",
                "default_policy": {"type": "PrefixSelectorRoute",
                                   "policies": {"a": "PoolRoute|A", "ab": "PoolRoute|B", "n": "NullRoute"}},
                "operation_policies": {"delete": "ErrorRoute|no deletes", "set": "AllSyncRoute|PoolRoute|A"}}"#,
        );
        for (line, goes) in [
            ("get a~", "a"),
            ("get abc~", "b"),
            ("mg abc v~", "b"),
            ("mg YWJj b v~", "b"),
            ("incr ac 1~", "a"),
            ("get n~", "nothing"),
            (
                "get zzz~",
                "SERVER_ERROR no route for this key: no prefix fits and there is no wildcard",
            ),
            ("delete a~", "SERVER_ERROR no deletes"),
            ("md a~", "SERVER_ERROR no deletes"),
            ("set zzz 0 0 1~x~", "a"),
        ] {
            assert_eq!(routes.fast(line), goes, "{line}");
        }
    }

    #[test]
    fn a_failover_goes_on_after_failures_and_only_then() {
        let route = r#"{"type": "FailoverRoute", "children": ["PoolRoute|A", "PoolRoute|B"]}"#;
        assert_eq!(tree(route).fast("get k~"), "a?");
        assert_eq!(tree(route).fast("set k 0 0 1~x~"), "composite");
        for (line, says, story) in [
            ("get k~", [("a", "END~"), ("b", "END~")], "a: get k~\n=> END~"),
            (
                "get k~",
                [("a", "timeout"), ("b", "VALUE k 0 1~x~END~")],
                "a: get k~\nb: get k~\n=> VALUE k 0 1~x~END~",
            ),
            (
                "set k 0 0 1~x~",
                [("a", "SERVER_ERROR oops~"), ("b", "STORED~")],
                "a: set k 0 0 1~x~\nb: set k 0 0 1~x~\n=> STORED~",
            ),
            (
                "delete k~",
                [("a", "timeout"), ("b", "timeout")],
                "a: delete k~\nb: delete k~\n=> timeout",
            ),
        ] {
            let says = says.map(|(server, said)| (server, [said]));
            let says: Vec<(&str, &[&str])> = says
                .iter()
                .map(|(server, said)| (*server, said.as_slice()))
                .collect();
            assert_eq!(tree(route).play(line, &says), story);
        }
        let only_tko = r#"{"type": "FailoverRoute", "children": ["PoolRoute|A", "PoolRoute|B"],
                           "failover_errors": {"updates": ["tko"]}}"#;
        assert_eq!(
            tree(only_tko).play("set k 0 0 1~x~", &[("a", &["timeout"])]),
            "a: set k 0 0 1~x~\n=> timeout"
        );
    }

    #[test]
    fn all_sync_answers_the_worst_when_all_have_answered() {
        let route = r#""AllSyncRoute|Pool|AB""#;
        for (first, second, answer) in [
            ("TOUCHED~", "NOT_FOUND~", "NOT_FOUND~"),
            ("timeout", "TOUCHED~", "timeout"),
            ("NOT_FOUND~", "timeout", "timeout"),
            ("TOUCHED~", "TOUCHED~", "TOUCHED~"),
        ] {
            assert_eq!(
                tree(route).play("touch k 1~", &[("a", &[first]), ("b", &[second])]),
                format!("a: touch k 1~\nb: touch k 1~\n=> {answer}")
            );
        }
    }

    /// The servers of pool R in the order of key `k`: which one leads is the hash's business.
    fn order(tree: &Recording) -> Vec<String> {
        let mut found = Plan::default();
        let routing = crate::request::Routing {
            op: crate::request::Op::Get,
            key: b"k",
        };
        tree.root.destinations(routing, &mut found);
        let servers = found.servers().iter();
        servers.map(|destination| destination.name.clone()).collect()
    }

    #[test]
    fn replicas_are_kept_alike_whatever_the_leader_decides() {
        let tree = tree(r#""ReplicatedPoolRoute|R""#);
        let order = order(&tree);
        let [l, f, g] = [&order[0], &order[1], &order[2]].map(String::as_str);
        assert_eq!(tree.fast("get k~"), format!("{l}?"));
        let play =
            |line: &str, says: [&[&str]; 3]| tree.play(line, &[(l, says[0]), (f, says[1]), (g, says[2])]);

        assert_eq!(
            play("get k~", [&["timeout"], &["END~"], &["END~"]]),
            format!("{l}: get k~\n{f}: get k~\n=> END~")
        );
        assert_eq!(
            play("delete k~", [&["NOT_FOUND~"], &["DELETED~"], &["NOT_FOUND~"]]),
            format!("{l}: delete k~\n{f}: delete k~\n{g}: delete k~\n=> DELETED~")
        );
        assert_eq!(
            play("delete k~", [&["DELETED~"], &["timeout"], &["DELETED~"]]),
            format!("{l}: delete k~\n{f}: delete k~\n{g}: delete k~\n{f} is owed k\n=> DELETED~"),
            "a delete that one replica did not hear of is owed to it"
        );
        assert!(
            play("delete k~", [&["timeout"], &["timeout"], &["timeout"]]).ends_with("=> NOT_FOUND~"),
            "owed to all is done as far as anybody can see"
        );
        assert_eq!(
            play("set k 0 0 1~x~", [&["timeout"], &["timeout"], &["timeout"]]),
            format!(
                "{l}: set k 0 0 1~x~\n{f}: set k 0 0 1~x~\n{g}: set k 0 0 1~x~\n\
                 {l} is owed k\n{f} is owed k\n{g} is owed k\n=> timeout"
            ),
            "a set that may yet be carried out must not be found later"
        );
        assert_eq!(
            play("add k 0 0 1~x~", [&["timeout"], &["STORED~"], &["STORED~"]]),
            format!(
                "{l}: add k 0 0 1~x~\n{f}: add k 0 0 1~x~\n{g}: set k 0 0 1~x~\n{l} is owed k\n=> STORED~"
            ),
            "whoever failed to lead is owed what the next one did"
        );
        assert_eq!(
            play("md k C77~", [&["HD~"], &["DELETED~"], &["NOT_FOUND~"]]),
            format!("{l}: md k C77~\n{f}: delete k~\n{g}: delete k~\n=> HD~"),
            "a cas unique is the leader's alone"
        );
        assert_eq!(
            play("add k 0 0 1~x~", [&["NOT_STORED~"], &["STORED~"], &["STORED~"]]),
            format!("{l}: add k 0 0 1~x~\n=> NOT_STORED~"),
            "what the leader refuses nobody stores"
        );
        assert_eq!(
            play("cas k 1 2 1 77~x~", [&["STORED~"], &["STORED~"], &["STORED~"]]),
            format!("{l}: cas k 1 2 1 77~x~\n{f}: set k 1 2 1~x~\n{g}: set k 1 2 1~x~\n=> STORED~"),
            "what the leader stored all store"
        );
        assert_eq!(
            play("incr k 1~", [&["8~"], &["8~"], &["5~", "DELETED~"]]),
            format!("{l}: incr k 1~\n{f}: incr k 1~\n{g}: incr k 1~\n{g}: delete k~\n=> 8~"),
            "a replica that counts differently loses the key"
        );
        assert!(
            play("set k 0 0 1~x~", [&["STORED~"], &["timeout"], &["STORED~"]]).ends_with("=> STORED~"),
            "a set is done when a replica has it"
        );
        assert_eq!(
            play(
                "set k 0 0 1~x~",
                [
                    &["STORED~", "DELETED~"],
                    &["SERVER_ERROR object too large for cache~", "NOT_FOUND~"],
                    &["STORED~", "DELETED~"]
                ]
            ),
            format!(
                "{l}: set k 0 0 1~x~\n{f}: set k 0 0 1~x~\n{g}: set k 0 0 1~x~\n\
                 {l}: delete k~\n{f}: delete k~\n{g}: delete k~\n=> SERVER_ERROR object too large for cache~"
            ),
            "what one replica will not hold none keeps"
        );
    }

    #[test]
    fn a_routing_prefix_is_for_the_router_and_comes_back_to_the_client() {
        let tree = Recording::of(&format!(
            r#"{{{POOLS}, "routes": [{{"aliases": ["/././"], "route": "PoolRoute|A"}},
                                   {{"aliases": ["/b/b/"], "route": "PoolRoute|B"}}]}}"#
        ));
        assert_eq!(tree.fast("get k~"), "a");
        assert_eq!(
            tree.fast("get /x/y/k~"),
            "a",
            "no route has this prefix: it is part of the key"
        );
        assert_eq!(
            tree.play("get /b/b/k~", &[("b", &["VALUE k 0 1~x~END~"])]),
            "b: get k~\n=> VALUE /b/b/k 0 1~x~END~"
        );
        assert_eq!(
            tree.play("set /b/b/k 0 0 1~x~", &[("b", &["STORED~"])]),
            "b: set k 0 0 1~x~\n=> STORED~"
        );
    }
}
