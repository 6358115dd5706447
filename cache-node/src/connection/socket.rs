//! What a connection asks of a socket, and the quickest way tokio has to do it.

use std::io;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustix::net::{RecvFlags, SendFlags};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::server::TlsStream;

/// A stream of bytes both ways.
pub(crate) trait Socket: AsyncRead + AsyncWrite + Unpin {
    /// Reads once into `room`, which must not be empty, or arranges to be woken when there is something to read.
    /// Answers how many bytes came; 0 is the end of the stream.
    fn poll_receive(&mut self, task: &mut Context<'_>, room: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut room = ReadBuf::new(room);
        ready!(Pin::new(self).poll_read(task, &mut room))?;
        Poll::Ready(Ok(room.filled().len()))
    }

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

/// Receives once; `received` is then how many bytes came. A read that leaves room has emptied the socket, and is told
/// to the runtime as one that would block, so that the next one only waits.
///
/// The calls here are the system's and nothing around them: the C library's makes each a point where the thread may be
/// cancelled.
#[inline]
fn receive(socket: impl AsFd, room: &mut [u8], received: &mut Option<usize>) -> io::Result<()> {
    let (length, _) = rustix::net::recv(socket, &mut *room, RecvFlags::empty())?;
    *received = Some(length);
    if length == 0 || length == room.len() {
        Ok(())
    } else {
        Err(io::ErrorKind::WouldBlock.into())
    }
}

/// A socket that is ready, as it nearly always is, is read from and written to without arranging anything.
macro_rules! at_once {
    ($($stream:ty),*) => {$(
        impl Socket for $stream {
            #[inline]
            fn poll_receive(&mut self, task: &mut Context<'_>, room: &mut [u8]) -> Poll<io::Result<usize>> {
                loop {
                    let mut received = None;
                    let tried = self.try_io(Interest::READABLE, || receive(&*self, room, &mut received));
                    if let Some(length) = received {
                        return Poll::Ready(Ok(length));
                    }
                    match tried {
                        Err(error) if error.kind() != io::ErrorKind::WouldBlock => {
                            return Poll::Ready(Err(error));
                        }
                        _nothing_came => ready!(self.poll_read_ready(task))?,
                    }
                }
            }

            #[inline]
            fn poll_send(&mut self, task: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
                let sent = self.try_io(Interest::WRITABLE, || {
                    Ok(rustix::net::send(&*self, bytes, SendFlags::NOSIGNAL)?)
                });
                match sent {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        Pin::new(self).poll_write(task, bytes)
                    }
                    sent => Poll::Ready(sent),
                }
            }
        }
    )*};
}

at_once!(TcpStream, UnixStream);

impl<S: Socket> Socket for TlsStream<S> {
    fn poll_settle(&mut self, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self).poll_flush(task)
    }
}

#[cfg(test)]
impl Socket for tokio::io::DuplexStream {}
