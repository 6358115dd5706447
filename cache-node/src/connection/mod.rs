//! One client and its socket: read, serve everything complete, write once, wait. The decisions are `Session`'s.
//!
//! Buffers belong to the thread and are lent for the length of a batch, so that a silent client holds none. A client
//! that sent half a request keeps that half; one that does not take its replies keeps those and is not read from.

mod input;
mod socket;

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{self, Poll, ready};

use bytes::{Buf, BytesMut};
use protocol::Limits;
use rand::SeedableRng;
use rand::rngs::SmallRng;

use self::input::Input;
pub(crate) use self::socket::Socket;
use crate::clients::{Client, State};
use crate::clock::Stopwatch;
use crate::counters::Counters;
use crate::execute::Context;
use crate::feed::{Fed, Feed, Order};
use crate::latency::{Kind, Latency, SAMPLE_BATCHES};
use crate::node::Node;
use crate::session::{Next, Served, Session};

/// Why a connection ended.
#[derive(Debug)]
pub(crate) enum End {
    /// The client left, or asked us to close.
    Closed,
    /// The client could not be followed.
    HungUp,
    /// The client asked the node to stop.
    Shutdown,
    /// The socket failed.
    Broken(io::Error),
}

/// A connection, served to its end by being awaited. `worker` is the index of the thread that does it.
pub(crate) fn serve<'n, S>(stream: S, node: &'n Node, worker: usize, client: &'n Client) -> Connection<'n, S>
where
    S: Socket,
{
    let limits = Limits {
        value_len_bytes: usize::try_from(node.config.item_size_max_bytes).unwrap_or(usize::MAX),
        ..Limits::default()
    };
    Connection {
        stream,
        node,
        counters: &node.workers[worker].counters,
        client,
        latency: &node.workers[worker].latency,
        session: Session::new(limits, node.users.is_some()),
        feed: None,
        rest: Input::default(),
        unsent: BytesMut::new(),
        doing: Doing::Reading,
        turn_requests: 0,
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

/// One client being served. A future written by hand: everything from one wait to the next happens in one call with
/// one set of borrowed buffers, and while it waits it is nothing but these fields.
///
/// ```text
///            bytes come            replies ready          all taken
/// Reading ───────────────▶ serve ───────────────▶ write ───────────▶ Reading, Serving (more is here) or Closing
///                                                   │ client does not read: `unsent` waits, nothing else happens
/// ```
pub(crate) struct Connection<'n, S> {
    stream: S,
    node: &'n Node,
    counters: &'n Counters,
    client: &'n Client,
    latency: &'n Latency,
    session: Session,
    /// A reply that takes its time.
    feed: Option<Box<Feed<'n>>>,
    /// Input not yet served; empty while the client is idle.
    rest: Input,
    /// Replies the client has not taken yet.
    unsent: BytesMut,
    doing: Doing,
    /// Requests served since the last wait.
    turn_requests: usize,
}

/// What comes next once all replies are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doing {
    /// Wait for bytes.
    Reading,
    /// Serve what is here already.
    Serving,
    /// Send the next piece of the feed.
    Feeding,
    /// Close for this reason.
    Closing(Why),
}

/// Why a connection is closed by us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    /// The client asked for it, or the node is stopping.
    Asked,
    /// It could not be followed.
    Lost,
    /// It wants the whole node to stop.
    Shutdown,
}

impl<S: Socket> Future for Connection<'_, S> {
    type Output = End;

    fn poll(self: Pin<&mut Self>, task: &mut task::Context<'_>) -> Poll<End> {
        let this = self.get_mut();
        let mut scratch = Scratch::lend();
        let polled = this.advance(task, &mut scratch);
        scratch.give_back();
        polled.map(|end| end.unwrap_or_else(End::Broken))
    }
}

