//! The connections as a core sees them: numbered lines with a pipe each, written to once per turn.

use std::io;
use std::net::SocketAddr;
use std::task::Waker;

use bytes::BytesMut;
use tokio::net::tcp::OwnedWriteHalf;

use crate::drive::pipe::{Item, Pipe};
use crate::workload::arrival::Nanos;

/// The connections, as a core sees them: numbered lines.
#[derive(Debug)]
pub struct Wires<T> {
    pub(super) lines: Vec<Line<T>>,
    pub(super) dirty: Vec<usize>,
    pub(super) rejected: Vec<(usize, T)>,
}

#[derive(Debug)]
pub(super) struct Line<T> {
    pub(super) pipe: Pipe<T>,
    pub(super) address: SocketAddr,
    pub(super) up: bool,
    pub(super) socket: Option<OwnedWriteHalf>,
    /// The socket took no more; the line's task waits until it does.
    pub(super) blocked: bool,
    pub(super) dirty: bool,
    /// Break the connection (stuck), or end the line (its target was removed).
    pub(super) orders: Orders,
    pub(super) waker: Option<Waker>,
    pub(super) last_error: Option<io::Error>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Orders {
    Serve,
    Break,
    End,
}

impl<T: Copy> Wires<T> {
    /// Whether requests on this line can be sent now.
    #[must_use]
    pub fn is_up(&self, line: usize) -> bool {
        self.lines[line].up
    }

    /// Unanswered requests of a line.
    #[must_use]
    pub fn in_flight(&self, line: usize) -> usize {
        self.lines[line].pipe.in_flight()
    }

    #[must_use]
    pub fn lines(&self) -> usize {
        self.lines.len()
    }

    pub fn get(&mut self, line: usize, key: &[u8], ticket: T, now: Nanos) {
        if let Some(pipe) = self.pipe(line, ticket) {
            pipe.get(key, ticket, now);
        }
    }

    /// See [`Pipe::get_or_lease`].
    pub fn get_or_lease(&mut self, line: usize, key: &[u8], lease: u32, ticket: T, now: Nanos) {
        if let Some(pipe) = self.pipe(line, ticket) {
            pipe.get_or_lease(key, lease, ticket, now);
        }
    }

    /// See [`Pipe::multiget`]. On a line that is down every ticket is rejected.
    pub fn multiget(&mut self, line: usize, mut keys: impl FnMut(&mut BytesMut) -> Option<T>, now: Nanos) {
        if self.is_up(line) {
            self.mark(line);
            self.lines[line].pipe.multiget(keys, now);
        } else {
            let mut scratch = BytesMut::new();
            while let Some(ticket) = keys(&mut scratch) {
                self.rejected.push((line, ticket));
                scratch.clear();
            }
        }
    }

    pub fn set(
        &mut self,
        line: usize,
        item: &Item<'_>,
        value: impl FnOnce(&mut BytesMut),
        ticket: T,
        now: Nanos,
    ) {
        if let Some(pipe) = self.pipe(line, ticket) {
            pipe.set(item, value, ticket, now);
        }
    }

    pub fn delete(&mut self, line: usize, key: &[u8], ticket: T, now: Nanos) {
        if let Some(pipe) = self.pipe(line, ticket) {
            pipe.delete(key, ticket, now);
        }
    }

    /// The pipe to write on, or the ticket is rejected.
    fn pipe(&mut self, line: usize, ticket: T) -> Option<&mut Pipe<T>> {
        if self.is_up(line) {
            self.mark(line);
            Some(&mut self.lines[line].pipe)
        } else {
            self.rejected.push((line, ticket));
            None
        }
    }

    fn mark(&mut self, line: usize) {
        if !std::mem::replace(&mut self.lines[line].dirty, true) {
            self.dirty.push(line);
        }
    }

    /// One write per line that has something to send.
    pub(super) fn flush(&mut self) {
        while let Some(line) = self.dirty.pop() {
            let line = &mut self.lines[line];
            line.dirty = false;
            if !line.blocked {
                line.flush();
            }
        }
    }
}

impl<T: Copy> Line<T> {
    /// Writes until everything is out or the socket is full. An error is left to the reader, who will see it too.
    pub(super) fn flush(&mut self) {
        let Some(socket) = &self.socket else { return };
        self.blocked = false;
        while !self.pipe.unsent().is_empty() {
            match socket.try_write(self.pipe.unsent()) {
                Ok(n) => self.pipe.sent(n),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.blocked = true;
                    break;
                }
                Err(_) => {
                    self.orders = self.orders.or_break();
                    break;
                }
            }
        }
        if self.blocked || self.orders != Orders::Serve {
            self.wake();
        }
    }

    pub(super) fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl Orders {
    pub(super) fn or_break(self) -> Self {
        if self == Self::Serve { Self::Break } else { self }
    }
}
