//! A stream socket, TCP or unix, read and written by polling. Knows nothing of what is said over it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use crate::tls::Session;

/// A connected stream.
#[derive(Debug)]
pub(crate) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<Session>),
}

/// What one read brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Read {
    /// So many bytes, and there may be more.
    Full(usize),
    /// So many bytes, and no more for now: the waker is set.
    Drained(usize),
    /// The other side will send nothing more.
    Eof,
    /// Nothing now: the waker is set.
    Pending,
}

impl Socket {
    /// Reads into `buffer`, which must not be empty.
    ///
    /// A read that does not fill the buffer has emptied the socket: the next call would only cost a system call to
    /// learn it, so the waker is set instead.
    pub(crate) fn read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> io::Result<Read> {
        let mut into = ReadBuf::new(buffer);
        let polled = match self {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, &mut into),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, &mut into),
            Self::Tls(session) => session.poll_read(cx, &mut into),
        };
        let length = match polled {
            Poll::Pending => return Ok(Read::Pending),
            Poll::Ready(result) => {
                result?;
                into.filled().len()
            }
        };
        let full = into.remaining() == 0;
        self.after(cx, length, full)
    }

    /// The same, behind what `buffer` already holds, into its spare room.
    pub(crate) fn read_more(&mut self, cx: &mut Context<'_>, buffer: &mut BytesMut) -> io::Result<Read> {
        let room = buffer.capacity() - buffer.len();
        let polled = match self {
            Self::Tcp(stream) => std::pin::pin!(stream.read_buf(buffer)).poll(cx),
            Self::Unix(stream) => std::pin::pin!(stream.read_buf(buffer)).poll(cx),
            Self::Tls(session) => session.poll_read_buf(cx, buffer),
        };
        match polled {
            Poll::Pending => Ok(Read::Pending),
            Poll::Ready(result) => {
                let length = result?;
                self.after(cx, length, length >= room)
            }
        }
    }

    fn after(&mut self, cx: &mut Context<'_>, length: usize, full: bool) -> io::Result<Read> {
        if length == 0 {
            return Ok(Read::Eof);
        }
        if full {
            return Ok(Read::Full(length));
        }
        let ready = match self {
            Self::Tcp(stream) => stream.poll_read_ready(cx),
            Self::Unix(stream) => stream.poll_read_ready(cx),
            // What the socket has is not what the session has: only another read tells.
            Self::Tls(_) => return Ok(Read::Full(length)),
        };
        match ready {
            Poll::Pending => Ok(Read::Drained(length)),
            Poll::Ready(result) => result.map(|()| Read::Full(length)),
        }
    }

    /// Closes without sending what is still in the system's buffers.
    pub(crate) fn abort(self) {
        let tcp = match &self {
            Self::Tcp(stream) => Some(stream),
            Self::Unix(_) => None,
            Self::Tls(session) => session.tcp(),
        };
        if let Some(stream) = tcp {
            // A socket that cannot be told so is closed the ordinary way.
            let _ = socket2::SockRef::from(stream).set_linger(Some(std::time::Duration::ZERO));
        }
    }

    /// Writes as much of `bytes` as the socket takes. Less than all means the waker is set.
    pub(crate) fn write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> io::Result<usize> {
        let mut written = 0;
        while written < bytes.len() {
            match self.poll_write(cx, &bytes[written..]) {
                Poll::Pending => break,
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(n)) => written += n,
                Poll::Ready(Err(error)) => return Err(error),
            }
        }
        if let Self::Tls(session) = self {
            session.flush(cx)?;
        }
        Ok(written)
    }

    /// Whether something written is still on our side: then a write of nothing goes on with it.
    pub(crate) fn holds_back(&self) -> bool {
        match self {
            Self::Tcp(_) | Self::Unix(_) => false,
            Self::Tls(session) => session.holds_back(),
        }
    }

    /// A socket that takes bytes, as it nearly always does, is written to without arranging to be woken.
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = match self {
            Self::Tcp(stream) => stream.try_write(bytes),
            Self::Unix(stream) => stream.try_write(bytes),
            Self::Tls(session) => return session.poll_write(cx, bytes),
        };
        match written {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => match self {
                Self::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
                Self::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
                Self::Tls(session) => session.poll_write(cx, bytes),
            },
            written => Poll::Ready(written),
        }
    }
}
