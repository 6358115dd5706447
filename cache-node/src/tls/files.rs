//! Certificates and keys from their files.

use std::path::Path;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys, RootCertStore};
use x509_cert::Certificate;
use x509_cert::der::Decode as _;

use super::TlsError;
use crate::config::{KeyFormat, TlsConfig};

/// What we show clients to prove who we are.
pub(super) fn identity(config: &TlsConfig, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
    let chain = certificates(&config.chain)?;
    let key_file = config.key.as_deref().unwrap_or(&config.chain);
    let key = match config.key_format {
        KeyFormat::Pem => PrivateKeyDer::from_pem_file(key_file)
            .map_err(|error| unusable(key_file, format!("no private key: {error}")))?,
        KeyFormat::Der => {
            let bytes = std::fs::read(key_file).map_err(|error| unusable(key_file, error.to_string()))?;
            PrivateKeyDer::try_from(bytes)
                .map_err(|why| unusable(key_file, format!("no private key: {why}")))?
        }
    };
    let key = provider
        .key_provider
        .load_private_key(key)
        .map_err(|error| unusable(key_file, error.to_string()))?;
    let identity = CertifiedKey::new(chain, key);
    // A certificate may be of a kind that only clients can judge; a pair that does not match is nobody's.
    match identity.keys_match() {
        Err(Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => Err(TlsError::Mismatch {
            chain: config.chain.clone(),
            key: key_file.to_owned(),
        }),
        _matching_or_unknown => Ok(identity),
    }
}

/// Who vouches for clients.
pub(super) fn roots(config: &TlsConfig) -> Result<RootCertStore, TlsError> {
    let (file, certificates) = match &config.client_ca {
        Some(file) => (file, certificates(file)?),
        // Nobody named: whoever stands behind us stands behind our clients.
        None => (
            &config.chain,
            certificates(&config.chain)?.pop().into_iter().collect(),
        ),
    };
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        roots
            .add(certificate)
            .map_err(|error| unusable(file, format!("not fit to vouch for clients: {error}")))?;
    }
    Ok(roots)
}

/// When the first certificate of a chain ends, in seconds of Unix time; `None` if none says.
pub(super) fn end_of(chain: &[CertificateDer<'_>]) -> Option<u64> {
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

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| unusable(file, error.to_string()))?;
    if certificates.is_empty() {
        return Err(unusable(file, "holds no certificate".to_owned()));
    }
    Ok(certificates)
}

fn unusable(path: &Path, why: String) -> TlsError {
    TlsError::File {
        path: path.to_owned(),
        why,
    }
}
