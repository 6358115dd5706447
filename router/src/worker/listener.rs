//! Listening sockets: one per worker on the same port, so that the system spreads clients over workers.

use std::io;
use std::net::SocketAddr;

use socket2::{Domain, Protocol, Socket, Type};

/// Connections that may wait to be taken up; the system cuts it to its own limit.
const BACKLOG: i32 = 4096;

/// Opens `count` listeners on `addr`. With port 0 the first finds a free one and the others join it.
pub(crate) fn listeners(addr: SocketAddr, count: usize) -> io::Result<Vec<std::net::TcpListener>> {
    // Without SO_REUSEPORT first: two routers on one port by mistake would each get half of the clients.
    if addr.port() != 0 {
        drop(open(addr, false)?);
    }
    let first = open(addr, true)?;
    let addr = first.local_addr()?;
    let mut listeners = vec![first];
    for _ in 1..count {
        listeners.push(open(addr, true)?);
    }
    Ok(listeners)
}

fn open(addr: SocketAddr, shared: bool) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if shared {
        socket.set_reuse_port(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    if shared {
        socket.listen(BACKLOG)?;
    }
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::listeners;

    #[test]
    fn workers_share_a_port_and_strangers_do_not_get_it() {
        let open = listeners("127.0.0.1:0".parse().expect("an address"), 3).expect("a free port");
        let addr = open[0].local_addr().expect("bound");
        for listener in &open {
            assert_eq!(listener.local_addr().expect("bound"), addr);
        }
        assert!(listeners(addr, 1).is_err(), "the port is taken");
    }
}
