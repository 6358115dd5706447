//! Where to listen: `-l`, `-p` and what a unix socket makes of them.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};

use super::raw::bad;
use super::tls;
use super::{ConfigError, DEFAULT_PORT, Listen, TlsConfig};

/// The TCP addresses of a node. Ports are taken as memcached takes them, but for 0, which without a unix socket takes
/// any free port.
pub(super) fn listen_addresses(
    listen: Option<&[String]>,
    port: Option<i64>,
    has_unix: bool,
    tls: Option<&TlsConfig>,
) -> Result<Vec<Listen>, ConfigError> {
    // A unix socket turns TCP off, as in memcached, even where a port is named; naming an address brings it back.
    if has_unix && (listen.is_none() || port == Some(0)) {
        return Ok(Vec::new());
    }
    let port = match port {
        None => DEFAULT_PORT,
        // memcached's "any free port" is -1; ours is also 0.
        Some(-1) => 0,
        Some(port) => u16::try_from(port).map_err(|_out_of_range| {
            bad(
                "port (-p)",
                format!("{port} is out of range; expected 0 to 65535"),
            )
        })?,
    };
    let everywhere = ["*".to_owned()];
    let listen = listen.unwrap_or(&everywhere);
    let mut addresses: Vec<Listen> = Vec::new();
    for entry in listen.iter().flat_map(|list| list.split([',', ';'])) {
        let (entry, transport) = tls::transport(entry.trim(), tls)?;
        let entry = without_tag(without_protocol(entry)?);
        for address in addresses_of(entry, port)? {
            // The same address twice would compete with itself; port 0 is a new one each time.
            if address.port() == 0 || addresses.iter().all(|listen| listen.address != address) {
                addresses.push(Listen { address, transport });
            }
        }
    }
    Ok(addresses)
}

/// Cuts `proto[NAME]:` off an address: it forces a protocol, and we speak one.
fn without_protocol(entry: &str) -> Result<&str, ConfigError> {
    let Some((name, rest)) = entry
        .strip_prefix("proto[")
        .and_then(|entry| entry.split_once("]:"))
    else {
        return Ok(entry);
    };
    match name {
        "ascii" | "negotiating" => Ok(rest),
        _other => Err(ConfigError::Unsupported {
            flag: format!("-l proto[{name}]"),
            instead: "this server speaks the text protocols",
        }),
    }
}

/// Cuts `tag[NAME]:` or `tag_NAME_:` off an address: tags are for memcached's proxy.
fn without_tag(entry: &str) -> &str {
    let end = |open: &str, close: &str| Some(entry.strip_prefix(open)?.split_once(close)?.1);
    end("tag[", "]:").or_else(|| end("tag_", "_:")).unwrap_or(entry)
}

/// All addresses of this machine; with any free port, which would be another one for each, those of IPv4 alone.
fn everywhere(port: u16) -> Vec<SocketAddr> {
    let v4 = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port);
    let v6 = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), port);
    if port == 0 { vec![v4] } else { vec![v4, v6] }
}

/// `HOST`, `HOST:PORT`, `IPV6`, `[IPV6]` or `[IPV6]:PORT`; a host is a name, an address or `*`.
fn addresses_of(entry: &str, port: u16) -> Result<Vec<SocketAddr>, ConfigError> {
    if let Ok(ip) = entry.trim_matches(['[', ']']).parse() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    if let Ok(address) = entry.parse() {
        return Ok(vec![address]);
    }
    let (host, port) = match entry.rsplit_once(':') {
        None => (entry, port),
        Some((host, port)) => {
            let why = || format!("`{entry}` is not HOST, HOST:PORT or [IPV6]:PORT");
            (
                host,
                port.parse().map_err(|_not_a_port| bad("listen (-l)", why()))?,
            )
        }
    };
    if host == "*" {
        return Ok(everywhere(port));
    }
    resolve("listen (-l)", host, port)
}

/// The addresses of a host, at least one.
pub(super) fn resolve(what: &str, host: &str, port: u16) -> Result<Vec<SocketAddr>, ConfigError> {
    if host.is_empty() {
        return Err(bad(what, "the host is missing"));
    }
    let host = host.trim_matches(['[', ']']);
    let mut found: Vec<_> = (host, port)
        .to_socket_addrs()
        .map_or_else(|_unknown| Vec::new(), Iterator::collect);
    found.dedup();
    if found.is_empty() {
        return Err(bad(
            what,
            format!("`{host}` is no address and no host known here"),
        ));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::listen_addresses;

    fn told(listen: &[&str], port: Option<i64>) -> String {
        let listen: Vec<String> = listen.iter().map(ToString::to_string).collect();
        let listen = (!listen.is_empty()).then_some(&listen[..]);
        match listen_addresses(listen, port, false, None) {
            Ok(addresses) => {
                let addresses: Vec<_> = addresses
                    .iter()
                    .map(|listen| listen.address.to_string())
                    .collect();
                addresses.join(" ")
            }
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn addresses_are_written_as_memcacheds() {
        for (listen, port, expected) in [
            (&[][..], None, "0.0.0.0:11211 [::]:11211"),
            (&[], Some(11212), "0.0.0.0:11212 [::]:11212"),
            (&[], Some(-1), "0.0.0.0:0"),
            (&["*"], None, "0.0.0.0:11211 [::]:11211"),
            (&["*:11213"], None, "0.0.0.0:11213 [::]:11213"),
            (&["127.0.0.1", "::1"], None, "127.0.0.1:11211 [::1]:11211"),
            (
                &["127.0.0.1:1,127.0.0.2;[::1]:3"],
                Some(2),
                "127.0.0.1:1 127.0.0.2:2 [::1]:3",
            ),
            (&["127.0.0.1,127.0.0.1"], None, "127.0.0.1:11211"),
            (
                &["proto[ascii]:127.0.0.1", "proto[negotiating]:tag[a]:127.0.0.2:5"],
                None,
                "127.0.0.1:11211 127.0.0.2:5",
            ),
            (&["tag_abc_:[::1]:6"], None, "[::1]:6"),
        ] {
            assert_eq!(told(listen, port), expected, "{listen:?} {port:?}");
        }
        for (listen, word) in [
            (&["proto[binary]:127.0.0.1"][..], "proto[binary]"),
            (&["127.0.0.1:x"], "not HOST"),
            (&[":11211"], "missing"),
        ] {
            assert!(told(listen, None).contains(word), "{listen:?}");
        }
    }

    #[test]
    fn a_unix_socket_turns_tcp_off_unless_an_address_is_named() {
        let named = ["127.0.0.1".to_owned()];
        for (listen, port, expected) in [
            (None, None, 0),
            (None, Some(11211), 0),
            (Some(&named[..]), Some(0), 0),
            (Some(&named), None, 1),
        ] {
            let addresses = listen_addresses(listen, port, true, None).unwrap();
            assert_eq!(addresses.len(), expected, "{listen:?} {port:?}");
        }
    }
}
