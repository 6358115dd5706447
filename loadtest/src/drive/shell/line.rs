//! A line's task: connect, serve until it breaks, connect again.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use super::wires::Orders;
use super::{At, Core, Ear, Inner, State};
use crate::drive::pipe::Failure;

const READ_LEN: usize = 16 * 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
const RECONNECT_MIN: Duration = Duration::from_millis(5);
const RECONNECT_MAX: Duration = Duration::from_millis(250);

/// A line's task: connect, serve until it breaks, connect again.
pub(super) async fn keep_connected<C: Core>(inner: Rc<Inner<C>>, number: usize) {
    let address = inner.state.borrow().wires.lines[number].address;
    let mut pause = RECONNECT_MIN;
    loop {
        match connect(address).await {
            Ok((read, write)) => {
                pause = RECONNECT_MIN;
                {
                    let mut state = inner.state.borrow_mut();
                    state.wires.lines[number].socket = Some(write);
                    state.wires.lines[number].up = true;
                    let now = inner.now();
                    inner.turn(&mut state, now);
                }
                inner.connected.notify_waiters();
                let error = serve(&inner, number, read).await;
                inner.hang_up(number, error);
            }
            Err(error) => inner.state.borrow_mut().wires.lines[number].last_error = Some(error),
        }
        if inner.state.borrow().wires.lines[number].orders == Orders::End {
            return;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(RECONNECT_MAX);
    }
}

async fn connect(address: SocketAddr) -> io::Result<(OwnedReadHalf, OwnedWriteHalf)> {
    let stream = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await??;
    stream.set_nodelay(true)?;
    Ok(stream.into_split())
}

/// Reads until the connection ends, and says why it did.
async fn serve<C: Core>(inner: &Inner<C>, number: usize, mut read: OwnedReadHalf) -> io::Error {
    poll_fn(|cx| {
        loop {
            let state = &mut inner.state.borrow_mut();
            let line = &mut state.wires.lines[number];
            if line.orders != Orders::Serve {
                return Poll::Ready(io::ErrorKind::ConnectionAborted.into());
            }
            if line.blocked && read.as_ref().poll_write_ready(cx).is_ready() {
                line.flush();
            }
            match poll_read(&mut read, line.pipe.input(), cx) {
                Poll::Pending => {
                    match &mut line.waker {
                        Some(waker) => waker.clone_from(cx.waker()),
                        none => *none = Some(cx.waker().clone()),
                    }
                    return Poll::Pending;
                }
                Poll::Ready(Ok(0)) => return Poll::Ready(io::ErrorKind::UnexpectedEof.into()),
                Poll::Ready(Err(error)) => return Poll::Ready(error),
                Poll::Ready(Ok(_)) => {
                    let now = inner.now();
                    let State { core, wires, .. } = &mut **state;
                    let heard = wires.lines[number].pipe.read(&mut Ear {
                        core,
                        at: At { now, line: number },
                    });
                    if let Err(broken) = heard {
                        return Poll::Ready(io::Error::new(io::ErrorKind::InvalidData, broken));
                    }
                    inner.turn(state, now);
                }
            }
        }
    })
    .await
}

fn poll_read(
    read: &mut OwnedReadHalf,
    input: &mut BytesMut,
    cx: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    input.reserve(READ_LEN);
    // The future keeps no state between polls, so making it anew each time loses nothing.
    pin!(read.read_buf(input)).poll(cx)
}

impl<C: Core> Inner<C> {
    /// The connection is gone: fail what waited on it and let the core go on.
    fn hang_up(&self, number: usize, error: io::Error) {
        let now = self.now();
        let mut state = self.state.borrow_mut();
        let State { core, wires, .. } = &mut *state;
        let line = &mut wires.lines[number];
        line.socket = None;
        line.up = false;
        line.blocked = false;
        if line.orders == Orders::Break {
            line.orders = Orders::Serve;
        }
        let why = if error.kind() == io::ErrorKind::InvalidData {
            Failure::Nonsense
        } else {
            Failure::Disconnected
        };
        tracing::debug!(address = %line.address, %error, "connection ended");
        line.last_error = Some(error);
        line.pipe.reset(
            why,
            &mut Ear {
                core,
                at: At { now, line: number },
            },
        );
        self.turn(&mut state, now);
    }
}
