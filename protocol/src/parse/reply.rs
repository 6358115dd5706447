//! One reply line, already cut at its LF, to what it says. Replies come from a server we chose, so there is little to
//! refuse: only lines with a data block have to make sense, for their length tells where the next reply starts.

use super::number::{digits, strict_u32};
use super::token::trim;
use crate::meta;
use crate::response::Response;
use crate::scan;

/// What a reply line turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reply<'a> {
    /// A whole reply.
    Line(Response<'a>),
    /// A reply whose `block_len` bytes of data, and the CR LF behind them, come next.
    Block {
        response: Response<'a>,
        block_len: usize,
    },
    /// It should have a data block, and its length cannot be read.
    Malformed,
}

/// Reads one line, without its end.
pub(crate) fn reply(line: &[u8]) -> Reply<'_> {
    match line {
        [b'V', b'A', b'L', b'U', b'E', b' ', rest @ ..] => value(rest).unwrap_or(Reply::Malformed),
        [b'V', b'A', b' ', rest @ ..] => meta_value(rest).unwrap_or(Reply::Malformed),
        _ => Reply::Line(without_block(line)),
    }
}

/// `VALUE key flags n [cas]`, from the key on.
fn value(rest: &[u8]) -> Option<Reply<'_>> {
    let (key, rest) = scan::token(rest);
    let (flags, rest) = scan::token(rest.strip_prefix(b" ")?);
    let (len, rest) = scan::token(rest.strip_prefix(b" ")?);
    let cas = match scan::trim_end(rest) {
        [] => None,
        [b' ', cas @ ..] => Some(digits(cas)?),
        _ => return None,
    };
    if key.is_empty() {
        return None;
    }
    let response = Response::Value {
        key,
        flags: u32::try_from(digits(flags)?).ok()?,
        cas,
        data: &[],
    };
    Some(Reply::Block {
        response,
        block_len: block_len(len)?,
    })
}

/// `VA n flag*`, from the length on.
fn meta_value(rest: &[u8]) -> Option<Reply<'_>> {
    let (len, flags) = scan::token(rest);
    let response = meta::Response {
        code: meta::Code::Va,
        data: Some(&[]),
        flags: trim(flags),
    };
    Some(Reply::Block {
        response: Response::Meta(response),
        block_len: block_len(len)?,
    })
}

/// A length in bytes, at most 4 GiB: whoever waits for it decides how much is too much.
fn block_len(token: &[u8]) -> Option<usize> {
    usize::try_from(strict_u32(token)?).ok()
}

/// The replies that are one line.
fn without_block(line: &[u8]) -> Response<'_> {
    let (word, rest) = scan::token(line);
    let rest = rest.strip_prefix(b" ").unwrap_or(rest);
    let meta = |code| {
        Response::Meta(meta::Response {
            code,
            data: None,
            flags: trim(rest),
        })
    };
    match word {
        b"END" if rest.is_empty() => Response::End,
        b"STORED" if rest.is_empty() => Response::Stored,
        b"NOT_STORED" if rest.is_empty() => Response::NotStored,
        b"NOT_FOUND" if rest.is_empty() => Response::NotFound,
        b"DELETED" if rest.is_empty() => Response::Deleted,
        b"EXISTS" if rest.is_empty() => Response::Exists,
        b"TOUCHED" if rest.is_empty() => Response::Touched,
        b"OK" if rest.is_empty() => Response::Ok,
        b"RESET" if rest.is_empty() => Response::Reset,
        b"HD" => meta(meta::Code::Hd),
        b"EN" => meta(meta::Code::En),
        b"NS" => meta(meta::Code::Ns),
        b"EX" => meta(meta::Code::Ex),
        b"NF" => meta(meta::Code::Nf),
        b"MN" => meta(meta::Code::Mn),
        b"ME" => meta(meta::Code::Me),
        b"VERSION" => Response::Version(rest),
        b"STAT" => {
            let (name, value) = scan::token(rest);
            Response::Stat {
                name,
                value: value.strip_prefix(b" ").unwrap_or(value),
            }
        }
        b"ERROR" => Response::Error,
        b"CLIENT_ERROR" => Response::ClientError(rest),
        // With a colon once: "SERVER_ERROR: shutdown not enabled".
        b"SERVER_ERROR" | b"SERVER_ERROR:" => Response::ServerError(rest),
        _ => match digits(scan::trim_end(line)) {
            Some(number) => Response::Number(number),
            None => Response::Line(line),
        },
    }
}

/// Puts the data where it belongs.
pub(crate) fn with_data<'a>(response: Response<'a>, data: &'a [u8]) -> Response<'a> {
    match response {
        Response::Value { key, flags, cas, .. } => Response::Value {
            key,
            flags,
            cas,
            data,
        },
        Response::Meta(meta) => Response::Meta(meta::Response {
            data: Some(data),
            ..meta
        }),
        other => other,
    }
}
