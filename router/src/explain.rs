//! `router --explain OPERATION KEY`: which handles a request comes by, which servers it may reach, and why; without asking
//! any of them.

use std::rc::Rc;

use crate::config::Config;
use crate::debt::{Debts, Terms};
use crate::flow::Wishes;
use crate::request::{Op, Routing};
use crate::route::{Builder, Plan};
use crate::worker::arena::Id;

/// The way of a request under `config`, for a person.
pub(crate) fn explain(config: &Config, op: &str, key: &str) -> Result<String, String> {
    let names = Op::ALL.map(Op::name);
    let op = Op::named(op).ok_or_else(|| crate::config::check::unknown("operation", op, &names))?;
    // Handles are made without connections: nobody is asked.
    let mut connect = |_: &_, _: usize| Id::nobody();
    let mut builder = Builder {
        connect: &mut connect,
        debts: Debts::in_memory(Terms {
            limit_bytes: 0,
            replay_rate: 1,
            settle: std::time::Duration::ZERO,
            lease: None,
        }),
        worker: Rc::new(Wishes::default()),
        named: ahash::AHashMap::new(),
    };
    let root = builder.once(&config.root);
    let mut plan = Plan::default();
    let key = key.as_bytes();
    root.destinations(Routing { op, key }, &mut plan);
    let mut told = plan.text().to_owned();
    let servers: Vec<&str> = plan.servers().iter().map(|server| server.name.as_str()).collect();
    told.push_str(&match servers.as_slice() {
        [] => "no server\n".to_owned(),
        [only] => format!("server: {only}\n"),
        several => format!("servers, first choice first: {}\n", several.join(", ")),
    });
    Ok(told)
}
