//! One client and its socket: read, serve everything complete, write once, wait. The decisions are `Session`'s.
//!
//! Buffers belong to the thread and are lent for the length of a batch, so that a silent client holds none. A client
//! that sent half a request keeps that half; one that does not take its replies keeps those and is not read from.

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::task::Poll;

use bytes::{Buf, BytesMut};
use protocol::Limits;
use rand::SeedableRng;
use rand::rngs::SmallRng;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::clients::{Client, State};
use crate::execute::Context;
use crate::node::Node;
use crate::session::{Next, Served, Session};

/// Why a connection ended.
#[derive(Debug)]
pub(crate) enum End {
    /// The client left, or asked us to close, or could not be followed.
    Closed,
    /// The client asked the node to stop.
    Shutdown,
    /// The socket failed.
    Broken(io::Error),
}

/// Serves one client to its end. `worker` is the index of the thread that does it.
pub(crate) async fn serve<S>(stream: S, node: &Node, worker: usize, client: &Client) -> End
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let limits = Limits {
        value_len_bytes: usize::try_from(node.config.item_size_max_bytes).unwrap_or(usize::MAX),
        ..Limits::default()
    };
    let session = Session::new(limits);
    let mut connection = Connection {
        stream,
        node,
        worker,
        client,
        session,
        rest: BytesMut::new(),
    };
    match connection.run().await {
        Ok(end) => end,
        Err(error) => End::Broken(error),
    }
}

/// Bytes read at once: the whole of a deep pipeline.
const READ_BYTES: usize = 64 << 10;
/// Half a request up to this size is copied aside when its client falls silent; a longer one keeps its buffer.
const REST_COPY_BYTES: usize = 4 << 10;
/// A reply buffer that grew beyond this is given back to the allocator.
const WRITE_KEEP_BYTES: usize = 512 << 10;
/// The most a buffer grows before the bytes for it have come, whatever length the client announced.
const READ_AHEAD_BYTES: usize = 1 << 20;

