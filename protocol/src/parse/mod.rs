//! One command line, already cut at its LF, to what it asks for.
//!
//! The grammar is nom's, in the files beside this one; `hot.rs` reads the most frequent lines by hand and is held
//! equal to it by `testing::check_requests`. Nothing here waits for bytes: that is the decoder's.

mod admin;
mod arith;
pub(crate) mod hot;
pub(crate) mod hot_reply;
mod meta;
mod number;
pub(crate) mod reply;
mod retrieval;
mod storage;
mod token;

pub(crate) use meta::flags;

use crate::error::ProtocolError;
use crate::meta::MetaKey;
use crate::request::Request;

/// What a command line turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Command<'a> {
    /// A whole request.
    Request(Request<'a>),
    /// A request whose `block_len` bytes of data, and the CR LF behind them, come next.
    Block { request: Request<'a>, block_len: usize },
    /// No request; what follows is read as the next line.
    Reject { error: ProtocolError, reply: bool },
    /// No request, but it is known how many bytes of data have to be thrown away. An `oversized` value displaces
    /// what is stored under the key.
    RejectBlock {
        error: ProtocolError,
        reply: bool,
        block_len: usize,
        oversized: Option<MetaKey<'a>>,
    },
    /// Nothing more is to be read from this client.
    Close(ProtocolError),
}

impl Command<'_> {
    /// A rejection that is always told.
    const fn reject(error: ProtocolError) -> Self {
        Self::Reject { error, reply: true }
    }
}

/// Reads one line, without its end, by the grammar. Its length on the wire, end included, was at least 4 bytes.
pub(crate) fn command(line: &[u8], value_len_bytes: usize) -> Command<'_> {
    let (verb, args) = crate::scan::token(line);
    let parsed = match verb {
        b"get" => retrieval::get(args, false),
        b"gets" => retrieval::get(args, true),
        b"gat" => retrieval::gat(args, false),
        b"gats" => retrieval::gat(args, true),
        b"set" => storage::storage(args, storage::Kind::Set, value_len_bytes),
        b"add" => storage::storage(args, storage::Kind::Add, value_len_bytes),
        b"replace" => storage::storage(args, storage::Kind::Replace, value_len_bytes),
        b"append" => storage::storage(args, storage::Kind::Append, value_len_bytes),
        b"prepend" => storage::storage(args, storage::Kind::Prepend, value_len_bytes),
        b"cas" => storage::storage(args, storage::Kind::Cas, value_len_bytes),
        b"delete" => arith::delete(args),
        b"incr" => arith::incr(args),
        b"decr" => arith::decr(args),
        b"touch" => arith::touch(args),
        b"mg" => meta::get(args),
        b"ms" => meta::set(args, value_len_bytes),
        b"md" => meta::delete(args),
        b"ma" => meta::arith(args),
        b"me" => meta::debug(args),
        b"mn" => Ok(Command::Request(Request::MetaNoop)),
        b"version" => Ok(Command::Request(Request::Version)),
        b"quit" => Ok(Command::Request(Request::Quit)),
        b"stats" => Ok(Command::Request(Request::Stats(token::trim(args)))),
        b"watch" => Ok(admin::watch(args)),
        _ => Ok(admin::command(line)),
    };
    parsed.unwrap_or_else(Command::reject)
}
