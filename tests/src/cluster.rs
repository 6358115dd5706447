//! Servers with, if wanted, a router in front of them: what a user's client points at.

use std::net::SocketAddr;

use crate::{
    client::Client,
    process::{Process, Program},
};

/// How the router uses its servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Each key on one server.
    Sharded,
    /// Each key on every server.
    Replicated,
}

impl Layout {
    fn flag(self) -> &'static str {
        match self {
            Self::Sharded => "--sharded",
            Self::Replicated => "--replicated",
        }
    }
}

/// Running servers and the router before them; all end when this is dropped.
#[derive(Debug)]
pub struct Cluster {
    // Dropped first: a router that outlives its servers would log about it.
    pub router: Option<Process>,
    pub servers: Vec<Process>,
}

impl Cluster {
    /// One server, spoken to directly.
    #[track_caller]
    pub fn single(program: Program, args: &[&str]) -> Self {
        Self {
            router: None,
            servers: vec![Process::start(program, args)],
        }
    }

    /// `count` servers behind a router.
    #[track_caller]
    pub fn routed(layout: Layout, program: Program, count: usize, router_args: &[&str]) -> Self {
        let servers: Vec<Process> = (0..count)
            .map(|_| Process::start(program, server_args(program)))
            .collect();
        let list = server_list(&servers);
        let args: Vec<&str> = [layout.flag(), &list]
            .into_iter()
            .chain(router_args.iter().copied())
            .collect();
        let router = Process::start(Program::Router, &args);
        Self {
            router: Some(router),
            servers,
        }
    }

    /// Where a client connects.
    pub fn addr(&self) -> SocketAddr {
        self.router
            .as_ref()
            .or(self.servers.first())
            .map(Process::addr)
            .expect("a cluster has a server")
    }

    #[track_caller]
    pub fn router(&self) -> &Process {
        self.router.as_ref().expect("this cluster has a router")
    }

    #[track_caller]
    pub fn client(&self) -> Client {
        Client::connect(self.addr())
    }

    /// A client of one server, past the router.
    #[track_caller]
    pub fn server_client(&self, index: usize) -> Client {
        Client::connect(self.servers.get(index).expect("a server with this index").addr())
    }

    /// Empties every server, past the router.
    #[track_caller]
    pub fn flush(&self) {
        for server in &self.servers {
            Client::connect(server.addr()).exchange("flush_all\r\n", "OK\r\n");
        }
    }
}

/// What a server of a test cluster is started with: one thread and little memory.
fn server_args(program: Program) -> &'static [&'static str] {
    match program {
        Program::CacheNode | Program::Memcached | Program::CurrentMemcached => &["-m", "64", "-t", "1"],
        Program::Router | Program::Loadtest => &[],
    }
}

/// `n0=127.0.0.1:1,n1=127.0.0.1:2,…`: names that outlive a restart on another port.
pub fn server_list(servers: &[Process]) -> String {
    let named = servers
        .iter()
        .enumerate()
        .map(|(index, server)| format!("n{index}={}", server.addr()));
    named.collect::<Vec<_>>().join(",")
}
