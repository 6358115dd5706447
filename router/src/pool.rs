//! A server as configuration names it: where it is, how long it may take, and what its silence means.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use crate::tls::ServerTls;

/// What a get that no server answered is to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum GetErrors {
    /// A miss: the application asks its database, as it does for any other miss.
    Miss,
    /// `SERVER_ERROR` and why.
    Error,
}

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Address {
    /// `host:port`; what a name stands for is in [`Destination::at`].
    Tcp(String),
    Unix(PathBuf),
}

impl Address {
    /// The host that a certificate has to name.
    pub(crate) fn host(&self) -> &str {
        match self {
            Self::Tcp(address) => address
                .rsplit_once(':')
                .map_or(address.as_str(), |(host, _)| host),
            Self::Unix(_) => "",
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => f.write_str(address),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// One server with the settings of the pool it was named in. Two that are equal share a connection, and a connection
/// lives as long as the configuration has an equal one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Destination {
    /// What placement goes by.
    pub name: String,
    pub address: Address,
    /// Where that is: several for a name with several addresses, none for a name that nobody knows.
    pub at: Vec<SocketAddr>,
    /// How it is spoken to over TLS, if it is.
    pub tls: Option<ServerTls>,
    pub server_timeout: Duration,
    pub connect_timeout: Duration,
    pub get_errors: GetErrors,
    /// How many connections each worker has to it, at least one.
    pub connections: usize,
}

/// The most connections that a worker may have to one server.
pub(crate) const CONNECTIONS_MAX: usize = 64;

/// A server as it is written: `[NAME=]HOST:PORT`, `[NAME=]unix:/PATH`. mcrouter's `:ascii:plain` may follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NamedAddress {
    pub name: String,
    pub address: Address,
    /// Whether it is to be spoken to over TLS, if that is written.
    pub tls: Option<bool>,
}

impl NamedAddress {
    /// Reads one server.
    ///
    /// # Errors
    /// What is wrong, for a person.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let (name, written) = match text.split_once('=') {
            Some(("", _)) => return Err(format!("{text:?} has an empty name before its '='")),
            Some((name, address)) => (Some(name), address),
            None => (None, text),
        };
        let (address, tls) = read_address(written).map_err(|why| format!("{text:?}: {why}"))?;
        Ok(Self {
            name: name.map_or_else(|| address.to_string(), str::to_owned),
            address,
            tls,
        })
    }
}

/// What an entry in a list of servers stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Listed {
    /// `[NAME=]HOST:PORT`, `[NAME=]unix:/PATH`: one server.
    One(NamedAddress),
    /// `dns+HOST:PORT`: a server for each address of the host.
    Addresses {
        host: String,
        port: u16,
        tls: Option<bool>,
    },
    /// `srv+NAME`: a server for each SRV record.
    Members { service: String, tls: Option<bool> },
}

impl Listed {
    /// Reads one entry.
    ///
    /// # Errors
    /// What is wrong, for a person.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let several = ["dns+", "srv+", "dnssrv+"];
        if let Some((name, rest)) = text.split_once('=')
            && several.iter().any(|prefix| rest.starts_with(prefix))
        {
            return Err(format!("{text:?}: several servers cannot all be called {name:?}"));
        }
        let of = |why: String| format!("{text:?}: {why}");
        if let Some(rest) = text.strip_prefix("dns+") {
            let (address, tls) = read_address(rest).map_err(of)?;
            let Address::Tcp(address) = address else {
                return Err(of("expected dns+HOST:PORT".to_owned()));
            };
            let parts = address.rsplit_once(':');
            let parts = parts.and_then(|(host, port)| Some((host.to_owned(), port.parse().ok()?)));
            let (host, port) = parts.ok_or_else(|| of("expected dns+HOST:PORT".to_owned()))?;
            return Ok(Self::Addresses { host, port, tls });
        }
        if let Some(rest) = text.strip_prefix("srv+").or_else(|| text.strip_prefix("dnssrv+")) {
            let mut parts = rest.split(':');
            let service = parts.next().unwrap_or_default().to_owned();
            if service.is_empty() {
                return Err(of("expected srv+NAME".to_owned()));
            }
            let tls = read_security(parts).map_err(of)?;
            return Ok(Self::Members { service, tls });
        }
        NamedAddress::read(text).map(Self::One)
    }
}

