//! mg ms md ma me (protocol.txt, "Meta Commands"). The order in which mistakes are found is memcached's, for a line
//! may hold several and the client is told one.

use nom::Parser;
use nom::combinator::rest;
use nom::sequence::pair;

use super::number::{strict_i32, strict_u32, strict_u64};
use super::storage::block_len;
use super::token::{error_of, token, tokens, trim};
use super::{Command, hot};
use crate::error::ProtocolError;
use crate::exptime::Exptime;
use crate::key::Key;
use crate::limits::{META_TOKENS_MAX, OPAQUE_TOKEN_MAX, TOKENS_MAX};
use crate::meta::{Arith, ArithMode, Debug, Delete, Flags, Get, MetaKey, Set, SetMode};
use crate::request::Request;
use crate::scan;

/// `mg key flag*`.
pub(super) fn get(args: &[u8]) -> Result<Command<'_>, ProtocolError> {
    let (key, flags) = key_and_flags(args)?;
    let options = Options::read(key, flags, 2)?;
    options.check_opaque()?;
    Ok(Command::Request(Request::MetaGet(options.get())))
}

/// `ms key n flag*`. Once n is known, whatever else is wrong costs the client its data block.
pub(super) fn set(args: &[u8], value_len_bytes: usize) -> Result<Command<'_>, ProtocolError> {
    let (_, (key, block_len, flags)) = (token, block_len, rest).parse(args).map_err(error_of)?;
    check_letters(flags, 3)?;
    let reject = |error, oversized| Command::RejectBlock {
        error,
        reply: true,
        block_len,
        oversized,
    };
    let options = match Options::read(key, flags, 3) {
        Ok(options) => options,
        Err(error) => return Ok(reject(error, None)),
    };
    let Some(set) = options.set() else {
        return Ok(reject(ProtocolError::InvalidSetMode, None));
    };
    if block_len > value_len_bytes {
        return Ok(reject(ProtocolError::ValueTooLarge, Some(options.key)));
    }
    if let Err(error) = options.check_opaque() {
        return Ok(reject(error, None));
    }
    Ok(Command::Block {
        request: Request::MetaSet(set),
        block_len,
    })
}

/// `md key flag*`.
pub(super) fn delete(args: &[u8]) -> Result<Command<'_>, ProtocolError> {
    let (key, flags) = key_and_flags(args)?;
    let options = Options::read(key, flags, 2)?;
    options.check_opaque()?;
    Ok(Command::Request(Request::MetaDelete(options.delete())))
}

/// `ma key flag*`. It does not tell one bad flag from another.
pub(super) fn arith(args: &[u8]) -> Result<Command<'_>, ProtocolError> {
    let (key, flags) = key_and_flags(args)?;
    let options = Options::read(key, flags, 2).map_err(|_which| ProtocolError::InvalidOrDuplicateFlag)?;
    let arith = options.arith().ok_or(ProtocolError::InvalidArithMode)?;
    options.check_opaque()?;
    Ok(Command::Request(Request::MetaArith(arith)))
}

/// `me key [b]`. Other flags are not looked at.
pub(super) fn debug(args: &[u8]) -> Result<Command<'_>, ProtocolError> {
    let (key, flags) = key_and_flags(args)?;
    let is_base64 = tokens(flags).next() == Some(b"b");
    let key = if is_base64 {
        MetaKey::base64(key)
    } else {
        Key::new(key).map(|_| MetaKey::checked(key, false))
    }
    .map_err(|_not_a_key| ProtocolError::BadCommandLine)?;
    let present = tokens(flags)
        .filter_map(|token| token.first())
        .fold(0, |bits, &letter| bits | Flags::bit(letter));
    Ok(Command::Request(Request::MetaDebug(Debug {
        key,
        flags: Flags::from_parts(trim(flags), present),
    })))
}

fn key_and_flags(args: &[u8]) -> Result<(&[u8], &[u8]), ProtocolError> {
    let (_, (key, flags)) = pair(token, rest).parse(args).map_err(error_of)?;
    check_letters(flags, 2)?;
    Ok((key, flags))
}

/// A flag starts with something like a letter (`A` to `z`) or a digit; any other byte spoils the whole line. The
/// digits are refused a little later, with other words.
fn check_letters(flags: &[u8], before: usize) -> Result<(), ProtocolError> {
    let mut letters = tokens(flags)
        .take(TOKENS_MAX - before)
        .filter_map(|token| token.first());
    if letters.all(|letter| matches!(letter, b'A'..=b'z' | b'0'..=b'9')) {
        Ok(())
    } else {
        Err(ProtocolError::BadCommandLine)
    }
}

const fn set_mode(mode: Option<u8>) -> Option<SetMode> {
    match mode {
        None | Some(b'S') => Some(SetMode::Set),
        Some(b'E') => Some(SetMode::Add),
        Some(b'A') => Some(SetMode::Append),
        Some(b'P') => Some(SetMode::Prepend),
        Some(b'R') => Some(SetMode::Replace),
        Some(_) => None,
    }
}

