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
        let mut run = Run { at: 0, requests: 0 };
        let mut step = self.decoder.next(input);
        if let Step::Request {
            request: Request::Get(get),
            consumed,
        } = &step
            && *consumed == input.len()
            && get.touch.is_none()
            && get.keys.len() == 1
        {
            // One key asked for alone is the commonest buffer there is: answer it without gathering.
            execute::single(cx, get.keys.first(), get.with_cas, out);
            return Served {
                consumed: *consumed,
                requests: 1,
                next: Next::Read { additional: 1 },
            };
        }
        let mut gets = GetBatch::new();
        loop {
            let part = match &step {
                Step::Request {
                    request: Request::Get(get),
                    consumed,
                } if get.touch.is_none() => {
                    let skip = std::mem::take(&mut self.keys_answered);
                    run.at += consumed;
                    run.requests += 1;
                    gets.push(cx, get, skip, run.at, out, REPLIES_HIGH_BYTES)
                }
                _other => {
                    let part = gets.flush(cx, out, REPLIES_HIGH_BYTES);
                    if part == Retrieved::All
                        && let Some(next) = self.step(cx, &step, &mut run, out)
                    {
                        return run.served(next);
                    }
                    gets.answered_up_to(run.at);
                    part
                }
            };
            if let Retrieved::Part { consumed, keys } = part {
                return self.rewind(run, consumed, keys);
            }
            if run.requests >= requests_max || out.len() > REPLIES_HIGH_BYTES {
                if let Retrieved::Part { consumed, keys } = gets.flush(cx, out, REPLIES_HIGH_BYTES) {
                    return self.rewind(run, consumed, keys);
                }
                return run.served(Next::Again);
            }
            step = self.decoder.next(&input[run.at..]);
        }
    }

    /// The replies are full in the middle of the gathered gets: whatever was decoded after them will be decoded again.
    #[cold]
    fn rewind(&mut self, run: Run, consumed: usize, keys: usize) -> Served {
        self.decoder = RequestDecoder::new(self.decoder.limits());
        self.keys_answered = keys;
        Served {
            consumed,
            requests: run.requests,
            next: Next::Again,
        }
    }

    /// Executes anything but a plain retrieval. `Some` ends the run.
    #[inline]
    fn step(
        &mut self,
        cx: &mut Context<'_>,
        step: &Step<'_>,
        run: &mut Run,
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
struct Run {
    at: usize,
    requests: usize,
}

impl Run {
    fn served(self, next: Next) -> Served {
        Served {
            consumed: self.at,
            requests: self.requests,
            next,
        }
    }
}
