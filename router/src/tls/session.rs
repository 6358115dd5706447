//! One TLS session, read and written by polling as a plain socket is.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::{Accept, TlsStream};

use super::Handshakes;

/// One TLS session, read and written by polling.
pub(crate) struct Session {
    state: State,
    /// Something written is still on our side.
    unflushed: bool,
}

enum State {
    Accepting(Box<Accept<TcpStream>>, Arc<Handshakes>),
    Open(Box<TlsStream<TcpStream>>),
    Failed,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Session")
    }
}

impl Session {
    pub(super) fn open(stream: TlsStream<TcpStream>) -> Self {
        Self {
            state: State::Open(Box::new(stream)),
            unflushed: false,
        }
    }

    pub(super) fn accepting(accept: Accept<TcpStream>, handshakes: Arc<Handshakes>) -> Self {
        Self {
            state: State::Accepting(Box::new(accept), handshakes),
            unflushed: false,
        }
    }

    /// The stream once hands are shaken.
    fn stream(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<&mut TlsStream<TcpStream>>> {
        if let State::Accepting(accept, handshakes) = &mut self.state {
            let accepted = std::task::ready!(Pin::new(accept.as_mut()).poll(cx));
            handshakes.clients.of(&accepted);
            self.state = match accepted {
                Ok(stream) => State::Open(Box::new(TlsStream::Server(stream))),
                Err(error) => {
                    self.state = State::Failed;
                    return Poll::Ready(Err(error));
                }
            };
        }
        match &mut self.state {
            State::Open(stream) => Poll::Ready(Ok(stream)),
            State::Accepting(..) | State::Failed => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.unflushed {
            // Its waker is the reader's: whoever is woken to write comes by here.
            self.flush(cx)?;
        }
        let stream = std::task::ready!(self.stream(cx))?;
        match std::task::ready!(Pin::new(stream).poll_read(cx, into)) {
            // Clients and servers of this protocol close without a word.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Poll::Ready(Ok(())),
            read => Poll::Ready(read),
        }
    }

    /// The same, behind what `buffer` already holds, into its spare room.
    pub(crate) fn poll_read_buf(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut BytesMut,
    ) -> Poll<io::Result<usize>> {
        if self.unflushed {
            self.flush(cx)?;
        }
        let stream = std::task::ready!(self.stream(cx))?;
        match std::task::ready!(std::pin::pin!(stream.read_buf(buffer)).poll(cx)) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Poll::Ready(Ok(0)),
            read => Poll::Ready(read),
        }
    }

    pub(crate) fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let stream = std::task::ready!(self.stream(cx))?;
        Pin::new(stream).poll_write(cx, bytes)
    }

    /// Sends what is still on our side, as far as the socket takes it.
    pub(crate) fn flush(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let flushed = match self.stream(cx)? {
            Poll::Ready(stream) => Pin::new(stream).poll_flush(cx),
            Poll::Pending => Poll::Pending,
        };
        self.unflushed = flushed.is_pending();
        match flushed {
            Poll::Ready(done) => done,
            Poll::Pending => Ok(()),
        }
    }

    /// Whether something written is still on our side.
    pub(crate) const fn holds_back(&self) -> bool {
        self.unflushed
    }

    pub(crate) fn tcp(&self) -> Option<&TcpStream> {
        match &self.state {
            State::Open(stream) => Some(stream.get_ref().0),
            State::Accepting(..) | State::Failed => None,
        }
    }
}
