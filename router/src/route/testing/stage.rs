//! Carrying a request out: every flow is polled and every leg answered, in turn, by what the servers are told to say.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use super::Recording;
use crate::flow::{Caller, Flow};
use crate::reply::{Kind, Reply};
use crate::request::{Expect, OwnedRequest};
use crate::route::Handle;
use crate::upstream::ReplyTo;
use crate::upstream::error::UpstreamError;
use crate::worker::arena::{Arena, Id};
use protocol::{Response, ResponseDecoder, ResponseStep};

/// A request being carried out.
pub(super) struct Stage<'t> {
    pub(super) tree: &'t Recording,
    pub(super) flows: Arena<Flow>,
    pub(super) says: &'t [(&'t str, &'t [&'t str])],
    pub(super) turns: HashMap<String, usize>,
    pub(super) told: Vec<String>,
}

impl Stage<'_> {
    /// The request itself goes to a `Probe`, everything else to its leg or to nobody.
    pub(super) fn begin(&mut self, route: &Handle, request: &Rc<OwnedRequest>, to: ReplyTo) {
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
    pub(super) fn turn(&mut self) -> bool {
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
