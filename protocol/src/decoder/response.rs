//! A server's bytes to replies.

use super::{Block, Line, block, line};
use crate::error::ProtocolError;
use crate::meta;
use crate::parse::hot_reply::{self as hot, Hot};
use crate::parse::reply::{self, Reply};
use crate::response::Response;

/// Reads replies from a server's bytes.
#[derive(Debug)]
pub struct ResponseDecoder {
    reply_len_bytes: usize,
    state: State,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// At the start of a line whose first `searched` bytes hold no LF.
    Line { searched: usize },
    /// A line of `line_len` bytes waits for its `block_len` bytes of data.
    Block { line_len: usize, block_len: usize },
}

/// What the decoder found at the start of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResponseStep<'a> {
    /// A whole reply line with its data block.
    Response {
        /// It borrows from the input.
        response: Response<'a>,
        /// `&input[..consumed]` are its exact bytes.
        consumed: usize,
    },
    /// The input ends inside a reply.
    NeedMore {
        /// At least this many bytes are missing; a hint for the next read.
        additional: usize,
    },
    /// Nobody can tell where the next reply starts: the connection is of no more use.
    Broken(ProtocolError),
}

/// The longest reply line, in bytes. The longest of memcached's are those of a dump: a key, percent-encoded, and a
/// dozen numbers.
const LINE_LEN_BYTES: usize = 64 * 1024;

impl ResponseDecoder {
    /// The longest data block it will wait for unless told otherwise: memcached's largest `-I`, 1 GiB.
    pub const REPLY_LEN_BYTES: usize = 1024 * 1024 * 1024;

    /// A decoder at the start of a connection, which takes values up to `reply_len_bytes`.
    #[must_use]
    pub const fn new(reply_len_bytes: usize) -> Self {
        Self {
            reply_len_bytes,
            state: State::Line { searched: 0 },
        }
    }

    /// Looks at `input`, which must start at the first byte not yet consumed. A response is done with at least one
    /// byte.
    #[inline]
    pub fn next<'a>(&mut self, input: &'a [u8]) -> ResponseStep<'a> {
        if !matches!(self.state, State::Line { searched: 0 }) {
            return self.resume(input);
        }
        match hot::reply(input) {
            Hot::Line(response, consumed) => return ResponseStep::Response { response, consumed },
            Hot::Value(rest) => {
                if let Some(((key, flags, len, cas), rest)) = hot::value(rest)
                    && let Some((data, consumed)) = self.hot_block(input, input.len() - rest.len(), len)
                {
                    return ResponseStep::Response {
                        response: Response::Value {
                            key,
                            flags,
                            cas,
                            data,
                        },
                        consumed,
                    };
                }
            }
            Hot::MetaValue(rest) => {
                if let Some(((len, flags), rest)) = hot::meta_value(rest)
                    && let Some((data, consumed)) = self.hot_block(input, input.len() - rest.len(), len)
                {
                    let response = meta::Response {
                        code: meta::Code::Va,
                        data: Some(data),
                        flags,
                    };
                    return ResponseStep::Response {
                        response: Response::Meta(response),
                        consumed,
                    };
                }
            }
            Hot::Seldom => {}
        }
        self.line(input, 0)
    }

    /// The data of a block, and where it ends; `None` if anything about it is unusual.
    #[inline]
    fn hot_block<'a>(&self, input: &'a [u8], line_len: usize, block_len: usize) -> Option<(&'a [u8], usize)> {
        if line_len > LINE_LEN_BYTES || block_len > self.reply_len_bytes {
            return None;
        }
        match block(input, line_len, block_len) {
            Block::Whole { data, end } => Some((data, end)),
            Block::Bad { .. } | Block::Missing(_) => None,
        }
    }

    /// The same with every line read in full: what [`ResponseDecoder::next`] is held against.
    pub(crate) fn next_in_full<'a>(&mut self, input: &'a [u8]) -> ResponseStep<'a> {
        self.resume(input)
    }

    /// Goes on where the last call stopped.
    #[inline(never)]
    fn resume<'a>(&mut self, input: &'a [u8]) -> ResponseStep<'a> {
        match self.state {
            State::Line { searched } => self.line(input, searched),
            State::Block { line_len, block_len } => {
                match (line_len + block_len + 2).saturating_sub(input.len()) {
                    0 => self.line(input, line_len - 1),
                    additional => ResponseStep::NeedMore { additional },
                }
            }
        }
    }

    /// Reads any line; its first `searched` bytes hold no LF.
    #[inline(never)]
    fn line<'a>(&mut self, input: &'a [u8], searched: usize) -> ResponseStep<'a> {
        let Some(Line { text, wire_len }) = line(input, searched) else {
            return self.no_line(input);
        };
        if wire_len > LINE_LEN_BYTES {
            return ResponseStep::Broken(ProtocolError::ReplyTooLarge);
        }
        self.state = State::Line { searched: 0 };
        match reply::reply(text) {
            Reply::Line(response) => ResponseStep::Response {
                response,
                consumed: wire_len,
            },
            Reply::Block { response, block_len } => self.with_block(input, wire_len, response, block_len),
            Reply::Malformed => ResponseStep::Broken(ProtocolError::BadReplyLine),
        }
    }

    fn with_block<'a>(
        &mut self,
        input: &'a [u8],
        line_len: usize,
        response: Response<'a>,
        block_len: usize,
    ) -> ResponseStep<'a> {
        if block_len > self.reply_len_bytes {
            return ResponseStep::Broken(ProtocolError::ReplyTooLarge);
        }
        match block(input, line_len, block_len) {
            Block::Whole { data, end } => ResponseStep::Response {
                response: reply::with_data(response, data),
                consumed: end,
            },
            Block::Bad { .. } => ResponseStep::Broken(ProtocolError::BadReplyBlock),
            Block::Missing(additional) => {
                self.state = State::Block { line_len, block_len };
                ResponseStep::NeedMore { additional }
            }
        }
    }

    #[cold]
    #[inline(never)]
    fn no_line<'a>(&mut self, input: &'a [u8]) -> ResponseStep<'a> {
        if input.len() >= LINE_LEN_BYTES {
            return ResponseStep::Broken(ProtocolError::ReplyTooLarge);
        }
        self.state = State::Line {
            searched: input.len(),
        };
        ResponseStep::NeedMore { additional: 1 }
    }
}

impl Default for ResponseDecoder {
    fn default() -> Self {
        Self::new(Self::REPLY_LEN_BYTES)
    }
}
