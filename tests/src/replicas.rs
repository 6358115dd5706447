//! A replicated pool that several routers share, each link between a router and a replica under a proxy of its own.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::{
    client::Client,
    eventually,
    fault::{Fault, FaultProxy},
    process::{Process, Program},
    scrape,
};

/// How long a replica may take until it has been paid and is read again, on a machine that is busy with other tests.
pub const PAID_WITHIN: Duration = Duration::from_secs(60);

/// Flags of a router that is quick to give up and in no hurry to be told so.
const QUICK: &[&str] = &[
    "--server-timeout",
    "300ms",
    "--connect-timeout",
    "300ms",
    "-t",
    "2",
];

/// A replicated pool `n0 n1 …` and its routers.
#[derive(Debug)]
pub struct Replicas {
    pub routers: Vec<Option<Process>>,
    /// `links[router][replica]`.
    pub links: Vec<Vec<FaultProxy>>,
    pub nodes: Vec<Process>,
    addrs: Vec<SocketAddr>,
    spools: Vec<PathBuf>,
    more: Vec<String>,
    folder: TempDir,
}

impl Replicas {
    /// `nodes` cache nodes and `routers` routers with a spool each.
    #[track_caller]
    pub fn start(nodes: usize, routers: usize, more: &[&str]) -> Self {
        let folder = TempDir::new().expect("a scratch folder");
        let spools = (0..routers)
            .map(|router| folder.path().join(format!("spool-{router}")))
            .collect();
        Self::start_with(nodes, spools, more, folder)
    }

    /// The same, with spools where the test wants them.
    #[track_caller]
    pub fn start_with(nodes: usize, spools: Vec<PathBuf>, more: &[&str], folder: TempDir) -> Self {
        let nodes: Vec<Process> = (0..nodes)
            .map(|_| Process::start(Program::CacheNode, &["-m", "64", "-t", "1"]))
            .collect();
        let addrs: Vec<SocketAddr> = nodes.iter().map(Process::addr).collect();
        let links = spools
            .iter()
            .map(|_| addrs.iter().map(|addr| FaultProxy::start(*addr)).collect())
            .collect();
        let mut replicas = Self {
            routers: spools.iter().map(|_| None).collect(),
            links,
            nodes,
            addrs,
            spools,
            more: more.iter().map(|&arg| arg.to_owned()).collect(),
            folder,
        };
        for router in 0..replicas.routers.len() {
            replicas.start_router(router);
        }
        replicas
    }

    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    pub fn spool(&self, router: usize) -> &std::path::Path {
        &self.spools[router]
    }

    /// Starts a router that does not run, on its own spool.
    #[track_caller]
    pub fn start_router(&mut self, router: usize) {
        let list: Vec<String> = self.links[router]
            .iter()
            .enumerate()
            .map(|(replica, link)| format!("n{replica}={}", link.addr()))
            .collect();
        let (list, spool) = (list.join(","), self.spools[router].display().to_string());
        let mut args = vec!["--replicated", &list, "--spool", &spool];
        args.extend(QUICK);
        args.extend(self.more.iter().map(String::as_str));
        self.routers[router] = Some(Process::start(Program::Router, &args));
    }

    /// `SIGKILL`.
    pub fn kill_router(&mut self, router: usize) {
        if let Some(mut process) = self.routers[router].take() {
            process.kill();
        }
    }

    #[track_caller]
    pub fn router(&self, router: usize) -> &Process {
        self.routers[router].as_ref().expect("this router runs")
    }

    #[track_caller]
    pub fn client(&self, router: usize) -> Client {
        Client::connect(self.router(router).addr())
    }

    /// A client of one replica, past everything.
    #[track_caller]
    pub fn direct(&self, replica: usize) -> Client {
        Client::connect(self.addrs[replica])
    }

    pub fn freeze(&self, replica: usize) {
        self.nodes[replica].freeze();
    }

    pub fn thaw(&self, replica: usize) {
        self.nodes[replica].signal(Signal::CONT);
    }

    pub fn kill_node(&mut self, replica: usize) {
        self.nodes[replica].kill();
    }

    /// Starts a node where a killed one was; it is empty.
    #[track_caller]
    pub fn restart_node(&mut self, replica: usize) {
        let port = self.addrs[replica].port().to_string();
        let args = [
            "-p",
            &port,
            "-l",
            "127.0.0.1",
            "-m",
            "64",
            "-t",
            "1",
            "--admin",
            "127.0.0.1:0",
        ];
        self.nodes[replica] = eventually(Duration::from_secs(20), "the node starts on its old port", || {
            Process::try_start(Program::CacheNode, &args)
        });
    }

    pub fn fault(&self, router: usize, replica: usize, fault: Fault) {
        self.links[router][replica].set(fault);
    }

    /// A number of a router's /metrics, of one replica.
    #[track_caller]
    pub fn metric(&self, router: usize, name: &str, replica: usize) -> f64 {
        let label = format!("server=\"n{replica}\"");
        scrape::sum(&scrape::metrics(self.router(router).admin()), name, &[&label])
    }

    /// Waits until a router owes a replica nothing and reads it.
    #[track_caller]
    pub fn await_paid(&self, router: usize, replica: usize) {
        eventually(PAID_WITHIN, "the replica is paid and read again", || {
            let owed = self.metric(router, "router_debt_keys", replica);
            let readable = self.metric(router, "router_replica_readable", replica);
            if owed == 0.0 && readable == 1.0 {
                return Ok(());
            }
            Err(format!("owed {owed}, readable {readable}"))
        });
    }
}
