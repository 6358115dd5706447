//! A worker's clients: taken up, read, answered, parted with.

use std::io;
use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::task::Context;

use bytes::{Buf, BytesMut};
use tracing::debug;

use super::SCRATCH_BYTES;
use super::arena::Id;
use super::core::Core;
use super::ready::{SocketWaker, Token};
use super::socket::{Read, Socket};
use crate::frontend::Client;
use crate::frontend::client::UNREAD_LIMIT_BYTES;
use crate::frontend::dispatch::Consumed;

/// Reads of one client in one turn before others get theirs.
const READS_PER_TURN: usize = 4;

impl Core {
    /// A new client.
    pub(super) fn welcome(&mut self, socket: Socket, peer: Option<IpAddr>) {
        let counters = &self.front.counters;
        if self.shared.clients.load(Ordering::Relaxed) >= self.settings.max_connections {
            counters.connections_rejected.add(1);
            if let Socket::Tcp(stream) = &socket {
                // A courtesy: nobody waits for it to arrive.
                let _ = stream.try_write(protocol::encode::response::TOO_MANY_CONNECTIONS);
            }
            return;
        }
        self.shared.clients.fetch_add(1, Ordering::Relaxed);
        counters.connections_accepted.add(1);
        counters.connections_open.add(1);
        let (ready, limits) = (&self.ready, self.settings.limits);
        let from = peer.map_or(0, |ip| cluster::spooky64(ip.to_string().as_bytes()));
        let id = self.front.clients.insert_with(|id| {
            let waker = SocketWaker::new(Token::Client(id.index()), ready);
            Client::new(socket, waker, limits, from)
        });
        if let Some(client) = self.front.clients.get(id) {
            client.ready.queue();
        }
    }
    /// Reads a client, and sends its requests on their ways.
    pub(super) fn client_ready(&mut self, index: u32, scratch: &mut [u8]) {
        let Some(id) = self.front.clients.id_at(index) else {
            return;
        };
        let Some(client) = self.front.clients.get_mut(id) else {
            return;
        };
        client.ready.taken();
        self.linger.sent(&mut client.sent_in);
        if client.out.len() > client.sent || client.closing {
            self.front.mark(id);
        }
        for _ in 0..READS_PER_TURN {
            let Some(client) = self.front.clients.get_mut(id) else {
                return;
            };
            if client.closing || client.paused {
                // Nothing is read, so nobody else goes on with what a session holds back.
                if client.socket.holds_back() {
                    self.front.mark(id);
                }
                return;
            }
            match read(client, scratch) {
                Ok((Read::Pending, _)) => return,
                Ok((Read::Eof, _)) => {
                    client.closing = true;
                    self.front.mark(id);
                    return;
                }
                Ok((Read::Full(length), Into::Scratch)) => {
                    self.front.counters.bytes_read.add(length as u64);
                    self.take_scratch(id, &scratch[..length]);
                }
                Ok((Read::Drained(length), Into::Scratch)) => {
                    self.front.counters.bytes_read.add(length as u64);
                    self.take_scratch(id, &scratch[..length]);
                    return;
                }
                Ok((Read::Full(length), Into::Input)) => {
                    self.front.counters.bytes_read.add(length as u64);
                    self.take_input(id);
                }
                Ok((Read::Drained(length), Into::Input)) => {
                    self.front.counters.bytes_read.add(length as u64);
                    self.take_input(id);
                    return;
                }
                Err(error) => {
                    debug!(%error, "client gone");
                    self.part_with(id);
                    return;
                }
            }
        }
        if let Some(client) = self.front.clients.get(id) {
            client.ready.queue();
        }
    }
    /// Requests that were read into the worker's own room: what is left over moves to the client's.
    fn take_scratch(&mut self, id: Id<Client>, bytes: &[u8]) {
        let consumed = self.requests(id, bytes);
        let Some(client) = self.front.clients.get_mut(id) else {
            return;
        };
        match consumed {
            Consumed::Waiting { used, additional } => {
                if used < bytes.len() {
                    client
                        .input
                        .reserve(bytes.len() - used + additional.min(SCRATCH_BYTES));
                    client.input.extend_from_slice(&bytes[used..]);
                }
            }
            Consumed::Paused { used } => {
                client.input.extend_from_slice(&bytes[used..]);
                self.pause(id);
            }
            Consumed::Closing => {
                client.closing = true;
                self.front.mark(id);
            }
        }
    }

