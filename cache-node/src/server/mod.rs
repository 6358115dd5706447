//! A node at work: sockets bound on one thread, a worker thread per core, and a control loop beside them
//! (admin, background work of the store, idle clients, stopping).

mod bind;
mod control;
mod worker;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

pub(crate) use bind::{OTHER_FILES, bind};
pub(crate) use control::serve;

use crate::config::{Transport, UnixSocket};
use crate::node::{Node, NodeError};

/// Why a node did not start; one line that names the address or limit.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be listened on.
    #[error("cannot listen on {what}: {source}")]
    Listen {
        /// The address or path.
        what: String,
        /// Why not.
        source: io::Error,
    },
    /// There is something else where the unix socket should be.
    #[error("cannot listen on {path}: a file that is no socket is already there")]
    NotASocket {
        /// The path.
        path: PathBuf,
    },
    /// The node cannot be made of what it was told.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The operating system refused something else.
    #[error("cannot {what}: {source}")]
    System {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
}

impl StartError {
    fn listen(what: impl ToString, source: io::Error) -> Self {
        Self::Listen {
            what: what.to_string(),
            source,
        }
    }

    pub(crate) fn system(what: impl ToString, source: io::Error) -> Self {
        Self::System {
            what: what.to_string(),
            source,
        }
    }
}

/// Sockets bound and listening, threads not yet started.
pub(crate) struct Bound {
    pub(crate) node: Arc<Node>,
    /// The TCP addresses with the ports they got.
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) admin_address: Option<SocketAddr>,
    /// One set of listeners per worker.
    tcp: Vec<Vec<TcpDoor>>,
    unix: Option<(std::os::unix::net::UnixListener, UnixSocket)>,
    admin: Option<std::net::TcpListener>,
}

/// A listener and how clients talk there.
struct TcpDoor {
    listener: std::net::TcpListener,
    transport: Transport,
}

/// How far a node has come on its way to the end; only ever moves on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Serving,
    /// No new clients; those here are answered what they asked.
    Draining,
    /// Whoever is left is cut off.
    Cutting,
}
