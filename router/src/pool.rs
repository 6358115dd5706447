//! A server as configuration names it: where it is, how long it may take, and what its silence means.

use std::fmt;
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
    /// `host:port`, resolved at each connect.
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
    let tls = match (parts.next().unwrap_or("ascii"), parts.next().unwrap_or("")) {
        ("ascii", "") => None,
        ("ascii", "plain") => Some(false),
        ("ascii", "ssl" | "tls" | "fizz" | "ktls12") => Some(true),
        ("ascii", security) => {
            return Err(format!(
                "connections of kind {security:?} are not supported, only plain and tls"
            ));
        }
        (protocol, _) => return Err(format!("protocol {protocol:?} is not supported, only ascii")),
    };
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
}
