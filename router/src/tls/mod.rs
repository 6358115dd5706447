//! TLS on the way to servers and from clients: what proves who we are and whom we believe, read again while the router
//! runs. Verified by default: only `--tls-insecure-skip-verify`, or its namesake in a pool, talks to a server whose
//! certificate nobody vouches for.

mod files;
mod session;
mod unverified;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsStream;
use tracing::{error, info};

use crate::args::Options;
use crate::config::reload::Force;
use files::{Asked, Made};
pub(crate) use session::Session;

/// Why TLS cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    #[error("{path}: {why}")]
    File { path: PathBuf, why: String },
    #[error("{0}")]
    Rejected(#[from] rustls::Error),
    #[error("{0}")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
    #[error("--tls-port needs --tls-cert and --tls-key")]
    NoIdentity,
    #[error("--tls-cert and --tls-key go together")]
    HalfAnIdentity,
}

/// How a server is spoken to over TLS.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct ServerTls {
    /// The name its certificate has to bear; else the host it is configured by.
    pub name: Option<String>,
    pub verify: Verify,
}

/// What a server has to prove.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) enum Verify {
    /// Who it is.
    #[default]
    Identity,
    /// Nothing: somebody said so by name.
    Nothing,
}

/// The TLS of one router.
#[derive(Clone, Default)]
pub(crate) struct Tls(Arc<Inner>);

#[derive(Default)]
struct Inner {
    asked: Asked,
    made: ArcSwap<Made>,
    /// What the files held when they were last read.
    seen: Mutex<Vec<Option<Vec<u8>>>>,
    told: Told,
}

/// How reading the files again went.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub reloads: AtomicU64,
    pub failures: AtomicU64,
    /// Why the files as they are now are not in use, if they are not.
    pub last_error: Mutex<Option<String>>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("asked", &self.0.asked).finish()
    }
}

impl Tls {
    /// Reads certificates and keys.
    pub(crate) fn of(options: &Options) -> Result<Self, TlsError> {
        let asked = Asked::of(options);
        let seen = asked.texts();
        let made = Made::of(&asked)?;
        Ok(Self(Arc::new(Inner {
            asked,
            made: ArcSwap::from_pointee(made),
            seen: Mutex::new(seen),
            told: Told::default(),
        })))
    }

    /// Reads them again; without `force` only if they have changed. New connections see the new ones, old connections
    /// keep theirs; if anything is wrong with them, nothing changes.
    pub(crate) fn reread(&self, force: Force) {
        let Inner {
            asked,
            made,
            seen,
            told,
        } = &*self.0;
        let texts = asked.texts();
        if texts.is_empty() {
            return;
        }
        let mut seen = seen.lock();
        if force == Force::No && *seen == texts {
            return;
        }
        *seen = texts;
        match Made::of(asked) {
            Ok(fresh) => {
                made.store(Arc::new(fresh));
                told.reloads.fetch_add(1, Ordering::Relaxed);
                *told.last_error.lock() = None;
                info!("certificates read again");
            }
            Err(why) => {
                told.failures.fetch_add(1, Ordering::Relaxed);
                *told.last_error.lock() = Some(why.to_string());
                error!(%why, "bad certificates: the old ones stay in use");
            }
        }
    }

    /// How reading them again went.
    pub(crate) fn told(&self) -> &Told {
        &self.0.told
    }

    /// Whether somebody is named who vouches for servers.
    pub(crate) fn knows_whom_to_believe(&self) -> bool {
        self.0.made.load().verified.is_some()
    }

    /// A session with a server configured as `host`.
    pub(crate) async fn connect(
        &self,
        how: &ServerTls,
        host: &str,
        stream: TcpStream,
    ) -> io::Result<Session> {
        Ok(Session::open(self.stream(how, host, stream).await?))
    }

    /// The same, for whoever reads and writes without polling.
    pub(crate) async fn stream(
        &self,
        how: &ServerTls,
        host: &str,
        stream: TcpStream,
    ) -> io::Result<TlsStream<TcpStream>> {
        let made = self.0.made.load_full();
        let connector = match how.verify {
            Verify::Identity => made.verified.as_ref(),
            Verify::Nothing => made.unverified.as_ref(),
        };
        let connector = connector.ok_or_else(|| io::Error::other("TLS to servers needs --tls-ca"))?;
        let name = how.name.as_deref().unwrap_or(host);
        let name = name.trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(name).map_err(io::Error::other)?;
        Ok(TlsStream::Client(connector.connect(name, stream).await?))
    }

    /// A session with a client that has just come; its handshake is part of the first reads.
    pub(crate) fn accept(&self, stream: TcpStream) -> Option<Session> {
        let accept = self.0.made.load().acceptor.as_ref()?.accept(stream);
        Some(Session::accepting(accept))
    }
}
