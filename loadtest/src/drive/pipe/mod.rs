//! One pipelined connection, without the socket: bytes to send, requests that wait for their reply in order, bytes
//! received. A ticket is whatever the caller wants back with the reply; one per key of a multiget.
//!
//! ```text
//! get(a b) set(c)  ->  queue [a][b,last][c]   VALUE a -> value(a)   END -> miss(b)   STORED -> done(c)
//! ```

use std::collections::VecDeque;

use bytes::{Buf, BytesMut};

use super::reply::{self, Reply, Step};
use crate::workload::arrival::Nanos;

/// How a request that is no retrieval ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    Stored,
    NotStored,
    Deleted,
    NotFound,
}

/// Why a request has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The server said `ERROR`, `CLIENT_ERROR` or `SERVER_ERROR`.
    Refused,
    /// No answer in time. The server may still carry it out.
    Timeout,
    /// The connection broke, or was not there.
    Disconnected,
    /// The answer was no protocol, or an answer to another question.
    Nonsense,
}

/// Hears what became of tickets.
pub trait Listener<T> {
    /// Whether `key`, as a server sent it, is the key of `ticket`.
    fn is_key(&mut self, ticket: &T, key: &[u8]) -> bool;
    fn value(&mut self, ticket: T, flags: u32, data: &[u8]);
    fn miss(&mut self, ticket: T);
    fn done(&mut self, ticket: T, done: Done);
    fn failed(&mut self, ticket: T, why: Failure);
    /// A lease: nothing is stored, and this client is the one to store it, under this cas unique.
    fn won(&mut self, ticket: T, cas: u64);
    /// Nothing is stored, and another client has been told to store it.
    fn lost(&mut self, ticket: T);
}

/// The stream cannot go on: a reply was no reply, or answered nothing that was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the server's bytes are no reply to what was asked")]
pub struct Broken;

/// What a set says before its bytes.
#[derive(Debug, Clone, Copy)]
pub struct Item<'a> {
    pub key: &'a [u8],
    pub flags: u32,
    /// Seconds; 0 is never.
    pub exptime: u32,
    pub value_len: usize,
    /// Only if the item still has this cas unique: a lease that is still good.
    pub lease: Option<u64>,
}

#[derive(Debug)]
struct Waiting<T> {
    ticket: T,
    sent: Nanos,
    /// The last key of a retrieval (END follows), or a request that is none.
    kind: Kind,
    /// Told `Timeout` already; its reply is read and dropped.
    given_up: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Key,
    LastKey,
    Other,
    Lease,
}

#[derive(Debug)]
pub struct Pipe<T> {
    out: BytesMut,
    input: BytesMut,
    waiting: VecDeque<Waiting<T>>,
    /// The last key of the retrieval being read had its value: only END is missing.
    only_end: bool,
}

impl<T> Default for Pipe<T> {
    fn default() -> Self {
        Self {
            out: BytesMut::new(),
            input: BytesMut::new(),
            waiting: VecDeque::new(),
            only_end: false,
        }
    }
}

impl<T: Copy> Pipe<T> {
    /// Asks for one key.
    pub fn get(&mut self, key: &[u8], ticket: T, now: Nanos) {
        self.line(&[b"get ", key]);
        self.wait(Kind::LastKey, ticket, now);
    }

    /// Asks for one key; if it is not there, one of all who ask within `lease` seconds is told to store it.
    pub fn get_or_lease(&mut self, key: &[u8], lease: u32, ticket: T, now: Nanos) {
        let mut digits = itoa::Buffer::new();
        self.line(&[b"mg ", key, b" v f c N", digits.format(lease).as_bytes()]);
        self.wait(Kind::Lease, ticket, now);
    }

    /// Asks for several keys in one request: `keys` is called with a place to append each key (and the blank before
    /// it is written for it) until it returns `None`. No key, no request.
    pub fn multiget(&mut self, mut keys: impl FnMut(&mut BytesMut) -> Option<T>, now: Nanos) {
        let (start, first) = (self.out.len(), self.waiting.len());
        self.out.extend_from_slice(b"get");
        loop {
            let before = self.out.len();
            self.out.extend_from_slice(b" ");
            match keys(&mut self.out) {
                Some(ticket) => self.wait(Kind::Key, ticket, now),
                None => {
                    self.out.truncate(before);
                    break;
                }
            }
        }
        if self.waiting.len() == first {
            self.out.truncate(start);
            return;
        }
        self.out.extend_from_slice(b"\r\n");
        if let Some(last) = self.waiting.back_mut() {
            last.kind = Kind::LastKey;
        }
    }