struct Connection<'n, S> {
    stream: S,
    node: &'n Node,
    worker: usize,
    client: &'n Client,
    session: Session,
    /// Input not yet served; empty while the client is idle.
    rest: BytesMut,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<'_, S> {
    async fn run(&mut self) -> io::Result<End> {
        let counters = &self.node.workers[self.worker].counters;
        let mut turn_requests = 0;
        loop {
            let (mut scratch, read, waited) = self.read().await;
            let read = read?;
            if read == 0 {
                scratch.give_back();
                return Ok(End::Closed);
            }
            counters.bytes_read.add(read as u64);
            if waited {
                turn_requests = 0;
            }
            loop {
                let served = self.serve(&mut scratch);
                turn_requests += served.requests;
                if !scratch.output.is_empty() {
                    self.write(&mut scratch).await?;
                }
                match served.next {
                    Next::Read { additional } => {
                        self.keep_rest(scratch, additional);
                        break;
                    }
                    Next::Again if turn_requests < self.node.config.requests_per_turn => {}
                    Next::Again => {
                        self.keep_rest(scratch, 0);
                        counters.conn_yields.add(1);
                        turn_requests = 0;
                        tokio::task::yield_now().await;
                        scratch = Scratch::lend();
                    }
                    Next::Close | Next::Shutdown => {
                        scratch.give_back();
                        // The FIN must follow the replies; what the client sent beyond is not ours to answer.
                        let _gone_already = self.stream.shutdown().await;
                        return Ok(if served.next == Next::Close {
                            End::Closed
                        } else {
                            End::Shutdown
                        });
                    }
                }
            }
            if self.rest.is_empty() && self.node.is_draining() {
                let _gone_already = self.stream.shutdown().await;
                return Ok(End::Closed);
            }
            if turn_requests >= self.node.config.requests_per_turn {
                // A client that never stops sending must not keep the others waiting.
                counters.conn_yields.add(1);
                turn_requests = 0;
                tokio::task::yield_now().await;
            }
        }
    }

    /// Waits for bytes; answers the thread's buffers, how many bytes came, and whether there was a wait.
    /// All input is then in `rest` if that is a long one, else in the thread's input buffer.
    async fn read(&mut self) -> (Box<Scratch>, io::Result<usize>, bool) {
        self.client.set_state(if self.rest.is_empty() {
            State::Idle
        } else {
            State::Reading
        });
        let (stream, rest) = (&mut self.stream, &mut self.rest);
        let mut waited = false;
        let (scratch, read) = poll_fn(|task| {
            let mut scratch = Scratch::lend();
            let in_rest = rest.len() > REST_COPY_BYTES;
            if !in_rest && !rest.is_empty() {
                scratch.input.extend_from_slice(rest);
            }
            let input = if in_rest { &mut *rest } else { &mut scratch.input };
            match pin!(stream.read_buf(input)).poll(task) {
                Poll::Pending => {
                    waited = true;
                    scratch.give_back();
                    Poll::Pending
                }
                Poll::Ready(read) => {
                    if !in_rest && !rest.is_empty() {
                        *rest = BytesMut::new();
                    }
                    Poll::Ready((scratch, read))
                }
            }
        })
        .await;
        (scratch, read, waited)
    }

    /// Executes what is complete in the input, wherever that is, and drops it from there.
    fn serve(&mut self, scratch: &mut Scratch) -> Served {
        let Scratch { input, output, rng } = scratch;
        let own_rest = !self.rest.is_empty();
        let now = self.node.clock.now();
        let at = self.node.store.seconds(now);
        let counters = &self.node.workers[self.worker].counters;
        let mut cx = Context {
            node: self.node,
            counters,
            now,
            at,
            rng,
        };
        let bytes = if own_rest { &self.rest[..] } else { &input[..] };
        let served = self
            .session
            .serve(&mut cx, bytes, self.node.config.requests_per_turn, output);
        if served.requests > 0 {
            self.client.requested_at(at);
        }
        let input = if own_rest { &mut self.rest } else { input };
        if served.consumed == input.len() {
            input.clear();
        } else {
            input.advance(served.consumed);
        }
        served
    }

    /// Sends all replies, waiting for the client to take them if it must.
    async fn write(&mut self, scratch: &mut Scratch) -> io::Result<()> {
        let counters = &self.node.workers[self.worker].counters;
        let mut written = 0;
        while written < scratch.output.len() {
            let part = poll_fn(|task| {
                let part = Pin::new(&mut self.stream).poll_write(task, &scratch.output[written..]);
                if part.is_pending() {
                    self.client.set_state(State::Writing);
                }
                part
            });
            match part.await? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                part => written += part,
            }
        }
        counters.bytes_written.add(written as u64);
        scratch.output.clear();
        Ok(())
    }

    /// Puts aside what is left of the input, with room for the `additional` bytes expected, and gives the buffers back.
    fn keep_rest(&mut self, mut scratch: Box<Scratch>, additional: usize) {
        if self.rest.is_empty() {
            self.rest = if scratch.input.is_empty() {
                // A request that had its own buffer is served: do not hold its memory.
                BytesMut::new()
            } else if scratch.input.len() <= REST_COPY_BYTES {
                BytesMut::from(&scratch.input[..])
            } else {
                std::mem::take(&mut scratch.input)
            };
        }
        if self.rest.len() > REST_COPY_BYTES {
            // Doubling at most: a length is only an announcement until its bytes come.
            let ahead = self.rest.len().clamp(READ_BYTES, READ_AHEAD_BYTES);
            self.rest.reserve(additional.clamp(READ_BYTES, ahead));
        }
        scratch.give_back();
    }
}

/// What a thread lends to the connection it is serving.
struct Scratch {
    input: BytesMut,
    output: BytesMut,
    rng: SmallRng,
}

thread_local! {
    /// One set of buffers per thread is enough while clients take their replies; a second one, lent while somebody
    /// makes us wait, is freed when it comes back.
    static SPARE: Cell<Option<Box<Scratch>>> = const { Cell::new(None) };
}

impl Scratch {
    /// Empty buffers with room to read into.
    fn lend() -> Box<Self> {
        SPARE.take().unwrap_or_else(|| {
            Box::new(Self {
                input: BytesMut::with_capacity(READ_BYTES),
                output: BytesMut::with_capacity(READ_BYTES),
                rng: SmallRng::from_rng(&mut rand::rng()),
            })
        })
    }

    fn give_back(mut self: Box<Self>) {
        self.input.clear();
        self.output.clear();
        if self.output.capacity() > WRITE_KEEP_BYTES {
            self.output = BytesMut::with_capacity(READ_BYTES);
        }
        // Advancing gave up the front of the buffer; reserving takes it back without a new allocation.
        self.input.reserve(READ_BYTES);
        SPARE.set(Some(self));
    }
}

#[cfg(test)]
mod tests;
