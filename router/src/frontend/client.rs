//! One client: its socket, what it has begun to say, and the replies it is owed. Knows nothing of routing.

use std::io;
use std::sync::Arc;
use std::task::{Context, Waker};

use bytes::BytesMut;
use protocol::{Limits, RequestDecoder};

use super::reply_queue::ReplyQueue;
use crate::worker::ready::SocketWaker;
use crate::worker::socket::Socket;

/// Requests of one client that may wait for replies before it is not read for a while.
const PLACES_MAX: usize = 4096;
/// Places that are allowed however large its replies are.
const PLACES_MIN: usize = 2;
/// Replies it may be expected to be owed, in bytes: what its replies' usual size makes of the places.
const OWED_MAX_BYTES: usize = 2 * 1024 * 1024;
/// What a new client's replies are taken to be like: few places until the replies tell.
const USUAL_AT_FIRST_BYTES: usize = 256 * 1024;
/// Replies it has not read, in bytes, before it is not read itself.
const UNREAD_MAX_BYTES: usize = 1024 * 1024;
/// Bytes of its requests that may wait for replies.
const COST_MAX_BYTES: usize = 8 * 1024 * 1024;
/// Replies it has not read, in bytes, at which it is let go: it asked for more than it reads, and that was not known
/// when the requests were sent.
pub(crate) const UNREAD_LIMIT_BYTES: usize = 256 * 1024 * 1024;
/// A buffer above this is not kept for the next client.
const BUFFER_KEPT_BYTES: usize = 64 * 1024;
/// Buffers kept for clients that are about to be answered.
const BUFFERS_KEPT: usize = 256;

/// A connected client.
#[derive(Debug)]
pub(crate) struct Client {
    pub socket: Socket,
    pub ready: Arc<SocketWaker>,
    pub waker: Waker,
    pub decoder: RequestDecoder,
    /// The beginning of a request whose rest has not come; or, while paused, requests not looked at yet.
    pub input: BytesMut,
    pub queue: ReplyQueue,
    /// Replies not sent yet; the first `sent` bytes are. Holds no memory when empty.
    pub out: Vec<u8>,
    pub sent: usize,
    /// Stands in the list of those that have something to be sent.
    pub dirty: bool,
    /// Is not read, because it does not read or is far ahead of its replies.
    pub paused: bool,
    /// The window in which it last sent something: see `Linger::sent`.
    pub sent_in: u32,
    /// Will not be read any more: closes when everything it is owed has been sent.
    pub closing: bool,
    /// A hash of its address, for routes that choose by it.
    pub from: u64,
    /// The usual size of its replies, in bytes: a moving average.
    usual: usize,
}

impl Client {
    pub(crate) fn new(socket: Socket, ready: Arc<SocketWaker>, limits: Limits, from: u64) -> Self {
        Self {
            socket,
            waker: Waker::from(Arc::clone(&ready)),
            ready,
            decoder: RequestDecoder::new(limits),
            input: BytesMut::new(),
            queue: ReplyQueue::default(),
            out: Vec::new(),
            sent: 0,
            dirty: false,
            paused: false,
            sent_in: 0,
            closing: false,
            from,
            usual: USUAL_AT_FIRST_BYTES,
        }
    }

    /// Replies it has been given and has not read, in bytes.
    pub(crate) fn unread(&self) -> usize {
        self.out.len() - self.sent + self.queue.stashed()
    }

    /// Whether it is too far ahead to be read on.
    pub(crate) fn is_ahead(&self) -> bool {
        self.queue.len() >= (OWED_MAX_BYTES / self.usual).clamp(PLACES_MIN, PLACES_MAX)
            || self.unread() > UNREAD_MAX_BYTES
            || self.queue.cost() > COST_MAX_BYTES
    }

    /// Whether a paused client may go on: well below the bounds, so that it does not stutter.
    pub(crate) fn may_go_on(&self) -> bool {
        self.queue.len() <= (OWED_MAX_BYTES / self.usual).clamp(PLACES_MIN, PLACES_MAX) / 2
            && self.unread() <= UNREAD_MAX_BYTES / 2
            && self.queue.cost() <= COST_MAX_BYTES / 2
    }

    /// Takes note of a reply's size.
    pub(crate) fn learn(&mut self, reply_len_bytes: usize) {
        self.usual = if reply_len_bytes > self.usual {
            // Large replies are what bounds are for: learned at once, forgotten slowly.
            reply_len_bytes.max(64)
        } else {
            ((self.usual * 7 + reply_len_bytes) / 8).max(64)
        };
    }

    /// Whether nothing is owed to it.
    pub(crate) fn is_settled(&self) -> bool {
        self.queue.is_empty() && self.out.len() == self.sent && !self.socket.holds_back()
    }

    /// Sends what there is, as far as the socket takes it; how many bytes that was.
    pub(crate) fn flush(&mut self, spares: &mut Buffers) -> io::Result<usize> {
        let mut cx = Context::from_waker(&self.waker);
        let written = self.socket.write(&mut cx, &self.out[self.sent..])?;
        self.sent += written;
        if self.sent == self.out.len() {
            self.sent = 0;
            spares.give_back(std::mem::take(&mut self.out));
        } else if self.sent > UNREAD_MAX_BYTES {
            self.out.drain(..self.sent);
            self.sent = 0;
        }
        Ok(written)
    }
}

/// Output buffers that nobody uses at the moment: idle clients hold none.
#[derive(Debug, Default)]
pub(crate) struct Buffers(Vec<Vec<u8>>);

impl Buffers {
    pub(crate) fn take(&mut self) -> Vec<u8> {
        self.0.pop().unwrap_or_default()
    }

    fn give_back(&mut self, mut buffer: Vec<u8>) {
        if self.0.len() < BUFFERS_KEPT && buffer.capacity() <= BUFFER_KEPT_BYTES {
            buffer.clear();
            self.0.push(buffer);
        }
    }
}
