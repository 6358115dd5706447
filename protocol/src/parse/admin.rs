//! The commands for operators, and whatever is no command at all.

use super::Command;
use super::arith::told;
use super::number::{strict_i32, strict_u32};
use super::token::{noreply, tokens, trim};
use crate::error::ProtocolError;
use crate::exptime::Exptime;
use crate::limits::TOKENS_MAX;
use crate::request::{Admin, AdminVerb, FlushAll, Request, Verbosity};
use crate::scan;

/// A line that starts with none of the words for clients. Unlike those, these words may have blanks before them,
/// as in memcached.
pub(super) fn command(line: &[u8]) -> Command<'_> {
    let line = trim(line);
    let noreply = noreply(line, 0);
    let (verb, args) = scan::token(line);
    match verb {
        b"flush_all" => flush_all(args, noreply),
        b"verbosity" => verbosity(args, noreply),
        b"cache_memlimit" => admin(AdminVerb::CacheMemlimit, args, noreply),
        b"shutdown" => admin(AdminVerb::Shutdown, args, noreply),
        b"lru_crawler" => admin(AdminVerb::LruCrawler, args, noreply),
        b"lru" => admin(AdminVerb::Lru, args, noreply),
        b"slabs" => admin(AdminVerb::Slabs, args, noreply),
        b"refresh_certs" => admin(AdminVerb::RefreshCerts, args, noreply),
        b"extstore" => admin(AdminVerb::Extstore, args, noreply),
        b"config" => admin(AdminVerb::Config, args, noreply),
        _ if is_http(args) => Command::Close(ProtocolError::HttpRequest),
        _ => Command::Reject {
            error: ProtocolError::UnknownCommand,
            reply: !noreply,
        },
    }
}

/// `watch [class …]`, which knows no noreply.
pub(super) fn watch(args: &[u8]) -> Command<'_> {
    Command::Request(Request::Admin(Admin {
        verb: AdminVerb::Watch,
        args: trim(args),
        noreply: false,
    }))
}

/// A browser's first line. Nobody who sends one waits for `ERROR`.
fn is_http(args: &[u8]) -> bool {
    tokens(args)
        .take(TOKENS_MAX - 1)
        .last()
        .is_some_and(|token| token.starts_with(b"HTTP/"))
}

fn admin(verb: AdminVerb, args: &[u8], noreply: bool) -> Command<'_> {
    let args = if noreply {
        args.strip_suffix(b"noreply").unwrap_or(args)
    } else {
        args
    };
    Command::Request(Request::Admin(Admin {
        verb,
        args: trim(args),
        noreply,
    }))
}

/// `flush_all [exptime] [noreply]`.
fn flush_all(args: &[u8], noreply: bool) -> Command<'_> {
    let mut words = tokens(args);
    let first = words.next();
    let is_noreply = noreply && words.next().is_none();
    let delay = match first {
        Some(exptime) if !is_noreply => match strict_i32(exptime) {
            Some(exptime) => Ok(Some(Exptime(i64::from(exptime)))),
            None => Err(ProtocolError::InvalidExptime),
        },
        _ => Ok(None),
    };
    told(
        delay.map(|delay| Request::FlushAll(FlushAll { delay, noreply })),
        noreply,
    )
}

/// `verbosity level [noreply]`.
fn verbosity(args: &[u8], noreply: bool) -> Command<'_> {
    let level = tokens(args)
        .next()
        .and_then(strict_u32)
        .ok_or(ProtocolError::BadCommandLine);
    told(
        level.map(|level| Request::Verbosity(Verbosity { level, noreply })),
        noreply,
    )
}
