//! The one-key commands without data: delete incr decr touch.

use nom::Parser;
use nom::sequence::pair;

use super::Command;
use super::number::{strict_i32, strict_u64};
use super::token::{error_of, noreply, token, tokens};
use crate::error::ProtocolError;
use crate::exptime::Exptime;
use crate::key::Key;
use crate::request::{Arith, ArithVerb, Delete, Request, Touch};

/// `delete k [0] [noreply]`. memcached 1.6.45 ignores whatever else stands there; 1.6.18 refused it, and so do we:
/// an exptime that is not zero once meant "delete later", and libmemcached's own checks want the refusal.
pub(super) fn delete(args: &[u8]) -> Result<Command<'_>, ProtocolError> {
    let (rest, key) = token(args).map_err(error_of)?;
    let noreply = noreply(args, 1);
    let mut further = tokens(rest);
    let known = match (further.next(), further.next(), further.next()) {
        (None, ..) | (Some(b"0" | b"noreply"), None, _) | (Some(b"0"), Some(b"noreply"), None) => Ok(()),
        _ => Err(ProtocolError::DeleteUsage),
    };
    let request = Key::new(key)
        .map_err(|_too_long| ProtocolError::BadCommandLine)
        .and_then(|key| known.map(|()| Request::Delete(Delete { key, noreply })));
    Ok(told(request, noreply))
}

/// `incr k delta [noreply]`.
pub(super) fn incr(args: &[u8]) -> Result<Command<'_>, ProtocolError> {
    arith(args, ArithVerb::Incr)
}

/// `decr k delta [noreply]`.
pub(super) fn decr(args: &[u8]) -> Result<Command<'_>, ProtocolError> {
    arith(args, ArithVerb::Decr)
}

fn arith(args: &[u8], verb: ArithVerb) -> Result<Command<'_>, ProtocolError> {
    key_and_number(args, |key, delta, noreply| {
        let delta = strict_u64(delta).ok_or(ProtocolError::InvalidDelta)?;
        Ok(Request::Arith(Arith {
            verb,
            key,
            delta,
            noreply,
        }))
    })
}

/// `touch k exptime [noreply]`.
pub(super) fn touch(args: &[u8]) -> Result<Command<'_>, ProtocolError> {
    key_and_number(args, |key, exptime, noreply| {
        let exptime = strict_i32(exptime).ok_or(ProtocolError::InvalidExptime)?;
        Ok(Request::Touch(Touch {
            key,
            exptime: Exptime(i64::from(exptime)),
            noreply,
        }))
    })
}

/// Two tokens have to be there; what is wrong with them, `noreply` hides.
fn key_and_number<'a>(
    args: &'a [u8],
    request: impl FnOnce(Key<'a>, &'a [u8], bool) -> Result<Request<'a>, ProtocolError>,
) -> Result<Command<'a>, ProtocolError> {
    let (_, (key, number)) = pair(token, token).parse(args).map_err(error_of)?;
    let noreply = noreply(args, 1);
    let request = Key::new(key)
        .map_err(|_too_long| ProtocolError::BadCommandLine)
        .and_then(|key| request(key, number, noreply));
    Ok(told(request, noreply))
}

/// A request, or an error that is told unless nobody wants to hear.
pub(super) fn told(request: Result<Request<'_>, ProtocolError>, noreply: bool) -> Command<'_> {
    match request {
        Ok(request) => Command::Request(request),
        Err(error) => Command::Reject {
            error,
            reply: !noreply,
        },
    }
}
