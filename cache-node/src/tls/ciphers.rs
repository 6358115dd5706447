//! Cipher suites by the names that memcached's users know (`ssl_ciphers`).

use rustls::SupportedCipherSuite;
use rustls::crypto::{CryptoProvider, ring};

use super::TlsError;

/// Everything we have, or of TLS 1.2 only the suites named in `wanted`; those of TLS 1.3 are all good, and OpenSSL's
/// cipher lists do not speak of them.
pub(super) fn provider(wanted: Option<&str>) -> Result<CryptoProvider, TlsError> {
    let mut provider = ring::default_provider();
    let Some(wanted) = wanted else {
        return Ok(provider);
    };
    let mut names: Vec<String> = Vec::new();
    for name in wanted.split([':', ',', ' ']).filter(|name| !name.is_empty()) {
        if !provider.cipher_suites.iter().any(|suite| goes_by(*suite, name)) {
            let known = provider
                .cipher_suites
                .iter()
                .filter(|suite| suite.tls13().is_none());
            let known: Vec<_> = known.map(|suite| openssl_name(*suite)).collect();
            return Err(TlsError::Ciphers(format!(
                "no suite `{name}`; there are {}",
                known.join(":")
            )));
        }
        names.push(name.to_owned());
    }
    provider
        .cipher_suites
        .retain(|suite| suite.tls13().is_some() || names.iter().any(|name| goes_by(*suite, name)));
    Ok(provider)
}

fn goes_by(suite: SupportedCipherSuite, name: &str) -> bool {
    suite.suite().as_str() == Some(name) || openssl_name(suite) == name
}

/// `TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256` is OpenSSL's `ECDHE-RSA-AES128-GCM-SHA256`.
fn openssl_name(suite: SupportedCipherSuite) -> String {
    let name = suite.suite().as_str().unwrap_or_default();
    let name = name.strip_prefix("TLS_").unwrap_or(name);
    let name = name
        .replace("_WITH_", "_")
        .replace("AES_", "AES")
        .replace('_', "-");
    // OpenSSL leaves out the hash of this one.
    name.replace("CHACHA20-POLY1305-SHA256", "CHACHA20-POLY1305")
}

#[cfg(test)]
mod tests {
    use super::provider;

    #[test]
    fn suites_are_chosen_by_either_name_and_those_of_tls_1_3_stay() {
        let all = provider(None).unwrap().cipher_suites.len();
        let some = provider(Some(
            "ECDHE-RSA-AES128-GCM-SHA256:TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384:ECDHE-RSA-CHACHA20-POLY1305",
        ));
        let some = some.unwrap().cipher_suites;
        assert_eq!(some.iter().filter(|suite| suite.tls13().is_none()).count(), 3);
        assert!(some.iter().any(|suite| suite.tls13().is_some()));
        assert!(some.len() < all);
        let error = provider(Some("RC4-MD5")).unwrap_err().to_string();
        assert!(
            error.contains("RC4-MD5") && error.contains("ECDHE-RSA-AES256-GCM-SHA384"),
            "{error}"
        );
    }
}
