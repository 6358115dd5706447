//! TLS on the way to servers and from clients: what proves who we are and whom we believe, read again while the router
//! runs. Verified by default: only `--tls-insecure-skip-verify`, or its namesake in a pool, talks to a server whose
//! certificate nobody vouches for.

mod files;
mod session;
mod unverified;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsStream;
use tracing::{error, info, warn};

use crate::args::Options;
use crate::config::reload::Force;
pub(crate) use files::ServerFiles;
use files::{ClientFiles, Made, Towards, texts};
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
    #[error("a certificate and its key go together")]
    HalfAnIdentity,
}

/// How a server is spoken to over TLS.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct ServerTls {
    /// The name its certificate has to bear; else the host it is configured by.
    pub name: Option<String>,
    pub verify: Verify,
    pub files: ServerFiles,
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
    clients: ClientFiles,
    /// What the command line says of servers.
    servers: ServerFiles,
    made: ArcSwap<Made>,
    /// What the files held when they were last read; held while what is made of them changes.
    seen: Mutex<Texts>,
    told: Told,
    handshakes: Arc<Handshakes>,
}

/// What files hold; nothing for one that cannot be read.
type Texts = BTreeMap<PathBuf, Option<Vec<u8>>>;

/// How reading the files again went.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub reloads: AtomicU64,
    pub failures: AtomicU64,
    /// Why the files as they are now are not in use, if they are not.
    pub last_error: Mutex<Option<String>>,
}

/// How hands were shaken so far.
#[derive(Debug, Default)]
pub(crate) struct Handshakes {
    pub clients: Count,
    pub servers: Count,
    /// Why the last one with a server failed, if no other has succeeded since, and which server it was.
    pub last_error: Mutex<Option<(String, String)>>,
}

/// Handshakes that were made, and those that were not.
#[derive(Debug, Default)]
pub(crate) struct Count {
    pub made: AtomicU64,
    pub failed: AtomicU64,
}

impl Count {
    fn of<T, E>(&self, outcome: &Result<T, E>) {
        let counter = if outcome.is_ok() { &self.made } else { &self.failed };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("servers", &self.0.servers).finish()
    }
}

impl Tls {
    /// Reads certificates and keys.
    pub(crate) fn of(options: &Options) -> Result<Self, TlsError> {
        let (clients, servers) = (ClientFiles::of(options), ServerFiles::of(options));
        let seen = texts(&clients, [&servers]);
        let made = Made::of(&clients, [&servers])?;
        Ok(Self(Arc::new(Inner {
            clients,
            servers,
            made: ArcSwap::from_pointee(made),
            seen: Mutex::new(seen),
            ..Inner::default()
        })))
    }

    /// What the command line says of servers.
    pub(crate) fn server_files(&self) -> ServerFiles {
        self.0.servers.clone()
    }

    /// Makes ready for servers that are known, and we to them, by `files`.
    pub(crate) fn prepare(&self, files: &ServerFiles) -> Result<(), TlsError> {
        let inner = &*self.0;
        let mut seen = inner.seen.lock();
        let made = inner.made.load();
        if made.towards.contains_key(files) {
            return Ok(());
        }
        // Before what is made of them: a change in between is seen as one.
        let fresh = texts(&ClientFiles::default(), [files]);
        let mut more = Made::clone(&made);
        more.towards.insert(files.clone(), Towards::of(files)?);
        for (path, text) in fresh {
            seen.entry(path).or_insert(text);
        }
        inner.made.store(Arc::new(more));
        Ok(())
    }

    /// Lets go of what no server in `used` needs any more.
    pub(crate) fn keep<'f>(&self, used: impl IntoIterator<Item = &'f ServerFiles>) {
        let inner = &*self.0;
        let used: HashSet<&ServerFiles> = used.into_iter().collect();
        let mut seen = inner.seen.lock();
        let mut made = Made::clone(&inner.made.load());
        let before = made.towards.len();
        made.towards
            .retain(|files, _| *files == inner.servers || used.contains(files));
        if made.towards.len() < before {
            let needed = texts(&inner.clients, made.towards.keys());
            seen.retain(|path, _| needed.contains_key(path));
            inner.made.store(Arc::new(made));
        }
    }

    /// Reads them again; without `force` only if they have changed. New connections see the new ones, old connections
    /// keep theirs; if anything is wrong with them, nothing changes and the reason is told.
    pub(crate) fn reread(&self, force: Force) -> Result<(), String> {
        let inner = &*self.0;
        let told = &inner.told;
        let mut seen = inner.seen.lock();
        let known: Vec<ServerFiles> = inner.made.load().towards.keys().cloned().collect();
        let texts = texts(&inner.clients, &known);
        if texts.is_empty() || (force == Force::No && *seen == texts) {
            return Ok(());
        }
        *seen = texts;
        match Made::of(&inner.clients, &known) {
            Ok(fresh) => {
                inner.made.store(Arc::new(fresh));
                told.reloads.fetch_add(1, Ordering::Relaxed);
                *told.last_error.lock() = None;
                info!("certificates read again");
                Ok(())
            }
            Err(why) => {
                told.failures.fetch_add(1, Ordering::Relaxed);
                *told.last_error.lock() = Some(why.to_string());
                error!(%why, "bad certificates: the old ones stay in use");
                Err(why.to_string())
            }
        }
    }

    /// The certificates in use: to whom they are shown, their files, and when they end in seconds of Unix time.
    pub(crate) fn ends(&self) -> BTreeSet<(&'static str, PathBuf, u64)> {
        self.0.made.load().ends()
    }

    /// How reading them again went.
    pub(crate) fn told(&self) -> &Told {
        &self.0.told
    }

    /// How hands were shaken.
    pub(crate) fn handshakes(&self) -> &Handshakes {
        &self.0.handshakes
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
        let handshakes = &self.0.handshakes;
        let shaken = self.shake(how, host, stream).await;
        handshakes.servers.of(&shaken);
        let why = shaken
            .as_ref()
            .err()
            .map(|error| (host.to_owned(), error.to_string()));
        let mut last = handshakes.last_error.lock();
        if why.is_some() && *last != why {
            warn!(server = host, why = ?shaken.as_ref().err(), "no TLS with this server");
        }
        *last = why;
        shaken.map(TlsStream::Client)
    }

    async fn shake(
        &self,
        how: &ServerTls,
        host: &str,
        stream: TcpStream,
    ) -> io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
        let made = self.0.made.load_full();
        let towards = made.towards.get(&how.files);
        let connector = match how.verify {
            Verify::Identity => towards.and_then(|towards| towards.verified.as_ref()),
            Verify::Nothing => towards.map(|towards| &towards.unverified),
        };
        let connector = connector.ok_or_else(|| io::Error::other("TLS to servers needs --tls-ca"))?;
        let name = how.name.as_deref().unwrap_or(host);
        let name = name.trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(name).map_err(io::Error::other)?;
        connector.connect(name, stream).await
    }

    /// A session with a client that has just come; its handshake is part of the first reads.
    pub(crate) fn accept(&self, stream: TcpStream) -> Option<Session> {
        let accept = self.0.made.load().acceptor.as_ref()?.accept(stream);
        Some(Session::accepting(accept, Arc::clone(&self.0.handshakes)))
    }
}
