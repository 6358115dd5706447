//! What TLS is told (`-Z`, `-o ssl_*`): which files, which versions, and what a client has to prove. Opens no file.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::ConfigError;

/// An address to listen on, and how clients talk there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listen {
    /// Port 0 takes any free one.
    pub address: SocketAddr,
    /// In the clear or under TLS.
    pub transport: Transport,
}

impl From<SocketAddr> for Listen {
    /// In the clear.
    fn from(address: SocketAddr) -> Self {
        Self {
            address,
            transport: Transport::Plain,
        }
    }
}

/// How bytes travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// As they are.
    Plain,
    /// Under TLS.
    Tls(ClientCerts),
}

/// What a client must show before it is served (`ssl_verify_mode`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ClientCerts {
    /// Nothing (0).
    #[default]
    Ignore,
    /// A good certificate or none (1).
    Request,
    /// A good certificate (2; 3 means the same, since nothing is ever renegotiated).
    Require,
}

/// The oldest TLS spoken (`ssl_min_version`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TlsVersion {
    /// 1.2, memcached's default.
    #[default]
    V1_2,
    /// 1.3.
    V1_3,
}

/// How the private key is written down (`ssl_keyformat`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KeyFormat {
    /// PEM (1).
    #[default]
    Pem,
    /// DER (2).
    Der,
}

/// TLS as asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsConfig {
    /// Our certificate and those between it and a root, PEM (`ssl_chain_cert`).
    pub chain: PathBuf,
    /// The private key, when it is not in the chain's file (`ssl_key`).
    pub key: Option<PathBuf>,
    /// How that file is written (`ssl_keyformat`). Default PEM.
    pub key_format: KeyFormat,
    /// Roots that vouch for clients, PEM (`ssl_ca_cert`). Without it, the last certificate of the chain does.
    pub client_ca: Option<PathBuf>,
    /// What clients must show, unless their listener says otherwise (`ssl_verify_mode`). Default nothing.
    pub client_certs: ClientCerts,
    /// The number `ssl_verify_mode` was given as.
    pub verify_mode: u8,
    /// The oldest version spoken (`ssl_min_version`). Default 1.2.
    pub min_version: TlsVersion,
    /// Cipher suites of TLS 1.2, OpenSSL's or IANA's names between colons (`ssl_ciphers`). Default all we have.
    pub ciphers: Option<String>,
    /// Whether a client may come back without a whole handshake (`ssl_session_cache`). Default false.
    pub session_cache: bool,
    /// Bytes of replies that wait encrypted for one client (`ssl_wbuf_size`, in KiB). Default 16 KiB.
    pub write_buffer_bytes: usize,
}

/// `ssl_*` options as given, in the file as on the command line.
#[derive(Debug, Default, Clone, serde::Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawTls {
    pub(super) enable: Option<bool>,
    pub(super) chain_cert: Option<PathBuf>,
    pub(super) key: Option<PathBuf>,
    pub(super) keyformat: Option<String>,
    pub(super) ca_cert: Option<PathBuf>,
    pub(super) verify_mode: Option<u8>,
    pub(super) min_version: Option<u8>,
    pub(super) ciphers: Option<String>,
    pub(super) session_cache: Option<bool>,
    pub(super) wbuf_size: Option<usize>,
}

/// The largest `ssl_wbuf_size`, KiB.
const WRITE_BUFFER_KIB_MAX: usize = 64 << 10;

impl RawTls {
    /// These settings, and `below` wherever these say nothing.
    pub(super) fn over(self, below: Self) -> Self {
        Self {
            enable: self.enable.or(below.enable),
            chain_cert: self.chain_cert.or(below.chain_cert),
            key: self.key.or(below.key),
            keyformat: self.keyformat.or(below.keyformat),
            ca_cert: self.ca_cert.or(below.ca_cert),
            verify_mode: self.verify_mode.or(below.verify_mode),
            min_version: self.min_version.or(below.min_version),
            ciphers: self.ciphers.or(below.ciphers),
            session_cache: self.session_cache.or(below.session_cache),
            wbuf_size: self.wbuf_size.or(below.wbuf_size),
        }
    }

