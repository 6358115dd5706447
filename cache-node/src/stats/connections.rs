//! `stats conns`: who is connected, and where we listen.

use std::net::SocketAddr;

use bytes::BytesMut;

use super::lines::Lines;
use crate::clients::{Client, Peer};
use crate::node::Node;
use crate::store::Seconds;

/// `stats conns`: what we listen on, then the clients; `asking` is the one that wants to know.
pub(crate) fn connections(node: &Node, asking: i32, now: Seconds, out: &mut BytesMut) {
    for door in &node.doors {
        Lines::with_prefix(out, format_args!("{}:", door.number))
            .line("addr", &door.address)
            .line("state", "conn_listening")
            .line("secs_since_last_cmd", node.uptime());
    }
    for worker in &node.workers {
        worker
            .clients
            .for_each(|_slot, client| connection(client, asking, now, out));
    }
}

fn connection(client: &Client, asking: i32, now: Seconds, out: &mut BytesMut) {
    let mut lines = Lines::with_prefix(out, format_args!("{}:", client.number()));
    match client.peer() {
        Peer::Tcp { remote, local } => {
            lines
                .line("addr", tcp_name(remote))
                .line("listen_addr", tcp_name(local));
        }
        Peer::Unix { path } => {
            lines
                .line("addr", "unix:<AF 1>")
                .line("listen_addr", format_args!("unix:{}", path.display()));
        }
    }
    if client.number() == asking {
        lines.line("state", "conn_parse_cmd");
    } else {
        lines.line("state", client.state());
    }
    lines.line("secs_since_last_cmd", client.silence(now));
}

/// An address as `stats conns` writes it.
pub(crate) fn tcp_name(address: &SocketAddr) -> String {
    format!("{}:{address}", if address.is_ipv4() { "tcp" } else { "tcp6" })
}
