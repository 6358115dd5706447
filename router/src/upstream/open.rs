//! Opening a connection to a server: TCP, TLS over it, or a unix socket.

use std::io;
use std::sync::Arc;

use tokio::net::{TcpStream, UnixStream};

use crate::pool::{Address, Destination};
use crate::tls::Tls;
use crate::worker::socket::Socket;

/// A connection to `destination`, hands shaken.
pub(super) async fn open(destination: Arc<Destination>, tls: Tls) -> io::Result<Socket> {
    Ok(match &destination.address {
        Address::Tcp(address) => {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            if let Some(how) = &destination.tls {
                let session = tls.connect(how, destination.address.host(), stream).await?;
                return Ok(Socket::Tls(Box::new(session)));
            }
            Socket::Tcp(stream)
        }
        Address::Unix(path) => Socket::Unix(UnixStream::connect(path).await?),
    })
}
