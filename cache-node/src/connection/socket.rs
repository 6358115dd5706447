//! What a connection asks of a socket, and the quickest way tokio has to do it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::server::TlsStream;

/// A stream of bytes both ways.
pub(crate) trait Socket: AsyncRead + AsyncWrite + Unpin {
    /// Writes what the socket takes now, or arranges to be woken when it takes more.
    fn poll_send(&mut self, task: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(self).poll_write(task, bytes)
    }

    /// Sends what it took and still holds. A bare socket holds nothing.
    #[inline]
    fn poll_settle(&mut self, _task: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A socket that is ready, as it nearly always is, is written to without arranging anything.
macro_rules! send_at_once {
    ($($stream:ty),*) => {$(
        impl Socket for $stream {
            #[inline]
            fn poll_send(&mut self, task: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
                match self.try_write(bytes) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        Pin::new(self).poll_write(task, bytes)
                    }
                    written => Poll::Ready(written),
                }
            }
        }
    )*};
}

send_at_once!(TcpStream, UnixStream);

impl<S: Socket> Socket for TlsStream<S> {
    fn poll_settle(&mut self, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self).poll_flush(task)
    }
}

#[cfg(test)]
impl Socket for tokio::io::DuplexStream {}
