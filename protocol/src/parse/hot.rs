//! The most frequent lines, read by hand, for the grammar takes three to ten times the instructions
//! (`cargo bench -p protocol --bench instructions`).
//!
//! These functions read on from the verb and do not know where the line ends, nor whether it does: looking for the LF
//! first would be a second pass. Only the usual spelling is read here: CR LF, one blank between tokens and none around
//! them, no control character in a key, plain decimals, nothing out of bounds. Whatever else stands there, or does not
//! stand there yet, is left to the grammar, so that every refusal is written down once. `testing::check_requests`
//! holds the two equal.

use super::meta::Options;
use crate::exptime::Exptime;
use crate::key::Key;
use crate::meta;
use crate::request::{Delete, Keys, Store, StoreVerb};
use crate::scan;

/// A frequent verb, and what follows it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Verb<'a> {
    Get(&'a [u8]),
    Gets(&'a [u8]),
    Set(&'a [u8]),
    Delete(&'a [u8]),
    MetaGet(&'a [u8]),
    MetaSet(&'a [u8]),
    MetaDelete(&'a [u8]),
    /// The whole line.
    MetaNoop,
    /// Not one of these.
    Seldom,
}

/// The first four bytes of a line as one number, to tell the verbs apart in few comparisons.
const fn word(bytes: [u8; 4]) -> u32 {
    u32::from_le_bytes(bytes)
}

const GET: u32 = word(*b"get ");
const GETS: u32 = word(*b"gets");
const SET: u32 = word(*b"set ");
const DELE: u32 = word(*b"dele");
const META_NOOP: u32 = word(*b"mn\r\n");
const META_GET: u32 = word(*b"mg \0");
const META_SET: u32 = word(*b"ms \0");
const META_DELETE: u32 = word(*b"md \0");
/// Three of the four bytes.
const THREE: u32 = word([0xff, 0xff, 0xff, 0]);

/// Looks at the verb.
#[inline]
pub(crate) fn verb(input: &[u8]) -> Verb<'_> {
    let Some((head, rest)) = input.split_first_chunk::<4>() else {
        return Verb::Seldom;
    };
    let head = word(*head);
    match head {
        GET => return Verb::Get(rest),
        SET => return Verb::Set(rest),
        GETS => return rest.strip_prefix(b" ").map_or(Verb::Seldom, Verb::Gets),
        DELE => return rest.strip_prefix(b"te ").map_or(Verb::Seldom, Verb::Delete),
        META_NOOP => return Verb::MetaNoop,
        _ => {}
    }
    let Some((_, rest)) = input.split_first_chunk::<3>() else {
        return Verb::Seldom;
    };
    match head & THREE {
        META_GET => Verb::MetaGet(rest),
        META_SET => Verb::MetaSet(rest),
        META_DELETE => Verb::MetaDelete(rest),
        _ => Verb::Seldom,
    }
}

/// Something read, and the bytes behind it.
pub(super) type Read<'a, T> = Option<(T, &'a [u8])>;

/// `k*` of get and gets, and the line's end.
#[inline]
pub(crate) fn keys(args: &[u8]) -> Read<'_, Keys<'_>> {
    let mut start = 0;
    let mut count = 0;
    for end in scan::positions::<scan::NoText>(args) {
        if !(1..=Key::MAX_LEN).contains(&(end - start)) {
            return None;
        }
        count += 1;
        match args.get(end..)? {
            [b' ', ..] => start = end + 1,
            [b'\r', b'\n', after @ ..] => return Some((Keys::from_parts(args.get(..end)?, count), after)),
            _ => return None,
        }
    }
    None
}

/// `k flags exptime n [noreply]` of set, and n.
#[inline]
pub(crate) fn set(args: &[u8], value_len_bytes: usize) -> Read<'_, (Store<'_>, usize)> {
    let (key, rest) = key(args)?;
    let (flags, rest) = number(rest)?;
    let (exptime, rest) = number(rest)?;
    let (len, rest) = number(rest)?;
    let (noreply, rest) = end(rest)?;
    let block_len = usize::try_from(len).ok().filter(|len| *len <= value_len_bytes)?;
    let flags = u32::try_from(flags).ok()?;
    let exptime = Exptime(i64::from(i32::try_from(exptime).ok()?));
    Some((
        (
            Store {
                verb: StoreVerb::Set,
                key,
                flags,
                exptime,
                data: &[],
                noreply,
            },
            block_len,
        ),
        rest,
    ))
}

/// `k [noreply]` of delete.
#[inline]
pub(crate) fn delete(args: &[u8]) -> Read<'_, Delete<'_>> {
    let (key, rest) = key(args)?;
    let (noreply, rest) = end(rest)?;
    // The last token is a wish, even if it is the key.
    if key.as_bytes() == b"noreply" {
        return None;
    }
    Some((Delete { key, noreply }, rest))
}

/// `key flag*` of mg.
#[inline]
pub(crate) fn meta_get(args: &[u8]) -> Read<'_, meta::Get<'_>> {
    let (key, rest) = key(args)?;
    let (options, rest) = Options::read_usual(key, rest)?;
    Some((options.get(), rest))
}

/// `key n flag*` of ms, and n.
#[inline]
pub(crate) fn meta_set(args: &[u8], value_len_bytes: usize) -> Read<'_, (meta::Set<'_>, usize)> {
    let (key, rest) = key(args)?;
    let (len, rest) = number(rest)?;
    let block_len = usize::try_from(len).ok().filter(|len| *len <= value_len_bytes)?;
    let (options, rest) = Options::read_usual(key, rest)?;
    Some(((options.set()?, block_len), rest))
}

/// `key flag*` of md.
#[inline]
pub(crate) fn meta_delete(args: &[u8]) -> Read<'_, meta::Delete<'_>> {
    let (key, rest) = key(args)?;
    let (options, rest) = Options::read_usual(key, rest)?;
    Some((options.delete(), rest))
}

/// One key.
#[inline]
fn key(input: &[u8]) -> Read<'_, Key<'_>> {
    let (key, rest) = input.split_at_checked(scan::text_len(input))?;
    Some((Key::new(key).ok()?, rest))
}

/// A blank and a number of 1 to 10 digits.
#[inline]
fn number(input: &[u8]) -> Read<'_, u64> {
    match input {
        [b' ', digits @ ..] => plain_number::<10>(digits),
        _ => None,
    }
}

/// A number of at least one digit and no more than `MAX`, which is at most 19: so many cannot overflow. A blank or
/// the line's end has to follow.
#[inline(always)]
pub(super) fn plain_number<const MAX: usize>(digits: &[u8]) -> Read<'_, u64> {
    let mut rest = digits;
    let mut number: u64 = 0;
    while let [byte @ b'0'..=b'9', after @ ..] = rest {
        number = number.wrapping_mul(10).wrapping_add(u64::from(byte - b'0'));
        rest = after;
    }
    let count = digits.len() - rest.len();
    if count == 0 || count > MAX || !matches!(rest, [b' ' | b'\r', ..]) {
        return None;
    }
    Some((number, rest))
}

/// The line's end, perhaps after `noreply`.
#[inline]
fn end(input: &[u8]) -> Read<'_, bool> {
    match input {
        [b'\r', b'\n', rest @ ..] => Some((false, rest)),
        _ => input.strip_prefix(b" noreply\r\n").map(|rest| (true, rest)),
    }
}