const fn arith_mode(mode: Option<u8>) -> Option<ArithMode> {
    match mode {
        None | Some(b'I' | b'+') => Some(ArithMode::Incr),
        Some(b'D' | b'-') => Some(ArithMode::Decr),
        Some(_) => None,
    }
}

/// The letters that stand alone, `b` excepted.
const USUAL_PLAIN: u64 = {
    let mut letters = 0;
    let mut plain: &[u8] = b"cfhklqstuvxI";
    while let [letter, rest @ ..] = plain {
        letters |= Flags::bit(*letter);
        plain = rest;
    }
    letters
};

/// More flags than that are not usual.
const USUAL_FLAGS_MAX: usize = 16;

/// All that the flags of any meta command can say.
pub(super) struct Options<'a> {
    key: MetaKey<'a>,
    flags: Flags<'a>,
    /// The first byte after `M`; a blank, which is no mode, if there is none.
    mode: Option<u8>,
    exptime: Option<Exptime>,
    vivify: Option<Exptime>,
    recache: Option<i64>,
    client_flags: Option<u32>,
    cas_compare: Option<u64>,
    cas_override: Option<u64>,
    delta: Option<u64>,
    initial: Option<u64>,
}

impl<'a> Options<'a> {
    #[inline]
    const fn none(key: MetaKey<'a>) -> Self {
        Self {
            key,
            flags: Flags::from_parts(&[], 0),
            mode: None,
            exptime: None,
            vivify: None,
            recache: None,
            client_flags: None,
            cas_compare: None,
            cas_override: None,
            delta: None,
            initial: None,
        }
    }

    /// Reads flags in their usual spelling, each after one blank, and the line's end, and gives the bytes behind it;
    /// `None` leaves them to [`Options::read`].
    #[inline(always)]
    pub(super) fn read_usual(key: Key<'a>, flags: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let mut options = Self::none(MetaKey::checked(key.as_bytes(), false));
        let mut present = 0;
        let mut rest = flags;
        let mut room = USUAL_FLAGS_MAX;
        while let [b' ', letter @ b'A'..=b'z', after @ ..] = rest {
            let bit = Flags::bit(*letter);
            room -= 1;
            if present & bit != 0 || room == 0 {
                return None;
            }
            present |= bit;
            rest = if USUAL_PLAIN & bit != 0 {
                after
            } else {
                options.take_usual(*letter, after)?
            };
        }
        let after = rest.strip_prefix(b"\r\n")?;
        let wire = flags.get(..flags.len() - rest.len())?;
        options.flags = Flags::from_parts(wire.strip_prefix(b" ").unwrap_or(wire), present);
        Some((options, after))
    }

    /// Reads the argument of one flag; what is left starts with the blank before the next or with the line's end.
    #[inline(always)]
    fn take_usual(&mut self, letter: u8, after: &'a [u8]) -> Option<&'a [u8]> {
        match letter {
            b'O' => {
                let (opaque, rest) = after.split_at_checked(scan::text_len(after))?;
                (opaque.len() < OPAQUE_TOKEN_MAX).then_some(rest)
            }
            b'T' | b'N' | b'R' | b'F' => {
                let (number, rest) = hot::plain_number::<10>(after)?;
                if letter == b'F' {
                    self.client_flags = Some(u32::try_from(number).ok()?);
                    return Some(rest);
                }
                let seconds = i64::from(i32::try_from(number).ok()?);
                match letter {
                    b'T' => self.exptime = Some(Exptime(seconds)),
                    b'N' => self.vivify = Some(Exptime(seconds)),
                    _ => self.recache = Some(seconds),
                }
                Some(rest)
            }
            b'C' | b'E' => {
                let (number, rest) = hot::plain_number::<19>(after)?;
                *(if letter == b'C' {
                    &mut self.cas_compare
                } else {
                    &mut self.cas_override
                }) = Some(number);
                Some(rest)
            }
            b'M' => {
                let (mode, rest) = after.split_first()?;
                self.mode = Some(*mode);
                Some(rest)
            }
            _ => None,
        }
    }

    /// As the flags of `mg`.
    #[inline]
    pub(super) const fn get(&self) -> Get<'a> {
        Get {
            key: self.key,
            flags: self.flags,
            touch: self.exptime,
            vivify: self.vivify,
            recache: self.recache,
            cas_compare: self.cas_compare,
            cas_override: self.cas_override,
        }
    }

