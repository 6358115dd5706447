//! The most frequent replies, read by hand in one pass, as `hot.rs` does for requests and with the same limits: what is
//! unusual is left to `reply.rs`. `testing::check_replies` holds the two equal.

use super::hot::{Read, plain_number};
use super::token::trim;
use crate::meta::{Code, Response as Meta};
use crate::response::Response;
use crate::scan;

/// A frequent reply.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Hot<'a> {
    /// All of it, and its length.
    Line(Response<'a>, usize),
    /// `VALUE ` and what follows it.
    Value(&'a [u8]),
    /// `VA ` and what follows it.
    MetaValue(&'a [u8]),
    /// Not one of these.
    Seldom,
}

/// Looks at the first bytes.
#[inline]
pub(crate) fn reply(input: &[u8]) -> Hot<'_> {
    const fn meta(code: Code) -> Response<'static> {
        Response::Meta(Meta {
            code,
            data: None,
            flags: &[],
        })
    }
    match input {
        [b'V', b'A', b'L', b'U', b'E', b' ', rest @ ..] => Hot::Value(rest),
        [b'V', b'A', b' ', rest @ ..] => Hot::MetaValue(rest),
        [b'E', b'N', b'D', b'\r', b'\n', ..] => Hot::Line(Response::End, 5),
        [b'E', b'N', b'\r', b'\n', ..] => Hot::Line(meta(Code::En), 4),
        [b'H', b'D', b'\r', b'\n', ..] => Hot::Line(meta(Code::Hd), 4),
        [b'M', b'N', b'\r', b'\n', ..] => Hot::Line(meta(Code::Mn), 4),
        [b'S', b'T', b'O', b'R', b'E', b'D', b'\r', b'\n', ..] => Hot::Line(Response::Stored, 8),
        [b'D', b'E', b'L', b'E', b'T', b'E', b'D', b'\r', b'\n', ..] => Hot::Line(Response::Deleted, 9),
        [
            b'N',
            b'O',
            b'T',
            b'_',
            b'F',
            b'O',
            b'U',
            b'N',
            b'D',
            b'\r',
            b'\n',
            ..,
        ] => Hot::Line(Response::NotFound, 11),
        _ => Hot::Seldom,
    }
}

/// Key, flags, length and cas unique.
type Value<'a> = (&'a [u8], u32, usize, Option<u64>);

/// `key flags n [cas]` of VALUE, and the line's end.
#[inline]
pub(crate) fn value(rest: &[u8]) -> Read<'_, Value<'_>> {
    let (key, rest) = rest.split_at_checked(scan::text_len(rest))?;
    if key.is_empty() {
        return None;
    }
    let (flags, rest) = plain_number::<10>(rest.strip_prefix(b" ")?)?;
    let (len, rest) = plain_number::<10>(rest.strip_prefix(b" ")?)?;
    let (cas, rest) = match rest {
        [b' ', cas @ ..] => {
            let (cas, rest) = plain_number::<19>(cas)?;
            (Some(cas), rest)
        }
        _ => (None, rest),
    };
    let rest = rest.strip_prefix(b"\r\n")?;
    Some((
        (
            key,
            u32::try_from(flags).ok()?,
            u32::try_from(len).ok()? as usize,
            cas,
        ),
        rest,
    ))
}

/// `n flag*` of VA, and the line's end: its length and the flags.
#[inline]
pub(crate) fn meta_value(rest: &[u8]) -> Read<'_, (usize, &[u8])> {
    let (len, rest) = plain_number::<10>(rest)?;
    let len = u32::try_from(len).ok()? as usize;
    match rest {
        [b'\r', b'\n', rest @ ..] => Some(((len, &[]), rest)),
        [b' ', ..] => {
            let (flags, rest) = rest.split_at_checked(memchr::memchr(b'\n', rest)?)?;
            Some(((len, trim(flags.strip_suffix(b"\r")?)), rest.strip_prefix(b"\n")?))
        }
        _ => None,
    }
}
