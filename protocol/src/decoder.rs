//! Bytes in, messages out, in whatever pieces the bytes come.

use crate::error::ProtocolError;
use crate::limits::Limits;
use crate::meta::MetaKey;
use crate::request::Request;
use crate::response::Response;

/// Reads requests from a client's bytes.
#[derive(Debug)]
pub struct RequestDecoder {
    limits: Limits,
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
    /// A piece of a data block that nobody will see. Its [`Step::Reject`] comes with the last piece.
    Skipped {
        /// How many bytes are done with.
        consumed: usize,
    },
    /// The input ends inside a request.
    NeedMore {
        /// At least this many bytes are missing; a hint for the next read.
        additional: usize,
    },
    /// The stream cannot go on.
    Close {
        /// Why; `None` when it is nobody's mistake.
        error: Option<ProtocolError>,
    },
}

impl RequestDecoder {
    /// A decoder at the start of a connection.
    #[must_use]
    pub const fn new(limits: Limits) -> Self {
        Self { limits }
    }

    /// The bounds it was made with.
    #[must_use]
    pub const fn limits(&self) -> Limits {
        self.limits
    }

    /// Looks at `input`, which must start at the first byte not yet consumed.
    pub fn next<'a>(&mut self, input: &'a [u8]) -> Step<'a> {
        let _ = input;
        Step::NeedMore { additional: 1 }
    }
}

/// Reads replies from a server's bytes.
#[derive(Debug)]
pub struct ResponseDecoder {
    reply_len_bytes: usize,
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

impl ResponseDecoder {
    /// The longest data block it will wait for unless told otherwise: memcached's largest `-I`, 1 GiB.
    pub const REPLY_LEN_BYTES: usize = 1024 * 1024 * 1024;

    /// A decoder at the start of a connection, which takes values up to `reply_len_bytes`.
    #[must_use]
    pub const fn new(reply_len_bytes: usize) -> Self {
        Self { reply_len_bytes }
    }

    /// Looks at `input`, which must start at the first byte not yet consumed.
    pub fn next<'a>(&mut self, input: &'a [u8]) -> ResponseStep<'a> {
        let _ = (input, self.reply_len_bytes);
        ResponseStep::NeedMore { additional: 1 }
    }
}

impl Default for ResponseDecoder {
    fn default() -> Self {
        Self::new(Self::REPLY_LEN_BYTES)
    }
}
