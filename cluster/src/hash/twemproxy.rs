//! What twemproxy does to its list of servers before it places a key.

use crate::topology::Server;

/// The servers in twemproxy's order, with their positions in ours: it sorts its list by name, shorter names first, and
/// the order of the config file is forgotten. The name that counts leaves out the port when it is 11211.
pub(super) fn in_order(servers: &[Server]) -> impl Iterator<Item = (u32, &Server)> {
    let mut sorted: Vec<(u32, &Server)> = (0..).zip(servers).collect();
    sorted.sort_by_key(|(_, server)| {
        let name = without_default_port(&server.name);
        (name.len(), name)
    });
    sorted.into_iter()
}

/// twemproxy's modula: as many slots in a row as a server's weight, as (index, slots).
pub(super) fn slots(servers: &[Server]) -> impl Iterator<Item = (u32, u32)> {
    in_order(servers).map(|(index, server)| (index, server.weight.whole().unwrap_or_default()))
}

/// `HOST:PORT`, or `HOST` alone on port 11211: the identity of a server in libmemcached and, after it, in twemproxy.
pub(super) fn without_default_port(name: &str) -> &str {
    name.strip_suffix(":11211").unwrap_or(name)
}
