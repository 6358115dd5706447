//! The servers of a pool: how each is reached, and the names that stand for one or several.

use std::sync::Arc;
use std::time::Duration;

use super::announced::Announced;
use super::check::Checker;
use super::node::{ConfigError, Node};
use crate::names::table::{Question, literal};
use crate::pool::{Address, CONNECTIONS_MAX, Destination, GetErrors, Listed};
use crate::tls::{ServerTls, Verify};

/// What is the same for all servers of a pool.
pub(super) struct Alike {
    /// How they are spoken to over TLS, if they are.
    pub tls: Option<ServerTls>,
    /// The same for a server that says so itself.
    pub tls_if_written: ServerTls,
    pub server_timeout: Duration,
    pub connect_timeout: Duration,
    pub get_errors: GetErrors,
    pub connections: usize,
    /// Instead of their own ports.
    pub port: Option<u16>,
}

/// A pool's servers.
pub(super) struct Servers {
    pub all: Vec<Arc<Destination>>,
    /// Whether there are names among them that stand for now more, now fewer.
    pub vary: bool,
    /// What DNS says of their weights.
    pub announced: Option<Announced>,
}

/// One server, before what it shares with the others of its pool.
struct Found {
    name: String,
    address: Address,
    tls: Option<bool>,
    /// The name that its certificate has to bear, if that is not its address.
    certified: Option<String>,
    /// As DNS announces it.
    weight: Option<u16>,
}

/// A server as it is written, with another port, or with one at all.
fn with_port(written: &str, port: u16) -> String {
    let host_from = written.find('=').map_or(0, |at| at + 1);
    let (name, address) = written.split_at(host_from);
    if address.starts_with("unix:") || address.starts_with("srv+") || address.starts_with("dnssrv+") {
        return written.to_owned();
    }
    let host_end = address
        .find(']')
        .map_or_else(|| address.find(':').unwrap_or(address.len()), |at| at + 1);
    let (host, rest) = address.split_at(host_end);
    let rest = rest.strip_prefix(':').unwrap_or_default();
    let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    format!("{name}{host}:{port}{rest}")
}

impl<'v> Checker<'v> {
    /// Reads a list of servers.
    pub(super) fn read_servers(&mut self, list: &Node<'_>, alike: &Alike) -> Result<Servers, ConfigError> {
        let mut servers = Servers {
            all: Vec::new(),
            vary: false,
            announced: None,
        };
        let mut weights = Vec::new();
        for node in list.list()? {
            if !node.is_string() {
                return Err(node
                    .expected("a server, \"HOST:PORT\" (route handles can be the children of a HashRoute)"));
            }
            let written = node.string()?;
            let listed = match alike.port {
                Some(port) => Listed::read(&with_port(written, port)),
                None => Listed::read(written),
            };
            let listed = listed.map_err(|why| node.error(&why))?;
            let one = matches!(listed, Listed::One(_));
            servers.vary |= !one;
            for found in self.stands_for(listed) {
                let known = servers.all.iter().find(|known| known.name == found.name).cloned();
                if known.is_some() && !one {
                    // The name of a server that stands there by itself too.
                    continue;
                }
                weights.push(found.weight);
                let server = self.server(&node, found, alike)?;
                servers.all.push(match known {
                    // mcrouter takes a server twice: where keys go by position it has two shares.
                    Some(known) if *known == server => known,
                    Some(_) => {
                        let name = server.name;
                        return Err(node.error(&format!("server name {name:?} is given twice in this pool")));
                    }
                    None => Arc::new(server),
                });
            }
        }
        servers.announced = Announced::of(weights);
        Ok(servers)
    }

    /// The servers that an entry stands for, as far as DNS has told.
    fn stands_for(&mut self, listed: Listed) -> Vec<Found> {
        match listed {
            Listed::One(server) => vec![Found {
                name: server.name,
                address: server.address,
                tls: server.tls,
                certified: None,
                weight: None,
            }],
            Listed::Addresses { host, port, tls } => {
                self.wonder(&host);
                let addresses = self.defaults.names.addresses(&host, port);
                let found = addresses.into_iter().map(|address| Found {
                    name: address.to_string(),
                    address: Address::Tcp(address.to_string()),
                    tls,
                    certified: Some(host.clone()),
                    weight: None,
                });
                found.collect()
            }
            Listed::Members { service, tls } => {
                let members = self.defaults.names.members(&service).iter();
                let found = members.map(|member| {
                    let address = format!("{}:{}", member.host, member.port);
                    Found {
                        name: address.clone(),
                        address: Address::Tcp(address),
                        tls,
                        certified: None,
                        weight: Some(member.weight),
                    }
                });
                let found = found.collect();
                self.questions.insert(Question::Service(service));
                found
            }
        }
    }

    /// Has `host` asked for, unless it is an address.
    fn wonder(&mut self, host: &str) {
        if literal(host).is_none() {
            self.questions.insert(Question::Host(host.to_owned()));
        }
    }