    /// Requests that lie in the client's own room.
    fn take_input(&mut self, id: Id<Client>) {
        let Some(client) = self.front.clients.get_mut(id) else {
            return;
        };
        let mut input = std::mem::take(&mut client.input);
        let consumed = self.requests(id, &input);
        let Some(client) = self.front.clients.get_mut(id) else {
            return;
        };
        match consumed {
            Consumed::Waiting { used, additional } => {
                if used < input.len() {
                    input.advance(used);
                    input.reserve(additional.clamp(4096, 1024 * 1024));
                    client.input = input;
                }
            }
            Consumed::Paused { used } => {
                input.advance(used);
                client.input = input;
                self.pause(id);
            }
            Consumed::Closing => {
                client.closing = true;
                self.front.mark(id);
            }
        }
    }

    fn pause(&mut self, id: Id<Client>) {
        if let Some(client) = self.front.clients.get_mut(id)
            && !client.paused
        {
            client.paused = true;
            self.front.counters.paused.add(1);
            self.front.mark(id);
        }
    }
    pub(super) fn flush_clients(&mut self) {
        let mut dirty = std::mem::take(&mut self.front.dirty);
        for id in dirty.drain(..) {
            let Some(client) = self.front.clients.get_mut(id) else {
                continue;
            };
            client.dirty = false;
            let over = client.unread() > UNREAD_LIMIT_BYTES;
            let sent = client.flush(&mut self.front.buffers);
            match sent {
                Ok(written) if !over => self.front.counters.bytes_written.add(written as u64),
                _ => {
                    self.part_with(id);
                    continue;
                }
            }
            let Some(client) = self.front.clients.get_mut(id) else {
                continue;
            };
            // What a paused client had asked before the drain is still to be looked at.
            if client.closing && client.is_settled() && !client.paused {
                self.part_with(id);
            } else if client.paused && client.may_go_on() {
                client.paused = false;
                if !client.input.is_empty() {
                    self.take_input(id);
                }
                if let Some(client) = self.front.clients.get(id) {
                    client.ready.queue();
                }
            }
        }
        if self.front.dirty.is_empty() {
            self.front.dirty = dirty;
        }
    }

    pub(super) fn part_with(&mut self, id: Id<Client>) {
        if self.front.clients.remove(id).is_some() {
            self.front.counters.connections_open.sub(1);
            self.shared.clients.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Reads no client any more: each closes when it has its replies.
    pub(super) fn close_gently(&mut self, scratch: &mut [u8]) {
        let all: Vec<_> = self.front.clients.iter().map(|(id, _)| id).collect();
        for id in all {
            // What it has asked already is still answered.
            self.client_ready(id.index(), scratch);
            if let Some(client) = self.front.clients.get_mut(id) {
                client.closing = true;
            }
            self.front.mark(id);
        }
    }
}

/// Whose room a read went to.
enum Into {
    Scratch,
    Input,
}

fn read(client: &mut Client, scratch: &mut [u8]) -> io::Result<(Read, Into)> {
    let mut cx = Context::from_waker(&client.waker);
    if client.input.is_empty() {
        return Ok((client.socket.read(&mut cx, scratch)?, Into::Scratch));
    }
    if client.input.capacity() == client.input.len() {
        client.input.reserve(SCRATCH_BYTES);
    }
    let read = client.socket.read_more(&mut cx, &mut client.input)?;
    if client.input.is_empty() {
        client.input = BytesMut::new();
    }
    Ok((read, Into::Input))
}