    /// Stores the bytes that `value` appends: as many as `item` says.
    pub fn set(&mut self, item: &Item<'_>, value: impl FnOnce(&mut BytesMut), ticket: T, now: Nanos) {
        let mut digits = itoa::Buffer::new();
        let (flags, exptime, len) = (
            u64::from(item.flags),
            u64::from(item.exptime),
            item.value_len as u64,
        );
        let (verb, numbers) = match item.lease {
            None => (&b"set "[..], [(" ", flags), (" ", exptime), (" ", len), ("", 0)]),
            Some(cas) => (
                &b"ms "[..],
                [(" ", len), (" F", flags), (" T", exptime), (" C", cas)],
            ),
        };
        self.out.extend_from_slice(verb);
        self.out.extend_from_slice(item.key);
        for (before, number) in numbers.into_iter().filter(|(before, _)| !before.is_empty()) {
            self.out.extend_from_slice(before.as_bytes());
            self.out.extend_from_slice(digits.format(number).as_bytes());
        }
        self.out.extend_from_slice(b"\r\n");
        let start = self.out.len();
        value(&mut self.out);
        debug_assert_eq!(self.out.len() - start, item.value_len);
        self.out.extend_from_slice(b"\r\n");
        self.wait(Kind::Other, ticket, now);
    }

    pub fn delete(&mut self, key: &[u8], ticket: T, now: Nanos) {
        self.line(&[b"delete ", key]);
        self.wait(Kind::Other, ticket, now);
    }

    fn line(&mut self, words: &[&[u8]]) {
        for word in words {
            self.out.extend_from_slice(word);
        }
        self.out.extend_from_slice(b"\r\n");
    }

    /// A request was written whose reply comes after those of all that wait already.
    fn wait(&mut self, kind: Kind, ticket: T, now: Nanos) {
        self.waiting.push_back(Waiting {
            ticket,
            sent: now,
            kind,
            given_up: false,
        });
    }

    /// Bytes not yet handed to the socket.
    #[must_use]
    pub fn unsent(&self) -> &[u8] {
        &self.out
    }

    /// The socket took the first `n` of them.
    pub fn sent(&mut self, n: usize) {
        self.out.advance(n);
        if self.out.is_empty() {
            // Gives the room back instead of growing for ever behind the cursor.
            self.out.clear();
        }
    }

    /// Where received bytes are appended.
    pub fn input(&mut self) -> &mut BytesMut {
        &mut self.input
    }

    /// Requests (keys, in a multiget) without an answer.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.waiting.len()
    }

    /// Tells `listener` every answer that has come whole.
    pub fn read(&mut self, listener: &mut impl Listener<T>) -> Result<(), Broken> {
        let mut at = 0;
        let result = loop {
            match reply::next(&self.input[at..]) {
                Step::NeedMore => break Ok(()),
                Step::Broken => break Err(Broken),
                Step::Reply { reply, consumed } => {
                    if !answer(&mut self.waiting, &mut self.only_end, &reply, listener) {
                        break Err(Broken);
                    }
                    at += consumed;
                }
            }
        };
        self.input.advance(at);
        result
    }

    /// Gives up on what was sent before `before` and is still unanswered.
    pub fn give_up(&mut self, before: Nanos, listener: &mut impl Listener<T>) {
        // Replies come in order and so were sends: the first that is young enough ends the search.
        for waiting in self
            .waiting
            .iter_mut()
            .take_while(|waiting| waiting.sent < before)
        {
            if !waiting.given_up {
                waiting.given_up = true;
                listener.failed(waiting.ticket, Failure::Timeout);
            }
        }
    }

    /// When the oldest unanswered request was sent.
    #[must_use]
    pub fn oldest(&self) -> Option<Nanos> {
        self.waiting.front().map(|waiting| waiting.sent)
    }

    /// The connection is gone: everything that waits has failed, and a new stream begins.
    pub fn reset(&mut self, why: Failure, listener: &mut impl Listener<T>) {
        self.out.clear();
        self.input.clear();
        self.only_end = false;
        for waiting in self.waiting.drain(..) {
            if !waiting.given_up {
                listener.failed(waiting.ticket, why);
            }
        }
    }
}

