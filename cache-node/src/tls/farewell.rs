//! A client's TLS stream that says goodbye however it ends. A client that is only cut off (for its silence, or because the
//! node stops) cannot tell that from an attacker's cut, and reports an error.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use crate::connection::Socket;

/// Sends `close_notify` when dropped.
pub(crate) struct Farewell(pub(crate) TlsStream<TcpStream>);

impl Drop for Farewell {
    fn drop(&mut self) {
        let (socket, session) = self.0.get_mut();
        session.send_close_notify();
        let mut socket = AtOnce(socket);
        // What the socket does not take now is for a client that does not read.
        while session.wants_write() && matches!(session.write_tls(&mut socket), Ok(1..)) {}
    }
}

/// Writes what a socket takes without waiting.
struct AtOnce<'s>(&'s TcpStream);

impl io::Write for AtOnce<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsyncRead for Farewell {
    #[inline]
    fn poll_read(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(task, into)
    }
}

impl AsyncWrite for Farewell {
    #[inline]
    fn poll_write(mut self: Pin<&mut Self>, task: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(task, bytes)
    }

    #[inline]
    fn poll_flush(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(task)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(task)
    }
}

impl Socket for Farewell {
    fn poll_settle(&mut self, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_settle(task)
    }
}
