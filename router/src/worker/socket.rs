//! A stream socket, TCP or unix, read and written by polling. Knows nothing of what is said over it.

use std::io;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::BytesMut;
use rustix::net::{RecvFlags, SendFlags};
use tokio::io::{AsyncReadExt, AsyncWrite, Interest, ReadBuf};
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

/// What one system call received; nothing if there was nothing.
#[derive(Default)]
struct Received(Option<usize>);

impl Received {
    /// Reads once. A read that leaves room has emptied the socket, and is told to the runtime as one that would block.
    ///
    /// The calls here are the system's and nothing around them: the C library's makes each a point where the thread may
    /// be cancelled, which costs more than what is done in user space besides.
    fn take(&mut self, socket: impl AsFd, buffer: &mut [u8]) -> io::Result<()> {
        let room = buffer.len();
        let (length, _) = rustix::net::recv(socket, buffer, RecvFlags::empty())?;
        self.0 = Some(length);
        if length == 0 || length == room {
            Ok(())
        } else {
            Err(io::ErrorKind::WouldBlock.into())
        }
    }
}

/// Writes once.
fn send(socket: impl AsFd, bytes: &[u8]) -> io::Result<usize> {
    Ok(rustix::net::send(socket, bytes, SendFlags::NOSIGNAL)?)
}

impl Socket {
    /// Reads into `buffer`, which must not be empty.
    ///
    /// A read that does not fill the buffer has emptied the socket: the next call would only cost a system call to
    /// learn it, so the waker is set instead.
    pub(crate) fn read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> io::Result<Read> {
        let mut received = Received::default();
        let tried = match self {
            Self::Tcp(stream) => stream.try_io(Interest::READABLE, || received.take(&*stream, buffer)),
            Self::Unix(stream) => stream.try_io(Interest::READABLE, || received.take(&*stream, buffer)),
            Self::Tls(session) => return Self::read_session(session, cx, buffer),
        };
        match (received.0, tried) {
            (Some(length), _) => self.after(cx, length, length == buffer.len()),
            (None, Err(error)) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            // Nothing came: to be woken when something does, unless that is now.
            (None, _) => self.wait(cx, Read::Pending, Read::Full(0)),
        }
    }

    fn read_session(session: &mut Session, cx: &mut Context<'_>, buffer: &mut [u8]) -> io::Result<Read> {
        let mut into = ReadBuf::new(buffer);
        match session.poll_read(cx, &mut into) {
            Poll::Pending => Ok(Read::Pending),
            // What the socket has is not what the session has: only another read tells.
            Poll::Ready(result) => result.map(|()| match into.filled().len() {
                0 => Read::Eof,
                length => Read::Full(length),
            }),
        }
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
        self.wait(cx, Read::Drained(length), Read::Full(length))
    }

    /// Has the socket wake its owner: `then` if that is to come, `now` if there is something to read already.
    fn wait(&mut self, cx: &mut Context<'_>, then: Read, now: Read) -> io::Result<Read> {
        let ready = match self {
            Self::Tcp(stream) => stream.poll_read_ready(cx),
            Self::Unix(stream) => stream.poll_read_ready(cx),
            // What the socket has is not what the session has: only another read tells.
            Self::Tls(_) => return Ok(now),
        };
        match ready {
            Poll::Pending => Ok(then),
            Poll::Ready(result) => result.map(|()| now),
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
            Self::Tcp(stream) => stream.try_io(Interest::WRITABLE, || send(&*stream, bytes)),
            Self::Unix(stream) => stream.try_io(Interest::WRITABLE, || send(&*stream, bytes)),
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