/// `[:ascii[:plain]]`
fn read_security<'t>(mut parts: impl Iterator<Item = &'t str>) -> Result<Option<bool>, String> {
    match (parts.next().unwrap_or("ascii"), parts.next().unwrap_or("")) {
        ("ascii", "") => Ok(None),
        ("ascii", "plain") => Ok(Some(false)),
        ("ascii", "ssl" | "tls" | "fizz" | "ktls12") => Ok(Some(true)),
        ("ascii", security) => Err(format!(
            "connections of kind {security:?} are not supported, only plain and tls"
        )),
        (protocol, _) => Err(format!("protocol {protocol:?} is not supported, only ascii")),
    }
}

fn read_address(text: &str) -> Result<(Address, Option<bool>), String> {
    if let Some(path) = text.strip_prefix("unix:") {
        let path = path.split(':').next().unwrap_or_default();
        if !path.starts_with('/') {
            return Err("a unix socket needs an absolute path: unix:/PATH".to_owned());
        }
        return Ok((Address::Unix(path.into()), Some(false)));
    }
    let (host, rest) = match text.strip_prefix('[') {
        Some(inside) => {
            let (host, rest) = inside
                .split_once(']')
                .ok_or_else(|| "an IPv6 address needs its closing ']'".to_owned())?;
            let rest = rest.strip_prefix(':').unwrap_or_default();
            (format!("[{host}]"), rest)
        }
        None => {
            let (host, rest) = text.split_once(':').unwrap_or((text, ""));
            (host.to_owned(), rest)
        }
    };
    let mut parts = rest.split(':');
    let port = parts.next().unwrap_or_default();
    if host.is_empty() || host == "[]" {
        return Err("no host before the ':'".to_owned());
    }
    match port.parse::<u16>() {
        Ok(port) if port > 0 => {}
        _ if port.is_empty() => return Err("expected HOST:PORT".to_owned()),
        _ => return Err(format!("port {port:?} is not a number from 1 to 65535")),
    }
    let tls = read_security(parts)?;
    Ok((Address::Tcp(format!("{host}:{port}")), tls))
}

#[cfg(test)]
mod tests {
    use super::NamedAddress;

    fn read(text: &str) -> Result<String, String> {
        NamedAddress::read(text).map(|server| format!("{} at {}", server.name, server.address))
    }

    #[test]
    fn servers_are_written_with_or_without_a_name() {
        for (text, expected) in [
            ("127.0.0.1:11211", "127.0.0.1:11211 at 127.0.0.1:11211"),
            ("n1=cache.local:1", "n1 at cache.local:1"),
            ("[::1]:11211", "[::1]:11211 at [::1]:11211"),
            ("host:1:ascii:plain", "host:1 at host:1"),
            ("a=unix:/run/m.sock", "a at unix:/run/m.sock"),
        ] {
            assert_eq!(read(text).as_deref(), Ok(expected));
        }
        for (text, complaint) in [
            ("", "no host"),
            ("host", "expected HOST:PORT"),
            ("host:0", "port \"0\""),
            ("host:99999", "port \"99999\""),
            ("=h:1", "empty name"),
            ("h:1:caret", "\"caret\" is not supported"),
            ("h:1:ascii:tls_to_plain", "\"tls_to_plain\" are not supported"),
            ("unix:rel", "absolute path"),
            ("[::1:1", "closing"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(complaint), "{text:?}: {error}");
        }
    }

    #[test]
    fn a_name_may_stand_for_several_servers() {
        use super::Listed;
        let (host, service) = ("cache.svc".to_owned(), "_mc._tcp.cache.svc".to_owned());
        for (text, expected) in [
            (
                "dns+cache.svc:11211",
                Listed::Addresses {
                    host,
                    port: 11211,
                    tls: None,
                },
            ),
            (
                "srv+_mc._tcp.cache.svc",
                Listed::Members {
                    service: service.clone(),
                    tls: None,
                },
            ),
            (
                "dnssrv+_mc._tcp.cache.svc:ascii:tls",
                Listed::Members {
                    service,
                    tls: Some(true),
                },
            ),
        ] {
            assert_eq!(Listed::read(text), Ok(expected));
        }
        for (text, complaint) in [
            ("n=srv+x", "cannot all be called"),
            ("dns+host", "HOST:PORT"),
            ("dns+unix:/x", "dns+HOST:PORT"),
            ("srv+", "srv+NAME"),
            ("srv+x:binary", "not supported"),
        ] {
            let error = Listed::read(text).unwrap_err();
            assert!(error.contains(complaint), "{text:?}: {error}");
        }
    }
}
