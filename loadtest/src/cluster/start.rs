//! Brings nodes and the router up, as processes or as threads of this one.

use std::net::SocketAddr;
use std::path::PathBuf;

use cache_node::embedded::{Jitter, JitterMode};

use super::process::{self, Process, Program};
use super::{Body, Cluster, ClusterError, Router, router_name};
use crate::scenario::{ClusterMode, RouterSpec};

impl Cluster {
    pub(super) async fn bring_up(
        &self,
        name: &str,
        again: Option<SocketAddr>,
    ) -> Result<(SocketAddr, Body), ClusterError> {
        let node = &self.spec.node;
        let listen = again.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 0)));
        if self.spec.mode == ClusterMode::Embedded {
            let mut config = cache_node::embedded::Config {
                listen: vec![listen.into()],
                threads: node.threads,
                memory_limit_bytes: node.memory_bytes,
                ..cache_node::embedded::Config::embedded()
            };
            if let Some(jitter) = node.ttl_jitter {
                config.ttl_jitter = Jitter {
                    permille: permille(jitter),
                    mode: JitterMode::Symmetric,
                };
            }
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
        if self.needs.memory_kept {
            args.extend([
                "--persist".to_owned(),
                self.memory_folder(name).display().to_string(),
            ]);
        }
        if let Some(jitter) = node.ttl_jitter {
            let permille = permille(jitter);
            args.extend([
                "--ttl-jitter".to_owned(),
                format!("{}.{}%", permille / 10, permille % 10),
            ]);
        }
        args.extend(node.args.iter().cloned());
        let process = Process::start(&program, &args, &self.logs.join(format!("{name}.log"))).await?;
        Ok((process.address, Body::Process(process)))
    }

    /// Where a node keeps its memory between a stop and the next start.
    pub(super) fn memory_folder(&self, node: &str) -> PathBuf {
        self.logs.join(format!("{node}.memory"))
    }

    pub(super) async fn start_routers(&mut self, spec: &RouterSpec) -> Result<(), ClusterError> {
        self.write_configuration()?;
        for place in 0..spec.processes {
            let router = self.start_router(&router_name(place), spec).await?;
            self.routers.push(router);
        }
        Ok(())
    }

    async fn start_router(&self, name: &str, spec: &RouterSpec) -> Result<Router, ClusterError> {
        let mut args: Vec<String> = ["-l", "127.0.0.1", "-p", "0", "--admin", "127.0.0.1:0"]
            .map(str::to_owned)
            .into();
        args.extend(["-t".to_owned(), spec.threads.to_string()]);
        args.extend(["-c".to_owned(), self.configuration_file().display().to_string()]);
        args.extend(spec.args.iter().cloned());
        if self.spec.mode != ClusterMode::Embedded {
            let log = self.logs.join(format!("{name}.log"));
            let process = Process::start(&Program::Own("router"), &args, &log).await?;
            return Ok(Router {
                address: process.address,
                admin: process.admin,
                body: Body::Process(process),
            });
        }
        let embedded = |why: String| ClusterError::Embedded {
            what: name.to_owned(),
            why,
        };
        args.insert(0, "router".to_owned());
        let options = router::Options::read(args).map_err(|error| embedded(error.to_string()))?;
        let handle = router::embedded::start(options).map_err(|error| embedded(format!("{error:#}")))?;
        Ok(Router {
            address: handle.addr(),
            admin: handle.admin_addr(),
            body: Body::Router(handle),
        })
    }
}

pub(super) async fn end(body: Body, at_once: bool) {
    match body {
        Body::Process(process) if at_once => process.kill().await,
        Body::Process(process) => process.stop().await,
        // Both wait for threads: not on the runtime's own.
        Body::Node(handle) => drop(tokio::task::spawn_blocking(|| handle.shutdown()).await),
        Body::Router(handle) => drop(tokio::task::spawn_blocking(|| handle.shutdown()).await),
        Body::Elsewhere | Body::Gone => {}
    }
}

/// A share (at most 1) in thousandths.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "from 0 to 1000"
)]
fn permille(share: f64) -> u32 {
    (share * 1000.0).round() as u32
}
