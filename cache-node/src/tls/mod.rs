//! TLS at work: what new connections are greeted with, and how that is read again while the node runs.
//! Must not know tasks; the server wraps its sockets in what [`Tls::greeting`] gives.

mod ciphers;
mod farewell;
mod files;
mod sessions;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;
use protocol::UnixSeconds;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::SingleCertAndKey;

use crate::config::{ClientCerts, Listen, TlsConfig, TlsVersion, Transport};
pub(crate) use farewell::Farewell;
use sessions::Sessions;

/// Why certificates cannot be used; one line that names the file.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file cannot be read or holds nothing of the kind.
    #[error("{path}: {why}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The certificate and the key are not each other's.
    #[error("{chain} and {key} do not belong together")]
    Mismatch {
        /// The file of the certificate.
        chain: PathBuf,
        /// The file of the key.
        key: PathBuf,
    },
    /// `ssl_ciphers`.
    #[error("-o ssl_ciphers: {0}")]
    Ciphers(String),
    /// rustls refused what it was given.
    #[error("TLS cannot be set up: {0}")]
    Setup(String),
}

/// The TLS of one node.
pub(crate) struct Tls {
    config: TlsConfig,
    /// The kinds of listeners there are.
    kinds: Vec<ClientCerts>,
    greetings: RwLock<Greetings>,
    sessions: Option<Arc<Sessions>>,
    /// Second at which the files were last read.
    refreshed_at: AtomicU64,
}

/// What clients are greeted with, one for each kind of listener.
struct Greetings {
    configs: Vec<Arc<ServerConfig>>,
    /// When the certificate that they are shown ends, in seconds of Unix time.
    ends: Option<u64>,
}

impl Tls {
    /// Reads the files; `listen` says what kinds of clients are to be greeted.
    pub(crate) fn load(config: &TlsConfig, listen: &[Listen], now: UnixSeconds) -> Result<Self, TlsError> {
        let mut kinds: Vec<ClientCerts> = Vec::new();
        for listen in listen {
            if let Transport::Tls(kind) = listen.transport
                && !kinds.contains(&kind)
            {
                kinds.push(kind);
            }
        }
        let sessions = config.session_cache.then(|| Arc::new(Sessions::default()));
        let greetings = build(config, &kinds, sessions.as_ref())?;
        Ok(Self {
            config: config.clone(),
            kinds,
            greetings: RwLock::new(greetings),
            sessions,
            refreshed_at: AtomicU64::new(now.0),
        })
    }

    /// What a client of this kind is greeted with; `None` if no listener is of that kind.
    pub(crate) fn greeting(&self, kind: ClientCerts) -> Option<Arc<ServerConfig>> {
        let at = self.kinds.iter().position(|known| *known == kind)?;
        self.greetings.read().configs.get(at).cloned()
    }

    /// Reads the files again. New connections see the new ones, old connections keep theirs; if anything is wrong
    /// with them, nothing changes.
    pub(crate) fn refresh(&self, now: UnixSeconds) -> Result<(), TlsError> {
        let greetings = build(&self.config, &self.kinds, self.sessions.as_ref())?;
        *self.greetings.write() = greetings;
        self.refreshed_at.store(now.0, Ordering::Relaxed);
        Ok(())
    }

    /// When the certificate that clients are shown ends, in seconds of Unix time; `None` if it does not say.
    pub(crate) fn ends(&self) -> Option<u64> {
        self.greetings.read().ends
    }

    pub(crate) fn config(&self) -> &TlsConfig {
        &self.config
    }

    /// Seconds since the files were read.
    pub(crate) fn age(&self, now: UnixSeconds) -> u64 {
        now.0.saturating_sub(self.refreshed_at.load(Ordering::Relaxed))
    }

    /// Handshakes that may be resumed later, since the start; `None` without a session cache.
    pub(crate) fn new_sessions(&self) -> Option<u64> {
        self.sessions.as_ref().map(|sessions| sessions.made())
    }
}

fn build(
    config: &TlsConfig,
    kinds: &[ClientCerts],
    sessions: Option<&Arc<Sessions>>,
) -> Result<Greetings, TlsError> {
    let provider = Arc::new(ciphers::provider(config.ciphers.as_deref())?);
    let identity = files::identity(config, &provider)?;
    let ends = files::end_of(&identity.cert);
    let identity = Arc::new(SingleCertAndKey::from(identity));
    let configs: Result<Vec<_>, TlsError> = kinds
        .iter()
        .map(|kind| {
            let builder = versions(config.min_version, &provider)?;
            let builder = match kind {
                ClientCerts::Ignore => builder.with_no_client_auth(),
                ClientCerts::Request | ClientCerts::Require => {
                    let roots = Arc::new(files::roots(config)?);
                    let verifier = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider));
                    let verifier = if *kind == ClientCerts::Request {
                        verifier.allow_unauthenticated()
                    } else {
                        verifier
                    };
                    let verifier = verifier
                        .build()
                        .map_err(|error| TlsError::Setup(error.to_string()))?;
                    builder.with_client_cert_verifier(verifier)
                }
            };
            let mut greeting = builder.with_cert_resolver(Arc::clone(&identity) as _);
            match sessions {
                // Tickets of TLS 1.3 are kept in the same place, one per handshake.
                Some(sessions) => {
                    greeting.session_storage = Arc::clone(sessions) as _;
                    greeting.send_tls13_tickets = 1;
                }
                None => {
                    greeting.session_storage = Arc::new(NoServerSessionStorage {});
                    greeting.send_tls13_tickets = 0;
                }
            }
            Ok(Arc::new(greeting))
        })
        .collect();
    Ok(Greetings {
        configs: configs?,
        ends,
    })
}

type Builder = rustls::ConfigBuilder<ServerConfig, rustls::WantsVerifier>;

fn versions(oldest: TlsVersion, provider: &Arc<CryptoProvider>) -> Result<Builder, TlsError> {
    let versions: &[_] = match oldest {
        TlsVersion::V1_2 => &[&rustls::version::TLS13, &rustls::version::TLS12],
        TlsVersion::V1_3 => &[&rustls::version::TLS13],
    };
    ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(versions)
        .map_err(|error| TlsError::Setup(error.to_string()))
}
