//! Listening sockets: one per worker on the same port, so that the system spreads clients over workers; and a unix
//! socket that all workers accept from.

use std::fs::Permissions;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use socket2::{Domain, Protocol, Socket, Type};

/// Connections that may wait to be taken up; the system cuts it to its own limit.
const BACKLOG: i32 = 4096;

/// Who may listen at a place already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Nobody: two routers on one port by mistake would each get half of the clients.
    Free,
    /// The router that this one takes over from.
    Predecessors,
}

/// What one worker accepts clients from.
#[derive(Debug)]
pub(crate) struct Listeners {
    pub tcp: std::net::TcpListener,
    pub tls: Option<std::net::TcpListener>,
    pub unix: Option<UnixListener>,
}

/// Opens `count` listeners on `addr`. With port 0 the first finds a free one and the others join it.
pub(crate) fn listeners(
    addr: SocketAddr,
    count: usize,
    place: Place,
) -> io::Result<Vec<std::net::TcpListener>> {
    // Without SO_REUSEPORT first.
    if addr.port() != 0 && place == Place::Free {
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

/// Opens a unix socket with permission bits `mode`. What a router that was killed left there is replaced.
pub(crate) fn unix(path: &Path, mode: u32, place: Place) -> io::Result<UnixListener> {
    if let Ok(found) = std::fs::symlink_metadata(path) {
        if !found.file_type().is_socket() {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "there is a file that is no socket",
            ));
        }
        if place == Place::Free && UnixStream::connect(path).is_ok() {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        std::fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, Permissions::from_mode(mode))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use super::{Place, listeners, unix};

    #[test]
    fn workers_share_a_port_and_strangers_do_not_get_it() {
        let open =
            listeners("127.0.0.1:0".parse().expect("an address"), 3, Place::Free).expect("a free port");
        let addr = open[0].local_addr().expect("bound");
        for listener in &open {
            assert_eq!(listener.local_addr().expect("bound"), addr);
        }
        assert!(listeners(addr, 1, Place::Free).is_err(), "the port is taken");
        assert!(
            listeners(addr, 1, Place::Predecessors).is_ok(),
            "but it can be taken over"
        );
    }

    #[test]
    fn a_unix_socket_replaces_what_was_left_behind_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("router.sock");
        let first = unix(&path, 0o700, Place::Free).expect("bound");
        assert!(unix(&path, 0o700, Place::Free).is_err(), "somebody listens there");
        drop(first);
        drop(unix(&path, 0o700, Place::Free).expect("nobody listens there any more"));
        std::fs::remove_file(&path).expect("there");
        std::fs::write(&path, "precious").expect("written");
        assert!(unix(&path, 0o700, Place::Predecessors).is_err());
    }
}
