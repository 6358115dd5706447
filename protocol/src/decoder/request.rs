//! A client's bytes to requests.

use super::{Block, block, line};
use crate::error::ProtocolError;
use crate::limits::{GET_LEADING_BLANKS_MAX, Limits};
use crate::meta::{self, MetaKey};
use crate::parse::hot::{self, Verb};
use crate::parse::{self, Command};
use crate::request::{Get, Request, Store};

/// Reads requests from a client's bytes.
///
/// ```text
/// Start -- the first byte --> Line, or the end if it is the binary protocol's
/// Line --- a request, or an error without data ----> Line
/// Line --- a storage command, data incomplete -----> Block -- data complete --> Line
/// Line --- a bad storage command, length known ----> Swallow -- data passed --> Line
/// ```
#[derive(Debug)]
pub struct RequestDecoder {
    limits: Limits,
    state: State,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// Before the first byte of the connection, where the binary protocol would show itself.
    Start,
    /// At the start of a line whose first `searched` bytes hold no LF.
    Line { searched: usize },
    /// A good command line of `line_len` bytes waits for its `block_len` bytes of data.
    Block { line_len: usize, block_len: usize },
    /// `left` bytes of data are nobody's; then the error is told.
    Swallow {
        left: usize,
        error: ProtocolError,
        reply: bool,
    },
}

impl State {
    /// At the start of a line nobody has looked at.
    const LINE: Self = Self::Line { searched: 0 };
}

/// What the decoder found at the start of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step<'a> {
    /// A whole request.
    Request {
        /// It borrows from the input.
        request: Request<'a>,
        /// `&input[..consumed]` are its exact bytes.
        consumed: usize,
    },
    /// Bytes that are no request and have to be answered.
    Reject {
        /// What is wrong, and so the reply.
        error: ProtocolError,
        /// Whether it is sent: `false` when `noreply` hides it.
        reply: bool,
        /// How many bytes are done with.
        consumed: usize,
    },
    /// `set` or `ms` announced a value over the limit: whatever is stored under the key has to go, lest it outlive
    /// the value that should have replaced it. The [`Step::Reject`] follows once the data block has passed.
    Oversized {
        /// The key, as sent.
        key: MetaKey<'a>,
        /// How many bytes are done with: the command line.
        consumed: usize,
    },
    /// Part of a storage command that nobody will see: its line or a piece of its data block. The [`Step::Reject`]
    /// comes with the last piece.
    Skipped {
        /// How many bytes are done with.
        consumed: usize,
    },
    /// The input ends inside a request.
    NeedMore {
        /// At least this many bytes are missing; a hint for the next read. Never more than the longest value and its
        /// line end, or 16 KiB.
        additional: usize,
    },
    /// The stream cannot go on.
    Close {
        /// Why; `None` when it is nobody's mistake.
        error: Option<ProtocolError>,
    },
}

/// The largest hint given while data is thrown away: there is no use in reading it in one piece.
const SWALLOW_HINT_BYTES: usize = 16 * 1024;

/// A line this short, end included, is no command (`process_request`).
const LINE_LEN_MIN: usize = 4;

/// The first byte of every request of the binary protocol.
const BINARY_MAGIC: u8 = 0x80;

impl RequestDecoder {
    /// A decoder at the start of a connection.
    #[must_use]
    pub const fn new(limits: Limits) -> Self {
        Self {
            limits,
            state: State::Start,
        }
    }

    /// The bounds it was made with.
    #[must_use]
    pub const fn limits(&self) -> Limits {
        self.limits
    }

