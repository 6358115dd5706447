//! Sockets, before any thread runs: so that a port in use is said at once and privileged ports need root only here.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::sync::Arc;

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::{Bound, StartError, TcpDoor};
use crate::clock::Clock;
use crate::config::{Config, Listen, UnixSocket};
use crate::node::{Door, Node};
use crate::stats::tcp_name;

/// Binds every address of the configuration, once per worker for TCP.
pub(crate) fn bind(mut config: Config) -> Result<Bound, StartError> {
    raise_file_limit(&mut config);
    let mut tcp: Vec<Vec<TcpDoor>> = (0..config.threads).map(|_| Vec::new()).collect();
    let mut listen = Vec::new();
    for wanted in &config.listen {
        let Listen {
            mut address,
            transport,
        } = *wanted;
        if address.port() != 0 {
            // Our own workers share the port; another program must not get a share of our clients unnoticed.
            match listener(address, config.backlog, Sharing::Alone) {
                Ok(_probe) => {}
                Err(error) if !listen.is_empty() && is_without_ipv6(address, &error) => {
                    tracing::info!(%address, "not listened on: this machine has no IPv6");
                    continue;
                }
                Err(error) => return Err(StartError::listen(address, error)),
            }
        }
        for listeners in &mut tcp {
            let bound = listener(address, config.backlog, Sharing::Workers);
            let bound = bound.map_err(|error| StartError::listen(address, error))?;
            address = bound
                .local_addr()
                .map_err(|error| StartError::listen(address, error))?;
            listeners.push(TcpDoor {
                listener: bound,
                transport,
            });
        }
        listen.push(Listen { address, transport });
    }
    let unix = config
        .unix
        .clone()
        .map(|unix| unix_listener(&unix, config.backlog).map(|listener| (listener, unix)))
        .transpose()?;
    let admin = config.admin.map(|address| {
        listener(address, 128, Sharing::Alone).map_err(|error| StartError::listen(address, error))
    });
    let admin = admin.transpose()?;
    let admin_address = admin.as_ref().and_then(|admin| admin.local_addr().ok());
    // All workers listen on the same addresses; each is told once.
    let mut doors: Vec<Door> = tcp.first().map_or_else(Vec::new, |doors| {
        let numbers = doors.iter().map(|door| door.listener.as_raw_fd());
        numbers
            .zip(&listen)
            .map(|(number, listen)| Door {
                number,
                address: tcp_name(&listen.address),
            })
            .collect()
    });
    doors.extend(unix.iter().map(|(listener, unix)| Door {
        number: listener.as_raw_fd(),
        address: format!("unix:{}", unix.path.display()),
    }));
    let addresses = listen.iter().map(|listen| listen.address).collect();
    config.listen = listen;
    let mut node = Node::new(config, Clock::system())?;
    node.doors = doors;
    let node = Arc::new(node);
    Ok(Bound {
        node,
        addresses,
        admin_address,
        tcp,
        unix,
        admin,
    })
}

/// Whether an address that every machine with IPv6 has cannot be had, so that there is none.
fn is_without_ipv6(address: SocketAddr, error: &std::io::Error) -> bool {
    let everybodys = address.is_ipv6() && (address.ip().is_unspecified() || address.ip().is_loopback());
    let missing = [Errno::AFNOSUPPORT, Errno::ADDRNOTAVAIL].map(Errno::raw_os_error);
    everybodys && error.raw_os_error().is_some_and(|code| missing.contains(&code))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sharing {
    Alone,
    /// `SO_REUSEPORT`: the kernel deals connections out to all who share.
    Workers,
}

fn listener(address: SocketAddr, backlog: u32, sharing: Sharing) -> std::io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        // As memcached: the address of all IPv6 leaves IPv4 to another.
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    if sharing == Sharing::Workers {
        socket.set_reuse_port(true)?;
    }
    // Accepted sockets inherit both: a reply never waits for an acknowledgement, a dead peer is noticed.
    socket.set_tcp_nodelay(true)?;
    socket.set_keepalive(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::from(address))?;
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    Ok(socket.into())
}

fn unix_listener(unix: &UnixSocket, backlog: u32) -> Result<UnixListener, StartError> {
    let what = unix.path.display();
    let refused = |error| StartError::listen(&what, error);
    match std::fs::symlink_metadata(&unix.path) {
        Ok(file) if file.file_type().is_socket() => {
            // A socket somebody still listens on is in use; one nobody answers on was left behind.
            if std::os::unix::net::UnixStream::connect(&unix.path).is_ok() {
                return Err(refused(ErrorKind::AddrInUse.into()));
            }
            std::fs::remove_file(&unix.path).map_err(refused)?;
        }
        Ok(_other) => {
            return Err(StartError::NotASocket {
                path: unix.path.clone(),
            });
        }
        Err(_nothing_there) => {}
    }
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None).map_err(refused)?;
    socket.set_nonblocking(true).map_err(refused)?;
    socket
        .bind(&SockAddr::unix(&unix.path).map_err(refused)?)
        .map_err(refused)?;
    let mode = std::fs::Permissions::from_mode(unix.mode);
    std::fs::set_permissions(&unix.path, mode).map_err(refused)?;
    socket
        .listen(i32::try_from(backlog).unwrap_or(i32::MAX))
        .map_err(refused)?;
    Ok(socket.into())
}

/// Files open beside the clients: listeners, epoll and wake-up descriptors per thread, logs, admin requests.
pub(crate) const OTHER_FILES: u64 = 64;

/// Asks for as many descriptors as there may be clients; what the system does not allow lowers the limit of clients.
fn raise_file_limit(config: &mut Config) {
    let other = OTHER_FILES + 8 * config.threads as u64;
    let wanted = config.connections_max as u64 + other;
    let limit = getrlimit(Resource::Nofile);
    let Some(current) = limit.current.filter(|current| *current < wanted) else {
        return;
    };
    let allowed = limit.maximum.map_or(wanted, |maximum| maximum.min(wanted));
    let raised = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: Some(allowed),
            maximum: limit.maximum,
        },
    );
    let files = if raised.is_ok() { allowed } else { current };
    if files < wanted {
        let clients = usize::try_from(files.saturating_sub(other).max(1)).unwrap_or(usize::MAX);
        tracing::warn!(
            asked = config.connections_max,
            clients,
            files,
            "fewer clients: the file limit is lower"
        );
        config.connections_max = clients;
    }
}