impl<S: Socket> Connection<'_, S> {
    /// Goes on until there is something to wait for. Leaves nothing in `scratch` that is still needed.
    fn advance(&mut self, task: &mut task::Context<'_>, scratch: &mut Scratch) -> Poll<io::Result<End>> {
        loop {
            if !self.unsent.is_empty() {
                ready!(self.send_unsent(task))?;
            }
            ready!(self.settle(task))?;
            match self.doing {
                Doing::Reading => {
                    if ready!(self.read(task, scratch))? == 0 {
                        return Poll::Ready(Ok(End::Closed));
                    }
                }
                Doing::Serving if self.turn_requests >= self.node.config.requests_per_turn => {
                    // A client that never stops sending must not keep the others waiting.
                    self.counters.conn_yields.add(1);
                    self.turn_requests = 0;
                    task.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Doing::Serving => {}
                Doing::Feeding => {
                    if let Some(end) = ready!(self.go_on_feeding(task, scratch))? {
                        return Poll::Ready(Ok(end));
                    }
                    continue;
                }
                Doing::Closing(why) => {
                    // The FIN follows the replies. Whether the client still hears it is its own affair.
                    let _gone_already = ready!(Pin::new(&mut self.stream).poll_shutdown(task));
                    return Poll::Ready(Ok(match why {
                        Why::Asked => End::Closed,
                        Why::Lost => End::HungUp,
                        Why::Shutdown => End::Shutdown,
                    }));
                }
            }
            let served = self.serve(scratch);
            self.turn_requests += served.requests;
            let mut additional = 0;
            self.doing = match served.next {
                Next::Read { additional: more } => {
                    additional = more;
                    Doing::Reading
                }
                Next::Again => Doing::Serving,
                Next::Close => Doing::Closing(Why::Asked),
                Next::HangUp => Doing::Closing(Why::Lost),
                Next::Shutdown => Doing::Closing(Why::Shutdown),
                Next::Feed(order) => self.begin_feed(order, &mut scratch.output),
            };
            self.keep_rest(scratch, additional);
            if self.doing == Doing::Reading {
                if self.rest.is_empty() && self.node.is_draining() {
                    self.doing = Doing::Closing(Why::Asked);
                } else if self.turn_requests >= self.node.config.requests_per_turn {
                    self.doing = Doing::Serving;
                }
            }
            self.send(task, scratch)?;
        }
    }

    /// Waits for bytes. All input is then in `rest` if that is a long one, else in the thread's buffer.
    fn read(&mut self, task: &mut task::Context<'_>, scratch: &mut Scratch) -> Poll<io::Result<usize>> {
        let in_rest = self.rest.len() > REST_COPY_BYTES;
        if !in_rest && !self.rest.is_empty() {
            scratch.input.append(self.rest.pending());
        }
        let input = if in_rest {
            &mut self.rest
        } else {
            &mut scratch.input
        };
        // The thread's buffer may have become this client's `rest` a moment ago. Reading into no room would look like
        // the end of the stream.
        if input.room().is_empty() {
            input.make_room(READ_BYTES);
        }
        let Poll::Ready(read) = self.stream.poll_receive(task, input.room()) else {
            self.turn_requests = 0;
            self.client.set_state(if self.rest.is_empty() {
                State::Idle
            } else {
                State::Reading
            });
            scratch.input.clear();
            return Poll::Pending;
        };
        let read = read?;
        input.filled(read);
        self.counters.bytes_read.add(read as u64);
        if !in_rest && !self.rest.is_empty() {
            self.rest = Input::default();
        }
        Poll::Ready(Ok(read))
    }

    /// Executes what is complete in the input.
    #[inline]
    fn serve(&mut self, scratch: &mut Scratch) -> Served {
        scratch.until_sample -= 1;
        if scratch.until_sample == 0 {
            return self.serve_timed(scratch);
        }
        self.serve_up_to(self.node.config.requests_per_turn, scratch)
    }

    /// Executes and times one request; those behind it have their turn afterwards.
    #[cold]
    fn serve_timed(&mut self, scratch: &mut Scratch) -> Served {
        scratch.until_sample = SAMPLE_BATCHES;
        let pending = if self.rest.is_empty() {
            &scratch.input
        } else {
            &self.rest
        };
        let kind = Kind::of(pending.pending());
        let watch = Stopwatch::start();
        let served = self.serve_up_to(1, scratch);
        if served.requests == 1 {
            self.latency.note(kind, watch.elapsed());
        }
        served
    }

    /// Executes at most so many requests of the input, wherever that is, and drops them from there.
    #[inline]
    fn serve_up_to(&mut self, requests_max: usize, scratch: &mut Scratch) -> Served {
        let Scratch {
            input, output, rng, ..
        } = scratch;
        let now = self.node.now();
        let at = self.node.store.seconds(now);
        let mut cx = Context {
            node: self.node,
            counters: self.counters,
            now,
            at,
            client: self.client.number(),
            rng,
        };
        let input = if self.rest.is_empty() {
            input
        } else {
            &mut self.rest
        };
        let served = self.session.serve(&mut cx, input.pending(), requests_max, output);
        if served.requests > 0 {
            self.client.requested_at(at);
        }
        input.consume(served.consumed);
        served
    }

    /// Puts aside what is left of the input, with room for the `additional` bytes expected.
    fn keep_rest(&mut self, scratch: &mut Scratch, additional: usize) {
        if self.rest.is_empty() {
            if scratch.input.is_empty() {
                if self.rest.is_allocated() {
                    // A request that had its own buffer is served: do not hold its memory.
                    self.rest = Input::default();
                }
                return;
            }
            self.rest = if scratch.input.len() <= REST_COPY_BYTES {
                Input::copy_of(scratch.input.pending())
            } else {
                std::mem::take(&mut scratch.input)
            };
            scratch.input.clear();
        }
        if self.rest.len() > REST_COPY_BYTES {
            // Doubling at most: a length is only an announcement until its bytes come.
            let ahead = self.rest.len().clamp(READ_BYTES, READ_AHEAD_BYTES);
            self.rest.make_room(additional.clamp(READ_BYTES, ahead));
        }
    }

    /// Sends the replies in one write; what the client does not take waits in `unsent`.
    fn send(&mut self, task: &mut task::Context<'_>, scratch: &mut Scratch) -> io::Result<()> {
        let output = &mut scratch.output;
        if output.is_empty() {
            return Ok(());
        }
        let written = match self.stream.poll_send(task, output) {
            Poll::Ready(written) => written?,
            // It asked to be woken; asking again in `send_unsent` does no harm.
            Poll::Pending => 0,
        };
        self.counters.bytes_written.add(written as u64);
        if written < output.len() {
            output.advance(written);
            self.unsent = std::mem::take(output);
        } else {
            output.clear();
        }
        Ok(())
    }

    fn send_unsent(&mut self, task: &mut task::Context<'_>) -> Poll<io::Result<()>> {
        while !self.unsent.is_empty() {
            let written = self.stream.poll_send(task, &self.unsent);
            if written.is_pending() {
                self.turn_requests = 0;
                self.client.set_state(State::Writing);
            }
            let written = ready!(written)?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.counters.bytes_written.add(written as u64);
            self.unsent.advance(written);
        }
        self.unsent = BytesMut::new();
        Poll::Ready(Ok(()))
    }

    /// Begins a reply that takes its time.
    #[cold]
    fn begin_feed(&mut self, order: Order, out: &mut BytesMut) -> Doing {
        let Some(feed) = Feed::begin(order, self.node, out) else {
            return Doing::Serving;
        };
        if feed.is_endless() {
            self.client.set_state(State::Watching);
        }
        self.feed = Some(Box::new(feed));
        Doing::Feeding
    }

    /// Sends one more piece, all before it being sent, and lets the others have a turn. `Some` if the client left.
    #[cold]
    fn go_on_feeding(
        &mut self,
        task: &mut task::Context<'_>,
        scratch: &mut Scratch,
    ) -> Poll<io::Result<Option<End>>> {
        let Some(feed) = self.feed.as_deref_mut() else {
            self.doing = Doing::Serving;
            return Poll::Ready(Ok(None));
        };
        let (fed, is_endless) = (
            feed.go_on(self.node, &mut scratch.output, task.waker()),
            feed.is_endless(),
        );
        self.send(task, scratch)?;
        match fed {
            Fed::More => {
                task.waker().wake_by_ref();
                if is_endless {
                    self.client.set_state(State::Watching);
                }
                Poll::Pending
            }
            Fed::Later => {
                // Whatever a watching client says, only its end matters.
                let said = ready!(self.stream.poll_receive(task, scratch.input.room()))?;
                Poll::Ready(Ok((said == 0).then_some(End::Closed)))
            }
            Fed::Done => {
                self.feed = None;
                self.doing = Doing::Serving;
                Poll::Ready(Ok(None))
            }
        }
    }

    /// Waits until the socket holds none of our replies any more. Only one that encrypts ever does.
    #[inline]
    fn settle(&mut self, task: &mut task::Context<'_>) -> Poll<io::Result<()>> {
        let settled = self.stream.poll_settle(task);
        if settled.is_pending() {
            self.turn_requests = 0;
            self.client.set_state(State::Writing);
        }
        settled
    }
}

/// What a thread lends to the connection it is serving.
struct Scratch {
    input: Input,
    output: BytesMut,
    rng: SmallRng,
    /// Batches until one is timed.
    until_sample: u16,
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
                input: Input::with_room(READ_BYTES),
                output: BytesMut::with_capacity(READ_BYTES),
                rng: SmallRng::from_rng(&mut rand::rng()),
                until_sample: SAMPLE_BATCHES,
            })
        })
    }

    fn give_back(mut self: Box<Self>) {
        self.input.clear();
        self.output.clear();
        if self.output.capacity() < READ_BYTES || self.output.capacity() > WRITE_KEEP_BYTES {
            self.output = BytesMut::with_capacity(READ_BYTES);
        }
        if !self.input.is_allocated() {
            self.input = Input::with_room(READ_BYTES);
        }
        SPARE.set(Some(self));
    }
}

#[cfg(test)]
mod tests;
