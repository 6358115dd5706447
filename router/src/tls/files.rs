//! Certificates and keys from their files, and what sessions are made with from these.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::TlsError;
use super::unverified::Unverified;
use crate::args::Options;

/// What the command line says of TLS.
#[derive(Debug, Clone, Default)]
pub(super) struct Asked {
    takes_clients: bool,
    cert: Option<PathBuf>,
    key: Option<PathBuf>,
    ca: Option<PathBuf>,
    client_ca: Option<PathBuf>,
}

impl Asked {
    pub(super) fn of(options: &Options) -> Self {
        Self {
            takes_clients: options.tls_port.is_some(),
            cert: options.tls_cert.clone(),
            key: options.tls_key.clone(),
            ca: options.tls_ca.clone(),
            client_ca: options.tls_client_ca.clone(),
        }
    }

    /// What the files hold now, to tell whether they have changed; `None` for one that cannot be read.
    pub(super) fn texts(&self) -> Vec<Option<Vec<u8>>> {
        [&self.cert, &self.key, &self.ca, &self.client_ca]
            .into_iter()
            .flatten()
            .map(|path| std::fs::read(path).ok())
            .collect()
    }
}

/// What sessions are made with.
#[derive(Default)]
pub(super) struct Made {
    /// Towards servers that have to prove who they are; none if nobody is named who could vouch for them.
    pub(super) verified: Option<TlsConnector>,
    /// Towards servers that do not have to.
    pub(super) unverified: Option<TlsConnector>,
    pub(super) acceptor: Option<TlsAcceptor>,
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

impl Made {
    pub(super) fn of(asked: &Asked) -> Result<Self, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let own = identity(asked)?;
        let mut made = Self::default();
        if let Some(ca) = &asked.ca {
            let config = towards_servers(&provider)?.with_root_certificates(roots(ca)?);
            made.verified = Some(connector(config, own.as_ref())?);
        }
        let anybody = Arc::new(Unverified::new(Arc::clone(&provider)));
        let config = towards_servers(&provider)?
            .dangerous()
            .with_custom_certificate_verifier(anybody);
        made.unverified = Some(connector(config, own.as_ref())?);
        if asked.takes_clients {
            let (chain, key) = own.ok_or(TlsError::NoIdentity)?;
            let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
                .with_safe_default_protocol_versions()?;
            let builder = match &asked.client_ca {
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

type Towards = rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>;
type Believing = rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert>;

fn towards_servers(provider: &Arc<CryptoProvider>) -> Result<Towards, TlsError> {
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

fn identity(asked: &Asked) -> Result<Option<Identity>, TlsError> {
    match (&asked.cert, &asked.key) {
        (None, None) => Ok(None),
        (Some(chain), Some(key)) => {
            let read = PrivateKeyDer::from_pem_file(key).map_err(|error| unusable(key, error))?;
            Ok(Some((certificates(chain)?, read)))
        }
        _ => Err(TlsError::HalfAnIdentity),
    }
}