    /// Looks at `input`, which must start at the first byte not yet consumed. Everything it answers but
    /// [`Step::NeedMore`] and [`Step::Close`] is done with at least one byte.
    #[inline]
    pub fn next<'a>(&mut self, input: &'a [u8]) -> Step<'a> {
        if !matches!(self.state, State::Line { searched: 0 }) {
            return self.resume(input);
        }
        // The frequent lines are read on the spot, each straight into the step it becomes: a message that passes
        // through many hands is copied by each.
        let done = |rest: &[u8]| input.len() - rest.len();
        match hot::verb(input) {
            Verb::Get(args) => {
                if let Some((keys, rest)) = hot::keys(args)
                    && self.is_get_line(done(rest))
                {
                    let get = Get {
                        with_cas: false,
                        touch: None,
                        keys,
                    };
                    return Step::Request {
                        request: Request::Get(get),
                        consumed: done(rest),
                    };
                }
            }
            Verb::Set(args) => {
                if let Some(((store, block_len), rest)) = hot::set(args, self.limits.value_len_bytes)
                    && self.is_line(done(rest))
                    && let Block::Whole { data, end } = block(input, done(rest), block_len)
                {
                    let request = Request::Store(Store { data, ..store });
                    return Step::Request {
                        request,
                        consumed: end,
                    };
                }
            }
            Verb::MetaGet(args) => {
                if let Some((get, rest)) = hot::meta_get(args)
                    && self.is_line(done(rest))
                {
                    return Step::Request {
                        request: Request::MetaGet(get),
                        consumed: done(rest),
                    };
                }
            }
            Verb::MetaSet(args) => {
                if let Some(((set, block_len), rest)) = hot::meta_set(args, self.limits.value_len_bytes)
                    && self.is_line(done(rest))
                    && let Block::Whole { data, end } = block(input, done(rest), block_len)
                {
                    let request = Request::MetaSet(meta::Set { data, ..set });
                    return Step::Request {
                        request,
                        consumed: end,
                    };
                }
            }
            Verb::Gets(args) => {
                if let Some((keys, rest)) = hot::keys(args)
                    && self.is_get_line(done(rest))
                {
                    let get = Get {
                        with_cas: true,
                        touch: None,
                        keys,
                    };
                    return Step::Request {
                        request: Request::Get(get),
                        consumed: done(rest),
                    };
                }
            }
            Verb::Delete(args) => {
                if let Some((delete, rest)) = hot::delete(args)
                    && self.is_line(done(rest))
                {
                    return Step::Request {
                        request: Request::Delete(delete),
                        consumed: done(rest),
                    };
                }
            }
            Verb::MetaDelete(args) => {
                if let Some((delete, rest)) = hot::meta_delete(args)
                    && self.is_line(done(rest))
                {
                    return Step::Request {
                        request: Request::MetaDelete(delete),
                        consumed: done(rest),
                    };
                }
            }
            Verb::MetaNoop => {
                return Step::Request {
                    request: Request::MetaNoop,
                    consumed: "mn\r\n".len(),
                };
            }
            Verb::Seldom => {}
        }
        self.line(input, 0)
    }

    /// The same with every line read by the grammar: what [`RequestDecoder::next`] is held against.
    pub(crate) fn next_by_grammar<'a>(&mut self, input: &'a [u8]) -> Step<'a> {
        self.resume(input)
    }

    /// Whether a line of this length, end included, is within the limit: as many bytes may wait for their LF as the
    /// limit says; the LF may be the next.
    #[inline]
    const fn is_line(&self, wire_len: usize) -> bool {
        wire_len <= self.limits.line_len_bytes.saturating_add(1)
    }

    /// The same for get and gets.
    #[inline]
    const fn is_get_line(&self, wire_len: usize) -> bool {
        self.is_line(wire_len) || wire_len <= self.limits.get_line_len_bytes.saturating_add(1)
    }

    /// Goes on where the last call stopped.
    #[inline(never)]
    fn resume<'a>(&mut self, input: &'a [u8]) -> Step<'a> {
        match self.state {
            State::Start => match input.first() {
                None => Step::NeedMore { additional: 1 },
                Some(&BINARY_MAGIC) => Step::Close {
                    error: Some(ProtocolError::BinaryProtocol),
                },
                Some(_) => self.line(input, 0),
            },
            State::Line { searched } => self.line(input, searched),
            // When the data is all there, the line is read once more: what was read of it the first time borrowed
            // from bytes that may have moved.
            State::Block { line_len, block_len } => {
                match (line_len + block_len + 2).saturating_sub(input.len()) {
                    0 => self.line(input, line_len - 1),
                    additional => Step::NeedMore { additional },
                }
            }
            State::Swallow { left, error, reply } => self.swallow(input, left, error, reply),
        }
    }

    /// Reads any line by the grammar; its first `searched` bytes hold no LF.
    #[inline(never)]
    fn line<'a>(&mut self, input: &'a [u8], searched: usize) -> Step<'a> {
        let Some(line) = line(input, searched) else {
            return self.no_line(input);
        };
        let consumed = line.wire_len;
        self.state = State::LINE;
        if consumed < LINE_LEN_MIN {
            return Step::Reject {
                error: ProtocolError::BadCommandLine,
                reply: true,
                consumed,
            };
        }
        if consumed - 1 > self.line_len_max(input) {
            return Step::Close {
                error: Some(ProtocolError::LineTooLong),
            };
        }
        match parse::command(line.text, self.limits.value_len_bytes) {
            Command::Request(request) => Step::Request { request, consumed },
            Command::Block { request, block_len } => self.with_block(input, consumed, request, block_len),
            Command::Reject { error, reply } => Step::Reject {
                error,
                reply,
                consumed,
            },
            Command::RejectBlock {
                error,
                reply,
                block_len,
                oversized,
            } => {
                self.state = State::Swallow {
                    left: block_len + 2,
                    error,
                    reply,
                };
                match oversized {
                    Some(key) => Step::Oversized { key, consumed },
                    None => Step::Skipped { consumed },
                }
            }
            Command::Close(error) => Step::Close { error: Some(error) },
        }
    }

    /// A command line has been read and its data may be there.
    fn with_block<'a>(
        &mut self,
        input: &'a [u8],
        line_len: usize,
        request: Request<'a>,
        block_len: usize,
    ) -> Step<'a> {
        match block(input, line_len, block_len) {
            Block::Whole { data, end } => Step::Request {
                request: with_data(request, data),
                consumed: end,
            },
            Block::Bad { end } => {
                let reply = !request.noreply();
                Step::Reject {
                    error: ProtocolError::BadDataChunk,
                    reply,
                    consumed: end,
                }
            }
            Block::Missing(additional) => {
                self.state = State::Block { line_len, block_len };
                Step::NeedMore { additional }
            }
        }
    }

    #[cold]
    fn swallow<'a>(&mut self, input: &'a [u8], left: usize, error: ProtocolError, reply: bool) -> Step<'a> {
        match left.saturating_sub(input.len()) {
            0 => {
                self.state = State::LINE;
                Step::Reject {
                    error,
                    reply,
                    consumed: left,
                }
            }
            left if input.is_empty() => Step::NeedMore {
                additional: left.min(SWALLOW_HINT_BYTES),
            },
            left => {
                self.state = State::Swallow { left, error, reply };
                Step::Skipped {
                    consumed: input.len(),
                }
            }
        }
    }

    /// There is no LF yet, and perhaps there has been none for too long.
    #[cold]
    #[inline(never)]
    fn no_line<'a>(&mut self, input: &'a [u8]) -> Step<'a> {
        if input.len() > self.line_len_max(input) {
            return Step::Close {
                error: Some(ProtocolError::LineTooLong),
            };
        }
        self.state = State::Line {
            searched: input.len(),
        };
        Step::NeedMore { additional: 1 }
    }

    /// How many bytes of this line may wait for their LF.
    fn line_len_max(&self, input: &[u8]) -> usize {
        let blanks = input
            .iter()
            .take(GET_LEADING_BLANKS_MAX)
            .take_while(|byte| **byte == b' ')
            .count();
        let verb = input.get(blanks..).unwrap_or_default();
        let is_get = [b"get ".as_slice(), b"gets ", b"gat ", b"gats "]
            .iter()
            .any(|get| verb.starts_with(get));
        if is_get {
            self.limits.get_line_len_bytes.max(self.limits.line_len_bytes)
        } else {
            self.limits.line_len_bytes
        }
    }
}

/// Puts the data where it belongs.
#[inline]
fn with_data<'a>(request: Request<'a>, data: &'a [u8]) -> Request<'a> {
    match request {
        Request::Store(store) => Request::Store(Store { data, ..store }),
        Request::MetaSet(set) => Request::MetaSet(meta::Set { data, ..set }),
        other => other,
    }
}