    /// As the flags of `ms`; `None` if the mode is none of its.
    #[inline]
    pub(super) fn set(&self) -> Option<Set<'a>> {
        Some(Set {
            key: self.key,
            flags: self.flags,
            data: &[],
            client_flags: self.client_flags.unwrap_or(0),
            exptime: self.exptime.unwrap_or(Exptime::NEVER),
            mode: set_mode(self.mode)?,
            cas_compare: self.cas_compare,
            cas_override: self.cas_override,
            vivify: self.vivify,
            invalidate: self.flags.has(b'I'),
        })
    }

    /// As the flags of `md`.
    #[inline]
    pub(super) const fn delete(&self) -> Delete<'a> {
        Delete {
            key: self.key,
            flags: self.flags,
            cas_compare: self.cas_compare,
            cas_override: self.cas_override,
            exptime: self.exptime,
            client_flags: self.client_flags,
            invalidate: self.flags.has(b'I'),
            remove_value: self.flags.has(b'x'),
        }
    }

    /// As the flags of `ma`; `None` if the mode is none of its.
    fn arith(&self) -> Option<Arith<'a>> {
        Some(Arith {
            key: self.key,
            flags: self.flags,
            mode: arith_mode(self.mode)?,
            delta: self.delta.unwrap_or(1),
            initial: self.initial.unwrap_or(0),
            vivify: self.vivify,
            cas_compare: self.cas_compare,
            cas_override: self.cas_override,
            exptime: self.exptime,
        })
    }

    /// Reads the flags in their order; `before` tokens stand before them. An unknown or repeated letter ends the
    /// reading, a bad argument does not: of several the last is told.
    fn read(key: &'a [u8], flags: &'a [u8], before: usize) -> Result<Self, ProtocolError> {
        Key::new(key).map_err(|_too_long| ProtocolError::BadCommandLine)?;
        if tokens(flags).nth(META_TOKENS_MAX - before).is_some() {
            return Err(ProtocolError::TooManyFlags);
        }
        let mut options = Self::none(MetaKey::checked(key, false));
        let mut present = 0;
        // What a bad F leaves to be told, if nothing else is wrong.
        let mut message = ProtocolError::BadCommandLine;
        let mut is_bad = false;
        for (letter, arg) in tokens(flags).filter_map(<[u8]>::split_first) {
            let bit = Flags::bit(*letter);
            if present & bit != 0 {
                return Err(ProtocolError::DuplicateFlag);
            }
            present |= bit;
            if let Err(error) = options.take(*letter, arg) {
                is_bad = true;
                match error {
                    ProtocolError::InvalidFlag => return Err(error),
                    // A bad F has no words of its own.
                    ProtocolError::BadCommandLine => {}
                    other => message = other,
                }
            }
        }
        if is_bad {
            return Err(message);
        }
        options.flags = Flags::from_parts(trim(flags), present);
        Ok(options)
    }

    fn take(&mut self, letter: u8, arg: &'a [u8]) -> Result<(), ProtocolError> {
        let exptime = |arg| match strict_i32(arg) {
            Some(exptime) => Ok(Some(Exptime(i64::from(exptime)))),
            None => Err(ProtocolError::BadToken),
        };
        let number = |arg, error| strict_u64(arg).map(Some).ok_or(error);
        match letter {
            b'b' => {
                self.key =
                    MetaKey::base64(self.key.wire()).map_err(|_not_base64| ProtocolError::KeyDecoding)?;
            }
            b'N' => self.vivify = exptime(arg)?,
            b'T' => self.exptime = exptime(arg)?,
            b'R' => self.recache = exptime(arg)?.map(|Exptime(seconds)| seconds),
            b'F' => self.client_flags = Some(strict_u32(arg).ok_or(ProtocolError::BadCommandLine)?),
            b'C' => self.cas_compare = number(arg, ProtocolError::BadToken)?,
            b'E' => self.cas_override = number(arg, ProtocolError::BadToken)?,
            b'J' => self.initial = number(arg, ProtocolError::InvalidInitial)?,
            b'D' => self.delta = number(arg, ProtocolError::InvalidMetaDelta)?,
            b'M' => self.mode = Some(arg.first().copied().unwrap_or(b' ')),
            b'O' | b'P' | b'L' | b'k' | b's' | b't' | b'c' | b'f' | b'l' | b'v' | b'h' | b'u' | b'q'
            | b'x' | b'I' => {}
            _ => return Err(ProtocolError::InvalidFlag),
        }
        Ok(())
    }

    /// An opaque may have 31 bytes behind its letter. (memcached's `ma` sees this only when it writes the reply, with the
    /// number already changed; here nothing happens.)
    fn check_opaque(&self) -> Result<(), ProtocolError> {
        match self.flags.opaque() {
            Some(opaque) if opaque.len() + 1 > OPAQUE_TOKEN_MAX => Err(ProtocolError::OpaqueTooLong),
            _ => Ok(()),
        }
    }
}

/// The flags of a meta command on their own, for those who build requests.
pub(crate) fn flags(wire: &[u8]) -> Result<Flags<'_>, ProtocolError> {
    check_letters(wire, 2)?;
    let options = Options::read(b"key0", wire, 2)?;
    options.check_opaque()?;
    Ok(options.flags)
}
