//! get gets gat gats (protocol.txt, "Retrieval command").

use nom::Parser;
use nom::combinator::{all_consuming, consumed, map, peek};
use nom::multi::fold_many1;
use nom::sequence::pair;

use super::Command;
use super::number::strict_i32;
use super::token::{Parsed, error_of, key, token, trim};
use crate::error::ProtocolError;
use crate::exptime::Exptime;
use crate::request::{Get, Keys, Request};

/// `get k*`, `gets k*`.
pub(super) fn get(args: &[u8], with_cas: bool) -> Result<Command<'_>, ProtocolError> {
    let (_, keys) = keys(trim(args)).map_err(error_of)?;
    Ok(Command::Request(Request::Get(Get {
        with_cas,
        touch: None,
        keys,
    })))
}

/// `gat exptime k*`, `gats exptime k*`. A missing key is told before a bad exptime, a bad key after it.
pub(super) fn gat(args: &[u8], with_cas: bool) -> Result<Command<'_>, ProtocolError> {
    let (rest, (exptime, _)) = pair(token, peek(token)).parse(args).map_err(error_of)?;
    let exptime = strict_i32(exptime).ok_or(ProtocolError::InvalidExptime)?;
    let (_, keys) = keys(trim(rest)).map_err(error_of)?;
    let touch = Some(Exptime(i64::from(exptime)));
    Ok(Command::Request(Request::Get(Get {
        with_cas,
        touch,
        keys,
    })))
}

/// At least one key and nothing else; no blanks around them.
fn keys(input: &[u8]) -> Parsed<'_, Keys<'_>> {
    let count = fold_many1(key, || 0, |count: usize, _| count + 1);
    map(consumed(all_consuming(count)), |(wire, count)| {
        Keys::from_parts(wire, count)
    })
    .parse(input)
}
