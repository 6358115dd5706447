//! The commands for operators (protocol.txt, "Statistics", "flush_all", "verbosity" and below).

use std::sync::atomic::Ordering;

use bytes::BytesMut;
use protocol::encode::response as reply;
use protocol::{Admin, AdminVerb, Expiry, FlushAll, Verbosity};

use super::{Context, Outcome};
use crate::feed::{Order, Style};
use crate::store::{ScanCursor, Seconds};
use crate::watch::Classes;
use crate::{log, stats};

pub(super) fn flush_all(cx: &mut Context<'_>, request: &FlushAll, out: &mut BytesMut) {
    cx.counters.cmd_flush.add(1);
    if !cx.node.config.flush_enabled {
        out.extend_from_slice(reply::FLUSH_NOT_ALLOWED);
        return;
    }
    let at = match request.delay.map(|delay| delay.expiry(cx.now)) {
        // Zero means now here, not never.
        None | Some(Expiry::Never | Expiry::Immediately) => cx.at,
        Some(Expiry::At(at)) => cx.store().seconds(at),
    };
    cx.store().flush(at, cx.at);
    out.extend_from_slice(reply::OK);
}

pub(super) fn verbosity(cx: &mut Context<'_>, request: &Verbosity, out: &mut BytesMut) {
    let level = u8::try_from(request.level.min(2)).unwrap_or(2);
    cx.node.verbosity.store(level, Ordering::Relaxed);
    log::set_verbosity(level);
    out.extend_from_slice(reply::OK);
}

pub(super) fn stats(cx: &mut Context<'_>, args: &[u8], out: &mut BytesMut) -> Outcome {
    let mut words = args.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
    match words.next().unwrap_or_default() {
        b"" => stats::general(cx.node, out),
        b"items" => stats::items(cx.node, out),
        b"slabs" => stats::slabs(cx.node, out),
        b"sizes" => return Outcome::Feed(Order::Sizes),
        b"settings" => stats::settings(cx.node, out),
        b"conns" => stats::connections(cx.node, cx.client, cx.at, out),
        b"reset" => {
            cx.node.reset();
            out.extend_from_slice(reply::RESET);
            return Outcome::Continue;
        }
        b"detail" => {
            detail(cx, words.next(), out);
            return Outcome::Continue;
        }
        b"cachedump" => {
            cachedump(cx, words.next(), words.next(), out);
            return Outcome::Continue;
        }
        // There is no flash to tell of.
        b"extstore" => {}
        _unknown => {
            out.extend_from_slice(reply::ERROR);
            return Outcome::Continue;
        }
    }
    out.extend_from_slice(reply::END);
    Outcome::Continue
}

fn detail(cx: &Context<'_>, word: Option<&[u8]>, out: &mut BytesMut) {
    let prefixes = &cx.node.prefixes;
    if !cx.node.config.dump_enabled {
        return reply::client_error(out, b"stats detail not allowed");
    }
    match word {
        Some(b"on") => {
            prefixes.turn(true);
            out.extend_from_slice(reply::OK);
        }
        Some(b"off") => {
            prefixes.turn(false);
            out.extend_from_slice(reply::OK);
        }
        Some(b"dump") => {
            prefixes.dump(out);
            out.extend_from_slice(reply::END);
        }
        _other => reply::client_error(out, b"usage: stats detail on|off|dump"),
    }
}

/// At most so many bytes of keys in one `stats cachedump`, as memcached.
const DUMP_BYTES: usize = 2 << 20;
/// At most so many steps of the store's scan in one `stats cachedump`, so that it ends even if all keys are skipped.
const DUMP_STEPS: usize = 1 << 16;

/// `stats cachedump class limit`: the old way to list keys, which some clients still use. Class 1 has all items.
fn cachedump(cx: &Context<'_>, class: Option<&[u8]>, limit: Option<&[u8]>, out: &mut BytesMut) {
    if !cx.node.config.dump_enabled {
        return reply::client_error(out, b"stats cachedump not allowed");
    }
    let (Some(class), Some(limit)) = (class.and_then(unsigned), limit.and_then(unsigned)) else {
        return reply::client_error(out, b"bad command line");
    };
    if class > 63 {
        return reply::client_error(out, b"Illegal slab id");
    }
    if class == 1 {
        let limit = if limit == 0 { u64::MAX } else { limit };
        let (start, at) = (out.len(), cx.at);
        let epoch = cx.store().unix_seconds(Seconds(0)).0;
        let mut told = 0;
        let mut cursor = Some(ScanCursor::default());
        for _step in 0..DUMP_STEPS {
            let Some(here) = cursor.filter(|_| told < limit && out.len() - start < DUMP_BYTES) else {
                break;
            };
            cursor = cx.store().scan(here, at, &mut |key, item| {
                let is_text = key.iter().all(|byte| (0x21..0x7f).contains(byte));
                if !is_text || told >= limit || out.len() - start >= DUMP_BYTES {
                    return;
                }
                told += 1;
                out.extend_from_slice(b"ITEM ");
                out.extend_from_slice(key);
                out.extend_from_slice(b" [");
                protocol::encode::number(out, item.value.len() as u64);
                out.extend_from_slice(b" b; ");
                let expires = item.expires.map_or(0, |expires| epoch + u64::from(expires.0));
                protocol::encode::number(out, expires);
                out.extend_from_slice(b" s]\r\n");
            });
        }
    }
    out.extend_from_slice(reply::END);
}

