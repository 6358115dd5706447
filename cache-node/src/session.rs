//! One client's conversation without its socket: bytes in, reply bytes and the next wish out. Keeps nothing but the
//! decoder's place in the stream, so that an idle client costs almost nothing.

use bytes::BytesMut;
use protocol::meta::KeyScratch;
use protocol::{Get, Limits, ProtocolError, Request, RequestDecoder, Step};

use crate::execute::{self, Context, Gat, GetBatch, Outcome, Retrieved, observed};
use crate::feed::Order;
use crate::login::{self, Attempt};

/// Replies gathered before they are sent although more requests wait: bounds the buffer to this and one value.
pub(crate) const REPLIES_HIGH_BYTES: usize = 256 << 10;

/// Where the conversation stands.
#[derive(Debug)]
pub(crate) struct Session {
    decoder: RequestDecoder,
    /// Keys of the retrieval at the front of the input that are answered already.
    keys_answered: usize,
    /// Whether the client has yet to say who it is.
    must_log_in: bool,
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
    /// The same, because of bytes that could not be followed.
    HangUp,
    /// Send what is queued, close, and stop the node.
    Shutdown,
    /// Send what is queued, then a feed.
    Feed(Order),
}

impl From<Outcome> for Option<Next> {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Continue => None,
            Outcome::Close => Some(Next::Close),
            Outcome::Shutdown => Some(Next::Shutdown),
            Outcome::Feed(order) => Some(Next::Feed(order)),
        }
    }
}

impl Session {
    pub(crate) fn new(limits: Limits, must_log_in: bool) -> Self {
        Self {
            decoder: RequestDecoder::new(limits),
            keys_answered: 0,
            must_log_in,
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
        if self.must_log_in
            && let Some(next) = self.log_in(cx, &mut run, out)
        {
            return run.served(next);
        }
        let is_observed = cx.node.is_observed();
        loop {
            let step = self.decoder.next(&input[run.at..]);
            let ended = match &step {
                step if is_observed => self.observed(cx, step, &mut run, out),
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

    /// Serves a client that has not said who it is. `None` once it has, and more input is here.
    #[cold]
    fn log_in(&mut self, cx: &mut Context<'_>, run: &mut Run<'_>, out: &mut BytesMut) -> Option<Next> {
        while self.must_log_in {
            match login::attempt(&run.input[run.at..]) {
                Attempt::NeedMore { additional } => return Some(Next::Read { additional }),
                Attempt::HangUp => {
                    cx.counters.protocol_closes.add(1);
                    return Some(Next::HangUp);
                }
                Attempt::Refused { reply, consumed } => {
                    run.at += consumed;
                    out.extend_from_slice(reply);
                }
                Attempt::Token {
                    user,
                    password,
                    consumed,
                } => {
                    run.at += consumed;
                    cx.counters.auth_cmds.add(1);
                    let known = &cx.node.users;
                    if known.as_ref().is_none_or(|known| known.allow(user, password)) {
                        self.must_log_in = false;
                        out.extend_from_slice(b"STORED\r\n");
                    } else {
                        cx.counters.auth_errors.add(1);
                        out.extend_from_slice(b"CLIENT_ERROR authentication failure\r\n");
                    }
                }
            }
            run.requests += 1;
            if run.requests >= run.requests_max {
                return Some(Next::Again);
            }
        }
        (run.at == run.input.len()).then_some(Next::Read { additional: 1 })
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

    /// Executes anything while somebody wants to know what requests do. `Some` ends the run.
    #[cold]
    fn observed<'a>(
        &mut self,
        cx: &mut Context<'_>,
        step: &Step<'a>,
        run: &mut Run<'a>,
        out: &mut BytesMut,
    ) -> Option<Next> {
        match step {
            Step::Request {
                request: Request::Get(get),
                ..
            } if self.keys_answered == 0 => observed::retrieval(cx, get),
            Step::Oversized { key, .. } => {
                let mut scratch = KeyScratch::new();
                observed::too_large(cx, key.decode(&mut scratch).as_bytes());
            }
            _other => {}
        }
        match step {
            Step::Request {
                request: Request::Get(get @ Get { touch: None, .. }),
                consumed,
            } => {
                // One at a time: those behind it in a batch would go unseen.
                let mut gets = GetBatch::new(get.with_cas, run.at);
                run.at += consumed;
                run.requests += 1;
                let skip = std::mem::take(&mut self.keys_answered);
                let mut part = gets.push(cx, get.keys, skip, run.at, out, REPLIES_HIGH_BYTES);
                if part == Retrieved::All {
                    part = gets.flush(cx, out, REPLIES_HIGH_BYTES);
                }
                let Retrieved::Part { consumed, keys } = part else {
                    return None;
                };
                self.keys_answered = keys;
                run.at = consumed;
                Some(Next::Again)
            }
            Step::Request {
                request:
                    request @ (Request::Store(_)
                    | Request::Delete(_)
                    | Request::Arith(_)
                    | Request::Touch(_)
                    | Request::MetaGet(_)
                    | Request::MetaSet(_)
                    | Request::MetaDelete(_)
                    | Request::MetaArith(_)),
                consumed,
            } => {
                run.at += consumed;
                run.requests += 1;
                let before = out.len();
                let observed = observed::before(cx, request);
                let outcome = execute::answer(cx, request, out);
                if let Some(observed) = observed {
                    observed.after(cx, &out[before..]);
                }
                if request.noreply() {
                    out.truncate(before);
                }
                outcome.into()
            }
            other => self.step(cx, other, run, out),
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
                let ended: Option<Next> = execute::run(cx, request, out).into();
                if ended.is_some() {
                    return ended;
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
                return Some(Next::HangUp);
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
