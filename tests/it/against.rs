//! Everything that a memcached client may find at the other end, and that must answer it alike.

use tests::{
    cluster::{Cluster, Layout},
    process::Program,
};

/// These clients flush, which a router refuses unless told otherwise.
const BROADCAST: &[&str] = &["--flush-all", "broadcast"];

/// What answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Against {
    CacheNode,
    DebianMemcached,
    CurrentMemcached,
    ShardedRouter,
    ReplicatedRouter,
    RouterOverMemcached,
    ReplicatedRouterOverMemcached,
}

impl Against {
    /// Says that this machine has it not. Only the current memcached may be missing where everything else is installed:
    /// no package holds it.
    #[track_caller]
    pub(crate) fn skip(self, what: &str, reason: &str) {
        let what = format!("{what} against {self:?}");
        match self {
            Self::CurrentMemcached => crate::say_skipped(&what, reason),
            _ => crate::skipped(&what, reason),
        }
    }

    /// Starts it, or says why this machine cannot.
    pub(crate) fn start(self) -> Result<Cluster, String> {
        let memory: &[&str] = &["-m", "64", "-t", "1"];
        let stock = match self {
            Self::DebianMemcached => Some(Program::Memcached),
            Self::CurrentMemcached => Some(Program::CurrentMemcached),
            Self::RouterOverMemcached | Self::ReplicatedRouterOverMemcached => Some(stock_memcached()?),
            Self::CacheNode | Self::ShardedRouter | Self::ReplicatedRouter => None,
        };
        if let Some(program) = stock {
            program.locate()?;
        }
        Ok(match self {
            Self::CacheNode => Cluster::single(Program::CacheNode, memory),
            Self::DebianMemcached => Cluster::single(Program::Memcached, memory),
            Self::CurrentMemcached => Cluster::single(Program::CurrentMemcached, memory),
            Self::ShardedRouter => Cluster::routed(Layout::Sharded, Program::CacheNode, 3, BROADCAST),
            Self::ReplicatedRouter => Cluster::routed(Layout::Replicated, Program::CacheNode, 2, BROADCAST),
            Self::RouterOverMemcached => Cluster::routed(Layout::Sharded, stock_memcached()?, 3, BROADCAST),
            Self::ReplicatedRouterOverMemcached => {
                Cluster::routed(Layout::Replicated, stock_memcached()?, 2, BROADCAST)
            }
        })
    }
}

/// The newest stock memcached there is.
pub(crate) fn stock_memcached() -> Result<Program, String> {
    let newest_first = [Program::CurrentMemcached, Program::Memcached];
    let found = newest_first.into_iter().find(|program| program.locate().is_ok());
    found.ok_or_else(|| "no memcached on PATH".into())
}
