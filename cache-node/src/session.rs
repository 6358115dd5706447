//! One client's conversation without its socket: bytes in, reply bytes and the next wish out. Keeps nothing but the
//! decoder's place in the stream, so that an idle client costs almost nothing.

use bytes::BytesMut;
use protocol::meta::KeyScratch;
use protocol::{Get, Limits, ProtocolError, Request, RequestDecoder, Step};

use crate::execute::{self, Context, Gat, GetBatch, Outcome, Retrieved};

/// Replies gathered before they are sent although more requests wait: bounds the buffer to this and one value.
pub(crate) const REPLIES_HIGH_BYTES: usize = 256 << 10;

/// Where the conversation stands.
#[derive(Debug)]
pub(crate) struct Session {
    decoder: RequestDecoder,
    /// Keys of the retrieval at the front of the input that are answered already.
    keys_answered: usize,
}

/// What one call of [`Session::serve`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Served {
    /// Bytes of input done with.
    pub(crate) consumed: usize,
    /// Whole requests executed.
    pub(crate) requests: usize,
    /// What the connection should do once the replies are sent.
    pub(crate) next: Next,
}

/// What a connection should do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Read at least this many bytes more.
    Read { additional: usize },
    /// Serve again: the input holds more, and the replies or the turn were full.
    Again,
    /// Send what is queued, then close.
    Close,
    /// Send what is queued, close, and stop the node.
    Shutdown,
}

impl Session {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            decoder: RequestDecoder::new(limits),
            keys_answered: 0,
        }
    }

    /// Executes every complete request at the start of `input`, up to `requests_max`, and appends the replies.
    pub(crate) fn serve(
        &mut self,
        cx: &mut Context<'_>,
        input: &[u8],
        requests_max: usize,
        out: &mut BytesMut,
    ) -> Served {
        let mut run = Run {
            input,
            at: 0,
            requests: 0,
            requests_max,
        };
        loop {
            let step = self.decoder.next(&input[run.at..]);
            let ended = match &step {
                Step::Request {
                    request: Request::Get(get),
                    consumed,
                } if get.touch.is_none() => self.retrieve(cx, get, *consumed, &mut run, out),
                _other => self.step(cx, &step, &mut run, out),
            };
            if let Some(next) = ended {
                return run.served(next);
            }
            if run.at == input.len() {
                return run.served(Next::Read { additional: 1 });
            }
            if run.requests >= requests_max || out.len() > REPLIES_HIGH_BYTES {
                return run.served(Next::Again);
            }
        }
    }

    /// Answers a plain retrieval that ends `consumed` bytes from here, and all that follow it in one piece: looked up
    /// together, their cache misses overlap. `Some` ends the run.
    #[inline]
    fn retrieve<'a>(
        &mut self,
        cx: &mut Context<'_>,
        first: &Get<'a>,
        consumed: usize,
        run: &mut Run<'a>,
        out: &mut BytesMut,
    ) -> Option<Next> {
        run.at += consumed;
        run.requests += 1;
        if run.at == run.input.len() && first.keys.len() == 1 {
            // One key asked for alone is the commonest buffer there is.
            execute::single(cx, first.keys.first(), first.with_cas, out);
            return None;
        }
        let mut gets = GetBatch::new(first.with_cas, run.at - consumed);
        let skip = std::mem::take(&mut self.keys_answered);
        let mut part = gets.push(cx, first.keys, skip, run.at, out, REPLIES_HIGH_BYTES);
        let mut beyond = None;
        while part == Retrieved::All && run.requests < run.requests_max && run.at < run.input.len() {
            match self.decoder.next(&run.input[run.at..]) {
                Step::Request {
                    request: Request::Get(get),
                    consumed,
                } if get.touch.is_none() && get.with_cas == first.with_cas => {
                    run.at += consumed;
                    run.requests += 1;
                    part = gets.push(cx, get.keys, 0, run.at, out, REPLIES_HIGH_BYTES);
                }
                other => {
                    beyond = Some(other);
                    break;
                }
            }
        }
        if part == Retrieved::All {
            part = gets.flush(cx, out, REPLIES_HIGH_BYTES);
        }
        if let Retrieved::Part { consumed, keys } = part {
            // Whatever was decoded behind the place where the replies got full will be decoded again.
            self.decoder = RequestDecoder::new(self.decoder.limits());
            self.keys_answered = keys;
            run.at = consumed;
            return Some(Next::Again);
        }
        match beyond? {
            // Gets of the other kind begin a batch of their own.
            Step::Request {
                request: Request::Get(Get { touch: None, .. }),
                ..
            } => None,
            step => self.step(cx, &step, run, out),
        }
    }

    /// Executes anything but a plain retrieval. `Some` ends the run.
    #[inline(always)]
    fn step(
        &mut self,
        cx: &mut Context<'_>,
        step: &Step<'_>,
        run: &mut Run<'_>,
        out: &mut BytesMut,
    ) -> Option<Next> {
        match step {
            Step::Request {
                request:
                    Request::Get(Get {
                        touch: Some(exptime),
                        keys,
                        with_cas,
                    }),
                consumed,
            } => {
                let skip = std::mem::take(&mut self.keys_answered);
                let touch = Gat {
                    exptime: *exptime,
                    keys: *keys,
                    with_cas: *with_cas,
                };
                if let Some(keys) = execute::gat(cx, touch, skip, out, REPLIES_HIGH_BYTES) {
                    self.keys_answered = keys;
                    return Some(Next::Again);
                }
                run.at += consumed;
            }
            Step::Request { request, consumed } => {
                run.at += consumed;
                match execute::run(cx, request, out) {
                    Outcome::Continue => {}
                    Outcome::Close => return Some(Next::Close),
                    Outcome::Shutdown => return Some(Next::Shutdown),
                }
            }
            Step::Reject {
                error,
                reply,
                consumed,
            } => {
                run.at += consumed;
                cx.counters.protocol_errors.add(1);
                if *error == ProtocolError::ValueTooLarge {
                    cx.counters.store_too_large.add(1);
                }
                if *reply {
                    out.extend_from_slice(error.reply());
                }
            }
            Step::Oversized { key, consumed } => {
                run.at += consumed;
                let mut scratch = KeyScratch::new();
                execute::forget(cx, key.decode(&mut scratch).as_bytes());
                return None;
            }
            Step::Skipped { consumed } => {
                run.at += consumed;
                return None;
            }
            Step::NeedMore { additional } => {
                return Some(Next::Read {
                    additional: *additional,
                });
            }
            Step::Close { error } => {
                cx.counters.protocol_closes.add(1);
                if *error == Some(ProtocolError::BinaryProtocol) {
                    out.extend_from_slice(BINARY_REFUSED);
                }
                return Some(Next::Close);
            }
        }
        run.requests += 1;
        None
    }
}

/// memcached hangs up on what it cannot follow; a binary client at least leaves a trace in somebody's packet dump.
const BINARY_REFUSED: &[u8] = b"CLIENT_ERROR this server speaks the text protocol, not the binary one\r\n";

/// How far a call of [`Session::serve`] has come.
#[derive(Clone, Copy)]
struct Run<'a> {
    input: &'a [u8],
    at: usize,
    requests: usize,
    requests_max: usize,
}

impl Run<'_> {
    fn served(self, next: Next) -> Served {
        Served {
            consumed: self.at,
            requests: self.requests,
            next,
        }
    }
}