/// Gives one reply to whom it belongs; false if it belongs to nobody.
fn answer<T: Copy>(
    queue: &mut VecDeque<Waiting<T>>,
    only_end: &mut bool,
    reply: &Reply<'_>,
    listener: &mut impl Listener<T>,
) -> bool {
    match *reply {
        Reply::Value { key, flags, data } => {
            if *only_end {
                return false;
            }
            // Keys are answered in the order asked; those passed over are misses.
            while let Some(waiting) = queue.front() {
                let (ticket, kind, given_up) = (waiting.ticket, waiting.kind, waiting.given_up);
                if matches!(kind, Kind::Other | Kind::Lease) {
                    return false;
                }
                let found = listener.is_key(&ticket, key);
                if !found && kind == Kind::LastKey {
                    return false;
                }
                queue.pop_front();
                match (given_up, found) {
                    (true, _) => {}
                    (false, true) => listener.value(ticket, flags, data),
                    (false, false) => listener.miss(ticket),
                }
                if found {
                    *only_end = kind == Kind::LastKey;
                    return true;
                }
            }
            false
        }
        Reply::End => {
            if std::mem::take(only_end) {
                return true;
            }
            while let Some(waiting) =
                queue.pop_front_if(|waiting| matches!(waiting.kind, Kind::Key | Kind::LastKey))
            {
                if !waiting.given_up {
                    listener.miss(waiting.ticket);
                }
                if waiting.kind == Kind::LastKey {
                    return true;
                }
            }
            false
        }
        Reply::Error(_) => {
            // In place of END, perhaps after some values: the rest of the retrieval has failed with it.
            if std::mem::take(only_end) {
                return true;
            }
            while let Some(waiting) = queue.pop_front() {
                if !waiting.given_up {
                    listener.failed(waiting.ticket, Failure::Refused);
                }
                if waiting.kind != Kind::Key {
                    return true;
                }
            }
            false
        }
        Reply::Meta { code, flags, data } => meta(queue, code, flags, data, listener),
        Reply::Stored => simple(queue, Done::Stored, listener),
        Reply::NotStored => simple(queue, Done::NotStored, listener),
        Reply::Deleted => simple(queue, Done::Deleted, listener),
        Reply::NotFound => simple(queue, Done::NotFound, listener),
    }
}

fn meta<T: Copy>(
    queue: &mut VecDeque<Waiting<T>>,
    code: [u8; 2],
    flags: &[u8],
    data: &[u8],
    listener: &mut impl Listener<T>,
) -> bool {
    let stored = match &code {
        b"HD" => Done::Stored,
        b"NS" | b"EX" | b"NF" => Done::NotStored,
        _ => {
            let Some(waiting) = queue.pop_front_if(|waiting| waiting.kind == Kind::Lease) else {
                return false;
            };
            if !waiting.given_up {
                leased(waiting.ticket, code, flags, data, listener);
            }
            return true;
        }
    };
    simple(queue, stored, listener)
}

/// A value, a lease won, or a lease somebody else has. Without a lease (`EN`) the server knows none: a plain miss.
fn leased<T>(ticket: T, code: [u8; 2], flags: &[u8], data: &[u8], listener: &mut impl Listener<T>) {
    let of = |letter: u8| {
        flags
            .split(|byte| *byte == b' ')
            .find(|flag| flag.first() == Some(&letter))
    };
    let number = |letter: u8| -> Option<u64> { str::from_utf8(&of(letter)?[1..]).ok()?.parse().ok() };
    if &code != b"VA" {
        listener.miss(ticket);
    } else if of(b'W').is_some() {
        match number(b'c') {
            Some(cas) => listener.won(ticket, cas),
            None => listener.failed(ticket, Failure::Nonsense),
        }
    } else if of(b'Z').is_some() && data.is_empty() {
        listener.lost(ticket);
    } else {
        match number(b'f').map(u32::try_from) {
            Some(Ok(client_flags)) => listener.value(ticket, client_flags, data),
            _ => listener.failed(ticket, Failure::Nonsense),
        }
    }
}

fn simple<T: Copy>(queue: &mut VecDeque<Waiting<T>>, done: Done, listener: &mut impl Listener<T>) -> bool {
    match queue.pop_front_if(|waiting| waiting.kind == Kind::Other) {
        Some(waiting) => {
            if !waiting.given_up {
                listener.done(waiting.ticket, done);
            }
            true
        }
        None => false,
    }
}

#[cfg(test)]
mod tests;
