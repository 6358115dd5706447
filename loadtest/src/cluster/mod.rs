//! The cluster under test: real processes, threads of this process, or somebody else's; changed through the router's
//! admin address or, without a router, by the client's own map. Nodes have names (`node1`, …) apart from their
//! addresses, so that which key lives where is the same in every run.

mod change;
pub mod http;
pub mod node_client;
pub mod process;
pub mod procfs;
pub mod proxy;
mod routing;
mod start;

use std::future::{Future, poll_fn};
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::task::Poll;

use cluster::{HashKind, Server, Topology, Weight};

use self::http::HttpError;
use self::process::{Process, ProcessError};
use self::proxy::Proxy;
use self::routing::WarmPool;
pub(crate) use self::routing::{FAILOVER_TRIES, read_configuration};
use crate::scenario::{ClusterMode, ClusterSpec};

/// Why the cluster could not be brought up or changed.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    #[error(transparent)]
    Process(#[from] ProcessError),
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error("node {node}: {source}")]
    Node { node: String, source: io::Error },
    #[error("{what} could not be started in this process: {why}")]
    Embedded { what: String, why: String },
    #[error("{address}: no such address")]
    Address { address: String },
    #[error("{action} needs {needs}")]
    Impossible {
        action: &'static str,
        needs: &'static str,
    },
    #[error("there is no node {0}")]
    NoNode(String),
    #[error("the folder for logs could not be made: {0}")]
    Logs(io::Error),
    #[error("the router's configuration {path}: {why}")]
    Configuration { path: String, why: String },
}

/// Where a node or router lives.
#[derive(Debug)]
enum Body {
    Process(Process),
    Node(cache_node::embedded::Handle),
    Router(router::embedded::Handle),
    Elsewhere,
    Gone,
}

/// One node, present or past: a node keeps its number for the whole run.
#[derive(Debug)]
pub struct Node {
    pub name: String,
    /// Its own address; see [`Node::front`] for where clients connect.
    pub address: SocketAddr,
    /// In the pool.
    pub member: bool,
    /// In the pool, relative to the others.
    pub weight: Weight,
    relay: Option<Proxy>,
    body: Body,
}

#[derive(Debug)]
struct Router {
    address: SocketAddr,
    admin: Option<SocketAddr>,
    body: Body,
}

/// The whole cluster.
#[derive(Debug)]
pub struct Cluster {
    spec: ClusterSpec,
    nodes: Vec<Node>,
    /// Nodes of the pool proper started so far: the next one's name.
    started: usize,
    /// Numbers of the spare nodes that stand by for dead ones.
    gutter: Vec<usize>,
    warm: Option<WarmPool>,
    /// None: clients hash for themselves. Each is before all nodes.
    routers: Vec<Router>,
    hash: HashKind,
    logs: PathBuf,
    needs: Needs,
}

/// What the events to come need of every node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Needs {
    /// A relay of ours before it, so that it can be cut off and slowed down.
    pub relay: bool,
    /// A folder for its memory, so that it can come back warm.
    pub memory_kept: bool,
}

/// What a node weighs unless it is being drained.
pub const WEIGHT: f64 = 1.0;

impl Node {
    fn new(name: String, address: SocketAddr, body: Body) -> Self {
        Self {
            name,
            address,
            member: false,
            weight: Weight::ONE,
            relay: None,
            body,
        }
    }

    /// Where clients connect: the relay before the node if there is one.
    #[must_use]
    pub fn front(&self) -> SocketAddr {
        self.relay.as_ref().map_or(self.address, |relay| relay.address)
    }

    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        match &self.body {
            Body::Process(process) => Some(process.pid),
            Body::Node(_) | Body::Router(_) | Body::Elsewhere | Body::Gone => None,
        }
    }

    /// Running, as far as we are its master.
    #[must_use]
    pub fn is_up(&self) -> bool {
        !matches!(self.body, Body::Gone)
    }
}