pub(super) fn run(cx: &mut Context<'_>, command: &Admin<'_>, out: &mut BytesMut) -> Outcome {
    let mut words = command
        .args
        .split(|byte| *byte == b' ')
        .filter(|word| !word.is_empty());
    let (first, second) = (words.next(), words.next());
    match command.verb {
        AdminVerb::Shutdown => return shutdown(cx, first, out),
        AdminVerb::CacheMemlimit => cache_memlimit(cx, first, out),
        AdminVerb::LruCrawler => return lru_crawler(cx, first, second, out),
        AdminVerb::Lru => lru(first, second, out),
        AdminVerb::Slabs => slabs(first, second, words.next(), out),
        AdminVerb::Watch => return watch(cx, command.args, out),
        AdminVerb::RefreshCerts => refresh_certs(cx, out),
        AdminVerb::Extstore | AdminVerb::Config => out.extend_from_slice(reply::ERROR),
    }
    Outcome::Continue
}

fn refresh_certs(cx: &Context<'_>, out: &mut BytesMut) {
    match cx.node.tls.as_ref().map(|tls| tls.refresh(cx.now)) {
        None => out.extend_from_slice(b"ERROR TLS not enabled\r\n"),
        Some(Ok(())) => out.extend_from_slice(reply::OK),
        Some(Err(error)) => reply::server_error(out, error.to_string().as_bytes()),
    }
}

fn shutdown(cx: &Context<'_>, mode: Option<&[u8]>, out: &mut BytesMut) -> Outcome {
    if !cx.node.config.shutdown_enabled {
        out.extend_from_slice(reply::SHUTDOWN_NOT_ENABLED);
        return Outcome::Continue;
    }
    match mode {
        None | Some(b"graceful") => Outcome::Shutdown,
        Some(_) => {
            reply::client_error(out, b"invalid shutdown mode");
            Outcome::Continue
        }
    }
}

/// memcached's floor of a live change, in MiB.
const MEMLIMIT_MIN: u64 = 8;
/// More than this was surely meant in bytes.
const MEMLIMIT_MAX: u64 = 1_000_000_000;

fn cache_memlimit(cx: &Context<'_>, mebibytes: Option<&[u8]>, out: &mut BytesMut) {
    let line: &[u8] = match mebibytes.and_then(unsigned) {
        None => reply::ERROR,
        Some(..MEMLIMIT_MIN) => b"MEMLIMIT_TOO_SMALL cannot set maxbytes to less than 8m\r\n",
        Some(mebibytes) if mebibytes > MEMLIMIT_MAX => {
            b"MEMLIMIT_ADJUST_FAILED input value is megabytes not bytes\r\n"
        }
        Some(mebibytes) if mebibytes << 20 > crate::config::MEMORY_MAX => {
            b"MEMLIMIT_ADJUST_FAILED out of bounds or unable to adjust\r\n"
        }
        Some(mebibytes) => {
            let bytes = mebibytes << 20;
            cx.store().set_memory_limit(bytes);
            cx.node.memory_limit_bytes.store(bytes, Ordering::Relaxed);
            reply::OK
        }
    };
    out.extend_from_slice(line);
}

/// Whether replies to earlier requests still wait: a feed does not begin behind them. `mn` and retrievals are sent
/// out before what follows them, in memcached; their last line is known.
fn is_behind_others(out: &BytesMut) -> bool {
    !out.is_empty() && !out.ends_with(b"MN\r\n") && !out.ends_with(reply::END)
}

fn watch(cx: &Context<'_>, args: &[u8], out: &mut BytesMut) -> Outcome {
    if !cx.node.config.watch_enabled {
        reply::client_error(out, b"watch commands not allowed");
    } else if is_behind_others(out) {
        out.extend_from_slice(b"ERROR cannot pipeline other commands before watch\r\n");
    } else if let Some(classes) = Classes::parse(args) {
        return Outcome::Feed(Order::Watch(classes));
    } else {
        out.extend_from_slice(reply::ERROR);
    }
    Outcome::Continue
}