    fn server(&mut self, node: &Node<'_>, found: Found, alike: &Alike) -> Result<Destination, ConfigError> {
        let at = match &found.address {
            Address::Tcp(address) => match address.rsplit_once(':') {
                Some((host, port)) => {
                    self.wonder(host);
                    // Ports have been read before.
                    self.defaults
                        .names
                        .addresses(host, port.parse().unwrap_or_default())
                }
                None => Vec::new(),
            },
            Address::Unix(_) => Vec::new(),
        };
        let wanted = found.tls.unwrap_or(alike.tls.is_some()) && matches!(found.address, Address::Tcp(_));
        let tls = wanted.then(|| {
            let tls = alike.tls.as_ref().unwrap_or(&alike.tls_if_written);
            ServerTls {
                name: tls.name.clone().or(found.certified),
                ..tls.clone()
            }
        });
        if let Some(tls) = &tls {
            if tls.verify == Verify::Identity && tls.files.ca.is_none() {
                return Err(
                    node.error("TLS to servers needs --tls-ca (of a pool: \"tls_ca\"): who vouches for them")
                );
            }
            let prepared = self.defaults.secure.prepare(&tls.files);
            prepared.map_err(|why| node.error(&why.to_string()))?;
        }
        Ok(Destination {
            name: found.name,
            address: found.address,
            at,
            tls,
            server_timeout: alike.server_timeout,
            connect_timeout: alike.connect_timeout,
            get_errors: alike.get_errors,
            connections: alike.connections,
        })
    }

    /// `port_override`: the port of all servers of a pool, whatever is written with them.
    pub(super) fn port_of<'n>(&self, node: &Node<'n>) -> Result<Option<u16>, ConfigError>
    where
        'v: 'n,
    {
        let Some(given) = self.inherited(node, "port_override") else {
            return Ok(None);
        };
        match u16::try_from(given.count()?) {
            Ok(port) if port > 0 => Ok(Some(port)),
            _ => Err(given.error("a port is a number from 1 to 65535")),
        }
    }

    /// How many connections each worker has to a server of a pool: `connections_per_server`, or mcrouter's
    /// `additional_fanout`, which counts from the second.
    pub(super) fn connections_of<'n>(&self, node: &Node<'n>) -> Result<usize, ConfigError>
    where
        'v: 'n,
    {
        let (count, said) = match self.inherited(node, "connections_per_server") {
            Some(count) => (count.count()?, count),
            None => match self.inherited(node, "additional_fanout") {
                Some(more) => (more.count()?.saturating_add(1), more),
                None => return Ok(self.defaults.connections),
            },
        };
        if (1..=CONNECTIONS_MAX).contains(&count) {
            Ok(count)
        } else {
            Err(said.error(&format!(
                "a worker has 1 to {CONNECTIONS_MAX} connections to a server, not {count}"
            )))
        }
    }

    /// How many places each server has where keys go by place: with `additional_fanout` one for each connection.
    pub(super) fn copies_of<'n>(&self, node: &Node<'n>) -> Result<usize, ConfigError>
    where
        'v: 'n,
    {
        let more = self.inherited(node, "additional_fanout");
        Ok(more.map_or(Ok(0), |more| more.count())? + 1)
    }

    /// How a pool wants its servers spoken to over TLS, if it does.
    pub(super) fn tls_of<'n>(&self, node: &Node<'n>) -> Result<Option<ServerTls>, ConfigError>
    where
        'v: 'n,
    {
        let wanted = match (
            self.inherited(node, "security_mech"),
            self.inherited(node, "use_ssl"),
        ) {
            (Some(mechanism), _) => match mechanism.string()? {
                "plain" => false,
                "tls" | "ssl" | "fizz" | "ktls12" => true,
                other => return Err(mechanism.unknown("security", other, &["plain", "ssl", "tls"])),
            },
            (None, Some(flag)) => flag.flag()?,
            (None, None) => false,
        };
        // What is said of TLS is read in any case: a mistake in it is one.
        let tls = self.server_tls(node)?;
        Ok(wanted.then_some(tls))
    }

    /// What the servers of a pool have to prove.
    pub(super) fn server_tls<'n>(&self, node: &Node<'n>) -> Result<ServerTls, ConfigError>
    where
        'v: 'n,
    {
        let mut tls = self.defaults.tls.clone();
        if let Some(name) = self.inherited(node, "tls_server_name") {
            tls.name = Some(name.string()?.to_owned());
        }
        if let Some(skip) = self.inherited(node, "tls_insecure_skip_verify") {
            tls.verify = if skip.flag()? {
                Verify::Nothing
            } else {
                Verify::Identity
            };
        }
        let (cert, key) = (self.inherited(node, "tls_cert"), self.inherited(node, "tls_key"));
        if let (Some(alone), None) | (None, Some(alone)) = (&cert, &key) {
            return Err(alone.error("\"tls_cert\" and \"tls_key\" go together"));
        }
        let ca = self.inherited(node, "tls_ca");
        for (given, file) in [
            (&ca, &mut tls.files.ca),
            (&cert, &mut tls.files.cert),
            (&key, &mut tls.files.key),
        ] {
            if let Some(given) = given {
                *file = Some(given.string()?.into());
            }
        }
        if let Some(given) = ca.or(cert) {
            // What is wrong with the files is told where they are named.
            let prepared = self.defaults.secure.prepare(&tls.files);
            prepared.map_err(|why| given.error(&why.to_string()))?;
        }
        Ok(tls)
    }
}

#[cfg(test)]
mod tests {
    use super::with_port;

    #[test]
    fn a_pools_port_takes_the_place_of_its_servers_ports() {
        for (written, expected) in [
            ("cache1", "cache1:7"),
            ("cache1:11211", "cache1:7"),
            ("n1=cache1:11211:ascii:plain", "n1=cache1:7:ascii:plain"),
            ("[::1]:11211", "[::1]:7"),
            ("[::1]", "[::1]:7"),
            ("unix:/run/m.sock", "unix:/run/m.sock"),
        ] {
            assert_eq!(with_port(written, 7), expected);
        }
    }
}
