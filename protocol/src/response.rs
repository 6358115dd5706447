//! One variant per thing a server says, borrowing from the bytes it was read from.

use crate::meta;

/// One reply, or one of the several that make up an answer (protocol.txt, all "the server replies").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Response<'a> {
    /// `VALUE key flags n [cas]` and n bytes: one hit of a retrieval, which [`Response::End`] closes.
    Value {
        /// The key as sent, any length a server cares to answer.
        key: &'a [u8],
        /// The client's opaque number.
        flags: u32,
        /// The cas unique, told by `gets` and `gats`.
        cas: Option<u64>,
        /// The value.
        data: &'a [u8],
    },
    /// `END`: of a retrieval, of `stats`, of a dump.
    End,
    /// `STORED`.
    Stored,
    /// `NOT_STORED`.
    NotStored,
    /// `EXISTS`: the item has another cas unique.
    Exists,
    /// `NOT_FOUND`.
    NotFound,
    /// `DELETED`.
    Deleted,
    /// `TOUCHED`.
    Touched,
    /// `OK`.
    Ok,
    /// A bare number: the answer to `incr` and `decr`.
    Number(u64),
    /// `VERSION` and what follows it.
    Version(&'a [u8]),
    /// `STAT name value`; [`Response::End`] closes them.
    Stat {
        /// Its name, without blanks.
        name: &'a [u8],
        /// Its value, perhaps with blanks, perhaps empty.
        value: &'a [u8],
    },
    /// `RESET`: the answer to `stats reset`.
    Reset,
    /// A reply to a meta command.
    Meta(meta::Response<'a>),
    /// `ERROR`, perhaps with words behind it.
    Error,
    /// `CLIENT_ERROR` and what follows it.
    ClientError(&'a [u8]),
    /// `SERVER_ERROR` and what follows it.
    ServerError(&'a [u8]),
    /// Any other line, without its end: `ITEM …`, `BUSY …`, `CONFIG …`, lines of a dump or a watcher.
    Line(&'a [u8]),
}
