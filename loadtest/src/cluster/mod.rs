//! The cluster under test: real processes, threads of this process, or somebody else's; changed through the router's
//! admin address or, without a router, by the client's own map. Nodes have names (`node1`, …) apart from their
//! addresses, so that which key lives where is the same in every run.

pub mod http;
pub mod node_client;
pub mod process;
pub mod procfs;

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};

use cluster::{HashKind, Server, Topology};

use self::http::HttpError;
use self::node_client::NodeClient;
use self::process::{Process, ProcessError, Program};
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
    pub address: SocketAddr,
    /// In the pool.
    pub member: bool,
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
    router: Option<Router>,
    hash: HashKind,
    logs: PathBuf,
}

impl Node {
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
    pub async fn start(spec: &ClusterSpec, logs: &Path) -> Result<Self, ClusterError> {
        std::fs::create_dir_all(logs).map_err(ClusterError::Logs)?;
        let mut cluster = Self {
            spec: spec.clone(),
            nodes: Vec::new(),
            router: None,
            hash: spec.hash,
            logs: logs.to_owned(),
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
                cluster.nodes.push(Node {
                    name: name.to_owned(),
                    address,
                    member: true,
                    body: Body::Elsewhere,
                });
            }
            if let Some(router) = router {
                let admin = router_admin.as_deref().map(resolve).transpose()?;
                cluster.router = Some(Router {
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
        if spec.router.is_some() {
            cluster.start_router().await?;
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

    /// Where clients connect, if through a router.
    #[must_use]
    pub fn router_address(&self) -> Option<SocketAddr> {
        self.router.as_ref().map(|router| router.address)
    }

    #[must_use]
    pub fn router_pid(&self) -> Option<u32> {
        match &self.router.as_ref()?.body {
            Body::Process(process) => Some(process.pid),
            Body::Node(_) | Body::Router(_) | Body::Elsewhere | Body::Gone => None,
        }
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

    /// The pool's topology with these members and this hash.
    #[must_use]
    pub fn topology(&self, members: &[usize], hash: HashKind) -> Topology {
        Topology::new(
            hash,
            members
                .iter()
                .map(|number| Server::new(self.nodes[*number].name.as_str())),
        )
    }

    // ---- changing ----

    /// Starts one more node, outside the pool; its number.
    pub async fn start_node(&mut self) -> Result<usize, ClusterError> {
        let number = self.nodes.len();
        let name = ClusterSpec::node_name(number);
        let (address, body) = self.bring_up(&name, None).await?;
        self.nodes.push(Node {
            name,
            address,
            member: false,
            body,
        });
        Ok(number)
    }

    /// Starts a node that ended again, empty, at its old address.
    pub async fn start_again(&mut self, number: usize) -> Result<(), ClusterError> {
        let (name, address) = (self.nodes[number].name.clone(), self.nodes[number].address);
        let (_, body) = self.bring_up(&name, Some(address)).await?;
        self.nodes[number].body = body;
        Ok(())
    }

    /// Drains and ends a node.
    pub async fn stop_node(&mut self, number: usize) {
        end(std::mem::replace(&mut self.nodes[number].body, Body::Gone), false).await;
    }

    /// Ends a node without warning.
    pub async fn kill_node(&mut self, number: usize) {
        end(std::mem::replace(&mut self.nodes[number].body, Body::Gone), true).await;
    }

    /// `flush_all` on these nodes, all at the same time.
    pub async fn flush(&self, numbers: &[usize]) -> Result<(), ClusterError> {
        let mut flushes = tokio::task::JoinSet::new();
        for number in numbers {
            let (name, address) = (self.nodes[*number].name.clone(), self.nodes[*number].address);
            flushes.spawn(async move {
                let flush = async { NodeClient::connect(address).await?.flush_all().await };
                flush
                    .await
                    .map_err(|source| ClusterError::Node { node: name, source })
            });
        }
        while let Some(flushed) = flushes.join_next().await {
            flushed.map_err(|source| ClusterError::Node {
                node: "?".into(),
                source: source.into(),
            })??;
        }
        Ok(())
    }

    /// Makes these nodes, in this order, the pool, under `hash`. Returns once the router routes by it.
    pub async fn set_pool(&mut self, members: &[usize], hash: HashKind) -> Result<(), ClusterError> {
        if let Some(router) = &self.router {
            let Some(admin) = router.admin else {
                return Err(ClusterError::Impossible {
                    action: "a change of the pool",
                    needs: "the router's admin address",
                });
            };
            let servers: Vec<_> = members
                .iter()
                .map(|number| {
                    let node = &self.nodes[*number];
                    serde_json::json!({"name": node.name, "address": node.address.to_string(), "weight": 1})
                })
                .collect();
            let body = serde_json::json!({"pool": "main", "hash": hash.to_string(), "servers": servers});
            http::request("POST", admin, "/topology", &body.to_string()).await?;
        }
        self.hash = hash;
        for (number, node) in self.nodes.iter_mut().enumerate() {
            node.member = members.contains(&number);
        }
        Ok(())
    }

    /// Ends everything we started, the router first.
    pub async fn shutdown(mut self) {
        if let Some(router) = self.router.take() {
            end(router.body, false).await;
        }
        let mut endings = tokio::task::JoinSet::new();
        for node in self.nodes.drain(..) {
            endings.spawn(end(node.body, false));
        }
        while endings.join_next().await.is_some() {}
    }

    async fn bring_up(
        &self,
        name: &str,
        again: Option<SocketAddr>,
    ) -> Result<(SocketAddr, Body), ClusterError> {
        let node = &self.spec.node;
        let listen = again.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 0)));
        if self.spec.mode == ClusterMode::Embedded {
            let config = cache_node::embedded::Config {
                listen: vec![listen],
                threads: node.threads,
                memory_limit_bytes: node.memory_bytes,
                ..cache_node::embedded::Config::embedded()
            };
            let handle = cache_node::embedded::start(config).map_err(|error| ClusterError::Embedded {
                what: name.to_owned(),
                why: error.to_string(),
            })?;
            return Ok((handle.addr(), Body::Node(handle)));
        }
        let (program, port) = match &node.program {
            Some(path) => {
                let port = match again {
                    Some(address) => address.port(),
                    None => process::free_port().map_err(|source| ClusterError::Node {
                        node: name.to_owned(),
                        source,
                    })?,
                };
                (Program::Memcached(path.clone()), port)
            }
            None => (Program::Own("cache-node"), listen.port()),
        };
        let mut args: Vec<String> = ["-l", "127.0.0.1", "-p", &port.to_string(), "-U", "0"]
            .map(str::to_owned)
            .into();
        let mebibytes = node.memory_bytes.div_ceil(1 << 20).max(1);
        args.extend(["-m", &mebibytes.to_string(), "-t", &node.threads.to_string()].map(str::to_owned));
        if matches!(program, Program::Memcached(_)) && rustix::process::getuid().is_root() {
            // memcached refuses to be root without being told whom to become.
            args.extend(["-u", "nobody"].map(str::to_owned));
        }
        args.extend(node.args.iter().cloned());
        let process = Process::start(&program, &args, &self.logs.join(format!("{name}.log"))).await?;
        Ok((process.address, Body::Process(process)))
    }

    async fn start_router(&mut self) -> Result<(), ClusterError> {
        let Some(spec) = &self.spec.router else {
            return Ok(());
        };
        let servers: Vec<String> = self
            .nodes
            .iter()
            .map(|node| format!("{}={}", node.name, node.address))
            .collect();
        let mut args: Vec<String> = ["-l", "127.0.0.1", "-p", "0", "--admin", "127.0.0.1:0"]
            .map(str::to_owned)
            .into();
        args.extend([
            "-t".to_owned(),
            spec.threads.to_string(),
            "--sharded".to_owned(),
            servers.join(","),
        ]);
        args.extend(["--hash".to_owned(), self.hash.to_string()]);
        args.extend(spec.args.iter().cloned());
        self.router = Some(if self.spec.mode == ClusterMode::Embedded {
            let embedded = |why: String| ClusterError::Embedded {
                what: "router".into(),
                why,
            };
            args.insert(0, "router".to_owned());
            let options = router::Options::read(args).map_err(|error| embedded(error.to_string()))?;
            let handle = router::embedded::start(options).map_err(|error| embedded(format!("{error:#}")))?;
            Router {
                address: handle.addr(),
                admin: handle.admin_addr(),
                body: Body::Router(handle),
            }
        } else {
            let process =
                Process::start(&Program::Own("router"), &args, &self.logs.join("router.log")).await?;
            Router {
                address: process.address,
                admin: process.admin,
                body: Body::Process(process),
            }
        });
        Ok(())
    }
}

async fn end(body: Body, at_once: bool) {
    match body {
        Body::Process(process) if at_once => process.kill().await,
        Body::Process(process) => process.stop().await,
        // Both wait for threads: not on the runtime's own.
        Body::Node(handle) => drop(tokio::task::spawn_blocking(|| handle.shutdown()).await),
        Body::Router(handle) => drop(tokio::task::spawn_blocking(|| handle.shutdown()).await),
        Body::Elsewhere | Body::Gone => {}
    }
}

fn resolve(address: &str) -> Result<SocketAddr, ClusterError> {
    let found = address.to_socket_addrs().ok().and_then(|mut found| found.next());
    found.ok_or_else(|| ClusterError::Address {
        address: address.to_owned(),
    })
}
