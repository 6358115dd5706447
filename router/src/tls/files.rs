//! Certificates and keys from their files, and what sessions are made with from these.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use x509_cert::Certificate;
use x509_cert::der::Decode as _;

use super::TlsError;
use super::unverified::Unverified;
use crate::args::Options;

/// The files by which servers are known and we to them; each is the command line's, or a pool's own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct ServerFiles {
    /// Who vouches for them.
    pub ca: Option<PathBuf>,
    /// Our certificate chain, shown to those that ask for one.
    pub cert: Option<PathBuf>,
    pub key: Option<PathBuf>,
}

impl ServerFiles {
    /// What the command line says.
    pub(super) fn of(options: &Options) -> Self {
        let own = |of_servers: &Option<PathBuf>, of_both: &Option<PathBuf>| {
            of_servers.as_ref().or(of_both.as_ref()).cloned()
        };
        Self {
            ca: options.tls_ca.clone(),
            cert: own(&options.tls_upstream_cert, &options.tls_cert),
            key: own(&options.tls_upstream_key, &options.tls_key),
        }
    }

    fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        [&self.ca, &self.cert, &self.key].into_iter().flatten()
    }
}

/// What the command line says of TLS with clients.
#[derive(Debug, Clone, Default)]
pub(super) struct ClientFiles {
    taken: bool,
    cert: Option<PathBuf>,
    key: Option<PathBuf>,
    ca: Option<PathBuf>,
}

impl ClientFiles {
    pub(super) fn of(options: &Options) -> Self {
        Self {
            taken: options.tls_port.is_some(),
            cert: options.tls_cert.clone(),
            key: options.tls_key.clone(),
            ca: options.tls_client_ca.clone(),
        }
    }
}

/// Towards servers.
#[derive(Clone)]
pub(super) struct Towards {
    /// That have to prove who they are; none if nobody is named who could vouch for them.
    pub(super) verified: Option<TlsConnector>,
    /// That do not have to.
    pub(super) unverified: TlsConnector,
    /// When the certificate that we show them ends.
    own_ends: Option<u64>,
}

impl Towards {
    pub(super) fn of(files: &ServerFiles) -> Result<Self, TlsError> {
        let provider = provider();
        let own = identity(files.cert.as_deref(), files.key.as_deref())?;
        let verified = match &files.ca {
            Some(ca) => {
                let config = client(&provider)?.with_root_certificates(roots(ca)?);
                Some(connector(config, own.as_ref())?)
            }
            None => None,
        };
        let anybody = Arc::new(Unverified::new(Arc::clone(&provider)));
        let config = client(&provider)?
            .dangerous()
            .with_custom_certificate_verifier(anybody);
        Ok(Self {
            verified,
            unverified: connector(config, own.as_ref())?,
            own_ends: own.as_ref().and_then(|(chain, _)| end_of(chain)),
        })
    }
}

/// What sessions are made with.
#[derive(Clone, Default)]
pub(super) struct Made {
    pub(super) towards: HashMap<ServerFiles, Towards>,
    pub(super) acceptor: Option<TlsAcceptor>,
    /// The certificate that clients are shown, and when it ends.
    shown: Option<(PathBuf, u64)>,
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

impl Made {
    /// For these clients and all these ways to servers.
    pub(super) fn of<'f>(
        clients: &ClientFiles,
        servers: impl IntoIterator<Item = &'f ServerFiles>,
    ) -> Result<Self, TlsError> {
        let towards = servers
            .into_iter()
            .map(|files| Ok((files.clone(), Towards::of(files)?)));
        let mut made = Self {
            towards: towards.collect::<Result<_, TlsError>>()?,
            acceptor: None,
            shown: None,
        };
        if clients.taken {
            let own = identity(clients.cert.as_deref(), clients.key.as_deref())?;
            let (chain, key) = own.ok_or(TlsError::NoIdentity)?;
            made.shown = clients.cert.clone().zip(end_of(&chain));
            let provider = provider();
            let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
                .with_safe_default_protocol_versions()?;
            let builder = match &clients.ca {
                None => builder.with_no_client_auth(),
                Some(ca) => builder.with_client_cert_verifier(
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots(ca)?), provider).build()?,
                ),
            };
            let config = builder.with_single_cert(chain, key)?;
            made.acceptor = Some(TlsAcceptor::from(Arc::new(config)));
        }
        Ok(made)
    }
}

impl Made {
    /// The certificates in use: to whom they are shown, their files, and when they end in seconds of Unix time.
    pub(super) fn ends(&self) -> BTreeSet<(&'static str, PathBuf, u64)> {
        let shown = self
            .shown
            .iter()
            .map(|(file, end)| ("clients", file.clone(), *end));
        let towards = self.towards.iter().filter_map(|(files, towards)| {
            let (file, end) = files.cert.as_ref().zip(towards.own_ends)?;
            Some(("servers", file.clone(), end))
        });
        shown.chain(towards).collect()
    }
}

/// What the files hold now, to tell whether they have changed; `None` for one that cannot be read.
pub(super) fn texts<'f>(
    clients: &'f ClientFiles,
    servers: impl IntoIterator<Item = &'f ServerFiles>,
) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let of_clients = [&clients.cert, &clients.key, &clients.ca].into_iter().flatten();
    let of_servers = servers.into_iter().flat_map(ServerFiles::paths);
    let all = of_clients.chain(of_servers).cloned();
    all.map(|path| {
        let text = std::fs::read(&path).ok();
        (path, text)
    })
    .collect()
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

type Unbelieving = rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>;
type Believing = rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert>;

fn client(provider: &Arc<CryptoProvider>) -> Result<Unbelieving, TlsError> {
    Ok(ClientConfig::builder_with_provider(Arc::clone(provider)).with_safe_default_protocol_versions()?)
}

/// Shows our certificate to servers that ask for one.
fn connector(config: Believing, own: Option<&Identity>) -> Result<TlsConnector, TlsError> {
    let config = match own {
        Some((chain, key)) => config.with_client_auth_cert(chain.clone(), key.clone_key())?,
        None => config.with_no_client_auth(),
    };
    Ok(TlsConnector::from(Arc::new(config)))
}

fn unusable(path: &Path, why: impl ToString) -> TlsError {
    TlsError::File {
        path: path.to_owned(),
        why: why.to_string(),
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Vec<_> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<_, _>>)
        .map_err(|error| unusable(path, error))?;
    if found.is_empty() {
        return Err(unusable(path, "holds no certificate"));
    }
    Ok(found)
}

fn roots(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|error| unusable(path, error))?;
    }
    Ok(roots)
}

/// When the first certificate of a chain ends, in seconds of Unix time; `None` if none says.
fn end_of(chain: &[CertificateDer<'_>]) -> Option<u64> {
    let ends = chain.iter().filter_map(|certificate| {
        let read = Certificate::from_der(certificate).ok()?;
        Some(
            read.tbs_certificate
                .validity
                .not_after
                .to_unix_duration()
                .as_secs(),
        )
    });
    ends.min()
}

fn identity(chain: Option<&Path>, key: Option<&Path>) -> Result<Option<Identity>, TlsError> {
    match (chain, key) {
        (None, None) => Ok(None),
        (Some(chain), Some(key)) => {
            let read = PrivateKeyDer::from_pem_file(key).map_err(|error| unusable(key, error))?;
            Ok(Some((certificates(chain)?, read)))
        }
        _ => Err(TlsError::HalfAnIdentity),
    }
}
