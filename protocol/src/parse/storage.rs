//! set add replace append prepend cas (protocol.txt, "Storage commands").

use nom::Parser;
use nom::combinator::{map_opt, opt};

use super::Command;
use super::number::{lenient_i32, lenient_u32, strict_i32, strict_u64};
use super::token::{Parsed, error_of, noreply, token};
use crate::error::ProtocolError;
use crate::exptime::Exptime;
use crate::key::Key;
use crate::limits::BLOCK_LEN_MAX;
use crate::meta::MetaKey;
use crate::request::{Request, Store, StoreVerb};

/// Which of the commands; `cas` has yet to read its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Set,
    Add,
    Replace,
    Append,
    Prepend,
    Cas,
}

/// The tokens of a storage line. Only the length has been read: once it is known, whatever else is wrong costs the
/// client its data block and not the connection its place in the stream.
struct Line<'a> {
    key: &'a [u8],
    flags: &'a [u8],
    exptime: &'a [u8],
    block_len: usize,
    unique: Option<&'a [u8]>,
}

/// `<verb> k flags exptime n [unique] [noreply]`.
pub(super) fn storage(args: &[u8], kind: Kind, value_len_bytes: usize) -> Result<Command<'_>, ProtocolError> {
    let (_, line) = line(args).map_err(error_of)?;
    let block_len = line.block_len;
    let noreply = noreply(args, 1);
    let reject = |error, oversized| Command::RejectBlock {
        error,
        reply: !noreply,
        block_len,
        oversized,
    };
    let Some(store) = store(&line, kind, noreply) else {
        return Ok(reject(ProtocolError::BadCommandLine, None));
    };
    if block_len > value_len_bytes {
        let displaced = (kind == Kind::Set).then_some(MetaKey::checked(line.key, false));
        return Ok(reject(ProtocolError::ValueTooLarge, displaced));
    }
    Ok(Command::Block {
        request: Request::Store(store),
        block_len,
    })
}

fn line(args: &[u8]) -> Parsed<'_, Line<'_>> {
    let (rest, (key, flags, exptime, block_len, unique)) =
        (token, token, token, block_len, opt(token)).parse(args)?;
    Ok((
        rest,
        Line {
            key,
            flags,
            exptime,
            block_len,
            unique,
        },
    ))
}

/// The length of a data block, in bytes. Its sign is read, and refused.
pub(super) fn block_len(input: &[u8]) -> Parsed<'_, usize> {
    map_opt(token, |token| {
        let len = usize::try_from(strict_i32(token)?).ok()?;
        (len <= BLOCK_LEN_MAX).then_some(len)
    })
    .parse(input)
}

fn store<'a>(line: &Line<'a>, kind: Kind, noreply: bool) -> Option<Store<'a>> {
    let verb = match kind {
        Kind::Set => StoreVerb::Set,
        Kind::Add => StoreVerb::Add,
        Kind::Replace => StoreVerb::Replace,
        Kind::Append => StoreVerb::Append,
        Kind::Prepend => StoreVerb::Prepend,
        Kind::Cas => StoreVerb::Cas(strict_u64(line.unique?)?),
    };
    Some(Store {
        verb,
        key: Key::new(line.key).ok()?,
        flags: lenient_u32(line.flags)?,
        exptime: Exptime(i64::from(lenient_i32(line.exptime)?)),
        data: &[],
        noreply,
    })
}
