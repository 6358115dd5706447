//! Opening a connection to a server: TCP, TLS over it, or a unix socket.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::{TcpStream, UnixStream};

use crate::pool::{Address, Destination};
use crate::tls::Tls;
use crate::worker::socket::Socket;

/// A connection to `destination`, hands shaken.
pub(super) async fn open(destination: Arc<Destination>, tls: Tls) -> io::Result<Socket> {
    Ok(match &destination.address {
        Address::Tcp(_) => {
            let stream = tcp(&destination.at).await?;
            if let Some(how) = &destination.tls {
                let session = tls.connect(how, destination.address.host(), stream).await?;
                return Ok(Socket::Tls(Box::new(session)));
            }
            Socket::Tcp(stream)
        }
        Address::Unix(path) => Socket::Unix(UnixStream::connect(path).await?),
    })
}

/// A connection to any of `addresses`: they are tried in turn, from a random one on.
pub(crate) async fn tcp(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    let mut failed = io::Error::new(io::ErrorKind::NotFound, "its name is not known");
    let first = rand::random_range(0..addresses.len().max(1));
    let (before, from) = addresses.split_at(first.min(addresses.len()));
    for address in from.iter().chain(before) {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => failed = error,
        }
    }
    Err(failed)
}