    /// One of memcached's `-o ssl_…`, its prefix cut off; `None` for a name that is not one of them.
    pub(super) fn set(&mut self, name: &str, value: Option<&str>) -> Option<Result<(), ConfigError>> {
        let text = || {
            let why = || bad(name, "a value is missing");
            value.map(str::to_owned).ok_or_else(why)
        };
        let number = |largest: usize| {
            let number = value.and_then(|value| value.parse::<usize>().ok());
            let why = || bad(name, format!("expected a number up to {largest}"));
            number.filter(|number| *number <= largest).ok_or_else(why)
        };
        let small = |largest| number(largest).map(|number| u8::try_from(number).ok());
        let done = match name {
            "chain_cert" => text().map(|text| self.chain_cert = Some(text.into())),
            "key" => text().map(|text| self.key = Some(text.into())),
            "keyformat" => text().map(|text| self.keyformat = Some(text)),
            "ca_cert" => text().map(|text| self.ca_cert = Some(text.into())),
            "ciphers" => text().map(|text| self.ciphers = Some(text)),
            "verify_mode" => small(3).map(|mode| self.verify_mode = mode),
            "min_version" => small(3).map(|version| self.min_version = version),
            "session_cache" => {
                self.session_cache = Some(true);
                Ok(())
            }
            "wbuf_size" => number(WRITE_BUFFER_KIB_MAX).map(|kib| self.wbuf_size = Some(kib)),
            _unknown => return None,
        };
        Some(done)
    }

    /// `None` when TLS is off.
    pub(super) fn check(self) -> Result<Option<TlsConfig>, ConfigError> {
        if !self.enable.unwrap_or(false) {
            return Ok(None);
        }
        let chain = self
            .chain_cert
            .ok_or_else(|| bad("chain_cert", "TLS (-Z) needs a certificate"))?;
        let key_format = match self.keyformat.as_deref() {
            None => KeyFormat::Pem,
            Some(word) if word.eq_ignore_ascii_case("pem") => KeyFormat::Pem,
            Some(word) if word.eq_ignore_ascii_case("der") => KeyFormat::Der,
            Some(other) => return Err(bad("keyformat", format!("`{other}` is neither PEM nor DER"))),
        };
        if key_format == KeyFormat::Der && self.key.is_none() {
            return Err(bad("keyformat", "a DER key needs a file of its own (ssl_key)"));
        }
        let verify_mode = self.verify_mode.unwrap_or(0);
        let client_certs = match verify_mode {
            0 => ClientCerts::Ignore,
            1 => ClientCerts::Request,
            2 | 3 => ClientCerts::Require,
            _more => return Err(bad("verify_mode", "expected 0 to 3")),
        };
        let min_version = match self.min_version {
            None | Some(2) => TlsVersion::V1_2,
            Some(3) => TlsVersion::V1_3,
            Some(0 | 1) => {
                return Err(bad(
                    "min_version",
                    "TLS 1.0 and 1.1 are broken and not spoken here; expected 2 (TLS 1.2) or 3 (TLS 1.3)",
                ));
            }
            Some(_more) => return Err(bad("min_version", "expected 2 (TLS 1.2) or 3 (TLS 1.3)")),
        };
        Ok(Some(TlsConfig {
            chain,
            key: self.key,
            key_format,
            client_ca: self.ca_cert,
            client_certs,
            verify_mode,
            min_version,
            ciphers: self.ciphers,
            session_cache: self.session_cache.unwrap_or(false),
            write_buffer_bytes: self.wbuf_size.unwrap_or(16).clamp(1, WRITE_BUFFER_KIB_MAX) << 10,
        }))
    }
}

/// How bytes travel where nothing else is said.
pub(super) fn usual(tls: Option<&TlsConfig>) -> Transport {
    tls.map_or(Transport::Plain, |tls| Transport::Tls(tls.client_certs))
}

/// Cuts memcached's `notls:`, `btls:` or `mtls:` off an address of `-l`. Without one, `tls` decides.
pub(super) fn transport<'e>(
    entry: &'e str,
    tls: Option<&TlsConfig>,
) -> Result<(&'e str, Transport), ConfigError> {
    let prefixed = ["notls", "btls", "mtls"]
        .into_iter()
        .find_map(|word| Some((word, entry.strip_prefix(word)?.strip_prefix(':')?)));
    let Some((word, rest)) = prefixed else {
        return Ok((entry, usual(tls)));
    };
    let transport = match (word, tls) {
        ("notls", _) => Transport::Plain,
        (_, None) => {
            let why = format!("`{entry}` asks for TLS, which is off (-Z)");
            return Err(super::raw::bad("listen (-l)", why));
        }
        ("mtls", Some(_)) => Transport::Tls(ClientCerts::Require),
        (_, Some(_)) => Transport::Tls(ClientCerts::Ignore),
    };
    Ok((rest, transport))
}

fn bad(name: &str, why: impl Into<String>) -> ConfigError {
    super::raw::bad(&format!("-o ssl_{name}"), why)
}