impl Cluster {
    /// Brings the cluster up. Logs of its processes go to `logs`.
    pub async fn start(spec: &ClusterSpec, logs: &Path, needs: Needs) -> Result<Self, ClusterError> {
        std::fs::create_dir_all(logs).map_err(ClusterError::Logs)?;
        let mut cluster = Self {
            spec: spec.clone(),
            nodes: Vec::new(),
            started: 0,
            gutter: Vec::new(),
            warm: None,
            routers: Vec::new(),
            hash: spec.hash,
            logs: logs.to_owned(),
            needs,
        };
        if let ClusterMode::Attach {
            router,
            router_admin,
            nodes,
        } = &spec.mode
        {
            for text in nodes {
                let (name, address) = text.split_once('=').unwrap_or((text, text));
                let address = resolve(address)?;
                let mut node = Node::new(name.to_owned(), address, Body::Elsewhere);
                node.member = true;
                cluster.nodes.push(node);
            }
            if let Some(router) = router {
                let admin = router_admin.as_deref().map(resolve).transpose()?;
                cluster.routers.push(Router {
                    address: resolve(router)?,
                    admin,
                    body: Body::Elsewhere,
                });
            }
            return Ok(cluster);
        }
        for _ in 0..spec.nodes {
            let number = cluster.start_node().await?;
            cluster.nodes[number].member = true;
        }
        for place in 0..spec.gutter() {
            let number = cluster.start_named(ClusterSpec::gutter_name(place)).await?;
            cluster.gutter.push(number);
        }
        if let Some(router) = &spec.router {
            cluster.start_routers(router).await?;
        }
        Ok(cluster)
    }

    // ---- looking ----

    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    #[must_use]
    pub fn hash(&self) -> HashKind {
        self.hash
    }

    /// Where clients connect, if through routers: to each its share of the connections.
    #[must_use]
    pub fn router_addresses(&self) -> Vec<SocketAddr> {
        self.routers.iter().map(|router| router.address).collect()
    }

    #[must_use]
    pub fn is_routed(&self) -> bool {
        !self.routers.is_empty()
    }

    /// Name and process of each router that is a process of ours.
    #[must_use]
    pub fn router_pids(&self) -> Vec<(String, u32)> {
        let pid = |(place, router): (usize, &Router)| match &router.body {
            Body::Process(process) => Some((router_name(place), process.pid)),
            Body::Node(_) | Body::Router(_) | Body::Elsewhere | Body::Gone => None,
        };
        self.routers.iter().enumerate().filter_map(pid).collect()
    }

    /// Whether its nodes are of our own making, so that events may end them.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        !matches!(self.spec.mode, ClusterMode::Attach { .. })
    }

    pub fn number_of(&self, name: &str) -> Result<usize, ClusterError> {
        let found = self.nodes.iter().position(|node| node.name == name);
        found.ok_or_else(|| ClusterError::NoNode(name.to_owned()))
    }

    /// Numbers of the nodes in the pool, in the list's order.
    #[must_use]
    pub fn members(&self) -> Vec<usize> {
        (0..self.nodes.len())
            .filter(|number| self.nodes[*number].member)
            .collect()
    }

    /// Numbers of the spare nodes that stand by for dead ones.
    #[must_use]
    pub fn gutter(&self) -> &[usize] {
        &self.gutter
    }

    /// The pool's topology with these members and this hash.
    #[must_use]
    pub fn topology(&self, members: &[usize], hash: HashKind) -> Topology {
        Topology::new(
            hash,
            members
                .iter()
                .map(|number| &self.nodes[*number])
                .map(|node| Server::weighted(node.name.as_str(), node.weight)),
        )
    }
}

/// `router`, `router2`, …: there is one as a rule.
fn router_name(place: usize) -> String {
    match place {
        0 => "router".to_owned(),
        _ => format!("router{}", place + 1),
    }
}

fn resolve(address: &str) -> Result<SocketAddr, ClusterError> {
    let found = address.to_socket_addrs().ok().and_then(|mut found| found.next());
    found.ok_or_else(|| ClusterError::Address {
        address: address.to_owned(),
    })
}

/// All of these at the same time, on this thread; the first failure in their order, once all have ended.
async fn together<E>(acts: impl Iterator<Item = impl Future<Output = Result<(), E>>>) -> Result<(), E> {
    let mut acts: Vec<_> = acts.map(|act| (Box::pin(act), None)).collect();
    poll_fn(|cx| {
        let mut all = true;
        for (act, result) in acts.iter_mut().filter(|(_, result)| result.is_none()) {
            match act.as_mut().poll(cx) {
                Poll::Ready(done) => *result = Some(done),
                Poll::Pending => all = false,
            }
        }
        if all { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    acts.into_iter().filter_map(|(_, result)| result).collect()
}