/// `lru_crawler metadump` and `mgdump`, of all items or of the classes named: ours are all of class 1.
fn dump(cx: &Context<'_>, style: Style, what: Option<&[u8]>, out: &mut BytesMut) -> Outcome {
    let line: &[u8] = match what {
        _any if !cx.node.config.dump_enabled => b"ERROR metadump not allowed\r\n",
        _any if is_behind_others(out) => b"ERROR cannot pipeline other commands before metadump\r\n",
        None => reply::ERROR,
        Some(b"all" | b"hash") => return Outcome::Feed(Order::Dump(style)),
        Some(classes) => match classes_of(classes) {
            None => BAD_CLASS,
            Some(classes) if classes & (1 << 1) != 0 => return Outcome::Feed(Order::Dump(style)),
            Some(_others) if style == Style::Meta => b"OK\r\nEND\r\n",
            Some(_others) => b"OK\r\nEN\r\n",
        },
    };
    out.extend_from_slice(line);
    Outcome::Continue
}

const BAD_CLASS: &[u8] = b"BADCLASS invalid class id\r\n";

/// Numbers of slab classes (1 to 63) between commas, as bits.
fn classes_of(text: &[u8]) -> Option<u64> {
    text.split(|byte| *byte == b',').try_fold(0, |classes, class| {
        let class = unsigned(class).filter(|class| (1..64).contains(class))?;
        Some(classes | 1 << class)
    })
}

/// There is no crawler to steer: expired items go with their segments. Listing keys is the part that matters; the
/// switch is remembered for those who ask.
fn lru_crawler(cx: &Context<'_>, word: Option<&[u8]>, arg: Option<&[u8]>, out: &mut BytesMut) -> Outcome {
    let enabled = &cx.node.crawler_enabled;
    let line: &[u8] = match word {
        Some(b"metadump") => return dump(cx, Style::Meta, arg, out),
        Some(b"mgdump") => return dump(cx, Style::MetaGet, arg, out),
        Some(b"enable") if enabled.swap(true, Ordering::Relaxed) => {
            b"ERROR failed to start lru crawler thread\r\n"
        }
        Some(b"enable") => reply::OK,
        Some(b"disable") => {
            enabled.store(false, Ordering::Relaxed);
            reply::OK
        }
        Some(b"crawl") if !enabled.load(Ordering::Relaxed) => b"CLIENT_ERROR lru crawler disabled\r\n",
        Some(b"crawl") => match arg {
            None => reply::ERROR,
            Some(b"all") => reply::OK,
            Some(classes) => classes_of(classes).map_or(BAD_CLASS, |_known| reply::OK),
        },
        Some(b"sleep") => match arg.and_then(unsigned) {
            Some(..=1_000_000) => reply::OK,
            Some(_) => b"CLIENT_ERROR sleep must be one second or less\r\n",
            None => reply::BAD_COMMAND_LINE,
        },
        Some(b"tocrawl") => arg
            .and_then(unsigned)
            .map_or(reply::BAD_COMMAND_LINE, |_| reply::OK),
        _unknown => reply::ERROR,
    };
    out.extend_from_slice(line);
    Outcome::Continue
}

/// The queues of this store tune themselves; memcached's switches are taken and change nothing.
fn lru(word: Option<&[u8]>, arg: Option<&[u8]>, out: &mut BytesMut) {
    let is_known = match word {
        Some(b"mode") => matches!(arg, Some(b"flat" | b"segmented")),
        Some(b"tune" | b"temp_ttl") => arg.is_some(),
        _unknown => false,
    };
    out.extend_from_slice(if is_known { reply::OK } else { reply::ERROR });
}

fn slabs(word: Option<&[u8]>, arg: Option<&[u8]>, to: Option<&[u8]>, out: &mut BytesMut) {
    out.extend_from_slice(match word {
        Some(b"automove") => match arg {
            None => reply::ERROR,
            Some(b"0" | b"1" | b"2" | b"ratio" | b"freeratio" | b"window") => reply::OK,
            Some(_other) => reply::BAD_COMMAND_LINE,
        },
        Some(b"reassign") => reassign(arg, to),
        _unknown => reply::ERROR,
    });
}

/// There is nothing to move between classes; what memcached would find wrong is told all the same.
fn reassign(from: Option<&[u8]>, to: Option<&[u8]>) -> &'static [u8] {
    let (Some(from), Some(to)) = (from, to) else {
        return reply::ERROR;
    };
    // -1 is any class.
    let class = |text: &[u8]| if text == b"-1" { Some(0) } else { unsigned(text) };
    match (class(from), class(to)) {
        (Some(from), Some(to)) if from == to => b"SAME src and dst class are identical\r\n",
        (Some(..=CLASS_MAX), Some(..=CLASS_MAX)) => b"NOSPARE source class has no spare pages\r\n",
        (Some(_), Some(_)) => b"BADCLASS invalid src or dst class id\r\n",
        _no_numbers => reply::BAD_COMMAND_LINE,
    }
}

/// The largest number of a slab class in memcached.
const CLASS_MAX: u64 = 63;

/// A plain decimal number, of at most ten digits.
fn unsigned(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 10 || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(
        text.iter()
            .fold(0, |number, digit| number * 10 + u64::from(digit - b'0')),
    )
}
